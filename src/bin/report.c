/*
 * report.c: whatever the input is, verify it and say what came out.
 */
#include <stdlib.h>
#include <string.h>

#include "report.h"

/* The verdict, and what is wrong where that is not known more exactly. */
static void
report_conclude(Verdict verdict, json_t *result, const CoreError *error)
{
	static const char *const words[] = {"verified", "not verified", "unusable"};

	json_object_set_new(result, "verdict", json_string(words[verdict]));
	if (verdict != VERIFIED && json_object_get(result, "fault") == NULL)
		json_object_set_new(result, "fault", json_string(error->message));
}

static const char *
report_text(json_t *object, const char *field)
{
	return json_string_value(json_object_get(object, field));
}

static long long
report_number(json_t *object, const char *field)
{
	return (long long) json_integer_value(json_object_get(object, field));
}

/* A tlog-proof, or a checkpoint: what of which log, and who has cosigned it. */
static void
report_write_log(json_t *result)
{
	size_t		i;
	json_t	   *cosignature;

	if (json_object_get(result, "index") != NULL)
		printf("entry %lld of \"%s\" is in the tree of %lld entries\n",
			   report_number(result, "index"), report_text(result, "log"),
			   report_number(result, "tree_size"));
	else
		printf("\"%s\" has a tree of %lld entries\n", report_text(result, "log"),
			   report_number(result, "tree_size"));
	if (json_object_get(result, "sealed") != NULL)
		printf("sealed %s\n", report_text(result, "sealed"));
	if (json_object_get(result, "entry") != NULL)
		printf("the entry is one of kind \"%s\", of %s\n",
			   report_text(json_object_get(result, "entry"), "kind"),
			   report_text(json_object_get(result, "entry"), "time"));
	json_array_foreach(json_object_get(result, "cosignatures"), i, cosignature)
		printf("cosigned by \"%s\" at %s\n", report_text(cosignature, "witness"),
			   report_text(cosignature, "time"));
}

/* What an export, or one receipt, holds; without the verdict. */
static void
report_write_found(json_t *result)
{
	bool		verified = strcmp(report_text(result, "verdict"), "verified") == 0;
	json_t	   *chains = json_object_get(result, "chains");
	json_t	   *signer = json_object_get(result, "signer");
	size_t		i;
	json_t	   *chain;
	const char *name;
	json_t	   *value;

	json_array_foreach(chains, i, chain)
	{
		printf("%s: %lld blocks, %lld entries, head %s\n", report_text(chain, "origin"),
			   report_number(chain, "blocks"), report_number(chain, "entries"),
			   report_text(chain, "head"));
		if (json_object_get(chain, "cosigned") != NULL)
			printf("    cosigned up to block %lld by %lld members\n",
				   report_number(json_object_get(chain, "cosigned"), "height"),
				   report_number(json_object_get(chain, "cosigned"), "members"));
	}
	if (json_object_get(result, "log") != NULL)
		report_write_log(result);
	else if (verified && json_object_get(result, "index") != NULL)
		printf("entry %lld of \"%s\" is in the tree of %lld entries that was sealed %s\n",
			   report_number(result, "index"), report_text(result, "origin"),
			   report_number(result, "tree_size"), report_text(result, "sealed"));
	if (verified && json_object_get(result, "row") != NULL)
	{
		printf("with it, a row of \"%s\" was:\n", report_text(result, "relation"));
		json_object_foreach(json_object_get(result, "row"), name, value)
			printf("    %s: %s\n", name, json_string_value(value));
	}
	if (verified && json_object_get(result, "disclosure") != NULL)
	{
		puts("it says, of an examinee's records:");
		json_object_foreach(json_object_get(result, "disclosure"), name, value)
			if (json_is_string(value))
			printf("    %s: %s\n", name, json_string_value(value));
	}
	if (signer != NULL)
		printf("signed with the certificate of %s, issued by %s, SHA-256 %s\n",
			   report_text(signer, "subject"),
			   report_text(signer, "issuer"), report_text(signer, "fingerprint"));
	json_array_foreach(chains, i, chain)
		if (json_object_get(chain, "absent") != NULL)
		printf("%s: %lld entries are here as leaf hashes alone: they are part of the chain, and "
			   "what they say is not known\n", report_text(chain, "origin"),
			   report_number(chain, "absent"));
	json_array_foreach(json_object_get(result, "unreadable"), i, chain)
		printf("%s: entry %lld says nothing, as not everybody could read it: %s\n",
			   report_text(chain, "chain"), report_number(chain, "entry"),
			   report_text(chain, "reason"));
	json_array_foreach(json_object_get(result, "forks"), i, chain)
	{
		const char *counts = report_text(chain, "counts");

		printf("%s: forked at block %lld: %s and %s are both signed with its key%s%s%s\n",
			   report_text(chain, "member"), report_number(chain, "height"),
			   report_text(chain, "block"), report_text(chain, "other"),
			   counts != NULL ? "; by the data centre, " : "",
			   counts != NULL ? counts : "", counts != NULL ? " counts" :
			   json_is_true(json_object_get(chain, "excludes")) ?
			   "; what follows has no effect" : "");
	}
	if (verified && chains != NULL)
		printf("trust anchors: %s\n", report_text(result, "trust_anchors"));
	if (!verified && json_object_get(result, "where") != NULL)
		printf("%s, %s: ", report_text(result, "chain"), report_text(result, "where"));
	if (!verified)
		printf("%s\n", report_text(result, "fault"));
}

