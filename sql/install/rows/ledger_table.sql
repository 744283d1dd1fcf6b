/*
 * ledger_table.sql: putting tables on the ledger, and taking them off.
 *
 * The DDL is done as the caller, who has to be able to do it; what medchain notes of the table is
 * noted with its own rights, once the table is as it has to be.
 */

CREATE FUNCTION medchain_internal.note_row_table(p_relation regclass, p_key text[], p_subject name,
    p_append_only boolean, p_record_truncate boolean, p_part_of text,
    p_with_parent boolean DEFAULT false) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = medchain, medchain_internal, pg_temp
        SET row_security = off
AS $$
DECLARE
    name text := (SELECT n.nspname || '.' || c.relname FROM pg_class c
        JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = p_relation);
BEGIN
    -- a table that was renamed keeps its name on the ledger
    WHILE EXISTS (SELECT FROM row_table t WHERE t.ledger_name = name) LOOP
        name := name || '#';
    END LOOP;
    INSERT INTO row_table (relation, ledger_name, key_columns, subject_column, append_only,
        record_truncate, version, watched, with_parent)
        VALUES (p_relation, name, p_key, p_subject, p_append_only, p_record_truncate, 1,
            p_relation, p_with_parent);
    INSERT INTO row_secret (relation, secret) VALUES (p_relation,
        uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()));
    INSERT INTO row_column (relation, attribute, number, name, type, since)
        SELECT a.attrelid, a.attname, a.attnum, a.attname, format_type(a.atttypid, a.atttypmod), 1
        FROM pg_attribute a WHERE a.attrelid = p_relation AND a.attnum > 0 AND NOT a.attisdropped;
    PERFORM describe_row_table(p_relation);
    PERFORM append_raw(CASE WHEN p_subject IS NULL THEN 'table.ledger' ELSE 'protect' END,
        jsonb_strip_nulls(jsonb_build_object('relation', name, 'subject', p_subject, 'key', p_key,
            'columns', (SELECT jsonb_agg(c.name ORDER BY c.name COLLATE "C") FROM row_column c
                WHERE c.relation = p_relation),
            'append_only', nullif(p_append_only, false),
            'record_truncate', nullif(p_record_truncate, false), 'part_of', p_part_of,
            'known', row_known(p_relation)))::text, NULL, false);
    -- What is there already becomes the baseline.
    PERFORM row_record('row.baseline', p_relation, p_relation);
END
$$;
COMMENT ON FUNCTION medchain_internal.note_row_table(regclass, text[], name, boolean, boolean, text,
                                            boolean) IS
    'internal: note that the rows of a table are on the ledger, and commit to those it has; '
    'part_of: name on the ledger of the table that it was a partition of until now';

-- The part of protect() and ledger_table() that needs medchain's own rights.  Only ever of use to
-- who could do the DDL before.
CREATE FUNCTION medchain_internal.register_row_table(relation regclass, subject name,
    append_only boolean,
    record_truncate boolean, key name, with_parent boolean) RETURNS void
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER
        SET search_path = medchain, medchain_internal, pg_temp
AS $$
DECLARE
    columns text[] := check_row_table(register_row_table.relation, register_row_table.key,
        register_row_table.with_parent);
    part regclass;
BEGIN
    PERFORM require_table_owner(register_row_table.relation);
    SELECT p INTO part FROM table_and_partitions(register_row_table.relation) p
        WHERE NOT is_captured(p) LIMIT 1;
    IF FOUND THEN
        RAISE object_not_in_prerequisite_state USING
            MESSAGE = format('%s has no trigger of medchain', part),
            HINT = 'Call medchain.ledger_table() or medchain.protect().';
    END IF;
    PERFORM note_row_table(register_row_table.relation, columns, register_row_table.subject,
        register_row_table.append_only, register_row_table.record_truncate, NULL,
        register_row_table.with_parent);
END
$$;
COMMENT ON FUNCTION medchain_internal.register_row_table(regclass, name, boolean, boolean, name,
    boolean) IS
    'internal: note that the rows of a table, which has the triggers, are on the ledger, and '
    'commit to those it has';

