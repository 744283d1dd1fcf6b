/* The gate (rules/entry.h): what is an entry, and what is not, with the reason. */
#include <stdlib.h>

#include "rules/entry.h"
#include "tap.h"

#define ID "00000000-0000-4000-8000-00000000000a"
#define TIME "2026-01-31T23:59:59.123456Z"
#define SUBJECT "000102030405060708090a0b0c0d0e0f000102030405060708090a0b0c0d0e0"
#define HEAD "{\"kind\":\"k\",\"origin\":\"o\",\"id\":\"" ID "\",\"time\":\"" TIME \
	"\",\"actor\":\"a\""

/* As the body, or behind one, of an entry that is good otherwise. */
static const struct
{
	const char *body;
	const char *reason;			/* NULL: good */
}			bodies[] = {
	{"1", NULL}, {"{}", NULL}, {"[]", NULL}, {"\"\"", NULL}, {"null", NULL}, {"true", NULL},
	{"false", NULL}, {" \t\r\n1 \t\r\n", NULL}, {"[ 1 , [ ] , { } ]", NULL},
	{"{ \"a\" : 1 , \"a\" : 2 }", NULL}, {"-0.5E-7", NULL}, {"1e0", NULL}, {"0", NULL},
	{"-0", NULL},
	{"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\ud834\\udd1e\"", NULL},
	{"\"\xc3\xa9\xe2\x82\xac\xf0\x9d\x84\x9e\xef\xbf\xbf\"", NULL},
	{"123456789012345678901234567890.5e300", NULL},
	{"1e999", NULL}, {"0.1e999", NULL}, {"1e-999", NULL}, {"1E+999", NULL},
	{"1},\"more\":{\"x\":1}", "payload is not a JSON object"},
	{"1,\"more\":{\"kind\":1}", NULL},

	{"1e1000", "a number in payload has more than 1000 digits"},
	{"[0.1e-999]", "a number in payload has more than 1000 digits"},
	{"-1e-1000", "a number in payload has more than 1000 digits"},
	{"1e400000", "a number in payload has more than 1000 digits"},
	{"0e400000", "a number in payload has more than 1000 digits"},
	{"1e-400000", "a number in payload has more than 1000 digits"},
	{"1e99999999999999999999999999", "a number in payload has more than 1000 digits"},
	{"1e-99999999999999999999999999", "a number in payload has more than 1000 digits"},

	{"", "payload is not a JSON object"}, {"01", "payload is not a JSON object"},
	{"+1", "payload is not a JSON object"}, {"1.", "payload is not a JSON object"},
	{".5", "payload is not a JSON object"}, {"-", "payload is not a JSON object"},
	{"1e", "payload is not a JSON object"}, {"1.5e35E-7", "payload is not a JSON object"},
	{"1e5.5", "payload is not a JSON object"}, {"1e5-5", "payload is not a JSON object"},
	{"00e5", "payload is not a JSON object"},
	{"1e+", "payload is not a JSON object"},
	{"0x1", "payload is not a JSON object"}, {"1_000", "payload is not a JSON object"},
	{"NaN", "payload is not a JSON object"}, {"Infinity", "payload is not a JSON object"},
	{"tru", "payload is not a JSON object"}, {"nulll", "payload is not a JSON object"},
	{"'a'", "payload is not a JSON object"}, {"\"a", "payload is not a JSON object"},
	{"\"\\x\"", "payload is not a JSON object"}, {"\"\\u12g4\"", "payload is not a JSON object"},
	{"\"\\", "payload is not a JSON object"}, {"\"\n\"", "payload is not a JSON object"},
	{"\"\x01\"", "payload is not a JSON object"}, {"[1 2]", "payload is not a JSON object"},
	{"[1,]", "payload is not a JSON object"}, {"[,1]", "payload is not a JSON object"},
	{"[1}", "payload is not a JSON object"}, {"{\"a\":1]", "payload is not a JSON object"},
	{"[[]", "payload is not a JSON object"}, {"{\"a\"}", "payload is not a JSON object"},
	{"{\"a\":}", "payload is not a JSON object"}, {"{\"a\":1,}", "payload is not a JSON object"},
	{"{1:1}", "payload is not a JSON object"}, {"{,}", "payload is not a JSON object"},
	{"1}{", "payload is not a JSON object"}, {"1}x", "payload is not a JSON object"},
	{"1 // x", "payload is not a JSON object"}, {"\f1", "payload is not a JSON object"},

	{"\"a\\u0000b\"", "payload has \\u0000 in it"},
	{"{\"\\u0000\":1}", "payload has \\u0000 in it"},
	{"\"\\ud834\"", "payload has half of a surrogate pair in it"},
	{"\"\\ud834x\"", "payload has half of a surrogate pair in it"},
	{"\"\\ud834\\n\"", "payload has half of a surrogate pair in it"},
	{"\"\\ud834\\ud834\"", "payload has half of a surrogate pair in it"},
	{"\"\\udd1e\\ud834\"", "payload has half of a surrogate pair in it"},
	{"{\"\\udd1e\":1}", "payload has half of a surrogate pair in it"},

	{"\"\x80\"", "payload is not UTF-8 text"}, {"\"\xff\"", "payload is not UTF-8 text"},
	{"\"\xc0\xaf\"", "payload is not UTF-8 text"},
	{"\"\xe0\x80\xaf\"", "payload is not UTF-8 text"},
	{"\"\xed\xa0\x80\"", "payload is not UTF-8 text"},
	{"\"\xf4\x90\x80\x80\"", "payload is not UTF-8 text"},
	{"\"\xe2\x82\"", "payload is not UTF-8 text"},
	{"\"\xf0\x9d\x84\"", "payload is not UTF-8 text"},
	{"\"M\xfcller, who is called so in an older encoding\"", "payload is not UTF-8 text"},
};

