/*
 * row_depend.c: from an object that a command has touched to the relations that are described
 * otherwise now.
 *
 * medchain_internal.row_description() tells a ledger table's columns with their types, labels and
 * attributes of these types, partitions, triggers, policies and rules.  All of that names other
 * objects, and pg_depend knows which: we go from the touched object to what depends on it,
 * along those dependencies alone by which names and types get into a description.  The tables
 * that are on the ledger are not looked at, so that their number costs nothing.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/indexing.h"
#include "catalog/pg_class.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_policy.h"
#include "catalog/pg_rewrite.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/fmgroids.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "rows/row_depend.h"

#define DEPEND_ITSELF	0x01	/* the object, or what is on it, was touched */
#define DEPEND_OTHERS	0x02	/* something that it depends on was */

typedef struct DependKey
{
	Oid			classid;
	Oid			objid;
} DependKey;

typedef struct DependObject
{
	DependKey	key;			/* hash key */
	uint8		how;			/* DEPEND_ITSELF, DEPEND_OTHERS, both */
	uint8		followed;		/* for which of them it was, or will be */
} DependObject;

struct DependWalk
{
	HTAB	   *objects;
	List	   *queue;			/* of DependObject, to be followed */
};

/* What of an object's dependents is followed. */
typedef enum DependFollow
{
	FOLLOW_NAMES,				/* triggers, policies and rules, whose definitions name it */
	FOLLOW_TYPES,				/* these, and types and columns that are made of it */
	FOLLOW_ALL					/* whatever is in it */
} DependFollow;

/* What is on a relation, in catalogs that have no syscache by oid. */
typedef struct DependPart
{
	Oid			classid;
	Oid			index;
	AttrNumber	oid;
	AttrNumber	relation;
} DependPart;

static const DependPart depend_parts[] = {
	{TriggerRelationId, TriggerOidIndexId, Anum_pg_trigger_oid, Anum_pg_trigger_tgrelid},
	{PolicyRelationId, PolicyOidIndexId, Anum_pg_policy_oid, Anum_pg_policy_polrelid},
	{RewriteRelationId, RewriteOidIndexId, Anum_pg_rewrite_oid, Anum_pg_rewrite_ev_class}
};

static const DependPart *
depend_part(Oid classid)
{
	for (size_t i = 0; i < lengthof(depend_parts); i++)
		if (depend_parts[i].classid == classid)
			return &depend_parts[i];
	return NULL;
}

/* The relation that a trigger, policy or rule is on; InvalidOid if it is gone. */
static Oid
depend_part_relation(const DependPart *part, Oid objid)
{
	Relation	catalog = table_open(part->classid, AccessShareLock);
	Oid			relation = InvalidOid;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	bool		isnull;

	ScanKeyInit(&key, part->oid, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(objid));
	scan = systable_beginscan(catalog, part->index, true, NULL, 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
		relation = DatumGetObjectId(heap_getattr(tuple, part->relation,
												 RelationGetDescr(catalog), &isnull));
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	return relation;
}

/* Note an object; true if that is news. */
static bool
depend_note(DependWalk *walk, Oid classid, Oid objid, uint8 how, DependObject **object)
{
	DependKey	key = {classid, objid};
	bool		found;

	*object = hash_search(walk->objects, &key, HASH_ENTER, &found);
	if (!found)
	{
		(*object)->how = 0;
		(*object)->followed = 0;
	}
	if (((*object)->how & how) == how)
		return false;
	(*object)->how |= how;
	return true;
}

static void
depend_visit(DependWalk *walk, Oid classid, Oid objid, uint8 how)
{
	DependObject *object;

	(void) depend_note(walk, classid, objid, how, &object);
	if ((object->followed & how) == how)
		return;
	object->followed |= how;
	walk->queue = lappend(walk->queue, object);
}

/* What a relation's parts are is said of those that it is a part of. */
static void
depend_ancestors(DependWalk *walk, Oid relation, uint8 how)
{
	Relation	inherits = table_open(InheritsRelationId, AccessShareLock);
	List	   *parents = NIL;
	ListCell   *cell;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key, Anum_pg_inherits_inhrelid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(relation));
	scan = systable_beginscan(inherits, InheritsRelidSeqnoIndexId, true, NULL, 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
		parents = lappend_oid(parents, ((Form_pg_inherits) GETSTRUCT(tuple))->inhparent);
	systable_endscan(scan);
	table_close(inherits, AccessShareLock);

	foreach(cell, parents)
	{
		DependObject *parent;

		if (depend_note(walk, RelationRelationId, lfirst_oid(cell), how, &parent))
			depend_ancestors(walk, lfirst_oid(cell), how);
	}
	list_free(parents);
}

static void
depend_mark(DependWalk *walk, Oid relation, uint8 how)
{
	DependObject *object;

	if (depend_note(walk, RelationRelationId, relation, how, &object))
		depend_ancestors(walk, relation, how);
}

static void
depend_follow(DependWalk *walk, const DependKey *from, DependFollow follow)
{
	Relation	depend = table_open(DependRelationId, AccessShareLock);
	ScanKeyData keys[2];
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&keys[0], Anum_pg_depend_refclassid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(from->classid));
	ScanKeyInit(&keys[1], Anum_pg_depend_refobjid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(from->objid));
	scan = systable_beginscan(depend, DependReferenceIndexId, true, NULL, 2, keys);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_depend row = (Form_pg_depend) GETSTRUCT(tuple);
		const DependPart *part = depend_part(row->classid);

		if (part != NULL)
		{
			Oid			relation = depend_part_relation(part, row->objid);

			/* that a trigger depends on its own table says nothing new */
			if (OidIsValid(relation) &&
				(from->classid != RelationRelationId || from->objid != relation))
				depend_mark(walk, relation, DEPEND_OTHERS);
		}
		else if (follow == FOLLOW_ALL ||
				 (follow == FOLLOW_TYPES &&
				  (row->classid == TypeRelationId || row->classid == RelationRelationId)))
			depend_visit(walk, row->classid, row->objid, DEPEND_OTHERS);
	}
	systable_endscan(scan);
	table_close(depend, AccessShareLock);
}

