/*
 * row_partition.sql: partitions of ledger tables, as they come and go.
 *
 * Their rows come to the ledger with them and go with them.  One of a protected table that stands
 * alone from now on is protected by itself.  What has to be done before a command, because nobody
 * can tell afterwards, row_utility.c calls; the rest is part of what observe_table() does.
 */

-- Detached from a protected table it is one by itself: whatever becomes of the other, nobody sees
-- more of it than before, and its changes are on the ledger.
CREATE FUNCTION medchain_internal.adopt_partition(p_part regclass, p_table medchain.row_table)
    RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = medchain, medchain_internal, pg_temp
AS $$
BEGIN
    PERFORM note_row_table(p_part, p_table.key_columns, p_table.subject_column,
        p_table.append_only, p_table.record_truncate, p_table.ledger_name);
    RAISE NOTICE USING
        MESSAGE = format('table %s is protected by itself from now on', p_part),
        HINT = format('Call %s to open it.', row_ending(p_part, p_table.subject_column));
END
$$;
COMMENT ON FUNCTION medchain_internal.adopt_partition(regclass, medchain.row_table) IS
    'internal: protect what was detached from this table';

-- What is about to become a partition is a ledger table no more, as its rows come to the other
-- one's.  Before, as PostgreSQL puts a trigger on it that has the name of the one it has.
CREATE FUNCTION medchain_internal.prepare_attach(p_part regclass, p_parent regclass) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = medchain, medchain_internal, pg_temp
AS $$
DECLARE
    t row_table;
    root row_table;
BEGIN
    SELECT * INTO root FROM row_table x WHERE x.relation = partition_root(p_parent);
    IF NOT FOUND OR NOT at_home() THEN
        RETURN;
    END IF;
    SELECT * INTO t FROM row_table x WHERE x.relation = p_part;
    IF FOUND THEN
        IF t.subject_column IS NOT NULL AND root.subject_column IS DISTINCT FROM t.subject_column
            THEN
            RAISE object_not_in_prerequisite_state USING
                MESSAGE = format('%s cannot become a partition of %s', p_part, p_parent),
                DETAIL = format('It is protected by its column "%s"; %s.', t.subject_column,
                    CASE WHEN root.subject_column IS NULL THEN 'the other table is not'
                         ELSE format('the other table by "%s"', root.subject_column) END),
                HINT = format('Call %s first.', row_ending(p_part, t.subject_column));
        ELSIF t.append_only AND NOT root.append_only THEN
            RAISE object_not_in_prerequisite_state USING
                MESSAGE = format('%s cannot become a partition of %s', p_part, p_parent),
                DETAIL = 'It is append-only; the other table is not.',
                HINT = format('Call %s first.', row_ending(p_part, t.subject_column));
        END IF;
        PERFORM erase_row_table(p_part, root.ledger_name);
    END IF;
    PERFORM drop_row_triggers(p_part);
    PERFORM require_trigger_name(p, 'medchain_capture') FROM table_and_partitions(p_part) p;
END
$$;
COMMENT ON FUNCTION medchain_internal.prepare_attach(regclass, regclass) IS
    'internal: a command is about to attach a partition; error, with what to do, if that cannot be';

-- Before, as nobody can tell afterwards what was in it.
CREATE FUNCTION medchain_internal.prepare_drop(p_part regclass) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = medchain, medchain_internal, pg_temp
AS $$
DECLARE
    t row_table;
BEGIN
    SELECT * INTO t FROM row_table x WHERE x.relation = partition_root(p_part);
    IF FOUND AND NOT t.append_only AND at_home() THEN
        PERFORM row_record('row.delete', p_part, t.relation);
        UPDATE row_part r SET leaving = true FROM table_and_partitions(p_part) p WHERE r.part = p;
    END IF;
END
$$;
COMMENT ON FUNCTION medchain_internal.prepare_drop(regclass) IS
    'internal: DROP TABLE is about to drop a partition: put on the ledger that its rows go';

