/*
 * commit.h: what the commit of a transaction that appended entries does.
 */
#ifndef MEDCHAIN_LEDGER_COMMIT_H
#define MEDCHAIN_LEDGER_COMMIT_H

/*
 * This transaction put a row into medchain.pending: its commit has to tell the sealer.  wait, or
 * the setting medchain.wait_for_seal: and to return when the entry is sealed, or, with a warning,
 * after medchain.seal_timeout.
 */
extern void commit_note(bool wait);

/* ... in this block of the table.  Where that is not known, all blocks have to be looked at: 0. */
extern void commit_note_block(uint32 block);

#endif