CREATE FUNCTION medchain_internal.remove_row_table(p_relation regclass) RETURNS medchain.row_table
    LANGUAGE plpgsql VOLATILE SET search_path = medchain, medchain_internal, pg_temp
AS $$
DECLARE
    t row_table;
BEGIN
    PERFORM append_captured();
    DELETE FROM row_table x WHERE x.relation = p_relation RETURNING * INTO t;
    DELETE FROM row_column x WHERE x.relation = p_relation;
    DELETE FROM row_secret x WHERE x.relation = p_relation;
    DELETE FROM row_key x WHERE x.relation = p_relation;
    DELETE FROM row_part x WHERE x.relation = p_relation;
    DELETE FROM row_index x WHERE x.relation = p_relation;
    PERFORM forget_set_keys(t.ledger_name);
    RETURN t;
END
$$;
COMMENT ON FUNCTION medchain_internal.remove_row_table(regclass) IS
    'internal: forget what is known of a ledger table; returns what it was';

CREATE FUNCTION medchain_internal.erase_row_table(p_relation regclass, p_part_of text DEFAULT NULL)
    RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = medchain, medchain_internal, pg_temp
AS $$
DECLARE
    t row_table := remove_row_table(p_relation);
BEGIN
    PERFORM append_raw(CASE WHEN t.subject_column IS NULL THEN 'table.end' ELSE 'unprotect' END,
        jsonb_strip_nulls(jsonb_build_object('relation', t.ledger_name,
            'part_of', p_part_of))::text, NULL, false);
END
$$;
COMMENT ON FUNCTION medchain_internal.erase_row_table(regclass, text) IS
    'internal: note that a table''s rows are not on the ledger any more; part_of: name on the '
    'ledger of the table that it is a partition of from now on';

CREATE FUNCTION medchain_internal.forget_row_table(relation regclass) RETURNS void
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER
        SET search_path = medchain, medchain_internal, pg_temp
AS $$
BEGIN
    PERFORM require_table_owner(forget_row_table.relation);
    PERFORM require_no_parent(t) FROM row_table t WHERE t.relation = forget_row_table.relation;
    PERFORM erase_row_table(forget_row_table.relation);
END
$$;
COMMENT ON FUNCTION medchain_internal.forget_row_table(regclass) IS
    'internal: the part of unprotect() and end_ledger_table() that needs medchain''s own rights';

CREATE FUNCTION medchain_internal.add_row_table(relation regclass, subject name,
    append_only boolean,
    record_truncate boolean, key name, with_parent boolean) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = medchain, medchain_internal, pg_temp
AS $$
DECLARE
    part regclass;
BEGIN
    PERFORM release_heir(add_row_table.relation) WHERE add_row_table.subject IS NOT NULL;
    PERFORM check_row_table(add_row_table.relation, add_row_table.key, add_row_table.with_parent);
    IF add_row_table.subject IS NOT NULL THEN
        PERFORM require_subject_column(add_row_table.relation, add_row_table.subject);
        FOR part IN SELECT table_and_partitions(add_row_table.relation) LOOP
            PERFORM protect_part(part, add_row_table.subject, add_row_table.relation);
        END LOOP;
    END IF;
    PERFORM equip_row_table(add_row_table.relation);
    PERFORM register_row_table(add_row_table.relation, add_row_table.subject,
        add_row_table.append_only, add_row_table.record_truncate, add_row_table.key,
        add_row_table.with_parent);
END
$$;
COMMENT ON FUNCTION medchain_internal.add_row_table(regclass, name, boolean, boolean, name,
    boolean) IS
    'internal: put a table on the ledger, and under row security where it has a subject';

CREATE FUNCTION medchain_internal.large_object_columns(relation regclass) RETURNS SETOF text
    LANGUAGE sql STABLE STRICT SET search_path = medchain, medchain_internal, pg_temp
AS $$
    SELECT quote_ident(a.attname) FROM pg_attribute a JOIN pg_type y ON y.oid = a.atttypid
    WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped
    AND 'oid'::regtype IN (y.oid, y.typbasetype) ORDER BY a.attnum
