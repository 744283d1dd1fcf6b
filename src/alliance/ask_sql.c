/*
 * ask_sql.c: what calls ask the rules before they append an entry that nobody would take.
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"

#include "alliance/rulebook.h"
#include "compat.h"
#include "node/trusted.h"
#include "rules/ask.h"

/* A question: what was opened for it, and what is closed again. */
typedef struct Asking
{
	MemoryContext caller;
	TrustedScope scope;
	Rulebook   *book;			/* NULL: this database is no node */
	Pool	   *pool;
} Asking;

static bool
asking_begin(Asking *asking, bool members)
{
	asking->caller = CurrentMemoryContext;
	trusted_begin(&asking->scope);
	asking->book = rulebook_read(members);
	asking->pool = asking->book != NULL ? pool_new() : NULL;
	return asking->book != NULL;
}

static void
asking_end(Asking *asking)
{
	if (asking->book != NULL)
	{
		pool_free(asking->pool);
		rulebook_close(asking->book);
	}
	trusted_end(&asking->scope);
}

/* An answer is the caller's: it is copied before the end of asking. */
static text *
asking_answer(const Asking *asking, const char *answer)
{
	MemoryContext old;
	text	   *copy;

	if (answer == NULL)
		return NULL;
	old = MemoryContextSwitchTo(asking->caller);
	copy = cstring_to_text(answer);
	MemoryContextSwitchTo(old);
	return copy;
}

