/*
 * rulebook.h: the rules as this process has them: members in memory, the rest in the tables.
 */
#ifndef MEDCHAIN_ALLIANCE_RULEBOOK_H
#define MEDCHAIN_ALLIANCE_RULEBOOK_H

#include "postgres.h"

#include "alliance/node_store.h"

typedef struct Rulebook
{
	Rules	   *rules;
	NodeStore  *store;
	bool		gone;			/* set by who has rules_forget() take claims back */
	bool		write;
	int			nestlevel;
	MemoryContext context;		/* all of it */
} Rulebook;

/*
 * Open it to fold: nobody else does so until the end of the transaction.  Or to ask it only, by a
 * snapshot of now; members: also what depends on them, which takes a while at the first time.  NULL
 * if this database is no node.  Needs a trusted scope; must be closed, but for errors: after one it
 * is made anew.
 */
extern Rulebook *rulebook_write(void);
extern Rulebook *rulebook_read(bool members);
extern void rulebook_close(Rulebook *book);

#endif
