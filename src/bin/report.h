/*
 * report.h: what a verification found, for people and for programs.
 */
#ifndef MEDCHAIN_BIN_REPORT_H
#define MEDCHAIN_BIN_REPORT_H

#include "core/certificate.h"
#include "core/chain_check.h"
#include "core/tlog_policy.h"
#include "derived.h"
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
	struct
	{
		char	   *note;
		size_t		len;
	}		   *checkpoints;	/* signed notes kept elsewhere */
	int			ncheckpoints;
	const char *other;			/* path of another export, or NULL */
	TlogPolicy *policy;			/* whose checkpoints and cosignatures count; NULL: not given */
	int			quorum;			/* cosignatures asked for; -1: as the policy says, if any */
	char	   *entry;			/* what a tlog-proof is about, or NULL */
	size_t		entry_len;
	bool		json;
	bool		progress;
	Derived    *derived;		/* what is asked of the state; NULL: nothing */
} Options;

/* Verify what the first line says the input is. */
extern Verdict report_verify(Input *input, const Options *options, json_t *result,
							 CoreError *error);

/*
 * Write the verdict to standard output, with what was checked, and what is wrong; and what was
 * asked of the state, if it is verified.
 */
extern void report_write(Verdict verdict, json_t *result, const CoreError *error,
						 const Options *options);

/*
 * A whole export, or a receipt; first: its first line, parsed.  Fills result with what was checked.
 */
extern Verdict verify_export(Input *input, json_t *first, const Options *options, json_t *result,
							 CoreError *error);

/* Is this a tlog-proof or, where there is a policy, a checkpoint?  And to verify it. */
extern bool verify_tlog_begins(Input *input, const Options *options);
extern Verdict verify_tlog(Input *input, const Options *options, json_t *result,
						   CoreError *error);

/*
 * The row that a row proof opens: salt and content give the commitment in the payload.  Adds
 * relation and row (an object of its columns that are not null) to result.
 */
extern bool verify_row(json_t *row, const char *payload, size_t len, json_t *result,
					   CoreError *error);

/*
 * The examinee that a disclosure proof is about: the entry's subject, or one of its set.  Adds
 * disclosure, what the line says, to result.
 */
extern bool verify_disclosure(json_t *object, const char *payload, size_t len, json_t *result,
							  CoreError *error);

/* A receipt; or a row proof or disclosure proof, which is one with a row or an examinee. */
extern Verdict verify_receipt(json_t *receipt, const Options *options, json_t *result,
							  CoreError *error);

#endif
