--
-- Tiles, inclusion and consistency proofs, receipts: of our own chain and of one that came from a
-- peer.
--
\set SHOW_CONTEXT never
\pset null '(null)'
SELECT current_database() AS data_centre \gset

-- more than two tile hashes on each chain, in blocks that end anywhere
SELECT count(medchain.append('remark', to_json(i))) FROM generate_series(1, 130) i;
SELECT medchain.seal();
SELECT count(medchain.append('remark', to_json(i))) FROM generate_series(1, 140) i;
SELECT medchain.seal();
SELECT count(medchain.append('remark', to_json(i))) FROM generate_series(1, 150) i;
SELECT medchain.seal();
SELECT count(medchain.append('remark', to_json(i))) FROM generate_series(1, 131) i;
SELECT medchain.seal();
\c regress_hospital_a
SELECT count(medchain.append('remark', to_json(i))) FROM generate_series(1, 590) i;
SELECT medchain.seal();
SELECT format($$ SELECT entries >= %s FROM medchain.chains WHERE origin = 'hospital-a' $$, size)
    AS arrived FROM medchain.chain WHERE origin = 'hospital-a' \gset
\c :data_centre
CALL test.wait_for(:'arrived');
SELECT origin, ok, fault FROM medchain.verify() WHERE origin IN ('data-centre', 'hospital-a')
    ORDER BY 1;

-- every 256 entries are a hash of level 1, made by the sealer for our chain and with each accepted
-- block for the other's
SELECT c.origin, t.level, t.index, length(t.hashes) / 32 = c.size / 256 AS all_subtrees,
    length(t.hashes) / 32 >= 2 AS enough,
       (SELECT bool_and(substr(t.hashes, 1 + 32 * i, 32) = medchain.merkle_root(ARRAY(
            SELECT convert_to(e.payload, 'UTF8') FROM medchain.entry e WHERE e.origin = c.origin
                AND e.seq >= 256 * i AND e.seq < 256 * (i + 1) ORDER BY e.seq)))
        FROM generate_series(0, (c.size / 256)::int - 1) i) AS roots
    FROM medchain.chain c JOIN medchain.tile t ON t.origin = c.origin
        WHERE c.origin IN ('data-centre', 'hospital-a') ORDER BY 1;

--
-- Inclusion: each entry in trees of many sizes
--
CREATE TEMP TABLE tree AS
    SELECT c.origin, n.size, medchain.merkle_root(ARRAY(SELECT convert_to(e.payload, 'UTF8')
        FROM medchain.entry e WHERE e.origin = c.origin AND e.seq < n.size ORDER BY e.seq)) AS root
    FROM medchain.chain c, LATERAL (SELECT unnest(ARRAY[1, 2, 3, 7, 64, 255, 256, 257, 300, 511,
        512, 513, 550]::bigint[]) UNION SELECT c.size) n (size)
    WHERE c.origin IN ('data-centre', 'hospital-a');
CREATE TEMP TABLE proof AS
    SELECT t.origin, t.size, t.root, e.seq, e.leaf_hash, p.j, ARRAY(SELECT decode(h, 'hex')
        FROM jsonb_array_elements_text(p.j -> 'hashes') WITH ORDINALITY x (h, i) ORDER BY i)
            AS hashes
    FROM tree t JOIN medchain.entry e ON e.origin = t.origin AND e.seq < t.size
        AND (e.seq % 7 = 0 OR e.seq % 256 IN (0, 1, 254, 255) OR e.seq = t.size - 1),
         LATERAL (SELECT medchain.inclusion_proof(e.id, t.size)) p (j);
SELECT origin, count(*) > 400 AS enough, bool_and(medchain.verify_inclusion(leaf_hash, seq, size,
    hashes, root)) AS accepted,
       bool_and(j - '{hashes, checkpoint}'::text[] = jsonb_build_object('origin', origin, 'index',
           seq, 'tree_size', size,
                'leaf_hash', encode(leaf_hash, 'hex'), 'root_hash', encode(root, 'hex'))) AS fields,
       bool_and((j ->> 'checkpoint') IS NOT DISTINCT FROM (SELECT b.note FROM medchain.block b
           WHERE b.origin = p.origin AND b.size = p.size)) AS checkpoints,
       count(*) FILTER (WHERE j -> 'checkpoint' = 'null') > 0 AND count(j ->> 'checkpoint') > 0
           AS both
    FROM proof p GROUP BY 1 ORDER BY 1;
