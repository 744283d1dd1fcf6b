/*
 * chain.c: the verified frontier of each chain: reading and writing it, and what can be said
 * against a block.
 *
 * Moving it forward is in chain_advance.c.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "core/keycache.h"
#include "ledger/chain.h"
#include "ledger/home.h"
#include "ledger/hooks.h"
#include "node/trusted.h"

bool		chain_writing = false;

/* Copy a column of the current result out of SPI's memory; NULL for SQL null. */
static char *
chain_column(int row, int column, MemoryContext context)
{
	char	   *value = SPI_getvalue(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column);

	return value ? MemoryContextStrdup(context, value) : NULL;
}

bool
chain_local_node(LocalNode *node)
{
	static SPIPlanPtr plan = NULL;
	MemoryContext context = CurrentMemoryContext;
	bool		isnull;
	Datum		genesis;
	char	   *home;

	trusted_execute(&plan,
					"SELECT alliance, node, data_center, genesis_key, genesis_hash, home FROM "
					"medchain.local_node",
					0, NULL, NULL, NULL, false);
	if (SPI_processed == 0)
		return false;
	node->alliance = chain_column(0, 1, context);
	node->node = chain_column(0, 2, context);
	node->data_center = chain_column(0, 3, context);
	node->genesis_key = chain_column(0, 4, context);
	genesis = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 5, &isnull);
	node->has_genesis = !isnull;
	if (!isnull)
		memcpy(node->genesis_hash, VARDATA_ANY(DatumGetByteaPP(genesis)), HASH_LEN);
	home = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 6);
	node->at_home = home != NULL && strcmp(home, home_here()) == 0;
	SPI_freetuptable(SPI_tuptable);
	return true;
}

void
chain_require_node(LocalNode *node)
{
	if (!chain_local_node(node))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("this database is not a node of an alliance"),
				 errhint("Call medchain.found_alliance() or medchain.join_alliance() first.")));
}

static void
chain_name(const LocalNode *node, const char *origin, char *name)
{
	snprintf(name, NOTE_NAME_MAX + 1, "%s/%s", node->alliance, origin);
}

void
chain_start(const LocalNode *node, const char *origin, ChainCheck *check)
{
	static const uint8_t zero[HASH_LEN] = {0};
	char		name[NOTE_NAME_MAX + 1];

	chain_name(node, origin, name);
	if (!node->has_genesis && strcmp(origin, node->data_center) != 0)
		elog(ERROR, "chain of \"%s\" cannot be read before the genesis block is known", origin);
	chain_check_init(check, name, strcmp(origin, node->data_center) == 0 ? zero :
					 node->genesis_hash);
}

bool
chain_read(const LocalNode *node, const char *origin, ChainLoad mode, ChainCheck *check)
{
	static SPIPlanPtr plan_lock = NULL;
	static SPIPlanPtr plan_nowait = NULL;
	Oid			types[1] = {TEXTOID};
	Datum		values[1] = {CStringGetTextDatum(origin)};
	bool		fine = true;

	chain_start(node, origin, check);
	if (mode == CHAIN_LOCK)
		trusted_execute(&plan_lock,
					  "SELECT height, size, head, frontier FROM medchain.chain WHERE origin = $1 "
						"FOR UPDATE",
						1, types, values, NULL, false);
	else if (mode == CHAIN_LOCK_NOWAIT)
		trusted_execute(&plan_nowait,
					  "SELECT height, size, head, frontier FROM medchain.chain WHERE origin = $1 "
						"FOR UPDATE NOWAIT",
						1, types, values, NULL, false);
	else
		SPI_execute_with_args("SELECT height, size, head, frontier FROM medchain.chain WHERE "
							  "origin = $1",
							  1, types, values, NULL, true, 1);
	if (SPI_processed > 0)
	{
		HeapTuple	row = SPI_tuptable->vals[0];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		Datum		columns[4];
		bool		nulls[4];

		for (int i = 0; i < 4; i++)
		{
			columns[i] = SPI_getbinval(row, desc, i + 1, &nulls[i]);
			fine = fine && !nulls[i];
		}
		if (fine)
		{
			bytea	   *head = DatumGetByteaPP(columns[2]);
			bytea	   *frontier = DatumGetByteaPP(columns[3]);

			fine = VARSIZE_ANY_EXHDR(head) == HASH_LEN &&
				VARSIZE_ANY_EXHDR(frontier) % HASH_LEN == 0 &&
				tree_range_load(&check->range, (uint64) DatumGetInt64(columns[1]),
								(uint8_t *) VARDATA_ANY(frontier),
								(int) VARSIZE_ANY_EXHDR(frontier) / HASH_LEN);
			if (fine)
				memcpy(check->head, VARDATA_ANY(head), HASH_LEN);
		}
		if (fine)
			check->height = DatumGetInt64(columns[0]);
	}
	SPI_freetuptable(SPI_tuptable);
	return fine;
}

