/*
 * protect.sql: putting a user's table under the ledger.
 *
 * protect() runs with the caller's rights, so only who owns a table can protect
 * it.  One permissive policy lets everything through and restrictive ones decide: a
 * policy that somebody adds later can only narrow what they allow.
 */

CREATE TABLE medchain.protected_table (
    relation       regclass PRIMARY KEY,
    ledger_name    text NOT NULL,      -- schema.table when it was protected
    subject_column text NOT NULL,
    key_columns    text[] NOT NULL
);
COMMENT ON TABLE medchain.protected_table IS 'tables under medchain.protect()';

CREATE TABLE medchain.row_commitment (
    relation   regclass NOT NULL,
    row_id     bytea NOT NULL,
    row_key    text NOT NULL,
    salt       bytea NOT NULL,
    commitment bytea NOT NULL,
    PRIMARY KEY (relation, row_id)
);
COMMENT ON TABLE medchain.row_commitment IS 'local: salt of each protected row''s commitment; never leaves this database';

CREATE FUNCTION medchain.row_digest(relation text, key_columns text[], "row" record, salt bytea,
                                    OUT row_id bytea, OUT row_key text, OUT commitment bytea)
    LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'medchain_row_digest';
COMMENT ON FUNCTION medchain.row_digest(text, text[], record, bytea) IS 'internal: what stands for a row on the ledger, its primary key, and the commitment to its content under a salt';

CREATE FUNCTION medchain.capture() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'medchain_capture';
COMMENT ON FUNCTION medchain.capture() IS 'trigger: put the change of a protected row on the ledger';

CREATE FUNCTION medchain.refuse_truncate() RETURNS trigger
    LANGUAGE plpgsql SET search_path = medchain, pg_temp
AS $$
BEGIN
    RAISE insufficient_privilege USING
        MESSAGE = format('table %I.%I is protected by medchain and cannot be truncated', TG_TABLE_SCHEMA, TG_TABLE_NAME),
        HINT = 'DELETE its rows, so that the ledger says which, or call medchain.unprotect() first.';
END
$$;
COMMENT ON FUNCTION medchain.refuse_truncate() IS 'trigger: protected tables are not truncated';

-- The part of protect() that needs medchain's own rights.  Only ever of use to who could do the DDL before.
CREATE FUNCTION medchain.register_protection(relation regclass, subject name, key_columns text[]) RETURNS void
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = medchain, pg_temp SET row_security = off
AS $$
DECLARE
    name text := (SELECT n.nspname || '.' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = register_protection.relation);
    part regclass;
    arguments text;
BEGIN
    IF NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = register_protection.relation AND pg_has_role(session_user, c.relowner, 'MEMBER')) THEN
        RAISE insufficient_privilege USING MESSAGE = format('must be owner of table %s', register_protection.relation);
    END IF;
    INSERT INTO protected_table (relation, ledger_name, subject_column, key_columns)
        VALUES (register_protection.relation, name, register_protection.subject, register_protection.key_columns);
    PERFORM append_raw('protect', jsonb_build_object('relation', name, 'subject', register_protection.subject)::text, NULL, false);

    -- What is there already becomes the baseline.  In one statement of its own, not in a loop over records: the plans of
    -- this function stay for the session, and the next table's rows are of another type.
    EXECUTE format($query$
        WITH salted AS MATERIALIZED (
            SELECT x AS whole, x.%I::text AS identity, uuid_send(gen_random_uuid()) AS salt FROM %s x),
        digested AS MATERIALIZED (
            SELECT s.identity, s.salt, d.row_id, d.row_key, d.commitment FROM salted s, LATERAL row_digest($1, $2, s.whole, s.salt) d),
        kept AS (
            INSERT INTO row_commitment (relation, row_id, row_key, salt, commitment)
            SELECT $3, row_id, row_key, salt, commitment FROM digested)
        SELECT append_raw('row.baseline',
            jsonb_build_object('relation', $1, 'row', encode(row_id, 'hex'), 'commitment', encode(commitment, 'hex'))::text,
            CASE WHEN identity IS NOT NULL THEN remember_identity(identity) END, false)
        FROM digested$query$, register_protection.subject, register_protection.relation)
        USING name, register_protection.key_columns, register_protection.relation;

    -- The triggers are made with medchain's rights as well: a privilege to put capture() on a table of one's own, with
    -- arguments of one's own, would be one to write about other people's tables.
    SELECT string_agg(quote_literal(a), ', ' ORDER BY i) INTO arguments
        FROM unnest(ARRAY[name, register_protection.subject::text] || register_protection.key_columns) WITH ORDINALITY x(a, i);
    EXECUTE format('CREATE TRIGGER medchain_capture AFTER INSERT OR UPDATE OR DELETE ON %s FOR EACH ROW EXECUTE FUNCTION medchain.capture(%s)',
                   register_protection.relation, arguments);
    FOR part IN SELECT table_and_partitions(register_protection.relation) LOOP
        EXECUTE format('ALTER TABLE ONLY %s ENABLE ALWAYS TRIGGER medchain_capture', part);
        EXECUTE format('CREATE TRIGGER medchain_truncate BEFORE TRUNCATE ON %s FOR EACH STATEMENT EXECUTE FUNCTION medchain.refuse_truncate()', part);
        EXECUTE format('ALTER TABLE ONLY %s ENABLE ALWAYS TRIGGER medchain_truncate', part);
    END LOOP;