-- nothing altered is
SELECT bool_or(medchain.verify_inclusion(sha256(leaf_hash), seq, size, hashes, root)) AS leaf,
    bool_or(medchain.verify_inclusion(leaf_hash, seq, size, hashes, sha256(root))) AS root,
       bool_or(medchain.verify_inclusion(leaf_hash, seq + 1, size, hashes, root)) AS next,
           bool_or(medchain.verify_inclusion(leaf_hash, seq, size, hashes || root, root)) AS longer,
       bool_or(size > 1 AND medchain.verify_inclusion(leaf_hash, seq, size, hashes[2:], root))
           AS shorter,
       bool_or(EXISTS (SELECT FROM generate_subscripts(hashes, 1) i
           WHERE medchain.verify_inclusion(leaf_hash, seq, size, hashes[:i - 1]
               || sha256(hashes[i]) || hashes[i + 1:], root))) AS altered
    FROM proof;
-- by default in the newest block's tree
SELECT bool_and(medchain.inclusion_proof(e.id) = p.j
    AND p.j ->> 'checkpoint' = medchain.checkpoint(e.origin)) AS newest
    FROM proof p JOIN medchain.entry e USING (origin, seq)
        JOIN medchain.chain c ON c.origin = p.origin AND c.size = p.size;

--
-- Consistency: between all of these sizes
--
SELECT a.origin, count(*) AS pairs, bool_and(medchain.verify_consistency(a.size, b.size, p, a.root,
    b.root)) AS accepted,
       bool_and(cardinality(p) = 0) FILTER (WHERE a.size = b.size) AS empty,
       bool_or(a.size <> b.size AND medchain.verify_consistency(a.size, b.size, p, b.root, a.root))
           AS exchanged,
       bool_or(medchain.verify_consistency(a.size, b.size, p || a.root, a.root, b.root)) AS longer,
       bool_or(EXISTS (SELECT FROM generate_subscripts(p, 1) i
           WHERE medchain.verify_consistency(a.size, b.size, p[:i - 1] || sha256(p[i])
               || p[i + 1:], a.root, b.root))) AS altered
    FROM tree a JOIN tree b ON b.origin = a.origin AND b.size >= a.size,
        LATERAL medchain.consistency_proof(a.origin, a.size, b.size) p GROUP BY 1 ORDER BY 1;
SELECT medchain.consistency_proof('data-centre', 0, 0) AS "0, 0",
    medchain.consistency_proof('data-centre', 0, 300) AS "0, 300",
        medchain.consistency_proof('data-centre', 1, NULL) AS unknown;
SELECT medchain.verify_consistency(0, 300, '{}', sha256(''), root) AS accepted FROM tree
    WHERE size = 300;

--
-- What cannot be proved
--
SELECT id FROM medchain.entry WHERE origin = 'data-centre' AND seq = 300 \gset
SELECT s AS tree_size, e.field, regexp_replace(e.content, '\m' || c.size || '\M', '<size>')
    AS content
    FROM medchain.chain c, LATERAL unnest(ARRAY[-1, 0, 300, 9223372036854775807]) s,
        LATERAL test.error_of(format('SELECT medchain.inclusion_proof(%L, %s)', :'id', s)) e
    WHERE c.origin = 'data-centre' ORDER BY s, e.field;
SELECT e.content ~ format('^22023 tree size %s is beyond the chain of "data-centre", which has %s '
    'entries here$', size + 1, size) AS beyond
    FROM medchain.chain, LATERAL test.error_of(format('SELECT medchain.inclusion_proof(%L, %s)',
        :'id', size + 1)) e WHERE origin = 'data-centre' AND e.field = 'error';
SELECT medchain.inclusion_proof(NULL) AS unknown, medchain.receipt(NULL) AS too;
SELECT *
    FROM test.error_of($$ SELECT medchain.inclusion_proof('00000000-0000-0000-0000-000000000000')
        $$);
SELECT * FROM test.error_of($$ SELECT medchain.receipt('00000000-0000-0000-0000-000000000000') $$);
SELECT *
    FROM test.error_of(format($$ SELECT medchain.inclusion_proof(%L, origin => 'hospital-a') $$,
        :'id'));
