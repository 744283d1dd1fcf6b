/*
 * row_ddl.sql: what DDL does to a ledger table is an entry as well.
 *
 * Event triggers compare row_description() with what it was.  Commands that leave it as it is (an
 * index, a comment, a restore of a dump on its way to the same table) are none of the ledger's
 * business.  New columns that are empty make a new version of the table; commitments to the rows
 * stay what they are.  New ones with a default are an update of every row.  Where DDL takes content
 * away or changes it, all rows get a new baseline, for nothing can be compared with the old
 * commitments any more: the entry says so.
 */

CREATE FUNCTION medchain.row_parts(relation regclass) RETURNS TABLE (relid regclass, part text)
    LANGUAGE sql STABLE STRICT SET search_path = medchain, pg_temp
    AS $$ SELECT p, CASE WHEN p = $1 THEN '' ELSE ' on ' || p::text END
        FROM table_and_partitions($1) p $$;
COMMENT ON FUNCTION medchain.row_parts(regclass) IS
    'internal: a table and its partitions, and how to speak of what is on them';

CREATE FUNCTION medchain.row_types(relation regclass) RETURNS TABLE (type oid)
    LANGUAGE sql STABLE STRICT SET search_path = medchain, pg_temp
AS $$
    WITH RECURSIVE types (type) AS (
        SELECT a.atttypid FROM pg_attribute a WHERE a.attrelid = $1 AND a.attnum > 0
            AND NOT a.attisdropped
        UNION
        SELECT p.part FROM types t JOIN pg_type y ON y.oid = t.type CROSS JOIN LATERAL (
            SELECT y.typelem WHERE y.typcategory = 'A'
            UNION ALL SELECT y.typbasetype WHERE y.typtype = 'd'
            UNION ALL SELECT r.rngsubtype FROM pg_range r
                WHERE y.oid IN (r.rngtypid, r.rngmultitypid)
            UNION ALL SELECT a.atttypid FROM pg_attribute a WHERE y.typtype = 'c'
                AND a.attrelid = y.typrelid AND a.attnum > 0 AND NOT a.attisdropped) p (part))
    SELECT t.type FROM types t
$$;
COMMENT ON FUNCTION medchain.row_types(regclass) IS
    'internal: types of a table''s columns, and those that they are made of';

CREATE FUNCTION medchain.row_description(relation regclass) RETURNS jsonb
    LANGUAGE sql STABLE STRICT SET search_path = medchain, pg_temp SET datestyle = 'ISO, YMD'
        SET intervalstyle = 'iso_8601' SET timezone = 'UTC'
    SET quote_all_identifiers = off
