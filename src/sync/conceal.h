/*
 * conceal.h: keep passwords in connection strings out of the server's log.
 */
#ifndef MEDCHAIN_SYNC_CONCEAL_H
#define MEDCHAIN_SYNC_CONCEAL_H

#include "postgres.h"

/* At load time: look at what is about to be logged. */
extern void conceal_init(void);

/* Take a password out of what pg_stat_activity shows of this session's statement. */
extern void conceal_activity(void);

/*
 * What the log says instead of libpq's words about a connection string, or NULL.  In a URI, an
 * "@" or "/" in the password makes libpq take the rest of it for a host or port, which it names.
 */
extern const char *conceal_reason(const char *conninfo);

#endif
