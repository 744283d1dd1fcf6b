/*
 * append.sql: putting entries on our own chain, and keeping them there.
 */

CREATE FUNCTION medchain_internal.pending_leaf() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'medchain_pending_leaf';
COMMENT ON FUNCTION medchain_internal.pending_leaf() IS
    'trigger: compute the leaf hash and the index columns of a new entry from its payload';
CREATE FUNCTION medchain_internal.guard() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'medchain_guard';
COMMENT ON FUNCTION medchain_internal.guard()
    IS 'trigger: refuse to change or remove rows of the ledger';

CREATE TRIGGER pending_leaf BEFORE INSERT ON medchain.pending FOR EACH ROW
    EXECUTE FUNCTION medchain_internal.pending_leaf();
ALTER TABLE medchain.pending ENABLE ALWAYS TRIGGER pending_leaf;

DO $$
DECLARE
    relation text;
BEGIN
    FOREACH relation IN ARRAY ARRAY['pending', 'entry', 'block', 'tile'] LOOP
        EXECUTE pg_catalog.format('CREATE TRIGGER guard_row BEFORE UPDATE OR DELETE ON medchain.%I '
            'FOR EACH ROW EXECUTE FUNCTION medchain_internal.guard()', relation);
        EXECUTE pg_catalog.format('CREATE TRIGGER guard_truncate BEFORE TRUNCATE ON medchain.%I '
            'FOR EACH STATEMENT EXECUTE FUNCTION medchain_internal.guard()', relation);
        EXECUTE pg_catalog.format('ALTER TABLE medchain.%I ENABLE ALWAYS TRIGGER guard_row, ENABLE '
            'ALWAYS TRIGGER guard_truncate', relation);
    END LOOP;
END
$$;

CREATE FUNCTION medchain_internal.arrive_tile() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'medchain_arrive_tile';
COMMENT ON FUNCTION medchain_internal.arrive_tile() IS
    'trigger: refuse tiles that medchain did not make, but for those of a dump';
CREATE TRIGGER arrive BEFORE INSERT ON medchain.tile FOR EACH ROW
    EXECUTE FUNCTION medchain_internal.arrive_tile();
ALTER TABLE medchain.tile ENABLE ALWAYS TRIGGER arrive;

CREATE FUNCTION medchain_internal.require_writable() RETURNS void
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'medchain_require_writable';
COMMENT ON FUNCTION medchain_internal.require_writable() IS
    'internal: error, with the reason, in a transaction that may not write';

CREATE FUNCTION medchain_internal.append_raw(kind text, body text, subject bytea, wait boolean)
    RETURNS uuid
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'medchain_append_raw';
COMMENT ON FUNCTION medchain_internal.append_raw(text, text, bytea, boolean) IS
    'internal: write an entry to medchain.pending; wait: the commit waits until it is sealed';

CREATE FUNCTION medchain_internal.append_governance(kind text, body jsonb,
    subject bytea DEFAULT NULL)
    RETURNS uuid
    LANGUAGE plpgsql VOLATILE SET search_path = medchain, medchain_internal, pg_temp
AS $$
BEGIN
    RETURN append_raw(kind, body::text, subject, true);
END
$$;
COMMENT ON FUNCTION medchain_internal.append_governance(text, jsonb, bytea) IS
    'internal: write an entry that state depends on';

CREATE FUNCTION medchain.pseudonym(identity text) RETURNS bytea
    LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'medchain_pseudonym';
COMMENT ON FUNCTION medchain.pseudonym(text) IS
    'what stands for an examinee on the ledger: HMAC-SHA-256 of the identity under the key in '
    'medchain.pseudonym_key_file';
CREATE FUNCTION medchain_internal.pseudonym_check() RETURNS text
    LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'medchain_pseudonym_check';
COMMENT ON FUNCTION medchain_internal.pseudonym_check() IS
    'internal: check value of the key in medchain.pseudonym_key_file, as the genesis entry has it';
CREATE FUNCTION medchain.pseudonym_status() RETURNS text
    LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'medchain_pseudonym_status';
COMMENT ON FUNCTION medchain.pseudonym_status() IS
    'can the key in medchain.pseudonym_key_file be used, and is it the alliance''s? fine, or '
    'what is wrong';

-- Nobody is called nothing: a subject, or a text, of white space alone is a variable that was not
-- set.
CREATE FUNCTION medchain_internal.require_words(argument text, value text) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = medchain, medchain_internal, pg_temp
AS $$
BEGIN
    IF value IS NULL THEN
        RAISE null_value_not_allowed USING MESSAGE = format('%s must not be null', argument);
    ELSIF is_blank(value) THEN
        RAISE invalid_parameter_value USING MESSAGE = format('%s must not be empty or blank',
            argument);
    END IF;
END
$$;
COMMENT ON FUNCTION medchain_internal.require_words(text, text)
    IS 'internal: error if an argument is '
    'null, empty or blank';

CREATE FUNCTION medchain_internal.require_subject(subject text) RETURNS void
    LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'medchain_require_subject';
COMMENT ON FUNCTION medchain_internal.require_subject(text) IS
    'internal: error if an identity is null, blank, longer than 1000 bytes, or has control '
    'characters in it';

CREATE FUNCTION medchain_internal.is_blank(value text) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'medchain_is_blank';
COMMENT ON FUNCTION medchain_internal.is_blank(text)
    IS 'internal: is there nothing to see in this text?';

CREATE FUNCTION medchain_internal.sign_envelope(payload_type text, payload text) RETURNS text
    LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'medchain_sign_envelope';
COMMENT ON FUNCTION medchain_internal.sign_envelope(text, text) IS
    'internal: DSSE envelope over a protocol or contract with this node''s signature, made by the '
    'sealer';

CREATE FUNCTION medchain.start_workers() RETURNS void
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'medchain_start_workers';
COMMENT ON FUNCTION medchain.start_workers() IS
    'make sure that the workers of this database run; error if the sealer cannot, warning if the '
    'keeper cannot, both with the setting that is in the way';

CREATE FUNCTION medchain.sealer_status(OUT state text, OUT error text, OUT key_fingerprint text,
    OUT blocks bigint, OUT entries bigint,
                                       OUT bytes bigint, OUT seal_ms_p50 float8,
                                           OUT seal_ms_p99 float8, OUT seal_ms_max float8)
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'medchain_sealer_status';
COMMENT ON FUNCTION medchain.sealer_status() IS
    'state of this database''s sealer: running, failed (see error) or down; what it sealed since '
    'the server started, bytes of payload included, and how many milliseconds after their commit '
    '(within 25 %)';

CREATE FUNCTION medchain.seal() RETURNS void
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'medchain_seal';
COMMENT ON FUNCTION medchain.seal() IS
    'wait until everything committed before is sealed; what this transaction itself appended is '
    'sealed after its commit';

CREATE FUNCTION medchain.append(kind text, payload json, subject text DEFAULT NULL) RETURNS uuid
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'medchain_append';
COMMENT ON FUNCTION medchain.append(text, json, text) IS
    'put an entry on this node''s chain; subject: identity of the examinee it is about, on the '
    'ledger a pseudonym; returns the entry''s id';
