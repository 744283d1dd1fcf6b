/*
 * hooks.h: what higher floors register with the ledger at load time.
 *
 * The ledger stores and checks chains; it does not know what a member is.
 * src/medchain.c fills in these pointers once, in _PG_init.
 */
#ifndef MEDCHAIN_LEDGER_HOOKS_H
#define MEDCHAIN_LEDGER_HOOKS_H

#include "postgres.h"
#include "core/hash.h"
#include "datatype/timestamp.h"
#include "port/atomics.h"
#include "utils/uuid.h"

#include "node/shared.h"

struct ChainTerms;

/* Something is wrong with what is stored; in words that can follow "its ...". */
typedef void (*LedgerReport) (void *state, const char *fmt,...) pg_attribute_printf(2, 3);

typedef struct LedgerHooks
{
	/* Does the state depend on entries of this kind?  (No SQL.) */
	bool		(*is_governance) (const char *kind);

	/* Fold entries first .. last of that chain into the state. Runs in a trusted scope. */
	void		(*fold) (const char *origin, int64 first, int64 last);

	/*
	 * So far that chain is here now, and what it says has been folded: size entries, the last
	 * block and the hash of its note text.  Runs in a trusted scope.
	 */
	void		(*witness) (const char *origin, int64 size, int64 height,
							const uint8 head[HASH_LEN]);

	/* These entries of another chain have become part of the ledger.  In a trusted scope. */
	void		(*arrived) (const char *origin, int64 first, int64 last);

	/* Forget what the entries of that chain from first on say.  Runs in a trusted scope. */
	void		(*unfold) (const char *origin, int64 first);

	/*
	 * Can an entry of this kind change the key that the blocks behind it are signed with?  (No
	 * SQL.)
	 */
	bool		(*changes_key) (const char *kind);

	/*
	 * The keys of a chain, palloc'd, and where it ends; no keys: not configured (yet).  In a
	 * trusted scope.
	 */
	void		(*ledger_terms) (const char *origin, struct ChainTerms *terms);

	/*
	 * May origin have sealed a block then, the first entry of which is first?  Else it has to
	 * wait.
	 */
	bool		(*may_seal) (const char *origin, int64 first, TimestampTz sealed);

	/*
	 * May this node's own chain go on, as peers have no more of it than is here?  Outside of a
	 * transaction.  False: soon, or *why, which takes an administrator, is not empty.
	 */
	bool		(*recovered) (SharedDatabase *slot, char why[SHARED_ERROR_LEN]);

	/*
	 * Has the keeper something to say of roles that act for members?  changed: the state may have
	 * changed since the last time.  And to say it, in a trusted scope.
	 */
	bool		(*roles_due) (bool changed);
	void		(*settle_roles) (void);

	/*
	 * Member whose session this is, palloc'd, or NULL; *acting: it takes part now, and the session
	 * acts for it.
	 */
	char	   *(*session_member) (bool *acting);

	/*
	 * Append what was done to rows of ledger tables before, as an entry is to come that must be
	 * behind it.
	 */
	void		(*settle_rows) (void);

	/*
	 * Compare what is stored of the set that this entry of our own is about with what its payload
	 * says; done: counts the items, or NULL; names: compare those of rows as well, which needs the
	 * key of pseudonyms.  False: it says nothing about a set; otherwise *relation, palloc'd before
	 * the first report, is the table.  *kept: NULL at first; what is kept of tables from one set
	 * to the next, until the transaction ends.  In a trusted scope, by the active snapshot.
	 */
	bool		(*check_set) (const pg_uuid_t *entry, int64 seq, const text *payload, bool names,
							  const char **relation, LedgerReport report, void *state,
							  pg_atomic_uint64 *done, void **kept);
} LedgerHooks;

extern LedgerHooks ledger_hooks;

#endif
