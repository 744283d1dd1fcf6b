/*
 * row_description.sql: a ledger table in words: all that DDL can change about it and the ledger has
 * to know, item by item.
 *
 * Two descriptions are compared to see what a command did (row_ddl.sql), and what was done without
 * one (row_verify.sql).  They say the same whatever the session has set.
 *
 * Nothing here locks a table, nor waits for one; except for what rules, and subqueries of policies,
 * name.
 */

-- Kept by oid, and so of this database alone: a dump leaves it out.
CREATE TABLE medchain.row_part (
    part      regclass PRIMARY KEY,
    relation  regclass NOT NULL,
    name      text NOT NULL,            -- in the descriptions
    -- about to be dropped in this transaction: the ledger says already that its rows are gone
    leaving   boolean NOT NULL DEFAULT false
);
CREATE INDEX row_part_relation ON medchain.row_part (relation);
COMMENT ON TABLE medchain.row_part IS
    'local: the relations that ledger tables consist of, themselves and their partitions, as DDL '
    'left them last';

CREATE FUNCTION medchain_internal.own_change(xmin xid) RETURNS boolean
    LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'medchain_own_change';
COMMENT ON FUNCTION medchain_internal.own_change(xid) IS
    'internal: has this transaction written the row that has this xmin?';

CREATE FUNCTION medchain_internal.injection_point(name text) RETURNS void
    LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'medchain_injection_point';
COMMENT ON FUNCTION medchain_internal.injection_point(text) IS
    'internal: where a test can stop this session; nothing, unless the server was built with '
    'injection points';

CREATE FUNCTION medchain_internal.row_expression(tree pg_node_tree, relation regclass) RETURNS text
    LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'medchain_row_expression';
COMMENT ON FUNCTION medchain_internal.row_expression(pg_node_tree, regclass) IS
    'internal: what an expression about a table''s row says, to be compared; opens no table';

CREATE FUNCTION medchain_internal.row_parts(relation regclass)
    RETURNS TABLE (relid regclass, part text, moved boolean)
    LANGUAGE sql STABLE STRICT SET search_path = medchain, medchain_internal, pg_temp
AS $$
    SELECT p, CASE WHEN p = $1 THEN '' ELSE ' on ' || p::text END,
           p <> $1 AND (own_change(c.xmin) OR own_change(n.xmin))
    FROM table_and_partitions($1) p JOIN pg_class c ON c.oid = p
         JOIN pg_namespace n ON n.oid = c.relnamespace
$$;
COMMENT ON FUNCTION medchain_internal.row_parts(regclass) IS
    'internal: a table and its partitions, how to speak of what is on them, and whether this '
    'transaction has brought them or named them otherwise';

CREATE FUNCTION medchain_internal.row_types(relation regclass) RETURNS TABLE (type oid)
    LANGUAGE sql STABLE STRICT SET search_path = medchain, medchain_internal, pg_temp
AS $$
    WITH RECURSIVE types (type) AS (
        SELECT a.atttypid FROM pg_attribute a
            WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped
        UNION
        SELECT p.part FROM types t JOIN pg_type y ON y.oid = t.type CROSS JOIN LATERAL (
            SELECT y.typelem WHERE y.typcategory = 'A'
            UNION ALL SELECT y.typbasetype WHERE y.typtype = 'd'
            UNION ALL SELECT r.rngsubtype FROM pg_range r
                WHERE y.oid IN (r.rngtypid, r.rngmultitypid)
            UNION ALL SELECT a.atttypid FROM pg_attribute a
                WHERE y.typtype = 'c' AND a.attrelid = y.typrelid AND a.attnum > 0
                AND NOT a.attisdropped) p (part))
    SELECT t.type FROM types t
$$;
COMMENT ON FUNCTION medchain_internal.row_types(regclass) IS
    'internal: types of a table''s columns, and those that they are made of';

