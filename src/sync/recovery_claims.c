/*
 * recovery_claims.c: what others say of this node's own chain (see recovery_claims.h).
 *
 * A claim is a word, and no proof: the block is not there to be verified.  It can keep this node
 * from sealing until an administrator overrules it, and nothing else.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "node/trusted.h"
#include "rules/entry.h"
#include "sync/fetch_copy.h"
#include "sync/recovery_claims.h"

#define CLAIMS_MAX 1000			/* of one peer: one of each witness */

typedef struct RecoveryClaim
{
	char	   *source;			/* who was asked */
	char	   *witness;		/* on whose chain it stands, he says */
	int64		height;
} RecoveryClaim;

static List *claims = NIL;		/* in TopMemoryContext */

/* Of whom claims are read, and above which height. */
typedef struct ClaimReader
{
	const char *source;
	int64		height;
} ClaimReader;

void
recovery_decision_read(const char *node, RecoveryDecision *decision)
{
	static SPIPlanPtr plan = NULL;
	Oid			type = TEXTOID;
	Datum		value = CStringGetTextDatum(node);

	memset(decision, 0, sizeof(*decision));
	decision->height = -1;
	trusted_execute(&plan, "SELECT b.height, b.hash, e.\"time\"::text FROM ("
					"SELECT s.seq, s.\"time\" FROM medchain.sealed s WHERE s.origin = $1 "
					"AND s.kind = 'member.take_over' "
					"AND s.payload::jsonb #>> '{body,without_peers}' = 'true' "
					"ORDER BY s.seq DESC LIMIT 1) e JOIN medchain.block b ON b.origin = $1 "
					"AND b.size > e.seq ORDER BY b.height LIMIT 1", 1, &type, &value, NULL, false);
	if (SPI_processed > 0)
	{
		HeapTuple	row = SPI_tuptable->vals[0];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		bool		isnull;
		bytea	   *hash = DatumGetByteaPP(SPI_getbinval(row, desc, 2, &isnull));

		if (VARSIZE_ANY_EXHDR(hash) == HASH_LEN)
		{
			decision->height = DatumGetInt64(SPI_getbinval(row, desc, 1, &isnull));
			memcpy(decision->hash, VARDATA_ANY(hash), HASH_LEN);
			strlcpy(decision->time, SPI_getvalue(row, desc, 3), sizeof(decision->time));
		}
	}
	SPI_freetuptable(SPI_tuptable);
}

/* Those of that peer; all of them if it is NULL. */
static void
claims_remove(const char *source)
{
	ListCell   *cell;

	foreach(cell, claims)
	{
		RecoveryClaim *claim = lfirst(cell);

		if (source != NULL && strcmp(claim->source, source) != 0)
			continue;
		claims = foreach_delete_current(claims, cell);
		pfree(claim->source);
		pfree(claim->witness);
		pfree(claim);
	}
}

/* A FetchCopyRow. */
static void
claims_take(void *state, int64 height, char *witness)
{
	const ClaimReader *reader = state;
	MemoryContext old;
	RecoveryClaim *claim;

	if (height <= reader->height || !entry_name_valid(witness))
		return;
	old = MemoryContextSwitchTo(TopMemoryContext);
	claim = palloc(sizeof(RecoveryClaim));
	claim->source = pstrdup(reader->source);
	claim->witness = pstrdup(witness);
	claim->height = height;
	claims = lappend(claims, claim);
	MemoryContextSwitchTo(old);
}

void
recovery_claims_ask(WalReceiverConn *connection, const char *source, const char *node,
					int64 height, const RecoveryDecision *decision, TimestampTz until)
{
	ClaimReader reader = {.source = source, .height = height};

	claims_remove(source);
	fetch_copy(connection,
			   psprintf("COPY (SELECT c.height, c.witness FROM medchain_internal.witness_claims("
						"%s, " INT64_FORMAT ", %s) c) TO STDOUT", quote_literal_cstr(node),
					  height, decision->height < 0 ? "NULL" : quote_literal_cstr(decision->time)),
			   CLAIMS_MAX, until, claims_take, &reader);
}

bool
recovery_claims_stand(int64 height, bool (*answered) (const char *member),
					  char why[SHARED_ERROR_LEN])
{
	const RecoveryClaim *highest = NULL;
	ListCell   *cell;

	foreach(cell, claims)
	{
		const RecoveryClaim *claim = lfirst(cell);

		if (claim->height > height && !answered(claim->witness) &&
			(highest == NULL || claim->height > highest->height))
			highest = claim;
	}
	if (highest != NULL)
		snprintf(why, SHARED_ERROR_LEN, "\"%s\" has verified block %lld of this node's chain, by "
				 "what \"%s\" has of its chain, and nobody who can be asked has that block",
				 highest->witness, (long long) highest->height, highest->source);
	return highest != NULL;
}

void
recovery_claims_forget(void)
{
	claims_remove(NULL);
}
