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

#endif
