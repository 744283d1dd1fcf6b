/*
 * grant_load.c: the grants of a member, and what it sees in an emergency, out of the tables.
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "catalog/pg_statistic.h"
#include "fmgr.h"
#include "optimizer/plancat.h"
#include "storage/bufmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "access/grant_load.h"
#include "access/latest.h"
#include "compat.h"
#include "ledger/pseudonym.h"
#include "node/lookup.h"

/* Grants are counted up to here for the planner's sake; of more, the statistics know. */
#define ESTIMATE_COUNTED 1000

/* Up to this part of all grants, those of one member are looked up by index. */
#define GRANTS_BY_INDEX 0.1

#define GRANT_COLUMNS \
	"g.subject, g.query, g.update, g.records, g.valid, g.protocol_valid, " \
	"g.member_valid, g.issuer_valid, g.purpose, g.protocol, g.version"
#define GRANT_PURPOSE 8			/* and what comes behind them */
#define GRANT_SOURCE 9
#define GRANT_VERSION 10
#define GRANT_IDENTITY 11

static void
grant_load_add(GrantLoad *load, uint32 *head, const GrantSource *source, Validity validity,
			   uint8 operations, Datum records, Datum purpose)
{
	if (operations == 0 || validity.to <= validity.from || validity.to <= load->clock)
		return;
	*head = grant_table_add(load->table, *head, source, validity, operations, records, purpose);
	if (validity.from > load->clock)
		load->horizon = Min(load->horizon, validity.from);
	load->horizon = Min(load->horizon, validity.to);
}

static void
grant_load_row(GrantLoad *load, uint32 *head, Datum *values, bool *nulls)
{
	Validity	validity = VALIDITY_ALWAYS;
	uint8		operations = 0;
	GrantSource source;

	if (DatumGetBool(values[1]))
		operations |= GRANT_QUERY;
	if (DatumGetBool(values[2]))
		operations |= GRANT_UPDATE;
	for (int i = 4; i < 8; i++)
		validity_restrict(&validity, values[i]);
	source.id = *DatumGetUUIDP(values[GRANT_SOURCE]);
	source.version = DatumGetInt64(values[GRANT_VERSION]);
	grant_load_add(load, head, &source, validity, operations,
				   nulls[3] ? (Datum) 0 : values[3],
				   nulls[GRANT_PURPOSE] ? (Datum) 0 : values[GRANT_PURPOSE]);
}

static bool
grant_load_row_of_one(TupleTableSlot *slot, void *arg)
{
	GrantLoad  *load = (GrantLoad *) arg;

	grant_load_row(load, &load->head, slot->tts_values, slot->tts_isnull);
	return true;
}

static bool
grant_load_row_of_all(TupleTableSlot *slot, void *arg)
{
	GrantLoad  *load = (GrantLoad *) arg;
	uint32	   *head;

	if (slot->tts_isnull[GRANT_IDENTITY])
		head = grant_table_enter_pseudonym(load->table,
									 (uint8 *) VARDATA_ANY(DatumGetByteaPP(slot->tts_values[0])));
	else
	{
		text	   *identity = DatumGetTextPP(slot->tts_values[GRANT_IDENTITY]);

		head = grant_table_enter(load->table, VARDATA_ANY(identity), VARSIZE_ANY_EXHDR(identity));
	}
	grant_load_row(load, head, slot->tts_values, slot->tts_isnull);
	load->too_many = grant_table_memory(load->table) > load->room;
	return !load->too_many;
}

/* Who has broken the glass, in the same columns. */
#define GLASS_COLUMNS \
	"g.subject, true, false, NULL::text[], g.valid, g.valid, g.member_valid, g.member_valid, " \
	"NULL::text, g.break_glass, " CppAsString2(GRANT_BREAK_GLASS) "::bigint"

static bool
grant_load_found(TupleTableSlot *slot, void *arg)
{
	*(bool *) arg = true;
	return false;
}

bool
grant_load_has_glasses(const char *member, TimestampTz clock)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[2] = {TEXTOID, TIMESTAMPTZOID};
	Datum		values[2] = {(Datum) 0, TimestampTzGetDatum(clock)};
	Relation	table = table_open(get_relname_relid("break_glass",
													 get_namespace_oid("medchain", false)),
								   AccessShareLock);
	bool		found = false;

	/* where it was never done, no row was ever put there, and this costs nothing */
	if (RelationGetNumberOfBlocks(table) > 0)
	{
		values[0] = CStringGetTextDatum(member);
		latest_query(&plan, CURSOR_OPT_GENERIC_PLAN, false,
					 "SELECT FROM medchain.break_glass b WHERE b.member = $1 "
				   "AND upper(b.valid) > $2 LIMIT 1", 2, types, values, grant_load_found, &found);
	}
	table_close(table, AccessShareLock);
	return found;
}

