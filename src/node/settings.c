/*
 * settings.c: define the configuration parameters.
 *
 * signing_key and pseudonym_key_file are superuser settings rather than
 * server-wide ones, so that ALTER DATABASE ... SET can give each database of one
 * server its own node; the workers take them over from the database's settings.
 * Neither holds a secret itself, but where a secret lies is nobody's business.
 */
#include "postgres.h"

#include <limits.h>
#include <unistd.h>

#include "miscadmin.h"
#include "postmaster/bgworker_internals.h"
#include "utils/guc.h"

#include "core/block.h"
#include "core/certificate.h"
#include "node/settings.h"

#define CLAIMED_MAX 1024

char	   *setting_signing_key;
char	   *setting_signing_key_passphrase_command;
char	   *setting_pseudonym_key_file;
int			setting_seal_interval;
int			setting_block_max_entries;
int			setting_seal_timeout;
bool		setting_wait_for_seal;
int			setting_witness_interval;
int			setting_max_clock_skew;
int			setting_quarantine_limit;
int			setting_verify_workers;
int			setting_max_databases;
bool		setting_auto_follow;
int			setting_recovery_timeout;
char	   *setting_peer_options;
char	   *setting_payloads;
int			setting_grant_cache_size;
int			setting_crl_policy;
int			setting_read_audit = READ_AUDIT_DEFAULT;
int			setting_read_audit_timeout;
bool		setting_read_audit_query_text;
char	   *setting_end_user;
char	   *setting_request_id;
char	   *setting_purpose;
uint64		setting_purpose_changes = 0;
int			setting_break_glass_time;

static const struct config_enum_entry crl_policies[] = {
	{"strict", CERTIFICATE_CRL_STRICT, false},
	{"last_known", CERTIFICATE_CRL_LAST_KNOWN, false},
	{NULL, 0, false}
};

static const struct config_enum_entry read_audits[] = {
	{"strict", READ_AUDIT_STRICT, false},
	{"async", READ_AUDIT_ASYNC, false},
	{"off", READ_AUDIT_OFF, false},
	{NULL, 0, false}
};

static void
settings_purpose(const char *value, void *extra)
{
	setting_purpose_changes++;
}

/* GucStringCheckHook: it goes on the ledger with each access. */
static bool
settings_claimed(char **value, void **extra, GucSource source)
{
	if (strlen(*value) <= CLAIMED_MAX)
		return true;
	GUC_check_errdetail("It goes on the ledger with each access: at most %d bytes.", CLAIMED_MAX);
	return false;
}

static void
settings_define_audit(void)
{
	DefineCustomEnumVariable("medchain.read_audit",
							 "Whether it goes on the ledger who reads protected rows.",
							 "strict: before any of them leaves the server; async: soon; off: not "
							 "at all. What is not strict is on the ledger as well.",
							 &setting_read_audit, READ_AUDIT_DEFAULT, read_audits,
							 PGC_SUSET, 0, NULL, NULL, NULL);

	DefineCustomIntVariable("medchain.read_audit_timeout",
							"Longest time a statement that reads protected rows waits until that "
							"is recorded.",
							"Afterwards it fails, and shows no rows.",
							&setting_read_audit_timeout, 10000, 1, INT_MAX,
							PGC_SUSET, GUC_UNIT_MS, NULL, NULL, NULL);

	DefineCustomBoolVariable("medchain.read_audit_query_text",
							 "Records the text of statements that read protected rows as well.",
							 "It goes to every member that has the payloads of accesses.",
							 &setting_read_audit_query_text, false,
							 PGC_SUSET, 0, NULL, NULL, NULL);

	DefineCustomStringVariable("medchain.end_user",
							   "Person on whose behalf the application reads and changes records.",
							   "Recorded as claimed.",
							   &setting_end_user, "",
							   PGC_USERSET, 0, settings_claimed, NULL, NULL);

	DefineCustomStringVariable("medchain.request_id",
							   "What the application calls the request that it serves.",
							   "Recorded as claimed.",
							   &setting_request_id, "",
							   PGC_USERSET, 0, settings_claimed, NULL, NULL);

	DefineCustomStringVariable("medchain.purpose",
							   "For what records are read, such as a code of HL7 v3 PurposeOfUse.",
							   "What a protocol grants for a purpose is open where this is it. "
							   "Recorded as claimed.",
							   &setting_purpose, "",
							   PGC_USERSET, 0, settings_claimed, settings_purpose, NULL);

	DefineCustomIntVariable("medchain.break_glass_time",
							"How long medchain.break_glass() opens records when it is not said.",
							"At most as long as the policy break_glass_max allows.",
							&setting_break_glass_time, 3600, 1, 7 * 86400,
							PGC_USERSET, GUC_UNIT_S, NULL, NULL, NULL);
}