void
chain_load(const LocalNode *node, const char *origin, ChainLoad mode, ChainCheck *check)
{
	if (!chain_read(node, origin, mode, check))
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("row of medchain.chain for \"%s\" is damaged", origin),
				 errhint("Run medchain.verify() to see what else is.")));
}

Datum
chain_bytea(const void *data, size_t len)
{
	bytea	   *result = palloc(VARHDRSZ + len);

	SET_VARSIZE(result, VARHDRSZ + len);
	memcpy(VARDATA(result), data, len);
	return PointerGetDatum(result);
}

void
chain_store(const LocalNode *node, const char *origin, const ChainCheck *check)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[5] = {TEXTOID, INT8OID, INT8OID, BYTEAOID, BYTEAOID};
	Datum		values[5];

	values[0] = CStringGetTextDatum(origin);
	values[1] = Int64GetDatum(check->height);
	values[2] = Int64GetDatum((int64) check->range.size);
	values[3] = chain_bytea(check->head, HASH_LEN);
	values[4] = chain_bytea(check->range.hashes, (size_t) check->range.nhashes * HASH_LEN);
	trusted_execute(&plan,
				  "INSERT INTO medchain.chain (origin, height, size, head, frontier) VALUES ($1, "
					"$2, $3, $4, $5) "
					"ON CONFLICT (origin) DO UPDATE SET height = EXCLUDED.height, size = "
					"EXCLUDED.size, "
					"head = EXCLUDED.head, frontier = EXCLUDED.frontier",
					5, types, values, NULL, false);
}

void
chain_terms(const LocalNode *node, const char *origin, ChainTerms *terms)
{
	memset(terms, 0, sizeof(*terms));
	terms->last_height = PG_INT64_MAX;
	ledger_hooks.ledger_terms(origin, terms);

	/* before genesis is folded, its own signature is what we have: pinned when joining */
	if (terms->keys == NIL && strcmp(origin, node->data_center) == 0)
	{
		ChainKey   *key = palloc0(sizeof(ChainKey));

		key->pem = node->genesis_key;
		terms->keys = list_make1(key);
	}
}

const ChainKey *
chain_terms_key(const ChainTerms *terms, int64 height)
{
	const ChainKey *found = NULL;
	ListCell   *cell;

	foreach(cell, terms->keys)
	{
		const ChainKey *key = lfirst(cell);

		if (key->from_height <= height)
			found = key;
	}
	return found;
}

const uint8_t *
chain_terms_hash(const ChainTerms *terms, int64 height)
{
	ListCell   *cell;

	if (terms->last_named && terms->last_height == height)
		return terms->last_hash;
	foreach(cell, terms->keys)
	{
		const ChainKey *key = lfirst(cell);

		if (key->named && key->from_height == height + 1)
			return key->follows;
	}
	return NULL;
}

/* Does an earlier block of that chain wait? */
static bool
chain_waits(const char *origin, int64 height)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[2] = {TEXTOID, INT8OID};
	Datum		values[2] = {CStringGetTextDatum(origin), Int64GetDatum(height)};

	trusted_execute(&plan, "SELECT FROM medchain.held_block WHERE origin = $1 AND height < $2 "
					"LIMIT 1", 2, types, values, NULL, false);
	return SPI_processed > 0;
}

