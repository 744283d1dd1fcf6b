/*
 * grant_part_read.h: what a grant of some records says: the part of one relation that it opens.
 *
 * Among the records of a grant there may be, besides names of relations, objects:
 *
 *	{"relation": "public.visit", "key": {"id": 7}, "columns": ["day", "ward"], "holder": "dc"}
 *
 * They open the rows with these values, or all without "key", and of these the columns, or all
 * without "columns", at that record holder, or at all of them (doc/ledger.md, "Protocols").
 */
#ifndef MEDCHAIN_ACCESS_GRANT_PART_READ_H
#define MEDCHAIN_ACCESS_GRANT_PART_READ_H

#include "postgres.h"
#include "nodes/pg_list.h"

typedef enum PartValueKind
{
	PART_NULL, PART_BOOLEAN, PART_NUMBER, PART_STRING
} PartValueKind;

typedef struct PartKey
{
	char	   *column;			/* as the ledger calls it */
	PartValueKind kind;
	char	   *text;			/* NULL: null */
} PartKey;

typedef struct Part
{
	char	   *relation;		/* as the ledger calls it */
	char	   *holder;			/* NULL: whoever has the records */
	List	   *keys;			/* of PartKey; all of them must hold */
	bool		all_columns;
	List	   *columns;		/* of char * */
} Part;

/*
 * Out of the object's text, palloc'd; false if it says anything that is not understood here, as it
 * may be a restriction: then it opens nothing.
 */
extern bool part_read(const char *text, Part *part);

/*
 * What stands in a set of records for a part of that relation, whichever it is: no relation is
 * called so.  Palloc'd; the second takes the object's text, and is NULL if that is not understood.
 */
extern char *grant_part_of(const char *relation);
extern char *grant_part_name(const char *text);

#endif
