/* roles.sql: the schema and the group roles, made if missing: roles belong to the whole server. */

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['medchain_admin', 'medchain_member', 'medchain_auditor', 'medchain_peer'] LOOP
        IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = name) THEN
            EXECUTE pg_catalog.format('CREATE ROLE %I NOLOGIN', name);
        END IF;
    END LOOP;
END
$$;

GRANT USAGE ON SCHEMA medchain TO PUBLIC;
