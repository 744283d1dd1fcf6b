/*
 * fetcher.h: the worker that asks peers.
 */
#ifndef MEDCHAIN_SYNC_FETCHER_H
#define MEDCHAIN_SYNC_FETCHER_H

#include "postgres.h"

/* Its main function. */
extern PGDLLEXPORT void medchain_fetcher_main(Datum database);

#endif
