/*
 * read_hold.c: a receiver of rows that keeps them in a tuplestore, in memory up to work_mem, and
 * gives them on in the end.
 */
#include "postgres.h"

#include "executor/tuptable.h"
#include "miscadmin.h"
#include "utils/tuplestore.h"

#include "access/read_hold.h"

typedef struct ReadHold
{
	DestReceiver pub;
	QueryDesc  *query;
	int			operation;
	bool		started;
	Tuplestorestate *rows;
	TupleDesc	desc;
} ReadHold;

bool
read_hold_needed(const DestReceiver *dest)
{
	switch (dest->mydest)
	{
		case DestNone:
		case DestTuplestore:
		case DestIntoRel:
		case DestSPI:
		case DestSQLFunction:
		case DestTransientRel:
			return false;		/* nobody sees them before we return */
		default:
			return true;
	}
}

static void
hold_startup(DestReceiver *self, int operation, TupleDesc desc)
{
	ReadHold   *hold = (ReadHold *) self;
	MemoryContext old = MemoryContextSwitchTo(hold->query->estate->es_query_cxt);

	hold->started = true;
	hold->operation = operation;
	hold->desc = desc;
	hold->rows = tuplestore_begin_heap(false, false, work_mem);
	MemoryContextSwitchTo(old);
}

static bool
hold_receive(TupleTableSlot *slot, DestReceiver *self)
{
	tuplestore_puttupleslot(((ReadHold *) self)->rows, slot);
	return true;
}

static void
hold_nothing(DestReceiver *self)
{
}

DestReceiver *
read_hold_create(QueryDesc *query)
{
	ReadHold   *hold = MemoryContextAllocZero(query->estate->es_query_cxt, sizeof(ReadHold));

	hold->pub.receiveSlot = hold_receive;
	hold->pub.rStartup = hold_startup;
	hold->pub.rShutdown = hold_nothing;
	hold->pub.rDestroy = hold_nothing;
	hold->pub.mydest = query->dest->mydest;
	hold->query = query;
	return &hold->pub;
}

void
read_hold_release(DestReceiver *self, DestReceiver *dest)
{
	ReadHold   *hold = (ReadHold *) self;
	TupleTableSlot *slot;

	if (!hold->started)
		return;
	dest->rStartup(dest, hold->operation, hold->desc);
	slot = MakeSingleTupleTableSlot(hold->desc, &TTSOpsMinimalTuple);
	while (tuplestore_gettupleslot(hold->rows, true, false, slot))
	{
		CHECK_FOR_INTERRUPTS();
		if (!dest->receiveSlot(slot, dest))
			break;
	}
	ExecDropSingleTupleTableSlot(slot);
	dest->rShutdown(dest);
}

void
read_hold_free(DestReceiver *self)
{
	ReadHold   *hold = (ReadHold *) self;

	if (hold->rows != NULL)
		tuplestore_end(hold->rows);
	pfree(hold);
}
