/*
 * pure.c: the SQL face of src/core: functions that need no alliance, no worker and no table.
 *
 * False means "well-formed and wrong"; what is malformed is an error, except
 * for a signature, which is only ever right or wrong.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "compat.h"
#include "core/encode.h"
#include "core/keycache.h"
#include "core/note.h"
#include "core/proof.h"
#include "core/tree.h"
#include "node/shown.h"
#include "pure/pure.h"
#include "rules/entry.h"

void
pure_error(const CoreError *error, const char *hint)
{
	int			code = ERRCODE_INVALID_PARAMETER_VALUE;

	if (error->code == CORE_INTERNAL)
		code = ERRCODE_EXTERNAL_ROUTINE_EXCEPTION;
	else if (error->code == CORE_UNSUPPORTED)
		code = ERRCODE_FEATURE_NOT_SUPPORTED;
	ereport(ERROR,
			(errcode(code),
			 errmsg("%s", TextDatumGetCString(pure_text(error->message))),
			 error->library[0] ? errdetail("OpenSSL says: %s.", error->library) : 0,
			 hint ? errhint("%s", hint) : 0));
}

const Key *
pure_key(text *pem)
{
	CoreError	error = {0};
	const Key  *key = keycache_get(VARDATA_ANY(pem), VARSIZE_ANY_EXHDR(pem), &error);

	if (key == NULL)
		pure_error(&error, "Give a public key (\"BEGIN PUBLIC KEY\") or a certificate in PEM "
				   "format.");
	return key;
}

Datum
pure_bytea(const void *data, size_t len)
{
	bytea	   *result = palloc(VARHDRSZ + len);

	SET_VARSIZE(result, VARHDRSZ + len);
	memcpy(VARDATA(result), data, len);
	return PointerGetDatum(result);
}

Datum
pure_text(const char *utf8)
{
	int			len = (int) strlen(utf8);

	/*
	 * names in certificates are whatever their authors put there: what is not UTF-8 must not get
	 * into a table
	 */
	if (!pg_verify_mbstr(PG_UTF8, utf8, len, true))
	{
		char	   *ascii = pstrdup(utf8);

		for (int i = 0; i < len; i++)
			if (IS_HIGHBIT_SET(ascii[i]))
				ascii[i] = '?';
		return CStringGetTextDatum(ascii);
	}
	return CStringGetTextDatum(pg_any_to_server(utf8, len, PG_UTF8));
}

static const uint8_t *
pure_hash_argument(bytea *value, const char *what)
{
	if (VARSIZE_ANY_EXHDR(value) != HASH_LEN)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s has %d bytes, expected %d", what, (int) VARSIZE_ANY_EXHDR(value),
						HASH_LEN),
				 errhint("Give the bytes of a SHA-256 hash, such as medchain.leaf_hash() returns; "
						 "decode(..., 'hex') makes them of hexadecimal digits.")));
	return (const uint8_t *) VARDATA_ANY(value);
}

/* The elements of a bytea[] of hashes, one behind the other. */
static uint8_t *
pure_hashes_argument(ArrayType *array, int *count)
{
	Datum	   *elements;
	bool	   *nulls;
	uint8_t    *hashes;

	if (ARR_NDIM(array) > 1)
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("proof must be a one-dimensional array")));
	deconstruct_array(array, BYTEAOID, -1, false, TYPALIGN_INT, &elements, &nulls, count);
	hashes = palloc(HASH_LEN * (size_t) Max(*count, 1));
	for (int i = 0; i < *count; i++)
	{
		if (nulls[i])
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("proof must not contain nulls")));
		memcpy(hashes + HASH_LEN * (size_t) i,
			   pure_hash_argument(DatumGetByteaPP(elements[i]), "hash in proof"), HASH_LEN);
	}
	return hashes;
}

static uint64
pure_size_argument(int64 value, const char *what)
{
	if (value < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s must not be negative", what)));
	return (uint64) value;
}

static bool
pure_proof_result(ProofResult result)
{
	if (result == PROOF_FAILED)
		elog(ERROR, "could not compute SHA-256");
	return result == PROOF_VALID;
}

PG_FUNCTION_INFO_V1(medchain_leaf_hash);

Datum
medchain_leaf_hash(PG_FUNCTION_ARGS)
{
	bytea	   *data = PG_GETARG_BYTEA_PP(0);
	uint8_t		hash[HASH_LEN];

	if (!hash_leaf(VARDATA_ANY(data), VARSIZE_ANY_EXHDR(data), hash))
		elog(ERROR, "could not compute SHA-256");
	PG_RETURN_DATUM(pure_bytea(hash, HASH_LEN));
}

PG_FUNCTION_INFO_V1(medchain_merkle_root);

Datum
medchain_merkle_root(PG_FUNCTION_ARGS)
{
	ArrayType  *array = PG_GETARG_ARRAYTYPE_P(0);
	ArrayIterator iterator = array_create_iterator(array, 0, NULL);
	TreeRange	range;
	Datum		element;
	bool		isnull;
	uint8_t		hash[HASH_LEN];

	if (ARR_NDIM(array) > 1)
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("leaves must be a one-dimensional array")));
	tree_range_init(&range);
	while (array_iterate(iterator, &element, &isnull))
	{
		bytea	   *leaf;

		CHECK_FOR_INTERRUPTS();
		if (isnull)
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("leaves must not contain nulls")));
		leaf = DatumGetByteaPP(element);
		if (!hash_leaf(VARDATA_ANY(leaf), VARSIZE_ANY_EXHDR(leaf), hash) ||
			!tree_range_append(&range, hash))
			elog(ERROR, "could not compute SHA-256");
	}
	array_free_iterator(iterator);
	if (!tree_range_root(&range, hash))
		elog(ERROR, "could not compute SHA-256");
	PG_RETURN_DATUM(pure_bytea(hash, HASH_LEN));
}

