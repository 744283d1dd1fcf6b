--
-- The subjects that somebody may see, as an index is asked for them: columns of each type, many
-- subjects, and queries that say themselves whose rows they want.
--
\set SHOW_CONTEXT never
SELECT current_database() AS data_centre, current_user AS superuser \gset
\c regress_end_node
-- with texts that look like values of another type, and are not how PostgreSQL writes them
SELECT count(test.grant_a(s, '{"operations": ["query"]}')) AS issued
    FROM unnest('{77, -5, 0, 9223372036854775807, -9223372036854775808, 9223372036854775808, 007,
    +8, 9.0, -0, 0x10, 1e1, 00000000-0000-4000-8000-00000000000a,
    0B000000-0000-4000-8000-00000000000a, c, "{00000000-0000-4000-8000-00000000000d}",
    00000000000040008000-00000000000e}'::text[]) s;
SELECT count(test.grant_a('many-' || i, '{"operations": ["query"]}')) AS issued
    FROM generate_series(1, 150) i;
SELECT medchain.append('remark', '"many grants"') IS NOT NULL AS appended;
SELECT medchain.seal();
\c :data_centre
CALL test.wait_for($$ SELECT EXISTS (SELECT FROM medchain.entry WHERE payload ~ 'many grants') $$);

CREATE DOMAIN whole AS bigint;
CREATE DOMAIN wholes AS whole CHECK (value IS NOT NULL);
CREATE DOMAIN unique_id AS uuid;
CREATE DOMAIN word AS varchar(40);
CREATE TABLE test.kinds (name text, type text, value text);
INSERT INTO test.kinds VALUES ('small', 'smallint', 'n'), ('whole_number', 'integer', 'n'),
    ('large', 'bigint', 'n'), ('domain_large', 'whole', 'n'), ('domain_larger', 'wholes', 'n'),
    ('ids', 'uuid', '(''00000000-0000-4000-8000-'' || lpad(to_hex(n), 12, ''0''))::uuid'),
    ('domain_ids', 'unique_id',
        '(''00000000-0000-4000-8000-'' || lpad(to_hex(n), 12, ''0''))::uuid'),
    ('blanks', 'char(40)', '''many-'' || n'), ('letters', 'varchar(40)', '''many-'' || n'),
    ('words', 'word', '''many-'' || n'), ('texts', 'text', '''many-'' || n'),
    ('amounts', 'numeric', 'n');
DO $$
DECLARE
    k record;
BEGIN
    FOR k IN SELECT * FROM test.kinds LOOP
        EXECUTE format('CREATE TABLE k_%s (id int PRIMARY KEY, subject %s)', k.name, k.type);
        EXECUTE format('INSERT INTO k_%s SELECT n + 10, %s FROM generate_series(-9, 25000) n',
            k.name, k.value);
        EXECUTE format('CREATE INDEX ON k_%s (subject)', k.name);
        EXECUTE format('ANALYZE k_%s', k.name);
        PERFORM medchain.protect(('k_' || k.name)::regclass, 'subject');
        EXECUTE format('GRANT SELECT ON k_%s TO regress_a', k.name);
    END LOOP;
END
$$;
GRANT SELECT ON test.kinds TO regress_a;
CREATE FUNCTION test.asks_index(query text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    line text;
BEGIN
    FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
        IF line ~ 'Index Cond.*granted_subjects_as' THEN
            RETURN true;
        END IF;
    END LOOP;
    RETURN false;
END
$$;
CREATE FUNCTION test.ids_of(relation text, by_index boolean) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
    found int;
BEGIN
    PERFORM set_config(x, by_index::text, true)
        FROM unnest('{enable_indexscan, enable_indexonlyscan, enable_bitmapscan}'::text[]) x;
    EXECUTE format('SELECT count(*) FROM %I', relation) INTO found;
    PERFORM set_config(x, 'true', true)
        FROM unnest('{enable_indexscan, enable_indexonlyscan, enable_bitmapscan}'::text[]) x;
    RETURN found;
END
$$;
\c - regress_a
-- character and numeric are read row by row: their texts are not their values
SELECT name, test.asks_index(format('SELECT * FROM k_%s', name)) AS asks_index,
    test.ids_of('k_' || name, true) AS by_index, test.ids_of('k_' || name, false) AS by_rows
    FROM test.kinds;
SELECT id FROM k_ids;
SELECT id FROM k_small ORDER BY 1;
-- who says whose rows he wants is not asked for everybody's
SELECT q, test.asks_index(q) AS asks_index FROM unnest(ARRAY[
    'SELECT * FROM k_texts WHERE subject = ''many-7''',
    'SELECT * FROM k_texts WHERE ''many-7'' = subject',
    'SELECT * FROM k_texts WHERE subject IN (''many-7'', ''many-8'')',
    'SELECT * FROM k_texts WHERE subject > ''many-7''',
    'SELECT * FROM k_large WHERE subject = 77',
    'SELECT * FROM k_texts t JOIN k_letters l ON l.subject = t.subject WHERE t.id < 20',
    'SELECT * FROM k_large t LEFT JOIN k_whole_number l ON l.subject = t.subject WHERE t.id < 20',
    'SELECT * FROM k_texts t JOIN k_letters l ON l.id = t.id']) q;
SELECT count(*) FROM k_texts t JOIN k_letters l ON l.subject = t.subject WHERE t.id < 20;
-- an inner relation that is asked again has the array from the first time
SET enable_hashjoin = off;
SET enable_mergejoin = off;
SET enable_material = off;
SELECT count(*) FROM generate_series(1, 50) n, LATERAL (SELECT FROM k_texts t
    WHERE t.subject > 'many-' || n LIMIT 1) t;
RESET ALL;
\c - :superuser
SELECT cardinality(medchain_internal.granted_subjects_as('query', NULL, NULL::date, 0));
\c - regress_a
SELECT v FROM unnest(medchain_internal.granted_subjects_as('query', NULL, NULL::bigint, 0)) v
    ORDER BY 1;
SELECT v FROM unnest(medchain_internal.granted_subjects_as('query', NULL, NULL::uuid, 0)) v
    ORDER BY 1;
SELECT cardinality(medchain_internal.granted_subjects_as('update', NULL, NULL::text, 0)) > 0
    AS some,
    medchain_internal.granted_subjects_as(NULL, NULL, NULL::text, 0) IS NULL AS none;
\c - :superuser
DO $$
DECLARE
    k record;
BEGIN
    FOR k IN SELECT * FROM test.kinds LOOP
        EXECUTE format('DROP TABLE k_%s', k.name);
    END LOOP;
END
$$;
DROP TABLE test.kinds;
DROP DOMAIN wholes, whole, unique_id, word;
DROP FUNCTION test.asks_index(text), test.ids_of(text, boolean);
SELECT medchain.seal();
