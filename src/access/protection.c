/*
 * protection.c: which tables are protected, by which column, and what they are called on the
 * ledger.
 *
 * Every query of a table with row security asks, a fresh session's first one as well: so what is
 * needed to read rows is one row of medchain.row_table, read as catalogues are, and not all that
 * those who write them have to know (src/rows/row_table.c).  It is kept until the table, or what is
 * said about it, changes.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "access/grant_part_read.h"
#include "access/protection.h"
#include "node/lookup.h"
#include "rows/row_table.h"

typedef struct ProtectionEntry
{
	Oid			relation;		/* hash key */
	Protection *protection;		/* NULL: no ledger table; subject 0: not protected */
	bool		fresh;			/* nothing has changed since it was looked up */
} ProtectionEntry;

static HTAB *known = NULL;
static uint64 changes = 0;		/* messages that came */
static uint64 readings = 0;

/* Of grants for certain records only, each row asks. */
static Oid	named = InvalidOid;
static char *name = NULL;

/*
 * A relation changed, or any may have.  Nothing is freed here: somebody may be using it.
 */
static void
protection_forget(Datum arg, Oid relation)
{
	HASH_SEQ_STATUS scan;
	ProtectionEntry *entry;

	named = InvalidOid;
	changes++;
	hash_seq_init(&scan, known);
	while ((entry = hash_seq_search(&scan)) != NULL)
		if (!OidIsValid(relation) || entry->relation == relation ||
			(entry->protection != NULL && entry->protection->root == relation))
			entry->fresh = false;
}

static void
protection_start(void)
{
	HASHCTL		control = {0};

	control.keysize = sizeof(Oid);
	control.entrysize = sizeof(ProtectionEntry);
	control.hcxt = TopMemoryContext;
	known = hash_create("medchain protections", 32, &control,
						HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	CacheRegisterRelcacheCallback(protection_forget, (Datum) 0);
}

/* The column of that name; ERROR if there is none any more. */
static AttrNumber
protection_column(Relation relation, const char *column)
{
	AttrNumber	number = get_attnum(RelationGetRelid(relation), column);

	if (number <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("column \"%s\" of ledger table \"%s\" is gone", column,
						RelationGetRelationName(relation)),
				 errhint("It was changed past medchain. Take the table out of the ledger and put "
						 "it under it again.")));
	return number;
}

/* In a context of its own. */
static Protection *
protection_make(Relation relation, Oid root, const Lookup *row)
{
	char	   *column = lookup_text(row, "subject_column");
	char	   *ungranted = lookup_text(row, "ungranted");
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "medchain protection",
												  ALLOCSET_SMALL_SIZES);
	Protection *protection = MemoryContextAllocZero(context, sizeof(Protection));
	MemoryContext old = MemoryContextSwitchTo(context);

	protection->relation = RelationGetRelid(relation);
	protection->root = root;
	protection->name = lookup_text(row, "ledger_name");
	protection->part = grant_part_of(protection->name);
	protection->reading = ++readings;
	protection->ungranted = ungranted == NULL ? UNGRANTED_ALL :
		strcmp(ungranted, "null") == 0 ? UNGRANTED_NULL : UNGRANTED_ABSENT;
	if (column != NULL)
	{
		protection->subject = protection_column(relation, column);
		protection->padded = getBaseType(get_atttype(protection->relation,
													 protection->subject)) == BPCHAROID;
	}
	MemoryContextSwitchTo(old);
	MemoryContextSetParent(context, TopMemoryContext);
	return protection;
}

static Protection *
protection_read(Relation relation)
{
	Oid			root = row_table_root(RelationGetRelid(relation));
	Protection *protection = NULL;
	Lookup		tables;

	if (!lookup_open(&tables, "row_table"))
		return NULL;
	if (lookup_find(&tables, root))
		protection = protection_make(relation, root, &tables);
	lookup_close(&tables);
	return protection;
}

static const Protection *
protection_find(Relation relation)
{
	Oid			oid = RelationGetRelid(relation);
	ProtectionEntry *entry;
	Protection *protection;
	uint64		before;
	bool		found;

	if (known == NULL)
		protection_start();
	entry = hash_search(known, &oid, HASH_FIND, NULL);
	if (entry != NULL && entry->fresh)
		return entry->protection;
	before = changes;
	protection = protection_read(relation);
	entry = hash_search(known, &oid, HASH_ENTER, &found);
	if (found && entry->protection != NULL)
		/* somebody up the stack may still be using it */
		MemoryContextSetParent(GetMemoryChunkContext(entry->protection), TopTransactionContext);
	entry->protection = protection;
	/* what came while it was read may have been about it */
	entry->fresh = changes == before;
	return protection;
}

const Protection *
protection_get(Relation relation)
{
	const Protection *protection = protection_find(relation);

	return protection != NULL && protection->subject != InvalidAttrNumber ? protection : NULL;
}

const Protection *
protection_of(Oid relation)
{
	Relation	opened = RelationIdGetRelation(relation);
	const Protection *protection = opened != NULL ? protection_get(opened) : NULL;

	if (opened != NULL)
		RelationClose(opened);
	return protection;
}

const char *
protection_relation_name(Oid relation)
{
	Relation	opened;
	const Protection *protection;
	char	   *called;

	if (OidIsValid(named) && named == relation)
		return name;
	opened = RelationIdGetRelation(relation);
	if (opened == NULL)
		return NULL;
	protection = protection_find(opened);
	called = protection != NULL ? pstrdup(protection->name) :
		psprintf("%s.%s", get_namespace_name(RelationGetNamespace(opened)),
				 RelationGetRelationName(opened));
	RelationClose(opened);
	if (name != NULL)
		pfree(name);
	name = MemoryContextStrdup(TopMemoryContext, called);
	pfree(called);
	named = relation;
	return name;
}