CREATE FUNCTION medchain_internal.security_of(relation regclass) RETURNS text
    LANGUAGE sql STABLE STRICT SET search_path = medchain, medchain_internal, pg_temp
AS $$
    SELECT CASE WHEN c.relrowsecurity AND c.relforcerowsecurity THEN 'forced'
                WHEN c.relrowsecurity THEN 'on' ELSE 'off' END
    FROM pg_class c WHERE c.oid = $1
$$;
COMMENT ON FUNCTION medchain_internal.security_of(regclass)
    IS 'internal: a table''s row security, in words';

-- By their oids, for no event trigger sees that a role is renamed.
CREATE FUNCTION medchain_internal.row_roles(relation regclass) RETURNS jsonb
    LANGUAGE sql STABLE STRICT SET search_path = medchain, medchain_internal, pg_temp
AS $$
    SELECT jsonb_object_agg(r.item, r.roles) FROM (
        SELECT 'owner' AS item, ARRAY[c.relowner] AS roles FROM pg_class c WHERE c.oid = $1
        UNION ALL
        SELECT 'owner' || p.part, ARRAY[c.relowner] FROM row_parts($1) p
            JOIN pg_class c ON c.oid = p.relid
            WHERE p.relid <> $1
            AND c.relowner <> (SELECT r.relowner FROM pg_class r WHERE r.oid = $1)
        UNION ALL
        SELECT format('roles of policy %I%s', t.polname, p.part), t.polroles
            FROM row_parts($1) p JOIN pg_policy t ON t.polrelid = p.relid) r
$$;
COMMENT ON FUNCTION medchain_internal.row_roles(regclass) IS
    'internal: the roles that are part of a table''s description, by item';

CREATE FUNCTION medchain_internal.only_object(value jsonb) RETURNS jsonb
    LANGUAGE sql IMMUTABLE STRICT SET search_path = medchain, medchain_internal, pg_temp
    RETURN CASE WHEN jsonb_typeof(value) = 'object' THEN value ELSE '{}' END;
COMMENT ON FUNCTION medchain_internal.only_object(jsonb) IS
    'internal: itself, and an empty object for what is none: who looks for edits of our tables '
    'must not fail because of one';

CREATE FUNCTION medchain_internal.role_names(roles jsonb) RETURNS text
    LANGUAGE sql STABLE STRICT SET search_path = medchain, medchain_internal, pg_temp
AS $$
    -- null if one of them is gone
    SELECT CASE WHEN count(*) = count(n.name)
                THEN string_agg(n.name, ', ' ORDER BY n.name COLLATE "C") END
    FROM jsonb_array_elements_text(CASE WHEN jsonb_typeof($1) = 'array' THEN $1 ELSE '[]' END)
         o (role) CROSS JOIN LATERAL (
        SELECT CASE WHEN o.role = '0' THEN 'public'
                    WHEN o.role ~ '^[1-9][0-9]{0,9}$' AND o.role::bigint <= 4294967295
                    THEN (SELECT quote_ident(r.rolname) FROM pg_roles r
                          WHERE r.oid = o.role::oid) END) n (name)
$$;
COMMENT ON FUNCTION medchain_internal.role_names(jsonb)
    IS 'internal: what these roles are called today';

-- made: this transaction has written the row of the catalogue that says so; moved: it has
-- renamed what the item is on.
CREATE FUNCTION medchain_internal.row_items(relation regclass)
    RETURNS TABLE (item text, value text, made boolean, moved boolean)
    LANGUAGE sql STABLE STRICT SET search_path = medchain, medchain_internal, pg_temp