/* The same as what a function returns, with the end of asking; null for NULL. */
static Datum
asking_text(Asking *asking, FunctionCallInfo fcinfo, const char *answer)
{
	text	   *copy = asking_answer(asking, answer);

	asking_end(asking);
	if (copy == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(copy);
}

static JsonSlice
asking_json(Asking *asking, Jsonb *value)
{
	StringInfoData json;

	initStringInfo(&json);
	(void) JsonbToCString(&json, &value->root, VARSIZE(value));
	return json_slice_read(asking->pool, json.data, (size_t) json.len, JSON_TEXT_UNIQUE);
}

/* The subject that is the argument of that number; false: it is none. */
static bool
asking_subject(bytea *value, uint8_t subject[HASH_LEN])
{
	if (VARSIZE_ANY_EXHDR(value) != HASH_LEN)
		return false;
	memcpy(subject, VARDATA_ANY(value), HASH_LEN);
	return true;
}

PG_FUNCTION_INFO_V1(medchain_may_seal);

/* may_seal(member text, first bigint, sealed timestamptz) -> boolean */
Datum
medchain_may_seal(PG_FUNCTION_ARGS)
{
	char	   *member = text_to_cstring(PG_GETARG_TEXT_PP(0));
	Asking		asking;
	bool		may = true;

	if (asking_begin(&asking, true))
		may = rules_may_seal(asking.book->rules, member, PG_GETARG_INT64(1),
							 PG_GETARG_TIMESTAMPTZ(2));
	asking_end(&asking);
	PG_RETURN_BOOL(may);
}

typedef const char *(*AskingReason) (Rules *rules, Pool *pool, const char *member,
									 const char *protocol, int64_t time);

static Datum
asking_reason(AskingReason reason, FunctionCallInfo fcinfo)
{
	char	   *member = text_to_cstring(PG_GETARG_TEXT_PP(0));
	char	   *protocol = text_to_cstring(PG_GETARG_TEXT_PP(1));
	const char *answer = NULL;
	Asking		asking;

	if (asking_begin(&asking, true))
		answer = reason(asking.book->rules, asking.pool, member, protocol,
						PG_GETARG_TIMESTAMPTZ(2));
	return asking_text(&asking, fcinfo, answer);
}

PG_FUNCTION_INFO_V1(medchain_revocation_reason);

/* revocation_reason(member text, protocol text, at timestamptz) -> text */
Datum
medchain_revocation_reason(PG_FUNCTION_ARGS)
{
	return asking_reason(ask_revocation, fcinfo);
}

PG_FUNCTION_INFO_V1(medchain_note_reason);

/* note_reason(member text, protocol text, at timestamptz) -> text */
Datum
medchain_note_reason(PG_FUNCTION_ARGS)
{
	return asking_reason(ask_note, fcinfo);
}

PG_FUNCTION_INFO_V1(medchain_break_glass_reason);

/* break_glass_reason(author text, subject bytea, body jsonb, at timestamptz) -> text */
Datum
medchain_break_glass_reason(PG_FUNCTION_ARGS)
{
	char	   *author = text_to_cstring(PG_GETARG_TEXT_PP(0));
	Jsonb	   *body = PG_GETARG_JSONB_P(2);
	TimestampTz at = PG_GETARG_TIMESTAMPTZ(3);
	const char *answer = "there is no subject";
	uint8_t		subject[HASH_LEN];
	Asking		asking;

	if (asking_begin(&asking, true) && asking_subject(PG_GETARG_BYTEA_PP(1), subject))
		answer = ask_break_glass(asking.book->rules, asking.pool, author, subject,
								 asking_json(&asking, body), at);
	return asking_text(&asking, fcinfo, answer);
}

PG_FUNCTION_INFO_V1(medchain_policy_at);

/* policy_at(policy text, member text) -> text */
Datum
medchain_policy_at(PG_FUNCTION_ARGS)
{
	char	   *policy = text_to_cstring(PG_GETARG_TEXT_PP(0));
	char	   *member = text_to_cstring(PG_GETARG_TEXT_PP(1));
	const char *answer = NULL;
	Asking		asking;

	if (asking_begin(&asking, false))
		answer = ask_policy(asking.book->rules, asking.pool, policy, member);
	return asking_text(&asking, fcinfo, answer);
}

PG_FUNCTION_INFO_V1(medchain_examinee_signed);

/* examinee_signed(member text, subject bytea, envelope jsonb) -> boolean */
Datum
medchain_examinee_signed(PG_FUNCTION_ARGS)
{
	char	   *member = text_to_cstring(PG_GETARG_TEXT_PP(0));
	ExamineeSigned is_signed = EXAMINEE_HAS_NO_KEY;
	uint8_t		subject[HASH_LEN];
	Asking		asking;

	if (!asking_subject(PG_GETARG_BYTEA_PP(1), subject))
		PG_RETURN_NULL();
	if (asking_begin(&asking, false))
		is_signed = ask_examinee_signed(asking.book->rules, asking.pool, member, subject,
										asking_json(&asking, PG_GETARG_JSONB_P(2)));
	asking_end(&asking);
	if (is_signed == EXAMINEE_HAS_NO_KEY)
		PG_RETURN_NULL();
	PG_RETURN_BOOL(is_signed == EXAMINEE_SIGNED);
}

PG_FUNCTION_INFO_V1(medchain_examinee_signed_before);

/* examinee_signed_before(member text, subject bytea, terms jsonb) -> boolean */
Datum
medchain_examinee_signed_before(PG_FUNCTION_ARGS)
{
	char	   *member = text_to_cstring(PG_GETARG_TEXT_PP(0));
	uint8_t		subject[HASH_LEN];
	Asking		asking;
	bool		before = false;

	if (!asking_subject(PG_GETARG_BYTEA_PP(1), subject))
		PG_RETURN_BOOL(false);
	if (asking_begin(&asking, false))
		before = ask_examinee_signed_before(asking.book->rules, asking.pool, member, subject,
											asking_json(&asking, PG_GETARG_JSONB_P(2)));
	asking_end(&asking);
	PG_RETURN_BOOL(before);
}

typedef const char *(*AskingTerms) (Rules *rules, Pool *pool, JsonSlice terms, int64_t time);

static Datum
asking_terms(AskingTerms reason, FunctionCallInfo fcinfo)
{
	const char *answer = NULL;
	Asking		asking;

	if (asking_begin(&asking, true))
		answer = reason(asking.book->rules, asking.pool,
						asking_json(&asking, PG_GETARG_JSONB_P(0)), PG_GETARG_TIMESTAMPTZ(1));
	return asking_text(&asking, fcinfo, answer);
}

PG_FUNCTION_INFO_V1(medchain_contract_terms_reason);

/* contract_terms_reason(terms jsonb, at timestamptz) -> text */
Datum
medchain_contract_terms_reason(PG_FUNCTION_ARGS)
{
	return asking_terms(ask_contract_terms, fcinfo);
}

PG_FUNCTION_INFO_V1(medchain_anchors_reason);

/* anchors_reason(terms jsonb, at timestamptz) -> text */
Datum
medchain_anchors_reason(PG_FUNCTION_ARGS)
{
	return asking_terms(ask_anchors, fcinfo);
}

PG_FUNCTION_INFO_V1(medchain_fork_reason);

/* fork_reason(terms jsonb, at timestamptz) -> text */
Datum
medchain_fork_reason(PG_FUNCTION_ARGS)
{
	return asking_terms(ask_fork, fcinfo);
}

PG_FUNCTION_INFO_V1(medchain_certificate_is_of);

/* certificate_is_of(certificate text, member text) -> boolean */
Datum
medchain_certificate_is_of(PG_FUNCTION_ARGS)
{
	char	   *certificate = text_to_cstring(PG_GETARG_TEXT_PP(0));
	char	   *member = text_to_cstring(PG_GETARG_TEXT_PP(1));
	Asking		asking;
	bool		is_of = false;

	if (asking_begin(&asking, true))
		is_of = ask_certificate_is_of(asking.book->rules, certificate, member);
	asking_end(&asking);
	PG_RETURN_BOOL(is_of);
}

PG_FUNCTION_INFO_V1(medchain_crl_issuers);

/* crl_issuers() -> text */
Datum
medchain_crl_issuers(PG_FUNCTION_ARGS)
{
	const char *answer = NULL;
	Asking		asking;

	if (asking_begin(&asking, true))
		answer = ask_issuers(asking.book->rules);
	return asking_text(&asking, fcinfo, answer);
}

PG_FUNCTION_INFO_V1(medchain_certificate_revocation);

/* certificate_revocation(certificate text) -> (revoked timestamptz, reason text) */
Datum
medchain_certificate_revocation(PG_FUNCTION_ARGS)
{
	char	   *certificate = text_to_cstring(PG_GETARG_TEXT_PP(0));
	const RevocationFact *fact = NULL;
	Datum		values[2] = {(Datum) 0, (Datum) 0};
	bool		nulls[2] = {true, true};
	TupleDesc	desc;
	Asking		asking;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "certificate_revocation: no row type");
	if (asking_begin(&asking, true))
		fact = ask_revoked(asking.book->rules, certificate);
	if (fact != NULL)
	{
		values[0] = TimestampTzGetDatum(fact->since);
		values[1] = PointerGetDatum(asking_answer(&asking, fact->reason));
		nulls[0] = nulls[1] = false;
	}
	asking_end(&asking);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}
