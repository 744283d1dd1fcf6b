/*
 * row_ddl.sql: what DDL does to a ledger table is an entry as well.
 *
 * Event triggers (row_watch.c) find the ledger tables that a command has to do with, and compare
 * their row_description() with what it was.  Commands that leave it as it is (a restore of a dump
 * on its way to the same table) are none of the ledger's business.  New columns that are empty make
 * a new version of the table; commitments to the rows stay what they are.  New ones with a default
 * are an update of every row.  Where DDL takes content away or changes it, all rows get a new
 * baseline, for nothing can be compared with the old commitments any more: the entry says so.
 *
 * Nothing here locks a table that the command has not locked, nor waits for one; what describes the
 * tables (row_description.sql) keeps to that as well.
 */

/*
 * The items of a table's description in which a command explains the difference.  A row of the
 * catalogue that this transaction has written explains what it says.  That of pg_class says too
 * much for that: there the command must have named what it changes.  What is printed with the names
 * of other things (columns of the table, types, functions, schemas) changes with these.
 */
CREATE FUNCTION medchain_internal.explained_items(p_table medchain.row_table, p_before jsonb,
    p_after jsonb,
                                         p_command text, p_others boolean, p_named text[])
    RETURNS text[]
    LANGUAGE sql STABLE SET search_path = medchain, medchain_internal, pg_temp
AS $$
    WITH named (item) AS (
        SELECT m[1] || CASE WHEN m[2]::oid = p_table.relation THEN ''
                            ELSE ' on ' || coalesce(r.name, m[2]::regclass::text) END
        FROM unnest(p_named) n CROSS JOIN LATERAL regexp_match(n, '^(.*) on ([0-9]+)$') m
             LEFT JOIN row_part r ON r.part = m[2]::oid::regclass WHERE m IS NOT NULL),
    moved (name) AS (
        -- partitions that were detached or dropped, or are called otherwise now
        SELECT r.name FROM row_part r JOIN pg_class c ON c.oid = r.part
             JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE r.relation = p_table.relation AND r.part <> r.relation
        AND (own_change(c.xmin) OR own_change(n.xmin))
        UNION
        -- and theirs, which go with them
        SELECT r.name FROM row_part r
        WHERE r.relation = p_table.relation AND NOT EXISTS (
            SELECT FROM table_and_partitions(p_table.relation) p WHERE p = r.part)
        AND EXISTS (SELECT FROM row_part w JOIN pg_class c ON c.oid = w.part,
                        LATERAL table_and_partitions(w.part) p
                    WHERE w.relation = p_table.relation AND w.part <> w.relation
                    AND own_change(c.xmin) AND p = r.part)
        UNION
        SELECT r.name FROM row_part r WHERE r.relation = p_table.relation AND r.leaving),
    difference AS MATERIALIZED (
        SELECT d.item, d.change, coalesce(i.made, false) AS made, coalesce(i.moved, false) AS moved,
               regexp_replace(d.item, '^(definition|roles) of ', '') AS base
        FROM row_differences(p_before, p_after) d
             LEFT JOIN row_items(p_table.relation) i ON i.item = d.item),
    own AS MATERIALIZED (
        SELECT d.item FROM difference d WHERE CASE
            WHEN d.item IN ('name', 'owner', 'persistence', 'row security')
                THEN d.item IN (SELECT x.item FROM named x)
            -- what is said of a partition depends on the table, too
            WHEN d.item ~ '^(owner|row security) on '
                THEN EXISTS (SELECT FROM named x WHERE x.item IN (
                         d.item, regexp_replace(d.item, ' on .*', '')))
                     OR EXISTS (SELECT FROM difference x WHERE x.item =
                         regexp_replace(d.item, '^(owner|row security) on ', 'partition '))
            -- it follows from what the command did
            WHEN d.item = 'key' THEN true
            WHEN d.item = 'primary key' AND d.change = 'removed'
                THEN 'constraint' IN (SELECT x.item FROM named x)
            WHEN d.change = 'changed' THEN d.made
            WHEN d.change = 'added' THEN d.made OR d.moved
            WHEN d.item ^@ 'column ' THEN EXISTS (
                SELECT FROM row_column r JOIN pg_attribute a
                    ON a.attrelid = r.relation AND a.attnum = r.number
                WHERE r.relation = p_table.relation
                AND 'column ' || quote_ident(r.attribute) = d.item AND own_change(a.xmin))
            WHEN d.item ^@ 'partition ' THEN d.item IN (SELECT 'partition ' || m.name FROM moved m)
            WHEN d.item ^@ 'heir ' THEN heir_left(substr(d.item, 6))
            ELSE d.base IN (SELECT x.item FROM named x)
                 OR p_command = 'ALTER ' || upper(split_part(d.base, ' ', 1))
                 OR EXISTS (SELECT FROM moved m
                            WHERE right(d.item, length(m.name) + 4) = ' on ' || m.name)
            END)
    SELECT coalesce(array_agg(d.item), '{}') FROM difference d
    WHERE d.item IN (SELECT o.item FROM own o)
       OR ((p_others OR EXISTS (SELECT FROM own o WHERE o.item = 'name' OR o.item ^@ 'column '))
           AND CASE d.change
               WHEN 'changed' THEN d.item ~ '^(column|attributes of|definition of|rule|partition) '
                                   OR d.item = 'primary key' OR (d.item = 'name' AND p_others)
               ELSE d.item ~ '^(labels|attributes) of ' END)
