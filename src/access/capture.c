/*
 * capture.c: every insert, update and delete of a protected row goes on the ledger.
 *
 * The trigger is AFTER ROW and ENABLE ALWAYS, on the protected table and, cloned by
 * PostgreSQL, on its partitions.  It writes the entry with the new salted
 * commitment, and keeps the salt in medchain.row_commitment.  The row's own
 * lock orders the entries of one row as its versions are ordered.
 */
#include "postgres.h"

#include "catalog/partition.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/rel.h"

#include "access/commitment.h"
#include "core/encode.h"
#include "ledger/append.h"
#include "ledger/chain.h"
#include "ledger/pseudonym.h"
#include "ledger/trusted.h"

/* One version of a row, as the ledger sees it. */
typedef struct CapturedRow
{
	char	   *canonical;
	char	   *key_text;
	uint8_t		id[HASH_LEN];
	char	   *identity;		/* of the subject; NULL if the row is about nobody */
	uint8_t		pseudonym[HASH_LEN];
} CapturedRow;

typedef struct Capture
{
	Oid			relation;		/* the protected table, also where the row is in a partition of it */
	const char *name;			/* of the table when it was protected: what the ledger calls it */
	const char *subject_column;
	TupleDesc	desc;
} Capture;

static void
capture_row(const Capture *capture, const Bitmapset *key, HeapTuple row, CapturedRow *out)
{
	int			subject = SPI_fnumber(capture->desc, capture->subject_column);

	if (subject <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("column \"%s\" of protected table \"%s\" is gone", capture->subject_column, capture->name),
				 errhint("Call medchain.unprotect() and medchain.protect() again.")));
	out->canonical = commitment_canonical(capture->desc, row, NULL);
	out->key_text = commitment_key_text(capture->desc, row, key);
	commitment_row_id(capture->name, commitment_canonical(capture->desc, row, key), out->id);
	out->identity = SPI_getvalue(row, capture->desc, subject);
	if (out->identity != NULL)
		pseudonym_of(out->identity, strlen(out->identity), out->pseudonym);
}

static void
capture_remember_identity(const CapturedRow *row)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[2] = {BYTEAOID, TEXTOID};
	Datum		values[2];

	if (row->identity == NULL)
		return;
	values[0] = chain_bytea(row->pseudonym, HASH_LEN);
	values[1] = CStringGetTextDatum(row->identity);
	trusted_execute(&plan, "INSERT INTO medchain.subject_identity (pseudonym, identity) VALUES ($1, $2) "
					"ON CONFLICT (pseudonym) DO NOTHING", 2, types, values, NULL, false);
}

/* Take the old commitment away; its hex, or NULL if the row was unknown. */
static char *
capture_remove(const Capture *capture, const CapturedRow *row)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[2] = {OIDOID, BYTEAOID};
	Datum		values[2];

	values[0] = ObjectIdGetDatum(capture->relation);
	values[1] = chain_bytea(row->id, HASH_LEN);
	trusted_execute(&plan, "DELETE FROM medchain.row_commitment WHERE relation = $1 AND row_id = $2 "
					"RETURNING encode(commitment, 'hex')", 2, types, values, NULL, false);
	return SPI_processed > 0 ? SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1) : NULL;
}

static void
capture_store(const Capture *capture, const CapturedRow *row, uint8_t commitment[HASH_LEN])
{
	static SPIPlanPtr plan = NULL;
	Oid			types[5] = {OIDOID, BYTEAOID, TEXTOID, BYTEAOID, BYTEAOID};
	Datum		values[5];
	uint8_t		salt[COMMITMENT_SALT_LEN];

	if (!pg_strong_random(salt, sizeof(salt)))
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not generate random values")));
	commitment_compute(salt, row->canonical, commitment);
	values[0] = ObjectIdGetDatum(capture->relation);
	values[1] = chain_bytea(row->id, HASH_LEN);
	values[2] = CStringGetTextDatum(row->key_text);
	values[3] = chain_bytea(salt, sizeof(salt));
	values[4] = chain_bytea(commitment, HASH_LEN);
	trusted_execute(&plan, "INSERT INTO medchain.row_commitment (relation, row_id, row_key, salt, commitment) "
					"VALUES ($1, $2, $3, $4, $5) ON CONFLICT (relation, row_id) DO UPDATE "
					"SET salt = EXCLUDED.salt, commitment = EXCLUDED.commitment", 5, types, values, NULL, false);
}

