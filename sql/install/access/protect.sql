/*
 * protect.sql: putting a user's table under the ledger, and its rows under the grants.
 *
 * protect() runs with the caller's rights, so only who owns a table can protect it.
 *
 * For each command there are two policies that ask the same question.  The permissive one opens
 * the table to who may; the restrictive one keeps every permissive policy that somebody adds from
 * opening more.  Neither says yes by itself: whichever of them is lost, by hand or because what it
 * depends on was dropped, the table shows less, and without any it shows nothing.  PostgreSQL
 * evaluates equal conditions of a command once (add_security_quals() in rowsecurity.c).
 */

CREATE FUNCTION medchain_internal.protection_policies(subject name, relation regclass)
    RETURNS TABLE (policy text, permissive boolean, command text, visible text, allowed text)
    LANGUAGE sql STABLE SET search_path = medchain, medchain_internal, pg_temp
AS $$
    SELECT k.prefix || lower(c.command), k.permissive, c.command,
           CASE c.command WHEN 'SELECT' THEN q.may_query
                          WHEN 'INSERT' THEN NULL ELSE q.may_update END,
           CASE c.command WHEN 'INSERT' THEN format('(own_member() OR %s)', q.may_update)
                          WHEN 'UPDATE' THEN q.may_update END
    FROM (VALUES ('SELECT'), ('INSERT'), ('UPDATE'), ('DELETE')) c (command),
         (VALUES ('medchain_may_', true), ('medchain_', false)) k (prefix, permissive),
         (SELECT format('may_query(%s, %L::regclass)', s.value, relation),
                 format('may_update(%s, %L::regclass)', s.value, relation)
          FROM (SELECT format(
                    -- what can be text is, as may_query(text) takes it
                    CASE WHEN EXISTS (
                        SELECT FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
                        WHERE a.attrelid = relation AND a.attname = subject
                        AND t.typcategory = 'S' AND t.oid <> 'text'::regtype)
                    THEN '(%I)::text' ELSE '%I' END, subject)) s (value)) q (may_query, may_update)
$$;
COMMENT ON FUNCTION medchain_internal.protection_policies(name, regclass) IS
    'internal: the policies of a protected table, their conditions as pg_get_expr() writes them';

-- A policy that somebody else gave one of our names, and one of ours under another, is his affair.
CREATE FUNCTION medchain_internal.own_policies(part regclass)
    RETURNS TABLE (policy name, is_own boolean)
    LANGUAGE sql STABLE SET search_path = medchain, medchain_internal, pg_temp
AS $$
    SELECT p.polname, EXISTS (
               SELECT FROM pg_depend d JOIN pg_proc f ON f.oid = d.refobjid
               WHERE d.classid = 'pg_policy'::regclass AND d.objid = p.oid
               AND d.refclassid = 'pg_proc'::regclass AND f.pronamespace = 'medchain'::regnamespace
               AND f.proname IN ('may_query', 'may_update'))
    FROM pg_policy p
    WHERE p.polrelid = own_policies.part
    AND p.polname IN (SELECT w.policy FROM protection_policies('', 0) w)
$$;
COMMENT ON FUNCTION medchain_internal.own_policies(regclass) IS
    'internal: policies on a table with names that medchain uses, and whether they are '
    'medchain''s, judged by what they call';

CREATE FUNCTION medchain_internal.drop_policies(part regclass) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = medchain, medchain_internal, pg_temp
AS $$
DECLARE
    name name;
BEGIN
    FOR name IN SELECT o.policy FROM own_policies(drop_policies.part) o WHERE o.is_own LOOP
        EXECUTE format('DROP POLICY %I ON %s', name, drop_policies.part);
    END LOOP;
END
$$;
COMMENT ON FUNCTION medchain_internal.drop_policies(regclass) IS
    'internal: take medchain''s policies off one part of a table, also those that were left there';

-- One part of it, the table itself or a partition: row security does not descend by itself.
CREATE FUNCTION medchain_internal.protect_part(part regclass, subject name, relation regclass)
    RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = medchain, medchain_internal, pg_temp
AS $$
DECLARE
    p record;
