/*
 * verify_receipt.c: check one entry alone: payload, inclusion proof, signed checkpoint,
 * certificate.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/encode.h"
#include "core/proof.h"
#include "kept.h"
#include "payload.h"
#include "report.h"

typedef struct Receipt
{
	const char *origin;
	uint64_t	index;
	uint64_t	tree_size;
	Payload		payload;
	const char *checkpoint;
	size_t		checkpoint_len;
	const char *certificate;
	const char *ledger_key;
	json_t	   *row;			/* of a row proof; else NULL */
	json_t	   *disclosure;		/* of a disclosure proof; else NULL */
	uint8_t		hashes[INPUT_HASHES_MAX][HASH_LEN];
	int			nhashes;
} Receipt;

static bool
receipt_read(json_t *object, Receipt *receipt, CoreError *error)
{
	static const char *const fields[] = {
		"type", "index", "hashes", "origin", "payload", "tree_size", "checkpoint", "ledger_key",
		"certificate", NULL
	};
	static const char *const row_fields[] = {
		"row", "type", "index", "hashes", "origin", "payload", "tree_size", "checkpoint",
		"ledger_key", "certificate", NULL
	};
	static const char *const disclosure_fields[] = {
		"type", "index", "hashes", "origin", "payload", "tree_size", "checkpoint",
		"disclosure", "ledger_key", "certificate", NULL
	};
	static const char *const base64_fields[] = {
		"type", "index", "hashes", "origin", "tree_size", "checkpoint", "ledger_key",
		"certificate", "payload_base64", NULL
	};
	bool		plain = strcmp(payload_field(object), "payload") == 0;
	const char *type = json_string_value(json_object_get(object, "type"));
	bool		has_row = strcmp(type, "row_proof") == 0;
	bool		discloses = strcmp(type, "disclosure_proof") == 0;

	receipt->row = has_row ? json_object_get(object, "row") : NULL;
	receipt->disclosure = discloses ? json_object_get(object, "disclosure") : NULL;
	if (!input_fields(object, has_row ? row_fields : discloses ? disclosure_fields :
					  plain ? fields : base64_fields, error) ||
		!input_string(object, "origin", &receipt->origin, NULL, error) ||
		!input_number(object, "index", &receipt->index, error) ||
		!input_number(object, "tree_size", &receipt->tree_size, error) ||
		!payload_load(object, &receipt->payload, error) ||
		!input_string(object, "checkpoint", &receipt->checkpoint, &receipt->checkpoint_len,
					  error) ||
		!input_string(object, "certificate", &receipt->certificate, NULL, error) ||
		!input_string(object, "ledger_key", &receipt->ledger_key, NULL, error))
		return false;
	return input_hashes(object, "hashes", receipt->hashes, &receipt->nhashes, error);
}

/* The entry is in the tree that the checkpoint names. */
static bool
receipt_check_proof(Receipt *receipt, NoteBlock *block, CoreError *error)
{
	uint8_t		leaf[HASH_LEN];
	const char *slash;

	if (!payload_is_of(&receipt->payload, receipt->origin))
		return error_set(error, CORE_MALFORMED, "the payload is not an entry of \"%.60s\"",
						 receipt->origin);
	if (!note_parse_block(receipt->checkpoint, receipt->checkpoint_len, block, error))
		return false;
	slash = strrchr(block->name, '/');
	if (slash == NULL || strcmp(slash + 1, receipt->origin) != 0)
		return error_set(error, CORE_MALFORMED, "the checkpoint is one of \"%.100s\"", block->name);
	if (block->size != receipt->tree_size)
		return error_set(error, CORE_MALFORMED,
						 "the checkpoint is over %llu entries, the proof over %llu",
					   (unsigned long long) block->size, (unsigned long long) receipt->tree_size);
	if (!hash_leaf(receipt->payload.text, receipt->payload.len, leaf) ||
		proof_check_inclusion(leaf, receipt->index, receipt->tree_size, receipt->hashes[0],
							  receipt->nhashes, block->root) != PROOF_VALID)
		return error_set(error, CORE_MALFORMED,
						 "the proof does not lead from the entry to the checkpoint's root");
	return true;
}

/*
 * Checkpoints that were kept elsewhere must be the receipt's, or else the receipt says nothing
 * about them.
 */
static Verdict
receipt_compare_checkpoints(const Receipt *receipt, const NoteBlock *block, const Options *options,
							CoreError *error)
{
	uint8_t		head[HASH_LEN];
	size_t		textlen;

	if (!note_text_length(receipt->checkpoint, receipt->checkpoint_len, &textlen, error) ||
		!hash_sha256(receipt->checkpoint, textlen, head))
		return UNUSABLE;
	for (int i = 0; i < options->ncheckpoints; i++)
	{
		NoteBlock	kept;
		uint8_t		hash[HASH_LEN];

		if (!kept_read(options, i, &kept, hash, error))
			return UNUSABLE;
		if (strcmp(kept.name, block->name) != 0 || kept.height != block->height)
		{
			error_set(error, CORE_UNSUPPORTED,
					  "the receipt is of block %llu of \"%.60s\", the checkpoint of block %llu of "
					  "\"%.60s\": verify an export",
					  (unsigned long long) block->height, block->name,
					  (unsigned long long) kept.height, kept.name);
			return UNUSABLE;
		}
		if (!hash_equal(hash, head))
		{
			error_set(error, CORE_MALFORMED,
					  "the checkpoint kept elsewhere is another block than the receipt's");
			return NOT_VERIFIED;
		}
	}
	return VERIFIED;
}

