--
-- From entries to state: what has no authority stays on the ledger, has no effect, and is shown
-- everywhere with the reason. (The entries are written as a node would that does not keep to the
-- rules.)
--
\set SHOW_CONTEXT never
SELECT current_database() AS data_centre \gset

-- the list of governance kinds is kept in C as well: what C takes for governance waits at commit,
-- and is folded
SELECT size AS before FROM medchain.chain WHERE origin = 'data-centre' \gset
SELECT count(medchain_internal.append_raw(kind, '{}', NULL,
    false)) = cardinality(medchain_internal.fold_kinds())
    AS appended FROM unnest(medchain_internal.fold_kinds()) kind;
SELECT medchain.seal();
SELECT kind, test.masked(about) AS about, reason FROM medchain.rejections
    WHERE origin = 'data-centre' AND seq >= :before ORDER BY seq;
SELECT e.kind AS "not folded" FROM medchain.entry e WHERE e.origin = 'data-centre'
    AND e.seq >= :before
    AND NOT EXISTS (SELECT FROM medchain.claim c WHERE c.origin = e.origin AND c.seq = e.seq);
SELECT medchain.append('remark', '{}') IS NOT NULL AS appended;
SELECT medchain.seal();
SELECT count(*) AS "no governance, and folded" FROM medchain.claim
    WHERE kind <> ALL (medchain_internal.fold_kinds());

-- the data centre: contracts that are none
CREATE FUNCTION test.offer(changes jsonb) RETURNS uuid LANGUAGE sql AS $$
    SELECT medchain_internal.append_governance('contract',
        medchain_internal.sign_envelope('application/vnd.medchain.contract+json',
        (jsonb_build_object('alliance', 'east', 'member', 'hospital-c', 'kind', 'chain_node',
            'certificate', test.pem('chained'),
                            'capabilities', '["query"]'::jsonb, 'valid', '{}'::jsonb)
                                || changes)::text)::jsonb) $$;
SELECT size AS before FROM medchain.chain WHERE origin = 'data-centre' \gset
SELECT count(test.offer(c)) FROM unnest(ARRAY['{"alliance": "west"}', '{"member": "a b"}',
    '{"kind": "data_center"}', '{"kind": null}', '{"capabilities": ["fly"]}', '{"capabilities": 7}',
    '{"valid": "tomorrow"}', '{"valid": {"from": "2026-01-01T00:00:00.000000Z", "to": '
    '"2026-01-01T00:00:00.000000Z"}}', '{"certificate": "no certificate"}', '{"certificate": null}',
    '{"member": "data-centre"}']::jsonb[]) c;
SELECT medchain_internal.append_governance('contract',
    '{"payloadType": "application/vnd.medchain.contract+json", "payload": "e30=", "signatures": '
    '[]}') IS NOT NULL AS unsigned;
SELECT medchain_internal.append_governance('contract',
    '{"payloadType": "text/plain", "payload": "e30=", "signatures": []}') IS NOT NULL AS other_type;
SELECT medchain_internal.append_governance('contract', '[]') IS NOT NULL AS no_object;
SELECT reason FROM medchain.rejections WHERE origin = 'data-centre' AND seq >= :before ORDER BY seq;
-- a deeply nested, or unrepresentable, body is somebody's mischief and no reason to stop
SELECT medchain_internal.append_raw('contract', repeat('[', 127) || repeat(']', 127), NULL, true)
    IS NOT NULL AS deep;
-- refused at once
SELECT medchain_internal.append_raw('contract', repeat('[', 5000) || repeat(']', 5000), NULL, true);
SELECT medchain_internal.append_raw('note', '{"protocol": "\u0000"}', NULL,
    true);	-- refused at once
SELECT kind, reason FROM medchain.rejections WHERE origin = 'data-centre' ORDER BY seq DESC LIMIT 2;
SELECT count(*) AS members FROM medchain.members WHERE member NOT IN ('data-centre', 'end-node',
    'hospital-a', 'hospital-b', 'sm2');
-- the data centre neither configures ledgers nor issues
SELECT medchain_internal.append_governance('configure', jsonb_build_object('member', 'hospital-b',
    'public_key', test.pem('hospital-b'))) IS NOT NULL AS appended;
SELECT medchain_internal.append_governance('protocol',
    medchain_internal.sign_envelope('application/vnd.medchain.protocol+json', '{}')::jsonb,
        medchain.pseudonym('P0001')) IS NOT NULL AS appended;
SELECT kind, reason FROM medchain.rejections WHERE origin = 'data-centre' ORDER BY seq DESC LIMIT 2;
DROP FUNCTION test.offer(jsonb);

-- a hospital, which may do nothing of the kind
\c regress_hospital_a
SELECT protocol AS p1, encode(subject, 'hex') AS subject FROM medchain.protocols
    WHERE protocol_text = 'Station A may read my records.' \gset