AS $$
    SELECT jsonb_object_agg(d.item, d.value) FROM (
        SELECT i.item, i.value FROM pg_class c, LATERAL (VALUES
            ('name', c.relnamespace::regnamespace::text || '.' || quote_ident(c.relname)),
            ('owner', pg_get_userbyid(c.relowner)::text),
            ('persistence', CASE c.relpersistence WHEN 'u' THEN 'unlogged' ELSE 'permanent' END),
            ('row security', CASE WHEN c.relrowsecurity AND c.relforcerowsecurity THEN 'forced'
                WHEN c.relrowsecurity THEN 'on' ELSE 'off' END)) i (item, value)
            WHERE c.oid = $1
        UNION ALL
        SELECT 'column ' || quote_ident(a.attname), format_type(a.atttypid, a.atttypmod) || CASE
            WHEN a.attgenerated <> '' THEN ' generated' ELSE '' END
               || CASE WHEN a.attnotnull THEN ' not null' ELSE '' END
            FROM pg_attribute a WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped
        UNION ALL
        -- what changes here changes what rows say, however deep in the type of a column
        SELECT 'labels of ' || format_type(t.type, NULL), string_agg(quote_ident(e.enumlabel), ','
            ORDER BY e.enumlabel COLLATE "C")
            FROM row_types($1) t JOIN pg_enum e ON e.enumtypid = t.type GROUP BY t.type
        UNION ALL
        SELECT 'attributes of ' || format_type(t.type, NULL),
            string_agg(format_type(a.atttypid, a.atttypmod), ',' ORDER BY a.attnum)
            FROM row_types($1) t JOIN pg_type y ON y.oid = t.type AND y.typtype = 'c'
            JOIN pg_attribute a ON a.attrelid = y.typrelid AND a.attnum > 0 AND NOT a.attisdropped
                GROUP BY t.type
        UNION ALL
        SELECT 'primary key', string_agg(quote_ident(a.attname), ', '
            ORDER BY a.attname COLLATE "C") || CASE WHEN bool_and(i.indimmediate) THEN ''
                ELSE ' deferrable' END
            FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid
                AND a.attnum = ANY (i.indkey[0:i.indnkeyatts - 1])
            WHERE i.indrelid = $1 AND i.indisprimary HAVING count(*) > 0
        UNION ALL
        SELECT 'partition ' || p.relid::regclass, pg_get_expr(c.relpartbound, c.oid)
            FROM pg_partition_tree($1) p JOIN pg_class c ON c.oid = p.relid WHERE p.relid <> $1
        UNION ALL
        SELECT x.item, x.value FROM row_parts($1) p JOIN pg_trigger t ON t.tgrelid = p.relid
            AND NOT t.tgisinternal, LATERAL (VALUES
            (format('trigger %I%s', t.tgname, p.part), CASE t.tgenabled WHEN 'O' THEN 'enabled'
                WHEN 'D' THEN 'disabled' WHEN 'R' THEN 'replica' ELSE 'always' END),
            (format('definition of trigger %I%s', t.tgname, p.part),
                md5(replace(pg_get_triggerdef(t.oid), format(' ON %s ', p.relid), ' ')))) x (item,
                    value)
        UNION ALL
        SELECT x.item, x.value FROM row_parts($1) p JOIN pg_policy t ON t.polrelid = p.relid,
            LATERAL (VALUES
            (format('policy %I%s', t.polname, p.part), CASE WHEN t.polpermissive THEN 'permissive'
                ELSE 'restrictive' END),
            (format('definition of policy %I%s', t.polname, p.part),
             md5(format('%s %s %s %s', t.polcmd, t.polroles::regrole[], pg_get_expr(t.polqual,
                 t.polrelid), pg_get_expr(t.polwithcheck, t.polrelid))))) x (item, value)
        UNION ALL
        SELECT format('rule %I', r.rulename), md5(pg_get_ruledef(r.oid) || r.ev_enabled::text)
            FROM pg_rewrite r WHERE r.ev_class = $1) d
$$;
COMMENT ON FUNCTION medchain.row_description(regclass) IS
    'internal: what DDL can change about a ledger table and the ledger has to know';

CREATE FUNCTION medchain.describe_row_table(p_relation regclass) RETURNS void
    LANGUAGE sql VOLATILE SET search_path = medchain, pg_temp
AS $$
    UPDATE row_table t SET description = row_description(p_relation), owner = (SELECT c.relowner
        FROM pg_class c WHERE c.oid = p_relation)
        WHERE t.relation = p_relation
$$;
COMMENT ON FUNCTION medchain.describe_row_table(regclass) IS
    'internal: what a ledger table is now is what the ledger knows of it';

-- What it was, with its owner's name of today: no event trigger sees that a role is renamed.
CREATE FUNCTION medchain.known_description(p_table medchain.row_table) RETURNS jsonb
    LANGUAGE sql STABLE SET search_path = medchain, pg_temp
AS $$
    SELECT p_table.description || CASE WHEN c.relowner = p_table.owner
        THEN jsonb_build_object('owner', pg_get_userbyid(c.relowner)) ELSE '{}' END
        FROM pg_class c WHERE c.oid = p_table.relation
$$;
COMMENT ON FUNCTION medchain.known_description(medchain.row_table) IS
    'internal: description of a ledger table to compare its present one with';

-- Definitions stay here: they may hold values.
CREATE FUNCTION medchain.row_changes(p_before jsonb, p_after jsonb) RETURNS jsonb
    LANGUAGE sql IMMUTABLE SET search_path = medchain, pg_temp
AS $$
    SELECT coalesce(jsonb_agg(CASE WHEN d.item ~ '^(definition of|rule) '
        THEN jsonb_build_object('item', d.item, 'change', d.change)
                              ELSE jsonb_strip_nulls(jsonb_build_object('item', d.item, 'change',
                                  d.change, 'before', d.before, 'after', d.after)) END
                              ORDER BY d.item COLLATE "C"), '[]')
    FROM (SELECT coalesce(b.key, a.key) AS item, b.value AS before, a.value AS after,
                 CASE WHEN b.key IS NULL THEN 'added' WHEN a.key IS NULL THEN 'removed'
                     ELSE 'changed' END AS change
          FROM jsonb_each_text(p_before) b FULL JOIN jsonb_each_text(p_after) a ON a.key = b.key
          WHERE a.value IS DISTINCT FROM b.value) d
