/*
 * commitment.sql: salted commitments to the rows of protected tables, and
 * comparing tables with them.
 */

CREATE FUNCTION medchain.verify_table(relation regclass, OUT row_key text, OUT fault text, OUT detail text)
    RETURNS SETOF record
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = medchain, pg_temp SET row_security = off
AS $$
DECLARE
    p protected_table;
    local text := (SELECT node FROM local_node);
BEGIN
    SELECT * INTO p FROM protected_table t WHERE t.relation = verify_table.relation;
    IF NOT FOUND THEN
        RAISE undefined_object USING
            MESSAGE = format('table %s is not protected', verify_table.relation),
            HINT = 'Call medchain.protect() first.';
    END IF;
    RETURN QUERY EXECUTE format($query$
        WITH word AS (
            -- what the ledger says about the table; its name may have been protected before
            SELECT b.* FROM (
                SELECT e.id, e.kind, 0 AS late, e.seq, e.payload::jsonb -> 'body' AS body
                FROM entry e WHERE e.origin = $1 AND e.kind IN ('protect', 'row.baseline', 'row.insert', 'row.update', 'row.delete')
                UNION ALL
                SELECT e.id, e.kind, 1, e.seq, e.payload::jsonb -> 'body'
                FROM pending e WHERE e.kind IN ('protect', 'row.baseline', 'row.insert', 'row.update', 'row.delete')) b
            WHERE b.body ->> 'relation' = $2),
        said AS (
            -- the newest word about each row
            SELECT DISTINCT ON (w.body ->> 'row') decode(w.body ->> 'row', 'hex') AS row_id, w.kind,
                   decode(w.body ->> 'commitment', 'hex') AS commitment, w.id
            FROM word w WHERE w.kind <> 'protect'
            AND (w.late, w.seq) > (SELECT p.late, p.seq FROM word p WHERE p.kind = 'protect' ORDER BY p.late DESC, p.seq DESC LIMIT 1)
            ORDER BY w.body ->> 'row', w.late DESC, w.seq DESC),
        live AS MATERIALIZED (
            SELECT d.row_id, d.row_key, t.whole FROM (SELECT x AS whole FROM %s x) t,
                   LATERAL medchain.row_digest($2, $3, t.whole, NULL) d)
        SELECT coalesce(l.row_key, c.row_key, encode(s.row_id, 'hex')),
               CASE WHEN l.row_id IS NULL THEN 'removed'
                    WHEN s.row_id IS NULL OR s.kind = 'row.delete' THEN 'added'
                    ELSE 'changed' END,
               CASE WHEN l.row_id IS NULL THEN format('entry %%s says that there is such a row', s.id)
                    WHEN s.row_id IS NULL THEN 'the ledger knows nothing of this row'
                    WHEN s.kind = 'row.delete' THEN format('entry %%s says that the row was deleted', s.id)
                    WHEN c.salt IS NULL THEN format('the salt of the commitment in entry %%s is missing', s.id)
                    ELSE format('content differs from the commitment in entry %%s', s.id) END
        FROM live l FULL JOIN said s ON s.row_id = l.row_id
             LEFT JOIN row_commitment c ON c.relation = $4 AND c.row_id = coalesce(l.row_id, s.row_id)
        WHERE (l.row_id IS NULL AND s.kind <> 'row.delete')
           OR (l.row_id IS NOT NULL AND (s.row_id IS NULL OR s.kind = 'row.delete' OR c.salt IS NULL
               OR s.commitment IS DISTINCT FROM (medchain.row_digest($2, $3, l.whole, c.salt)).commitment))
        ORDER BY 1$query$, p.relation)
        USING local, p.ledger_name, p.key_columns, p.relation;
END
$$;
COMMENT ON FUNCTION medchain.verify_table(regclass) IS 'compare a protected table with the commitments on the ledger: a row for each row that was changed, added or removed behind medchain''s back; none if all is well';
