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

#include "access/protection.h"

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
	char	   *table;
	char	   *schema;

	if (OidIsValid(named) && named == relation)
		return name;
	if (!callback_registered)
	{
		CacheRegisterRelcacheCallback(protection_forget, (Datum) 0);
		callback_registered = true;
	}
	table = get_rel_name(relation);
	if (table == NULL)
		return NULL;
	schema = get_namespace_name(get_rel_namespace(relation));
	if (name != NULL)
	{
		pfree(name);
		name = NULL;
		named = InvalidOid;
	}
	name = MemoryContextAlloc(TopMemoryContext, strlen(schema) + strlen(table) + 2);
	sprintf(name, "%s.%s", schema, table);
	named = relation;
	return name;
}