/* Whole texts. */
static const struct
{
	const char *text;
	const char *reason;
}			texts[] = {
	{HEAD ",\"body\":1}", NULL},
	{" \n" HEAD ",\"role\":\"r\",\"subject\":\"" SUBJECT "F\",\"body\":1}\n", NULL},
	{"{\"body\":[],\"\\u0061ctor\":\"\\u0061\",\"time\":\"" TIME "\",\"id\":\"" ID
	"\",\"origin\":\"\\u006f\",\"\\u006bind\":\"\\u006b\"}", NULL},
	{"", "payload is not a JSON object"}, {"{", "payload is not a JSON object"},
	{"[]", "payload is not a JSON object"}, {"\"k\"", "payload is not a JSON object"},
	{"1", "payload is not a JSON object"},
	{"[" HEAD ",\"body\":1}]", "payload is not a JSON object"},
	{"{}", "payload must have one field \"kind\", a string"},
	{HEAD "}", "payload must have one field \"body\""},
	{HEAD ",\"body\":1,\"body\":1}", "payload must have one field \"body\""},
	{HEAD ",\"body\":1,\"\\u0062ody\":1}", "payload must have one field \"body\""},
	{HEAD ",\"body\":1,\"kind\":\"k\"}", "payload must have one field \"kind\", a string"},
	{HEAD ",\"body\":1,\"role\":null}", "payload must have one field \"role\", a string"},
	{HEAD ",\"body\":1,\"role\":\"r\",\"role\":\"r\"}",
	"payload must have one field \"role\", a string"},
	{HEAD ",\"body\":1,\"subject\":[]}", "payload must have one field \"subject\", a string"},
	{HEAD ",\"body\":1,\"subject\":\"00\"}",
	"payload field \"subject\" is not 64 hexadecimal digits"},
	{HEAD ",\"body\":1,\"subject\":\"" SUBJECT "g\"}",
	"payload field \"subject\" is not 64 hexadecimal digits"},
};

