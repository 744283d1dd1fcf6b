/*
 * append.h: put an entry on this database's own chain.
 */
#ifndef MEDCHAIN_LEDGER_APPEND_H
#define MEDCHAIN_LEDGER_APPEND_H

#include "postgres.h"
#include "storage/itemptr.h"
#include "utils/uuid.h"
#include "core/hash.h"

/*
 * Insert an entry into medchain.pending, from where the sealer takes it after
 * commit.  body: JSON text, taken as it is.  subject: a pseudonym, or NULL.
 * wait: the commit waits until the entry is sealed (governance entries).
 * Raises object_not_in_prerequisite_state when this database is not a node
 * of an alliance, or medchain is not in shared_preload_libraries.
 */
extern void append_entry(const char *kind, const char *body, const uint8_t *subject,
						 bool wait, pg_uuid_t *id);

/* Where in medchain.pending an entry has been put. */
typedef struct AppendedAt
{
	int64		seq;
	ItemPointerData tid;
} AppendedAt;

/*
 * The same for bodies that medchain wrote itself, which need no look whether they can be read;
 * never waits by itself.
 */
extern AppendedAt append_own_entry(const char *kind, const char *body, const uint8_t *subject);

#endif
