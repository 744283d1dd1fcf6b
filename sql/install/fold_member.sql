/*
 * fold_member.sql: members, contracts, keys and certificates from the claims about them.
 *
 * In layers, so that nothing is judged before what it depends on: the data
 * centre's keys; its contracts; what else it says about members, which excludes
 * parts of their chains; countersignatures; ledgers, configured and with their
 * changes of key.  All of it anew each time: members are few.
 *
 * About names without schema: see authority.sql.
 */

CREATE FUNCTION medchain.member_kinds() RETURNS text[]
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN ARRAY['genesis', 'contract', 'acceptance', 'configure', 'suspend', 'reinstate',
        'expel', 'ending', 'rekey', 'crl'];
COMMENT ON FUNCTION medchain.member_kinds() IS 'internal: kinds of entries that are about members';

-- p_at: when it was presented, and is known to have been valid.  It ends with the first of the CAs
-- on its path then.
CREATE FUNCTION medchain.fold_certificate(p_member text, p_certificate text, p_at timestamptz,
    p_from bigint, p_origin text, p_seq bigint) RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    term tstzrange := (SELECT pg_catalog.tstzrange(max(p.not_before), min(p.not_after), '[]')
                       FROM medchain.certificate_path(p_certificate, medchain.genesis_anchors(),
                           p_at) p);
BEGIN
    INSERT INTO member_certificate (member, fingerprint, certificate, period, valid, from_seq,
        revoked, revoke_reason, cause_origin, cause_seq)
        SELECT p_member, f.fingerprint, p_certificate, term, term * pg_catalog.tstzrange(NULL,
            r.revoked), p_from, r.revoked, r.reason, p_origin, p_seq
        FROM medchain.certificate_facts(p_certificate) f,
            medchain.certificate_revocation(p_certificate) r
        ON CONFLICT (cause_origin, cause_seq) DO NOTHING;
END
$$;
COMMENT ON FUNCTION medchain.fold_certificate(text, text, timestamptz, bigint, text, bigint) IS
    'internal: a certificate that a member has from an entry of its chain on';

-- The keys of one chain, from the first on: each change has to follow the key that is in force
-- where it stands.
CREATE FUNCTION medchain.fold_keys(p_member text, p_key text) RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    c record;
    key text := p_key;
    verdict text;
BEGIN
    DELETE FROM ledger_key k WHERE k.member = p_member;
    INSERT INTO ledger_key (member, from_height, public_key) VALUES (p_member, 0, p_key);
    FOR c IN SELECT x.*, x.origin = p_member AS own, CASE WHEN x.origin = p_member THEN x.height
        ELSE (x.body -> 'last' ->> 'height')::bigint END + 1 AS from_height
             FROM claim x WHERE x.kind = 'rekey' AND x.about = p_member AND (x.origin = p_member
                 OR x.effective)
             ORDER BY from_height, own DESC, x.seq LOOP
        IF c.own THEN
            verdict := CASE WHEN c.body = '{}' THEN 'malformed entry'
                ELSE medchain.rekey_reason(c.origin, c.seq, c.body, c.time, key) END;
            UPDATE claim x SET effective = verdict IS NULL, reason = verdict
                WHERE x.origin = c.origin AND x.seq = c.seq
                AND (x.effective, x.reason) IS DISTINCT FROM (verdict IS NULL, verdict);
            CONTINUE WHEN verdict IS NOT NULL;
            -- what is excluded, or has somebody else's name on it, changes the key that blocks are
            -- signed with, and nobody's standing
            IF medchain.exclusion_reason(c.origin, c.seq, c.time) IS NULL
                AND medchain.certificate_is_of(c.body ->> 'certificate', p_member, NULL) THEN
                PERFORM medchain.fold_certificate(p_member, c.body ->> 'certificate', c.time,
                    c.seq, c.origin, c.seq);
            END IF;
        END IF;
        SELECT f.public_key INTO key FROM medchain.key_facts(c.body ->> 'public_key') f;
        INSERT INTO ledger_key (member, from_height, public_key, follows)
            VALUES (p_member, c.from_height, key, CASE WHEN NOT c.own
                THEN pg_catalog.decode(c.body -> 'last' ->> 'hash', 'hex') END)
            ON CONFLICT (member, from_height) DO UPDATE SET public_key = EXCLUDED.public_key,
                follows = EXCLUDED.follows;
    END LOOP;
