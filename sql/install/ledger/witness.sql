/*
 * witness.sql: what members have verified of each other's chains, and cosigned: entries of kind
 * witness.
 */

-- Members meet at the same blocks: the last one with something new that was sealed in each interval
-- (medchain.witness_interval) of the clock.
CREATE TABLE medchain.witness_due (
    origin  text PRIMARY KEY,
    height  bigint NOT NULL,        -- the newest block with something new
    closes  timestamptz NOT NULL,   -- the interval in which it was sealed
    earlier bigint                  -- the newest of intervals before
);
COMMENT ON TABLE medchain.witness_due IS
    'chains of which this node has verified something new, and which block it is to cosign';

CREATE FUNCTION medchain_internal.witness_chain(payload text) RETURNS text
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'medchain_witness_chain';
COMMENT ON FUNCTION medchain_internal.witness_chain(text) IS
    'internal: which chain an entry of kind witness is about; null if it says nothing';

CREATE FUNCTION medchain_internal.witness_height(payload text) RETURNS bigint
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'medchain_witness_height';
COMMENT ON FUNCTION medchain_internal.witness_height(text) IS
    'internal: which block of that chain was the newest';

CREATE FUNCTION medchain_internal.witness_head(payload text, OUT chain text, OUT entries bigint,
    OUT height bigint, OUT hash bytea, OUT cosignature text)
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'medchain_witness_head';
COMMENT ON FUNCTION medchain_internal.witness_head(text) IS
    'internal: all that an entry of kind witness says; cosignature: a line as it stands in a note';

-- Of what was witnessed there is no other copy than the entries themselves.
CREATE INDEX entry_witness ON medchain.entry (medchain_internal.witness_chain(payload), origin,
    medchain_internal.witness_height(payload)) WHERE kind = 'witness';

CREATE FUNCTION medchain_internal.note_hash(note text) RETURNS bytea
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN pg_catalog.sha256(pg_catalog.convert_to(pg_catalog.split_part(note, E'\n\n', 1) || E'\n',
        'UTF8'));
COMMENT ON FUNCTION medchain_internal.note_hash(text) IS
    'internal: the hash of a block, by its note';

CREATE FUNCTION medchain_internal.vkey_text(name text, public_key text, cosigner boolean)
    RETURNS text
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'medchain_vkey_text';
COMMENT ON FUNCTION medchain_internal.vkey_text(text, text, boolean) IS
    'internal: a C2SP verifier key';

CREATE FUNCTION medchain_internal.cosigned_at(note text, name text, public_key text,
    cosignature text) RETURNS timestamptz
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'medchain_cosigned';
COMMENT ON FUNCTION medchain_internal.cosigned_at(text, text, text, text) IS
    'internal: when that key has cosigned a note by that signature line; null if it has not';
