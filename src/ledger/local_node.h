/*
 * local_node.h: who this database is in its alliance, as medchain.local_node says.
 */
#ifndef MEDCHAIN_LEDGER_LOCAL_NODE_H
#define MEDCHAIN_LEDGER_LOCAL_NODE_H

#include "postgres.h"

#include "core/hash.h"

/* This database as a node; from medchain.local_node. */
typedef struct LocalNode
{
	char	   *alliance;
	char	   *node;
	char	   *data_center;
	char	   *genesis_key;	/* PEM of the key that signed genesis */
	bool		at_home;		/* this database is the node, and no copy of it: see home.h */
	bool		has_genesis;
	uint8_t		genesis_hash[HASH_LEN];
} LocalNode;

/*
 * False if this database has not founded or joined an alliance. Needs a trusted scope; palloc'd in
 * the caller's context.
 */
extern bool local_node_read(LocalNode *node);

/* The same; raises object_not_in_prerequisite_state instead. */
extern void local_node_require(LocalNode *node);

#endif
