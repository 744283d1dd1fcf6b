/*
 * note.c: the text of a block header, written and parsed strictly.
 *
 * Signature lines are in note_sign.c.  Parsing accepts exactly what formatting
 * writes: it formats what it parsed and compares.
 */
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/encode.h"
#include "core/note.h"

/* Unicode's White_Space property. */
static bool
note_is_space(uint32_t c)
{
	return (c >= 0x09 && c <= 0x0d) || c == 0x20 || c == 0x85 || c == 0xa0 || c == 0x1680 ||
		(c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f || c == 0x205f ||
		c == 0x3000;
}

bool
note_name_valid(const char *name)
{
	size_t		len = strlen(name);

	if (len == 0 || len > NOTE_NAME_MAX)
		return false;
	for (size_t i = 0; i < len;)
	{
		uint32_t	c;
		size_t		step = decode_utf8((const uint8_t *) name + i, len - i, &c);

		if (step == 0 || c < 0x20 || (c >= 0x7f && c <= 0x9f) || c == '+' || note_is_space(c))
			return false;
		i += step;
	}
	return true;
}

static bool
note_sealed_valid(const char *s)
{
	static const char form[] = "0000-00-00T00:00:00.000Z";
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	int			year;
	int			month;
	int			day;
	bool		leap;

	for (size_t i = 0; i < NOTE_SEALED_LEN; i++)
		if (form[i] == '0' ? (s[i] < '0' || s[i] > '9') : s[i] != form[i])
			return false;
	if (s[NOTE_SEALED_LEN] != '\0')
		return false;
	year = atoi(s);
	month = atoi(s + 5);
	day = atoi(s + 8);
	leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
	return year >= 1 && month >= 1 && month <= 12 && day >= 1 &&
		day <= days[month - 1] + (month == 2 && leap) &&
		atoi(s + 11) <= 23 && atoi(s + 14) <= 59 && atoi(s + 17) <= 59;
}

size_t
note_format_block(const NoteBlock *block, char out[NOTE_TEXT_MAX])
{
	char		root[ENCODE_BASE64_SIZE(HASH_LEN)];
	char		previous[ENCODE_BASE64_SIZE(HASH_LEN)];
	int			len;

	if (!note_name_valid(block->name) || !note_sealed_valid(block->sealed) ||
		block->size > INT64_MAX || block->height > INT64_MAX)
		return 0;
	encode_base64(block->root, HASH_LEN, root);
	encode_base64(block->previous, HASH_LEN, previous);
	len = snprintf(out, NOTE_TEXT_MAX, "%s\n%" PRIu64 "\n%s\nheight %"
				   PRIu64 "\nprevious %s\nsealed %s\n",
				   block->name, block->size, root, block->height, previous, block->sealed);
	return len > 0 && len < NOTE_TEXT_MAX ? (size_t) len : 0;
}

bool
note_text_length(const char *note, size_t len, size_t *textlen, CoreError *error)
{
	if (len > NOTE_MAX)
		return error_set(error, CORE_MALFORMED, "signed note is longer than %d bytes", NOTE_MAX);
	if (len == 0 || note[len - 1] != '\n')
		return error_set(error, CORE_MALFORMED, "signed note does not end with a newline");

	/* signature lines are not empty, so the last blank line is what separates them from the text */
	for (size_t i = len - 1; i > 0; i--)
		if (note[i] == '\n' && note[i - 1] == '\n')
		{
			if (i == len - 1)
				return error_set(error, CORE_MALFORMED, "signed note has no signature line");
			if (i < 2)
				return error_set(error, CORE_MALFORMED, "signed note has no text");
			*textlen = i;
			return true;
		}
	return error_set(error, CORE_MALFORMED, "signed note has no blank line before its signatures");
}

/* Take a line off the text; false when there is none. */
static bool
note_line(const char **text, const char *end, const char **line, size_t *len)
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
note_number(const char *s, size_t len, uint64_t *value)
{
	*value = 0;
	if (len == 0 || len > 19 || (len > 1 && s[0] == '0'))
		return false;
	for (size_t i = 0; i < len; i++)
	{
		if (s[i] < '0' || s[i] > '9')
			return false;
		*value = *value * 10 + (uint64_t) (s[i] - '0');
	}
	return *value <= INT64_MAX;
}

static bool
note_hash(const char *s, size_t len, uint8_t hash[HASH_LEN])
{
	uint8_t		decoded[HASH_LEN + 4];
	size_t		size;

	if (len != ENCODE_BASE64_SIZE(HASH_LEN) - 1 || !decode_base64(s, len, decoded, &size) ||
		size != HASH_LEN)
		return false;
	memcpy(hash, decoded, HASH_LEN);
	return true;
}

/* The value of "keyword value"; false if the line is something else. */
static bool
note_value(const char *keyword, const char **line, size_t *len)
{
	size_t		skip = strlen(keyword);

	if (*len <= skip || memcmp(*line, keyword, skip) != 0)
		return false;
	*line += skip;
	*len -= skip;
	return true;
}

/* The lines that every checkpoint has; what is behind them. */
static bool
note_parse_lines(const char **text, const char *end, NoteCheckpoint *checkpoint, CoreError *error)
{
	const char *line;
	size_t		len;

	memset(checkpoint, 0, sizeof(*checkpoint));
	if (!note_line(text, end, &line, &len) || len > NOTE_NAME_MAX ||
		memchr(line, '\0', len) != NULL)
		return error_set(error, CORE_MALFORMED, "block header has no valid name in its first line");
	memcpy(checkpoint->origin, line, len);
	if (!note_name_valid(checkpoint->origin))
		return error_set(error, CORE_MALFORMED, "block header has no valid name in its first line");
	if (!note_line(text, end, &line, &len) || !note_number(line, len, &checkpoint->size))
		return error_set(error, CORE_MALFORMED, "block header has no tree size in its second line");
	if (!note_line(text, end, &line, &len) || !note_hash(line, len, checkpoint->root))
		return error_set(error, CORE_MALFORMED, "block header has no root hash in its third line");
	return true;
}

bool
note_parse_checkpoint(const char *note, size_t len, NoteCheckpoint *checkpoint, CoreError *error)
{
	const char *text = note;
	size_t		textlen;

	return note_text_length(note, len, &textlen, error) &&
		note_parse_lines(&text, note + textlen, checkpoint, error);
}

static bool
note_parse_text(const char *text, size_t textlen, NoteBlock *block, CoreError *error)
{
	const char *end = text + textlen;
	const char *line;
	size_t		len;
	NoteCheckpoint checkpoint;

	memset(block, 0, sizeof(*block));
	if (!note_parse_lines(&text, end, &checkpoint, error))
		return false;
	memcpy(block->name, checkpoint.origin, sizeof(block->name));
	block->size = checkpoint.size;
	memcpy(block->root, checkpoint.root, HASH_LEN);
	if (!note_line(&text, end, &line, &len) || !note_value("height ", &line, &len) ||
		!note_number(line, len, &block->height))
		return error_set(error, CORE_MALFORMED, "block header has no height in its fourth line");
	if (!note_line(&text, end, &line, &len) || !note_value("previous ", &line, &len) ||
		!note_hash(line, len, block->previous))
		return error_set(error, CORE_MALFORMED,
						 "block header has no hash of the previous block in its fifth line");
	if (!note_line(&text, end, &line, &len) || !note_value("sealed ", &line, &len) ||
		len != NOTE_SEALED_LEN)
		return error_set(error, CORE_MALFORMED,
						 "block header has no time of sealing in its sixth line");
	memcpy(block->sealed, line, len);
	if (memchr(line, '\0', len) != NULL || !note_sealed_valid(block->sealed))
		return error_set(error, CORE_MALFORMED,
						 "block header has no time of sealing in its sixth line");
	if (text != end)
		return error_set(error, CORE_MALFORMED, "block header has more than six lines");
	return true;
}

bool
note_parse_block(const char *note, size_t len, NoteBlock *block, CoreError *error)
{
	size_t		textlen;
	char		again[NOTE_TEXT_MAX];

	if (!note_text_length(note, len, &textlen, error) ||
		!note_parse_text(note, textlen, block, error))
		return false;

	/* the hash of a block is that of its text, so there must not be two texts for one block */
	if (note_format_block(block, again) != textlen || memcmp(again, note, textlen) != 0)
		return error_set(error, CORE_MALFORMED, "block header is not in its canonical form");
	return note_verify(note, len, block->name, NULL, error) != KEY_ERROR;
}
