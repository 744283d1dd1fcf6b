/*
 * row_commitment.h: salted commitments to the content of a row.
 *
 * The ledger goes to every member, so what it says about a row must not be open to guessing: the
 * content is hashed with a salt that only the table's secret yields, and the primary key, often a
 * number anybody can count through, is put under the alliance's key.  Salts are computed, not
 * stored, so that the commitment to a row can be made again from the row alone: an update names the
 * commitment to what it found.
 */
#ifndef MEDCHAIN_ROWS_ROW_COMMITMENT_H
#define MEDCHAIN_ROWS_ROW_COMMITMENT_H

#include "postgres.h"
#include "access/htup.h"
#include "access/tupdesc.h"

#include "core/hash.h"
#include "rows/row_table.h"

#define ROW_SALT_LEN 16

/* A row, as the ledger sees it. */
typedef struct RowImage
{
	char	   *content;		/* canonical text: see row_commitment.c */
	size_t		content_len;
	char	   *key;			/* what its id is made of: table and key, */
	size_t		key_len;
	char	   *key_text;		/* and one for people: "a=1, b=2"; where there is no key, the
								 * beginning of all that it says */
	char	   *identity;		/* of the subject; NULL if the row is about nobody */
	bool		hashed;			/* the rest is known: */
	uint8_t		id[HASH_LEN];	/* stands for the row, or for all that say the same */
	uint8_t		salt[ROW_SALT_LEN];
	uint8_t		commitment[HASH_LEN];	/* SHA-256(salt || content) */
} RowImage;

/* A value, as text. */
typedef struct RowText
{
	const char *data;
	size_t		len;
} RowText;

/*
 * The id of the row whose key's columns have these values: one for each of the table's columns, of
 * which the others are not read.  Not of a table without a key.
 */
extern void row_id_of_texts(const RowTable *table, const RowText *texts, uint8_t id[HASH_LEN]);

/*
 * The values of a row, one for each of the table's columns, as its content has them; data is NULL
 * for null.  palloc'd, or part of the row.
 */
extern RowText *row_column_texts(const RowTable *table, TupleDesc desc, HeapTuple row);

/*
 * The texts of a row, with the columns that version of the table had; palloc'd.  Before its content
 * there is room for ROW_COMMIT_ROOM bytes.
 */
extern void row_image_texts(const RowTable *table, TupleDesc desc, HeapTuple row, int version,
							RowImage *image);

/* What is hashed of them, if it has not been yet; like: one that may have the same key, or NULL. */
extern void row_image_hash(const RowTable *table, const RowImage *like, RowImage *image);

/* All of it. */
extern void row_image(const RowTable *table, TupleDesc desc, HeapTuple row, int version,
					  RowImage *image);

extern bool row_image_same_key(const RowImage *a, const RowImage *b);

/*
 * What the content of the row with this id is committed to by; false if OpenSSL fails.  Overwrites
 * the room before it.
 */
#define ROW_COMMIT_ROOM HASH_LEN
extern bool row_commit(const HashMac *salts, const uint8_t id[HASH_LEN], char *content,
					   size_t content_len, uint8_t salt[ROW_SALT_LEN],
					   uint8_t commitment[HASH_LEN]);

#endif
