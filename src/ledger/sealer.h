/*
 * sealer.h: the background worker that seals this node's chain.
 */
#ifndef MEDCHAIN_LEDGER_SEALER_H
#define MEDCHAIN_LEDGER_SEALER_H

#include "postgres.h"

/* Entry points of the workers, named in bgw_function_name; the argument is the database's Oid. */
extern PGDLLEXPORT void medchain_sealer_main(Datum database);
extern PGDLLEXPORT void medchain_keeper_main(Datum database);
extern PGDLLEXPORT void medchain_launcher_main(Datum unused);

#endif
