/*
 * explain_terms.h: the conditions that are particular to a kind of entry.
 */
#ifndef MEDCHAIN_RULES_EXPLAIN_TERMS_H
#define MEDCHAIN_RULES_EXPLAIN_TERMS_H

#include "rules/explain_tell.h"

/* Tell those that are particular to the entry's kind. */
extern void explain_terms(Explain *explain);

#endif
