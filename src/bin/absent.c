/*
 * absent.c: entries of an export whose payloads are not in it.
 */
#include <stdlib.h>
#include <string.h>

#include "absent.h"
#include "core/block.h"
#include "core/encode.h"
#include "core/kinds_note.h"
#include "rules/block_kinds.h"

void
absent_free(Absent *absent)
{
	free(absent->leaves);
	free(absent->kinds);
	free(absent->kinds_note);
	absent->leaves = NULL;
	absent->kinds = absent->kinds_note = NULL;
	absent->governance = 0;
}

bool
absent_line(Absent *absent, json_t *line, uint64_t expected, CoreError *error)
{
	static const char *const fields[] = {"type", "first", "kinds", "leaves", "origin",
	"kinds_note", NULL};
	const char *hex;
	const char *kinds;
	const char *note;
	size_t		len;

	if (!input_fields(line, fields, error) ||
		!input_number(line, "first", &absent->first, error) ||
		!input_string(line, "leaves", &hex, &len, error) ||
		!input_string(line, "kinds", &kinds, NULL, error) ||
		!input_string(line, "kinds_note", &note, NULL, error))
		return false;
	if (absent->leaves != NULL || absent->first != expected || len % (2 * HASH_LEN) != 0 ||
		len > (size_t) 2 * HASH_LEN * BLOCK_ENTRIES_MAX)
		return error_set(error, CORE_MALFORMED, "leaf hashes do not belong here");
	absent->count = len / (2 * HASH_LEN);
	absent->leaves = malloc(len / 2 + 1);
	absent->kinds = strdup(kinds);
	absent->kinds_note = strdup(note);
	if (absent->leaves == NULL || absent->kinds == NULL || absent->kinds_note == NULL)
		return error_set(error, CORE_INTERNAL, "out of memory");
	if (!decode_hex(hex, len, absent->leaves))
		return error_set(error, CORE_MALFORMED, "leaf hashes are not in hexadecimal");
	return true;
}

void
absent_entry(Absent *absent, const char *kind)
{
	if (block_kind_is_governance(kind))
		absent->governance++;
}

bool
absent_fill(Absent *absent, ChainCheck *check, uint64_t until)
{
	if (absent->leaves == NULL || until > absent->first + absent->count)
		return false;
	while (check->range.size < until)
	{
		if (!chain_check_leaf(check, absent->leaves +
							  (check->range.size - absent->first) * HASH_LEN))
			return false;
		absent->missing++;
	}
	return true;
}

/* A BlockKindWanted. */
static bool
absent_is_governance(const char *kind, void *arg)
{
	(void) arg;
	return block_kind_is_governance(kind);
}

bool
absent_block(Absent *absent, const ChainCheck *check, const Key *key, CoreError *error)
{
	int64_t		governance;
	int64_t		all;
	bool		fine = absent->leaves == NULL;

	if (!fine &&
		(!kinds_note_valid(absent->kinds_note, check->name, check->height, check->head,
						   absent->kinds, strlen(absent->kinds), key) ||
		 !block_kinds_count(absent->kinds, strlen(absent->kinds), absent_is_governance, NULL,
							&governance, &all) || all != (int64_t) absent->count))
		error_set(error, CORE_MALFORMED, "its author has not signed what kinds of entries it has");
	else if (!fine && governance > absent->governance)
		error_set(error, CORE_MALFORMED, "%lld entries that the state depends on are here, and by "
				  "its author's word there are %lld", (long long) absent->governance,
				  (long long) governance);
	else
		fine = true;
	absent_free(absent);
	return fine;
}
