/*
 * grant_renew.c: what a session has lost when grants change while cursors are open (see cursor.c).
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "access/grant_cache_internal.h"

/* Comparison of what was with what is, for those who watch. */
typedef struct Comparison
{
	const GrantTable *old_table;
	GrantTable *new_table;
	GrantLoad  *load;			/* NULL: the new table has all */
	const char *member;
	TimestampTz clock;
	bool		lost;
} Comparison;

static void
grant_cache_compare_subject(const char *identity, size_t len, uint32 head, void *arg)
{
	Comparison *comparison = (Comparison *) arg;
	uint32		new_head;

	if (head == 0 || comparison->lost)
		return;
	if (comparison->load != NULL)
	{
		new_head = grant_cache_ask(comparison->load, comparison->member, identity, len);
		*grant_table_enter(comparison->new_table, identity, len) = new_head;
	}
	else
		new_head = grant_cache_head_in(comparison->new_table, identity, len);
	if (!grant_table_includes(comparison->new_table, new_head, comparison->old_table, head,
							  comparison->clock))
		comparison->lost = true;
}

/* Has a grant ended since somebody looked last? */
bool
grant_cache_ran_out(Kept *kept, TimestampTz clock)
{
	bool		ran_out = false;

	if (kept->table == NULL)
		return false;
	if (kept->horizon == 0)
		kept->horizon = grant_table_horizon(kept->table, kept->judged);
	if (clock < kept->horizon)
		return false;
	ran_out = grant_table_ran_out(kept->table, kept->judged, clock);
	kept->judged = clock;
	kept->horizon = grant_table_horizon(kept->table, clock);
	return ran_out;
}

/* Answers as they are now; true: something is not allowed any more. */
bool
grant_cache_renew_answers(const char *member, TimestampTz clock)
{
	GrantLoad	load = {NULL, clock, DT_NOEND};
	Comparison	comparison = {grant_cache.answers.table, NULL, &load, member, clock, false};

	if (grant_cache.answers.table == NULL)
		return false;
	if (grant_cache_ran_out(&grant_cache.answers, clock))
		comparison.lost = true;
	load.table = grant_table_create(CurrentMemoryContext);
	comparison.new_table = load.table;
	grant_table_visit(grant_cache.answers.table, grant_cache_compare_subject, &comparison);
	grant_cache_drop_answers();
	grant_table_keep(load.table, TopMemoryContext);
	grant_cache.answers = kept_of(load.table, clock, load.horizon);
	return comparison.lost;
}

/* The same of all grants; those that are too many now cannot be compared. */
bool
grant_cache_renew_all(const char *member, uint64 generation, TimestampTz clock)
{
	GrantShare	share;
	Comparison	comparison = {grant_cache.all.table, NULL, NULL, member, clock, false};

	if (grant_cache.all.table == NULL)
		return false;
	if (!grant_cache_share(&share, member, generation, clock))
	{
		grant_cache_drop_all();
		return true;
	}
	comparison.new_table = share.table;
	comparison.lost = grant_cache_ran_out(&grant_cache.all, clock);
	grant_table_visit(grant_cache.all.table, grant_cache_compare_subject, &comparison);
	if (grant_cache.behind != NULL)
		grant_table_visit(grant_cache.behind, grant_cache_compare_subject, &comparison);
	grant_cache_drop_all();
	grant_cache.share = share;
	grant_cache_have_all(clock);
	return comparison.lost;
}
