/*
 * row_set_read.h: the tree of a set, computed again from what is stored of it.
 *
 * All of it in a trusted scope, by the active snapshot.
 */
#ifndef MEDCHAIN_ROWS_ROW_SET_READ_H
#define MEDCHAIN_ROWS_ROW_SET_READ_H

#include "postgres.h"
#include "port/atomics.h"
#include "utils/uuid.h"

#include "core/proof.h"
#include "ledger/hooks.h"
#include "rows/row_entry.h"
#include "rows/row_set_part.h"

/*
 * Read part number of the set; leaves and row_starts have room for ROW_PART_ITEMS.  False, with one
 * report or more, unless all leaves could be had.  report may be NULL.  Names that are not those of
 * rows are reported, and no reason to say false.
 */
extern bool row_set_read_part(const pg_uuid_t *entry, const RowSetSays *says, int number,
							  RowSetPart *part, LedgerReport report, void *state);

/* How many parts it ought to have. */
extern int	row_set_parts(const RowSetSays *says);


/*
 * RFC 6962 inclusion proof of the item at that place.  False if what is stored does not give one
 * that leads to the root in the entry.
 */
extern bool row_set_prove(const pg_uuid_t *entry, const RowSetSays *says, int64 place,
						  uint8_t hashes[PROOF_MAX_HASHES][HASH_LEN], int *nhashes);

/* ledger_hooks.check_set */
extern bool row_set_check(const pg_uuid_t *entry, int64 seq, const text *payload, bool names,
						  const char **relation, LedgerReport report, void *state,
						  pg_atomic_uint64 *done, void **kept);

#endif
