/*
 * derived_show.c: the state and what has no effect, for people.
 *
 * What members wrote is shown as it is, but for what would move the cursor of a terminal or turn
 * its text around.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/certificate.h"
#include "core/encode.h"
#include "core/key.h"
#include "derived.h"
#include "table.h"

#define SHOW_HASH 16			/* hex digits of a hash, where it is shown to be told from others */

/* A time without a fraction that is zero. */
static const char *
show_time(Pool *pool, const char *time)
{
	size_t		len = time != NULL ? strlen(time) : 0;

	if (len > 8 && strcmp(time + len - 8, ".000000Z") == 0)
		return pool_format(pool, "%.*sZ", (int) (len - 8), time);
	return time;
}

static const char *
show_moment(Pool *pool, int64_t time)
{
	char		text[PERIOD_TIME_SIZE];

	period_time_text(time, text);
	return show_time(pool, pool_text(pool, text));
}

static const char *
show_period(Pool *pool, const char *text)
{
	Period		period;

	if (!derived_period(text, &period))
		return text;
	if (period.empty)
		return "never";
	if (!period.has_from && !period.has_to)
		return "always";
	if (!period.has_to)
		return pool_format(pool, "from %s", show_moment(pool, period.from));
	if (!period.has_from)
		return pool_format(pool, "until %s", show_moment(pool, period.to));
	return pool_format(pool, "%s to %s", show_moment(pool, period.from),
					   show_moment(pool, period.to));
}

static const char *
show_list(Pool *pool, const char *array)
{
	size_t		count;
	const char **elements = derived_elements(pool, array, &count);
	PoolText	out;

	pool_text_begin(&out, pool);
	for (size_t i = 0; i < count; i++)
	{
		if (i > 0)
			pool_text_puts(&out, ", ");
		pool_text_puts(&out, elements[i] != NULL ? elements[i] : "");
	}
	return out.data;
}

/* Of bytes as the state has them, \x..., enough to tell them from others. */
static const char *
show_hash(Pool *pool, const char *bytes)
{
	return bytes != NULL ? pool_format(pool, "%.*s", SHOW_HASH, bytes + 2) : NULL;
}

static const char *
show_key(Pool *pool, const char *pem)
{
	Key		   *key = pem != NULL ? key_from_pem(pem, strlen(pem), NULL) : NULL;
	char		fingerprint[ENCODE_HEX_SIZE(HASH_LEN)];
	const char *shown = NULL;

	if (key != NULL && key_fingerprint(key, fingerprint))
		shown = pool_format(pool, "%.*s", SHOW_HASH, fingerprint);
	key_free(key);
	return shown;
}

/* ----- tables ----- */

static void
show_members(const Derived *derived, Table *table, const StateRow *row)
{
	Pool	   *pool = table->pool;
	const char *cells[] = {
		derived_value(row, "name"), derived_value(row, "kind"), derived_word(derived, row),
		show_list(pool, derived_value(row, "capabilities")),
		show_period(pool, derived_value(row, "valid")),
		show_key(pool, derived_value(row, "ledger_key")), derived_value(row, "configured_by"),
		derived_value(row, "departure")
	};

	table_add(table, cells);
}

static void
show_contracts(const Derived *derived, Table *table, const StateRow *row)
{
	Pool	   *pool = table->pool;
	const char *ended = derived_value(row, "ended");
	const char *reason = derived_value(row, "end_reason");
	const char *cells[] = {
		derived_value(row, "id"), derived_value(row, "member"), derived_value(row, "kind"),
		derived_word(derived, row), show_list(pool, derived_value(row, "capabilities")),
		show_period(pool, derived_value(row, "valid")),
		show_time(pool, derived_value(row, "offered")),
		show_time(pool, derived_value(row, "accepted")),
		ended == NULL ? NULL : pool_format(pool, "%s by %s%s%s", show_time(pool, ended),
										   derived_value(row, "ended_by"),
										   reason != NULL ? ": " : "",
										   reason != NULL ? reason : "")
	};

	table_add(table, cells);
}

