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

#include "alliance/fold.h"
#include "ledger/trusted.h"

/* The same list is in fold.sql, fold_kinds(); test sql/fold.sql compares them. */
static const char *const governance_kinds[] = {
	"genesis", "contract", "acceptance", "configure",
	"protocol", "amendment", "revocation", "note", "bind_role"
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
	trusted_execute(&plan, "SELECT medchain.fold_entries($1, $2, $3)", 3, types, values, NULL, false);
	SPI_freetuptable(SPI_tuptable);
}

char *
fold_ledger_key(const char *origin)
{
	static SPIPlanPtr plan = NULL;
	MemoryContext context = CurrentMemoryContext;
	Oid			types[1] = {TEXTOID};
	Datum		values[1] = {CStringGetTextDatum(origin)};
	char	   *key = NULL;

	trusted_execute(&plan, "SELECT ledger_key FROM medchain.member WHERE name = $1",
					1, types, values, NULL, false);
	if (SPI_processed > 0)
	{
		char	   *found = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);

		if (found)
			key = MemoryContextStrdup(context, found);
	}
	SPI_freetuptable(SPI_tuptable);
	return key;
}
