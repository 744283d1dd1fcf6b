/*
 * reason.h: why a connection to a peer fails, as a hint that helps.
 */
#ifndef MEDCHAIN_SYNC_REASON_H
#define MEDCHAIN_SYNC_REASON_H

#include "postgres.h"

/*
 * What to do about a connection (with replication=database) that has just failed. Tries it once
 * more, for some seconds at most, to see how far it gets; whatever languages the servers speak.
 */
extern const char *reason_connection(const char *conninfo);

/*
 * What to do about an error that a peer's database answered a call of ours with; NULL: nothing
 * special.
 */
extern const char *reason_answer(int sqlstate);

/*
 * ERROR (syntax_error) unless it is a connection string; says nothing of what is in it, which
 * may be a password.
 */
extern void reason_check_conninfo(const char *conninfo);

#endif
