/*
 * lookup.c: reading medchain's own small tables without keeping a lock (see lookup.h).
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "compat.h"
#include "node/lookup.h"

#define LOOKUP_KEYS 2

bool
lookup_open(Lookup *lookup, const char *table)
{
	Oid			schema = get_namespace_oid("medchain", true);
	Oid			relation = OidIsValid(schema) ? get_relname_relid(table, schema) : InvalidOid;

	lookup->scan = NULL;
	lookup->index = NULL;
	lookup->snapshot = NULL;
	lookup->row = NULL;
	lookup->table = OidIsValid(relation) ? try_table_open(relation, AccessShareLock) : NULL;
	return lookup->table != NULL;
}

static void
lookup_end(Lookup *lookup)
{
	if (lookup->scan != NULL)
		systable_endscan(lookup->scan);
	lookup->scan = NULL;
	lookup->row = NULL;
}

/* Equality with the index's columns as it was made for them. */
static void
lookup_keys(Relation index, int nkeys, const Datum *values, ScanKeyData *keys)
{
	for (int i = 0; i < nkeys; i++)
	{
		Oid			type = index->rd_opcintype[i];
		Oid			operator = get_opfamily_member(index->rd_opfamily[i], type, type,
												   BTEqualStrategyNumber);

		if (!OidIsValid(operator))
			elog(ERROR, "index %s has no equality", RelationGetRelationName(index));
		ScanKeyEntryInitialize(&keys[i], 0, index->rd_index->indkey.values[i],
							   BTEqualStrategyNumber, InvalidOid, index->rd_indcollation[i],
							   get_opcode(operator), values[i]);
	}
}

void
lookup_start(Lookup *lookup, const char *index, int nkeys, const Datum *keys)
{
	ScanKeyData scan_keys[LOOKUP_KEYS];

	Assert(nkeys <= LOOKUP_KEYS);
	lookup_end(lookup);
	if (lookup->index == NULL)
	{
		Oid			oid = index == NULL ? compat_primary_key_index(lookup->table) :
		get_relname_relid(index, RelationGetNamespace(lookup->table));

		if (!OidIsValid(oid))
			elog(ERROR, "index %s of medchain.%s is missing", index ? index : "of the primary key",
				 RelationGetRelationName(lookup->table));
		lookup->index = index_open(oid, AccessShareLock);
	}
	lookup_keys(lookup->index, nkeys, keys, scan_keys);
	lookup->scan = systable_beginscan(lookup->table, RelationGetRelid(lookup->index), true,
									  lookup->snapshot, nkeys, scan_keys);
}

Snapshot
lookup_snapshot(void)
{
	/* of a relation that is no catalog, so that it is always a new one */
	return RegisterSnapshot(GetCatalogSnapshot(InvalidOid));
}

bool
lookup_find(Lookup *lookup, Oid key)
{
	Oid			index = compat_primary_key_index(lookup->table);
	ScanKeyData keys[1];

	lookup_end(lookup);
	ScanKeyInit(&keys[0], 1, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(key));
	lookup->scan = systable_beginscan(lookup->table, index, OidIsValid(index), NULL, 1, keys);
	lookup->row = systable_getnext(lookup->scan);
	return HeapTupleIsValid(lookup->row);
}

bool
lookup_next(Lookup *lookup)
{
	if (lookup->scan == NULL)
		lookup->scan = systable_beginscan(lookup->table, InvalidOid, false, lookup->snapshot, 0,
										  NULL);
	lookup->row = systable_getnext(lookup->scan);
	return HeapTupleIsValid(lookup->row);
}

Datum
lookup_value(const Lookup *lookup, const char *column, bool *isnull)
{
	TupleDesc	desc = RelationGetDescr(lookup->table);
	int			number = SPI_fnumber(desc, column);

	if (number <= 0)
		elog(ERROR, "column \"%s\" of medchain.%s is missing", column,
			 RelationGetRelationName(lookup->table));
	return heap_getattr(lookup->row, number, desc, isnull);
}

char *
lookup_text(const Lookup *lookup, const char *column)
{
	bool		isnull;
	Datum		value = lookup_value(lookup, column, &isnull);

	return isnull ? NULL : TextDatumGetCString(value);
}

void
lookup_close(Lookup *lookup)
{
	lookup_end(lookup);
	if (lookup->index != NULL)
		index_close(lookup->index, AccessShareLock);
	table_close(lookup->table, AccessShareLock);
}

Datum
lookup_oid_array(const Oid *oids, int count)
{
	Datum	   *elements = palloc(sizeof(Datum) * (Size) Max(count, 1));

	for (int i = 0; i < count; i++)
		elements[i] = ObjectIdGetDatum(oids[i]);
	return PointerGetDatum(construct_array(elements, count, OIDOID, sizeof(Oid), true,
										   TYPALIGN_INT));
}
