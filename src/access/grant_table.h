/*
 * grant_table.h: the grants of one member, by subject; a plain data structure.
 *
 * Subjects are found by identity, as it stands in protected tables.  Where only
 * the pseudonym is known here, as no record of the subject ever was, by that.
 */
#ifndef MEDCHAIN_ACCESS_GRANT_TABLE_H
#define MEDCHAIN_ACCESS_GRANT_TABLE_H

#include "postgres.h"
#include "utils/uuid.h"

#include "access/statement.h"
#include "core/hash.h"

#define GRANT_QUERY		0x01
#define GRANT_UPDATE	0x02

/* What opens records: a protocol, and the version of its terms; or a break-glass entry. */
typedef struct GrantSource
{
	pg_uuid_t	id;
	int64		version;		/* GRANT_BREAK_GLASS: it is one */
} GrantSource;

#define GRANT_BREAK_GLASS (-1)

typedef struct Grant
{
	Validity	validity;
	uint32		records;		/* see grant_table_records() */
	uint32		next;			/* of the same subject, 0: no more */
	uint32		purpose;		/* see grant_table_serves(); 0: any */
	uint8		operations;
	GrantSource source;
} Grant;

typedef struct GrantTable GrantTable;

/* Memory is taken from a child of parent, which may be reparented later. */
extern GrantTable *grant_table_create(MemoryContext parent);
extern void grant_table_keep(GrantTable *table, MemoryContext parent);
extern void grant_table_free(GrantTable *table);

/* Bytes that it takes. */
extern Size grant_table_memory(const GrantTable *table);

/*
 * A table as an image that can be copied, and a table that is one: to be asked, and never added to.
 * The image has to stay where it is.
 */
extern Size grant_table_image_size(const GrantTable *table);
extern void grant_table_write_image(const GrantTable *table, char *image);
extern GrantTable *grant_table_view(MemoryContext parent, char *image);

/*
 * Add a grant to the list that starts at head (0: a new list); returns the new head, the same where
 * another one says as much.  records: text[] of relations, or 0 for all; purpose: text, or 0 for
 * any.
 */
extern uint32 grant_table_add(GrantTable *table, uint32 head, const GrantSource *source,
							  Validity validity, uint8 operations, Datum records, Datum purpose);

/*
 * Where a subject's list of grants starts is kept here: *head, 0 for a subject known to have none.
 */
extern uint32 *grant_table_find(GrantTable *table, const char *identity, size_t len);
extern uint32 *grant_table_enter(GrantTable *table, const char *identity, size_t len);
extern uint32 *grant_table_find_pseudonym(GrantTable *table, const uint8 pseudonym[HASH_LEN]);
extern uint32 *grant_table_enter_pseudonym(GrantTable *table, const uint8 pseudonym[HASH_LEN]);
extern void grant_table_forget_pseudonym(GrantTable *table, const uint8 pseudonym[HASH_LEN]);

extern const Grant *grant_table_grant(const GrantTable *table, uint32 index);

/* May a grant be used for records of this relation (NULL: any at all)? */
extern bool grant_table_covers(const GrantTable *table, const Grant *grant, const char *relation);

/* Is a grant good for this purpose, which is the same to the byte (empty: none is stated)? */
extern bool grant_table_serves(const GrantTable *table, const Grant *grant, const char *purpose);

/* Is there a grant that is good for this purpose alone? */
extern bool grant_table_needs(const GrantTable *table, const char *purpose);

/*
 * How many identities have been entered, subjects without grants included; pseudonyms without
 * identity.
 */
extern int64 grant_table_identities(const GrantTable *table);
extern int64 grant_table_pseudonyms(const GrantTable *table);

/* Visit all. */
typedef void (*GrantVisit) (const char *identity, size_t len, uint32 head, void *arg);
typedef void (*GrantVisitPseudonym) (const uint8 pseudonym[HASH_LEN], uint32 head, void *arg);
extern void grant_table_visit(GrantTable *table, GrantVisit visit, void *arg);
extern void grant_table_visit_pseudonyms(GrantTable *table, GrantVisitPseudonym visit, void *arg);

/* First moment after clock at which a grant begins or ends; DT_NOEND: never. */
extern TimestampTz grant_table_horizon(const GrantTable *table, TimestampTz clock);

/* Did a grant end in (since, until]? */
extern bool grant_table_ran_out(const GrantTable *table, TimestampTz since, TimestampTz until);

/*
 * Is all that the list at head of table allows at clock also allowed by the one at other_head of
 * other?
 */
extern bool grant_table_includes(const GrantTable *other, uint32 other_head,
								 const GrantTable *table, uint32 head, TimestampTz clock);

#endif
