/*
 * state.sql: the tables that are a fold of the ledger.  Nobody writes them
 * but the fold (src/alliance/fold.c); verify() recomputes them from the entries.
 *
 * Chains arrive in any order relative to each other, and every node has to
 * derive the same state.  So the fold is a function of the *set* of entries: each
 * governance entry is kept as a claim, and what a claim is worth is judged again
 * whenever something it depends on becomes known (src/rules/rules.c).
 */

CREATE TYPE medchain.member_kind AS ENUM ('data_center', 'end_node', 'chain_node');
COMMENT ON TYPE medchain.member_kind IS
    'data_center: holds records and admits members; end_node: configures ledgers and issues '
    'protocols; chain_node: queries and updates records under protocols';

CREATE TABLE medchain.claim (
    origin    text NOT NULL,
    seq       bigint NOT NULL,
    id        uuid NOT NULL,
    kind      text NOT NULL,
    "time"    timestamptz NOT NULL,
    height    bigint NOT NULL,      -- of the block it is in
    sealed    timestamptz NOT NULL, -- what that block's header says
    about     text NOT NULL,        -- the member, or protocol, this is about
    subject   bytea,
    body      jsonb NOT NULL,       -- signed payload already opened
    effective boolean NOT NULL,
    reason    text,                 -- why it has no effect
    PRIMARY KEY (origin, seq)
);
-- claims are judged in the order of (origin in byte order, seq), whatever the database's collation
CREATE INDEX claim_about ON medchain.claim (about, origin COLLATE "C", seq);
CREATE INDEX claim_subject ON medchain.claim (subject, origin COLLATE "C", seq)
    WHERE subject IS NOT NULL;
CREATE INDEX claim_member ON medchain.claim (origin COLLATE "C", seq)
    WHERE kind = ANY ('{genesis,contract,acceptance,configure,suspend,reinstate,expel,ending,rekey,'
        'crl,anchors,fork}');
CREATE INDEX claim_examinee_key ON medchain.claim (origin COLLATE "C", seq)
    WHERE kind = 'examinee_key';
CREATE INDEX claim_break_glass ON medchain.claim (origin COLLATE "C", seq)
    WHERE kind = 'break_glass';
CREATE INDEX claim_refused ON medchain.claim (origin) WHERE NOT effective;
COMMENT ON TABLE medchain.claim IS 'every governance entry, whether it has effect, and if not why';

CREATE TABLE medchain.member (
    name           text PRIMARY KEY,
    kind           medchain.member_kind NOT NULL,
    certificate    text NOT NULL,
    fingerprint    bytea NOT NULL,
    contract       uuid NOT NULL,
    capabilities   text[] NOT NULL,
    valid          tstzrange NOT NULL,
    accepted       boolean NOT NULL,    -- the member countersigned its contract
    ledger_key     text,                -- PEM; null until an end node configured the ledger
    configured_by  text,
    suspended      timestamptz,         -- since when, if it is now
    revoked        timestamptz,         -- its certificate, by a revocation list on the ledger
    ended          timestamptz,         -- its contract
    expelled       timestamptz,
    departure      text,                -- why, of the last four
    -- expelled: the last block of its chain that counts, -1 for none
    last_height    bigint,
    last_hash      bytea,
    takes_part     boolean NOT NULL DEFAULT false   -- within "valid", it does now
);
COMMENT ON TABLE medchain.member IS 'members of the alliance as the ledger says';

CREATE TABLE medchain.contract (
    id           uuid PRIMARY KEY,
    member       text NOT NULL,
    kind         medchain.member_kind NOT NULL,
    certificate  text NOT NULL,
    capabilities text[] NOT NULL,
    valid        tstzrange NOT NULL,
    offered      timestamptz NOT NULL,
    offered_seq  bigint NOT NULL,       -- on the data centre's chain
    accepted     timestamptz,
    accepted_seq bigint,                -- on the member's chain: in force for what stands behind it
    ended        timestamptz,
    -- on the member's chain: first entry for which it is not in force
    ended_seq    bigint,
    ended_by     text,
    end_reason   text
);
CREATE INDEX contract_member ON medchain.contract (member, offered_seq);
COMMENT ON TABLE medchain.contract IS
    'smart contracts: what the data centre signed for each member, when the member countersigned, '
    'and who ended it';

