/*
 * discipline.sql: what the data centre decides about members who are in: suspension, expulsion,
 * revocation lists, policies.
 *
 * Each such entry names the last block of the member's chain that the data centre
 * has verified: up to there the chain counts as before, whatever times are in it.
 */

-- Where a chain stands here: {"height", "hash", "size"}.
CREATE FUNCTION medchain_internal.chain_point(member text, height bigint DEFAULT NULL) RETURNS jsonb
    LANGUAGE sql STABLE SET search_path = medchain, medchain_internal, pg_temp
AS $$
    SELECT coalesce((SELECT jsonb_build_object('height', b.height, 'hash', encode(b.hash, 'hex'),
        'size', b.size) FROM block b
                     WHERE b.origin = $1 AND b.height <= coalesce($2, b.height)
                         ORDER BY b.height DESC LIMIT 1), '{"height": -1, "size": 0}')
$$;
COMMENT ON FUNCTION medchain_internal.chain_point(text, bigint) IS
    'internal: the newest block of a chain here, or the one of this height, as entries name it';

CREATE FUNCTION medchain_internal.chain_points(members text[]) RETURNS jsonb
    LANGUAGE sql STABLE SET search_path = medchain, medchain_internal, pg_temp
AS $$
    SELECT coalesce(jsonb_object_agg(m, chain_point(m)), '{}') FROM unnest($1) m
$$;
COMMENT ON FUNCTION medchain_internal.chain_points(text[]) IS
    'internal: where these members'' chains stand here';

-- Error unless this is the data centre, about another member that is still in.
CREATE FUNCTION medchain_internal.require_governor(member text, what text) RETURNS medchain.member
    LANGUAGE plpgsql STABLE SET search_path = medchain, medchain_internal, pg_temp
AS $$
DECLARE
    local local_node := require_node('{data_center}', what);
    m medchain.member;
BEGIN
    PERFORM require_capability('admit', what);
    IF require_governor.member IS NULL THEN
        RAISE null_value_not_allowed USING MESSAGE = 'member must not be null';
    END IF;
    SELECT * INTO m FROM medchain.member x WHERE x.name = require_governor.member;
    IF NOT FOUND THEN
        RAISE undefined_object USING MESSAGE = format('there is no member "%s"',
            shown(require_governor.member));
    ELSIF m.name = local.node THEN
        RAISE invalid_parameter_value USING MESSAGE = format('%s is for other members than the '
            'data centre', what),
            HINT = 'The data centre has no contract: when it leaves, the alliance ends.';
    ELSIF m.expelled IS NOT NULL THEN
        RAISE object_not_in_prerequisite_state USING MESSAGE = format('"%s" was expelled', m.name),
            HINT = 'Its chain is closed; the same organisation can be admitted under another name.';
    END IF;
    RETURN m;
END
$$;
COMMENT ON FUNCTION medchain_internal.require_governor(text, text) IS
    'internal: a member about which the data centre can decide';

CREATE FUNCTION medchain.suspend(member text, reason text) RETURNS uuid
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER
        SET search_path = medchain, medchain_internal, pg_temp
AS $$
DECLARE
    m medchain.member := require_governor(suspend.member, 'suspend()');
BEGIN
    IF m.suspended IS NOT NULL THEN
        RAISE object_not_in_prerequisite_state USING MESSAGE = format('"%s" is suspended already',
            m.name);
    END IF;
    RETURN append_governance('suspend', jsonb_build_object('member', m.name, 'reason',
        coalesce(suspend.reason, ''), 'last', chain_point(m.name)));
END
$$;
COMMENT ON FUNCTION medchain.suspend(text, text) IS
    'data centre: until reinstate(), the member''s sessions have no rights, grants given by it and '
    'to it are dormant, and what it puts on its chain has no effect, from the block after the last '
    'one that is verified here';

-- Which of two blocks counts: a proof of the fork, with that.
CREATE FUNCTION medchain_internal.decide_fork(member text, block text) RETURNS uuid
    LANGUAGE plpgsql VOLATILE SET search_path = medchain, medchain_internal, pg_temp
