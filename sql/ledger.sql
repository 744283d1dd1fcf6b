--
-- The ledger of one node: appending, sealing, and that nothing can be taken back.
--
\set SHOW_CONTEXT never
CREATE ROLE regress_doctor LOGIN IN ROLE medchain_member;
SELECT size AS before FROM medchain.chain WHERE origin = 'data-centre' \gset

-- what is appended is what is hashed, to the letter
SELECT medchain.append('remark', '{"b" :  1, "a": "ä", "a":2}', 'P0001') AS id \gset
SELECT medchain.seal();
SELECT substring(payload FROM '"body":.*$') AS body, origin, kind, actor, payload::jsonb ->> 'id' =
    :'id' AS id,
       payload::jsonb ->> 'kind' = kind AND payload::jsonb ->> 'origin' = origin
           AND payload::jsonb ->> 'actor' = actor
       AND (payload::jsonb ->> 'time')::timestamptz = time AND payload::jsonb ->> 'subject' =
           encode(subject, 'hex') AS columns_agree,
       payload::jsonb ->> 'role' = session_user AS role,
       leaf_hash = sha256('\x00' || convert_to(payload, 'UTF8')) AS hashed
    FROM medchain.entry WHERE id = :'id';
-- examinees are pseudonyms there, as somebody else's HMAC makes them
CREATE EXTENSION pgcrypto;
SELECT subject = hmac('P0001', rtrim(pg_read_file(current_setting('medchain.pseudonym_key_file')),
    E'\n')::bytea, 'sha256') AS pseudonym,
       payload ~ 'P0001' AS named
    FROM medchain.entry WHERE id = :'id';
DROP EXTENSION pgcrypto;

-- any JSON value is a payload; nothing else is
SELECT count(medchain.append('remark', body))
    FROM unnest(ARRAY['1', 'null', '[]', '"x"', '{}']::json[]) body;
SELECT medchain.append('remark', to_json(repeat('x', 16 * 1024 * 1024)));
SELECT medchain.append('remark', NULL);
SELECT medchain.append(NULL, '{}');
\set VERBOSITY sqlstate
SELECT medchain.append('remark', '{');
\set VERBOSITY default
SELECT kind, e.* FROM unnest('{"", Remark, 1st, "a b", ä}'::text[]) kind,
    LATERAL test.error_of(format('SELECT medchain.append(%L, ''{}'')', kind)) e
        WHERE field <> 'hint';
SELECT medchain.append(repeat('a', 63), '1') IS NOT NULL AS longest;
SELECT medchain.append(repeat('a', 64), '1');
SELECT length(medchain.append('remark', to_json(repeat('x', 3000000)))::text) AS large;

-- what has a meaning to medchain is not for append()
SELECT kind, content
    FROM unnest(medchain_internal.fold_kinds() || '{row.insert, row.x, access.read, '
    'member.x, protect, unprotect, witness, fork, crl, suspend, expel, rekey}') kind,
    LATERAL test.error_of(format('SELECT medchain.append(%L, ''{}'')', kind)) e
        WHERE field = 'error';

-- who may
SET ROLE regress_nobody;
\set VERBOSITY sqlstate
SELECT medchain.append('remark', '{}');
SELECT medchain.seal();
SELECT count(*) FROM medchain.entry;
\set VERBOSITY default
RESET ROLE;
SET SESSION AUTHORIZATION regress_doctor;
\set VERBOSITY sqlstate
SELECT medchain.append('remark', '{"by": "doctor"}') AS id \gset
SELECT medchain_internal.append_raw('genesis', '{}', NULL, false);
SELECT medchain_internal.append_governance('genesis', '{}');
INSERT INTO medchain.pending (payload) VALUES ('{}');
\set VERBOSITY default
SELECT medchain.seal();
\set VERBOSITY sqlstate
SELECT * FROM medchain.entry;
\set VERBOSITY default
SELECT origin, state FROM medchain.chains WHERE origin = 'data-centre';
RESET SESSION AUTHORIZATION;
-- the role is the one that logged in, whatever it makes itself
SELECT actor, payload::jsonb ->> 'role' = session_user AS role FROM medchain.entry WHERE id = :'id';

