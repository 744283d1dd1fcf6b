--
-- Purposes: what is granted for one is open to sessions that state it.  And emergencies: who breaks
-- the glass reads without a protocol, for a while, and says later why.
--
\set SHOW_CONTEXT never
SELECT current_database() AS data_centre, current_user AS superuser \gset
CREATE TABLE ward (id int PRIMARY KEY, patient text NOT NULL, note text NOT NULL);
INSERT INTO ward SELECT i, 'W' || i, 'note ' || i FROM generate_series(1, 9) i;
CREATE INDEX ward_patient ON ward (patient);
SELECT medchain.protect('ward', 'patient');
ANALYZE ward;
GRANT SELECT, UPDATE, DELETE ON ward TO regress_a, regress_dc, regress_nobody;

\c regress_end_node
SELECT count(test.grant_a(s, t)) AS issued FROM (VALUES
    ('W1', '{"operations": ["query", "update"], "purpose": "TREAT"}'::jsonb),
    ('W2', '{"operations": ["query"], "purpose": "forschung α"}'),
    ('W3', '{"operations": ["query"]}'),
    ('W4', '{"operations": ["query"], "purpose": "HRESCH"}'),
    ('W4', '{"operations": ["query", "update"], "purpose": "TREAT"}'),
    ('W5', '{"operations": ["query"], "purpose": "TREAT"}'),
    ('W5', '{"operations": ["update"]}')) g (s, t);
SELECT medchain.append('remark', '"wards are granted"') IS NOT NULL AS appended;
SELECT medchain.seal();
\c :data_centre
CALL test.wait_for($$ SELECT EXISTS (SELECT FROM medchain.entry
    WHERE payload ~ '"wards are granted"') $$);

--
-- Purposes
--
\c - regress_a
CREATE FUNCTION pg_temp.seen(OUT query text, OUT granted text, OUT update text)
    LANGUAGE plpgsql AS $$
BEGIN
    SELECT string_agg(patient, ' ' ORDER BY id) INTO query FROM ward;
    SELECT string_agg(s, ' ' ORDER BY s) INTO granted
        FROM unnest(medchain.granted_subjects('query', 'ward')) s WHERE s ~ '^W';
    SELECT string_agg(w, ' ' ORDER BY w) INTO update FROM unnest('{W1,W2,W3,W4,W5,W6}'::text[]) w
        WHERE medchain.may_update(w, 'ward');
END
$$;
SELECT * FROM pg_temp.seen();
SET medchain.purpose = 'TREAT';
SELECT * FROM pg_temp.seen();
-- the same to the byte
CREATE FUNCTION pg_temp.seen_for(purpose text, OUT query text) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('medchain.purpose', purpose, false);
    SELECT s.query INTO seen_for.query FROM pg_temp.seen() s;
END
$$;
SELECT p AS purpose, pg_temp.seen_for(p)
    FROM unnest(ARRAY['HRESCH', 'treat', 'TREAT ', ' ', '', 'forschung α', 'forschung a', 'TREA',
        'TREATS']) p;
-- for a transaction, and what is rolled back
SET medchain.purpose = 'HRESCH';
BEGIN;
SET LOCAL medchain.purpose = 'TREAT';
SELECT query FROM pg_temp.seen();
SAVEPOINT s;
SET LOCAL medchain.purpose = 'forschung α';
SELECT query FROM pg_temp.seen();
ROLLBACK TO s;
SELECT query FROM pg_temp.seen();
COMMIT;
SELECT query FROM pg_temp.seen();
-- for a function, called by a query that has another one
CREATE FUNCTION pg_temp.treats(id int) RETURNS boolean LANGUAGE plpgsql VOLATILE
    SET medchain.purpose = 'TREAT' AS $$ BEGIN
    RETURN EXISTS (SELECT FROM ward w WHERE w.id = $1 AND w.patient = 'W1'); END $$;
SELECT id, pg_temp.treats(1), pg_temp.treats(2) FROM ward ORDER BY id;
-- prepared, by index and without
PREPARE ward_of AS SELECT id FROM ward WHERE patient = $1;
PREPARE wards AS SELECT string_agg(patient, ' ' ORDER BY id) FROM ward;
SET enable_seqscan = off;
SET plan_cache_mode = force_generic_plan;
EXECUTE ward_of('W1');
EXECUTE wards;
SET medchain.purpose = 'TREAT';
EXECUTE ward_of('W1');
EXECUTE wards;
RESET medchain.purpose;
EXECUTE ward_of('W1');
EXECUTE wards;
RESET enable_seqscan;
-- changes
UPDATE ward SET note = 'changed' RETURNING id;
SET medchain.purpose = 'TREAT';
UPDATE ward SET note = 'changed' RETURNING id;
SET medchain.purpose = 'HRESCH';
UPDATE ward SET note = 'changed' RETURNING id;
DELETE FROM ward RETURNING id;

