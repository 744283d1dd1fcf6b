--
-- What a superuser can change when he switches the triggers off, verify() finds, and says where.
--
\set SHOW_CONTEXT never
SELECT medchain.seal();
CALL test.wait_for($$ SELECT count(*) = 0 FROM medchain.pending $$);
SELECT count(*) AS faults FROM medchain.verify() WHERE NOT ok;

-- Tampers, verifies and undoes it.  "located": such a fault is at this height, or at no block where
-- null is given.
CREATE FUNCTION test.tampered(statement text, expected_height bigint, since_height bigint
    DEFAULT 0) RETURNS TABLE (origin text, fault text, detail text, located boolean)
    LANGUAGE plpgsql SECURITY DEFINER
AS $$
DECLARE
    found jsonb;
BEGIN
    BEGIN
        -- in the sealer's order, and before it locks a row
        LOCK TABLE medchain.chain, medchain.pending, medchain.entry, medchain.block,
            medchain.claim IN EXCLUSIVE MODE;
        CALL test.disable_triggers('medchain.entry', 'medchain.block');
        EXECUTE statement;
        found := (SELECT jsonb_agg(v ORDER BY v.origin) FROM medchain.verify(NULL, since_height) v
            WHERE NOT v.ok);
        RAISE EXCEPTION 'undo' USING ERRCODE = 'UNDO1';
    EXCEPTION WHEN SQLSTATE 'UNDO1' THEN
        NULL;
    END;
    IF found IS NULL THEN
        RETURN QUERY SELECT NULL::text, 'none'::text, NULL::text, NULL::boolean;
    END IF;
    RETURN QUERY SELECT f.origin, f.fault, m.detail, bool_or(f.height IS NOT DISTINCT
        FROM expected_height)
        FROM jsonb_to_recordset(found) f (origin text, fault text, detail text, height bigint),
             LATERAL (SELECT regexp_replace(regexp_replace(test.masked(f.detail),
                 'MCow[A-Za-z0-9+/=]+', '<key>', 'g'), '\m[0-9]+\M', '<n>', 'g') AS detail) m
        GROUP BY 1, 2, 3 ORDER BY 1, min(f.height), 2, 3;
END
$$;

-- an entry of ours in the middle of the chain, the one that hospital-a appended, and where they are
-- sealed
SELECT e.seq AS seq, b.height AS height FROM medchain.entry e
    JOIN LATERAL (SELECT min(height) AS height FROM medchain.block b WHERE b.origin = e.origin
        AND b.size > e.seq) b ON true
    WHERE e.origin = 'data-centre' AND e.payload ~ '"second"' \gset
SELECT e.seq AS a_seq, b.height AS a_height FROM medchain.entry e
    JOIN LATERAL (SELECT min(height) AS height FROM medchain.block b WHERE b.origin = e.origin
        AND b.size > e.seq) b ON true
    WHERE e.origin = 'hospital-a' AND e.payload ~ '"hello"' \gset
SELECT height AS head, size AS size FROM medchain.chain WHERE origin = 'data-centre' \gset
SELECT :height BETWEEN 1 AND :head - 1 AS "in the middle";
\set ours 'origin = ''data-centre'' AND seq = ' :seq
\set theirs 'origin = ''hospital-a'' AND seq = ' :a_seq
\set block 'origin = ''data-centre'' AND height = ' :height

