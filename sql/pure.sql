--
-- Functions that need no alliance, against vectors that others have published or made.
--
\set SHOW_CONTEXT never

--
-- RFC 6962 trees: the reference vectors of Certificate Transparency
--
SELECT medchain.leaf_hash('') =
    '\x6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d' AS empty_leaf,
       medchain.leaf_hash('\x4c313233343536') =
           '\x395aa064aa4c29f7010acfe3f25db9485bbd4b91897b6ad7ad547639252b4d56' AS rfc6962_leaf,
       medchain.leaf_hash(NULL) IS NULL AS of_null;

CREATE TEMP TABLE ct (leaf_count int, root bytea);
INSERT INTO ct VALUES
    (0, '\xe3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'),
    (1, '\x6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d'),
    (2, '\xfac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125'),
    (3, '\xaeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77'),
    (4, '\xd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7'),
    (5, '\x4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4'),
    (6, '\x76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef'),
    (7, '\xddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c'),
    (8, '\x5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328');
CREATE TEMP TABLE ct_leaf AS
    SELECT i, decode(d, 'hex') AS data
    FROM unnest('{"", 00, 10, 2021, 3031, 40414243, 5051525354555657, '
        '606162636465666768696a6b6c6d6e6f}'::text[]) WITH ORDINALITY x (d, i);
SELECT leaf_count, medchain.merkle_root(ARRAY(SELECT data FROM ct_leaf WHERE i <= leaf_count
    ORDER BY i)) = root AS right
    FROM ct ORDER BY leaf_count;
SELECT medchain.merkle_root('{{a},{b}}');
SELECT medchain.merkle_root(ARRAY['a', NULL]::bytea[]);

-- audit paths; leaf numbers count from 0
CREATE TEMP TABLE ct_path (index bigint, size bigint, path bytea[]);
INSERT INTO ct_path VALUES
    (0, 1, '{}'),
    (0, 8, ARRAY['\x96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7',
        '\x5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e',
                 '\x6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4']::bytea[]),
    (5, 8, ARRAY['\xbc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b',
        '\xca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0',
                 '\xd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7']::bytea[]),
    (2, 3, ARRAY['\xfac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125']::bytea[]),
    (1, 5, ARRAY['\x6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
        '\x5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e',
                 '\xbc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b']::bytea[]);
CREATE TEMP VIEW proof AS
    SELECT p.*, medchain.leaf_hash(l.data) AS leaf, c.root FROM ct_path p
        JOIN ct_leaf l ON l.i = p.index + 1 JOIN ct c ON c.leaf_count = p.size;
SELECT index, size, medchain.verify_inclusion(leaf, index, size, path, root) AS included,
       medchain.verify_inclusion(leaf, index + 1, size, path, root) AS other_index,
       medchain.verify_inclusion(leaf, index, size * 4, path, root) AS other_size,
       medchain.verify_inclusion(sha256(leaf), index, size, path, root) AS other_leaf,
       medchain.verify_inclusion(leaf, index, size, path, sha256(root)) AS other_root,
       medchain.verify_inclusion(leaf, index, size, path || root, root) AS longer,
       CASE WHEN path <> '{}' THEN medchain.verify_inclusion(leaf, index, size, path[2:], root) END
           AS shorter
    FROM proof ORDER BY size, index;

-- consistency
CREATE TEMP TABLE ct_consistency (size1 bigint, size2 bigint, path bytea[]);
INSERT INTO ct_consistency VALUES
    (1, 1, '{}'), (0, 8, '{}'),
    (1, 8, (SELECT path FROM ct_path WHERE (index, size) = (0, 8))),
    (6, 8, ARRAY['\x0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a',
        '\xca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0',
                 '\xd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7']::bytea[]),
    (2, 5, ARRAY['\x5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e',
        '\xbc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b']::bytea[]);
-- (every tree continues the empty one, so that there is nothing to compare in it)
SELECT size1, size2, medchain.verify_consistency(size1, size2, path, a.root, b.root) AS consistent,
       medchain.verify_consistency(size1, size2, path, b.root, a.root) AS swapped,
       medchain.verify_consistency(size1, size2, path, sha256(a.root), b.root) AS other_first,
       medchain.verify_consistency(size1, size2, path, a.root, sha256(b.root)) AS other_second,
       medchain.verify_consistency(size1 + 1, size2, path, a.root, b.root) AS other_size,
       medchain.verify_consistency(size2 + 1, size1, path, a.root, b.root) AS shrunk
    FROM ct_consistency JOIN ct a ON a.leaf_count = size1 JOIN ct b ON b.leaf_count = size2
        ORDER BY 1, 2;

