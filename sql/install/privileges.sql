/*
 * privileges.sql: who may call and read what; and what pg_dump keeps.
 *
 * Everything is taken from PUBLIC first, so that a function added later is
 * closed until somebody opens it here.
 */

REVOKE ALL ON ALL TABLES IN SCHEMA medchain FROM PUBLIC;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA medchain, medchain_internal FROM PUBLIC;

-- Who makes a partition of a ledger table needs the right to put the triggers on it; each of them
-- looks at what it was called for.
DO $$
DECLARE
    f regprocedure;
    rights CONSTANT jsonb := '{
        "PUBLIC": ["leaf_hash", "merkle_root", "verify_inclusion", "verify_consistency",
                   "verify_signature", "verify_note",
                   "verify_certificate", "certificate_path", "certificate_pem", "crl_pem",
                   "crl_facts", "crl_revocation", "anchor_facts", "certificate_facts", "key_facts",
                   "current_member", "own_member", "may_query", "may_update",
                   "break_glass", "justify",
                   "may_query_record", "may_update_record", "may_query_columns",
                   "require_update_of", "columns_granted", "read_met",
                   "granted_subjects", "granted_subjects_as", "grant_cache_loads", "capture",
                   "capture_truncate",
                   "name_valid", "entry_fault",
                   "is_copy", "ledger_time", "ledger_period", "shown", "row_item_rows",
                   "row_about_subjects", "read_set_starts"],
        "medchain_admin": ["found_alliance", "join_alliance", "admit", "amend_contract",
                           "accept_contract", "end_contract",
                   "contract_envelope", "suspend", "reinstate", "expel", "add_crl", "set_policy",
                   "renew_anchors",
                   "rekey", "rekey_envelope", "withdraw_examinee_key", "configure_ledger",
                   "bind_role", "connect_peer",
                   "disconnect_peer", "resync", "fetch_payloads", "release_quarantine",
                   "announce", "follow", "follow_all", "relay",
                   "leave_alliance", "take_over", "detach_copy",
                   "protect", "unprotect", "set_ungranted",
                   "ledger_table", "end_ledger_table", "protect_part", "protection_policies",
                   "own_policies", "drop_policies", "before_drop",
                   "register_row_table", "forget_row_table", "drop_row_triggers", "check_row_table",
                   "add_row_table", "put_row_table", "keep_row_table", "tell_limits",
                   "tell_large_objects", "large_object_columns", "add_heirs",
                   "end_heirs", "release_heir", "row_heirs", "ledger_parents", "require_heir",
                   "row_keys", "choose_row_key", "default_row_key",
                   "renew_table",
                   "row_trigger_functions", "equip_row_table", "equip_truncate",
                   "require_trigger_name", "is_captured",
                   "require_subject_column",
                   "require_logged", "require_relation", "require_writable", "row_ending",
                   "table_and_partitions", "partition_root",
                   "row_history", "row_history_of", "row_proof", "row_proof_of",
                       "start_workers", "sealer_status", "pseudonym_status", "shortages",
                           "lock_waits", "peer_errors", "check", "seal",
                           "verify", "verify_progress", "verify_table", "explain_entry",
                   "state_hash", "disclosures", "disclosure_proof", "uncovered",
                   "checkpoint", "export", "default_capabilities", "slot_name", "inclusion_proof",
                   "consistency_proof", "receipt", "rebuild_tiles",
                   "proof", "vkey", "tlog_policy", "witnessed"],
        "medchain_member": ["disclosures", "disclosure_proof",
                            "append", "seal", "lock_waits", "issue_protocol",
                            "amend_protocol", "revoke_protocol",
                            "protocol_envelope", "register_examinee_key", "examinee_key_envelope",
                            "log_diagnosis",
                   "data_index", "diagnosis_log", "inclusion_proof", "consistency_proof", "receipt",
                   "proof", "vkey", "tlog_policy", "witnessed",
                   "row_history", "row_history_of", "row_proof", "row_proof_of"],
        "medchain_auditor": ["disclosures", "disclosure_proof", "uncovered",
            "row_history", "row_history_of", "row_proof", "row_proof_of",
            "verify", "verify_progress", "verify_table", "explain_entry", "state_hash",
                "checkpoint", "export",
                "sealer_status", "pseudonym_status", "shortages", "lock_waits", "peer_errors",
                    "check", "diagnosis_log",
                    "data_index", "slot_name",
                   "inclusion_proof", "consistency_proof", "receipt",
                   "proof", "vkey", "tlog_policy", "witnessed"],
        "medchain_peer": ["peer_identity", "join_material", "offer_payloads",
                          "witness_claims"]}';
    grantee text;
    names jsonb;
BEGIN
    FOR grantee, names IN SELECT * FROM pg_catalog.jsonb_each(rights) LOOP
        FOR f IN SELECT p.oid FROM pg_catalog.pg_proc p
            WHERE p.pronamespace = ANY ('{medchain,medchain_internal}'::regnamespace[])
                AND names ? p.proname::text LOOP
            EXECUTE pg_catalog.format('GRANT EXECUTE ON FUNCTION %s TO %s', f, grantee);
        END LOOP;
    END LOOP;
END
$$;

-- Whoever runs the alliance or audits it reads the ledger; secrets of the place (salts, identities,
-- passwords in conninfo) nobody.
GRANT SELECT ON medchain.entry, medchain.block, medchain.tile, medchain.chain, medchain.claim,
    medchain.fact,
    medchain.member, medchain.contract, medchain.ledger_key, medchain.member_certificate,
        medchain.exclusion, medchain.fork, medchain.forks,
    medchain.examinee_key, medchain.policies, medchain.revocation_lists, medchain.protocol,
    medchain.protocol_grant, medchain.data_index, medchain.break_glass, medchain.role_binding,
        medchain.bound_role, medchain.row_table,
        medchain.row_column, medchain.pending, medchain.quarantine,
    medchain.held_block, medchain.dropped, medchain.missing, medchain.local_node,
    medchain.alliance, medchain.members, medchain.certificates, medchain.trust_anchors,
    medchain.contracts,
        medchain.rejections, medchain.chains, medchain.peers, medchain.stat,
            medchain.verify_progress, medchain.active_grant,
            medchain.active_break_glass
    TO medchain_admin, medchain_auditor;
GRANT SELECT ON medchain.alliance, medchain.members, medchain.chains, medchain.protocols,
    medchain.rejections, medchain.addresses TO medchain_member;
GRANT SELECT ON medchain.addresses TO medchain_admin, medchain_auditor;
GRANT SELECT ON medchain.forks TO medchain_member;
GRANT SELECT ON medchain.protocols TO medchain_admin, medchain_auditor;
GRANT SELECT ON medchain.unauthorised TO medchain_admin, medchain_auditor;
GRANT SELECT ON medchain.break_glasses, medchain.unjustified
    TO medchain_admin, medchain_member, medchain_auditor;
GRANT SELECT ON medchain.entry, medchain.block TO medchain_peer;

DO $$
DECLARE
    relation regclass;
BEGIN
    FOR relation IN SELECT c.oid FROM pg_catalog.pg_class c
        WHERE c.relnamespace = 'medchain'::regnamespace AND c.relkind = 'r'
        -- by oid, which means nothing elsewhere; what is found out anew there
        AND c.relname NOT IN ('row_part', 'row_index', 'fact', 'rules_state') LOOP
        PERFORM pg_catalog.pg_extension_config_dump(relation, '');
    END LOOP;
END
$$;
