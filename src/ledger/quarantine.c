/*
 * quarantine.c: what peers sent and was refused, kept as evidence.
 *
 * Who floods us with rubbish fills neither the table nor the log with it: so many rows of a source
 * and so many lines a minute, the rest is counted.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "core/encode.h"
#include "core/note.h"
#include "ledger/quarantine.h"
#include "node/settings.h"
#include "node/steady.h"
#include "node/trusted.h"

#define QUARANTINE_PAYLOADS 65536	/* bytes of entries that are kept with a row */
#define QUARANTINE_PAYLOADS_MAX 100 /* and how many */
#define QUARANTINE_TEXT 1000	/* bytes of a note that is too long to be one */
#define QUARANTINE_LINES 20		/* in the log, a minute, of one process */
#define QUARANTINE_FULL 1000	/* milliseconds until it is counted again */
#define QUARANTINE_MINUTE 60000 /* milliseconds */

/* A line in the log is due: not one for each of a flood. */
static bool
quarantine_may_log(void)
{
	static TimestampTz since = 0;
	static int	lines = 0;
	TimestampTz now = steady_now();

	if (since == 0 || TimestampDifferenceExceeds(since, now, QUARANTINE_MINUTE))
	{
		if (lines > QUARANTINE_LINES)
			ereport(LOG,
					(errmsg("medchain: %d more of what peers sent was refused, without a line in "
							"the log for each", lines - QUARANTINE_LINES)));
		since = now;
		lines = 0;
	}
	return ++lines <= QUARANTINE_LINES;
}

/* As a column of text may hold it: cut where it is no note anyhow, and with bytes that are none. */
static char *
quarantine_text(const char *text)
{
	size_t		len = strlen(text);
	char	   *copy = pnstrdup(text, len > NOTE_MAX ? QUARANTINE_TEXT : len);

	encode_repair_utf8(copy);
	return copy;
}

/* Whose room was full a moment ago: who floods us shall not have it counted for each row. */
typedef struct QuarantineFull
{
	uint64		source;			/* hash of the name */
	TimestampTz at;
} QuarantineFull;

static QuarantineFull full[2];	/* what is not signed, and what is */

static bool
quarantine_is_full(const Refused *refused)
{
	const QuarantineFull *last = &full[refused->is_signed];

	return last->at != 0 &&
		last->source == hash_bytes_extended((const unsigned char *) refused->source,
											(int) strlen(refused->source), 0) &&
		!TimestampDifferenceExceeds(last->at, steady_now(), QUARANTINE_FULL);
}

static bool
quarantine_has_room(const Refused *refused, int nargs, Oid *types, Datum *values,
					const char *nulls)
{
	static SPIPlanPtr plan = NULL;
	bool		isnull;
	bool		there;
	bool		room;

	trusted_execute(&plan,
					"SELECT EXISTS (SELECT FROM medchain.quarantine q WHERE q.origin = $2 AND "
					"q.height = $3 AND q.source = $1 AND q.reason = $4 "
					"  AND q.detail IS NOT DISTINCT FROM $5 AND q.note IS NOT DISTINCT FROM $6), "
					"(SELECT count(*) FROM (SELECT FROM medchain.quarantine q "
					"  WHERE q.source = $1 AND q.signed = $7 LIMIT $10) x) < $10 "
					"AND $8 IS NOT NULL AND $9 IS NOT NULL",
					nargs, types, values, nulls, false);
	there = DatumGetBool(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	room = DatumGetBool(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2, &isnull));
	SPI_freetuptable(SPI_tuptable);
	if (!room)
	{
		full[refused->is_signed].source =
			hash_bytes_extended((const unsigned char *) refused->source,
								(int) strlen(refused->source), 0);
		full[refused->is_signed].at = steady_now();
	}
	return room && !there;
}

void
quarantine_add(const Refused *refused)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[10] = {
		TEXTOID, TEXTOID, INT8OID, TEXTOID, TEXTOID, TEXTOID, BOOLOID, INT8OID, INT8OID, INT8OID
	};
	Datum		values[10];
	char		nulls[10];

	if (quarantine_is_full(refused))
		return;
	memset(nulls, ' ', sizeof(nulls));
	values[0] = CStringGetTextDatum(refused->source);
	values[1] = CStringGetTextDatum(refused->origin);
	values[2] = Int64GetDatum(refused->height);
	values[3] = CStringGetTextDatum(refused->reason);
	values[4] = CStringGetTextDatum(refused->detail ? quarantine_text(refused->detail) : "");
	values[5] = CStringGetTextDatum(refused->note ? quarantine_text(refused->note) : "");
	values[6] = BoolGetDatum(refused->is_signed);
	values[7] = Int64GetDatum(refused->first);
	values[8] = Int64GetDatum(refused->last);
	values[9] = Int64GetDatum(setting_quarantine_limit);
	if (refused->detail == NULL)
		nulls[4] = 'n';
	if (refused->note == NULL)
		nulls[5] = 'n';
	if (!quarantine_has_room(refused, 10, types, values, nulls))
		return;
	trusted_execute(&plan,
					"WITH taken AS (SELECT DISTINCT ON (h.seq) h.seq, h.payload, h.bytes "
					"    FROM medchain.held_entry h WHERE h.source = $1 AND h.origin = $2 "
					"    AND h.seq >= $8 AND h.seq < $9 ORDER BY h.seq, h.id DESC LIMIT "
					CppAsString2(QUARANTINE_PAYLOADS_MAX) "), "
				  "kept AS (SELECT t.seq, t.payload, sum(t.bytes) OVER (ORDER BY t.seq) AS total "
					"    FROM taken t) "
					"INSERT INTO medchain.quarantine (source, origin, height, reason, detail, "
					"note, signed, payloads) "
					"SELECT $1, $2, $3, $4, $5, $6, $7, array_agg(coalesce('base64:' || "
					"medchain_internal.text_base64(k.payload), k.payload) ORDER BY k.seq) "
					"FROM kept k WHERE k.total <= " CppAsString2(QUARANTINE_PAYLOADS),
					9, types, values, nulls, false);
	if (quarantine_may_log())
		ereport(LOG,
				(errmsg("medchain: block %lld of chain \"%s\" from \"%s\" is in quarantine: %s",
						(long long) refused->height, refused->origin, refused->source,
						refused->reason),
				 refused->detail ? errdetail("%s", refused->detail) : 0));
}