/* One of the fields of an entry that is good otherwise. */
static const struct
{
	const char *field;
	const char *good[6];
	const char *bad[12];
	const char *reason;
}			fields[] = {
	{"kind", {"a", "row.insert", "x-_.9", NULL},
	{"", "A", "9", ".a", "a b", "a\\n", "\\u00e9", "aB", NULL},
	"payload field \"kind\" is not a kind of entry"},
	{"origin", {"o", "data-centre", "\xe5\x8c\xbb\xe9\x99\xa2", "x\\\"y", NULL},
	{"", "a/b", "a b", "a+b", "a\\nb", "\\u2028", "\\u007f", NULL},
	"payload field \"origin\" is not a member's name"},
	{"actor", {"o", "data-centre", NULL}, {"", "a/b", " ", NULL},
	"payload field \"actor\" is not a member's name"},
	{"id", {"ffffffff-ffff-ffff-ffff-ffffffffffff", NULL},
	{"", "FFFFFFFF-ffff-ffff-ffff-ffffffffffff", "ffffffffffffffffffffffffffffffff",
		"{fffffff-ffff-ffff-ffff-ffffffffffff", "fffffff-fffff-ffff-ffff-ffffffffffff",
	"------------------------------------", NULL}, "payload field \"id\" is not a UUID"},
	{"time", {"0001-01-01T00:00:00.000000Z", "9999-12-31T23:59:59.999999Z",
	"2024-02-29T00:00:00.000000Z", NULL},
	{"", "0000-01-01T00:00:00.000000Z", "2026-02-29T00:00:00.000000Z",
		"2026-13-01T00:00:00.000000Z", "2026-01-32T00:00:00.000000Z",
		"2026-01-01T24:00:00.000000Z", "2026-01-01T00:60:00.000000Z",
		"2026-01-01T23:59:60.000000Z", "2026-01-01T00:00:00.000000z",
	"2026-01-01 00:00:00.000000Z", "infinity", NULL},
	"payload field \"time\" is not an RFC 3339 time in UTC with microseconds"},
};

static void
judge(const char *text, size_t len, const char *reason)
{
	Entry		entry;
	CoreError	error = {0};
	bool		fine = entry_read(text, len, &entry, &error);
	char		name[200];

	snprintf(name, sizeof(name), "%.150s", len < 150 ? text : "a long one");
	for (char *c = name; *c != '\0'; c++)
		if ((unsigned char) *c < ' ' || *c == '#')
			*c = '.';
	is_string(fine ? "good" : error.message, reason == NULL ? "good" : reason, name);
}

static void
judge_field(const char *field, const char *value, const char *reason)
{
	static const char *const names[] = {"kind", "origin", "id", "time", "actor"};
	static const char *const values[] = {"k", "o", ID, TIME, "a"};
	char		text[1000] = "{";
	size_t		at = 1;

	for (int i = 0; i < 5; i++)
		at += (size_t) sprintf(text + at, "\"%s\":\"%s\",", names[i],
							   strcmp(names[i], field) == 0 ? value : values[i]);
	at += (size_t) sprintf(text + at, "\"body\":1}");
	judge(text, at, reason);
}

static void
each(void)
{
	char		text[1000];

	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++)
		judge(text, (size_t) snprintf(text, sizeof(text), HEAD ",\"body\":%s}", bodies[i].body),
			  bodies[i].reason);
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		judge(texts[i].text, strlen(texts[i].text), texts[i].reason);
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
	{
		for (int j = 0; fields[i].good[j] != NULL; j++)
			judge_field(fields[i].field, fields[i].good[j], NULL);
		for (int j = 0; fields[i].bad[j] != NULL; j++)
			judge_field(fields[i].field, fields[i].bad[j], fields[i].reason);
	}
	judge(HEAD ",\"body\":1\0}", sizeof(HEAD ",\"body\":1\0}") - 1, "payload is not UTF-8 text");
	memset(text, 'x', sizeof(text));
	text[63] = '\0';
	judge_field("kind", text, NULL);
	judge_field("origin", text, NULL);
	text[63] = 'x';
	text[64] = '\0';
	judge_field("kind", text, "payload field \"kind\" is not a kind of entry");
	judge_field("actor", text, "payload field \"actor\" is not a member's name");
	text[64] = 'x';
	text[256] = '\0';
	judge_field("kind", text, "payload field \"kind\" is too long");
}

