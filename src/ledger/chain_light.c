/*
 * chain_light.c: blocks of which not all payloads are taken.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/uuid.h"

#include "core/kinds_note.h"
#include "ledger/block_leaves.h"
#include "ledger/chain_entry.h"
#include "ledger/chain_light.h"
#include "ledger/entry_writer.h"
#include "ledger/hooks.h"
#include "ledger/local_node.h"
#include "node/shared.h"
#include "node/trusted.h"
#include "rules/block_kinds.h"

/* A BlockKindWanted: kinds are those of a peer's choice; NULL: all. */
static bool
light_is_wanted(const char *kind, void *kinds)
{
	Datum	   *chosen;
	int			count;
	bool		wanted = kinds == NULL || block_kind_is_governance(kind);

	if (wanted)
		return true;
	deconstruct_array(kinds, TEXTOID, -1, false, TYPALIGN_INT, &chosen, NULL, &count);
	for (int i = 0; i < count && !wanted; i++)
		wanted = strcmp(TextDatumGetCString(chosen[i]), kind) == 0;
	pfree(chosen);
	return wanted;
}

void
chain_light_read(const ChainCheck *check, const char *origin, const HeldBlock *held,
				 int64 entries, const uint8_t hash[HASH_LEN], const Key *key, ChainLight *light)
{
	int64		height = check->height + 1;
	BlockCarried *carried = &light->carried;
	int64_t		wanted;
	int64_t		all;

	light->hashes = NULL;
	light->wanted = entries;
	light->kinds = held->kinds;
	light->last[0] = '\0';
	held_carried(origin, height, held->id, carried);
	if (carried->kinds == NULL || carried->kinds_note == NULL ||
		!kinds_note_valid(carried->kinds_note, check->name, height, hash, carried->kinds,
						  strlen(carried->kinds), key) ||
		!block_kinds_count(carried->kinds, strlen(carried->kinds), light_is_wanted, held->kinds,
						   &wanted, &all) || all != entries)
	{
		carried->kinds = carried->kinds_note = NULL;
		return;
	}
	if (held->kinds == NULL || carried->leaves == NULL ||
		VARSIZE_ANY_EXHDR(carried->leaves) != (Size) entries * HASH_LEN)
		return;
	light->hashes = (const uint8_t *) VARDATA_ANY(carried->leaves);
	light->wanted = wanted;
}

bool
chain_light_takes(ChainLight *light, const char *kind)
{
	if (light->last[0] == '\0' || strcmp(light->last, kind) != 0)
	{
		strlcpy(light->last, kind, sizeof(light->last));
		light->last_taken = light_is_wanted(kind, light->kinds);
	}
	return light->last_taken;
}

int64
chain_light_absent(const char *origin)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[1] = {TEXTOID};
	Datum		values[1] = {CStringGetTextDatum(origin)};
	int64		absent = 0;
	bool		isnull;

	trusted_read(&plan, "SELECT absent FROM medchain.chain WHERE origin = $1", 1, types, values);
	if (SPI_processed > 0)
		absent = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1,
											 &isnull));
	SPI_freetuptable(SPI_tuptable);
	return absent;
}

/* Is that entry's payload here? */
static bool
light_is_here(const char *origin, int64 seq)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[2] = {TEXTOID, INT8OID};
	Datum		values[2] = {CStringGetTextDatum(origin), Int64GetDatum(seq)};

	trusted_execute(&plan, "SELECT FROM medchain.entry WHERE origin = $1 AND seq = $2", 2, types,
					values, NULL, false);
	return SPI_processed > 0;
}

/* Is this the payload of an entry that is not here? */
static bool
light_fits(const char *origin, int64 seq, const char *payload, PayloadFields *fields,
		   uint8_t leaf[HASH_LEN])
{
	uint8_t		carried[HASH_LEN];
	const char *reason;

	return !light_is_here(origin, seq) && block_leaves_read(origin, seq, 1, carried) == 1 &&
		chain_entry_read(origin, payload, fields, leaf, &reason) && hash_equal(carried, leaf);
}

/* Put a payload in its place that was not taken. */
static bool
light_keep(const char *origin, int64 seq, const char *payload)
{
	EntryWriter writer;
	PayloadFields fields;
	uint8_t		leaf[HASH_LEN];

	if (!light_fits(origin, seq, payload, &fields, leaf))
		return false;
	entry_writer_begin(&writer);
	entry_writer_put(&writer, origin, seq, &fields, payload, leaf);
	entry_writer_end(&writer);
	chain_light_count(origin, -1);
	if (ledger_hooks.is_governance(fields.kind))
	{
		/* its author has said there were fewer of that kind */
		ereport(LOG,
				(errmsg("medchain: entry %lld of chain \"%s\" was kept from those who do not take "
						"all payloads", (long long) seq, origin)));
		ledger_hooks.fold(origin, seq, seq);
		shared_state_changed();
	}
	return true;
}

void
chain_light_count(const char *origin, int64 more)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[2] = {TEXTOID, INT8OID};
	Datum		values[2] = {CStringGetTextDatum(origin), Int64GetDatum(more)};

	if (more != 0)
		trusted_execute(&plan, "UPDATE medchain.chain SET absent = absent + $2 WHERE origin = $1",
						2, types, values, NULL, false);
}

PG_FUNCTION_INFO_V1(medchain_keep_payload);

/* keep_payload(origin text, seq bigint, payload text) -> boolean */
Datum
medchain_keep_payload(PG_FUNCTION_ARGS)
{
	char	   *origin = text_to_cstring(PG_GETARG_TEXT_PP(0));
	int64		seq = PG_GETARG_INT64(1);
	char	   *payload = text_to_cstring(PG_GETARG_TEXT_PP(2));
	TrustedScope scope;
	LocalNode	node;
	ChainCheck	check;
	bool		kept;

	trusted_require_writable();
	trusted_begin(&scope);
	local_node_require(&node);
	/* locked: nothing is taken back of it meanwhile */
	chain_load(&node, origin, CHAIN_LOCK, &check);
	kept = seq >= 0 && seq < (int64) check.range.size && light_keep(origin, seq, payload);
	trusted_end(&scope);
	PG_RETURN_BOOL(kept);
}

PG_FUNCTION_INFO_V1(medchain_fits_absent);

/* fits_absent(origin text, seq bigint, payload text, entry uuid) -> boolean */
Datum
medchain_fits_absent(PG_FUNCTION_ARGS)
{
	char	   *origin = text_to_cstring(PG_GETARG_TEXT_PP(0));
	int64		seq = PG_GETARG_INT64(1);
	char	   *payload = text_to_cstring(PG_GETARG_TEXT_PP(2));
	TrustedScope scope;
	LocalNode	node;
	ChainCheck	check;
	PayloadFields fields;
	uint8_t		leaf[HASH_LEN];
	bool		fits;

	trusted_begin(&scope);
	local_node_require(&node);
	chain_load(&node, origin, CHAIN_SNAPSHOT, &check);
	fits = seq >= 0 && seq < (int64) check.range.size &&
		light_fits(origin, seq, payload, &fields, leaf) &&
		memcmp(fields.id.data, PG_GETARG_UUID_P(3)->data, UUID_LEN) == 0;
	trusted_end(&scope);
	PG_RETURN_BOOL(fits);
}
