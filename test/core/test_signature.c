/*
 * Signatures as an adversary would send them: the published examples of Ed25519, ECDSA and SM2, and
 * every way we know of to spell one differently, or to forge one.
 */
#include <openssl/bn.h>

#include "signature.h"

static const char p256_order[] = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
static const char sm2_order[] = "fffffffeffffffffffffffffffffffff7203df6b21c6052b53bbf40939d54123";
static const char ed25519_order[] =
"1000000000000000000000000000000014def9dea2f79cd65812631a5cf5d3ed";

static BIGNUM *
number(const char *hex)
{
	BIGNUM	   *value = NULL;

	if (BN_hex2bn(&value, hex) == 0)
		abort();
	return value;
}

/* ----- ECDSA and SM2: SEQUENCE { INTEGER r, INTEGER s } ----- */

/* One element: tag, length in the shortest form, contents. */
static size_t
der_element(uint8_t tag, const uint8_t *contents, size_t len, uint8_t *der)
{
	size_t		n = 0;

	der[n++] = tag;
	if (len >= 256)
		der[n++] = 0x82, der[n++] = (uint8_t) (len >> 8);
	else if (len >= 128)
		der[n++] = 0x81;
	der[n++] = (uint8_t) len;
	memmove(der + n, contents, len);
	return n + len;
}

/* A non-negative integer in DER; pad more zero bytes than it needs. */
static size_t
der_integer(const BIGNUM *value, int pad, uint8_t *der)
{
	uint8_t		bytes[200] = {0};
	int			len = BN_num_bytes(value);
	int			zeros = pad + (len == 0 || BN_is_bit_set(value, len * 8 - 1) ? 1 : 0);

	BN_bn2bin(value, bytes + zeros);
	return der_element(0x02, bytes, (size_t) (zeros + len), der);
}

static size_t
der_signature(const BIGNUM *r, const BIGNUM *s, int pad_r, int pad_s, uint8_t *der)
{
	uint8_t		contents[500];
	size_t		len = der_integer(r, pad_r, contents);

	len += der_integer(s, pad_s, contents + len);
	return der_element(0x30, contents, len, der);
}

