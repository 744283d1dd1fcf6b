/*
 * export_set.h: sets of examinees in an export: whose records an access has read.
 */
#ifndef MEDCHAIN_BIN_EXPORT_SET_H
#define MEDCHAIN_BIN_EXPORT_SET_H

#include "core/tree.h"
#include "derived.h"
#include "input.h"

typedef struct ExportSet
{
	Pool	   *pool;
	const char *text;			/* of the access that came last; NULL: none did */
	size_t		len;
	uint64_t	seq;
	uint64_t	number;			/* of leaves, as the entry says; 0: not looked at yet */
	uint64_t	count;			/* that came */
	bool		in_part;		/* some leaves, each with its proof, instead of all */
	uint8_t		root[HASH_LEN];
	TreeRange	range;
} ExportSet;

/* Another entry; false, with an error, if the set of the last one is not complete. */
extern bool export_set_entry(ExportSet *set, const char *kind, uint64_t seq, const char *text,
							 size_t len, CoreError *error);

/* A line of leaves, which are told to authorised if that is asked for (else NULL). */
extern bool export_set_line(ExportSet *set, json_t *line, const char *origin,
							Authorised *authorised, CoreError *error);

/* The same of a line with one leaf of a set that is not here as a whole. */
extern bool export_set_part(ExportSet *set, json_t *line, const char *origin,
							Authorised *authorised, CoreError *error);

#endif