bool
grant_load_all(GrantLoad *load, const char *member, Size room)
{
	/* a plan for those with few of all grants, and one for the others */
	static SPIPlanPtr plans[2] = {NULL, NULL};
	static SPIPlanPtr glasses = NULL;
	Oid			types[1] = {TEXTOID};
	Datum		values[1] = {CStringGetTextDatum(member)};
	double		all;
	bool		few = grant_load_estimate(member, &all) < all * GRANTS_BY_INDEX;

	load->room = room;
	latest_query(&plans[few], CURSOR_OPT_CUSTOM_PLAN, few,
				 "SELECT " GRANT_COLUMNS ", s.identity"
				 " FROM medchain.active_grant g LEFT JOIN medchain.subject_identity s ON "
				 "s.pseudonym = g.subject"
				 " WHERE g.grantee = $1",
				 1, types, values, grant_load_row_of_all, load);
	if (load->glasses && !load->too_many)
		latest_query(&glasses, CURSOR_OPT_CUSTOM_PLAN, true,
					 "SELECT " GLASS_COLUMNS ", s.identity"
					 " FROM medchain.active_break_glass g LEFT JOIN medchain.subject_identity s "
					 "ON s.pseudonym = g.subject WHERE g.grantee = $1",
					 1, types, values, grant_load_row_of_all, load);
	return !load->too_many;
}

/* ----- of one subject ----- */

/*
 * These are the first questions of a session, and those of a query that reads a few rows, so they
 * are asked as those to the catalogues are: no plan is made.  What is asked is what the view
 * medchain.active_grant has.
 */

/* What members who take part may do at all. */
static uint8
grant_load_operations(Datum array)
{
	Datum	   *elements;
	int			count;
	uint8		operations = 0;

	deconstruct_array(DatumGetArrayTypeP(array), TEXTOID, -1, false, TYPALIGN_INT, &elements, NULL,
					  &count);
	for (int i = 0; i < count; i++)
	{
		char	   *operation = TextDatumGetCString(elements[i]);

		if (strcmp(operation, "query") == 0)
			operations |= GRANT_QUERY;
		else if (strcmp(operation, "update") == 0)
			operations |= GRANT_UPDATE;
	}
	return operations;
}

#define ASK_MEMBERS 4

/* A member, as far as its grants depend on it. */
typedef struct AskedMember
{
	char	   *name;
	bool		takes_part;
	Validity	validity;
	uint8		operations;
} AskedMember;

/* One question: tables that are open, and members that were looked up. */
typedef struct Ask
{
	GrantLoad  *load;
	Lookup		grants;
	Lookup		protocols;
	Lookup		members;
	AskedMember known[ASK_MEMBERS];
	int			nknown;
} Ask;

static void
ask_open(Lookup *lookup, const char *table, Snapshot snapshot)
{
	if (!lookup_open(lookup, table))
		elog(ERROR, "table medchain.%s is missing", table);
	lookup->snapshot = snapshot;
}

static const AskedMember *
ask_member(Ask *ask, Datum name)
{
	char	   *called = TextDatumGetCString(name);
	AskedMember *member;
	bool		isnull;

	for (int i = 0; i < ask->nknown; i++)
		if (strcmp(ask->known[i].name, called) == 0)
			return &ask->known[i];
	/* many have issued protocols for one subject: the last of them is forgotten */
	ask->nknown = Min(ask->nknown + 1, ASK_MEMBERS);
	member = &ask->known[ask->nknown - 1];
	*member = (AskedMember)
	{
		called, false, VALIDITY_ALWAYS, 0
	};
	lookup_start(&ask->members, NULL, 1, &name);
	if (lookup_next(&ask->members))
	{
		member->takes_part = DatumGetBool(lookup_value(&ask->members, "takes_part", &isnull));
		validity_restrict(&member->validity, lookup_value(&ask->members, "valid", &isnull));
		member->operations = grant_load_operations(lookup_value(&ask->members, "capabilities",
																&isnull));
	}
	return member;
}

static void
validity_intersect(Validity *validity, const Validity *other)
{
	validity->from = Max(validity->from, other->from);
	validity->to = Min(validity->to, other->to);
}

/*
 * The protocol of a grant: false if it is revoked, or its issuer takes part no longer.  Cuts the
 * validity down.
 */
static bool
ask_protocol(Ask *ask, GrantSource *source, Validity *validity)
{
	Datum		id = UUIDPGetDatum(&source->id);
	const AskedMember *issuer;
	bool		isnull;

	lookup_start(&ask->protocols, NULL, 1, &id);
	if (!lookup_next(&ask->protocols))
		return false;
	(void) lookup_value(&ask->protocols, "revoked", &isnull);
	if (!isnull)
		return false;
	issuer = ask_member(ask, lookup_value(&ask->protocols, "issuer", &isnull));
	validity_intersect(validity, &issuer->validity);
	validity_restrict(validity, lookup_value(&ask->protocols, "valid", &isnull));
	source->version = DatumGetInt64(lookup_value(&ask->protocols, "version", &isnull));
	return issuer->takes_part;
}