END
$$;
COMMENT ON FUNCTION medchain.fold_keys(text, text) IS
    'internal: derive the keys of a chain, each from its height on';

-- The data centre: its certificate and keys, from its own chain.
CREATE FUNCTION medchain.fold_data_center() RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    g record;
BEGIN
    PERFORM medchain.fold_judge_kinds('{genesis}');
    SELECT c.* INTO g FROM claim c WHERE c.kind = 'genesis' AND c.effective;
    IF FOUND THEN
        PERFORM medchain.fold_certificate(g.origin, g.body ->> 'certificate', g.time, 0, g.origin,
            g.seq);
        PERFORM medchain.fold_keys(g.origin, (SELECT f.public_key
            FROM medchain.certificate_facts(g.body ->> 'certificate') f));
    END IF;
END
$$;
COMMENT ON FUNCTION medchain.fold_data_center() IS
    'internal: derive the data centre''s certificates and keys';

-- What has no effect of the chains of members who were suspended or expelled, or whose certificate
-- was revoked.
CREATE FUNCTION medchain.fold_exclusions() RETURNS void
    LANGUAGE plpgsql
AS $$
BEGIN
    DELETE FROM exclusion;
    INSERT INTO exclusion (member, cause, from_seq, to_seq, during, reason)
    SELECT c.about, c.seq, (c.body -> 'last' ->> 'size')::bigint, NULL,
        pg_catalog.tstzrange(c.time, NULL),
           pg_catalog.format('the member was expelled: its chain counts up to block %s',
               c.body -> 'last' ->> 'height')
    FROM claim c WHERE c.kind = 'expel' AND c.effective
    UNION ALL
    SELECT c.about, c.seq, (c.body -> 'last' ->> 'size')::bigint,
        (r.body -> 'last' ->> 'size')::bigint, pg_catalog.tstzrange(c.time, r.time),
           'the member was suspended'
    FROM claim c LEFT JOIN LATERAL (SELECT x.body, greatest(x.time, c.time) AS time FROM claim x
        WHERE x.kind = 'reinstate' AND x.effective
                                    AND x.about = c.about AND x.seq > c.seq ORDER BY x.seq
                                        LIMIT 1) r ON true
    WHERE c.kind = 'suspend' AND c.effective
    UNION ALL
    SELECT p.key, c.seq, (p.value ->> 'size')::bigint, (r.body -> 'last' ->> 'size')::bigint,
        'empty', 'the author''s certificate was revoked'
    -- the data centre cannot stop its own chain
    FROM claim c CROSS JOIN LATERAL pg_catalog.jsonb_each(c.body -> 'last') p
         LEFT JOIN LATERAL (SELECT x.body FROM claim x WHERE x.kind = 'rekey' AND x.effective
             AND x.origin = c.origin
                            AND x.about = p.key AND x.seq > c.seq ORDER BY x.seq LIMIT 1) r ON true
    WHERE c.kind = 'crl' AND c.effective AND p.key <> c.origin;
END
$$;
COMMENT ON FUNCTION medchain.fold_exclusions() IS
    'internal: derive which parts of chains have no effect';

CREATE FUNCTION medchain.fold_contracts() RETURNS void
    LANGUAGE plpgsql