CREATE TABLE medchain.ledger_key (
    member      text NOT NULL,
    from_height bigint NOT NULL,
    public_key  text NOT NULL,          -- PEM
    follows     bytea,                  -- hash of the block before, where the data centre named it
    PRIMARY KEY (member, from_height)
);
COMMENT ON TABLE medchain.ledger_key IS
    'the keys that each chain''s blocks are signed with, each from a height on';

CREATE TABLE medchain.member_certificate (
    member        text NOT NULL,
    fingerprint   bytea NOT NULL,
    certificate   text NOT NULL,
    period        tstzrange NOT NULL,   -- that it, and every CA above it, is made out for
    valid         tstzrange NOT NULL,   -- the same, to where it was revoked
    -- on the member's chain: in force from this entry on; null: offered only
    from_seq      bigint,
    revoked       timestamptz,
    revoke_reason text,
    cause_origin  text NOT NULL,        -- the entry that says so
    cause_seq     bigint NOT NULL,
    PRIMARY KEY (cause_origin, cause_seq)
);
CREATE INDEX member_certificate_member ON medchain.member_certificate (member);
CREATE INDEX member_certificate_fingerprint ON medchain.member_certificate (fingerprint);
COMMENT ON TABLE medchain.member_certificate IS
    'every certificate that each member has had, and from which entry of its chain on';

CREATE TABLE medchain.exclusion (
    member   text NOT NULL,
    cause    bigint NOT NULL,           -- the entry of the data centre's chain that says so
    from_seq bigint NOT NULL,           -- on the member's chain
    to_seq   bigint,                    -- null: to its end
    -- from from_seq on, entries of this time have no effect either
    during   tstzrange NOT NULL,
    reason   text NOT NULL,
    PRIMARY KEY (member, cause)
);
COMMENT ON TABLE medchain.exclusion IS
    'parts of a chain that have no effect: of members who were suspended, expelled, or whose '
    'certificate was revoked';

CREATE TABLE medchain.fork (
    origin   text NOT NULL,             -- the entry that proves it
    seq      bigint NOT NULL,
    member   text NOT NULL,
    height   bigint NOT NULL,
    hash     bytea NOT NULL,            -- of the two blocks, the lesser one first
    other    bytea NOT NULL,
    -- on the member's chain: from here on it does not count; null: nobody's does because of it
    from_seq bigint,
    counts   bytea,                     -- the one that the data centre says
    PRIMARY KEY (origin, seq)
);
CREATE INDEX fork_member ON medchain.fork (member, height);
COMMENT ON TABLE medchain.fork IS
    'proofs that a member has signed two blocks of one height; see the view medchain.forks';

CREATE TABLE medchain.examinee_key (
    origin       text NOT NULL,
    seq          bigint NOT NULL,
    subject      bytea NOT NULL,
    public_key   text NOT NULL,
    registered   timestamptz NOT NULL,
    withdrawn    timestamptz,
    withdrawn_at jsonb,                 -- where each end node's chain stood then
    PRIMARY KEY (origin, seq)
);
CREATE INDEX examinee_key_subject ON medchain.examinee_key (subject);
COMMENT ON TABLE medchain.examinee_key IS 'keys of examinees who sign their protocols themselves';

CREATE TABLE medchain.protocol (
    id            uuid PRIMARY KEY,
    issuer        text NOT NULL,
    subject       bytea NOT NULL,
    protocol_text text NOT NULL,
    valid         tstzrange NOT NULL,
    issued        timestamptz NOT NULL,
    revoked       timestamptz,
    revoked_by    text,
    revoke_reason text,
    version       bigint NOT NULL      -- of its terms: place of their entry on the issuer's chain
);
CREATE INDEX protocol_subject ON medchain.protocol (subject);
COMMENT ON TABLE medchain.protocol IS
    'smart protocols: text and validity; their grants and data index stand beside';

