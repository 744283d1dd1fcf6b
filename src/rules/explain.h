/*
 * explain.h: what the rules say of one entry, condition by condition, for people.
 */
#ifndef MEDCHAIN_RULES_EXPLAIN_H
#define MEDCHAIN_RULES_EXPLAIN_H

#include "rules/explain_tell.h"

/*
 * The conditions for an entry to have effect, in the order in which they are asked, the last one
 * being that it has.  False if the state does not depend on that entry.
 */
extern bool rules_explain(Rules *rules, const char *origin, int64_t seq, ExplainVisit visit,
						  void *state);

#endif
