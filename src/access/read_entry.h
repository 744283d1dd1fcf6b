/*
 * read_entry.h: what an entry of kind access says of who has read what, and how.
 */
#ifndef MEDCHAIN_ACCESS_READ_ENTRY_H
#define MEDCHAIN_ACCESS_READ_ENTRY_H

#include "postgres.h"

#include "access/read_set.h"
#include "ledger/append.h"
#include "lib/stringinfo.h"

/*
 * What all accesses of a statement have in common.  Found out before it runs: afterwards, when it
 * has failed, nobody can be asked any more.
 */
typedef struct ReadContext
{
	AppendAuthor author;
	const char *operation;
	const char *fields;			/* JSON, from "current_role" on */
} ReadContext;

/* query: its text; queryid: of pg_stat_statements; 0: none. */
extern void read_context_fill(ReadContext *context, const char *operation, const char *query,
							  uint64 queryid);

/* What became of it. */
typedef enum ReadOutcome
{
	READ_DONE,					/* the rows left */
	READ_REFUSED,				/* a privilege or a grant was missing */
	READ_CANCELLED,
	READ_FAILED
} ReadOutcome;

/* Add an access to a message; basis: "protocol" or "owner". */
extern void read_entry_add(StringInfo message, const ReadContext *context, const char *relation,
						   const char *basis, ReadOutcome outcome, ReadSet *set);

/* Add that reads are recorded otherwise from here on. */
extern void read_entry_add_setting(StringInfo message, const ReadContext *context,
								   const char *value);

#endif
