/*
 * proofs.c: medchain.inclusion_proof() and medchain.consistency_proof().
 *
 * Everything is read by the statement's own snapshot.  No proof leaves that
 * medchain would not accept itself, nor one for another root than the block
 * of that tree size says.
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
#include "core/proof.h"
#include "ledger/chain.h"
#include "ledger/tile.h"
#include "ledger/trusted.h"

/* Where an entry is on the ledger. */
typedef struct ProofEntry
{
	char	   *origin;
	int64		index;
	uint8_t		leaf[HASH_LEN];
} ProofEntry;

static int64
proof_int64(int row, int column)
{
	bool		isnull;

	return DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column, &isnull));
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
	Oid			types[1] = {UUIDOID};

	trusted_read(&plan, "SELECT FROM medchain.pending WHERE id = $1 LIMIT 1", 1, types, &id);
	if (SPI_processed > 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("entry %s is not sealed yet", proof_uuid_text(id)),
				 errhint("Commit it, and call medchain.seal() to wait for its block.")));
	if (origin != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("entry %s is not on the chain \"%s\" as it is known here", proof_uuid_text(id), origin),
				 errhint("See the view medchain.chains.")));
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("entry %s is not on the ledger as it is known here", proof_uuid_text(id)),
			 errhint("What other members sealed shows here once their blocks have arrived; see the view medchain.chains.")));
}

/* The entry of this id; nothing keeps another member from using it again, so origin may have to tell whose. */
static void
proof_find_entry(Datum id, const char *origin, ProofEntry *entry)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[1] = {UUIDOID};
	int			found = -1;
	bytea	   *leaf;
	bool		isnull;

	trusted_read(&plan, "SELECT origin, seq, leaf_hash FROM medchain.entry WHERE id = $1 ORDER BY origin COLLATE \"C\", seq LIMIT 1000",
				 1, types, &id);
	for (int i = 0; i < SPI_processed; i++)
	{
		char	   *of = SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1);

		if (origin != NULL && strcmp(of, origin) != 0)
			continue;
		if (found < 0)
		{
			found = i;
			entry->origin = of;
		}
		else if (strcmp(of, entry->origin) != 0)
			ereport(ERROR,
					(errcode(ERRCODE_CARDINALITY_VIOLATION),
					 errmsg("entry %s is on the chains of \"%s\" and \"%s\"", proof_uuid_text(id), entry->origin, of),
					 errhint("Give the argument \"origin\" to say which one is meant.")));
	}
	if (found < 0)
		proof_entry_missing(id, origin);
	entry->index = proof_int64(found, 2);
	leaf = DatumGetByteaPP(SPI_getbinval(SPI_tuptable->vals[found], SPI_tuptable->tupdesc, 3, &isnull));
	if (VARSIZE_ANY_EXHDR(leaf) != HASH_LEN)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("leaf hash of entry %lld of chain \"%s\" is damaged", (long long) entry->index, entry->origin),
				 errhint("Run medchain.verify() to see what else is.")));
	memcpy(entry->leaf, VARDATA_ANY(leaf), HASH_LEN);
	SPI_freetuptable(SPI_tuptable);
}

/* Tree size of the newest block; ERROR if there is none. */
static int64
proof_chain_size(const char *origin)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[1] = {TEXTOID};
	Datum		values[1] = {CStringGetTextDatum(origin)};
	int64		size;

	trusted_read(&plan, "SELECT size FROM medchain.block WHERE origin = $1 ORDER BY height DESC LIMIT 1", 1, types, values);
	if (SPI_processed == 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("there is no block of \"%s\" here", origin),
				 errhint("See the view medchain.chains.")));
	size = proof_int64(0, 1);
	SPI_freetuptable(SPI_tuptable);
	return size;
}

/* The note of the newest block with this tree size, or NULL. */
static char *
proof_checkpoint(const char *origin, int64 size)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[2] = {TEXTOID, INT8OID};
	Datum		values[2] = {CStringGetTextDatum(origin), Int64GetDatum(size)};

	trusted_read(&plan, "SELECT note FROM medchain.block WHERE origin = $1 AND size = $2 ORDER BY height DESC LIMIT 1",
				 2, types, values);
	return SPI_processed > 0 ? SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1) : NULL;
}