static void
show_keys(const Derived *derived, Table *table, const StateRow *row)
{
	const char *cells[] = {
		derived_value(row, "member"), derived_value(row, "from_height"),
		show_key(table->pool, derived_value(row, "public_key")),
		show_hash(table->pool, derived_value(row, "follows"))
	};

	(void) derived;
	table_add(table, cells);
}

static void
show_certificates(const Derived *derived, Table *table, const StateRow *row)
{
	Pool	   *pool = table->pool;
	const char *pem = derived_value(row, "certificate");
	CertificateInfo info;
	const char *cells[] = {
		derived_value(row, "member"), show_hash(pool, derived_value(row, "fingerprint")),
		derived_value(row, "from_seq"), show_period(pool, derived_value(row, "valid")),
		show_time(pool, derived_value(row, "revoked")), derived_value(row, "revoke_reason"),
		certificate_info(pem, strlen(pem), &info, NULL) ? pool_text(pool, info.subject) : NULL
	};

	(void) derived;
	table_add(table, cells);
}

static void
show_exclusions(const Derived *derived, Table *table, const StateRow *row)
{
	const char *cells[] = {
		derived_value(row, "member"), derived_value(row, "from_seq"),
		derived_value(row, "to_seq"),
		show_period(table->pool, derived_value(row, "during")), derived_value(row, "reason")
	};

	(void) derived;
	table_add(table, cells);
}

static void
show_forks(const Derived *derived, Table *table, const StateRow *row)
{
	Pool	   *pool = table->pool;
	const char *counts = derived_value(row, "counts");
	const char *cells[] = {
		derived_value(row, "member"), derived_value(row, "height"),
		show_hash(pool, derived_value(row, "hash")), show_hash(pool, derived_value(row, "other")),
		derived_value(row, "origin"), counts != NULL ? show_hash(pool, counts) : NULL
	};

	(void) derived;
	table_add(table, cells);
}

static void
show_examinee_keys(const Derived *derived, Table *table, const StateRow *row)
{
	Pool	   *pool = table->pool;
	const char *cells[] = {
		derived_value(row, "subject") + 2, show_key(pool, derived_value(row, "public_key")),
		derived_value(row, "origin"), show_time(pool, derived_value(row, "registered")),
		show_time(pool, derived_value(row, "withdrawn"))
	};

	(void) derived;
	table_add(table, cells);
}

static void
show_glasses(const Derived *derived, Table *table, const StateRow *row)
{
	Pool	   *pool = table->pool;
	const char *justified = derived_value(row, "justified");
	const char *cells[] = {
		derived_value(row, "id"), derived_value(row, "member"), derived_value(row, "origin"),
		derived_value(row, "subject") + 2, show_period(pool, derived_value(row, "valid")),
		derived_value(row, "reason"), show_time(pool, justified),
		justified != NULL ? derived_value(row, "justification") : NULL
	};

	(void) derived;
	table_add(table, cells);
}

static void
show_roles(const Derived *derived, Table *table, const StateRow *row)
{
	const char *cells[] = {
		derived_value(row, "role"), derived_value(row, "member"), derived_value(row, "entry")
	};

	(void) derived;
	table_add(table, cells);
}

static const struct
{
	StateTable	table;
	const char *title;
	void		(*add) (const Derived *derived, Table *table, const StateRow *row);
	const char *headers[TABLE_COLUMNS_MAX + 1];
}			show_tables[] = {

	{STATE_MEMBER, "Members", show_members, {
			"member", "kind", "state", "capabilities", "valid", "ledger key", "configured by",
			"reason"
	}},
	{STATE_CONTRACT, "Contracts", show_contracts, {
			"contract", "member", "kind", "state", "capabilities", "valid", "offered", "accepted",
			"ended"
	}},
	{STATE_LEDGER_KEY, "Keys", show_keys, {
			"member", "from block", "key", "follows"
	}},
	{STATE_MEMBER_CERTIFICATE, "Certificates", show_certificates, {
			"member", "certificate", "from entry", "valid", "revoked", "reason", "subject"
	}},
	{STATE_EXCLUSION, "Excluded parts of chains", show_exclusions, {
			"member", "from entry", "to entry", "and dated", "reason"
	}},
	{STATE_FORK, "Forks", show_forks, {
			"member", "block", "one", "another", "proven by", "counts"
	}},
	{STATE_EXAMINEE_KEY, "Examinees' keys", show_examinee_keys, {
			"subject", "key", "registered by", "registered", "withdrawn"
	}},
	{STATE_BREAK_GLASS, "Emergencies", show_glasses, {
			"entry", "member", "on chain", "subject", "valid", "reason", "justified",
			"justification"
	}},
	{STATE_ROLE_BINDING, "Login roles", show_roles, {
			"role", "member", "entry"
	}}
};

