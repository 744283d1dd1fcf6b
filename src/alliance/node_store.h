/*
 * node_store.h: the store of the rules over this node's tables.
 *
 * What is read stays in memory for a while, and what is written waits there to be written in bulk:
 * a statement for each claim would cost more than all that is judged.  How much that is has an
 * upper bound, whatever a chain has in it.  Everything runs inside a trusted scope.
 */
#ifndef MEDCHAIN_ALLIANCE_NODE_STORE_H
#define MEDCHAIN_ALLIANCE_NODE_STORE_H

#include "postgres.h"

#include "rules/rules.h"

typedef struct NodeStore NodeStore;

/* What is given to rules_new(), with the store. */
extern const RulesStore node_store;

/* In the current memory context, as is all that it keeps. */
extern NodeStore *node_store_new(void);

/*
 * Begin with nothing in memory.  write: what is put is written; otherwise all is read by the active
 * snapshot, and only asked for.
 */
extern void node_store_begin(NodeStore *store, bool write);

/* The tables have no claims of a chain from there on: those that come next are all. */
extern void node_store_fresh(NodeStore *store, const char *origin, int64 first);

/* The text of the entry whose claim comes next. */
extern void node_store_entry(NodeStore *store, const char *payload, size_t len);

/* All fresh claims have come: what they are about, and what was said of it before. */
extern void node_store_prefetch(NodeStore *store);

/* Write what waits, and forget the rest. */
extern void node_store_end(NodeStore *store);

/* Kinds of the claims that came or went since node_store_begin(), as CLAIM_SET() of each. */
extern uint32 node_store_kinds(const NodeStore *store);

/* Make known to the rules what claims about members the tables have got since the last time. */
extern void node_store_follow(NodeStore *store, Rules *rules);

#endif
