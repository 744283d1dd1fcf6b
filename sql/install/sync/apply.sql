/*
 * apply.sql: what arrives from peers passes through here, before it is a row.
 */

CREATE TABLE medchain.peer (
    member       text PRIMARY KEY,
    conninfo     text NOT NULL,
    subscription name NOT NULL UNIQUE,
    slot         name NOT NULL,
    connected    timestamptz NOT NULL DEFAULT now(),
    options      text,                      -- of follow(), for this one; null: by connect_peer()
    -- that are taken: {all}, or {governance} and other kinds
    payloads     text[] NOT NULL DEFAULT '{all}'
);
COMMENT ON TABLE medchain.peer IS 'members whose chain this database subscribes to';

CREATE FUNCTION medchain_internal.arrive_entry() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'medchain_arrive_entry';
COMMENT ON FUNCTION medchain_internal.arrive_entry() IS
    'trigger: hold an entry that replication brings until its block is verified';
CREATE FUNCTION medchain_internal.arrive_block() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'medchain_arrive_block';
COMMENT ON FUNCTION medchain_internal.arrive_block() IS
    'trigger: verify and accept, hold or quarantine a block that replication brings';

CREATE TRIGGER arrive BEFORE INSERT ON medchain.entry FOR EACH ROW
    EXECUTE FUNCTION medchain_internal.arrive_entry();
CREATE TRIGGER arrive BEFORE INSERT ON medchain.block FOR EACH ROW
    EXECUTE FUNCTION medchain_internal.arrive_block();
ALTER TABLE medchain.entry ENABLE ALWAYS TRIGGER arrive;
ALTER TABLE medchain.block ENABLE ALWAYS TRIGGER arrive;