-- open cursors: rows are asked for again, or not there any more
BEGIN;
SET LOCAL medchain.purpose = 'TREAT';
DECLARE scan CURSOR FOR SELECT id FROM ward WHERE id > 0;
DECLARE sort CURSOR FOR SELECT id FROM ward ORDER BY note, id;
FETCH 1 FROM scan;
FETCH 1 FROM sort;
SET LOCAL medchain.purpose = 'HRESCH';
FETCH ALL FROM scan;
SAVEPOINT s;
FETCH ALL FROM sort;
ROLLBACK TO s;
ROLLBACK;
-- back again before the next row is asked for, as a function that has a purpose of its own
BEGIN;
SET LOCAL medchain.purpose = 'TREAT';
DECLARE sort CURSOR FOR SELECT id FROM ward ORDER BY id;
FETCH 1 FROM sort;
SELECT pg_temp.treats(1);
SET LOCAL medchain.purpose = 'HRESCH';
SET LOCAL medchain.purpose = 'TREAT';
FETCH ALL FROM sort;
ROLLBACK;
-- who has read nothing under a purpose may state one
BEGIN;
DECLARE sort CURSOR FOR SELECT id FROM ward ORDER BY id;
SET LOCAL medchain.purpose = '';
FETCH 1 FROM sort;
SET LOCAL medchain.purpose = 'other';
FETCH ALL FROM sort;
COMMIT;

--
-- Breaking the glass: off, and not everybody's
--
RESET medchain.purpose;
SELECT call, field, content FROM test.errors_of($$break_glass('W7', 'unconscious')$$);
\c - regress_nobody
SELECT call, field, content FROM test.errors_of($$break_glass('W7', 'unconscious')$$,
    $$justify(gen_random_uuid(), 'why')$$);
\c - :superuser
SELECT call, field, content FROM test.errors_of($$break_glass('W7', 'unconscious')$$,
    $$set_policy('break_glass_max', NULL)$$, $$set_policy('break_glass_max', 'long')$$,
    $$set_policy('break_glass_max', '8 days')$$, $$set_policy('break_glass_max', '-1 s')$$,
    $$set_policy('break_glass', '1 h')$$);
\c - regress_dc
SELECT call, field, content FROM test.errors_of($$break_glass('W7', 'unconscious')$$);
\c - :superuser
SELECT member, state, capabilities FROM medchain.members WHERE member = 'hospital-a';
SELECT medchain.amend_contract('hospital-a', '{query, update, emergency}') AS contract \gset
\c regress_hospital_a
CALL test.wait_for(format($$ SELECT EXISTS (SELECT FROM medchain.contract WHERE id = %L) $$,
    :'contract'));
SELECT medchain.accept_contract() IS NOT NULL AS accepted;
SELECT medchain.bind_role('regress_a', 'hospital-a') IS NOT NULL AS bound;
\c :data_centre
CALL test.wait_for($$ SELECT 'emergency' = ANY (capabilities) FROM medchain.members
    WHERE member = 'hospital-a' $$);
\c - regress_a
SELECT call, field, content FROM test.errors_of($$break_glass('W7', 'unconscious')$$);
\c - :superuser
SELECT medchain.set_policy('break_glass_max', '2 hours') IS NOT NULL AS set;
SELECT policy, value FROM medchain.policies WHERE policy = 'break_glass_max';

--
-- At the holder of the records: for the member that is connected
--
\c - regress_a
SELECT call, field, content FROM test.errors_of($$break_glass(NULL, 'unconscious')$$,
    $$break_glass('W7', NULL)$$, $$break_glass('W7', ' ')$$, $$break_glass('', 'unconscious')$$,
    $$break_glass('W7', 'unconscious', '0')$$, $$break_glass('W7', 'unconscious', '-1 h')$$,
    $$justify(NULL, 'why')$$, $$justify(gen_random_uuid(), NULL)$$,
    $$justify(gen_random_uuid(), 'why')$$);
SELECT count(*) FROM ward;
SELECT medchain.break_glass('W7', 'unconscious') AS glass \gset
-- at once; for any purpose, to look and not to touch
SELECT id, note FROM ward ORDER BY id;
SET medchain.purpose = 'ETREAT';
SELECT 'W7' = ANY (medchain.granted_subjects()) AS granted;
SELECT medchain.may_query('W7'), medchain.may_query('W7', 'ward') AS here,
    medchain.may_update('W7') AS update, medchain.may_query('W8') AS other;
