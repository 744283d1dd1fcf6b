/*
 * explain_terms.c: the conditions that are particular to a kind of entry.
 *
 * For each kind, in the order of its rule: how the reasons begin that each condition gives.
 */
#include <string.h>

#include "rules/explain_by.h"
#include "rules/explain_terms.h"
#include "rules/rules_internal.h"

typedef struct ExplainTerm
{
	const char *condition;
	ExplainBy	by;				/* what it was judged by, where it holds; NULL: the entry's text */
	bool		other_reasons;	/* and all that no condition of the kind names: of keys, say */
	const char *reasons[4];		/* how they begin */
} ExplainTerm;

#define TERM_CENTER {"the data centre says it, with a certificate for that time", \
	explain_by_standing, \
	false, {"only the data centre", "the data centre's certificate"}}
#define TERM_ISSUES {"its author's contract lets him issue protocols there", \
	explain_by_standing, false, \
	{"the author may not issue", "the author's contract", "the author's certificate", \
	"the data centre's certificate"}}
#define TERM_SIGNED {"a key that its author's ledger has had up to there signed it", \
	explain_by_key, true, \
	{NULL}}
#define TERM_ALLIANCE(what, begins) {"it is of this alliance" what, NULL, false, {begins}}
#define TERM_ABOUT_MEMBER {"it is about another member, which was not expelled before", \
	explain_by_member, \
	false, {"the data centre is a member by genesis", "there is no such member", \
	"the member was expelled before"}}
#define TERM_BLOCK {"it names a block of the member's chain", explain_by_block, false, \
	{"it names no block of the member's chain"}}
#define TERM_BLOCKS {"it names blocks of the members' chains", explain_by_chains, false, \
	{"it names no block"}}
#define TERM_NOT_BACK {"no such entry before it names a later block", NULL, false, \
	{"the entry before names a later block"}}
#define TERM_PROTOCOL {"there is that protocol", \
	explain_by_protocol, false, {"there is no such protocol"}}
#define TERM_ISSUED TERM_ISSUES, TERM_SIGNED, \
	TERM_ALLIANCE(", and its issuer is its author", "protocol is of another alliance"), \
	{"it is about the examinee in its text", NULL, false, {"protocol is about another subject"}}
#define TERM_CONTENT \
	{"its text, period, grants and data index are in order", NULL, false, {"protocol has no", \
	"grants and data index must be", "malformed grant", "malformed data index"}}, \
	{"the examinee has signed it, where that is needed", \
	explain_by_consent, false, {"the examinee"}}
#define TERM_ACCEPTED(whose) {whose " accept its certificate", explain_by_certificate, false, \
	{"certificate is not accepted"}}

static const ExplainTerm terms_genesis[] = {
	{"it is the first entry of the data centre's chain", NULL, false, {"only the first entry"}},
	TERM_ALLIANCE(", and names its author", "genesis is of another alliance"),
	{"its trust anchors accept its certificate", explain_by_certificate, true, {NULL}},
	{NULL}
};

static const ExplainTerm terms_contract[] = {
	TERM_CENTER,
	{"it is with another than the data centre", NULL, false, {"the data centre is a member by"}},
	TERM_SIGNED,
	TERM_ALLIANCE("", "contract is of another alliance"),
	{"it names its member, and a kind of member", NULL, false, {"contract has no valid member",
	"a contract is for"}},
	{"its capabilities and its period are in order", NULL, false, {"capabilities are",
	"contract has no valid period"}},
	TERM_ACCEPTED("the trust anchors in force there"),
	{"the member was not expelled before", NULL, false, {"the member was expelled before"}},
	{NULL}
};

static const ExplainTerm terms_acceptance[] = {
	{"there is that contract, with its author",
		explain_by_contract, false, {"the contract is not known",
	"the contract is with another"}},
	{"the key of the contract's certificate signed it, or one of its author's ledger",
		explain_by_key,
	true, {NULL}},
	{"it is the very text of the contract", explain_by_contract, false, {"what was countersigned"}},
	{NULL}
};