static void
test_der(const char *pem, const char *message, const char *r_hex, const char *s_hex,
		 const char *order_hex, bool negated)
{
	BIGNUM	   *r = number(r_hex);
	BIGNUM	   *s = number(s_hex);
	BIGNUM	   *n = number(order_hex);
	BIGNUM	   *zero = number("0");
	BIGNUM	   *big = BN_new();
	uint8_t		good[200];
	uint8_t		sig[1000];
	size_t		len = der_signature(r, s, 0, 0, good);
	size_t		rlen = good[3];
	size_t		siglen;

#define TRY(verdict, name) expect(pem, "-", message, strlen(message), sig, siglen, verdict, name)
#define FALSE(name) TRY(KEY_INVALID, name)
#define COPY() (memcpy(sig, good, len), siglen = len)
#define PAIR(a, b) (siglen = der_signature(a, b, 0, 0, sig))

	COPY();
	TRY(KEY_VALID, "published example");
	for (size_t cut = 0; cut < len; cut++)
	{
		siglen = cut;
		if (cut < 10 || cut % 16 == 0 || cut == len - 1)
			FALSE("truncated");
	}
	/* other spellings of the same two numbers */
	siglen = der_signature(r, s, 1, 0, sig);
	FALSE("a zero too many before r");
	siglen = der_signature(r, s, 0, 1, sig);
	FALSE("a zero too many before s");
	siglen = der_signature(r, s, 60, 60, sig);
	FALSE("many zeros before r and s");
	COPY();
	sig[siglen++] = 0;
	FALSE("a byte behind the sequence");
	COPY();
	sig[1]++;
	sig[siglen++] = 0;
	FALSE("a byte within the sequence");
	COPY();
	memcpy(sig + siglen, "\x05\x00", 2);
	sig[1] += 2;
	siglen += 2;
	FALSE("a third element, NULL");
	COPY();
	memmove(sig + 2, sig + 1, len - 1);
	sig[1] = 0x81;
	siglen++;
	FALSE("long form of the sequence's length");
	COPY();
	memmove(sig + 5, sig + 1, len - 1);
	memcpy(sig + 1, "\x84\x00\x00\x00", 4);
	siglen += 4;
	FALSE("length in four bytes");
	COPY();
	memmove(sig + 4, sig + 3, len - 3);
	sig[3] = 0x81;
	sig[1]++;
	siglen++;
	FALSE("long form of r's length");
	COPY();
	sig[1] = 0x80;
	memcpy(sig + siglen, "\0\0", 2);
	siglen += 2;
	FALSE("indefinite length");
	COPY();
	sig[1]++;
	FALSE("sequence longer than the bytes");
	COPY();
	sig[1]--;
	FALSE("sequence shorter than the bytes");
	COPY();
	sig[3]++;
	FALSE("r's length one too many");
	COPY();
	sig[1] = 0x88, memset(sig + 2, 0xff, 8), siglen = 10;
	FALSE("length of 2^64 - 1");
	COPY();
	sig[0] = 0x31;
	FALSE("a SET");
	COPY();
	sig[2] = 0x03;
	FALSE("r is a BIT STRING");
	COPY();
	sig[2] = 0x22;
	FALSE("r is constructed");
	COPY();
	sig[4 + rlen] = 0x04;
	FALSE("s is an OCTET STRING");
	siglen = (size_t) (BN_bn2binpad(r, sig, 32) + BN_bn2binpad(s, sig + 32, 32));
	FALSE("r and s one behind the other (IEEE P1363)");
	memcpy(sig, "\x30\x04\x02\x00\x02\x00", siglen = 6);
	FALSE("empty integers");
	memcpy(sig, "\x30\x00", siglen = 2);
	FALSE("empty sequence");
	siglen = der_element(0x30, good, len, sig);
	FALSE("a sequence in a sequence");
	memset(sig, 0x30, siglen = 900);
	FALSE("900 times 0x30");
	/* numbers out of range */
	PAIR(zero, s);
	FALSE("r = 0");
	PAIR(r, zero);
	FALSE("s = 0");
	PAIR(zero, zero);
	FALSE("r = s = 0");
	PAIR(BN_value_one(), zero);
	FALSE("r = 1, s = 0");
	PAIR(BN_value_one(), BN_value_one());
	FALSE("r = s = 1");
	PAIR(n, s);
	FALSE("r = n");
	PAIR(r, n);
	FALSE("s = n");
	BN_add(big, r, n);
	PAIR(big, s);
	FALSE("r + n");
	BN_add(big, s, n);
	PAIR(r, big);
	FALSE("s + n");
	BN_lshift(big, n, 256);
	BN_add(big, big, s);
	PAIR(r, big);
	FALSE("s + 2^256 n");
	BN_sub(big, n, r);
	PAIR(big, s);
	FALSE("n - r");
	PAIR(s, r);
	FALSE("s and r exchanged");
	/* the same bytes without the zero are negative numbers */
	BN_sub(big, n, s);
	PAIR(r, big);
	TRY(negated ? KEY_VALID : KEY_INVALID, negated ?
		"n - s: another signature, as the standard has it" : "n - s");
	memcpy(sig, "\x30\x06\x02\x01\xff\x02\x01\xff", siglen = 8);
	FALSE("r = s = -1");
	COPY();
	sig[4 + rlen + 2 + 5] ^= 1;
	FALSE("a bit of s");
	COPY();
	expect(pem, "-", "", 0, sig, siglen, KEY_INVALID, "of another message");
	expect(pem, "ed25519", message, strlen(message), sig, siglen, KEY_ERROR,
		   "with another algorithm");
#undef TRY
#undef FALSE
#undef COPY
#undef PAIR
	BN_free(r);
	BN_free(s);
	BN_free(n);
	BN_free(zero);
	BN_free(big);
}

