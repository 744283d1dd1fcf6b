/*
 * row_table.sql: ledger tables: users' tables whose every change is an entry.
 *
 * What medchain knows of such a table is in row_table, row_column and row_secret; sessions keep it
 * until one of them changes.  A column keeps the name that the ledger knows it by, whatever it is
 * called later; row_column.since is the version of the table that first had it, and every entry
 * says by which version's columns it was made.
 */

CREATE TABLE medchain.row_table (
    relation        regclass PRIMARY KEY,
    ledger_name     text NOT NULL UNIQUE,   -- schema.table when it was put under the ledger
    key_columns     text[] NOT NULL,        -- none: rows are named by all that they say
    subject_column  text,                   -- of protected tables: the examinee's identity
    append_only     boolean NOT NULL,
    record_truncate boolean NOT NULL,
    version         int NOT NULL,
    -- of the relation whose DDL is recorded; another one: it was restored from a dump
    watched         oid,
    -- as row_description() had it last; null: medchain itself is changing the table
    description     jsonb,
    -- as row_roles() had it then; they may be called otherwise by now
    roles           jsonb,
    rewritten       boolean NOT NULL DEFAULT false,
    -- on the ledger because a table is that it inherits from
    with_parent     boolean NOT NULL DEFAULT false,
    -- of protected tables whose examinees may grant parts: what becomes of the columns that are not
    -- granted; null: grants of parts open nothing
    ungranted       text CHECK (ungranted IN ('absent', 'null'))
);
COMMENT ON TABLE medchain.row_table IS 'local: ledger tables, those under protect() included';

CREATE TABLE medchain.row_column (
    relation  regclass NOT NULL,
    attribute text NOT NULL,
    number    int NOT NULL,                 -- pg_attribute.attnum
    name      text NOT NULL,                -- on the ledger
    type      text NOT NULL,
    since     int NOT NULL,
    PRIMARY KEY (relation, attribute),
    UNIQUE (relation, name)
);
COMMENT ON TABLE medchain.row_column IS
    'local: columns of ledger tables that commitments are made of';

CREATE TABLE medchain.row_secret (
    relation regclass PRIMARY KEY,
    secret   bytea NOT NULL
);
COMMENT ON TABLE medchain.row_secret IS
    'local: the secret that the salts of a ledger table''s commitments are made with; never leaves '
    'this database';

-- No index: written with every new row, read only to name rows that are gone.
CREATE TABLE medchain.row_key (
    relation regclass NOT NULL,
    row_id   bytea NOT NULL,
    row_key  text NOT NULL
);
COMMENT ON TABLE medchain.row_key IS
    'local: primary keys behind the pseudonyms of rows; never leaves this database';

CREATE FUNCTION medchain_internal.row_table_changed() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'medchain_row_table_changed';
COMMENT ON FUNCTION medchain_internal.row_table_changed() IS
    'trigger: what sessions know of a ledger table is outdated';
CREATE TRIGGER changed AFTER INSERT OR UPDATE OR DELETE ON medchain.row_table FOR EACH ROW
    EXECUTE FUNCTION medchain_internal.row_table_changed();
CREATE TRIGGER changed AFTER INSERT OR UPDATE OR DELETE ON medchain.row_column FOR EACH ROW
    EXECUTE FUNCTION medchain_internal.row_table_changed();
CREATE TRIGGER changed AFTER INSERT OR UPDATE OR DELETE ON medchain.row_secret FOR EACH ROW
    EXECUTE FUNCTION medchain_internal.row_table_changed();
ALTER TABLE medchain.row_table ENABLE ALWAYS TRIGGER changed;
ALTER TABLE medchain.row_column ENABLE ALWAYS TRIGGER changed;
ALTER TABLE medchain.row_secret ENABLE ALWAYS TRIGGER changed;

CREATE FUNCTION medchain_internal.row_kinds() RETURNS text[]
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN ARRAY['row.baseline', 'row.insert', 'row.update', 'row.delete'];
COMMENT ON FUNCTION medchain_internal.row_kinds()
    IS 'kinds of entries about one row of a ledger table';

CREATE FUNCTION medchain.row_entry(payload text, OUT relation text, OUT row_id bytea,
    OUT version int, OUT commitment bytea, OUT previous bytea)
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'medchain_row_entry';
COMMENT ON FUNCTION medchain.row_entry(text) IS
    'what an entry says about a row of a ledger table; null if nothing';

CREATE FUNCTION medchain_internal.row_entry_key(payload text) RETURNS bigint
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'medchain_row_entry_key';
COMMENT ON FUNCTION medchain_internal.row_entry_key(text) IS
    'internal: first 64 bits of the id of the row that an entry is about';

