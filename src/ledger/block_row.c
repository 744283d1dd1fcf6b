/*
 * block_row.c: a verified block as a row of medchain.block.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "ledger/block_row.h"
#include "node/trusted.h"

bool		ledger_writing = false;

bool
block_sealed_text(TimestampTz sealed, char text[NOTE_SEALED_LEN + 1])
{
	struct pg_tm tm;
	fsec_t		fsec;

	if (TIMESTAMP_NOT_FINITE(sealed) || timestamp2tm(sealed, NULL, &tm, &fsec, NULL, NULL) != 0 ||
		tm.tm_year < 0 || tm.tm_year > 9999 || fsec % 1000 != 0)
		return false;
	snprintf(text, NOTE_SEALED_LEN + 1, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ",
			 tm.tm_year % 10000, tm.tm_mon % 100, tm.tm_mday % 100, tm.tm_hour % 100,
			 tm.tm_min % 100, tm.tm_sec % 100, (int) (fsec / 1000) % 1000);
	return true;
}

void
block_insert(const char *origin, const NoteBlock *block, const uint8_t head[HASH_LEN],
			 const char *note, const BlockCarried *carried)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[11] = {
		TEXTOID, INT8OID, INT8OID, BYTEAOID, BYTEAOID, BYTEAOID, TEXTOID, TEXTOID, BYTEAOID,
		TEXTOID, TEXTOID
	};
	Datum		values[11];
	char		nulls[12] = "           ";

	values[0] = CStringGetTextDatum(origin);
	values[1] = Int64GetDatum((int64) block->height);
	values[2] = Int64GetDatum((int64) block->size);
	values[3] = trusted_bytea(block->root, HASH_LEN);
	values[4] = trusted_bytea(block->previous, HASH_LEN);
	values[5] = trusted_bytea(head, HASH_LEN);
	values[6] = CStringGetTextDatum(block->sealed);
	values[7] = CStringGetTextDatum(note);
	values[8] = PointerGetDatum(carried->leaves);
	values[9] = CStringGetTextDatum(carried->kinds);
	if (carried->kinds_note != NULL)
		values[10] = CStringGetTextDatum(carried->kinds_note);
	else
		nulls[10] = 'n';
	trusted_execute(&plan,
					"INSERT INTO medchain.block (origin, height, size, root, previous, hash, "
					"sealed, note, leaves, kinds, kinds_note) "
					"VALUES ($1, $2, $3, $4, $5, $6, $7::timestamptz, $8, $9, $10, $11)",
					11, types, values, nulls, false);
}
