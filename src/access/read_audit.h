/*
 * read_audit.h: who reads rows of protected tables goes on the ledger before they leave.
 */
#ifndef MEDCHAIN_ACCESS_READ_AUDIT_H
#define MEDCHAIN_ACCESS_READ_AUDIT_H

#include "postgres.h"

#include "access/read_scan.h"

/* From _PG_init, while preloading. */
extern void read_audit_install(void);

/*
 * What the statements at work have read and nobody has recorded yet is to be recorded now.  False:
 * that cannot be; never an error.
 */
extern bool read_audit_settle(void);

/* There is no room for more subjects in what that query has read: record them. */
extern void read_audit_full(ReadQuery *query);

#endif