--
-- Entries, of our own chain and of another's
--
SELECT what, t.* FROM (VALUES
    ('payload',
        'UPDATE medchain.entry SET payload = replace(payload, ''second'', ''Second'') WHERE '
            || :'ours', :height),
    ('payload', 'UPDATE medchain.entry SET payload = replace(payload, ''hello'', ''hallo'') WHERE '
        || :'theirs', :a_height),
    ('leaf hash', 'UPDATE medchain.entry SET leaf_hash = sha256(leaf_hash) WHERE ' || :'ours',
        :height),
    ('payload with its hash',
        'UPDATE medchain.entry SET payload = replace(payload, ''second'', ''Second''), leaf_hash = '
        'medchain.leaf_hash(convert_to(replace(payload, ''second'', ''Second''), ''UTF8'')) WHERE '
            || :'ours', :height),
    ('payload with its hash',
        'UPDATE medchain.entry SET payload = replace(payload, ''hello'', ''hallo''), leaf_hash = '
        'medchain.leaf_hash(convert_to(replace(payload, ''hello'', ''hallo''), ''UTF8'')) WHERE '
            || :'theirs', :a_height),
    ('id', 'UPDATE medchain.entry SET id = gen_random_uuid() WHERE ' || :'ours', :height),
    ('kind', 'UPDATE medchain.entry SET kind = ''other'' WHERE ' || :'ours', :height),
    ('time', 'UPDATE medchain.entry SET time = time - interval ''1 microsecond'' WHERE '
        || :'ours', :height),
    ('actor', 'UPDATE medchain.entry SET actor = ''hospital-a'' WHERE ' || :'ours', :height),
    ('subject', 'UPDATE medchain.entry SET subject = sha256(''x'') WHERE ' || :'ours', :height),
    ('subject', 'UPDATE medchain.entry SET subject = NULL WHERE ' || :'theirs', :a_height),
    ('removed', 'DELETE FROM medchain.entry WHERE ' || :'ours', :height),
    ('newest removed',
        'DELETE FROM medchain.entry WHERE origin = ''data-centre'' AND seq = (SELECT max(seq) FROM '
        'medchain.entry WHERE origin = ''data-centre'')', :head),
    ('two exchanged', format('UPDATE medchain.entry SET seq = CASE seq WHEN %s THEN -1 ELSE seq '
        'END WHERE %s; UPDATE medchain.entry SET seq = %1$s WHERE origin = ''data-centre'' AND seq '
        '= %1$s + 1; '
                             'UPDATE medchain.entry SET seq = %1$s + 1 WHERE origin = '
                             '''data-centre'' AND seq = -1', :seq, :'ours'), :height),
    ('added', format('INSERT INTO medchain.entry SELECT origin, %s, id, kind, time, actor, '
        'subject, payload, leaf_hash FROM medchain.entry WHERE %s', :size, :'ours'), :head))
    c (what, statement, height), LATERAL test.tampered(statement, height) t;
-- nobody looks at what is older than since_height, where the tiles give the root of the block
-- before it
SELECT t.* FROM test.tampered('UPDATE medchain.entry SET payload = replace(payload, ''second'', '
    '''Second'') WHERE ' || :'ours', :height, :head) t;
SELECT t.* FROM test.tampered('UPDATE medchain.entry SET leaf_hash = sha256(leaf_hash) WHERE '
    || :'ours', :height, :head) t;

--
-- Blocks
--
SELECT what, t.* FROM (VALUES
    ('time in the note',
        'UPDATE medchain.block SET note = replace(note, ''sealed 2'', ''sealed 3'') WHERE '
            || :'block', :height),
    ('signature',
        'UPDATE medchain.block SET note = (SELECT split_part(b.note, E''\n\n'', 1) || E''\n\n'' || '
        'split_part(o.note, E''\n\n'', 2) FROM medchain.block o WHERE o.origin = b.origin AND '
        'o.height = 0) FROM medchain.block x WHERE b.origin = x.origin AND b.height = x.height AND '
        'x.' || replace(:'block', 'AND ', 'AND x.'), :height),
    ('no signature',
        'UPDATE medchain.block SET note = split_part(note, E''\n\n'', 1) || E''\n\n'' WHERE '
            || :'block', :height),
    ('no note', 'UPDATE medchain.block SET note = '''' WHERE ' || :'block', :height),
    ('name',
        'UPDATE medchain.block SET note = replace(note, ''east/data-centre'', '
        '''west/data-centre'') WHERE ' || :'block', :height),
    ('another note',
        'UPDATE medchain.block SET note = (SELECT note FROM medchain.block WHERE origin = '
        '''data-centre'' AND height = 0) WHERE ' || :'block', :height),
    ('size', 'UPDATE medchain.block SET size = size + 1 WHERE ' || :'block', :height),
    ('root', 'UPDATE medchain.block SET root = sha256(root) WHERE ' || :'block', :height),
    ('previous', 'UPDATE medchain.block SET previous = sha256(previous) WHERE ' || :'block',
        :height),
    ('hash', 'UPDATE medchain.block SET hash = sha256(hash) WHERE ' || :'block', :height),
    ('leaves', 'UPDATE medchain.block SET leaves = sha256(leaves) || substr(leaves, 33) WHERE '
        || :'block', :height),
    ('fewer leaves', 'UPDATE medchain.block SET leaves = substr(leaves, 33) WHERE ' || :'block',
        :height),
    ('no leaves', 'UPDATE medchain.block SET leaves = NULL WHERE ' || :'block', :height),
    ('kinds', 'UPDATE medchain.block SET kinds = replace(kinds, '': '', '': 1'') WHERE '
        || :'block', :height),
    ('kinds_note', 'UPDATE medchain.block SET kinds_note = note WHERE ' || :'block', :height),
    ('no kinds_note', 'UPDATE medchain.block SET kinds_note = NULL WHERE ' || :'block', :height),
    ('sealed', 'UPDATE medchain.block SET sealed = sealed + interval ''1 ms'' WHERE ' || :'block',
        :height),
    ('removed', 'DELETE FROM medchain.block WHERE ' || :'block', :height),
    ('newest removed', 'DELETE FROM medchain.block WHERE origin = ''data-centre'' AND height = '
        || :head, :head - 1),
    ('all removed', 'DELETE FROM medchain.block WHERE origin = ''hospital-a''', NULL),
    ('another genesis', 'UPDATE medchain.local_node SET genesis_hash = sha256(genesis_hash)', 0),
    ('no genesis', 'UPDATE medchain.local_node SET genesis_hash = NULL', 0),
    ('key of genesis',
        'UPDATE medchain.local_node SET genesis_key = (SELECT ledger_key FROM medchain.member '
        'WHERE name = ''hospital-a'')', 0))
    c (what, statement, height), LATERAL test.tampered(replace(statement, 'UPDATE medchain.block '
        'SET note = (SELECT split_part(b.', 'UPDATE medchain.block b SET note = (SELECT '
        'split_part(b.'), height) t;

--
-- What the next block grows from
--
SELECT what, t.* FROM (VALUES
    ('head', 'UPDATE medchain.chain SET head = sha256(head) WHERE origin = ''data-centre''', :head),
    ('tree',
        'UPDATE medchain.chain SET frontier = overlay(frontier PLACING sha256(''x'') FROM '
        'length(frontier) - 31) WHERE origin = ''data-centre''', :head),
    ('absent', 'UPDATE medchain.chain SET absent = 1 WHERE origin = ''data-centre''', :head),
    ('size', 'UPDATE medchain.chain SET height = height - 1 WHERE origin = ''data-centre''', :head),
    ('forward', 'UPDATE medchain.chain SET height = height + 1 WHERE origin = ''data-centre''',
        :head + 1),
    ('other size',
        'UPDATE medchain.chain SET size = size + 1048576 WHERE origin = ''data-centre''', :head),
    ('no head',
        'ALTER TABLE medchain.chain ALTER head DROP NOT NULL; UPDATE medchain.chain SET head = '
        'NULL WHERE origin = ''data-centre''', :head))
    c (what, statement, height), LATERAL test.tampered(statement, height) t;

--
-- State: where it was edited, it differs from what the ledger says
--
SELECT protocol AS p1 FROM medchain.protocols
    WHERE protocol_text = 'Station A may read my records.' \gset
SELECT what, t.* FROM (VALUES
    ('capabilities',
        'UPDATE medchain.member SET capabilities = ''{query,update,admit}'' WHERE name = '
        '''hospital-a'''),
    ('member removed', 'DELETE FROM medchain.member WHERE name = ''hospital-b'''),
    ('member made up',
        'INSERT INTO medchain.member SELECT ''quack'', kind, certificate, fingerprint, contract, '
        'capabilities, valid, accepted, NULL, NULL FROM medchain.member WHERE name = '
        '''hospital-b'''),
    ('accepted', 'UPDATE medchain.contract SET accepted = now() WHERE member = ''hospital-b'''),
    ('revoked', format('UPDATE medchain.protocol SET revoked = now() WHERE id = %L', :'p1')),
    ('text',
        format('UPDATE medchain.protocol SET protocol_text = ''Everybody may.'' WHERE id = %L',
            :'p1')),
    ('grant widened', format('UPDATE medchain.protocol_grant SET operations = '
        '''{query,update}'' WHERE protocol = %L', :'p1')),
    ('grant made up', format('INSERT INTO medchain.protocol_grant SELECT protocol, 2, subject, '
        '''hospital-b'', operations, purpose, records, valid FROM medchain.protocol_grant WHERE '
        'protocol = %L', :'p1')),
    ('data index', format('UPDATE medchain.data_index SET holder = ''hospital-a'' WHERE protocol = '
        '%L', :'p1')),
    ('role bound', 'INSERT INTO medchain.role_binding VALUES (''regress_nobody'', '
        '''hospital-a'', 0, ''00000000-0000-0000-0000-000000000000'')'),
    ('judgement',
        'UPDATE medchain.claim SET effective = true, reason = NULL WHERE origin = '
        '''hospital-a'' AND reason ~ ''may not issue'''),
    ('another key',
        'UPDATE medchain.ledger_key SET public_key = '
        '(medchain.key_facts(test.pem(''hospital-b''))).public_key WHERE member = ''hospital-a'''))
    c (what, statement), LATERAL test.tampered(statement, CASE what WHEN 'another key'
        THEN 0 END) t;

--
-- Rows that are no part of any chain: nobody reads them, and they are found
--
\set stray 'INSERT INTO medchain.entry SELECT %L, %s, gen_random_uuid(), kind, time, actor, medchain.pseudonym(''P9''), payload, leaf_hash FROM medchain.entry WHERE origin = ''hospital-a'' AND seq = 0'
SELECT what, t.* FROM (VALUES
    ('entry before the first', format(:'stray', 'data-centre', -1), NULL),
    ('entries of another', format(:'stray', 'hospital-a', -9223372036854775808) || ';'
        || format(:'stray', 'hospital-a', -2), NULL),
    ('entry of nobody', format(:'stray', 'nobody', 0), -1),
    ('entry of nobody before the first', format(:'stray', 'nobody', -1), NULL),
    ('block before the first',
        'INSERT INTO medchain.block SELECT origin, -1, size, root, previous, hash, sealed, note '
        'FROM medchain.block WHERE origin = ''hospital-a'' AND height = 0', NULL),
    ('block of nobody',
        'INSERT INTO medchain.block SELECT ''nobody'', height, size, root, previous, hash, '
        'sealed, note FROM medchain.block WHERE origin = ''hospital-a'' AND height = 0', 0),
    ('tile of nobody',
        'CALL test.disable_triggers(''medchain.tile''); INSERT INTO medchain.tile SELECT '
        '''nobody'', level, index, hashes FROM medchain.tile WHERE origin = ''data-centre'' AND '
        'level = 1 AND index = 0', -1))
    c (what, statement, height), LATERAL test.tampered(statement, height) t;
BEGIN;
CALL test.disable_triggers('medchain.entry');
SELECT count(*) AS before FROM medchain.diagnosis_log('P9');
DO $$
DECLARE
    o text;
    n bigint;
BEGIN
    FOR o, n IN VALUES ('data-centre', -1), ('nobody', 0), ('hospital-a', 1000000) LOOP
        INSERT INTO medchain.entry SELECT o, n, '00000000-0000-4000-8000-000000000009', 'note',
            e."time", 'hospital-a', medchain.pseudonym('P9'), e.payload, e.leaf_hash
            FROM medchain.entry e WHERE e.origin = 'hospital-a' AND e.seq = 0;
    END LOOP;
END
$$;
SELECT count(*) AS after FROM medchain.diagnosis_log('P9');
SELECT content FROM test.error_of(
    $$ SELECT medchain.receipt('00000000-0000-4000-8000-000000000009') $$);
SELECT count(*) FROM medchain.export() l WHERE l::jsonb ->> 'seq' ~ '^-';
ROLLBACK;

--
-- What only this node knows, by what it has said
--
\set kept 'CREATE TABLE kept (b int, a int, c text, d text, PRIMARY KEY (a, b)); SELECT medchain.ledger_table(''kept'', record_truncate => true); ALTER TABLE kept ADD e text; ALTER TABLE kept RENAME c TO f; '
SELECT what, t.* FROM (VALUES
    ('nothing', ''),
    ('subject', 'UPDATE medchain.row_table SET subject_column = ''d'' WHERE ledger_name = '
        '''public.kept'''),
    ('version', 'UPDATE medchain.row_table SET version = 3 WHERE ledger_name = ''public.kept'''),
    ('truncate', 'UPDATE medchain.row_table SET record_truncate = false WHERE ledger_name = '
        '''public.kept'''),
    ('append-only', 'UPDATE medchain.row_table SET append_only = true WHERE ledger_name = '
        '''public.kept'''),
    ('key', 'UPDATE medchain.row_table SET key_columns = ''{a,d}'' WHERE ledger_name = '
        '''public.kept'''),
    ('name', 'UPDATE medchain.row_table SET ledger_name = ''public.other'' WHERE ledger_name = '
        '''public.kept'''),
    ('column since', 'UPDATE medchain.row_column SET since = 1 WHERE relation = '
        '''kept''::regclass AND name = ''e'''),
    ('column left out', 'DELETE FROM medchain.row_column WHERE relation = ''kept''::regclass AND '
        'name = ''d'''),
    ('columns exchanged', 'UPDATE medchain.row_column SET name = name || ''#'' WHERE relation = '
        '''kept''::regclass AND name IN (''d'', ''e'')'),
    ('forgotten', 'DELETE FROM medchain.row_table WHERE ledger_name = ''public.kept'''),
    ('column elsewhere', 'UPDATE medchain.row_column c SET number = x.number FROM '
        'medchain.row_column x WHERE c.relation = ''kept''::regclass AND x.relation = c.relation '
        'AND (c.name, x.name) IN ((''a'', ''b''), (''b'', ''a''))'),
    ('column type', 'UPDATE medchain.row_column SET type = ''bytea'' WHERE relation = '
        '''kept''::regclass AND name = ''d'''),
    ('description', 'UPDATE medchain.row_table SET description = description || '
        '''{"trigger t": "always"}'' WHERE ledger_name = ''public.kept'''),
    ('rewritten', 'UPDATE medchain.row_table SET rewritten = true WHERE ledger_name = '
        '''public.kept'''),
    ('not watched', 'UPDATE medchain.row_table SET watched = 1 WHERE ledger_name = '
        '''public.kept'''),
    ('not a part', 'DELETE FROM medchain.row_part WHERE relation = ''kept''::regclass'),
    ('part forgotten', 'CREATE TABLE whole (a int PRIMARY KEY) PARTITION BY RANGE (a); CREATE '
        'TABLE whole_1 PARTITION OF whole FOR VALUES FROM (0) TO (9); SELECT '
        'medchain.ledger_table(''whole''); DELETE FROM medchain.row_part WHERE part = '
        '''whole_1''::regclass'),
    ('part made up', 'INSERT INTO medchain.row_part (part, relation, name) SELECT '
        '''medchain.chain'', ''kept''::regclass, ''medchain.chain'''),
    ('another secret', 'UPDATE medchain.row_secret SET secret = sha256(secret) WHERE relation = '
        '''kept''::regclass'),
    ('a peer framed', 'INSERT INTO medchain.quarantine (source, origin, height, reason, note, '
        'signed) SELECT origin, origin, height, ''made up'', replace(note, ''height'', '
        '''Height''), true FROM medchain.block WHERE origin = ''hospital-a'' AND height = 0'),
    ('a peer framed by nothing', 'INSERT INTO medchain.quarantine (source, origin, reason, signed) '
        'VALUES (''hospital-a'', ''hospital-a'', ''made up'', true)'),
    ('secret gone', 'DELETE FROM medchain.row_secret WHERE relation = ''kept''::regclass'),
    ('pending', 'CALL test.disable_triggers(''medchain.pending''); UPDATE medchain.pending SET '
        'kind = ''visit'' WHERE kind = ''table.ledger'''),
    ('pending payload', 'CALL test.disable_triggers(''medchain.pending''); UPDATE '
        'medchain.pending SET payload = ''{}'' WHERE kind = ''table.ledger'''))
    c (what, statement), LATERAL test.tampered(:'kept' || statement, NULL) t;

--
-- What somebody has made medchain believe is no reason for a new baseline, behind which nobody
-- would see what became of the rows: the next command says first that it was made to
--
CREATE TABLE trusted (a int PRIMARY KEY, b text) PARTITION BY RANGE (a);
CREATE TABLE trusted_1 PARTITION OF trusted FOR VALUES FROM (0) TO (9);
INSERT INTO trusted VALUES (1, 'so'), (2, 'so');
SELECT medchain.ledger_table('trusted');
CREATE FUNCTION test.altered(since timestamptz) RETURNS TABLE (command text, found boolean,
    baseline boolean, items text)
    LANGUAGE sql AS $$
    SELECT b ->> 'command', (b ->> 'found')::boolean, (b ->> 'baseline')::boolean,
           (SELECT string_agg(c ->> 'item', ', ') FROM jsonb_array_elements(b -> 'changes') c)
    FROM (SELECT e.seq, e.payload::jsonb -> 'body' AS b FROM medchain.entry e
          WHERE e.kind = 'table.alter' AND e."time" > since
          AND e.origin = 'data-centre') e ORDER BY e.seq
$$;
UPDATE pg_trigger SET tgenabled = 'D' WHERE tgrelid = 'trusted_1'::regclass
    AND tgname = 'medchain_capture';
UPDATE trusted_1 SET b = 'otherwise' WHERE a = 1;
UPDATE pg_trigger SET tgenabled = 'A' WHERE tgrelid = 'trusted_1'::regclass
    AND tgname = 'medchain_capture';
SELECT row_key, fault FROM medchain.verify_table('trusted');
SELECT now() AS mark \gset
UPDATE medchain.row_table SET rewritten = true WHERE relation = 'trusted'::regclass;
ALTER TABLE trusted ADD c int;
DELETE FROM medchain.row_part WHERE part = 'trusted_1'::regclass;
ALTER TABLE trusted ADD d int;
UPDATE medchain.row_table SET description = description || '{"trigger t": "always"}'
    WHERE relation = 'trusted'::regclass;
ALTER TABLE trusted ADD e int;
UPDATE medchain.row_column SET type = 'bytea' WHERE relation = 'trusted'::regclass AND name = 'e';
ALTER TABLE trusted ADD f int;
SELECT medchain.seal();
SELECT * FROM test.altered(:'mark');
SELECT row_key, fault FROM medchain.verify_table('trusted');
SELECT detail FROM medchain.verify('data-centre', max_faults => 3) WHERE fault IS NOT NULL;
DROP TABLE trusted;
DROP FUNCTION test.altered(timestamptz);
SELECT medchain.seal();
SELECT ok FROM medchain.verify('data-centre');

--
-- Every fault, up to a limit, the same by any number of workers
--
\set many 'UPDATE medchain.entry SET kind = ''other'', actor = ''other'' WHERE origin = ''data-centre'' AND seq % 5000 = 4000; UPDATE medchain.entry SET payload = payload || '' '' WHERE origin = ''data-centre'' AND seq % 5000 = 2000; DELETE FROM medchain.entry WHERE origin = ''data-centre'' AND seq % 5000 = 3000'
SELECT max(seq) > 20000 AS "worth workers" FROM medchain.entry WHERE origin = 'data-centre';
SET medchain.verify_workers = 0;
SELECT * FROM test.tampered(:'many', NULL);
CREATE TEMP TABLE alone AS SELECT * FROM test.tampered(:'many', NULL);
SET medchain.verify_workers = 1;
SELECT count(*) AS differ FROM (TABLE alone EXCEPT SELECT * FROM test.tampered(:'many', NULL)) d;
SET medchain.verify_workers = 3;
SELECT count(*) AS differ FROM (TABLE alone EXCEPT SELECT * FROM test.tampered(:'many', NULL)) d;
DROP TABLE alone;
-- without tiles there is one segment, and no way back to the tree
SELECT fault, count(*) FROM test.tampered(:'many' || '; CALL test.disable_triggers('
    '''medchain.tile''); DELETE FROM medchain.tile WHERE origin = ''data-centre''', NULL)
    GROUP BY 1 ORDER BY 1;
RESET medchain.verify_workers;
BEGIN;
LOCK TABLE medchain.chain, medchain.pending, medchain.entry, medchain.block,
    medchain.claim IN EXCLUSIVE MODE;
CALL test.disable_triggers('medchain.entry');
UPDATE medchain.entry SET kind = 'other' WHERE origin = 'data-centre' AND seq % 100 = 7
    AND kind = 'remark';
SELECT count(*) = (SELECT count(*) FROM medchain.entry WHERE origin = 'data-centre'
    AND kind = 'other') AS "every one" FROM medchain.verify('data-centre', max_faults => 10000);
SELECT count(*) AS faults, bool_or(ok) AS ok FROM medchain.verify('data-centre');
SELECT origin, ok, fault, detail FROM medchain.verify(max_faults => 2)
    WHERE fault <> 'bad index column' ORDER BY origin COLLATE "C";
ROLLBACK;
SELECT * FROM medchain.verify(max_faults => 0);
SELECT * FROM medchain.verify(max_faults => NULL);
SELECT * FROM medchain.verify(max_faults => 10001);

--
-- What is remembered: verify(since_height => NULL) looks at what has come since
--
SELECT medchain.append('remark', '"one more"') IS NOT NULL AS appended;
SELECT medchain.seal();
SELECT ok, blocks, entries FROM medchain.verify('data-centre', NULL);
SELECT ok, blocks, entries FROM medchain.verify('data-centre', NULL);
SELECT verified_height = height AS verified FROM medchain.chains WHERE origin = 'data-centre';
-- what was only looked at from the middle on is not all verified
DELETE FROM medchain.verified WHERE origin = 'data-centre';
SELECT ok, entries > 0 AS some FROM medchain.verify('data-centre', 2);
SELECT verified_height FROM medchain.chains WHERE origin = 'data-centre';
SELECT ok, entries > 10000 AS "all" FROM medchain.verify('data-centre', NULL);

--
-- Checkpoints kept elsewhere
--
SELECT medchain.checkpoint('data-centre') AS before \gset
CREATE TEMP TABLE state_before AS SELECT * FROM medchain.chain WHERE origin = 'data-centre';
SELECT medchain.append('remark', '"to be forgotten"') IS NOT NULL AS appended;
SELECT medchain.seal();
SELECT medchain.checkpoint('data-centre') AS after \gset
SELECT ok, fault FROM medchain.verify('data-centre', NULL, ARRAY[:'before', :'after']);
BEGIN;
-- a superuser who knows how cuts off the newest block without leaving a trace
LOCK TABLE medchain.chain, medchain.pending, medchain.entry, medchain.block,
    medchain.claim IN EXCLUSIVE MODE;
CALL test.disable_triggers('medchain.entry', 'medchain.block');
DELETE FROM medchain.entry e USING state_before s WHERE e.origin = s.origin AND e.seq >= s.size;
DELETE FROM medchain.block b USING state_before s WHERE b.origin = s.origin AND b.height > s.height;
UPDATE medchain.chain c SET height = s.height, size = s.size, head = s.head, frontier = s.frontier
    FROM state_before s WHERE c.origin = s.origin;
DELETE FROM medchain.verified;
SELECT origin, ok, fault FROM medchain.verify('data-centre') WHERE fault IS DISTINCT
    FROM 'bad tile';
SELECT ok, fault FROM medchain.verify('data-centre', 0, ARRAY[:'before']) WHERE fault IS DISTINCT
    FROM 'bad tile';
-- ... but for what others have
SELECT ok, fault, test.masked(regexp_replace(detail, '[0-9]+', '<n>', 'g')) AS detail
    FROM medchain.verify('data-centre', 0, ARRAY[:'before', :'after']) WHERE fault IS DISTINCT
        FROM 'bad tile';
-- and a chain of which nothing is left is not forgotten by who has a checkpoint
SELECT origin, ok, fault, regexp_replace(detail, '[0-9]+', '<n>') AS detail
    FROM medchain.verify(checkpoints => ARRAY[replace(:'before', 'east/data-centre',
        'east/another')]) WHERE origin = 'another';
ROLLBACK;
DROP TABLE state_before;
-- another chain of the same name
SELECT ok, fault, test.masked(regexp_replace(detail, '\m[0-9]+\M', '<n>', 'g')) AS detail
    FROM medchain.verify('data-centre', NULL, ARRAY[replace(:'before', 'sealed 2', 'sealed 3')]);
SELECT medchain.verify(NULL, 0, ARRAY['nothing']);
SELECT medchain.verify(NULL, 0, ARRAY[NULL]);
SELECT medchain.verify(NULL, 0, ARRAY[replace(:'before', 'east/', 'west/')]);
SELECT medchain.verify('hospital-a', 0, ARRAY[:'before']);
SELECT * FROM medchain.verify_progress;

-- a table that was altered is told apart from one that is empty
BEGIN;
ALTER TABLE medchain.block ALTER leaves TYPE text USING encode(leaves, 'hex');
SELECT * FROM medchain.verify();
ROLLBACK;
BEGIN;
UPDATE pg_index SET indisprimary = false WHERE indexrelid = 'medchain.block_pkey'::regclass;
SELECT * FROM medchain.verify();
ROLLBACK;

-- nothing of it stayed
SELECT count(*) AS faults FROM medchain.verify() WHERE NOT ok;
SELECT medchain.append('remark', '"the chain goes on"') IS NOT NULL AS appended;
SELECT medchain.seal();
SELECT origin, ok FROM medchain.verify('data-centre');
-- somebody's temporary table is not in the way of verification
CREATE TEMP TABLE member (name text);
SELECT origin, ok FROM medchain.verify('data-centre');
DROP TABLE member;
DROP FUNCTION test.tampered(text, bigint, bigint);