-- malformed is an error
SELECT medchain.verify_inclusion('\x00', 0, 1, '{}', sha256(''));
SELECT medchain.verify_inclusion(sha256(''), -1, 1, '{}', sha256(''));
SELECT medchain.verify_inclusion(sha256(''), 0, -1, '{}', sha256(''));
SELECT medchain.verify_inclusion(sha256(''), 0, 1, '{a}', sha256(''));
SELECT medchain.verify_inclusion(sha256(''), 0, 1, ARRAY[NULL::bytea], sha256(''));
SELECT medchain.verify_inclusion(sha256(''), 0, 1, '{}', '');
SELECT medchain.verify_consistency(-1, 1, '{}', sha256(''), sha256(''));
SELECT medchain.verify_consistency(1, 2, '{}', '', sha256(''));
SELECT medchain.verify_consistency(1, 2, ARRAY[ARRAY[sha256('')]], sha256(''), sha256(''));

--
-- Signatures
--

-- RFC 8032, 7.1: tests 1 to 3.  A SubjectPublicKeyInfo for Ed25519 is twelve bytes, then the key.
CREATE TEMP TABLE rfc8032 (test int, key bytea, message bytea, signature bytea);
INSERT INTO rfc8032 VALUES
    (1, '\xd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a', '',
     '\xe5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf'
     '9b46bd25bf5f0595bbe24655141438e7a100b'),
    (2, '\x3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c', '\x72',
     '\x92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f'
     '11d8c387b2eaeb4302aeeb00d291612bb0c00'),
    (3, '\xfc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025', '\xaf82',
     '\x6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984'
     'dc6594a7c15e9716ed28dc027beceea1ec40a');
CREATE FUNCTION ed25519_pem(key bytea) RETURNS text LANGUAGE sql IMMUTABLE
    AS $$ SELECT E'-----BEGIN PUBLIC KEY-----\n' || encode('\x302a300506032b6570032100'::bytea
        || key, 'base64') || E'\n-----END PUBLIC KEY-----\n' $$;
