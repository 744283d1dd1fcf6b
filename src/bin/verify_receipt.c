/*
 * verify_receipt.c: check one entry alone: payload, inclusion proof, signed checkpoint, certificate.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/encode.h"
#include "core/proof.h"
#include "report.h"

#define RECEIPT_HASHES_MAX 64

typedef struct Receipt
{
	const char *origin;
	uint64_t	index;
	uint64_t	tree_size;
	const char *payload;
	size_t		payload_len;
	const char *checkpoint;
	size_t		checkpoint_len;
	const char *certificate;
	const char *ledger_key;
	uint8_t		hashes[RECEIPT_HASHES_MAX][HASH_LEN];
	int			nhashes;
} Receipt;

static bool
receipt_read(json_t *object, Receipt *receipt, CoreError *error)
{
	static const char *const fields[] = {
		"type", "origin", "index", "tree_size", "payload", "hashes", "checkpoint", "certificate", "ledger_key", NULL
	};
	json_t	   *hashes = json_object_get(object, "hashes");

	if (!input_fields(object, fields, error) ||
		!input_string(object, "origin", &receipt->origin, NULL, error) ||
		!input_number(object, "index", &receipt->index, error) ||
		!input_number(object, "tree_size", &receipt->tree_size, error) ||
		!input_string(object, "payload", &receipt->payload, &receipt->payload_len, error) ||
		!input_string(object, "checkpoint", &receipt->checkpoint, &receipt->checkpoint_len, error) ||
		!input_string(object, "certificate", &receipt->certificate, NULL, error) ||
		!input_string(object, "ledger_key", &receipt->ledger_key, NULL, error))
		return false;
	if (!json_is_array(hashes) || json_array_size(hashes) > RECEIPT_HASHES_MAX)
		return error_set(error, CORE_MALFORMED, "field \"hashes\" is not an array of at most %d hashes", RECEIPT_HASHES_MAX);
	receipt->nhashes = (int) json_array_size(hashes);
	for (int i = 0; i < receipt->nhashes; i++)
		if (!input_hash(json_array_get(hashes, (size_t) i), receipt->hashes[i], error))
			return false;
	return true;
}

/* The entry is in the tree that the checkpoint names. */
static bool
receipt_check_proof(const Receipt *receipt, NoteBlock *block, CoreError *error)
{
	uint8_t		leaf[HASH_LEN];
	json_t	   *payload = json_loadb(receipt->payload, receipt->payload_len, JSON_REJECT_DUPLICATES, NULL);
	const char *origin = json_string_value(json_object_get(payload, "origin"));
	bool		same = origin != NULL && strcmp(origin, receipt->origin) == 0;
	const char *slash;

	json_decref(payload);
	if (!same)
		return error_set(error, CORE_MALFORMED, "the payload is not an entry of \"%.60s\"", receipt->origin);
	if (!note_parse_block(receipt->checkpoint, receipt->checkpoint_len, block, error))
		return false;
	slash = strrchr(block->name, '/');
	if (slash == NULL || strcmp(slash + 1, receipt->origin) != 0)
		return error_set(error, CORE_MALFORMED, "the checkpoint is one of \"%.100s\"", block->name);
	if (block->size != receipt->tree_size)
		return error_set(error, CORE_MALFORMED, "the checkpoint is over %llu entries, the proof over %llu",
						 (unsigned long long) block->size, (unsigned long long) receipt->tree_size);
	if (!hash_leaf(receipt->payload, receipt->payload_len, leaf) ||
		proof_check_inclusion(leaf, receipt->index, receipt->tree_size, receipt->hashes[0], receipt->nhashes, block->root) != PROOF_VALID)
		return error_set(error, CORE_MALFORMED, "the proof does not lead from the entry to the checkpoint's root");
	return true;
}

/* The checkpoint is signed by the ledger key, which is that of a certificate under the anchors. */
static bool
receipt_check_signer(const Receipt *receipt, const NoteBlock *block, const Options *options, CoreError *error)
{
	Key		   *key = key_from_pem(receipt->ledger_key, strlen(receipt->ledger_key), error);
	Key		   *certified = key_from_pem(receipt->certificate, strlen(receipt->certificate), error);
	char	   *spelling = key != NULL ? key_to_pem(key, error) : NULL;
	char		reason[CORE_MESSAGE_LEN];
	struct tm	sealed = {0};
	bool		fine = false;

	if (key == NULL || certified == NULL || spelling == NULL)
		;						/* error is set */
	else if (strcmp(spelling, receipt->ledger_key) != 0 ||
			 !certificate_canonical(receipt->certificate, strlen(receipt->certificate)))
		error_set(error, CORE_MALFORMED, "key or certificate is not in its canonical spelling");
	else if (!key_same(key, certified))
		error_set(error, CORE_UNSUPPORTED, "the ledger key is not the certificate's: verify an export, which shows who configured it");
	else if (note_verify(receipt->checkpoint, receipt->checkpoint_len, block->name, key, error) != KEY_VALID)
		error_set(error, CORE_MALFORMED, "the checkpoint is not signed with the ledger key");
	else if (strptime(block->sealed, "%Y-%m-%dT%H:%M:%S", &sealed) == NULL)
		error_set(error, CORE_MALFORMED, "the checkpoint has no time");
	else
		switch (certificate_verify(receipt->certificate, strlen(receipt->certificate), options->anchors, strlen(options->anchors),
								   NULL, 0, CERTIFICATE_CRL_STRICT, (int64_t) timegm(&sealed), reason, error))
		{
			case CERTIFICATE_VALID:
				fine = true;
				break;
			case CERTIFICATE_INVALID:
				error_set(error, CORE_MALFORMED, "the certificate is not accepted: %.180s", reason);
				break;
			case CERTIFICATE_ERROR:
				break;
		}
	key_free_text(spelling);
	key_free(certified);
	key_free(key);
	return fine;
}

Verdict
verify_receipt(json_t *object, const Options *options, json_t *result, CoreError *error)
{
	Receipt		receipt;
	NoteBlock	block;

	if (options->anchors == NULL)
	{
		error_set(error, CORE_ACCESS, "a receipt is checked against trust anchors: give them with --anchors");
		return UNUSABLE;
	}
	if (!receipt_read(object, &receipt, error))
		return UNUSABLE;
	json_object_set_new(result, "origin", json_string(receipt.origin));
	json_object_set_new(result, "index", json_integer((json_int_t) receipt.index));
	json_object_set_new(result, "tree_size", json_integer((json_int_t) receipt.tree_size));
	if (!receipt_check_proof(&receipt, &block, error) || !receipt_check_signer(&receipt, &block, options, error))
	{
		json_object_set_new(result, "fault", json_string(error->message));
		return NOT_VERIFIED;
	}
	json_object_set_new(result, "sealed", json_string(block.sealed));
	return VERIFIED;
}