/* What is big. */
static void
limits(void)
{
	static const char *const numbers[] = {
		"0", "-0", "1e5", "-1E-9", "1e999", "123456789012345678", "1234567890123456789",
		"-12345678901234567890.50", "0.1234567890123456789"
	};
	size_t		size = JSON_TEXT_MAX + 1000;
	char	   *text = malloc(size);
	size_t		head = (size_t) sprintf(text, HEAD ",\"body\":");
	Entry		entry;
	CoreError	error = {0};

	for (int depth = 126; depth <= 128; depth++)
	{
		memset(text + head, '[', (size_t) depth);
		memset(text + head + depth, ']', (size_t) depth);
		text[head + 2 * (size_t) depth] = '}';
		judge(text, head + 2 * (size_t) depth + 1,
			  depth < 128 ? NULL : "payload is nested deeper than 128 levels");
	}
	memset(text + head, '[', size - head);
	judge(text, JSON_TEXT_MAX, "payload is nested deeper than 128 levels");
	for (int depth = 511; depth <= 512; depth++)
	{
		memset(text + head, '[', (size_t) depth);
		memset(text + head + depth, ']', (size_t) depth);
		text[head + 2 * (size_t) depth] = '}';
		ok(entry_read_old(text, head + 2 * (size_t) depth + 1, &entry, NULL) == (depth == 511),
		   "by the rules of old 512 levels are the limit");
	}

	text[head] = '"';
	memset(text + head + 1, 'x', size - head - 1);
	memcpy(text + JSON_TEXT_MAX - 2, "\"}}", 3);
	judge(text, JSON_TEXT_MAX, NULL);
	judge(text, JSON_TEXT_MAX + 1, "payload is longer than 16777216 bytes");

	/* 5 bytes each, a thousand when written out */
	text[head] = '[';
	for (size_t i = 0; i < 17000; i++)
		memcpy(text + head + 1 + 6 * i, "1e999,", 6);
	memcpy(text + head + 6 * 17000, "]}", 2);
	judge(text, head + 6 * 17000 + 2,
		  "payload is longer than 16777216 bytes when its numbers are written out");
	memcpy(text + head + 6 * 16000, "]}", 2);
	judge(text, head + 6 * 16000 + 2, NULL);

	/* an array of n values has n - 1 commas */
	for (int more = 0; more <= 1; more++)
	{
		size_t		count = JSON_TEXT_VALUES_MAX - 6 + (size_t) more;

		memcpy(text + head, "[0", 2);
		for (size_t i = 1; i < count; i++)
			memcpy(text + head + 2 * i, ",0", 2);
		memcpy(text + head + 2 * count, "]}", 2);
		judge(text, head + 2 * count + 2, more ? "payload has more than 500000 values" : NULL);
	}

	ok(entry_read(HEAD ",\"subject\":\"" SUBJECT "f\",\"body\":[1] }",
				  strlen(HEAD ",\"subject\":\"" SUBJECT "f\",\"body\":[1] }"), &entry, &error) &&
	   entry.has_subject, "fields");
	is_hex(entry.subject, HASH_LEN, SUBJECT "f", "the subject");
	is_hex(entry.id, ENTRY_ID_LEN, "0000000000004000800000000000000a", "the id");
	is_string(entry.time, TIME, "the time");
	ok(entry.body_len == 3 && memcmp(entry.body, "[1]", 3) == 0, "the body");
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
	{
		size_t		len = (size_t) sprintf(text, HEAD ",\"body\":%s }", numbers[i]);

		ok(entry_read(text, len, &entry, &error) && entry.body_len == strlen(numbers[i]) &&
		   memcmp(entry.body, numbers[i], entry.body_len) == 0, numbers[i]);
	}
	free(text);
}

