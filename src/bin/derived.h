/*
 * derived.h: the state that follows from an export, as of a time, by the rules.
 */
#ifndef MEDCHAIN_BIN_DERIVED_H
#define MEDCHAIN_BIN_DERIVED_H

#include "authorised.h"
#include "rules/map.h"
#include "rules/memory_store.h"
#include "rules/rules.h"

typedef struct Derived
{
	/* what is asked */
	bool		state;
	bool		rejections;
	Authorised *authorised;		/* whether accesses were covered; NULL: not asked */
	const char *node;			/* whose roles are shown as bound; NULL: nobody's */
	bool		as_of_given;
	int64_t		as_of;			/* else, when it is complete: when the newest block was sealed */

	/* what was found */
	const char *alliance;		/* NULL: nothing */
	const char *data_center;
	Pool	   *pool;
	MemoryStore *store;
	Rules	   *rules;			/* until it is complete */
	bool		passed;			/* a block of the current chain was sealed later than that */
	Map		   *contracts;		/* by member: the one that its standing is by */
	const StateRow **rows[STATE_TABLES];	/* all but claims, in the order of their keys */
	size_t		nrows[STATE_TABLES];
} Derived;

extern void derived_begin(Derived *derived, const char *alliance, const char *data_center,
						  Facts *facts);

/* The next chain begins. */
extern void derived_chain(Derived *derived);

/* Its next block, which was verified: do its claims count for the state as of that time? */
extern bool derived_block(Derived *derived, int64_t sealed);

/* A claim of it, with its entry's text; said: if it is about members. */
extern void derived_take(Derived *derived, const Claim *claim, Statement *said,
						 const char *payload, size_t len);

/* That was all: judge it.  Facts are not needed any more. */
extern void derived_end(Derived *derived);
extern void derived_free(Derived *derived);

/* The next entry that sets trust anchors, genesis first; false: there is none. */
extern bool derived_anchors(const Derived *derived, bool *begun, Claim *claim);

/* Is there the member whose roles are asked for, if one is? */
extern bool derived_has_node(const Derived *derived);

/* The claims without effect, one after the other; *begun is false before the first. */
extern bool derived_rejection(const Derived *derived, bool *begun, Claim *claim);

/* A column of a row; NULL: null. */
extern const char *derived_value(const StateRow *row, const char *column);

/*
 * The word for what has become of a member, contract or protocol by that time, as the views
 * members, contracts and protocols have it; NULL for other tables.
 */
extern const char *derived_word(const Derived *derived, const StateRow *row);

/* A period, and the elements of an array (NULL: null), from the texts that the state has. */
extern bool derived_period(const char *text, Period *period);
extern const char **derived_elements(Pool *pool, const char *text, size_t *count);

/* Write it to standard output, for people. */
extern void derived_show(const Derived *derived);

/*
 * The same as fields of a JSON object that is being written: each with a comma before it.
 */
extern void derived_write_json(const Derived *derived);

#endif