static const ExplainTerm terms_configure[] = {
	{"its author is an end node whose contract lets it configure ledgers there",
		explain_by_standing, false,
		{"only an end node", "the author's contract", "the author's certificate",
	"the data centre's certificate"}},
	{"there is that member", explain_by_member, false, {"there is no such member"}},
	{"it has a public key that is taken", explain_by_public_key, true, {"there is no public key"}},
	{"it is the first for that member's ledger", NULL, false, {"the ledger is configured already"}},
	{NULL}
};

static const ExplainTerm terms_suspend[] = {
	TERM_CENTER,
	TERM_ABOUT_MEMBER,
	TERM_BLOCK,
	{"the member is not suspended", NULL, false, {"the member is suspended already"}},
	TERM_NOT_BACK,
	{NULL}
};

static const ExplainTerm terms_reinstate[] = {
	TERM_CENTER,
	TERM_ABOUT_MEMBER,
	TERM_BLOCK,
	{"the member is suspended", NULL, false, {"the member is not suspended"}},
	TERM_NOT_BACK,
	{NULL}
};

static const ExplainTerm terms_expel[] = {TERM_CENTER, TERM_ABOUT_MEMBER, TERM_BLOCK, {NULL}};

static const ExplainTerm terms_ending[] = {
	{"the member itself says it, or the data centre, with a certificate for that time",
		explain_by_standing, false, {"only the data centre and the member",
	"the data centre's certificate"}},
	TERM_ABOUT_MEMBER,
	{"it is the member's own, or names a block of its chain", explain_by_block, false,
	{"it names no block of the member's chain"}},
	{"there is that contract with the member",
	explain_by_contract, false, {"the contract is not known"}},
	{NULL}
};

/* by the member itself */
static const ExplainTerm terms_rekey[] = {
	{"the member itself says it, or the data centre", NULL, false,
	{"only the data centre and the member"}},
	{"its author's ledger is configured", NULL, false, {"the author's ledger is not configured"}},
	TERM_ALLIANCE("", "change of key is of another alliance"),
	{"it follows the key in force, which signed it", NULL, false, {"change of key does not follow",
	"old key"}},
	{"the new key is one that is taken, and signed it", explain_by_public_key, true, {"new key"}},
	TERM_ACCEPTED("trust anchors of the alliance"),
	{"the certificate's key signed it", explain_by_certificate, false, {"key of the certificate"}},
	{NULL}
};

/* by the data centre, after a loss */
static const ExplainTerm terms_rekey_lost[] = {
	TERM_CENTER,
	TERM_ABOUT_MEMBER,
	TERM_SIGNED,
	TERM_ALLIANCE("", "change of key is of another alliance"),
	{"the new key signed it", explain_by_public_key, false, {"new key"}},
	TERM_ACCEPTED("the trust anchors in force there"),
	{"the certificate's key signed it", explain_by_certificate, false, {"key of the certificate"}},
	TERM_BLOCK,
	{"the new key is that of the certificate, which is made out to a name in a contract of the "
		"member", explain_by_certificate, false, {"the new key is not the certificate's",
	"the certificate is for another name"}},
	TERM_NOT_BACK,
	{NULL}
};

static const ExplainTerm terms_crl[] = {
	TERM_CENTER,
	{"there is a revocation list in it", NULL, false, {"there is no revocation list"}},
	TERM_BLOCKS,
	{"a CA of the alliance signed the list", NULL, true, {"revocation list is not accepted"}},
	{NULL}
};

static const ExplainTerm terms_anchors[] = {
	{"the data centre says it", NULL, false, {"only the data centre renews"}},
	TERM_SIGNED,
	TERM_ALLIANCE("", "trust anchors are of another alliance"),
	{"there are trust anchors in it, and how long they can be renewed after the end", NULL, false,
	{"there are no trust anchors", "the time to renew trust anchors"}},
	TERM_BLOCKS,
	{"they are CAs, one of them valid then", NULL, false, {"trust anchors are not accepted"}},
	{"the data centre's certificate is valid then, or ended no longer ago than trust anchors can "
	"be renewed", explain_by_standing, false, {"the data centre's certificate"}},
	{NULL}
};

static const ExplainTerm terms_fork[] = {
	{"there are two different blocks of one height in it, and the one before", NULL, false,
		{"there are no two blocks", "the blocks have different", "the two blocks are",
	"the block before them"}},
	{"they are of the chain of the member that it names", explain_by_member, false,
	{"it is about another chain"}},
	{"both are signed with the key in force there", explain_by_blocks, true, {NULL}},
	{NULL}
};

