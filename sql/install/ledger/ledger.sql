/*
 * ledger.sql: where the ledger is stored, and who may touch it: nobody.
 *
 * pending -> (sealer) -> entry + block for our own chain;
 * held_entry + held_block -> (keeper: chain_advance) -> entry + block for the others'.
 */

-- This database as a node of an alliance; one row, written by found_alliance() or join_alliance().
CREATE TABLE medchain.local_node (
    singleton    boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    alliance     text NOT NULL,
    node         text NOT NULL,
    data_center  text NOT NULL,
    genesis_key  text NOT NULL,
    genesis_hash bytea CHECK (length(genesis_hash) = 32),
    home         text,                      -- see copy.sql; null: nowhere yet
    timeline     bigint                     -- of the WAL, when peers were asked: see recovery.sql
);
COMMENT ON TABLE medchain.local_node IS
    'this database as a node of its alliance, with the pinned genesis block';

CREATE TABLE medchain.pending (
    seq       bigint GENERATED ALWAYS AS IDENTITY,
    id        uuid NOT NULL,
    kind      text NOT NULL,
    "time"    timestamptz NOT NULL,
    actor     text NOT NULL,
    subject   bytea,
    payload   text NOT NULL,
    leaf_hash bytea NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 10000);
COMMENT ON TABLE medchain.pending IS
    'entries of this node that are committed and not yet sealed; emptied by the sealer';

CREATE TABLE medchain.entry (
    origin    text NOT NULL,
    seq       bigint NOT NULL,
    id        uuid NOT NULL,
    kind      text NOT NULL,
    "time"    timestamptz NOT NULL,
    actor     text NOT NULL,
    subject   bytea,
    payload   text NOT NULL,
    leaf_hash bytea NOT NULL,
    PRIMARY KEY (origin, seq)
);
CREATE INDEX entry_id ON medchain.entry (id);
CREATE INDEX entry_subject ON medchain.entry (subject) WHERE subject IS NOT NULL;
COMMENT ON TABLE medchain.entry IS
    'sealed entries of every chain; payload is the exact text whose RFC 6962 leaf hash is '
    'leaf_hash, the other columns are an index over it';

CREATE TABLE medchain.block (
    origin   text NOT NULL,
    height   bigint NOT NULL,
    size     bigint NOT NULL,
    root     bytea NOT NULL,
    previous bytea NOT NULL,
    hash     bytea NOT NULL,
    sealed   timestamptz NOT NULL,
    note     text NOT NULL,
    leaves   bytea,     -- leaf hashes of its entries, in order
    kinds    text,      -- {"kind": number of entries, ...}
    kinds_note text,    -- which the author has signed: src/core/kinds_note.h
    PRIMARY KEY (origin, height)
);
ALTER TABLE medchain.block ALTER leaves SET STORAGE EXTERNAL;   -- hashes do not compress
-- the block with a given tree size
CREATE INDEX block_size ON medchain.block (origin, size, height);
COMMENT ON TABLE medchain.block IS
    'block headers of every chain; note is a C2SP signed note (tlog-checkpoint), the other columns '
    'are an index over it, but for leaves, the leaf hashes of its entries (32 bytes each), and '
    'kinds, how many entries of each kind there are, with kinds_note, a note of the author''s '
    'about that: what followers get who do not take them all';

CREATE TABLE medchain.chain (
    origin   text PRIMARY KEY,
    height   bigint NOT NULL,
    size     bigint NOT NULL,
    head     bytea NOT NULL,
    frontier bytea NOT NULL,
    absent   bigint NOT NULL DEFAULT 0,     -- entries whose payload is not here
    told     bigint NOT NULL DEFAULT 0      -- of another's: entries that applications know of
) WITH (fillfactor = 50);
COMMENT ON TABLE medchain.chain IS
    'verified end of each chain: last height, tree size, SHA-256 of the last block''s note text, '
    'and the compact range the tree grows from';

-- What readers of the ledger read: a row of medchain.entry that is in no block is nobody's word.
CREATE VIEW medchain.sealed AS
SELECT e.* FROM medchain.entry e JOIN medchain.chain c ON c.origin = e.origin
WHERE e.seq >= 0 AND e.seq < c.size;
COMMENT ON VIEW medchain.sealed IS
    'entries that are in a block; verify() finds those that are not';

