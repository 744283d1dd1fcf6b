/*
 * sealer.h: the background worker that seals this node's chain.
 */
#ifndef MEDCHAIN_LEDGER_SEALER_H
#define MEDCHAIN_LEDGER_SEALER_H

#include "postgres.h"

/* Entry point of the worker, named in bgw_function_name; the argument is the database's Oid. */
extern PGDLLEXPORT void medchain_sealer_main(Datum database);

#endif
