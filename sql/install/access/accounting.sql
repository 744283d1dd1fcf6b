/*
 * accounting.sql: who saw or changed what of an examinee's records, under which protocol, with
 * proofs; and what no protocol covered, on any chain.
 */

CREATE FUNCTION medchain_internal.uncovered(chain text DEFAULT NULL, first bigint DEFAULT NULL,
    last bigint DEFAULT NULL, OUT origin text, OUT seq bigint, OUT entry uuid, OUT kind text,
    OUT "time" timestamptz, OUT member text, OUT operation text, OUT relation text,
    OUT subject bytea, OUT reason text) RETURNS SETOF record
    LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'medchain_uncovered';
COMMENT ON FUNCTION medchain_internal.uncovered(text, bigint, bigint) IS
    'internal: accesses and changes that no protocol covered where they stand on the ledger; of '
    'all chains, or among these entries of one';

CREATE VIEW medchain.unauthorised AS
SELECT u.entry, u.origin AS holder, u.seq, u."time", u.member, u.kind, u.operation, u.relation,
       u.subject, s.identity, u.reason
FROM medchain_internal.uncovered() u
     LEFT JOIN medchain.subject_identity s ON s.pseudonym = u.subject;
COMMENT ON VIEW medchain.unauthorised IS
    'accesses to records, and changes of them, on any chain, that no protocol covered where they '
    'stand on the ledger: whoever holds the records (holder) let a member in without one, or names '
    'one that does not say so. Of accesses to records of several examinees those whose subjects '
    'are known here; identity where this database knows whom the pseudonym stands for';

CREATE FUNCTION medchain_internal.disclosed(pseudonym bytea, OUT entry uuid, OUT origin text,
    OUT seq bigint, OUT "time" timestamptz, OUT actor text, OUT role text, OUT kind text,
    OUT body jsonb, OUT place bigint, OUT protocol uuid, OUT version bigint)
    RETURNS SETOF record
    LANGUAGE sql STABLE SET search_path = medchain, medchain_internal, pg_temp
AS $$
    -- those about this examinee alone, on every chain
    SELECT e.id, e.origin, e.seq, e."time", e.actor, p.payload ->> 'role', e.kind,
           p.payload -> 'body', NULL::bigint, NULL::uuid, NULL::bigint
    FROM sealed e CROSS JOIN LATERAL (SELECT CASE WHEN entry_fault(e.payload) IS NULL
        THEN e.payload::jsonb ELSE '{}' END) p (payload)
    WHERE e.subject = $1 AND e.kind IN ('access', 'row.insert', 'row.update', 'row.delete')
    UNION ALL
    -- of this node's, those about several
    SELECT e.id, e.origin, e.seq, e."time", e.actor, e.payload::jsonb ->> 'role', e.kind,
           e.payload::jsonb -> 'body', r.place, r.protocol, r.version
    FROM reads_of($1) r JOIN sealed e ON e.id = r.entry AND e.kind = 'access'
        AND e.origin = (SELECT node FROM local_node)
    UNION ALL
    SELECT e.id, e.origin, e.seq, e."time", e.actor, e.payload::jsonb ->> 'role',
           'row.' || i.operation, e.payload::jsonb -> 'body', i.place, NULL, NULL
    FROM row_set_subject(row_bits($1), $1) i JOIN sealed e ON e.id = i.entry
        AND e.kind = 'row.set' AND e.origin = (SELECT node FROM local_node)
    WHERE i.operation <> 'baseline'
$$;
COMMENT ON FUNCTION medchain_internal.disclosed(bytea) IS
    'internal: accesses to, and changes of, the records of an examinee';

