/*
 * What the SQL tests and the isolation specs need and medchain does not offer:
 * schema "test", included (\i) in each database that plays a member.
 */
SET client_min_messages = warning;
CREATE SCHEMA IF NOT EXISTS test;
GRANT USAGE ON SCHEMA test TO PUBLIC;

-- A certificate that test/pki/make-pki made.
CREATE OR REPLACE FUNCTION test.pem(name text) RETURNS text
    LANGUAGE sql STABLE
    AS $$ SELECT pg_read_file(current_setting('medchain_test.pki') || '/' || name || '.crt') $$;

-- A private key of make-pki, as a file name.
CREATE OR REPLACE FUNCTION test.key_file(name text) RETURNS text
    LANGUAGE sql STABLE
    AS $$ SELECT current_setting('medchain_test.pki') || '/' || name || '.key' $$;

-- From one database of this server to another, as a peer would come.
CREATE OR REPLACE FUNCTION test.conninfo(database text) RETURNS text
    LANGUAGE sql STABLE
    AS $$ SELECT format('host=%s port=%s dbname=%s user=regress_alliance',
                        current_setting('unix_socket_directories'), current_setting('port'), database) $$;

-- What depends on nothing but this run, as a test's expected output can hold it.
CREATE OR REPLACE FUNCTION test.masked(value text) RETURNS text
    LANGUAGE sql IMMUTABLE
AS $$
    SELECT replace(
        regexp_replace(regexp_replace(regexp_replace(value,
            '[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}', '<uuid>', 'g'),
            '[0-9a-f]{64}', '<hash>', 'g'),
            '[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9:.]+(Z|[-+][0-9:]+)?', '<time>', 'g'),
        coalesce(current_setting('medchain_test.pki', true), '<none>'), '<pki>')
$$;

-- Runs a statement that must fail; its error, one field a row.
CREATE OR REPLACE FUNCTION test.error_of(statement text) RETURNS TABLE (field text, content text)
    LANGUAGE plpgsql
AS $$
DECLARE
    state text;
    message text;
    detail text;
    hint text;
BEGIN
    BEGIN
        EXECUTE statement;
    EXCEPTION WHEN OTHERS THEN
        GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
        RETURN QUERY SELECT f, test.masked(c) FROM (VALUES ('error', state || ' ' || message), ('detail', detail), ('hint', hint)) x (f, c) WHERE c <> '';
        RETURN;
    END;
    RETURN QUERY SELECT 'no error'::text, statement;
END
$$;

-- Runs a statement that PostgreSQL itself must refuse, whose words change from version to version.
CREATE OR REPLACE FUNCTION test.state_of(statement text) RETURNS text
    LANGUAGE plpgsql
AS $$
BEGIN
    EXECUTE statement;
    RETURN 'no error';
EXCEPTION WHEN OTHERS THEN
    RETURN SQLSTATE;
END
$$;

-- The same as error_of() for several calls of medchain's functions.
CREATE OR REPLACE FUNCTION test.errors_of(VARIADIC calls text[]) RETURNS TABLE (call text, field text, content text)
    LANGUAGE sql
AS $$
    SELECT test.masked(c), e.field, e.content FROM unnest(calls) WITH ORDINALITY x (c, i), LATERAL test.error_of('SELECT medchain.' || c) e
        ORDER BY i, array_position('{error, detail, hint, "no error"}', e.field)
$$;

-- The signature, in base64, that the openssl command makes with a key of make-pki: Ed25519, or with these further options.
CREATE OR REPLACE FUNCTION test.sign_outside(name text, message bytea, options text DEFAULT '') RETURNS text
    LANGUAGE plpgsql
AS $$
DECLARE
    signature text;
BEGIN
    CREATE TEMP TABLE signed (signature text);
    EXECUTE format('COPY signed FROM PROGRAM %L', format('printf %%s %s | base64 -d >%s/bytes && openssl pkeyutl -sign -rawin %s -inkey %s -in %2$s/bytes | base64 -w0',
        translate(encode(message, 'base64'), E'\n', ''), current_setting('medchain_test.pki'), options, test.key_file(name)));
    SELECT s.signature INTO signature FROM signed s;
    DROP TABLE signed;
    RETURN signature;
END
$$;

-- DSSE v1: what is signed of a payload of that type.
CREATE OR REPLACE FUNCTION test.pae(type text, payload text) RETURNS bytea
    LANGUAGE sql IMMUTABLE
AS $$
    SELECT convert_to(format('DSSEv1 %s %s %s %s', octet_length(type), type, octet_length(payload), payload), 'UTF8')
$$;

-- ... of an envelope on the ledger.
CREATE OR REPLACE FUNCTION test.pae(envelope jsonb) RETURNS bytea
    LANGUAGE sql IMMUTABLE
AS $$
    SELECT test.pae(envelope ->> 'payloadType', convert_from(decode(envelope ->> 'payload', 'base64'), 'UTF8'))
$$;

-- What a superuser does who tampers: the triggers of these tables are off, one by one.
CREATE OR REPLACE PROCEDURE test.disable_triggers(VARIADIC tables regclass[])
    LANGUAGE plpgsql
AS $$
DECLARE
    statement text;
BEGIN
    FOR statement IN SELECT format('ALTER TABLE %s DISABLE TRIGGER %I', tgrelid::regclass, tgname)
        FROM pg_trigger WHERE tgrelid = ANY (tables) AND NOT tgisinternal LOOP
        EXECUTE statement;
    END LOOP;
END
$$;

-- Waits, at most a minute, until a query returns true.
CREATE OR REPLACE PROCEDURE test.wait_for(condition text)
    LANGUAGE plpgsql
AS $$
DECLARE
    fulfilled boolean;
BEGIN
    FOR i IN 1 .. 1200 LOOP
        EXECUTE 'SELECT (' || condition || ')' INTO fulfilled;
        COMMIT;
        IF fulfilled THEN
            RETURN;
        END IF;
        PERFORM pg_sleep(0.05);
    END LOOP;
    RAISE EXCEPTION 'waited a minute in vain for: %', condition;
END
$$;

-- Waits until the sealer of this database runs and has the key of that member.
CREATE OR REPLACE PROCEDURE test.use_key(member text)
    LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM medchain.start_workers();
    CALL test.wait_for(format('SELECT key_fingerprint = (medchain.certificate_facts(test.pem(%L))).key_fingerprint FROM medchain.sealer_status()', member));
END
$$;
RESET client_min_messages;
