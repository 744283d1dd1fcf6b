/*
 * row_commitment.c: canonical text of a row, and what is hashed of it.
 *
 * The canonical text of a row is its columns that are not null, sorted by name in byte order, each
 * as "<bytes of name>:<name><bytes of value>:<value>", the value as its type prints it under fixed
 * settings.  So it is the same after dump and restore, with columns in another order, and with
 * empty columns added.
 */
#include "postgres.h"

#include "access/detoast.h"
#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "pgtime.h"
#include "utils/builtins.h"
#include "utils/bytea.h"
#include "utils/date.h"
#include "utils/datetime.h"
#include "utils/float.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "compat.h"
#include "ledger/pseudonym.h"
#include "node/trusted.h"
#include "rows/row_commitment.h"

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

/* A number, date or time as text. */
#define ROW_DIGITS 48

static size_t
row_date(DateADT value, char digits[ROW_DIGITS])
{
	struct pg_tm tm = {0};

	if (DATE_NOT_FINITE(value))
		EncodeSpecialDate(value, digits);
	else
	{
		j2date(value + POSTGRES_EPOCH_JDATE, &tm.tm_year, &tm.tm_mon, &tm.tm_mday);
		EncodeDateOnly(&tm, USE_ISO_DATES, digits);
	}
	return strlen(digits);
}

/* One with a zone: in UTC. */
static size_t
row_timestamp(Timestamp value, bool zoned, char digits[ROW_DIGITS])
{
	struct pg_tm tm;
	fsec_t		fraction;

	if (TIMESTAMP_NOT_FINITE(value))
		EncodeSpecialTimestamp(value, digits);
	else if (timestamp2tm(value, NULL, &tm, &fraction, NULL, NULL) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("timestamp out of range")));
	else
	{
		tm.tm_isdst = 0;
		EncodeDateTime(&tm, fraction, zoned, 0, NULL, USE_ISO_DATES, digits);
	}
	return strlen(digits);
}

/* The text of a value; NULL: it is null. */

static void
row_text(const RowColumn *column, Datum value, char digits[ROW_DIGITS], RowText *out)
{
	switch (column->text)
	{
		case ROW_TEXT_INT2:
			out->len = (size_t) pg_itoa(DatumGetInt16(value), digits);
			out->data = digits;
			break;
		case ROW_TEXT_INT4:
			out->len = (size_t) pg_ltoa(DatumGetInt32(value), digits);
			out->data = digits;
			break;
		case ROW_TEXT_INT8:
			out->len = (size_t) pg_lltoa(DatumGetInt64(value), digits);
			out->data = digits;
			break;
		case ROW_TEXT_DATE:
			out->len = row_date(DatumGetDateADT(value), digits);
			out->data = digits;
			break;
		case ROW_TEXT_TIMESTAMP:
		case ROW_TEXT_TIMESTAMPTZ:
			out->len = row_timestamp(DatumGetTimestamp(value),
									 column->text == ROW_TEXT_TIMESTAMPTZ, digits);
			out->data = digits;
			break;
		case ROW_TEXT_ITSELF:
			{
				struct varlena *detoasted = PG_DETOAST_DATUM_PACKED(value);

				out->data = VARDATA_ANY(detoasted);
				out->len = VARSIZE_ANY_EXHDR(detoasted);
				break;
			}
		case ROW_TEXT_FUNCTION:
			out->data = OutputFunctionCall(unconstify(FmgrInfo *, &column->output), value);
			out->len = strlen(out->data);
			break;
	}
}

/* Of the columns that are not null: their texts. */
static void
row_texts(const RowTable *table, const Datum *values, const bool *nulls,
		  char (*digits)[ROW_DIGITS], RowText *texts)
{
	for (int i = 0; i < table->ncolumns; i++)
	{
		const RowColumn *column = &table->columns[i];
		int			at = column->attribute - 1;

		if (nulls[at] || column->is_virtual)
			texts[i].data = NULL;
		else
			row_text(column, values[at], digits[i], &texts[i]);
	}
}

