/*
 * pseudonym.c: identity -> pseudonym, with the alliance's key from a file.
 *
 * The key is read once per process and file name.  It never enters a table, a
 * setting or an error message.  A wrong one would make pseudonyms that nobody
 * else knows, and nothing would say so: so the genesis entry has a check value of
 * the right one, and a key that does not fit is not used.
 */
#include "postgres.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/crypto.h>

#include "access/xact.h"
#include "catalog/namespace.h"
#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "storage/fd.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "compat.h"
#include "core/encode.h"
#include "ledger/pseudonym.h"
#include "node/settings.h"
#include "node/shared.h"
#include "node/trusted.h"

#define PSEUDONYM_KEY_MIN 16
#define PSEUDONYM_KEY_MAX 1024
#define PSEUDONYM_IDENTITY_MAX 1000

/*
 * What the check value is the HMAC of: no identity, as no text of PostgreSQL's begins with a
 * null byte.
 */
static const char check_label[] = "\0medchain pseudonym key";

#define PSEUDONYM_RULES \
	"File must have permissions u=rw (0600) or less if owned by the database user, or " \
	"permissions " \
	"u=rw,g=r (0640) or less if owned by root."

/* Why a key cannot be used; the texts are palloc'd or constant. */
typedef struct PseudonymFault
{
	int			sqlstate;
	const char *message;
	const char *detail;
	const char *hint;
} PseudonymFault;

static HashMac *key = NULL;
static char *key_file = NULL;	/* the file the key above came from */
static Oid	key_fits = InvalidOid;	/* medchain.local_node of the alliance whose key it is known to
									 * be */
static TimestampTz key_asked = 0;	/* in the statement that began then, it fitted */

static HashMac *
pseudonym_fault(PseudonymFault *fault, int sqlstate, const char *message, const char *detail)
{
	fault->sqlstate = sqlstate;
	fault->message = message;
	fault->detail = detail;
	return NULL;
}

/* The bytes of an open file as a key; the rules are those PostgreSQL has for ssl_key_file. */
static HashMac *
pseudonym_read_open(int fd, const char *file, PseudonymFault *fault)
{
	struct stat st;
	uint8_t		bytes[PSEUDONYM_KEY_MAX];
	ssize_t		got;
	HashMac    *loaded = NULL;

	if (fstat(fd, &st) != 0)
		return pseudonym_fault(fault, ERRCODE_IO_ERROR,
							psprintf("could not stat pseudonym key file \"%s\": %m", file), NULL);
	if (!S_ISREG(st.st_mode))
		return pseudonym_fault(fault, ERRCODE_CONFIG_FILE_ERROR,
						 psprintf("pseudonym key file \"%s\" is not a regular file", file), NULL);
	if ((st.st_uid == geteuid() && (st.st_mode & (S_IRWXG | S_IRWXO)) != 0) ||
		(st.st_uid == 0 && st.st_uid != geteuid() &&
		 (st.st_mode & (S_IWGRP | S_IXGRP | S_IRWXO)) != 0) ||
		(st.st_uid != 0 && st.st_uid != geteuid()))
		return pseudonym_fault(fault, ERRCODE_CONFIG_FILE_ERROR,
				 psprintf("pseudonym key file \"%s\" must be readable by the server alone", file),
							   PSEUDONYM_RULES);

	got = read(fd, bytes, sizeof(bytes));
	if (got < 0)
		return pseudonym_fault(fault, ERRCODE_IO_ERROR,
							psprintf("could not read pseudonym key file \"%s\": %m", file), NULL);

	/* a newline at the end is how editors write files, not part of the key */
	while (got > 0 && (bytes[got - 1] == '\n' || bytes[got - 1] == '\r'))
		got--;
	if (got >= PSEUDONYM_KEY_MIN)
		loaded = hash_mac_new(bytes, (size_t) got);
	OPENSSL_cleanse(bytes, sizeof(bytes));
	if (got < PSEUDONYM_KEY_MIN)
		return pseudonym_fault(fault, ERRCODE_CONFIG_FILE_ERROR,
		 psprintf("pseudonym key file \"%s\" holds fewer than %d bytes", file, PSEUDONYM_KEY_MIN),
							   NULL);
	if (loaded == NULL)
		elog(ERROR, "could not compute HMAC-SHA-256");
	return loaded;
}

static HashMac *
pseudonym_read(const char *file, PseudonymFault *fault)
{
	HashMac    *loaded;
	int			fd;

	if (file == NULL || file[0] == '\0')
	{
		fault->hint = psprintf("Set medchain.pseudonym_key_file to a file with the alliance's "
							   "key, at least %d bytes, "
							   "readable by the server alone.", PSEUDONYM_KEY_MIN);
		return pseudonym_fault(fault, ERRCODE_CONFIG_FILE_ERROR,
							   "no key for pseudonyms is configured", NULL);
	}
	fd = OpenTransientFile(file, O_RDONLY | PG_BINARY);
	if (fd < 0)
		return pseudonym_fault(fault, errno == EACCES ?
							   ERRCODE_INSUFFICIENT_PRIVILEGE : errno == ENOENT ?
							   ERRCODE_UNDEFINED_FILE : ERRCODE_IO_ERROR,
							psprintf("could not open pseudonym key file \"%s\": %m", file), NULL);
	loaded = pseudonym_read_open(fd, file, fault);
	CloseTransientFile(fd);
	return loaded;
}

