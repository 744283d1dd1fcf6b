/*
 * identity_share.h: which member a login role acts for, once for the sessions of a server.
 */
#ifndef MEDCHAIN_ACCESS_IDENTITY_SHARE_H
#define MEDCHAIN_ACCESS_IDENTITY_SHARE_H

#include "postgres.h"

#include "access/statement.h"

/* A member, as somebody acts for it. */
typedef struct Acting
{
	char	   *name;			/* NULL: no member, taking part or not */
	bool		active;			/* it takes part */
	Validity	validity;		/* of the membership */
} Acting;

extern void identity_share_install(void);	/* from _PG_init, while preloading */

/* As of that statement_generation(); false: nobody has left it here.  The name is palloc'd. */
extern bool identity_share_find(Oid role, uint64 generation, Acting *acting);

/* Read after that generation was. */
extern void identity_share_leave(Oid role, uint64 generation, const Acting *acting);

#endif
