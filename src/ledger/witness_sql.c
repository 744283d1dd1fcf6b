/*
 * witness_sql.c: what SQL reads of entries of kind witness: by what they are indexed, and all that
 * they say.  Nothing fails because of the text: it is whatever a peer has sealed.
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"

#include "node/trusted.h"
#include "rules/witness.h"

static bool
witness_sql_read(FunctionCallInfo fcinfo, Witness *witness)
{
	text	   *payload = PG_GETARG_TEXT_PP(0);

	return witness_read(VARDATA_ANY(payload), VARSIZE_ANY_EXHDR(payload), witness);
}

PG_FUNCTION_INFO_V1(medchain_witness_chain);

/* witness_chain(payload text) -> text */
Datum
medchain_witness_chain(PG_FUNCTION_ARGS)
{
	Witness		witness;

	if (!witness_sql_read(fcinfo, &witness))
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(witness.chain));
}

PG_FUNCTION_INFO_V1(medchain_witness_height);

/* witness_height(payload text) -> bigint */
Datum
medchain_witness_height(PG_FUNCTION_ARGS)
{
	Witness		witness;

	if (!witness_sql_read(fcinfo, &witness))
		PG_RETURN_NULL();
	PG_RETURN_INT64(witness.height);
}

PG_FUNCTION_INFO_V1(medchain_witness_head);

/* witness_head(payload text) -> (chain, entries, height, hash, cosignature) */
Datum
medchain_witness_head(PG_FUNCTION_ARGS)
{
	TupleDesc	desc;
	Witness		witness;
	NoteSignature signature;
	Datum		values[5];
	bool		nulls[5] = {false};
	size_t		author;

	if (!witness_sql_read(fcinfo, &witness))
		PG_RETURN_NULL();
	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	values[0] = CStringGetTextDatum(witness.chain);
	values[1] = Int64GetDatum(witness.entries);
	values[2] = Int64GetDatum(witness.height);
	values[3] = trusted_bytea(witness.hash, HASH_LEN);

	/* whoever says so says it for himself: a member's key is called <alliance>/<member> */
	author = strlen(witness.author);
	nulls[4] = !witness_signature(&witness, &signature) || signature.namelen <= author ||
		memcmp(signature.name + signature.namelen - author, witness.author, author) != 0 ||
		signature.name[signature.namelen - author - 1] != '/';
	values[4] = nulls[4] ? (Datum) 0 : CStringGetTextDatum(witness.cosignature);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}