static void
show_table(const Derived *derived, size_t which)
{
	StateTable	from = show_tables[which].table;
	Table		table;

	if (derived->nrows[from] == 0)
		return;
	table_begin(&table, show_tables[which].headers);
	for (size_t i = 0; i < derived->nrows[from]; i++)
		show_tables[which].add(derived, &table, derived->rows[from][i]);
	printf("\n%s\n", show_tables[which].title);
	table_end(&table);
}

/* ----- trust anchors ----- */

/* One line for each certificate of each set. */
static void
show_anchors(const Derived *derived)
{
	static const char *const headers[TABLE_COLUMNS_MAX + 1] = {
		"since", "by entry", "trust anchor", "ends"
	};
	static const char begin[] = "-----BEGIN CERTIFICATE-----";
	Table		table;
	Claim		claim;
	bool		begun = false;

	table_begin(&table, headers);
	while (derived_anchors(derived, &begun, &claim))
	{
		const char *pem = json_slice_text(table.pool, json_slice_get(claim.body, "trust_anchors"));

		for (pem = pem != NULL ? strstr(pem, begin) : NULL; pem != NULL;
			 pem = strstr(pem + 1, begin))
		{
			CertificateInfo info;
			CoreError	error = {0};

			if (certificate_info(pem, strlen(pem), &info, &error))
			{
				const char *cells[] = {
					show_moment(table.pool, claim.time), state_number(table.pool, claim.seq),
					pool_text(table.pool, info.subject),
					show_moment(table.pool, period_from_seconds(info.not_after))
				};

				table_add(&table, cells);
			}
		}
	}
	printf("\nTrust anchors\n");
	table_end(&table);
}

/* ----- protocols, each with what belongs to it ----- */

static void
show_line(Pool *pool, const char *what, const char *text)
{
	printf("    %-9s%s\n", what, table_text(pool, text));
}

static void
show_grant(Pool *pool, const StateRow *row)
{
	const char *purpose = derived_value(row, "purpose");
	const char *records = derived_value(row, "records");

	show_line(pool, "grant",
			  pool_format(pool, "%s may %s %s, %s%s%s", derived_value(row, "grantee"),
						  show_list(pool, derived_value(row, "operations")),
						  records != NULL ? show_list(pool, records) : "all records",
						  show_period(pool, derived_value(row, "valid")),
						  purpose != NULL ? ", for " : "", purpose != NULL ? purpose : ""));
}

static void
show_index(Pool *pool, const StateRow *row)
{
	const char *key = derived_value(row, "key");

	show_line(pool, "data", pool_format(pool, "%s %s%s%s", derived_value(row, "holder"),
										derived_value(row, "relation"), key != NULL ? " " : "",
										key != NULL ? key : ""));
}

/* The rows of a table that belong to that protocol; *next moves behind them. */
static void
show_parts(const Derived *derived, Pool *pool, StateTable table, const char *protocol,
		   size_t *next, void (*show) (Pool *pool, const StateRow *row))
{
	while (*next < derived->nrows[table] &&
		   strcmp(derived_value(derived->rows[table][*next], "protocol"), protocol) == 0)
		show(pool, derived->rows[table][(*next)++]);
}

