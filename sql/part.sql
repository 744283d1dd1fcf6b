--
-- Parts: an examinee grants single records, and single columns; what is not granted reads as null,
-- or its row is absent, whatever the query does with it.
--
\set SHOW_CONTEXT never
SELECT current_database() AS data_centre, current_user AS superuser \gset
CREATE TABLE chart (id int PRIMARY KEY, patient text NOT NULL, day date, code text, price numeric,
    secret text, doctor text DEFAULT 'nobody');
INSERT INTO chart SELECT i, 'X' || (i + 1) / 2, date '2026-01-01' + i, 'code ' || i, i * 1.5,
    'secret ' || i FROM generate_series(1, 12) i;
CREATE TABLE lab (id int, patient varchar(20) NOT NULL, at timestamptz, value float8, note text,
    PRIMARY KEY (id)) PARTITION BY RANGE (id);
CREATE TABLE lab_1 PARTITION OF lab FOR VALUES FROM (1) TO (7);
CREATE TABLE lab_2 (note text, gone int, value float8, at timestamptz, patient varchar(20) NOT NULL,
    id int PRIMARY KEY);
ALTER TABLE lab_2 DROP COLUMN gone;
ALTER TABLE lab ATTACH PARTITION lab_2 FOR VALUES FROM (7) TO (100);
INSERT INTO lab SELECT i, 'X' || (i + 1) / 2,
    '2026-01-01 00:00+00'::timestamptz + i * interval '1 day', i / 2.0,
    'note ' || i FROM generate_series(1, 12) i;
CREATE TABLE closed AS SELECT * FROM chart;
ALTER TABLE closed ADD PRIMARY KEY (id);
CREATE UNIQUE INDEX ON chart (id, code);
CREATE TABLE noted (id int PRIMARY KEY, patient text NOT NULL, code text, secret text);
CREATE TABLE noted_more (more text, PRIMARY KEY (id)) INHERITS (noted);
CREATE TABLE noted_other (other text, PRIMARY KEY (id)) INHERITS (noted);
INSERT INTO noted VALUES (1, 'X3', 'code 1', 'secret 1'), (2, 'X5', 'code 2', 'secret 2');
INSERT INTO noted_more VALUES (3, 'X3', 'code 3', 'secret 3', 'more 3');
INSERT INTO noted_other VALUES (4, 'X3', 'code 4', 'secret 4', 'other 4');
SELECT medchain.protect('chart', 'patient', ungranted => 'nothing');
SELECT medchain.protect('chart', 'patient', ungranted => 'null');
SELECT medchain.protect('lab', 'patient', ungranted => 'absent');
SELECT medchain.protect('closed', 'patient');
SELECT medchain.protect('noted', 'patient', ungranted => 'null');
GRANT SELECT, INSERT, UPDATE, DELETE ON chart, lab, lab_1, lab_2, closed TO regress_a;
GRANT SELECT ON noted, noted_more, noted_other TO regress_a;

\c regress_end_node
SELECT count(test.grant_a(s, t)) AS issued FROM (VALUES
    -- all of X1; of X2 a record; of X3 some columns; of X4 columns of a record, and another column
    -- of all; of X6 what may be changed
    ('X1', '{"operations": ["query"]}'::jsonb),
    ('X2', '{"operations": ["query"], "records": [{"relation": "public.chart", "key": {"id": 3}},
        {"relation": "public.lab", "key": {"at": "2026-01-04 00:00:00+00"}},
        {"relation": "public.closed", "key": {"id": 3}}]}'),
    ('X3', '{"operations": ["query"], "records": [{"relation": "public.chart",
        "columns": ["day", "code"]}, {"relation": "public.lab", "columns": ["value"]},
        {"relation": "public.noted", "columns": ["code"]},
        {"relation": "public.noted_more", "columns": ["secret", "more"]},
        {"relation": "public.closed", "columns": ["day"]}]}'),
    ('X4', '{"operations": ["query"], "records": [{"relation": "public.chart", "key": {"id": 7,
        "price": 10.50}, "columns": ["secret"]}, {"relation": "public.lab", "key": {"value": 3.5},
        "columns": ["note", "value"]}]}'),
    ('X4', '{"operations": ["query"], "records": [{"relation": "public.chart",
        "columns": ["doctor"]}]}'),
    ('X6', '{"operations": ["query", "update"], "records": [{"relation": "public.chart",
        "columns": ["code", "doctor"], "key": {"id": 11}}, {"relation": "public.chart",
        "key": {"id": 12}}]}'),
    ('X6', '{"operations": ["update"], "records": [{"relation": "public.chart",
        "columns": ["secret"]}]}')) g (s, t);
