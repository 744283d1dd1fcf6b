/*
 * chain_entry.h: the entries of a block that is held, one after the other.
 */
#ifndef MEDCHAIN_LEDGER_CHAIN_ENTRY_H
#define MEDCHAIN_LEDGER_CHAIN_ENTRY_H

#include "postgres.h"

#include "core/hash.h"
#include "ledger/held.h"
#include "ledger/payload.h"

/* What is done with each held entry of a block; false, and a reason: it is none of this chain. */
typedef bool (*ChainEntryVisit) (const char *origin, int64 seq, const char *payload, void *arg,
								 const char **reason);

/*
 * Walk the held entries first .. last - 1 in order, each in a context of its own.  False: visit
 * said so, and *detail is why.  In a trusted scope.
 */
extern bool chain_entries_walk(const char *source, const char *origin, int64 first, int64 last,
							   ChainEntryVisit visit, void *arg, const char **detail);

/* The same over a run, which has them all. */
extern bool chain_run_walk(const HeldRun *run, int64 first, int64 last, ChainEntryVisit visit,
						   void *arg, const char **detail);

/* An entry as its payload says; its leaf hash.  False, and a reason: it is none of this chain. */
extern bool chain_entry_read(const char *origin, const char *payload, PayloadFields *fields,
							 uint8_t leaf[HASH_LEN], const char **reason);

#endif