CREATE FUNCTION medchain_internal.row_entry_guess(payload text) RETURNS bigint
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'medchain_row_entry_guess';
COMMENT ON FUNCTION medchain_internal.row_entry_guess(text) IS
    'internal: row_entry_key() of an entry that this node wrote, without reading all of it';

-- Constants, as whoever writes entries would need the right to call the functions behind them.
DO $$
BEGIN
    EXECUTE pg_catalog.format('CREATE INDEX entry_row ON medchain.entry '
        '(medchain_internal.row_entry_key(payload)) WHERE kind = ANY (%L::text[])',
            medchain_internal.row_kinds());
END
$$;
-- where the history of a table begins
CREATE INDEX entry_table ON medchain.entry (origin, seq) WHERE kind IN ('protect', 'table.ledger',
    'table.alter');

CREATE FUNCTION medchain_internal.capture() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'medchain_capture';
COMMENT ON FUNCTION medchain_internal.capture() IS
    'trigger: put the change of a ledger table''s row on the ledger; refuse it where the table is '
    'append-only';

CREATE FUNCTION medchain_internal.row_record(kind text, source regclass, root regclass)
    RETURNS bigint
    LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'medchain_row_record';
COMMENT ON FUNCTION medchain_internal.row_record(text, regclass, regclass) IS
    'internal: an entry for each row that source has now, or a set, as of ledger table root: '
    'row.baseline, row.delete, or row.update of what they were by the version before; returns how '
    'many rows';

CREATE FUNCTION medchain_internal.capture_truncate() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = medchain, medchain_internal, pg_temp
        SET row_security = off
AS $$
DECLARE
    t row_table;
BEGIN
    IF TG_OP <> 'TRUNCATE' OR TG_NAME <> 'medchain_truncate' THEN
        RAISE trigger_protocol_violated USING
            MESSAGE = format('trigger "%s" on table "%s" is not medchain''s', TG_NAME,
                TG_TABLE_NAME),
            DETAIL = 'It calls medchain_internal.capture_truncate().',
            HINT = format('DROP TRIGGER %I ON %I.%I;', TG_NAME, TG_TABLE_SCHEMA, TG_TABLE_NAME);
    END IF;
    SELECT * INTO t FROM row_table x WHERE x.relation = partition_root(TG_RELID);
    IF NOT FOUND THEN
        RAISE object_not_in_prerequisite_state USING
            MESSAGE = format('table "%s" has a trigger of medchain, which knows nothing of the '
                'table',
                TG_TABLE_NAME),
            HINT = format('Call medchain.end_ledger_table(%L) to take the triggers off, or '
                'medchain.ledger_table() or medchain.protect() to put it on this ledger.',
                TG_RELID::regclass);
    ELSIF NOT t.record_truncate THEN
        RAISE insufficient_privilege USING
            MESSAGE = format('rows of table %I.%I are on the ledger, it cannot be truncated',
                TG_TABLE_SCHEMA, TG_TABLE_NAME),
            HINT = format(CASE WHEN t.append_only THEN
                'It is append-only: its rows stay, until %1$s takes it off the ledger.'
                ELSE 'DELETE FROM %2$s, so that the ledger says which rows are gone.' END,
                row_ending(t.relation, t.subject_column), TG_RELID::regclass);
    END IF;
    -- of a partitioned table each partition has this trigger, and is truncated with it
    IF (SELECT c.relkind FROM pg_class c WHERE c.oid = TG_RELID) = 'r' THEN
        IF t.append_only THEN
            RAISE insufficient_privilege USING MESSAGE = format('table "%s" is append-only',
                TG_TABLE_NAME);
        END IF;
        PERFORM row_record('row.delete', TG_RELID, t.relation);
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION medchain_internal.capture_truncate() IS
    'trigger: refuse to truncate a ledger table, or put it on the ledger, an entry per row';

-- A table and, if it is partitioned, all its partitions: neither row security nor TRUNCATE triggers
-- descend by themselves.  One that DETACH ... CONCURRENTLY is about to detach is one until that is
-- done: only then an event trigger tells of it.  (PostgreSQL's own functions leave it out, and
-- pg_partition_tree() would lock them all until the transaction ends.)
CREATE FUNCTION medchain_internal.table_and_partitions(relation regclass) RETURNS SETOF regclass
    LANGUAGE sql STABLE STRICT SET search_path = medchain, medchain_internal, pg_temp
