/*
 * row_chunk.h: reading items and keys as row_store.c has stored them, or whoever else has been at
 * the tables.
 */
#ifndef MEDCHAIN_ROWS_ROW_CHUNK_H
#define MEDCHAIN_ROWS_ROW_CHUNK_H

#include "postgres.h"

#include "core/row_item.h"

typedef struct ChunkReader
{
	const uint8_t *at;
	const uint8_t *end;

	/* the item that was read last */
	int			place;			/* in its part */
	RowItem		item;
	const uint8_t *bytes;		/* what is hashed */
	size_t		len;
} ChunkReader;

/* Of items that are detoasted, and outlive the reader. */
extern void chunk_reader(ChunkReader *reader, const bytea *items);

/* The next item; false at the end, or if there is none to be read any more. */
extern bool chunk_next(ChunkReader *reader);

/* Was everything read, and is nothing left over? */
extern bool chunk_at_end(const ChunkReader *reader);

/* A subject as it is stored. */
typedef struct AboutRecord
{
	int			place;
	const uint8_t *row_start;
	const uint8_t *subject;
} AboutRecord;

/* How many there are; and one of them.  A remainder that is none is not counted. */
extern int	about_count(const bytea *subjects);
extern AboutRecord about_record(const bytea *subjects, int number);

/* A key for people as it is stored; len 0: there is none. */
typedef struct ChunkKey
{
	const char *text;
	int			len;
} ChunkKey;

/* The first count of them, by the places of their items; what is not there is left alone. */
extern void chunk_keys(const bytea *keys, ChunkKey *out, int count);

/* The key for people of the row at that place, palloc'd; NULL: it is not there. */
extern char *chunk_key(const bytea *keys, int place);

#endif
