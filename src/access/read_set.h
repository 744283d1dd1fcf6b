/*
 * read_set.h: whose records a statement has read of one table.
 */
#ifndef MEDCHAIN_ACCESS_READ_SET_H
#define MEDCHAIN_ACCESS_READ_SET_H

#include "postgres.h"
#include "access/tupdesc.h"
#include "executor/tuptable.h"
#include "fmgr.h"
#include "utils/uuid.h"

#include "access/grant_table.h"
#include "core/hash.h"

/* More subjects at a time are not kept in memory. */
#define READ_SET_MAX (1 << 20)

typedef struct ReadSet ReadSet;

/* A column of subjects' identities, and how its values become texts. */
typedef struct ReadColumn
{
	AttrNumber	attribute;		/* in the slots that it is taken from */
	int16		length;
	bool		by_value;
	bool		is_text;		/* the value is the text */
	bool		padded;			/* blanks at its end mean nothing */
	FmgrInfo	output;
} ReadColumn;

extern void read_column_init(ReadColumn *column, Oid type, AttrNumber attribute, bool padded);

/*
 * What is kept of each subject, a leaf of the tree: its pseudonym; where row security applied, the
 * protocol that the access was decided on, and its version, the highest byte first, as well.  Null
 * bytes: it is not known.
 */
#define READ_LEAF_OPEN		HASH_LEN
#define READ_LEAF_GRANTED	(HASH_LEN + UUID_LEN + 8)

/*
 * Lives in that context.  Records of a table that the ledger calls so; granted: row security
 * applies.
 */
extern ReadSet *read_set_create(MemoryContext parent, const char *relation, bool granted);

/* Rows are read to be changed: that is what was granted. */
extern void read_set_written(ReadSet *set);

/* Another row; false: there is no room for more subjects until read_set_taken(). */
extern bool read_set_add(ReadSet *set, ReadColumn *column, TupleTableSlot *slot);

/* Rows, and subjects that are new, since read_set_taken(). */
extern int64 read_set_rows(const ReadSet *set);
extern uint32 read_set_fresh(const ReadSet *set);

/*
 * Their leaves, so many bytes each, in byte order, and the root of their tree.  Asks nobody: may be
 * called after an error.
 */
extern Size read_set_width(const ReadSet *set);
extern const uint8 *read_set_sorted(ReadSet *set, uint8 root[HASH_LEN]);

/* What a leaf says that it was decided on; false: nothing. */
extern bool read_leaf_source(const uint8 *leaf, Size width, GrantSource *source);

/* These have been recorded. */
extern void read_set_taken(ReadSet *set);

#endif