AS $$
    WITH RECURSIVE parts (part) AS (
        SELECT $1::oid
        UNION ALL
        SELECT i.inhrelid FROM parts p JOIN pg_class c ON c.oid = p.part AND c.relkind = 'p'
            JOIN pg_inherits i ON i.inhparent = p.part)
    SELECT p.part::regclass FROM parts p
$$;
COMMENT ON FUNCTION medchain_internal.table_and_partitions(regclass) IS
    'internal: a table and its partitions';

CREATE FUNCTION medchain_internal.partition_root(relation regclass) RETURNS regclass
    LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'medchain_partition_root';
COMMENT ON FUNCTION medchain_internal.partition_root(regclass) IS
    'internal: the partitioned table that a partition belongs to; of another relation itself';

-- A regclass can be any number, which would be a syntax error where a name is wanted.
CREATE FUNCTION medchain_internal.require_relation(relation regclass) RETURNS void
    LANGUAGE plpgsql STABLE STRICT SET search_path = medchain, medchain_internal, pg_temp
AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = require_relation.relation) THEN
        RAISE undefined_table USING
            MESSAGE = format('there is no table with oid %s', require_relation.relation::oid);
    END IF;
END
$$;
COMMENT ON FUNCTION medchain_internal.require_relation(regclass) IS
    'internal: error if there is no relation with this oid';

CREATE FUNCTION medchain_internal.require_logged(relation regclass, ending text) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = medchain, medchain_internal, pg_temp
AS $$
DECLARE
    part regclass;
BEGIN
    SELECT p INTO part FROM table_and_partitions(require_logged.relation) p
        JOIN pg_class c ON c.oid = p WHERE c.relpersistence = 'u' LIMIT 1;
    IF FOUND THEN
        RAISE feature_not_supported USING
            MESSAGE = format('%s is unlogged', part),
            DETAIL =
                'After a crash its rows would be gone, and the ledger would say that they are '
                'there.',
            HINT = coalesce('Call ' || ending || ' first.',
                            format('ALTER TABLE %s SET LOGGED first.', part));
    END IF;
END
$$;
COMMENT ON FUNCTION medchain_internal.require_logged(regclass, text) IS
    'internal: error if a table or a partition of it does not survive a crash; ending: the call '
    'that takes it off the ledger, where it is';

-- Said in hints, which name what they are about.
CREATE FUNCTION medchain_internal.row_ending(relation regclass, subject text) RETURNS text
    LANGUAGE sql STABLE SET search_path = medchain, medchain_internal, pg_temp
AS $$
    SELECT format('medchain.%s(%L)', e.name, $1)
           || CASE WHEN has_function_privilege(session_user,
                       format('medchain.%s(regclass)', e.name), 'EXECUTE') THEN ''
                   ELSE (SELECT format(' as a member of medchain_admin and of %I', r.rolname)
                         FROM pg_class c JOIN pg_roles r ON r.oid = c.relowner
                         WHERE c.oid = $1) END
    FROM (SELECT CASE WHEN $2 IS NULL THEN 'end_ledger_table' ELSE 'unprotect' END) e (name)
$$;
COMMENT ON FUNCTION medchain_internal.row_ending(regclass, text) IS
    'internal: the call that takes a ledger table, or protected one, off the ledger, and who may, '
    'if the session''s user may not';

-- Said where somebody asks for a table that is not on the ledger.
CREATE FUNCTION medchain_internal.row_beginning(relation regclass) RETURNS text
    LANGUAGE sql STABLE SET search_path = medchain, medchain_internal, pg_temp
AS $$
    SELECT format('Call medchain.ledger_table(%L) or medchain.protect() first.',
                  partition_root(c.oid))
    FROM pg_class c WHERE c.oid = $1 AND c.relkind IN ('r', 'p') AND c.relpersistence <> 't'
        AND c.relnamespace <> ALL (ARRAY['pg_catalog', 'medchain', 'medchain_internal',
                                         'information_schema', 'pg_toast']::regnamespace[])
$$;
COMMENT ON FUNCTION medchain_internal.row_beginning(regclass) IS
    'internal: the call that puts a table on the ledger; null where there is none';

CREATE FUNCTION medchain_internal.check_row_table(relation regclass, key name, with_parent boolean)
    RETURNS text[]
    LANGUAGE plpgsql STABLE SET search_path = medchain, medchain_internal, pg_temp
AS $$
DECLARE
    c pg_class;
    foreign_part regclass;