/* Root of the first size leaves; ERROR if the block of that size, whose note is returned, has another. */
static char *
proof_root(TileReader *reader, const char *origin, int64 size, uint8_t root[HASH_LEN])
{
	char	   *note = proof_checkpoint(origin, size);
	NoteBlock	block;
	CoreError	error = {0};

	if (!proof_make_root(tile_subtree, reader, (uint64) size, root))
		elog(ERROR, "could not compute SHA-256");
	if (note != NULL &&
		(!note_parse_block(note, strlen(note), &block, &error) || block.size != (uint64) size || !hash_equal(block.root, root)))
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("tree of chain \"%s\" at size %lld is not that of its block", origin, (long long) size),
				 errhint("Run medchain.verify() to see what is wrong; if it is a tile, medchain.rebuild_tiles() makes them anew.")));
	return note;
}

static void
proof_require_accepted(ProofResult result, const char *origin)
{
	if (result != PROOF_VALID)
		ereport(ERROR,
				(errcode(result == PROOF_FAILED ? ERRCODE_EXTERNAL_ROUTINE_EXCEPTION : ERRCODE_DATA_CORRUPTED),
				 errmsg("no valid proof can be made from what is stored of chain \"%s\"", origin),
				 errhint("Run medchain.verify() to see what is wrong.")));
}

static void
proof_check_size(const char *what, int64 size, int64 chain_size, const char *origin)
{
	if (size < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s must not be negative", what)));
	if (size > chain_size)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s %lld is beyond the chain of \"%s\", which has %lld entries here", what,
						(long long) size, origin, (long long) chain_size),
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
proof_inclusion_json(const ProofEntry *entry, int64 size)
{
	TileReader *reader = tile_reader(entry->origin, (uint64) size);
	uint8_t		hashes[PROOF_MAX_HASHES][HASH_LEN];
	int			nhashes;
	uint8_t		root[HASH_LEN];
	char	   *note = proof_root(reader, entry->origin, size, root);
	StringInfoData json;

	if (!proof_make_inclusion(tile_subtree, reader, (uint64) entry->index, (uint64) size, hashes, &nhashes))
		elog(ERROR, "could not compute SHA-256");
	proof_require_accepted(proof_check_inclusion(entry->leaf, (uint64) entry->index, (uint64) size, hashes[0], nhashes, root),
						   entry->origin);
	initStringInfo(&json);
	appendStringInfoString(&json, "{\"origin\": ");
	escape_json(&json, entry->origin);
	appendStringInfo(&json, ", \"index\": %lld, \"tree_size\": %lld, \"leaf_hash\": ", (long long) entry->index, (long long) size);
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
	int64		chain_size;
	int64		size;
	char	   *json;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	trusted_begin(&scope);
	proof_find_entry(PG_GETARG_DATUM(0), origin, &entry);
	chain_size = proof_chain_size(entry.origin);
	size = PG_ARGISNULL(1) ? chain_size : PG_GETARG_INT64(1);
	proof_check_size("tree size", size, chain_size, entry.origin);
	if (entry.index >= size)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("entry %s has index %lld and is not in a tree of size %lld", proof_uuid_text(PG_GETARG_DATUM(0)),
						(long long) entry.index, (long long) size),
				 errhint("Give a tree size from %lld to %lld.", (long long) entry.index + 1, (long long) chain_size)));
	json = MemoryContextStrdup(caller, proof_inclusion_json(&entry, size));
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
	TileReader *reader;
	int64		chain_size;

	trusted_begin(&scope);
	chain_size = proof_chain_size(origin);
	proof_check_size("size1", size1, PG_INT64_MAX, origin);
	proof_check_size("size2", size2, chain_size, origin);
	if (size1 > size2)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("size1 must not be greater than size2"),
				 errdetail("size1 is %lld, size2 is %lld.", (long long) size1, (long long) size2),
				 errhint("A tree continues one of its earlier sizes; exchange the two.")));
	reader = tile_reader(origin, (uint64) size2);
	proof_root(reader, origin, size1, root1);
	proof_root(reader, origin, size2, root2);
	if (!proof_make_consistency(tile_subtree, reader, (uint64) size1, (uint64) size2, hashes, &nhashes))
		elog(ERROR, "could not compute SHA-256");
	proof_require_accepted(proof_check_consistency((uint64) size1, (uint64) size2, hashes[0], nhashes, root1, root2), origin);
	trusted_end(&scope);
	for (int i = 0; i < nhashes; i++)
		elements[i] = chain_bytea(hashes[i], HASH_LEN);
	PG_RETURN_ARRAYTYPE_P(construct_array(elements, nhashes, BYTEAOID, -1, false, TYPALIGN_INT));
}
