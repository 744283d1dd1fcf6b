/*
 * signer.c: signatures by the node's private key, asked for through shared memory.
 *
 * The key is in the sealer's memory and nowhere else.  A session puts the bytes to
 * be signed into a dynamic shared memory segment and wakes the sealer, which
 * writes the signature behind them.  The sealer refuses anything but a DSSE
 * pre-authentication encoding of our two payload types: no session can make it
 * sign a block, or something of another application.
 */
#include "postgres.h"

#include "fmgr.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "compat.h"
#include "core/encode.h"
#include "core/envelope.h"
#include "ledger/home.h"
#include "ledger/signer.h"
#include "node/demand.h"
#include "node/shared.h"

#define SIGNER_MESSAGE_MAX (16 * 1024 * 1024)

/* What the segment holds. */
typedef struct SignerMessage
{
	size_t		length;
	size_t		signature_length;	/* set by the sealer */
	uint8_t		signature[KEY_SIGNATURE_MAX];
	char		fingerprint[65];
	char		bytes[FLEXIBLE_ARRAY_MEMBER];
} SignerMessage;

static const char *const signable[] = {
	"application/vnd.medchain.protocol+json",
	"application/vnd.medchain.contract+json",
	"application/vnd.medchain.rekey+json",
	"application/vnd.medchain.anchors+json"
};

static SignRequest *
signer_claim(SharedDatabase *slot, dsm_handle handle)
{
	SignRequest *mine = NULL;

	LWLockAcquire(shared_state->lock, LW_EXCLUSIVE);
	for (int i = 0; i < SHARED_SIGN_REQUESTS && mine == NULL; i++)
		if (slot->sign[i].state == SIGN_FREE)
		{
			mine = &slot->sign[i];
			mine->state = SIGN_REQUESTED;
			mine->message = handle;
		}
	LWLockRelease(shared_state->lock);
	return mine;
}

static SignState
signer_state(SignRequest *request)
{
	SignState	state;

	LWLockAcquire(shared_state->lock, LW_SHARED);
	state = request->state;
	LWLockRelease(shared_state->lock);
	return state;
}

/* Give the slot back; while the sealer has yet to look at it, it must do so itself. */
static void
signer_release(SharedDatabase *slot, SignRequest *request)
{
	LWLockAcquire(shared_state->lock, LW_EXCLUSIVE);
	request->state = (request->state == SIGN_REQUESTED) ? SIGN_ABANDONED : SIGN_FREE;
	LWLockRelease(shared_state->lock);
	ConditionVariableBroadcast(&slot->changed);
}

/* Sleep until something changes; ERROR if there is nobody to wait for. */
static void
signer_sleep(SharedDatabase *slot, uint64 *number, TimestampTz since)
{
	DemandProblem problem;
	SealerState state;
	char		error[SHARED_ERROR_LEN];

	LWLockAcquire(shared_state->lock, LW_SHARED);
	state = slot->state;
	strlcpy(error, slot->error, sizeof(error));
	LWLockRelease(shared_state->lock);
	if (state == SEALER_FAILED)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the sealer cannot sign"),
				 errdetail("%s", error),
				 errhint("Set medchain.signing_key to this node's private key and reload the "
						 "configuration.")));
	if (demand_problem(slot, WORKER_SEALER, number, since, &problem))
		demand_report(ERROR, &problem);
	ConditionVariableTimedSleep(&slot->changed, 1000, compat_wait_event("MedchainSigner"));
}

static SignerMessage *
signer_ask(const char *pae, size_t len, dsm_segment *segment)
{
	SharedDatabase *slot = shared_database();
	SignerMessage *message = dsm_segment_address(segment);
	SignRequest *request = NULL;
	SignState	state;
	TimestampTz start = GetCurrentTimestamp();
	uint64		number = 0;

	message->length = len;
	memcpy(message->bytes, pae, len);

	PG_TRY();
	{
		ConditionVariablePrepareToSleep(&slot->changed);
		while ((request = signer_claim(slot, dsm_segment_handle(segment))) == NULL)
			signer_sleep(slot, &number, start);
		number = shared_wake(slot, WORKER_SEALER);
		while ((state = signer_state(request)) == SIGN_REQUESTED)
			signer_sleep(slot, &number, start);
		ConditionVariableCancelSleep();
	}
	PG_CATCH();
	{
		if (request != NULL)
			signer_release(slot, request);
		PG_RE_THROW();
	}
	PG_END_TRY();
	signer_release(slot, request);
	if (state != SIGN_DONE)
		ereport(ERROR,
				(errcode(ERRCODE_EXTERNAL_ROUTINE_EXCEPTION),
				 errmsg("the sealer refused to sign"),
				 errhint("See the server log.")));
	return message;
}

