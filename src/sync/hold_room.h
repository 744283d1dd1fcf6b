/*
 * hold_room.h: how much of a source is held, and whether there is room for more.
 *
 * There are two bounds for each source: for its own chain, and for all others together, so that a
 * member who passes on what others say (a hub) has room for its own chain in any case.
 */
#ifndef MEDCHAIN_SYNC_HOLD_ROOM_H
#define MEDCHAIN_SYNC_HOLD_ROOM_H

#include "postgres.h"

#include "core/block.h"
#include "sync/hold_chain.h"

/* Room for the block that is next, and for as much behind it. */
#define HOLD_ENTRIES (2 * BLOCK_ENTRIES_MAX)
#define HOLD_BYTES (INT64CONST(5) * BLOCK_BYTES_MAX / 4)
#define HOLD_BLOCKS 10000

/* Nothing is known any more of what is held; and of the transaction, which has ended. */
extern void hold_room_forget(void);
extern void hold_room_transaction(void);

/*
 * Is there room for one more entry, or block, of so many bytes?  Waits a little where the keeper is
 * about to make some.  In a trusted scope.
 */
extern bool hold_room_for(const HoldChain *chain, int64 bytes, bool is_block);

/* There is, for any entry, and nobody has to be waited for. */
extern bool hold_room_is_plenty(const HoldChain *chain);

/* So much more is held, or less. */
extern void hold_room_used(const char *origin, int64 entries, int64 bytes, int64 blocks);

/* Count anew what is held of that kind; is more than half of the room free?  In a trusted scope. */
extern bool hold_room_recount(const HoldChain *chain);

#endif
