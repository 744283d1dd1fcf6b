/*
 * export_walk.h: the walk through an export, as the files that do it share it.
 */
#ifndef MEDCHAIN_BIN_EXPORT_WALK_H
#define MEDCHAIN_BIN_EXPORT_WALK_H

#include "absent.h"
#include "against.h"
#include "cosigned.h"
#include "derived.h"
#include "export_set.h"
#include "kept.h"
#include "report.h"
#include "rules/pool.h"
#include "signers.h"

/* An entry that the rules want, while its block is still to come. */
typedef struct Waiting
{
	const char *text;
	size_t		len;
	uint64_t	seq;
} Waiting;

/* A chain of the export; only the current one is walked. */
typedef struct Walk
{
	const Options *options;
	char	   *alliance;
	char	   *data_center;
	Facts	   *facts;
	Signers    *signers;
	ChainCheck	check;
	char	   *origin;			/* NULL: before the first chain */
	uint8_t		genesis[HASH_LEN];	/* hash of the first block */
	bool		has_genesis;
	Pool	   *block_pool;		/* of the block that is to come */
	Waiting    *waiting;
	size_t		nwaiting;
	size_t		waiting_bytes;
	uint64_t	chain_entries;
	uint64_t	entries;
	uint64_t	missing;		/* beside these, without their payloads */
	uint64_t	blocks;
	uint64_t	chains;
	ExportSet	set;			/* of the entry that came last */
	Absent		absent;			/* payloads that are not here */
	Kept	   *kept;			/* checkpoints that were kept elsewhere */
	Against    *against;		/* another export, or NULL */
	Cosigned   *cosigned;		/* cosignatures, if they are asked for */
	json_t	   *result;
} Walk;

/* Say where and why it failed; the verdict. */
extern Verdict walk_fail(Walk *walk, Verdict verdict, const char *where, CoreError *error);

/* Something of that chain comes: of the one that is walked, or the first of the next. */
extern Verdict walk_enter(Walk *walk, const char *origin, CoreError *error);

/* NULL: that is not asked for. */
extern Authorised *walk_authorised(const Walk *walk);

/* A line of the export: an entry, entries without their payloads, a set or a part of one. */
extern Verdict walk_entry(Walk *walk, json_t *line, CoreError *error);
extern Verdict walk_absent(Walk *walk, json_t *line, CoreError *error);
extern Verdict walk_set(Walk *walk, json_t *line, bool is_part, CoreError *error);

#endif
