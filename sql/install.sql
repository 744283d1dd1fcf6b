--
-- What CREATE EXTENSION makes, who may use it, and that nothing of it is undocumented.
--
\set SHOW_CONTEXT never
CREATE EXTENSION medchain;	-- needs no other extension

SELECT extname, extrelocatable, nspname FROM pg_extension e
    JOIN pg_namespace n ON n.oid = e.extnamespace
    WHERE extname IN ('medchain', 'pgcrypto') ORDER BY 1;

-- every function, table, view and type says what it is
CREATE VIEW undocumented AS
SELECT 'function' AS what, p.oid::regprocedure::text AS name FROM pg_proc p
    WHERE p.pronamespace = ANY ('{medchain,medchain_internal}'::regnamespace[])
        AND obj_description(p.oid, 'pg_proc') IS NULL
UNION ALL
SELECT 'relation', c.oid::regclass::text FROM pg_class c
    WHERE c.relnamespace = 'medchain'::regnamespace AND c.relkind IN ('r', 'v', 'm', 'p')
        AND obj_description(c.oid, 'pg_class') IS NULL
UNION ALL
SELECT 'type', t.oid::regtype::text FROM pg_type t
    WHERE t.typnamespace = 'medchain'::regnamespace AND t.typtype IN ('e', 'd')
        AND obj_description(t.oid, 'pg_type') IS NULL;
SELECT * FROM undocumented ORDER BY 1, 2;
DROP VIEW undocumented;

-- all of it belongs to the extension, so that DROP EXTENSION takes it away and pg_dump leaves it
-- out
SELECT p.oid::regprocedure AS "not a member" FROM pg_proc p
    WHERE p.pronamespace = ANY ('{medchain,medchain_internal}'::regnamespace[])
    AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass
        AND d.objid = p.oid AND d.deptype = 'e');
SELECT c.oid::regclass AS "not a member" FROM pg_class c
    WHERE c.relnamespace = 'medchain'::regnamespace AND c.relkind IN ('r', 'v')
    AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass
        AND d.objid = c.oid AND d.deptype = 'e');

-- what the design promises is there
SELECT count(*) AS missing FROM unnest('{found_alliance, join_alliance, admit, configure_ledger, '
    'bind_role, current_member,
    issue_protocol, amend_protocol, revoke_protocol, protocol_envelope, data_index,
    diagnosis_log, log_diagnosis,
    protect, unprotect, verify_table, may_query, may_update, granted_subjects, append, seal,
    verify, checkpoint,
    leaf_hash, merkle_root, verify_inclusion, verify_consistency, verify_signature,
    verify_certificate, verify_note,
    connect_peer, disconnect_peer, resync, inclusion_proof, consistency_proof, receipt,
    ledger_table, row_history, row_proof, check, announce, follow, follow_all,
    relay}'::text[]) f(name)
    WHERE NOT EXISTS (SELECT FROM pg_proc p WHERE p.pronamespace = 'medchain'::regnamespace
        AND p.proname = f.name);
SELECT relname FROM pg_class WHERE relnamespace = 'medchain'::regnamespace AND relkind = 'v'
    ORDER BY 1;

--
-- Privileges
--

-- everything that anybody may call; none of it writes
SELECT p.proname, p.provolatile AS volatility, p.prosecdef AS definer FROM pg_proc p
    WHERE p.pronamespace = ANY ('{medchain,medchain_internal}'::regnamespace[])
        AND has_function_privilege('public', p.oid,
        'EXECUTE') ORDER BY 1;
SELECT c.oid::regclass AS "open to everybody" FROM pg_class c
    WHERE c.relnamespace = 'medchain'::regnamespace AND c.relkind IN ('r', 'v')
    AND has_table_privilege('public', c.oid,
        'SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER');

-- the group roles: nobody logs in as one, and none has a right that it was not made for
SELECT rolname, rolcanlogin, rolsuper, rolcreaterole, rolcreatedb, rolreplication, rolbypassrls
    FROM pg_roles
    WHERE rolname ^@ 'medchain_' ORDER BY 1;
\pset format unaligned
SELECT r.rolname, string_agg(p.proname, ' ' ORDER BY p.proname) AS may_call FROM pg_roles r,
    pg_proc p
    WHERE r.rolname ^@ 'medchain_'
        AND p.pronamespace = ANY ('{medchain,medchain_internal}'::regnamespace[])
    AND has_function_privilege(r.oid, p.oid, 'EXECUTE') AND NOT has_function_privilege('public',
        p.oid, 'EXECUTE')
    GROUP BY 1 ORDER BY 1;
\pset format aligned
-- nobody writes a table of medchain, but the owner
SELECT r.rolname, c.oid::regclass FROM pg_roles r, pg_class c
    WHERE r.rolname ^@ 'medchain_' AND c.relnamespace = 'medchain'::regnamespace
        AND c.relkind IN ('r', 'v')
    AND has_table_privilege(r.oid, c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER');
-- salts, identities and passwords in connection strings are for nobody
SELECT r.rolname, c.oid::regclass FROM pg_roles r, pg_class c
    WHERE r.rolname ^@ 'medchain_' AND c.oid = ANY ('{medchain.row_secret, medchain.row_key, '
        'medchain.row_set, medchain.row_item, medchain.subject_identity, medchain.peer, '
        'medchain.held_entry}'::regclass[])
    AND has_table_privilege(r.oid, c.oid, 'SELECT');

-- nobody but the owner makes anything in the schemas
SELECT n.nspname, g.grantee::regrole, g.privilege_type FROM pg_namespace n,
    aclexplode(n.nspacl) g
    WHERE n.nspname ^@ 'medchain' AND g.privilege_type <> 'USAGE' AND g.grantee <> n.nspowner;

-- what runs with medchain's rights must not look up names where its caller says
SELECT p.oid::regprocedure AS "SECURITY DEFINER without search_path" FROM pg_proc p
    WHERE p.pronamespace = ANY ('{medchain,medchain_internal}'::regnamespace[]) AND p.prosecdef
        AND p.prosqlbody IS NULL
    AND NOT EXISTS (SELECT FROM unnest(p.proconfig) c
        WHERE c = 'search_path=medchain, medchain_internal, pg_temp');
-- what has side effects does not run in parallel workers
SELECT p.oid::regprocedure AS function FROM pg_proc p
    WHERE p.pronamespace = ANY ('{medchain,medchain_internal}'::regnamespace[])
        AND p.proparallel = 's' AND p.provolatile = 'v';

--
-- A database that is no node: what needs an alliance says so
--
SELECT medchain.append('remark', '{}');
SELECT medchain.seal();
SELECT * FROM medchain.verify();
SELECT medchain.admit('hospital-a', 'chain_node', '');
SELECT medchain.issue_protocol('P1', 'text', '[]');
SELECT medchain.leave_alliance();
SELECT * FROM medchain.chains;

-- it goes without leaving anything behind but the group roles, and can come again
DROP EXTENSION medchain;
SELECT count(*) FROM pg_publication;
SELECT count(*) FROM pg_proc p WHERE p.pronamespace = to_regnamespace('medchain');
CREATE EXTENSION medchain;
