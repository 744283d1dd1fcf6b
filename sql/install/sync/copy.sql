/*
 * copy.sql: what a copy of a node is kept from, and what can become of it.
 */

CREATE FUNCTION medchain_internal.guard_insert() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'medchain_guard_insert';
COMMENT ON FUNCTION medchain_internal.guard_insert() IS
    'trigger: refuse rows that medchain did not write, but for those of a dump that is restored '
    'into a database that is no node';

-- The four that are not here look at each row.
DO $$
DECLARE
    relation regclass;
BEGIN
    FOR relation IN SELECT c.oid FROM pg_catalog.pg_class c
             WHERE c.relnamespace = 'medchain'::regnamespace AND c.relkind = 'r'
             AND c.relname NOT IN ('pending', 'entry', 'block', 'tile') LOOP
        EXECUTE pg_catalog.format(
            'CREATE TRIGGER guard_insert BEFORE INSERT ON %s
             FOR EACH STATEMENT EXECUTE FUNCTION medchain_internal.guard_insert()', relation);
        EXECUTE pg_catalog.format('ALTER TABLE %s ENABLE ALWAYS TRIGGER guard_insert', relation);
    END LOOP;
END
$$;

CREATE FUNCTION medchain_internal.empty_tables() RETURNS void
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'medchain_empty_tables';
COMMENT ON FUNCTION medchain_internal.empty_tables() IS
    'internal: remove all that the ledger says here, as if no node had been founded';

-- Error where it can be seen that this is not all of the node, or not the only one.
CREATE FUNCTION medchain_internal.check_take_over(local medchain.local_node,
    without_peers boolean) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = medchain, medchain_internal, pg_temp
AS $$
DECLARE
    place CONSTANT text[] := string_to_array(local.home, '/');
    broken record;
    other text;
    own block;
    p peer;
    theirs jsonb;
    here_height bigint;
    here_hash bytea;
    asked int := 0;
    behind text;
    problem text;
BEGIN
    -- what a restore that failed half-way leaves
    SELECT o.origin, c.height, c.size, b.height AS blocks, e.entries INTO broken
        FROM (SELECT origin FROM chain UNION SELECT DISTINCT origin FROM block) o
        LEFT JOIN chain c ON c.origin = o.origin
        LEFT JOIN LATERAL (
            SELECT max(x.height) AS height FROM block x WHERE x.origin = o.origin) b ON true
        LEFT JOIN LATERAL (
            SELECT max(x.seq) + 1 AS entries FROM entry x WHERE x.origin = o.origin) e ON true
        WHERE (c.height, c.size) IS DISTINCT FROM (b.height, e.entries) LIMIT 1;
    IF FOUND THEN
        RAISE object_not_in_prerequisite_state USING
            MESSAGE = 'the ledger in this database is not complete',
            DETAIL = format('The chain of "%s" should have %s entries up to block %s, and has %s '
                            'up to block %s.',
                            broken.origin, coalesce(broken.size, 0), coalesce(broken.height, -1),
                            coalesce(broken.entries, 0), coalesce(broken.blocks, -1)),
            HINT = 'Restore it anew, into an empty database, and look at the first error.';
    END IF;
    SELECT d.datname INTO other FROM pg_database d
        WHERE d.oid::text = place[2] AND d.datname <> current_database()
        AND place[1] = split_part(here(), '/', 1);
    IF FOUND THEN
        RAISE object_in_use USING
            MESSAGE = format('database "%s" of this server is node "%s"', other, local.node),
            DETAIL = 'Two databases that sign with one key would contradict each other.',
            HINT = 'Drop that database first.';
    END IF;

    -- what peers have more comes back before anything is sealed; but who has nothing to go by
    -- could seal what contradicts them
    <<peers>>
    BEGIN
        EXIT peers WHEN without_peers OR NOT EXISTS (SELECT FROM peer);
        SELECT b.height, b.hash INTO here_height, here_hash FROM block b
            WHERE b.origin = local.node ORDER BY b.height DESC LIMIT 1;
        FOR p IN SELECT * FROM peer ORDER BY member COLLATE "C" LOOP
            BEGIN
                theirs := ask_for_own_chain(p.conninfo, local.node, coalesce(here_height, -1));
                asked := asked + 1;
            EXCEPTION WHEN connection_exception THEN
                problem := format('"%s" could not be asked what it has of the chain of "%s": %s',
                    p.member, local.node, SQLERRM);
                RAISE WARNING '%', problem;
                CONTINUE;
            END;
            IF sha256(convert_to(split_part(theirs ->> 'note', E'\n\n', 1) || E'\n', 'UTF8'))
                <> here_hash AND note_is_of(theirs ->> 'note', local.node, here_height) THEN
                RAISE object_not_in_prerequisite_state USING
                    MESSAGE = format('"%s" has another chain of the node "%s" than this copy',
                                     p.member, local.node),
                    DETAIL = format('Its block %s is another one, and signed with the same key.',
                                    here_height),
                    HINT = 'The data centre has to say which one counts, and to give the chain a '
                           'new key from there on: see medchain.rekey() (last_height).';
            END IF;
            IF (theirs ->> 'height')::bigint > coalesce(here_height, -1) THEN
                behind := concat_ws(', ', behind, format('"%s" (up to %s)', p.member,
                                                         theirs ->> 'height'));
            END IF;
        END LOOP;
        IF asked = 0 THEN
            RAISE object_not_in_prerequisite_state USING
                MESSAGE = format('no peer can be asked what it has of the chain of "%s"',
                                 local.node),
                DETAIL = problem || E'\nShould one have blocks that are not here, what is sealed '
                         'from now on would contradict them.',
                HINT = 'Try again when one of them can be reached. If it is certain that nobody '
                       'has more than is here: medchain.take_over(without_peers => true).';
        END IF;
        IF behind IS NOT NULL THEN
            RAISE NOTICE USING
                MESSAGE = format('this copy, with blocks up to %s, is older than the node "%s" '
                                 'itself was', coalesce(here_height, -1), local.node),
                DETAIL = format('These have more: %s. It is taken back before anything is sealed.',
                                behind),
                HINT = 'Rows of tables that those blocks tell of are not in them: see '
                       'medchain.verify_table().';
        END IF;
    END;
END
$$;
COMMENT ON FUNCTION medchain_internal.check_take_over(medchain.local_node, boolean) IS
    'internal: error where it can be seen that this copy is incomplete, that the node is still '
    'there, or that its peers know better and cannot say what; without_peers: they are not asked';

-- The ledger tables, as the node knew them, and as they are here.
CREATE FUNCTION medchain_internal.take_over_tables(other_version boolean) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = medchain, medchain_internal, pg_temp
        SET row_security = off
AS $$
DECLARE
    t row_table;
    after jsonb;
    is_edited boolean;
BEGIN
    FOR t IN SELECT * FROM row_table ORDER BY ledger_name COLLATE "C" LOOP
        is_edited := is_known_otherwise(t);
        -- a dump leaves out the columns that were dropped: the others are counted anew
        UPDATE row_column r SET number = a.attnum FROM pg_attribute a
            WHERE r.relation = t.relation AND a.attrelid = t.relation AND a.attname = r.attribute
            AND NOT a.attisdropped AND r.number <> a.attnum;
        UPDATE row_table x SET watched = t.relation WHERE x.relation = t.relation;
        INSERT INTO row_part (part, relation, name)
            SELECT p, t.relation, p::text FROM table_and_partitions(t.relation) p
            ON CONFLICT (part) DO NOTHING;
        after := row_description(t.relation);
        IF other_version THEN
            -- another version may write a definition in other words
            UPDATE row_table x SET description = (
                SELECT jsonb_object_agg(d.key,
                           CASE WHEN d.key ~ '^(definition of|rule|partition) '
                                THEN coalesce(after -> d.key, d.value) ELSE d.value END)
                FROM jsonb_each(only_object(x.description)) d) WHERE x.relation = t.relation;
            IF NOT is_edited AND is_known_otherwise(t) THEN
                PERFORM append_raw('table.alter', (jsonb_build_object('relation', t.ledger_name,
                    'command', 'take_over()', 'changes', '[]'::jsonb)
                    || row_state(t.relation))::text, NULL, false);
            END IF;
        END IF;
        PERFORM observe_table(t.relation, 'take_over()', false, '{}');
        PERFORM describe_row_table(t.relation);
    END LOOP;
END
$$;
COMMENT ON FUNCTION medchain_internal.take_over_tables(boolean) IS
    'internal: put on the ledger what became of ledger tables on the way into this database; '
    'other_version: of PostgreSQL';

CREATE FUNCTION medchain.take_over(without_peers boolean DEFAULT false) RETURNS void
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER
        SET search_path = medchain, medchain_internal, pg_temp
AS $$
DECLARE
    local local_node;
    sequence record;
    unconnected text;
BEGIN
    PERFORM require_writable();
    SELECT * INTO local FROM local_node FOR UPDATE;
    IF NOT FOUND THEN
        PERFORM require_home();
    ELSIF at_home() THEN
        IF take_over.without_peers AND recovering() THEN
            PERFORM begin_recovery(without_peers => true);
            UPDATE local_node SET timeline = timeline();
            PERFORM append_raw('member.take_over', jsonb_build_object('height',
                (SELECT c.height FROM chain c WHERE c.origin = local.node),
                'without_peers', true)::text, NULL, true);
        ELSE
            RAISE NOTICE 'this database is node "%" already', local.node;
        END IF;
        RETURN;
    ELSIF local.home = 'private' THEN
        RAISE object_not_in_prerequisite_state USING
            MESSAGE = format('this database is a private copy of node "%s"', local.node),
            DETAIL = 'What was read in it is on no ledger.',
            HINT = 'Restore the backup anew, and call medchain.take_over() there.';
    END IF;
    PERFORM check_take_over(local, coalesce(take_over.without_peers, false));
    PERFORM begin_recovery(coalesce(take_over.without_peers, false));
    UPDATE local_node SET home = here(),
        timeline = CASE WHEN take_over.without_peers THEN timeline() END;

    -- numbers of what came with a dump are not given again
    FOR sequence IN SELECT d.objid::regclass AS name, d.refobjid::regclass AS relation, a.attname
             FROM pg_depend d JOIN pg_class c ON c.oid = d.objid AND c.relkind = 'S'
             JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
             WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass
             AND c.relnamespace = 'medchain'::regnamespace LOOP
        EXECUTE format('SELECT setval(%L, greatest(nextval(%1$L), (SELECT max(%I) FROM %s)))',
                       sequence.name, sequence.attname, sequence.relation);
    END LOOP;

    -- pg_dump knows of the publications, and not that our tables are in them
    IF (SELECT count(*) FROM pg_publication_tables t
        WHERE t.pubname = 'medchain' AND t.schemaname = 'medchain') <> 2 THEN
        PERFORM renew_publications();
    END IF;
    PERFORM append_raw('member.take_over', jsonb_strip_nulls(jsonb_build_object('height',
        (SELECT c.height FROM chain c WHERE c.origin = local.node),
        'without_peers', nullif(take_over.without_peers, false)))::text, NULL, true);
    PERFORM take_over_roles();
    PERFORM take_over_tables(
        split_part(local.home, '/', 3) IS DISTINCT FROM split_part(here(), '/', 3));

    SELECT string_agg(format('%L', p.member), ', ' ORDER BY p.member COLLATE "C") INTO unconnected
        FROM peer p
        WHERE NOT EXISTS (SELECT FROM pg_subscription s
                          WHERE s.subname = p.subscription AND s.subenabled AND s.subdbid = (
                              SELECT d.oid FROM pg_database d
                              WHERE d.datname = current_database()));
    IF unconnected IS NOT NULL THEN
        RAISE NOTICE USING
            MESSAGE = format('this database is node "%s" now, and follows nobody yet', local.node),
            HINT = format('SELECT medchain.resync(m) FROM unnest(ARRAY[%s]) m;', unconnected);
    END IF;
END
$$;
COMMENT ON FUNCTION medchain.take_over(boolean) IS
    'this database, a copy of a node, is the node from now on: after a restore, once the old one '
    'is gone, and after pg_upgrade. What peers have more of its chain is taken back before '
    'anything is sealed. Refused where the node is still there, or no peer can be asked; '
    'without_peers => true: they are not, also where a node waits for them after a start';

CREATE FUNCTION medchain_internal.drop_subscriptions() RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = medchain, medchain_internal, pg_temp
AS $$
DECLARE
    subscription name;
BEGIN
    FOR subscription IN SELECT s.subname FROM pg_subscription s
             JOIN peer p ON p.subscription = s.subname
             WHERE s.subdbid = (SELECT d.oid FROM pg_database d
                                WHERE d.datname = current_database()) LOOP
        -- its slot is the node's
        PERFORM drop_subscription(subscription);
        RAISE LOG 'medchain: subscription "%" of the node that this is a copy of is removed',
            subscription;
    END LOOP;
END
$$;
COMMENT ON FUNCTION medchain_internal.drop_subscriptions() IS
    'internal: in a copy: drop the subscriptions of the node, without their slots';

CREATE FUNCTION medchain.detach_copy(keep_ledger boolean DEFAULT true) RETURNS void
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER
        SET search_path = medchain, medchain_internal, pg_temp
AS $$
DECLARE
    local local_node;
    tables text := (SELECT string_agg(t.relation::text, ', ' ORDER BY t.ledger_name COLLATE "C")
                    FROM row_table t);
BEGIN
    PERFORM require_writable();
    SELECT * INTO local FROM local_node FOR UPDATE;
    IF NOT FOUND THEN
        PERFORM require_home();
    ELSIF at_home() THEN
        RAISE object_not_in_prerequisite_state USING
            MESSAGE = format('this database is node "%s" itself', local.node),
            HINT = 'Call medchain.leave_alliance(), if it is to be one no more.';
    END IF;
    PERFORM drop_subscriptions();
    DROP PUBLICATION IF EXISTS medchain;
    PERFORM drop_relays();
    IF coalesce(detach_copy.keep_ledger, true) THEN
        UPDATE local_node SET home = 'private';
        RETURN;
    END IF;
    PERFORM empty_tables();
    IF tables IS NOT NULL THEN
        RAISE NOTICE USING
            MESSAGE = format('tables that were on the ledger keep its triggers and policies: %s',
                             tables),
            HINT = 'Call medchain.unprotect() or medchain.end_ledger_table() to use them freely.';
    END IF;
END
$$;
COMMENT ON FUNCTION medchain.detach_copy(boolean) IS
    'this database, a copy of a node, is a private one from now on: it can be read, verified and '
    'exported, protected tables under row-level security, and never becomes the node; '
    'keep_ledger => false: it is for something else, and the ledger in it is removed. The node and '
    'its slots at its peers are left alone either way. Protected tables stay closed until '
    'unprotect()';