UPDATE ward SET note = 'touched' WHERE patient = 'W7';
SET enable_seqscan = off;
SELECT test.plan('SELECT id FROM ward');
SELECT array_agg(id ORDER BY id) FROM ward;
\c - regress_dc
SELECT count(*) FROM ward;
\c - :superuser
SELECT member, role, holder, identity, reason,
    round(extract(epoch FROM until - "from")) AS seconds, justified, justification
    FROM medchain.break_glasses WHERE break_glass = :'glass';
SELECT count(*) FROM medchain.unjustified;
SELECT condition, holds FROM medchain.explain_entry(:'glass');
-- the ledger has the examinee under a pseudonym
SELECT e.kind, e.actor, e.origin, e.subject = medchain.pseudonym('W7') AS subject,
    array(SELECT k FROM jsonb_object_keys(e.payload::jsonb -> 'body') k ORDER BY k) AS body
    FROM medchain.entry e WHERE id = :'glass';
-- others' sessions do not justify it
\c - regress_dc
SELECT call, field, content FROM test.errors_of(format('justify(%L, ''why'')', :'glass'));
\c - regress_a
SELECT medchain.justify(:'glass', 'He was brought in after an accident.') AS justification \gset
SELECT call, field, content FROM test.errors_of(format('justify(%L, ''again'')', :'glass'));
SELECT id FROM ward WHERE patient = 'W7';
-- no longer than the policy, and not longer than that
SELECT medchain.break_glass('W8', 'unconscious', '1 day') AS glass \gset
SET medchain.break_glass_time = '10 min';
SELECT medchain.break_glass('W8', 'still unconscious') IS NOT NULL AS broken;
SELECT medchain.break_glass('W9', 'for a moment', '1 s') IS NOT NULL AS broken;
SELECT id FROM ward WHERE patient = 'W8';
\c - :superuser
SELECT round(extract(epoch FROM until - "from")) AS seconds, reason FROM medchain.unjustified
    ORDER BY "from";
SELECT justified IS NOT NULL AS justified, justification FROM medchain.break_glasses
    WHERE justified IS NOT NULL;
SELECT condition, holds FROM medchain.explain_entry(:'justification');
\c - regress_a
CALL test.wait_for($$ SELECT NOT medchain.may_query('W9') $$);
SELECT array_agg(id ORDER BY id) FROM ward;

--
-- On the member's own chain: at every holder
--
\c regress_hospital_a :superuser
SELECT call, field, content FROM test.errors_of($$break_glass('W6', 'unconscious')$$);
\c - regress_a
SELECT medchain.break_glass('W6', 'arrived unconscious') AS glass \gset
\c :data_centre regress_a
CALL test.wait_for($$ SELECT medchain.may_query('W6') $$);
SELECT id, note FROM ward WHERE patient = 'W6';
\c - :superuser
SELECT member, role, holder, reason FROM medchain.unjustified WHERE identity = 'W6';
-- here it is not what is justified: that is for the member
\c - regress_a
SELECT field, content FROM test.errors_of(format('justify(%L, ''why'')', :'glass'));
\c regress_hospital_a
SELECT medchain.justify(:'glass', 'It was for his life.') IS NOT NULL AS justified;
\c :data_centre :superuser
CALL test.wait_for($$ SELECT NOT EXISTS (SELECT FROM medchain.unjustified
    WHERE identity = 'W6') $$);

-- a contract without that ends it
SELECT medchain.set_policy('break_glass_max', '0') IS NOT NULL AS set;
SELECT medchain.amend_contract('hospital-a', '{query, update}') AS contract \gset
\c regress_hospital_a
CALL test.wait_for(format($$ SELECT EXISTS (SELECT FROM medchain.contract WHERE id = %L) $$,
    :'contract'));
SELECT medchain.accept_contract() IS NOT NULL AS accepted;
\c :data_centre
CALL test.wait_for($$ SELECT NOT 'emergency' = ANY (capabilities) FROM medchain.members
    WHERE member = 'hospital-a' $$);
\c - regress_a
SELECT array_agg(id ORDER BY id) FROM ward;
\c - :superuser
SELECT count(*) AS faults FROM medchain.verify() WHERE NOT ok;
UPDATE medchain.break_glass SET justified = now() WHERE justified IS NULL AND reason ~ '^still';
SELECT detail ~ '^break_glass entry \d+: column justified is "' AS found FROM medchain.verify()
    WHERE NOT ok;
UPDATE medchain.break_glass SET justified = NULL WHERE justification IS NULL;
SELECT medchain.unprotect('ward');
DROP TABLE ward;
