/*
 * fork.c: a member that has signed two blocks of one height: finding the two, and saying so.
 *
 * Both have to come together somewhere.  A peer that sends the other one is simple: it goes to
 * quarantine, signed.  Where each peer has only ever seen one, their entries of kind witness name
 * different hashes, and whoever reads the other's asks for the block itself: words prove nothing.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "core/hash.h"
#include "ledger/append.h"
#include "node/steady.h"
#include "node/trusted.h"
#include "node/worker.h"
#include "sync/fork.h"

#define FORK_LOOK 1000			/* milliseconds between looks at what is new in quarantine */
#define FORK_AGAIN 600000		/* ... and at all of it */
#define FORK_AHEAD 1000			/* heads of blocks that are not here yet */

/* A head that somebody has witnessed, of a block that had not arrived. */
typedef struct ForkHead
{
	char	   *chain;
	int64		height;
	uint8_t		hash[HASH_LEN];
} ForkHead;

typedef struct ForkWitness
{
	char	   *name;
	List	   *heads;			/* the oldest first */
} ForkWitness;

static List *ahead = NIL;		/* ForkWitness, with all that they hold in TopMemoryContext */
static int	heads_ahead = 0;

static void
fork_forget(ForkWitness *witness, ForkHead *head)
{
	witness->heads = list_delete_ptr(witness->heads, head);
	pfree(head->chain);
	pfree(head);
	heads_ahead--;
	if (witness->heads != NIL)
		return;
	ahead = list_delete_ptr(ahead, witness);
	pfree(witness->name);
	pfree(witness);
}

/*
 * Whoever has witnessed most makes room: who invents heads by the thousand pushes out his own.
 */
static void
fork_make_room(void)
{
	ForkWitness *most = linitial(ahead);
	ListCell   *cell;

	foreach(cell, ahead)
	{
		ForkWitness *witness = lfirst(cell);

		if (list_length(witness->heads) > list_length(most->heads))
			most = witness;
	}
	fork_forget(most, linitial(most->heads));
}

/* In TopMemoryContext. */
static ForkWitness *
fork_witness(const char *name)
{
	ListCell   *cell;
	ForkWitness *witness;

	foreach(cell, ahead)
	{
		witness = lfirst(cell);
		if (strcmp(witness->name, name) == 0)
			return witness;
	}
	witness = palloc0(sizeof(ForkWitness));
	witness->name = pstrdup(name);
	ahead = lappend(ahead, witness);
	return witness;
}

static void
fork_remember(const char *witness, const char *chain, int64 height, bytea *hash)
{
	MemoryContext old;
	ForkWitness *by;
	ForkHead   *head;

	if (VARSIZE_ANY_EXHDR(hash) != HASH_LEN)
		return;
	if (heads_ahead == FORK_AHEAD)
		fork_make_room();
	old = MemoryContextSwitchTo(TopMemoryContext);
	head = palloc0(sizeof(ForkHead));
	head->chain = pstrdup(chain);
	head->height = height;
	memcpy(head->hash, VARDATA_ANY(hash), HASH_LEN);
	by = fork_witness(witness);
	by->heads = lappend(by->heads, head);
	heads_ahead++;
	MemoryContextSwitchTo(old);
}

/*
 * Ask for another block of a chain, up to where it was witnessed: the witness, or whoever we are
 * connected to if that is somebody else.
 */
static void
fork_doubt(const char *witness, const char *chain, int64 height)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[3] = {TEXTOID, TEXTOID, INT8OID};
	Datum		values[3] = {
		CStringGetTextDatum(witness), CStringGetTextDatum(chain), Int64GetDatum(height)
	};

	trusted_execute(&plan,
					"INSERT INTO medchain.missing AS f (source, origin, wanted, doubt_first, "
					"doubt_last) "
					"SELECT p.member, $2, false, greatest($3 - 999, 0), $3 "
					"FROM medchain.peer p WHERE (p.member = $1 OR NOT EXISTS (SELECT FROM "
					"medchain.peer x WHERE x.member = $1)) AND p.member <> $2 "
					"AND NOT medchain_internal.fork_is_known($2, $3) "
				 "ON CONFLICT (source, origin) DO UPDATE SET doubt_first = EXCLUDED.doubt_first, "
	"doubt_last = EXCLUDED.doubt_last WHERE f.doubt_first IS NULL", 3, types, values, NULL, false);
}

/* Blocks of that chain that have just come, and that this one has witnessed before. */
static void
fork_compare_ahead(ForkWitness *witness, const char *chain)
{
	static SPIPlanPtr plan = NULL;
	List	   *heads = list_copy(witness->heads);
	ListCell   *cell;

	foreach(cell, heads)
	{
		ForkHead   *head = lfirst(cell);
		Oid			types[2] = {TEXTOID, INT8OID};
		Datum		values[2];
		bool		isnull;
		bytea	   *hash;
		bool		differs;

		if (strcmp(head->chain, chain) != 0)
			continue;
		values[0] = CStringGetTextDatum(chain);
		values[1] = Int64GetDatum(head->height);
		trusted_execute(&plan, "SELECT hash FROM medchain.block WHERE origin = $1 AND height = $2",
						2, types, values, NULL, false);
		if (SPI_processed == 0)
			continue;
		hash = DatumGetByteaPP(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1,
											 &isnull));
		differs = VARSIZE_ANY_EXHDR(hash) != HASH_LEN ||
			memcmp(VARDATA_ANY(hash), head->hash, HASH_LEN) != 0;
		SPI_freetuptable(SPI_tuptable);
		if (differs)
			fork_doubt(witness->name, chain, head->height);
		fork_forget(witness, head);
	}
	list_free(heads);
}

