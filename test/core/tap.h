/*
 * tap.h: the Test Anything Protocol, as far as the tests of src/core speak it.
 */
#ifndef MEDCHAIN_TEST_TAP_H
#define MEDCHAIN_TEST_TAP_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "core/encode.h"

static int	tap_count = 0;
static int	tap_failed = 0;

static inline bool
ok(bool fine, const char *name)
{
	printf("%sok %d - %s\n", fine ? "" : "not ", ++tap_count, name);
	tap_failed += !fine;
	return fine;
}

static inline bool
is_string(const char *got, const char *expected, const char *name)
{
	bool		fine = got != NULL && strcmp(got, expected) == 0;

	ok(fine, name);
	if (!fine)
		printf("#      got: %s\n# expected: %s\n", got ? got : "(null)", expected);
	return fine;
}

static inline bool
is_number(int64_t got, int64_t expected, const char *name)
{
	bool		fine = got == expected;

	ok(fine, name);
	if (!fine)
		printf("#      got: %lld\n# expected: %lld\n", (long long) got, (long long) expected);
	return fine;
}

static inline bool
is_hex(const uint8_t *got, size_t len, const char *expected, const char *name)
{
	char		hex[2049];

	encode_hex(got, len, hex);
	return is_string(hex, expected, name);
}

/* Bytes of a hex string in a test; aborts on a typing error. */
static inline size_t
unhex(const char *hex, uint8_t *out)
{
	if (!decode_hex(hex, strlen(hex), out))
	{
		printf("Bail out! not hex: %s\n", hex);
		fflush(stdout);
		__builtin_trap();
	}
	return strlen(hex) / 2;
}

static inline int
done_testing(void)
{
	printf("1..%d\n", tap_count);
	return tap_failed == 0 && tap_count > 0 ? 0 : 1;
}

#endif
