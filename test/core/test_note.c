/* Signed notes: Go's own example, block headers and every way to spoil one. */
#include "core/note.h"
#include "fixture.h"
#include "tap.h"

/* The example of golang.org/x/mod/sumdb/note, with its key as SubjectPublicKeyInfo. */
static const char neumann_note[] =
"If you think cryptography is the answer to your problem,\n"
"then you don't know what your problem is.\n"
"\n"
"\xe2\x80\x94 PeterNeumann "
"x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";
static const char neumann_key[] =
"-----BEGIN PUBLIC KEY-----\n"
"MCowBQYDK2VwAyEAGlzZBxQ8OExB6DDFvOEqqIF+xWSaqr8sMTiLNbLXRNY=\n"
"-----END PUBLIC KEY-----\n";

static void
test_foreign(void)
{
	CoreError	error = {0};
	Key		   *key = key_from_pem(neumann_key, strlen(neumann_key), &error);
	char		copy[sizeof(neumann_note)];
	uint8_t		id[4];
	bool		refused = true;

	ok(key != NULL, "the key of Go's example is read");
	ok(key_note_id(key, "PeterNeumann", id), "its key id is computed");
	is_hex(id, 4, "c74f20a3", "as Go does");
	is_number(note_verify(neumann_note, strlen(neumann_note), "PeterNeumann", key, &error),
			  KEY_VALID, "Go's note is valid");
	is_number(note_verify(neumann_note, strlen(neumann_note), NULL, key, &error), KEY_VALID,
			  "under whatever name");
	is_number(note_verify(neumann_note, strlen(neumann_note), "EnochRoot", key, &error),
			  KEY_INVALID, "not under another name");
	for (size_t i = 0; i < strlen(neumann_note); i++)
	{
		memcpy(copy, neumann_note, sizeof(copy));
		copy[i] ^= 0x02;
		if (note_verify(copy, strlen(copy), "PeterNeumann", key, &error) == KEY_VALID)
		{
			refused = false;
			printf("# byte %zu\n", i);
		}
	}
	ok(refused, "with any byte changed it is not");
	key_free(key);
}

static void
refuse(const char *note, const char *name)
{
	NoteBlock	block;
	CoreError	error = {0};

	ok(!note_parse_block(note, strlen(note), &block, &error) && error.message[0] != '\0', name);
}

/* The text with one thing replaced. */
static const char *
with(const char *note, const char *from, const char *to)
{
	static char out[4096];
	const char *at = strstr(note, from);

	if (at == NULL)
		abort();
	snprintf(out, sizeof(out), "%.*s%s%s", (int) (at - note), note, to, at + strlen(from));
	return out;
}

static void
test_block(void)
{
	NoteBlock	block = {
		.name = "east/hospital-a", .size = 12, .height = 3,
		.sealed = "2026-01-31T23:59:59.123Z"
	};
	NoteBlock	parsed;
	char		text[NOTE_TEXT_MAX];
	char		note[NOTE_SIGNED_MAX + 1];
	CoreError	error = {0};
	Key		   *key;
	size_t		len;
	size_t		textlen;

	fixture_run("openssl genpkey -algorithm ed25519 -out k.key && chmod 600 k.key");
	key = key_load_private(fixture_path("k.key"), NULL, NULL, &error);
	memset(block.root, 0xab, HASH_LEN);
	len = note_format_block(&block, text);
	is_string(len > 0 ? text : NULL,
			  "east/hospital-a\n12\nq6urq6urq6urq6urq6urq6urq6urq6urq6urq6urq6s=\nheight 3\n"
			  "previous AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\nsealed "
			  "2026-01-31T23:59:59.123Z\n", "the text of a block");
	len = note_sign(text, len, block.name, key, note, &error);
	ok(len > 0, "is signed");
	note[len] = '\0';
	is_number(note_verify(note, len, block.name, key, &error), KEY_VALID, "and verifies");
	ok(note_parse_block(note, len, &parsed, &error) && memcmp(&parsed, &block, sizeof(block)) == 0,
	   "and is read back");
	ok(note_text_length(note, len, &textlen, &error) &&
	   textlen == strlen(text), "what is hashed ends before the blank line");

	refuse("", "nothing is no block");
	refuse("a\n\n", "a note without signatures is none");
	refuse(with(note, "\n12\n", "\n012\n"), "a leading zero is refused");
	refuse(with(note, "\n12\n", "\n+12\n"), "a sign is refused");
	refuse(with(note, "\n12\n", "\n9223372036854775808\n"), "a size beyond bigint is refused");
	refuse(with(note, "height 3", "height  3"), "a second blank is refused");
	refuse(with(note, "height 3", "Height 3"), "another keyword is refused");
	refuse(with(note, "q6urq", "q6ur"), "a short hash is refused");
	refuse(with(note, "q6s=", "q6t="), "a hash with stray bits is refused");
	refuse(with(note, "T23:59", "T24:00"), "a time that is none is refused");
	refuse(with(note, "01-31", "02-30"), "a day that is none is refused");
	refuse(with(note, ".123Z", ".123456Z"), "another precision is refused");
	refuse(with(note, ".123Z\n", ".123Z\nextra\n"), "a seventh line is refused");
	refuse(with(note, "east/hospital-a\n12", "east/hospital a\n12"),
		   "white space in a name is refused");
	refuse(with(note, "\xe2\x80\x94 ", "- "), "another dash is refused");
	refuse(with(note, "Z\n\n", "Z\n"), "a missing blank line is refused");

	ok(!note_name_valid("a+b"), "no plus in names");
	ok(!note_name_valid("a\xc2\xa0" "b"), "no Unicode white space");
	ok(!note_name_valid("\xff"), "no invalid UTF-8");
	ok(!note_name_valid(""), "not empty");
	ok(note_name_valid("\xe5\x8c\xbb\xe8\x81\x94\xe4\xbd\x93/\xe5\x8c\xbb\xe9\x99\xa2"),
	   "Chinese names are fine");
	key_free(key);
}

static void
test_lines(void)
{
	char		many[16384] = "text\n\n";
	CoreError	error = {0};
	char		two[1024];
	Key		   *key = key_from_pem(neumann_key, strlen(neumann_key), &error);
	const char *signature = strstr(neumann_note, "\xe2\x80\x94");

	for (int i = 0; i < 65; i++)
		strcat(many, "\xe2\x80\x94 witness AAAAAAAAAAAA\n");
	is_number(note_verify(many, strlen(many), "witness", key, &error), KEY_ERROR,
			  "65 signatures are too many");

	snprintf(two, sizeof(two), "%s\xe2\x80\x94 witness AAAAAAAAAAAA\n", neumann_note);
	is_number(note_verify(two, strlen(two), "PeterNeumann", key, &error), KEY_VALID,
			  "others' signatures do no harm");
	snprintf(two, sizeof(two), "other text\n\n%s", signature);
	is_number(note_verify(two, strlen(two), "PeterNeumann", key, &error), KEY_INVALID,
			  "a signature over another text is invalid");
	key_free(key);
}

int
main(void)
{
	test_foreign();
	test_block();
	test_lines();
	return done_testing();
}
