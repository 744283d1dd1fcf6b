/*
 * append.c: put an entry on this node's chain.
 *
 * Nothing here is shared between sessions: the leaf hash is computed in the
 * inserting session, order and tree are the sealer's business; commit.c tells it.
 * append_entry() writes the row itself; the trigger on medchain.pending does the same
 * for rows that come another way, from a dump or by hand.
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "commands/sequence.h"
#include "commands/trigger.h"
#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "core/encode.h"
#include "ledger/append.h"
#include "ledger/commit.h"
#include "ledger/home.h"
#include "ledger/hooks.h"
#include "ledger/local_node.h"
#include "ledger/payload.h"
#include "ledger/pseudonym.h"
#include "node/shared.h"
#include "node/shown.h"
#include "node/trusted.h"

LedgerHooks ledger_hooks;

/*
 * Eight random bytes, nothing secret: drawn from OpenSSL one at a time they would cost as much as
 * writing the row.
 */
static void
append_random(uint8_t bytes[8])
{
	static uint8_t drawn[64][8];
	static int	left = 0;

	if (left == 0)
	{
		if (!pg_strong_random(drawn, sizeof(drawn)))
			ereport(ERROR,
					(errcode(ERRCODE_INTERNAL_ERROR),
					 errmsg("could not generate random values")));
		left = lengthof(drawn);
	}
	memcpy(bytes, drawn[--left], 8);
}

/*
 * A version 7 UUID (RFC 9562): milliseconds, the microseconds in them, 62 random bits.  Ids that
 * grow with time keep the index on medchain.entry.id at one end; random ones would touch another
 * page with every entry.
 */
static void
append_make_id(pg_uuid_t *id, TimestampTz now)
{
	uint64		micros = (uint64) (now + ((int64) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE)) *
								   USECS_PER_DAY);
	uint64		millis = micros / 1000;
	uint16		fraction = (uint16) ((micros % 1000) * 4096 / 1000);

	append_random(id->data + 8);
	for (int i = 0; i < 6; i++)
		id->data[i] = (unsigned char) (millis >> (8 * (5 - i)));
	id->data[6] = 0x70 | (unsigned char) (fraction >> 8);
	id->data[7] = (unsigned char) fraction;
	id->data[8] = (id->data[8] & 0x3f) | 0x80;
}

/*
 * Put a row into medchain.pending, which has no index, no default but its identity and no trigger
 * that would not do the same: this is the path that has to be as cheap as an insert can be.
 */
static void
append_insert(Oid schema, const PayloadFields *fields, const char *payload)
{
	Relation	pending = table_open(get_relname_relid("pending", schema), RowExclusiveLock);
	Datum		values[8];
	bool		nulls[8] = {false};
	uint8_t		leaf[HASH_LEN];
	HeapTuple	row;

	if (!hash_leaf(payload, strlen(payload), leaf))
		elog(ERROR, "could not compute SHA-256");
	values[0] = Int64GetDatum(nextval_internal(get_relname_relid("pending_seq_seq", schema),
											   false));
	values[1] = UUIDPGetDatum(&fields->id);
	values[2] = CStringGetTextDatum(fields->kind);
	values[3] = TimestampTzGetDatum(fields->time);
	values[4] = CStringGetTextDatum(fields->actor);
	values[5] = fields->has_subject ? trusted_bytea(fields->subject, HASH_LEN) : (Datum) 0;
	nulls[5] = !fields->has_subject;
	values[6] = CStringGetTextDatum(payload);
	values[7] = trusted_bytea(leaf, HASH_LEN);
	row = heap_form_tuple(RelationGetDescr(pending), values, nulls);
	/* nobody replicates this table: walsenders need not decode each entry twice */
	heap_insert(pending, row, GetCurrentCommandId(true), HEAP_INSERT_NO_LOGICAL, NULL);
	commit_note_block(ItemPointerGetBlockNumber(&row->t_self));
	table_close(pending, RowExclusiveLock);
}

/*
 * Who has logged in.  Roles are the server's: one whose name was written in a database of another
 * encoding is no text here.
 */
