/*
 * recovery_look.c: what one peer has of the end of this node's own chain (see recovery.h).
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "core/hash.h"
#include "core/note.h"
#include "ledger/chain.h"
#include "ledger/local_node.h"
#include "ledger/screen.h"
#include "node/steady.h"
#include "node/trusted.h"
#include "node/worker.h"
#include "sync/fetch_copy.h"
#include "sync/recovery_claims.h"
#include "sync/recovery_look.h"

#define LOOK_PATIENCE 5000		/* milliseconds for an answer */

/* Of a peer's answer. */
typedef struct RecoveryLook
{
	const LocalNode *node;
	ChainCheck	check;
	RecoveryDecision decision;
	bool		decided;		/* it has another chain, and had it when that was made */
	RecoveryAnswer answer;
} RecoveryLook;

static void
recovery_take(void *arg, int64 height, char *note)
{
	RecoveryLook *look = arg;
	TrustedScope scope;
	bool		is_signed;
	uint8_t		hash[HASH_LEN];
	size_t		len;

	if (height != look->check.height && height != look->check.height + 1 &&
		height != look->decision.height)
		ereport(ERROR,
				(errcode(ERRCODE_PROTOCOL_VIOLATION),
				 errmsg("the peer sent something else than was asked for")));
	trusted_begin(&scope);
	is_signed = screen_signed(look->node, look->node->node, height, note);
	trusted_end(&scope);
	if (!note_text_length(note, strlen(note), &len, NULL) || !hash_sha256(note, len, hash) ||
		(height == look->check.height && hash_equal(hash, look->check.head)) ||
		(height == look->decision.height && hash_equal(hash, look->decision.hash)))
		return;
	if (!is_signed)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
			   errmsg("it has a block %lld of this chain that is not signed with the key that is "
					  "known here", (long long) height)));
	if (height == look->decision.height)
		look->decided = true;
	if (height == look->check.height)
		look->answer = ANSWER_OTHER;
	else if (height < look->check.height)
		return;
	else if (look->answer == ANSWER_SAME)
		look->answer = ANSWER_MORE;
}

RecoveryAnswer
recovery_look(SharedDatabase *slot, WalReceiverConn *connection, const char *source,
			  int64 *height)
{
	MemoryContext lasting = CurrentMemoryContext;
	TimestampTz until = TimestampTzPlusMilliseconds(steady_now(), LOOK_PATIENCE);
	TrustedScope scope;
	LocalNode	node;
	RecoveryLook look = {.node = &node, .answer = ANSWER_SAME};

	worker_begin(slot, "asking a peer for the end of this node's chain");
	trusted_begin(&scope);
	if (!local_node_read(&node) || !node.at_home)
		worker_retire();
	chain_load(&node, node.node, CHAIN_SNAPSHOT, &look.check);
	*height = look.check.height;
	recovery_decision_read(node.node, &look.decision);
	fetch_copy(connection,
			   psprintf("COPY (SELECT height, note FROM medchain.block WHERE origin "
						"OPERATOR(pg_catalog.=) %s AND height OPERATOR(pg_catalog.=) ANY "
						"(ARRAY[" INT64_FORMAT ", " INT64_FORMAT ", " INT64_FORMAT
						"]::pg_catalog.int8[]) ORDER BY height) TO STDOUT",
						quote_literal_cstr(node.node), *height, *height + 1,
						look.decision.height), 3, until, recovery_take, &look);
	recovery_claims_ask(connection, source, node.node, *height, &look.decision, until);
	trusted_end(&scope);
	worker_commit();
	MemoryContextSwitchTo(lasting);
	if (!look.decided)
		return look.answer;
	ereport(LOG,
			(errmsg("medchain: \"%s\" has another chain of this node: block %lld, with which "
					"take_over(without_peers => true) is on the ledger here, is another one there",
					source, (long long) look.decision.height),
			 errhint("The data centre has to say which of them counts: see medchain.rekey() "
					 "(last_height), and the view medchain.forks.")));
	return ANSWER_SAME;
}