AS $$
BEGIN
    DELETE FROM contract;
    -- an id names one contract: the data centre's second use of it is no contract
    INSERT INTO contract (id, member, kind, certificate, capabilities, valid, offered, offered_seq,
        accepted, accepted_seq, ended, ended_seq, ended_by, end_reason)
    SELECT DISTINCT ON (c.id) c.id, c.body ->> 'member', (c.body ->> 'kind')::medchain.member_kind,
        c.body ->> 'certificate',
           ARRAY(SELECT pg_catalog.jsonb_array_elements_text(c.body -> 'capabilities')),
               medchain.period_of(c.body -> 'valid'), c.time, c.seq,
           a.time, a.seq, e.time, e.point, e.origin, e.reason
    FROM claim c
         LEFT JOIN LATERAL (SELECT x.time, x.seq FROM claim x WHERE x.kind = 'acceptance'
             AND x.effective AND x.about = c.about
                            AND x.body ->> 'contract' = c.id::text ORDER BY x.seq LIMIT 1) a ON true
         LEFT JOIN LATERAL (SELECT x.time, x.origin, x.body ->> 'reason' AS reason,
                                   CASE WHEN x.origin = c.about THEN x.seq
                                       ELSE (x.body -> 'last' ->> 'size')::bigint END AS point
                            FROM claim x WHERE x.kind = 'ending' AND x.effective
                                AND x.about = c.about AND x.body ->> 'contract' = c.id::text
                            ORDER BY point, x.origin COLLATE "C", x.seq LIMIT 1) e ON true
    WHERE c.kind = 'contract' AND c.effective
    ORDER BY c.id, c.seq;
END
$$;
COMMENT ON FUNCTION medchain.fold_contracts() IS
    'internal: derive contracts from the claims about them';

-- Members by their newest countersigned contract, or the newest that was offered.
CREATE FUNCTION medchain.fold_members() RETURNS void
    LANGUAGE plpgsql
AS $$
BEGIN
    DELETE FROM member;
    INSERT INTO member (name, kind, certificate, fingerprint, contract, capabilities, valid,
        accepted, configured_by, takes_part)
    SELECT c.origin, 'data_center', c.body ->> 'certificate', f.fingerprint, c.id,
        medchain.default_capabilities('data_center'),
           pg_catalog.tstzrange(NULL, NULL), true, c.origin, true
    FROM claim c CROSS JOIN LATERAL medchain.certificate_facts(c.body ->> 'certificate') f
    WHERE c.kind = 'genesis' AND c.effective;

    INSERT INTO member (name, kind, certificate, fingerprint, contract, capabilities, valid,
        accepted, ended, takes_part)
    SELECT DISTINCT ON (k.member) k.member, k.kind, k.certificate, f.fingerprint, k.id,
        k.capabilities, k.valid, k.accepted IS NOT NULL, k.ended, false
    FROM contract k CROSS JOIN LATERAL medchain.certificate_facts(k.certificate) f
    ORDER BY k.member, k.accepted IS NULL, k.offered_seq DESC
    ON CONFLICT (name) DO NOTHING;
END
$$;
COMMENT ON FUNCTION medchain.fold_members() IS 'internal: derive members from their contracts';

