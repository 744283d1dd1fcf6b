/* Base64 (RFC 4648 section 10, and what is not canonical), hex, DSSE encoding. */
#include "core/encode.h"
#include "core/error.h"
#include "core/envelope.h"
#include "tap.h"

static const char *const vectors[][2] = {
	{"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"}, {"foob", "Zm9vYg=="},
	{"fooba", "Zm9vYmE="}, {"foobar", "Zm9vYmFy"}
};

static const char *const refused[] = {
	"Zg", "Zg=", "Zh==", "Zm9=", "Zm 9v", "Zm9v\n", " Zm9v", "Zm9v====", "Z===", "====", "Zg==Zg==",
	"Zm9-", "Zm9_", "Zm9v=", "=Zm9"
};

int
main(void)
{
	char		out[64];
	uint8_t		data[64];
	size_t		len;
	static uint8_t big[10000];
	static char text[ENCODE_BASE64_SIZE(sizeof(big))];
	static uint8_t again[sizeof(big) + 4];
	uint8_t		pae[64];
	CoreError	error;

	for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++)
	{
		encode_base64((const uint8_t *) vectors[i][0], strlen(vectors[i][0]), out);
		is_string(out, vectors[i][1], "RFC 4648 vector, encoded");
		ok(decode_base64(vectors[i][1], strlen(vectors[i][1]), data, &len) &&
		   len == strlen(vectors[i][0]) &&
		   memcmp(data, vectors[i][0], len) == 0, "and decoded");
	}
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
		ok(!decode_base64(refused[i], strlen(refused[i]), data, &len),
		   "not canonical base64 is refused");

	for (size_t i = 0; i < sizeof(big); i++)
		big[i] = (uint8_t) (i * 7 + i / 256);
	for (size_t size = sizeof(big) - 5; size <= sizeof(big); size++)
	{
		encode_base64(big, size, text);
		ok(decode_base64(text, strlen(text), again, &len) && len == size &&
		   memcmp(big, again, len) == 0,
		   "long data come back");
	}

	encode_hex((const uint8_t *) "\x00\xff\x10", 3, out);
	is_string(out, "00ff10", "hex");
	ok(decode_hex("00Ff10", 6, data) && memcmp(data, "\x00\xff\x10", 3) == 0, "hex in either case");
	ok(!decode_hex("0", 1, data), "half a byte is refused");
	ok(!decode_hex("0g", 2, data), "what is no digit is refused");

	error_set(&error, CORE_MALFORMED, "%.4s|%s", "\xe5\x8c\xbb\xe8\x81\x94", "\xc3\xa9\xff");
	is_string(error.message, "\xe5\x8c\xbb?|\xc3\xa9?",
			  "a message stays UTF-8, whatever was cut to fit into it");

	len = envelope_pae("http://example.com/HelloWorld", "hello world", 11, pae);
	ok(len == envelope_pae_size("http://example.com/HelloWorld", 11) && len == 54 &&
	   memcmp(pae, "DSSEv1 29 http://example.com/HelloWorld 11 hello world", 54) == 0,
	   "DSSE specification's example");
	len = envelope_pae("", "", 0, pae);
	ok(len == envelope_pae_size("", 0) && memcmp(pae, "DSSEv1 0  0 ", len) == 0 &&
	   len == 12, "DSSE of nothing");
	return done_testing();
}
