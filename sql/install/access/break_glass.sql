/*
 * break_glass.sql: in an emergency a member reads an examinee's records without a protocol, for a
 * short time, and says later why.
 *
 * Who may, the rules decide (src/rules/break_glass.c).  The calls only see to it that nobody calls
 * in another's name, and say beforehand what would have no effect.
 */

-- For calls of a member's sessions, at its own node and at others.
CREATE FUNCTION medchain_internal.require_member(what text) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = medchain, medchain_internal, pg_temp
AS $$
DECLARE
    acting CONSTANT text := current_member();
BEGIN
    PERFORM require_home();
    IF acting IS NOT NULL THEN
        RETURN acting;
    ELSIF session_member() IS NOT NULL THEN
        RAISE insufficient_privilege USING
            MESSAGE = format('%s is for members who take part', what),
            DETAIL = format('This session is that of "%s", who takes no part now.',
                session_member());
    END IF;
    RAISE insufficient_privilege USING
        MESSAGE = format('%s is for sessions that act for a member', what),
        DETAIL = format('Nobody is represented by role "%s", whatever it may do otherwise.',
            session_user),
        HINT = 'Connect with the member''s certificate, or as a role that is bound to it: see '
            'medchain.bind_role().';
END
$$;
COMMENT ON FUNCTION medchain_internal.require_member(text) IS
    'internal: the member that the session acts for; error if there is none';

-- How long the glass stays broken, as far as the policy allows.
CREATE FUNCTION medchain_internal.break_glass_time(wanted interval, policy text) RETURNS interval
    LANGUAGE plpgsql STABLE SET search_path = medchain, medchain_internal, pg_temp
AS $$
DECLARE
    most CONSTANT interval := make_interval(secs => coalesce(policy, '0')::int);
BEGIN
    IF most = '0' THEN
        RAISE object_not_in_prerequisite_state USING
            MESSAGE = 'nobody breaks the glass in this alliance',
            DETAIL = 'There is no policy that allows it.',
            HINT = 'The data centre sets one: SELECT medchain.set_policy(''break_glass_max'', '
                '''1 hour'');';
    ELSIF wanted <= '0' THEN
        RAISE invalid_parameter_value USING MESSAGE = format('"for" must be longer than 0, not %s',
            wanted);
    ELSIF wanted > most THEN
        RAISE NOTICE 'the glass is broken for %, the most that the policy allows', most;
    END IF;
    RETURN least(wanted, most);
END
$$;
COMMENT ON FUNCTION medchain_internal.break_glass_time(interval, text) IS
    'internal: for how long the glass is broken, given the policy break_glass_max in seconds';

CREATE FUNCTION medchain.break_glass(subject text, reason text, "for" interval DEFAULT NULL)
    RETURNS uuid
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER
        SET search_path = medchain, medchain_internal, pg_temp
AS $$
DECLARE
    acting CONSTANT text := require_member('break_glass()');
    here CONSTANT text := (SELECT n.node FROM local_node n);
    m medchain.member;
    period interval;
    body jsonb;
    denied text;
BEGIN
    PERFORM require_writable(), require_subject(break_glass.subject),
        require_words('reason', break_glass.reason);
    SELECT x.* INTO m FROM medchain.member x WHERE x.name = acting;
    IF ('emergency' = ANY (m.capabilities)) IS NOT TRUE THEN
        RAISE insufficient_privilege USING
            MESSAGE = format('the contract of "%s" does not allow breaking the glass', acting),
            DETAIL = 'It would need the capability "emergency".';
    END IF;
    period := break_glass_time(coalesce(break_glass."for",
        current_setting('medchain.break_glass_time')::interval),
        policy_at('break_glass_max', here));
    body := jsonb_build_object('member', acting, 'reason', break_glass.reason,
        'until', ledger_time(clock_timestamp() + period));
    IF acting <> here THEN
        body := body || jsonb_build_object('last', chain_point(acting));
    END IF;
    denied := break_glass_reason(here, pseudonym(break_glass.subject), body, clock_timestamp());
    IF denied IS NOT NULL THEN
        RAISE insufficient_privilege USING MESSAGE = denied;
    END IF;
    RETURN append_governance('break_glass', body, remember_identity(break_glass.subject));
END
$$;
COMMENT ON FUNCTION medchain.break_glass(text, text, interval) IS
    'a member whose contract has the capability "emergency": read the records of an examinee '
    'without a protocol, from now on and for a while (medchain.break_glass_time, at most the '
    'policy break_glass_max). At the member''s own node: at every holder of records, as soon as '
    'the entry is there; at another node: there alone, with the caller''s next transaction. To be '
    'justified later: justify()';

CREATE FUNCTION medchain.justify(break_glass uuid, justification text) RETURNS uuid
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER
        SET search_path = medchain, medchain_internal, pg_temp
AS $$
DECLARE
    acting CONSTANT text := require_member('justify()');
    here CONSTANT text := (SELECT n.node FROM local_node n);
    b medchain.break_glass;
BEGIN
    PERFORM require_writable(), require_words('justification', justify.justification);
    IF justify.break_glass IS NULL THEN
        RAISE null_value_not_allowed USING MESSAGE = 'break_glass must not be null';
    END IF;
    FOR attempt IN 1 .. 2 LOOP
        SELECT x.* INTO b FROM medchain.break_glass x
            WHERE x.id = justify.break_glass AND x.member = acting AND here IN (x.member, x.origin)
            ORDER BY x.justified IS NOT NULL, x.origin, x.seq LIMIT 1;
        EXIT WHEN FOUND;
        IF attempt = 2 THEN
            RAISE undefined_object USING
                MESSAGE = format('there is no break-glass %s of "%s"', justify.break_glass, acting),
                HINT = 'See the view medchain.unjustified. It is justified where the glass was '
                    'broken, or at the member''s own node.';
        END IF;
        PERFORM catch_up();     -- it may be on its way
    END LOOP;
    IF b.justified IS NOT NULL THEN
        RAISE object_not_in_prerequisite_state USING MESSAGE = 'it is justified already',
            DETAIL = format('Since %s.', ledger_time(b.justified));
    END IF;
    RETURN append_governance('justification', jsonb_build_object('member', acting, 'break_glass',
        b.id, 'chain', b.origin, 'seq', b.seq, 'justification', justify.justification), b.subject);
END
$$;
COMMENT ON FUNCTION medchain.justify(uuid, text) IS
    'the member that has broken the glass: why that was right, once; at its own node, or where the '
    'glass was broken';

CREATE VIEW medchain.break_glasses AS
SELECT b.id AS break_glass, b.member, e.payload::jsonb ->> 'role' AS role,
       nullif(b.origin, b.member) AS holder, b.subject, s.identity, b.reason,
       lower(b.valid) AS "from", upper(b.valid) AS until, b.justified, b.justification
FROM medchain.break_glass b
     LEFT JOIN medchain.entry e ON e.origin = b.origin AND e.seq = b.seq
     LEFT JOIN medchain.subject_identity s ON s.pseudonym = b.subject;
COMMENT ON VIEW medchain.break_glasses IS
    'who has read, or could have read, an examinee''s records in an emergency, without a protocol: '
    'role: that logged in; holder: only there (null: everywhere); identity where this database '
    'knows whom the pseudonym stands for; from when to when; justified: when, null: not yet';

CREATE VIEW medchain.unjustified AS
SELECT g.break_glass, g.member, g.role, g.holder, g.subject, g.identity, g.reason, g."from", g.until
FROM medchain.break_glasses g WHERE g.justified IS NULL;
COMMENT ON VIEW medchain.unjustified IS
    'those of break_glasses that nobody has justified';
