/*
 * inlet.h: what of a peer's stream reaches PostgreSQL's apply worker.
 */
#ifndef MEDCHAIN_SYNC_INLET_H
#define MEDCHAIN_SYNC_INLET_H

#include "postgres.h"

/* From now on this process, which applies what a peer sends, gets to see nothing else than rows. */
extern void inlet_open(void);

#endif
