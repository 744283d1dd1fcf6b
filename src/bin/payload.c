/*
 * payload.c: skim the JSON of an entry.
 *
 * Not with jansson: it refuses numbers that do not fit into its types, which
 * the database takes and signs, and it would build in memory what nobody reads.
 */
#include <string.h>

#include <jansson.h>

#include "payload.h"

#define PAYLOAD_DEPTH_MAX 512	/* the database's limit (src/ledger/payload.c) */

typedef struct Skim
{
	const char *at;
	const char *end;
	int			depth;
} Skim;

static bool skim_value(Skim *skim);

static void
skim_space(Skim *skim)
{
	while (skim->at < skim->end && (*skim->at == ' ' || *skim->at == '\t' || *skim->at == '\n' ||
									*skim->at == '\r'))
		skim->at++;
}

static bool
skim_char(Skim *skim, char c)
{
	if (skim->at == skim->end || *skim->at != c)
		return false;
	skim->at++;
	return true;
}

static bool
skim_word(Skim *skim, const char *word)
{
	size_t		len = strlen(word);

	if ((size_t) (skim->end - skim->at) < len || memcmp(skim->at, word, len) != 0)
		return false;
	skim->at += len;
	return true;
}

static bool
skim_string(Skim *skim)
{
	if (!skim_char(skim, '"'))
		return false;
	while (skim->at < skim->end && *skim->at != '"')
	{
		if ((unsigned char) *skim->at < ' ')
			return false;
		if (*skim->at++ != '\\')
			continue;
		if (skim->at == skim->end || strchr("\"\\/bfnrtu", *skim->at) == NULL || *skim->at == '\0')
			return false;
		if (*skim->at++ != 'u')
			continue;
		for (int i = 0; i < 4; i++)
			if (skim->at == skim->end || strchr("0123456789abcdefABCDEF", *skim->at) == NULL ||
				*skim->at++ == '\0')
				return false;
	}
	return skim_char(skim, '"');
}

static bool
skim_digits(Skim *skim)
{
	const char *first = skim->at;

	while (skim->at < skim->end && *skim->at >= '0' && *skim->at <= '9')
		skim->at++;
	return skim->at > first;
}

static bool
skim_number(Skim *skim)
{
	(void) skim_char(skim, '-');
	if (!skim_char(skim, '0') && !skim_digits(skim))
		return false;
	if (skim_char(skim, '.') && !skim_digits(skim))
		return false;
	if (skim_char(skim, 'e') || skim_char(skim, 'E'))
	{
		(void) (skim_char(skim, '+') || skim_char(skim, '-'));
		return skim_digits(skim);
	}
	return true;
}

/* Behind the opening bracket: elements, or fields, up to the closing one. */
static bool
skim_elements(Skim *skim, bool fields, char close)
{
	bool		fine = true;

	if (++skim->depth > PAYLOAD_DEPTH_MAX)
		return false;
	skim_space(skim);
	if (!skim_char(skim, close))
	{
		do
		{
			skim_space(skim);
			fine = !fields || skim_string(skim);
			skim_space(skim);
			fine = fine && (!fields || skim_char(skim, ':')) && skim_value(skim);
		}
		while (fine && skim_char(skim, ','));
		fine = fine && skim_char(skim, close);
	}
	skim->depth--;
	return fine;
}

/* A value with the white space around it. */
static bool
skim_value(Skim *skim)
{
	bool		fine;

	skim_space(skim);
	if (skim->at == skim->end)
		return false;
	switch (*skim->at)
	{
		case '{':
			skim->at++;
			fine = skim_elements(skim, true, '}');
			break;
		case '[':
			skim->at++;
			fine = skim_elements(skim, false, ']');
			break;
		case '"':
			fine = skim_string(skim);
			break;
		case 't':
			fine = skim_word(skim, "true");
			break;
		case 'f':
			fine = skim_word(skim, "false");
			break;
		case 'n':
			fine = skim_word(skim, "null");
			break;
		default:
			fine = skim_number(skim);
	}
	skim_space(skim);
	return fine;
}

/* The text of a string, which stands there with its quotes and escapes. */
static bool
payload_text(const char *json, size_t len, char out[PAYLOAD_VALUE_MAX])
{
	json_t	   *value = (len < PAYLOAD_VALUE_MAX ? json_loadb(json, len, JSON_DECODE_ANY, NULL) :
						 NULL);
	bool		fine = json_is_string(value);

	if (fine)
		memcpy(out, json_string_value(value), json_string_length(value) + 1);
	json_decref(value);
	return fine;
}

bool
payload_names(const char *text, size_t len, PayloadNames *names)
{
	Skim		skim = {text, text + len, 1};
	int			kinds = 0;
	int			origins = 0;

	skim_space(&skim);
	if (!skim_char(&skim, '{'))
		return false;
	do
	{
		const char *name;
		const char *value;
		char		field[PAYLOAD_VALUE_MAX];
		char	   *out = NULL;

		skim_space(&skim);
		name = skim.at;
		if (!skim_string(&skim))
			return false;
		if (payload_text(name, (size_t) (skim.at - name), field))
		{
			if (strcmp(field, "kind") == 0 && ++kinds)
				out = names->kind;
			else if (strcmp(field, "origin") == 0 && ++origins)
				out = names->origin;
		}
		skim_space(&skim);
		if (!skim_char(&skim, ':'))
			return false;
		skim_space(&skim);
		value = skim.at;
		if (out != NULL ? !skim_string(&skim) ||
			!payload_text(value, (size_t) (skim.at - value), out) : !skim_value(&skim))
			return false;
		skim_space(&skim);
	}
	while (skim_char(&skim, ','));
	if (!skim_char(&skim, '}'))
		return false;
	skim_space(&skim);
	return skim.at == skim.end && kinds == 1 && origins == 1;
}
