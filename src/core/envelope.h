/*
 * envelope.h: DSSE v1 pre-authentication encoding (secure-systems-lab/dsse,
 * protocol.md): what a member signs over a protocol or contract.
 */
#ifndef MEDCHAIN_CORE_ENVELOPE_H
#define MEDCHAIN_CORE_ENVELOPE_H

#include <stddef.h>
#include <stdint.h>

/* Bytes envelope_pae() will write. */
extern size_t envelope_pae_size(const char *type, size_t payloadlen);

/* "DSSEv1" SP LEN(type) SP type SP LEN(payload) SP payload.  Returns the bytes written. */
extern size_t envelope_pae(const char *type, const void *payload, size_t payloadlen, uint8_t *out);

#endif
