/*
 * commitment.h: salted commitments to the content of a row.
 */
#ifndef MEDCHAIN_ACCESS_COMMITMENT_H
#define MEDCHAIN_ACCESS_COMMITMENT_H

#include "postgres.h"
#include "access/htup.h"
#include "access/tupdesc.h"
#include "core/hash.h"
#include "nodes/bitmapset.h"

#define COMMITMENT_SALT_LEN 16

/* Fix the settings that types' output depends on, until the surrounding trusted scope ends. */
extern void commitment_fix_settings(void);

/*
 * The canonical text of a row: its columns that are not null, sorted by name in
 * byte order, each as "<bytes of name>:<name><bytes of value>:<value>".  So it survives
 * dump and restore, other column orders and added columns.  only: attribute
 * numbers to take, NULL for all.
 */
extern char *commitment_canonical(TupleDesc desc, HeapTuple row, const Bitmapset *only);

/* Attribute numbers of these columns; ERROR if one is gone.  relation: for the message. */
extern Bitmapset *commitment_columns(TupleDesc desc, const char *relation, char **names, int count);

/* The primary key for people: "a=1, b=2". */
extern char *commitment_key_text(TupleDesc desc, HeapTuple row, const Bitmapset *key);

/* SHA-256(salt || canonical) */
extern void commitment_compute(const uint8_t salt[COMMITMENT_SALT_LEN], const char *canonical, uint8_t out[HASH_LEN]);

/* What stands for a row on the ledger: a pseudonym of its primary key.  relation: its name when it was protected. */
extern void commitment_row_id(const char *relation, const char *canonical_key, uint8_t out[HASH_LEN]);

#endif
