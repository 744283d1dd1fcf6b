/*
 * explain_by.h: what a condition of an entry was judged by: contract, certificate, key, another
 * entry.
 */
#ifndef MEDCHAIN_RULES_EXPLAIN_BY_H
#define MEDCHAIN_RULES_EXPLAIN_BY_H

#include "rules/explain_tell.h"

/* For people; NULL: the text of the entry itself. */
typedef const char *(*ExplainBy) (Explain *explain);

extern const char *explain_by_block(Explain *explain);
extern const char *explain_by_blocks(Explain *explain);
extern const char *explain_by_break_glass(Explain *explain);
extern const char *explain_by_certificate(Explain *explain);
extern const char *explain_by_chains(Explain *explain);
extern const char *explain_by_consent(Explain *explain);
extern const char *explain_by_contract(Explain *explain);
extern const char *explain_by_glass_policy(Explain *explain);
extern const char *explain_by_key(Explain *explain);
extern const char *explain_by_member(Explain *explain);
extern const char *explain_by_member_block(Explain *explain);
extern const char *explain_by_part(Explain *explain);
extern const char *explain_by_protocol(Explain *explain);
extern const char *explain_by_public_key(Explain *explain);
extern const char *explain_by_standing(Explain *explain);

#endif
