/*
 * read_fingerprint.c: PostgreSQL's fingerprint of a query, for those that may read protected rows.
 *
 * The server computes fingerprints if one of its libraries asks for them, and then of everything.
 * What reads nothing that is protected is not to pay for what does: so a session asks for them
 * when it first meets such a query, and has that one's computed here.  With compute_query_id off
 * there are none.
 */
#include "postgres.h"

#include "nodes/nodeFuncs.h"
#include "parser/analyze.h"

#include "access/read_fingerprint.h"
#include "access/read_scan.h"
#include "compat.h"
#include "node/settings.h"

static post_parse_analyze_hook_type previous_hook = NULL;
static bool asked = false;

/* A view is met as such here, whatever it is of. */
static bool
fingerprint_wanted(Node *node, void *arg)
{
	if (node == NULL)
		return false;
	if (IsA(node, RangeTblEntry))
	{
		RangeTblEntry *entry = (RangeTblEntry *) node;

		return entry->rtekind == RTE_RELATION &&
			(entry->relkind == RELKIND_VIEW ? entry->relid >= FirstNormalObjectId :
			 entry->relkind == RELKIND_RELATION && read_scan_protected(entry->relid));
	}
	if (IsA(node, Query))
		return query_tree_walker((Query *) node, fingerprint_wanted, arg,
								 QTW_EXAMINE_RTES_BEFORE);
	return expression_tree_walker(node, fingerprint_wanted, arg);
}

static void
fingerprint_query(ParseState * state, Query * query, COMPAT_JUMBLE_STATE * jumble)
{
	if (!asked && setting_read_audit != READ_AUDIT_OFF &&
		fingerprint_wanted((Node *) query, NULL))
	{
		EnableQueryId();
		asked = true;
		if (IsQueryIdEnabled() && query->queryId == 0)
			(void) compat_jumble_query(query, state->p_sourcetext);
	}
	if (previous_hook)
		previous_hook(state, query, jumble);
}

void
read_fingerprint_install(void)
{
	previous_hook = post_parse_analyze_hook;
	post_parse_analyze_hook = fingerprint_query;
}
