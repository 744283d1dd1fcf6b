/*
 * fold.sql: from entries to state.
 *
 * Chains arrive in any order relative to each other, and every node has to derive
 * the same state, so the state is a function of the set of claims: whenever something
 * becomes known, whatever depends on it is judged again.  Members are derived
 * anew from their claims each time (there are few); protocols one by one.
 *
 * About names without schema: see authority.sql.
 */

CREATE FUNCTION medchain.fold_claim(p_origin text, p_seq bigint) RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    e record;
    b record;
    body jsonb;
    opened record;
    exact boolean;
BEGIN
    SELECT * INTO STRICT e FROM entry x WHERE x.origin = p_origin AND x.seq = p_seq;
    exact := e.kind = ANY (medchain.member_kinds());
    SELECT x.height, x.sealed INTO b FROM medchain.block x WHERE x.origin = p_origin
        AND x.size > p_seq ORDER BY x.size, x.height LIMIT 1;
    IF NOT FOUND THEN
        RETURN;     -- in no block: verify() says so itself
    END IF;
    body := medchain.object_or_null(medchain.entry_body(e.payload), exact);
    IF e.kind IN ('contract', 'protocol', 'amendment', 'rekey', 'examinee_key') THEN
        SELECT * INTO opened FROM medchain.open_envelope(body, NULL, 'application/vnd.medchain.'
            || CASE e.kind WHEN 'amendment' THEN 'protocol' WHEN 'examinee_key' THEN 'examinee'
                ELSE e.kind END || '+json');
        body := medchain.object_or_null(opened.payload, exact);
    END IF;
    -- what some programs take otherwise than others says nothing
    body := coalesce(body, '{}');
    INSERT INTO claim (origin, seq, id, kind, "time", height, sealed, about, subject, body,
        effective, reason)
    VALUES (e.origin, e.seq, e.id, e.kind, e.time, b.height, b.sealed,
            -- no name is as long as that, and an index takes no longer ones
            pg_catalog.left(coalesce(CASE e.kind
                WHEN 'acceptance' THEN e.origin
                WHEN 'protocol' THEN e.id::text
                WHEN 'amendment' THEN body ->> 'protocol'
                WHEN 'revocation' THEN body ->> 'protocol'
                WHEN 'note' THEN body ->> 'protocol'
                WHEN 'bind_role' THEN body ->> 'role'
                WHEN 'policy' THEN body ->> 'policy'
                WHEN 'examinee_key' THEN body ->> 'subject'
                WHEN 'examinee_withdrawal' THEN pg_catalog.encode(e.subject, 'hex')
                ELSE body ->> 'member' END, ''), 100),
            e.subject, body, false, 'not judged yet')
    ON CONFLICT (origin, seq) DO NOTHING;
END
$$;
COMMENT ON FUNCTION medchain.fold_claim(text, bigint) IS 'internal: make a claim of an entry';

-- Judge one claim again; true if the judgement changed.
CREATE FUNCTION medchain.fold_judge(p_origin text, p_seq bigint) RETURNS boolean
    LANGUAGE plpgsql
AS $$
DECLARE
    verdict text := medchain.authority_reason(p_origin, p_seq);
BEGIN
    UPDATE claim c SET effective = verdict IS NULL, reason = verdict
        WHERE c.origin = p_origin AND c.seq = p_seq
        AND (c.effective IS DISTINCT FROM (verdict IS NULL) OR c.reason IS DISTINCT FROM verdict);
    RETURN FOUND;
END
$$;
COMMENT ON FUNCTION medchain.fold_judge(text, bigint) IS
    'internal: judge a claim again; did the judgement change?';

CREATE FUNCTION medchain.fold_judge_kinds(p_kinds text[], p_origin text DEFAULT NULL) RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    c record;
BEGIN
    FOR c IN SELECT x.origin, x.seq FROM claim x WHERE x.kind = ANY (p_kinds)
        AND x.origin = coalesce(p_origin, x.origin)
             ORDER BY x.origin COLLATE "C", x.seq LOOP
        PERFORM medchain.fold_judge(c.origin, c.seq);
    END LOOP;
END
$$;
COMMENT ON FUNCTION medchain.fold_judge_kinds(text[], text) IS
    'internal: judge all claims of these kinds again, in the order of each chain';

-- State of one protocol from its claims.
CREATE FUNCTION medchain.fold_protocol(p_about text) RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    base record;
    terms jsonb;
    term tstzrange;
    ending record;
