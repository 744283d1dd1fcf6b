/*
 * compat.h: every difference between PostgreSQL 15 and its successors that
 * medchain touches, in one place.
 */
#ifndef MEDCHAIN_COMPAT_H
#define MEDCHAIN_COMPAT_H

#include "postgres.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/tableam.h"
#include "catalog/pg_class.h"
#include "catalog/pg_database.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_subscription.h"
#include "commands/vacuum.h"
#include "executor/executor.h"
#include "fmgr.h"
#include "nodes/makefuncs.h"
#include "nodes/execnodes.h"
#include "nodes/pathnodes.h"
#include "optimizer/pathnode.h"
#include "optimizer/plancat.h"
#include "parser/parse_relation.h"
#include "utils/rel.h"
#include "mb/pg_wchar.h"
#include "replication/walreceiver.h"
#include "storage/lock.h"
#include "storage/proc.h"
#include "utils/acl.h"
#include "utils/relcache.h"
#include "utils/wait_event.h"
#if PG_VERSION_NUM >= 160000
#include "nodes/queryjumble.h"
#else
#include "utils/queryjumble.h"
#endif
#if PG_VERSION_NUM >= 170000
#include "utils/injection_point.h"
#endif

#if PG_VERSION_NUM < 150000
#error "medchain needs PostgreSQL 15 or later"
#endif

/* 18 has pg_noreturn, in front of a declaration, for pg_attribute_noreturn() at its end. */
#ifndef pg_noreturn
#define pg_noreturn _Noreturn
#endif

/* 16 took VARDATA and its kin out of postgres.h. */
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

/* 16 takes the query's text from elsewhere, 19 lets nobody change what it has found. */
#if PG_VERSION_NUM >= 160000
#define compat_jumble_query(query, text) JumbleQuery(query)
#else
#define compat_jumble_query(query, text) JumbleQuery(query, text)
#endif
#if PG_VERSION_NUM >= 190000
#define COMPAT_JUMBLE_STATE const JumbleState
#else
#define COMPAT_JUMBLE_STATE JumbleState
#endif

/* 19 hands the planner what EXPLAIN asks for. */
#if PG_VERSION_NUM >= 190000
#define COMPAT_PLANNER_PARAMETERS \
	Query *parse, const char *query, int options, ParamListInfo params, struct ExplainState *explain
#define COMPAT_PLANNER_ARGUMENTS parse, query, options, params, explain
#else
#define COMPAT_PLANNER_PARAMETERS \
	Query *parse, const char *query, int options, ParamListInfo params
#define COMPAT_PLANNER_ARGUMENTS parse, query, options, params
#endif

/* A column is of the row that another is of: 16 has outer joins in it, 18 old and new rows. */
static inline void
compat_var_like(Var *var, const Var *like)
{
#if PG_VERSION_NUM >= 160000
	var->varnullingrels = bms_copy(like->varnullingrels);
#endif
#if PG_VERSION_NUM >= 180000
	var->varreturningtype = like->varreturningtype;
#endif
}

/* 16 added must_use_password, 17 the choice of a replication connection. */
static inline WalReceiverConn *
compat_walrcv_connect(const char *conninfo, const char *appname, char **err)
{
#if PG_VERSION_NUM >= 170000
	return walrcv_connect(conninfo, true, true, false, appname, err);
#elif PG_VERSION_NUM >= 160000
	return walrcv_connect(conninfo, true, false, appname, err);
#else
	return walrcv_connect(conninfo, true, appname, err);
#endif
}

static inline void
compat_walrcv_check_conninfo(const char *conninfo)
{
#if PG_VERSION_NUM >= 160000
	walrcv_check_conninfo(conninfo, false);
#else
	walrcv_check_conninfo(conninfo);
#endif
}

/*
 * 17 added failover slots, which a standby can keep for when it takes over.  Asked for where the
 * server at the other end knows them; the subscription says so, too: subscribe_to() in peer.sql.
 */
