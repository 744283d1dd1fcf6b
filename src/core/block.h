/*
 * block.h: how much one block may close over.
 *
 * Who follows a chain holds a block's entries until all of them are there, and takes them in one
 * step, during which it takes nothing from others.  So there is a limit, the same for everybody:
 * a sealer keeps well below it, and what is beyond is no block.
 */
#ifndef MEDCHAIN_CORE_BLOCK_H
#define MEDCHAIN_CORE_BLOCK_H

#define BLOCK_ENTRIES_MAX 50000
#define BLOCK_BYTES_MAX (256 * 1024 * 1024) /* of payloads */

#endif
