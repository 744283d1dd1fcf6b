/*
 * read_audit.h: who reads rows of protected tables goes on the ledger before they leave.
 */
#ifndef MEDCHAIN_ACCESS_READ_AUDIT_H
#define MEDCHAIN_ACCESS_READ_AUDIT_H

/* From _PG_init, while preloading. */
extern void read_audit_install(void);

/* Are reads of this session to be recorded, or that they are not?  Otherwise nothing changes. */
extern bool read_audit_is_on(void);

#endif