END
$$;
COMMENT ON FUNCTION medchain.register_protection(regclass, name, text[]) IS 'internal: note that a table is protected, commit to the rows it has, and capture what changes them';

CREATE FUNCTION medchain.forget_protection(relation regclass) RETURNS void
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = medchain, pg_temp
AS $$
DECLARE
    name text;
BEGIN
    IF NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = forget_protection.relation AND pg_has_role(session_user, c.relowner, 'MEMBER')) THEN
        RAISE insufficient_privilege USING MESSAGE = format('must be owner of table %s', forget_protection.relation);
    END IF;
    DELETE FROM protected_table t WHERE t.relation = forget_protection.relation RETURNING t.ledger_name INTO name;
    DELETE FROM row_commitment c WHERE c.relation = forget_protection.relation;
    PERFORM append_raw('unprotect', jsonb_build_object('relation', name)::text, NULL, false);
END
$$;
COMMENT ON FUNCTION medchain.forget_protection(regclass) IS 'internal: note that a table is not protected any more';

-- A table and, if it is partitioned, all its partitions: row security does not descend by itself.
CREATE FUNCTION medchain.table_and_partitions(relation regclass) RETURNS SETOF regclass
    LANGUAGE sql STABLE STRICT SET search_path = medchain, pg_temp
    AS $$ SELECT $1 UNION SELECT t.relid FROM pg_partition_tree($1) t $$;
COMMENT ON FUNCTION medchain.table_and_partitions(regclass) IS 'internal: a table and its partitions';

CREATE FUNCTION medchain.check_protectable(relation regclass, subject name) RETURNS text[]
    LANGUAGE plpgsql STABLE SET search_path = medchain, pg_temp
AS $$
DECLARE
    c pg_class;
    key text[];
    foreign_part regclass;
BEGIN
    SELECT * INTO c FROM pg_class x WHERE x.oid = check_protectable.relation;
    IF c.relkind NOT IN ('r', 'p') THEN
        RAISE wrong_object_type USING MESSAGE = format('%s is not a table', relation);
    ELSIF c.relnamespace = 'medchain'::regnamespace OR c.relnamespace = 'pg_catalog'::regnamespace THEN
        RAISE wrong_object_type USING MESSAGE = format('%s is not a user''s table', relation);
    ELSIF c.relpersistence = 't' THEN
        RAISE wrong_object_type USING MESSAGE = format('%s is a temporary table', relation);
    ELSIF c.relispartition THEN
        RAISE wrong_object_type USING
            MESSAGE = format('%s is a partition', relation),
            HINT = 'Protect the partitioned table; its partitions are protected with it.';
    ELSIF EXISTS (SELECT FROM pg_inherits i WHERE i.inhrelid = c.oid) OR (c.relkind = 'r' AND EXISTS (SELECT FROM pg_inherits i WHERE i.inhparent = c.oid)) THEN
        RAISE feature_not_supported USING
            MESSAGE = format('%s takes part in table inheritance', relation),
            DETAIL = 'Queries of the parent table would pass by the policies of the child tables.';
    ELSIF EXISTS (SELECT FROM protected_table t WHERE t.relation = c.oid) THEN
        RAISE duplicate_object USING MESSAGE = format('table %s is protected already', relation);
    END IF;
    SELECT t.oid::regclass INTO foreign_part FROM table_and_partitions(c.oid) p JOIN pg_class t ON t.oid = p WHERE t.relkind = 'f' LIMIT 1;
    IF FOUND THEN
        RAISE feature_not_supported USING MESSAGE = format('partition %s is a foreign table', foreign_part);
    END IF;
    IF NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = check_protectable.subject AND a.attnum > 0 AND NOT a.attisdropped) THEN
        RAISE undefined_column USING MESSAGE = format('column "%s" of table %s does not exist', check_protectable.subject, relation);
    END IF;
    SELECT array_agg(a.attname::text ORDER BY a.attname COLLATE "C") INTO key
        FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey[0:i.indnkeyatts - 1])
        WHERE i.indrelid = c.oid AND i.indisprimary;
    IF key IS NULL THEN
        RAISE object_not_in_prerequisite_state USING
            MESSAGE = format('table %s has no primary key', relation),
            HINT = 'The ledger has to be able to name its rows: add a primary key.';
    END IF;
    RETURN key;
