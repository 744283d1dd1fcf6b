/*
 * drop_guard.c: the ledger goes by DROP EXTENSION medchain, and by nothing else.
 *
 * Who says so by name has to have the right to, and has to have taken away first what
 * would be left outside of the extension (a slot that nobody drops holds back WAL until the disk
 * is full) or behind it (tables that nothing protects any more).
 *
 * What PostgreSQL would drop along with something else (a schema, a language, all that a role
 * owns) is refused whatever the road, by the hook that is called before each object is
 * dropped.  Members of the extension alone PostgreSQL refuses to drop by itself, but not parts of
 * them, such as columns and indexes, nor what is no member any more.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/relation.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/index.h"
#include "catalog/namespace.h"
#include "catalog/objectaccess.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_class.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_event_trigger.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_namespace.h"
#include "commands/extension.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "tcop/utility.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"

#include "compat.h"
#include "node/trusted.h"
#include "sync/drop_guard.h"

#define DROP_GUARD_EXTENSION "medchain" /* so are its schema's name, and that of this library */
#define DROP_GUARD_INTERNAL "medchain_internal" /* a schema that is a member */

static ProcessUtility_hook_type previous_utility_hook = NULL;
static object_access_hook_type previous_access_hook = NULL;

/* DROP EXTENSION medchain is at work: it was asked for by name, and nothing stands against it. */
static bool is_granted = false;

static void
drop_guard_refuse(Oid class, Oid object, int part)
{
	ObjectAddress address;

	ObjectAddressSubSet(address, class, object, part);
	ereport(ERROR,
			(errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
			 errmsg("extension \"medchain\" cannot be dropped in part, or along with "
					"something else"),
			 class == ExtensionRelationId ? errdetail("The command would take it along.") :
			 errdetail("%s is part of it.", getObjectDescription(&address, false)),
			 errhint("If the ledger of this database is to go, DROP EXTENSION medchain first.")));
}

/* Scripts of the extension itself may do to it what they like. */
static bool
drop_guard_own_script(Oid extension)
{
	return creating_extension && CurrentExtensionObject == extension;
}

/*
 * A table, view, index, sequence or column.  Asked for with every one that is dropped anywhere, so
 * whatever is not in our schema leaves after two look-ups in the system's caches.
 */
static void
drop_guard_relation(Oid relation, int column, int flags)
{
	Oid			schema = get_namespace_oid(DROP_GUARD_EXTENSION, true);
	Oid			table = relation;
	Oid			extension;
	char		kind;

	if (!OidIsValid(schema) || get_rel_namespace(relation) != schema)
		return;

	/* what REINDEX CONCURRENTLY and rewriting a table leave behind goes this way */
	if (flags & PERFORM_DELETION_INTERNAL)
		return;
	kind = get_rel_relkind(relation);
	if (kind == RELKIND_INDEX || kind == RELKIND_PARTITIONED_INDEX)
		table = IndexGetRelation(relation, true);
	extension = getExtensionOfObject(RelationRelationId, table);
	if (OidIsValid(extension) && extension == get_extension_oid(DROP_GUARD_EXTENSION, true) &&
		!drop_guard_own_script(extension))
		drop_guard_refuse(RelationRelationId, relation, column);
}

static void
drop_guard_access(ObjectAccessType access, Oid class, Oid object, int part, void *arg)
{
	if (previous_access_hook)
		previous_access_hook(access, class, object, part, arg);
	if (access != OAT_DROP || is_granted)
		return;
	if (class == RelationRelationId)
		drop_guard_relation(object, part, ((ObjectAccessDrop *) arg)->dropflags);
	else if (class == ExtensionRelationId &&
			 object == get_extension_oid(DROP_GUARD_EXTENSION, true))
		drop_guard_refuse(class, object, part);
}

/* DROP EXTENSION that names the extension, where there is one: its oid. */
static Oid
drop_guard_named(DropStmt *drop)
{
	ListCell   *cell;

	if (drop->removeType != OBJECT_EXTENSION)
		return InvalidOid;
	foreach(cell, drop->objects)
	{
		if (strcmp(strVal(lfirst(cell)), DROP_GUARD_EXTENSION) == 0)
			return get_extension_oid(DROP_GUARD_EXTENSION, true);
	}
	return InvalidOid;
}

/* Error if something is left, with what and what to do about it. */
static void
drop_guard_check(void)
{
	MemoryContext caller = CurrentMemoryContext;
	TrustedScope scope;
	char	   *detail;
	char	   *hint = NULL;

	trusted_begin(&scope);
	SPI_execute("SELECT detail, hint FROM medchain_internal.drop_refusal()", true, 1);
	detail = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
	if (detail != NULL)
	{
		detail = MemoryContextStrdup(caller, detail);
		hint = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2);
		hint = MemoryContextStrdup(caller, hint);
	}
	trusted_end(&scope);
	if (detail != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("extension \"medchain\" cannot be dropped while this database uses it"),
				 errdetail("Left outside of the extension: %s.", detail),
				 errhint("%s", hint)));
}