CREATE FUNCTION medchain.disclosures(subject text, since timestamptz DEFAULT NULL,
    until timestamptz DEFAULT NULL, summarised boolean DEFAULT false, OUT "time" timestamptz,
    OUT holder text, OUT member text, OUT recipient text, OUT role text, OUT end_user text,
    OUT address text, OUT operation text, OUT relation text, OUT purpose text, OUT basis text,
    OUT protocol uuid, OUT version bigint, OUT outcome text, OUT entry uuid, OUT number bigint,
    OUT last timestamptz)
    RETURNS SETOF record
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = medchain, medchain_internal, pg_temp
AS $$
    SELECT warn_of_absent();
    WITH line AS (
        SELECT d."time", d.origin AS holder, d.actor AS member, d.role, d.body ->> 'end_user'
                   AS end_user, d.body ->> 'address' AS address,
               coalesce(d.body ->> 'operation', substr(d.kind, 5)) AS operation,
               d.body ->> 'relation' AS relation, d.body ->> 'purpose' AS purpose,
               CASE WHEN d.version = -1 THEN 'break-glass' ELSE d.body ->> 'basis' END AS basis,
               coalesce(d.protocol, (d.body ->> 'protocol')::uuid,
                        (d.body ->> 'break_glass')::uuid) AS protocol,
               coalesce(nullif(d.version, -1), (d.body ->> 'version')::bigint) AS version,
               coalesce(d.body ->> 'outcome', 'changed') AS outcome, d.entry, d.origin, d.seq,
               d.place
        FROM disclosed(pseudonym($1)) d
        WHERE may_know(pseudonym($1)) AND ($2 IS NULL OR d."time" >= $2)
            AND ($3 IS NULL OR d."time" < $3)),
    counted AS (
        SELECT l.*, count(*) OVER w AS number, max(l."time") OVER w AS last,
               row_number() OVER (w ORDER BY l."time", l.origin COLLATE "C", l.seq, l.place) AS nth
        FROM line l
        WINDOW w AS (PARTITION BY CASE WHEN $4 THEN '' ELSE l.entry || ' ' || coalesce(l.place, 0)
            END, l.holder, l.member, l.role, l.end_user, l.address, l.operation, l.relation,
            l.purpose, l.basis, l.protocol, l.version, l.outcome))
    SELECT c."time", c.holder, c.member, (SELECT f.subject FROM member m
               CROSS JOIN LATERAL certificate_facts(m.certificate) f WHERE m.name = c.member),
           c.role, c.end_user, c.address, c.operation, c.relation, c.purpose, c.basis, c.protocol,
           c.version, c.outcome, c.entry, c.number, c.last
    FROM counted c WHERE c.nth = 1 ORDER BY c."time", c.origin COLLATE "C", c.seq, c.place
$$;
COMMENT ON FUNCTION medchain.disclosures(text, timestamptz, timestamptz, boolean) IS
    'the accounting of an examinee''s records (45 CFR 164.528; EHDS, Article 9): who has read or '
    'changed them, when (from since on, before until), where (holder), why, and under which '
    'protocol, or break-glass entry: on every chain what is about this examinee alone, of this '
    'node also what is about several. recipient: the subject of the member''s certificate. '
    'outcome: read, changed, or why nothing was shown. summarised: of like ones the first, their '
    'number, and the time of the last one';

CREATE FUNCTION medchain.disclosure_proof(entry uuid, subject text) RETURNS jsonb
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = medchain, medchain_internal, pg_temp
AS $$
DECLARE
    id CONSTANT bytea := pseudonym(disclosure_proof.subject);
    about record;
    leaves bytea[];
    line jsonb;
BEGIN
    IF NOT coalesce(may_know(id), false) THEN
        RETURN NULL;
    END IF;
    SELECT d.origin, d.kind, d.place INTO about FROM disclosed(id) d
        WHERE d.entry = disclosure_proof.entry ORDER BY d.place LIMIT 1;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    line := jsonb_build_object('subject', encode(id, 'hex'));
    IF about.place IS NOT NULL THEN
        IF about.kind <> 'access' THEN
            RAISE feature_not_supported USING
                MESSAGE = format('entry %s is about rows that were changed with many others',
                    disclosure_proof.entry),
                HINT = 'medchain.row_proof() proves each of these rows.';
        END IF;
        SELECT array_agg(l.leaf ORDER BY l.place) INTO leaves
            FROM read_set_leaves(disclosure_proof.entry) l;
        line := line || jsonb_build_object('leaf', encode(leaves[about.place + 1], 'hex'),
            'index', about.place, 'hashes',
            (SELECT p.hashes FROM leaf_paths(leaves, ARRAY[about.place]) p));
    END IF;
    RETURN receipt(disclosure_proof.entry, about.origin)
        || jsonb_build_object('type', 'disclosure_proof', 'disclosure', line);
END
$$;
COMMENT ON FUNCTION medchain.disclosure_proof(uuid, text) IS
    'proof of one line of disclosures(), for somebody who has no access to the database: the '
    'receipt of its entry and, of an access to records of several examinees, the inclusion of this '
    'one; medchain-verify checks it. Null if that entry is not about this examinee. Of rows that '
    'were changed with many others see row_proof()';