CREATE FUNCTION medchain_internal.new_partitions(relation regclass) RETURNS SETOF regclass
    LANGUAGE sql STABLE STRICT SET search_path = medchain, medchain_internal, pg_temp
    AS $$ SELECT p FROM table_and_partitions($1) p
          WHERE NOT EXISTS (SELECT FROM row_part r WHERE r.part = p) $$;
COMMENT ON FUNCTION medchain_internal.new_partitions(regclass) IS
    'internal: partitions of a ledger table that came since DDL was seen last';

CREATE FUNCTION medchain_internal.gone_partitions(relation regclass) RETURNS SETOF regclass
    LANGUAGE sql STABLE STRICT SET search_path = medchain, medchain_internal, pg_temp
    AS $$ SELECT r.part FROM row_part r JOIN pg_class c ON c.oid = r.part
          WHERE r.relation = $1 AND NOT EXISTS (
              SELECT FROM table_and_partitions($1) p WHERE p = r.part) $$;
COMMENT ON FUNCTION medchain_internal.gone_partitions(regclass) IS
    'internal: tables that were partitions of a ledger table when DDL was seen last';

-- What partitions need that have come (not all: see observe_table()), and those that stand alone
-- now.
CREATE FUNCTION medchain_internal.equip_partitions(p_table medchain.row_table, p_new regclass[],
                                          p_gone regclass[]) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = medchain, medchain_internal, pg_temp
AS $$
DECLARE
    part regclass;
    each regclass;
BEGIN
    FOREACH part IN ARRAY p_new LOOP
        IF (SELECT c.relkind = 'f' FROM pg_class c WHERE c.oid = part) THEN
            RAISE feature_not_supported USING MESSAGE = format('a foreign table cannot be a '
                'partition of %s, whose rows are on the ledger', p_table.relation);
        END IF;
        PERFORM equip_truncate(part);
        IF p_table.subject_column IS NOT NULL THEN
            PERFORM protect_part(part, p_table.subject_column, p_table.relation);
        END IF;
    END LOOP;
    -- of all of them before any of them is equipped by itself, partitions of its own included
    PERFORM drop_row_triggers(p) FROM unnest(p_gone) p;
    FOREACH part IN ARRAY p_gone LOOP
        IF p_table.subject_column IS NOT NULL AND part = partition_root(part) THEN
            FOR each IN SELECT table_and_partitions(part) LOOP
                PERFORM protect_part(each, p_table.subject_column, part);
            END LOOP;
            PERFORM equip_row_table(part, true);
        END IF;
    END LOOP;
END
$$;
COMMENT ON FUNCTION medchain_internal.equip_partitions(medchain.row_table, regclass[],
    regclass[]) IS
    'internal: put on new partitions of a ledger table what they need, and on those that stand '
    'alone now what they need for that';

-- Partitions come with their rows and go with them.
CREATE FUNCTION medchain_internal.record_partitions(p_table medchain.row_table, p_fresh boolean,
                                           p_new regclass[], p_gone regclass[]) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = medchain, medchain_internal, pg_temp
AS $$
DECLARE
    part regclass;
BEGIN
    FOREACH part IN ARRAY p_new LOOP
        IF NOT p_fresh AND (SELECT c.relkind FROM pg_class c WHERE c.oid = part) = 'r' THEN
            PERFORM row_record('row.baseline', part, p_table.relation);
        END IF;
    END LOOP;
    FOREACH part IN ARRAY p_gone LOOP
        IF NOT p_fresh AND (SELECT c.relkind FROM pg_class c WHERE c.oid = part) = 'r' THEN
            PERFORM row_record('row.delete', part, p_table.relation);
        END IF;
        IF p_table.subject_column IS NOT NULL AND part = partition_root(part) THEN
            PERFORM adopt_partition(part, p_table);
        END IF;
    END LOOP;
END
$$;
COMMENT ON FUNCTION medchain_internal.record_partitions(medchain.row_table, boolean, regclass[],
                                               regclass[]) IS
    'internal: put the rows of new partitions of a ledger table on the ledger, and note that those '
    'of detached ones are gone';