/* ----- Ed25519: 32 bytes R, 32 bytes S ----- */

static void
test_ed25519(void)
{
	/* RFC 8032, 7.1, test 3 */
	static const char pem[] =
	"-----BEGIN PUBLIC "
	"KEY-----\nMCowBQYDK2VwAyEA/FHNjmIYoaONpH7QAjDwWAgW7RO6MwOsXeuRFUiQgCU=\n-----END PUBLIC "
	"KEY-----\n";
	static const char good_hex[] =
	"6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18"
	"ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a";

	/* y = 0, 1, -1, and that of the points of order 8; p and p + 1 spell the first two again */
	static const char *const small[] = {
		"0000000000000000000000000000000000000000000000000000000000000000",
		"0000000000000000000000000000000000000000000000000000000000000080",
		"0100000000000000000000000000000000000000000000000000000000000000",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
	};
	static const char *const no_point[] = {
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", /* p */
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", /* p + 1 */
		"ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
		"0200000000000000000000000000000000000000000000000000000000000000", /* x^2 is no square */
	};
	static const uint8_t prefix[12] = {
		0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03,
		0x21, 0x00
	};
	uint8_t		good[64];
	uint8_t		sig[200];
	uint8_t		spki[44];
	BIGNUM	   *l = number(ed25519_order);
	BIGNUM	   *s = BN_new();

#define TRY(len, name) expect(pem, "-", "\xaf\x82", 2, sig, len, KEY_INVALID, name)
#define COPY() (memcpy(sig, good, 64))
	unhex(good_hex, good);
	COPY();
	expect(pem, "ed25519", "\xaf\x82", 2, sig, 64, KEY_VALID, "RFC 8032 test 3");
	TRY(0, "empty");
	TRY(32, "R alone");
	TRY(63, "truncated");
	sig[64] = 0;
	TRY(65, "extended");
	memcpy(sig + 64, good, 64);
	TRY(128, "twice");
	for (int times = 1; times <= 15; times++)
	{
		/* S + times * L, as long as it fits into 32 bytes */
		COPY();
		BN_lebin2bn(good + 32, 32, s);
		for (int i = 0; i < times; i++)
			BN_add(s, s, l);
		if (BN_bn2lebinpad(s, sig + 32, 32) == 32 &&
			(times < 4 || times == 7 || times == 8 || times == 15))
			TRY(64, "S + a multiple of L");
	}
	COPY();
	BN_bn2lebinpad(l, sig + 32, 32);
	TRY(64, "S = L");
	for (int bit = 5; bit < 8; bit++)
	{
		COPY();
		sig[63] |= (uint8_t) (1 << bit);
		TRY(64, "a high bit of S");
	}
	COPY();
	memset(sig + 32, 0, 32);
	TRY(64, "S = 0");
	memset(sig, 0, 64);
	TRY(64, "all zero");
	memset(sig, 0xff, 64);
	TRY(64, "all ones");
	COPY();
	sig[31] ^= 0x80;
	TRY(64, "sign of R");
	for (size_t i = 0; i < sizeof(small) / sizeof(small[0]); i++)
	{
		COPY();
		unhex(small[i], sig);
		TRY(64, "R of small order");
		memset(sig + 32, 0, 32);
		TRY(64, "R of small order, S = 0");
	}
	COPY();
	unhex(no_point[1], sig);
	TRY(64, "R not reduced");
	unhex(no_point[3], sig);
	TRY(64, "R no point");
	expect(pem, "ecdsa-p256-sha256", "\xaf\x82", 2, good, 64, KEY_ERROR, "with another algorithm");

	/*
	 * keys under which S = 0 and R = the identity would verify for any message, or nothing at all
	 */
	memcpy(spki, prefix, 12);
	for (size_t i = 0; i < sizeof(small) / sizeof(small[0]); i++)
	{
		unhex(small[i], spki + 12);
		refuse_key(spki, 44, "small order", "Ed25519 key of small order");
	}
	for (size_t i = 0; i < sizeof(no_point) / sizeof(no_point[0]); i++)
	{
		unhex(no_point[i], spki + 12);
		refuse_key(spki, 44, "not the encoding of a point", "Ed25519 key that is no point");
	}
	refuse_key(spki, 43, "invalid public key", "Ed25519 key cut short");
#undef TRY
#undef COPY
	BN_free(l);
	BN_free(s);
}

