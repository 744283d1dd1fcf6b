/*
 * explain.h: what the rules say of one entry, condition by condition, for people.
 */
#ifndef MEDCHAIN_RULES_EXPLAIN_H
#define MEDCHAIN_RULES_EXPLAIN_H

#include "rules/rules.h"

typedef enum ExplainResult
{
	EXPLAIN_HOLDS, EXPLAIN_FAILS,
	EXPLAIN_NOT_ASKED			/* as one before it fails */
} ExplainResult;

/* A condition, and what it was judged by; the texts are visit's for the call. */
typedef void (*ExplainVisit) (void *state, const char *condition, ExplainResult result,
							  const char *judged_by);

/*
 * The conditions for an entry to have effect, in the order in which they are asked, the last one
 * being that it has.  False if the state does not depend on that entry.
 */
extern bool rules_explain(Rules *rules, const char *origin, int64_t seq, ExplainVisit visit,
						  void *state);

#endif