END
$$;
COMMENT ON FUNCTION medchain.check_protectable(regclass, name) IS 'internal: error unless protect() can do it; columns of the primary key';

CREATE FUNCTION medchain.protect(relation regclass, subject name) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = medchain, pg_temp
AS $$
DECLARE
    key text[];
    part regclass;
BEGIN
    IF protect.relation IS NULL OR protect.subject IS NULL THEN
        RAISE null_value_not_allowed USING MESSAGE = 'relation and subject must not be null';
    END IF;
    EXECUTE format('LOCK TABLE %s IN SHARE ROW EXCLUSIVE MODE', protect.relation);
    key := check_protectable(protect.relation, protect.subject);
    FOR part IN SELECT table_and_partitions(protect.relation) LOOP
        EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', part);
        EXECUTE format('CREATE POLICY medchain_all ON %s USING (true) WITH CHECK (true)', part);
        EXECUTE format('CREATE POLICY medchain_select ON %s AS RESTRICTIVE FOR SELECT USING (medchain.may_query(%I, %L::regclass))',
                       part, protect.subject, protect.relation);
        EXECUTE format('CREATE POLICY medchain_insert ON %s AS RESTRICTIVE FOR INSERT WITH CHECK (medchain.own_member() OR medchain.may_update(%I, %L::regclass))',
                       part, protect.subject, protect.relation);
        EXECUTE format('CREATE POLICY medchain_update ON %1$s AS RESTRICTIVE FOR UPDATE USING (medchain.may_update(%2$I, %3$L::regclass)) WITH CHECK (medchain.may_update(%2$I, %3$L::regclass))',
                       part, protect.subject, protect.relation);
        EXECUTE format('CREATE POLICY medchain_delete ON %s AS RESTRICTIVE FOR DELETE USING (medchain.may_update(%I, %L::regclass))',
                       part, protect.subject, protect.relation);
    END LOOP;
    PERFORM register_protection(protect.relation, protect.subject, key);
END
$$;
COMMENT ON FUNCTION medchain.protect(regclass, name) IS 'put a table (with its partitions) under the ledger: row security by grants, every change an entry; subject: the column with the examinee''s identity. Needs ownership of the table and a primary key';

CREATE FUNCTION medchain.unprotect(relation regclass) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = medchain, pg_temp
AS $$
DECLARE
    part regclass;
    policy text;
BEGIN
    IF NOT EXISTS (SELECT FROM protected_table t WHERE t.relation = unprotect.relation) THEN
        RAISE undefined_object USING MESSAGE = format('table %s is not protected', unprotect.relation);
    END IF;
    EXECUTE format('DROP TRIGGER medchain_capture ON %s', unprotect.relation);
    FOR part IN SELECT table_and_partitions(unprotect.relation) LOOP
        EXECUTE format('DROP TRIGGER IF EXISTS medchain_truncate ON %s', part);
        FOREACH policy IN ARRAY ARRAY['medchain_all', 'medchain_select', 'medchain_insert', 'medchain_update', 'medchain_delete'] LOOP
            EXECUTE format('DROP POLICY IF EXISTS %I ON %s', policy, part);
        END LOOP;
        EXECUTE format('ALTER TABLE %s DISABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY', part);
    END LOOP;
    PERFORM forget_protection(unprotect.relation);
END
$$;
COMMENT ON FUNCTION medchain.unprotect(regclass) IS 'take a table out again: anybody with privileges on it sees all rows; that is an entry on the ledger';
