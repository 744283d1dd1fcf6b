/*
 * identity.h: the member on whose behalf this session acts.
 */
#ifndef MEDCHAIN_ACCESS_IDENTITY_H
#define MEDCHAIN_ACCESS_IDENTITY_H

#include "postgres.h"

/* Name of the member, palloc'd, or NULL: ledger_hooks.current_member. */
extern char *identity_current_member(void);

/* The same, not copied: valid until the next call. */
extern const char *identity_member_name(void);

#endif
