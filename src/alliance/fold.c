/*
 * fold.c: where the ledger hands entries over to the alliance.
 *
 * The rules themselves are in SQL (sql/install/authority.sql and fold.sql): they
 * are about rows, and an auditor can read them with \sf.  This file only calls
 * them, from the sealer, the apply workers and the keeper alike.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "alliance/fold.h"
#include "ledger/trusted.h"

/* The same list is in fold.sql, fold_kinds(); test sql/fold.sql compares them. */
static const char *const governance_kinds[] = {
	"genesis", "contract", "acceptance", "configure",
	"protocol", "amendment", "revocation", "note", "bind_role",
	"suspend", "reinstate", "expel", "ending", "rekey", "crl", "policy", "examinee_key",
	"examinee_withdrawal"
};

bool
fold_is_governance(const char *kind)
{
	for (size_t i = 0; i < lengthof(governance_kinds); i++)
		if (strcmp(governance_kinds[i], kind) == 0)
			return true;
	return false;
}

void
fold_entries(const char *origin, int64 first, int64 last)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[3] = {TEXTOID, INT8OID, INT8OID};
	Datum		values[3];

	values[0] = CStringGetTextDatum(origin);
	values[1] = Int64GetDatum(first);
	values[2] = Int64GetDatum(last);
	trusted_execute(&plan, "SELECT medchain.fold_entries($1, $2, $3)", 3, types, values, NULL,
					false);
	SPI_freetuptable(SPI_tuptable);
}

void
fold_forget(const char *origin, int64 first)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[2] = {TEXTOID, INT8OID};
	Datum		values[2] = {CStringGetTextDatum(origin), Int64GetDatum(first)};

	trusted_execute(&plan, "SELECT medchain.fold_forget($1, $2)", 2, types, values, NULL, false);
	SPI_freetuptable(SPI_tuptable);
}

bool
fold_changes_key(const char *kind)
{
	return strcmp(kind, "rekey") == 0;
}

/* A bytea column of the current result; false for null. */
static bool
fold_hash(HeapTuple row, TupleDesc desc, int column, uint8_t hash[HASH_LEN])
{
	bool		isnull;
	Datum		value = SPI_getbinval(row, desc, column, &isnull);

	if (isnull || VARSIZE_ANY_EXHDR(DatumGetByteaPP(value)) != HASH_LEN)
		return false;
	memcpy(hash, VARDATA_ANY(DatumGetByteaPP(value)), HASH_LEN);
	return true;
}

void
fold_ledger_terms(const char *origin, ChainTerms *terms)
{
	static SPIPlanPtr plan = NULL;
	MemoryContext context = CurrentMemoryContext;
	Oid			types[1] = {TEXTOID};
	Datum		values[1] = {CStringGetTextDatum(origin)};

	trusted_execute(&plan, "SELECT k.from_height, k.public_key, k.follows, m.last_height, "
					"m.last_hash "
					"FROM medchain.ledger_key k JOIN medchain.member m ON m.name = k.member "
					"WHERE k.member = $1 ORDER BY k.from_height", 1, types, values, NULL, false);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple	row = SPI_tuptable->vals[i];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		MemoryContext old = MemoryContextSwitchTo(context);
		ChainKey   *key = palloc0(sizeof(ChainKey));
		bool		isnull;
		int64		last;

		key->from_height = DatumGetInt64(SPI_getbinval(row, desc, 1, &isnull));
		key->pem = SPI_getvalue(row, desc, 2);
		key->pem = MemoryContextStrdup(context, key->pem);
		key->named = fold_hash(row, desc, 3, key->follows);
		last = DatumGetInt64(SPI_getbinval(row, desc, 4, &isnull));
		if (!isnull)
		{
			terms->last_height = last;
			terms->last_named = fold_hash(row, desc, 5, terms->last_hash);
		}
		terms->keys = lappend(terms->keys, key);
		MemoryContextSwitchTo(old);
	}
	SPI_freetuptable(SPI_tuptable);
}

bool
fold_may_seal(const char *origin, int64 first, TimestampTz sealed)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[3] = {TEXTOID, INT8OID, TIMESTAMPTZOID};
	Datum		values[3] = {
		CStringGetTextDatum(origin), Int64GetDatum(first),
		TimestampTzGetDatum(sealed)
	};
	bool		isnull;
	bool		may;

	trusted_execute(&plan, "SELECT medchain.may_seal($1, $2, $3)", 3, types, values, NULL, false);
	may = DatumGetBool(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	SPI_freetuptable(SPI_tuptable);
	return may;
}
