/*
 * cosigned.c: cosignatures of the blocks of an export.
 *
 * Whose keys they are follows from chains that may still be to come.  So these blocks are kept, of
 * which there are a few of each chain, and looked at in the end.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/keycache.h"
#include "cosigned.h"

#define COSIGNED_KEPT 4			/* blocks of a chain */

typedef struct CosignedChain
{
	char	   *origin;
	struct
	{
		char	   *note;
		size_t		len;
		uint64_t	height;
	}			kept[COSIGNED_KEPT];
	int			count;			/* of those with cosignatures; without any, the newest of all is
								 * kept */
	bool		surplus;		/* there were more */
} CosignedChain;

struct Cosigned
{
	const Options *options;
	char	   *alliance;
	CosignedChain *chains;
	size_t		nchains;
};

Cosigned *
cosigned_new(const Options *options, const char *alliance)
{
	Cosigned   *cosigned = calloc(1, sizeof(Cosigned));

	if (cosigned == NULL)
		pool_fail();
	cosigned->options = options;
	cosigned->alliance = strdup(alliance);
	return cosigned;
}

void
cosigned_free(Cosigned *cosigned)
{
	if (cosigned == NULL)
		return;
	for (size_t i = 0; i < cosigned->nchains; i++)
	{
		for (int j = 0; j < COSIGNED_KEPT; j++)
			free(cosigned->chains[i].kept[j].note);
		free(cosigned->chains[i].origin);
	}
	free(cosigned->chains);
	free(cosigned->alliance);
	free(cosigned);
}

/* Chains come one behind the other. */
static CosignedChain *
cosigned_chain(Cosigned *cosigned, const char *origin)
{
	CosignedChain *chain;

	if (cosigned->nchains > 0 &&
		strcmp(cosigned->chains[cosigned->nchains - 1].origin, origin) == 0)
		return &cosigned->chains[cosigned->nchains - 1];
	cosigned->chains = realloc(cosigned->chains, sizeof(CosignedChain) * (cosigned->nchains + 1));
	if (cosigned->chains == NULL)
		pool_fail();
	chain = &cosigned->chains[cosigned->nchains++];
	memset(chain, 0, sizeof(*chain));
	chain->origin = strdup(origin);
	return chain;
}

static int
cosigned_lines(const char *note, size_t len)
{
	const char *at = NULL;
	NoteSignature signature;
	int			lines = 0;

	while (note_signature_next(note, len, &at, &signature, NULL))
		lines++;
	return lines;
}

void
cosigned_block(Cosigned *cosigned, const char *origin, uint64_t height, const char *note,
			   size_t len)
{
	CosignedChain *chain = cosigned_chain(cosigned, origin);
	bool		is_cosigned = cosigned_lines(note, len) > 1;
	int			at = chain->count;

	if (!is_cosigned && chain->count > 0)
		return;
	if (chain->count == COSIGNED_KEPT)
	{
		chain->surplus = true;
		return;
	}
	free(chain->kept[at].note);
	chain->kept[at].note = strndup(note, len);
	chain->kept[at].len = len;
	chain->kept[at].height = height;
	if (is_cosigned)
		chain->count++;
}

/* How many members have cosigned it, with the keys that follow from the export. */
static int
cosigned_members(const Cosigned *cosigned, const Signers *signers, const char *note, size_t len)
{
	char		seen[NOTE_SIGNATURES_MAX][NOTE_NAME_MAX + 1];
	size_t		prefix = strlen(cosigned->alliance);
	size_t		textlen;
	const char *at = NULL;
	NoteSignature signature;
	int			members = 0;

	if (!note_text_length(note, len, &textlen, NULL))
		return 0;
	while (members < NOTE_SIGNATURES_MAX && note_signature_next(note, len, &at, &signature, NULL))
	{
		char	   *name = seen[members];
		const char *pem;
		const Key  *key;
		int64_t		time;
		bool		is_theirs;
		bool		again = false;

		memcpy(name, signature.name, signature.namelen);
		name[signature.namelen] = '\0';
		for (int i = 0; i < members; i++)
			again = again || strcmp(seen[i], name) == 0;
		if (again || strncmp(name, cosigned->alliance, prefix) != 0 || name[prefix] != '/')
			continue;
		pem = signers_key_of(signers, name + prefix + 1, INT64_MAX);
		key = pem != NULL ? keycache_get(pem, strlen(pem), NULL) : NULL;
		if (key != NULL && cosignature_verify(note, textlen, name, key, &signature, &time,
											  &is_theirs, NULL) == KEY_VALID)
			members++;
	}
	return members;
}

