/*
 * heirs.h: what a query of a table may read in those that inherit from it.
 */
#ifndef MEDCHAIN_ACCESS_HEIRS_H
#define MEDCHAIN_ACCESS_HEIRS_H

/* From _PG_init, while preloading. */
extern void heirs_install(void);

#endif
