/*
 * signer.c: signatures by the node's private key, asked for through shared memory.
 *
 * The key is in the sealer's memory and nowhere else.  A session puts the bytes to
 * be signed into shared memory and wakes the sealer, which writes the signature
 * before them.  There is room for a few texts; a long one, or one more, comes in a
 * segment of dynamic shared memory, which costs more than all the rest.  The sealer
 * refuses anything but a DSSE pre-authentication encoding of our payload types: no
 * session can make it sign a block, or something of another application.
 */
#include "postgres.h"

#include "fmgr.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "utils/builtins.h"
#include "utils/wait_event.h"

#include "compat.h"
#include "core/encode.h"
#include "core/envelope.h"
#include "ledger/home.h"
#include "ledger/signer.h"
#include "node/demand.h"
#include "node/shared.h"
#include "node/steady.h"

#define SIGNER_MESSAGE_MAX (16 * 1024 * 1024)

/* A request, there or here. */
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

/* Where what is to be signed is: in a segment, or else one of the texts. */
typedef struct SignerPlace
{
	dsm_segment *segment;
	int			room;
} SignerPlace;

static SignerMessage *
signer_message(const SignerPlace *place)
{
	return place->segment != NULL ? dsm_segment_address(place->segment) :
		(SignerMessage *) shared_state->sign_texts[place->room].bytes;
}

static void
signer_fill(const SignerPlace *place, const char *pae, size_t len)
{
	SignerMessage *message = signer_message(place);

	message->length = len;
	memcpy(message->bytes, pae, len);
}

/* Room for so many bytes; false: there is none but in a segment. */
static bool
signer_reserve(size_t size, SignerPlace *place)
{
	place->segment = NULL;
	place->room = -1;
	if (size > SHARED_SIGN_BYTES)
		return false;
	LWLockAcquire(shared_state->lock, LW_EXCLUSIVE);
	for (int i = 0; i < SHARED_SIGN_TEXTS && place->room < 0; i++)
		if (!shared_state->sign_texts[i].used)
		{
			shared_state->sign_texts[i].used = true;
			place->room = i;
		}
	LWLockRelease(shared_state->lock);
	return place->room >= 0;
}

static SignRequest *
signer_claim(SharedDatabase *slot, const SignerPlace *place)
{
	SignRequest *mine = NULL;

	LWLockAcquire(shared_state->lock, LW_EXCLUSIVE);
	for (int i = 0; i < SHARED_SIGN_REQUESTS && mine == NULL; i++)
		if (slot->sign[i].state == SIGN_FREE)
		{
			mine = &slot->sign[i];
			mine->state = SIGN_REQUESTED;
			mine->room = place->room;
			mine->message = place->segment != NULL ? dsm_segment_handle(place->segment) :
				DSM_HANDLE_INVALID;
		}
	LWLockRelease(shared_state->lock);
	return mine;
}

/* Nobody needs the text any more.  The caller holds the lock exclusively, here and below. */
static void
signer_free_text(int room)
{
	if (room >= 0)
		shared_state->sign_texts[room].used = false;
}

