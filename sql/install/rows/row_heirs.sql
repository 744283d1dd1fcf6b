/*
 * row_heirs.sql: tables that inherit from ledger tables ("heirs").  Partitions are in
 * row_partition.sql.
 *
 * A query of a table reads the rows of its heirs as well, so where a table is on the ledger, they
 * are: each as a ledger table of its own, with its own key, as neither keys nor triggers descend,
 * and two of them may have rows with the same key.  One that comes by INHERIT, or is made, is put
 * on the ledger; one that goes by NO INHERIT stays on it by itself.  It can be taken off when it is
 * nobody's heir any more, and the ledger says so before it can be anybody's again.
 *
 * Of a protected table the heirs are protected, by the same column.  PostgreSQL asks the policies
 * of the table that a query names, and not those of its heirs: src/access/heirs.c keeps queries of
 * a table that is not protected from passing by the protection of an heir.
 */

-- Other sessions see no rows of temporary ones.  Those from which others inherit come first.
CREATE FUNCTION medchain_internal.row_heirs(relation regclass) RETURNS SETOF regclass
    LANGUAGE sql STABLE STRICT SET search_path = medchain, medchain_internal, pg_temp
AS $$
    WITH RECURSIVE heirs (heir, depth) AS (
        SELECT $1::oid, 0
        UNION
        SELECT i.inhrelid, h.depth + 1 FROM heirs h
            JOIN pg_class c ON c.oid = h.heir AND c.relkind <> 'p'
            JOIN pg_inherits i ON i.inhparent = h.heir)
    SELECT h.heir::regclass FROM heirs h JOIN pg_class c ON c.oid = h.heir
    WHERE h.depth > 0 AND c.relpersistence <> 't'
    GROUP BY h.heir ORDER BY max(h.depth), h.heir::regclass::text COLLATE "C"
$$;
COMMENT ON FUNCTION medchain_internal.row_heirs(regclass) IS
    'internal: the tables that inherit from a table, directly or not';

CREATE FUNCTION medchain_internal.ledger_parents(relation regclass) RETURNS SETOF medchain.row_table
    LANGUAGE sql STABLE STRICT SET search_path = medchain, medchain_internal, pg_temp
AS $$
    SELECT t.* FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhparent AND c.relkind <> 'p'
        JOIN row_table t ON t.relation = i.inhparent
    WHERE i.inhrelid = $1 ORDER BY t.ledger_name COLLATE "C"
$$;
COMMENT ON FUNCTION medchain_internal.ledger_parents(regclass) IS
    'internal: the ledger tables that a table inherits from directly';

-- Of a ledger table that is, or is to be, heir of another.
CREATE FUNCTION medchain_internal.require_heir(p_heir medchain.row_table, p_parent regclass,
    p_subject name,
    p_append_only boolean) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = medchain, medchain_internal, pg_temp
AS $$
BEGIN
    IF p_subject IS NOT NULL AND p_heir.subject_column IS DISTINCT FROM p_subject THEN
        RAISE object_not_in_prerequisite_state USING
            MESSAGE = format('%s inherits from %s, which is protected by its column "%s"',
                p_heir.relation, p_parent, p_subject),
            DETAIL = CASE WHEN p_heir.subject_column IS NULL THEN 'It is not protected itself.'
                ELSE format('It is protected by "%s" itself.', p_heir.subject_column) END,
            HINT = format('Call %s first.', row_ending(p_heir.relation, p_heir.subject_column));
    ELSIF p_append_only AND NOT p_heir.append_only THEN
        RAISE object_not_in_prerequisite_state USING
            MESSAGE = format('%s inherits from %s, which is append-only', p_heir.relation,
                p_parent),
            DETAIL = 'Its own rows can be changed.',
            HINT = format('Call %s first.', row_ending(p_heir.relation, p_heir.subject_column));
    END IF;
END
$$;
COMMENT ON FUNCTION medchain_internal.require_heir(medchain.row_table, regclass, name, boolean) IS
    'internal: error unless this ledger table can be heir of one like that';

CREATE FUNCTION medchain_internal.require_no_parent(p_table medchain.row_table) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = medchain, medchain_internal, pg_temp
AS $$
DECLARE
    p row_table;
