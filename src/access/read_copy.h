/*
 * read_copy.h: COPY of a protected table is a query like any other.
 */
#ifndef MEDCHAIN_ACCESS_READ_COPY_H
#define MEDCHAIN_ACCESS_READ_COPY_H

/* From _PG_init, while preloading. */
extern void read_copy_install(void);

#endif