$$;
COMMENT ON FUNCTION medchain_internal.explained_items(medchain.row_table, jsonb, jsonb, text,
    boolean,
                                             text[]) IS
    'internal: which differences of a ledger table''s description are the doing of this command; '
    'the others were found only now';

-- The columns as they are now; the kind of entry that every row gets because of what happened to
-- them, or null.
CREATE FUNCTION medchain_internal.observe_columns(p_table medchain.row_table, p_after jsonb)
    RETURNS text
    LANGUAGE plpgsql VOLATILE SET search_path = medchain, medchain_internal, pg_temp
AS $$
DECLARE
    c record;
    fresh boolean := p_table.rewritten;
    added boolean := false;
    filled boolean := false;
    item text;
BEGIN
    FOR c IN SELECT r.attribute, r.number, r.type, a.attname::text AS now, format_type(a.atttypid,
        a.atttypmod) AS type_now
             FROM row_column r LEFT JOIN pg_attribute a ON a.attrelid = r.relation
                 AND a.attnum = r.number AND NOT a.attisdropped
             WHERE r.relation = p_table.relation LOOP
        IF c.now IS NULL AND (c.attribute = ANY (p_table.key_columns)
            OR c.attribute = p_table.subject_column) THEN
            RAISE dependent_objects_still_exist USING
                MESSAGE = format('column "%s" of %s cannot be dropped', c.attribute,
                    p_table.relation),
                DETAIL = CASE WHEN c.attribute = p_table.subject_column
                    THEN 'It says whose record a row is.' ELSE 'The ledger names rows by it.' END,
                HINT = format('Call %s first.',
                    row_ending(p_table.relation, p_table.subject_column));
        ELSIF c.now IS NULL AND NOT EXISTS (SELECT FROM pg_attribute a
            WHERE a.attrelid = p_table.relation AND a.attnum > 0 AND NOT a.attisdropped) THEN
            RAISE feature_not_supported USING
                MESSAGE = format('the last column of %s cannot be dropped', p_table.relation),
                DETAIL = 'The ledger would have nothing to say of its rows.',
                HINT = format('Call %s first.',
                    row_ending(p_table.relation, p_table.subject_column));
        ELSIF c.now IS NULL THEN
            DELETE FROM row_column r WHERE r.relation = p_table.relation
                AND r.attribute = c.attribute;
            fresh := true;
        ELSE
            -- a type that prints alike needs nothing, as long as nothing was computed anew
            fresh := fresh OR (c.type <> c.type_now AND NOT (c.type ~ '^(text|character varying)'
                AND c.type_now ~ '^(text|character varying)'));
            UPDATE row_column r SET attribute = c.now, type = c.type_now
                WHERE r.relation = p_table.relation AND r.number = c.number
                AND (r.attribute, r.type) IS DISTINCT FROM (c.now, c.type_now);
            UPDATE row_table t SET key_columns = array_replace(t.key_columns, c.attribute, c.now),
                                   subject_column = CASE WHEN t.subject_column = c.attribute
                                       THEN c.now ELSE t.subject_column END
                WHERE t.relation = p_table.relation AND c.now <> c.attribute
                    AND (c.attribute = ANY (t.key_columns) OR c.attribute = t.subject_column);
        END IF;
    END LOOP;
    FOR c IN SELECT a.attname::text AS name, a.attnum, format_type(a.atttypid, a.atttypmod) AS type,
                    a.atthasdef OR a.attidentity <> '' OR EXISTS (SELECT FROM pg_type y
                        WHERE y.oid = a.atttypid AND y.typtype = 'd') AS filled
             FROM pg_attribute a
             WHERE a.attrelid = p_table.relation AND a.attnum > 0 AND NOT a.attisdropped
             AND NOT EXISTS (SELECT FROM row_column r WHERE r.relation = a.attrelid
                 AND r.number = a.attnum) ORDER BY a.attnum LOOP
        -- a name that another column has on the ledger is not given twice
        item := c.name;
        WHILE EXISTS (SELECT FROM row_column r WHERE r.relation = p_table.relation
            AND r.name = item) LOOP
            item := item || '#';
        END LOOP;
        INSERT INTO row_column (relation, attribute, number, name, type, since)
            VALUES (p_table.relation, c.name, c.attnum, item, c.type, p_table.version + 1);
        added := true;
        filled := filled OR c.filled;
    END LOOP;
    -- where all that a row says names it, another value is another row; and one that gets a
    -- primary key is named by that
    IF p_table.key_columns = '{}' THEN
        UPDATE row_table t SET key_columns = default_row_key(t.relation)
            WHERE t.relation = p_table.relation
            AND EXISTS (SELECT FROM row_keys(t.relation) k WHERE k.is_primary AND k.fault IS NULL);
        fresh := fresh OR filled OR FOUND;
    END IF;
    fresh := fresh OR EXISTS (SELECT FROM jsonb_each_text(only_object(p_table.description)) b
        WHERE b.key ^@ 'labels of '
                              AND NOT string_to_array(b.value,
                                  ',') <@ string_to_array(coalesce(p_after ->> b.key, ''), ',')
                              OR b.key ^@ 'attributes of ' AND b.value IS DISTINCT
                                  FROM p_after ->> b.key);
    UPDATE row_table t SET version = t.version + 1, rewritten = false
        WHERE t.relation = p_table.relation AND (added OR fresh);
    -- what is done past the trigger to the values that a default has given would not be seen
    -- otherwise
    RETURN CASE WHEN fresh THEN 'row.baseline' WHEN filled THEN 'row.update' END;