BEGIN
    SELECT * INTO p FROM ledger_parents(p_table.relation) x
        WHERE p_table.subject_column IS NULL OR x.subject_column IS NOT NULL LIMIT 1;
    IF FOUND THEN
        RAISE wrong_object_type USING
            MESSAGE = format('%s inherits from %s, which is %s', p_table.relation, p.relation,
                CASE WHEN p_table.subject_column IS NULL THEN 'a ledger table'
                     ELSE 'protected' END),
            HINT = format('ALTER TABLE %s NO INHERIT %s first, or call %s.', p_table.relation,
                p.relation, row_ending(p.relation, p.subject_column));
    END IF;
END
$$;
COMMENT ON FUNCTION medchain_internal.require_no_parent(medchain.row_table) IS
    'internal: error if a table has to stay what it is because of one that it inherits from';

-- It cannot be taken off the ledger, and need not be in order to be protected.
CREATE FUNCTION medchain_internal.release_heir(relation regclass) RETURNS void
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER
        SET search_path = medchain, medchain_internal, pg_temp
AS $$
BEGIN
    IF EXISTS (SELECT FROM row_table t WHERE t.relation = release_heir.relation
               AND t.subject_column IS NULL AND NOT t.append_only)
       AND EXISTS (SELECT FROM ledger_parents(release_heir.relation)) THEN
        PERFORM require_table_owner(release_heir.relation);
        PERFORM erase_row_table(release_heir.relation);
    END IF;
END
$$;
COMMENT ON FUNCTION medchain_internal.release_heir(regclass) IS
    'internal: a table that is on the ledger, and that inherits from one that is, comes to it in '
    'another way now: protected. Until then verify_table() of the other one misses it';

-- As the caller, who puts a table on the ledger.
CREATE FUNCTION medchain_internal.add_heirs(relation regclass, subject name, append_only boolean,
    record_truncate boolean) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = medchain, medchain_internal, pg_temp
AS $$
DECLARE
    heir regclass;
    t row_table;
BEGIN
    FOR heir IN SELECT row_heirs(add_heirs.relation) LOOP
        SELECT * INTO t FROM row_table x WHERE x.relation = heir;
        IF FOUND AND (add_heirs.subject IS NULL OR t.subject_column IS NOT NULL
                      OR t.append_only) THEN
            PERFORM require_heir(t, add_heirs.relation, add_heirs.subject, add_heirs.append_only);
        ELSE
            PERFORM add_row_table(heir, add_heirs.subject, add_heirs.append_only,
                add_heirs.record_truncate, NULL, coalesce(t.with_parent, true));
        END IF;
    END LOOP;
END
$$;
COMMENT ON FUNCTION medchain_internal.add_heirs(regclass, name, boolean, boolean) IS
    'internal: put the heirs of a table on the ledger that are not on it yet, or not protected';

-- What came to the ledger with a table goes with it, unless it is another one's heir.
CREATE FUNCTION medchain_internal.end_heirs(relation regclass) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = medchain, medchain_internal, pg_temp
AS $$
DECLARE
    heir row_table;
BEGIN
    FOR heir IN SELECT t.* FROM row_heirs(end_heirs.relation) WITH ORDINALITY h (heir, n)
        JOIN row_table t ON t.relation = h.heir WHERE t.with_parent ORDER BY h.n LOOP
        -- it may have gone with one before
        IF EXISTS (SELECT FROM ledger_parents(heir.relation))
            OR NOT EXISTS (SELECT FROM row_table t WHERE t.relation = heir.relation) THEN
            CONTINUE;
        ELSIF heir.subject_column IS NULL THEN
            PERFORM end_ledger_table(heir.relation);
        ELSE
            PERFORM unprotect(heir.relation);
        END IF;
    END LOOP;
END
$$;
COMMENT ON FUNCTION medchain_internal.end_heirs(regclass) IS
    'internal: take the heirs of a table off the ledger that came to it with the table';

-- What came with a table can be asked for by itself.
CREATE FUNCTION medchain_internal.keep_row_table(relation regclass, subject name,
    append_only boolean,
    record_truncate boolean) RETURNS boolean
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER
        SET search_path = medchain, medchain_internal, pg_temp
AS $$
BEGIN
    UPDATE row_table t SET with_parent = false
        WHERE t.relation = keep_row_table.relation AND t.with_parent
        AND t.subject_column IS NOT DISTINCT FROM keep_row_table.subject
        AND t.append_only = keep_row_table.append_only
        AND t.record_truncate = keep_row_table.record_truncate;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM require_table_owner(keep_row_table.relation);
    RAISE NOTICE USING
        MESSAGE = format('table %s is on the ledger already, because of %s',
            keep_row_table.relation, (SELECT string_agg(p.relation::text, ', ')
                FROM ledger_parents(keep_row_table.relation) p)),
        DETAIL = 'From now on it is by itself, too.';
    RETURN true;
