/*
 * row_about.c: verifying what is stored of the subjects of a set's items: the entry has the root of
 * a tree over it, of which each part is a leaf.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "core/tree.h"
#include "node/trusted.h"
#include "rows/row_about.h"
#include "rows/row_chunk.h"

struct RowAbout
{
	const pg_uuid_t *entry;
	const RowSetSays *says;
	TreeRange	tree;
	char		(*subjects)[ROW_SUBJECT_LEN];	/* of the items of one part */

	/* the part that is being read */
	const RowSetPart *part;
	int64		first;			/* place of its first item in the set */
	bool		is_wrong;
};

RowAbout *
row_about_begin(const pg_uuid_t *entry, const RowSetSays *says)
{
	RowAbout   *about = palloc0(sizeof(RowAbout));

	about->entry = entry;
	about->says = says;
	about->subjects = palloc((size_t) ROW_PART_ITEMS * ROW_SUBJECT_LEN);
	tree_range_init(&about->tree);
	return about;
}

void
row_about_free(RowAbout *about)
{
	pfree(about->subjects);
	pfree(about);
}

/* bits: of the bucket in which they are, or -1. */
static void
about_read(RowAbout *about, const bytea *subjects, int bits, int bucket)
{
	if (VARSIZE_ANY_EXHDR(subjects) % ROW_ABOUT_LEN != 0)
		about->is_wrong = true;
	for (int i = 0; i < about_count(subjects); i++)
	{
		AboutRecord record = about_record(subjects, i);

		if (record.place >= about->part->nitems ||
			!row_store_is_nobody(about->subjects[record.place]) ||
			(bits >= 0 && row_store_bucket(record.subject, bits) != bucket) ||
			memcmp(record.row_start, about->part->row_starts[record.place], ROW_START_LEN) != 0)
			about->is_wrong = true;
		else
			memcpy(about->subjects[record.place], record.subject, ROW_SUBJECT_LEN);
	}
}

static void
about_read_buckets(RowAbout *about, Datum id, int bits)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[1] = {INT8OID};
	SPITupleTable *rows;

	trusted_read(&plan, "SELECT bucket, subjects FROM medchain.row_about WHERE part = $1", 1,
				 types, &id);
	rows = SPI_tuptable;
	for (uint64 i = 0; i < rows->numvals; i++)
	{
		bool		nulls[2];
		Datum		bucket = SPI_getbinval(rows->vals[i], rows->tupdesc, 1, &nulls[0]);
		Datum		subjects = SPI_getbinval(rows->vals[i], rows->tupdesc, 2, &nulls[1]);

		CHECK_FOR_INTERRUPTS();
		if (nulls[0] || nulls[1])
			about->is_wrong = true;
		else
			about_read(about, DatumGetByteaPP(subjects), bits, DatumGetInt32(bucket));
	}
	SPI_freetuptable(rows);
}

static void
about_read_part(RowAbout *about, int number)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[2] = {UUIDOID, INT4OID};
	Datum		values[2] = {UUIDPGetDatum(about->entry), Int32GetDatum(number)};
	MemoryContext context = CurrentMemoryContext;
	SPITupleTable *rows;
	Datum		row[4];
	bool		nulls[4];

	trusted_read(&plan, "SELECT part, bits, items IS NULL, subjects FROM medchain.row_set "
				 "WHERE entry = $1 AND number = $2", 2, types, values);
	MemoryContextSwitchTo(context); /* SPI has left it */
	rows = SPI_tuptable;
	for (int column = 0; column < 4 && rows->numvals > 0; column++)
		row[column] = SPI_getbinval(rows->vals[0], rows->tupdesc, column + 1, &nulls[column]);
	if (rows->numvals == 0 || nulls[3] == about->says->has_subjects)
		about->is_wrong = true;
	else if (!nulls[3])
		about_read(about, DatumGetByteaPP(row[3]), -1, 0);
	if (rows->numvals > 0 && DatumGetBool(row[2]))
		about_read_buckets(about, row[0], nulls[1] ? -1 : DatumGetInt32(row[1]));
	SPI_freetuptable(rows);
}

void
row_about_part(RowAbout *about, int number, const RowSetPart *part, LedgerReport report,
			   void *state)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext context = AllocSetContextCreate(caller, "medchain row subjects",
												  ALLOCSET_DEFAULT_SIZES);
	size_t		len = (size_t) part->nitems * ROW_SUBJECT_LEN;
	uint8_t		leaf[HASH_LEN];

	MemoryContextSwitchTo(context);
	about->part = part;
	about->first = (int64) number * ROW_PART_ITEMS;
	about->is_wrong = false;
	memset(about->subjects, 0, len);
	about_read_part(about, number);
	if (about->is_wrong)
		report(state, "what is kept of the subjects of items %lld to %lld is not what medchain "
			   "wrote", (long long) about->first, (long long) about->first + part->nitems - 1);
	if (!hash_leaf(about->subjects, len, leaf) || !tree_range_append(&about->tree, leaf))
		elog(ERROR, "could not compute SHA-256");
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(context);
}

void
row_about_end(const RowAbout *about, LedgerReport report, void *state)
{
	uint8_t		root[HASH_LEN];

	if (!tree_range_root(&about->tree, root))
		elog(ERROR, "could not compute SHA-256");
	if (about->says->has_subjects && !hash_equal(root, about->says->subjects))
		report(state, "subjects of its items are not those that the entry says");
}
