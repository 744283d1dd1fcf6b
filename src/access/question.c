/*
 * question.c: medchain's question is asked of every protected table, whatever policies it has.
 *
 * protect() leaves policies on the table, which ask by themselves.  Whoever owns the table can drop
 * or alter them, and what depends on them can be dropped along with them; one permissive policy of
 * somebody else's would open the table then, until verify_table() is looked at.  So the server adds
 * the restrictive ones of each protected table, and each partition, by a hook of its own, by what
 * medchain.row_table says.  PostgreSQL evaluates conditions that are equal once, so that it costs
 * nothing where the policies are there.  For other tables with row security it is one look into a
 * hash table, for those without, none.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "nodes/parsenodes.h"
#include "parser/parse_clause.h"
#include "parser/parse_collate.h"
#include "parser/parse_node.h"
#include "parser/parse_relation.h"
#include "parser/parser.h"
#include "rewrite/rowsecurity.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "access/column_mask.h"
#include "access/protection.h"
#include "access/question.h"

/*
 * Where examinees may grant parts, a second policy asks for the record and its columns, of which
 * column_mask.c knows more.
 */
#define QUESTION_COMMANDS 8

typedef struct Question
{
	Oid			relation;		/* hash key */
	uint64		reading;		/* of what is known of the table: Protection */
	MemoryContext context;		/* of the rest; NULL: there is none */
	RowSecurityPolicy *policies[QUESTION_COMMANDS]; /* made when they are asked for */
} Question;

#define PART_QUESTION(function, more) \
	"medchain_internal." function "(%1$s, '%2$u'::pg_catalog.regclass, %3$s.*" more ")"

/*
 * The first as protection_policies() in protect.sql has them; %1$s: the subject, %2$u: the table,
 * %3$s: the row.
 */
static const struct
{
	CmdType		command;
	char		code;			/* RowSecurityPolicy.polcmd */
	bool		parts;			/* only where these may be granted */
	const char *name;
	const char *visible;		/* NULL: not asked */
	const char *allowed;
}			commands[QUESTION_COMMANDS] =

{
	{
		CMD_SELECT, ACL_SELECT_CHR, false, "medchain_select",
		"medchain.may_query(%1$s, '%2$u'::pg_catalog.regclass)", NULL
	},
	{
		CMD_INSERT, ACL_INSERT_CHR, false, "medchain_insert", NULL,
		"(medchain.own_member() OR medchain.may_update(%1$s, '%2$u'::pg_catalog.regclass))"
	},
	{
		CMD_UPDATE, ACL_UPDATE_CHR, false, "medchain_update",
		"medchain.may_update(%1$s, '%2$u'::pg_catalog.regclass)",
		"medchain.may_update(%1$s, '%2$u'::pg_catalog.regclass)"
	},
	{
		CMD_DELETE, ACL_DELETE_CHR, false, "medchain_delete",
		"medchain.may_update(%1$s, '%2$u'::pg_catalog.regclass)", NULL
	},
	{
		CMD_SELECT, ACL_SELECT_CHR, true, "medchain_select_parts",
		PART_QUESTION("may_query_record", "") " AND " PART_QUESTION("columns_granted", ""), NULL
	},
	{
		CMD_INSERT, ACL_INSERT_CHR, true, "medchain_insert_parts", NULL,
		"medchain.own_member() OR " PART_QUESTION("may_update_record", ", true")
	},
	{
		CMD_UPDATE, ACL_UPDATE_CHR, true, "medchain_update_parts",
		PART_QUESTION("may_update_record", ", false") " AND "
		PART_QUESTION("columns_granted", ""),
		PART_QUESTION("may_update_record", ", false")
	},
	{
		CMD_DELETE, ACL_DELETE_CHR, true, "medchain_delete_parts",
		PART_QUESTION("may_update_record", ", true"), NULL
	}
};

static row_security_policy_hook_type previous_hook = NULL;
static HTAB *questions = NULL;

