/*
 * pseudonym.c: identity -> pseudonym, with the alliance's key from a file.
 *
 * The key is read once per process and file name.  It never enters a table, a
 * setting or an error message.
 */
#include "postgres.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/crypto.h>

#include "fmgr.h"
#include "storage/fd.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "compat.h"
#include "ledger/pseudonym.h"
#include "ledger/settings.h"

#define PSEUDONYM_KEY_MIN 16
#define PSEUDONYM_KEY_MAX 1024

static HashMac *key = NULL;
static char *key_file = NULL;	/* the file the key above came from */

static void
pseudonym_load_key(void)
{
	const char *file = setting_pseudonym_key_file;
	struct stat st;
	int			fd;
	uint8_t		key_bytes[PSEUDONYM_KEY_MAX];
	ssize_t		got;
	HashMac    *loaded = NULL;

	if (file == NULL || file[0] == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_CONFIG_FILE_ERROR),
				 errmsg("no key for pseudonyms is configured"),
				 errhint("Set medchain.pseudonym_key_file to a file with the alliance's key, at "
						 "least %d bytes, readable by the server alone.",
						 PSEUDONYM_KEY_MIN)));

	fd = OpenTransientFile(file, O_RDONLY | PG_BINARY);
	if (fd < 0)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not open pseudonym key file \"%s\": %m", file)));
	if (fstat(fd, &st) != 0)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not stat pseudonym key file \"%s\": %m", file)));

	/* the rules PostgreSQL has for ssl_key_file */
	if (!S_ISREG(st.st_mode))
		ereport(ERROR,
				(errcode(ERRCODE_CONFIG_FILE_ERROR),
				 errmsg("pseudonym key file \"%s\" is not a regular file", file)));
	if ((st.st_uid == geteuid() && (st.st_mode & (S_IRWXG | S_IRWXO)) != 0) ||
		(st.st_uid == 0 && st.st_uid != geteuid() &&
		 (st.st_mode & (S_IWGRP | S_IXGRP | S_IRWXO)) != 0) ||
		(st.st_uid != 0 && st.st_uid != geteuid()))
		ereport(ERROR,
				(errcode(ERRCODE_CONFIG_FILE_ERROR),
				 errmsg("pseudonym key file \"%s\" must be readable by the server alone", file),
				 errdetail("File must have permissions u=rw (0600) or less if owned by the "
					 "database user, or permissions u=rw,g=r (0640) or less if owned by root.")));

	got = read(fd, key_bytes, sizeof(key_bytes));
	if (got < 0)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not read pseudonym key file \"%s\": %m", file)));
	CloseTransientFile(fd);

	/* a newline at the end is how editors write files, not part of the key */
	while (got > 0 && (key_bytes[got - 1] == '\n' || key_bytes[got - 1] == '\r'))
		got--;
	if (got >= PSEUDONYM_KEY_MIN)
		loaded = hash_mac_new(key_bytes, (size_t) got);
	OPENSSL_cleanse(key_bytes, sizeof(key_bytes));
	if (got < PSEUDONYM_KEY_MIN)
		ereport(ERROR,
				(errcode(ERRCODE_CONFIG_FILE_ERROR),
				 errmsg("pseudonym key file \"%s\" holds fewer than %d bytes", file,
						PSEUDONYM_KEY_MIN)));
	if (loaded == NULL)
		elog(ERROR, "could not compute HMAC-SHA-256");
	hash_mac_free(key);
	key = loaded;
	if (key_file)
		pfree(key_file);
	key_file = NULL;
	key_file = MemoryContextStrdup(TopMemoryContext, file);
}

void
pseudonym_of(const char *identity, size_t len, uint8_t out[HASH_LEN])
{
	if (key_file == NULL || strcmp(key_file, setting_pseudonym_key_file) != 0)
		pseudonym_load_key();
	if (!hash_mac(key, identity, len, out))
		elog(ERROR, "could not compute HMAC-SHA-256");
}

PG_FUNCTION_INFO_V1(medchain_pseudonym);

Datum
medchain_pseudonym(PG_FUNCTION_ARGS)
{
	text	   *identity = PG_GETARG_TEXT_PP(0);
	bytea	   *result = palloc(VARHDRSZ + HASH_LEN);

	pseudonym_of(VARDATA_ANY(identity), VARSIZE_ANY_EXHDR(identity), (uint8_t *) VARDATA(result));
	SET_VARSIZE(result, VARHDRSZ + HASH_LEN);
	PG_RETURN_BYTEA_P(result);
}
