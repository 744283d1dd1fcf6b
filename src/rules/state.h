/*
 * state.h: the state that is folded from the ledger, as rows of text, and its hash.
 *
 * The tables are those of the node (sql/install/alliance/state.sql), with the same columns.  A
 * value is written in one way only, which PostgreSQL reads as a value of the column's type:
 * doc/ledger.md, "The state's hash".
 */
#ifndef MEDCHAIN_RULES_STATE_H
#define MEDCHAIN_RULES_STATE_H

#include "core/hash.h"
#include "rules/claim.h"

#define STATE_COLUMNS_MAX 18

typedef enum StateTable
{
	STATE_CLAIM, STATE_MEMBER, STATE_CONTRACT, STATE_LEDGER_KEY, STATE_MEMBER_CERTIFICATE,
	STATE_EXCLUSION, STATE_FORK, STATE_EXAMINEE_KEY, STATE_PROTOCOL, STATE_PROTOCOL_GRANT,
	STATE_DATA_INDEX, STATE_BREAK_GLASS, STATE_ROLE_BINDING,
	STATE_TABLES
} StateTable;

typedef struct StateTableInfo
{
	const char *name;
	int			nkeys;
	int			keys[2];		/* columns that are the primary key */
	int			ncolumns;
	const char *columns[STATE_COLUMNS_MAX];
} StateTableInfo;

extern const StateTableInfo state_tables[STATE_TABLES];

typedef struct StateRow
{
	StateTable	table;
	const char *values[STATE_COLUMNS_MAX];	/* NULL: null */
} StateRow;

/* Values as text, in the pool. */
extern const char *state_number(Pool *pool, int64_t number);
extern const char *state_time(Pool *pool, int64_t time);
extern const char *state_bytes(Pool *pool, const uint8_t *bytes, size_t len);
extern const char *state_boolean(bool value);

/* text[]: all strings quoted, NULL for null; the elements of a JSON array as ->> has them. */
extern const char *state_array(Pool *pool, const char *const *elements, size_t count);
extern const char *state_json_array(Pool *pool, JsonSlice array);

/* The row of a claim. */
extern void state_claim_row(Pool *pool, const Claim *claim, StateRow *row);

/*
 * Is a row behind a fork, so that another node may have another one?  Such rows are in nobody's
 * hash.
 */
extern bool state_is_forked(const StateRow *fork, const StateRow *row);

/* SHA-256 over a row's text: doc/ledger.md, "The state's hash". */
extern void state_row_hash(Pool *pool, const StateRow *row, uint8_t hash[HASH_LEN]);

/* The state's hash from those of its rows, which are sorted for it. */
extern void state_hash(uint8_t (*rows)[HASH_LEN], size_t count, uint8_t hash[HASH_LEN]);

#endif
