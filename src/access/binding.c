/*
 * binding.c: the roles that act for members, and what becomes of them.
 *
 * A binding is of the role and not of its name.  Roles belong to the server: they are renamed and
 * dropped in any of its databases, by whoever may, and PostgreSQL tells every process that one has
 * changed.  The keeper then looks which, and says it on the ledger: the name that people know is
 * another one, or the binding has ended.  What a session may do does not wait for that: nobody logs
 * in as a role that is gone, and what is renamed is still the same.
 */
#include "postgres.h"

#include "executor/spi.h"
#include "utils/inval.h"
#include "utils/syscache.h"

#include "access/binding.h"
#include "node/trusted.h"

/* How often something has changed, and as of which change all is said. */
static uint64 changes = 1;
static uint64 settled = 0;

static void
binding_forget(Datum arg, int cache, uint32 hash)
{
	changes++;
}

bool
binding_due(bool changed)
{
	static bool registered = false;

	if (!registered)
		CacheRegisterSyscacheCallback(AUTHOID, binding_forget, (Datum) 0);
	registered = true;
	if (changed)
		changes++;
	return changes != settled;
}

void
binding_settle(void)
{
	static SPIPlanPtr plan = NULL;
	uint64		before = changes;	/* what comes now may be seen, or not */
	bool		isnull;

	trusted_execute(&plan, "SELECT medchain_internal.settle_roles()", 0, NULL, NULL, NULL, false);
	if (DatumGetBool(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull)))
		settled = before;
	SPI_freetuptable(SPI_tuptable);
}