static void
signer_free(SignRequest *request)
{
	signer_free_text(request->room);
	request->state = SIGN_FREE;
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
	if (request->state == SIGN_REQUESTED)
		request->state = SIGN_ABANDONED;
	else
		signer_free(request);
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

/* What came of it: without the bytes. */
typedef struct SignerAnswer
{
	size_t		length;
	uint8_t		signature[KEY_SIGNATURE_MAX];
	char		fingerprint[65];
} SignerAnswer;

/* What a session has to give back, also if it ends while it waits. */
typedef struct SignerWait
{
	SharedDatabase *slot;
	SignRequest *request;		/* NULL: not yet */
	int			room;
} SignerWait;

static void
signer_give_up(int code, Datum arg)
{
	SignerWait *wait = (SignerWait *) DatumGetPointer(arg);

	if (wait->request != NULL)
		signer_release(wait->slot, wait->request);
	else
	{
		LWLockAcquire(shared_state->lock, LW_EXCLUSIVE);
		signer_free_text(wait->room);
		LWLockRelease(shared_state->lock);
	}
}

static void
signer_ask(const SignerPlace *place, SignerAnswer *answer)
{
	SharedDatabase *slot = shared_database();
	SignerWait	wait = {slot, NULL, place->room};
	SignRequest *request = NULL;
	SignState	state;
	TimestampTz start = steady_now();
	uint64		number = 0;

	PG_ENSURE_ERROR_CLEANUP(signer_give_up, PointerGetDatum(&wait));
	{
		ConditionVariablePrepareToSleep(&slot->changed);
		while ((request = signer_claim(slot, place)) == NULL)
			signer_sleep(slot, &number, start);
		wait.request = request;
		number = shared_wake(slot, WORKER_SEALER);
		while ((state = signer_state(request)) == SIGN_REQUESTED)
			signer_sleep(slot, &number, start);
		ConditionVariableCancelSleep();
	}
	PG_END_ENSURE_ERROR_CLEANUP(signer_give_up, PointerGetDatum(&wait));
	if (state == SIGN_DONE)
	{
		const SignerMessage *message = signer_message(place);

		answer->length = Min(message->signature_length, sizeof(answer->signature));
		memcpy(answer->signature, message->signature, answer->length);
		strlcpy(answer->fingerprint, message->fingerprint, sizeof(answer->fingerprint));
	}
	signer_release(slot, request);
	if (state != SIGN_DONE)
		ereport(ERROR,
				(errcode(ERRCODE_EXTERNAL_ROUTINE_EXCEPTION),
				 errmsg("the sealer refused to sign"),
				 errhint("See the server log.")));
}

static void
signer_roundtrip(const char *pae, size_t len, SignerAnswer *answer)
{
	size_t		size = offsetof(SignerMessage, bytes) + len;
	SignerPlace place;

	if (len > SIGNER_MESSAGE_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("what is to be signed is longer than %d bytes", SIGNER_MESSAGE_MAX)));
	if (!signer_reserve(size, &place))
		place.segment = dsm_create(size, 0);
	signer_fill(&place, pae, len);
	signer_ask(&place, answer);
	if (place.segment != NULL)
		dsm_detach(place.segment);
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
signer_sign(SharedDatabase *slot, int room, dsm_handle handle, const Key *key)
{
	SignerPlace place = {.room = room};
	SignerMessage *message;
	SignState	result = SIGN_FAILED;
	CoreError	error = {0};

	if (room < 0 && (place.segment = dsm_attach(handle)) == NULL)
		return SIGN_FAILED;		/* the requester is gone */
	message = signer_message(&place);
	if (!signer_may_sign(message))
		ereport(LOG, (errmsg("medchain: refused to sign something that is neither a protocol, a "
							 "contract nor a change of key")));
	else if (!key_sign(key, message->bytes, message->length, message->signature,
					   &message->signature_length, &error))
	{
		char		problem[CORE_TEXT_LEN];

		error_text(&error, problem);
		ereport(LOG, (errmsg("medchain: could not sign: %s", problem)));
	}
	else
	{
		/* nobody else writes it */
		strlcpy(message->fingerprint, slot->key_fingerprint, sizeof(message->fingerprint));
		result = SIGN_DONE;
	}
	if (place.segment != NULL)
		dsm_detach(place.segment);
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
		int			room;

		/* who has put something there woke us behind it */
		if (request->state == SIGN_FREE)
			continue;
		LWLockAcquire(shared_state->lock, LW_EXCLUSIVE);
		if (request->state == SIGN_ABANDONED)
			signer_free(request);
		state = request->state;
		handle = request->message;
		room = request->room;
		LWLockRelease(shared_state->lock);
		if (state != SIGN_REQUESTED)
			continue;

		result = signer_sign(slot, room, handle, key);
		LWLockAcquire(shared_state->lock, LW_EXCLUSIVE);
		if (request->state == SIGN_ABANDONED)
			signer_free(request);
		else
			request->state = result;
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
	SignerAnswer answer;
	char	   *payload64 = palloc(ENCODE_BASE64_SIZE(len));
	char		signature64[ENCODE_BASE64_SIZE(KEY_SIGNATURE_MAX)];
	StringInfoData out;

	demand_sealer("medchain_internal.sign_envelope()", false);
	(void) home_require();
	envelope_pae(type, payload, len, pae);
	signer_roundtrip((char *) pae, size, &answer);
	encode_base64((uint8_t *) payload, len, payload64);
	encode_base64(answer.signature, answer.length, signature64);

	/* the type is one of ours, and base64 needs no escaping */
	initStringInfo(&out);
	appendStringInfo(&out,
					 "{\"payloadType\":\"%s\",\"payload\":\"%s\","
					 "\"signatures\":[{\"keyid\":\"%s\",\"sig\":\"%s\"}]}",
					 type, payload64, answer.fingerprint, signature64);
	PG_RETURN_TEXT_P(cstring_to_text_with_len(out.data, out.len));
}
