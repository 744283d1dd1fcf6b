/*
 * launcher.h: the background worker that starts the workers of each database.
 */
#ifndef MEDCHAIN_NODE_LAUNCHER_H
#define MEDCHAIN_NODE_LAUNCHER_H

#include "postgres.h"

/* Register the launcher; from _PG_init, while preloading. */
extern void launcher_install(void);

/* Its entry point. */
extern PGDLLEXPORT void medchain_launcher_main(Datum unused);

#endif
