/*
 * append.h: put an entry on this database's own chain.
 */
#ifndef MEDCHAIN_LEDGER_APPEND_H
#define MEDCHAIN_LEDGER_APPEND_H

#include "postgres.h"
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

/* An id for an entry that will be appended. */
extern void append_new_id(pg_uuid_t *id);

/*
 * The same for bodies that medchain wrote itself, which need no look whether they can be read;
 * never waits by itself.  id: a new one; NULL: whichever.
 */
extern void append_own_entry(const char *kind, const char *body, const uint8_t *subject,
							 const pg_uuid_t *id);

/*
 * The same in two halves, for entries that another process writes.  Whose they are: palloc'd; ERROR
 * unless this is the node.  Their texts, palloc'd: nobody is asked for that, so that it can be done
 * after an error.  And to write one that was made like that.
 */
typedef struct AppendAuthor
{
	const char *origin;
	const char *actor;
	const char *role;
} AppendAuthor;

extern void append_author(AppendAuthor *author);
extern char *append_text(const AppendAuthor *author, const char *kind, const char *body,
						 const uint8_t *subject);
extern void append_written(const char *payload, size_t len, pg_uuid_t *id);

/* ERROR where an entry could not be appended now, for who would only do so later. */
extern void append_require(void);

#endif
