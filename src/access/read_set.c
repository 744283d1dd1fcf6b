/*
 * read_set.c: gathering subjects, each once, by the bytes of its value.
 *
 * A subject's leaf is made when it is first seen, so that nothing can go wrong with it later.  Rows
 * of one subject often come one behind the other, which costs a comparison.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "port/pg_bswap.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "catalog/pg_type.h"

#include "access/grant_cache.h"
#include "access/read_set.h"
#include "compat.h"
#include "core/tree.h"
#include "ledger/pseudonym.h"

/* A value, as its bytes. */
typedef struct ReadKey
{
	const char *data;
	uint32		len;
} ReadKey;

typedef struct ReadSubject
{
	ReadKey		key;
	uint32		hash;
	char		status;
} ReadSubject;

#define SH_PREFIX subjects
#define SH_ELEMENT_TYPE ReadSubject
#define SH_KEY_TYPE ReadKey
#define SH_KEY key
#define SH_HASH_KEY(tb, key) hash_bytes((const unsigned char *) (key).data, (int) (key).len)
#define SH_EQUAL(tb, a, b) ((a).len == (b).len && memcmp((a).data, (b).data, (a).len) == 0)
#define SH_SCOPE static inline
#define SH_STORE_HASH
#define SH_GET_HASH(tb, a) (a)->hash
#define SH_DEFINE
#define SH_DECLARE
#include "lib/simplehash.h"

struct ReadSet
{
	const char *relation;
	uint8		operation;		/* that has to be granted; 0: row security does not apply */
	Size		width;			/* of a leaf */
	MemoryContext context;
	MemoryContext scratch;		/* of making a text */
	MemoryContext memory;		/* of what follows */
	subjects_hash *known;
	ReadKey		last;			/* of the row before */
	uint8	   *fresh;			/* leaves that are new since they were taken */
	uint32		nfresh;
	uint32		room;
	int64		rows;
};

void
read_column_init(ReadColumn *column, Oid type, AttrNumber attribute, bool padded)
{
	Oid			base = getBaseType(type);
	Oid			output;
	bool		is_varlena;

	column->attribute = attribute;
	get_typlenbyval(type, &column->length, &column->by_value);
	column->is_text = base == TEXTOID || base == VARCHAROID || base == BPCHAROID;
	column->padded = padded;
	getTypeOutputInfo(type, &output, &is_varlena);
	fmgr_info_cxt(output, &column->output, CurrentMemoryContext);
}

