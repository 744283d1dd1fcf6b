--
-- No call ends in an internal error: each function of ours, those that only superusers may call
-- with them, is called many times with what nobody would give it: relations that are none or of
-- another kind, nulls, ends of ranges, bytes of wrong lengths, JSON of another form.
--
\set SHOW_CONTEXT never
SET client_min_messages = error;
CREATE TABLE odd_key (id int PRIMARY KEY, patient text);
CREATE TABLE odd_plain (a int);
CREATE VIEW odd_view AS SELECT 1 AS a;
CREATE TABLE test.odd AS SELECT format_type(t, NULL) AS type, v AS values FROM (VALUES
    ('regclass'::regtype, '{0, 4000000000, odd_key, odd_plain, odd_view, odd_key_pkey, pg_class,
        medchain.entry, medchain.members, medchain.row_set_part_seq}'::text[]),
    ('oid', '{0, 4000000000, 1259, 2200}'),
    ('text', ARRAY['', 'x', 'medchain', 'id=1', '{}', '[]', '{"a": 1e400000}', '-', '\x00',
        repeat('y', 300), '2026-01-01', 'SELECT 1', 'SELECT nosuch', 'data-centre', '1 day', '%s']),
    ('name', ARRAY['', 'x', 'id', 'patient', repeat('y', 63)]),
    ('integer', '{0, -1, 1, 2147483647, -2147483648}'), ('smallint', '{0, -1, 32767}'),
    ('bigint', '{0, -1, 1, 9223372036854775807, -9223372036854775808}'),
    ('bytea', ARRAY['\x', '\x00', '\xff', '\x' || repeat('00', 32), '\x' || repeat('ff', 31),
        '\x' || repeat('ab', 64), '\x' || repeat('01', 200)]),
    ('uuid', '{00000000-0000-0000-0000-000000000000}'), ('boolean', '{t, f}'),
    ('jsonb', ARRAY['{}', '[]', '1', 'null', '"x"', '{"a": [1]}', '[null]', '[{"member": 1}]']),
    ('json', ARRAY['{}', '[]', '1', 'null', '"x"', '[{}]']),
    ('tid', '{"(0,0)", "(4294967295,65535)", "(0,1)"}'),
    ('timestamptz', '{infinity, -infinity, 2000-01-01, epoch}'),
    ('interval', '{0, -1 day, 100000 years}'),
    ('tstzrange', '{empty, "(,)", "[2000-01-01,2001-01-01)"}'),
    ('double precision', '{0, NaN, Infinity, -1}'),
    ('text[]', ARRAY['{}', '{NULL}', '{a, a}', '{""}']), ('name[]', ARRAY['{}', '{NULL}', '{id}']),
    ('bytea[]', ARRAY['{}', '{NULL}', '{"\\x00"}']), ('bigint[]', ARRAY['{}', '{NULL}', '{0, -1}']),
    ('uuid[]', ARRAY['{}', '{NULL}']), ('oid[]', ARRAY['{}', '{NULL}', '{0}', '{1259}']),
    ('regclass[]', ARRAY['{}', '{NULL}', '{0}', '{odd_key}'])) o (t, v);
CREATE FUNCTION test.odd_call(p_function oid, n int) RETURNS text LANGUAGE sql AS $$
    SELECT format('SELECT * FROM %s.%I(%s)', p.pronamespace::regnamespace, p.proname,
        (SELECT string_agg(CASE WHEN o.values IS NULL OR random() < 0.12 THEN 'NULL'
                ELSE quote_literal(o.values[1 + floor(random() * cardinality(o.values))::int]) END
                || '::' || a.type::regtype, ', ' ORDER BY a.number)
         FROM unnest(p.proargtypes) WITH ORDINALITY a (type, number)
             LEFT JOIN test.odd o ON o.type = format_type(a.type, NULL)))
    FROM pg_proc p WHERE p.oid = p_function AND n > 0
$$;
-- The state of its error, if it is an internal one; what it did is undone.
CREATE FUNCTION test.internal(call text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE call;
    RAISE SQLSTATE 'XE001';
EXCEPTION WHEN OTHERS THEN
    RETURN CASE SQLSTATE WHEN 'XX000' THEN SQLERRM END;
END
$$;
SELECT setseed(0.5) IS NOT NULL AS seeded;
CREATE TABLE test.calls AS
    SELECT p.oid::regprocedure AS function, test.odd_call(p.oid, n) AS call
    FROM pg_proc p
        CROSS JOIN LATERAL generate_series(1, CASE p.pronargs WHEN 0 THEN 1 ELSE 40 END) n
    WHERE p.pronamespace = ANY ('{medchain,medchain_internal}'::regnamespace[])
        AND p.prokind = 'f' AND p.prorettype NOT IN ('trigger'::regtype, 'event_trigger'::regtype);
SELECT count(*) > 5000 AS many FROM test.calls;
SET statement_timeout = '300s';
SELECT DISTINCT c.function, t.internal AS "ends in"
    FROM test.calls c, LATERAL test.internal(c.call) AS t (internal)
    WHERE t.internal IS NOT NULL ORDER BY 1, 2;
RESET statement_timeout;
DROP TABLE test.calls, test.odd;
DROP FUNCTION test.odd_call(oid, int), test.internal(text);
DROP VIEW odd_view;
DROP TABLE odd_key, odd_plain;
