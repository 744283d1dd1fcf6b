/*
 * proofs.c: medchain.inclusion_proof() and medchain.consistency_proof().
 *
 * Everything is read by the statement's own snapshot.  No proof leaves that
 * medchain would not accept itself, nor one for a root that no block vouches for:
 * that of the same tree size, or else the newest one, which has to continue it.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/jsonb.h"
#include "utils/uuid.h"

#include "compat.h"
#include "core/encode.h"
#include "core/note.h"
#include "core/proof.h"
#include "ledger/block_leaves.h"
#include "ledger/tile.h"
#include "node/shown.h"
#include "node/trusted.h"

/* Where an entry is on the ledger. */
typedef struct ProofEntry
{
	char	   *origin;
	int64		index;
	uint8_t		leaf[HASH_LEN];
} ProofEntry;

typedef struct ProofChain
{
	const char *origin;
	int64		size;			/* of the newest block's tree */
	uint8_t		root[HASH_LEN];
	char	   *note;
	TileReader *reader;
} ProofChain;

static int64
proof_int64(int row, int column)
{
	bool		isnull;

	return DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column,
									   &isnull));
}

static char *
proof_uuid_text(Datum id)
{
	return DatumGetCString(DirectFunctionCall1(uuid_out, id));
}

/* There is no such entry: why? */
static void
proof_entry_missing(Datum id, const char *origin)
{
	static SPIPlanPtr plan = NULL;
	static SPIPlanPtr stray = NULL;
	static SPIPlanPtr absent = NULL;
	const char *hint;
	Oid			types[3] = {UUIDOID, TEXTOID, BOOLOID};
	Datum		values[3] = {id, CStringGetTextDatum(origin ? origin : ""),
	BoolGetDatum(origin == NULL)};

	trusted_read(&stray, "SELECT origin FROM medchain.entry WHERE id = $1 AND (origin = $2 OR $3) "
				 "ORDER BY origin LIMIT 1", 3, types, values);
	if (SPI_processed > 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("entry %s is in no block of chain \"%s\"", proof_uuid_text(id),
						SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1)),
				 errhint("Run medchain.verify() to see what else is.")));
	trusted_read(&plan, "SELECT FROM medchain.pending WHERE id = $1 LIMIT 1", 1, types, values);
	if (SPI_processed > 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("entry %s is not sealed yet", proof_uuid_text(id)),
				 errhint("Commit it, and call medchain.seal() to wait for its block.")));
	trusted_read(&absent, "SELECT FROM medchain.chain WHERE absent > 0 AND (origin = $2 OR $3) "
				 "AND $1 IS NOT NULL LIMIT 1", 3, types, values);
	hint = SPI_processed > 0 ? "It may be one whose payload is not here: medchain.receipt() asks "
		"peers for it, and medchain.fetch_payloads() gets all of them." :
		origin != NULL ? "See the view medchain.chains." :
		"What other members sealed shows here once their blocks have arrived; see the view "
		"medchain.chains.";
	if (origin != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("entry %s is not on the chain \"%s\" as it is known here",
						proof_uuid_text(id), shown(origin)),
				 errhint("%s", hint)));
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("entry %s is not on the ledger as it is known here", proof_uuid_text(id)),
			 errhint("%s", hint)));
}

/*
 * The entry of this id; nothing keeps another member from using it again, so origin may have to
 * tell whose.
 */
