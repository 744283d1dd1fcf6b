/*
 * read_entry.c: the body of entries of kind access (doc/ledger.md, "Accesses").
 *
 * Nothing in it is the content of a record: pseudonyms, numbers, names of tables and roles, and
 * what the application says of itself.
 */
#include "postgres.h"

#include "libpq/libpq-be.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/json.h"
#include "utils/uuid.h"

#include "access/audit_queue.h"
#include "access/identity.h"
#include "access/read_entry.h"
#include "access/statement.h"
#include "core/encode.h"
#include "ledger/payload.h"
#include "node/settings.h"

#define ENTRY_QUERY_MAX (64 * 1024) /* bytes of a query's text; of a longer one its hash */

static const char *const outcomes[] = {"read", "refused", "cancelled", "failed"};

/* Names and settings may come from anywhere; what is no UTF-8 is in hex. */
static void
entry_add_text(StringInfo out, const char *name, const char *value)
{
	size_t		len = value ? strlen(value) : 0;

	if (len == 0)
		return;
	appendStringInfo(out, ",\"%s\":", name);
	if (pg_verify_mbstr(PG_UTF8, value, (int) len, true))
		escape_json(out, value);
	else
	{
		char	   *hex = palloc(ENCODE_HEX_SIZE(len));

		encode_hex((const uint8 *) value, len, hex);
		appendStringInfo(out, "\"hex:%s\"", hex);
		pfree(hex);
	}
}

static void
entry_add_query(StringInfo out, const char *query)
{
	uint8		hash[HASH_LEN];

	if (query == NULL || !setting_read_audit_query_text)
		return;
	if (strlen(query) <= ENTRY_QUERY_MAX)
		entry_add_text(out, "query", query);
	else if (hash_sha256(query, strlen(query), hash))
		payload_add_hash(out, "query_hash", hash);
}

void
read_context_fill(ReadContext *context, const char *operation, const char *query, uint64 queryid)
{
	StringInfoData out;
	uint8		certificate[HASH_LEN];

	append_author(&context->author);
	context->operation = operation;
	initStringInfo(&out);
	payload_add_time(&out, "decided", statement_clock());
	entry_add_text(&out, "current_role", GetUserNameFromId(GetUserId(), true));
	entry_add_text(&out, "application", application_name);
	if (MyProcPort != NULL)
		entry_add_text(&out, "address", MyProcPort->remote_host);
	if (identity_certificate(certificate))
		payload_add_hash(&out, "certificate", certificate);
	entry_add_text(&out, "end_user", setting_end_user);
	entry_add_text(&out, "request_id", setting_request_id);
	entry_add_text(&out, "purpose", setting_purpose);
	if (queryid != 0)
		appendStringInfo(&out, ",\"query_id\":\"" INT64_FORMAT "\"", (int64) queryid);
	entry_add_query(&out, query);
	context->fields = out.data;
}

/* What the access to one examinee's records was decided on, as the leaf of a set has it. */
static void
entry_add_source(StringInfo out, const GrantSource *source)
{
	const char *id = DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(&source->id)));

	if (source->version == GRANT_BREAK_GLASS)
		appendStringInfo(out, ",\"break_glass\":\"%s\"", id);
	else
		appendStringInfo(out, ",\"protocol\":\"%s\",\"version\":" INT64_FORMAT, id,
						 source->version);
}

void
read_entry_add(StringInfo message, const ReadContext *context, const char *relation,
			   const char *basis, ReadOutcome outcome, ReadSet *set)
{
	StringInfoData body;
	uint8		root[HASH_LEN];
	const uint8 *subjects = read_set_sorted(set, root);
	uint32		count = read_set_fresh(set);
	Size		width = read_set_width(set);
	GrantSource source;
	bool		single = count == 1 && read_leaf_source(subjects, width, &source);

	initStringInfo(&body);
	if (single && source.version == GRANT_BREAK_GLASS)
		basis = "break-glass";
	appendStringInfo(&body, "{\"operation\":\"%s\"", context->operation);
	entry_add_text(&body, "relation", relation);
	appendStringInfo(&body, ",\"outcome\":\"%s\",\"basis\":\"%s\",\"rows\":" INT64_FORMAT
					 ",\"subjects\":%u", outcomes[outcome], basis,
					 read_set_rows(set), count);
	if (count > 1)
		payload_add_hash(&body, "root", root);
	else if (single)
		entry_add_source(&body, &source);
	appendStringInfoString(&body, context->fields);
	appendStringInfoChar(&body, '}');
	audit_message_add(message, append_text(&context->author, "access", body.data,
										   count == 1 ? subjects : NULL),
					  subjects, count > 1 ? count : 0, width, outcome == READ_REFUSED);
}

void
read_entry_add_setting(StringInfo message, const ReadContext *context, const char *value)
{
	StringInfoData body;

	initStringInfo(&body);
	appendStringInfo(&body, "{\"read_audit\":\"%s\"%s}", value, context->fields);
	audit_message_add(message, append_text(&context->author, "access.setting", body.data, NULL),
					  NULL, 0, 0, false);
}
