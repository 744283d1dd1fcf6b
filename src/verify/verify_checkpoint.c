/*
 * verify_checkpoint.c: checkpoints of others, and our own memory in medchain.verified.
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "core/encode.h"
#include "core/keycache.h"
#include "ledger/chain.h"
#include "ledger/chain_advance.h"
#include "ledger/chain_terms.h"
#include "ledger/local_node.h"
#include "node/shown.h"
#include "node/trusted.h"
#include "verify/verify_checkpoint.h"

static Checkpoint *
checkpoint_read(const char *text, const LocalNode *node)
{
	Checkpoint *checkpoint = palloc0(sizeof(Checkpoint));
	size_t		prefix = strlen(node->alliance);
	size_t		textlen;
	CoreError	error = {0};

	checkpoint->note = text;

	if (!note_parse_block(text, strlen(text), &checkpoint->block, &error) ||
		!note_text_length(text, strlen(text), &textlen, &error))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid checkpoint: %s", error.message),
				 errhint("A checkpoint is what medchain.checkpoint() returns.")));
	if (strncmp(checkpoint->block.name, node->alliance, prefix) != 0 ||
		checkpoint->block.name[prefix] != '/')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("checkpoint of \"%s\" is not of the alliance \"%s\"",
						shown(checkpoint->block.name), node->alliance)));
	checkpoint->origin = pstrdup(checkpoint->block.name + prefix + 1);
	if (!hash_sha256(text, textlen, checkpoint->hash))
		elog(ERROR, "could not compute SHA-256");
	return checkpoint;
}

List *
checkpoint_parse(ArrayType *notes, const LocalNode *node, const char *only)
{
	Datum	   *elements;
	bool	   *nulls;
	int			count;
	List	   *checkpoints = NIL;

	deconstruct_array(notes, TEXTOID, -1, false, TYPALIGN_INT, &elements, &nulls, &count);
	for (int i = 0; i < count; i++)
	{
		Checkpoint *checkpoint;

		if (nulls[i])
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("a checkpoint must not be null")));
		checkpoint = checkpoint_read(TextDatumGetCString(elements[i]), node);
		if (only != NULL && strcmp(checkpoint->origin, only) != 0)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("checkpoint of \"%s\" says nothing about \"%s\"",
							shown(checkpoint->origin), shown(only)),
					 errhint("Leave out the origin to verify every chain.")));
		checkpoints = lappend(checkpoints, checkpoint);
	}
	return checkpoints;
}

Datum
checkpoint_origins(const List *checkpoints)
{
	Datum	   *names = palloc(sizeof(Datum) * (Size) Max(list_length(checkpoints), 1));
	int			count = 0;
	ListCell   *cell;

	foreach(cell, checkpoints)
		names[count++] = CStringGetTextDatum(((Checkpoint *) lfirst(cell))->origin);
	return PointerGetDatum(construct_array(names, count, TEXTOID, -1, false, TYPALIGN_INT));
}

/*
 * SHA-256 of the note's text of the block of this height; false if there is no such block, or no
 * note in it.
 */
static bool
checkpoint_block_hash(const char *origin, int64 height, uint8_t hash[HASH_LEN])
{
	static SPIPlanPtr plan = NULL;
	Oid			types[2] = {TEXTOID, INT8OID};
	Datum		values[2] = {CStringGetTextDatum(origin), Int64GetDatum(height)};
	bool		found = false;

	trusted_read(&plan, "SELECT note FROM medchain.block WHERE origin = $1 AND height = $2", 2,
				 types, values);
	if (SPI_processed > 0)
	{
		char	   *note = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
		size_t		textlen;

		found = note != NULL && note_text_length(note, strlen(note), &textlen, NULL) &&
			hash_sha256(note, textlen, hash);
	}
	SPI_freetuptable(SPI_tuptable);
	return found;
}

/* The number that a query about blocks has found, as its first column; -1: none. */
static int64
checkpoint_number(void)
{
	int64		number = -1;
	bool		isnull;

	if (SPI_processed > 0)
		number = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1,
											 &isnull));
	SPI_freetuptable(SPI_tuptable);
	return number;
}