static void
proof_find_entry(Datum id, const char *origin, ProofEntry *entry)
{
	static SPIPlanPtr any = NULL;
	static SPIPlanPtr of = NULL;
	Oid			types[2] = {UUIDOID, TEXTOID};
	Datum		values[2] = {id, origin ? CStringGetTextDatum(origin) : (Datum) 0};
	bytea	   *leaf;
	bool		isnull;

	if (origin != NULL)
		trusted_read(&of, "WITH e AS MATERIALIZED (SELECT origin, seq, leaf_hash FROM "
					 "medchain.sealed WHERE id = $1) "
					 "SELECT origin, seq, leaf_hash FROM e WHERE origin = $2 ORDER BY seq LIMIT 1",
					 2, types, values);
	else
		trusted_read(&any, "WITH e AS MATERIALIZED (SELECT origin, seq, leaf_hash FROM "
					 "medchain.sealed WHERE id = $1) "
					 "SELECT DISTINCT ON (origin) origin, seq, leaf_hash FROM e ORDER BY origin, "
					 "seq LIMIT 2",
					 1, types, values);
	if (SPI_processed == 0)
		proof_entry_missing(id, origin);
	entry->origin = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
	if (SPI_processed > 1)
		ereport(ERROR,
				(errcode(ERRCODE_CARDINALITY_VIOLATION),
				 errmsg("entry %s is on the chains of \"%s\" and \"%s\"", proof_uuid_text(id),
						entry->origin,
						SPI_getvalue(SPI_tuptable->vals[1], SPI_tuptable->tupdesc, 1)),
				 errhint("Give the argument \"origin\" to say which one is meant.")));
	entry->index = proof_int64(0, 2);
	leaf = DatumGetByteaPP(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 3, &isnull));
	if (VARSIZE_ANY_EXHDR(leaf) != HASH_LEN)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("leaf hash of entry %lld of chain \"%s\" is damaged",
						(long long) entry->index, entry->origin),
				 errhint("Run medchain.verify() to see what else is.")));
	memcpy(entry->leaf, VARDATA_ANY(leaf), HASH_LEN);
	SPI_freetuptable(SPI_tuptable);
}

/* A chain as it stands here; ERROR if there is no block of it. */
static void
proof_open_chain(const char *origin, ProofChain *chain)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[1] = {TEXTOID};
	Datum		values[1] = {CStringGetTextDatum(origin)};
	NoteBlock	block;
	CoreError	error = {0};

	trusted_read(&plan, "SELECT size, note FROM medchain.block WHERE origin = $1 ORDER BY height "
				 "DESC LIMIT 1", 1, types, values);
	if (SPI_processed == 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("there is no block of \"%s\" here", shown(origin)),
				 errhint("See the view medchain.chains.")));
	chain->origin = origin;
	chain->size = proof_int64(0, 1);
	chain->note = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2);
	SPI_freetuptable(SPI_tuptable);
	if (!note_parse_block(chain->note, strlen(chain->note), &block, &error) ||
		block.size != (uint64) chain->size)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("newest block of chain \"%s\" is damaged", origin),
				 errhint("Run medchain.verify() to see what is wrong.")));
	memcpy(chain->root, block.root, HASH_LEN);
	chain->reader = tile_reader(origin, (uint64) chain->size);
}

/* The note of the newest block with this tree size, or NULL. */
static char *
proof_checkpoint(const ProofChain *chain, int64 size)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[2] = {TEXTOID, INT8OID};
	Datum		values[2] = {CStringGetTextDatum(chain->origin), Int64GetDatum(size)};

	if (size == chain->size)
		return chain->note;
	trusted_read(&plan, "SELECT note FROM medchain.block WHERE origin = $1 AND size = $2 ORDER BY "
				 "height DESC LIMIT 1",
				 2, types, values);
	return SPI_processed > 0 ? SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1) : NULL;
}

static void
proof_damaged(const ProofChain *chain, int64 size)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("tree of chain \"%s\" at size %lld is not the one its blocks speak of",
					chain->origin, (long long) size),
			 errhint("Run medchain.verify() to see what is wrong; if it is a tile, "
					 "medchain.rebuild_tiles() makes them anew.")));
}

/* ERROR unless the proof at hand was made well and is accepted. */
static void
proof_require(bool made, ProofResult result, const ProofChain *chain, int64 size)
{
	if (!made || result == PROOF_FAILED)
		elog(ERROR, "could not compute SHA-256");
	if (result != PROOF_VALID)
		proof_damaged(chain, size);
}

/* A consistency proof between two roots, checked. */
static int
proof_consistency(const ProofChain *chain, int64 size1, int64 size2, const uint8_t root1[HASH_LEN],
				  const uint8_t root2[HASH_LEN], uint8_t hashes[PROOF_MAX_HASHES][HASH_LEN])
{
	int			nhashes;
	bool		made = proof_make_consistency(tile_subtree, chain->reader, (uint64) size1,
											  (uint64) size2, hashes, &nhashes);

	proof_require(made, proof_check_consistency((uint64) size1, (uint64) size2, hashes[0], nhashes,
												root1, root2), chain, size1);
	return nhashes;
}