END
$$;
COMMENT ON FUNCTION medchain_internal.observe_columns(medchain.row_table, jsonb) IS
    'internal: follow what DDL did to the columns of a ledger table; the kind of entry that each '
    'of its rows needs, if any';

CREATE FUNCTION medchain_internal.observe_table(p_relation regclass, p_command text,
    p_others boolean,
                                       p_named text[]) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = medchain, medchain_internal, pg_temp
        SET row_security = off
AS $$
DECLARE
    t row_table;
    now row_table;
    after jsonb;
    before jsonb;
    each text;
    fresh boolean;
    explained text[];
    found_ones text[];
    is_edited boolean;
    is_explained boolean;
    new_ones regclass[];
    gone_ones regclass[];
    body jsonb;
    found_body jsonb;
BEGIN
    SELECT * INTO t FROM row_table x WHERE x.relation = p_relation;
    IF NOT FOUND THEN
        RAISE serialization_failure USING
            MESSAGE = format('%s has been put on the ledger since this transaction began',
                             p_relation),
            HINT = 'Run the transaction again.';
    ELSIF t.description IS NULL THEN
        RETURN;
    END IF;
    IF t.subject_column IS NOT NULL THEN
        PERFORM require_protected_parents(p_relation);
    END IF;
    IF (SELECT c.relispartition FROM pg_class c WHERE c.oid = p_relation) THEN
        RAISE feature_not_supported USING
            MESSAGE = format('rows of %s are on the ledger, it cannot become a partition',
                             p_relation),
            HINT = format('Call %s first, or put the partitioned table on the ledger.',
                          row_ending(p_relation, t.subject_column));
    END IF;
    PERFORM require_logged(p_relation, row_ending(p_relation, t.subject_column));
    PERFORM injection_point('medchain-observe-table');
    after := row_description(p_relation);
    IF NOT is_watched(t) THEN
        PERFORM watch_again(p_relation, after);
        RETURN;
    END IF;
    IF after = known_description(t) AND NOT t.rewritten THEN
        RETURN;
    END IF;
    -- Our doing, or was it somebody else's, committed since we looked?  (no row: the table is gone)
    IF NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = p_relation) THEN
        RETURN;
    END IF;
    SELECT * INTO t FROM row_table x WHERE x.relation = p_relation FOR UPDATE;
    after := row_description(p_relation);
    before := known_description(t);
    IF t.description IS NULL OR (after = before AND NOT t.rewritten) THEN
        RETURN;
    END IF;
    explained := explained_items(t, before, after, p_command, p_others, p_named);
    found_ones := ARRAY(SELECT d.item FROM row_differences(before, after) d
                        WHERE d.item <> ALL (explained));
    new_ones := ARRAY(SELECT new_partitions(p_relation));
    gone_ones := ARRAY(SELECT gone_partitions(p_relation));
    -- What somebody has made medchain believe is no reason for a new baseline, behind which nobody
    -- would see any more what he did to the rows.
    is_edited := is_known_otherwise(t);
    IF t.rewritten AND NOT (SELECT own_change(x.xmin) FROM row_table x
                            WHERE x.relation = p_relation) THEN
        is_edited := true;
        t.rewritten := false;
    END IF;
    IF EXISTS (SELECT FROM unnest(new_ones) p WHERE before ? ('partition ' || p)) THEN
        is_edited := true;
        new_ones := ARRAY(SELECT p FROM unnest(new_ones) p WHERE NOT before ? ('partition ' || p));
    END IF;
    UPDATE row_table x SET description = NULL, rewritten = false WHERE x.relation = p_relation;
    each := observe_columns(t, after);
    IF is_edited AND each = 'row.baseline' THEN
        each := NULL;
    END IF;
    fresh := coalesce(each = 'row.baseline', false);
    -- by the columns' names as they are now
    IF before ? 'key' THEN
        after := row_description(p_relation);
    END IF;
    SELECT * INTO now FROM row_table x WHERE x.relation = p_relation;
    IF NOT has_row_key(p_relation, now.key_columns) THEN
        PERFORM refuse_key_change(p_relation, before ? 'key');
    END IF;
    IF fresh THEN
        -- ALTER TYPE has not locked it: rows would come meanwhile whose old text is on
        -- the ledger behind
        -- the new baseline
        EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', p_relation);
    END IF;
    PERFORM equip_partitions(t, new_ones, gone_ones);
    PERFORM describe_row_table(p_relation);
    is_explained := explained <> '{}' OR t.rewritten;
    body := jsonb_build_object('relation', t.ledger_name, 'command', p_command,
                               'changes', row_changes(before, after, explained));
    -- what this command has not done was done where no event trigger saw it, nobody knows by whom
    IF found_ones <> '{}' OR is_edited THEN
        found_body := jsonb_build_object('relation', t.ledger_name, 'found', true,
            'changes', row_changes(before, after, found_ones)
                       || CASE WHEN is_edited THEN edited_item() ELSE '[]' END);
        IF is_explained THEN
            PERFORM append_raw('table.alter', found_body::text, NULL, false);
        ELSE
            body := found_body;
        END IF;
    END IF;
    IF fresh THEN
        body := body || '{"baseline": true}';
    END IF;
    IF t.key_columns = '{}' AND now.key_columns <> '{}' THEN
        body := body || jsonb_build_object('key', row_key_names(now));
    END IF;
    PERFORM append_raw('table.alter', (body || row_state(p_relation))::text, NULL, false);
    PERFORM record_partitions(t, fresh, new_ones, gone_ones);
    PERFORM observe_heirs(t);
    IF each IS NOT NULL THEN
        RAISE NOTICE 'rows of % have new commitments on the ledger: %', p_relation,
            row_record(each, p_relation, p_relation);
    END IF;
    PERFORM tell_large_objects(ARRAY[p_relation::oid]) WHERE EXISTS (
        SELECT FROM large_object_columns(p_relation) c WHERE NOT before ? ('column ' || c));
