/*
 * SHA-256 (FIPS 180-4), RFC 6962 prefixes, HMAC (RFC 4231), and the compact range against reference
 * roots.
 */
#include "core/hash.h"
#include "core/tree.h"
#include "tap.h"

/* The leaves and roots of Certificate Transparency's own Merkle tree tests. */
static const char *const leaves[] = {
	"", "00", "10", "2021", "3031", "40414243", "5051525354555657",
	"606162636465666768696a6b6c6d6e6f"
};
static const char *const roots[] = {
	"6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
	"fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
	"aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
	"d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
	"4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
	"76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
	"ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
	"5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"
};

/* RFC 6962 section 2.1, as it stands there: split at the largest power of two below n. */
static void
naive_root(uint8_t (*hashes)[HASH_LEN], size_t n, uint8_t out[HASH_LEN])
{
	uint8_t		left[HASH_LEN];
	uint8_t		right[HASH_LEN];
	size_t		k = 1;

	if (n == 1)
	{
		memcpy(out, hashes[0], HASH_LEN);
		return;
	}
	while (k * 2 < n)
		k *= 2;
	naive_root(hashes, k, left);
	naive_root(hashes + k, n - k, right);
	hash_node(left, right, out);
}

static void
hmac(const void *key, size_t keylen, const char *message, uint8_t out[HASH_LEN])
{
	HashMac    *given = hash_mac_new(key, keylen);
	size_t		len;
	const void *known = hash_mac_key(given, &len);
	HashMac    *mac = hash_mac_new(known, len);

	hash_mac_free(given);
	/* the second message must not be affected by the first */
	hash_mac(mac, "another message", 15, out);
	hash_mac_pair(mac, message, 3, message + 3, strlen(message) - 3, out);
	hash_mac_free(mac);
}

int
main(void)
{
	uint8_t		out[HASH_LEN];
	uint8_t		key[131];
	TreeRange	range;
	TreeRange	copy;
	static uint8_t all[300][HASH_LEN];
	bool		same = true;
	bool		restored = true;

	hash_sha256("abc", 3, out);
	is_hex(out, HASH_LEN, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
		   "SHA-256 of abc (FIPS 180-4)");
	hash_sha256("", 0, out);
	is_hex(out, HASH_LEN, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
		   "SHA-256 of nothing");
	hash_sha256_pair("a", 1, "bc", 2, out);
	is_hex(out, HASH_LEN, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
		   "SHA-256 of a and bc");
	hash_leaf("", 0, out);
	is_hex(out, HASH_LEN, roots[0], "leaf hash of nothing");

	memset(key, 0x0b, 20);
	hmac(key, 20, "Hi There", out);
	is_hex(out, HASH_LEN, "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
		   "HMAC, RFC 4231 case 1");
	hmac("Jefe", 4, "what do ya want for nothing?", out);
	is_hex(out, HASH_LEN, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
		   "HMAC, RFC 4231 case 2");
	hmac("Jefe", 4, "abc", out);
	is_hex(out, HASH_LEN, "7cf4ec4f741f51cb0d887013c46251d6f4175643c4f422906a1aaec688cc13e8",
		   "HMAC of a text in two parts, the second of them empty");
	memset(key, 0xaa, 131);
	hmac(key, 131, "Test Using Larger Than Block-Size Key - Hash Key First", out);
	is_hex(out, HASH_LEN, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
		   "HMAC, RFC 4231 case 6");

	ok(hash_equal(all[0], all[1]), "equal digests are equal");
	ok(!hash_equal(out, all[1]), "different digests are not");

	tree_range_init(&range);
	tree_range_root(&range, out);
	is_hex(out, HASH_LEN, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
		   "root of the empty tree");
	for (size_t i = 0; i < 8; i++)
	{
		uint8_t		data[32];
		size_t		len = unhex(leaves[i], data);

		hash_leaf(data, len, out);
		tree_range_append(&range, out);
		tree_range_root(&range, out);
		is_hex(out, HASH_LEN, roots[i], "reference root");
	}

	tree_range_init(&range);
	for (size_t i = 0; i < 300; i++)
	{
		uint8_t		expected[HASH_LEN];

		hash_leaf(&i, sizeof(i), all[i]);
		tree_range_append(&range, all[i]);
		tree_range_root(&range, out);
		naive_root(all, i + 1, expected);
		same = same && hash_equal(out, expected);
		restored = restored && tree_range_load(&copy, range.size, range.hashes[0], range.nhashes) &&
			tree_range_root(&copy, out) && hash_equal(out, expected);
	}
	ok(same, "roots of 1 to 300 leaves are those of the definition");
	ok(restored, "a saved range has the same root");
	ok(!tree_range_load(&copy, 3, range.hashes[0], 1), "a range with too few hashes is refused");
	ok(!tree_range_load(&copy, 2, range.hashes[0], 2), "a range with too many hashes is refused");
	ok(!tree_range_load(&copy, UINT64_MAX, range.hashes[0], 64),
	   "a range beyond bigint is refused");
	return done_testing();
}