CREATE TABLE medchain.protocol_grant (
    protocol   uuid NOT NULL,
    ordinal    int NOT NULL,
    subject    bytea NOT NULL,
    grantee    text NOT NULL,
    operations text[] NOT NULL,
    purpose    text,
    records    text[],              -- null: all of the subject's records
    valid      tstzrange NOT NULL,  -- within the protocol's validity
    PRIMARY KEY (protocol, ordinal)
);
CREATE INDEX protocol_grant_grantee ON medchain.protocol_grant (grantee, subject);
COMMENT ON TABLE medchain.protocol_grant IS
    'who may do what with which records of the subject, for what purpose and when';

CREATE TABLE medchain.data_index (
    protocol uuid NOT NULL,
    ordinal  int NOT NULL,
    subject  bytea NOT NULL,
    holder   text NOT NULL,
    relation text NOT NULL,
    key      jsonb,
    PRIMARY KEY (protocol, ordinal)
);
CREATE INDEX data_index_subject ON medchain.data_index (subject);
COMMENT ON TABLE medchain.data_index IS 'where the records are that a protocol covers';

CREATE TABLE medchain.break_glass (
    origin        text NOT NULL,        -- another than the member: it opens records there alone
    seq           bigint NOT NULL,
    id            uuid NOT NULL,
    member        text NOT NULL,
    subject       bytea NOT NULL,
    reason        text NOT NULL,
    valid         tstzrange NOT NULL,   -- within what the policy break_glass_max allows
    justified     timestamptz,
    justification text,
    PRIMARY KEY (origin, seq)
);
CREATE INDEX break_glass_member ON medchain.break_glass (member, subject);
CREATE INDEX break_glass_id ON medchain.break_glass (id);
COMMENT ON TABLE medchain.break_glass IS
    'emergencies: members who read an examinee''s records without a protocol, why and until when, '
    'and how they have justified it';

CREATE TABLE medchain.role_binding (
    role   text NOT NULL,           -- what it was called then
    member text NOT NULL,
    seq    bigint NOT NULL,         -- of the entry that says so, on this node's chain
    entry  uuid PRIMARY KEY
);
COMMENT ON TABLE medchain.role_binding IS
    'login roles of this server that act for a member (bind_role), as the ledger says: by name';

-- Local: what cryptography says of entries and certificates, found out once.
CREATE TABLE medchain.fact (
    question bytea PRIMARY KEY,     -- hash over all that the answer depends on
    answer   text NOT NULL
);
COMMENT ON TABLE medchain.fact IS
    'local: what was found out about signatures, certificates and revocation lists; verify() asks '
    'again';

-- Local: so that processes that have members in memory know when others have changed them.
CREATE TABLE medchain.rules_state (
    singleton  boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    epoch      uuid NOT NULL,           -- another one each time that something was taken back
    generation bigint NOT NULL          -- one more each time that something came
);
COMMENT ON TABLE medchain.rules_state IS
    'local: which state of the members this is, for processes that have them in memory';

-- Local: which role it is that such an entry means.  Names are given away, numbers are not.
CREATE TABLE medchain.bound_role (
    server  text,                   -- whose roles have these numbers: its system identifier
    role    oid,
    entries uuid[] NOT NULL DEFAULT '{}',   -- that bind it, oldest first: each ends those before
    PRIMARY KEY (server, role)
);
COMMENT ON TABLE medchain.bound_role IS
    'local: the roles that entries about bindings of roles mean; of effect on this server alone';

-- Local, never replicated: which examinee a pseudonym stands for.
CREATE TABLE medchain.subject_identity (
    pseudonym bytea PRIMARY KEY,
    identity  text NOT NULL
);
COMMENT ON TABLE medchain.subject_identity IS
    'local: identities behind the pseudonyms on the ledger; never leaves this database';
