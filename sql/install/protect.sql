/*
 * protect.sql: putting a user's table under the ledger, and its rows under the grants.
 *
 * protect() runs with the caller's rights, so only who owns a table can protect
 * it.  One permissive policy lets everything through and restrictive ones decide: a
 * policy that somebody adds later can only narrow what they allow.
 */

-- One part of it, the table itself or a partition: row security does not descend by itself.
CREATE FUNCTION medchain.protect_part(part regclass, subject name, relation regclass) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = medchain, pg_temp
AS $$
BEGIN
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', part);
    EXECUTE format('CREATE POLICY medchain_all ON %s USING (true) WITH CHECK (true)', part);
    EXECUTE format('CREATE POLICY medchain_select ON %s AS RESTRICTIVE FOR SELECT USING '
        '(medchain.may_query(%I, %L::regclass))',
                   part, subject, relation);
    EXECUTE format('CREATE POLICY medchain_insert ON %s AS RESTRICTIVE FOR INSERT WITH CHECK '
        '(medchain.own_member() OR medchain.may_update(%I, %L::regclass))',
                   part, subject, relation);
    EXECUTE format('CREATE POLICY medchain_update ON %1$s AS RESTRICTIVE FOR UPDATE USING '
        '(medchain.may_update(%2$I, %3$L::regclass)) WITH CHECK (medchain.may_update(%2$I, '
        '%3$L::regclass))',
                   part, subject, relation);
    EXECUTE format('CREATE POLICY medchain_delete ON %s AS RESTRICTIVE FOR DELETE USING '
        '(medchain.may_update(%I, %L::regclass))',
                   part, subject, relation);
END
$$;
COMMENT ON FUNCTION medchain.protect_part(regclass, name, regclass) IS
    'internal: row security by grants on one part of a protected table';

CREATE FUNCTION medchain.protect(relation regclass, subject name) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = medchain, pg_temp
AS $$
DECLARE
    part regclass;
BEGIN
    IF protect.relation IS NULL OR protect.subject IS NULL THEN
        RAISE null_value_not_allowed USING MESSAGE = 'relation and subject must not be null';
    END IF;
    EXECUTE format('LOCK TABLE %s IN SHARE ROW EXCLUSIVE MODE', protect.relation);
    PERFORM check_row_table(protect.relation);
    IF NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = protect.relation
        AND a.attname = protect.subject AND a.attnum > 0 AND NOT a.attisdropped) THEN
        RAISE undefined_column USING MESSAGE = format('column "%s" of table %s does not exist',
            protect.subject, protect.relation);
    END IF;
    FOR part IN SELECT table_and_partitions(protect.relation) LOOP
        PERFORM protect_part(part, protect.subject, protect.relation);
    END LOOP;
    PERFORM register_row_table(protect.relation, protect.subject, false, false);
END
$$;
COMMENT ON FUNCTION medchain.protect(regclass, name) IS
    'put a table (with its partitions) under the ledger: row security by grants, every change an '
    'entry as with ledger_table(); subject: the column with the examinee''s identity. Needs '
    'ownership of the table and a primary key';

CREATE FUNCTION medchain.unprotect(relation regclass) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = medchain, pg_temp
AS $$
DECLARE
    part regclass;
    policy text;
BEGIN
    IF NOT EXISTS (SELECT FROM row_table t WHERE t.relation = unprotect.relation
        AND t.subject_column IS NOT NULL) THEN
        RAISE undefined_object USING MESSAGE = format('table %s is not protected',
            unprotect.relation);
    END IF;
    PERFORM forget_row_table(unprotect.relation);
    PERFORM drop_row_triggers(unprotect.relation);
    FOR part IN SELECT table_and_partitions(unprotect.relation) LOOP
        FOREACH policy IN ARRAY ARRAY['medchain_all', 'medchain_select', 'medchain_insert',
            'medchain_update', 'medchain_delete'] LOOP
            EXECUTE format('DROP POLICY IF EXISTS %I ON %s', policy, part);
        END LOOP;
        EXECUTE format('ALTER TABLE %s DISABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY',
            part);
    END LOOP;
END
$$;
COMMENT ON FUNCTION medchain.unprotect(regclass) IS
    'take a table out again: anybody with privileges on it sees all rows; that is an entry on the '
    'ledger';
