/*
 * trusted.h: SQL that the extension runs for itself, whoever is calling.
 *
 * Between trusted_begin() and trusted_end() SPI is connected, the user is the
 * owner of medchain's tables, and search_path and every other setting that our SQL
 * depends on (trusted_settings.c) is fixed, so that neither the caller's rights nor the
 * caller's operators nor settings decide what our statements mean.  An error in between
 * needs no clean-up of ours: (sub)transaction abort restores user, settings and SPI.
 */
#ifndef MEDCHAIN_NODE_TRUSTED_H
#define MEDCHAIN_NODE_TRUSTED_H

#include "postgres.h"
#include "executor/spi.h"

typedef struct TrustedScope
{
	Oid			user;
	int			context;
	int			nestlevel;
} TrustedScope;

/* Oid of the schema medchain, and whether the extension is installed in this database. */
extern Oid	trusted_schema(bool missing_ok);

#define TRUSTED_SEARCH_PATH "pg_catalog, medchain, medchain_internal, pg_temp"

/*
 * Set everything that our SQL depends on for the rest of this process, whatever the database or the
 * role has set: background workers call it when they are connected, outside of a transaction (an
 * abort would undo it), and so do the apply workers of subscriptions to peers, which keep
 * search_path and replication role as PostgreSQL has them, and WAL senders, for which it is what
 * would break off a peer's first copy.
 */
extern void trusted_pin_settings(void);

/*
 * The same for statements, or for the text of values, until the GUC nest level ends that the caller
 * has begun.
 */
extern void trusted_fix_statements(void);
extern void trusted_fix_texts(void);

/*
 * Statements that look for rows by keys, in tables that grow while plans are kept: until the same
 * end they are planned as if the tables were large, so that each costs what the rows cost that it
 * finds.
 */
extern void trusted_plan_by_index(void);

/*
 * ERROR, with what to do about it, in a transaction that may not write; for calls that do something
 * outside of it first.
 */
extern void trusted_require_writable(void);

extern void trusted_begin(TrustedScope *scope);
extern void trusted_end(TrustedScope *scope);

/*
 * Prepare a statement that is planned anew each time that it runs, unless that was done: *plan is
 * static in the caller.  Its text is not needed again below.
 */
extern void trusted_plan_anew(SPIPlanPtr *plan, const char *sql, int nargs, Oid *types);

/*
 * Run one statement inside a trusted scope with a plan saved in *plan (static
 * in the caller).  latest: look at the newest committed data, whatever the
 * transaction's snapshot, and change nothing.  Result in SPI_tuptable.
 */
extern int	trusted_execute(SPIPlanPtr *plan, const char *sql, int nargs, Oid *types,
							Datum *values, const char *nulls, bool latest);

/*
 * The same by the active snapshot, so that all that a statement's functions read
 * is of one moment.
 */
extern void trusted_read(SPIPlanPtr *plan, const char *sql, int nargs, Oid *types, Datum *values);

/* A bytea of these bytes, palloc'd. */
extern Datum trusted_bytea(const void *data, size_t len);

#endif