/* Does anything depend on this schema, as what is in it does? */
static bool
drop_guard_is_used(Oid schema)
{
	Relation	depend = table_open(DependRelationId, AccessShareLock);
	ScanKeyData keys[2];
	SysScanDesc scan;
	bool		used;

	ScanKeyInit(&keys[0], Anum_pg_depend_refclassid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(NamespaceRelationId));
	ScanKeyInit(&keys[1], Anum_pg_depend_refobjid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(schema));
	scan = systable_beginscan(depend, DependReferenceIndexId, true, NULL, 2, keys);
	used = HeapTupleIsValid(systable_getnext(scan));
	systable_endscan(scan);
	table_close(depend, AccessShareLock);
	return used;
}

/*
 * CREATE EXTENSION made the schema and, as PostgreSQL does, did not make it a member: it would
 * stay behind, empty.  If somebody put objects of his own into it, it stays.
 */
static void
drop_guard_schema(void)
{
	ObjectAddress schema;

	ObjectAddressSet(schema, NamespaceRelationId, get_namespace_oid(DROP_GUARD_EXTENSION, true));
	if (!OidIsValid(schema.objectId) || OidIsValid(get_extension_oid(DROP_GUARD_EXTENSION, true)))
		return;
	CommandCounterIncrement();
	if (drop_guard_is_used(schema.objectId))
		return;
	performDeletion(&schema, DROP_RESTRICT, PERFORM_DELETION_INTERNAL);
}

static bool
drop_guard_is_our_schema(const char *name)
{
	return name != NULL && (strcmp(name, DROP_GUARD_EXTENSION) == 0 ||
							strcmp(name, DROP_GUARD_INTERNAL) == 0);
}

/*
 * ALTER EXTENSION medchain DROP ...: what is no member can be dropped.  What somebody has added to
 * the extension, which is neither in its schemas nor an event trigger, he may take out again.
 */
static void
drop_guard_contents(AlterExtensionContentsStmt *alter)
{
	ObjectAddress address;
	Relation	relation;
	Oid			extension;
	Oid			schema;
	bool		is_ours;

	if (alter->action > 0 || strcmp(alter->extname, DROP_GUARD_EXTENSION) != 0)
		return;
	extension = get_extension_oid(DROP_GUARD_EXTENSION, true);
	if (!OidIsValid(extension) || drop_guard_own_script(extension))
		return;
	address = get_object_address(alter->objtype, alter->object, &relation, AccessShareLock, false);
	schema = address.classId == NamespaceRelationId ? address.objectId :
		get_object_namespace(&address);
	is_ours = address.classId == EventTriggerRelationId ||
		drop_guard_is_our_schema(get_namespace_name(schema));
	if (relation != NULL)
		relation_close(relation, AccessShareLock);
	if (is_ours)
		drop_guard_refuse(address.classId, address.objectId, address.objectSubId);
}

/* ALTER SCHEMA medchain RENAME: medchain finds what is its own by the names of its schemas. */
static void
drop_guard_rename(RenameStmt *rename)
{
	if (rename->renameType != OBJECT_SCHEMA || !drop_guard_is_our_schema(rename->subname) ||
		!OidIsValid(get_extension_oid(DROP_GUARD_EXTENSION, true)))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("schema \"%s\" cannot be renamed", rename->subname),
			 errdetail("It is a schema of extension \"medchain\".")));
}

#define DROP_GUARD_PARAMETERS PlannedStmt *statement, const char *query, bool read_only_tree, \
	ProcessUtilityContext context, ParamListInfo params, QueryEnvironment *environment, \
	DestReceiver *dest, QueryCompletion *completion
#define DROP_GUARD_ARGUMENTS statement, query, read_only_tree, context, params, environment, dest, \
	completion

static void
drop_guard_next(DROP_GUARD_PARAMETERS)
{
	if (previous_utility_hook)
		previous_utility_hook(DROP_GUARD_ARGUMENTS);
	else
		standard_ProcessUtility(DROP_GUARD_ARGUMENTS);
}

/* DROP EXTENSION medchain by who may. */
static void
drop_guard_grant(DROP_GUARD_PARAMETERS)
{
	bool		before = is_granted;

	drop_guard_check();
	is_granted = true;
	PG_TRY();
	{
		drop_guard_next(DROP_GUARD_ARGUMENTS);
	}
	PG_FINALLY();
	{
		is_granted = before;
	}
	PG_END_TRY();
	drop_guard_schema();
}

static void
drop_guard_utility(DROP_GUARD_PARAMETERS)
{
	Node	   *node = statement->utilityStmt;
	Oid			extension = InvalidOid;

	if (IsA(node, DropStmt))
		extension = drop_guard_named((DropStmt *) node);
	else if (IsA(node, AlterExtensionContentsStmt))
		drop_guard_contents((AlterExtensionContentsStmt *) node);
	else if (IsA(node, RenameStmt))
		drop_guard_rename((RenameStmt *) node);

	/* who has no right to is told so by PostgreSQL, and not what is here */
	if (OidIsValid(extension) && compat_extension_ownercheck(extension, GetUserId()))
		drop_guard_grant(DROP_GUARD_ARGUMENTS);
	else
		drop_guard_next(DROP_GUARD_ARGUMENTS);
}

void
drop_guard_install(void)
{
	previous_utility_hook = ProcessUtility_hook;
	ProcessUtility_hook = drop_guard_utility;
	previous_access_hook = object_access_hook;
	object_access_hook = drop_guard_access;
}
