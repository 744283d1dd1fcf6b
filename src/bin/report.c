/*
 * report.c: whatever the input is, verify it and say what came out.
 */
#include <string.h>

#include "report.h"

bool
report_read_checkpoint(const Options *options, int i, NoteBlock *block, uint8_t hash[HASH_LEN],
					   CoreError *error)
{
	const char *note = options->checkpoints[i].note;
	size_t		len = options->checkpoints[i].len;
	size_t		textlen;
	CoreError	reason = {0};

	if (note_parse_block(note, len, block, &reason) &&
		note_text_length(note, len, &textlen, &reason) &&
		hash_sha256(note, textlen, hash))
		return true;
	return error_set(error, CORE_MALFORMED, "checkpoint %d of those given is none: %.180s", i + 1,
					 reason.message);
}

void
report_write(Verdict verdict, json_t *result, const CoreError *error, bool json)
{
	static const char *const words[] = {"verified", "not verified", "unusable"};
	json_t	   *chains = json_object_get(result, "chains");
	size_t		i;
	json_t	   *chain;
	const char *name;
	json_t	   *value;

	json_object_set_new(result, "verdict", json_string(words[verdict]));
	if (verdict != VERIFIED && json_object_get(result, "fault") == NULL)
		json_object_set_new(result, "fault", json_string(error->message));
	if (json)
	{
		json_dumpf(result, stdout, JSON_SORT_KEYS);
		putchar('\n');
		return;
	}
	json_array_foreach(chains, i, chain)
	{
		printf("%s: %lld blocks, %lld entries, head %s\n",
			   json_string_value(json_object_get(chain, "origin")),
			   (long long) json_integer_value(json_object_get(chain, "blocks")),
			   (long long) json_integer_value(json_object_get(chain, "entries")),
			   json_string_value(json_object_get(chain, "head")));
	}
	if (json_object_get(result, "index") != NULL && verdict == VERIFIED)
		printf("entry %lld of \"%s\" is in the tree of %lld entries that was sealed %s\n",
			   (long long) json_integer_value(json_object_get(result, "index")),
			   json_string_value(json_object_get(result, "origin")),
			   (long long) json_integer_value(json_object_get(result, "tree_size")),
			   json_string_value(json_object_get(result, "sealed")));
	if (json_object_get(result, "row") != NULL && verdict == VERIFIED)
	{
		printf("with it, a row of \"%s\" was:\n",
			   json_string_value(json_object_get(result, "relation")));
		json_object_foreach(json_object_get(result, "row"), name, value)
		{
			printf("    %s: %s\n", name, json_string_value(value));
		}
	}
	if (json_object_get(result, "signer") != NULL)
		printf("signed with the certificate of %s, issued by %s, SHA-256 %s\n",
			   json_string_value(json_object_get(json_object_get(result, "signer"), "subject")),
			   json_string_value(json_object_get(json_object_get(result, "signer"), "issuer")),
			   json_string_value(json_object_get(json_object_get(result, "signer"),
												 "fingerprint")));
	if (verdict == VERIFIED && chains != NULL)
		printf("trust anchors: %s\n", json_string_value(json_object_get(result, "trust_anchors")));
	if (verdict != VERIFIED && json_object_get(result, "where") != NULL)
		printf("%s, %s: ", json_string_value(json_object_get(result, "chain")),
			   json_string_value(json_object_get(result, "where")));
	if (verdict != VERIFIED)
		printf("%s\n", json_string_value(json_object_get(result, "fault")));
	printf("%s\n", words[verdict]);
}

Verdict
report_verify(Input *input, const Options *options, json_t *result, CoreError *error)
{
	json_t	   *first = input_next(input, error);
	const char *type;
	Verdict		verdict = UNUSABLE;

	if (first == NULL)
	{
		if (error->code == CORE_OK)
			error_set(error, CORE_MALFORMED, "there is no input");
		return UNUSABLE;
	}
	if (!input_string(first, "type", &type, NULL, error))
		;
	else if (strcmp(type, "export") == 0)
		verdict = verify_export(input, first, options, result, error);
	else if (strcmp(type, "receipt") == 0 || strcmp(type, "row_proof") == 0)
	{
		verdict = verify_receipt(first, options, result, error);
		if (verdict == VERIFIED && !input_at_end(input))
		{
			error_set(error, CORE_MALFORMED, "something follows the receipt");
			verdict = UNUSABLE;
		}
	}
	else
		error_set(error, CORE_MALFORMED,
				  "the input is neither an export, a receipt nor a row proof");
	json_decref(first);
	return verdict;
}