/* by the data centre, which says more than that there are two */
static const ExplainTerm terms_fork_decision[] = {
	{"there are two different blocks of one height in it, and the one before", NULL, false,
		{"there are no two blocks", "the blocks have different", "the two blocks are",
	"the block before them"}},
	{"they are of the chain of the member that it names", explain_by_member, false,
	{"it is about another chain"}},
	{"both are signed with the key in force there", explain_by_blocks, true, {NULL}},
	{"the data centre says which of them counts, with a certificate for that time",
		explain_by_standing,
	false, {"only the data centre", "the data centre's certificate"}},
	{"that is one of the two, and nothing else was said before", NULL, false,
	{"it is none of the two", "which block counts was said"}},
	{NULL}
};

static const ExplainTerm terms_policy[] = {
	TERM_CENTER,
	{"there is that policy and value", NULL, false, {"there is no such policy"}},
	TERM_BLOCKS,
	{NULL}
};

static const ExplainTerm terms_examinee_key[] = {
	TERM_ISSUES,
	TERM_ALLIANCE(", and its author registers it", "key is of another alliance"),
	{"it is about the examinee in its text", NULL, false, {"key is of another subject"}},
	{"the new key is one that is taken, and signed it", explain_by_public_key, true, {"new key"}},
	{"the key before it signed it, unless the data centre withdrew that", NULL, false, {"old key"}},
	{NULL}
};

static const ExplainTerm terms_examinee_withdrawal[] = {
	TERM_CENTER,
	{"it is about an examinee", NULL, false, {"it names no subject"}},
	TERM_BLOCKS,
	{NULL}
};

static const ExplainTerm terms_protocol[] = {
	TERM_ISSUED,
	{"no earlier protocol has its id", NULL, false, {"there is a protocol with this id"}},
	TERM_CONTENT,
	{NULL}
};

static const ExplainTerm terms_amendment[] = {
	TERM_ISSUED,
	{"it amends an earlier protocol of its author about that examinee", explain_by_protocol, false,
	{"there is no protocol of this issuer"}},
	TERM_CONTENT,
	{NULL}
};

static const ExplainTerm terms_revocation[] = {
	TERM_PROTOCOL,
	{"its author is the protocol's issuer, the data centre, or the examinee's end node",
		explain_by_part,
	false, {"only the issuer"}},
	{NULL}
};

static const ExplainTerm terms_note[] = {
	TERM_PROTOCOL,
	{"its author's contract and certificate are in force there", explain_by_standing, false,
	{"the author's contract", "the author's certificate", "the data centre's certificate"}},
	{"its author has a part in the protocol, or is an auditor", explain_by_part, false,
	{"the author has no part"}},
	{NULL}
};

#define TERM_TAKES_PART(who, begins) {who, explain_by_standing, false, {begins, \
	"the author's contract", "the author's certificate", "the data centre's certificate"}}
#define TERM_EMERGENCY \
	{"it is about an examinee", NULL, false, {"it names no subject"}}, \
	{"it says why, and until when", NULL, false, {"it gives no reason", "it has no end"}}, \
	{"a policy of the data centre allows it there", \
	explain_by_glass_policy, false, {"no policy allows"}}

/* by the member itself */
static const ExplainTerm terms_break_glass[] = {
	TERM_TAKES_PART("its author's contract lets him break the glass there",
					"the author may not break the glass"),
	TERM_EMERGENCY,
	{NULL}
};

/* by the holder of the records, for a member who is connected to it */
static const ExplainTerm terms_break_glass_held[] = {
	TERM_TAKES_PART("its author takes part there", "the author takes no part"),
	{"it names a block of the member's chain",
	explain_by_member_block, false, {"it names no block"}},
	{"the member's contract lets it break the glass there", explain_by_member_block, false,
	{"the member may not break the glass"}},
	TERM_EMERGENCY,
	{NULL}
};

