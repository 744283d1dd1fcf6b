/*
 * medchain.c: what happens when the library is loaded: settings, hooks, workers.
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"

#include "access/audit_queue.h"
#include "access/binding.h"
#include "access/column_mask.h"
#include "access/grant_share.h"
#include "access/heirs.h"
#include "access/identity.h"
#include "access/identity_share.h"
#include "access/question.h"
#include "access/read_audit.h"
#include "access/read_copy.h"
#include "access/read_met.h"
#include "access/read_fingerprint.h"
#include "access/subject_guard.h"
#include "alliance/fold.h"
#include "core/hash.h"
#include "ledger/hooks.h"
#include "node/gate.h"
#include "node/launcher.h"
#include "node/reserve.h"
#include "node/restored.h"
#include "node/settings.h"
#include "node/shared.h"
#include "node/yield.h"
#include "rows/row_roles.h"
#include "rows/row_run.h"
#include "rows/row_set_read.h"
#include "rows/row_statement.h"
#include "rows/row_utility.h"
#include "sync/apply.h"
#include "sync/arrivals.h"
#include "sync/conceal.h"
#include "sync/copy.h"
#include "sync/drop_guard.h"
#include "sync/hold.h"
#include "sync/log_limit.h"
#include "sync/recovery.h"
#include "sync/restore.h"
#include "sync/witness.h"

PG_MODULE_MAGIC;

PGDLLEXPORT void _PG_init(void);

void
_PG_init(void)
{
	settings_define();

	/* the ledger knows nothing above it: this is where the floors are joined */
	ledger_hooks.is_governance = fold_is_governance;
	ledger_hooks.fold = fold_entries;
	ledger_hooks.witness = witness_note;
	ledger_hooks.arrived = arrivals_tell;
	ledger_hooks.unfold = fold_forget;
	ledger_hooks.changes_key = fold_changes_key;
	ledger_hooks.ledger_terms = fold_ledger_terms;
	ledger_hooks.may_seal = fold_may_seal;
	ledger_hooks.recovered = recovery_over;
	ledger_hooks.roles_due = binding_due;
	ledger_hooks.settle_roles = binding_settle;
	ledger_hooks.session_member = identity_session_member;
	ledger_hooks.settle_rows = row_run_settle;
	ledger_hooks.check_set = row_set_check;

	if (!process_shared_preload_libraries_in_progress)
		return;					/* only the pure functions will work, and the others say why */
	hash_prepare();
	restored_look();
	shared_install_hooks();
	launcher_install();
	yield_install();
	drop_guard_install();
	restore_install();
	row_roles_install();
	reserve_install();
	audit_queue_install();
	grant_share_install();
	identity_share_install();
	read_audit_install();
	read_copy_install();
	read_fingerprint_install();
	row_statement_install();
	gate_install();
	utility_install();
	question_install();
	column_mask_install();
	read_met_install();
	subject_guard_install();
	heirs_install();
	log_limit_install();		/* before: it is to see what others have concealed */
	conceal_init();
	hold_install();
	peer_settings_install();
	copy_install();
}
