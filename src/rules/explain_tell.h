/*
 * explain_tell.h: an entry that is being explained, and what is told of it.
 */
#ifndef MEDCHAIN_RULES_EXPLAIN_TELL_H
#define MEDCHAIN_RULES_EXPLAIN_TELL_H

#include "rules/rules.h"
#include "rules/standing.h"

typedef enum ExplainResult
{
	EXPLAIN_HOLDS, EXPLAIN_FAILS,
	EXPLAIN_NOT_ASKED			/* as one before it fails */
} ExplainResult;

/* A condition, and what it was judged by; the texts are visit's for the call. */
typedef void (*ExplainVisit) (void *state, const char *condition, ExplainResult result,
							  const char *judged_by);

typedef struct Explain
{
	Rules	   *rules;
	Pool	   *pool;
	const Claim *claim;
	const Party *author;		/* NULL: nothing is known of that name */
	ExplainVisit visit;
	void	   *state;
	bool		failed;
} Explain;

/* Tell a condition; behind one that failed it was not asked. */
extern void explain_tell(Explain *explain, const char *condition, bool holds,
						 const char *judged_by);

/* The contract and the certificate that the author had there, as text. */
extern const char *explain_standing(Explain *explain);

/* The key that signed the envelope, as text, or why none did that its ledger has had by then. */
extern const char *explain_signed_by(Explain *explain, bool *is_signed);

#endif