SELECT test, medchain.verify_signature(message, signature, ed25519_pem(key)) AS valid,
       medchain.verify_signature(message, signature, ed25519_pem(key), 'ed25519') AS named,
       medchain.verify_signature(message || '\x00', signature, ed25519_pem(key)) AS other_message,
       medchain.verify_signature(message, set_byte(signature, 0, get_byte(signature, 0) # 1),
           ed25519_pem(key)) AS other_signature,
       medchain.verify_signature(message, signature, (SELECT ed25519_pem(o.key) FROM rfc8032 o
           WHERE o.test = r.test % 3 + 1)) AS other_key,
       medchain.verify_signature(message, '', ed25519_pem(key)) AS empty,
       medchain.verify_signature(message, signature || '\x00', ed25519_pem(key)) AS longer
    FROM rfc8032 r ORDER BY test;
-- S + L in place of S: the malleable form, which must not pass
SELECT medchain.verify_signature('\x72',
    '\x92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69daf52db641581c5ac735d9d5b3afed'
    '3c4c7b2eaeb4302aeeb00d291612bb0c0010',
    ed25519_pem('\x3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c')) AS malleable;

-- made with openssl dgst and openssl pkeyutl over the eight bytes "medchain"
CREATE TEMP TABLE made (algorithm text, key text, signature bytea);
INSERT INTO made VALUES ('ecdsa-p256-sha256', '-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEKSdDNOFpFDG7Bs3OtnkC4OCw7VFs
/8U7ltyrnIY/GZuh5DOamNDsqchCAFTu9NW51+PSaYYwyNt8URXHbQ7gWw==
-----END PUBLIC KEY-----',
    decode('MEQCIAOhjAuy2qW6A1nX0uMIqXa907qFfTA3UgwVq3f6Dz7jAiAsIp8U3p2YwhRaGiiPimfT0b6badyZ78Bjqy0'
        'aZGVLwg==', 'base64'));
INSERT INTO made VALUES ('sm2-sm3', '-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoEcz1UBgi0DQgAExrv/FRQsyHcyvtNA0+1z9k9GtQVk
bBa3AotPiD22qePrX3EtZ1OzjkOQpO03qUywOl4bfvKxxNo6vLOHf+3PyA==
-----END PUBLIC KEY-----',
    decode('MEYCIQDfVkKoarMqrfVAibNV7hiugVfyeZa7WSfx6/MFV95FswIhANh13Efx0LjMCX5K3sZCCmLrVOEn/77YIoD'
        'usl4pTpMs', 'base64'));
INSERT INTO made VALUES ('rsa-pkcs1-sha256', '-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAhizMGfPBRn7WcMquBrv9
oA3wwocrUwRgJ8GWHd9hHUgxHOtNLbZ4ZXvT8fAtdhDlyW7y1m5AAlNdjPf//34G
+QCM1/glSSHi/tBVfOvZ8I8IoX3Ba9ddksx5NH/e7d2ACOcVAQm6N9iPEzg7lYUw
q8+b5WOxK1hJWBtwXjs/6Agh5jG0OgAwlvxUHw3KCSBN6qbDZgSvDSS0cmFNyj8s
gNHZNkRKEvcRbWKLRXmVjnod4ZKFHuBHD9lf8zAiGmrn5I6jYXfOHO5PTDMn4BrH
Rp+khOhPZoZOPiVa70FDcJr629yYZ1HgiJstBcjnj8dmvhr4r0DRxWTAGxXN0t6R
MwIDAQAB
-----END PUBLIC KEY-----',
    decode('Ztvstwvb2xWJHo8jneQLnQKKwP91fpNasXZmOfeZTDj6CVy4QlfSB2ePgvz6u2LdluGgsq+KI9mamaUsx65zVdG'
        'HpYF4YJFH8OayGAc3gJrKCGA5fenNPft3wx1fflBHCdtw7036E9ze+gTPgyOr60tRvzVHCc5FTZmMv2/jO5D24ZA1b'
        'mH8ymh+1a9BDv3ukbt7OinaPuQX8bcMaCMjF3hCkuva+dC19ZVUMKHPD+CvcOb6d2ZJrMM48LbH/ECnAEORAuU8EjI'
        'DvvQJngG559dmmFgCHPROAQXe5sqffC5foG2f5oV29gEfVUPEVLng33Z2ryamHfHZVO5gvhIpOA==', 'base64'));
INSERT INTO made VALUES ('rsa-pss-sha256', '-----BEGIN PUBLIC KEY-----
MIIBIDALBgkqhkiG9w0BAQoDggEPADCCAQoCggEBAKxhcn5bbqvM6tF9VUEdLTzb
HlTRElTXFlKFS7Ix0GgrAtihbU3tzK6j/8cM13lNeluniJaBYC8weF/aQ63Pn4YP
RdR1RRH26DZh5MnBZQscpCGv9jBjLW48YaOvx1IVQPmew4wGsVxYMwoRsQG+84mx
n+ouZrp6Xqv61zWxpm1iAbDFzswfD5ijC6OrruLoGGZDombFuyLBk0rXm7QR0DYS
00vpHo12G/hynYsqOWRZLvN0xVSZ8UU1azaNbWD9nhKnQImUxNX+fYpnJ7OAMzD2
lyWzRnpqlScMvNDjQTxxrDXJkPF6hHH0GjdaxGCfM2/u/an4vr+C+dv9Zm2W8hMC
AwEAAQ==
-----END PUBLIC KEY-----',
    decode('fYEXMo1iEDsq8oCgG3albYT2qD00thqITtYhVLkU7ysEO5+hJIEEqwIisbFHwqcT+wp+WanF37Vw9FtmMp9Yw0Q'
        '0n8w4No7+tEckHcXkv6uvYrSfg0Fj84DXfqn9XAGknH05vq+Oel3PwYx9U+f5/j9D3qi/KJKKyALNYs68XJiJWOKsj'
        'fNmz3zqaLWmiEa31ujnPsoHO6ysAg4dVV1SILgTD7SBQlNGmyiYblDyJLqYdVjPbIsLVOI5EPbUxA63DjqIB2G/CNt'
        'un42dD5JVtTsoj3hiAW7/B+xysBIZa/WDnaEln38mqJeJBK1+7qBJrdiP1MnxmE9LTlt8Ao6Egg==', 'base64'));
SELECT algorithm, medchain.verify_signature('medchain', signature, key) AS by_key,
       medchain.verify_signature('medchain', signature, key, algorithm) AS by_name,
       medchain.verify_signature('medchain!', signature, key) AS other_message,
       medchain.verify_signature('medchain', set_byte(signature, length(signature) - 1,
           get_byte(signature, length(signature) - 1) # 1), key) AS other_signature,
       medchain.verify_signature('medchain', '\xdeadbeef', key) AS garbage,
       (medchain.key_facts(key)).algorithm = algorithm AS facts
    FROM made ORDER BY algorithm COLLATE "C";
-- an rsaEncryption key is for PKCS #1 v1.5, and for PSS by name
SELECT medchain.verify_signature('medchain', s.signature, key, 'rsa-pss-sha256') AS pss_by_name,
    medchain.verify_signature('medchain', s.signature, key) AS by_key
    FROM made,
        (SELECT decode('dfYyisIJ8254nEzQ4EWSDrL0lfz/H3W2xjGycdFCAzoErSJb//cIWeo4l3/svk48rNMUKo+lL7Z'
            'Fx8ZTLUT8bUAispWKXMOmdMF/dywI8vJREueGFZcBpMTYH1BC0z0VsM2KhzVI9ZuOglel1w9P9W66PcpLP1dHV'
            'WA5DUzn4nLbOvjTF80vq8gla4tK5HGS25VWDTbgN3rBhNLYOVULjMlin1ua53q1FxDtLnaHjSq2iaWUKaN0'
            'x+Kd5Bw8LY2Fo7E5mnanyIIhA81OkvHdG30AU6r7ULKsq6aXSrsAmkKEJukvKWRf3Nueo5bWwDl93l2Kiqdd5v'
            'yvSY3afYgolQ==', 'base64') AS signature) s WHERE algorithm = 'rsa-pkcs1-sha256';
SELECT medchain.verify_signature(NULL, '', 'x') IS NULL AND medchain.verify_signature('', NULL,
    'x') IS NULL AND medchain.verify_signature('', '', NULL) IS NULL AS null_is_null;

-- what cannot be a key, or not with that algorithm, is an error
SELECT medchain.verify_signature('', '', '');
SELECT medchain.verify_signature('', '', 'no key');
\set VERBOSITY terse
SELECT medchain.verify_signature('', '', E'-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA\n-----END '
    'PUBLIC KEY-----\n');
\set VERBOSITY default
SELECT medchain.verify_signature('', '', E'-----BEGIN RSA PRIVATE '
    'KEY-----\nMCowBQYDK2VwAyEA\n-----END RSA PRIVATE KEY-----\n');
SELECT medchain.verify_signature('', '', '-----BEGIN PUBLIC KEY-----
MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQCfzUxHtLH7OrF6OIvOFiua/U8f
KQ6tvPPe0CTCe7GERHkQsrhDSdA5mAQSkR8fWYU+WP0nbG+Zk9epHxT2dnxM5NPq
lD63QXodMJErxymOI1eSpxLKshn3FVL2ij3PZ7o0elw3nKLALfgxfYFCiKCKrv+3
loI2DlfgtMHkkaN5LQIDAQAB
-----END PUBLIC KEY-----');
SELECT medchain.verify_signature('', '', '-----BEGIN PUBLIC KEY-----
MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAEABD9mM2MyQU0jhdQowuwfDe7Z700KNjl
5PjtzOqPrCE+x/lND1MU3bskWOsc9oHRtj1mhZF5OJ/rZ91LH/c8xT5GHsJk4pGv
wMtC5KhgM+sZta75Yx2eqvALEp9hwRrx
-----END PUBLIC KEY-----');
SELECT medchain.verify_signature('', signature, key, 'md5') FROM made WHERE algorithm = 'sm2-sm3';
SELECT medchain.verify_signature('', signature, key, 'ed25519') FROM made
    WHERE algorithm = 'sm2-sm3';
SELECT medchain.verify_signature('', signature, key, 'rsa-pkcs1-sha256') FROM made
    WHERE algorithm = 'rsa-pss-sha256';

--
-- Signed notes: the example of the Go project's package note, by another author's key
--
SELECT E'If you think cryptography is the answer to your problem,\nthen you don''t know what your '
    'problem is.\n\n'
    || E'\u2014 PeterNeumann '
        'x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnA'
        'M=\n' AS note,
    ed25519_pem(substring(decode('ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW', 'base64') FROM 2))
        AS neumann \gset
SELECT medchain.verify_note(:'note', :'neumann') AS valid,
       medchain.verify_note(replace(:'note', 'your problem', 'my problem'), :'neumann')
           AS other_text,
       medchain.verify_note(replace(:'note', 'PeterNeumann', 'PeterNewmann'), :'neumann')
           AS other_name,
       medchain.verify_note(:'note' || E'\u2014 somebody AAAAAAAAAAAAAAAA\n', :'neumann')
           AS cosigned,
       medchain.verify_note(:'note', ed25519_pem((SELECT key FROM rfc8032 WHERE test = 1)))
           AS other_key;
SELECT medchain.verify_note('', :'neumann');
SELECT medchain.verify_note('text', :'neumann');
SELECT medchain.verify_note(E'text\n', :'neumann');
SELECT medchain.verify_note(E'text\n\n', :'neumann');
SELECT medchain.verify_note(E'text\n\nno signature line\n', :'neumann');
SELECT medchain.verify_note(:'note', 'no key');

--
-- Certificates.  Those of test/pki are found through a setting of the test's server.
--
\getenv srcdir PG_ABS_SRCDIR
\set helpers :srcdir '/test/regress/helpers.sql'
\set ECHO none
\i :helpers
\set ECHO all
SELECT name, v.ok, v.reason FROM unnest('{data-centre, data-centre-tls, ec, sm2, chained, ca, '
    'rogue, expired, future, nosign}'::text[]) WITH ORDINALITY n (name, i),
    LATERAL medchain.verify_certificate(test.pem(name), test.pem('ca')) v ORDER BY i;
SELECT name, at::date, v.ok, v.reason FROM (VALUES ('expired', '2020-06-01Z'::timestamptz),
    ('future', '2044-06-01Z'), ('expired', '2019-06-01Z')) n (name, at),
    LATERAL medchain.verify_certificate(test.pem(name), test.pem('ca'), NULL, at) v;
-- the other authority has the same name and key identifier
SELECT * FROM medchain.verify_certificate(test.pem('rogue'), test.pem('rogue-ca'));
-- a member's certificate is no anchor, not even for itself
SELECT * FROM medchain.verify_certificate(test.pem('data-centre'), test.pem('data-centre'));
SELECT * FROM medchain.verify_certificate('', test.pem('ca'));
SELECT * FROM medchain.verify_certificate('no certificate', test.pem('ca'));
SELECT * FROM medchain.verify_certificate(test.pem('ca'), '');
SELECT * FROM medchain.verify_certificate(left(test.pem('data-centre'), 200), test.pem('ca'));
\set VERBOSITY terse
SELECT * FROM medchain.verify_certificate(replace(test.pem('data-centre'), 'MII', 'AAA'),
    test.pem('ca'));
\set VERBOSITY default
SELECT * FROM medchain.verify_certificate(test.pem('data-centre'), test.pem('ca'), 'no list');
SELECT * FROM medchain.verify_certificate(test.pem('data-centre'), test.pem('ca'), NULL,
    'infinity');
SELECT subject, issuer, public_key = (medchain.key_facts(test.pem('data-centre'))).public_key
    AS same_key, key_fingerprint ~ '^[0-9a-f]{64}$' AS fingerprint
    FROM medchain.certificate_facts(test.pem('data-centre'));
SELECT medchain.certificate_pem(convert_to(E'who: data-centre\r\n'
    || rtrim(replace(test.pem('data-centre'), E'\n', E'\r\n'), E'\r\n'), 'UTF8')) =
        test.pem('data-centre') AS canonical;

-- names
SELECT left(name, 12) AS name, length(name), medchain.name_valid(name) AS member,
    medchain.name_valid(name, true) AS alliance
    FROM (VALUES ('hospital-a'), ('医院'), ('a/b'), ('a b'), ('a+b'), (''), (E'a\tb'), (E'a\u00a0b'),
        (repeat('x', 63)), (repeat('x', 64)), (repeat('x', 181))) n (name);

DROP FUNCTION ed25519_pem(bytea);
