/*
 * identity.c: the member on whose behalf this session acts.
 *
 * A certificate that the TLS handshake proved counts first, the role that
 * logged in second.  Both were fixed when the session was authenticated: neither
 * SET ROLE, SET SESSION AUTHORIZATION nor a SECURITY DEFINER function changes
 * who is acting, so none of them can widen what may be seen.
 *
 * A certificate of a member decides even if that member takes part no longer, or
 * if it was replaced (then nobody is acting): the role binding must not be a way
 * around a suspension, nor around a change of key that was stolen.  A certificate
 * that no member ever had is none of our business, and the role binding counts.
 *
 * Nobody acting is not the same as nobody bound: what a member who is suspended
 * leaves behind here has its name on it, and never that of this node.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "libpq/libpq-be.h"
#include "miscadmin.h"
#include "access/xlog.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

#ifdef USE_OPENSSL
#include <openssl/evp.h>
#include <openssl/x509.h>
#endif

#include "access/identity.h"
#include "access/latest.h"
#include "access/statement.h"
#include "compat.h"
#include "core/hash.h"

typedef struct Identity
{
	bool		known;			/* the rest is as of generation, for user */
	uint64		generation;
	Oid			user;
	char	   *bound;			/* whose session it is; NULL: nobody's */
	bool		active;			/* that member takes part, and within validity it is acting */
	Validity	validity;		/* of the membership */
} Identity;

static Identity identity;

/* What a query for the member found. */
typedef struct Found
{
	char	   *name;			/* NULL: no member, taking part or not */
	bool		active;
	Validity	validity;
} Found;

static void
identity_found(TupleTableSlot *slot, void *arg)
{
	Found	   *found = (Found *) arg;

	found->name = MemoryContextStrdup(TopMemoryContext, TextDatumGetCString(slot->tts_values[0]));
	found->active = DatumGetBool(slot->tts_values[2]);
	if (!found->active)
		return;
	found->validity = VALIDITY_ALWAYS;
	validity_restrict(&found->validity, slot->tts_values[1]);
}

#ifdef USE_OPENSSL
/* SHA-256 of the DER certificate of the client; the handshake proved that it has the key. */
static bool
identity_fingerprint(uint8 fingerprint[HASH_LEN])
{
	unsigned int len = 0;

	if (!MyProcPort->ssl_in_use || MyProcPort->peer == NULL || !MyProcPort->peer_cert_valid)
		return false;
	if (X509_digest(MyProcPort->peer, EVP_sha256(), fingerprint, &len) != 1 || len != HASH_LEN)
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not compute the fingerprint of the client's certificate")));
	return true;
}

static void
identity_by_certificate(Found *found)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[1] = {BYTEAOID};
	Datum		values[1];
	uint8		fingerprint[HASH_LEN];
	bytea	   *argument;

	if (!identity_fingerprint(fingerprint))
		return;
	argument = palloc(VARHDRSZ + HASH_LEN);
	SET_VARSIZE(argument, VARHDRSZ + HASH_LEN);
	memcpy(VARDATA(argument), fingerprint, HASH_LEN);
	values[0] = PointerGetDatum(argument);
	latest_query(&plan, CURSOR_OPT_GENERIC_PLAN,
				 "SELECT m.name, m.valid, m.takes_part AND m.fingerprint = c.fingerprint AS active"
				 " FROM medchain.member_certificate c JOIN medchain.member m ON m.name = c.member "
				 "WHERE c.fingerprint = $1"
				 " ORDER BY active DESC, m.name COLLATE \"C\" LIMIT 1",
				 1, types, values, identity_found, found);
	pfree(argument);
}
#endif

bool
identity_certificate(uint8 fingerprint[HASH_LEN])
{
#ifdef USE_OPENSSL
	return MyProcPort != NULL && identity_fingerprint(fingerprint);
#else
	return false;
#endif
}

/*
 * The role's number counts, and not its name: that can be given to another one.  In a copy on
 * another server, numbers mean nothing.
 */
static void
identity_by_role(Oid user, Found *found)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[2] = {OIDOID, TEXTOID};
	Datum		values[2];

	if (!SearchSysCacheExists1(AUTHOID, ObjectIdGetDatum(user)))
		return;					/* dropped meanwhile */
	values[0] = ObjectIdGetDatum(user);
	values[1] = CStringGetTextDatum(psprintf(UINT64_FORMAT, GetSystemIdentifier()));
	latest_query(&plan, CURSOR_OPT_GENERIC_PLAN,
				 "SELECT m.name, m.valid, m.takes_part"
				 " FROM medchain.bound_role o"
				 " JOIN medchain.role_binding b ON b.entry = ANY (o.entries)"
				 " JOIN medchain.member m ON m.name = b.member"
				 " WHERE o.role = $1 AND o.server = $2 ORDER BY b.seq DESC LIMIT 1",
				 2, types, values, identity_found, found);
}

/* A role was changed or dropped. */
static void
identity_forget(Datum arg, int cache, uint32 hash)
{
	identity.known = false;
}

static void
identity_load(uint64 generation, Oid user)
{
	Found		found = {0};

	identity.known = false;
	if (identity.bound)
	{
		pfree(identity.bound);
		identity.bound = NULL;
	}

#ifdef USE_OPENSSL
	identity_by_certificate(&found);
#endif
	if (found.name == NULL)
		identity_by_role(user, &found);

	identity.bound = found.name;
	identity.active = found.active;
	identity.validity = found.validity;
	identity.generation = generation;
	identity.user = user;
	identity.known = true;
}

/*
 * Look again if the state has changed, or who logged in.  False in workers: they act for the node.
 */
static bool
identity_refresh(void)
{
	static bool registered = false;
	uint64		generation;
	Oid			user;

	/* parallel workers do not know the client's certificate */
	if (MyProcPort == NULL)
		return false;
	if (!registered)
		CacheRegisterSyscacheCallback(AUTHOID, identity_forget, (Datum) 0);
	registered = true;
	generation = statement_generation();
	user = GetAuthenticatedUserId();
	if (!identity.known || identity.generation != generation || identity.user != user)
		identity_load(generation, user);
	return true;
}

const char *
identity_member_name(void)
{
	if (!identity_refresh() || identity.bound == NULL || !identity.active)
		return NULL;
	return validity_contains(&identity.validity, statement_clock()) ? identity.bound : NULL;
}

char *
identity_session_member(bool *acting)
{
	const char *name = identity_member_name();

	*acting = name != NULL;
	return identity_refresh() && identity.bound ? pstrdup(identity.bound) : NULL;
}

PG_FUNCTION_INFO_V1(medchain_current_member);

Datum
medchain_current_member(PG_FUNCTION_ARGS)
{
	const char *name = identity_member_name();

	if (name == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(name));
}

PG_FUNCTION_INFO_V1(medchain_session_member);

Datum
medchain_session_member(PG_FUNCTION_ARGS)
{
	bool		acting;
	char	   *name = identity_session_member(&acting);

	if (name == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(name));
}