-- Configure ledgers, one at a time in an order that does not depend on arrival; each may enable
-- further ones.  Times are their authors' word, so an end node could be before any other: a key for
-- which the CA vouches, in the member's contract, comes first.
CREATE FUNCTION medchain.fold_configurations() RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    c record;
BEGIN
    -- the first end node's ledger is configured by its contract; by the first one that was not
    -- taken back before it began
    FOR c IN SELECT k.member, f.public_key
        FROM contract k CROSS JOIN LATERAL medchain.certificate_facts(k.certificate) f
             WHERE k.kind = 'end_node' AND k.ended_seq IS DISTINCT FROM 0 ORDER BY k.offered_seq
                 LIMIT 1 LOOP
        PERFORM medchain.fold_keys(c.member, c.public_key);
        UPDATE member m SET configured_by = (SELECT n.data_center FROM medchain.local_node n)
            WHERE m.name = c.member;
    END LOOP;
    UPDATE claim SET effective = false WHERE kind = 'configure' AND effective;
    LOOP
        SELECT x.* INTO c FROM claim x JOIN member m ON m.name = x.about AND m.configured_by IS NULL
            WHERE x.kind = 'configure' AND medchain.authority_reason(x.origin, x.seq) IS NULL
            ORDER BY (SELECT min(k.offered_seq)
                FROM contract k CROSS JOIN LATERAL medchain.certificate_facts(k.certificate) f
                      CROSS JOIN LATERAL medchain.key_facts(x.body ->> 'public_key') y
                      WHERE k.member = x.about AND k.ended_seq IS DISTINCT
                          FROM 0 AND f.public_key = y.public_key) NULLS LAST,
                     x.time, x.origin COLLATE "C", x.seq LIMIT 1;
        EXIT WHEN NOT FOUND;
        PERFORM medchain.fold_keys(c.about, (SELECT f.public_key
            FROM medchain.key_facts(c.body ->> 'public_key') f));
        UPDATE member m SET configured_by = c.origin WHERE m.name = c.about;
        UPDATE claim x SET effective = true, reason = NULL WHERE x.origin = c.origin
            AND x.seq = c.seq;
    END LOOP;
    UPDATE claim x SET effective = false,
        reason = coalesce(medchain.authority_reason(x.origin, x.seq),
            'the ledger is configured already')
        WHERE x.kind = 'configure'
        AND NOT EXISTS (SELECT FROM claim w WHERE w.kind = 'configure' AND w.origin = x.origin
            AND w.seq = x.seq AND w.effective);

    UPDATE claim x SET effective = false, reason = 'only the data centre and the member itself '
        'change its key'
        WHERE x.kind = 'rekey' AND x.origin <> x.about AND x.origin <> (SELECT n.data_center
            FROM medchain.local_node n);
    UPDATE claim x SET effective = false, reason = 'the author''s ledger is not configured'
        WHERE x.kind = 'rekey' AND x.origin = x.about
        AND NOT EXISTS (SELECT FROM ledger_key k WHERE k.member = x.origin);
END
$$;
COMMENT ON FUNCTION medchain.fold_configurations() IS
    'internal: which configurations of ledgers count';

-- What of all this holds now, for sessions and views.
CREATE FUNCTION medchain.fold_present() RETURNS void
    LANGUAGE plpgsql
AS $$
BEGIN
    UPDATE member m SET certificate = c.certificate, fingerprint = c.fingerprint,
        revoked = c.revoked, valid = m.valid * c.valid
        FROM (SELECT DISTINCT ON (x.member) x.* FROM member_certificate x
              ORDER BY x.member, x.from_seq DESC NULLS LAST, x.cause_origin = x.member,
                  x.cause_seq DESC) c
        WHERE c.member = m.name;
    UPDATE member m SET ledger_key = k.public_key
        FROM (SELECT DISTINCT ON (x.member) x.member, x.public_key
            FROM ledger_key x ORDER BY x.member, x.from_height DESC) k WHERE k.member = m.name;
    UPDATE member m SET suspended = c.time, departure = c.body ->> 'reason'
        FROM claim c JOIN exclusion x ON x.cause = c.seq AND x.to_seq IS NULL
        WHERE c.kind = 'suspend' AND c.effective AND c.about = m.name AND x.member = m.name;
    UPDATE member m SET expelled = c.time, departure = c.body ->> 'reason',
        last_height = (c.body -> 'last' ->> 'height')::bigint,
        last_hash = pg_catalog.decode(c.body -> 'last' ->> 'hash', 'hex')
        FROM claim c WHERE c.kind = 'expel' AND c.effective AND c.about = m.name;
    UPDATE member m SET departure = coalesce(m.departure, (SELECT k.end_reason FROM contract k
        WHERE k.id = m.contract),
                                             (SELECT c.revoke_reason FROM member_certificate c
                                                 WHERE c.member = m.name
                                                     AND c.fingerprint = m.fingerprint LIMIT 1)),
        takes_part = m.accepted AND m.ledger_key IS NOT NULL AND m.ended IS NULL
            AND NOT EXISTS (SELECT FROM exclusion x WHERE x.member = m.name AND x.to_seq IS NULL);
END
$$;
COMMENT ON FUNCTION medchain.fold_present() IS 'internal: derive what holds for members now';

