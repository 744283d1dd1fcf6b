/*
 * cosign.c: cosignatures of the heads of others' chains (C2SP tlog-cosignature), in entries of kind
 * witness on our own.
 *
 * The keeper says which chains have got something new, in which verified blocks; the sealer, which
 * alone has the key, looks now and then, and cosigns one of each.  So that members cosign the same
 * ones, that is the last one with something new that was sealed in an interval of the clock.
 * Entries of kind witness are nothing new, or members would witness each other for ever.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "core/cosignature.h"
#include "core/keycache.h"
#include "ledger/append.h"
#include "ledger/chain.h"
#include "ledger/chain_terms.h"
#include "ledger/cosign.h"
#include "ledger/local_node.h"
#include "ledger/payload.h"
#include "node/settings.h"
#include "node/trusted.h"
#include "node/worker.h"

#define COSIGN_MAX 100			/* heads at once */
#define COSIGN_GRACE 5			/* a block has a fifth of an interval to arrive everywhere */
#define COSIGN_OFF (24L * 3600 * 1000)	/* milliseconds between looks whether it still is */

void
cosign_note_block(CosignDue *due, int64 height, TimestampTz sealed)
{
	int64		interval = (int64) setting_witness_interval * 1000;
	TimestampTz closes;

	if (interval == 0)
		return;

	/* nor is anybody's clock in the way who seals in the future */
	sealed = Min(sealed, GetCurrentTimestamp());
	closes = sealed - sealed % interval + (sealed < 0 ? 0 : interval);
	if (due->height >= 0 && due->closes < closes)
		due->earlier = due->height;
	due->height = height;
	due->closes = closes;
}

void
cosign_due(const char *origin, const CosignDue *due)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[4] = {TEXTOID, INT8OID, TIMESTAMPTZOID, INT8OID};
	Datum		values[4] = {CStringGetTextDatum(origin), Int64GetDatum(due->height),
	TimestampTzGetDatum(due->closes), Int64GetDatum(due->earlier)};
	char		nulls[4] = {' ', ' ', ' ', due->earlier >= 0 ? ' ' : 'n'};

	if (due->height < 0)
		return;
	trusted_execute(&plan, "INSERT INTO medchain.witness_due AS d "
					"(origin, height, closes, earlier) VALUES ($1, $2, $3, $4) "
					"ON CONFLICT (origin) DO UPDATE SET "
					"earlier = CASE WHEN $4 IS NOT NULL THEN $4 WHEN d.closes < EXCLUDED.closes "
					"THEN d.height ELSE d.earlier END, "
					"height = EXCLUDED.height, closes = EXCLUDED.closes",
					4, types, values, nulls, false);
}

/* The note of that block; NULL if it is not one of the chain, or does not count. */
static char *
cosign_note(const LocalNode *node, const char *origin, int64 height, NoteBlock *block,
			uint8_t head[HASH_LEN])
{
	static SPIPlanPtr plan = NULL;
	MemoryContext context = CurrentMemoryContext;
	Oid			types[2] = {TEXTOID, INT8OID};
	Datum		values[2] = {CStringGetTextDatum(origin), Int64GetDatum(height)};
	ChainCheck	check;
	ChainTerms	terms;
	const ChainKey *chosen;
	const Key  *key;
	char	   *note = NULL;
	size_t		textlen;

	/* our own blocks come back from peers after a restore: that they verify proves nothing */
	if (strcmp(origin, node->node) == 0 ||
		!chain_read(node, origin, CHAIN_SNAPSHOT, &check) || check.height < height)
		return NULL;
	chain_terms(node, origin, &terms);
	chosen = chain_terms_key(&terms, height);
	key = chosen != NULL ? keycache_get(chosen->pem, strlen(chosen->pem), NULL) : NULL;
	if (key == NULL || height > terms.last_height)
		return NULL;
	trusted_execute(&plan, "SELECT note FROM medchain.block WHERE origin = $1 AND height = $2",
					2, types, values, NULL, false);
	if (SPI_processed > 0)
		note = MemoryContextStrdup(context, SPI_getvalue(SPI_tuptable->vals[0],
														 SPI_tuptable->tupdesc, 1));
	SPI_freetuptable(SPI_tuptable);

	/* whoever can write to our tables must not have us cosign what its author did not sign */
	if (note == NULL || !note_parse_block(note, strlen(note), block, NULL) ||
		strcmp(block->name, check.name) != 0 || block->height != (uint64) height ||
		block->size > check.range.size || !note_text_length(note, strlen(note), &textlen, NULL) ||
		!hash_sha256(note, textlen, head) ||
		note_verify(note, strlen(note), check.name, key, NULL) != KEY_VALID)
		return NULL;
	return note;
}

