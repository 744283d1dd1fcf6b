/*
 * hooks.h: what higher floors register with the ledger at load time.
 *
 * The ledger stores and checks chains; it does not know what a member is.
 * src/medchain.c fills in these pointers once, in _PG_init.
 */
#ifndef MEDCHAIN_LEDGER_HOOKS_H
#define MEDCHAIN_LEDGER_HOOKS_H

#include "postgres.h"

#include "ledger/chain.h"

typedef struct LedgerHooks
{
	/* Does the state depend on entries of this kind?  (No SQL.) */
	bool		(*is_governance) (const char *kind);

	/* Fold entries first .. last of that chain into the state. Runs in a trusted scope. */
	void		(*fold) (const char *origin, int64 first, int64 last);

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
	void		(*ledger_terms) (const char *origin, ChainTerms *terms);

	/*
	 * May origin have sealed a block then, the first entry of which is first?  Else it has to
	 * wait.
	 */
	bool		(*may_seal) (const char *origin, int64 first, TimestampTz sealed);

	/*
	 * Chains, by name, for which the keeper has something to do, in that context; changed: the
	 * state may have changed since the last time.  Runs in a trusted scope.
	 */
	List	   *(*due) (MemoryContext context, bool changed);

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
} LedgerHooks;

extern LedgerHooks ledger_hooks;

#endif
