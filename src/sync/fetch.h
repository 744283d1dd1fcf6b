/*
 * fetch.h: asking a peer again for what was not kept when it came.
 */
#ifndef MEDCHAIN_SYNC_FETCH_H
#define MEDCHAIN_SYNC_FETCH_H

#include "postgres.h"

/* Start the worker, if there is something to ask for.  For the keeper, in a trusted scope. */
extern void fetch_call(void);

/* Main function of the worker. */
extern PGDLLEXPORT void medchain_fetcher_main(Datum database);

#endif
