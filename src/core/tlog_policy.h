/*
 * tlog_policy.h: C2SP tlog-policy (c2sp.org/tlog-policy): whose checkpoints are believed, and how
 * many of which witnesses have to have cosigned them.
 */
#ifndef MEDCHAIN_CORE_TLOG_POLICY_H
#define MEDCHAIN_CORE_TLOG_POLICY_H

#include "core/vkey.h"

#define TLOG_POLICY_MAX (4 * 1024 * 1024)	/* bytes of a policy file */
#define TLOG_POLICY_NAMES_MAX 4096	/* logs; and witnesses and groups together */

typedef struct TlogPolicy TlogPolicy;

/* NULL, with an error that names the line. */
extern TlogPolicy *tlog_policy_read(const char *text, size_t len, CoreError *error);

/* One without logs, witnesses and quorum, for who adds them one by one. */
extern TlogPolicy *tlog_policy_new(void);
extern bool tlog_policy_add_log(TlogPolicy *policy, const char *vkey, size_t len,
								CoreError *error);
extern bool tlog_policy_add_witness(TlogPolicy *policy, const char *name, size_t namelen,
									const char *vkey, size_t len, CoreError *error);
extern void tlog_policy_free(TlogPolicy *policy);

/* What a policy says of a checkpoint. */
typedef struct TlogVerdict
{
	bool		signed_by_log;
	int			witnesses;		/* of the policy, that cosigned it */
	int			of;				/* ... and there are */
	bool		quorum;			/* as the policy asks for it */
	int64_t		earliest;		/* times of the cosignatures, seconds since 1970 */
	int64_t		latest;
} TlogVerdict;

/*
 * quorum: instead of the policy's, so many of its witnesses; -1: the policy's.  cosigned: called
 * for each of them, or NULL.  False, with an error: no note, or one with a signature under a known
 * key's name and id that does not verify.
 */
typedef void (*TlogCosigned) (void *state, const char *name, int64_t time);
extern bool tlog_policy_check(const TlogPolicy *policy, const char *note, size_t len, int quorum,
							  TlogCosigned cosigned, void *state, TlogVerdict *verdict,
							  CoreError *error);

#endif
