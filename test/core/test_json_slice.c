/* Values out of JSON (rules/json_slice.h): found, with all their digits, printed as jsonb does. */
#include <stdlib.h>

#include "rules/json_slice.h"
#include "tap.h"

/* What PostgreSQL prints of the same jsonb, and what is the same for what it takes for equal. */
static const struct
{
	const char *text;
	const char *canonical;
	const char *comparable;		/* NULL: the same */
}			values[] = {
	{"{}", "{}", NULL}, {"[]", "[]", NULL}, {"null", "null", NULL}, {"true", "true", NULL},
	{"[ false ,{ \"b\":1,\"a\" :[2] }]", "[false, {\"a\": [2], \"b\": 1}]", NULL},
	{"{\"bb\":1,\"a\":2,\"c\":3,\"\":4}", "{\"\": 4, \"a\": 2, \"c\": 3, \"bb\": 1}", NULL},
	{"\"\\u00e9\\ud834\\udd1e\\/\\n\\u0001\\\"\\\\\"",
	"\"\xc3\xa9\xf0\x9d\x84\x9e/\\n\\u0001\\\"\\\\\"", NULL},
	{"\"1\"", "\"1\"", NULL}, {"0", "0", NULL}, {"-0", "0", NULL}, {"-0.0", "0.0", "0"},
	{"12345678901234567890123456789.10", "12345678901234567890123456789.10",
	"12345678901234567890123456789.1"},
	{"1e3", "1000", NULL}, {"1.50e1", "15.0", "15"}, {"1E-3", "0.001", NULL},
	{"-1.20", "-1.20", "-1.2"}, {"100", "100", NULL}, {"0.10e1", "1.0", "1"},
	{"0e-3", "0.000", "0"}, {"1e+0", "1", NULL}
};

static void
printed(Pool *pool)
{
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
	{
		char	   *text = pool_format(pool, " {\"x\":%s} ", values[i].text);
		JsonSlice	value = json_slice_get(json_slice_read(pool, text, strlen(text),
														   JSON_TEXT_UNIQUE), "x");

		is_string(json_slice_canonical(pool, value, NULL), values[i].canonical, values[i].text);
		is_string(json_slice_comparable(pool, value, NULL), values[i].comparable != NULL ?
				  values[i].comparable : values[i].canonical, "... to be compared");
	}
}

static void
found(Pool *pool)
{
	static const char text[] = "{\"n\":1.50,\"s\":\"x\",\"a\":[1,\"2\",null],\"o\":{\"\\u0061\":0},"
	"\"z\":null,\"t\":true}";
	JsonSlice	all = json_slice_read(pool, text, sizeof(text) - 1, JSON_TEXT_STRICT);
	JsonSliceStep step = {0};
	JsonSlice	item;
	const char *name;
	int			count = 0;
	char		two[2];

	ok(json_slice_type(json_slice_get(all, "n")) == JSON_SLICE_NUMBER, "a number");
	ok(json_slice_type(json_slice_get(all, "s")) == JSON_SLICE_STRING, "a string");
	ok(json_slice_type(json_slice_get(all, "a")) == JSON_SLICE_ARRAY, "an array");
	ok(json_slice_type(json_slice_get(all, "o")) == JSON_SLICE_OBJECT, "an object");
	ok(json_slice_type(json_slice_get(all, "z")) == JSON_SLICE_NULL, "null");
	ok(json_slice_type(json_slice_get(all, "t")) == JSON_SLICE_BOOLEAN, "true");
	ok(json_slice_type(json_slice_get(all, "nn")) == JSON_SLICE_MISSING, "nothing");
	ok(json_slice_type(json_slice_get(json_slice_get(all, "s"), "x")) == JSON_SLICE_MISSING,
	   "nothing in what is no object");
	is_string(json_slice_text(pool, json_slice_get(all, "n")), "1.50", "a number as text");
	is_string(json_slice_text(pool, json_slice_get(all, "a")), "[1, \"2\", null]",
			  "an array as text");
	ok(json_slice_text(pool, json_slice_get(all, "z")) == NULL, "null is no text");
	ok(json_slice_is(json_slice_get(all, "s"), "x"), "that string");
	ok(!json_slice_is(json_slice_get(all, "n"), "1.50"), "a number is no string");
	ok(json_slice_string(json_slice_get(all, "s"), two, 2) && strcmp(two, "x") == 0, "it fits");
	ok(!json_slice_string(json_slice_get(all, "s"), two, 1), "it does not");
	while (json_slice_next(all, &step, &name, &item))
		count++;
	is_number(count, 6, "all fields");
	step = (JsonSliceStep)
	{
		0
	};
	ok(json_slice_next(json_slice_get(all, "o"), &step, &name, &item) && strcmp(name, "a") == 0,
	   "its name without escapes");
	ok(!json_slice_next(json_slice_get(all, "o"), &step, &name, &item), "the end");
}

/* A value outlives the pool that it was read into, if another keeps it. */
static void
kept(Pool *pool)
{
	Pool	   *first = pool_new();
	JsonSlice	object = json_slice_read(first, "{\"a\":[1]}", 9, JSON_TEXT_UNIQUE);
	JsonSlice	value = json_slice_keep(pool, json_slice_get(object, "a"));

	pool_reset(first);
	pool_free(first);
	is_string(json_slice_canonical(pool, value, NULL), "[1]", "kept");
}

static void
refused(Pool *pool)
{
	static const char *const texts[] = {
		"", "1", "[]", "\"a\"", "{", "{}x", "{1:2}", "{\"a\":1,\"\\u0061\":1}",
		"{\"a\":\"\\u0000\"}",
		"{\"a\":\"\\u00001\"}", "{\"a\":01}", "{\"a\":1e1001}", "{\"a\":\"\\ud800\"}"
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		ok(json_slice_read(pool, texts[i], strlen(texts[i]), JSON_TEXT_UNIQUE).value == NULL,
		   texts[i]);
}

int
main(void)
{
	Pool	   *pool = pool_new();

	printed(pool);
	found(pool);
	kept(pool);
	refused(pool);
	pool_free(pool);
	return done_testing();
}