static char *
append_role(void)
{
	char	   *role = GetUserNameFromId(GetAuthenticatedUserId(), true);

	/* dropped while its session goes on */
	if (role == NULL)
		return psprintf("role %u", GetAuthenticatedUserId());
	if (!pg_verify_mbstr(PG_UTF8, role, (int) strlen(role), true))
		ereport(ERROR,
				(errcode(ERRCODE_CHARACTER_NOT_IN_REPERTOIRE),
				 errmsg("the name of the role that has logged in is not UTF-8 text, and cannot be "
						"on the ledger"),
				 errhint("Rename it in a database with encoding UTF8.")));
	return role;
}

void
append_new_id(pg_uuid_t *id)
{
	append_make_id(id, GetCurrentTimestamp());
}

void
append_require(void)
{
	shared_require();
	trusted_require_writable();
	PreventCommandIfParallelMode("medchain.append()");
	(void) home_require();
}

/*
 * The payload, with what the row's columns say of it in fields; body: JSON; id: NULL for a new one.
 * It is an entry, as entry_read() wants it, if the body is good.
 */
static char *
append_build(const char *kind, const char *body, const uint8_t *subject, const pg_uuid_t *id,
			 PayloadFields *fields)
{
	const char *node;
	char	   *member;
	bool		acting;

	append_require();
	node = home_require();
	member = ledger_hooks.session_member(&acting);
	memset(fields, 0, sizeof(*fields));
	fields->kind = unconstify(char *, kind);
	fields->origin = unconstify(char *, node);
	fields->time = GetCurrentTimestamp();
	fields->actor = member ? member : fields->origin;
	fields->has_subject = subject != NULL;
	if (subject != NULL)
		memcpy(fields->subject, subject, HASH_LEN);
	if (id != NULL)
		fields->id = *id;
	else
		append_make_id(&fields->id, fields->time);
	return payload_build(kind, node, &fields->id, fields->time, fields->actor,
						 append_role(), subject, body);
}

void
append_entry(const char *kind, const char *body, const uint8_t *subject, bool wait, pg_uuid_t *id)
{
	Oid			schema = get_namespace_oid("medchain", false);
	PayloadFields fields;
	PayloadFields read;
	const char *reason;
	char	   *payload = append_build(kind, body, subject, NULL, &fields);

	/* what its readers could not read must not get on the chain: it could never come off again */
	if (!payload_parse(payload, strlen(payload), &read, &reason))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
				 errmsg("invalid entry: %s", reason)));
	append_insert(schema, &fields, payload);
	commit_note(wait);
	*id = fields.id;
}

void
append_own_entry(const char *kind, const char *body, const uint8_t *subject, const pg_uuid_t *id)
{
	Oid			schema = get_namespace_oid("medchain", false);
	PayloadFields fields;
	char	   *payload = append_build(kind, body, subject, id, &fields);

	append_insert(schema, &fields, payload);
	commit_note(false);
}

/* The same of who only reads, whatever the name is made of. */
static char *
append_reader_role(void)
{
	char	   *role = GetUserNameFromId(GetAuthenticatedUserId(), true);
	size_t		len = role != NULL ? strlen(role) : 0;
	char	   *hex;

	if (role == NULL || pg_verify_mbstr(PG_UTF8, role, (int) len, true))
		return append_role();
	hex = palloc(4 + ENCODE_HEX_SIZE(len));
	strcpy(hex, "hex:");
	encode_hex((const uint8 *) role, len, hex + 4);
	return hex;
}

void
append_author(AppendAuthor *author)
{
	bool		acting;
	char	   *member;

	author->origin = pstrdup(home_require());
	member = ledger_hooks.session_member(&acting);
	author->actor = member ? member : author->origin;
	author->role = append_reader_role();
}

char *
append_text(const AppendAuthor *author, const char *kind, const char *body, const uint8_t *subject)
{
	TimestampTz now = GetCurrentTimestamp();
	pg_uuid_t	id;

	append_make_id(&id, now);
	return payload_build(kind, author->origin, &id, now, author->actor, author->role, subject,
						 body);
}