static void
question_start(void)
{
	HASHCTL		control = {0};

	control.keysize = sizeof(Oid);
	control.entrysize = sizeof(Question);
	control.hcxt = TopMemoryContext;
	questions = hash_create("medchain protected tables", 32, &control,
							HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

/*
 * An expression over a row of the relation, as CREATE POLICY makes it of the same text.  All names
 * in it are qualified.
 */
static Expr *
question_expression(Relation relation, const char *text)
{
	ParseState *state = make_parsestate(NULL);
	const char *query = psprintf("SELECT %s", text);
	SelectStmt *select = (SelectStmt *) linitial_node(RawStmt,
													  raw_parser(query, RAW_PARSE_DEFAULT))->stmt;
	Node	   *expression;

	state->p_sourcetext = query;
	addNSItemToQuery(state, addRangeTableEntryForRelation(state, relation, AccessShareLock, NULL,
														  false, false), false, true, true);
	expression = transformWhereClause(state, linitial_node(ResTarget, select->targetList)->val,
									  EXPR_KIND_POLICY, "POLICY");
	assign_expr_collations(state, expression);
	free_parsestate(state);
	return (Expr *) expression;
}

/* What can be text is, as may_query(text) takes it. */
static const char *
question_subject(Relation relation, const Protection *table)
{
	Form_pg_attribute column = TupleDescAttr(RelationGetDescr(relation), table->subject - 1);
	const char *subject = quote_identifier(NameStr(column->attname));
	char		category;
	bool		is_preferred;

	get_type_category_preferred(column->atttypid, &category, &is_preferred);
	return category == TYPCATEGORY_STRING && column->atttypid != TEXTOID ?
		psprintf("(%s)::pg_catalog.text", subject) : subject;
}

static Expr *
question_condition(Relation relation, const Protection *table, const char *format)
{
	const char *row = quote_identifier(RelationGetRelationName(relation));

	return format == NULL ? NULL :
		question_expression(relation, psprintf(format, question_subject(relation, table),
											   table->root, row));
}

static RowSecurityPolicy *
question_policy(Relation relation, const Protection *table, int command)
{
	RowSecurityPolicy *policy = palloc0(sizeof(RowSecurityPolicy));
	Datum		everybody = ObjectIdGetDatum(ACL_ID_PUBLIC);

	policy->policy_name = pstrdup(commands[command].name);
	policy->polcmd = commands[command].code;
	policy->roles = construct_array(&everybody, 1, OIDOID, sizeof(Oid), true, TYPALIGN_INT);
	policy->qual = question_condition(relation, table, commands[command].visible);
	policy->with_check_qual = question_condition(relation, table, commands[command].allowed);
	return policy;
}

static Question *
question_of(Relation relation, const Protection *table)
{
	Oid			oid = RelationGetRelid(relation);
	Question   *question;
	bool		found;

	if (questions == NULL)
		question_start();
	question = hash_search(questions, &oid, HASH_ENTER, &found);
	if (!found)
		question->context = NULL;
	if (question->context == NULL || question->reading != table->reading)
	{
		if (question->context != NULL)
			MemoryContextDelete(question->context);
		question->context = NULL;
		memset(question->policies, 0, sizeof(question->policies));
		question->context = AllocSetContextCreate(TopMemoryContext, "medchain question",
												  ALLOCSET_SMALL_SIZES);
		question->reading = table->reading;
	}
	return question;
}

/* row_security_policy_hook_restrictive */
static List *
question_policies(CmdType command, Relation relation)
{
	List	   *policies = previous_hook ? previous_hook(command, relation) : NIL;
	const Protection *table = protection_get(relation);
	Question   *question;

	if (table == NULL)
		return policies;
	question = question_of(relation, table);
	for (int i = 0; i < QUESTION_COMMANDS; i++)
	{
		if (commands[i].command != command ||
			(commands[i].parts && table->ungranted == UNGRANTED_ALL))
			continue;
		column_mask_needed |= commands[i].parts;
		if (question->policies[i] == NULL)
		{
			MemoryContext old = MemoryContextSwitchTo(question->context);

			question->policies[i] = question_policy(relation, table, i);
			MemoryContextSwitchTo(old);
		}
		policies = lappend(policies, question->policies[i]);
	}
	return policies;
}

void
question_install(void)
{
	previous_hook = row_security_policy_hook_restrictive;
	row_security_policy_hook_restrictive = question_policies;
}
