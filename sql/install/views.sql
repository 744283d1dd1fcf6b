/*
 * views.sql: what there is to look at.
 */

CREATE VIEW medchain.alliance AS
SELECT n.alliance, n.node, m.kind, n.data_center, encode(n.genesis_hash, 'hex') AS genesis,
       (SELECT count(*) FROM medchain.member) AS members
FROM medchain.local_node n LEFT JOIN medchain.member m ON m.name = n.node;
COMMENT ON VIEW medchain.alliance IS 'the alliance, and which node of it this database is';

CREATE VIEW medchain.members AS
SELECT m.name AS member, m.kind,
       CASE WHEN m.expelled IS NOT NULL THEN 'expelled' WHEN m.ended IS NOT NULL THEN 'ended'
           WHEN m.suspended IS NOT NULL THEN 'suspended'
            WHEN NOT m.accepted THEN 'admitted' WHEN m.ledger_key IS NULL THEN 'accepted'
            WHEN m.revoked <= clock_timestamp() OR NOT m.takes_part THEN 'revoked'
            WHEN NOT m.valid @> clock_timestamp() THEN 'expired' ELSE 'active' END AS state,
       m.departure AS reason, m.capabilities, m.valid, m.configured_by,
           encode(m.fingerprint, 'hex') AS certificate_fingerprint,
       f.subject AS certificate_subject, f.issuer AS certificate_issuer,
       floor(extract(epoch FROM f.not_after - now()) / 86400)::int AS certificate_days_left,
       (SELECT k.algorithm FROM medchain.key_facts(m.ledger_key) k) AS ledger_algorithm, m.contract
FROM medchain.member m CROSS JOIN LATERAL medchain.certificate_facts(m.certificate) f;
COMMENT ON VIEW medchain.members IS
    'members of the alliance; state: admitted (contract offered), accepted (countersigned), active '
    '(ledger configured), expired (contract or certificate), revoked (certificate), suspended, '
    'ended (contract), expelled; reason: of the last four';

CREATE VIEW medchain.certificates AS
SELECT m.name AS member, p."position", p.subject, p.issuer, p.serial, p.not_before, p.not_after,
       floor(extract(epoch FROM p.not_after - now()) / 86400)::int AS days_left, p.is_anchor,
           encode(p.fingerprint, 'hex') AS fingerprint
FROM medchain.member m
     -- each that ever was one, once, and the newest of them: so many are read
     CROSS JOIN (SELECT string_agg(a.pem, E'\n' ORDER BY a.seq) AS trust_anchors
                 FROM (SELECT d.pem, d.seq FROM (
                           SELECT DISTINCT ON (f.fingerprint) f.pem, c.seq
                           FROM medchain.claim c
                               JOIN medchain.local_node n ON c.origin = n.data_center
                               CROSS JOIN LATERAL medchain_internal.anchor_facts(
                                   c.body ->> 'trust_anchors') f
                           WHERE c.kind = 'genesis' AND c.seq = 0
                               OR c.kind = 'anchors' AND c.effective
                           ORDER BY f.fingerprint, c.seq DESC) d
                       ORDER BY d.seq DESC LIMIT 100) a) g
     CROSS JOIN LATERAL medchain.certificate_path(m.certificate, g.trust_anchors) p;
COMMENT ON VIEW medchain.certificates IS
    'the certificates of each member, from its own (position 0) up to the trust anchor, with '
    'serial number (hex), period, whole days left (negative: expired), SHA-256 fingerprint: for '
    'monitoring';

CREATE VIEW medchain.contracts AS
SELECT k.id AS contract, k.member, k.kind, k.capabilities, k.valid, k.offered, k.accepted,
       CASE WHEN k.ended IS NOT NULL THEN 'ended' WHEN k.accepted IS NULL THEN 'offered'
           WHEN m.contract <> k.id THEN 'superseded'
            WHEN NOT k.valid @> clock_timestamp() THEN 'expired' ELSE 'in force' END AS state,
       k.ended, k.ended_by, k.end_reason, m.contract = k.id AS current
FROM medchain.contract k LEFT JOIN medchain.member m ON m.name = k.member;
COMMENT ON VIEW medchain.contracts IS
    'smart contracts offered by the data centre, when they were countersigned, and what has become '
    'of them; state: offered, in force, superseded, expired, ended';

