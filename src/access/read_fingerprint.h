/*
 * read_fingerprint.h: fingerprints of queries that may read protected rows.
 */
#ifndef MEDCHAIN_ACCESS_READ_FINGERPRINT_H
#define MEDCHAIN_ACCESS_READ_FINGERPRINT_H

/* From _PG_init, while preloading. */
extern void read_fingerprint_install(void);

#endif