static void
set_start(ReadSet *set)
{
	MemoryContext old;

	set->memory = AllocSetContextCreate(set->context, "medchain read subjects",
										ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(set->memory);
	set->known = subjects_create(set->memory, 64, NULL);
	set->room = 16;
	set->fresh = palloc((Size) set->room * set->width);
	set->nfresh = 0;
	set->last.data = NULL;
	MemoryContextSwitchTo(old);
}

ReadSet *
read_set_create(MemoryContext parent, const char *relation, bool granted)
{
	ReadSet    *set = MemoryContextAllocZero(parent, sizeof(ReadSet));

	set->relation = relation;
	set->operation = granted ? GRANT_QUERY : 0;
	set->width = granted ? READ_LEAF_GRANTED : READ_LEAF_OPEN;
	set->context = parent;
	set->scratch = AllocSetContextCreate(parent, "medchain read subject", ALLOCSET_SMALL_SIZES);
	set_start(set);
	return set;
}

void
read_set_written(ReadSet *set)
{
	if (set->operation != 0)
		set->operation = GRANT_UPDATE;
}

Size
read_set_width(const ReadSet *set)
{
	return set->width;
}

/* The bytes of a value. */
static ReadKey
set_key(const ReadColumn *column, Datum *value)
{
	ReadKey		key;

	if (column->by_value)
	{
		key.data = (const char *) value;
		key.len = sizeof(Datum);
	}
	else if (column->length == -1)
	{
		key.data = VARDATA_ANY(DatumGetPointer(*value));
		key.len = (uint32) VARSIZE_ANY_EXHDR(DatumGetPointer(*value));
	}
	else
	{
		key.data = DatumGetPointer(*value);
		key.len = column->length > 0 ? (uint32) column->length : (uint32) strlen(key.data);
	}
	return key;
}

/* What the access was decided on: of those who read to change, reading may be all that counted. */
static void
set_add_source(const ReadSet *set, const char *identity, size_t len, uint8 *leaf)
{
	const GrantSource *source = grant_cache_source(identity, len, set->operation, set->relation);
	uint64		version;

	if (source == NULL && set->operation == GRANT_UPDATE)
		source = grant_cache_source(identity, len, GRANT_QUERY, set->relation);
	if (source == NULL)
	{
		memset(leaf, 0, READ_LEAF_GRANTED - HASH_LEN);
		return;
	}
	memcpy(leaf, source->id.data, UUID_LEN);
	version = pg_hton64((uint64) source->version);
	memcpy(leaf + UUID_LEN, &version, sizeof(version));
}

static void
set_make_leaf(ReadSet *set, ReadColumn *column, Datum value, const ReadKey *key, uint8 *leaf)
{
	MemoryContext old = MemoryContextSwitchTo(set->scratch);
	const char *identity = key->data;
	size_t		len = key->len;

	if (!column->is_text)
	{
		identity = OutputFunctionCall(&column->output, value);
		len = strlen(identity);
	}
	while (column->padded && len > 0 && identity[len - 1] == ' ')
		len--;
	pseudonym_of(identity, len, leaf);
	if (set->operation != 0)
		set_add_source(set, identity, len, leaf + HASH_LEN);
	MemoryContextSwitchTo(old);
	MemoryContextReset(set->scratch);
}

static void
set_add_fresh(ReadSet *set, const uint8 *leaf)
{
	if (set->nfresh == set->room)
	{
		set->room *= 4;
		set->fresh = repalloc_huge(set->fresh, (Size) set->room * set->width);
	}
	memcpy(set->fresh + (Size) set->nfresh * set->width, leaf, set->width);
	set->nfresh++;
}

/* Of a row that is about somebody; no value here is packed. */
static void
set_note(ReadSet *set, ReadColumn *column, Datum value)
{
	ReadKey		key = set_key(column, &value);
	ReadSubject *subject;
	bool		found;
	uint8		leaf[READ_LEAF_GRANTED];

	if (set->last.data != NULL && set->last.len == key.len &&
		memcmp(set->last.data, key.data, key.len) == 0)
		return;
	subject = subjects_lookup(set->known, key);
	if (subject == NULL)
	{
		char	   *copy = MemoryContextAlloc(set->memory, Max(key.len, 1));

		set_make_leaf(set, column, value, &key, leaf);
		memcpy(copy, key.data, key.len);
		key.data = copy;
		subject = subjects_insert(set->known, key, &found);
		set_add_fresh(set, leaf);
	}
	set->last = subject->key;
}

bool
read_set_add(ReadSet *set, ReadColumn *column, TupleTableSlot *slot)
{
	bool		isnull;
	Datum		value = slot_getattr(slot, column->attribute, &isnull);
	Pointer		unpacked = NULL;

	set->rows++;
	if (isnull)
		return true;
	if (column->length == -1)
	{
		Pointer		plain = (Pointer) PG_DETOAST_DATUM_PACKED(value);

		if (plain != DatumGetPointer(value))
			unpacked = plain;
		value = PointerGetDatum(plain);
	}
	set_note(set, column, value);
	if (unpacked != NULL)
		pfree(unpacked);
	return set->known->members < READ_SET_MAX;
}

int64
read_set_rows(const ReadSet *set)
{
	return set->rows;
}

uint32
read_set_fresh(const ReadSet *set)
{
	return set->nfresh;
}

static int
set_compare(const void *a, const void *b, void *width)
{
	return memcmp(a, b, *(Size *) width);
}

/*
 * Values that differ may be one identity: blanks at the end, say.  Of leaves with one pseudonym the
 * last counts, as the others may have no protocol.
 */
static uint32
set_unite(ReadSet *set)
{
	uint32		count = 0;

	for (uint32 i = 0; i < set->nfresh; i++)
	{
		const uint8 *leaf = set->fresh + (Size) i * set->width;
		uint8	   *next = set->fresh + (Size) count * set->width;

		if (count > 0 && memcmp(next - set->width, leaf, HASH_LEN) == 0)
			next -= set->width;
		else
			count++;
		memmove(next, leaf, set->width);
	}
	return count;
}

const uint8 *
read_set_sorted(ReadSet *set, uint8 root[HASH_LEN])
{
	TreeRange	tree;
	uint8		leaf[HASH_LEN];

	qsort_arg(set->fresh, set->nfresh, set->width, set_compare, &set->width);
	set->nfresh = set_unite(set);
	if (set->nfresh < 2)
		return set->fresh;
	tree_range_init(&tree);
	for (uint32 i = 0; i < set->nfresh; i++)
		if (!hash_leaf(set->fresh + (Size) i * set->width, set->width, leaf) ||
			!tree_range_append(&tree, leaf))
			elog(ERROR, "could not compute SHA-256");
	if (!tree_range_root(&tree, root))
		elog(ERROR, "could not compute SHA-256");
	return set->fresh;
}

bool
read_leaf_source(const uint8 *leaf, Size width, GrantSource *source)
{
	static const uint8 unknown[UUID_LEN] = {0};
	uint64		version;

	if (width != READ_LEAF_GRANTED || memcmp(leaf + HASH_LEN, unknown, UUID_LEN) == 0)
		return false;
	memcpy(source->id.data, leaf + HASH_LEN, UUID_LEN);
	memcpy(&version, leaf + HASH_LEN + UUID_LEN, sizeof(version));
	source->version = (int64) pg_ntoh64(version);
	return true;
}

void
read_set_taken(ReadSet *set)
{
	set->rows = 0;
	set->nfresh = 0;
	if (set->known->members < READ_SET_MAX)
		return;
	MemoryContextDelete(set->memory);
	set_start(set);
}
