/*
 * protection.h: facts about protected tables.
 */
#ifndef MEDCHAIN_ACCESS_PROTECTION_H
#define MEDCHAIN_ACCESS_PROTECTION_H

#include "postgres.h"

/*
 * "schema.table", as the ledger, and so grants, name it, whatever a protected table is called by
 * now; NULL if there is no such relation.  Valid until relations change.
 */
extern const char *protection_relation_name(Oid relation);

#endif