AS $$
    SELECT i.item, i.value, false, false FROM pg_class c, LATERAL (VALUES
        ('name', c.relnamespace::regnamespace::text || '.' || quote_ident(c.relname)),
        ('persistence', CASE c.relpersistence WHEN 'u' THEN 'unlogged' ELSE 'permanent' END),
        ('row security', security_of(c.oid))) i (item, value)
        WHERE c.oid = $1
    UNION ALL
    -- of a partition where it is not as it should be; a new one is on its way to that
    SELECT 'row security' || p.part, security_of(p.relid), false, p.moved
        FROM row_parts($1) p JOIN row_table t ON t.relation = $1
        WHERE p.relid <> $1 AND coalesce(t.description ? ('partition ' || p.relid), true)
        AND security_of(p.relid) <> CASE WHEN t.subject_column IS NULL THEN 'off'
                                         ELSE 'forced' END
    UNION ALL
    SELECT 'column ' || quote_ident(a.attname),
           format_type(a.atttypid, a.atttypmod)
           || CASE WHEN a.attgenerated <> '' THEN ' generated' ELSE '' END
           || CASE WHEN a.attnotnull THEN ' not null' ELSE '' END,
           own_change(a.xmin), false
        FROM pg_attribute a WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped
    UNION ALL
    -- what changes here changes what rows say, however deep in the type of a column
    SELECT 'labels of ' || format_type(t.type, NULL),
           string_agg(quote_ident(e.enumlabel), ',' ORDER BY e.enumlabel COLLATE "C"),
           bool_or(own_change(e.xmin)), false
        FROM row_types($1) t JOIN pg_enum e ON e.enumtypid = t.type GROUP BY t.type
    UNION ALL
    SELECT 'attributes of ' || format_type(t.type, NULL),
           string_agg(format_type(a.atttypid, a.atttypmod), ',' ORDER BY a.attnum)
               FILTER (WHERE NOT a.attisdropped),
           bool_or(own_change(a.xmin)), false
        FROM row_types($1) t JOIN pg_type y ON y.oid = t.type AND y.typtype = 'c'
        JOIN pg_attribute a ON a.attrelid = y.typrelid AND a.attnum > 0 GROUP BY t.type
    UNION ALL
    SELECT 'primary key', string_agg(quote_ident(a.attname), ', ' ORDER BY a.attname COLLATE "C")
           || CASE WHEN bool_and(i.indimmediate) THEN '' ELSE ' deferrable' END,
           bool_or(own_change(i.xmin)), false
        FROM pg_index i JOIN pg_attribute a
            ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey[0:i.indnkeyatts - 1])
        WHERE i.indrelid = $1 AND i.indisprimary HAVING count(*) > 0
    UNION ALL
    SELECT 'key', string_agg(quote_ident(k), ', ' ORDER BY k COLLATE "C"), false, false
        FROM row_table t, unnest(t.key_columns) k
        WHERE t.relation = $1 AND EXISTS (SELECT FROM row_keys($1) x WHERE x.fault IS NULL
            AND x.columns @> t.key_columns AND x.columns <@ t.key_columns)
        AND NOT EXISTS (SELECT FROM row_keys($1) x WHERE x.is_primary
            AND x.columns @> t.key_columns AND x.columns <@ t.key_columns)
        HAVING count(*) > 0
    UNION ALL
    SELECT 'heir ' || i.inhrelid::regclass, 'inherits', own_change(i.xmin),
           own_change(c.xmin) OR own_change(n.xmin)
        FROM pg_class r JOIN pg_inherits i ON i.inhparent = r.oid
            JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE r.oid = $1 AND r.relkind <> 'p' AND c.relpersistence <> 't'
    UNION ALL
    SELECT 'partition ' || p.relid, pg_get_expr(c.relpartbound, 0), p.moved, p.moved
        FROM row_parts($1) p JOIN pg_class c ON c.oid = p.relid WHERE p.relid <> $1
    UNION ALL
    SELECT x.item, x.value, own_change(t.xmin), p.moved
        FROM row_parts($1) p JOIN pg_trigger t ON t.tgrelid = p.relid AND NOT t.tgisinternal,
        LATERAL (VALUES
        (format('trigger %I%s', t.tgname, p.part),
         CASE t.tgenabled WHEN 'O' THEN 'enabled' WHEN 'D' THEN 'disabled'
                          WHEN 'R' THEN 'replica' ELSE 'always' END),
        (format('definition of trigger %I%s', t.tgname, p.part),
         md5(format('%s %s %s (%s) %s %s %s %s %s %s %s', t.tgtype, t.tgfoid::regprocedure,
                    encode(t.tgargs, 'hex'),
                    (SELECT string_agg(quote_ident(a.attname), ',' ORDER BY a.attname COLLATE "C")
                     FROM pg_attribute a
                     WHERE a.attrelid = t.tgrelid AND a.attnum = ANY (t.tgattr)),
                    t.tgconstraint <> 0, t.tgdeferrable, t.tginitdeferred,
                    nullif(t.tgconstrrelid, 0)::regclass, t.tgoldtable, t.tgnewtable,
                    row_expression(t.tgqual, t.tgrelid))))) x (item, value)
    UNION ALL
    SELECT x.item, x.value, own_change(t.xmin), p.moved
        FROM row_parts($1) p JOIN pg_policy t ON t.polrelid = p.relid, LATERAL (VALUES
        (format('policy %I%s', t.polname, p.part),
         CASE WHEN t.polpermissive THEN 'permissive' ELSE 'restrictive' END),
        (format('definition of policy %I%s', t.polname, p.part),
         md5(format('%s %s %s', t.polcmd, row_expression(t.polqual, t.polrelid),
                    row_expression(t.polwithcheck, t.polrelid))))) x (item, value)
    UNION ALL
    SELECT r.item, role_names(r.roles),
           r.item !~ '^owner' AND EXISTS (
               SELECT FROM row_parts($1) p JOIN pg_policy t ON t.polrelid = p.relid
               WHERE format('roles of policy %I%s', t.polname, p.part) = r.item
               AND own_change(t.xmin)),
           r.item <> 'owner' AND EXISTS (
               SELECT FROM row_parts($1) p WHERE p.moved AND right(r.item, length(p.part)) = p.part)
        FROM jsonb_each(row_roles($1)) r (item, roles)
    UNION ALL
    SELECT format('rule %I%s', r.rulename, p.part),
           md5(pg_get_ruledef(r.oid) || r.ev_enabled::text), own_change(r.xmin), p.moved
        FROM row_parts($1) p JOIN pg_rewrite r ON r.ev_class = p.relid
