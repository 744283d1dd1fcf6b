/*
 * compat.h: every difference between PostgreSQL 15 and its successors that
 * medchain touches, in one place.
 */
#ifndef MEDCHAIN_COMPAT_H
#define MEDCHAIN_COMPAT_H

#include "postgres.h"

#include "access/genam.h"
#include "catalog/pg_database.h"
#include "catalog/pg_extension.h"
#include "commands/vacuum.h"
#include "common/jsonapi.h"
#include "executor/executor.h"
#include "fmgr.h"
#include "nodes/makefuncs.h"
#include "utils/rel.h"
#include "mb/pg_wchar.h"
#include "replication/walreceiver.h"
#include "utils/acl.h"
#include "utils/relcache.h"

#if PG_VERSION_NUM < 150000
#error "medchain needs PostgreSQL 15 or later"
#endif

/* 16 took VARDATA and its kin out of postgres.h. */
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

/* 17 lets the caller own the lexer's memory. */
static inline JsonLexContext *
compat_json_lexer(char *json, int len, bool need_escapes)
{
#if PG_VERSION_NUM >= 170000
	return makeJsonLexContextCstringLen(NULL, json, len, GetDatabaseEncoding(), need_escapes);
#else
	return makeJsonLexContextCstringLen(json, len, GetDatabaseEncoding(), need_escapes);
#endif
}

/* 16 made the JSON callbacks return an error code. */
#if PG_VERSION_NUM >= 160000
#define COMPAT_JSON_RETURN JsonParseErrorType
#define COMPAT_JSON_OK return JSON_SUCCESS
#else
#define COMPAT_JSON_RETURN void
#define COMPAT_JSON_OK return
#endif

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

/* 17 added failover slots. */
static inline char *
compat_walrcv_create_slot(WalReceiverConn *conn, const char *slot, XLogRecPtr *lsn)
{
#if PG_VERSION_NUM >= 170000
	return walrcv_create_slot(conn, slot, false, false, false, CRS_NOEXPORT_SNAPSHOT, lsn);
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

/* 16 added indexes that only summarise. */
static inline List *
compat_insert_index_tuples(ResultRelInfo *target, TupleTableSlot *slot, EState *estate)
{
#if PG_VERSION_NUM >= 160000
	return ExecInsertIndexTuples(target, slot, estate, false, false, NULL, NIL, false);
#else
	return ExecInsertIndexTuples(target, slot, estate, false, false, NULL, NIL);
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

/* 18 lets a deferrable primary key be left out, and counts what index scans do. */
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
#if PG_VERSION_NUM >= 180000
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
compat_database_ownercheck(Oid database, Oid role)
{
#if PG_VERSION_NUM >= 160000
	return object_ownercheck(DatabaseRelationId, database, role);
#else
	return pg_database_ownercheck(database, role);
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

#endif
