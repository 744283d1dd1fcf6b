/*
 * standing.h: what a member may say at a point of its own chain.
 *
 * Authority is judged by position first and by time second.  A chain has one order, which its
 * author cannot change once it is signed and sent, while the times in it are his own word.  So
 * each event that changes what a member may do is tied to an entry or a block of that member's
 * chain: the countersignature of a contract and a new key by where they stand on it; what the data
 * centre decides by the last block of it that the data centre had verified by then, which its
 * entry names. Whoever has the entries comes to the same result, in whatever order they came.
 */
#ifndef MEDCHAIN_RULES_STANDING_H
#define MEDCHAIN_RULES_STANDING_H

#include "rules/member.h"

extern bool standing_certified(const Party *party, int64_t time);
extern const char *standing_excluded(const Party *party, int64_t seq, int64_t time);
extern const char *standing_reason(const Party *party, int64_t seq, int64_t time, int64_t sealed,
								   unsigned capability, const char *denied);

/* The newest contract that the member had countersigned before that entry; NULL: none. */
extern const ContractRow *standing_contract(const Standing *standing, int64_t seq);

/* The newest certificate in force at that entry; NULL: none. */
extern const CertificateRow *standing_certificate(const Standing *standing, int64_t seq);
extern bool standing_may_seal(const Party *party, int64_t first, int64_t sealed);
extern bool standing_member_may(const Party *party, unsigned capability, int64_t time);

#endif
