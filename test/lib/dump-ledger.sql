-- What test/core/rules_state.c reads: the alliance, and each entry that the state depends on with the block it is in.
SELECT jsonb_build_object('alliance', n.alliance, 'data_center', n.data_center, 'node', n.node)::text FROM medchain.local_node n;
SELECT jsonb_build_object('origin', e.origin, 'seq', e.seq, 'height', b.height, 'sealed', medchain.ledger_time(b.sealed),
    CASE WHEN x.base64 IS NULL THEN 'payload' ELSE 'payload_base64' END, coalesce(x.base64, e.payload))::text
FROM medchain.entry e CROSS JOIN LATERAL medchain.text_base64(e.payload) x(base64)
    CROSS JOIN LATERAL (SELECT k.height, k.sealed FROM medchain.block k WHERE k.origin = e.origin AND k.size > e.seq
        ORDER BY k.size, k.height LIMIT 1) b
WHERE e.seq >= 0 AND e.kind = ANY (medchain.fold_kinds()) ORDER BY e.origin COLLATE "C", e.seq;