-- All that the standing of a member depends on, to see who changed.
CREATE FUNCTION medchain.fold_member_image() RETURNS jsonb
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN (SELECT pg_catalog.jsonb_object_agg(m.name,
        pg_catalog.jsonb_build_array(pg_catalog.to_jsonb(m),
        (SELECT pg_catalog.jsonb_agg(x ORDER BY x.cause) FROM exclusion x WHERE x.member = m.name),
        (SELECT pg_catalog.jsonb_agg(k ORDER BY k.id) FROM contract k WHERE k.member = m.name),
        (SELECT pg_catalog.jsonb_agg(k ORDER BY k.from_height) FROM ledger_key k
            WHERE k.member = m.name),
        (SELECT pg_catalog.jsonb_agg(c ORDER BY c.cause_origin COLLATE "C", c.cause_seq)
            FROM member_certificate c WHERE c.member = m.name))) FROM member m);
END
$$;
COMMENT ON FUNCTION medchain.fold_member_image() IS
    'internal: members with contracts, keys, certificates and exclusions';

-- Settle everything about members.  Returns those who changed.
CREATE FUNCTION medchain.fold_settle_members() RETURNS text[]
    LANGUAGE plpgsql
AS $$
DECLARE
    before jsonb := medchain.fold_member_image();
    after jsonb;
    accepted bigint;
    center text := (SELECT n.data_center FROM medchain.local_node n);
BEGIN
    DELETE FROM exclusion;
    DELETE FROM contract;
    DELETE FROM ledger_key;
    UPDATE claim SET effective = false WHERE kind IN ('acceptance', 'configure', 'crl')
        AND effective;

    -- what the data centre says is in one order, its own; once more when it is known whether its
    -- certificate was revoked
    FOR pass IN 1 .. 2 LOOP
        DELETE FROM member_certificate;
        PERFORM medchain.fold_data_center();
        PERFORM medchain.fold_judge_kinds('{contract, suspend, reinstate, expel}');
        PERFORM medchain.fold_judge(c.origin, c.seq) FROM (SELECT x.origin, x.seq FROM claim x
            WHERE x.kind = 'rekey' AND x.origin = center
                                                           AND x.about <> center
                                                               ORDER BY x.seq OFFSET 0) c;
        IF pass = 1 THEN
            -- may be signed by a CA that came with one of those
            PERFORM medchain.fold_judge_kinds('{crl}');
        END IF;
    END LOOP;
    PERFORM medchain.fold_exclusions();
    PERFORM medchain.fold_judge_kinds('{ending}');
    PERFORM medchain.fold_contracts();
    PERFORM medchain.fold_certificate(c.member, c.certificate, c.offered, NULL, center,
        c.offered_seq) FROM contract c ORDER BY c.offered_seq;
    PERFORM medchain.fold_certificate(c.about, c.body ->> 'certificate', c.time,
        (c.body -> 'last' ->> 'size')::bigint, c.origin, c.seq)
        FROM claim c WHERE c.kind = 'rekey' AND c.effective AND c.origin = center
            AND c.about <> center ORDER BY c.seq;

    -- a countersignature may be by a key that its ledger has got, and lets an end node configure
    -- ledgers
    LOOP
        PERFORM medchain.fold_members();
        PERFORM medchain.fold_configurations();
        accepted := (SELECT pg_catalog.count(*) FROM claim c WHERE c.kind = 'acceptance'
            AND c.effective);
        PERFORM medchain.fold_judge_kinds('{acceptance}');
        EXIT WHEN accepted = (SELECT pg_catalog.count(*) FROM claim c WHERE c.kind = 'acceptance'
            AND c.effective);
        PERFORM medchain.fold_contracts();
        UPDATE member_certificate x SET from_seq = k.accepted_seq FROM contract k
            WHERE x.cause_origin = center AND x.cause_seq = k.offered_seq;
    END LOOP;
    PERFORM medchain.fold_present();
    after := medchain.fold_member_image();
    RETURN ARRAY(SELECT coalesce(b.key, a.key)
                 FROM pg_catalog.jsonb_each(coalesce(before, '{}')) b
                     FULL JOIN pg_catalog.jsonb_each(coalesce(after, '{}')) a ON a.key = b.key
                 WHERE a.value IS DISTINCT FROM b.value);