CREATE TABLE medchain.tile (
    origin text NOT NULL,
    level  int NOT NULL CHECK (level BETWEEN 1 AND 7),
    index  bigint NOT NULL CHECK (index >= 0),
    hashes bytea NOT NULL CHECK (length(hashes) BETWEEN 32 AND 8192 AND length(hashes) % 32 = 0),
    PRIMARY KEY (origin, level, index)
);
ALTER TABLE medchain.tile ALTER hashes SET STORAGE EXTERNAL;    -- hashes do not compress
COMMENT ON TABLE medchain.tile IS
    'inner nodes of each chain''s tree as C2SP tlog-tiles: tile index of level L holds the roots '
    'of up to 256 subtrees of 256^L leaves; level 0 is entry.leaf_hash';

CREATE TABLE medchain.verified (
    origin   text PRIMARY KEY,
    height   bigint NOT NULL,
    size     bigint NOT NULL,
    hash     bytea NOT NULL CHECK (length(hash) = 32),
    verified timestamptz NOT NULL
);
COMMENT ON TABLE medchain.verified IS
    'newest block of each chain up to which verify() has checked all of it and found no fault; '
    'hash is that of the note text';

-- What is held is written by whoever brings it, a source's apply worker, in a transaction that the
-- source can keep open for as long as it likes.  So these rows are only ever added there, never
-- changed, and no key makes anybody wait for them.  Of several for one place the last one counts.
CREATE TABLE medchain.held_entry (
    id      bigint GENERATED ALWAYS AS IDENTITY,
    source  text NOT NULL,
    origin  text NOT NULL,
    seq     bigint NOT NULL,
    payload text NOT NULL,
    bytes   int NOT NULL
);
CREATE INDEX held_entry_next ON medchain.held_entry (origin, source, seq, id DESC) INCLUDE (bytes);
-- ... what a source brings of others: it has less room
CREATE INDEX held_entry_relayed ON medchain.held_entry (source) INCLUDE (bytes)
    WHERE source <> origin;
COMMENT ON TABLE medchain.held_entry IS
    'entries that came from a peer and whose block is not accepted yet; so many of each source and '
    'no more, what is beyond is counted in medchain.dropped and fetched again';

CREATE TABLE medchain.held_block (
    id     bigint GENERATED ALWAYS AS IDENTITY,
    source text NOT NULL,
    origin text NOT NULL,
    height bigint NOT NULL,
    note   text NOT NULL,
    waits  boolean NOT NULL DEFAULT false,
    leaves bytea,
    kinds  text,
    kinds_note text
);
ALTER TABLE medchain.held_block ALTER leaves SET STORAGE EXTERNAL;
CREATE INDEX held_block_next ON medchain.held_block (origin, height, source, id DESC);
CREATE INDEX held_block_source ON medchain.held_block (source, origin);
COMMENT ON TABLE medchain.held_block IS
    'blocks that came from a peer and wait for their chain to be configured, or for earlier blocks '
    'or entries; waits: nothing is wrong with it, but its author''s certificate is not here';

-- Written by the source's own workers alone: see above.
CREATE TABLE medchain.dropped (
    source  text NOT NULL,
    origin  text NOT NULL,
    entries bigint NOT NULL,
    blocks  bigint NOT NULL,
    since   timestamptz NOT NULL,
    latest  timestamptz NOT NULL,
    PRIMARY KEY (source, origin)
);
COMMENT ON TABLE medchain.dropped IS
    'how much of what a peer sent was not kept: of chains of nobody who is a member (origin is '
    'empty), or beyond what is held of one source';

-- Written by the keeper, the fetcher and the follower alone.
CREATE TABLE medchain.missing (
    source   text NOT NULL,
    origin   text NOT NULL,
    wanted   boolean NOT NULL,
    seen     bigint NOT NULL DEFAULT 0,
    failures int NOT NULL DEFAULT 0,
    next     timestamptz NOT NULL DEFAULT clock_timestamp(),
    error    text,
    doubt_first bigint,         -- heights of blocks of which it may have others than we do
    doubt_last bigint,
    PRIMARY KEY (source, origin)
);
COMMENT ON TABLE medchain.missing IS
    'chains to be asked for at a peer, as something of them was not kept; seen: how much of it was '
    'dropped before the last time that all was fetched; doubt: blocks that somebody has verified '
    'others of';

CREATE TABLE medchain.quarantine (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    arrived     timestamptz NOT NULL DEFAULT clock_timestamp(),
    source      text NOT NULL,
    origin      text NOT NULL,
    height      bigint,
    reason      text NOT NULL,
    detail      text,
    note        text,
    payloads    text[],
    signed      boolean NOT NULL
);
CREATE INDEX quarantine_block ON medchain.quarantine (origin, height);
CREATE INDEX quarantine_source ON medchain.quarantine (source, signed);
COMMENT ON TABLE medchain.quarantine IS
    'what peers sent and was refused, with the reason; kept as evidence, so much of each source '
    'and no more; signed: the note has a valid signature of the key that the chain had then';
