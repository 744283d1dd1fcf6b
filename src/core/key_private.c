/*
 * key_private.c: private keys from a file or an OSSL_STORE URI, and how their memory is protected.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <strings.h>
#ifdef __linux__
#include <sys/prctl.h>
#else
#include <sys/resource.h>
#endif
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/store.h>
#include <openssl/ui.h>

#include "core/key_internal.h"

#define KEY_SECURE_HEAP (128 * 1024)	/* an RSA key of 8192 bits takes 5 kB */
#define KEY_SECURE_MIN 16

/*
 * Open a private key file if nobody else can read it: be-secure-common.c,
 * check_ssl_key_file_permissions().  What was checked is what is read, so by descriptor.
 */
static int
key_open_file(const char *path, CoreError *error)
{
	struct stat st;
	int			fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
	{
		error_set(error, CORE_ACCESS, "could not open private key file \"%s\": %s", path,
				  strerror(errno));
		return -1;
	}
	if (fstat(fd, &st) != 0)
		error_set(error, CORE_ACCESS, "could not stat private key file \"%s\": %s", path,
				  strerror(errno));
	else if (!S_ISREG(st.st_mode))
		error_set(error, CORE_ACCESS, "private key file \"%s\" is not a regular file", path);
	else if (st.st_uid != geteuid() && st.st_uid != 0)
		error_set(error, CORE_ACCESS, "private key file \"%s\" must be owned by the database user "
				  "or root", path);
	else if ((st.st_uid == geteuid() && (st.st_mode & (S_IRWXG | S_IRWXO)) != 0) ||
			 (st.st_uid != geteuid() && (st.st_mode & (S_IWGRP | S_IXGRP | S_IRWXO)) != 0))
		error_set(error, CORE_ACCESS,
				  "private key file \"%s\" has group or world access; it must have permissions "
				  "u=rw (0600) or less if owned by the database user, or u=rw,g=r (0640) or less "
				  "if owned by root",
				  path);
	else
		return fd;
	close(fd);
	return -1;
}

/* Who is asked for passphrases and PINs, and what became of it. */
typedef struct KeyPrompt
{
	KeyPassphrase ask;			/* NULL: nobody */
	void	   *arg;
	bool		asked;
	bool		answered;
} KeyPrompt;

static int
key_prompt(char *buffer, int size, int rwflag, void *arg)
{
	KeyPrompt  *prompt = arg;
	int			len = -1;

	(void) rwflag;
	prompt->asked = true;
	if (prompt->ask != NULL)
		len = prompt->ask(buffer, size, prompt->arg);
	prompt->answered = prompt->answered || len >= 0;
	return len;
}

/*
 * "file:/p", "file:///p" and "file://localhost/p" are files, and so is whatever has no scheme; NULL
 * for other URIs.
 */
static const char *
key_file_of_uri(const char *uri)
{
	size_t		scheme = strspn(uri,
							 "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-.");

	if (strncasecmp(uri, "file:", 5) == 0)
	{
		uri += 5;
		if (strncmp(uri, "//localhost/", 12) == 0)
			return uri + 11;
		if (strncmp(uri, "///", 3) == 0)
			return uri + 2;
		return uri;
	}
	return scheme > 0 && uri[scheme] == ':' ? NULL : uri;
}

/* The first private key the store holds. */
static EVP_PKEY *
key_from_store(OSSL_STORE_CTX *store)
{
	EVP_PKEY   *pkey = NULL;

	(void) OSSL_STORE_expect(store, OSSL_STORE_INFO_PKEY);
	while (pkey == NULL && !OSSL_STORE_eof(store))
	{
		OSSL_STORE_INFO *info = OSSL_STORE_load(store);

		if (info == NULL)
			break;				/* an object that can't be read hides those behind it */
		if (OSSL_STORE_INFO_get_type(info) == OSSL_STORE_INFO_PKEY)
			pkey = OSSL_STORE_INFO_get1_PKEY(info);
		OSSL_STORE_INFO_free(info);
	}
	return pkey;
}

/*
 * A public key alone, or a token that does not let us sign, is noticed here and not at the first
 * block.
 */
static bool
key_can_sign(const Key *key, CoreError *error)
{
	static const char probe[] = "medchain";
	uint8_t		sig[KEY_SIGNATURE_MAX];
	size_t		siglen;

	return key_sign(key, probe, sizeof(probe), sig, &siglen, error) &&
		key_verify(key, KEY_DEFAULT, probe, sizeof(probe), sig, siglen, error) == KEY_VALID;
}

