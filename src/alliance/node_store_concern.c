/*
 * node_store_concern.c: whose access depends on the rows of state that are about to be written.
 *
 * Sessions keep in memory what their member may do (src/access/grant_cache.c).  A node where a
 * protocol a second arrives, or a member joins, would have all of them read it again each time: so
 * each member has a generation of its own, and it is told here which of them move.
 */
#include "postgres.h"

#include "catalog/pg_type.h"

#include "alliance/fold.h"
#include "alliance/node_store_internal.h"
#include "node/notify.h"
#include "node/shared.h"
#include "node/trusted.h"

/* Texts to ask about. */
typedef struct About
{
	const char **items;
	size_t		count;
} About;

static void
about_add(NodeStore *store, About *about, const char *item)
{
	about->items = pool_grow(store->waiting, about->items, about->count, sizeof(char *));
	about->items[about->count++] = item;
}

/* Protocols that rows of a table are about, as far as there may be others already. */
static void
about_protocols(NodeStore *store, StateTable table, About *about)
{
	for (const WaitingRow *row = store->row_list[table]; row != NULL; row = row->next)
		if (store_has_rows(store, row->row.values[0]))
			about_add(store, about, row->row.values[0]);
	for (const WaitingTrim *trim = store->trim_list[table]; trim != NULL; trim = trim->next)
		about_add(store, about, trim->protocol);
}

static void
concerned_by(NodeStore *store, const About *about, SPIPlanPtr *plan, const char *sql)
{
	Oid			types[1] = {TEXTARRAYOID};
	Datum		values[1];

	if (about->count == 0)
		return;
	values[0] = fold_texts(about->items, about->count);
	(void) trusted_execute(plan, sql, 1, types, values, NULL, false);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		char	   *member = SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1);

		if (member != NULL)
			shared_member_changed(member);
		else
			shared_members_changed();
	}
	SPI_freetuptable(SPI_tuptable);
}

/* Where the glass was broken, as a text. */
static const char *
glass_place(NodeStore *store, const WaitingRow *row)
{
	return pool_format(store->waiting, "%s %s", row->row.values[1], row->row.values[0]);
}

#define GLASS_AT \
	"b.origin = split_part(u.place, ' ', 2) AND b.seq = split_part(u.place, ' ', 1)::bigint"

/* Applications hear of each glass that is broken, once. */
static void
tell_glasses(NodeStore *store)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[1] = {TEXTARRAYOID};
	Datum		values[1];
	About		places = {NULL, 0};
	const WaitingRow **rows = NULL;

	for (const WaitingRow *row = store->row_list[STATE_BREAK_GLASS]; row != NULL; row = row->next)
		if (!row->remove)
		{
			rows = pool_grow(store->waiting, rows, places.count, sizeof(WaitingRow *));
			rows[places.count] = row;
			about_add(store, &places, glass_place(store, row));
		}
	if (places.count == 0)
		return;
	values[0] = fold_texts(places.items, places.count);
	(void) trusted_execute(&plan, "SELECT u.n FROM unnest($1) WITH ORDINALITY u(place, n) "
						   "WHERE NOT EXISTS (SELECT FROM medchain.break_glass b "
						   "WHERE " GLASS_AT ")", 1, types, values, NULL, false);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		bool		isnull;
		int64		n = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc,
													1, &isnull));
		const char *const *row = rows[n - 1]->row.values;

		notify_event("break_glass", "entry", row[2], "member", row[3], NULL);
	}
	SPI_freetuptable(SPI_tuptable);
}

/*
 * Before the rows are written: members whose access depends on them.  Those whom a protocol grants
 * something, or has until now; who has broken the glass; who changes; and where that one has issued
 * protocols, everybody.
 */
void
store_concerned(NodeStore *store)
{
	static SPIPlanPtr grantees = NULL;
	static SPIPlanPtr members = NULL;
	static SPIPlanPtr glasses = NULL;
	About		protocols = {NULL, 0};
	About		names = {NULL, 0};
	About		places = {NULL, 0};

	about_protocols(store, STATE_PROTOCOL, &protocols);
	about_protocols(store, STATE_PROTOCOL_GRANT, &protocols);
	for (const WaitingRow *row = store->row_list[STATE_PROTOCOL_GRANT]; row != NULL;
		 row = row->next)
		if (!row->remove)
			shared_member_changed(row->row.values[3]);
	for (const WaitingRow *row = store->row_list[STATE_BREAK_GLASS]; row != NULL; row = row->next)
	{
		if (!row->remove)
			shared_member_changed(row->row.values[3]);
		about_add(store, &places, glass_place(store, row));
	}
	tell_glasses(store);
	for (const WaitingRow *row = store->row_list[STATE_MEMBER]; row != NULL; row = row->next)
		about_add(store, &names, row->row.values[0]);
	concerned_by(store, &protocols, &grantees,
				 "SELECT DISTINCT g.grantee FROM unnest($1) u(protocol), "
				 "LATERAL (SELECT x.grantee FROM medchain.protocol_grant x "
				 "WHERE x.protocol = u.protocol::uuid OFFSET 0) g");
	concerned_by(store, &places, &glasses,
				 "SELECT DISTINCT b.member FROM unnest($1) u(place) "
				 "JOIN medchain.break_glass b ON " GLASS_AT);
	concerned_by(store, &names, &members,
				 "SELECT CASE WHEN NOT EXISTS (SELECT FROM medchain.claim c "
				 "WHERE c.origin = u.name AND c.kind = 'protocol') THEN u.name END "
				 "FROM unnest($1) u(name)");
}