PG_FUNCTION_INFO_V1(medchain_verify_inclusion);

Datum
medchain_verify_inclusion(PG_FUNCTION_ARGS)
{
	const uint8_t *leaf = pure_hash_argument(PG_GETARG_BYTEA_PP(0), "leaf hash");
	uint64		index = pure_size_argument(PG_GETARG_INT64(1), "index");
	uint64		size = pure_size_argument(PG_GETARG_INT64(2), "tree size");
	int			count;
	uint8_t    *hashes = pure_hashes_argument(PG_GETARG_ARRAYTYPE_P(3), &count);
	const uint8_t *root = pure_hash_argument(PG_GETARG_BYTEA_PP(4), "root hash");

	PG_RETURN_BOOL(pure_proof_result(proof_check_inclusion(leaf, index, size, hashes, count,
														   root)));
}

PG_FUNCTION_INFO_V1(medchain_verify_consistency);

Datum
medchain_verify_consistency(PG_FUNCTION_ARGS)
{
	uint64		size1 = pure_size_argument(PG_GETARG_INT64(0), "tree size");
	uint64		size2 = pure_size_argument(PG_GETARG_INT64(1), "tree size");
	int			count;
	uint8_t    *hashes = pure_hashes_argument(PG_GETARG_ARRAYTYPE_P(2), &count);
	const uint8_t *root1 = pure_hash_argument(PG_GETARG_BYTEA_PP(3), "root hash");
	const uint8_t *root2 = pure_hash_argument(PG_GETARG_BYTEA_PP(4), "root hash");

	PG_RETURN_BOOL(pure_proof_result(proof_check_consistency(size1, size2, hashes, count, root1,
															 root2)));
}

PG_FUNCTION_INFO_V1(medchain_verify_signature);

Datum
medchain_verify_signature(PG_FUNCTION_ARGS)
{
	bytea	   *message;
	bytea	   *signature;
	const Key  *key;
	KeyAlgorithm algorithm = KEY_DEFAULT;
	CoreError	error = {0};
	KeyVerdict	verdict;

	/* null in, null out; only the algorithm may be left open */
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1) || PG_ARGISNULL(2))
		PG_RETURN_NULL();
	message = PG_GETARG_BYTEA_PP(0);
	signature = PG_GETARG_BYTEA_PP(1);
	if (!PG_ARGISNULL(3))
	{
		char	   *name = text_to_cstring(PG_GETARG_TEXT_PP(3));

		if (!key_algorithm_from_name(name, &algorithm))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("unknown signature algorithm \"%s\"", shown(name)),
				   errhint("Algorithms are ed25519, ecdsa-p256-sha256, sm2-sm3, rsa-pkcs1-sha256 "
						   "and rsa-pss-sha256.")));
	}
	key = pure_key(PG_GETARG_TEXT_PP(2));
	verdict = key_verify(key, algorithm, VARDATA_ANY(message), VARSIZE_ANY_EXHDR(message),
						 (uint8_t *) VARDATA_ANY(signature), VARSIZE_ANY_EXHDR(signature), &error);
	if (verdict == KEY_ERROR)
		pure_error(&error, "Leave the algorithm out to use the one the key is for.");
	PG_RETURN_BOOL(verdict == KEY_VALID);
}

PG_FUNCTION_INFO_V1(medchain_verify_note);

Datum
medchain_verify_note(PG_FUNCTION_ARGS)
{
	text	   *note = PG_GETARG_TEXT_PP(0);
	const Key  *key = pure_key(PG_GETARG_TEXT_PP(1));
	CoreError	error = {0};
	KeyVerdict	verdict = note_verify(VARDATA_ANY(note), VARSIZE_ANY_EXHDR(note), NULL, key,
									  &error);

	if (verdict == KEY_ERROR)
		pure_error(&error, "A signed note is text, a blank line, and signature lines, each of "
				   "which ends with a newline.");
	PG_RETURN_BOOL(verdict == KEY_VALID);
}

PG_FUNCTION_INFO_V1(medchain_key_facts);

/*
 * key_facts(text) -> (public_key, key_fingerprint, algorithm): a public key in our spelling, and
 * its names
 */
Datum
medchain_key_facts(PG_FUNCTION_ARGS)
{
	const Key  *key = pure_key(PG_GETARG_TEXT_PP(0));
	CoreError	error = {0};
	char	   *pem = key_to_pem(key, &error);
	char		fingerprint[65];
	TupleDesc	desc;
	Datum		values[3];
	bool		nulls[3] = {false};

	if (pem == NULL || !key_fingerprint(key, fingerprint))
		elog(ERROR, "could not write public key: %s", error.message);
	values[0] = CStringGetTextDatum(pem);
	key_free_text(pem);
	values[1] = CStringGetTextDatum(fingerprint);
	values[2] = CStringGetTextDatum(key_algorithm_name(key_algorithm(key)));
	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(desc, values, nulls)));
}

#define PURE_ALLIANCE_MAX 180	/* leaves room for "/" and a member's name in a note name */

PG_FUNCTION_INFO_V1(medchain_name_valid);

/*
 * name_valid(name text, alliance boolean): may a member, or an alliance, be called so?  Together
 * they are a note name.
 */
Datum
medchain_name_valid(PG_FUNCTION_ARGS)
{
	char	   *name = text_to_cstring(PG_GETARG_TEXT_PP(0));
	bool		fits = (PG_GETARG_BOOL(1) ? strlen(name) <= PURE_ALLIANCE_MAX :
						entry_name_valid(name));

	PG_RETURN_BOOL(fits && note_name_valid(name));
}
