/*
 * home.h: is this database the one that its node is at home in, or a copy of it?
 *
 * A dump, CREATE DATABASE ... TEMPLATE, pg_basebackup and pg_upgrade all carry the ledger and the
 * name of the node to another place.  If both places went on, two different blocks of one height
 * would be signed with one key, and everybody else would keep the proof.  So medchain.local_node
 * says where the node is at home, and anywhere else nothing is written or signed before somebody
 * says that the node has moved (medchain.take_over()).
 */
#ifndef MEDCHAIN_LEDGER_HOME_H
#define MEDCHAIN_LEDGER_HOME_H

#include "postgres.h"

#include "utils/relcache.h"

typedef enum HomeStatus
{
	HOME_NONE,					/* no node of an alliance */
	HOME_COPY,					/* the ledger of a node that is at home elsewhere */
	HOME_HERE					/* the node itself */
} HomeStatus;

/*
 * This place, "<system identifier>/<database oid>/<major version>", and "/<number>" where the
 * server was restored from a base backup (node/restored.h): another one in every cluster that
 * initdb makes, pg_upgrade's included, and in every database of one.  A standby is where its
 * primary is; and a copy of the files, or a snapshot of the disk, cannot be told from its origin.
 */
extern const char *home_here(void);

/* By the newest committed data, kept until it changes.  The extension must exist. */
extern HomeStatus home_status(void);

/*
 * The same, read now.  Changes of what is kept are made known behind the end of a transaction, and
 * take_over() waits at its end for the sealer.
 */
extern HomeStatus home_status_now(void);

/* The name of this node.  ERROR object_not_in_prerequisite_state in a copy, or without a node. */
extern const char *home_require(void);

/*
 * Rows of a dump come into a table of ours, and only into an empty one: a second restore would
 * double what has no key.  ERROR object_not_in_prerequisite_state, unless this session has begun to
 * fill it; begins: not even then.  In a database that is no node, or a copy.
 */
extern void home_require_empty(Relation relation, bool begins);

/* A copy, and meant to be one (medchain.detach_copy()): it will never be the node. */
extern bool home_is_private(void);

/* What the sealer says in a copy; palloc'd. */
extern char *home_copy_message(void);

#endif