/* ----- is it the alliance's? ----- */

static void
pseudonym_check_value(const HashMac *mac, uint8_t check[HASH_LEN])
{
	if (!hash_mac(mac, check_label, sizeof(check_label) - 1, check))
		elog(ERROR, "could not compute HMAC-SHA-256");
}

/* Has another session found out that it is? */
static bool
pseudonym_fits_shared(const HashMac *mac, Oid node)
{
	SharedDatabase *slot = shared_database();
	uint8_t		check[HASH_LEN];
	bool		fits;

	if (slot == NULL)
		return false;
	pseudonym_check_value(mac, check);
	LWLockAcquire(shared_state->lock, LW_SHARED);
	fits = OidIsValid(node) && slot->pseudonym_node == node &&
		memcmp(slot->pseudonym_check, check, HASH_LEN) == 0;
	LWLockRelease(shared_state->lock);
	return fits;
}

static void
pseudonym_share(const HashMac *mac, Oid node)
{
	SharedDatabase *slot = shared_database();
	uint8_t		check[HASH_LEN];

	if (slot == NULL)
		return;
	pseudonym_check_value(mac, check);
	LWLockAcquire(shared_state->lock, LW_EXCLUSIVE);
	slot->pseudonym_node = node;
	memcpy(slot->pseudonym_check, check, HASH_LEN);
	LWLockRelease(shared_state->lock);
}

/*
 * Compare with what the genesis entry says. *known: it is here; older ones say nothing, and any
 * key fits. The snapshot is taken as that of a catalogue: we may be called while this process
 * leads a parallel query.
 */
static bool
pseudonym_fits(const HashMac *mac, bool *known)
{
	static SPIPlanPtr plan = NULL;
	TrustedScope scope;
	uint8_t		check[HASH_LEN];
	char		hex[ENCODE_HEX_SIZE(HASH_LEN)];
	char	   *expected = NULL;
	bool		fits;

	pseudonym_check_value(mac, check);
	encode_hex(check, HASH_LEN, hex);
	trusted_begin(&scope);
	PushActiveSnapshot(GetCatalogSnapshot(InvalidOid));
	trusted_read(&plan,
				 "SELECT "
				 "medchain_internal.object_or_null(medchain_internal.entry_body(e.payload), true) "
				 "->> 'pseudonym_check'"
	 " FROM medchain.local_node n JOIN medchain.entry e ON e.origin = n.data_center AND e.seq = 0"
				 " WHERE e.kind = 'genesis'", 0, NULL, NULL);
	*known = SPI_processed > 0;
	if (*known)
		expected = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
	fits = expected == NULL || strcmp(expected, hex) == 0;
	PopActiveSnapshot();
	trusted_end(&scope);
	return fits;
}

static HashMac *
pseudonym_not_ours(PseudonymFault *fault)
{
	fault->hint = "Every member has the same key: bring the data centre's file here, outside of "
		"the ledger.";
	return pseudonym_fault(fault, ERRCODE_CONFIG_FILE_ERROR,
						   "the key in medchain.pseudonym_key_file is not the alliance's",
						   "Its check value differs from the one in the genesis entry.");
}

static void
pseudonym_error(const PseudonymFault *fault)
{
	ereport(ERROR,
			(errcode(fault->sqlstate),
			 errmsg("%s", fault->message),
			 fault->detail ? errdetail("%s", fault->detail) : 0,
			 fault->hint ? errhint("%s", fault->hint) : 0));
}

/* The key, known to be the alliance's if that can be known yet. */
const HashMac *
pseudonym_mac(void)
{
	Oid			node;
	PseudonymFault fault = {0};
	bool		known;

	/* a statement may ask for each of a million rows */
	if (key_asked != 0 && key_asked == GetCurrentStatementStartTimestamp() && key_file != NULL &&
		strcmp(key_file, setting_pseudonym_key_file) == 0)
		return key;
	key_asked = 0;
	node = get_relname_relid("local_node", get_namespace_oid("medchain", false));
	if (key_file == NULL || strcmp(key_file, setting_pseudonym_key_file) != 0)
	{
		HashMac    *loaded = pseudonym_read(setting_pseudonym_key_file, &fault);
		char	   *name;

		if (loaded == NULL)
			pseudonym_error(&fault);
		name = MemoryContextStrdup(TopMemoryContext, setting_pseudonym_key_file);
		hash_mac_free(key);
		key = loaded;
		if (key_file)
			pfree(key_file);
		key_file = name;
		key_fits = InvalidOid;
	}
	if (key_fits != node && pseudonym_fits_shared(key, node))
		key_fits = node;
	if (key_fits != node)
	{
		if (!pseudonym_fits(key, &known))
		{
			/* the file may be another one by the next call */
			pfree(key_file);
			key_file = NULL;
			(void) pseudonym_not_ours(&fault);
			pseudonym_error(&fault);
		}
		if (known)
		{
			key_fits = node;
			pseudonym_share(key, node);
		}
	}
	if (key_fits == node)
		key_asked = GetCurrentStatementStartTimestamp();
	return key;
}