$$;
COMMENT ON FUNCTION medchain.row_changes(jsonb, jsonb) IS
    'internal: differences of two descriptions of a ledger table, as the ledger has them';

-- The columns as they are now; the kind of entry that every row gets because of what happened to
-- them, or null.
CREATE FUNCTION medchain.observe_columns(p_table medchain.row_table, p_after jsonb) RETURNS text
    LANGUAGE plpgsql VOLATILE SET search_path = medchain, pg_temp
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
                HINT = format('Call medchain.%s() first.', CASE WHEN p_table.subject_column IS NULL
                    THEN 'end_ledger_table' ELSE 'unprotect' END);
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
    fresh := fresh OR EXISTS (SELECT FROM jsonb_each_text(p_table.description) b
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
COMMENT ON FUNCTION medchain.observe_columns(medchain.row_table, jsonb) IS
    'internal: follow what DDL did to the columns of a ledger table; the kind of entry that each '
    'of its rows needs, if any';

-- Partitions come with their rows and go with them.
CREATE FUNCTION medchain.observe_partitions(p_table medchain.row_table, p_fresh boolean)
    RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = medchain, pg_temp
AS $$
DECLARE
    part regclass;
    foreign_part boolean;
BEGIN
    FOR part, foreign_part IN SELECT p, c.relkind = 'f'
        FROM table_and_partitions(p_table.relation) p JOIN pg_class c ON c.oid = p
             WHERE NOT EXISTS (SELECT FROM pg_trigger g WHERE g.tgrelid = p
                 AND g.tgname = 'medchain_truncate') AND NOT p_table.description ? ('partition '
                     || p) AND p <> p_table.relation LOOP
        IF foreign_part THEN
            RAISE feature_not_supported USING MESSAGE = format('a foreign table cannot be a '
                'partition of %s, whose rows are on the ledger', p_table.relation);
        END IF;
        PERFORM equip_truncate(part);
        IF p_table.subject_column IS NOT NULL THEN
            PERFORM protect_part(part, p_table.subject_column, p_table.relation);
        END IF;
        IF NOT p_fresh AND (SELECT c.relkind FROM pg_class c WHERE c.oid = part) = 'r' THEN
            PERFORM row_record('row.baseline', part, p_table.relation);
        END IF;
    END LOOP;
    -- those that were parts and stand alone now; row security stays on them until their owner takes
    -- it off
    FOR part IN SELECT c.oid::regclass FROM pg_trigger g JOIN pg_class c ON c.oid = g.tgrelid
             WHERE g.tgname = 'medchain_truncate' AND p_table.description ? ('partition '
                 || c.oid::regclass)
             AND coalesce(pg_partition_root(c.oid), c.oid) <> p_table.relation LOOP
        IF NOT p_fresh AND (SELECT c.relkind FROM pg_class c WHERE c.oid = part) = 'r' THEN
            PERFORM row_record('row.delete', part, p_table.relation);
        END IF;
        EXECUTE format('DROP TRIGGER medchain_truncate ON %s', part);
    END LOOP;
END
$$;
COMMENT ON FUNCTION medchain.observe_partitions(medchain.row_table, boolean) IS
    'internal: put the rows of new partitions of a ledger table on the ledger, and note that those '
    'of detached ones are gone';

CREATE FUNCTION medchain.observe_table(p_relation regclass, p_command text) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = medchain, pg_temp SET row_security = off
AS $$
DECLARE
    t row_table;
    after jsonb;
    each text;
    fresh boolean;
    body jsonb;
BEGIN
    SELECT * INTO t FROM row_table x WHERE x.relation = p_relation;
    IF t.description IS NULL THEN
        RETURN;
    END IF;
    IF EXISTS (SELECT FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhparent AND c.relkind = 'r'
        WHERE p_relation IN (i.inhparent, i.inhrelid)) THEN
        RAISE feature_not_supported USING
            MESSAGE = format('rows of %s are on the ledger, it cannot take part in table '
                'inheritance', p_relation),
            DETAIL = 'Queries of the parent table would pass by what is put on the child tables.';
    END IF;
    PERFORM require_logged(p_relation);
    after := row_description(p_relation);
    IF after = known_description(t) AND NOT t.rewritten THEN
        RETURN;
    END IF;
    -- Our doing, or was it somebody else's, committed since we looked?  (null: the table is gone)
    IF has_table_privilege(p_relation, 'SELECT') IS NULL THEN
        RETURN;
    END IF;
    SELECT * INTO t FROM row_table x WHERE x.relation = p_relation FOR UPDATE;
    after := row_description(p_relation);
    IF t.description IS NULL OR (after = known_description(t) AND NOT t.rewritten) THEN
        RETURN;
    END IF;
    UPDATE row_table x SET description = NULL WHERE x.relation = p_relation;
    each := observe_columns(t, after);
    fresh := coalesce(each = 'row.baseline', false);
    IF (SELECT array_agg(a.attname::text ORDER BY a.attname COLLATE "C")
        FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid
            AND a.attnum = ANY (i.indkey[0:i.indnkeyatts - 1])
        WHERE i.indrelid = p_relation AND i.indisprimary AND i.indimmediate)
       IS DISTINCT FROM (SELECT array_agg(k ORDER BY k COLLATE "C") FROM row_table x,
           unnest(x.key_columns) k WHERE x.relation = p_relation) THEN
        RAISE dependent_objects_still_exist USING
            MESSAGE = format('primary key of %s cannot be dropped or changed', p_relation),
            DETAIL = 'The ledger names rows by it.',
            HINT = format('Call medchain.%s() first. Another index can take its place in one ALTER '
                'TABLE.',
                          CASE WHEN t.subject_column IS NULL THEN 'end_ledger_table'
                              ELSE 'unprotect' END);
    END IF;
    IF fresh THEN
        -- ALTER TYPE has not locked it: rows would come meanwhile whose old text is on the ledger
        -- behind the new baseline
        EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', p_relation);
    END IF;
    SELECT jsonb_strip_nulls(jsonb_build_object('relation', x.ledger_name, 'command', p_command,
        'changes', row_changes(known_description(t), after),
               'version', x.version, 'baseline', nullif(fresh, false),
               'columns', (SELECT jsonb_agg(c.name ORDER BY c.name COLLATE "C") FROM row_column c
                   WHERE c.relation = p_relation)))
        INTO body FROM row_table x WHERE x.relation = p_relation;
    PERFORM append_raw('table.alter', body::text, NULL, false);
    PERFORM observe_partitions(t, fresh);
    IF each IS NOT NULL THEN
        RAISE NOTICE 'rows of % have new commitments on the ledger: %', p_relation,
            row_record(each, p_relation, p_relation);
    END IF;
    PERFORM describe_row_table(p_relation);
END
$$;
COMMENT ON FUNCTION medchain.observe_table(regclass, text) IS
    'internal: put on the ledger what a command did to a ledger table';

CREATE FUNCTION medchain.observe_ddl() RETURNS event_trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = medchain, pg_temp
        SET quote_all_identifiers = off
AS $$
DECLARE
    r regclass;
BEGIN
    -- a copy says nothing; take_over() looks at what became of its tables
    IF NOT at_home() THEN
        RETURN;
    END IF;
    -- of the tables that are created all the time only partitions matter
    IF TG_TAG IN ('CREATE TABLE', 'CREATE FOREIGN TABLE') AND NOT EXISTS (
           SELECT FROM pg_event_trigger_ddl_commands() c JOIN pg_inherits i ON i.inhrelid = c.objid
               WHERE c.classid = 'pg_class'::regclass) THEN
        RETURN;
    END IF;
    FOR r IN SELECT t.relation FROM row_table t JOIN pg_class c ON c.oid = t.relation
        ORDER BY t.ledger_name COLLATE "C" LOOP
        PERFORM observe_table(r, TG_TAG);
    END LOOP;
END
$$;
COMMENT ON FUNCTION medchain.observe_ddl() IS
    'event trigger: put on the ledger what DDL did to ledger tables';

CREATE FUNCTION medchain.observe_drop() RETURNS event_trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = medchain, pg_temp
        SET quote_all_identifiers = off
AS $$
DECLARE
    o record;
    t row_table;
BEGIN
    FOR o IN SELECT d.objid, d.object_identity FROM pg_event_trigger_dropped_objects() d
             WHERE d.classid = 'pg_class'::regclass AND d.objsubid = 0 AND NOT d.is_temporary LOOP
        SELECT * INTO t FROM row_table x WHERE x.relation = o.objid;
        IF FOUND THEN
            DELETE FROM row_table x WHERE x.relation = o.objid;
            DELETE FROM row_column x WHERE x.relation = o.objid;
            DELETE FROM row_secret x WHERE x.relation = o.objid;
            DELETE FROM row_key x WHERE x.relation = o.objid;
            IF at_home() THEN
                PERFORM append_raw('table.drop', jsonb_build_object('relation', t.ledger_name,
                    'command', TG_TAG)::text, NULL, false);
            END IF;
        END IF;
    END LOOP;
    IF NOT at_home() THEN
        RETURN;
    END IF;
    -- what was in them cannot be told any more
    FOR o IN SELECT p.name, r.relation FROM pg_event_trigger_dropped_objects() d
             CROSS JOIN LATERAL (SELECT format('%I.%I', d.schema_name, d.object_name) AS name) p
             JOIN row_table r ON r.description ? ('partition ' || p.name)
             JOIN pg_class c ON c.oid = r.relation
             WHERE d.classid = 'pg_class'::regclass AND d.objsubid = 0 LOOP
        RAISE dependent_objects_still_exist USING
            MESSAGE = format('partition %s of %s cannot be dropped: its rows are on the ledger',
                o.name, o.relation),
            HINT = 'Detach it first, so that the ledger says which rows are gone.';
    END LOOP;
END
$$;
COMMENT ON FUNCTION medchain.observe_drop() IS
    'event trigger: put on the ledger that a ledger table was dropped; refuse to drop a partition '
    'of one';

CREATE FUNCTION medchain.observe_rewrite() RETURNS event_trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = medchain, pg_temp
AS $$
BEGIN
    -- 4: a column was computed anew; the other reasons leave what rows say as it is
    UPDATE row_table t SET rewritten = true
        WHERE t.relation IN (pg_event_trigger_table_rewrite_oid(),
            pg_partition_root(pg_event_trigger_table_rewrite_oid()))
        AND t.description IS NOT NULL AND pg_event_trigger_table_rewrite_reason() & 4 <> 0;
END
$$;
COMMENT ON FUNCTION medchain.observe_rewrite() IS
    'event trigger: remember that the rows of a ledger table are computed anew';

CREATE EVENT TRIGGER medchain_observe_ddl ON ddl_command_end
    WHEN TAG IN ('ALTER TABLE', 'CREATE TABLE', 'CREATE FOREIGN TABLE', 'DROP TABLE',
        'CREATE TRIGGER', 'ALTER TRIGGER', 'DROP TRIGGER',
                 'CREATE POLICY', 'ALTER POLICY', 'DROP POLICY', 'CREATE RULE', 'ALTER RULE',
                     'DROP RULE', 'ALTER TYPE', 'DROP TYPE',
                 'ALTER DOMAIN', 'DROP DOMAIN', 'ALTER SCHEMA', 'DROP SCHEMA', 'DROP OWNED',
                     'ALTER EXTENSION', 'DROP EXTENSION',
                 -- what definitions name by another name from now on, and what takes columns,
                 -- triggers or policies along
                 'ALTER FUNCTION', 'ALTER ROUTINE', 'ALTER VIEW', 'ALTER MATERIALIZED VIEW',
                     'ALTER FOREIGN TABLE', 'ALTER SEQUENCE',
                 'DROP FUNCTION', 'DROP ROUTINE', 'DROP VIEW', 'DROP MATERIALIZED VIEW',
                     'DROP FOREIGN TABLE', 'DROP SEQUENCE',
                 'DROP COLLATION', 'DROP OPERATOR', 'DROP CAST', 'DROP LANGUAGE')
    EXECUTE FUNCTION medchain.observe_ddl();
CREATE EVENT TRIGGER medchain_observe_drop ON sql_drop EXECUTE FUNCTION medchain.observe_drop();
CREATE EVENT TRIGGER medchain_observe_rewrite ON table_rewrite
    EXECUTE FUNCTION medchain.observe_rewrite();
ALTER EVENT TRIGGER medchain_observe_ddl ENABLE ALWAYS;
ALTER EVENT TRIGGER medchain_observe_drop ENABLE ALWAYS;
ALTER EVENT TRIGGER medchain_observe_rewrite ENABLE ALWAYS;
COMMENT ON EVENT TRIGGER medchain_observe_ddl IS 'what DDL does to ledger tables is on the ledger';
COMMENT ON EVENT TRIGGER medchain_observe_drop IS
    'ledger tables that are dropped are on the ledger';
COMMENT ON EVENT TRIGGER medchain_observe_rewrite IS
    'ledger tables that are computed anew are on the ledger';