AS $$
DECLARE
    chosen bytea := CASE WHEN decide_fork.block ~ '^[0-9a-fA-F]{64}$'
        THEN decode(decide_fork.block, 'hex') END;
    found jsonb;
BEGIN
    SELECT c.body INTO found FROM fork f JOIN claim c ON c.origin = f.origin AND c.seq = f.seq
        WHERE f.member = decide_fork.member AND f.from_seq IS NOT NULL
            AND chosen IN (f.hash, f.other)
        ORDER BY f.height LIMIT 1;
    IF found IS NULL THEN
        RAISE undefined_object USING MESSAGE = format('"%s" has no open fork with that block',
            decide_fork.member),
            HINT = 'See the view medchain.forks.';
    END IF;
    RETURN append_governance('fork', jsonb_strip_nulls(jsonb_build_object('member',
        decide_fork.member, 'notes', found -> 'notes', 'before', found -> 'before', 'counts',
        encode(chosen, 'hex'))));
END
$$;
COMMENT ON FUNCTION medchain_internal.decide_fork(text, text) IS
    'internal: say which block of a fork counts';

CREATE FUNCTION medchain.reinstate(member text, block text DEFAULT NULL) RETURNS uuid
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER
        SET search_path = medchain, medchain_internal, pg_temp
AS $$
DECLARE
    m medchain.member := require_governor(reinstate.member, 'reinstate()');
BEGIN
    IF reinstate.block IS NOT NULL THEN
        RETURN decide_fork(m.name, reinstate.block);
    ELSIF EXISTS (SELECT FROM fork f WHERE f.member = m.name AND f.from_seq IS NOT NULL)
        AND NOT EXISTS (SELECT FROM exclusion e WHERE e.member = m.name AND e.to_seq IS NULL) THEN
        RAISE object_not_in_prerequisite_state USING MESSAGE = format('"%s" has forked its chain',
            m.name),
            DETAIL = (SELECT format('It has signed two blocks %s: %s and %s.', f.height,
                encode(f.hash, 'hex'), encode(f.other, 'hex')) FROM fork f
                WHERE f.member = m.name AND f.from_seq IS NOT NULL ORDER BY f.height LIMIT 1),
            HINT = 'Say which of them counts, reinstate(member, block => hash); or give it a new '
                'key from an earlier block on: rekey(), with last_height.';
    ELSIF m.suspended IS NULL THEN
        RAISE object_not_in_prerequisite_state USING MESSAGE = format('"%s" is not suspended',
            m.name);
    END IF;
    RETURN append_governance('reinstate', jsonb_build_object('member', m.name, 'last',
        chain_point(m.name)));
END
$$;
COMMENT ON FUNCTION medchain.reinstate(text, text) IS
    'data centre: end a suspension; the member''s chain counts again from the block after the last '
    'one that is verified here, what it says about the time of the suspension excepted. block: of '
    'two blocks of one height (medchain.forks), the hash of the one that counts: its chain counts '
    'again, with that block';

CREATE FUNCTION medchain.expel(member text, reason text) RETURNS uuid
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER
        SET search_path = medchain, medchain_internal, pg_temp
AS $$
DECLARE
    m medchain.member := require_governor(expel.member, 'expel()');
BEGIN
    RETURN append_governance('expel', jsonb_build_object('member', m.name, 'reason',
        coalesce(expel.reason, ''), 'last', chain_point(m.name)));
END
$$;
COMMENT ON FUNCTION medchain.expel(text, text) IS
    'data centre: for good; the last block of the member''s chain that is verified here is the '
    'last that counts, and everybody refuses later ones';

CREATE FUNCTION medchain.add_crl(crl text) RETURNS uuid
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER
        SET search_path = medchain, medchain_internal, pg_temp
AS $$
DECLARE
    local local_node := require_node('{data_center}', 'add_crl()');
    facts record;