static const ExplainTerm terms_justification[] = {
	{"the member has broken the glass before",
	explain_by_break_glass, false, {"there is no such break"}},
	{"the member itself says it, or the holder of the records for it", NULL, false,
	{"only the member itself"}},
	{"there is a justification in it", NULL, false, {"there is no justification"}},
	{"it is the first", NULL, false, {"it is justified already"}},
	{NULL}
};

static const ExplainTerm terms_bind_role[] = {
	{"it is of effect on its own node alone", NULL, false, {NULL}},
	{NULL}
};

static const ExplainTerm terms_address[] = {
	TERM_TAKES_PART("its author takes part there", "the author takes no part"),
	{"it says a host, or its address, and a database, and no more than that", NULL, false,
	{"it is no address"}},
	{NULL}
};

static const ExplainTerm *const terms_of[CLAIM_KINDS] = {
	[CLAIM_GENESIS] = terms_genesis,
	[CLAIM_CONTRACT] = terms_contract,
	[CLAIM_ACCEPTANCE] = terms_acceptance,
	[CLAIM_CONFIGURE] = terms_configure,
	[CLAIM_SUSPEND] = terms_suspend,
	[CLAIM_REINSTATE] = terms_reinstate,
	[CLAIM_EXPEL] = terms_expel,
	[CLAIM_ENDING] = terms_ending,
	[CLAIM_REKEY] = terms_rekey,
	[CLAIM_CRL] = terms_crl,
	[CLAIM_ANCHORS] = terms_anchors,
	[CLAIM_FORK] = terms_fork,
	[CLAIM_POLICY] = terms_policy,
	[CLAIM_EXAMINEE_KEY] = terms_examinee_key,
	[CLAIM_EXAMINEE_WITHDRAWAL] = terms_examinee_withdrawal,
	[CLAIM_PROTOCOL] = terms_protocol,
	[CLAIM_AMENDMENT] = terms_amendment,
	[CLAIM_REVOCATION] = terms_revocation,
	[CLAIM_NOTE] = terms_note,
	[CLAIM_BREAK_GLASS] = terms_break_glass,
	[CLAIM_JUSTIFICATION] = terms_justification,
	[CLAIM_BIND_ROLE] = terms_bind_role,
	[CLAIM_ADDRESS] = terms_address
};

/* Which one gave the reason; the number of them: none did. */
static size_t
terms_failed(const ExplainTerm *terms, const char *reason)
{
	size_t		other;
	size_t		count = 0;

	for (; terms[count].condition != NULL; count++)
		for (size_t i = 0; i < 4 && terms[count].reasons[i] != NULL; i++)
			if (strncmp(reason, terms[count].reasons[i], strlen(terms[count].reasons[i])) == 0)
				return count;
	for (other = 0; other < count && !terms[other].other_reasons; other++)
		;
	return other;
}

/* Of some kinds, other conditions hold for the member that it is about and for others. */
static const ExplainTerm *
terms_for(const Explain *explain)
{
	const Claim *claim = explain->claim;
	bool		own = strcmp(claim->origin, claim->about) == 0;

	if (claim->kind == CLAIM_BREAK_GLASS && !own)
		return terms_break_glass_held;
	if (claim->kind == CLAIM_REKEY && !own &&
		strcmp(claim->origin, explain->rules->data_center) == 0)
		return terms_rekey_lost;
	if (claim->kind == CLAIM_FORK &&
		json_slice_type(rules_field(claim, "counts")) != JSON_SLICE_MISSING)
		return terms_fork_decision;
	return terms_of[claim->kind];
}

void
explain_terms(Explain *explain)
{
	const Claim *claim = explain->claim;
	const char *reason = claim->reason != NULL ? claim->reason : "";
	const ExplainTerm *terms = terms_for(explain);
	size_t		failed = claim->effective ? SIZE_MAX : terms_failed(terms, reason);

	for (size_t i = 0; terms[i].condition != NULL; i++)
	{
		const char *by = NULL;

		if (i == failed)
			by = terms[i].by == explain_by_standing ?
				pool_format(explain->pool, "%s: %s", reason, explain_standing(explain)) : reason;
		else if (!explain->failed && terms[i].by != NULL)
			by = terms[i].by(explain);
		explain_tell(explain, terms[i].condition, i != failed,
					 by != NULL ? by : "the text of the entry");
	}
}