BEGIN
    IF p_about !~ '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$' THEN
        RETURN;
    END IF;
    DELETE FROM protocol p WHERE p.id = p_about::uuid;
    DELETE FROM protocol_grant g WHERE g.protocol = p_about::uuid;
    DELETE FROM data_index d WHERE d.protocol = p_about::uuid;
    SELECT c.* INTO base FROM claim c WHERE c.about = p_about AND c.kind = 'protocol'
        AND c.effective;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    SELECT c.body INTO terms FROM claim c WHERE c.about = p_about
        AND c.kind IN ('protocol', 'amendment') AND c.effective
        ORDER BY c.seq DESC LIMIT 1;
    SELECT c.time, c.origin, c.body ->> 'reason' AS reason INTO ending FROM claim c
        WHERE c.about = p_about AND c.kind = 'revocation' AND c.effective
        ORDER BY c.time, c.origin COLLATE "C", c.seq LIMIT 1;
    term := medchain.period_of(terms -> 'valid');
    INSERT INTO protocol (id, issuer, subject, protocol_text, valid, issued, revoked, revoked_by,
        revoke_reason)
        VALUES (base.id, base.origin, base.subject, terms ->> 'text', term, base.time, ending.time,
            ending.origin, ending.reason);
    INSERT INTO protocol_grant (protocol, ordinal, subject, grantee, operations, purpose, records,
        valid)
        SELECT base.id, g.ordinality, base.subject, g.value ->> 'grantee',
               ARRAY(SELECT pg_catalog.jsonb_array_elements_text(g.value -> 'operations')),
                   g.value ->> 'purpose',
               CASE WHEN g.value ? 'records' THEN
                   ARRAY(SELECT pg_catalog.jsonb_array_elements_text(g.value -> 'records')) END,
               medchain.period_of(g.value -> 'valid') * term
        FROM pg_catalog.jsonb_array_elements(terms -> 'grants') WITH ORDINALITY g;
    INSERT INTO data_index (protocol, ordinal, subject, holder, relation, key)
        SELECT base.id, d.ordinality, base.subject, d.value ->> 'holder', d.value ->> 'relation',
            d.value -> 'key'
        FROM pg_catalog.jsonb_array_elements(terms -> 'data_index') WITH ORDINALITY d;
END
$$;
COMMENT ON FUNCTION medchain.fold_protocol(text) IS
    'internal: derive a protocol, its grants and data index from the claims about it';

-- Judge everything about one protocol again, in the order of dependence.
CREATE FUNCTION medchain.fold_settle_protocol(p_about text) RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    c record;
BEGIN
    FOR c IN SELECT x.origin, x.seq FROM claim x
        WHERE x.about = p_about AND x.kind IN ('protocol', 'amendment', 'revocation', 'note')
        ORDER BY pg_catalog.array_position(ARRAY['protocol', 'amendment', 'revocation', 'note'],
            x.kind), x.origin COLLATE "C", x.seq
    LOOP
        PERFORM medchain.fold_judge(c.origin, c.seq);
    END LOOP;
    PERFORM medchain.fold_protocol(p_about);
END
$$;
COMMENT ON FUNCTION medchain.fold_settle_protocol(text) IS
    'internal: judge all claims about a protocol again and derive it';

-- Bindings of roles are of effect on their own node alone.  An entry names those that end with it;
-- one that does not say so ends what the name was bound to.
CREATE FUNCTION medchain.fold_settle_roles(p_origin text, p_first bigint, p_last bigint,
    p_gone boolean) RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    c record;
    is_own CONSTANT boolean := p_origin = (SELECT n.node FROM medchain.local_node n);
BEGIN
    IF is_own AND p_gone THEN
        DELETE FROM role_binding;
    END IF;
    FOR c IN SELECT x.seq, x.id, x.about, x.body FROM claim x WHERE x.origin = p_origin
        AND x.seq BETWEEN p_first AND p_last AND x.kind = 'bind_role' ORDER BY x.seq LOOP
        PERFORM medchain.fold_judge(p_origin, c.seq);
        CONTINUE WHEN NOT is_own;
        DELETE FROM role_binding b WHERE CASE WHEN c.body ? 'replaces'
            THEN c.body -> 'replaces' @> pg_catalog.to_jsonb(b.entry)
            ELSE b.role = c.about END;
        INSERT INTO role_binding (role, member, seq, entry)
            SELECT c.about, c.body ->> 'member', c.seq, c.id
            WHERE c.body ->> 'member' IS NOT NULL
            ON CONFLICT (entry) DO NOTHING;
    END LOOP;
