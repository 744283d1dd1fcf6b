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
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/uuid.h"

#ifdef USE_OPENSSL
#include <openssl/evp.h>
#include <openssl/x509.h>
#endif

#include "access/identity.h"
#include "access/identity_share.h"
#include "access/statement.h"
#include "compat.h"
#include "core/hash.h"
#include "node/lookup.h"
#include "node/trusted.h"

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

/* The tables are read as catalogues are, for these are the first questions of each session. */
static bool
identity_open(Lookup *lookup, const char *table, Snapshot snapshot)
{
	if (!lookup_open(lookup, table))
		return false;
	lookup->snapshot = snapshot;
	return true;
}

/*
 * A member's row; active: it takes part, with this certificate (NULL: any).  False: there is none.
 */
static bool
identity_member(Snapshot snapshot, Datum name, Datum *fingerprint, Acting *found)
{
	Lookup		members;
	bool		isnull;
	bool		is_member;

	if (!identity_open(&members, "member", snapshot))
		return false;
	lookup_start(&members, NULL, 1, &name);
	is_member = lookup_next(&members);
	if (is_member)
	{
		found->name = TextDatumGetCString(name);
		found->active = DatumGetBool(lookup_value(&members, "takes_part", &isnull)) &&
			(fingerprint == NULL ||
			 DatumGetBool(DirectFunctionCall2(byteaeq, *fingerprint,
											  lookup_value(&members, "fingerprint", &isnull))));
		found->validity = VALIDITY_ALWAYS;
		if (found->active)
			validity_restrict(&found->validity, lookup_value(&members, "valid", &isnull));
	}
	lookup_close(&members);
	return is_member;
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

/* Of several members that have had it, one that has it now; then by their names. */
static bool
identity_comes_before(const Acting *one, const Acting *other)
{
	if (other->name == NULL || one->active != other->active)
		return other->name == NULL || one->active;
	return strcmp(one->name, other->name) < 0;
}

static void
identity_by_certificate(Acting *found)
{
	uint8		digest[HASH_LEN];
	Datum		fingerprint;
	Snapshot	snapshot;
	Lookup		certificates;

	if (!identity_fingerprint(digest))
		return;
	snapshot = lookup_snapshot();
	if (identity_open(&certificates, "member_certificate", snapshot))
	{
		fingerprint = trusted_bytea(digest, HASH_LEN);
		lookup_start(&certificates, "member_certificate_fingerprint", 1, &fingerprint);
		while (lookup_next(&certificates))
		{
			Acting		one = {0};
			bool		isnull;

			if (identity_member(snapshot, lookup_value(&certificates, "member", &isnull),
								&fingerprint, &one) && identity_comes_before(&one, found))
				*found = one;
		}
		lookup_close(&certificates);
	}
	UnregisterSnapshot(snapshot);
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

/* Of the bindings of a role that are known as these entries, the last one that is of a member. */
static void
identity_by_bindings(Snapshot snapshot, ArrayType *entries, Acting *found)
{
	Lookup		bindings;
	Datum	   *elements;
	int			count;
	int64		last = -1;

	if (!identity_open(&bindings, "role_binding", snapshot))
		return;
	deconstruct_array(entries, UUIDOID, UUID_LEN, false, TYPALIGN_CHAR, &elements, NULL, &count);
	for (int i = 0; i < count; i++)
	{
		Acting		one = {0};
		bool		isnull;
		int64		seq;

		lookup_start(&bindings, NULL, 1, &elements[i]);
		if (!lookup_next(&bindings))
			continue;
		seq = DatumGetInt64(lookup_value(&bindings, "seq", &isnull));
		if (seq > last && identity_member(snapshot, lookup_value(&bindings, "member", &isnull),
										  NULL, &one))
		{
			*found = one;
			last = seq;
		}
	}
	lookup_close(&bindings);
}

/*
 * The role's number counts, and not its name: that can be given to another one.  In a copy on
 * another server, numbers mean nothing.
 */
static void
identity_by_role(Oid user, Acting *found)
{
	Snapshot	snapshot;
	Lookup		roles;
	Datum		keys[2];
	bool		isnull;

	keys[0] = CStringGetTextDatum(psprintf(UINT64_FORMAT, GetSystemIdentifier()));
	keys[1] = ObjectIdGetDatum(user);
	snapshot = lookup_snapshot();
	if (identity_open(&roles, "bound_role", snapshot))
	{
		lookup_start(&roles, NULL, 2, keys);
		if (lookup_next(&roles))
			identity_by_bindings(snapshot, DatumGetArrayTypeP(lookup_value(&roles, "entries",
																		   &isnull)), found);
		lookup_close(&roles);
	}
	UnregisterSnapshot(snapshot);
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
	Acting		found = {0};
	MemoryContext scratch = AllocSetContextCreate(CurrentMemoryContext, "medchain identity",
												  ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(scratch);

	identity.known = false;
	if (identity.bound)
	{
		pfree(identity.bound);
		identity.bound = NULL;
	}

#ifdef USE_OPENSSL
	identity_by_certificate(&found);
#endif

	/* one that was dropped meanwhile acts for nobody, whatever others have found before */
	if (found.name == NULL && SearchSysCacheExists1(AUTHOID, ObjectIdGetDatum(user)) &&
		!identity_share_find(user, generation, &found))
	{
		identity_by_role(user, &found);
		identity_share_leave(user, generation, &found);
	}

	identity.bound = found.name ? MemoryContextStrdup(TopMemoryContext, found.name) : NULL;
	identity.active = found.active;
	identity.validity = found.validity;
	identity.generation = generation;
	identity.user = user;
	identity.known = true;
	MemoryContextSwitchTo(old);
	MemoryContextDelete(scratch);
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
