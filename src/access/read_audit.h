/*
 * read_audit.h: who reads rows of protected tables goes on the ledger before they leave.
 */
#ifndef MEDCHAIN_ACCESS_READ_AUDIT_H
#define MEDCHAIN_ACCESS_READ_AUDIT_H

#include "postgres.h"

#include "access/read_set.h"

/* From _PG_init, while preloading. */
extern void read_audit_install(void);

/* Are reads of this session to be recorded, or that they are not?  Otherwise nothing changes. */
extern bool read_audit_is_on(void);

/*
 * The query with that executor context has met a row of the protected table "root", in an
 * expression: whose it is, is in that column of the slot.
 */
extern void read_audit_met(MemoryContext executor, Oid root, ReadColumn *column,
						   TupleTableSlot *slot);

#endif
