/*
 * grant_share.h: all grants of a member, once for the sessions of a server.
 */
#ifndef MEDCHAIN_ACCESS_GRANT_SHARE_H
#define MEDCHAIN_ACCESS_GRANT_SHARE_H

#include "postgres.h"
#include "storage/dsm.h"

#include "access/grant_table.h"

/* What a member's grants are as of; all of it read before they are. */
typedef struct GrantsAsOf
{
	uint64		generation;		/* statement_member_generation() */
	uint64		identities;		/* statement_identity_generation() */
} GrantsAsOf;

extern void grant_share_install(void);	/* from _PG_init, while preloading */

/* In this session's memory, until grant_share_detach(); of a transaction. */
typedef struct GrantShare
{
	dsm_segment *segment;
	Size		size;
	GrantTable *table;
	GrantsAsOf	as_of;
} GrantShare;

/*
 * All grants of this member as of that generation or a later one, if somebody has left them here
 * and they take no more than so many bytes; false: nobody has.
 */
extern bool grant_share_attach(GrantShare *share, const char *member, uint64 generation,
							   Size most);

/* Is it known that they are too many to be left here? */
extern bool grant_share_too_many(const char *member, uint64 generation);

/* How many subjects they were of when somebody left them here last; -1: nobody has. */
extern double grant_share_subjects(const char *member);

/*
 * Leave them here instead of those that have been (table NULL: they are too many, so that nobody
 * tries again), and attach; false: there is no room.  The table remains the caller's.
 */
extern bool grant_share_leave(GrantShare *share, const char *member, const GrantsAsOf *as_of,
							  const GrantTable *table);

extern void grant_share_detach(GrantShare *share);

/* Bytes that a table may take. */
extern Size grant_share_room(void);

/* One session at a time loads what the others wait for; to the end of the transaction, at most. */
extern void grant_share_lock(const char *member);
extern void grant_share_unlock(const char *member);

#endif
