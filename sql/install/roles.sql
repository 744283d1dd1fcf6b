/* roles.sql: schemas and group roles, made if missing: roles belong to the whole server. */

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['medchain_admin', 'medchain_member', 'medchain_auditor',
        'medchain_peer'] LOOP
        IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = name) THEN
            EXECUTE pg_catalog.format('CREATE ROLE %I NOLOGIN', name);
        END IF;
    END LOOP;
END
$$;

-- A schema that was there before may hold traps: functions of somebody else that ours would call.
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_catalog.pg_namespace n WHERE n.nspname = 'medchain'
        AND n.nspowner <> current_user::regrole)
       OR EXISTS (SELECT FROM pg_catalog.pg_depend d
           WHERE d.refclassid = 'pg_catalog.pg_namespace'::regclass
                  AND d.refobjid = 'medchain'::regnamespace
                      AND d.classid <> 'pg_catalog.pg_extension'::regclass) THEN
        RAISE object_not_in_prerequisite_state USING
            MESSAGE = 'schema "medchain" exists already, and is somebody else''s or not empty',
            HINT = 'Drop or rename it first.';
    END IF;
END
$$;

GRANT USAGE ON SCHEMA medchain TO PUBLIC;

-- What nobody is to call: helpers, and functions of triggers.  Code that runs with a session's own
-- rights comes by here, so everybody may look names up; who may call what is in privileges.sql.
CREATE SCHEMA medchain_internal;
COMMENT ON SCHEMA medchain_internal IS 'functions of medchain that nobody is to call';
REVOKE ALL ON SCHEMA medchain_internal FROM PUBLIC;
GRANT USAGE ON SCHEMA medchain_internal TO PUBLIC;
SET LOCAL search_path = medchain, medchain_internal, pg_temp;
