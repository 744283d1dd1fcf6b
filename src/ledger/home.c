/*
 * home.c: knowing a copy of a node from the node (see home.h), and emptying one.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/xlog.h"
#include "catalog/namespace.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "ledger/block_row.h"
#include "ledger/home.h"
#include "node/lookup.h"
#include "node/restored.h"
#include "node/trusted.h"

#define HOME_LEN 64
#define HOME_PRIVATE "private"	/* where a copy is at home that detach_copy() has made one */

/* What medchain.local_node said when it was read last. */
static bool known = false;
static uint64 forgotten = 0;	/* how often we were told to read it anew */
static Oid	known_relation = InvalidOid;
static HomeStatus known_status;
static char known_node[NAMEDATALEN];
static char known_home[HOME_LEN];

const char *
home_here(void)
{
	static char here[HOME_LEN];

	snprintf(here, sizeof(here), UINT64_FORMAT "/%u/%d%s%s", GetSystemIdentifier(), MyDatabaseId,
			 PG_VERSION_NUM / 10000, restored_id()[0] == '\0' ? "" : "/", restored_id());
	return here;
}

static void
home_forget(Datum arg, Oid relation)
{
	if (!OidIsValid(relation) || relation == known_relation)
	{
		known = false;
		forgotten++;
	}
}

static void
home_read(void)
{
	static bool registered = false;
	Lookup		lookup;
	uint64		before;

	if (!registered)
		CacheRegisterRelcacheCallback(home_forget, (Datum) 0);
	registered = true;
	known_relation = get_relname_relid("local_node", trusted_schema(false));

	before = forgotten;
	if (!lookup_open(&lookup, "local_node"))
		elog(ERROR, "medchain.local_node is missing");
	known_status = HOME_NONE;
	if (lookup_next(&lookup))
	{
		char	   *home = lookup_text(&lookup, "home");

		strlcpy(known_node, lookup_text(&lookup, "node"), sizeof(known_node));
		strlcpy(known_home, home ? home : "", sizeof(known_home));
		known_status = strcmp(known_home, home_here()) == 0 ? HOME_HERE : HOME_COPY;
	}
	lookup_close(&lookup);

	/* what we were told to forget while we read it is read again the next time */
	known = before == forgotten;
}

HomeStatus
home_status(void)
{
	if (!known)
		home_read();
	return known_status;
}

HomeStatus
home_status_now(void)
{
	known = false;
	return home_status();
}

bool
home_is_private(void)
{
	return home_status() == HOME_COPY && strcmp(known_home, HOME_PRIVATE) == 0;
}

char *
home_copy_message(void)
{
	if (strcmp(known_home, HOME_PRIVATE) == 0)
		return psprintf("this database is a private copy of node \"%s\"", known_node);
	return psprintf("this database is a copy of node \"%s\"; "
					"medchain.take_over() makes it the node", known_node);
}

const char *
home_require(void)
{
	switch (home_status())
	{
		case HOME_NONE:
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("this database is not a node of an alliance"),
					 errhint("Call medchain.found_alliance() or medchain.join_alliance() "
							 "first.")));
			break;
		case HOME_COPY:
			if (home_is_private())
				ereport(ERROR,
						(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						 errmsg("this database is a private copy of node \"%s\", and does not "
								"write on its chain", known_node),
						 errhint("It can be read and verified. To use its tables for something "
								 "else, call medchain.detach_copy(keep_ledger => false), which "
								 "removes the ledger.")));
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("this database is a copy of node \"%s\", and does not write on its "
							"chain", known_node),
					 errdetail("It was restored, copied or upgraded: it is not where the node is "
							   "at home."),
					 errhint("If it is to be the node from now on, and nothing else is, call "
							 "medchain.take_over(); to use it for something else, "
							 "medchain.detach_copy().")));
			break;
		case HOME_HERE:
			break;
	}
	return known_node;
}

