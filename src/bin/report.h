/*
 * report.h: what a verification found, for people and for programs.
 */
#ifndef MEDCHAIN_BIN_REPORT_H
#define MEDCHAIN_BIN_REPORT_H

#include "core/chain_check.h"
#include "evidence.h"
#include "input.h"

/* Exit status, and the verdict. */
typedef enum Verdict
{
	VERIFIED = 0,
	NOT_VERIFIED = 1,			/* well-formed, and not what was signed */
	UNUSABLE = 2				/* not something medchain wrote, or not readable */
} Verdict;

typedef struct Options
{
	char	   *anchors;		/* PEM, or NULL */
	char	   *checkpoint;		/* a signed note kept elsewhere, or NULL */
	size_t		checkpoint_len;
	bool		json;
	bool		progress;
} Options;

/* A whole export, or a receipt; first: its first line, parsed.  Fills result with what was checked. */
extern Verdict verify_export(Input *input, json_t *first, const Options *options, json_t *result, CoreError *error);
extern Verdict verify_receipt(json_t *receipt, const Options *options, json_t *result, CoreError *error);

#endif