void
pseudonym_of(const char *identity, size_t len, uint8_t out[HASH_LEN])
{
	if (!hash_mac(pseudonym_mac(), identity, len, out))
		elog(ERROR, "could not compute HMAC-SHA-256");
}

const char *
pseudonym_status(void)
{
	PseudonymFault fault = {0};
	HashMac    *loaded = pseudonym_read(setting_pseudonym_key_file, &fault);
	bool		known;

	if (loaded != NULL && !pseudonym_fits(loaded, &known))
		(void) pseudonym_not_ours(&fault);
	hash_mac_free(loaded);
	return fault.message;
}

void
pseudonym_report(void)
{
	static char *reported = NULL;
	const char *status = pseudonym_status();

	/* a node about which nobody asks needs no key: stat says that there is none */
	if (status != NULL && setting_pseudonym_key_file[0] != '\0' && (reported == NULL ||
																	strcmp(reported, status) != 0))
		ereport(LOG,
				(errmsg("medchain: no pseudonyms: %s", status)));
	if (reported != NULL)
		pfree(reported);
	reported = status ? MemoryContextStrdup(TopMemoryContext, status) : NULL;
}

static bool
pseudonym_blank_character(pg_wchar c)
{
	return c == ' ' || (c >= '\t' && c <= '\r') || c == 0x85 || c == 0xa0 || c == 0x1680 ||
		(c >= 0x2000 && c <= 0x200d) || c == 0x2028 || c == 0x2029 || c == 0x202f || c == 0x205f ||
		c == 0x2060 ||
		c == 0x3000 || c == 0xfeff;
}

bool
pseudonym_is_blank(const char *identity, size_t len)
{
	bool		utf8 = GetDatabaseEncoding() == PG_UTF8;

	for (const char *at = identity; at < identity + len; at += pg_mblen(at))
	{
		pg_wchar	c = utf8 ? utf8_to_unicode((const unsigned char *) at) : (unsigned char) *at;

		if (!pseudonym_blank_character(c))
			return false;
	}
	return true;
}

void
pseudonym_require_identity(const char *identity, size_t len, const char *hint)
{
	bool		utf8 = GetDatabaseEncoding() == PG_UTF8;

	if (pseudonym_is_blank(identity, len))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("subject must not be empty or blank"),
				 hint ? errhint("%s", hint) : 0));
	if (len > PSEUDONYM_IDENTITY_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("subject must not be longer than %d bytes", PSEUDONYM_IDENTITY_MAX),
				 errdetail("It has %d.", (int) len),
				 errhint("It is what the examinee's records are found by, such as a number.")));
	for (const char *at = identity; at < identity + len; at += pg_mblen(at))
	{
		pg_wchar	c = utf8 ? utf8_to_unicode((const unsigned char *) at) : (unsigned char) *at;

		if (c < 0x20 || c == 0x7f || (utf8 && c >= 0x80 && c <= 0x9f))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("subject must not contain control characters"),
					 errdetail("Byte %d is the start of U+%04X.", (int) (at - identity) + 1, c)));
	}
}

PG_FUNCTION_INFO_V1(medchain_require_subject);

/* require_subject(subject text) -> void */
Datum
medchain_require_subject(PG_FUNCTION_ARGS)
{
	text	   *subject;

	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("subject must not be null")));
	subject = PG_GETARG_TEXT_PP(0);
	pseudonym_require_identity(VARDATA_ANY(subject), VARSIZE_ANY_EXHDR(subject), NULL);
	PG_RETURN_VOID();
}

PG_FUNCTION_INFO_V1(medchain_is_blank);

/* is_blank(text) -> boolean */
Datum
medchain_is_blank(PG_FUNCTION_ARGS)
{
	text	   *value = PG_GETARG_TEXT_PP(0);

	PG_RETURN_BOOL(pseudonym_is_blank(VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value)));
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

PG_FUNCTION_INFO_V1(medchain_pseudonym_check);

/*
 * pseudonym_check() -> text: the check value of this node's key, for the genesis entry and to
 * compare with it.
 */
Datum
medchain_pseudonym_check(PG_FUNCTION_ARGS)
{
	uint8_t		check[HASH_LEN];
	char		hex[ENCODE_HEX_SIZE(HASH_LEN)];

	pseudonym_check_value(pseudonym_mac(), check);
	encode_hex(check, HASH_LEN, hex);
	PG_RETURN_TEXT_P(cstring_to_text(hex));
}

PG_FUNCTION_INFO_V1(medchain_pseudonym_status);

/* pseudonym_status() -> text */
Datum
medchain_pseudonym_status(PG_FUNCTION_ARGS)
{
	const char *status = pseudonym_status();

	PG_RETURN_TEXT_P(cstring_to_text(status ? status : "fine"));
}
