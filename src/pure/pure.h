/*
 * pure.h: what the SQL functions over src/core share.
 */
#ifndef MEDCHAIN_PURE_PURE_H
#define MEDCHAIN_PURE_PURE_H

#include "postgres.h"
#include "compat.h"
#include "core/error.h"
#include "core/key.h"

/* Raise a core error as a PostgreSQL error: bad input, unsupported, or OpenSSL's own failure. */
pg_noreturn extern void pure_error(const CoreError *error, const char *hint);

/* Bytes as bytea, and text of src/core, which is UTF-8, in the database's encoding. */
extern Datum pure_bytea(const void *data, size_t len);
extern Datum pure_text(const char *utf8);

/* The key in a PEM argument, owned by the key cache; ERROR if there is none. */
extern const Key *pure_key(text *pem);

#endif
