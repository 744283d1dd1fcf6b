/*
 * What a block carries beside its header: counts of kinds, and the author's note about them.
 */
#include "core/kinds_note.h"
#include "core/note.h"
#include "rules/block_kinds.h"
#include "fixture.h"
#include "tap.h"

static bool
wants(const char *kind, void *arg)
{
	return arg == NULL ? block_kind_is_governance(kind) : strcmp(kind, arg) == 0;
}

static void
test_count(void)
{
	static const char *const bad[] = {
		"", "[]", "null", "{", "{\"a\": -1}", "{\"a\": 1.0}", "{\"a\": \"1\"}",
		"{\"a\": 123456789}", "{\"a\": 1, \"a\": 2}", "{\"A\": 1}", "{\"\": 1}", "{\"a b\": 1}",
		"{\"a\": {}}", "{\"a\": null}", "{\"a\": 1} x", "{\"a\": 50000, \"b\": 50000, \"c\": 1}",
		"{\"a\": true}"
	};
	static const char kinds[] = "{\"access\": 12, \"note\": 3, \"witness\": 2}";
	int64_t		count;
	int64_t		all;

	ok(block_kinds_count(kinds, strlen(kinds), wants, NULL, &count, &all), "counts are read");
	is_number(count, 5, "those of governance");
	is_number(all, 17, "and all of them");
	ok(block_kinds_count(kinds, strlen(kinds), wants, "access", &count, &all), "once more");
	is_number(count, 12, "those of one kind");
	ok(block_kinds_count("{}", 2, wants, NULL, &count, &all), "there may be none");
	is_number(all, 0, "then there is no entry");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ok(!block_kinds_count(bad[i], strlen(bad[i]), wants, NULL, &count, &all), bad[i]);
}

static void
test_note(const Key *key, const Key *other)
{
	static const char kinds[] = "{\"access\": 12}";
	uint8_t		head[HASH_LEN] = {1};
	uint8_t		another[HASH_LEN] = {2};
	char		text[KINDS_NOTE_TEXT_MAX];
	char		note[NOTE_SIGNED_MAX + 1];
	CoreError	error = {0};
	size_t		len = kinds_note_text("east/ha", 7, head, kinds, strlen(kinds), text);

	is_string(text, "medchain kinds v1\neast/ha\n7\nAQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"
			  "IuL0V9wBpckFCyNByPWuN7Aa+TckEvDxG5BjQOr9njQ=\n", "the text is as documented");
	len = note_sign(text, len, "east/ha", key, note, &error);
	note[len] = '\0';
	ok(len > 0, "it is signed");
	ok(kinds_note_valid(note, "east/ha", 7, head, kinds, strlen(kinds), key), "and valid");
	ok(kinds_note_is(note, "east/ha", 7, head, kinds, strlen(kinds)), "it is about that");
	ok(!kinds_note_valid(note, "east/ha", 7, head, kinds, strlen(kinds), other), "another key");
	ok(!kinds_note_valid(note, "east/hb", 7, head, kinds, strlen(kinds), key), "another chain");
	ok(!kinds_note_valid(note, "east/ha", 8, head, kinds, strlen(kinds), key), "another height");
	ok(!kinds_note_valid(note, "east/ha", 7, another, kinds, strlen(kinds), key), "another block");
	ok(!kinds_note_valid(note, "east/ha", 7, head, "{\"access\": 11}", strlen(kinds), key),
	   "other counts");
	for (size_t i = 0; i < len; i++)
	{
		note[i] ^= 1;
		if (kinds_note_valid(note, "east/ha", 7, head, kinds, strlen(kinds), key))
			ok(false, "a byte is another");
		note[i] ^= 1;
	}
	ok(kinds_note_valid(note, "east/ha", 7, head, kinds, strlen(kinds), key), "no byte may change");
}

int
main(void)
{
	CoreError	error = {0};
	Key		   *key;
	Key		   *other;

	fixture_run("for k in a b; do openssl genpkey -algorithm ed25519 -out $k.key && chmod 600 "
				"$k.key; done");
	key = key_load_private(fixture_path("a.key"), NULL, NULL, &error);
	other = key_load_private(fixture_path("b.key"), NULL, NULL, &error);
	test_count();
	test_note(key, other);
	key_free(key);
	key_free(other);
	return done_testing();
}
