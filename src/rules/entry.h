/*
 * entry.h: the gate: what a text has to be to become an entry of the ledger.
 *
 * There is one, for what a session appends and for what a peer sends, for verify() and for the
 * offline verifier.  What passes, everything can read that ever reads entries.  It depends on
 * the text alone, so that all nodes, of whatever version, settings and libraries, come to the same
 * result: a chain with an entry in it that some take and others do not would split the alliance.
 */
#ifndef MEDCHAIN_RULES_ENTRY_H
#define MEDCHAIN_RULES_ENTRY_H

#include "core/hash.h"
#include "rules/json_text.h"

#define ENTRY_TEXT_MAX 255		/* bytes, of any field but the body */
#define ENTRY_KIND_MAX 63
#define ENTRY_NAME_MAX 63		/* of a member */
#define ENTRY_ID_LEN 16
#define ENTRY_TIME_LEN 27		/* 2026-01-31T23:59:59.123456Z */

typedef struct Entry
{
	char		kind[ENTRY_TEXT_MAX + 1];
	char		origin[ENTRY_TEXT_MAX + 1];
	uint8_t		id[ENTRY_ID_LEN];
	char		time[ENTRY_TIME_LEN + 1];
	char		actor[ENTRY_TEXT_MAX + 1];
	bool		has_subject;
	uint8_t		subject[HASH_LEN];
	const char *body;			/* where it stands in the text */
	size_t		body_len;
} Entry;

/* False, with the reason in error, if text is no entry. */
extern bool entry_read(const char *text, size_t len, Entry *entry, CoreError *error);

/*
 * The same by the rules of old, when more was taken: for what is on a ledger since then, and cannot
 * come off again.
 */
extern bool entry_read_old(const char *text, size_t len, Entry *entry, CoreError *error);

/*
 * By either: what is on a ledger.  False if it is no entry by those of old.  readable: everybody
 * can read it, and it says something; if not, why says the reason (NULL: nobody asks).
 */
extern bool entry_read_any(const char *text, size_t len, Entry *entry, bool *readable,
						   CoreError *why);

/*
 * May entries be of a kind that is called so?  Up to ENTRY_KIND_MAX lower-case letters, digits,
 * dots, dashes and underscores, a letter first.
 */
extern bool entry_kind_valid(const char *kind);

/* May a member be called so?  Names stand in notes, in SQL's identifiers and in paths. */
extern bool entry_name_valid(const char *name);

#endif
