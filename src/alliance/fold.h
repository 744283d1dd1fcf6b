/*
 * fold.h: from entries to state; what the alliance registers with the ledger.
 */
#ifndef MEDCHAIN_ALLIANCE_FOLD_H
#define MEDCHAIN_ALLIANCE_FOLD_H

#include "postgres.h"

#include "ledger/chain.h"

/* The names of kinds of claims (CLAIM_SET() of each) as a text[] in SQL, palloc'd. */
extern char *fold_kinds(uint32 kinds);

/*
 * The statement that reads the entries of these kinds for which the condition holds, with height
 * and time of their blocks, in that order.  Palloc'd.  Its columns: those that are given, and then
 * seq, payload, height, sealed.
 */
extern char *fold_select(const char *columns, uint32 kinds, const char *condition,
						 const char *order);

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
