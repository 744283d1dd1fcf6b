/*
 * subject_guard.h: the column that says whose record a row is stays as it is.
 */
#ifndef MEDCHAIN_ACCESS_SUBJECT_GUARD_H
#define MEDCHAIN_ACCESS_SUBJECT_GUARD_H

/* From _PG_init, while preloading: chain our utility hook to those of others. */
extern void subject_guard_install(void);

#endif
