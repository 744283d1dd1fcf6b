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
#include "executor/spi.h"
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
#include "utils/memutils.h"
#include "utils/rel.h"

#include "access/question.h"
#include "node/trusted.h"
#include "rows/row_table.h"

typedef struct Question
{
	Oid			relation;		/* hash key */
	uint64		reading;		/* of what is known of the table: RowTable */
	MemoryContext context;		/* of the rest; NULL: there is none */
	List	   *policies;		/* of RowSecurityPolicy */
} Question;

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

/* An expression over a row of the relation, as CREATE POLICY makes it of the same text. */
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

static RowSecurityPolicy *
question_policy(Relation relation, SPITupleTable *found, int row)
{
	RowSecurityPolicy *policy = palloc0(sizeof(RowSecurityPolicy));
	Datum		everybody = ObjectIdGetDatum(ACL_ID_PUBLIC);
	char	   *command = SPI_getvalue(found->vals[row], found->tupdesc, 2);
	char	   *visible = SPI_getvalue(found->vals[row], found->tupdesc, 3);
	char	   *allowed = SPI_getvalue(found->vals[row], found->tupdesc, 4);

	policy->policy_name = SPI_getvalue(found->vals[row], found->tupdesc, 1);
	policy->polcmd = command[0];
	policy->roles = construct_array(&everybody, 1, OIDOID, sizeof(Oid), true, TYPALIGN_INT);
	policy->qual = visible ? question_expression(relation, visible) : NULL;
	policy->with_check_qual = allowed ? question_expression(relation, allowed) : NULL;
	return policy;
}

/* Make the policies; in the trusted scope their names mean what they should. */
static void
question_read(Question *question, Relation relation, const RowTable *table)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[2] = {NAMEOID, OIDOID};
	Datum		values[2];
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "medchain question",
												  ALLOCSET_SMALL_SIZES);
	TrustedScope scope;
	List	   *policies = NIL;
	MemoryContext old;

	values[0] = NameGetDatum(&TupleDescAttr(RelationGetDescr(relation),
											table->subject - 1)->attname);
	values[1] = ObjectIdGetDatum(table->root);
	trusted_begin(&scope);
	trusted_execute(&plan, "SELECT p.policy, CASE p.command WHEN 'SELECT' THEN 'r' WHEN 'INSERT' "
					"THEN 'a' WHEN 'UPDATE' THEN 'w' ELSE 'd' END, p.visible, p.allowed"
					" FROM medchain_internal.protection_policies($1, $2) p WHERE NOT p.permissive",
					2, types, values, NULL, true);
	old = MemoryContextSwitchTo(context);
	for (uint64 i = 0; i < SPI_processed; i++)
		policies = lappend(policies, question_policy(relation, SPI_tuptable, (int) i));
	MemoryContextSwitchTo(old);
	MemoryContextSetParent(context, TopMemoryContext);
	trusted_end(&scope);

	if (question->context != NULL)
		MemoryContextDelete(question->context);
	question->context = context;
	question->policies = policies;
	question->reading = table->reading;
}

static const Question *
question_of(Relation relation, const RowTable *table)
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
		question_read(question, relation, table);
	return question;
}

static char
question_command(CmdType command)
{
	switch (command)
	{
		case CMD_SELECT:
			return ACL_SELECT_CHR;
		case CMD_INSERT:
			return ACL_INSERT_CHR;
		case CMD_UPDATE:
			return ACL_UPDATE_CHR;
		case CMD_DELETE:
			return ACL_DELETE_CHR;
		default:
			return '\0';
	}
}

/* row_security_policy_hook_restrictive */
static List *
question_policies(CmdType command, Relation relation)
{
	List	   *policies = previous_hook ? previous_hook(command, relation) : NIL;
	const RowTable *table = row_table_get(relation);
	ListCell   *cell;

	if (table == NULL || table->subject == InvalidAttrNumber)
		return policies;
	foreach(cell, question_of(relation, table)->policies)
	{
		RowSecurityPolicy *policy = lfirst(cell);

		if (policy->polcmd == question_command(command))
			policies = lappend(policies, policy);
	}
	return policies;
}

void
question_install(void)
{
	previous_hook = row_security_policy_hook_restrictive;
	row_security_policy_hook_restrictive = question_policies;
}