END
$$;
COMMENT ON FUNCTION medchain.fold_settle_roles(text, bigint, bigint, boolean) IS
    'internal: derive which roles of this node act for whom';

-- Derive what depends on the claims of one chain in a range, or on members who changed by them, or
-- by claims that are gone.
CREATE FUNCTION medchain.fold_settle(p_origin text, p_first bigint, p_last bigint, p_gone boolean
    DEFAULT false) RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    c record;
    changed text[] := '{}';
    touched bytea[];
    protocols text[];
    subjects bytea[];
BEGIN
    IF p_gone OR EXISTS (SELECT FROM claim x WHERE x.origin = p_origin AND x.seq BETWEEN p_first
        AND p_last AND x.kind = ANY (medchain.member_kinds())) THEN
        changed := medchain.fold_settle_members();
    END IF;
    touched := medchain.fold_settle_examinees(p_origin, p_first, p_last, changed);

    -- what the range is about, and what members say whose standing changed
    SELECT pg_catalog.array_agg(DISTINCT x.about),
        pg_catalog.array_agg(DISTINCT x.subject) FILTER (WHERE x.kind = 'protocol')
        INTO protocols, subjects FROM claim x
        WHERE x.kind IN ('protocol', 'amendment', 'revocation', 'note')
        AND ((x.origin = p_origin AND x.seq BETWEEN p_first AND p_last) OR x.origin = ANY (changed)
            OR x.subject = ANY (touched));
    FOR c IN SELECT x.about FROM pg_catalog.unnest(protocols) x(about) LOOP
        PERFORM medchain.fold_settle_protocol(c.about);
    END LOOP;

    -- an end node's right to revoke comes from a protocol of its own for the same subject, which
    -- may be among these, and have gained or lost its effect
    FOR c IN SELECT DISTINCT r.about FROM claim r JOIN claim p ON p.about = r.about
        AND p.kind = 'protocol'
             WHERE r.kind = 'revocation' AND r.origin <> p.origin AND p.subject = ANY (subjects)
                 LOOP
        PERFORM medchain.fold_settle_protocol(c.about);
    END LOOP;

    PERFORM medchain.fold_settle_roles(p_origin, p_first, p_last, p_gone);
END
$$;
COMMENT ON FUNCTION medchain.fold_settle(text, bigint, bigint, boolean) IS
    'internal: derive the state that depends on this range of claims';

CREATE FUNCTION medchain.fold_claims(p_origin text, p_first bigint, p_last bigint) RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    e record;
BEGIN
    FOR e IN SELECT x.seq FROM entry x WHERE x.origin = p_origin AND x.seq BETWEEN p_first
        AND p_last
             AND x.kind = ANY (medchain.fold_kinds()) ORDER BY x.seq LOOP
        PERFORM medchain.fold_claim(p_origin, e.seq);
    END LOOP;
END
$$;
COMMENT ON FUNCTION medchain.fold_claims(text, bigint, bigint) IS
    'internal: make claims of the governance entries in this range';

CREATE FUNCTION medchain.lock_fold() RETURNS void
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'medchain_lock_fold';
COMMENT ON FUNCTION medchain.lock_fold() IS
    'internal: until the end of the transaction nobody else folds; readers are not disturbed';

-- Blocks of a chain were taken back (chain_cut.c): so is what they said.
CREATE FUNCTION medchain.fold_forget(p_origin text, p_first bigint) RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    protocols text[];
    subjects bytea[];
    c record;
BEGIN
    PERFORM medchain.lock_fold();
    SELECT pg_catalog.array_agg(DISTINCT x.about) FILTER (WHERE x.kind IN ('protocol', 'amendment',
        'revocation', 'note')),
           pg_catalog.array_agg(DISTINCT x.subject) FILTER (WHERE x.subject IS NOT NULL)
        INTO protocols, subjects FROM claim x WHERE x.origin = p_origin AND x.seq >= p_first;
    DELETE FROM claim x WHERE x.origin = p_origin AND x.seq >= p_first;
    PERFORM medchain.fold_settle(p_origin, 0, 9223372036854775807, true);
    FOR c IN SELECT x.about FROM pg_catalog.unnest(protocols) x(about)
             UNION SELECT x.about FROM claim x WHERE x.kind = 'protocol'
                 AND x.subject = ANY (subjects) LOOP
        PERFORM medchain.fold_settle_protocol(c.about);
    END LOOP;