$$;
COMMENT ON FUNCTION medchain_internal.row_items(regclass) IS
    'internal: what DDL can change about a ledger table and the ledger has to know; made: this '
    'transaction has written what says so; moved: it has named or attached the partition that it '
    'is on';

-- An heir that is dropped is in no table of ours any more; what INHERIT did to another one's
-- columns NO INHERIT undoes.
CREATE FUNCTION medchain_internal.heir_left(name text) RETURNS boolean
    LANGUAGE sql STABLE STRICT SET search_path = medchain, medchain_internal, pg_temp
AS $$
    SELECT NOT EXISTS (
        SELECT FROM row_part r JOIN pg_class c ON c.oid = r.part
            JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE r.part = r.relation AND r.name = $1
        AND NOT own_change(c.xmin) AND NOT own_change(n.xmin)
        AND NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = r.part
            AND own_change(a.xmin)))
$$;
COMMENT ON FUNCTION medchain_internal.heir_left(text) IS
    'internal: has this transaction made a table, by the name it had, an heir no more?';

CREATE FUNCTION medchain_internal.row_description(relation regclass) RETURNS jsonb
    LANGUAGE sql STABLE STRICT SET search_path = medchain, medchain_internal, pg_temp
    AS $$ SELECT jsonb_object_agg(i.item, i.value) FROM row_items($1) i $$;
COMMENT ON FUNCTION medchain_internal.row_description(regclass) IS
    'internal: a ledger table as row_items() has it';

