/*
 * entry.sql: reading the text of an entry, whatever it is.
 *
 * What is accepted into the ledger can be read (src/rules/entry.h); an entry that is there since a
 * time when more was taken must not make anything fail that reads many.
 */

CREATE FUNCTION medchain_internal.entry_body(payload text) RETURNS text
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'medchain_entry_body';
COMMENT ON FUNCTION medchain_internal.entry_body(text) IS
    'internal: body of an entry, as it stands in the payload: JSON that jsonb can hold; null if '
    'the payload cannot be read';

CREATE FUNCTION medchain.entry_fault(payload text) RETURNS text
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'medchain_entry_fault';
COMMENT ON FUNCTION medchain.entry_fault(text) IS
    'why the payload of an entry cannot be read; null if it can';

CREATE FUNCTION medchain_internal.object_or_null(value text, strict boolean) RETURNS jsonb
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'medchain_object_or_null';
COMMENT ON FUNCTION medchain_internal.object_or_null(text, boolean) IS
    'internal: text as jsonb; null unless it is a JSON object that all programs read alike: no '
    'field twice in it, and strict: no number beyond what C programs hold';

CREATE FUNCTION medchain_internal.text_leaf_hash(value text) RETURNS bytea
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'medchain_text_leaf_hash';
COMMENT ON FUNCTION medchain_internal.text_leaf_hash(text) IS
    'internal: RFC 6962 leaf hash of the bytes of a text, whatever they are';

CREATE FUNCTION medchain_internal.text_base64(value text) RETURNS text
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'medchain_text_base64';
COMMENT ON FUNCTION medchain_internal.text_base64(text) IS
    'internal: the bytes of what is no UTF-8 text, in base64; null if it is';