SELECT medchain_internal.append_governance('genesis',
    '{"alliance": "east", "member": "hospital-a"}')
    IS NOT NULL AS appended;
SELECT medchain_internal.append_governance('contract',
    medchain_internal.sign_envelope('application/vnd.medchain.contract+json',
    jsonb_build_object('alliance', 'east', 'member', 'hospital-c', 'kind', 'chain_node',
        'certificate', test.pem('chained'), 'capabilities', '["query"]'::jsonb, 'valid',
            '{}'::jsonb)::text)::jsonb) IS NOT NULL AS appended;
SELECT medchain_internal.append_governance('acceptance', jsonb_build_object('contract', contract,
    'envelope', '{}'::jsonb)) IS NOT NULL AS appended FROM medchain.contracts
        WHERE member = 'hospital-b' AND current;
SELECT medchain_internal.append_governance('acceptance', jsonb_build_object('contract',
    gen_random_uuid()))
    IS NOT NULL AS appended;
SELECT medchain_internal.append_governance('configure', jsonb_build_object('member', 'hospital-b',
    'public_key', test.pem('hospital-b'))) IS NOT NULL AS appended;
SELECT medchain_internal.append_governance('protocol',
    medchain_internal.sign_envelope('application/vnd.medchain.protocol+json',
    jsonb_build_object('alliance', 'east', 'issuer', 'hospital-a', 'subject', :'subject', 'text',
        'I grant myself.', 'data_index', '[]'::jsonb, 'valid', '{}'::jsonb,
        'grants',
            '[{"grantee": "hospital-a", "operations": ["query", "update"], "valid": {}}]'::jsonb
            )::text)::jsonb, decode(:'subject', 'hex')) IS NOT NULL AS appended;
SELECT medchain_internal.append_governance('revocation', jsonb_build_object('protocol', :'p1',
    'reason',
    'I would rather not'), decode(:'subject', 'hex')) IS NOT NULL AS appended;
SELECT medchain_internal.append_governance('note', jsonb_build_object('protocol', gen_random_uuid(),
    'note',
    1)) IS NOT NULL AS appended;
SELECT medchain_internal.append_governance('bind_role',
    '{"role": "regress_nobody", "member": "data-centre"}') IS NOT NULL AS appended;
CREATE VIEW test.refused AS SELECT kind, test.masked(about) AS about, reason
    FROM medchain.rejections WHERE origin = 'hospital-a' ORDER BY seq;
SELECT * FROM test.refused;
SELECT medchain.append('remark', '"end of fold"') IS NOT NULL AS appended;
SELECT medchain.seal();
-- roles are bound on one's own node, and nowhere else
SELECT role, member FROM medchain.role_binding;

-- an end node cannot say what others are to say
\c regress_end_node
SELECT medchain_internal.append_governance('protocol',
    medchain_internal.sign_envelope('application/vnd.medchain.protocol+json', body)::jsonb,
        decode(:'subject', 'hex')) IS NOT NULL AS appended
    FROM (SELECT jsonb_build_object('alliance', 'east', 'issuer', 'end-node', 'subject',
        :'subject', 'text', 'text', 'grants', '[]'::jsonb, 'data_index', '[]'::jsonb, 'valid',
            '{}'::jsonb) AS good) g,
    LATERAL unnest(ARRAY[good || '{"alliance": "west"}', good || '{"issuer": "hospital-a"}',
        good || '{"subject": "00"}', good || '{"text": 1}', good || '{"grants": {}}',
            good || '{"grants": [{}]}',
        good || '{"data_index": [{}]}', good || '{"valid": "ever"}']::text[]) body;
SELECT medchain_internal.append_governance('amendment',
    medchain_internal.sign_envelope('application/vnd.medchain.protocol+json',
    jsonb_build_object('alliance', 'east', 'issuer', 'end-node', 'protocol', gen_random_uuid(),
        'subject', :'subject', 'text', 'text', 'grants', '[]'::jsonb, 'data_index', '[]'::jsonb,
            'valid', '{}'::jsonb)::text)::jsonb,
    decode(:'subject', 'hex')) IS NOT NULL AS appended;
SELECT kind, reason FROM medchain.rejections WHERE origin = 'end-node' ORDER BY seq;

-- the same is refused at the data centre, for the same reasons
\c :data_centre
CREATE VIEW test.refused AS SELECT kind, test.masked(about) AS about, reason
    FROM medchain.rejections WHERE origin = 'hospital-a' ORDER BY seq;
CALL test.wait_for($$ SELECT EXISTS (SELECT FROM medchain.entry
    WHERE payload ~ '"end of fold"') $$);
SELECT * FROM test.refused;
DROP VIEW test.refused;
SELECT role, member FROM medchain.role_binding;
SELECT state, revoked FROM medchain.protocols WHERE protocol = :'p1';
SELECT count(*) AS granted_to_oneself FROM medchain.protocols
    WHERE protocol_text = 'I grant myself.';