END
$$;
COMMENT ON FUNCTION medchain_internal.observe_table(regclass, text, boolean, text[]) IS
    'internal: put on the ledger what a command did to a ledger table. others: it has touched '
    'something that the table depends on; named: items of its description that the command names';

CREATE FUNCTION medchain_internal.observe_roles(p_relations oid[], p_command text) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = medchain, medchain_internal, pg_temp
        SET row_security = off
AS $$
DECLARE
    r regclass;
BEGIN
    FOR r IN SELECT t.relation FROM row_table t JOIN pg_class c ON c.oid = t.relation
             WHERE t.relation = ANY (p_relations) AND t.description IS NOT NULL AND is_watched(t)
             ORDER BY t.ledger_name COLLATE "C" LOOP
        PERFORM observe_table(r, p_command, false,
            ARRAY(SELECT format('owner on %s', p::oid) FROM table_and_partitions(r) p));
    END LOOP;
END
$$;
COMMENT ON FUNCTION medchain_internal.observe_roles(oid[], text) IS
    'internal: put on the ledger that a command gave these ledger tables to another owner, or '
    'their policies to other roles';

CREATE FUNCTION medchain_internal.observe_gone(p_relations oid[], p_command text) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = medchain, medchain_internal, pg_temp
        SET row_security = off
