/*
 * row_roles.h: ledger tables, and policies on them, that a command gives to other roles.
 */
#ifndef MEDCHAIN_ROWS_ROW_ROLES_H
#define MEDCHAIN_ROWS_ROW_ROLES_H

/*
 * Look at the ledger tables that have another owner than medchain knows of, or policies for other
 * roles.  In a trusted scope.
 */
extern void row_roles_observe(const char *command);

/* From _PG_init, while preloading: chain our utility hook to those of others. */
extern void row_roles_install(void);

#endif