static void
capture_append(const Capture *capture, const char *kind, const CapturedRow *row, const uint8_t *commitment,
			   const char *previous)
{
	StringInfoData body;
	char		hex[ENCODE_HEX_SIZE(HASH_LEN)];
	pg_uuid_t	id;

	initStringInfo(&body);
	appendStringInfoString(&body, "{\"relation\":");
	escape_json(&body, capture->name);
	encode_hex(row->id, HASH_LEN, hex);
	appendStringInfo(&body, ",\"row\":\"%s\"", hex);
	if (commitment != NULL)
	{
		encode_hex(commitment, HASH_LEN, hex);
		appendStringInfo(&body, ",\"commitment\":\"%s\"", hex);
	}
	if (previous != NULL)
		appendStringInfo(&body, ",\"previous\":\"%s\"", previous);
	appendStringInfoChar(&body, '}');
	append_entry(kind, body.data, row->identity ? row->pseudonym : NULL, false, &id);
}

PG_FUNCTION_INFO_V1(medchain_capture);

/* Trigger arguments: name of the table on the ledger, subject column, columns of the primary key. */
Datum
medchain_capture(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	Capture		capture;
	CapturedRow old_row = {0};
	CapturedRow new_row = {0};
	bool		has_old;
	bool		has_new;
	uint8_t		commitment[HASH_LEN];
	char	   *previous = NULL;
	TrustedScope scope;
	Bitmapset  *key;

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_AFTER(trigger->tg_event) || !TRIGGER_FIRED_FOR_ROW(trigger->tg_event))
		elog(ERROR, "medchain_capture: not called as an AFTER ROW trigger");
	has_old = !TRIGGER_FIRED_BY_INSERT(trigger->tg_event);
	has_new = !TRIGGER_FIRED_BY_DELETE(trigger->tg_event);

	trusted_begin(&scope);
	commitment_fix_settings();
	capture.subject_column = trigger->tg_trigger->tgargs[1];
	capture.desc = RelationGetDescr(trigger->tg_relation);
	capture.name = trigger->tg_trigger->tgargs[0];
	capture.relation = RelationGetRelid(trigger->tg_relation);
	if (trigger->tg_relation->rd_rel->relispartition)
		capture.relation = llast_oid(get_partition_ancestors(capture.relation));
	key = commitment_columns(capture.desc, capture.name, trigger->tg_trigger->tgargs + 2, trigger->tg_trigger->tgnargs - 2);

	if (has_old)
	{
		capture_row(&capture, key, trigger->tg_trigtuple, &old_row);
		previous = capture_remove(&capture, &old_row);
	}
	if (has_new)
	{
		capture_row(&capture, key, has_old ? trigger->tg_newtuple : trigger->tg_trigtuple, &new_row);
		capture_remember_identity(&new_row);
		capture_store(&capture, &new_row, commitment);
	}

	/* an update that moves a row to another key, or another subject, ends one history and starts another */
	if (has_old && has_new && memcmp(old_row.id, new_row.id, HASH_LEN) == 0 &&
		(old_row.identity == NULL) == (new_row.identity == NULL) &&
		(old_row.identity == NULL || memcmp(old_row.pseudonym, new_row.pseudonym, HASH_LEN) == 0))
		capture_append(&capture, "row.update", &new_row, commitment, previous);
	else
	{
		if (has_old)
			capture_append(&capture, "row.delete", &old_row, NULL, previous);
		if (has_new)
			capture_append(&capture, "row.insert", &new_row, commitment, NULL);
	}
	trusted_end(&scope);
	return PointerGetDatum(NULL);
}