/* How many have cosigned it; -1: not enough. */
static int
cosigned_enough(const Cosigned *cosigned, const Signers *signers, const char *note, size_t len)
{
	TlogVerdict verdict;
	int			members;

	if (cosigned->options->policy != NULL)
		return tlog_policy_check(cosigned->options->policy, note, len, cosigned->options->quorum,
								 NULL, NULL, &verdict, NULL) && verdict.quorum ?
			verdict.witnesses : -1;
	members = cosigned_members(cosigned, signers, note, len);
	return members >= cosigned->options->quorum ? members : -1;
}

/* The newest block of a chain that enough have cosigned; false: there is none. */
static bool
cosigned_newest(const Cosigned *cosigned, const Signers *signers, const CosignedChain *chain,
				uint64_t *height, int *members)
{
	for (int at = COSIGNED_KEPT - 1; at >= 0; at--)
	{
		if (chain->kept[at].note == NULL)
			continue;
		*members = cosigned_enough(cosigned, signers, chain->kept[at].note, chain->kept[at].len);
		*height = chain->kept[at].height;
		if (*members >= 0)
			return true;
	}
	return false;
}

/* Is that member's chain in the export, so that all of its keys are known? */
static bool
cosigned_has_chain(const Cosigned *cosigned, const char *origin)
{
	for (size_t i = 0; i < cosigned->nchains; i++)
		if (strcmp(cosigned->chains[i].origin, origin) == 0)
			return true;
	return false;
}

/* By a member, with a key that he has, or had; one of his may not be here if his chain is not. */
static bool
cosigned_line_is_true(const Cosigned *cosigned, const Signers *signers, const char *note,
					  size_t textlen, const char *name, const NoteSignature *signature)
{
	size_t		prefix = strlen(cosigned->alliance);
	const char *member = name + prefix + 1;
	int64_t		height = INT64_MAX;
	const char *pem;

	if (strncmp(name, cosigned->alliance, prefix) != 0 || name[prefix] != '/' ||
		signers_key_of(signers, member, INT64_MAX) == NULL)
		return false;
	while ((pem = signers_key_until(signers, member, &height)) != NULL)
	{
		const Key  *key = keycache_get(pem, strlen(pem), NULL);
		int64_t		time;
		bool		is_theirs = false;

		if (key != NULL && cosignature_verify(note, textlen, name, key, signature, &time,
											  &is_theirs, NULL) == KEY_VALID)
			return true;
		if (is_theirs)
			return false;
	}
	return !cosigned_has_chain(cosigned, member);
}

/* Is each line behind the first one a cosignature? */
static bool
cosigned_is_true(const Cosigned *cosigned, const Signers *signers, const char *note, size_t len,
				 CoreError *error)
{
	size_t		textlen;
	const char *at = NULL;
	NoteSignature signature;

	if (!note_text_length(note, len, &textlen, error) ||
		!note_signature_next(note, len, &at, &signature, NULL))
		return false;
	while (note_signature_next(note, len, &at, &signature, NULL))
	{
		char		name[NOTE_NAME_MAX + 1];

		memcpy(name, signature.name, signature.namelen);
		name[signature.namelen] = '\0';
		if (!cosigned_line_is_true(cosigned, signers, note, textlen, name, &signature))
			return error_set(error, CORE_MALFORMED, "\"%s\" has not cosigned it", name);
	}
	return true;
}

/* None that is there is false, whether anybody asks for them or not. */
static bool
cosigned_are_true(const Cosigned *cosigned, const Signers *signers, const CosignedChain *chain,
				  CoreError *error)
{
	if (chain->surplus)
		return error_set(error, CORE_MALFORMED, "more blocks have cosignatures than in an export");
	for (int i = 0; i < chain->count; i++)
		if (!cosigned_is_true(cosigned, signers, chain->kept[i].note, chain->kept[i].len, error))
			return false;
	return true;
}

bool
cosigned_end(Cosigned *cosigned, const Signers *signers, json_t *chains, const char **culprit,
			 CoreError *error)
{
	for (size_t i = 0; i < cosigned->nchains; i++)
	{
		const CosignedChain *chain = &cosigned->chains[i];
		uint64_t	height;
		int			members;

		*culprit = chain->origin;
		if (!cosigned_are_true(cosigned, signers, chain, error))
			return false;
		if (cosigned->options->quorum < 0 && cosigned->options->policy == NULL)
			continue;
		if (!cosigned_newest(cosigned, signers, chain, &height, &members))
			return error_set(error, CORE_MALFORMED, "none of its newest blocks with cosignatures "
							 "has as many as are asked for");
		json_object_set_new(json_array_get(chains, i), "cosigned",
							json_pack("{s:I, s:i}", "height", (json_int_t) height, "members",
									  members));
	}
	return true;
}