/* The grant that was found last. */
static void
ask_grant(Ask *ask)
{
	const Lookup *grants = &ask->grants;
	bool		isnull;
	bool		all_records;
	bool		any_purpose;
	Datum		records = lookup_value(grants, "records", &all_records);
	Datum		purpose = lookup_value(grants, "purpose", &any_purpose);
	Validity	validity = VALIDITY_ALWAYS;
	uint8		operations = grant_load_operations(lookup_value(grants, "operations", &isnull));
	GrantSource source = {*DatumGetUUIDP(lookup_value(grants, "protocol", &isnull)), 0};
	const AskedMember *grantee = ask_member(ask, lookup_value(grants, "grantee", &isnull));

	if (!grantee->takes_part)
		return;
	validity_restrict(&validity, lookup_value(grants, "valid", &isnull));
	validity_intersect(&validity, &grantee->validity);
	operations &= grantee->operations;
	if (ask_protocol(ask, &source, &validity))
		grant_load_add(ask->load, &ask->load->head, &source, validity, operations,
					   all_records ? (Datum) 0 : records, any_purpose ? (Datum) 0 : purpose);
}

static void
ask_grants(GrantLoad *load, const Datum keys[2])
{
	Snapshot	snapshot = lookup_snapshot();
	Ask			ask = {load};

	ask_open(&ask.grants, "protocol_grant", snapshot);
	lookup_start(&ask.grants, "protocol_grant_grantee", 2, keys);
	if (lookup_next(&ask.grants))
	{
		ask_open(&ask.protocols, "protocol", snapshot);
		ask_open(&ask.members, "member", snapshot);
		do
			ask_grant(&ask);
		while (lookup_next(&ask.grants));
		lookup_close(&ask.members);
		lookup_close(&ask.protocols);
	}
	lookup_close(&ask.grants);
	UnregisterSnapshot(snapshot);
}

uint32
grant_load_one(GrantLoad *load, const char *member, const char *identity, size_t len)
{
	static SPIPlanPtr glasses = NULL;
	Oid			types[2] = {TEXTOID, BYTEAOID};
	Datum		keys[2];
	bytea	   *pseudonym;
	MemoryContext scratch = AllocSetContextCreate(CurrentMemoryContext, "medchain question",
												  ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(scratch);

	pseudonym = palloc(VARHDRSZ + HASH_LEN);
	SET_VARSIZE(pseudonym, VARHDRSZ + HASH_LEN);
	pseudonym_of(identity, len, (uint8 *) VARDATA(pseudonym));
	keys[0] = CStringGetTextDatum(member);
	keys[1] = PointerGetDatum(pseudonym);
	load->head = 0;
	ask_grants(load, keys);
	if (load->glasses)
		latest_query(&glasses, CURSOR_OPT_GENERIC_PLAN, false,
					 "SELECT " GLASS_COLUMNS " FROM medchain.active_break_glass g "
					 "WHERE g.grantee = $1 AND g.subject = $2",
					 2, types, keys, grant_load_row_of_one, load);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(scratch);
	return load->head;
}

/* ----- how many ----- */

/* As many as there are, up to that. */
static double
grant_load_count(Lookup *grants, Datum member, int most)
{
	int			count = 0;

	lookup_start(grants, "protocol_grant_grantee", 1, &member);
	while (count < most && lookup_next(grants))
		count++;
	return count;
}

/* What the statistics say; 0: nothing. */
static double
grant_load_share(const AttStatsSlot *slot, const char *member)
{
	double		share = 0;

	for (int i = 0; i < slot->nvalues && i < slot->nnumbers; i++)
	{
		char	   *name = TextDatumGetCString(slot->values[i]);

		if (strcmp(name, member) == 0)
			share = slot->numbers[i];
		pfree(name);
	}
	return share;
}

double
grant_load_estimate(const char *member, double *all)
{
	Lookup		grants;
	HeapTuple	statistics;
	AttStatsSlot slot;
	BlockNumber pages;
	double		visible;
	double		share = 0;
	double		estimate;

	*all = 0;
	if (!lookup_open(&grants, "protocol_grant"))
		return 0;
	estimate_rel_size(grants.table, NULL, &pages, all, &visible);
	statistics = SearchSysCache3(STATRELATTINH, ObjectIdGetDatum(RelationGetRelid(grants.table)),
								 Int16GetDatum(SPI_fnumber(RelationGetDescr(grants.table),
														   "grantee")), BoolGetDatum(false));
	if (HeapTupleIsValid(statistics))
	{
		if (get_attstatsslot(&slot, statistics, STATISTIC_KIND_MCV, InvalidOid,
							 ATTSTATSSLOT_VALUES | ATTSTATSSLOT_NUMBERS))
		{
			share = grant_load_share(&slot, member);
			free_attstatsslot(&slot);
		}
		ReleaseSysCache(statistics);
	}
	/* few are counted, and so are those of whom the statistics say nothing */
	estimate = share * *all;
	if (estimate < ESTIMATE_COUNTED)
		estimate = grant_load_count(&grants, CStringGetTextDatum(member), ESTIMATE_COUNTED);
	lookup_close(&grants);
	return estimate;
}