$$;
COMMENT ON FUNCTION medchain_internal.large_object_columns(regclass) IS
    'internal: columns of a table that can name large objects: of type oid, or a domain over it';

-- No trigger fires when a large object is written to.  Not every oid names one, but nothing tells.
CREATE FUNCTION medchain_internal.tell_large_objects(relations oid[]) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = medchain, medchain_internal, pg_temp
AS $$
DECLARE
    names text[] := ARRAY(SELECT r::regclass || '.' || c
        FROM unnest(relations) WITH ORDINALITY x (r, i), large_object_columns(r) c ORDER BY i);
BEGIN
    IF names <> '{}' THEN
        RAISE NOTICE USING
            MESSAGE = format('large objects that rows of %s name are not on the ledger',
                relations[1]::regclass),
            DETAIL = format('Of %s it has the numbers: what is changed in objects of these numbers '
                'is not seen.', array_to_string(names[:5], ', ')
                || CASE WHEN cardinality(names) > 5
                        THEN format(' and %s more columns', cardinality(names) - 5) ELSE '' END),
            HINT = 'Contents that the ledger has to cover belong into a column of type bytea.';
    END IF;
END
$$;
COMMENT ON FUNCTION medchain_internal.tell_large_objects(oid[]) IS
    'internal: a notice, if one of these ledger tables has columns that can name large objects';

-- What a caller may not expect.
CREATE FUNCTION medchain_internal.tell_limits(relation regclass) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = medchain, medchain_internal, pg_temp
AS $$
DECLARE
    t row_table;
    names text;
BEGIN
    SELECT * INTO t FROM row_table x WHERE x.relation = tell_limits.relation;
    IF t.key_columns = '{}' THEN
        RAISE NOTICE USING
            MESSAGE = format('table %s has no key', t.relation),
            DETAIL = 'The ledger names its rows by all that they say, and counts those that say '
                'the same.' || coalesce((SELECT format(' Its index "%s" cannot name them: %s',
                    k.name, left(lower(k.fault), 1) || substr(k.fault, 2))
                    FROM row_keys(t.relation) k JOIN pg_index i ON i.indexrelid = k.index
                    WHERE i.indisunique ORDER BY k.is_identity DESC, k.name LIMIT 1), '');
    END IF;
    PERFORM tell_large_objects(t.relation::oid
        || ARRAY(SELECT h::oid FROM row_heirs(t.relation) h));
    SELECT string_agg(i.inhparent::regclass::text, ', ' ORDER BY i.inhseqno) INTO names
        FROM pg_inherits i LEFT JOIN row_table p ON p.relation = i.inhparent
        WHERE i.inhrelid = t.relation AND p.subject_column IS NULL;
    IF names IS NOT NULL AND t.subject_column IS NOT NULL THEN
        RAISE NOTICE USING
            MESSAGE = format('queries of %s will fail where they would read rows of %s', names,
                t.relation),
            DETAIL = 'It inherits from there, and what it inherits from is not protected.';
    END IF;
END
$$;
COMMENT ON FUNCTION medchain_internal.tell_limits(regclass) IS
    'internal: notices about what the ledger does not cover of a table, or in another way';

CREATE FUNCTION medchain_internal.put_row_table(relation regclass, subject name,
    append_only boolean,
    record_truncate boolean, key name) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = medchain, medchain_internal, pg_temp
AS $$
BEGIN
    PERFORM require_relation(put_row_table.relation);
    PERFORM require_writable();
    -- with the tables that inherit from it
    IF EXISTS (SELECT FROM pg_class c
               WHERE c.oid = put_row_table.relation AND c.relkind IN ('r', 'p')) THEN
        EXECUTE format('LOCK TABLE %s IN SHARE ROW EXCLUSIVE MODE', put_row_table.relation);
    END IF;
    IF put_row_table.key IS NULL AND keep_row_table(put_row_table.relation, put_row_table.subject,
        put_row_table.append_only, put_row_table.record_truncate) THEN
        RETURN;
    END IF;
    PERFORM add_row_table(put_row_table.relation, put_row_table.subject, put_row_table.append_only,
        put_row_table.record_truncate, put_row_table.key, false);
    PERFORM add_heirs(put_row_table.relation, put_row_table.subject, put_row_table.append_only,
        put_row_table.record_truncate);
    PERFORM tell_limits(put_row_table.relation);
