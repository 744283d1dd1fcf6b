/*
 * fetch.sql: what peers are asked for again (src/sync/fetch.c).
 */

CREATE VIEW medchain.known AS
SELECT m.name FROM medchain.member m
UNION SELECT p.member FROM medchain.peer p
UNION SELECT n.data_center FROM medchain.local_node n;
COMMENT ON VIEW medchain.known IS
    'internal: whose chains are held: of members, and of those who are about to be one, as this '
    'node has connected to them';

-- Chains whose blocks can be accepted, of which something was dropped that this peer sent; and
-- those of members that no peer of ours is, if it sent something of whom nobody knew then.  A row
-- of missing whose origin is empty says when the peer may be asked for anything.
CREATE VIEW medchain.to_fetch AS
WITH wanted AS (
    SELECT d.source, d.origin FROM medchain.dropped d
    WHERE d.origin <> ''
    UNION
    SELECT f.source, f.origin FROM medchain.missing f WHERE f.wanted OR f.doubt_first IS NOT NULL
    UNION
    SELECT d.source, m.name FROM medchain.dropped d CROSS JOIN medchain.member m
    WHERE d.origin = '' AND NOT EXISTS (SELECT FROM medchain.peer p WHERE p.member = m.name)
    AND NOT EXISTS (SELECT FROM medchain.missing f WHERE f.source = d.source AND f.origin = m.name))
SELECT w.source, w.origin, p.conninfo, coalesce(d.entries + d.blocks, 0) AS dropped,
       coalesce(f.failures, 0) AS failures, coalesce(f.next, '-infinity') AS next, f.error,
       medchain_internal.payload_kinds(p.payloads) AS kinds,
       f.doubt_first, f.doubt_last
FROM wanted w
     JOIN medchain.peer p ON p.member = w.source
     CROSS JOIN medchain.local_node n
     LEFT JOIN medchain.member m ON m.name = w.origin
     LEFT JOIN medchain.dropped d ON d.source = w.source AND d.origin = w.origin
     LEFT JOIN medchain.missing f ON f.source = w.source AND f.origin = w.origin
     LEFT JOIN medchain.missing s ON s.source = w.source AND s.origin = ''
WHERE w.origin <> n.node AND (w.origin = n.data_center OR m.ledger_key IS NOT NULL)
    -- no pause is that long: the server's clock was put back
    AND coalesce(s.next NOT BETWEEN clock_timestamp() AND clock_timestamp() + interval '10 min',
        true)
    AND (f.source IS NULL OR f.wanted OR f.doubt_first IS NOT NULL
        OR f.seen <> coalesce(d.entries + d.blocks, 0));
COMMENT ON VIEW medchain.to_fetch IS
    'internal: chains to be asked for at a peer now; dropped: how much of it was so far';