CREATE FUNCTION medchain_internal.describe_row_table(p_relation regclass) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = medchain, medchain_internal, pg_temp
AS $$
BEGIN
    UPDATE row_table t SET description = row_description(p_relation), roles = row_roles(p_relation)
        WHERE t.relation = p_relation;
    DELETE FROM row_index x WHERE x.relation = p_relation;
    INSERT INTO row_index (relation, columns)
        SELECT t.relation, t.key_columns FROM row_table t
        WHERE t.relation = p_relation AND needs_row_index(t);
    DELETE FROM row_part r WHERE r.relation = p_relation
        AND NOT EXISTS (SELECT FROM table_and_partitions(p_relation) p WHERE p = r.part);
    INSERT INTO row_part AS r (part, relation, name)
        SELECT p, p_relation, p::text FROM table_and_partitions(p_relation) p
        ON CONFLICT (part) DO UPDATE SET relation = EXCLUDED.relation, name = EXCLUDED.name
            WHERE (r.relation, r.name) IS DISTINCT FROM (EXCLUDED.relation, EXCLUDED.name);
END
$$;
COMMENT ON FUNCTION medchain_internal.describe_row_table(regclass) IS
    'internal: what a ledger table is now is what the ledger knows of it';

-- Restored from a dump, it is not yet: what was known was about a relation elsewhere.
CREATE FUNCTION medchain_internal.is_watched(p_table medchain.row_table) RETURNS boolean
    LANGUAGE sql STABLE SET search_path = medchain, medchain_internal, pg_temp
AS $$
    SELECT coalesce(p_table.watched = p_table.relation::oid, false)
           AND EXISTS (SELECT FROM row_part r WHERE r.part = p_table.relation)
$$;
COMMENT ON FUNCTION medchain_internal.is_watched(medchain.row_table) IS
    'internal: is DDL on this ledger table recorded?';

CREATE FUNCTION medchain_internal.without_owners(description jsonb) RETURNS jsonb
    LANGUAGE sql IMMUTABLE STRICT SET search_path = medchain, medchain_internal, pg_temp
    AS $$ SELECT jsonb_object_agg(e.key, e.value) FROM jsonb_each(only_object($1)) e
          WHERE e.key !~ '^owner( on |$)' $$;
COMMENT ON FUNCTION medchain_internal.without_owners(jsonb) IS
    'internal: a description as a dump without owners restores it';

-- On the way from a dump: as soon as the table is what it was when it was dumped, it is
-- watched again.
CREATE FUNCTION medchain_internal.watch_again(p_relation regclass, p_now jsonb) RETURNS boolean
    LANGUAGE plpgsql VOLATILE SET search_path = medchain, medchain_internal, pg_temp
AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM row_table t WHERE t.relation = p_relation
                   AND without_owners(t.description) = without_owners(p_now))
       OR EXISTS (SELECT FROM pg_attribute a
                  WHERE a.attrelid = p_relation AND a.attnum > 0 AND NOT a.attisdropped
                  AND NOT EXISTS (SELECT FROM row_column r
                                  WHERE r.relation = p_relation AND r.attribute = a.attname)) THEN
        RETURN false;
    END IF;
    UPDATE row_column r SET number = a.attnum FROM pg_attribute a
        WHERE r.relation = p_relation AND a.attrelid = p_relation AND a.attname = r.attribute;
    UPDATE row_table t SET watched = p_relation WHERE t.relation = p_relation;
    PERFORM describe_row_table(p_relation);
    RETURN true;
END
$$;
COMMENT ON FUNCTION medchain_internal.watch_again(regclass, jsonb) IS
    'internal: record the DDL of a restored ledger table from now on, if it is complete';

-- The dump's rows may arrive when the last command on their table is done.
CREATE FUNCTION medchain_internal.watch_arrived() RETURNS trigger
    LANGUAGE plpgsql SET search_path = medchain, medchain_internal, pg_temp SET row_security = off
AS $$
DECLARE
    r regclass;