static void
show_protocols(const Derived *derived)
{
	Pool	   *pool = pool_new();
	size_t		grant = 0;
	size_t		index = 0;

	if (derived->nrows[STATE_PROTOCOL] > 0)
		printf("\nProtocols\n");
	for (size_t i = 0; i < derived->nrows[STATE_PROTOCOL]; i++)
	{
		const StateRow *row = derived->rows[STATE_PROTOCOL][i];
		const char *id = derived_value(row, "id");
		const char *revoked = derived_value(row, "revoked");
		const char *reason = derived_value(row, "revoke_reason");

		printf("  %s  %s\n", id, derived_word(derived, row));
		show_line(pool, "subject", derived_value(row, "subject") + 2);
		show_line(pool, "issued", pool_format(pool, "%s by %s",
											  show_time(pool, derived_value(row, "issued")),
											  derived_value(row, "issuer")));
		show_line(pool, "valid", show_period(pool, derived_value(row, "valid")));
		if (revoked != NULL)
			show_line(pool, "revoked", pool_format(pool, "%s by %s%s%s", show_time(pool, revoked),
												   derived_value(row, "revoked_by"),
												   reason != NULL ? ": " : "",
												   reason != NULL ? reason : ""));
		show_line(pool, "version", derived_value(row, "version"));
		show_line(pool, "text", derived_value(row, "protocol_text"));
		show_parts(derived, pool, STATE_PROTOCOL_GRANT, id, &grant, show_grant);
		show_parts(derived, pool, STATE_DATA_INDEX, id, &index, show_index);
		pool_reset(pool);
	}
	pool_free(pool);
}

/* ----- what has no effect ----- */

static void
show_rejections(const Derived *derived)
{
	static const char *const headers[TABLE_COLUMNS_MAX + 1] = {
		"origin", "entry", "kind", "time", "about", "reason"
	};
	Table		table;
	Claim		claim;
	bool		begun = false;

	table_begin(&table, headers);
	while (derived_rejection(derived, &begun, &claim))
	{
		const char *cells[] = {
			claim.origin, state_number(table.pool, claim.seq), claim_kind_name(claim.kind),
			show_moment(table.pool, claim.time), claim.about, claim.reason
		};

		table_add(&table, cells);
	}
	printf("\nEntries without effect%s\n", table.nrows == 0 ? ": none" : "");
	table_end(&table);
}

static void
show_uncovered(const Authorised *authorised)
{
	static const char *const headers[TABLE_COLUMNS_MAX + 1] = {
		"holder", "entry", "time", "member", "operation", "relation", "subject", "reason"
	};
	Table		table;

	table_begin(&table, headers);
	for (size_t i = 0; i < authorised->ncases; i++)
	{
		const OversightCase *found = &authorised->cases[i];
		const char *cells[] = {
			found->origin, state_number(table.pool, found->seq),
			show_moment(table.pool, found->time), found->actor, found->operation,
			found->relation,
			found->has_subject ? state_bytes(table.pool, found->subject, HASH_LEN) + 2 : NULL,
			found->reason
		};

		table_add(&table, cells);
	}
	printf("\nAccesses and changes that no protocol covered%s (of %" PRIu64 ")\n",
		   table.nrows == 0 ? ": none" : "", authorised->asked);
	if (authorised->sets > 0)
		printf("not judged, or in part, as their sets of examinees are not all here: %" PRIu64 "\n",
			   authorised->sets);
	table_end(&table);
}

void
derived_show(const Derived *derived)
{
	Pool	   *pool = pool_new();
	uint8_t		hash[HASH_LEN];
	char		hex[ENCODE_HEX_SIZE(HASH_LEN)];

	printf("\n%s, data centre %s, as of %s%s\n", table_text(pool, derived->alliance),
		   table_text(pool, derived->data_center), show_moment(pool, derived->as_of),
		   derived->as_of_given ? "" : ", when the newest block was sealed");
	pool_free(pool);
	if (derived->state)
	{
		memory_store_hash(derived->store, hash);
		encode_hex(hash, HASH_LEN, hex);
		printf("state hash %s\n", hex);
		if (derived->nrows[STATE_MEMBER] == 0)
			printf("\nThere was no alliance then.\n");
		for (size_t i = 0; i < sizeof(show_tables) / sizeof(show_tables[0]); i++)
			show_table(derived, i);
		show_anchors(derived);
		show_protocols(derived);
	}
	if (derived->rejections)
		show_rejections(derived);
	if (derived->authorised != NULL)
		show_uncovered(derived->authorised);
}
