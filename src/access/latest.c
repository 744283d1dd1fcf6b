/*
 * latest.c: read medchain's own tables as they are now.
 *
 * Two things that trusted_execute() does not do for the policy functions: rows
 * are handed to a callback as they come, for half a million grants need not be
 * stored twice; and the snapshot is taken in the way the system catalogs' is,
 * because GetLatestSnapshot() refuses to work while this process leads a parallel
 * query, and a policy function may be called by the leader at any time.
 */
#include "postgres.h"

#include "nodes/params.h"
#include "tcop/dest.h"
#include "utils/snapmgr.h"

#include "access/latest.h"
#include "node/trusted.h"

typedef struct LatestReceiver
{
	DestReceiver pub;
	LatestRow	row;
	void	   *arg;
} LatestReceiver;

static bool
latest_receive(TupleTableSlot *slot, DestReceiver *self)
{
	LatestReceiver *receiver = (LatestReceiver *) self;

	slot_getallattrs(slot);
	return receiver->row(slot, receiver->arg);
}

static void
latest_startup(DestReceiver *self, int operation, TupleDesc desc)
{
}

static void
latest_shutdown(DestReceiver *self)
{
}

void
latest_query(SPIPlanPtr *plan, int options, bool by_index, const char *sql, int nargs,
			 Oid *types, Datum *values, LatestRow row, void *arg)
{
	TrustedScope scope;
	SPIExecuteOptions execute = {0};
	LatestReceiver receiver = {{0}};
	int			result;

	Assert(nargs <= LATEST_MAX_ARGUMENTS);

	trusted_begin(&scope);
	if (by_index)
		trusted_plan_by_index();
	if (*plan == NULL)
	{
		SPIPlanPtr	prepared = SPI_prepare_cursor(sql, nargs, types, options);

		if (prepared == NULL)
			elog(ERROR, "SPI_prepare_cursor failed for \"%s\": %s", sql,
				 SPI_result_code_string(SPI_result));
		SPI_keepplan(prepared);
		*plan = prepared;
	}

	receiver.pub.receiveSlot = latest_receive;
	receiver.pub.rStartup = latest_startup;
	receiver.pub.rShutdown = latest_shutdown;
	receiver.pub.rDestroy = latest_shutdown;
	receiver.pub.mydest = DestNone;
	receiver.row = row;
	receiver.arg = arg;

	execute.params = makeParamList(nargs);
	for (int i = 0; i < nargs; i++)
	{
		ParamExternData *param = &execute.params->params[i];

		param->value = values[i];
		param->isnull = false;
		param->pflags = PARAM_FLAG_CONST;
		param->ptype = types[i];
	}
	execute.read_only = true;
	execute.dest = &receiver.pub;

	/* of a relation that is no catalog, so that the snapshot is always a new one */
	PushActiveSnapshot(GetCatalogSnapshot(InvalidOid));
	result = SPI_execute_plan_extended(*plan, &execute);
	PopActiveSnapshot();
	if (result < 0)
		elog(ERROR, "statement \"%s\" failed: %s", sql, SPI_result_code_string(result));
	trusted_end(&scope);
}