/* Entries up to and with the block of this height; -1: there is no such block. */
static int64
checkpoint_block_size(const char *origin, int64 height)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[2] = {TEXTOID, INT8OID};
	Datum		values[2] = {CStringGetTextDatum(origin), Int64GetDatum(height)};

	trusted_read(&plan, "SELECT size FROM medchain.block WHERE origin = $1 AND height = $2", 2,
				 types, values);
	return checkpoint_number();
}

int64
checkpoint_newest_height(const char *origin)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[1] = {TEXTOID};
	Datum		values[1] = {CStringGetTextDatum(origin)};

	trusted_read(&plan, "SELECT height FROM medchain.block WHERE origin = $1 ORDER BY height DESC "
				 "LIMIT 1", 1, types, values);
	return checkpoint_number();
}

/* Is the block with this hash in the chain, at this height?  source: whose word it is. */
static void
checkpoint_look(VerifyJob *job, int number, const char *origin, int64 height,
				const uint8_t hash[HASH_LEN],
				const char *source)
{
	int64		newest = checkpoint_newest_height(origin);
	uint8_t		found[HASH_LEN];
	char		expected_hex[ENCODE_HEX_SIZE(HASH_LEN)];
	char		found_hex[ENCODE_HEX_SIZE(HASH_LEN)];

	if (newest < 0)
		verify_job_report(job, number, 0, PG_INT64_MAX, "cut off",
						  "%s has block %lld; here there is none",
						  source, (long long) height);
	else if (height > newest)
		verify_job_report(job, number, newest + 1, PG_INT64_MAX, "cut off",
						  "%s has block %lld; here the last block is %lld",
						  source, (long long) height, (long long) newest);
	else if (!checkpoint_block_hash(origin, height, found))
		verify_job_report(job, number, height, PG_INT64_MAX, "rewritten",
						  "%s has block %lld; here it is missing",
						  source, (long long) height);
	else if (!hash_equal(found, hash))
	{
		encode_hex(hash, HASH_LEN, expected_hex);
		encode_hex(found, HASH_LEN, found_hex);
		verify_job_report(job, number, height, PG_INT64_MAX, "rewritten",
						  "block %lld: %s has %s, here it is %s",
						  (long long) height, source, expected_hex, found_hex);
	}
}

void
checkpoint_compare(VerifyJob *job, int number, const VerifyChain *chain, const List *checkpoints)
{
	CoreError	error = {0};
	ListCell   *cell;

	foreach(cell, checkpoints)
	{
		const Checkpoint *checkpoint = lfirst(cell);
		const ChainKey *chosen;
		const Key  *key;

		if (strcmp(checkpoint->origin, chain->origin) != 0)
			continue;
		chosen = chain_terms_key(&chain->terms, (int64) checkpoint->block.height);
		key = chosen ? keycache_get(chosen->pem, strlen(chosen->pem), &error) : NULL;
		if (key != NULL &&
			note_verify(checkpoint->note, strlen(checkpoint->note), checkpoint->block.name, key,
						&error) != KEY_VALID)
			verify_job_report(job, number, (int64) checkpoint->block.height, PG_INT64_MAX,
							  "bad checkpoint",
							  "checkpoint of block %llu has no valid signature by the key that "
							  "\"%s\" has here",
							  (unsigned long long) checkpoint->block.height, chain->origin);
		checkpoint_look(job, number, chain->origin, (int64) checkpoint->block.height,
						checkpoint->hash, "the checkpoint");
	}
}

/*
 * The row of medchain.verified: height, and if wanted hash and size; -1 if there is none, or only
 * one of a block that was taken back while somebody was about to remember it.
 */
