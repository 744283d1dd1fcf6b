/*
 * disclosure.c: proofs that examinees are among those whose records an access read.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/tuplestore.h"

#include "compat.h"
#include "core/encode.h"
#include "core/proof.h"

#define DISCLOSURE_LEVELS 32	/* an array has fewer than 2^31 elements */

/* All perfect subtrees of a set, by level and place: several proofs cost hardly more than one. */
typedef struct DisclosureTree
{
	uint8	   *levels[DISCLOSURE_LEVELS];
	uint64		size;
} DisclosureTree;

static void
disclosure_failed(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_INTERNAL_ERROR),
			 errmsg("could not compute SHA-256")));
}

static void
disclosure_hash_leaves(DisclosureTree *tree, ArrayType *array)
{
	Datum	   *leaves;
	bool	   *nulls;
	int			count;

	deconstruct_array(array, BYTEAOID, -1, false, TYPALIGN_INT, &leaves, &nulls, &count);
	tree->size = (uint64) count;
	tree->levels[0] = palloc_extended(HASH_LEN * (Size) Max(count, 1), MCXT_ALLOC_HUGE);
	for (int i = 0; i < count; i++)
	{
		bytea	   *leaf;

		if (nulls[i])
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("a leaf must not be null")));
		leaf = DatumGetByteaPP(leaves[i]);
		if (!hash_leaf(VARDATA_ANY(leaf), VARSIZE_ANY_EXHDR(leaf),
					   tree->levels[0] + HASH_LEN * (Size) i))
			disclosure_failed();
		if (i % 1024 == 0)
			CHECK_FOR_INTERRUPTS();
	}
	pfree(leaves);
	pfree(nulls);
}

static void
disclosure_hash(DisclosureTree *tree, ArrayType *array)
{
	disclosure_hash_leaves(tree, array);
	for (int level = 1; level < DISCLOSURE_LEVELS && tree->size >> level > 0; level++)
	{
		Size		count = (Size) (tree->size >> level);
		const uint8 *below = tree->levels[level - 1];

		tree->levels[level] = palloc_extended(HASH_LEN * count, MCXT_ALLOC_HUGE);
		for (Size i = 0; i < count; i++)
			if (!hash_node(below + 2 * HASH_LEN * i, below + 2 * HASH_LEN * i + HASH_LEN,
						   tree->levels[level] + HASH_LEN * i))
				disclosure_failed();
		CHECK_FOR_INTERRUPTS();
	}
}

/* A ProofNode. */
static bool
disclosure_node(void *source, int level, uint64_t index, uint8_t hash[HASH_LEN])
{
	const DisclosureTree *tree = source;

	if (level >= DISCLOSURE_LEVELS || index >= tree->size >> level)
		return false;
	memcpy(hash, tree->levels[level] + HASH_LEN * (Size) index, HASH_LEN);
	return true;
}

static void
disclosure_path(DisclosureTree *tree, int64 place, ReturnSetInfo *result)
{
	uint8_t		hashes[PROOF_MAX_HASHES][HASH_LEN];
	int			count = 0;
	Datum		texts[PROOF_MAX_HASHES];
	Datum		values[2];
	bool		nulls[2] = {false};

	if (place < 0 || (uint64) place >= tree->size ||
		!proof_make_inclusion(disclosure_node, tree, (uint64) place, tree->size, hashes, &count))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("there is no leaf %lld of %lld", (long long) place,
						(long long) tree->size)));
	for (int i = 0; i < count; i++)
	{
		char		hex[ENCODE_HEX_SIZE(HASH_LEN)];

		encode_hex(hashes[i], HASH_LEN, hex);
		texts[i] = CStringGetTextDatum(hex);
	}
	values[0] = Int64GetDatum(place);
	values[1] = PointerGetDatum(construct_array(texts, count, TEXTOID, -1, false, TYPALIGN_INT));
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	for (int i = 0; i < count; i++)
		pfree(DatumGetPointer(texts[i]));
	pfree(DatumGetPointer(values[1]));
}

PG_FUNCTION_INFO_V1(medchain_leaf_paths);

/* leaf_paths(leaves bytea[], places bigint[]) -> setof (place bigint, hashes text[]) */
Datum
medchain_leaf_paths(PG_FUNCTION_ARGS)
{
	DisclosureTree tree = {.size = 0};
	Datum	   *places;
	bool	   *nulls;
	int			count;

	InitMaterializedSRF(fcinfo, 0);
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		return (Datum) 0;
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(1), INT8OID, sizeof(int64), FLOAT8PASSBYVAL,
					  TYPALIGN_DOUBLE, &places, &nulls, &count);
	if (count > 0)
		disclosure_hash(&tree, PG_GETARG_ARRAYTYPE_P(0));
	for (int i = 0; i < count; i++)
		disclosure_path(&tree, nulls[i] ? -1 : DatumGetInt64(places[i]),
						(ReturnSetInfo *) fcinfo->resultinfo);
	return (Datum) 0;
}
