/*
 * rules_state.c: the state that the rules derive from a ledger, printed for COPY: the table's name
 * and its columns, one row a line.
 *
 *	rules_state [node] < ledger
 *
 * The ledger is what medchain.export() writes, or lines with "origin", "seq", "height", "sealed"
 * and "payload" behind a first one with "alliance" and "data_center", as test/lib/dump-ledger.sql
 * makes them of the tables.  node: whose roles are bound.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/encode.h"
#include "core/note.h"
#include "rules/memory_store.h"
#include "rules/rules.h"

typedef struct Waiting
{
	char	   *payload;
	size_t		len;
	int64_t		seq;
} Waiting;

static Pool *pool;
static MemoryStore *store;
static Rules *rules;
static Waiting *waiting;
static size_t nwaiting;
static unsigned long line_number;

static void
fail(const char *what)
{
	fprintf(stderr, "line %lu: %s\n", line_number, what);
	exit(2);
}

static char *
field(JsonSlice line, const char *name)
{
	return json_slice_text(pool, json_slice_get(line, name));
}

static int64_t
number(JsonSlice line, const char *name)
{
	char	   *text = field(line, name);

	if (text == NULL)
		fail("a number is missing");
	return strtoll(text, NULL, 10);
}

static int64_t
moment(const char *text)
{
	int64_t		time;

	if (text == NULL || !period_time(text, &time))
		fail("no time");
	return time;
}

static char *
payload_of(JsonSlice line, size_t *len)
{
	char	   *text = field(line, "payload");
	char	   *encoded = field(line, "payload_base64");

	if (text != NULL)
		*len = strlen(text);
	else if (encoded != NULL)
	{
		text = pool_alloc(pool, strlen(encoded) + 1);
		if (!decode_base64(encoded, strlen(encoded), (uint8_t *) text, len))
			fail("no base64");
	}
	else
		fail("no payload");
	return text;
}

static void
take(const char *origin, const Waiting *entry, int64_t height, int64_t sealed)
{
	memory_store_entry(store, entry->payload, entry->len);
	(void) rules_take(rules, entry->payload, entry->len, origin, entry->seq, height, sealed);
}

static void
block(JsonSlice line)
{
	char	   *note = field(line, "note");
	const char *origin = field(line, "origin");
	NoteBlock	header;
	CoreError	error = {0};

	if (note == NULL || !note_parse_block(note, strlen(note), &header, &error))
		fail("no block");
	for (size_t i = 0; i < nwaiting; i++)
		take(origin, &waiting[i], (int64_t) header.height, moment(header.sealed));
	if (nwaiting > 0)
		rules_settle(rules, origin, waiting[0].seq, waiting[nwaiting - 1].seq);
	nwaiting = 0;
	waiting = NULL;
	pool_reset(pool);
}

static void
entry(JsonSlice line)
{
	Waiting		fresh = {.seq = number(line, "seq")};
	const char *origin = field(line, "origin");

	fresh.payload = payload_of(line, &fresh.len);
	if (json_slice_get(line, "height").value == NULL)
	{
		waiting = pool_grow(pool, waiting, nwaiting, sizeof(Waiting));
		waiting[nwaiting++] = fresh;
		return;
	}
	take(origin, &fresh, number(line, "height"), moment(field(line, "sealed")));
	rules_settle(rules, origin, fresh.seq, fresh.seq);
	pool_reset(pool);
}

static void
print_value(const char *value)
{
	if (value == NULL)
	{
		fputs("\\N", stdout);
		return;
	}
	for (; *value != '\0'; value++)
		switch (*value)
		{
			case '\\':
				fputs("\\\\", stdout);
				break;
			case '\n':
				fputs("\\n", stdout);
				break;
			case '\r':
				fputs("\\r", stdout);
				break;
			case '\t':
				fputs("\\t", stdout);
				break;
			default:
				putchar(*value);
		}
}

static void
print_row(void *state, const StateRow *row)
{
	(void) state;
	fputs(state_tables[row->table].name, stdout);
	for (int i = 0; i < state_tables[row->table].ncolumns; i++)
	{
		putchar('\t');
		print_value(row->values[i]);
	}
	putchar('\n');
}

int
main(int argc, char **argv)
{
	char	   *text = NULL;
	size_t		size = 0;
	ssize_t		len;
	uint8_t		hash[HASH_LEN];
	char		hex[ENCODE_HEX_SIZE(HASH_LEN)];

	pool = pool_new();
	store = memory_store_new(false);
	while ((len = getline(&text, &size, stdin)) > 0)
	{
		JsonSlice	line = json_slice_read(pool, text, (size_t) len, JSON_TEXT_UNIQUE);

		line_number++;
		if (line.value == NULL)
			fail("no JSON object");
		if (rules == NULL)
		{
			const char *alliance = field(line, "alliance");
			const char *center = field(line, "data_center");

			if (alliance == NULL || center == NULL)
				fail("no alliance");
			rules = rules_new(alliance, center, argc > 1 ? argv[1] : field(line, "node"), NULL,
							  &memory_store, store);
		}
		else if (json_slice_is(json_slice_get(line, "type"), "block"))
			block(line);
		else if (json_slice_get(line, "seq").value != NULL)
			entry(line);
	}
	memory_store_rows(store, print_row, NULL);
	memory_store_hash(store, hash);
	encode_hex(hash, HASH_LEN, hex);
	fprintf(stderr, "%s\n", hex);
	rules_free(rules);
	memory_store_free(store);
	pool_free(pool);
	free(text);
	return 0;
}