BEGIN
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', part);
    PERFORM drop_policies(protect_part.part);
    SELECT * INTO p FROM own_policies(protect_part.part) LIMIT 1;
    IF FOUND THEN
        RAISE duplicate_object USING
            MESSAGE = format('policy "%s" on table %s is not medchain''s',
                p.policy, protect_part.part),
            DETAIL = 'medchain has a policy of this name on each table that it protects.',
            HINT = format('Rename it: ALTER POLICY %I ON %s RENAME TO ...',
                p.policy, protect_part.part);
    END IF;
    FOR p IN SELECT * FROM protection_policies(protect_part.subject, protect_part.relation) LOOP
        EXECUTE format('CREATE POLICY %I ON %s AS %s FOR %s TO PUBLIC', p.policy, protect_part.part,
                       CASE WHEN p.permissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END, p.command)
            || coalesce(' USING (' || p.visible || ')', '')
            || coalesce(' WITH CHECK (' || p.allowed || ')', '');
    END LOOP;
END
$$;
COMMENT ON FUNCTION medchain_internal.protect_part(regclass, name, regclass) IS
    'internal: row security by grants on one part of a protected table';

CREATE FUNCTION medchain_internal.protection_faults(relation regclass, subject name)
    RETURNS SETOF text
    LANGUAGE sql STABLE SET search_path = medchain, medchain_internal, pg_temp
AS $$
    SELECT format('row security on %s is %s', p,
                  CASE WHEN c.relrowsecurity THEN 'not forced' ELSE 'off' END)
        FROM table_and_partitions($1) p JOIN pg_class c ON c.oid = p
        WHERE NOT c.relrowsecurity OR NOT c.relforcerowsecurity
    UNION ALL
    SELECT format('policy %s on %s is %s', w.policy, p,
                  CASE WHEN g.oid IS NULL THEN 'missing' ELSE 'not as protect() made it' END)
        FROM table_and_partitions($1) p CROSS JOIN protection_policies($2, $1) w
             LEFT JOIN pg_policy g ON g.polrelid = p AND g.polname = w.policy
        WHERE (g.polpermissive, g.polroles,
               pg_get_expr(g.polqual, p), pg_get_expr(g.polwithcheck, p),
               CASE g.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT'
                             WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE' END)
           IS DISTINCT FROM (w.permissive, '{0}'::oid[], w.visible, w.allowed, w.command)
$$;
COMMENT ON FUNCTION medchain_internal.protection_faults(regclass, name) IS
    'internal: what of a protected table''s row security is gone or was changed, in words';

-- An identity is compared as a text: that of a type whose values have one each, whatever a session
-- has set.
CREATE FUNCTION medchain_internal.require_subject_column(relation regclass, subject name)
    RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = medchain, medchain_internal, pg_temp
AS $$
DECLARE
    type regtype;
    base pg_type;
BEGIN
    SELECT a.atttypid INTO type FROM pg_attribute a
        WHERE a.attrelid = require_subject_column.relation
        AND a.attname = require_subject_column.subject AND a.attnum > 0 AND NOT a.attisdropped;
    IF NOT FOUND THEN
        RAISE undefined_column USING
            MESSAGE = format('column "%s" of table %s does not exist',
                require_subject_column.subject, require_subject_column.relation);
    END IF;
    SELECT * INTO base FROM pg_type t WHERE t.oid = type;
    WHILE base.typtype = 'd' LOOP
        SELECT * INTO base FROM pg_type t WHERE t.oid = base.typbasetype;
    END LOOP;
    IF base.typcategory = 'S' OR base.typtype = 'e'
       OR base.oid IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype, 'numeric'::regtype,
                       'uuid'::regtype)
       -- types of extensions that are neither arrays nor made of others, such as that of a number
       -- with a check digit
       OR (base.typtype = 'b' AND base.typcategory = 'U' AND base.oid >= 16384) THEN
        RETURN;
    END IF;
    RAISE datatype_mismatch USING
        MESSAGE = format('column "%s" of table %s cannot say whose record a row is',
            require_subject_column.subject, require_subject_column.relation),
        DETAIL = format('It is of type %s.', type),
        HINT = 'Name a column of a text, integer, numeric, uuid or enum type.';
END
$$;
COMMENT ON FUNCTION medchain_internal.require_subject_column(regclass, name) IS
    'internal: error unless a table has this column, of a type that identities can have';

CREATE FUNCTION medchain_internal.set_ungranted(p_relation regclass, p_ungranted text)
    RETURNS void
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER
        SET search_path = medchain, medchain_internal, pg_temp
AS $$
DECLARE
    heir regclass;
    name text;
BEGIN
    PERFORM require_table_owner(p_relation);
    UPDATE row_table t SET ungranted = p_ungranted
        WHERE t.relation = p_relation AND t.ungranted IS DISTINCT FROM p_ungranted
        RETURNING t.ledger_name INTO name;
    IF FOUND THEN
        PERFORM append_raw('table.ungranted', jsonb_build_object('relation', name,
            'ungranted', p_ungranted)::text, NULL, false);
    END IF;
    FOR heir IN SELECT t.relation FROM row_table t JOIN pg_inherits i ON i.inhrelid = t.relation
        WHERE i.inhparent = p_relation AND t.subject_column IS NOT NULL LOOP
        PERFORM set_ungranted(heir, p_ungranted);
    END LOOP;