END
$$;
COMMENT ON FUNCTION medchain_internal.put_row_table(regclass, name, boolean, boolean, name) IS
    'internal: ledger_table() and protect(), once their arguments are what they should be';

CREATE FUNCTION medchain.ledger_table(relation regclass, append_only boolean DEFAULT false,
    record_truncate boolean DEFAULT false, key name DEFAULT NULL) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = medchain, medchain_internal, pg_temp
AS $$
BEGIN
    IF ledger_table.relation IS NULL OR ledger_table.append_only IS NULL
        OR ledger_table.record_truncate IS NULL THEN
        RAISE null_value_not_allowed USING MESSAGE = 'arguments of ledger_table() must not be null';
    ELSIF ledger_table.append_only AND ledger_table.record_truncate THEN
        RAISE invalid_parameter_value USING MESSAGE = 'an append-only table cannot be truncated',
            HINT = 'Give append_only or record_truncate, not both.';
    END IF;
    PERFORM put_row_table(ledger_table.relation, NULL, ledger_table.append_only,
        ledger_table.record_truncate, ledger_table.key);
END
$$;
COMMENT ON FUNCTION medchain.ledger_table(regclass, boolean, boolean, name) IS
    'put the rows of a table (with its partitions, and with the tables that inherit from it) on '
    'the ledger: every insert, update and delete appends a salted commitment, and so do the rows '
    'it has. append_only: changes and deletions are refused. record_truncate: TRUNCATE is an entry '
    'per row instead of an error. key: the unique index that names its rows; without it the '
    'primary key, the replica identity or the only unique index does, or else all that rows say. '
    'Needs ownership of the table';

-- Also of a table that is not known here, but has our triggers: restored from a dump of another
-- database.
CREATE FUNCTION medchain.end_ledger_table(relation regclass) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = medchain, medchain_internal, pg_temp
AS $$
DECLARE
    root regclass := partition_root(end_ledger_table.relation);
    t row_table;
BEGIN
    PERFORM require_writable();
    SELECT * INTO t FROM row_table x WHERE x.relation = end_ledger_table.relation;
    IF FOUND AND t.subject_column IS NOT NULL THEN
        RAISE wrong_object_type USING
            MESSAGE = format('table %s is protected', end_ledger_table.relation),
            HINT = format('Call medchain.unprotect(%L).', end_ledger_table.relation);
    ELSIF FOUND THEN
        PERFORM forget_row_table(end_ledger_table.relation);
    ELSIF EXISTS (SELECT FROM row_table x WHERE x.relation = root) THEN
        RAISE wrong_object_type USING
            MESSAGE = format('%s is a partition of %s, whose rows are on the ledger',
                end_ledger_table.relation, root),
            HINT = format('ALTER TABLE %s DETACH PARTITION %s, or name that table.',
                (SELECT i.inhparent::regclass FROM pg_inherits i
                 WHERE i.inhrelid = end_ledger_table.relation), end_ledger_table.relation);
    ELSIF NOT EXISTS (SELECT FROM table_and_partitions(end_ledger_table.relation) p
                      JOIN pg_trigger g ON g.tgrelid = p
                      WHERE g.tgfoid IN (SELECT row_trigger_functions())) THEN
        RAISE undefined_object USING
            MESSAGE = format('table %s is not a ledger table', end_ledger_table.relation);
    END IF;
    PERFORM drop_row_triggers(end_ledger_table.relation);
    PERFORM end_heirs(end_ledger_table.relation);
END
$$;
COMMENT ON FUNCTION medchain.end_ledger_table(regclass) IS
    'changes of this table are not put on the ledger any more; that is an entry too, unless the '
    'table came here with another database''s triggers';
