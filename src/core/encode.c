/*
 * encode.c: strict base64 on OpenSSL's EVP_EncodeBlock/DecodeBlock, hex, and UTF-8.
 */
#include <limits.h>
#include <string.h>

#include <openssl/evp.h>

#include "core/encode.h"

#define ENCODE_CHUNK (3 * 1024)

void
encode_base64(const uint8_t *data, size_t len, char *out)
{
	/* in chunks, because OpenSSL counts in int */
	while (len > 0)
	{
		size_t		chunk = len < ENCODE_CHUNK ? len : ENCODE_CHUNK;

		out += EVP_EncodeBlock((unsigned char *) out, data, (int) chunk);
		data += chunk;
		len -= chunk;
	}
	*out = '\0';
}

bool
decode_base64(const char *text, size_t len, uint8_t *out, size_t *outlen)
{
	size_t		padding = 0;
	size_t		done = 0;

	*outlen = 0;
	if (len % 4 != 0)
		return false;
	if (len == 0)
		return true;
	if (text[len - 1] == '=')
		padding = text[len - 2] == '=' ? 2 : 1;

	while (done < len)
	{
		size_t		chunk = len - done < ENCODE_CHUNK ? len - done : ENCODE_CHUNK;
		int			got = EVP_DecodeBlock(out + *outlen, (const unsigned char *) text + done,
										  (int) chunk);
		char		again[ENCODE_BASE64_SIZE(ENCODE_CHUNK / 4 * 3)];
		size_t		size;

		if (got < 0)
			return false;
		size = (size_t) got - (done + chunk == len ? padding : 0);
		encode_base64(out + *outlen, size, again);
		if (strlen(again) != chunk || memcmp(again, text + done, chunk) != 0)
			return false;
		*outlen += size;
		done += chunk;
	}
	return true;
}

void
encode_hex(const uint8_t *data, size_t len, char *out)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < len; i++)
	{
		*out++ = digits[data[i] >> 4];
		*out++ = digits[data[i] & 0x0f];
	}
	*out = '\0';
}

static int
decode_hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

bool
decode_hex(const char *text, size_t len, uint8_t *out)
{
	if (len % 2 != 0)
		return false;
	for (size_t i = 0; i < len; i += 2)
	{
		int			high = decode_hex_digit(text[i]);
		int			low = decode_hex_digit(text[i + 1]);

		if (high < 0 || low < 0)
			return false;
		*out++ = (uint8_t) (high << 4 | low);
	}
	return true;
}

size_t
decode_utf8(const uint8_t *s, size_t n, uint32_t *character)
{
	size_t		len = (s[0] < 0x80 ? 1 : s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 :
					   s[0] < 0xf5 ? 4 : 0);
	static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};

	if (len == 0 || len > n)
		return 0;
	*character = len == 1 ? s[0] : s[0] & (0x7f >> len);
	for (size_t i = 1; i < len; i++)
	{
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		*character = *character << 6 | (s[i] & 0x3f);
	}
	if (*character < smallest[len] || *character > 0x10ffff ||
		(*character >= 0xd800 && *character <= 0xdfff))
		return 0;
	return len;
}

#define EACH_BYTE UINT64_C(0x0101010101010101)

bool
encode_is_utf8(const char *text, size_t len)
{
	for (size_t i = 0; i < len;)
	{
		uint32_t	character;
		uint64_t	eight;
		size_t		step;

		/* eight at a time, while none of them is null or beyond ASCII */
		if (len - i >= sizeof(eight))
		{
			memcpy(&eight, text + i, sizeof(eight));
			if (((eight | (eight - EACH_BYTE)) & (EACH_BYTE * 0x80)) == 0)
			{
				i += sizeof(eight);
				continue;
			}
		}
		step = decode_utf8((const uint8_t *) text + i, len - i, &character);
		if (step == 0 || character == 0)
			return false;
		i += step;
	}
	return true;
}

void
encode_repair_utf8(char *text)
{
	size_t		len = strlen(text);

	for (size_t i = 0; i < len;)
	{
		uint32_t	character;
		size_t		step = decode_utf8((const uint8_t *) text + i, len - i, &character);

		if (step == 0)
			text[i] = '?';
		i += step > 0 ? step : 1;
	}
}