static int64
checkpoint_memory(const char *origin, uint8_t *hash, int64 *size)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[1] = {TEXTOID};
	Datum		values[1] = {CStringGetTextDatum(origin)};
	int64		height = -1;
	bool		isnull;

	trusted_read(&plan, "SELECT v.height, v.hash, v.size FROM medchain.verified v "
				 "WHERE v.origin = $1 AND NOT EXISTS (SELECT FROM medchain.quarantine q "
				 "WHERE q.origin = v.origin AND q.height = v.height "
				 "AND q.reason IN ('" CHAIN_TAKEN_BACK "', '" CHAIN_NOT_CHOSEN "') AND v.hash = "
				 "sha256(convert_to(substr(q.note, 1, position(E'\\n\\n' IN q.note)), 'UTF8')))",
				 1, types, values);
	if (SPI_processed > 0)
	{
		bytea	   *stored = DatumGetByteaPP(SPI_getbinval(SPI_tuptable->vals[0],
														   SPI_tuptable->tupdesc, 2, &isnull));

		height = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1,
											 &isnull));
		if (hash != NULL)
			memcpy(hash, VARDATA_ANY(stored), HASH_LEN);
		if (size != NULL)
			*size = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 3,
												&isnull));
	}
	SPI_freetuptable(SPI_tuptable);
	return height;
}

int64
checkpoint_remembered_height(const char *origin)
{
	return checkpoint_memory(origin, NULL, NULL);
}

void
checkpoint_compare_remembered(VerifyJob *job, int number, const VerifyChain *chain)
{
	uint8_t		hash[HASH_LEN];
	int64		size = 0;
	int64		height = checkpoint_memory(chain->origin, hash, &size);
	int64		found;

	if (height < 0)
		return;
	checkpoint_look(job, number, chain->origin, height, hash,
					"the chain as it was verified before");
	found = checkpoint_block_size(chain->origin, height);
	if (found >= 0 && found != size)
		verify_job_report(job, number, height, PG_INT64_MAX, "rewritten",
						  "block %lld: the chain as it was verified before has %lld entries up to "
						  "it, here there are %lld", (long long) height, (long long) size,
						  (long long) found);
}

void
checkpoint_compare_named(VerifyJob *job, int number, const VerifyChain *chain)
{
	int64		newest = checkpoint_newest_height(chain->origin);
	ListCell   *cell;

	if (chain->terms.last_named && chain->terms.last_height <= newest)
		checkpoint_look(job, number, chain->origin, chain->terms.last_height,
						chain->terms.last_hash, "the data centre's entry");
	foreach(cell, chain->terms.keys)
	{
		const ChainKey *key = lfirst(cell);

		if (key->named && key->from_height <= newest)
			checkpoint_look(job, number, chain->origin, key->from_height - 1, key->follows,
							"the data centre's entry");
	}
}

/*
 * Only what joins on to what was verified before counts; and nothing waits: another session that is
 * about to remember the same has its reason to.
 */
void
checkpoint_remember(const VerifyChain *chain, const ChainCheck *end)
{
	static SPIPlanPtr look = NULL;
	static SPIPlanPtr update = NULL;
	static SPIPlanPtr insert = NULL;
	int64		known = checkpoint_remembered_height(chain->origin);
	Oid			types[5] = {TEXTOID, INT8OID, INT8OID, BYTEAOID, BOOLOID};
	Datum		values[5] = {
		CStringGetTextDatum(chain->origin), Int64GetDatum(end->height),
		Int64GetDatum((int64) end->range.size), trusted_bytea(end->head, HASH_LEN),
		BoolGetDatum(known < 0)
	};

	if (chain->terms.keys == NIL || end->height < 0 || RecoveryInProgress() || XactReadOnly ||
		IsolationUsesXactSnapshot() || chain->start.height > known)
		return;
	trusted_execute(&look, "SELECT FROM medchain.verified WHERE origin = $1 FOR UPDATE SKIP LOCKED",
					1, types, values, NULL, false);
	if (SPI_processed > 0)
		trusted_execute(&update, "UPDATE medchain.verified SET height = $2, size = $3, hash = $4, "
						"verified = clock_timestamp() "
						"WHERE origin = $1 AND (height <= $2 OR $5)", 5, types, values, NULL,
						false);
	else
		trusted_execute(&insert, "INSERT INTO medchain.verified (origin, height, size, hash, "
						"verified) "
						"SELECT $1, $2, $3, $4, clock_timestamp() WHERE NOT EXISTS (SELECT FROM "
						"medchain.verified WHERE origin = $1) "
						"ON CONFLICT DO NOTHING", 4, types, values, NULL, false);
}