static inline char *
compat_walrcv_create_slot(WalReceiverConn *conn, const char *slot, XLogRecPtr *lsn)
{
#if PG_VERSION_NUM >= 170000
	bool		failover = walrcv_server_version(conn) >= 170000;

	return walrcv_create_slot(conn, slot, false, false, failover, CRS_NOEXPORT_SNAPSHOT, lsn);
#else
	return walrcv_create_slot(conn, slot, false, false, CRS_NOEXPORT_SNAPSHOT, lsn);
#endif
}

/* 19 has no strings but standard ones: what chose between them is no variable there. */
#if PG_VERSION_NUM >= 190000
#define COMPAT_STRING_SETTING(variable) NULL
#else
#define COMPAT_STRING_SETTING(variable) (&(variable))
#endif

/*
 * A relation as the only target of inserts.  16 keeps permissions apart from the range table, 18
 * knows of pruned relations.
 */
static inline ResultRelInfo *
compat_result_relation(EState *estate, Relation relation)
{
	RangeTblEntry *entry = makeNode(RangeTblEntry);
	ResultRelInfo *result = makeNode(ResultRelInfo);

	entry->rtekind = RTE_RELATION;
	entry->relid = RelationGetRelid(relation);
	entry->relkind = relation->rd_rel->relkind;
	entry->rellockmode = RowExclusiveLock;
#if PG_VERSION_NUM >= 180000
	ExecInitRangeTable(estate, list_make1(entry), NIL, bms_make_singleton(1));
#elif PG_VERSION_NUM >= 160000
	ExecInitRangeTable(estate, list_make1(entry), NIL);
#else
	ExecInitRangeTable(estate, list_make1(entry));
#endif
	InitResultRelInfo(result, relation, 1, NULL, 0);
	return result;
}

/* 16 added indexes that only summarise, 19 gathers the choices in flags. */
static inline List *
compat_insert_index_tuples(ResultRelInfo *target, TupleTableSlot *slot, EState *estate)
{
#if PG_VERSION_NUM >= 190000
	return ExecInsertIndexTuples(target, estate, 0, slot, NIL, NULL);
#elif PG_VERSION_NUM >= 160000
	return ExecInsertIndexTuples(target, slot, estate, false, false, NULL, NIL, false);
#else
	return ExecInsertIndexTuples(target, slot, estate, false, false, NULL, NIL);
#endif
}

/* What an extension waits for shows as "Extension" before 17, under names of its own since. */
static inline uint32
compat_wait_event(const char *name)
{
#if PG_VERSION_NUM >= 170000
	return WaitEventExtensionNew(name);
#else
	return PG_WAIT_EXTENSION;
#endif
}

/*
 * 17 has points at which a test can stop a process (test/t/041_races.pl), 18 gave them an argument.
 * A server that was not built with --enable-injection-points has nothing there.
 */
#if PG_VERSION_NUM >= 180000
#define COMPAT_INJECTION_POINT(name) INJECTION_POINT(name, NULL)
#elif PG_VERSION_NUM >= 170000
#define COMPAT_INJECTION_POINT(name) INJECTION_POINT(name)
#else
#define COMPAT_INJECTION_POINT(name) ((void) (name))
#endif

/*
 * 17's GetNamedDSMSegment() is not used: it gives shared memory to a library that was not
 * preloaded, and this one has to be, for its launcher and its hooks, on every version.
 */

/* 19 has a threshold for the log of each, vacuum and analyze.  -1: none of our own. */
static inline void
compat_vacuum_log_never(VacuumParams *params)
{
#if PG_VERSION_NUM >= 190000
	params->log_vacuum_min_duration = -1;
	params->log_analyze_min_duration = -1;
#else
	params->log_min_duration = -1;
#endif
}

