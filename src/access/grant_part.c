/*
 * grant_part.c: single records and columns that the current member may read or change.
 *
 * Asked only for tables that protect() has opened to such grants, and only where there is none of
 * all records, so what the parts say is read for one examinee at a time, and kept as long as the
 * grants are the same.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "parser/parse_type.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/numeric.h"
#include "utils/rel.h"
#include "utils/typcache.h"

#include "access/grant_cache.h"
#include "access/grant_part.h"
#include "access/grant_part_read.h"
#include "access/latest.h"
#include "access/statement.h"
#include "compat.h"
#include "ledger/local_node.h"
#include "ledger/pseudonym.h"
#include "node/settings.h"
#include "node/trusted.h"
#include "rows/row_commitment.h"
#include "rows/row_table.h"

/* Of so many examinees; then what is kept is read anew. */
#define PARTS_KEPT 10000

typedef struct GrantPart
{
	struct GrantPart *next;
	Validity	validity;
	uint8		operations;
	char	   *purpose;		/* NULL: any */
	Part		part;
} GrantPart;

typedef struct PartsKey
{
	uint8		pseudonym[HASH_LEN];
	Oid			root;
} PartsKey;

typedef struct Parts
{
	PartsKey	key;
	bool		loaded;
	GrantPart  *first;
} Parts;

/* What is kept, of whom, and as of when. */
static MemoryContext kept_context = NULL;
static HTAB *kept = NULL;
static char *kept_member = NULL;
static uint64 kept_generation = 0;
static char *kept_node = NULL;

static void
parts_start(const char *member, uint64 generation)
{
	HASHCTL		control = {0};
	LocalNode	node;
	TrustedScope scope;

	kept = NULL;
	if (kept_context == NULL)
		kept_context = AllocSetContextCreate(TopMemoryContext, "medchain parts",
											 ALLOCSET_DEFAULT_SIZES);
	MemoryContextReset(kept_context);
	trusted_begin(&scope);
	kept_node = MemoryContextStrdup(kept_context, local_node_read(&node) ? node.node : "");
	trusted_end(&scope);
	kept_member = MemoryContextStrdup(kept_context, member);
	kept_generation = generation;
	control.keysize = sizeof(PartsKey);
	control.entrysize = sizeof(Parts);
	control.hcxt = kept_context;
	kept = hash_create("medchain parts", 64, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

/* ----- what there is ----- */

#define PARTS \
	"SELECT r.record, g.query, g.update, g.purpose, g.valid, g.protocol_valid, g.member_valid, " \
	"g.issuer_valid FROM medchain.active_grant g, pg_catalog.unnest(g.records) r(record) " \
	"WHERE g.grantee = $1 AND g.subject = $2 AND r.record OPERATOR(pg_catalog.~~) '{%'"

typedef struct PartsLoad
{
	const char *relation;
	GrantPart  *first;
} PartsLoad;

static bool
parts_load_row(TupleTableSlot *slot, void *arg)
{
	PartsLoad  *load = arg;
	MemoryContext old = MemoryContextSwitchTo(kept_context);
	GrantPart  *part = palloc0(sizeof(GrantPart));

	part->validity = VALIDITY_ALWAYS;
	for (int i = 4; i < 8; i++)
		validity_restrict(&part->validity, slot->tts_values[i]);
	part->operations = (DatumGetBool(slot->tts_values[1]) ? GRANT_QUERY : 0) |
		(DatumGetBool(slot->tts_values[2]) ? GRANT_UPDATE : 0);
	part->purpose = slot->tts_isnull[3] ? NULL : TextDatumGetCString(slot->tts_values[3]);
	if (part_read(TextDatumGetCString(slot->tts_values[0]), &part->part) &&
		strcmp(part->part.relation, load->relation) == 0 &&
		(part->part.holder == NULL || strcmp(part->part.holder, kept_node) == 0))
	{
		part->next = load->first;
		load->first = part;
	}
	MemoryContextSwitchTo(old);
	return true;
}

static GrantPart *
parts_load(const char *member, const uint8 pseudonym[HASH_LEN], const char *relation)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[2] = {TEXTOID, BYTEAOID};
	bytea	   *subject = palloc(VARHDRSZ + HASH_LEN);
	Datum		values[2] = {CStringGetTextDatum(member), PointerGetDatum(subject)};
	PartsLoad	load = {relation};

	SET_VARSIZE(subject, VARHDRSZ + HASH_LEN);
	memcpy(VARDATA(subject), pseudonym, HASH_LEN);
	latest_query(&plan, CURSOR_OPT_GENERIC_PLAN, true, PARTS, 2, types, values, parts_load_row,
				 &load);
	pfree(subject);
	return load.first;
}

/* NULL: there are none, or nobody is acting. */
static const GrantPart *
parts_of(const PartQuestion *question)
{
	uint64		generation;
	const char *member = grant_cache_member(&generation);
	PartsKey	key = {.root = question->table->root};
	Parts	   *parts;
	bool		found;

	if (member == NULL)
		return NULL;
	if (kept == NULL || generation != kept_generation || strcmp(member, kept_member) != 0 ||
		hash_get_num_entries(kept) > PARTS_KEPT)
		parts_start(member, generation);
	pseudonym_of(question->identity, question->len, key.pseudonym);
	parts = hash_search(kept, &key, HASH_ENTER, &found);
	if (!found)
		parts->loaded = false;
	if (!parts->loaded)
	{
		parts->first = parts_load(member, key.pseudonym, question->table->name);
		parts->loaded = true;
	}
	return parts->first;
}

/* ----- which rows ----- */

static bool
part_is_number(Oid type)
{
	switch (getBaseType(type))
	{
		case INT2OID:
		case INT4OID:
		case INT8OID:
		case NUMERICOID:
		case FLOAT4OID:
		case FLOAT8OID:
			return true;
		default:
			return false;
	}
}

static Datum
part_number(const char *text)
{
	return DirectFunctionCall3(numeric_in, CStringGetDatum(text), ObjectIdGetDatum(InvalidOid),
							   Int32GetDatum(-1));
}

/* Is the value, as the ledger has it, that of the key? */
static bool
part_key_is(const PartKey *key, Oid type, const RowText *value)
{
	char	   *text;

	if (value->data == NULL || key->kind == PART_NULL)
		return value->data == NULL && key->kind == PART_NULL;
	text = pnstrdup(value->data, value->len);

	switch (key->kind)
	{
		case PART_BOOLEAN:
			return getBaseType(type) == BOOLOID && text[0] == key->text[0];

		case PART_NUMBER:
			return part_is_number(type) &&
				DatumGetBool(DirectFunctionCall2(numeric_eq, part_number(key->text),
												 part_number(text)));
		default:
			if (getBaseType(type) == BPCHAROID)
				text[		bpchartruelen(text, (int) strlen(text))] = '\0';

			return strcmp(text, key->text) == 0;
	}
}

/* A row, opened when somebody wants to know what is in it. */
typedef struct PartRow
{
	HeapTupleHeader header;
	Relation	relation;
	const RowTable *table;
	RowText    *texts;
} PartRow;

static void
part_row_open(PartRow *row)
{
	HeapTupleData tuple;
	TupleDesc	desc;
	Oid			relation = typeOrDomainTypeRelid(HeapTupleHeaderGetTypeId(row->header));

	row->relation = OidIsValid(relation) ? RelationIdGetRelation(relation) : NULL;
	row->table = row->relation != NULL ? row_table_get(row->relation) : NULL;
	if (row->table == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("a row is of no table that is known as a ledger table")));
	desc = lookup_rowtype_tupdesc(HeapTupleHeaderGetTypeId(row->header),
								  HeapTupleHeaderGetTypMod(row->header));
	tuple.t_len = HeapTupleHeaderGetDatumLength(row->header);
	ItemPointerSetInvalid(&tuple.t_self);
	tuple.t_tableOid = InvalidOid;
	tuple.t_data = row->header;
	row->texts = row_column_texts(row->table, desc, &tuple);
	ReleaseTupleDesc(desc);
}