static void
test_ec_keys(void)
{
	static const char prefix_hex[] = "3059301306072a8648ce3d020106082a8648ce3d030107034200";
	uint8_t		spki[91];
	uint8_t		infinity[] = {
		0x30, 0x19, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d,
		0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x02, 0x00,
		0x00
	};

	unhex(prefix_hex, spki);
	memset(spki + 26, 0x11, 65);
	spki[26] = 4;
	refuse_key(spki, 91, "invalid public key", "P-256 key that is no point");
	memset(spki + 27, 0, 64);
	refuse_key(spki, 91, "invalid public key", "P-256 key (0, 0)");
	refuse_key(infinity, sizeof(infinity), "", "P-256 key at infinity");
}

/* Of kinds that some builds and versions of OpenSSL know: one reason, whatever they know. */
static void
test_other_kinds(void)
{
	static const char ml_dsa_hex[] = "3010300b0609608648016503040311030100";
	static const char curve_hex[] = "301b301406072a8648ce3d020106092b24030302080101070303000400";
	static const char explicit_hex[] = "3011300b06072a8648ce3d02013000030200aa";
	static const char no_curve_hex[] = "3011300b06072a8648ce3d02010500030200aa";
	uint8_t		spki[32];

	unhex(ml_dsa_hex, spki);
	refuse_key(spki, 18, "of type 2.16.840.1.101.3.4.3.17 are not supported", "ML-DSA key");
	unhex(curve_hex, spki);
	refuse_key(spki, 29, "curve brainpoolP256r1 is not supported", "key of another curve");
	unhex(explicit_hex, spki);
	refuse_key(spki, 19, "elliptic curve key with explicit parameters", "key of any curve");
	unhex(no_curve_hex, spki);
	refuse_key(spki, 19, "elliptic curve key without a named curve", "key of no curve");
}

int
main(int argc, char **argv)
{
	open_vectors(argc, argv);
	test_ed25519();
	/* RFC 6979, A.2.5: SHA-256, "sample" */
	test_der("-----BEGIN PUBLIC KEY-----\n"
			 "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEYP7UuiVanTHJYet0xjVtaMBJuJI7\n"
			 "Yfps5mliLmDyn7Z5A/4QCLi8maQa6elWKLxk8vGyDC1+n1F3o8KU1EYimQ==\n"
			 "-----END PUBLIC KEY-----\n", "sample",
			 "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716",
			 "f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8", p256_order, true);
	/* GB/T 32918.5-2017, annex A.2: id "1234567812345678", "message digest" */
	test_der("-----BEGIN PUBLIC KEY-----\n"
			 "MFkwEwYHKoZIzj0CAQYIKoEcz1UBgi0DQgAECfnfMR5UIaFQ3X0WHkvFxnIXn60Y\n"
			 "M/wHa7CP81bzUCDM6kkM4md1pS3G6nGMwapgCu0F+/NeCEpmMvYHLamtEw==\n"
			 "-----END PUBLIC KEY-----\n", "message digest",
			 "f5a03b0648d2c4630eeac513e1bb81a15944da3827d5b74143ac7eaceee720b3",
			 "b1b6aa29df212fd8763182bc0d421ca1bb9038fd1f7f42d4840b69c485bbc1aa", sm2_order, false);
	test_ec_keys();
	test_other_kinds();
	if (out != NULL)
		fclose(out);
	return done_testing();
}
