/*
 * hold.c: keeping what arrives from a peer until the keeper judges it, within bounds.
 */
#include "postgres.h"

#include "access/detoast.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "compat.h"
#include "ledger/local_node.h"
#include "node/shared.h"
#include "node/trusted.h"
#include "rules/json_text.h"
#include "sync/hold.h"
#include "sync/hold_dropped.h"
#include "sync/hold_room.h"
#include "sync/hold_rows.h"

#define HOLD_VERSIONS 4			/* of one block: the keeper judges each */

/* What this process knows in its current transaction. */
typedef struct HoldTransaction
{
	HoldChain	last;			/* of the entry that was held last; no name: of none */
	int64		next;			/* seq behind it */
	bool		arrived;		/* blocks, for the keeper */
} HoldTransaction;

static HoldTransaction hold;

void
hold_drop(const HoldChain *chain, int entries, int blocks)
{
	/* whom it is counted for: the transaction's end is too late to ask */
	(void) hold_source();
	hold_dropped_add(chain->known ? chain->origin : "", entries, blocks);
}

void
hold_entry(const HoldChain *chain, int64 seq, Datum payload)
{
	int64		bytes = (int64) toast_raw_datum_size(payload) - VARHDRSZ;

	/* enough of it to be refused by everybody alike */
	if (bytes > JSON_TEXT_MAX)
	{
		bytes = JSON_TEXT_MAX + 1;
		payload = PointerGetDatum(DatumGetTextPSlice(payload, 0, (int32) bytes));
	}
	if (seq >= chain->size + HOLD_ENTRIES || !hold_room_for(chain, bytes, false))
	{
		hold_drop(chain, 1, 0);
		return;
	}
	hold_rows_add(hold_source(), chain->origin, seq, payload, (int32) bytes);
	hold_room_used(chain->origin, 1, bytes, 0);
	if (strcmp(hold.last.origin, chain->origin) != 0)
		hold.last = *chain;
	hold.next = seq + 1;
}

bool
hold_next(const text *origin, int64 seq, Datum payload)
{
	size_t		len = VARSIZE_ANY_EXHDR(origin);

	if (hold.last.origin[0] == '\0' || seq != hold.next || strlen(hold.last.origin) != len ||
		memcmp(hold.last.origin, VARDATA_ANY(origin), len) != 0)
		return false;
	if (!hold_room_is_plenty(&hold.last) ||
		toast_raw_datum_size(payload) - VARHDRSZ > JSON_TEXT_MAX ||
		seq < hold.last.size || seq >= hold.last.size + HOLD_ENTRIES)
		return false;
	hold_entry(&hold.last, seq, payload);
	return true;
}

bool
hold_run(HeldRun *run)
{
	return hold.arrived && hold_rows_run(run);
}

void
hold_taken(const HeldRun *run, int64 taken)
{
	hold_room_used(run->origin, -taken, -hold_rows_taken(taken), 0);
}

/* May one more version of a block be held?  False: as that is there, or too many others. */
static bool
hold_is_new_version(const HoldChain *chain, int64 height, const char *note, bool *there)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[4] = {TEXTOID, TEXTOID, INT8OID, TEXTOID};
	Datum		values[4];
	bool		isnull;
	int64		versions;

	values[0] = CStringGetTextDatum(hold_source());
	values[1] = CStringGetTextDatum(chain->origin);
	values[2] = Int64GetDatum(height);
	values[3] = CStringGetTextDatum(note);
	trusted_execute(&plan, "SELECT count(*), coalesce(bool_or(h.note = $4), false) FROM "
				  "medchain.held_block h WHERE h.origin = $2 AND h.height = $3 AND h.source = $1",
					4, types, values, NULL, false);
	versions = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1,
										   &isnull));
	*there = DatumGetBool(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2,
										&isnull));
	SPI_freetuptable(SPI_tuptable);
	return !*there && versions < HOLD_VERSIONS;
}

void
hold_block(const HoldChain *chain, const ArrivedBlock *block)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[7] = {TEXTOID, TEXTOID, INT8OID, TEXTOID, BYTEAOID, TEXTOID, TEXTOID};
	Datum		values[7];
	char		nulls[7] = {' ', ' ', ' ', ' ', 'n', 'n', 'n'};
	const BlockCarried *carried = &block->carried;
	bool		there = false;
	int64		bytes = 0;

	if (carried->leaves != NULL)
		bytes += (int64) VARSIZE_ANY_EXHDR(carried->leaves);
	if (carried->kinds != NULL)
		bytes += (int64) strlen(carried->kinds);
	if (block->height > chain->height + HOLD_BLOCKS || !hold_room_for(chain, bytes, true) ||
		!hold_is_new_version(chain, block->height, block->note, &there))
	{
		if (!there)
			hold_drop(chain, 0, 1);
		return;
	}
	values[0] = CStringGetTextDatum(hold_source());
	values[1] = CStringGetTextDatum(chain->origin);
	values[2] = Int64GetDatum(block->height);
	values[3] = CStringGetTextDatum(block->note);
	if (carried->leaves != NULL)
	{
		values[4] = PointerGetDatum(carried->leaves);
		nulls[4] = ' ';
	}
	if (carried->kinds != NULL)
	{
		values[5] = CStringGetTextDatum(carried->kinds);
		values[6] = CStringGetTextDatum(carried->kinds_note);
		nulls[5] = nulls[6] = ' ';
	}
	trusted_execute(&plan,
				  "INSERT INTO medchain.held_block (source, origin, height, note, leaves, kinds, "
					"kinds_note) VALUES ($1, $2, $3, $4, $5, $6, $7)", 7, types, values, nulls,
					false);
	hold_room_used(chain->origin, 0, bytes, 1);
	hold.arrived = true;
}

/* What the transaction has still to write. */
static void
hold_write(void)
{
	TrustedScope scope;

	if (!hold_has_source())
		return;
	PushActiveSnapshot(GetTransactionSnapshot());
	trusted_begin(&scope);
	hold_rows_insert();
	hold_dropped_write(hold_source());
	trusted_end(&scope);
	PopActiveSnapshot();
}

static void
hold_forget(void)
{
	hold_rows_forget();
	hold_dropped_forget();
	hold_room_transaction();
	hold_chain_forget();
	memset(&hold, 0, sizeof(hold));
}

static void
hold_xact_callback(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
		case XACT_EVENT_PRE_PREPARE:
			hold_write();
			break;
		case XACT_EVENT_PREPARE:
			hold_forget();
			break;
		case XACT_EVENT_COMMIT:

			/* the keeper accepts what has arrived, when it can see it; or fetches what has not */
			if (hold.arrived || hold_dropped_any())
			{
				SharedDatabase *slot = shared_database();

				if (slot != NULL)
					(void) shared_wake(slot, WORKER_KEEPER);
			}
			hold_forget();
			break;
		case XACT_EVENT_ABORT:
			hold_forget();
			hold_room_forget();
			break;
		default:
			break;
	}
}

void
hold_install(void)
{
	RegisterXactCallback(hold_xact_callback, NULL);
}