END
$$;
COMMENT ON FUNCTION medchain.fold_forget(text, bigint) IS
    'internal: the state without the entries of that chain from this one on';

CREATE FUNCTION medchain.fold_entries(p_origin text, p_first bigint, p_last bigint) RETURNS void
    LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM medchain.lock_fold();
    PERFORM medchain.fold_claims(p_origin, p_first, p_last);
    PERFORM medchain.fold_settle(p_origin, p_first, p_last);
END
$$;
COMMENT ON FUNCTION medchain.fold_entries(text, bigint, bigint) IS
    'internal: fold the governance entries of this range into the state';

CREATE FUNCTION medchain.fold_tables() RETURNS text[]
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN ARRAY['claim', 'member', 'contract', 'ledger_key', 'member_certificate',
        'exclusion', 'examinee_key',
                       'protocol', 'protocol_grant', 'data_index', 'role_binding'];
COMMENT ON FUNCTION medchain.fold_tables() IS 'tables that the fold derives';

-- Everything the fold derives from and to, as rows of jsonb, seen at one moment.
CREATE FUNCTION medchain.fold_image() RETURNS TABLE (relation text, origin text, key text,
    content jsonb)
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN QUERY
    SELECT 'claim', c.origin, c.seq::text, pg_catalog.to_jsonb(c) FROM claim c
    UNION ALL SELECT 'member', (SELECT n.data_center FROM medchain.local_node n), m.name,
        pg_catalog.to_jsonb(m) FROM member m
    UNION ALL SELECT 'contract', (SELECT n.data_center FROM medchain.local_node n), k.id::text,
        pg_catalog.to_jsonb(k) FROM contract k
    UNION ALL SELECT 'protocol', p.issuer, p.id::text, pg_catalog.to_jsonb(p) FROM protocol p
    UNION ALL SELECT 'protocol_grant', coalesce(p.issuer, (SELECT n.node
        FROM medchain.local_node n)), g.protocol || ', grant ' || g.ordinal, pg_catalog.to_jsonb(g)
        FROM protocol_grant g LEFT JOIN protocol p ON p.id = g.protocol
    UNION ALL SELECT 'data_index', coalesce(p.issuer, (SELECT n.node FROM medchain.local_node n)),
        d.protocol || ', record ' || d.ordinal, pg_catalog.to_jsonb(d)
        FROM data_index d LEFT JOIN protocol p ON p.id = d.protocol
    UNION ALL SELECT 'ledger_key', k.member, k.member || ' from block ' || k.from_height,
        pg_catalog.to_jsonb(k) FROM ledger_key k
    UNION ALL SELECT 'member_certificate', c.member, c.cause_origin || ', entry ' || c.cause_seq,
        pg_catalog.to_jsonb(c) FROM member_certificate c
    UNION ALL SELECT 'exclusion', x.member, 'entry ' || x.cause, pg_catalog.to_jsonb(x)
        FROM exclusion x
    UNION ALL SELECT 'examinee_key', k.origin, 'entry ' || k.seq, pg_catalog.to_jsonb(k)
        FROM examinee_key k
    UNION ALL SELECT 'role_binding', (SELECT n.node FROM medchain.local_node n),
        b.role || ', entry ' || b.entry, pg_catalog.to_jsonb(b) FROM role_binding b;
END
$$;
COMMENT ON FUNCTION medchain.fold_image() IS 'internal: the whole state as rows, for comparison';

CREATE FUNCTION medchain.fold_faults() RETURNS TABLE (origin text, detail text)
    LANGUAGE plpgsql VOLATILE SET search_path = medchain, pg_temp SET client_min_messages = warning
AS $$
#variable_conflict use_column
DECLARE
    name text;
    chain_origin text;
    key_status CONSTANT text := medchain.pseudonym_status();