/* 19 takes flags. */
static inline TableScanDesc
compat_table_beginscan(Relation relation, Snapshot snapshot)
{
#if PG_VERSION_NUM >= 190000
	return table_beginscan(relation, snapshot, 0, NULL, SO_NONE);
#else
	return table_beginscan(relation, snapshot, 0, NULL);
#endif
}

/* A lock of the session, at once; not available also where there is no room for it. */
static inline LockAcquireResult
compat_lock_if_room(const LOCKTAG *tag, LOCKMODE mode)
{
	LOCALLOCK  *local;

#if PG_VERSION_NUM >= 180000
	return LockAcquireExtended(tag, mode, true, true, false, &local, false);
#else
	return LockAcquireExtended(tag, mode, true, true, false, &local);
#endif
}

/* 19 calls it REPACK, and takes CLUSTER and VACUUM FULL for that. */
#if PG_VERSION_NUM >= 190000
#define COMPAT_T_CLUSTER T_RepackStmt
#else
#define COMPAT_T_CLUSTER T_ClusterStmt
#endif

/* 18 and 19 say otherwise what kind of process it is. */
static inline bool
compat_is_backend(const PGPROC *process)
{
#if PG_VERSION_NUM >= 190000
	return process->backendType == B_BACKEND;
#elif PG_VERSION_NUM >= 180000
	return process->isRegularBackend;
#else
	return !process->isBackgroundWorker;
#endif
}

/* 16 takes a memory context. */
static inline void
compat_vacuum(List *relations, VacuumParams *params, MemoryContext context)
{
#if PG_VERSION_NUM >= 160000
	vacuum(relations, params, NULL, context, true);
#else
	vacuum(relations, params, NULL, true);
#endif
}

/*
 * 18 lets a deferrable primary key be left out, and counts what index scans do; 19 gives those
 * flags.
 */
static inline Oid
compat_primary_key_index(Relation relation)
{
#if PG_VERSION_NUM >= 180000
	return RelationGetPrimaryKeyIndex(relation, false);
#else
	return RelationGetPrimaryKeyIndex(relation);
#endif
}

static inline IndexScanDesc
compat_index_beginscan(Relation heap, Relation index, Snapshot snapshot, int nkeys)
{
#if PG_VERSION_NUM >= 190000
	return index_beginscan(heap, index, snapshot, NULL, nkeys, 0, SO_NONE);
#elif PG_VERSION_NUM >= 180000
	return index_beginscan(heap, index, snapshot, NULL, nkeys, 0);
#else
	return index_beginscan(heap, index, snapshot, nkeys, 0);
#endif
}

/*
 * 18 dropped execute_once.  It told a portal's partial run from one that runs
 * to the end; there, a row limit is the only sign left.
 */
#if PG_VERSION_NUM >= 180000
#define COMPAT_EXECUTOR_RUN_PARAMETERS QueryDesc *queryDesc, ScanDirection direction, uint64 count
#define COMPAT_EXECUTOR_RUN_ARGUMENTS queryDesc, direction, count
#define COMPAT_EXECUTOR_RUN_IS_PARTIAL (count != 0)
#else
#define COMPAT_EXECUTOR_RUN_PARAMETERS \
	QueryDesc *queryDesc, ScanDirection direction, uint64 count, bool execute_once
#define COMPAT_EXECUTOR_RUN_ARGUMENTS queryDesc, direction, count, execute_once
#define COMPAT_EXECUTOR_RUN_IS_PARTIAL (count != 0 || !execute_once)
#endif

/* 16 has one function for the owners of all kinds of objects. */
static inline bool
compat_extension_ownercheck(Oid extension, Oid role)
{
#if PG_VERSION_NUM >= 160000
	return object_ownercheck(ExtensionRelationId, extension, role);
#else
	return pg_extension_ownercheck(extension, role);
#endif
}

/* The same. */
static inline bool
compat_relation_ownercheck(Oid relation, Oid role)
{
#if PG_VERSION_NUM >= 160000
	return object_ownercheck(RelationRelationId, relation, role);
#else
	return pg_class_ownercheck(relation, role);
#endif
}

