/*
 * row_renew.sql: the way back for a ledger table that is not what the ledger says any more.
 *
 * Tools that switch triggers off, empty tables between tests or load fixtures past everything leave
 * a table that verify_table() does not like, and rightly so.  One call makes it a ledger table
 * again as it is.  What was wrong with it is said on the ledger, and what was committed to before
 * stays there: nothing is covered up by it.
 */

-- Nothing here can make a key: it may not be one any more.
CREATE FUNCTION medchain_internal.require_key_again(p_table medchain.row_table) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = medchain, medchain_internal, pg_temp
AS $$
DECLARE
    columns text := (SELECT string_agg(format('%I', k), ', ' ORDER BY k COLLATE "C")
                     FROM unnest(p_table.key_columns) k);
BEGIN
    RAISE object_not_in_prerequisite_state USING
        MESSAGE = format('table %s has lost the key by which the ledger names its rows',
            p_table.relation),
        DETAIL = format('There is no index of columns (%s) by which each row can be named.',
            columns),
        HINT = format('%s, then call medchain.renew_table(%L) again. Where several rows have one '
            'key now, remove those that are too many, or call %s.',
            CASE WHEN EXISTS (SELECT FROM row_keys(p_table.relation) k WHERE k.is_primary)
                 THEN format('CREATE UNIQUE INDEX ON %s (%s) and SET NOT NULL for its columns',
                          p_table.relation, columns)
                 ELSE format('ALTER TABLE %s ADD PRIMARY KEY (%s)', p_table.relation, columns) END,
            p_table.relation, row_ending(p_table.relation, p_table.subject_column));
END
$$;
COMMENT ON FUNCTION medchain_internal.require_key_again(medchain.row_table) IS
    'internal: error: what a ledger table needs before it can be renewed';

CREATE FUNCTION medchain.renew_table(relation regclass, reason text DEFAULT NULL) RETURNS void
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER
        SET search_path = medchain, medchain_internal, pg_temp
        SET row_security = off
AS $$
DECLARE
    t row_table;
    part regclass;
    faults jsonb;
    before jsonb;
    after jsonb;
    new_ones regclass[];
    gone_ones regclass[];
    edited jsonb := '[]';
BEGIN
    IF renew_table.relation IS NULL THEN
        RAISE null_value_not_allowed USING MESSAGE = 'relation must not be null';
    END IF;
    PERFORM require_relation(renew_table.relation);
    PERFORM require_writable();
    PERFORM require_table_owner(renew_table.relation);
    PERFORM require_home();
    EXECUTE format('LOCK TABLE %s IN SHARE ROW EXCLUSIVE MODE', renew_table.relation);
    SELECT jsonb_object_agg(f.fault, f.number) INTO faults
        FROM (SELECT x.fault, count(*) AS number FROM table_faults(renew_table.relation) x
              GROUP BY x.fault) f;
    SELECT * INTO t FROM row_table x WHERE x.relation = renew_table.relation FOR UPDATE;
    IF NOT FOUND THEN
        RAISE undefined_object USING
            MESSAGE = format('medchain does not know table %s any more', renew_table.relation),
            HINT = format('Call medchain.ledger_table(%L) or medchain.protect().',
                renew_table.relation);
    END IF;
    IF faults IS NOT NULL THEN
        before := known_description(t);
        IF is_known_otherwise(t) THEN
            edited := edited_item();
        END IF;
        UPDATE row_table x SET description = NULL WHERE x.relation = t.relation;
        FOR part IN SELECT table_and_partitions(t.relation) WHERE t.subject_column IS NOT NULL LOOP
            PERFORM protect_part(part, t.subject_column, t.relation);
        END LOOP;
        PERFORM equip_row_table(t.relation, true);
        after := row_description(t.relation);
        PERFORM observe_columns(t, after);
        IF NOT (SELECT has_row_key(x.relation, x.key_columns) FROM row_table x
                WHERE x.relation = t.relation) THEN
            PERFORM require_key_again(t);
        END IF;
        new_ones := ARRAY(SELECT new_partitions(t.relation));
        gone_ones := ARRAY(SELECT gone_partitions(t.relation));
        PERFORM equip_partitions(t, new_ones, gone_ones);
        PERFORM describe_row_table(t.relation);
        PERFORM append_raw('table.alter', (
            SELECT jsonb_strip_nulls(jsonb_build_object('relation', x.ledger_name,
                'command', 'renew_table()', 'reason', renew_table.reason, 'faults', faults,
                'changes', row_changes(before, after) || edited, 'baseline', true,
                'key', CASE WHEN t.key_columns = '{}' AND x.key_columns <> '{}'
                            THEN row_key_names(x) END)) || row_state(x.relation)
            FROM row_table x WHERE x.relation = t.relation)::text, NULL, false);
        PERFORM record_partitions(t, true, new_ones, gone_ones);
        RAISE NOTICE 'rows of % have new commitments on the ledger: %', t.relation,
            row_record('row.baseline', t.relation, t.relation);
        PERFORM observe_heirs(t);
    END IF;
    PERFORM renew_table(h, renew_table.reason) FROM row_heirs(t.relation) h
        WHERE EXISTS (SELECT FROM table_faults(h));
END
$$;
COMMENT ON FUNCTION medchain.renew_table(regclass, text) IS
    'make a table that verify_table() has found fault with, and those that inherit from it, ledger '
    'tables again as they are: medchain''s triggers and policies are put back, and all rows get a '
    'new baseline. An entry says how many faults of each kind there were, and the reason; what was '
    'committed to before stays on the ledger. Nothing where there is no fault. Needs ownership of '
    'the table';