BEGIN
    FOR r IN SELECT DISTINCT t.relation FROM arrived a JOIN row_table t ON t.relation = a.relation
             JOIN pg_class c ON c.oid = t.relation
             WHERE t.description IS NOT NULL AND NOT is_watched(t) LOOP
        PERFORM watch_again(r, row_description(r));
    END LOOP;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION medchain_internal.watch_arrived() IS
    'trigger: what a dump says of ledger tables has come; watch those that are complete';
CREATE TRIGGER arrived AFTER INSERT ON medchain.row_table REFERENCING NEW TABLE AS arrived
    FOR EACH STATEMENT EXECUTE FUNCTION medchain_internal.watch_arrived();
CREATE TRIGGER arrived AFTER INSERT ON medchain.row_column REFERENCING NEW TABLE AS arrived
    FOR EACH STATEMENT EXECUTE FUNCTION medchain_internal.watch_arrived();
ALTER TABLE medchain.row_table ENABLE ALWAYS TRIGGER arrived;
ALTER TABLE medchain.row_column ENABLE ALWAYS TRIGGER arrived;

-- What it was, with today's names of the roles in it.
CREATE FUNCTION medchain_internal.known_description(p_table medchain.row_table) RETURNS jsonb
    LANGUAGE sql STABLE SET search_path = medchain, medchain_internal, pg_temp
AS $$
    SELECT only_object(p_table.description)
           || coalesce(jsonb_object_agg(r.item, r.names) FILTER (WHERE r.names IS NOT NULL), '{}')
        FROM (SELECT e.key AS item, role_names(e.value) AS names
              FROM jsonb_each(only_object(p_table.roles)) e) r
$$;
COMMENT ON FUNCTION medchain_internal.known_description(medchain.row_table) IS
    'internal: description of a ledger table to compare its present one with';

/*
 * What is known here of a ledger table decides what the ledger will say of it: which columns count,
 * which changes need an explanation, whether all rows get a new baseline.  So each entry about the
 * table has a hash of it, and whoever edits it is found out: by verify(), or by the next DDL, which
 * says so before anything else is said (row_ddl.sql).  Owners are left out, as a dump may be
 * restored without.
 */
CREATE FUNCTION medchain_internal.row_known(relation regclass) RETURNS text
    LANGUAGE sql STABLE STRICT SET search_path = medchain, medchain_internal, pg_temp
        SET row_security = off
AS $$
    SELECT encode(sha256(convert_to(jsonb_build_object(
               'relation', t.ledger_name, 'key', t.key_columns, 'subject', t.subject_column,
               'append_only', t.append_only, 'record_truncate', t.record_truncate,
               'version', t.version, 'description', without_owners(t.description),
               'columns', (SELECT jsonb_agg(jsonb_build_array(c.name, c.attribute, c.type, c.since)
                                            ORDER BY c.name COLLATE "C")
                           FROM row_column c WHERE c.relation = t.relation),
               'secret', (SELECT encode(sha256(s.secret), 'hex') FROM row_secret s
                          WHERE s.relation = t.relation))::text, 'UTF8')), 'hex')
    FROM row_table t WHERE t.relation = $1
$$;
COMMENT ON FUNCTION medchain_internal.row_known(regclass) IS
    'internal: SHA-256, in hex, of what is known here of a ledger table';

CREATE FUNCTION medchain_internal.row_state(relation regclass) RETURNS jsonb
    LANGUAGE sql STABLE STRICT SET search_path = medchain, medchain_internal, pg_temp
        SET row_security = off
AS $$
    SELECT jsonb_build_object('version', t.version, 'known', row_known($1),
               'columns', (SELECT jsonb_agg(c.name ORDER BY c.name COLLATE "C")
                           FROM row_column c WHERE c.relation = $1))
    FROM row_table t WHERE t.relation = $1
$$;
COMMENT ON FUNCTION medchain_internal.row_state(regclass) IS
    'internal: what an entry says of a ledger table as it is from then on';

CREATE FUNCTION medchain_internal.row_known_told(ledger_name text) RETURNS text
    LANGUAGE sql STABLE STRICT SET search_path = medchain, medchain_internal, pg_temp