BEGIN
    FOREACH name IN ARRAY medchain.fold_tables() || '{entry, medchain_image}' LOOP
        IF pg_catalog.to_regclass('pg_temp.' || name) IS NOT NULL THEN
            RAISE duplicate_table USING
                MESSAGE = pg_catalog.format('verification needs the name of your temporary table '
                    '"%s"', name),
                HINT = 'Drop it, or verify in another session.';
        END IF;
    END LOOP;

    -- One statement, hence one moment: the live state, and the entries it comes from.
    CREATE TEMP TABLE medchain_image ON COMMIT DROP AS
        SELECT i.relation, i.origin, i.key, i.content FROM medchain.fold_image() i
        UNION ALL
        SELECT 'entry', e.origin, e.seq::text, pg_catalog.to_jsonb(e) FROM medchain.entry e
            WHERE e.kind = ANY (medchain.fold_kinds()) AND e.seq >= 0;

    -- From here on the fold's names mean the copies.  (A new path also makes every cached plan be
    -- made anew.)
    PERFORM pg_catalog.set_config('search_path', 'pg_temp, medchain', true);
    FOREACH name IN ARRAY medchain.fold_tables() || '{entry}' LOOP
        EXECUTE pg_catalog.format('CREATE TEMP TABLE %I (LIKE medchain.%I INCLUDING INDEXES) ON '
            'COMMIT DROP', name, name);
    END LOOP;
    INSERT INTO pg_temp.entry
        SELECT x.* FROM medchain_image i, pg_catalog.jsonb_populate_record(NULL::medchain.entry,
            i.content) x WHERE i.relation = 'entry';
    ANALYZE pg_temp.entry;

    -- all claims first, so that members are settled before what they say, and nothing is judged
    -- twice
    FOR chain_origin IN SELECT DISTINCT e.origin FROM pg_temp.entry e LOOP
        PERFORM medchain.fold_claims(chain_origin, 0, 9223372036854775807);
    END LOOP;
    ANALYZE pg_temp.claim;
    PERFORM medchain.fold_settle_members();
    FOR chain_origin IN SELECT DISTINCT c.origin FROM pg_temp.claim c LOOP
        PERFORM medchain.fold_settle(chain_origin, 0, 9223372036854775807);
    END LOOP;

    -- in an order that neither plans nor collations decide
    RETURN QUERY
    SELECT f.origin, f.detail FROM (
        SELECT coalesce(l.origin, r.origin) AS origin,
               CASE WHEN r.key IS NULL
                    THEN pg_catalog.format('%s %s: the ledger knows nothing of this row',
                                           l.relation, l.key)
                    WHEN l.key IS NULL
                    THEN pg_catalog.format('%s %s: row is missing', r.relation, r.key)
                    ELSE pg_catalog.format('%s %s: %s', l.relation, l.key, (
                        SELECT pg_catalog.string_agg(
                            pg_catalog.format('column %s is %s, by the ledger %s',
                                coalesce(a.key, b.key),
                                pg_catalog.left(coalesce(a.value::text, 'missing'), 100),
                                pg_catalog.left(coalesce(b.value::text, 'missing'), 100)),
                            '; ' ORDER BY coalesce(a.key, b.key) COLLATE "C")
                        FROM pg_catalog.jsonb_each(l.content) a
                             FULL JOIN pg_catalog.jsonb_each(r.content) b ON a.key = b.key
                        WHERE a.value IS DISTINCT FROM b.value)) END AS detail
        FROM (SELECT * FROM medchain_image i WHERE i.relation <> 'entry') l
             FULL JOIN (SELECT * FROM medchain.fold_image()) r
                ON r.relation = l.relation AND r.key = l.key AND r.origin = l.origin
        WHERE l.content IS DISTINCT FROM r.content
        UNION ALL
        -- not folded, but it decides whose rows a grant opens
        SELECT n.node, pg_catalog.format(
            'subject_identity %s: this is not the pseudonym of the identity',
            pg_catalog.encode(s.pseudonym, 'hex'))
        FROM medchain.subject_identity s CROSS JOIN medchain.local_node n
        WHERE CASE WHEN key_status = 'fine'
                   THEN medchain.pseudonym(s.identity) <> s.pseudonym END
        UNION ALL
        -- nor is it the ledger that knows which role a name was
        SELECT n.node, b.fault FROM medchain.bound_role_faults() b CROSS JOIN medchain.local_node n
        UNION ALL
        SELECT n.node, pg_catalog.format('no pseudonym can be compared: %s', key_status)
        FROM medchain.local_node n
        WHERE key_status <> 'fine'
            AND pg_catalog.current_setting('medchain.pseudonym_key_file') <> '') f
    ORDER BY f.origin COLLATE "C", f.detail COLLATE "C";

    FOREACH name IN ARRAY medchain.fold_tables() || '{entry, medchain_image}' LOOP
        EXECUTE pg_catalog.format('DROP TABLE pg_temp.%I', name);
    END LOOP;
END
$$;
COMMENT ON FUNCTION medchain.fold_faults() IS
    'internal: fold the whole ledger again, aside, and tell where the state differs';