void
home_require_empty(Relation relation, bool begins)
{
	static List *filled = NIL;	/* by this session, with one INSERT after the other */
	Oid			oid = RelationGetRelid(relation);
	MemoryContext context;
	SysScanDesc scan;
	bool		empty;

	if (!begins && list_member_oid(filled, oid))
		return;
	scan = systable_beginscan(relation, InvalidOid, false, NULL, 0, NULL);
	empty = !HeapTupleIsValid(systable_getnext(scan));
	systable_endscan(scan);
	if (!empty)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table \"medchain.%s\" of this database has rows already",
						RelationGetRelationName(relation)),
				 errhint("A dump is restored once, and into an empty database. "
						 "medchain.detach_copy() empties a copy.")));
	context = MemoryContextSwitchTo(TopMemoryContext);
	filled = list_append_unique_oid(filled, oid);
	MemoryContextSwitchTo(context);
}

PG_FUNCTION_INFO_V1(medchain_here);

/* here() -> text */
Datum
medchain_here(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(cstring_to_text(home_here()));
}

PG_FUNCTION_INFO_V1(medchain_at_home);

/* at_home() -> boolean */
Datum
medchain_at_home(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(home_status() == HOME_HERE);
}

PG_FUNCTION_INFO_V1(medchain_is_copy);

/* is_copy() -> boolean */
Datum
medchain_is_copy(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(home_status() == HOME_COPY);
}

PG_FUNCTION_INFO_V1(medchain_require_home);

/* require_home() -> void */
Datum
medchain_require_home(PG_FUNCTION_ARGS)
{
	(void) home_require();
	PG_RETURN_VOID();
}

PG_FUNCTION_INFO_V1(medchain_home_arrives);

/*
 * BEFORE INSERT on medchain.local_node.  Who founds or joins is at home here; who comes with a
 * dump is not, even where the dump was made: what was signed since then may not be in it.
 */
Datum
medchain_home_arrives(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	TupleDesc	desc;
	int			column;
	Datum		value = CStringGetTextDatum(home_here());
	bool		isnull = false;

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_BY_INSERT(trigger->tg_event))
		elog(ERROR, "medchain_home_arrives: not called as a trigger on INSERT");
	desc = RelationGetDescr(trigger->tg_relation);
	column = SPI_fnumber(desc, "home");
	if (!InLocalUserIdChange())
	{
		char	   *home = SPI_getvalue(trigger->tg_trigtuple, desc, column);

		if (home == NULL || strcmp(home, home_here()) != 0)
			return PointerGetDatum(trigger->tg_trigtuple);
		isnull = true;
	}
	return PointerGetDatum(heap_modify_tuple_by_cols(trigger->tg_trigtuple, desc, 1, &column,
													 &value, &isnull));
}

PG_FUNCTION_INFO_V1(medchain_home_changed);

/* AFTER STATEMENT trigger of medchain.local_node: every session reads it anew. */
Datum
medchain_home_changed(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo))
		elog(ERROR, "medchain_home_changed: not called as a trigger");
	CacheInvalidateRelcache(trigger->tg_relation);
	return PointerGetDatum(NULL);
}

PG_FUNCTION_INFO_V1(medchain_empty_tables);

/* empty_tables() -> void: all that the ledger says here is gone, as if there had been no node. */
Datum
medchain_empty_tables(PG_FUNCTION_ARGS)
{
	TrustedScope scope;
	char	   *tables;

	trusted_begin(&scope);
	ledger_writing = true;
	PG_TRY();
	{
		/* one by one: sessions have to be told that their tables are on no ledger any more */
		SPI_execute("DELETE FROM medchain.row_table", false, 0);
		SPI_execute("SELECT string_agg(c.oid::regclass::text, ', ') FROM pg_class c "
				  "WHERE c.relnamespace = 'medchain'::regnamespace AND c.relkind = 'r'", true, 1);
		tables = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
		SPI_execute(psprintf("TRUNCATE %s RESTART IDENTITY", tables), false, 0);
	}
	PG_FINALLY();
	{
		ledger_writing = false;
	}
	PG_END_TRY();
	trusted_end(&scope);
	PG_RETURN_VOID();
}