/*
 * Root of the first size leaves, as far as the block of that size, if there is one, agrees; its
 * note, or NULL.
 */
static char *
proof_root(const ProofChain *chain, int64 size, uint8_t root[HASH_LEN])
{
	char	   *note = proof_checkpoint(chain, size);
	NoteBlock	block;
	CoreError	error = {0};

	if (!proof_make_root(tile_subtree, chain->reader, (uint64) size, root))
		elog(ERROR, "could not compute SHA-256");
	if (note != NULL &&
		(!note_parse_block(note, strlen(note), &block, &error) || block.size != (uint64) size ||
		 !hash_equal(block.root, root)))
		proof_damaged(chain, size);
	return note;
}

/* The same; and where no block vouches for the root, the newest one has to continue it. */
static char *
proof_anchored_root(const ProofChain *chain, int64 size, uint8_t root[HASH_LEN])
{
	char	   *note = proof_root(chain, size, root);
	uint8_t		hashes[PROOF_MAX_HASHES][HASH_LEN];

	if (note == NULL)
		(void) proof_consistency(chain, size, chain->size, root, chain->root, hashes);
	return note;
}

static void
proof_check_size(const char *what, int64 size, const ProofChain *chain)
{
	if (size < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s must not be negative", what),
				 errhint("Give the number of entries of a tree: \"%s\" has %lld here.",
						 chain->origin, (long long) chain->size)));
	if (size > chain->size)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s %lld is beyond the chain of \"%s\", which has %lld entries here", what,
						(long long) size, chain->origin, (long long) chain->size),
				 errhint("See the view medchain.chains.")));
}

static void
proof_append_hex(StringInfo out, const uint8_t hash[HASH_LEN])
{
	char		hex[ENCODE_HEX_SIZE(HASH_LEN)];

	encode_hex(hash, HASH_LEN, hex);
	appendStringInfo(out, "\"%s\"", hex);
}

static char *
proof_inclusion_json(const ProofEntry *entry, const ProofChain *chain, int64 size)
{
	uint8_t		hashes[PROOF_MAX_HASHES][HASH_LEN];
	int			nhashes;
	uint8_t		root[HASH_LEN];
	char	   *note = proof_anchored_root(chain, size, root);
	bool		made = proof_make_inclusion(tile_subtree, chain->reader, (uint64) entry->index,
											(uint64) size, hashes, &nhashes);
	StringInfoData json;

	proof_require(made, proof_check_inclusion(entry->leaf, (uint64) entry->index, (uint64) size,
											  hashes[0], nhashes, root),
				  chain, size);
	initStringInfo(&json);
	appendStringInfoString(&json, "{\"origin\": ");
	escape_json(&json, entry->origin);
	appendStringInfo(&json, ", \"index\": %lld, \"tree_size\": %lld, \"leaf_hash\": ",
					 (long long) entry->index, (long long) size);
	proof_append_hex(&json, entry->leaf);
	appendStringInfoString(&json, ", \"root_hash\": ");
	proof_append_hex(&json, root);
	appendStringInfoString(&json, ", \"hashes\": [");
	for (int i = 0; i < nhashes; i++)
	{
		if (i > 0)
			appendStringInfoString(&json, ", ");
		proof_append_hex(&json, hashes[i]);
	}
	appendStringInfoString(&json, "], \"checkpoint\": ");
	if (note != NULL)
		escape_json(&json, note);
	else
		appendStringInfoString(&json, "null");
	appendStringInfoChar(&json, '}');
	return json.data;
}

PG_FUNCTION_INFO_V1(medchain_inclusion_proof);