/*
 * Children get from a parent's DDL what it gets itself.  Those of a partitioned table are only
 * marked: nobody uses the row type of one partition as a column's type, and there may be
 * thousands.
 */
static void
depend_children(DependWalk *walk, Oid relation, uint8 how)
{
	char		kind = get_rel_relkind(relation);
	List	   *children;
	ListCell   *cell;

	if (kind != RELKIND_RELATION && kind != RELKIND_PARTITIONED_TABLE &&
		kind != RELKIND_FOREIGN_TABLE)
		return;
	children = find_inheritance_children(relation, NoLock);
	foreach(cell, children)
	{
		DependObject *child;

		if (kind == RELKIND_PARTITIONED_TABLE)
			(void) depend_note(walk, RelationRelationId, lfirst_oid(cell), how, &child);
		else
			depend_visit(walk, RelationRelationId, lfirst_oid(cell), how);
	}
	list_free(children);
}

static void
depend_relation(DependWalk *walk, const DependKey *relation, uint8 how)
{
	Oid			type = get_rel_type_id(relation->objid);

	depend_ancestors(walk, relation->objid, how);
	depend_children(walk, relation->objid, how);
	if (OidIsValid(type))
		depend_visit(walk, TypeRelationId, type, DEPEND_OTHERS);
	depend_follow(walk, relation, FOLLOW_NAMES);
}

DependWalk *
depend_begin(void)
{
	DependWalk *walk = palloc0(sizeof(DependWalk));
	HASHCTL		control = {0};

	control.keysize = sizeof(DependKey);
	control.entrysize = sizeof(DependObject);
	control.hcxt = CurrentMemoryContext;
	walk->objects = hash_create("medchain touched objects", 32, &control,
								HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	return walk;
}

void
depend_touch(DependWalk *walk, Oid classid, Oid objid)
{
	const DependPart *part = depend_part(classid);

	if (part != NULL)
	{
		Oid			relation = depend_part_relation(part, objid);

		if (OidIsValid(relation))
			depend_mark(walk, relation, DEPEND_ITSELF);
	}
	else
		depend_visit(walk, classid, objid, DEPEND_ITSELF);
}

Oid *
depend_relations(DependWalk *walk, bool **others, int *count)
{
	HASH_SEQ_STATUS scan;
	DependObject *object;
	Oid		   *relations;

	/* the queue grows while it is worked off */
	for (int i = 0; i < list_length(walk->queue); i++)
	{
		DependObject *next = list_nth(walk->queue, i);

		CHECK_FOR_INTERRUPTS();
		switch (next->key.classid)
		{
			case RelationRelationId:
				depend_relation(walk, &next->key, next->followed);
				break;
			case TypeRelationId:
				depend_follow(walk, &next->key, FOLLOW_TYPES);
				break;
			case NamespaceRelationId:
			case ExtensionRelationId:
				depend_follow(walk, &next->key, FOLLOW_ALL);
				break;
			default:
				depend_follow(walk, &next->key, FOLLOW_NAMES);
				break;
		}
	}

	relations = palloc(sizeof(Oid) * (Size) hash_get_num_entries(walk->objects));
	*others = palloc(sizeof(bool) * (Size) hash_get_num_entries(walk->objects));
	*count = 0;
	hash_seq_init(&scan, walk->objects);
	while ((object = hash_seq_search(&scan)) != NULL)
	{
		if (object->key.classid != RelationRelationId)
			continue;
		relations[*count] = object->key.objid;
		(*others)[(*count)++] = (object->how & DEPEND_OTHERS) != 0;
	}
	return relations;
}