BEGIN
    PERFORM require_capability('admit', 'adding revocation lists');
    IF add_crl.crl IS NULL THEN
        RAISE null_value_not_allowed USING MESSAGE = 'revocation list must not be null';
    END IF;
    SELECT * INTO facts FROM crl_facts(add_crl.crl, crl_issuers());
    -- and nothing that stands beside it
    add_crl.crl := crl_pem(convert_to(add_crl.crl, 'UTF8'));
    IF EXISTS (SELECT FROM claim c WHERE c.kind = 'crl' AND c.effective
        AND c.body ->> 'crl' = add_crl.crl) THEN
        RAISE duplicate_object USING MESSAGE = 'this revocation list is on the ledger already',
            DETAIL = format('It is the one of "%s" of %s.', facts.issuer, facts.this_update);
    END IF;
    RETURN append_governance('crl', jsonb_build_object('crl', add_crl.crl, 'last',
        chain_points(ARRAY(
        SELECT m.name FROM member m CROSS JOIN LATERAL crl_revocation(add_crl.crl, m.certificate,
            anchors_ever()) r
        WHERE r.revoked IS NOT NULL AND m.revoked IS NULL AND m.expelled IS NULL
            AND m.name <> local.node))));
END
$$;
COMMENT ON FUNCTION medchain.add_crl(text) IS
    'data centre: put a revocation list (PEM) of one of the alliance''s CAs on the ledger; members '
    'whose certificate it revokes say nothing from the date of revocation on, nor in blocks after '
    'the last one that is verified here, until rekey()';

CREATE FUNCTION medchain.set_policy(policy text, value text) RETURNS uuid
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER
        SET search_path = medchain, medchain_internal, pg_temp
AS $$
DECLARE
    local local_node := require_node('{data_center}', 'set_policy()');
    seconds numeric;
BEGIN
    PERFORM require_capability('admit', 'setting policies');
    IF set_policy.policy IS NULL OR set_policy.value IS NULL THEN
        RAISE null_value_not_allowed USING MESSAGE = 'policy and value must not be null';
    ELSIF set_policy.policy NOT IN ('examinee_signature', 'break_glass_max') THEN
        RAISE invalid_parameter_value USING MESSAGE = format('there is no policy "%s"',
            shown(set_policy.policy)),
            HINT = 'Policies are "examinee_signature" and "break_glass_max".';
    ELSIF set_policy.policy = 'break_glass_max' THEN
        BEGIN
            seconds := trunc(extract(epoch FROM set_policy.value::interval));
        EXCEPTION WHEN data_exception THEN
            NULL;   -- no interval
        END;
        IF (seconds BETWEEN 0 AND 7 * 86400) IS NOT TRUE THEN
            RAISE invalid_parameter_value USING
                MESSAGE = format('policy "%s" is an interval from 0 to 7 days', set_policy.policy),
                DETAIL = format('It was %s.', shown(set_policy.value)),
                HINT = 'For example "30 minutes"; with 0, nobody breaks the glass.';
        END IF;
        set_policy.value := seconds;
    ELSIF set_policy.value NOT IN ('required', 'optional') THEN
        RAISE invalid_parameter_value USING MESSAGE = format('policy "%s" is "required" or '
            '"optional"', set_policy.policy);
    END IF;
    RETURN append_governance('policy', jsonb_build_object('policy', set_policy.policy, 'value',
        set_policy.value,
        'last', chain_points(ARRAY(SELECT m.name FROM member m
            WHERE set_policy.policy = 'break_glass_max' OR m.kind = 'end_node'
            OR 'issue' = ANY (m.capabilities)))));
END
$$;
COMMENT ON FUNCTION medchain.set_policy(text, text) IS
    'data centre: examinee_signature = required: a protocol that gives access to records of an '
    'examinee with a registered key counts only with his signature; optional (as before it is '
    'set). break_glass_max = interval: for how long break_glass() opens records at most; 0 (as '
    'before it is set): it does not. For blocks after those that are verified here';