AS $$
DECLARE
    t row_table;
    p row_part;
    heirs text[] := '{}';
    relation regclass;
BEGIN
    FOR t IN SELECT * FROM row_table x WHERE x.relation = ANY (p_relations)
             ORDER BY x.ledger_name COLLATE "C" LOOP
        heirs := heirs || ARRAY(SELECT 'heir ' || r.name FROM row_part r
            WHERE r.part = t.relation);
        PERFORM remove_row_table(t.relation);
        -- a copy says nothing
        IF at_home() THEN
            PERFORM append_raw('table.drop', jsonb_build_object(
                'relation', t.ledger_name, 'command', p_command)::text, NULL, false);
        END IF;
    END LOOP;
    IF NOT at_home() THEN
        RETURN;
    END IF;
    -- what was in them cannot be told any more
    SELECT * INTO p FROM row_part x WHERE x.part = ANY (p_relations) AND NOT x.leaving
        ORDER BY x.name COLLATE "C" LIMIT 1;
    IF FOUND THEN
        RAISE dependent_objects_still_exist USING
            MESSAGE = format('partition %s of %s cannot be dropped: its rows are on the ledger',
                             p.name, p.relation),
            HINT = format(CASE WHEN (SELECT x.append_only FROM row_table x
                                     WHERE x.relation = p.relation)
                THEN 'The table is append-only: ALTER TABLE %2$s DETACH PARTITION %1$s first.'
                ELSE 'DROP TABLE %1$s first, so that the ledger says which rows are gone.' END,
                p.name, p.relation);
    END IF;
    FOR relation IN SELECT DISTINCT x.relation FROM row_part x
        WHERE x.part = ANY (p_relations) AND x.leaving
        UNION SELECT x.relation FROM row_table x
        WHERE heirs <> '{}' AND x.description ?| heirs LOOP
        PERFORM observe_table(relation, p_command, false, '{}');
    END LOOP;