CREATE VIEW medchain.policies AS
SELECT DISTINCT ON (c.about) c.about AS policy, c.body ->> 'value' AS value, c."time" AS since
FROM medchain.claim c WHERE c.kind = 'policy' AND c.effective ORDER BY c.about, c.seq DESC;
COMMENT ON VIEW medchain.policies IS 'policies that the data centre has set';

CREATE VIEW medchain.revocation_lists AS
SELECT f.issuer, f.this_update, f.next_update, f.next_update < clock_timestamp() AS expired,
    f.certificates AS revoked_certificates, c."time" AS added
FROM medchain.claim c CROSS JOIN LATERAL medchain.crl_facts(c.body ->> 'crl') f
WHERE c.kind = 'crl' AND c.effective;
COMMENT ON VIEW medchain.revocation_lists IS
    'revocation lists on the ledger; an expired one keeps its effect, and says nothing about '
    'certificates that it does not list';

CREATE VIEW medchain.protocols AS
SELECT p.id AS protocol, p.issuer, p.subject, s.identity, p.protocol_text, p.valid, p.issued,
       CASE WHEN p.revoked IS NOT NULL THEN 'revoked' WHEN p.valid @> clock_timestamp()
           THEN 'active'
            WHEN p.valid >> tstzrange(clock_timestamp(), NULL)
                OR lower(p.valid) > clock_timestamp() THEN 'future' ELSE 'expired' END AS state,
       p.revoked, p.revoked_by, p.revoke_reason, p.version,
       (SELECT jsonb_agg(jsonb_strip_nulls(jsonb_build_object('grantee', g.grantee,
            'operations', g.operations, 'purpose', g.purpose, 'records', g.records,
            'valid', medchain_internal.ledger_period(g.valid))) ORDER BY g.ordinal)
        FROM medchain.protocol_grant g WHERE g.protocol = p.id) AS grants
FROM medchain.protocol p LEFT JOIN medchain.subject_identity s ON s.pseudonym = p.subject;
COMMENT ON VIEW medchain.protocols IS
    'smart protocols with their grants; identity where this database knows whom the pseudonym '
    'stands for';

CREATE VIEW medchain.rejections AS
SELECT c.origin, c.seq, c.id AS entry, c.kind, c."time", c.about, c.reason
FROM medchain.claim c WHERE NOT c.effective;
COMMENT ON VIEW medchain.rejections IS
    'entries that are on the ledger and have no effect, with the reason';

-- What a key that was replaced from there on has signed is no proof any more; it was one.
CREATE VIEW medchain.forks AS
SELECT c.about AS member, p.height,
       CASE WHEN f.counts IS NOT NULL THEN 'decided'
            WHEN f.from_seq IS NOT NULL THEN 'open'
            WHEN c.effective THEN 'open, not excluded'
            ELSE 'key replaced' END AS state,
       encode(p.one, 'hex') AS block, encode(p.two, 'hex') AS other,
       CASE b.hash WHEN p.one THEN encode(p.one, 'hex') WHEN p.two THEN encode(p.two, 'hex') END
           AS here,
       encode(f.counts, 'hex') AS counts, c."time" AS proven, c.origin AS proven_by, c.id AS entry,
       c.body #>> '{notes,0}' AS note, c.body #>> '{notes,1}' AS other_note
