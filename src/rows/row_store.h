/*
 * row_store.h: how the items of sets are stored: in parts of 2^14, and those so that a row is
 * found.
 *
 * A set is written while its statement runs, a part as soon as it is full, so that what a session
 * holds of it is bounded.  medchain.row_set has a row for each part, with
 * the keys of those rows that are new to the ledger, for people.
 *
 * Of a set of few items it has these as well, with an index over the rows they are about.  Over the
 * rows of a large set that would cost more than everything else that capturing them takes.  So its
 * items are sorted into buckets of about 64, by what the ids of their rows begin with, and cut into
 * the rows of medchain.row_item, as many as fit into a quarter of a page: whoever looks for a row
 * reads one bucket of each part.
 *
 * Likewise the subjects of the items, by what their pseudonyms begin with, in medchain.row_about,
 * with what is needed to find the item.
 */
#ifndef MEDCHAIN_ROWS_ROW_STORE_H
#define MEDCHAIN_ROWS_ROW_STORE_H

#include "postgres.h"
#include "utils/uuid.h"

#include "core/row_item.h"
#include "core/tree.h"

#define ROW_PART_BITS 14
#define ROW_PART_ITEMS (1 << ROW_PART_BITS)
#define ROW_BUCKET_ITEMS 64
#define ROW_FEW_ITEMS 1024		/* from as many on a set is a large one */

/* The key of a row for people is cut there: in front of each is one byte with its length. */
#define ROW_KEY_MAX 255

/* In front of each item: its place in the part. */
#define ROW_PLACE_LEN 2

/* Of a subject's pseudonym a set has so many bytes. */
#define ROW_SUBJECT_LEN 16

/* A subject, as it is stored: place of the item, what its row's id begins with, pseudonym. */
#define ROW_START_LEN 2
#define ROW_ABOUT_LEN (ROW_PLACE_LEN + ROW_START_LEN + ROW_SUBJECT_LEN)

/* Some of the items of a set, one behind the other. */
typedef struct RowPart
{
	const char *relation;		/* as the ledger calls the table */
	pg_uuid_t	entry;			/* of the set */
	int			number;			/* of the part in the set */
	int			nitems;
	const char *items;
	const uint32 *items_at;		/* where they begin; and where the last one ends */
	const char *keys;			/* of the rows, for people; empty where that was said before */
	const uint32 *keys_at;
	const char *subjects;		/* of each item; null bytes: it has none; NULL: none can have one */
	const char *hashes;			/* what a tile of level 1 has of them */
	int			hashes_len;
	bool		few;			/* in all the set */
} RowPart;

extern void row_store_part(const RowPart *part);

/* The bucket of so many bits of what begins with these bytes. */
extern int	row_store_bucket(const uint8_t start[ROW_START_LEN], int bits);

/* Is there nobody whom an item is about? */
extern bool row_store_is_nobody(const char subject[ROW_SUBJECT_LEN]);

#endif
