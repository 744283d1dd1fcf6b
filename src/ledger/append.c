/*
 * append.c: put an entry on this node's chain, and wait for it where asked to.
 *
 * Nothing here is shared between sessions but a flag: the leaf hash is
 * computed in the inserting session, order and tree are the sealer's business.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "ledger/append.h"
#include "ledger/chain.h"
#include "ledger/hooks.h"
#include "ledger/payload.h"
#include "ledger/pseudonym.h"
#include "ledger/settings.h"
#include "ledger/shared.h"
#include "ledger/trusted.h"

#define APPEND_WAIT_SLICE 100	/* milliseconds between looks at cancel requests */

LedgerHooks ledger_hooks;

static bool appending = false;	/* append_entry() is at work: it made the payload itself */
static bool appended = false;	/* in this transaction */
static bool wait_at_commit = false;
static bool callback_registered = false;

/*
 * After our commit is visible: wait until the sealer has served our ticket.
 *
 * Locks are still held, interrupts are held off, and an error would be a PANIC, just as in
 * SyncRepWaitForLSN(): cancel and shutdown requests end the wait with a warning.
 */
static void
append_wait(SharedDatabase *slot, uint64 ticket)
{
	TimestampTz start = GetCurrentTimestamp();
	const char *problem = NULL;

	ConditionVariablePrepareToSleep(&slot->changed);
	while (pg_atomic_read_u64(&slot->sealed) < ticket)
	{
		if (ProcDiePending || QueryCancelPending)
		{
			problem = "the wait was canceled";
			if (QueryCancelPending)
				QueryCancelPending = false;
			break;
		}
		if (setting_seal_timeout > 0 &&
			TimestampDifferenceExceeds(start, GetCurrentTimestamp(), setting_seal_timeout))
		{
			problem = "medchain.seal_timeout has passed";
			break;
		}
		ConditionVariableTimedSleep(&slot->changed, APPEND_WAIT_SLICE, PG_WAIT_EXTENSION);
	}
	ConditionVariableCancelSleep();

	if (problem)
	{
		char		error[SHARED_ERROR_LEN];

		LWLockAcquire(shared_state->lock, LW_SHARED);
		strlcpy(error, slot->error, sizeof(error));
		LWLockRelease(shared_state->lock);
		ereport(WARNING,
				(errmsg("transaction is committed, but its ledger entries are not sealed yet: %s", problem),
				 error[0] ? errdetail("The sealer reports: %s", error) : 0,
				 errhint("The entries are sealed as soon as the sealer runs; see medchain.stat.")));
	}
}

static void
append_xact_callback(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_COMMIT:
			if (appended)
			{
				SharedDatabase *slot = shared_database();
				uint64		ticket = 0;

				if (wait_at_commit)
					ticket = pg_atomic_add_fetch_u64(&slot->tickets, 1);

				/* Only the first one after a round has to wake the sealer. */
				if (pg_atomic_exchange_u32(&slot->dirty, 1) == 0 || wait_at_commit)
					shared_wake(slot, WORKER_SEALER);
				if (wait_at_commit)
				{
					appended = wait_at_commit = false;
					append_wait(slot, ticket);
				}
			}
			appended = wait_at_commit = false;
			break;
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PREPARE:
			appended = wait_at_commit = false;
			break;
		default:
			break;
	}
}

/* A random (version 4) UUID, as gen_random_uuid() makes it. */
static void
append_make_id(pg_uuid_t *id)
{
	if (!pg_strong_random(id->data, UUID_LEN))
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not generate random values")));
	id->data[6] = (id->data[6] & 0x0f) | 0x40;
	id->data[8] = (id->data[8] & 0x3f) | 0x80;
}

void
append_entry(const char *kind, const char *body, const uint8_t *subject, bool wait, pg_uuid_t *id)
{
	static SPIPlanPtr plan = NULL;
	TrustedScope scope;
	LocalNode	node;
	char	   *member;
	char	   *payload;
	Datum		values[1];
	Oid			types[1] = {TEXTOID};

	shared_require();
	member = ledger_hooks.current_member();
	append_make_id(id);

	trusted_begin(&scope);
	if (!chain_local_node(&node))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("this database is not a node of an alliance"),
				 errhint("Call medchain.found_alliance() or medchain.join_alliance() first.")));
	payload = payload_build(kind, node.node, id, GetCurrentTimestamp(), member ? member : node.node,
							GetUserNameFromId(GetAuthenticatedUserId(), false), subject, body);
	values[0] = CStringGetTextDatum(payload);
	appending = true;
	PG_TRY();
	{
		trusted_execute(&plan, "INSERT INTO medchain.pending (payload) VALUES ($1)", 1, types, values, NULL, false);
	}
	PG_FINALLY();
	{
		appending = false;
	}
	PG_END_TRY();
	trusted_end(&scope);

	if (wait || setting_wait_for_seal)
		wait_at_commit = true;
}

/*
 * A row that somebody inserted by hand, or a restore: an entry of another origin would make a block that
 * no peer accepts, and so the end of this chain.
 */
static void
append_check_origin(const char *origin)
{
	TrustedScope scope;
	LocalNode	node;

	trusted_begin(&scope);
	if (chain_local_node(&node) && strcmp(node.node, origin) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_CHECK_VIOLATION),
				 errmsg("an entry of \"%s\" cannot go on the chain of \"%s\"", origin, node.node),
				 errhint("Use medchain.append().")));
	trusted_end(&scope);
}

PG_FUNCTION_INFO_V1(medchain_pending_leaf);