END
$$;
COMMENT ON FUNCTION medchain_internal.set_ungranted(regclass, text) IS
    'internal: what becomes of columns of a protected table that are not granted, in what inherits '
    'from it as well';

CREATE FUNCTION medchain.protect(relation regclass, subject name, key name DEFAULT NULL,
    ungranted text DEFAULT NULL)
    RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = medchain, medchain_internal, pg_temp
AS $$
BEGIN
    IF protect.relation IS NULL OR protect.subject IS NULL THEN
        RAISE null_value_not_allowed USING MESSAGE = 'relation and subject must not be null';
    ELSIF protect.ungranted <> ALL (ARRAY['absent', 'null']) THEN
        RAISE invalid_parameter_value USING
            MESSAGE = format('ungranted cannot be "%s"', shown(protect.ungranted)),
            HINT = 'With "absent", a row is not there for a query that names a column of it that '
                'is not granted; with "null", such a column reads as null.';
    END IF;
    PERFORM put_row_table(protect.relation, protect.subject, false, false, protect.key);
    PERFORM set_ungranted(protect.relation, protect.ungranted);
END
$$;
COMMENT ON FUNCTION medchain.protect(regclass, name, name, text) IS
    'put a table (with its partitions, and with the tables that inherit from it) under the ledger: '
    'row security by grants, every change an entry as with ledger_table(); subject: the column '
    'with the examinee''s identity; key: as for ledger_table(); ungranted: '
    '"absent" or "null" to have grants of single records and columns count, and what becomes of '
    'the columns that are not granted (by default such grants open nothing). Takes over what an '
    'earlier protection has left on the table. Needs ownership of the table';

-- Also of a table that is not known here, but has our policies: restored from a dump of another
-- database, or detached from a protected one.
CREATE FUNCTION medchain.unprotect(relation regclass) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = medchain, medchain_internal, pg_temp
AS $$
DECLARE
    root regclass := partition_root(unprotect.relation);
    parent row_table;
    is_known boolean := EXISTS (SELECT FROM row_table t
                                WHERE t.relation IN (unprotect.relation, root));
    part regclass;
BEGIN
    PERFORM require_writable();
    IF EXISTS (SELECT FROM row_table t
               WHERE t.relation = unprotect.relation AND t.subject_column IS NOT NULL) THEN
        PERFORM forget_row_table(unprotect.relation);
        is_known := false;
    ELSIF EXISTS (SELECT FROM row_table t
                  WHERE t.relation = root AND t.subject_column IS NOT NULL) THEN
        RAISE wrong_object_type USING
            MESSAGE = format('%s is a partition of %s, which is protected',
                unprotect.relation, root),
            HINT = format('ALTER TABLE %s DETACH PARTITION %s first, or call '
                'medchain.unprotect(%L).', (SELECT i.inhparent::regclass FROM pg_inherits i
                    WHERE i.inhrelid = unprotect.relation), unprotect.relation, root);
    ELSIF NOT EXISTS (SELECT FROM table_and_partitions(unprotect.relation) p, own_policies(p) o
                      WHERE o.is_own) THEN
        RAISE undefined_object USING
            MESSAGE = format('table %s is not protected', unprotect.relation);
    END IF;
    IF NOT is_known THEN
        PERFORM drop_row_triggers(unprotect.relation);
    END IF;
    FOR part IN SELECT table_and_partitions(unprotect.relation) LOOP
        PERFORM drop_policies(part);
        EXECUTE format('ALTER TABLE %s DISABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY',
            part);
    END LOOP;
    PERFORM end_heirs(unprotect.relation);
    -- what is inherited from is on the ledger, and so is what it inherits to
    SELECT * INTO parent FROM ledger_parents(unprotect.relation) LIMIT 1;
    IF FOUND THEN
        PERFORM add_row_table(unprotect.relation, NULL, parent.append_only,
            parent.record_truncate, NULL, true);
        PERFORM add_heirs(unprotect.relation, NULL, parent.append_only, parent.record_truncate);
    END IF;
END
$$;
COMMENT ON FUNCTION medchain.unprotect(regclass) IS
    'take a table out again: anybody with privileges on it sees all rows; that is an entry on the '
    'ledger, unless the table came here with another database''s protection. Frees detached '
    'partitions, too';