SELECT * FROM test.error_of(format($$ SELECT medchain.receipt(%L, '') $$, :'id'));
SELECT p AS sizes, e.field, regexp_replace(e.content, 'has [0-9]+', 'has <n>') AS content
    FROM unnest('{"-1, 5", "0, -1", "5, 4", "1, 9223372036854775807"}'::text[]) p,
    LATERAL test.error_of(format('SELECT medchain.consistency_proof(''data-centre'', %s)', p)) e
        ORDER BY p COLLATE "C", field;
SELECT medchain.consistency_proof('nobody', 0, 0);
-- not sealed yet
BEGIN;
SELECT medchain.append('remark', '"pending"') AS pending \gset
SELECT * FROM test.error_of(format('SELECT medchain.inclusion_proof(%L)', :'pending'));
SELECT * FROM test.error_of(format('SELECT medchain.receipt(%L)', :'pending'))
    WHERE field = 'error';
COMMIT;
SELECT medchain.seal();
SELECT medchain.inclusion_proof(:'pending') ->> 'origin' AS origin;
-- somebody uses an id again that is another's
SELECT id AS twice FROM medchain.entry WHERE origin = 'hospital-a' AND kind = 'remark' ORDER BY seq
    LIMIT 1 \gset
INSERT INTO medchain.pending (payload) SELECT (payload::jsonb || '{"origin": "data-centre", '
    '"actor": "data-centre"}')::text FROM medchain.entry WHERE id = :'twice';
SELECT medchain.seal();
SELECT * FROM test.error_of(format('SELECT medchain.inclusion_proof(%L)', :'twice'));
SELECT o AS origin, medchain.inclusion_proof(:'twice', origin => o) ->> 'origin' AS proved,
    medchain.receipt(:'twice', o) ->> 'origin' AS receipt
        FROM unnest('{data-centre, hospital-a}'::text[]) o;

--
-- Receipts: checked by nothing but what is in them
--
CREATE FUNCTION test.receipt_holds(r jsonb) RETURNS boolean LANGUAGE sql AS $$
    SELECT medchain.verify_note(r ->> 'checkpoint', r ->> 'ledger_key')
       AND split_part(r ->> 'checkpoint', E'\n', 1) = 'east/' || (r ->> 'origin')
       AND split_part(r ->> 'checkpoint', E'\n', 2) = r ->> 'tree_size'
       AND (r ->> 'payload')::jsonb ->> 'origin' = r ->> 'origin'
       AND medchain.verify_inclusion(medchain.leaf_hash(convert_to(r ->> 'payload', 'UTF8')),
           (r ->> 'index')::bigint, (r ->> 'tree_size')::bigint,
               ARRAY(SELECT decode(h, 'hex') FROM jsonb_array_elements_text(r -> 'hashes')
                   WITH ORDINALITY x (h, i) ORDER BY i),
               decode(split_part(r ->> 'checkpoint', E'\n', 3), 'base64'))
$$;
SELECT e.origin, count(*) > 40 AS enough, bool_and(test.receipt_holds(r)) AS holds,
    bool_and(r ->> 'payload' = e.payload AND r ->> 'type' = 'receipt') AS fields,
       bool_and((medchain.certificate_facts(r ->> 'certificate')).public_key = r ->> 'ledger_key'
           AND r ->> 'certificate' = test.pem(e.origin)) AS certificate,
       bool_or(test.receipt_holds(jsonb_set(r, '{payload}',
           to_jsonb(replace(r ->> 'payload', '"id"', '"ID"'))))) AS altered,
       bool_or(test.receipt_holds(jsonb_set(r, '{index}', to_jsonb((r ->> 'index')::bigint - 1))))
           AS moved
    FROM medchain.entry e, LATERAL medchain.receipt(e.id, e.origin) r
        WHERE e.origin IN ('data-centre', 'hospital-a') AND e.seq % 12 = 5 GROUP BY 1 ORDER BY 1;
SELECT array_agg(k ORDER BY k COLLATE "C") AS fields
    FROM jsonb_object_keys(medchain.receipt(:'id')) k;
-- who may
SET ROLE regress_nobody;
\set VERBOSITY sqlstate
SELECT medchain.inclusion_proof(:'id');
SELECT medchain.receipt(:'id');
SELECT medchain.consistency_proof('data-centre', 1, 2);
SELECT medchain.rebuild_tiles('data-centre');
\set VERBOSITY default
SET ROLE medchain_member;
SELECT medchain.inclusion_proof(:'id') ->> 'index' AS index, medchain.receipt(:'id') ->> 'index'
    AS receipt, cardinality(medchain.consistency_proof('data-centre', 1, 2)) AS hashes;
