/*
 * signing_key.h: the node's private key, as the settings name it; for the sealer, the only process
 * that has it.
 */
#ifndef MEDCHAIN_LEDGER_SIGNING_KEY_H
#define MEDCHAIN_LEDGER_SIGNING_KEY_H

#include "postgres.h"
#include "core/key.h"

/*
 * The key that medchain.signing_key names, opened with what medchain.signing_key_passphrase_command
 * says; NULL with *error if there is none.  *asked: that command was run, so that another try
 * without a change of the settings would only be another wrong PIN, of which a token allows few.
 */
extern Key *signing_key_load(bool *asked, CoreError *error);

#endif
