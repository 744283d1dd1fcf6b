/*
 * row_order.h: entries about one row stand in the order in which the row was changed, whatever the
 * order of its triggers.
 */
#ifndef MEDCHAIN_LEDGER_ROW_ORDER_H
#define MEDCHAIN_LEDGER_ROW_ORDER_H

#include "postgres.h"
#include "access/htup.h"
#include "utils/relcache.h"

#include "core/hash.h"
#include "ledger/append.h"

/*
 * The row with that id was changed by that command of this transaction, which the entry that was
 * put there says; was: the version that it found, or NULL.  Entries about what later commands did
 * to it go behind it.
 */
extern void row_order_keep(Relation relation, HeapTuple was, const uint8_t id[HASH_LEN],
						   CommandId command, AppendedAt *at);

#endif
