/*
 * row_digest.c: what stands on the ledger for the rows that a table has now.
 *
 * For medchain's own functions alone: who could ask for commitments to rows of his own making could
 * try out what somebody else's row holds.
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/table.h"
#include "access/tableam.h"
#include "catalog/pg_class.h"
#include "executor/tuptable.h"
#include "fmgr.h"
#include "funcapi.h"
#include "storage/itemptr.h"
#include "utils/builtins.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/tuplestore.h"

#include "node/trusted.h"
#include "rows/row_commitment.h"
#include "rows/row_scan.h"

typedef struct DigestTarget
{
	const RowTable *table;		/* of the partition that is read */
	int			version;
	ReturnSetInfo *result;
} DigestTarget;

static void
digest_row(Relation part, HeapTuple row, void *arg)
{
	DigestTarget *target = (DigestTarget *) arg;
	RowImage	image;
	Datum		values[5];
	bool		nulls[5] = {false};

	row_image(target->table, RelationGetDescr(part), row, target->version, &image);
	values[0] = ObjectIdGetDatum(RelationGetRelid(part));
	values[1] = PointerGetDatum(&row->t_self);
	values[2] = trusted_bytea(image.id, HASH_LEN);
	values[3] = CStringGetTextDatum(image.key_text);
	values[4] = trusted_bytea(image.commitment, HASH_LEN);
	tuplestore_putvalues(target->result->setResult, target->result->setDesc, values, nulls);
}

PG_FUNCTION_INFO_V1(medchain_row_digests);

/*
 * row_digests(relation regclass, version int) -> setof (part regclass, at tid, row_id bytea,
 * row_key text, commitment bytea): all rows of a ledger table, by the columns that version had.
 */
Datum
medchain_row_digests(PG_FUNCTION_ARGS)
{
	Oid			root = PG_GETARG_OID(0);
	DigestTarget target = {.version = PG_GETARG_INT32(1)};
	ListCell   *cell;

	relation_close(row_table_open(root), NoLock);
	InitMaterializedSRF(fcinfo, 0);
	target.result = (ReturnSetInfo *) fcinfo->resultinfo;
	foreach(cell, row_scan_parts(root, AccessShareLock))
	{
		Relation	part = table_open(lfirst_oid(cell), NoLock);

		target.table = row_table_as(part, root);
		row_scan(part, GetActiveSnapshot(), digest_row, &target);
		table_close(part, NoLock);
	}
	return (Datum) 0;
}

PG_FUNCTION_INFO_V1(medchain_row_digest);

/* row_digest(part regclass, at tid, version int) -> bytea: the commitment to one of them */
Datum
medchain_row_digest(PG_FUNCTION_ARGS)
{
	Relation	part = row_table_open(PG_GETARG_OID(0));
	ItemPointer at = (ItemPointer) PG_GETARG_POINTER(1);
	const RowTable *table = row_table_get(part);
	TupleTableSlot *slot;
	bool		found;
	RowImage	image;
	bool		is_copy;

	if (table == NULL || part->rd_rel->relkind != RELKIND_RELATION)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("no row of \"%s\" is on the ledger", RelationGetRelationName(part))));
	slot = table_slot_create(part, NULL);
	found = table_tuple_fetch_row_version(part, at, GetActiveSnapshot(), slot);

	if (found)
		row_image(table, RelationGetDescr(part), ExecFetchSlotHeapTuple(slot, false, &is_copy),
				  PG_GETARG_INT32(2), &image);
	ExecDropSingleTupleTableSlot(slot);
	relation_close(part, NoLock);
	if (!found)
		PG_RETURN_NULL();
	return trusted_bytea(image.commitment, HASH_LEN);
}
