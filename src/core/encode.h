/*
 * encode.h: base64 (RFC 4648 section 4, strict), hex, and what is UTF-8.
 *
 * OpenSSL's EVP_DecodeBlock accepts white space and miscounts padding, so the
 * decoder here checks that re-encoding gives back the very same text: a note
 * or envelope has exactly one spelling.
 */
#ifndef MEDCHAIN_CORE_ENCODE_H
#define MEDCHAIN_CORE_ENCODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* bytes needed for the encoded text, terminator included */
#define ENCODE_BASE64_SIZE(n) ((((n) + 2) / 3) * 4 + 1)
#define ENCODE_HEX_SIZE(n) ((n) * 2 + 1)

extern void encode_base64(const uint8_t *data, size_t len, char *out);

/*
 * out: at least len / 4 * 3 bytes.  False unless text is the canonical encoding of what it decodes
 * to.
 */
extern bool decode_base64(const char *text, size_t len, uint8_t *out, size_t *outlen);

extern void encode_hex(const uint8_t *data, size_t len, char *out); /* lower case */
extern bool decode_hex(const char *text, size_t len,
					   uint8_t *out);	/* out: len / 2 bytes; either case */

/* Bytes of the UTF-8 character at s, n bytes being left; 0 if there is none. */
extern size_t decode_utf8(const uint8_t *s, size_t n, uint32_t *character);

/* Is all of it UTF-8, without a null character? */
extern bool encode_is_utf8(const char *text, size_t len);

/*
 * Replace by '?' every byte of a text that is not UTF-8: whoever cut it to fit may have cut a
 * character.
 */
extern void encode_repair_utf8(char *text);

#endif
