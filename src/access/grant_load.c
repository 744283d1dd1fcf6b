/*
 * grant_load.c: the grants of a member, and what it sees in an emergency, out of the tables.
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "storage/bufmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "access/grant_load.h"
#include "access/latest.h"
#include "compat.h"
#include "ledger/pseudonym.h"

#define GRANT_COLUMNS \
	"g.subject, g.query, g.update, g.records, g.valid, g.protocol_valid, " \
	"g.member_valid, g.issuer_valid, g.purpose, g.protocol, g.version"
#define GRANT_PURPOSE 8			/* and what comes behind them */
#define GRANT_SOURCE 9
#define GRANT_VERSION 10
#define GRANT_IDENTITY 11

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
	if (operations == 0 || validity.to <= validity.from || validity.to <= load->clock)
		return;
	source.id = *DatumGetUUIDP(values[GRANT_SOURCE]);
	source.version = DatumGetInt64(values[GRANT_VERSION]);
	*head = grant_table_add(load->table, *head, &source, validity, operations,
							nulls[3] ? (Datum) 0 : values[3],
							nulls[GRANT_PURPOSE] ? (Datum) 0 : values[GRANT_PURPOSE]);
	if (validity.from > load->clock)
		load->horizon = Min(load->horizon, validity.from);
	load->horizon = Min(load->horizon, validity.to);
}

static void
grant_load_row_of_one(TupleTableSlot *slot, void *arg)
{
	GrantLoad  *load = (GrantLoad *) arg;

	grant_load_row(load, &load->head, slot->tts_values, slot->tts_isnull);
}

static void
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
}

/* Who has broken the glass, in the same columns. */
#define GLASS_COLUMNS \
	"g.subject, true, false, NULL::text[], g.valid, g.valid, g.member_valid, g.member_valid, " \
	"NULL::text, g.break_glass, " CppAsString2(GRANT_BREAK_GLASS) "::bigint"

static void
grant_load_found(TupleTableSlot *slot, void *arg)
{
	*(bool *) arg = true;
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
		latest_query(&plan, CURSOR_OPT_GENERIC_PLAN,
					 "SELECT FROM medchain.break_glass b WHERE b.member = $1 "
				   "AND upper(b.valid) > $2 LIMIT 1", 2, types, values, grant_load_found, &found);
	}
	table_close(table, AccessShareLock);
	return found;
}

void
grant_load_all(GrantLoad *load, const char *member)
{
	static SPIPlanPtr plan = NULL;
	static SPIPlanPtr glasses = NULL;
	Oid			types[1] = {TEXTOID};
	Datum		values[1] = {CStringGetTextDatum(member)};

	load->identities = statement_identity_generation();
	latest_query(&plan, CURSOR_OPT_CUSTOM_PLAN,
				 "SELECT " GRANT_COLUMNS ", s.identity"
				 " FROM medchain.active_grant g LEFT JOIN medchain.subject_identity s ON "
				 "s.pseudonym = g.subject"
				 " WHERE g.grantee = $1",
				 1, types, values, grant_load_row_of_all, load);
	if (load->glasses)
		latest_query(&glasses, CURSOR_OPT_CUSTOM_PLAN,
					 "SELECT " GLASS_COLUMNS ", s.identity"
					 " FROM medchain.active_break_glass g LEFT JOIN medchain.subject_identity s "
					 "ON s.pseudonym = g.subject WHERE g.grantee = $1",
					 1, types, values, grant_load_row_of_all, load);
}

uint32
grant_load_one(GrantLoad *load, const char *member, const char *identity, size_t len)
{
	static SPIPlanPtr plan = NULL;
	static SPIPlanPtr glasses = NULL;
	Oid			types[2] = {TEXTOID, BYTEAOID};
	Datum		values[2];
	bytea	   *pseudonym = palloc(VARHDRSZ + HASH_LEN);

	SET_VARSIZE(pseudonym, VARHDRSZ + HASH_LEN);
	pseudonym_of(identity, len, (uint8 *) VARDATA(pseudonym));
	values[0] = CStringGetTextDatum(member);
	values[1] = PointerGetDatum(pseudonym);
	load->head = 0;
	latest_query(&plan, CURSOR_OPT_GENERIC_PLAN,
				 "SELECT "
			GRANT_COLUMNS " FROM medchain.active_grant g WHERE g.grantee = $1 AND g.subject = $2",
				 2, types, values, grant_load_row_of_one, load);
	if (load->glasses)
		latest_query(&glasses, CURSOR_OPT_GENERIC_PLAN,
					 "SELECT " GLASS_COLUMNS " FROM medchain.active_break_glass g "
					 "WHERE g.grantee = $1 AND g.subject = $2",
					 2, types, values, grant_load_row_of_one, load);
	pfree(DatumGetPointer(values[0]));
	pfree(pseudonym);
	return load->head;
}
