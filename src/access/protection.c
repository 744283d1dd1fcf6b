/*
 * protection.c: what a protected table is called on the ledger.
 *
 * Asked for once per row by policies with grants for certain records only, so
 * the answer is cached until any relation changes.
 */
#include "postgres.h"

#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/relcache.h"

#include "access/protection.h"
#include "rows/row_table.h"

static Oid	named = InvalidOid;
static char *name = NULL;
static bool callback_registered = false;

static void
protection_forget(Datum arg, Oid relation)
{
	named = InvalidOid;
}

const char *
protection_relation_name(Oid relation)
{
	Relation	opened;
	const RowTable *known;
	char	   *called = NULL;

	if (OidIsValid(named) && named == relation)
		return name;
	if (!callback_registered)
	{
		CacheRegisterRelcacheCallback(protection_forget, (Datum) 0);
		callback_registered = true;
	}
	opened = RelationIdGetRelation(relation);
	if (opened == NULL)
		return NULL;
	known = row_table_get(opened);
	if (known != NULL)
		called = MemoryContextStrdup(TopMemoryContext, known->name);
	RelationClose(opened);
	if (called == NULL)
	{
		char	   *now = psprintf("%s.%s", get_namespace_name(get_rel_namespace(relation)),
								   get_rel_name(relation));

		called = MemoryContextStrdup(TopMemoryContext, now);
		pfree(now);
	}
	if (name != NULL)
		pfree(name);
	name = called;
	named = relation;
	return name;
}