/*
 * Errors go to logs and views: of a URI they show the path, and not the attributes behind it (RFC
 * 7512, 2.3).
 */
static int
key_uri_shown(const char *uri)
{
	return (int) strcspn(uri, "?");
}

static OSSL_STORE_CTX *
key_open_store(const char *uri, BIO **bio, const UI_METHOD *ui, KeyPrompt *prompt, CoreError *error)
{
	const char *path = key_file_of_uri(uri);
	int			fd;

	if (path == NULL)
		return OSSL_STORE_open(uri, ui, prompt, NULL, NULL);
	fd = key_open_file(path, error);
	if (fd < 0)
		return NULL;
	*bio = BIO_new_fd(fd, BIO_CLOSE);
	if (*bio == NULL)
	{
		close(fd);
		error_set_openssl(error, CORE_INTERNAL, "could not read private key");
		return NULL;
	}
	return OSSL_STORE_attach(*bio, "file", NULL, NULL, ui, prompt, NULL, NULL, NULL);
}

Key *
key_load_private(const char *uri, KeyPassphrase ask, void *arg, CoreError *error)
{
	KeyPrompt	prompt = {.ask = ask, .arg = arg};
	UI_METHOD  *ui;
	BIO		   *bio = NULL;
	OSSL_STORE_CTX *store;
	EVP_PKEY   *pkey = NULL;
	Key		   *key = NULL;
	const int	shown = key_uri_shown(uri);

	error->code = CORE_OK;
	if (strstr(uri, "pin-value=") != NULL)
	{
		error_set(error, CORE_ACCESS, "the URI of the private key contains a PIN");
		return NULL;
	}
	ui = UI_UTIL_wrap_read_pem_callback(key_prompt, 0);
	store = ui ? key_open_store(uri, &bio, ui, &prompt, error) : NULL;
	if (store != NULL)
		pkey = key_from_store(store);
	if (pkey == NULL && prompt.answered)
	{
		ERR_clear_error();
		error_set(error, CORE_ACCESS, "private key \"%.*s\" cannot be read with the passphrase "
				  "given", shown, uri);
	}
	else if (pkey == NULL && prompt.asked)
	{
		ERR_clear_error();
		error_set(error, CORE_ACCESS, "private key \"%.*s\" is encrypted with a passphrase", shown,
				  uri);
	}
	else if (pkey == NULL && error->code == CORE_OK)
		error_set_openssl(error, CORE_ACCESS, "no private key in \"%.*s\"", shown, uri);
	OSSL_STORE_close(store);
	UI_destroy_method(ui);
	BIO_free(bio);

	if (pkey != NULL)
		key = key_wrap(pkey, error);
	if (key != NULL && !key_can_sign(key, error))
	{
		key_free(key);
		key = NULL;
		error_set(error, CORE_ACCESS, "the key in \"%.*s\" cannot sign: it is not a private key, "
				  "or does not allow it", shown, uri);
	}
	return key;
}

bool
key_private_is_readable(const char *uri, CoreError *error)
{
	const char *path = key_file_of_uri(uri);
	int			fd = path != NULL ? key_open_file(path, error) : -1;

	if (fd >= 0)
		close(fd);
	return path == NULL || fd >= 0;
}

bool
key_protect_process(CoreError *error)
{
	/*
	 * OpenSSL keeps the secret numbers of a key here: not swapped out, where RLIMIT_MEMLOCK allows
	 * it, not dumped, and between pages that fault.  The result says only how much of that could
	 * be had.
	 */
	if (CRYPTO_secure_malloc_initialized() == 0)
		(void) CRYPTO_secure_malloc_init(KEY_SECURE_HEAP, KEY_SECURE_MIN);

	/*
	 * copies of a key file's bytes on their way there are in ordinary memory: none of it leaves
	 * the process
	 */
#ifdef __linux__
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
		return error_set(error, CORE_INTERNAL, "could not keep memory out of core dumps: %s",
						 strerror(errno));
#else
	{
		const struct rlimit none = {0, 0};

		if (setrlimit(RLIMIT_CORE, &none) != 0)
			return error_set(error, CORE_INTERNAL, "could not switch off core dumps: %s",
							 strerror(errno));
	}
#endif
	return true;
}