--
-- Transactions
--
SELECT size AS before FROM medchain.chain WHERE origin = 'data-centre' \gset
BEGIN;
SELECT medchain.append('remark', '"rolled back"') IS NOT NULL AS appended;
ROLLBACK;
BEGIN;
SELECT medchain.append('remark', '"first"') IS NOT NULL AS appended;
SAVEPOINT s;
SELECT medchain.append('remark', '"rolled back to savepoint"') IS NOT NULL AS appended;
ROLLBACK TO s;
SELECT medchain.append('remark', '"second"') IS NOT NULL AS appended;
SELECT medchain.seal();	-- waits for others, not for this transaction
SELECT count(*) AS pending FROM medchain.pending;
COMMIT;
-- prepared transactions: the entry counts from COMMIT PREPARED on
BEGIN;
SELECT medchain.append('remark', '"prepared"') IS NOT NULL AS appended;
PREPARE TRANSACTION 'regress_1';
BEGIN;
SELECT medchain.append('remark', '"never"') IS NOT NULL AS appended;
PREPARE TRANSACTION 'regress_2';
SELECT medchain.append('remark', '"third"') IS NOT NULL AS appended;
SELECT medchain.seal();
COMMIT PREPARED 'regress_1';
ROLLBACK PREPARED 'regress_2';
CALL test.wait_for($$ SELECT EXISTS (SELECT FROM medchain.entry WHERE payload ~ '"prepared"') $$);
-- data entries do not wait for their seal, unless they are asked to
SET medchain.wait_for_seal = on;
SELECT medchain.append('remark', '"waited for"') IS NOT NULL AS appended;
SELECT count(*) AS pending FROM medchain.pending;
RESET medchain.wait_for_seal;
SELECT payload::jsonb -> 'body' AS body FROM medchain.entry WHERE origin = 'data-centre'
    AND seq >= :before ORDER BY seq;

--
-- Blocks
--
-- (that the sealer has the new settings shows in its key)
SELECT test.key_file('hospital-a') AS other, test.key_file('data-centre') AS own \gset
ALTER SYSTEM SET medchain.block_max_entries = 3;
ALTER SYSTEM SET medchain.signing_key = :'other';
SELECT pg_reload_conf();
CALL test.use_key('hospital-a');
ALTER SYSTEM SET medchain.signing_key = :'own';
SELECT pg_reload_conf();
CALL test.use_key('data-centre');
SELECT height AS before FROM medchain.chain WHERE origin = 'data-centre' \gset
SELECT count(medchain.append('remark', to_json(i))) FROM generate_series(1, 20) i;
SELECT medchain.seal();
SELECT max(entries) AS most, sum(entries) AS entries FROM (
    SELECT height, size - lag(size) OVER (ORDER BY height) AS entries FROM medchain.block
        WHERE origin = 'data-centre') b WHERE height > :before;
ALTER SYSTEM RESET medchain.block_max_entries;
SELECT pg_reload_conf();
-- in the order in which they were appended
SELECT string_agg(payload::jsonb ->> 'body', ' ' ORDER BY seq) FROM medchain.entry
    WHERE seq >= (SELECT size FROM medchain.block WHERE origin = 'data-centre'
        AND height = :before) AND origin = 'data-centre';