\set VERBOSITY sqlstate
SELECT medchain.rebuild_tiles('data-centre');
\set VERBOSITY default
RESET ROLE;

--
-- Tiles are guarded as entries are, and verify() finds what is done to them all the same
--
SELECT s AS statement, e.content FROM unnest(ARRAY[
    'UPDATE medchain.tile SET hashes = hashes', 'DELETE FROM medchain.tile',
        'TRUNCATE medchain.tile',
    'INSERT INTO medchain.tile VALUES (''data-centre'', 1, 1, sha256(''''))',
        'INSERT INTO medchain.tile VALUES (''nobody'', 1, 0, sha256(''''))',
    'INSERT INTO medchain.tile VALUES (''data-centre'', 1, 9223372036854775807, '
            'sha256(''''))']) s,
    LATERAL test.error_of(s) e WHERE e.field = 'error';
SELECT test.state_of($$ INSERT INTO medchain.tile VALUES ('data-centre', NULL, 1, sha256('')) $$);

CREATE FUNCTION test.tampered(statement text, probe text) RETURNS TABLE (origin text, fault text,
    detail text, height bigint, proof text)
    LANGUAGE plpgsql
AS $$
DECLARE
    found jsonb;
    answer text;
BEGIN
    BEGIN
        -- in the sealer's order, and before it locks a row
        LOCK TABLE medchain.chain, medchain.pending, medchain.entry, medchain.block, medchain.tile,
            medchain.claim IN EXCLUSIVE MODE;
        CALL test.disable_triggers('medchain.tile', 'medchain.entry');
        EXECUTE statement;
        found := (SELECT jsonb_agg(v ORDER BY v.origin) FROM medchain.verify() v WHERE NOT v.ok);
        answer := (SELECT content FROM test.error_of(probe) WHERE field IN ('error', 'no error'));
        RAISE EXCEPTION 'undo' USING ERRCODE = 'UNDO1';
    EXCEPTION WHEN SQLSTATE 'UNDO1' THEN
        NULL;
    END;
    RETURN QUERY SELECT f.origin, f.fault, f.detail, f.height, answer
        FROM jsonb_to_recordset(coalesce(found, '[{}]')) f (origin text, fault text, detail text,
            height bigint);
END
$$;
-- the newest subtree, the one before it, and the blocks that complete them
SELECT size / 256 - 1 AS last FROM medchain.chain WHERE origin = 'data-centre' \gset
SELECT min(height) FILTER (WHERE origin = 'data-centre' AND size >= 256) AS first,
    min(height) FILTER (WHERE origin = 'data-centre' AND size >= 256 * :last) AS before_it,
       min(height) FILTER (WHERE origin = 'data-centre' AND size >= 256 * (:last + 1))
           AS completed, min(height) FILTER (WHERE origin = 'data-centre' AND size > 300)
               AS of_entry,
       max(height) FILTER (WHERE origin = 'data-centre') AS head,
           min(height) FILTER (WHERE origin = 'hospital-a' AND size >= 512) AS second_a
    FROM medchain.block \gset
SELECT :before_it < :completed AND :completed < :head AS "in different blocks";
SELECT format('SELECT medchain.inclusion_proof(id, %s) FROM medchain.entry WHERE origin = '
    '''data-centre'' AND seq = 300', 256 * (:last + 1)) AS probe \gset
SELECT what, t.origin, t.fault, regexp_replace(t.detail, 'hash [0-9]+', 'hash <n>') AS detail,
    t.height = c.height AS located, CASE WHEN t.proof ~ '^SELECT' THEN 'made'
        ELSE regexp_replace(t.proof, 'size [0-9]+', 'size <n>') END AS proof FROM (VALUES
    ('altered',
        'UPDATE medchain.tile SET hashes = overlay(hashes PLACING sha256(hashes) FROM 1 FOR 32) '
        'WHERE origin = ''data-centre''', :first),
    ('altered', format('UPDATE medchain.tile SET hashes = overlay(hashes PLACING sha256(hashes) '
        'FROM %s FOR 32) WHERE origin = ''data-centre''', 1 + 32 * (:last - 1)), :before_it),
    ('altered', format('UPDATE medchain.tile SET hashes = set_byte(hashes, %1$s, get_byte(hashes, '
        '%1$s) # 1) WHERE origin = ''data-centre''', 32 * (:last + 1) - 1), :completed),
    ('another''s',
        'UPDATE medchain.tile SET hashes = overlay(hashes PLACING sha256(hashes) FROM 33 FOR 32) '
        'WHERE origin = ''hospital-a''', :second_a),
    ('shorter',
        'UPDATE medchain.tile SET hashes = substr(hashes, 1, length(hashes) - 32) WHERE origin = '
        '''data-centre''', :completed),
    ('missing', 'DELETE FROM medchain.tile WHERE origin = ''data-centre''', :first),
    ('longer',
        'UPDATE medchain.tile SET hashes = hashes || sha256(''x'') WHERE origin = ''data-centre''',
            :head),
    ('too many', 'INSERT INTO medchain.tile VALUES (''data-centre'', 1, 1, sha256(''x''))', :head),
    ('too high', 'INSERT INTO medchain.tile VALUES (''data-centre'', 2, 0, sha256(''x''))', :head),
    ('far away',
        'INSERT INTO medchain.tile VALUES (''data-centre'', 7, 9223372036854775807, sha256(''x''))',
            :head),
    ('an entry',
        'UPDATE medchain.entry SET payload = replace(payload, ''"id"'', ''"ID"''), leaf_hash = '
        'sha256(leaf_hash) WHERE origin = ''data-centre'' AND seq = 300', :of_entry))
    c (what, statement, height), LATERAL test.tampered(statement, :'probe') t;
-- a receipt does not speak for a payload that was never sealed
SELECT e.content FROM test.tampered($$ UPDATE medchain.entry SET payload = replace(payload, '"id"',
    '"ID"') WHERE origin = 'data-centre' AND seq = 300 $$,
    'SELECT medchain.receipt(id) FROM medchain.entry WHERE origin = ''data-centre'' AND seq = 300')
        t, LATERAL (SELECT t.proof) e (content);
-- nothing of it stayed; and what is wrong with tiles can be put right
SELECT origin, ok, fault FROM medchain.verify() WHERE origin IN ('data-centre', 'hospital-a')
    ORDER BY 1;
SELECT t.origin, t.fault, t.proof
    FROM test.tampered('DELETE FROM medchain.tile; SELECT medchain.rebuild_tiles(origin) FROM '
        'medchain.chain', 'SELECT 1') t;
SELECT t.fault, t.proof FROM test.tampered($$ UPDATE medchain.entry
    SET leaf_hash = sha256(leaf_hash) WHERE origin = 'data-centre' AND seq = 300 $$,
        'SELECT medchain.rebuild_tiles(''data-centre'')') t;
SELECT t.fault, t.proof FROM test.tampered($$ DELETE FROM medchain.entry
    WHERE origin = 'data-centre' AND seq = 300 $$,
        'SELECT medchain.rebuild_tiles(''data-centre'')') t;
SELECT medchain.rebuild_tiles('data-centre') AS tiles;
SELECT medchain.rebuild_tiles('nobody');
-- the sealer goes on where the rebuilt ones end
SELECT count(medchain.append('remark', to_json(i))) FROM generate_series(1, 256) i;
SELECT medchain.seal();
SELECT origin, ok FROM medchain.verify('data-centre');
SELECT length(hashes) / 32 = size / 256 AS grown FROM medchain.tile JOIN medchain.chain
    USING (origin) WHERE origin = 'data-centre';
DROP FUNCTION test.tampered(text, text);
DROP FUNCTION test.receipt_holds(jsonb);

-- An entry that somebody has put beside the blocks
\c :data_centre
BEGIN;
CALL test.disable_triggers('medchain.entry');
INSERT INTO medchain.entry
    SELECT x.* FROM medchain.entry e, (VALUES (-1, '00000000-0000-0000-0000-000000000001'),
            (1000000000, '00000000-0000-0000-0000-000000000002')) f (seq, id),
        jsonb_populate_record(e, jsonb_build_object('seq', f.seq, 'id', f.id)) x
    WHERE e.origin = 'data-centre' AND e.seq = 0;
SELECT f.call, e.* FROM unnest(ARRAY['receipt', 'inclusion_proof']) f (call),
    unnest('{00000000-0000-0000-0000-000000000001,'
        '00000000-0000-0000-0000-000000000002}'::uuid[]) i,
    LATERAL test.error_of(format('SELECT medchain.%s(%L)', f.call, i)) e
    ORDER BY f.call, i, e.field;
ROLLBACK;

--
-- For outsiders: verifier keys, a policy, and a tlog-proof; nobody has cosigned anything here
--
SELECT vkey ~ '^[^ +]+/data-centre\+[0-9a-f]{8}\+AQ?[A-Za-z0-9+/]+$' AS own,
    medchain.vkey('data-centre') = vkey AS by_name,
    medchain.vkey('data-centre', cosigner => true) ~ '\+B[A-Za-z0-9+/]+$' AS as_witness
    FROM medchain.vkey();
SELECT medchain.vkey('nobody');
SELECT regexp_replace(p, '\+[0-9a-f]{8}\+[A-Za-z0-9+/=]+', '+<key>', 'g') AS policy
    FROM medchain.tlog_policy() p;
SELECT medchain.tlog_policy(0) ~ E'\nquorum none\n$' AS nobody_has_to;
SELECT medchain.tlog_policy(-1);
SELECT medchain.tlog_policy(1000);
SELECT p ~ '^c2sp\.org/tlog-proof@v1\nindex [0-9]+\n([A-Za-z0-9+/]{43}=\n)+\n[^\n]+/data-centre\n'
    AS head, right(p, length(c)) = c AS checkpoint
    FROM (SELECT id FROM medchain.entry WHERE origin = 'data-centre' AND kind = 'remark'
          ORDER BY seq LIMIT 1) e, medchain.proof(e.id, 'data-centre') p,
        medchain.checkpoint('data-centre') c;
SELECT medchain.proof(NULL) IS NULL AS nothing;
SELECT medchain.proof('00000000-0000-0000-0000-000000000000');
SELECT count(*) FROM medchain.witnessed('data-centre', 0);
SELECT bool_and(ok) AS in_order FROM medchain.verify('data-centre', witnesses => true);

-- what an entry says that nobody should be able to read amiss
SELECT h.* FROM medchain_internal.witness_head('{}') h;
SELECT h.chain, h.entries, h.height, encode(h.hash, 'hex') AS hash, h.cosignature
    FROM (VALUES ('east/b'), ('east/c'), ('b')) n (name), medchain_internal.witness_head(format(
        '{"kind":"witness","origin":"b","id":"00000000-0000-0000-0000-000000000000",'
        '"time":"2026-01-31T23:59:59.123456Z","actor":"b","body":{"chain":"a","entries":17,'
        '"height":3,"hash":"%s","cosignature":"— %s AAAAAAAA"}}', repeat('0a', 32), n.name)) h;
-- a cosignature of a public witness (c2sp.org/tlog-witness) on a public log's checkpoint
SELECT medchain_internal.cosigned_at(E'markovianprotocol.com/log\n9266\n'
    'QnwPzJywq5AyOk9k1zLqfryh6Ktw1CnaaKplELApoxw=\n\n— markovianprotocol.com/log AwLGyIvuxLXZM101'
    'mKdNCPTsl9GgtiG/wzbd8cGru0pGnWVMXI06twIsEIZho7n8id+w2EO0BZCalxuEm6BauQGNmgo=\n',
    'witness.navigli.sunlight.geomys.org', E'-----BEGIN PUBLIC KEY-----\n'
    || encode('\x302a300506032b6570032100' || decode('3L9yjgLUefWn4g3Amt9SWDPtbnl1JlF66wf8aFSEn8Y=',
        'base64'), 'base64') || E'\n-----END PUBLIC KEY-----\n', l.line)
    AT TIME ZONE 'UTC' AS cosigned
    FROM (VALUES ('— witness.navigli.sunlight.geomys.org o+AP4gAAAABqwX+So8evhUsltetL+QnwUxEYM'
        'NrD25pJYOTFHwDCopbgQMl2AEh583AxfFNMDZzE73rdjK62tUN8oUBfd9p6usq+BA=='),
        ('— witness.navigli.sunlight.geomys.org o+AP4gAAAABqwX+To8evhUsltetL+QnwUxEYM'
         'NrD25pJYOTFHwDCopbgQMl2AEh583AxfFNMDZzE73rdjK62tUN8oUBfd9p6usq+BA=='),
        ('no line')) l (line);
