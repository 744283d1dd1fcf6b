/*
 * read_store.h: the subjects of accesses to records of more than one, kept at the record holder.
 *
 * The entry of such an access says how many they are, and the root of an RFC 6962 tree over them in
 * byte order.  Of few, medchain.read_set has all, with an index over them; many are cut into
 * buckets by what they begin with, as those of row sets are (rows/row_store.h), in
 * medchain.read_item: who looks for one reads one bucket of each set.
 */
#ifndef MEDCHAIN_ACCESS_READ_STORE_H
#define MEDCHAIN_ACCESS_READ_STORE_H

#include "postgres.h"
#include "utils/uuid.h"

/* Leaves (read_set.h) of width bytes each, in byte order, of the entry with that id. */
extern void read_store(const pg_uuid_t *entry, const uint8 *subjects, uint32 count, Size width);

#endif