FROM medchain.claim c
     LEFT JOIN medchain.fork f ON f.origin = c.origin AND f.seq = c.seq
     CROSS JOIN LATERAL (SELECT least(x.one, x.two) AS one, greatest(x.one, x.two) AS two, x.height
         FROM (SELECT medchain_internal.note_hash(c.body #>> '{notes,0}') AS one,
                      medchain_internal.note_hash(c.body #>> '{notes,1}') AS two,
                      substring(c.body #>> '{notes,0}' FROM E'\nheight ([0-9]{1,18})\n')::bigint
                          AS height) x) p
     LEFT JOIN medchain.block b ON b.origin = c.about AND b.height = p.height
WHERE c.kind = 'fork' AND (c.effective OR (c.reason = 'a block in it is not signed with the key '
    'in force there' AND EXISTS (SELECT FROM medchain.ledger_key k WHERE k.member = c.about
        AND k.follows IS NOT NULL AND k.from_height <= p.height)));
COMMENT ON VIEW medchain.forks IS
    'members who were proven to have signed two blocks of one height, and both of them; open: from '
    'there on their chains do not count, until the data centre decides which block does; here: the '
    'one that this database has';

CREATE VIEW medchain.chains AS
WITH waiting AS MATERIALIZED (SELECT * FROM medchain_internal.lock_waits())
SELECT o.origin, m.kind,
       CASE WHEN o.origin = n.node AND medchain.is_copy() THEN 'own, copy'
            WHEN o.origin = n.node AND m.ledger_key IS NULL AND n.node <> n.data_center
           THEN 'own, not configured'
            WHEN o.origin = n.node THEN 'own'
            WHEN m.ledger_key IS NULL AND o.origin <> n.data_center THEN CASE WHEN h.blocks > 0
                THEN 'held, not configured' ELSE 'not configured' END
            WHEN m.expelled IS NOT NULL AND c.height > m.last_height THEN 'closed, surplus'
            WHEN m.expelled IS NOT NULL THEN 'closed'
            WHEN h.blocks > 0 AND NOT EXISTS (SELECT FROM medchain.member_certificate x
                WHERE x.member = o.origin AND x.valid @> h.first) THEN 'held, certificate'
            WHEN h.blocks > 0 THEN 'held, gap'
            WHEN q.blocks > 0 THEN 'verified, quarantine'
            WHEN c.height IS NULL THEN 'empty'
            ELSE 'verified' END AS state,
       c.height, c.size AS entries, encode(b.hash, 'hex') AS head, b.sealed,
       coalesce(CASE WHEN o.origin = n.node THEN clock_timestamp() - (SELECT min(p."time")
           FROM medchain.pending p)
                     ELSE clock_timestamp() - h.first END, '0') AS lag,
       CASE WHEN o.origin = n.node THEN (SELECT count(*) FROM medchain.pending)
           ELSE coalesce(h.entries, 0) END AS waiting_entries,
       coalesce(h.blocks, 0) AS held_blocks, coalesce(q.blocks, 0) AS quarantined,
       v.height AS verified_height, v.verified, coalesce(c.absent, 0) AS absent,
       (SELECT string_agg(w.worker || ' ' || w.blocked, '; ' ORDER BY w.worker)
           FROM waiting w
           WHERE w.worker = CASE WHEN o.origin = n.node THEN 'sealer'
                                 WHEN h.blocks > 0 THEN 'keeper' END
           AND coalesce(w.origin, o.origin) = o.origin) AS blocked
FROM medchain.local_node n
     CROSS JOIN (SELECT origin FROM medchain.chain UNION SELECT name FROM medchain.member UNION
         SELECT origin FROM medchain.held_block
                 UNION SELECT node FROM medchain.local_node) o
     LEFT JOIN medchain.member m ON m.name = o.origin
     LEFT JOIN medchain.chain c ON c.origin = o.origin
     LEFT JOIN medchain.block b ON b.origin = o.origin AND b.height = c.height
     LEFT JOIN medchain.verified v ON v.origin = o.origin
     LEFT JOIN LATERAL (SELECT count(*) AS blocks,
         min(substring(x.note FROM E'\nsealed ([^\n]+)\n') COLLATE "C")::timestamptz AS first,
                               (SELECT count(*) FROM medchain.held_entry e
                                   WHERE e.origin = o.origin) AS entries
                        FROM medchain.held_block x WHERE x.origin = o.origin HAVING count(*) > 0) h
                            ON true
     LEFT JOIN LATERAL (SELECT count(*) AS blocks FROM medchain.quarantine x
         WHERE x.origin = o.origin) q ON true;
COMMENT ON VIEW medchain.chains IS
    'every chain as far as it is verified here: last block, entries, head (SHA-256 of the last '
    'block''s note text), state; lag: since when something of it waits; verified_height: up to '
    'where verify() found it in order, and when; absent: entries whose payloads are not here, see '
    'connect_peer(); blocked: for how many seconds the worker that '
    'moves it on has waited, and for whom, when that is longer than 5 s';

CREATE FUNCTION medchain_internal.peer_errors(OUT subscription oid, OUT error text,
    OUT at timestamptz, OUT count bigint) RETURNS SETOF record
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'medchain_peer_errors';
COMMENT ON FUNCTION medchain_internal.peer_errors() IS
    'internal: the last error of each subscription to a peer, and how many there were since the '
    'server started';

CREATE VIEW medchain.peers AS
WITH shortage AS MATERIALIZED (SELECT * FROM medchain_internal.shortages())
SELECT q.member, q.state, q.connected, q.payloads, q.received_lsn, q.last_message,
       CASE WHEN q.connected IS NOT NULL THEN coalesce(greatest(0, h.height
           - coalesce(c.height, -1)), 0) END AS lag_blocks,
       q.lag_bytes,
       CASE WHEN q.connected IS NULL THEN NULL
            WHEN q.state IN ('streaming', 'copying') THEN coalesce(greatest(0, extract(epoch
                FROM clock_timestamp() - h.first)), 0)
            ELSE extract(epoch FROM clock_timestamp() - coalesce((SELECT b.sealed
                FROM medchain.block b WHERE b.origin = q.member AND b.height = c.height),
                q.connected)) END::double precision AS lag_seconds,
       e.error AS last_error, e.at AS last_error_time,
       q.follower_state, q.follower_lag_bytes, q.follower_wal, q.follower_retained_bytes,
       -- a setting can be too small on both sides
       (SELECT string_agg(y.text, '; ' ORDER BY y.side DESC, y.setting) FROM (
            SELECT x.setting, max(x.side) AS side,
                   format('%s is %s, this server needs %s', x.setting, x.value,
                          max(x.needed)) AS text
            FROM shortage x
            WHERE (x.side = 'subscriber' AND q.state IN ('down', 'copying'))
               OR (x.side = 'publisher' AND q.follower_state <> 'following us')
            GROUP BY x.setting, x.value) y) AS shortage,
       (SELECT string_agg(w.blocked, '; ' ORDER BY w.blocked) FROM medchain_internal.lock_waits() w
        WHERE w.worker = 'apply' AND w.subscription = q.subscription) AS blocked,
       (SELECT coalesce(sum(d.entries + d.blocks), 0)::bigint FROM medchain.dropped d
        WHERE d.source = q.member) AS dropped,
       (SELECT string_agg(format('chain "%s": %s', f.origin,
                                 coalesce(f.error, 'is asked for')), '; '
                          ORDER BY f.origin COLLATE "C")
        FROM medchain.missing f WHERE f.source = q.member AND f.wanted) AS missing
FROM (
SELECT m.name AS member, s.oid AS subscription,
       CASE WHEN p.member IS NULL THEN 'not connected'
            WHEN s.oid IS NULL THEN 'subscription missing'
            WHEN NOT s.subenabled THEN 'disabled'
            WHEN w.pid IS NULL THEN 'down'
            -- what it sends ends the worker each time; PostgreSQL starts another every few seconds
            WHEN (SELECT e.apply_error_count > 0 FROM pg_catalog.pg_stat_subscription_stats e
                  WHERE e.subid = s.oid)
                AND (SELECT a.backend_start > pg_catalog.now() - interval '15 s'
                     FROM pg_catalog.pg_stat_activity a WHERE a.pid = w.pid) THEN 'failing'
            WHEN EXISTS (SELECT FROM pg_catalog.pg_subscription_rel r WHERE r.srsubid = s.oid
                AND r.srsubstate NOT IN ('r', 's')) THEN 'copying'
            ELSE 'streaming' END AS state,
       p.connected, p.payloads, w.received_lsn, w.last_msg_receipt_time AS last_message,
       greatest(0, pg_catalog.pg_wal_lsn_diff(w.received_lsn, w.latest_end_lsn)) AS lag_bytes,
       CASE WHEN f.slot_name IS NULL THEN 'not following us' WHEN f.active THEN 'following us'
           ELSE 'away' END AS follower_state,
       pg_catalog.pg_wal_lsn_diff(CASE WHEN pg_catalog.pg_is_in_recovery() THEN NULL
           ELSE pg_catalog.pg_current_wal_lsn() END, f.confirmed_flush_lsn) AS follower_lag_bytes,
       f.wal_status AS follower_wal,
       pg_catalog.pg_wal_lsn_diff(CASE WHEN pg_catalog.pg_is_in_recovery() THEN NULL
           ELSE pg_catalog.pg_current_wal_lsn() END, f.restart_lsn) AS follower_retained_bytes
FROM medchain.local_node n
     JOIN (SELECT name FROM medchain.member UNION SELECT member FROM medchain.peer) m
         ON m.name <> n.node
     LEFT JOIN medchain.peer p ON p.member = m.name
     LEFT JOIN pg_catalog.pg_subscription s ON s.subname = p.subscription
          AND s.subdbid = (SELECT d.oid FROM pg_catalog.pg_database d
              WHERE d.datname = pg_catalog.current_database())
     LEFT JOIN pg_catalog.pg_stat_subscription w ON w.subid = s.oid AND w.relid IS NULL
         LEFT JOIN pg_catalog.pg_replication_slots f
              ON f.slot_name IN (medchain_internal.slot_name(n.alliance, m.name, n.node),
                                 medchain_internal.slot_name(n.alliance, m.name, n.node,
                                     spare => true))) q
    LEFT JOIN medchain.chain c ON c.origin = q.member
    LEFT JOIN LATERAL (SELECT max(x.height) AS height,
            min(substring(x.note FROM E'\nsealed ([^\n]+)\n') COLLATE "C")::timestamptz AS first
        FROM medchain.held_block x
        WHERE x.origin = q.member AND x.height > coalesce(c.height, -1)) h ON true
    LEFT JOIN medchain_internal.peer_errors() e ON e.subscription = q.subscription;
COMMENT ON VIEW medchain.peers IS 'the other members: how we follow their chain, how they follow '
    'ours, and how far each is behind; lag_blocks, lag_seconds: of its chain, what is here and not '
    'accepted, and since when; while it is not followed, since its newest block that is here; '
    'payloads: which are taken; '
    'last_error: what ended the following last, since the server started; '
    'follower_retained_bytes: WAL that is kept for it; shortage: settings of this server that have '
    'no room for that; blocked: for how many seconds what arrives has waited here, and for whom, '
    'when that is '
    'longer than 5 s; dropped: how many entries and blocks it sent that were not kept, as they '
    'were of nobody who is a member, or too many at once; missing: chains that it is asked for '
    'again, and why they have not come yet';

CREATE VIEW medchain.stat AS
SELECT s.state AS sealer, s.error AS sealer_error, s.key_fingerprint, s.blocks AS blocks_sealed,
    s.entries AS entries_sealed,
       s.bytes AS bytes_sealed, s.seal_ms_p50, s.seal_ms_p99, s.seal_ms_max,
       (SELECT count(*) FROM medchain.pending) AS pending,
           pg_catalog.pg_relation_size('medchain.pending') AS pending_size,
       pg_catalog.pg_total_relation_size('medchain.entry') +
           pg_catalog.pg_total_relation_size('medchain.block')
           + pg_catalog.pg_total_relation_size('medchain.tile') AS ledger_size,
       (SELECT count(*) FROM medchain.held_block) AS held_blocks,
       (SELECT count(*) FROM medchain.quarantine) AS quarantined,
       medchain.pseudonym_status() AS pseudonym_key
FROM medchain.sealer_status() s;
COMMENT ON VIEW medchain.stat IS 'the sealer of this database and what is waiting; blocks, '
    'entries, bytes of payload and milliseconds from commit to block since the server started; '
    'sizes on disk in bytes; pseudonym_key: fine, or why the key for pseudonyms cannot be used';

CREATE VIEW medchain.verify_progress AS
SELECT p.pid, p.started, p.phase, p.workers, p.chains, p.entries_total, p.entries_done,
       CASE WHEN p.entries_total > 0
           THEN round(least(100, 100.0 * p.entries_done / p.entries_total), 1) END AS percent,
       p.blocks_done, p.faults, p.items_done
FROM medchain.verify_progress() p;
COMMENT ON VIEW medchain.verify_progress IS
    'progress of long verifications, like pg_stat_progress_*: a row for each verify() at work in '
    'this database';