/* The same. */
static inline bool
compat_schema_ownercheck(Oid schema, Oid role)
{
#if PG_VERSION_NUM >= 160000
	return object_ownercheck(NamespaceRelationId, schema, role);
#else
	return pg_namespace_ownercheck(schema, role);
#endif
}

/* The same. */
static inline bool
compat_database_ownercheck(Oid database, Oid role)
{
#if PG_VERSION_NUM >= 160000
	return object_ownercheck(DatabaseRelationId, database, role);
#else
	return pg_database_ownercheck(database, role);
#endif
}

/* The same. */
static inline bool
compat_subscription_ownercheck(Oid subscription, Oid role)
{
#if PG_VERSION_NUM >= 160000
	return object_ownercheck(SubscriptionRelationId, subscription, role);
#else
	return pg_subscription_ownercheck(subscription, role);
#endif
}

/* 19 ends such background workers itself when somebody wants their database for himself. */
#if PG_VERSION_NUM >= 190000
#define COMPAT_BGWORKER_INTERRUPTIBLE BGWORKER_INTERRUPTIBLE
#else
#define COMPAT_BGWORKER_INTERRUPTIBLE 0
#endif

/* 19 tells signal handlers who sent the signal. */
#if PG_VERSION_NUM >= 190000
#define COMPAT_SIGNAL_ARGUMENTS postgres_signal_arg, pg_siginfo
#else
#define COMPAT_SIGNAL_ARGUMENTS postgres_signal_arg
#endif

/* 18 has generated columns that are not stored. */
#define COMPAT_ATTRIBUTE_GENERATED_VIRTUAL 'v'

/* A hook for each relation that the planner comes to, heirs included; 19 has another one. */
#if PG_VERSION_NUM >= 190000
typedef build_simple_rel_hook_type compat_rel_hook_type;
#define compat_rel_hook build_simple_rel_hook
#define COMPAT_REL_HOOK_PARAMETERS PlannerInfo *root, RelOptInfo *rel, RangeTblEntry *entry
#define COMPAT_REL_HOOK_ARGUMENTS root, rel, entry
#else
typedef get_relation_info_hook_type compat_rel_hook_type;
#define compat_rel_hook get_relation_info_hook
#define COMPAT_REL_HOOK_PARAMETERS PlannerInfo *root, Oid oid, bool inhparent, RelOptInfo *rel
#define COMPAT_REL_HOOK_ARGUMENTS root, oid, inhparent, rel
#endif

/* On whose behalf the relation of a query is read; InvalidOid: the current role's.  16 has put it
 * elsewhere. */
static inline Oid
compat_check_as_user(PlannerInfo *root, RangeTblEntry *entry)
{
#if PG_VERSION_NUM >= 160000
	return entry->perminfoindex == 0 ? InvalidOid :
		getRTEPermissionInfo(root->parse->rteperminfos, entry)->checkAsUser;
#else
	return entry->checkAsUser;
#endif
}

/*
 * The same of a plan.  False: this relation is only there because of another one, of which it is a
 * part.
 */
static inline bool
compat_executed_as(const PlannedStmt *statement, RangeTblEntry *entry, Oid *role)
{
#if PG_VERSION_NUM >= 160000
	if (entry->perminfoindex == 0)
		return false;
	*role = getRTEPermissionInfo(statement->permInfos, entry)->checkAsUser;
#else
	if (entry->requiredPerms == 0)
		return false;
	*role = entry->checkAsUser;
#endif
	return true;
}

/*
 * Bitmap scans of which no column is needed did not read the rows where they knew that all are
 * visible; since May 2025 none does any more.
 */
static inline void
compat_read_all_rows(BitmapHeapScanState * scan)
{
#if PG_VERSION_NUM < 170000
	scan->can_skip_fetch = false;
#endif
}

#endif
