/*
 * hooks.h: what higher floors register with the ledger at load time.
 *
 * The ledger stores and checks chains; it does not know what a member is.
 * src/medchain.c fills in these pointers once, in _PG_init.
 */
#ifndef MEDCHAIN_LEDGER_HOOKS_H
#define MEDCHAIN_LEDGER_HOOKS_H

#include "postgres.h"

typedef struct LedgerHooks
{
	/* Does the state depend on entries of this kind?  (No SQL.) */
	bool		(*is_governance) (const char *kind);

	/* Fold entries first .. last of that chain into the state. Runs in a trusted scope. */
	void		(*fold) (const char *origin, int64 first, int64 last);

	/* PEM of the key that origin's ledger is configured with, palloc'd; NULL: not (yet). In a trusted scope. */
	char	   *(*ledger_key) (const char *origin);

	/* One round of the keeper, in a transaction of its own: accept what was held. */
	void		(*keep) (void);

	/* Member on whose behalf this session acts, palloc'd, or NULL. */
	char	   *(*current_member) (void);
} LedgerHooks;

extern LedgerHooks ledger_hooks;

#endif
