--
-- Who gives a call far too much is told what is wrong with it, and neither he nor the server's log
-- gets it back: each argument of each function that roles may call is long once, while the others
-- are what somebody would give.
--
\set SHOW_CONTEXT never
SET client_min_messages = error;
CREATE TABLE test.samples (argument text, sample text);
INSERT INTO test.samples VALUES ('member', 'end-node'), ('node', 'end-node'),
    ('name', 'examinee_signature'), ('origin', 'data-centre'), ('publisher', 'data-centre'),
    ('data_center', 'dbname=nowhere'), ('conninfo', 'dbname=nowhere'), ('kind', 'note'),
    ('payload', '{"a": 1}'), ('note', '{"a": 1}'), ('operation', 'query'), ('subject', 'P1'),
    ('certificate', test.pem('end-node')), ('trust_anchors', test.pem('ca')),
    ('crl_policy', 'strict'), ('alliance', 'east'), ('value', 'required'), ('key', 'id'),
    ('algorithm', 'ed25519'), ('protocol_text', 'text'), ('reason', 'why'),
    ('grants', '[{"grantee": "end-node", "operations": ["query"]}]'),
    ('data_index', '[{"holder": "data-centre", "relation": "test.samples", "key": {"id": 1}}]');
-- two hundred thousand bytes, in the forms that get past the first check
CREATE TABLE test.long (type text, value text);
INSERT INTO test.long SELECT t.type, replace(t.form, 'LONG', repeat('x', 200000))
    FROM (VALUES ('text', 'LONG'), ('text', 'a+LONG'), ('text', E'note\nLONG\n\n\u2014 a LONG\n'),
        ('text', E'-----BEGIN CERTIFICATE-----\nLONG\n-----END CERTIFICATE-----\n'),
        ('text', '{"payloadType": "LONG", "payload": "YQ==", "signatures": [{"sig": "YQ=="}]}'),
        ('text', '{"payloadType": "t", "payload": "LONG", "signatures": [{"sig": "LONG"}]}'),
        ('text', '{"LONG": 1}'), ('text', 'dbname=LONG'), ('text[]', '{LONG}'),
        ('bytea', 'LONG'), ('bytea[]', '{LONG}'), ('name', 'LONG'),
        ('json', '"LONG"'), ('json', '{"LONG": 1}'), ('json', '[{"LONG": 1}]'),
        ('json', '[{"grantee": "LONG", "operations": ["query"]}]'),
        ('json', '[{"grantee": "end-node", "operations": ["LONG"]}]'),
        ('json', '[{"grantee": "end-node", "operations": ["query"], "purpose": 1, "LONG": 1}]'),
        ('json', '[{"grantee": "end-node", "operations": ["query"], "valid": "LONG"}]'),
        ('json', '[{"grantee": "end-node", "operations": ["query"], "valid": {"from": "LONG"}}]'),
        ('json', '[{"grantee": "end-node", "operations": ["query"], "records": ["LONG"]}]'),
        ('json', '[{"holder": "LONG", "relation": "a", "key": {"id": 1}}]'),
        ('json', '[{"holder": "data-centre", "relation": "LONG", "key": {"id": 1}}]'),
        ('json', '[{"holder": "data-centre", "relation": "a", "key": {"LONG": {}}}]'),
        ('json', '[{"holder": "data-centre", "relation": "a", "LONG": 1}]')) t (type, form);
INSERT INTO test.long SELECT f.type, l.value FROM test.long l
    JOIN (VALUES ('jsonb', 'json'), ('anyelement', 'text')) f (type, like_type)
    ON f.like_type = l.type;
CREATE TABLE test.arguments AS
    SELECT p.oid AS function, p.proname AS name, a.n, coalesce(p.proargnames[a.n], '') AS argument,
           format_type(a.type, NULL) AS type
    FROM pg_proc p CROSS JOIN LATERAL unnest(p.proargtypes) WITH ORDINALITY a (type, n)
    WHERE p.pronamespace = ANY ('{medchain,medchain_internal}'::regnamespace[])
        AND p.proname <> 'leave_alliance'
    AND EXISTS (SELECT FROM aclexplode(p.proacl) g
                WHERE g.privilege_type = 'EXECUTE' AND g.grantee <> p.proowner);
-- The length of an error; of none 0, of an internal one -1.
CREATE FUNCTION test.told(call text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    message text;
    detail text;
    hint text;
    state text;
BEGIN
    BEGIN
        EXECUTE call;
        RAISE assert_failure;
    EXCEPTION WHEN assert_failure THEN
        RETURN 0;
    END;
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT,
        detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
    RETURN CASE WHEN state ^@ 'XX' THEN -1
        ELSE length(message) + length(detail) + length(hint) END;
END
$$;
CREATE TABLE test.calls AS
    SELECT a.function, a.name, a.argument, l.value, format('SELECT %s %s.%I(%s)',
        CASE WHEN p.proretset THEN '* FROM' END, p.pronamespace::regnamespace, a.name,
        (SELECT string_agg(CASE WHEN o.n = a.n
                THEN format('(SELECT value FROM test.long WHERE ctid = %L)::%s', l.ctid,
                    CASE o.type WHEN 'anyelement' THEN 'text' ELSE o.type END)
                ELSE format('%L::%s', s.sample,
                    CASE o.type WHEN 'anyelement' THEN 'text' ELSE o.type END) END,
                ', ' ORDER BY o.n)
         FROM test.arguments o LEFT JOIN test.samples s ON s.argument = o.argument
             AND o.type IN ('text', 'json', 'jsonb', 'anyelement', 'name')
         WHERE o.function = a.function)) AS call
    FROM test.arguments a JOIN pg_proc p ON p.oid = a.function
    JOIN (SELECT ctid, * FROM test.long) l ON l.type = a.type;
SELECT c.name, c.argument, max(t.told) AS told
    FROM test.calls c, LATERAL test.told(c.call) AS t (told)
    WHERE t.told NOT BETWEEN 0 AND 1500 GROUP BY 1, 2 ORDER BY 1, 2;
SELECT count(*) > 500 AS tried FROM test.calls;
-- the input function of a key's type gets it, and says so
CREATE TABLE long_key (id int PRIMARY KEY);
SELECT medchain.ledger_table('long_key');
SELECT call, k.key, test.told(format('SELECT medchain.%s(''long_key'', %s)', call, k.value))
        BETWEEN 1 AND 300 AS told
    FROM unnest('{row_history,row_proof}'::text[]) call, (VALUES
        ('text', $$repeat('x', 200000)$$),
        ('json', $$format('{"id": "%s"}', repeat('x', 200000))$$),
        ('another json', $$repeat('{"a":', 3000) || 1 || repeat('}', 3000)$$),
        ('number', $$repeat('9', 100000)::numeric$$)) k (key, value);
SELECT medchain.end_ledger_table('long_key');
DROP TABLE long_key;
DROP TABLE test.samples, test.long, test.arguments, test.calls;
DROP FUNCTION test.told(text);