-- every block closes over all entries before it, and over the block before it; recomputed here in
-- plain SQL
SELECT bool_and(root = medchain.merkle_root(ARRAY(SELECT convert_to(e.payload, 'UTF8')
    FROM medchain.entry e WHERE e.origin = b.origin AND e.seq < b.size ORDER BY e.seq))) AS roots,
       bool_and(hash = sha256(convert_to(split_part(note, E'\n\n', 1) || E'\n', 'UTF8'))) AS hashes,
       bool_and(previous = coalesce((SELECT p.hash FROM medchain.block p WHERE p.origin = b.origin
           AND p.height = b.height - 1), decode(repeat('00', 32), 'hex'))) AS links,
       bool_and(split_part(note, E'\n\n', 1) = concat_ws(E'\n', 'east/' || origin, size,
           encode(root, 'base64'), 'height ' || height, 'previous ' || encode(previous, 'base64'),
                'sealed ' || to_char(sealed AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')))
                    AS texts,
       bool_and(medchain.verify_note(note, test.pem('data-centre'))) AS signatures,
       count(*) > 10 AS enough
    FROM medchain.block b WHERE origin = 'data-centre';
SELECT medchain.checkpoint() = (SELECT note FROM medchain.block WHERE origin = 'data-centre'
    ORDER BY height DESC LIMIT 1) AS checkpoint_is_head,
       medchain.checkpoint('data-centre') = medchain.checkpoint() AS same;
SELECT medchain.checkpoint('nobody');
SELECT count(*) FROM medchain.export('nobody');
SELECT origin, ok, entries = (SELECT size FROM medchain.chain WHERE origin = 'data-centre')
    AS all_entries, blocks = (SELECT height + 1 FROM medchain.chain WHERE origin = 'data-centre')
        AS all_blocks, height, fault
    FROM medchain.verify('data-centre');
SELECT ok, blocks, entries BETWEEN 1 AND 3 AS entries
    FROM medchain.verify('data-centre', (SELECT height FROM medchain.chain
        WHERE origin = 'data-centre'));
SELECT * FROM medchain.verify('nobody');
SELECT * FROM medchain.verify('data-centre', -1);

--
-- Guards: also for superusers, and for whoever plays a replica
--
CREATE FUNCTION guarded() RETURNS TABLE (statement text, error text) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM medchain.append('remark', '"pending"');
    RETURN QUERY SELECT s, e.content FROM unnest(ARRAY[
        'UPDATE medchain.pending SET payload = payload', 'DELETE FROM medchain.pending',
            'TRUNCATE medchain.pending',
        'UPDATE medchain.entry SET kind = kind WHERE seq = 0', 'DELETE FROM medchain.entry',
            'TRUNCATE medchain.entry',
        'UPDATE medchain.block SET note = note WHERE height = 0', 'DELETE FROM medchain.block',
            'TRUNCATE medchain.block CASCADE',
        'INSERT INTO medchain.entry SELECT * FROM medchain.entry WHERE seq = 0',
            'INSERT INTO medchain.block SELECT * FROM medchain.block WHERE height = 0',
        'INSERT INTO medchain.entry SELECT * FROM medchain.entry WHERE seq = 0 ON CONFLICT '
        '(origin, seq) DO UPDATE SET payload = ''{}'''
        ]) s, LATERAL test.error_of(s) e WHERE e.field <> 'hint';
END $$;
BEGIN;
SELECT * FROM guarded();
ROLLBACK;
BEGIN;
SET LOCAL session_replication_role = replica;
SELECT statement, error FROM guarded() WHERE error ~ '^[^4]' OR error !~ 'ledger|medchain alone';
SELECT count(*) AS guarded FROM guarded() WHERE error ~ '^42501';
ROLLBACK;
DROP FUNCTION guarded();
-- a superuser can write to pending; what he writes there has to be an entry, and its columns are
-- what it says
SELECT e.content FROM unnest('{"NULL", "''x''", "''[]''", "''{}''", "''{\"kind\": 1\}''"}'::text[])
    v, LATERAL test.error_of(format('INSERT INTO medchain.pending (payload) VALUES (%s)', v)) e;

--
-- When sealing stops: commits that wait end with a warning, and nothing is lost
--
ALTER SYSTEM SET medchain.signing_key = :'other';
SELECT pg_reload_conf();
CALL test.use_key('hospital-a');
SELECT medchain.append('remark', '"while the key is wrong"') AS id \gset
SELECT medchain.seal();
SELECT sealer, sealer_error, pending FROM medchain.stat;
SET medchain.seal_timeout = '100ms';
SELECT medchain.bind_role('regress_nobody', 'hospital-a') IS NOT NULL AS bound;
RESET medchain.seal_timeout;
SELECT count(*) AS bound FROM medchain.role_binding;
ALTER SYSTEM SET medchain.signing_key = :'own';
SELECT pg_reload_conf();
CALL test.use_key('data-centre');
SELECT medchain.seal();
SELECT count(*) AS there FROM medchain.entry WHERE id = :'id';
SELECT role, member FROM medchain.role_binding;
SELECT medchain.bind_role('regress_nobody', NULL) IS NOT NULL AS unbound;
SELECT count(*) AS bound FROM medchain.role_binding;
SELECT origin, ok FROM medchain.verify('data-centre');
