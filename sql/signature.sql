--
-- medchain.verify_signature() over the vectors of test/vectors, whose README.md tells their form
-- and where they are from. false for a bad signature, an error for a bad key, and never anything
-- else.
--
\getenv srcdir PG_ABS_SRCDIR
\set vectors :srcdir '/test/vectors'

CREATE TEMP TABLE line AS
    SELECT file, i, line FROM pg_ls_dir(:'vectors') file,
        regexp_split_to_table(pg_read_file(:'vectors' || '/' || file), '\n')
            WITH ORDINALITY l (line, i)
    WHERE file ~ '\.txt$' AND line !~ '^(#|$)';
CREATE TEMP TABLE vector AS
    SELECT file, i, split_part(line, ' ', 1) AS verdict, substring(line
        FROM '^(?:key|badkey) (\S+)') AS key,
           nullif(split_part(line, ' ', 2), '-') AS algorithm, nullif(split_part(line, ' ', 3),
               '-') AS message, nullif(split_part(line, ' ', 4), '-') AS signature,
           count(*) FILTER (WHERE line ~ '^(key|badkey) ') OVER (PARTITION BY file ORDER BY i)
               AS block, line
    FROM line;
CREATE FUNCTION pg_temp.verdict(key text, algorithm text, message text, signature text)
    RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    RETURN CASE medchain.verify_signature(decode(coalesce(message, ''), 'hex'),
        decode(coalesce(signature, ''), 'hex'),
        E'-----BEGIN PUBLIC KEY-----\n' || key || E'\n-----END PUBLIC KEY-----\n', algorithm)
            WHEN true THEN 'valid' WHEN false THEN 'invalid' END;
EXCEPTION WHEN invalid_parameter_value OR feature_not_supported THEN
    RETURN 'error';
END
$$;
CREATE TEMP TABLE result AS
    SELECT v.file, v.line, v.verdict, pg_temp.verdict(k.key, CASE WHEN v.verdict <> 'badkey'
        THEN v.algorithm END, CASE WHEN v.verdict <> 'badkey' THEN v.message END,
                                                      CASE WHEN v.verdict <> 'badkey'
                                                          THEN v.signature END) AS got
    FROM vector v JOIN vector k ON k.file = v.file AND k.block = v.block AND k.key IS NOT NULL
    WHERE v.verdict <> 'key';
-- no line is lost, of every verdict there is something, and none is wrong
SELECT (SELECT count(*) FROM result) = (SELECT count(*) FROM line WHERE line !~ '^key ') AS all_run,
       array_agg(DISTINCT verdict ORDER BY verdict) AS verdicts,
           array_agg(DISTINCT got ORDER BY got) AS got FROM result;
SELECT file, left(line, 200) AS line, got FROM result WHERE got IS DISTINCT
    FROM replace(verdict, 'badkey', 'error') ORDER BY file, line;

-- a batch of one signer, and one of more signers than are kept
SELECT every(pg_temp.verdict(k.key, v.algorithm, v.message, v.signature) = v.verdict) AS alike
    FROM vector v JOIN vector k ON k.file = v.file AND k.block = v.block AND k.key IS NOT NULL,
        generate_series(1, 20) WHERE v.verdict = 'valid';
SELECT count(*), count(*) FILTER (WHERE ok) AS ok FROM generate_series(1, 200) i,
    LATERAL medchain.verify_signature('\x72',
        '\x92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613'
        'd0f11d8c387b2eaeb4302aeeb00d291612bb0c00',
        'signer ' || i || E'\n-----BEGIN PUBLIC '
        'KEY-----\nMCowBQYDK2VwAyEAPUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw=\n-----END PUBLIC '
        'KEY-----\n') ok;

-- bytes at random, from none to more than any signature has
SELECT setseed(0.5);
SELECT DISTINCT pg_temp.verdict(k.key, NULL, '00',
    (SELECT string_agg(lpad(to_hex((random() * 255)::int), 2, '0'), '')
        FROM generate_series(1, len + (i - i)))) AS verdict
    FROM (SELECT DISTINCT ON (length(key)) key FROM vector WHERE verdict = 'key'
        ORDER BY length(key), key) k, generate_series(1, 20) i,
            unnest('{1,8,63,64,65,70,71,72,256,384,2000}'::int[]) len;

-- one key, however its point is written: uncompressed, hybrid, compressed
SELECT count(*), count(DISTINCT k.key_fingerprint) AS keys, count(DISTINCT k.public_key) AS texts
    FROM unnest(ARRAY['MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEJtI6TObzmQ1orIT5bZc3ErP/GDpEn4qYUEh8IuQ7'
        'oOf7oRkkFZK5qaU9tqqKRfGeoXEgC1NgUvmvSBw6Co82WQ==',
        'MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAHJtI6TObzmQ1orIT5bZc3ErP/GDpEn4qYUEh8IuQ7oOf7oRkkFZK5qa'
        'U9tqqKRfGeoXEgC1NgUvmvSBw6Co82WQ==',
        'MDkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDIgADJtI6TObzmQ1orIT5bZc3ErP/GDpEn4qYUEh8IuQ7oOc=']) s,
    LATERAL medchain.key_facts(E'-----BEGIN PUBLIC KEY-----\n' || s
        || E'\n-----END PUBLIC KEY-----\n') k;