static void
settings_define_peers(void)
{
	DefineCustomBoolVariable("medchain.auto_follow",
							 "Follows every member that takes part and has said where it is.",
							 "As medchain.follow() does, as they come; who is expelled is let go.",
							 &setting_auto_follow, false,
							 PGC_SIGHUP, 0, NULL, NULL, NULL);

	DefineCustomIntVariable("medchain.recovery_timeout",
							"Longest time for which a node that starts seals nothing, as peers "
							"cannot be asked whether they have more of its chain than it has.",
							"-1: until all of them can be asked. Where more is known to be "
							"missing, or can be, at least one has to answer, however long it "
							"takes.",
							&setting_recovery_timeout, 10000, -1, INT_MAX,
							PGC_SIGHUP, GUC_UNIT_MS, NULL, NULL, NULL);

	DefineCustomStringVariable("medchain.peer_options",
							   "How medchain.follow() logs in at other members.",
						   "A libpq connection string: user, sslcert, sslkey, sslrootcert and so "
							   "on; what it says counts for more than what the member says.",
							   &setting_peer_options, "",
							   PGC_SUSET, GUC_SUPERUSER_ONLY, NULL, NULL, NULL);

	DefineCustomStringVariable("medchain.payloads",
							   "Entries that medchain.follow() takes with their payloads.",
							 "\"all\"; \"governance\"; or kinds of entries, separated by commas, "
							   "beside governance.",
							   &setting_payloads, "all",
							   PGC_SIGHUP, 0, NULL, NULL, NULL);
}

/* Half of the cores. */
static int
settings_default_workers(void)
{
	long		cores = sysconf(_SC_NPROCESSORS_ONLN);

	return (int) Max(1, Min(cores / 2, MAX_PARALLEL_WORKER_LIMIT));
}

