/*
 * oversight_internal.h: what the files of oversight share.
 */
#ifndef MEDCHAIN_RULES_OVERSIGHT_INTERNAL_H
#define MEDCHAIN_RULES_OVERSIGHT_INTERNAL_H

#include "rules/oversight.h"
#include "rules/rules_internal.h"

/* So far clocks may differ. */
#define OVERSIGHT_SKEW (60 * PERIOD_SECOND)

/* What the author of a chain has had of another one, and when. */
typedef struct Had
{
	int64_t		entries;
	int64_t		since;
	struct Had *before;
} Had;

struct Oversight
{
	Rules	   *rules;
	Pool	   *pool;			/* of the chain */
	Pool	   *entry_pool;
	Pool	   *scratch;		/* of one question */
	char	   *origin;			/* of the chain */
	Map		   *had;			/* by chain: the newest Had */

	/* the entry at hand */
	OversightCase asked;
	const char *member;
	const char *purpose;		/* NULL: the ledger does not say */
	bool		update;
	int64_t		decided;
	int64_t		moment;
};

/*
 * Why nothing covers the case that is asked about: no protocol, in that version or (-1) any that
 * counted; no protocol about the subject; no break-glass entry with that id.  NULL: it is covered.
 */
extern const char *oversight_protocol(Oversight *oversight, const char *about, int64_t version);
extern const char *oversight_any(Oversight *oversight);
extern const char *oversight_glass(Oversight *oversight, const char *id);

#endif