static SignerMessage *
signer_roundtrip(const char *pae, size_t len, dsm_segment **segment)
{
	if (len > SIGNER_MESSAGE_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("what is to be signed is longer than %d bytes", SIGNER_MESSAGE_MAX)));
	*segment = dsm_create(offsetof(SignerMessage, bytes) + len, 0);
	return signer_ask(pae, len, *segment);
}

/* Anything else is refused, so that a session can never obtain a signature over a block. */
static bool
signer_may_sign(const SignerMessage *message)
{
	for (size_t i = 0; i < lengthof(signable); i++)
	{
		char		prefix[128];
		int			len = snprintf(prefix, sizeof(prefix), "DSSEv1 %zu %s ", strlen(signable[i]),
								   signable[i]);

		if (message->length > (size_t) len && memcmp(message->bytes, prefix, len) == 0)
			return true;
	}
	return false;
}

static SignState
signer_sign(dsm_handle handle, const Key *key)
{
	dsm_segment *segment = dsm_attach(handle);
	SignerMessage *message;
	SignState	result = SIGN_FAILED;
	CoreError	error = {0};

	if (segment == NULL)
		return SIGN_FAILED;		/* the requester is gone */
	message = dsm_segment_address(segment);
	if (!signer_may_sign(message))
		ereport(LOG, (errmsg("medchain: refused to sign something that is neither a protocol, a "
							 "contract nor a change of key")));
	else if (!key_sign(key, message->bytes, message->length, message->signature,
					   &message->signature_length, &error) ||
			 !key_fingerprint(key, message->fingerprint))
	{
		char		problem[CORE_TEXT_LEN];

		error_text(&error, problem);
		ereport(LOG, (errmsg("medchain: could not sign: %s", problem)));
	}
	else
		result = SIGN_DONE;
	dsm_detach(segment);
	return result;
}

void
signer_serve(SharedDatabase *slot, const Key *key)
{
	for (int i = 0; i < SHARED_SIGN_REQUESTS; i++)
	{
		SignRequest *request = &slot->sign[i];
		SignState	state;
		SignState	result;
		dsm_handle	handle;

		LWLockAcquire(shared_state->lock, LW_EXCLUSIVE);
		if (request->state == SIGN_ABANDONED)
			request->state = SIGN_FREE;
		state = request->state;
		handle = request->message;
		LWLockRelease(shared_state->lock);
		if (state != SIGN_REQUESTED)
			continue;

		result = signer_sign(handle, key);
		LWLockAcquire(shared_state->lock, LW_EXCLUSIVE);
		request->state = (request->state == SIGN_ABANDONED) ? SIGN_FREE : result;
		LWLockRelease(shared_state->lock);
		ConditionVariableBroadcast(&slot->changed);
	}
}

PG_FUNCTION_INFO_V1(medchain_sign_envelope);

/*
 * sign_envelope(payload_type text, payload text) -> json: a DSSE envelope (secure-systems-lab/dsse,
 * envelope.md) with this node's signature.
 */
Datum
medchain_sign_envelope(PG_FUNCTION_ARGS)
{
	char	   *type = text_to_cstring(PG_GETARG_TEXT_PP(0));
	char	   *payload = text_to_cstring(PG_GETARG_TEXT_PP(1));
	size_t		len = strlen(payload);
	size_t		size = envelope_pae_size(type, len);
	uint8_t    *pae = palloc(size);
	dsm_segment *segment;
	SignerMessage *message;
	char	   *payload64 = palloc(ENCODE_BASE64_SIZE(len));
	char		signature64[ENCODE_BASE64_SIZE(KEY_SIGNATURE_MAX)];
	StringInfoData out;

	demand_sealer("medchain.sign_envelope()", false);
	(void) home_require();
	envelope_pae(type, payload, len, pae);
	message = signer_roundtrip((char *) pae, size, &segment);
	encode_base64((uint8_t *) payload, len, payload64);
	encode_base64(message->signature, message->signature_length, signature64);

	/* the type is one of ours, and base64 needs no escaping */
	initStringInfo(&out);
	appendStringInfo(&out,
					 "{\"payloadType\":\"%s\",\"payload\":\"%s\","
					 "\"signatures\":[{\"keyid\":\"%s\",\"sig\":\"%s\"}]}",
					 type, payload64, message->fingerprint, signature64);
	dsm_detach(segment);
	PG_RETURN_TEXT_P(cstring_to_text_with_len(out.data, out.len));
}
