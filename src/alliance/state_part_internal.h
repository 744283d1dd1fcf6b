/*
 * state_part_internal.h: what the files share that derive the state part by part.
 */
#ifndef MEDCHAIN_ALLIANCE_STATE_PART_INTERNAL_H
#define MEDCHAIN_ALLIANCE_STATE_PART_INTERNAL_H

#include "executor/spi.h"

#include "alliance/state_check.h"

typedef struct PartTexts
{
	Map		   *known;
	const char **items;
	size_t		count;
} PartTexts;

/* On whose chain something is, and where. */
typedef struct PartPlaces
{
	const char **origins;
	const char **seqs;
	size_t		count;
} PartPlaces;

typedef struct Part
{
	StateCheck *check;
	MemoryContext context;
	MemoryContext outside;
	Pool	   *pool;
	bytea	   *low;			/* the first subject that is its own */
	bytea	   *high;			/* the first that is not any more */
	Map		   *own;			/* claims, by place */
	StateRow  **rows;			/* of claims that are its own */
	size_t		nrows;
	PartTexts	abouts;			/* of its own claims about protocols */
	PartTexts	ids;			/* of its own protocols */
	Map		   *compared;		/* those whose rows are its own, too */
	PartTexts	subjects;		/* of others, that something here depends on */
	PartTexts	others;			/* ids of their protocols */
	PartPlaces	keys;			/* of examinees, its own */
	PartPlaces	glasses;		/* broken ones, the same */
} Part;

/* A statement's row; own: of a claim that the part owns, not of what that depends on. */
typedef void (*PartRow) (Part *part, HeapTuple tuple, TupleDesc desc, bool own);

extern const char *part_place(Pool *pool, const char *origin, const char *seq);

/* The statement for rows of claim, with what their entries are; and for entries without a row. */
extern char *part_select(const char *condition);
extern char *part_select_lost(void);

/* Their rows. */
extern void part_claim_row(Part *part, HeapTuple tuple, TupleDesc desc, bool own);
extern void part_lost_row(Part *part, HeapTuple tuple, TupleDesc desc, bool own);

/* At most so many rows; false if there was none. */
extern bool part_fetch(Part *part, Portal portal, PartRow visit, bool own, uint64 limit);

/* All claims for which a condition holds. */
extern void part_load(Part *part, SPIPlanPtr *plan, const char *condition, int nargs, Oid *types,
					  Datum *values, bool own);

/* What its own claims depend on. */
extern void part_load_others(Part *part);

#endif
