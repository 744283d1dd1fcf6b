/*
 * keeper.h: the background worker that accepts what others sealed.
 */
#ifndef MEDCHAIN_SYNC_KEEPER_H
#define MEDCHAIN_SYNC_KEEPER_H

#include "postgres.h"

/* Entry point of the worker, named in bgw_function_name; the argument is the database's Oid. */
extern PGDLLEXPORT void medchain_keeper_main(Datum database);

#endif