/* What is on a ledger since a time when more was taken. */
static void
old(void)
{
	static const char *const was_taken[] = {
		HEAD ",\"body\":1e400000}", HEAD ",\"body\":\"M\xfcller\"}", HEAD ",\"body\":\"\\ud800\"}",
		"{\"kind\":\"A kind\",\"origin\":\"a b\",\"id\":\"" ID "\",\"time\":\"" TIME
		"\",\"actor\":\"\",\"body\":1}"
	};
	Entry		entry;

	for (size_t i = 0; i < sizeof(was_taken) / sizeof(was_taken[0]); i++)
	{
		ok(!entry_read(was_taken[i], strlen(was_taken[i]), &entry, NULL), "not taken any more");
		ok(entry_read_old(was_taken[i], strlen(was_taken[i]), &entry, NULL), "and was taken once");
	}
	ok(!entry_read_old(HEAD "}", strlen(HEAD "}"), &entry, NULL), "what never was, is not");
}

/* What decides something is read by everybody in one way. */
static void
strict(void)
{
	static const struct
	{
		const char *text;
		JsonTextRules rules;	/* the strictest that it passes */
	}			objects[] = {
		{"{}", JSON_TEXT_STRICT}, {"{\"a\":{\"a\":[{\"a\":1},{\"a\":1}]},\"b\":{\"a\":1}}",
		JSON_TEXT_STRICT},
		{"{\"a\":1,\"a\":1}", JSON_TEXT_READABLE}, {"{\"a\":1,\"\\u0061\":1}", JSON_TEXT_READABLE},
		{"{\"x\":[{\"a\":1,\"b\":[{}],\"a\":1}]}", JSON_TEXT_READABLE},
		{"{\"\":1,\"\":1}", JSON_TEXT_READABLE}, {"{\"\":1,\" \":1}", JSON_TEXT_STRICT},
		{"{\"n\":999999999999999999}", JSON_TEXT_STRICT},
		{"{\"n\":9999999999999999999}", JSON_TEXT_UNIQUE},
		{"{\"n\":1e307}", JSON_TEXT_STRICT}, {"{\"n\":1e308}", JSON_TEXT_UNIQUE},
		{"{\"n\":1e-400}", JSON_TEXT_STRICT}
	};

	for (size_t i = 0; i < sizeof(objects) / sizeof(objects[0]); i++)
		for (JsonTextRules rules = JSON_TEXT_READABLE; rules <= JSON_TEXT_STRICT; rules++)
			ok(json_text_object(objects[i].text, strlen(objects[i].text), rules, NULL, NULL,
								NULL) == (rules <= objects[i].rules), objects[i].text);
}

/* Cut off anywhere, or with any byte replaced, a text is never read beyond its end (sanitizers). */
static void
damaged(void)
{
	static const char good[] =
	HEAD ",\"body\":[{\"a\":\"\\ud834\\udd1e\",\"b\":-1.5e+3},true,null]}";
	size_t		len = sizeof(good) - 1;
	char	   *text;
	Entry		entry;
	int			taken = 0;

	for (size_t cut = 0; cut <= len; cut++)
	{
		text = malloc(cut + 1);
		memcpy(text, good, cut);
		taken += entry_read(text, cut, &entry, NULL);
		free(text);
	}
	is_number(taken, 1, "no part of it is an entry");
	text = malloc(len);
	for (size_t i = 0; i < len; i++)
		for (int c = 0; c < 256; c++)
		{
			memcpy(text, good, len);
			text[i] = (char) c;
			(void) entry_read(text, len, &entry, NULL);
			(void) entry_read_old(text, len, &entry, NULL);
		}
	free(text);
	ok(true, "any byte replaced");
}

int
main(void)
{
	each();
	limits();
	old();
	strict();
	damaged();
	return done_testing();
}