END
$$;
COMMENT ON FUNCTION medchain.fold_settle_members() IS
    'internal: derive everything about members again; names of those who changed';

-- Keys of examinees, and policies about them, from this range or by registrars whose standing
-- changed; subjects that it is about.
CREATE FUNCTION medchain.fold_settle_examinees(p_origin text, p_first bigint, p_last bigint,
    p_changed text[]) RETURNS bytea[]
    LANGUAGE plpgsql
AS $$
DECLARE
    c record;
    touched bytea[] := '{}';
BEGIN
    FOR c IN SELECT x.origin, x.seq FROM claim x WHERE x.kind = 'policy'
             AND ((x.origin = p_origin AND x.seq BETWEEN p_first AND p_last)
                 OR x.origin = ANY (p_changed)) ORDER BY x.origin COLLATE "C", x.seq LOOP
        IF medchain.fold_judge(c.origin, c.seq) THEN
            touched := ARRAY(SELECT DISTINCT k.subject FROM examinee_key k);
        END IF;
    END LOOP;
    FOR c IN SELECT DISTINCT x.subject FROM claim x
        WHERE x.kind IN ('examinee_key', 'examinee_withdrawal') AND x.subject IS NOT NULL
             AND ((x.origin = p_origin AND x.seq BETWEEN p_first AND p_last)
                 OR x.origin = ANY (p_changed)) LOOP
        PERFORM medchain.fold_examinee(c.subject);
        touched := touched || c.subject;
    END LOOP;
    FOR c IN SELECT x.origin, x.seq FROM claim x
        WHERE x.kind IN ('examinee_key', 'examinee_withdrawal') AND x.subject IS NULL
             AND ((x.origin = p_origin AND x.seq BETWEEN p_first AND p_last)
                 OR x.origin = ANY (p_changed)) LOOP
        PERFORM medchain.fold_judge(c.origin, c.seq);
    END LOOP;
    RETURN touched;
END
$$;
COMMENT ON FUNCTION medchain.fold_settle_examinees(text, bigint, bigint, text[]) IS
    'internal: derive examinees'' keys again; subjects whose protocols have to be judged again';

CREATE FUNCTION medchain.fold_examinee(p_subject bytea) RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    c record;
    w record;
BEGIN
    DELETE FROM examinee_key k WHERE k.subject = p_subject;
    FOR c IN SELECT x.* FROM claim x WHERE x.subject = p_subject AND x.kind = 'examinee_withdrawal'
        ORDER BY x.origin COLLATE "C", x.seq LOOP
        PERFORM medchain.fold_judge(c.origin, c.seq);
    END LOOP;
    FOR c IN SELECT x.* FROM claim x WHERE x.subject = p_subject AND x.kind = 'examinee_key'
        ORDER BY x.origin COLLATE "C", x.seq LOOP
        PERFORM medchain.fold_judge(c.origin, c.seq);
        CONTINUE WHEN NOT (SELECT x.effective FROM claim x WHERE x.origin = c.origin
            AND x.seq = c.seq);
        -- the first withdrawal that the data centre made knowing of it
        SELECT x.time, x.body -> 'last' AS points INTO w FROM claim x WHERE x.subject = p_subject
            AND x.kind = 'examinee_withdrawal' AND x.effective
            AND (x.body -> 'last' -> c.origin ->> 'size')::bigint > c.seq ORDER BY x.seq LIMIT 1;
        INSERT INTO examinee_key (origin, seq, subject, public_key, registered, withdrawn,
            withdrawn_at)
            SELECT c.origin, c.seq, c.subject, f.public_key, c.time, w.time, w.points
                FROM medchain.key_facts(c.body ->> 'public_key') f;
    END LOOP;
END
$$;
COMMENT ON FUNCTION medchain.fold_examinee(bytea) IS 'internal: derive the keys of one examinee';
