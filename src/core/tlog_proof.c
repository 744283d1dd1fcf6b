/*
 * tlog_proof.c: reading tlog-proofs, line by line.
 */
#include <string.h>

#include "core/encode.h"
#include "core/tlog_proof.h"

#define TLOG_PROOF_EXTRA_MAX 65536	/* base64 digits: nobody reads what they say */

/* Take a line off; false when there is none. */
static bool
tlog_proof_line(const char **text, const char *end, const char **line, size_t *len)
{
	const char *newline = memchr(*text, '\n', (size_t) (end - *text));

	if (newline == NULL)
		return false;
	*line = *text;
	*len = (size_t) (newline - *text);
	*text = newline + 1;
	return true;
}

static bool
tlog_proof_index(const char *line, size_t len, uint64_t *index)
{
	size_t		skip = strlen("index ");

	if (len <= skip || memcmp(line, "index ", skip) != 0 || len - skip > 19 ||
		(line[skip] == '0' && len - skip > 1))
		return false;
	*index = 0;
	for (size_t i = skip; i < len; i++)
	{
		if (line[i] < '0' || line[i] > '9')
			return false;
		*index = *index * 10 + (uint64_t) (line[i] - '0');
	}
	return *index <= INT64_MAX;
}

/* Opaque, and not authenticated: what we know of it is that it is base64. */
static bool
tlog_proof_extra(const char *line, size_t len)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	size_t		skip = strlen("extra ");
	size_t		padding = 0;

	if (len <= skip || len - skip > TLOG_PROOF_EXTRA_MAX || (len - skip) % 4 != 0)
		return false;
	while (padding < 2 && line[len - 1 - padding] == '=')
		padding++;
	for (size_t i = skip; i < len - padding; i++)
		if (line[i] == '\0' || strchr(digits, line[i]) == NULL)
			return false;
	return true;
}

bool
tlog_proof_read(const char *text, size_t len, TlogProof *proof, CoreError *error)
{
	const char *end = text + len;
	const char *line;
	size_t		linelen;
	uint8_t		hash[HASH_LEN + 4];
	size_t		hashlen;

	memset(proof, 0, sizeof(*proof));
	if (len > TLOG_PROOF_MAX)
		return error_set(error, CORE_MALFORMED, "a proof longer than %d bytes", TLOG_PROOF_MAX);
	if (len < strlen(TLOG_PROOF_HEADER) ||
		memcmp(text, TLOG_PROOF_HEADER, strlen(TLOG_PROOF_HEADER)) != 0)
		return error_set(error, CORE_MALFORMED, "not a tlog-proof");
	text += strlen(TLOG_PROOF_HEADER);
	if (!tlog_proof_line(&text, end, &line, &linelen))
		return error_set(error, CORE_MALFORMED, "the proof ends after its first line");
	if (linelen > strlen("extra ") && memcmp(line, "extra ", strlen("extra ")) == 0 &&
		(!tlog_proof_extra(line, linelen) || !tlog_proof_line(&text, end, &line, &linelen)))
		return error_set(error, CORE_MALFORMED, "the extra data of the proof is not base64");
	if (!tlog_proof_index(line, linelen, &proof->index))
		return error_set(error, CORE_MALFORMED, "the proof does not say the entry's index");
	for (;;)
	{
		if (!tlog_proof_line(&text, end, &line, &linelen))
			return error_set(error, CORE_MALFORMED, "the proof has no checkpoint");
		if (linelen == 0)
			break;
		if (proof->nhashes == PROOF_MAX_HASHES || linelen != ENCODE_BASE64_SIZE(HASH_LEN) - 1 ||
			!decode_base64(line, linelen, hash, &hashlen) || hashlen != HASH_LEN)
			return error_set(error, CORE_MALFORMED, "hash %d of the proof is none",
							 proof->nhashes + 1);
		memcpy(proof->hashes[proof->nhashes++], hash, HASH_LEN);
	}
	proof->checkpoint = text;
	proof->checkpoint_len = (size_t) (end - text);
	return true;
}