SELECT member, state FROM medchain.members ORDER BY 1;
-- refused entries are no part of an examinee's log
SELECT DISTINCT kind FROM medchain.diagnosis_log('P0001') ORDER BY 1;
SELECT origin, ok, fault, detail FROM medchain.verify() ORDER BY 1;

-- what an auditor is told of an entry: each condition, and what it was judged by
SELECT condition, holds, test.masked(judged_by) AS judged_by FROM medchain.explain_entry(:'p1');
SELECT condition, holds, test.masked(judged_by) AS judged_by FROM medchain.explain_entry((
    SELECT contract FROM medchain.members WHERE member = 'hospital-a'));
SELECT c.kind, x.condition, x.holds, test.masked(x.judged_by) AS judged_by FROM (
    SELECT DISTINCT ON (kind) kind, entry FROM medchain.rejections WHERE origin = 'hospital-a'
    ORDER BY kind, seq) c CROSS JOIN LATERAL medchain.explain_entry(c.entry) x;
SELECT content FROM test.error_of($$ SELECT medchain.explain_entry((
    SELECT id FROM medchain.entry WHERE kind = 'remark' LIMIT 1)) $$);
SELECT content FROM test.error_of(
    $$ SELECT medchain.explain_entry('00000000-0000-4000-8000-000000000000') $$);
-- the last condition is what the state says
SELECT count(*) > 50 AS many, bool_and(x.holds = c.effective) AS "as in the state"
FROM medchain.claim c CROSS JOIN LATERAL (SELECT x.holds FROM medchain.explain_entry(c.id)
    WITH ORDINALITY x(condition, holds, judged_by, place)
    WHERE x.condition = 'it has effect') x
WHERE (SELECT count(*) FROM medchain.claim o WHERE o.id = c.id) = 1;

-- the state has a hash, which a row that was edited changes
SELECT medchain.state_hash() AS hash \gset
SELECT medchain.state_hash() = :'hash' AS same, octet_length(:'hash'::bytea);
BEGIN;
UPDATE medchain.protocol SET protocol_text = protocol_text || '.' WHERE id = :'p1';
SELECT medchain.state_hash() = :'hash' AS same;
ROLLBACK;

-- a chain that is taken back from its first block on: so is the countersignature in it
\c :data_centre
BEGIN;
SET LOCAL search_path = pg_catalog, medchain, medchain_internal, pg_temp;
SELECT accepted, takes_part FROM medchain.member WHERE name = 'hospital-a';
-- the state's tables are written with medchain's rights alone
CREATE FUNCTION pg_temp.fold_forget(text, bigint) RETURNS void LANGUAGE sql SECURITY DEFINER
    SET search_path = pg_catalog, medchain, medchain_internal, pg_temp
        AS 'SELECT medchain_internal.fold_forget($1, $2)';
SELECT pg_temp.fold_forget('hospital-a', 0);
SELECT accepted, takes_part FROM medchain.member WHERE name = 'hospital-a';
ROLLBACK;
-- and comes again; what this session has in memory goes with what its tables forget
CREATE FUNCTION pg_temp.fold_again(origin text) RETURNS void LANGUAGE sql SECURITY DEFINER
    SET search_path = pg_catalog, medchain, medchain_internal, pg_temp AS $$
    SELECT medchain_internal.fold_entries($1, 0, (SELECT c.size - 1 FROM medchain.chain c
        WHERE c.origin = $1)) $$;
CREATE FUNCTION pg_temp.has_contract() RETURNS boolean LANGUAGE sql SECURITY DEFINER
    SET search_path = pg_catalog, medchain, medchain_internal, pg_temp AS $$
    SELECT x.holds FROM medchain.explain_entry((SELECT contract FROM medchain.member
        WHERE name = 'hospital-a')) x WHERE x.condition = 'it has effect' $$;
BEGIN;
CREATE FUNCTION pg_temp.fold_forget(text, bigint) RETURNS void LANGUAGE sql SECURITY DEFINER
    SET search_path = pg_catalog, medchain, medchain_internal, pg_temp
        AS 'SELECT medchain_internal.fold_forget($1, $2)';
SAVEPOINT before;
SELECT pg_temp.fold_forget('data-centre', 0);
SELECT count(*) AS members FROM medchain.member;
ROLLBACK TO before;
SELECT pg_temp.has_contract();
SELECT pg_temp.fold_forget('data-centre', 0);
SELECT pg_temp.fold_forget('hospital-a', 0);
SELECT pg_temp.fold_again('hospital-a');
SELECT count(*) AS members FROM medchain.member;
SELECT pg_temp.fold_again('data-centre');
SELECT pg_temp.has_contract();
SELECT medchain.state_hash() = :'hash' AS "the same state";
COMMIT;
SELECT pg_temp.has_contract();
SELECT origin, ok, detail FROM medchain.verify() ORDER BY 1;