AS $$
    SELECT w.body ->> 'known' FROM (
        SELECT e.late, e.seq, object_or_null(entry_body(e.payload), false) AS body FROM (
            SELECT false AS late, x.seq, x.payload FROM sealed x
                WHERE x.origin = (SELECT n.node FROM local_node n)
                AND x.kind IN ('protect', 'table.ledger', 'table.alter')
            UNION ALL
            SELECT true, x.seq, x.payload FROM pending x
                WHERE x.kind IN ('protect', 'table.ledger', 'table.alter')) e
        -- most are about other tables, and reading one takes longer
        WHERE position(to_json($1)::text IN e.payload) > 0) w
    WHERE w.body ->> 'relation' = $1 AND w.body ? 'known'
    ORDER BY w.late DESC, w.seq DESC LIMIT 1
$$;
COMMENT ON FUNCTION medchain_internal.row_known_told(text) IS
    'internal: the hash of what was known of a ledger table when the ledger last spoke of it; null '
    'if it did not say';

CREATE FUNCTION medchain_internal.is_known_otherwise(p_table medchain.row_table) RETURNS boolean
    LANGUAGE sql STABLE SET search_path = medchain, medchain_internal, pg_temp
    AS $$ SELECT coalesce(row_known_told(p_table.ledger_name) <> row_known(p_table.relation),
                          false) $$;
COMMENT ON FUNCTION medchain_internal.is_known_otherwise(medchain.row_table) IS
    'internal: is what is known of a ledger table not what it was when the ledger last spoke of '
    'it?';

CREATE FUNCTION medchain_internal.edited_item() RETURNS jsonb
    LANGUAGE sql IMMUTABLE SET search_path = medchain, medchain_internal, pg_temp
    RETURN jsonb_build_array(jsonb_build_object('item', 'medchain.row_table',
        'change', 'changed'));
COMMENT ON FUNCTION medchain_internal.edited_item() IS
    'internal: what an entry says among its changes if is_known_otherwise()';

CREATE FUNCTION medchain_internal.row_differences(p_before jsonb, p_after jsonb)
    RETURNS TABLE (item text, change text, before text, after text)
    LANGUAGE sql IMMUTABLE SET search_path = medchain, medchain_internal, pg_temp
AS $$
    SELECT coalesce(b.key, a.key),
           CASE WHEN b.key IS NULL THEN 'added' WHEN a.key IS NULL THEN 'removed'
                ELSE 'changed' END,
           b.value, a.value
    FROM jsonb_each_text(p_before) b FULL JOIN jsonb_each_text(p_after) a ON a.key = b.key
    WHERE a.value IS DISTINCT FROM b.value
$$;
COMMENT ON FUNCTION medchain_internal.row_differences(jsonb, jsonb) IS
    'internal: where two descriptions of a ledger table differ';

-- Definitions stay here: they may hold values.
CREATE FUNCTION medchain_internal.row_changes(p_before jsonb, p_after jsonb,
    p_items text[] DEFAULT NULL)
    RETURNS jsonb
    LANGUAGE sql IMMUTABLE SET search_path = medchain, medchain_internal, pg_temp
AS $$
    SELECT coalesce(jsonb_agg(
        CASE WHEN d.item ~ '^(definition of|rule) '
             THEN jsonb_build_object('item', d.item, 'change', d.change)
             ELSE jsonb_strip_nulls(jsonb_build_object('item', d.item, 'change', d.change,
                                                       'before', d.before, 'after', d.after)) END
        ORDER BY d.item COLLATE "C"), '[]')
    FROM row_differences(p_before, p_after) d WHERE p_items IS NULL OR d.item = ANY (p_items)
$$;
COMMENT ON FUNCTION medchain_internal.row_changes(jsonb, jsonb, text[]) IS
    'internal: differences of two descriptions of a ledger table, as the ledger has them; items: '
    'these alone';