/* The checkpoint is signed by the ledger key, which is that of a certificate under the anchors. */
static bool
receipt_check_signer(const Receipt *receipt, const NoteBlock *block, const Options *options,
					 CoreError *error)
{
	Key		   *key = key_from_pem(receipt->ledger_key, strlen(receipt->ledger_key), error);
	Key		   *certified = key_from_pem(receipt->certificate, strlen(receipt->certificate), error);
	char	   *spelling = key != NULL ? key_to_pem(key, error) : NULL;
	char	   *certificate = (certified != NULL ?
			certificate_to_pem(receipt->certificate, strlen(receipt->certificate), error) : NULL);
	char		reason[CORE_MESSAGE_LEN];
	struct tm	sealed = {0};
	bool		fine = false;

	if (key == NULL || certified == NULL || spelling == NULL || certificate == NULL)
		;						/* error is set */
	else if (strcmp(spelling, receipt->ledger_key) != 0 ||
			 strcmp(certificate, receipt->certificate) != 0)
		error_set(error, CORE_MALFORMED, "key or certificate is not in its canonical spelling");
	else if (!key_same(key, certified))
		error_set(error, CORE_UNSUPPORTED,
				  "the ledger key is not the certificate's: verify an export, which shows who "
				  "configured it");
	else if (note_verify(receipt->checkpoint, receipt->checkpoint_len, block->name, key, error) !=
			 KEY_VALID)
		error_set(error, CORE_MALFORMED, "the checkpoint is not signed with the ledger key");
	else if (strptime(block->sealed, "%Y-%m-%dT%H:%M:%S", &sealed) == NULL)
		error_set(error, CORE_MALFORMED, "the checkpoint has no time");
	else
		switch (certificate_verify(receipt->certificate, strlen(receipt->certificate),
								   options->anchors, strlen(options->anchors),
								   NULL, 0, CERTIFICATE_CRL_STRICT, (int64_t) timegm(&sealed),
								   reason, error))
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
	key_free_text(certificate);
	key_free(certified);
	key_free(key);
	return fine;
}

static Verdict
receipt_verify(Receipt *receipt, const Options *options, json_t *result, CoreError *error)
{
	NoteBlock	block;
	CertificateInfo signer;
	char		fingerprint[ENCODE_HEX_SIZE(HASH_LEN)];
	Verdict		verdict;

	json_object_set_new(result, "origin", json_string(receipt->origin));
	json_object_set_new(result, "index", json_integer((json_int_t) receipt->index));
	json_object_set_new(result, "tree_size", json_integer((json_int_t) receipt->tree_size));
	if (!receipt_check_proof(receipt, &block, error) ||
		!receipt_check_signer(receipt, &block, options, error))
		return NOT_VERIFIED;
	if (!receipt->payload.readable)
		json_object_set_new(result, "unreadable",
							json_pack("[{s:s, s:I, s:s}]", "chain", receipt->origin, "entry",
									  (json_int_t) receipt->index, "reason",
									  receipt->payload.unreadable.message));
	if (receipt->row != NULL && !verify_row(receipt->row, receipt->payload.text,
											receipt->payload.len, result, error))
		return NOT_VERIFIED;
	if (receipt->disclosure != NULL &&
		!verify_disclosure(receipt->disclosure, receipt->payload.text, receipt->payload.len,
						   result, error))
		return NOT_VERIFIED;
	verdict = receipt_compare_checkpoints(receipt, &block, options, error);
	if (verdict != VERIFIED)
		return verdict;

	/* the CA says whose certificate it is, the receipt does not: somebody has to look at it */
	if (!certificate_info(receipt->certificate, strlen(receipt->certificate), &signer, error))
		return UNUSABLE;
	encode_hex(signer.fingerprint, HASH_LEN, fingerprint);
	json_object_set_new(result, "sealed", json_string(block.sealed));
	json_object_set_new(result, "height", json_integer((json_int_t) block.height));
	json_object_set_new(result, "signer",
				  json_pack("{s:s, s:s, s:s}", "subject", signer.subject, "issuer", signer.issuer,
							"fingerprint", fingerprint));
	return VERIFIED;
}

Verdict
verify_receipt(json_t *object, const Options *options, json_t *result, CoreError *error)
{
	Receipt		receipt = {0};
	Verdict		verdict = UNUSABLE;

	if (options->anchors == NULL)
		error_set(error, CORE_ACCESS, "a receipt is checked against trust anchors: give them with "
				  "--anchors");
	else if (receipt_read(object, &receipt, error))
		verdict = receipt_verify(&receipt, options, result, error);
	payload_free(&receipt.payload);
	return verdict;
}
