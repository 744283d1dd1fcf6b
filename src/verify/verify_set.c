/*
 * verify_set.c: what verify() says about sets.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"

#include "compat.h"
#include "ledger/hooks.h"
#include "node/shared.h"
#include "node/trusted.h"
#include "verify/verify_set.h"

#define SET_KIND "row.set"
#define SET_FAULT "bad set"
#define STRAYS_MAX 100

/* The set under verification. */
typedef struct SetCheck
{
	VerifyJob  *job;
	int			origin;
	int64		height;
	int64		seq;
	const char *relation;
} SetCheck;

static void set_report(void *state, const char *fmt,...) pg_attribute_printf(2, 3);

static void
set_report(void *state, const char *fmt,...)
{
	SetCheck   *check = state;
	char		fault[300];
	va_list		args;

	va_start(args, fmt);
	vsnprintf(fault, sizeof(fault), fmt, args);
	va_end(args);
	verify_job_report(check->job, check->origin, check->height, check->seq, SET_FAULT,
					  "entry %lld, about rows of %s: %s", (long long) check->seq, check->relation,
					  fault);
}

void
verify_set(VerifyJob *job, int origin, int64 height, int64 seq, const text *kind,
		   const pg_uuid_t *id, const text *payload, void **kept)
{
	SetCheck	check = {.job = job, .origin = origin, .height = height, .seq = seq};

	if (VARSIZE_ANY_EXHDR(kind) != strlen(SET_KIND) ||
		memcmp(VARDATA_ANY(kind), SET_KIND, strlen(SET_KIND)) != 0)
		return;
	if (!ledger_hooks.check_set(id, seq, payload, job->has_pseudonyms, &check.relation, set_report,
								&check, job->progress >= 0 ?
								&shared_state->verifications[job->progress].items : NULL, kept))
		verify_job_report(job, origin, height, seq, SET_FAULT,
						  "entry %lld says nothing about a set", (long long) seq);
}

/* Rows that a query finds: what is wrong, in words. */
static void
set_report_rows(VerifyJob *job, int origin, SPIPlanPtr *plan, const char *sql)
{
	Oid			types[1] = {TEXTOID};
	Datum		values[1] = {CStringGetTextDatum(verify_job_origin(job, origin)->origin)};
	SPITupleTable *rows;

	trusted_read(plan, sql, 1, types, values);
	rows = SPI_tuptable;
	for (uint64 i = 0; i < rows->numvals; i++)
		verify_job_report(job, origin, -1, (int64) i, SET_FAULT, "%s",
						  SPI_getvalue(rows->vals[i], rows->tupdesc, 1));
	SPI_freetuptable(rows);
}

void
verify_set_strays(VerifyJob *job, int origin)
{
	static SPIPlanPtr sets = NULL;
	static SPIPlanPtr items = NULL;
	static SPIPlanPtr subjects = NULL;

	/* by their ids alone: what is wrong with the kind of an entry is said where it stands */
	set_report_rows(job, origin, &sets,
					"SELECT format('items about rows of %s are of entry %s, which is not on this "
					"chain', s.relation, s.entry) FROM medchain.row_set s "
					"WHERE NOT EXISTS (SELECT FROM medchain.entry e WHERE e.id = s.entry "
					"AND e.origin = $1) "
					"AND NOT EXISTS (SELECT FROM medchain.pending e WHERE e.id = s.entry) "
					"GROUP BY s.relation, s.entry "
					"ORDER BY s.entry LIMIT " CppAsString2(STRAYS_MAX));
	/* a step for each part, and not for each row */
	set_report_rows(job, origin, &items,
					"WITH RECURSIVE p (part) AS ("
					"SELECT min(i.part) FROM medchain.row_item i WHERE $1 IS NOT NULL UNION ALL "
					"SELECT (SELECT min(i.part) FROM medchain.row_item i WHERE i.part > p.part) "
					"FROM p WHERE p.part IS NOT NULL) "
					"SELECT format('items are of part %s, which is of no set', p.part) FROM p "
					"WHERE p.part IS NOT NULL AND NOT EXISTS (SELECT FROM medchain.row_set s "
					"WHERE s.part = p.part AND s.items IS NULL) "
					"ORDER BY p.part LIMIT " CppAsString2(STRAYS_MAX));
	set_report_rows(job, origin, &subjects,
					"WITH RECURSIVE p (part) AS ("
					"SELECT min(i.part) FROM medchain.row_about i WHERE $1 IS NOT NULL UNION ALL "
					"SELECT (SELECT min(i.part) FROM medchain.row_about i WHERE i.part > p.part) "
					"FROM p WHERE p.part IS NOT NULL) "
					"SELECT format('subjects are of part %s, which is of no set', p.part) FROM p "
					"WHERE p.part IS NOT NULL AND NOT EXISTS (SELECT FROM medchain.row_set s "
					"WHERE s.part = p.part AND s.items IS NULL) "
					"ORDER BY p.part LIMIT " CppAsString2(STRAYS_MAX));
}
