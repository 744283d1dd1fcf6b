/*
 * hold_chain.c: what an apply worker knows of the chains that its transaction brings something of.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "replication/worker_internal.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

#include "node/trusted.h"
#include "sync/hold_chain.h"

#define HOLD_CHAINS 1000		/* that one transaction remembers: who invents more, waits longer */

/* In the current transaction. */
typedef struct HoldKnown
{
	bool		begun;
	bool		is_node;
	LocalNode	node;
	char	   *source;
	HTAB	   *chains;			/* of HoldChain: that were asked about */
} HoldKnown;

static HoldKnown hold;

const LocalNode *
hold_node(void)
{
	if (!hold.begun)
	{
		MemoryContext old = MemoryContextSwitchTo(TopTransactionContext);

		hold.begun = true;
		hold.is_node = local_node_read(&hold.node);
		MemoryContextSwitchTo(old);
	}
	return hold.is_node ? &hold.node : NULL;
}

void
hold_set_source(const char *source)
{
	hold.source = MemoryContextStrdup(TopTransactionContext, source);
}

/* The member behind the subscription that this process applies. */
const char *
hold_source(void)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[1] = {TEXTOID};
	Datum		values[1];

	if (hold.source != NULL)
		return hold.source;

	values[0] = CStringGetTextDatum(MySubscription->name);
	trusted_execute(&plan, "SELECT member FROM medchain.peer WHERE subscription = $1", 1, types,
					values, NULL, false);
	hold_set_source(SPI_processed > 0 ?
					SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1) :
					MySubscription->name);
	return hold.source;
}

void
hold_look(HoldChain *chain)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[1] = {TEXTOID};
	Datum		values[1] = {CStringGetTextDatum(chain->origin)};
	HeapTuple	row;
	TupleDesc	desc;
	bool		isnull;
	Datum		value;

	trusted_execute(&plan,
					"SELECT EXISTS (SELECT FROM medchain.known k WHERE k.name = $1), "
					"c.height, c.size FROM medchain.local_node n LEFT JOIN medchain.chain c ON "
					"c.origin = $1", 1, types, values, NULL, false);
	row = SPI_tuptable->vals[0];
	desc = SPI_tuptable->tupdesc;
	chain->known = DatumGetBool(SPI_getbinval(row, desc, 1, &isnull));
	value = SPI_getbinval(row, desc, 2, &isnull);
	chain->height = isnull ? -1 : DatumGetInt64(value);
	value = SPI_getbinval(row, desc, 3, &isnull);
	chain->size = isnull ? 0 : DatumGetInt64(value);
	SPI_freetuptable(SPI_tuptable);
}

const HoldChain *
hold_chain(const char *origin)
{
	static HoldChain stranger;	/* one that there is no place for */
	HoldChain  *chain;
	bool		found;

	if (hold.chains == NULL)
	{
		HASHCTL		control = {
			.keysize = sizeof(stranger.origin), .entrysize = sizeof(HoldChain),
			.hcxt = TopTransactionContext
		};

		hold.chains = hash_create("medchain held chains", HOLD_CHAINS, &control,
								  HASH_ELEM | HASH_STRINGS | HASH_CONTEXT);
	}
	chain = hash_search(hold.chains, origin, HASH_FIND, NULL);
	if (chain != NULL)
		return chain;
	strlcpy(stranger.origin, origin, sizeof(stranger.origin));
	hold_look(&stranger);
	if (hash_get_num_entries(hold.chains) >= HOLD_CHAINS)
		return &stranger;
	chain = hash_search(hold.chains, origin, HASH_ENTER, &found);
	*chain = stranger;
	return chain;
}

bool
hold_has_source(void)
{
	return hold.source != NULL;
}

void
hold_chain_forget(void)
{
	memset(&hold, 0, sizeof(hold));
}
