/*
 * row_capture.h: rows of ledger tables that go on no ledger.
 */
#ifndef MEDCHAIN_ROWS_ROW_CAPTURE_H
#define MEDCHAIN_ROWS_ROW_CAPTURE_H

#include "postgres.h"

/*
 * The relation that a COPY fills with what a dump brings, in a database that is not the node's;
 * or InvalidOid.  For who sees the command (src/sync/restore.c), and its time alone.
 */
extern Oid	row_capture_arriving;

#endif