void
append_written(const char *payload, size_t len, pg_uuid_t *id)
{
	PayloadFields fields;
	const char *reason;
	char	   *text = pnstrdup(payload, len);

	if (!payload_parse(text, len, &fields, &reason))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
				 errmsg("invalid entry: %s", reason)));
	(void) append_insert(get_namespace_oid("medchain", false), &fields, text);
	commit_note(false);
	*id = fields.id;
}

/*
 * A row that somebody inserted by hand, or a restore: an entry of another origin would make a block
 * that no peer accepts, and so the end of this chain.  One that was dumped is on the chain by now.
 */
static void
append_check_origin(const char *origin, bool dumped)
{
	TrustedScope scope;
	LocalNode	node;

	trusted_begin(&scope);
	if (local_node_read(&node) && node.at_home && dumped)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("rows of \"medchain.pending\" are written by medchain alone"),
			   errhint("Use medchain.append(). A dump is restored into a database of its own.")));
	if (local_node_read(&node) && strcmp(node.node, origin) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_CHECK_VIOLATION),
				 errmsg("an entry of \"%s\" cannot go on the chain of \"%s\"", origin, node.node),
				 errhint("Use medchain.append().")));
	trusted_end(&scope);
}

PG_FUNCTION_INFO_V1(medchain_pending_leaf);

/*
 * BEFORE INSERT on medchain.pending: hash the payload, and derive every other column from it, so
 * that the index cannot disagree with what is hashed.
 */
Datum
medchain_pending_leaf(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	TupleDesc	desc;
	int			columns[7];
	Datum		values[7];
	bool		nulls[7] = {false};
	Datum		payload;
	bool		isnull;
	char	   *json;
	PayloadFields fields;
	const char *reason;
	bytea	   *leaf;
	bytea	   *subject;

	if (!CALLED_AS_TRIGGER(fcinfo))
		elog(ERROR, "medchain_pending_leaf: not called as a trigger");
	desc = RelationGetDescr(trigger->tg_relation);

	/* an entry that is never sealed would be worse than an error */
	shared_require();

	payload = heap_getattr(trigger->tg_trigtuple, SPI_fnumber(desc, "payload"), desc, &isnull);
	if (isnull)
		ereport(ERROR,
				(errcode(ERRCODE_NOT_NULL_VIOLATION),
				 errmsg("an entry needs a payload")));
	json = TextDatumGetCString(payload);
	if (!payload_parse(json, strlen(json), &fields, &reason))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
				 errmsg("invalid entry: %s", reason)));
	(void) heap_getattr(trigger->tg_trigtuple, SPI_fnumber(desc, "leaf_hash"), desc, &isnull);
	append_check_origin(fields.origin, !isnull);
	if (!isnull)
		home_require_empty(trigger->tg_relation, false);

	leaf = palloc(VARHDRSZ + HASH_LEN);
	SET_VARSIZE(leaf, VARHDRSZ + HASH_LEN);
	if (!hash_leaf(json, strlen(json), (uint8_t *) VARDATA(leaf)))
		elog(ERROR, "could not compute SHA-256");
	subject = palloc(VARHDRSZ + HASH_LEN);
	SET_VARSIZE(subject, VARHDRSZ + HASH_LEN);
	memcpy(VARDATA(subject), fields.subject, HASH_LEN);

	columns[0] = SPI_fnumber(desc, "id");
	values[0] = UUIDPGetDatum(&fields.id);
	columns[1] = SPI_fnumber(desc, "kind");
	values[1] = CStringGetTextDatum(fields.kind);
	columns[2] = SPI_fnumber(desc, "time");
	values[2] = TimestampTzGetDatum(fields.time);
	columns[3] = SPI_fnumber(desc, "actor");
	values[3] = CStringGetTextDatum(fields.actor);
	columns[4] = SPI_fnumber(desc, "subject");
	values[4] = PointerGetDatum(subject);
	nulls[4] = !fields.has_subject;
	columns[5] = SPI_fnumber(desc, "leaf_hash");
	values[5] = PointerGetDatum(leaf);

	/* where it will be is not known yet */
	commit_note(false);
	commit_note_block(0);
	return PointerGetDatum(heap_modify_tuple_by_cols(trigger->tg_trigtuple, desc, 6, columns,
													 values, nulls));
}

