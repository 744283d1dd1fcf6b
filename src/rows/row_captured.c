/*
 * row_captured.c: which versions of rows that statements at work have made were captured by now.
 *
 * A bit for each place of a page, as a statement that changes a million rows makes as many.  The
 * page that came last is at hand, so that a statement about few rows needs no more than that.
 *
 * Where a version was that was rolled back there may soon be another one.  So what subtransactions
 * have made that began since the first one came is in a list as well, until they have ended.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

#include "rows/row_captured.h"

typedef struct CapturedKey
{
	Oid			relation;
	BlockNumber block;
} CapturedKey;

typedef struct CapturedPage
{
	CapturedKey key;
	uint8		bits[MaxHeapTuplesPerPage / 8 + 1];
} CapturedPage;

typedef struct CapturedIn
{
	SubTransactionId subtransaction;
	Oid			relation;
	ItemPointerData version;
} CapturedIn;

/* Of the transaction captured_of; all but the last page is below its context. */
static CapturedPage last;
static bool has_last = false;
static HTAB *pages = NULL;
static MemoryContext captured_context = NULL;
static TransactionId captured_of = InvalidTransactionId;

/* With the first one; what is in the list came in later ones that have not ended. */
static SubTransactionId captured_since = InvalidSubTransactionId;
static CapturedIn *in = NULL;
static int	nin = 0;
static int	in_room = 0;

static void
captured_clear(void)
{
	has_last = false;
	pages = NULL;
	captured_context = NULL;
	captured_since = InvalidSubTransactionId;
	in = NULL;
	nin = 0;
	in_room = 0;
}

/* With the transaction, all of it has gone. */
static void
captured_check(void)
{
	TransactionId transaction = GetTopTransactionIdIfAny();

	if (captured_of == transaction)
		return;
	captured_clear();
	captured_of = transaction;
}

static MemoryContext
captured_memory(void)
{
	if (captured_context == NULL)
		captured_context = AllocSetContextCreate(TopTransactionContext,
												 "medchain captured versions",
												 ALLOCSET_DEFAULT_SIZES);
	return captured_context;
}

static bool
captured_is_last(const CapturedKey *key)
{
	return has_last && last.key.relation == key->relation && last.key.block == key->block;
}

static void
captured_start(void)
{
	HASHCTL		control = {0};

	control.keysize = sizeof(CapturedKey);
	control.entrysize = sizeof(CapturedPage);
	control.hcxt = captured_memory();
	pages = hash_create("medchain captured versions", 64, &control,
						HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

/* Another page than the last one comes; it may have been there before. */
static void
captured_turn(const CapturedKey *key)
{
	CapturedPage *page;

	if (has_last)
	{
		if (pages == NULL)
			captured_start();
		page = hash_search(pages, &last.key, HASH_ENTER, NULL);
		memcpy(page->bits, last.bits, sizeof(last.bits));
		has_last = false;
	}
	page = pages == NULL ? NULL : hash_search(pages, key, HASH_FIND, NULL);
	if (page != NULL)
		last = *page;
	else
	{
		memset(&last, 0, sizeof(last));
		last.key = *key;
	}
	has_last = true;
}

/* Which bit of its page a version has; -1: none, in pages that are not as those of a heap. */
static int
captured_bit(const ItemPointerData *version)
{
	OffsetNumber offset = ItemPointerGetOffsetNumber(version);

	return offset <= MaxHeapTuplesPerPage ? offset : -1;
}

static void
captured_list(Oid relation, const ItemPointerData *version)
{
	MemoryContext context = captured_memory();

	if (nin == in_room)
	{
		in_room = in_room == 0 ? 64 : in_room * 2;
		in = in == NULL ? MemoryContextAlloc(context, sizeof(CapturedIn) * (Size) in_room) :
			repalloc_huge(in, sizeof(CapturedIn) * (Size) in_room);
	}
	in[nin].subtransaction = GetCurrentSubTransactionId();
	in[nin].relation = relation;
	in[nin++].version = *version;
}

/* The page of a version is the last one; its bit is set, or not set any more. */
static void
captured_set(Oid relation, const ItemPointerData *version, bool captured)
{
	CapturedKey key = {.relation = relation, .block = ItemPointerGetBlockNumber(version)};
	int			bit = captured_bit(version);

	if (!captured_is_last(&key))
		captured_turn(&key);
	if (captured)
		last.bits[bit / 8] |= (uint8) (1 << bit % 8);
	else
		last.bits[bit / 8] &= (uint8) ~(1 << bit % 8);
}

void
row_captured_note(Oid relation, const ItemPointerData *version)
{
	SubTransactionId current = GetCurrentSubTransactionId();

	captured_check();
	if (captured_bit(version) < 0)
		return;
	captured_set(relation, version, true);
	if (captured_since == InvalidSubTransactionId || current < captured_since)
		captured_since = current;
	if (current > captured_since)
		captured_list(relation, version);
}

bool
row_captured_is(Oid relation, const ItemPointerData *version)
{
	CapturedKey key = {.relation = relation, .block = ItemPointerGetBlockNumber(version)};
	const CapturedPage *page = NULL;
	int			bit = captured_bit(version);

	captured_check();
	if (captured_is_last(&key))
		page = &last;
	else if (pages != NULL)
		page = hash_search(pages, &key, HASH_FIND, NULL);
	return page != NULL && bit >= 0 && (page->bits[bit / 8] & 1 << bit % 8) != 0;
}

void
row_captured_forget(void)
{
	captured_check();
	if (captured_context != NULL)
		MemoryContextDelete(captured_context);
	captured_clear();
}

void
row_captured_commit(SubTransactionId parent)
{
	captured_check();
	if (parent <= captured_since)
		nin = 0;
}

void
row_captured_abort(SubTransactionId subtransaction)
{
	captured_check();
	if (subtransaction <= captured_since)
		row_captured_forget();
	for (; nin > 0 && in[nin - 1].subtransaction >= subtransaction; nin--)
		captured_set(in[nin - 1].relation, &in[nin - 1].version, false);
}
