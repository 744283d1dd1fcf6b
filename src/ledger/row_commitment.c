/*
 * row_commitment.c: canonical text of a row, and what is hashed of it.
 *
 * The canonical text of a row is its columns that are not null, sorted by name in byte order, each
 * as "<bytes of name>:<name><bytes of value>:<value>", the value as its type prints it under fixed
 * settings.  So it is the same after dump and restore, with columns in another order, and with
 * empty columns added.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "miscadmin.h"
#include "pgtime.h"
#include "utils/builtins.h"
#include "utils/bytea.h"
#include "utils/float.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "compat.h"
#include "ledger/pseudonym.h"
#include "ledger/row_commitment.h"
#include "ledger/trusted.h"

/* What the caller's settings were. */
typedef struct RowSettings
{
	RowSettingsKind kind;
	int			nestlevel;
	int			date_style;
	int			interval_style;
	int			float_digits;
	int bytea;
	pg_tz	   *zone;
} RowSettings;

/*
 * For the types everybody uses, the variables behind the settings are changed, as setting them
 * properly would cost more than all the rest; PG_FINALLY puts them back.
 */
static void
row_settings_fix(RowSettingsKind kind, RowSettings *saved)
{
	saved->kind = kind;
	if (kind == ROW_SETTINGS_ALL)
	{
		saved->nestlevel = NewGUCNestLevel();
		trusted_fix_texts();
	}
	else if (kind == ROW_SETTINGS_FORMAT)
	{
		static pg_tz *utc = NULL;

		if (utc == NULL)
			utc = pg_tzset("UTC");
		saved->date_style = DateStyle;
		saved->interval_style = IntervalStyle;
		saved->float_digits = extra_float_digits;
		saved->bytea = bytea_output;
		saved->zone = session_timezone;
		DateStyle = USE_ISO_DATES;
		IntervalStyle = INTSTYLE_ISO_8601;
		extra_float_digits = 1;
		bytea_output = BYTEA_OUTPUT_HEX;
		session_timezone = utc;
	}
}

static void
row_settings_restore(const RowSettings *saved)
{
	if (saved->kind == ROW_SETTINGS_ALL)
		AtEOXact_GUC(true, saved->nestlevel);
	else if (saved->kind == ROW_SETTINGS_FORMAT)
	{
		DateStyle = saved->date_style;
		IntervalStyle = saved->interval_style;
		extra_float_digits = saved->float_digits;
		bytea_output = saved->bytea;
		session_timezone = saved->zone;
	}
}

/* The columns' values as text, NULL where null. */
static void
row_values(const RowTable *table, TupleDesc desc, HeapTuple row, char **texts)
{
	Datum	   *values = palloc(sizeof(Datum) * (size_t) desc->natts);
	bool	   *nulls = palloc(sizeof(bool) * (size_t) desc->natts);
	RowSettings saved;

	heap_deform_tuple(row, desc, values, nulls);
	row_settings_fix(table->settings, &saved);
	PG_TRY();
	{
		for (int i = 0; i < table->ncolumns; i++)
		{
			RowColumn  *column = &table->columns[i];
			int			at = column->attribute - 1;

			texts[i] = nulls[at] ? NULL : OutputFunctionCall(&column->output, values[at]);
		}
	}
	PG_CATCH();
	{
		/* the other kind is undone by the (sub)transaction's abort */
		if (saved.kind == ROW_SETTINGS_FORMAT)
			row_settings_restore(&saved);
		PG_RE_THROW();
	}
	PG_END_TRY();
	row_settings_restore(&saved);
}

/* "<bytes>:<text>" */
static void
row_append(StringInfo out, const char *text)
{
	size_t		len = strlen(text);
	char		digits[MAXINT8LEN + 1];
	int			ndigits = pg_ulltoa_n(len, digits);

	appendBinaryStringInfo(out, digits, ndigits);
	appendStringInfoChar(out, ':');
	appendBinaryStringInfo(out, text, (int) len);
}

/* A pseudonym of "row\n<table>\n<canonical text of the key's columns>". */
static void
row_id(const RowTable *table, const char *canonical_key, uint8_t id[HASH_LEN])
{
	StringInfoData name;

	initStringInfo(&name);
	appendStringInfoString(&name, "row\n");
	appendStringInfoString(&name, table->name);
	appendStringInfoChar(&name, '\n');
	appendStringInfoString(&name, canonical_key);
	pseudonym_of(name.data, (size_t) name.len, id);
	pfree(name.data);
}

/*
 * The salt is as good as random to whoever has not the table's secret, and is another one for every
 * row and content.
 */
static void
row_commit(const RowTable *table, RowImage *image)
{
	StringInfoData message;
	uint8_t		salt[HASH_LEN];

	initStringInfo(&message);
	appendBinaryStringInfo(&message, (const char *) image->id, HASH_LEN);
	appendBinaryStringInfo(&message, image->content.data, image->content.len);
	if (!hash_mac(table->salts, message.data, (size_t) message.len, salt))
		elog(ERROR, "could not compute HMAC-SHA-256");
	memcpy(image->salt, salt, ROW_SALT_LEN);

	resetStringInfo(&message);
	appendBinaryStringInfo(&message, (const char *) image->salt, ROW_SALT_LEN);
	appendBinaryStringInfo(&message, image->content.data, image->content.len);
	if (!hash_sha256(message.data, (size_t) message.len, image->commitment))
		elog(ERROR, "could not compute SHA-256");
	pfree(message.data);
}

void
row_image(const RowTable *table, TupleDesc desc, HeapTuple row, int version, RowImage *image)
{
	char	  **texts = palloc(sizeof(char *) * (size_t) table->ncolumns);
	StringInfoData key;
	StringInfoData key_text;

	row_values(table, desc, row, texts);
	memset(image, 0, sizeof(*image));
	initStringInfo(&image->content);
	initStringInfo(&key);
	initStringInfo(&key_text);
	for (int i = 0; i < table->ncolumns; i++)
	{
		const RowColumn *column = &table->columns[i];

		if (texts[i] == NULL)
			continue;
		if (column->since <= version)
		{
			row_append(&image->content, column->name);
			row_append(&image->content, texts[i]);
		}
		if (column->is_key)
		{
			row_append(&key, column->name);
			row_append(&key, texts[i]);
			appendStringInfo(&key_text, "%s%s=%s", key_text.len > 0 ? ", " :
							 "", column->name, texts[i]);
		}
		if (column->attribute == table->subject)
			image->identity = table->subject_padded ?
				pnstrdup(texts[i], (Size) bpchartruelen(texts[i], (int) strlen(texts[i]))) :
				texts[i];
	}
	image->key_text = key_text.data;
	row_id(table, key.data, image->id);
	row_commit(table, image);
}