void
settings_define(void)
{
	DefineCustomStringVariable("medchain.signing_key",
							"Private key that signs this node's blocks, protocols and contracts.",
							   "A file name or an OSSL_STORE URI; read by the sealer alone.",
							   &setting_signing_key, "",
							   PGC_SUSET, GUC_SUPERUSER_ONLY, NULL, NULL, NULL);

	DefineCustomStringVariable("medchain.signing_key_passphrase_command",
							   "Command that writes the passphrase, or PIN, of "
							   "medchain.signing_key.",
							   "Run by the sealer, as ssl_passphrase_command is by the server: %p "
							   "stands for a prompt.",
							   &setting_signing_key_passphrase_command, "",
							   PGC_SUSET, GUC_SUPERUSER_ONLY, NULL, NULL, NULL);

	DefineCustomStringVariable("medchain.pseudonym_key_file",
							   "File with the alliance's key for pseudonyms of examinees.",
							   "The same key on every member of the alliance.",
							   &setting_pseudonym_key_file, "",
							   PGC_SUSET, GUC_SUPERUSER_ONLY, NULL, NULL, NULL);

	DefineCustomIntVariable("medchain.seal_interval",
							"Longest time a committed entry waits for the next block.",
							NULL,
							&setting_seal_interval, 200, 1, 3600 * 1000,
							PGC_SIGHUP, GUC_UNIT_MS, NULL, NULL, NULL);

	DefineCustomIntVariable("medchain.block_max_entries",
							"Most entries sealed in one block.",
							NULL,
							&setting_block_max_entries, 10000, 1, BLOCK_ENTRIES_MAX,
							PGC_SIGHUP, 0, NULL, NULL, NULL);

	DefineCustomIntVariable("medchain.seal_timeout",
							"Longest time a commit waits for its entries to be sealed.",
							"Zero waits for ever. The transaction is committed either way.",
							&setting_seal_timeout, 30000, 0, INT_MAX,
							PGC_USERSET, GUC_UNIT_MS, NULL, NULL, NULL);

	DefineCustomBoolVariable("medchain.wait_for_seal",
							 "Makes the commit of data and access entries wait until they are "
							 "sealed.",
							 "Entries of governance always wait.",
							 &setting_wait_for_seal, false,
							 PGC_USERSET, 0, NULL, NULL, NULL);

	DefineCustomIntVariable("medchain.witness_interval",
							"Shortest time between two cosignatures of the same chain's blocks.",
						  "On average a member cosigns ten blocks in that time at most. Zero: it "
							"cosigns none.",
							&setting_witness_interval, 10000, 0, 24 * 3600 * 1000,
							PGC_SIGHUP, GUC_UNIT_MS, NULL, NULL, NULL);

	DefineCustomIntVariable("medchain.max_clock_skew",
							"How far in the future a peer's block may have been sealed.",
						  "By this server's clock; what is further ahead waits until then. Zero: "
							"no limit.",
							&setting_max_clock_skew, 600, 0, INT_MAX,
							PGC_SIGHUP, GUC_UNIT_S, NULL, NULL, NULL);

	DefineCustomIntVariable("medchain.quarantine_limit",
							"Rows of medchain.quarantine that are kept of each source.",
							"And as many that are signed with the chain's key. What is beyond is "
							"refused without a row.",
							&setting_quarantine_limit, 1000, 10, 1000000,
							PGC_SIGHUP, 0, NULL, NULL, NULL);

	DefineCustomIntVariable("medchain.verify_workers",
							"Background workers that medchain.verify() takes for the walk through "
							"the chains.",
							"By default half of the cores. Zero: the session does it alone. "
							"max_parallel_workers and max_worker_processes limit it further.",
							&setting_verify_workers, settings_default_workers(), 0,
							MAX_PARALLEL_WORKER_LIMIT,
							PGC_USERSET, 0, NULL, NULL, NULL);

	DefineCustomIntVariable("medchain.max_databases",
							"Databases of this server in which medchain can be used.",
				  "Each takes about 4 kB of shared memory. A dropped one makes room for another.",
							&setting_max_databases, 1000, 1, 1000000,
	/* without preloading there is no shared memory that it could be for */
					   process_shared_preload_libraries_in_progress ? PGC_POSTMASTER : PGC_SIGHUP,
							0, NULL, NULL, NULL);

	DefineCustomIntVariable("medchain.grant_cache_size",
							"Shared memory for what members have been granted, of all databases.",
							"Taken when it is needed. Of members for whom there is no room, each "
							"subject is looked up when it is asked for. Zero: of all members.",
							&setting_grant_cache_size, 256 * 1024, 0, MAX_KILOBYTES,
							PGC_SIGHUP, GUC_UNIT_KB, NULL, NULL, NULL);

	DefineCustomEnumVariable("medchain.crl_policy",
							 "What verify_certificate() takes from revocation lists that have "
							 "expired or are not valid yet.",
							 "strict: nothing, so that what their issuer issued is not accepted; "
							 "last_known: the revocations in them.",
							 &setting_crl_policy, CERTIFICATE_CRL_STRICT, crl_policies,
							 PGC_SUSET, 0, NULL, NULL, NULL);

	settings_define_audit();
	settings_define_peers();
	MarkGUCPrefixReserved("medchain");
}