BEGIN
    SELECT * INTO c FROM pg_class x WHERE x.oid = check_row_table.relation;
    IF check_row_table.with_parent AND c.relkind = 'f' THEN
        RAISE feature_not_supported USING
            MESSAGE = format('foreign table %s inherits from a ledger table', relation),
            DETAIL = 'Its rows are elsewhere, and cannot be on the ledger.';
    ELSIF c.relkind NOT IN ('r', 'p') THEN
        RAISE wrong_object_type USING MESSAGE = format('%s is not a table', relation);
    ELSIF c.relnamespace = ANY ('{medchain,medchain_internal,pg_catalog}'::regnamespace[]) THEN
        RAISE wrong_object_type USING MESSAGE = format('%s is not a user''s table', relation);
    ELSIF c.relpersistence = 't' THEN
        RAISE wrong_object_type USING MESSAGE = format('%s is a temporary table', relation);
    ELSIF NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0
                      AND NOT a.attisdropped) THEN
        RAISE wrong_object_type USING
            MESSAGE = format('table %s has no columns', relation),
            DETAIL = 'The ledger would have nothing to say of its rows.',
            HINT = 'Tables that inherit from it can be on the ledger themselves.';
    ELSIF c.relispartition THEN
        RAISE wrong_object_type USING
            MESSAGE = format('%s is a partition', relation),
            HINT = format('Name %s, whose partitions come with it.', partition_root(c.oid));
    ELSIF EXISTS (SELECT FROM row_table t WHERE t.relation = c.oid
        AND t.subject_column IS NOT NULL) THEN
        RAISE duplicate_object USING MESSAGE = format('table %s is protected already', relation);
    ELSIF EXISTS (SELECT FROM row_table t WHERE t.relation = c.oid) THEN
        RAISE duplicate_object USING
            MESSAGE = format('table %s is a ledger table already', relation),
            HINT = coalesce((SELECT format('It inherits from %s, and is on the ledger as that is: '
                    'call %s first.', p.relation, row_ending(p.relation, p.subject_column))
                FROM ledger_parents(c.oid) p LIMIT 1),
                format('Call medchain.end_ledger_table(%L) first.', relation));
    END IF;
    PERFORM require_logged(c.oid, NULL);
    SELECT t.oid::regclass INTO foreign_part FROM table_and_partitions(c.oid) p
        JOIN pg_class t ON t.oid = p WHERE t.relkind = 'f' LIMIT 1;
    IF FOUND THEN
        RAISE feature_not_supported USING MESSAGE = format('partition %s is a foreign table',
            foreign_part);
    END IF;
    RETURN CASE WHEN check_row_table.with_parent THEN default_row_key(c.oid)
                ELSE choose_row_key(c.oid, check_row_table.key) END;
END
$$;
COMMENT ON FUNCTION medchain_internal.check_row_table(regclass, name, boolean) IS
    'internal: error unless the table can be put under the ledger; the columns of its key';

CREATE FUNCTION medchain_internal.require_table_owner(relation regclass) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = medchain, medchain_internal, pg_temp
AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = require_table_owner.relation
        AND pg_has_role(session_user, c.relowner, 'MEMBER')) THEN
        RAISE insufficient_privilege USING MESSAGE = format('must be owner of table %s', relation);
    END IF;
END
$$;
COMMENT ON FUNCTION medchain_internal.require_table_owner(regclass) IS
    'internal: error unless the session''s user owns the table';

CREATE FUNCTION medchain_internal.row_trigger_functions() RETURNS SETOF oid
    LANGUAGE sql STABLE SET search_path = medchain, medchain_internal, pg_temp
    AS $$ VALUES ('medchain_internal.capture()'::regprocedure::oid),
                 ('medchain_internal.capture_truncate()'::regprocedure) $$;
COMMENT ON FUNCTION medchain_internal.row_trigger_functions() IS
    'internal: what medchain''s triggers on ledger tables call, by which they are known';

CREATE FUNCTION medchain_internal.drop_row_triggers(relation regclass) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = medchain, medchain_internal, pg_temp
AS $$
DECLARE
    t record;
BEGIN
    -- by what they are, whatever they are called; copies on partitions go with the table's own
    FOR t IN SELECT g.tgname, p AS part
             FROM table_and_partitions(drop_row_triggers.relation) p
             JOIN pg_trigger g ON g.tgrelid = p
             WHERE g.tgfoid IN (SELECT row_trigger_functions()) AND g.tgparentid = 0 LOOP
        EXECUTE format('DROP TRIGGER %I ON %s', t.tgname, t.part);
    END LOOP;
END
$$;
COMMENT ON FUNCTION medchain_internal.drop_row_triggers(regclass) IS
    'internal: take medchain''s triggers off a table, also those that were left there';

