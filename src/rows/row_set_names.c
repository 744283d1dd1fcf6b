/*
 * row_set_names.c: verifying what is kept of the names of a set's rows, for people.
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "nodes/pg_list.h"
#include "utils/memutils.h"

#include "rows/row_chunk.h"
#include "rows/row_set_names.h"
#include "rows/row_store.h"

/* Some of them. */
typedef struct NamesFound
{
	int			count;
	int			first;			/* place of the first of these items in the part */
} NamesFound;

struct RowPartNames
{
	const RowSetNames *set;
	ChunkKey   *keys;			/* by the places of their items */
	NamesFound	wrong;
	NamesFound	missing;
};

bool
row_set_names(const char *relation, int64 seq, void **kept, RowSetNames *names)
{
	const RowNames *table = NULL;
	ListCell   *cell;

	foreach(cell, (List *) *kept)
	{
		const RowNames *known = lfirst(cell);

		if (strcmp(known->ledger_name, relation) == 0)
			table = known;
	}
	if (table == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(TopTransactionContext);

		table = row_names_of(relation);
		*kept = lcons(unconstify(RowNames *, table), (List *) *kept);
		MemoryContextSwitchTo(old);
	}
	names->names = table;
	names->complete = seq > table->start;
	return table->table != NULL || (table->known && names->complete);
}

RowPartNames *
row_part_names_begin(const RowSetNames *set, const bytea *keys, int nitems)
{
	RowPartNames *names;

	if (set == NULL || (keys == NULL && !set->complete))
		return NULL;
	names = palloc0(sizeof(RowPartNames));
	names->set = set;
	names->keys = palloc0(sizeof(ChunkKey) * (size_t) nitems);
	if (keys != NULL)
		chunk_keys(keys, names->keys, nitems);
	return names;
}

static void
names_note(NamesFound *found, int place)
{
	if (found->count++ == 0 || place < found->first)
		found->first = place;
}

void
row_part_names_item(RowPartNames *names, int place, const RowItem *item)
{
	const ChunkKey *key = &names->keys[place];

	if (names->set->names->table == NULL)
	{
		if (key->len > 0)
			names_note(&names->wrong, place);
	}
	else if (key->len == 0)
	{
		if (names->set->complete && !row_item_has_previous(item->operation))
			names_note(&names->missing, place);
	}
	/* one that is as long as that may have been cut */
	else if (key->len <= ROW_KEY_MAX - MAX_MULTIBYTE_CHAR_LEN &&
			 row_name_fits(names->set->names, item->row, key->text, (size_t) key->len) ==
			 ROW_NAME_OTHER)
		names_note(&names->wrong, place);
}

static void
names_report(const NamesFound *found, const char *what, int64 first, LedgerReport report,
			 void *state)
{
	if (found->count > 0)
		report(state, "names of rows are %s: %d, the first of them that of item %lld", what,
			   found->count, (long long) first + found->first);
}

void
row_part_names_end(const RowPartNames *names, int64 first, LedgerReport report, void *state)
{
	names_report(&names->wrong, "wrong", first, report, state);
	names_report(&names->missing, "missing", first, report, state);
}