static void
cosign_head(const LocalNode *node, const Key *key, const char *origin, int64 height)
{
	NoteBlock	block;
	uint8_t		head[HASH_LEN];
	char		name[NOTE_NAME_MAX + 1];
	char		line[COSIGNATURE_LINE_MAX];
	size_t		textlen;
	size_t		len = 0;
	TimestampTz now = GetCurrentTimestamp();
	CoreError	error = {0};
	StringInfoData body;
	char	   *note = cosign_note(node, origin, height, &block, head);

	if (note == NULL)
		return;
	initStringInfo(&body);
	appendStringInfoString(&body, "{\"chain\":");
	escape_json(&body, origin);
	appendStringInfo(&body, ",\"entries\":%llu,\"height\":%llu", (unsigned long long) block.size,
					 (unsigned long long) block.height);
	payload_add_hash(&body, "hash", head);

	/* with another kind of key this is a member's word on its chain, and none for outsiders */
	if (key_algorithm(key) == KEY_ED25519)
	{
		chain_name(node, node->node, name);
		(void) note_text_length(note, strlen(note), &textlen, NULL);
		len = cosignature_make(note, textlen, name, key, (int64) timestamptz_to_time_t(now), line,
							   &error);
		if (len == 0)
			ereport(ERROR,
					(errcode(ERRCODE_EXTERNAL_ROUTINE_EXCEPTION),
					 errmsg("could not cosign block %llu of \"%s\": %s",
							(unsigned long long) block.height, origin, error.message)));
		line[len - 1] = '\0';	/* without its newline */
		appendStringInfoString(&body, ",\"cosignature\":");
		escape_json(&body, line);
	}
	appendStringInfoChar(&body, '}');
	append_own_entry("witness", body.data, NULL, NULL);
}

/* Is ours the key of our own chain?  Nobody would know another one. */
static bool
cosign_may(const LocalNode *node, const Key *key)
{
	ChainCheck	check;
	ChainTerms	terms;
	const ChainKey *chosen;
	const Key  *own;

	if (!chain_read(node, node->node, CHAIN_SNAPSHOT, &check))
		return false;
	chain_terms(node, node->node, &terms);
	chosen = chain_terms_key(&terms, check.height + 1);
	own = chosen != NULL ? keycache_get(chosen->pem, strlen(chosen->pem), NULL) : NULL;
	return own != NULL && key_same(own, key) && check.height < terms.last_height;
}

/*
 * Those first that have waited longest, and none that the keeper is at: sealing does not wait for
 * it.  Returns their number.
 */
static int
cosign_heads(const Key *key)
{
	static SPIPlanPtr read = NULL;
	static SPIPlanPtr remove = NULL;
	static SPIPlanPtr keep = NULL;
	Oid			types[1] = {TIMESTAMPTZOID};
	Datum		values[1];
	int64		interval;
	LocalNode	node;
	SPITupleTable *due;
	uint64		count;

	if (!local_node_read(&node) || !node.at_home || !cosign_may(&node, key))
		return 0;
	interval = (int64) setting_witness_interval * 1000;
	values[0] = TimestampTzGetDatum(GetCurrentTimestamp() - interval / COSIGN_GRACE);
	trusted_execute(&read, "SELECT origin, CASE WHEN closes <= $1 THEN height ELSE earlier END, "
					"closes <= $1 FROM medchain.witness_due WHERE closes <= $1 OR earlier IS NOT "
					"NULL ORDER BY closes, origin COLLATE \"C\" LIMIT "
					CppAsString2(COSIGN_MAX) " FOR UPDATE SKIP LOCKED",
					1, types, values, NULL, false);
	due = SPI_tuptable;
	count = SPI_processed;
	for (uint64 i = 0; i < count; i++)
	{
		HeapTuple	row = due->vals[i];
		char	   *origin = SPI_getvalue(row, due->tupdesc, 1);
		Datum		who[1] = {CStringGetTextDatum(origin)};
		Oid			by_name[1] = {TEXTOID};
		bool		isnull;
		int64		height = DatumGetInt64(SPI_getbinval(row, due->tupdesc, 2, &isnull));

		if (DatumGetBool(SPI_getbinval(row, due->tupdesc, 3, &isnull)))
			trusted_execute(&remove, "DELETE FROM medchain.witness_due WHERE origin = $1",
							1, by_name, who, NULL, false);
		else
			trusted_execute(&keep, "UPDATE medchain.witness_due SET earlier = NULL WHERE origin "
							"= $1", 1, by_name, who, NULL, false);
		cosign_head(&node, key, origin, height);
	}
	SPI_freetuptable(due);
	return (int) count;
}

/* What fails here must not keep the sealer from sealing. */
static int
cosign_try(SharedDatabase *slot, const Key *key)
{
	static LastComplaint complaint = {0};
	MemoryContext caller = CurrentMemoryContext;
	volatile int count = 0;

	PG_TRY();
	{
		TrustedScope scope;

		worker_begin(slot, "cosigning the chains of others");
		trusted_begin(&scope);
		count = cosign_heads(key);
		trusted_end(&scope);
		worker_commit();
	}
	PG_CATCH();
	{
		(void) worker_recover(caller, &complaint, "cosigning the chains of others");
		count = 0;
	}
	PG_END_TRY();
	MemoryContextSwitchTo(caller);
	return count;
}

long
cosign_round(SharedDatabase *slot, const Key *key)
{
	static TimestampTz last = 0;
	static int64 pause = 0;		/* intervals of a tenth of the setting */
	int64		interval = setting_witness_interval;
	TimestampTz now = GetCurrentTimestamp();
	TimestampTz next = last + Max(pause, 10) * interval / 10 * 1000;

	if (interval == 0)
		return COSIGN_OFF;
	if (last > now)
		last = now;				/* the clock was put back */
	if (now < next)
		return (long) Max((next - now) / 1000, 1);

	/* the more there is to cosign, the longer until the next time: what it costs has a bound */
	pause = cosign_try(slot, key);
	last = now;
	return (long) (Max(pause, 10) * interval / 10);
}