CREATE FUNCTION medchain_internal.require_trigger_name(part regclass, name name) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = medchain, medchain_internal, pg_temp
AS $$
BEGIN
    IF EXISTS (SELECT FROM pg_trigger g
               WHERE g.tgrelid = require_trigger_name.part AND g.tgname = require_trigger_name.name
               AND g.tgfoid NOT IN (SELECT row_trigger_functions())) THEN
        RAISE duplicate_object USING
            MESSAGE = format('trigger "%s" on table %s is not medchain''s',
                require_trigger_name.name, require_trigger_name.part),
            DETAIL = 'medchain has a trigger of this name on each ledger table.',
            HINT = format('Rename it: ALTER TRIGGER %I ON %s RENAME TO ...',
                require_trigger_name.name, require_trigger_name.part);
    END IF;
END
$$;
COMMENT ON FUNCTION medchain_internal.require_trigger_name(regclass, name) IS
    'internal: error if somebody else has a trigger of this name on a table';

-- What every part of a ledger table gets.  The triggers are made by who owns the table, as whatever
-- else is on it: for a partitioned one PostgreSQL compares the bounds of its partitions, by
-- operators that may be anybody's.
CREATE FUNCTION medchain_internal.equip_truncate(part regclass) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = medchain, medchain_internal, pg_temp
AS $$
DECLARE
    name name;
BEGIN
    FOR name IN SELECT g.tgname FROM pg_trigger g
                WHERE g.tgrelid = equip_truncate.part
                AND g.tgfoid = 'medchain_internal.capture_truncate()'::regprocedure LOOP
        EXECUTE format('DROP TRIGGER %I ON %s', name, part);
    END LOOP;
    PERFORM require_trigger_name(part, 'medchain_truncate');
    EXECUTE format('CREATE TRIGGER medchain_truncate BEFORE TRUNCATE ON %s FOR EACH STATEMENT '
        'EXECUTE FUNCTION medchain_internal.capture_truncate()', part);
    EXECUTE format('ALTER TABLE ONLY %s ENABLE ALWAYS TRIGGER medchain_truncate', part);
END
$$;
COMMENT ON FUNCTION medchain_internal.equip_truncate(regclass) IS
    'internal: put the TRUNCATE trigger on one part of a ledger table, in the place of one that '
    'was left there';

CREATE FUNCTION medchain_internal.run_as_owner(relation regclass, command text) RETURNS void
    LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'medchain_run_as_owner';
COMMENT ON FUNCTION medchain_internal.run_as_owner(regclass, text) IS
    'internal: run a command as the owner of this table, whoever is running';

CREATE FUNCTION medchain_internal.equip_row_table(relation regclass,
    for_owner boolean DEFAULT false)
    RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = medchain, medchain_internal, pg_temp
AS $$
DECLARE
    part regclass;
    make CONSTANT text := format('CREATE TRIGGER medchain_capture AFTER INSERT OR UPDATE OR DELETE '
        'ON %s FOR EACH ROW EXECUTE FUNCTION medchain_internal.capture()',
            equip_row_table.relation);
BEGIN
    PERFORM drop_row_triggers(equip_row_table.relation);
    FOR part IN SELECT table_and_partitions(equip_row_table.relation) LOOP
        PERFORM require_trigger_name(part, 'medchain_capture');
    END LOOP;
    IF for_owner THEN
        PERFORM run_as_owner(equip_row_table.relation, make);
    ELSE
        EXECUTE make;
    END IF;
    FOR part IN SELECT table_and_partitions(equip_row_table.relation) LOOP
        EXECUTE format('ALTER TABLE ONLY %s ENABLE ALWAYS TRIGGER medchain_capture', part);
        PERFORM equip_truncate(part);
    END LOOP;
END
$$;
COMMENT ON FUNCTION medchain_internal.equip_row_table(regclass, boolean) IS
    'internal: put medchain''s triggers on a table and its partitions, in the place of those that '
    'were left there; for_owner: with other rights than the owner''s';

CREATE FUNCTION medchain_internal.is_captured(part regclass) RETURNS boolean
    LANGUAGE sql STABLE SET search_path = medchain, medchain_internal, pg_temp
AS $$
    SELECT EXISTS (
        SELECT FROM pg_trigger g
        WHERE g.tgrelid = $1 AND g.tgname = 'medchain_capture' AND g.tgenabled = 'A'
        AND g.tgfoid = 'medchain_internal.capture()'::regprocedure
        -- AFTER, and ROW, INSERT, DELETE, UPDATE: catalog/pg_trigger.h
        AND g.tgtype = 1 + 4 + 8 + 16 AND g.tgqual IS NULL AND g.tgattr = '')
$$;
COMMENT ON FUNCTION medchain_internal.is_captured(regclass) IS
    'internal: does every change of a row of this relation call capture()?';