static bool
part_has_row(const Part *part, PartRow *row)
{
	ListCell   *cell;

	foreach(cell, part->keys)
	{
		const PartKey *key = lfirst(cell);
		bool		same = false;

		if (row->texts == NULL)
			part_row_open(row);
		for (int j = 0; j < row->table->ncolumns && !same; j++)
		{
			const RowColumn *column = &row->table->columns[j];

			same = strcmp(column->name, key->column) == 0 &&
				part_key_is(key,
							TupleDescAttr(RelationGetDescr(row->relation),
										  column->attribute - 1)->atttypid, &row->texts[j]);
		}
		if (!same)
			return false;
	}
	return true;
}

static bool
part_has_column(const Part *part, const char *column)
{
	ListCell   *cell;

	if (part->all_columns)
		return true;
	foreach(cell, part->columns)
		if (strcmp(lfirst(cell), column) == 0)
		return true;
	return false;
}

bool
grant_part_allows(const PartQuestion *question)
{
	MemoryContext scratch = AllocSetContextCreate(CurrentMemoryContext, "medchain part",
												  ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(scratch);
	TimestampTz clock = statement_clock();
	PartRow		row = {question->row};
	bool	   *missing = palloc((Size) Max(question->ncolumns, 1) * sizeof(bool));
	int			nmissing = question->ncolumns;
	bool		any = false;

	memset(missing, true, (Size) Max(question->ncolumns, 1));
	for (const GrantPart *part = parts_of(question); part != NULL; part = part->next)
	{
		if ((part->operations & question->operation) == 0 ||
			!validity_contains(&part->validity, clock) ||
			(part->purpose != NULL && strcmp(part->purpose, setting_purpose) != 0) ||
			(question->whole && !part->part.all_columns) ||
			!part_has_row(&part->part, &row))
			continue;
		any = true;
		for (int i = 0; i < question->ncolumns; i++)
			if (missing[i] && part_has_column(&part->part, question->columns[i]))
			{
				missing[i] = false;
				nmissing--;
			}
		if (nmissing == 0)
			break;
	}
	if (row.relation != NULL)
		RelationClose(row.relation);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(scratch);
	return any && nmissing == 0;
}