void
fork_compare(const char *origin, int64 first, int64 last)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[3] = {TEXTOID, INT8OID, INT8OID};
	Datum		values[3] = {
		CStringGetTextDatum(origin), Int64GetDatum(first), Int64GetDatum(last)
	};
	SPITupleTable *rows;
	uint64		count;
	List	   *witnesses;
	ListCell   *cell;

	trusted_execute(&plan,
					"SELECT h.chain, h.height, h.hash, b.hash IS NOT NULL "
					"FROM medchain.entry e CROSS JOIN medchain.local_node n "
					"CROSS JOIN LATERAL medchain_internal.witness_head(e.payload) h "
					"LEFT JOIN medchain.block b ON b.origin = h.chain AND b.height = h.height "
					"WHERE e.origin = $1 AND e.seq BETWEEN $2 AND $3 AND e.kind = 'witness' "
					"AND h.chain <> n.node AND h.hash IS DISTINCT FROM b.hash "
					"ORDER BY e.seq", 3, types, values, NULL, false);
	rows = SPI_tuptable;
	count = SPI_processed;
	for (uint64 i = 0; i < count; i++)
	{
		HeapTuple	row = rows->vals[i];
		bool		isnull;
		char	   *chain = SPI_getvalue(row, rows->tupdesc, 1);
		int64		height = DatumGetInt64(SPI_getbinval(row, rows->tupdesc, 2, &isnull));
		bytea	   *hash = DatumGetByteaPP(SPI_getbinval(row, rows->tupdesc, 3, &isnull));

		CHECK_FOR_INTERRUPTS();
		if (DatumGetBool(SPI_getbinval(row, rows->tupdesc, 4, &isnull)))
			fork_doubt(origin, chain, height);
		else
			fork_remember(origin, chain, height, hash);
	}
	SPI_freetuptable(rows);

	/* it loses those of whom nothing is left */
	witnesses = list_copy(ahead);
	foreach(cell, witnesses)
		fork_compare_ahead(lfirst(cell), origin);
	list_free(witnesses);
}

/* In a transaction: the newest row of quarantine that was looked at. */
static int64
fork_prove(int64 after)
{
	static SPIPlanPtr newest = NULL;
	static SPIPlanPtr read = NULL;
	Oid			type[1] = {INT8OID};
	Datum		value[1] = {Int64GetDatum(after)};
	SPITupleTable *rows;
	uint64		count;
	bool		isnull;
	int64		id;

	trusted_execute(&newest, "SELECT coalesce(max(id), 0) FROM medchain.quarantine", 0, NULL, NULL,
					NULL, false);
	id = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	SPI_freetuptable(SPI_tuptable);
	if (id <= after)
		return after;
	trusted_execute(&read, "SELECT member, height, body::text FROM medchain_internal.new_forks($1)",
					1, type, value, NULL, false);
	rows = SPI_tuptable;
	count = SPI_processed;
	for (uint64 i = 0; i < count; i++)
	{
		ereport(WARNING,
				(errmsg("medchain: \"%s\" has signed two blocks of height %s of its chain",
						SPI_getvalue(rows->vals[i], rows->tupdesc, 1),
						SPI_getvalue(rows->vals[i], rows->tupdesc, 2)),
				 errdetail("Both are on the ledger now."),
				 errhint("See the view medchain.forks.")));
		append_own_entry("fork", SPI_getvalue(rows->vals[i], rows->tupdesc, 3), NULL, NULL);
	}
	SPI_freetuptable(rows);
	return id;
}

void
fork_look(SharedDatabase *slot)
{
	static LastComplaint complaint = {0};
	static TimestampTz looked = 0;
	static TimestampTz began = 0;
	static int64 after = 0;
	MemoryContext context = CurrentMemoryContext;
	TimestampTz now = steady_now();

	if (!TimestampDifferenceExceeds(looked, now, FORK_LOOK))
		return;
	looked = now;
	if (TimestampDifferenceExceeds(began, now, FORK_AGAIN))
	{
		began = now;
		after = 0;				/* a block may have come since that differs */
	}
	PG_TRY();
	{
		TrustedScope scope;
		int64		seen;

		worker_begin(slot, "looking for forks");
		trusted_begin(&scope);
		seen = fork_prove(after);
		trusted_end(&scope);
		worker_commit();
		after = seen;
	}
	PG_CATCH();
	{
		(void) worker_recover(context, &complaint, "looking for forks");
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
}
