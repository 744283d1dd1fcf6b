/*
 * disclosure.c: the proof that an examinee is among those whose records an access read.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "compat.h"
#include "core/encode.h"
#include "core/proof.h"
#include "core/tree.h"

typedef struct Leaves
{
	Datum	   *items;
	int			count;
} Leaves;

/* A ProofNode over leaves that are at hand. */
static bool
disclosure_node(void *source, int level, uint64_t index, uint8_t hash[HASH_LEN])
{
	const Leaves *leaves = source;
	uint64		first = index << level;
	TreeRange	range;

	tree_range_init(&range);
	for (uint64 i = first; i < first + (UINT64CONST(1) << level); i++)
	{
		bytea	   *leaf;
		uint8		leaf_hash[HASH_LEN];

		if (i >= (uint64) leaves->count)
			return false;
		leaf = DatumGetByteaPP(leaves->items[i]);
		if (!hash_leaf(VARDATA_ANY(leaf), VARSIZE_ANY_EXHDR(leaf), leaf_hash) ||
			!tree_range_append(&range, leaf_hash))
			return false;
		CHECK_FOR_INTERRUPTS();
	}
	return tree_range_root(&range, hash);
}

PG_FUNCTION_INFO_V1(medchain_leaf_path);

/* leaf_path(leaves bytea[], place bigint) -> text[] */
Datum
medchain_leaf_path(PG_FUNCTION_ARGS)
{
	int64		place = PG_GETARG_INT64(1);
	Leaves		leaves;
	bool	   *nulls;
	uint8		hashes[PROOF_MAX_HASHES][HASH_LEN];
	int			count = 0;
	Datum		texts[PROOF_MAX_HASHES];

	deconstruct_array(PG_GETARG_ARRAYTYPE_P(0), BYTEAOID, -1, false, TYPALIGN_INT, &leaves.items,
					  &nulls, &leaves.count);
	for (int i = 0; i < leaves.count; i++)
		if (nulls[i])
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("a leaf must not be null")));
	if (place < 0 || place >= leaves.count ||
		!proof_make_inclusion(disclosure_node, &leaves, (uint64) place, (uint64) leaves.count,
							  hashes, &count))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("there is no leaf %lld of %d", (long long) place, leaves.count)));
	for (int i = 0; i < count; i++)
	{
		char		hex[ENCODE_HEX_SIZE(HASH_LEN)];

		encode_hex(hashes[i], HASH_LEN, hex);
		texts[i] = CStringGetTextDatum(hex);
	}
	PG_RETURN_ARRAYTYPE_P(construct_array(texts, count, TEXTOID, -1, false, TYPALIGN_INT));
}