END
$$;
COMMENT ON FUNCTION medchain_internal.observe_gone(oid[], text) IS
    'internal: put on the ledger that ledger tables were dropped; refuse to drop a partition of '
    'one';

CREATE FUNCTION medchain_internal.observe_ddl() RETURNS event_trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'medchain_observe_ddl';
COMMENT ON FUNCTION medchain_internal.observe_ddl() IS
    'event trigger: put on the ledger what DDL did to ledger tables';

CREATE FUNCTION medchain_internal.observe_drop() RETURNS event_trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'medchain_observe_drop';
COMMENT ON FUNCTION medchain_internal.observe_drop() IS
    'event trigger: put on the ledger that a ledger table was dropped, or something of it; '
    'refuse to drop a partition of one';

CREATE FUNCTION medchain_internal.observe_rewrite() RETURNS event_trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'medchain_observe_rewrite';
COMMENT ON FUNCTION medchain_internal.observe_rewrite() IS
    'event trigger: remember that the rows of a ledger table are computed anew';

-- Dropping has an event of its own, whatever the command.  Not here are commands that no
-- description can tell of.
CREATE EVENT TRIGGER medchain_observe_ddl ON ddl_command_end
    WHEN TAG IN ('ALTER TABLE', 'CREATE TABLE', 'CREATE FOREIGN TABLE', 'CREATE SCHEMA',
                 'IMPORT FOREIGN SCHEMA', 'CREATE TRIGGER', 'ALTER TRIGGER', 'CREATE POLICY',
                 'ALTER POLICY', 'CREATE RULE', 'ALTER RULE', 'ALTER TYPE', 'ALTER DOMAIN',
                 'ALTER SCHEMA', 'ALTER EXTENSION', 'DROP OWNED', 'CREATE VIEW', 'ALTER VIEW',
                 'ALTER MATERIALIZED VIEW', 'ALTER FOREIGN TABLE', 'ALTER SEQUENCE',
                 -- what definitions name by another name from now on
                 'ALTER FUNCTION', 'ALTER PROCEDURE', 'ALTER ROUTINE', 'ALTER AGGREGATE',
                 'ALTER OPERATOR', 'ALTER COLLATION', 'ALTER TEXT SEARCH CONFIGURATION',
                 'ALTER TEXT SEARCH DICTIONARY')
    EXECUTE FUNCTION medchain_internal.observe_ddl();
CREATE EVENT TRIGGER medchain_observe_drop ON sql_drop
    EXECUTE FUNCTION medchain_internal.observe_drop();
CREATE EVENT TRIGGER medchain_observe_rewrite ON table_rewrite
    EXECUTE FUNCTION medchain_internal.observe_rewrite();
ALTER EVENT TRIGGER medchain_observe_ddl ENABLE ALWAYS;
ALTER EVENT TRIGGER medchain_observe_drop ENABLE ALWAYS;
ALTER EVENT TRIGGER medchain_observe_rewrite ENABLE ALWAYS;
COMMENT ON EVENT TRIGGER medchain_observe_ddl IS 'what DDL does to ledger tables is on the ledger';
COMMENT ON EVENT TRIGGER medchain_observe_drop IS
    'ledger tables that are dropped are on the ledger';
COMMENT ON EVENT TRIGGER medchain_observe_rewrite IS
    'ledger tables that are computed anew are on the ledger';