/*
 * BEFORE INSERT on medchain.pending: hash the payload, and derive every other column from it, so that the
 * index cannot disagree with what is hashed.
 */
Datum
medchain_pending_leaf(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	TupleDesc	desc;
	int			columns[7];
	Datum		values[7];
	bool		nulls[7] = {false};
	Datum		payload;
	bool		isnull;
	char	   *json;
	PayloadFields fields;
	const char *reason;
	bytea	   *leaf;
	bytea	   *subject;

	if (!CALLED_AS_TRIGGER(fcinfo))
		elog(ERROR, "medchain_pending_leaf: not called as a trigger");
	desc = RelationGetDescr(trigger->tg_relation);

	/* an entry that is never sealed would be worse than an error */
	shared_require();

	payload = heap_getattr(trigger->tg_trigtuple, SPI_fnumber(desc, "payload"), desc, &isnull);
	if (isnull)
		ereport(ERROR,
				(errcode(ERRCODE_NOT_NULL_VIOLATION),
				 errmsg("an entry needs a payload")));
	json = TextDatumGetCString(payload);
	if (!payload_parse(json, strlen(json), &fields, &reason))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
				 errmsg("invalid entry: %s", reason)));
	if (!appending)
		append_check_origin(fields.origin);

	leaf = palloc(VARHDRSZ + HASH_LEN);
	SET_VARSIZE(leaf, VARHDRSZ + HASH_LEN);
	if (!hash_leaf(json, strlen(json), (uint8_t *) VARDATA(leaf)))
		elog(ERROR, "could not compute SHA-256");
	subject = palloc(VARHDRSZ + HASH_LEN);
	SET_VARSIZE(subject, VARHDRSZ + HASH_LEN);
	memcpy(VARDATA(subject), fields.subject, HASH_LEN);

	columns[0] = SPI_fnumber(desc, "id");
	values[0] = UUIDPGetDatum(&fields.id);
	columns[1] = SPI_fnumber(desc, "kind");
	values[1] = CStringGetTextDatum(fields.kind);
	columns[2] = SPI_fnumber(desc, "time");
	values[2] = TimestampTzGetDatum(fields.time);
	columns[3] = SPI_fnumber(desc, "actor");
	values[3] = CStringGetTextDatum(fields.actor);
	columns[4] = SPI_fnumber(desc, "subject");
	values[4] = PointerGetDatum(subject);
	nulls[4] = !fields.has_subject;
	columns[5] = SPI_fnumber(desc, "leaf_hash");
	values[5] = PointerGetDatum(leaf);

	if (!callback_registered)
	{
		RegisterXactCallback(append_xact_callback, NULL);
		callback_registered = true;
	}
	appended = true;

	return PointerGetDatum(heap_modify_tuple_by_cols(trigger->tg_trigtuple, desc, 6, columns, values, nulls));
}

/* Wait, as an ordinary interruptible statement, for everything committed before now. */
static void
append_seal(SharedDatabase *slot)
{
	uint64		ticket = pg_atomic_add_fetch_u64(&slot->tickets, 1);

	shared_wake(slot, WORKER_SEALER);
	ConditionVariablePrepareToSleep(&slot->changed);
	while (pg_atomic_read_u64(&slot->sealed) < ticket)
	{
		char		error[SHARED_ERROR_LEN] = "";

		LWLockAcquire(shared_state->lock, LW_SHARED);
		if (slot->state == SEALER_FAILED)
			strlcpy(error, slot->error, sizeof(error));
		LWLockRelease(shared_state->lock);
		if (error[0])
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("the sealer cannot seal"),
					 errdetail("%s", error),
					 errhint("Nothing is lost: entries stay in medchain.pending until the sealer can go on.")));
		ConditionVariableSleep(&slot->changed, PG_WAIT_EXTENSION);
	}
	ConditionVariableCancelSleep();
}

PG_FUNCTION_INFO_V1(medchain_seal);

Datum
medchain_seal(PG_FUNCTION_ARGS)
{
	TrustedScope scope;
	LocalNode	node;
	bool		is_node;

	shared_require();
	trusted_begin(&scope);
	is_node = chain_local_node(&node);
	trusted_end(&scope);
	if (!is_node)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("this database is not a node of an alliance"),
				 errhint("Call medchain.found_alliance() or medchain.join_alliance() first.")));
	append_seal(shared_database());
	PG_RETURN_VOID();
}

PG_FUNCTION_INFO_V1(medchain_append);

/*
 * append_raw(kind text, body json, subject bytea, wait boolean) -> uuid: the SQL functions append() and
 * append_governance() check who may say what; this only writes.
 */
Datum
medchain_append(PG_FUNCTION_ARGS)
{
	char	   *kind;
	char	   *body;
	const uint8_t *subject = NULL;
	pg_uuid_t  *id = palloc(sizeof(pg_uuid_t));

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1) || PG_ARGISNULL(3))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("kind and payload must not be null")));
	kind = text_to_cstring(PG_GETARG_TEXT_PP(0));
	body = text_to_cstring(PG_GETARG_TEXT_PP(1));
	if (!PG_ARGISNULL(2))
	{
		bytea	   *pseudonym = PG_GETARG_BYTEA_PP(2);

		if (VARSIZE_ANY_EXHDR(pseudonym) != HASH_LEN)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("a pseudonym has %d bytes", HASH_LEN)));
		subject = (const uint8_t *) VARDATA_ANY(pseudonym);
	}
	append_entry(kind, body, subject, PG_GETARG_BOOL(3), id);
	PG_RETURN_UUID_P(id);
}