/* inclusion_proof(entry uuid, tree_size bigint, origin text) -> jsonb */
Datum
medchain_inclusion_proof(PG_FUNCTION_ARGS)
{
	MemoryContext caller = CurrentMemoryContext;
	char	   *origin = PG_ARGISNULL(2) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(2));
	TrustedScope scope;
	ProofEntry	entry;
	ProofChain	chain;
	int64		size;
	char	   *json;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	trusted_begin(&scope);
	proof_find_entry(PG_GETARG_DATUM(0), origin, &entry);
	proof_open_chain(entry.origin, &chain);
	if (entry.index < 0 || entry.index >= chain.size)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("entry %s is in no block of chain \"%s\"",
						proof_uuid_text(PG_GETARG_DATUM(0)), entry.origin),
				 errhint("Run medchain.verify() to see what else is.")));
	size = PG_ARGISNULL(1) ? chain.size : PG_GETARG_INT64(1);
	proof_check_size("tree size", size, &chain);
	if (entry.index >= size)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("entry %s has index %lld and is not in a tree of size %lld",
						proof_uuid_text(PG_GETARG_DATUM(0)),
						(long long) entry.index, (long long) size),
				 errhint("Give a tree size from %lld to %lld.", (long long) entry.index + 1,
						 (long long) chain.size)));
	json = MemoryContextStrdup(caller, proof_inclusion_json(&entry, &chain, size));
	trusted_end(&scope);
	PG_RETURN_DATUM(DirectFunctionCall1(jsonb_in, CStringGetDatum(json)));
}

PG_FUNCTION_INFO_V1(medchain_inclusion_proof_at);

/* inclusion_proof_at(origin text, seq bigint) -> jsonb: by the leaf hash that its block carries */
Datum
medchain_inclusion_proof_at(PG_FUNCTION_ARGS)
{
	MemoryContext caller = CurrentMemoryContext;
	ProofEntry	entry = {
		.origin = text_to_cstring(PG_GETARG_TEXT_PP(0)), .index = PG_GETARG_INT64(1)
	};
	TrustedScope scope;
	ProofChain	chain;
	char	   *json;

	trusted_begin(&scope);
	proof_open_chain(entry.origin, &chain);
	if (entry.index < 0 || entry.index >= chain.size ||
		block_leaves_read(entry.origin, entry.index, 1, entry.leaf) != 1)
		proof_damaged(&chain, chain.size);
	json = MemoryContextStrdup(caller, proof_inclusion_json(&entry, &chain, chain.size));
	trusted_end(&scope);
	PG_RETURN_DATUM(DirectFunctionCall1(jsonb_in, CStringGetDatum(json)));
}

PG_FUNCTION_INFO_V1(medchain_consistency_proof);

/* consistency_proof(origin text, size1 bigint, size2 bigint) -> bytea[] */
Datum
medchain_consistency_proof(PG_FUNCTION_ARGS)
{
	char	   *origin = text_to_cstring(PG_GETARG_TEXT_PP(0));
	int64		size1 = PG_GETARG_INT64(1);
	int64		size2 = PG_GETARG_INT64(2);
	uint8_t		hashes[PROOF_MAX_HASHES][HASH_LEN];
	int			nhashes;
	uint8_t		root1[HASH_LEN];
	uint8_t		root2[HASH_LEN];
	Datum		elements[PROOF_MAX_HASHES];
	TrustedScope scope;
	ProofChain	chain;

	trusted_begin(&scope);
	proof_open_chain(origin, &chain);
	proof_check_size("size1", size1, &chain);
	proof_check_size("size2", size2, &chain);
	if (size1 > size2)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("size1 must not be greater than size2"),
				 errdetail("size1 is %lld, size2 is %lld.", (long long) size1, (long long) size2),
				 errhint("A tree continues one of its earlier sizes; exchange the two.")));
	proof_root(&chain, size1, root1);
	proof_anchored_root(&chain, size2, root2);
	nhashes = proof_consistency(&chain, size1, size2, root1, root2, hashes);
	trusted_end(&scope);
	for (int i = 0; i < nhashes; i++)
		elements[i] = trusted_bytea(hashes[i], HASH_LEN);
	PG_RETURN_ARRAYTYPE_P(construct_array(elements, nhashes, BYTEAOID, -1, false, TYPALIGN_INT));
}
