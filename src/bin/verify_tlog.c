/*
 * verify_tlog.c: a C2SP tlog-proof, or a checkpoint alone, under a policy: of a medchain ledger or
 * of any other log.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/tlog_proof.h"
#include "payload.h"
#include "report.h"

bool
verify_tlog_begins(Input *input, const Options *options)
{
	return input_begins(input, "c2sp.org/tlog-proof@") ||
		(options->policy != NULL && input_begins(input, "") && !input_begins(input, "{"));
}

/* A TlogCosigned, into an array. */
static void
tlog_cosigned(void *state, const char *name, int64_t when)
{
	time_t		seconds = (time_t) when;
	struct tm	parts;
	char		text[64] = "a time that nobody can write";

	if (gmtime_r(&seconds, &parts) != NULL)
		(void) strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &parts);
	json_array_append_new(state, json_pack("{s:s, s:s}", "witness", name, "time", text));
}

/* Whose checkpoint is it, and have enough witnesses cosigned it? */
static Verdict
tlog_check_note(const char *note, size_t len, const Options *options, json_t *result,
				NoteCheckpoint *checkpoint, CoreError *error)
{
	json_t	   *cosignatures = json_array();
	TlogVerdict verdict;
	NoteBlock	block;

	json_object_set_new(result, "cosignatures", cosignatures);
	if (!note_parse_checkpoint(note, len, checkpoint, error))
		return UNUSABLE;
	json_object_set_new(result, "log", json_string(checkpoint->origin));
	json_object_set_new(result, "tree_size", json_integer((json_int_t) checkpoint->size));
	if (!tlog_policy_check(options->policy, note, len, options->quorum, tlog_cosigned,
						   cosignatures, &verdict, error))
		return NOT_VERIFIED;
	if (!verdict.signed_by_log)
	{
		error_set(error, CORE_MALFORMED, "the checkpoint of \"%.100s\" is signed by no log that is "
				  "to be believed", checkpoint->origin);
		return NOT_VERIFIED;
	}
	if (!verdict.quorum)
	{
		error_set(error, CORE_MALFORMED, "%d of %d witnesses have cosigned the checkpoint, and "
				  "that is no quorum", verdict.witnesses, verdict.of);
		return NOT_VERIFIED;
	}
	/* the lines of a block say more, and are signed as well */
	if (note_parse_block(note, len, &block, NULL))
	{
		json_object_set_new(result, "height", json_integer((json_int_t) block.height));
		json_object_set_new(result, "sealed", json_string(block.sealed));
	}
	return VERIFIED;
}

/* What the proof is about: data of whatever kind, or an entry, which has to be of that chain. */
static bool
tlog_check_entry(const TlogProof *proof, const NoteCheckpoint *checkpoint, const char *data,
				 size_t len, json_t *result, CoreError *error)
{
	uint8_t		leaf[HASH_LEN];
	Entry		entry;
	const char *slash = strrchr(checkpoint->origin, '/');

	if (!hash_leaf(data, len, leaf) ||
		proof_check_inclusion(leaf, proof->index, checkpoint->size, proof->hashes[0],
							  proof->nhashes, checkpoint->root) != PROOF_VALID)
		return error_set(error, CORE_MALFORMED,
						 "the proof does not lead from the entry to the checkpoint's root");
	if (!entry_read(data, len, &entry, NULL))
		return true;
	if (slash != NULL && strcmp(entry.origin, slash + 1) != 0)
		return error_set(error, CORE_MALFORMED, "the entry says that it is one of \"%.60s\"",
						 entry.origin);
	json_object_set_new(result, "entry", json_pack("{s:s, s:s}", "kind", entry.kind, "time",
												   entry.time));
	return true;
}

static Verdict
tlog_verify_proof(const char *text, size_t len, const Options *options, json_t *result,
				  CoreError *error)
{
	TlogProof	proof;
	NoteCheckpoint checkpoint;
	CoreError	reason = {0};
	Verdict		verdict;

	if (!tlog_proof_read(text, len, &proof, error))
		return UNUSABLE;
	if (options->entry == NULL)
	{
		error_set(error, CORE_ACCESS, "a tlog-proof does not hold the entry that it is about: give "
				  "it with --entry");
		return UNUSABLE;
	}
	verdict = tlog_check_note(proof.checkpoint, proof.checkpoint_len, options, result,
							  &checkpoint, error);
	if (verdict != VERIFIED)
		return verdict;
	json_object_set_new(result, "index", json_integer((json_int_t) proof.index));

	/* psql ends what it prints with a newline of its own */
	if (tlog_check_entry(&proof, &checkpoint, options->entry, options->entry_len, result,
						 error) ||
		(options->entry_len > 0 && options->entry[options->entry_len - 1] == '\n' &&
		 tlog_check_entry(&proof, &checkpoint, options->entry, options->entry_len - 1, result,
						  &reason)))
		return VERIFIED;
	return NOT_VERIFIED;
}

Verdict
verify_tlog(Input *input, const Options *options, json_t *result, CoreError *error)
{
	NoteCheckpoint checkpoint;
	const char *text;
	size_t		len;

	if (options->policy == NULL)
	{
		error_set(error, CORE_ACCESS, "a tlog-proof is checked against logs and witnesses: give "
				  "them with --policy or --vkey");
		return UNUSABLE;
	}
	if (options->derived != NULL)
	{
		error_set(error, CORE_UNSUPPORTED, "the state follows from an export, and this is none");
		return UNUSABLE;
	}
	if (!input_all(input, TLOG_PROOF_MAX, &text, &len, error))
		return UNUSABLE;
	while (len > 1 && text[len - 2] == '\n' && text[len - 1] == '\n')
		len--;
	if (input_begins(input, "c2sp.org/tlog-proof@"))
		return tlog_verify_proof(text, len, options, result, error);
	return tlog_check_note(text, len, options, result, &checkpoint, error);
}
