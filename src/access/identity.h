/*
 * identity.h: the member on whose behalf this session acts.
 */
#ifndef MEDCHAIN_ACCESS_IDENTITY_H
#define MEDCHAIN_ACCESS_IDENTITY_H

#include "postgres.h"
#include "core/hash.h"

/* Name of the member, or NULL; valid until the next call. */
extern const char *identity_member_name(void);

/*
 * The member whose session this is by certificate or role, palloc'd, or NULL; *acting: it takes
 * part now, and is what identity_member_name() says.  ledger_hooks.session_member.
 */
extern char *identity_session_member(bool *acting);

/* SHA-256 of the certificate that the client has shown; false: none. */
extern bool identity_certificate(uint8 fingerprint[HASH_LEN]);

#endif