-- what is no part
SELECT r AS records, left(e.content, 5) AS error FROM (VALUES ('[1]'), ('["chart"]'), ('[{}]'),
    ('[{"relation": "chart"}]'),
    ('[{"relation": "a.b", "rows": 1}]'), ('[{"relation": "a.b", "key": {}}]'),
    ('[{"relation": "a.b", "key": [1]}]'), ('[{"relation": "a.b", "key": {"a": [1]}}]'),
    ('[{"relation": "a.b", "key": null}]'), ('[{"relation": "a.b", "key": {"a": null}}]'),
    ('[{"relation": "a.b", "columns": []}]'),
    ('[{"relation": "a.b", "columns": "c"}]'), ('[{"relation": "a.b", "columns": [1]}]'),
    ('[{"relation": "a.b", "holder": 1}]')) o (r),
    LATERAL test.error_of(format('SELECT test.grant_a(''X5'', ''{"operations": ["query"], '
        '"records": %s}'')', r)) e;
-- nor on the ledger, past issue_protocol(): the key of an examinee is null, all rows are not his
\c - :superuser
SELECT medchain_internal.append_governance('protocol', medchain_internal.sign_envelope(
    'application/vnd.medchain.protocol+json', jsonb_build_object('alliance', a.alliance,
    'issuer', a.node, 'subject', p.pseudonym, 'text', 'odd', 'valid', '{}'::jsonb, 'grants',
    jsonb_build_array(jsonb_build_object('grantee', 'hospital-a', 'operations', '["query"]'::jsonb,
        'valid', '{}'::jsonb, 'records', '[{"relation": "public.chart", "rows": 1},
        {"relation": "public.chart", "key": [9]}, {"relation": "public.chart", "columns": "code"},
        {"relation": "public.chart", "holder": "somebody"}, {"columns": ["code"]},
        {"relation": "public.chart", "key": {"id": {"a": 1}}}, {"relation": "public.chart",
        "key": {"colour": "x"}}, {"relation": "public.chart", "key": {"secret": null}},
        {"relation": "public.chart", "key": {}}, {"relation": "public.chart", "key": null},
        "{no json", "{\"relation\": 1}", null, 7]'::jsonb)),
    'data_index', '[]'::jsonb)::text)::jsonb, medchain_internal.remember_identity('X5'))
    IS NOT NULL AS issued
    FROM medchain.local_node a,
    LATERAL (SELECT encode(medchain.pseudonym('X5'), 'hex')) p (pseudonym);
SELECT medchain.append('remark', '"parts are granted"') IS NOT NULL AS appended;
SELECT medchain.seal();
\c :data_centre
CALL test.wait_for($$ SELECT EXISTS (SELECT FROM medchain.entry
    WHERE payload ~ '"parts are granted"') $$);

\c - regress_a
-- null
SELECT * FROM chart ORDER BY id;
SELECT c FROM chart c WHERE id IN (2, 5, 7) ORDER BY id;
SELECT count(*), count(secret), max(secret), string_agg(code, ' ' ORDER BY id) FROM chart;
SELECT id FROM chart WHERE secret IS NOT NULL ORDER BY id;
SELECT id FROM chart WHERE secret LIKE 'secret%' OR price > 0 ORDER BY id;
SELECT id, secret FROM chart WHERE code = 'code 5';
SELECT a.id, b.secret FROM chart a LEFT JOIN chart b ON b.id = a.id + 1 AND b.id < 6 ORDER BY a.id;
SELECT row_to_json(c) FROM chart c WHERE id = 5;
SELECT id, (SELECT c.secret || d.code FROM chart d WHERE d.id = c.id) AS both FROM chart c
    WHERE id IN (2, 5, 7) ORDER BY id;
WITH w AS (SELECT * FROM chart) SELECT count(w.price) FROM w;
SELECT code, count(*), count(secret) FROM chart GROUP BY code ORDER BY code;
SELECT c.id, c.secret FROM chart c GROUP BY c.id ORDER BY 1;
SELECT DISTINCT secret FROM chart ORDER BY 1;
SELECT id, lag(secret) OVER (ORDER BY id) FROM chart ORDER BY id;
CREATE TEMP VIEW charts AS SELECT id, secret, upper(code) AS code FROM chart;
SELECT * FROM charts WHERE id IN (2, 5) ORDER BY id;
PREPARE one AS SELECT id, secret FROM chart WHERE id = $1;
EXECUTE one(2);
EXECUTE one(5);
COPY (SELECT * FROM chart WHERE id = 5) TO STDOUT;
COPY chart (id, secret) TO STDOUT;
SELECT ctid IS NOT NULL AS has_place, tableoid::regclass FROM chart WHERE id = 5;
-- nothing that looks sees more
CREATE FUNCTION pg_temp.look(text) RETURNS boolean LANGUAGE plpgsql COST 0.0001 AS $$
BEGIN
    IF $1 ~ ' ([45689]|10|11)$' THEN
        RAISE EXCEPTION 'seen: %', $1;
    END IF;
    RETURN true;
END
$$;
SELECT count(*) FROM chart WHERE pg_temp.look(secret);
SELECT count(*) FROM chart c WHERE pg_temp.look(c::text);
SELECT count(*) FROM chart c JOIN chart d ON pg_temp.look(c.secret || d.secret);
-- joins by it, what is named by a join, sets of groups, lateral, outer references
SELECT a.id FROM chart a JOIN (SELECT 'secret ' || i FROM generate_series(1, 12) i) v (secret)
    USING (secret) ORDER BY 1;
SELECT count(*), count(secret), max(secret) FROM chart a FULL JOIN (VALUES ('secret 5'),
    ('secret 7')) v (secret) USING (secret);
SELECT j.secret FROM (chart a NATURAL JOIN (SELECT id, code FROM chart) b) j ORDER BY j.id;
SELECT secret, code, count(*) FROM chart WHERE id IN (5, 6, 7, 8)
    GROUP BY GROUPING SETS ((secret), (code), ()) ORDER BY 1, 2, 3;
SELECT c.id, l.s FROM chart c, LATERAL (SELECT c.secret || '/' || (c).code AS s) l
    WHERE c.id IN (2, 5, 7) ORDER BY 1;
SELECT v.id FROM (VALUES (5), (7)) v (id) WHERE EXISTS (SELECT FROM chart c WHERE c.id = v.id AND
    (SELECT bool_or(d.secret = c.secret) FROM chart d WHERE d.secret LIKE '%' || v.id));
SELECT (SELECT max(x.secret) FROM (SELECT c.secret UNION ALL SELECT d.secret FROM chart d
    WHERE d.id = c.id + 1) x) FROM chart c WHERE c.id IN (5, 7, 8) ORDER BY c.id;
SELECT a.id, b FROM (VALUES (5), (99)) a (id) LEFT JOIN chart b USING (id) ORDER BY 1;
SELECT id, first_value(secret) OVER w, count(secret) OVER w FROM chart
    WINDOW w AS (PARTITION BY patient ORDER BY secret DESC NULLS LAST) ORDER BY id LIMIT 6;
SELECT id FROM chart ORDER BY secret NULLS FIRST, id LIMIT 4;
WITH RECURSIVE r AS (SELECT id, secret FROM chart WHERE id = 1 UNION ALL
    SELECT c.id, c.secret FROM chart c JOIN r ON c.id = r.id + 1) SELECT * FROM r ORDER BY id;
SELECT id, CASE WHEN secret IS NULL THEN 'unknown' ELSE secret END FROM chart WHERE id IN (5, 7)
    UNION ALL SELECT id, code FROM chart WHERE id = 5 ORDER BY 1, 2;
CREATE FUNCTION pg_temp.inlined() RETURNS SETOF chart LANGUAGE sql STABLE AS $$
    SELECT * FROM public.chart $$;
SELECT count(secret) FROM pg_temp.inlined();
CREATE FUNCTION pg_temp.called() RETURNS SETOF chart LANGUAGE sql VOLATILE AS $$
    SELECT * FROM public.chart $$;
SELECT count(secret) FROM pg_temp.called();
CREATE FUNCTION pg_temp.looped(OUT n int) LANGUAGE plpgsql AS $$
DECLARE
    c chart;
BEGIN
    n := 0;
    FOR c IN SELECT * FROM chart LOOP
        n := n + (c.secret IS NOT NULL)::int;
    END LOOP;
END
$$;
SELECT * FROM pg_temp.looped();

-- absent
SELECT id FROM lab ORDER BY id;
SELECT id, value FROM lab ORDER BY id;
SELECT id, value, note FROM lab ORDER BY id;
SELECT * FROM lab ORDER BY id;
SELECT id FROM lab WHERE note IS NOT NULL ORDER BY id;
SELECT count(*) FROM lab WHERE at > '2020-01-01Z';
SET timezone = 'Asia/Kolkata';
SET datestyle = 'SQL, DMY';
SELECT id, value FROM lab_1 ORDER BY id;
SELECT id, note FROM lab_2 ORDER BY id;
SELECT count(l) FROM lab l;
-- tables that inherit: by the name of the one above, its grants count; by their own names, theirs
SELECT tableoid::regclass AS relation, n.*, n FROM noted n ORDER BY id;
SELECT id, code, secret FROM ONLY noted ORDER BY id;
SELECT * FROM noted_more;
SELECT count(*) FROM noted_other;
SELECT id FROM noted WHERE secret IS NOT NULL;
-- without the option
SELECT id FROM closed ORDER BY id;
RESET timezone;
RESET datestyle;

-- changes; how PostgreSQL words what row security refuses is its own affair
\set VERBOSITY sqlstate
UPDATE chart SET code = code || '!', doctor = 'A' WHERE id = 11 RETURNING id, code, secret;
UPDATE chart SET price = 0 WHERE id = 11;
UPDATE chart SET price = price + 1, secret = 'new' WHERE id = 12 RETURNING *;
UPDATE chart SET secret = 'blind' WHERE id = 11 RETURNING secret;
UPDATE chart SET secret = secret || '!' WHERE id = 11;
UPDATE chart SET code = secret WHERE id = 11 RETURNING code;
UPDATE chart c SET code = d.secret FROM chart d WHERE c.id = 11 AND d.id = 5 RETURNING c.code, d.*;
WITH u AS (UPDATE chart SET code = 'with' WHERE id = 11 RETURNING secret, code)
    SELECT * FROM u;
CREATE TEMP VIEW codes AS SELECT id, code, secret FROM chart;
UPDATE codes SET code = coalesce(secret, 'no secret') WHERE id = 11 RETURNING *;
UPDATE codes SET secret = NULL, code = 'view' WHERE id = 11 RETURNING *;
-- what the conditions of views ask, which anybody makes, is asked of what he sees
CREATE FUNCTION pg_temp.told(text) RETURNS boolean LANGUAGE plpgsql COST 0.0001 AS $$
BEGIN
    PERFORM set_config('medchain_test.told', concat(current_setting('medchain_test.told', true),
        coalesce($1, 'nothing'), ' '), false);
    RETURN true;
END
$$;
CREATE TEMP VIEW barred WITH (security_barrier) AS
    SELECT * FROM chart WHERE id > 10 AND pg_temp.told(price::text);
CREATE TEMP VIEW barred_more WITH (security_barrier) AS
    SELECT * FROM barred WHERE pg_temp.told(day::text);
CREATE TEMP VIEW checked AS SELECT * FROM chart WHERE pg_temp.told(price::text)
    WITH CHECK OPTION;
UPDATE barred SET code = 'barred' WHERE id = 11 RETURNING code;
UPDATE barred_more SET code = 'barred more' WHERE id = 11 RETURNING code;
UPDATE checked SET code = 'checked' WHERE id = 11 RETURNING code;
SHOW medchain_test.told;
SET medchain_test.told = '';
UPDATE barred_more SET code = code WHERE id = 12 RETURNING code;
UPDATE checked SET code = code WHERE id = 12 RETURNING code;
SHOW medchain_test.told;
UPDATE chart SET (code, day) = (SELECT 'x', NULL::date) WHERE id = 11;
UPDATE chart SET (code, doctor) = (SELECT 'multi', 'B') WHERE id = 11 RETURNING code, doctor;
UPDATE chart SET code = 'x' WHERE id = 5;
UPDATE chart SET id = 20 WHERE id = 12;
DELETE FROM chart WHERE id = 11;
INSERT INTO chart VALUES (11, 'X6', NULL, 'c') ON CONFLICT (id) DO UPDATE SET code = 'conflict';
INSERT INTO chart VALUES (12, 'X6', NULL, 'c') ON CONFLICT (id) DO UPDATE
    SET code = chart.code || excluded.code RETURNING code;
INSERT INTO chart VALUES (12, 'X6', NULL, 'c') ON CONFLICT (id) DO UPDATE SET patient = 'X1';
INSERT INTO chart VALUES (12, 'X6', NULL, 'code 12c') ON CONFLICT (id, code) DO UPDATE
    SET doctor = 'met' RETURNING doctor;
MERGE INTO chart c USING (VALUES (11), (12)) v (id) ON c.id = v.id AND c.code IS NOT NULL
    WHEN MATCHED THEN UPDATE SET doctor = 'merged';
MERGE INTO chart c USING (VALUES (11), (12)) v (id) ON c.id = v.id
    WHEN MATCHED THEN UPDATE SET day = NULL;
INSERT INTO chart VALUES (13, 'X6', NULL, 'c');
DELETE FROM chart WHERE id = 12 RETURNING id;
INSERT INTO chart VALUES (12, 'X6', NULL, 'back') RETURNING code;
-- a grant that goes
\set VERBOSITY default
\c regress_end_node :superuser
SELECT count(medchain.revoke_protocol(p.id, 'over')) AS revoked FROM medchain.protocol p
    JOIN medchain.protocol_grant g ON g.protocol = p.id
    WHERE array_to_string(g.records, ' ') ~ 'public.chart.*day' AND p.revoked IS NULL;
SELECT medchain.append('remark', '"parts are gone"') IS NOT NULL AS appended;
SELECT medchain.seal();
\c :data_centre
CALL test.wait_for($$ SELECT EXISTS (SELECT FROM medchain.entry
    WHERE payload ~ '"parts are gone"') $$);
\c - regress_a
SELECT id, code FROM chart WHERE id < 8 ORDER BY id;
\c - :superuser
SELECT * FROM chart WHERE patient = 'X6' ORDER BY id;
-- the option goes, and comes
BEGIN;
SELECT medchain.unprotect('chart');
SELECT medchain.protect('chart', 'patient');
COMMIT;
\c - regress_a
SELECT id, code, secret FROM chart ORDER BY id;
\c - :superuser
BEGIN;
SELECT medchain.unprotect('chart');
SELECT medchain.protect('chart', 'patient', ungranted => 'absent');
COMMIT;
\c - regress_a
SELECT id, secret FROM chart ORDER BY id;
CREATE TEMP VIEW barred WITH (security_barrier) AS
    SELECT * FROM chart WHERE coalesce(price, 1) > 0;
UPDATE barred SET doctor = 'absent' WHERE id > 10 RETURNING id;
CREATE TEMP VIEW checked AS SELECT * FROM chart WHERE coalesce(price, 1) > 0
    WITH CHECK OPTION;
UPDATE checked SET doctor = 'absent' WHERE id > 10 RETURNING id;
\c - :superuser
SELECT faults FROM (SELECT count(*) AS faults FROM medchain.verify_table('chart')) f;
SELECT * FROM medchain.unauthorised WHERE relation ~ 'chart|lab|noted';
SELECT medchain.unprotect('chart'), medchain.unprotect('lab'), medchain.unprotect('closed'),
    medchain.unprotect('noted');
DROP TABLE chart, lab, closed, noted_more, noted_other, noted;