END
$$;
COMMENT ON FUNCTION medchain_internal.keep_row_table(regclass, name, boolean, boolean) IS
    'internal: is a table on the ledger in this way because of one that it inherits from? Then it '
    'is from now on because of itself';

-- As medchain, when a command has made a table the heir of another.
CREATE FUNCTION medchain_internal.adopt_heir(p_heir regclass, p_parent medchain.row_table)
    RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = medchain, medchain_internal, pg_temp
AS $$
DECLARE
    columns text[] := check_row_table(p_heir, NULL, true);
BEGIN
    IF p_parent.subject_column IS NOT NULL THEN
        PERFORM require_subject_column(p_heir, p_parent.subject_column);
        PERFORM protect_part(p_heir, p_parent.subject_column, p_heir);
    END IF;
    PERFORM equip_row_table(p_heir, true);
    PERFORM note_row_table(p_heir, columns, p_parent.subject_column, p_parent.append_only,
        p_parent.record_truncate, NULL, true);
    RAISE NOTICE USING
        MESSAGE = format('table %s is %s as %s is, from which it inherits', p_heir,
            CASE WHEN p_parent.subject_column IS NULL THEN 'on the ledger'
                 ELSE 'protected' END, p_parent.relation);
    PERFORM tell_large_objects(ARRAY[p_heir::oid]);
END
$$;
COMMENT ON FUNCTION medchain_internal.adopt_heir(regclass, medchain.row_table) IS
    'internal: put on the ledger what inherits from this ledger table now';

CREATE FUNCTION medchain_internal.observe_heirs(p_table medchain.row_table) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = medchain, medchain_internal, pg_temp
AS $$
DECLARE
    heir regclass;
    t row_table;
BEGIN
    FOR heir IN SELECT row_heirs(p_table.relation) LOOP
        SELECT * INTO t FROM row_table x WHERE x.relation = heir;
        IF FOUND THEN
            PERFORM require_heir(t, p_table.relation, p_table.subject_column,
                p_table.append_only);
        ELSE
            PERFORM adopt_heir(heir, p_table);
        END IF;
    END LOOP;
    FOR t IN SELECT * FROM row_table x
        WHERE x.with_parent AND NOT EXISTS (SELECT FROM ledger_parents(x.relation)) LOOP
        UPDATE row_table x SET with_parent = false WHERE x.relation = t.relation;
        RAISE NOTICE USING
            MESSAGE = format('table %s stays %s, by itself', t.relation,
                CASE WHEN t.subject_column IS NULL THEN 'on the ledger' ELSE 'protected' END),
            HINT = format('%s takes it off.', row_ending(t.relation, t.subject_column));
    END LOOP;
END
$$;
COMMENT ON FUNCTION medchain_internal.observe_heirs(medchain.row_table) IS
    'internal: follow what DDL did to the heirs of a ledger table';

-- PostgreSQL lets queries of a table pass by the policies of its heirs.
CREATE FUNCTION medchain_internal.require_protected_parents(p_relation regclass) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = medchain, medchain_internal, pg_temp
AS $$
DECLARE
    parent regclass;
BEGIN
    SELECT i.inhparent INTO parent FROM pg_inherits i
        JOIN pg_class c ON c.oid = i.inhparent AND c.relkind <> 'p'
        WHERE i.inhrelid = p_relation AND own_change(i.xmin)
        AND NOT EXISTS (SELECT FROM row_table t
                        WHERE t.relation = i.inhparent AND t.subject_column IS NOT NULL)
        LIMIT 1;
    IF FOUND THEN
        RAISE feature_not_supported USING
            MESSAGE = format('%s is protected, and cannot inherit from %s, which is not',
                p_relation, parent),
            DETAIL = 'Queries of that table would pass by its policies.',
            HINT = format('Call medchain.unprotect(%L) first, or protect the other table as well.',
                p_relation);
    END IF;
END
$$;
COMMENT ON FUNCTION medchain_internal.require_protected_parents(regclass) IS
    'internal: error if a command has made a protected table the heir of one that is not';