/* One object, the state in it row by row. */
static void
report_write_json(json_t *result, const Derived *derived)
{
	char	   *text = json_dumps(result, JSON_SORT_KEYS);

	if (text == NULL)
		return;
	if (derived == NULL)
		puts(text);
	else
	{
		text[strlen(text) - 1] = '\0';
		fputs(text, stdout);
		derived_write_json(derived);
		puts("}");
	}
	free(text);
}

void
report_write(Verdict verdict, json_t *result, const CoreError *error, const Options *options)
{
	const Derived *derived = verdict == VERIFIED ? options->derived : NULL;
	json_t	   *receipts = json_object_get(result, "receipts");
	size_t		i;
	json_t	   *receipt;

	report_conclude(verdict, result, error);
	if (options->json)
	{
		report_write_json(result, derived);
		return;
	}
	json_array_foreach(receipts, i, receipt)
	{
		printf("receipt %llu: %s\n", (unsigned long long) i + 1, report_text(receipt, "verdict"));
		report_write_found(receipt);
	}
	if (receipts == NULL)
		report_write_found(result);
	else if (verdict != VERIFIED)
		printf("%s\n", report_text(result, "fault"));
	printf("%s\n", report_text(result, "verdict"));
	if (derived != NULL)
		derived_show(derived);
}

/* A receipt, or one with something more. */
static bool
report_is_proof(const char *type)
{
	return strcmp(type, "receipt") == 0 || strcmp(type, "row_proof") == 0 ||
		strcmp(type, "disclosure_proof") == 0;
}

static bool
report_is_receipt(json_t *line, CoreError *error)
{
	const char *type;

	if (!input_string(line, "type", &type, NULL, error))
		return false;
	return report_is_proof(type) ||
		error_set(error, CORE_MALFORMED, "a line behind a receipt is neither a receipt nor another "
				  "proof");
}

/* One receipt, or one in each line: all are looked at, and the worst verdict is that of all. */
static Verdict
report_receipts(Input *input, json_t *first, const Options *options, json_t *result,
				CoreError *error)
{
	json_t	   *receipts = json_array();
	json_t	   *line = json_incref(first);
	Verdict		worst = VERIFIED;
	size_t		culprit = 0;
	bool		broken = false; /* a line that is none of JSON */

	while (line != NULL)
	{
		json_t	   *found = json_object();
		CoreError	reason = {0};
		Verdict		verdict = UNUSABLE;

		if (report_is_receipt(line, &reason))
			verdict = verify_receipt(line, options, found, &reason);
		report_conclude(verdict, found, &reason);
		json_array_append_new(receipts, found);
		json_decref(line);
		line = NULL;
		if (verdict > worst)
		{
			worst = verdict;
			culprit = json_array_size(receipts);
			*error = reason;
		}
		if (verdict == UNUSABLE || input_at_end(input))
			break;
		line = input_next(input, &reason);
		if (line == NULL)
		{
			broken = true;
			worst = UNUSABLE;
			*error = reason;
		}
	}
	if (json_array_size(receipts) > 1)
	{
		CoreError	reason = *error;

		json_object_set(result, "receipts", receipts);
		if (culprit > 0 && !broken)
			error_set(error, reason.code, "receipt %llu: %.200s", (unsigned long long) culprit,
					  reason.message);
	}
	else if (!broken)
		json_object_update(result, json_array_get(receipts, 0));
	json_decref(receipts);
	return worst;
}

Verdict
report_verify(Input *input, const Options *options, json_t *result, CoreError *error)
{
	json_t	   *first;
	const char *type;
	Verdict		verdict = UNUSABLE;

	if (verify_tlog_begins(input, options))
		return verify_tlog(input, options, result, error);
	first = input_next(input, error);
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
	else if (options->derived != NULL)
		error_set(error, CORE_UNSUPPORTED, "the state follows from an export, and this is none");
	else if (report_is_proof(type))
		verdict = report_receipts(input, first, options, result, error);
	else
		error_set(error, CORE_MALFORMED,
				  "the input is neither an export, a receipt, a row proof nor a tlog-proof");
	json_decref(first);
	return verdict;
}
