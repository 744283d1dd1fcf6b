/*
 * row_depend.h: which relations DDL on an object can have changed, or what is said about them.
 */
#ifndef MEDCHAIN_ROWS_ROW_DEPEND_H
#define MEDCHAIN_ROWS_ROW_DEPEND_H

#include "postgres.h"

typedef struct DependWalk DependWalk;

/* In the current memory context, which has to outlive the walk. */
extern DependWalk *depend_begin(void);

/* A command has touched this object, which still exists. */
extern void depend_touch(DependWalk *walk, Oid classid, Oid objid);

/*
 * Oids of the relations in question, with *count; *others has at the same place whether an
 * object of its own was touched that the relation depends on, or only the relation itself and
 * what is on it (columns, triggers, policies, rules, partitions).  Locks nothing but catalogs,
 * while it reads them, and those by their newest contents.
 */
extern Oid *depend_relations(DependWalk *walk, bool **others, int *count);

#endif