bool
chain_sealed_text(TimestampTz sealed, char text[NOTE_SEALED_LEN + 1])
{
	struct pg_tm tm;
	fsec_t		fsec;

	if (TIMESTAMP_NOT_FINITE(sealed) || timestamp2tm(sealed, NULL, &tm, &fsec, NULL, NULL) != 0 ||
		tm.tm_year < 0 || tm.tm_year > 9999 || fsec % 1000 != 0)
		return false;
	snprintf(text, NOTE_SEALED_LEN + 1, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ",
			 tm.tm_year % 10000, tm.tm_mon % 100, tm.tm_mday % 100, tm.tm_hour % 100,
			 tm.tm_min % 100, tm.tm_sec % 100, (int) (fsec / 1000) % 1000);
	return true;
}

void
chain_insert_block(const char *origin, const NoteBlock *block, const uint8_t head[HASH_LEN],
				   const char *note)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[8] = {
		TEXTOID, INT8OID, INT8OID, BYTEAOID, BYTEAOID, BYTEAOID, TEXTOID,
		TEXTOID
	};
	Datum		values[8];

	values[0] = CStringGetTextDatum(origin);
	values[1] = Int64GetDatum((int64) block->height);
	values[2] = Int64GetDatum((int64) block->size);
	values[3] = chain_bytea(block->root, HASH_LEN);
	values[4] = chain_bytea(block->previous, HASH_LEN);
	values[5] = chain_bytea(head, HASH_LEN);
	values[6] = CStringGetTextDatum(block->sealed);
	values[7] = CStringGetTextDatum(note);
	trusted_execute(&plan,
					"INSERT INTO medchain.block (origin, height, size, root, previous, hash, "
					"sealed, note) "
					"VALUES ($1, $2, $3, $4, $5, $6, $7::timestamptz, $8)",
					8, types, values, NULL, false);
}

bool
chain_signed(const LocalNode *node, const char *origin, int64 height, const char *note)
{
	char		name[NOTE_NAME_MAX + 1];
	ChainTerms	terms;
	const ChainKey *chosen;
	const Key  *key;
	CoreError	error = {0};

	chain_name(node, origin, name);
	chain_terms(node, origin, &terms);
	chosen = chain_terms_key(&terms, height);
	key = chosen ? keycache_get(chosen->pem, strlen(chosen->pem), &error) : NULL;
	return key != NULL && note_verify(note, strlen(note), name, key, &error) == KEY_VALID;
}

const char *
chain_screen(const LocalNode *node, const char *origin, int64 height, const char *note,
			 char **detail)
{
	NoteBlock	block;
	CoreError	error = {0};
	char		name[NOTE_NAME_MAX + 1];
	ChainTerms	terms;
	const ChainKey *chosen;
	const Key  *key;

	if (!note_parse_block(note, strlen(note), &block, &error))
	{
		*detail = pstrdup(error.message);
		return chain_fault_name(CHAIN_BAD_NOTE);
	}
	chain_name(node, origin, name);
	if (strcmp(block.name, name) != 0)
	{
		*detail = psprintf("expected \"%s\", found \"%s\"", name, block.name);
		return chain_fault_name(CHAIN_BAD_NAME);
	}
	if ((int64) block.height != height)
	{
		*detail = psprintf("row says %lld, note says %llu", (long long) height,
						   (unsigned long long) block.height);
		return chain_fault_name(CHAIN_BAD_HEIGHT);
	}
	chain_terms(node, origin, &terms);
	if (height > terms.last_height)
	{
		*detail = psprintf("the member was expelled; its last block is %lld",
						   (long long) terms.last_height);
		return "chain is closed";
	}
	chosen = chain_terms_key(&terms, height);

	/* an earlier block that waits may change the key */
	if (chosen == NULL || chain_waits(origin, height))
		return NULL;
	key = keycache_get(chosen->pem, strlen(chosen->pem), &error);
	if (key != NULL && note_verify(note, strlen(note), name, key, &error) == KEY_INVALID)
	{
		*detail = psprintf("no valid signature by the configured key of \"%s\"", name);
		return chain_fault_name(CHAIN_BAD_SIGNATURE);
	}
	return NULL;
}
