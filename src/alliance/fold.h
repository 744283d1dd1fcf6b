/*
 * fold.h: from entries to state; what the alliance registers with the ledger.
 */
#ifndef MEDCHAIN_ALLIANCE_FOLD_H
#define MEDCHAIN_ALLIANCE_FOLD_H

#include "postgres.h"
#include "datatype/timestamp.h"
#include "utils/portal.h"

#include "ledger/chain_terms.h"

/* The names of kinds of claims (CLAIM_SET() of each) as a text[] in SQL, palloc'd. */
extern char *fold_kinds(uint32 kinds);

/*
 * The statement that reads the entries of these kinds for which the condition holds, in the order
 * of their chains.  Palloc'd.
 */
extern char *fold_select(uint32 kinds, const char *condition);

/* One of them, with height and time of its block; it is visit's for the call. */
typedef struct FoldEntry
{
	const char *origin;
	int64		seq;
	const char *payload;
	size_t		len;
	int64		height;
	TimestampTz sealed;
} FoldEntry;

typedef void (*FoldVisit) (void *state, const FoldEntry *entry);

/* The next some of a cursor over that statement; false: there was none. */
extern bool fold_fetch(Portal cursor, FoldVisit visit, void *state);

/* A text[], NULL for null. */
extern Datum fold_texts(const char *const *texts, size_t count);

/* ledger_hooks.is_governance: does the state depend on entries of this kind? */
extern bool fold_is_governance(const char *kind);

/* ledger_hooks.fold: entries first .. last of that chain become claims, and the claims state. */
extern void fold_entries(const char *origin, int64 first, int64 last);

/* ledger_hooks.unfold: the state without the entries of that chain from first on. */
extern void fold_forget(const char *origin, int64 first);

/*
 * ledger_hooks.changes_key: is this the kind of entry by which a member changes the key of its
 * chain?
 */
extern bool fold_changes_key(const char *kind);

/* ledger_hooks.ledger_terms: keys and end of a chain. */
extern void fold_ledger_terms(const char *origin, ChainTerms *terms);

/*
 * ledger_hooks.may_seal: had the member a certificate then, that was not revoked before that entry?
 */
extern bool fold_may_seal(const char *origin, int64 first, TimestampTz sealed);

#endif
