/*
 * sealer_internal.h: what the files of the sealer share.
 */
#ifndef MEDCHAIN_LEDGER_SEALER_INTERNAL_H
#define MEDCHAIN_LEDGER_SEALER_INTERNAL_H

#include "postgres.h"

#include "core/key.h"
#include "node/shared.h"

/* The private key; NULL: none can be had. */
extern Key *sealer_key;

extern void sealer_drop_key(SharedDatabase *slot);

/*
 * The sealer's state, and the error where it failed.  What keeps it from sealing is worth a line in
 * the log, now and then.
 */
extern void sealer_report(SharedDatabase *slot, SealerState state, const char *error);

/* One round; true when medchain.pending is empty as far as the round could see. */
extern bool sealer_round(SharedDatabase *slot);

#endif