PG_FUNCTION_INFO_V1(medchain_append_raw);

/*
 * append_raw(kind text, body text, subject bytea, wait boolean) -> uuid: what other functions of
 * medchain call, who have checked who may say what.
 */
Datum
medchain_append_raw(PG_FUNCTION_ARGS)
{
	char	   *kind;
	char	   *body;
	const uint8_t *subject = NULL;
	pg_uuid_t  *id = palloc(sizeof(pg_uuid_t));

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1) || PG_ARGISNULL(3))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("kind and payload must not be null")));
	kind = text_to_cstring(PG_GETARG_TEXT_PP(0));
	body = text_to_cstring(PG_GETARG_TEXT_PP(1));
	if (!PG_ARGISNULL(2))
	{
		bytea	   *pseudonym = PG_GETARG_BYTEA_PP(2);

		if (VARSIZE_ANY_EXHDR(pseudonym) != HASH_LEN)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("a pseudonym has %d bytes", HASH_LEN)));
		subject = (const uint8_t *) VARDATA_ANY(pseudonym);
	}
	/* what it says of a table is said behind what was done to its rows before */
	ledger_hooks.settle_rows();
	append_entry(kind, body, subject, PG_GETARG_BOOL(3), id);
	PG_RETURN_UUID_P(id);
}

/* Kinds that medchain writes itself, now or in a later version, beside those of governance. */
static bool
append_reserved(const char *kind)
{
	static const char *const names[] = {
		"protect", "unprotect", "witness", "fork", "crl", "suspend", "reinstate", "expel", "rekey",
		"access"
	};
	static const char *const prefixes[] = {"row.", "table.", "access.", "member."};

	for (size_t i = 0; i < lengthof(names); i++)
		if (strcmp(kind, names[i]) == 0)
			return true;
	for (size_t i = 0; i < lengthof(prefixes); i++)
		if (strncmp(kind, prefixes[i], strlen(prefixes[i])) == 0)
			return true;
	return ledger_hooks.is_governance(kind);
}

static void
append_check_kind(const char *kind)
{
	if (!entry_kind_valid(kind))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid kind of entry \"%s\"", shown(kind)),
				 errhint("A kind is up to %d lower-case letters, digits, dots, dashes and "
						 "underscores, and starts with a letter.",
						 ENTRY_KIND_MAX)));
	if (append_reserved(kind))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("entries of kind \"%s\" are written by medchain itself", kind),
				 errhint("Use the function made for it, or another kind.")));
}

/*
 * On the chain of another node, a member who is suspended, say, has nothing to say; on its own it
 * says it for itself.
 */
static void
append_check_member(void)
{
	bool		acting;
	char	   *member = ledger_hooks.session_member(&acting);

	if (member != NULL && !acting &&
		strcmp(member, home_require()) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("\"%s\" takes no part in the alliance now", member),
			   errdetail("Its membership, its contract or the certificate of this session is not "
						 "in force.")));
}

PG_FUNCTION_INFO_V1(medchain_append);

/* append(kind text, payload json, subject text) -> uuid */
Datum
medchain_append(PG_FUNCTION_ARGS)
{
	char	   *kind;
	uint8_t		pseudonym[HASH_LEN];
	pg_uuid_t  *id = palloc(sizeof(pg_uuid_t));

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("kind and payload must not be null")));
	kind = text_to_cstring(PG_GETARG_TEXT_PP(0));
	append_check_kind(kind);
	append_check_member();
	if (!PG_ARGISNULL(2))
	{
		text	   *subject = PG_GETARG_TEXT_PP(2);

		pseudonym_require_identity(VARDATA_ANY(subject), VARSIZE_ANY_EXHDR(subject),
								   "Leave it out, or give null, for an entry about nobody.");
		pseudonym_of(VARDATA_ANY(subject), VARSIZE_ANY_EXHDR(subject), pseudonym);
	}
	append_entry(kind, text_to_cstring(PG_GETARG_TEXT_PP(1)), PG_ARGISNULL(2) ? NULL :
				 pseudonym, false, id);
	PG_RETURN_UUID_P(id);
}
