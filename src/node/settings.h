/*
 * settings.h: the configuration parameters (PostgreSQL documentation, "Customized Options").
 */
#ifndef MEDCHAIN_NODE_SETTINGS_H
#define MEDCHAIN_NODE_SETTINGS_H

#include "postgres.h"

extern char *setting_signing_key;	/* OSSL_STORE URI or file name */
extern char *setting_signing_key_passphrase_command;
extern char *setting_pseudonym_key_file;
extern int	setting_seal_interval;	/* milliseconds */
extern int	setting_block_max_entries;
extern int	setting_seal_timeout;	/* milliseconds; 0 waits for ever */
extern bool setting_wait_for_seal;
extern int	setting_witness_interval;	/* milliseconds; 0: never */
extern int	setting_max_clock_skew;
extern int	setting_quarantine_limit;
extern int	setting_verify_workers;
extern int	setting_max_databases;	/* slots of shared memory */
extern bool setting_auto_follow;
extern int	setting_recovery_timeout;	/* milliseconds; -1: no limit */
extern char *setting_peer_options;	/* a connection string */
extern char *setting_payloads;	/* all, governance, or kinds of entries */
extern int	setting_grant_cache_size;	/* kilobytes */
extern int	setting_crl_policy; /* a CertificateCrlPolicy */


/* Whether reads of protected rows wait until they are on the ledger. */
typedef enum ReadAudit
{
	READ_AUDIT_OFF,
	READ_AUDIT_ASYNC,
	READ_AUDIT_STRICT
} ReadAudit;

#define READ_AUDIT_DEFAULT READ_AUDIT_STRICT

extern int	setting_read_audit; /* a ReadAudit */
extern int	setting_read_audit_timeout; /* milliseconds */
extern bool setting_read_audit_query_text;
extern char *setting_end_user;	/* as the application says */
extern char *setting_request_id;
extern char *setting_purpose;
extern int	setting_break_glass_time;	/* seconds */
extern uint64 setting_purpose_changes;	/* how often it was set in this process */

extern void settings_define(void);

#endif