/* The same, with the settings that they depend on. */
static void
row_texts_by_settings(const RowTable *table, const Datum *values, const bool *nulls,
					  char (*digits)[ROW_DIGITS], RowText *texts)
{
	RowSettings saved;

	row_settings_fix(table->settings, &saved);
	PG_TRY();
	{
		row_texts(table, values, nulls, digits, texts);
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

/* Of a row without a key, so many bytes of a value, and of all of them, are shown to people. */
#define ROW_KEY_VALUE_TEXT_MAX 40
#define ROW_KEY_TEXT_MAX 200
#define ROW_KEY_TEXT_ROOM (ROW_KEY_TEXT_MAX + ROW_KEY_VALUE_TEXT_MAX + 16)

/* A column in the canonical text takes at most so many bytes more than its value. */
#define ROW_COLUMN_MORE(column) ((size_t) (column)->label_len + ROW_DIGITS + 1)

/* "<bytes of name>:<name><bytes>:<value>" from at on; returns what is behind it. */
static char *
row_append(char *at, const RowColumn *column, const RowText *text)
{
	memcpy(at, column->label, (size_t) column->label_len);
	at += column->label_len;
	at += pg_ulltoa_n(text->len, at);
	*at++ = ':';
	memcpy(at, text->data, text->len);
	return at + text->len;
}

/* The columns that this version of the table had; returns what is behind them. */
static char *
row_content(const RowTable *table, const RowText *texts, int version, char *at, RowImage *image)
{
	image->content = at;
	for (int i = 0; i < table->ncolumns; i++)
		if (texts[i].data != NULL && table->columns[i].since <= version)
			at = row_append(at, &table->columns[i], &texts[i]);
	image->content_len = (size_t) (at - image->content);
	*at++ = '\0';
	return at;
}

/* What the id of a row with a key is made of; returns what is behind it. */
static char *
row_key_write(const RowTable *table, const RowText *texts, char *at)
{
	memcpy(at, table->id_prefix, (size_t) table->id_prefix_len);
	at += table->id_prefix_len;
	for (int i = 0; i < table->ncolumns; i++)
		if (texts[i].data != NULL && table->columns[i].is_key)
			at = row_append(at, &table->columns[i], &texts[i]);
	return at;
}

void
row_id_of_texts(const RowTable *table, const RowText *texts, uint8_t id[HASH_LEN])
{
	size_t		room = (size_t) table->id_prefix_len;
	char		few[256];
	char	   *key = few;

	for (int i = 0; i < table->ncolumns; i++)
		room += ROW_COLUMN_MORE(&table->columns[i]) + texts[i].len;
	if (room > sizeof(few))
		key = palloc(room);
	pseudonym_of(key, (size_t) (row_key_write(table, texts, key) - key), id);
	if (key != few)
		pfree(key);
}

/*
 * What stands for the row: a pseudonym of "row\n<table>\n<canonical text of the key's columns>".
 * Where there is no key, all that it says, under the table's secret: every member has the
 * alliance's key, and could try out what a row holds.
 */
static char *
row_key(const RowTable *table, const RowText *texts, char *at, RowImage *image)
{
	image->key = table->keyless ? image->content : at;
	if (table->keyless)
		image->key_len = image->content_len;
	else
	{
		at = row_key_write(table, texts, at);
		image->key_len = (size_t) (at - image->key);
	}
	return at;
}

bool
row_image_same_key(const RowImage *a, const RowImage *b)
{
	return a->key_len == b->key_len && memcmp(a->key, b->key, a->key_len) == 0;
}

static void
row_id(const RowTable *table, const RowImage *like, RowImage *image)
{
	if (like != NULL && row_image_same_key(like, image))
		memcpy(image->id, like->id, HASH_LEN);
	else if (!table->keyless)
		pseudonym_of(image->key, image->key_len, image->id);
	else if (!hash_mac_pair(table->salts, table->id_prefix, (size_t) table->id_prefix_len,
							image->content, image->content_len, image->id))
		elog(ERROR, "could not compute HMAC-SHA-256");
}

/* The key for people; of all that a row says so much as they want to read. */
static void
row_key_text(const RowTable *table, const RowText *texts, char *at, RowImage *image)
{
	image->key_text = at;
	for (int i = 0; i < table->ncolumns; i++)
	{
		const RowColumn *column = &table->columns[i];
		size_t		len;

		if (texts[i].data == NULL || !(column->is_key || table->keyless))
			continue;
		len = texts[i].len;
		if (table->keyless && at - image->key_text + strlen(column->name) > ROW_KEY_TEXT_MAX)
		{
			at = stpcpy(at, ", ...");
			break;
		}
		if (at > image->key_text)
			at = stpcpy(at, ", ");
		at = stpcpy(stpcpy(at, column->name), "=");
		if (table->keyless && len > ROW_KEY_VALUE_TEXT_MAX)
			len = (size_t) pg_mbcliplen(texts[i].data, (int) Min(len, 4 * ROW_KEY_VALUE_TEXT_MAX),
										ROW_KEY_VALUE_TEXT_MAX);
		memcpy(at, texts[i].data, len);
		at += len;
		if (len < texts[i].len)
			at = stpcpy(at, "...");
	}
	*at = '\0';
}

/*
 * The salt is as good as random to whoever has not the table's secret, and is another one for every
 * row and content.  What it is hashed with is put in front of the content, where there is room.
 */
bool
row_commit(const HashMac *salts, const uint8_t id[HASH_LEN], char *content, size_t content_len,
		   uint8_t salt[ROW_SALT_LEN], uint8_t commitment[HASH_LEN])
{
	uint8_t		mac[HASH_LEN];

	memcpy(content - HASH_LEN, id, HASH_LEN);
	if (!hash_mac(salts, content - HASH_LEN, HASH_LEN + content_len, mac))
		return false;
	memcpy(salt, mac, ROW_SALT_LEN);
	memcpy(content - ROW_SALT_LEN, mac, ROW_SALT_LEN);
	return hash_sha256(content - ROW_SALT_LEN, ROW_SALT_LEN + content_len, commitment);
}

void
row_image_hash(const RowTable *table, const RowImage *like, RowImage *image)
{
	if (image->hashed)
		return;
	row_id(table, like, image);
	if (!row_commit(table->salts, image->id, image->content, image->content_len, image->salt,
					image->commitment))
		elog(ERROR, "could not compute SHA-256");
	image->hashed = true;
}

static void
row_too_long(const RowTable *table, size_t len)
{
	ereport(ERROR,
			(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
			 errmsg("a row of ledger table \"%s\" is too long", table->name),
			 errdetail("Its text has %zu bytes, and may have %zu.", len, (Size) MaxAllocSize),
			 errhint("Keep what is so long in several rows, or elsewhere with its hash here.")));
}

/*
 * So much text that it cannot be held is refused before a minute is spent on making it.  A row like
 * that has values outside of the table; those of bytea take two digits a byte.
 */
static void
row_check_length(const RowTable *table, TupleDesc desc, const Datum *values, const bool *nulls)
{
	size_t		len = 0;

	for (int i = 0; i < table->ncolumns; i++)
	{
		int			at = table->columns[i].attribute - 1;
		Form_pg_attribute attribute = TupleDescAttr(desc, at);

		if (nulls[at] || attribute->attlen != -1)
			continue;
		len += (toast_raw_datum_size(values[at]) - VARHDRSZ) *
			(getBaseType(attribute->atttypid) == BYTEAOID ? 2 : 1);
	}
	if (!AllocSizeIsValid(len))
		row_too_long(table, len);
}

/* This is done for each of a million rows: everything that is needed comes out of one piece. */
RowText *
row_column_texts(const RowTable *table, TupleDesc desc, HeapTuple row)
{
	size_t		natts = (size_t) desc->natts;
	size_t		ncolumns = (size_t) table->ncolumns;
	RowText    *texts = palloc(ncolumns * (sizeof(RowText) + ROW_DIGITS) +
							   natts * (sizeof(Datum) + sizeof(bool)));
	Datum	   *values = (Datum *) (texts + ncolumns);
	char		(*digits)[ROW_DIGITS] = (char (*)[ROW_DIGITS]) (values + natts);
	bool	   *nulls = (bool *) (digits + ncolumns);

	heap_deform_tuple(row, desc, values, nulls);
	if (HeapTupleHasExternal(row))
		row_check_length(table, desc, values, nulls);
	if (table->settings == ROW_SETTINGS_NONE)
		row_texts(table, values, nulls, digits, texts);
	else
		row_texts_by_settings(table, values, nulls, digits, texts);
	return texts;
}

void
row_image_texts(const RowTable *table, TupleDesc desc, HeapTuple row, int version,
				RowImage *image)
{
	RowText    *texts = row_column_texts(table, desc, row);
	size_t		room = ROW_COMMIT_ROOM + (size_t) table->id_prefix_len + 2 +
	(table->keyless ? ROW_KEY_TEXT_ROOM : 0);
	char	   *at;

	image->identity = NULL;
	for (int i = 0; i < table->ncolumns; i++)
	{
		const RowColumn *column = &table->columns[i];

		if (texts[i].data == NULL)
			continue;
		room += (ROW_COLUMN_MORE(column) + texts[i].len) * (column->is_key ? 3 : 1);
		if (column->attribute == table->subject)
			image->identity = pnstrdup(texts[i].data, table->subject_padded ?
									   (Size) bpchartruelen(unconstify(char *, texts[i].data),
															(int) texts[i].len) : texts[i].len);
	}
	if (!AllocSizeIsValid(room))
		row_too_long(table, room);
	at = (char *) palloc(room) + ROW_COMMIT_ROOM;
	at = row_content(table, texts, version, at, image);
	at = row_key(table, texts, at, image);
	row_key_text(table, texts, at, image);
	image->hashed = false;
}

void
row_image(const RowTable *table, TupleDesc desc, HeapTuple row, int version, RowImage *image)
{
	row_image_texts(table, desc, row, version, image);
	row_image_hash(table, NULL, image);
}
