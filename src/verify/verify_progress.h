/*
 * verify_progress.h: how far each verify() of the server is, for the view medchain.verify_progress.
 *
 * PostgreSQL's own progress reports (pg_stat_progress_*) know only its own commands.
 */
#ifndef MEDCHAIN_VERIFY_VERIFY_PROGRESS_H
#define MEDCHAIN_VERIFY_VERIFY_PROGRESS_H

#include "postgres.h"
#include "node/shared.h"

/*
 * A slot to report to until verify_progress_end(); -1 if there is none, which the other functions
 * take as well.
 */
extern int	verify_progress_begin(void);
extern void verify_progress_walk(int slot, int chains, int64 entries);
extern void verify_progress_workers(int slot, int workers);
extern void verify_progress_compare(int slot);
extern void verify_progress_end(int slot);

#endif
