# What members try who are not what they seem: with somebody else's certificate, a suspended member's session, times that
# suit them, consent that was given before.  It gains them nothing, and all nodes see it alike.
use strict;
use warnings;

use Medchain::Alliance;
use PostgreSQL::Test::Utils;
use Test::More;

my $alliance = Medchain::Alliance->new(dc => 'data_center', en => 'end_node', bad => 'end_node', ha => 'chain_node', hb => 'chain_node',
	late => 'chain_node', others => ['examinee']);
my $pki = $alliance->pki('');

my $dc = $alliance->start_tls('dc');
$alliance->establish(qw(dc en bad ha late));

sub quoted { my ($name) = @_; return q{'} . $alliance->certificate($name) . q{'}; }
sub as_role { my ($role, $sql) = @_; return $alliance->try('dc', $sql, extra_params => [ '-U', $role ]); }

# What comes out of a session with a certificate, errors included.
sub over_tls { return $alliance->over_tls('dc', @_); }

# late hears nothing while something happens; then first from bad, the data centre last
sub late_hears_of
{
	my ($what, @others) = @_;
	$alliance->unfollow('late', qw(dc en bad ha));
	$what->();
	$alliance->wait_for_equal_heads(qw(dc en bad ha));
	$alliance->follow('late', qw(bad ha en dc));
	$alliance->wait_for_equal_heads;
	$alliance->equal_ok(qw(dc late));
	$alliance->verify_ok(qw(dc late));
	return;
}

# ----- an end node configures somebody's ledger for a key of its own, dated before, and sends blocks signed with that

$alliance->start('hb');
$alliance->admit('hb');
$alliance->join_alliance('hb');
$alliance->certify('thief', 'hb');
$alliance->wait_for($_, q{SELECT EXISTS (SELECT FROM medchain.member WHERE name = 'hb')}) foreach qw(en bad late);
$alliance->connect_peers($_, 'hb') foreach qw(dc en bad ha late);
$alliance->connect_peers('hb', qw(dc en bad ha late));
late_hears_of(sub {
	$alliance->unfollow('en', 'bad');
	$alliance->forge_entry('bad', 'configure', q{jsonb_build_object('member', 'hb', 'public_key', (SELECT public_key FROM medchain.key_facts(} . quoted('thief') . ')))',
		'NULL', q{(SELECT offered + interval '1 ms' FROM medchain.contract WHERE member = 'hb')});
	my $payload = '{"kind":"visit","origin":"hb","id":"00000000-0000-4000-8000-000000000001","time":"2026-01-31T23:59:59.000000Z","actor":"hb","role":"x","body":1}';
	my ($root, $previous) = split(/\|/, $alliance->sql('bad', qq{SELECT encode(medchain.merkle_root(ARRAY[convert_to('$payload', 'UTF8')]), 'base64'), encode(genesis_hash, 'base64') FROM medchain.local_node}));
	my $sealed = $alliance->sql('bad', q{SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')});
	my $note = $alliance->sign_note('thief', "east/hb\n1\n$root\nheight 0\nprevious $previous\nsealed $sealed\n", 'east/hb');
	my $filter = q{ALTER PUBLICATION medchain SET TABLE medchain.entry WHERE (origin IN %1$s), medchain.block WHERE (origin IN %1$s)};
	$alliance->sql('bad', sprintf($filter, q{('bad', 'hb')}));
	$alliance->forge('bad', "INSERT INTO medchain.entry VALUES ('hb', 0, '00000000-0000-4000-8000-000000000001', 'visit', now(), 'hb', NULL, '$payload', '\\x00');
		INSERT INTO medchain.block VALUES ('hb', 0, 1, '\\x00', '\\x00', '\\x00', now(), \$note\$$note\$note\$);
		DELETE FROM medchain.entry WHERE origin = 'hb'; DELETE FROM medchain.block WHERE origin = 'hb'");
	$alliance->follow('late', 'bad');
	$alliance->wait_for('late', q{SELECT configured_by FROM medchain.member WHERE name = 'hb'}, 'bad');
	$alliance->wait_for('late', q{SELECT height FROM medchain.chains WHERE origin = 'hb'}, '0');
	$alliance->wait_for('late', q{SELECT count(*) > 0 FROM medchain.quarantine WHERE origin = 'hb' AND source = 'hb' AND reason IN ('bad signature', 'differs from accepted block')});
	$alliance->unfollow('late', 'bad');
	$alliance->configure('en', 'hb');
	$alliance->follow('en', 'bad');
	$alliance->wait_for('hb', q{SELECT configured_by FROM medchain.member WHERE name = 'hb'}, 'en');
	$alliance->wait_for('hb', q{SELECT sealer FROM medchain.stat}, 'running');
	$alliance->sql('bad', sprintf($filter, q{('bad')}));
});
is($alliance->sql('late', q{SELECT count(*) FROM medchain.entry WHERE origin = 'hb' AND kind = 'visit'}), '0', 'what was signed with that key is taken back');
is($alliance->sql($_, q{SELECT configured_by FROM medchain.members WHERE member = 'hb'}), 'en', "$_: the key in the contract counts, whoever says to have been first")
  foreach $alliance->members;
$alliance->sql('hb', q{SELECT medchain.append('visit', '1')});
$alliance->wait_for_equal_heads;
pass('and the chain goes on');

# ----- a member takes another member's certificate for its own

$alliance->sql('dc', q{
	CREATE TABLE diagnosis (case_no int PRIMARY KEY, patient_id text NOT NULL, finding text);
	INSERT INTO diagnosis VALUES (1, 'P1', 'open');
	SELECT medchain.protect('diagnosis', 'patient_id');
	CREATE TABLE device_log (n int PRIMARY KEY);
	SELECT medchain.ledger_table('device_log');
	CREATE ROLE nobody LOGIN;
	CREATE ROLE app_hb LOGIN IN ROLE medchain_member;
	GRANT SELECT, INSERT, UPDATE ON diagnosis, device_log TO app_hb, nobody;
	SELECT medchain.bind_role('app_hb', 'hb')});
my $protocol = $alliance->sql('en', q{SELECT medchain.issue_protocol('P1', 'text', '[{"grantee": "hb", "operations": ["query"]}, {"grantee": "ha", "operations": ["query"]}]')});
$alliance->wait_for_equal_heads;
my $public = q{(SELECT public_key FROM medchain.ledger_key WHERE member = 'ha')};
$alliance->fails_like('ha', 'SELECT medchain.rekey(\'ha\', ' . quoted('hb') . ", public_key => $public)", qr/the certificate's key, which is not the new one, has to sign too/, 'a certificate is taken by nobody but who has its key');
late_hears_of(sub {
	$alliance->sql('ha', "SELECT medchain_internal.append_raw('rekey', medchain_internal.sign_envelope('application/vnd.medchain.rekey+json', medchain_internal.rekey_terms('ha', "
		. quoted('hb') . ", $public, NULL)), NULL, true)");
	# nor is it another key for the chain
	my ($other, $key) = (quoted('hb'), q{(SELECT public_key FROM medchain.key_facts(} . quoted('examinee') . '))');
	my $proof = $alliance->sign_outside('examinee', 'ha', "SELECT medchain.rekey_envelope('ha', $other, $key)");
	$alliance->sql('ha', qq{SELECT medchain_internal.append_raw('rekey', jsonb_set(e, '{signatures}', e -> 'signatures' || '[{"sig": "$proof"}]')::text, NULL, true)
		FROM (SELECT medchain_internal.sign_envelope('application/vnd.medchain.rekey+json', medchain_internal.rekey_terms('ha', $other, $key, NULL))::jsonb) x (e)});
	$alliance->sql('ha', q{SELECT medchain.append('visit', '"with the same key"')});
	$alliance->sql('ha', 'SELECT medchain.seal()');
});
$alliance->verifies_offline_ok('a key that the certificate knows nothing of', 'dc');
is($alliance->sql($_, q{SELECT count(DISTINCT fingerprint) = count(*) FROM medchain.member}), 't', "$_: and gives no identity when it is on the chain nevertheless") foreach qw(dc late);
is(over_tls('nobody', 'hb', 'SELECT medchain.current_member()'), 'hb', 'its owner acts for itself still');

# ----- who is suspended must not pass for the data centre

is((as_role('app_hb', q{SELECT medchain.current_member()}))[1], 'hb', 'a bound role');
$alliance->sql('dc', q{SELECT medchain.suspend('hb', 'x')});
like((as_role('app_hb', "SELECT medchain.log_diagnosis('$protocol', '1')"))[2], qr/log_diagnosis\(\) is for "dc" itself.*This session is that of "hb", who takes no part now/s, 'writes no notes as the data centre');
like((as_role('app_hb', q{SELECT medchain.append('visit', '1')}))[2], qr/"hb" takes no part in the alliance now/, 'appends nothing to its chain');
is((as_role('app_hb', 'INSERT INTO device_log VALUES (1)'))[0], '0', 'and where a table is open to it');
$alliance->sql('dc', 'SELECT medchain.seal()');
is($alliance->sql('dc', q{SELECT actor FROM medchain.entry WHERE origin = 'dc' AND kind = 'row.insert' ORDER BY seq DESC LIMIT 1}), 'hb', 'its name is on the change');
$alliance->sql('dc', q{SELECT medchain.reinstate('hb')});
$alliance->wait_for_equal_heads;

# ----- an administrator of the alliance does not become one of the server

$alliance->sql('dc', 'CREATE ROLE manager LOGIN IN ROLE medchain_admin');
$alliance->sql('dc', 'CREATE DATABASE trap OWNER manager');
my @manager = (extra_params => [ '-U', 'manager' ]);
$dc->safe_psql('trap', q{CREATE SCHEMA medchain; CREATE FUNCTION medchain.peer_identity() RETURNS text LANGUAGE plpgsql AS $$
	BEGIN EXECUTE 'ALTER ROLE manager SUPERUSER'; RETURN '{"alliance": "east", "node": "x"}'; END $$}, @manager);
my $into_trap = sprintf('host=%s port=%d dbname=trap user=%s', $dc->host, $dc->port, $alliance->sql('dc', 'SELECT current_user'));
$alliance->fails_like('dc', "SELECT medchain.connect_peer('x', '$into_trap')", qr/the login at the peer is a superuser/, 'our own server is no peer to be called as its superuser', @manager);
is($alliance->sql('dc', q{SELECT rolsuper FROM pg_roles WHERE rolname = 'manager'}), 'f', 'and nothing has run there');

# ----- a key that was replaced: its certificate is no way back in, not even with a role that is bound

my $renewed = q{'} . $alliance->certify('hb2', 'hb') . q{'};
my $proof = $alliance->sign_outside('hb2', 'hb', "SELECT medchain.rekey_envelope('hb', $renewed)");
is(over_tls('app_hb', 'hb', 'SELECT medchain.current_member()'), 'hb', 'before');
$alliance->sql('hb', "SELECT medchain.rekey('hb', $renewed, proof => '$proof')");
$alliance->use_key('hb', 'hb2');
$alliance->wait_for_equal_heads;
is(over_tls('app_hb', 'hb2', 'SELECT medchain.current_member()'), 'hb', 'the new certificate acts for the member');
is(over_tls('app_hb', 'hb', 'SELECT medchain.current_member() IS NULL'), 't', 'the old one for nobody, whatever role logs in with it');
is((as_role('app_hb', q{SELECT medchain.current_member()}))[1], 'hb', 'without any the binding counts');

# ----- what only its author would read without an error

system_or_bail('sh', '-c', qq{umask 077; cd '$pki' && openssl ecparam -name secp384r1 -genkey -noout -out odd.key && openssl req -new -key odd.key -subj '/O=Medchain test/CN=hb' -out odd.csr &&
	printf 'subjectKeyIdentifier = hash\nauthorityKeyIdentifier = keyid\n' > odd.ext &&
	openssl x509 -req -in odd.csr -CA ca.crt -CAkey ca.key -set_serial 776 -days 3650 -extfile odd.ext -out odd.crt 2>/dev/null});
my $header = $alliance->certify('hb3', 'hb', key => 'hb2') =~ s/(BEGIN CERTIFICATE-----\n)/$1Remark: renewed\n\n/r;
$public = q{(SELECT ledger_key FROM medchain.member WHERE name = 'hb')};
late_hears_of(sub {
	$alliance->sql('hb', "SELECT medchain.rekey('hb', '$header')");
	$alliance->sql('hb', "SELECT medchain_internal.append_raw('rekey', medchain_internal.sign_envelope('application/vnd.medchain.rekey+json', (medchain_internal.rekey_terms('hb', '$header', NULL, NULL)::jsonb
		|| jsonb_build_object('certificate', " . quoted('odd') . '))::text), NULL, true)');
	$alliance->sql('hb', q{SELECT medchain_internal.append_raw('note', jsonb_build_object('protocol', (SELECT string_agg(md5(i::text), '') FROM generate_series(1, 1000) i))::text, NULL, true)});
	$alliance->forge_entry('bad', 'protocol', $alliance->protocol_body('bad', 'P10', 'x' x 3000), q{encode(medchain.pseudonym('P10'), 'hex')}, 'clock_timestamp()');
});
is($alliance->sql($_, q{SELECT kind, reason FROM medchain.rejections WHERE origin IN ('hb', 'bad') AND kind IN ('note', 'rekey', 'protocol') ORDER BY kind}),
	"note|there is no such protocol\nprotocol|malformed grant\nrekey|certificate is not accepted: elliptic curve secp384r1 is not supported", "$_: has a reason for all of it") foreach qw(dc late);

# ----- consent counts once

my $grants = q{[{"grantee": "ha", "operations": ["query"]}]};
my $sign = sub { return $alliance->sign_outside('examinee', 'en', $_[0]) };
my $key_proof = $sign->("SELECT medchain.examinee_key_envelope('P7', " . quoted('examinee') . ')');
$alliance->sql('en', "SELECT medchain.register_examinee_key('P7', " . quoted('examinee') . ", '$key_proof')");
$alliance->wait_for_equal_heads;
$alliance->sql('dc', q{SELECT medchain.set_policy('examinee_signature', 'required')});
$alliance->wait_for('en', 'SELECT count(*) FROM medchain.policies', '1');
my $consent = $sign->("SELECT medchain.protocol_envelope('P7', 'once', '$grants', '[]', NULL)");
my ($signed, $replayed);
late_hears_of(sub {
	$signed = $alliance->sql('en', "SELECT medchain.issue_protocol('P7', 'once', '$grants', examinee_signature => '$consent')");
	$alliance->sql('en', "SELECT medchain.revoke_protocol('$signed', 'the examinee wishes it')");
	$alliance->fails_like('en', "SELECT medchain.issue_protocol('P7', 'once', '$grants', examinee_signature => '$consent')", qr/his signature counts once/, 'a signature is not used again');
	my $body = $alliance->sql('en', "SELECT payload::jsonb -> 'body' FROM medchain.entry WHERE id = '$signed'");
	$replayed = $alliance->sql('en', "SELECT medchain_internal.append_raw('protocol', \$body\$$body\$body\$, medchain.pseudonym('P7'), true)");
});
is($alliance->sql($_, "SELECT reason FROM medchain.rejections WHERE entry = '$replayed'"), q{the examinee's signature is that of an earlier entry}, "$_: nor past the function")
  foreach qw(dc late);

# ----- a contract allows what it says from then to then; the time in an entry is not all that counts

my $terms = q{'bad', capabilities => '{issue}', valid => tstzrange(now() + interval '1 year', NULL)};
late_hears_of(sub {
	$alliance->sql('dc', "SELECT medchain.amend_contract($terms)");
	$alliance->wait_for('bad', q{SELECT count(*) FROM medchain.contracts WHERE member = 'bad' AND state = 'offered'}, '1');
	$alliance->sql('bad', 'SELECT medchain.accept_contract()');
	$alliance->forge_entry('bad', 'protocol', $alliance->protocol_body('bad', 'P9', 'ha'), q{encode(medchain.pseudonym('P9'), 'hex')}, q{now() + interval '2 years'});
	# of no subject: what is wrong with it changes when its author is suspended, from before it
	$alliance->forge_entry('bad', 'examinee_key', q{'{}'}, 'NULL', 'clock_timestamp()');
});
is($alliance->sql($_, q{SELECT reason FROM medchain.rejections WHERE origin = 'bad' AND kind = 'protocol' ORDER BY seq DESC LIMIT 1}), q{the author's contract was not valid then}, "$_: nothing of next year counts now")
  foreach qw(dc late);

# ----- the data centre excludes itself; the log of a protocol is for those with a contract

late_hears_of(sub {
	my $crl = $alliance->revoke('examinee', '260101000000Z');
	$alliance->sql('dc', qq{SELECT medchain_internal.append_raw('crl', jsonb_build_object('crl', \$crl\$$crl\$crl\$, 'last', '{"dc": {"height": -1, "size": 0}}'::jsonb)::text, NULL, true)});
	$alliance->sql('dc', q{SELECT medchain.end_contract('ha', 'over')});
	$alliance->wait_for('ha', q{SELECT state FROM medchain.members WHERE member = 'ha'}, 'ended');
	$alliance->fails_like('ha', "SELECT medchain.log_diagnosis('$protocol', '1')", qr/contract was ended/, 'whose contract has ended writes no notes');
	$alliance->sql('ha', qq{SELECT medchain_internal.append_raw('note', '{"protocol": "$protocol", "note": 1}', NULL, true)});
});
is($alliance->sql($_, q{SELECT reason FROM medchain.rejections WHERE origin = 'ha' AND kind = 'note'}), q{the author's contract was ended}, "$_: nor past the function") foreach qw(dc late);
is($alliance->sql($_, q{SELECT count(*) FROM medchain.exclusion WHERE member = 'dc'}), '0', "$_: the data centre goes on") foreach qw(dc late);

# ----- a certificate that a list on the ledger revokes is good for nothing new

my $revoked = q{'} . $alliance->certify('lost', 'hb') . q{'};
my $crl = $alliance->revoke('lost', '260101000000Z');
$alliance->sql('dc', "SELECT medchain.add_crl('$crl')");
$alliance->wait_for('hb', 'SELECT count(*) FROM medchain.revocation_lists', '2');
$alliance->fails_like('hb', "SELECT medchain.rekey_envelope('hb', $revoked)", qr/it was revoked/, 'for no change of key');
$alliance->fails_like('dc', "SELECT medchain.admit('hc', 'chain_node', $revoked)", qr/it was revoked.*keyCompromise/s, 'and for no contract');

# ----- a list of a CA that came with a change of key, told all at once or one after the other

system_or_bail('sh', '-c', qq{umask 077; cd '$pki' && openssl req -newkey ed25519 -nodes -keyout sub.key -subj '/O=Medchain test/CN=Sub CA' -out sub.csr 2>/dev/null &&
	printf 'basicConstraints = critical, CA:TRUE, pathlen:0\\nkeyUsage = critical, keyCertSign, cRLSign\\nsubjectKeyIdentifier = hash\\nauthorityKeyIdentifier = keyid\\n' > sub.ext &&
	openssl x509 -req -in sub.csr -CA ca.crt -CAkey ca.key -set_serial 777 -days 5 -extfile sub.ext -out sub.crt 2>/dev/null &&
	openssl req -newkey ed25519 -nodes -keyout hb4.key -subj '/O=Medchain test/CN=hb' -out hb4.csr 2>/dev/null &&
	printf 'basicConstraints = critical, CA:FALSE\\nkeyUsage = critical, digitalSignature\\nsubjectKeyIdentifier = hash\\nauthorityKeyIdentifier = keyid\\n' > hb4.ext &&
	openssl x509 -req -in hb4.csr -CA sub.crt -CAkey sub.key -set_serial 778 -days 3650 -extfile hb4.ext -out hb4.leaf 2>/dev/null && cat hb4.leaf sub.crt > hb4.crt});
my $by_sub = quoted('hb4');
my ($last) = split / /, $alliance->head('dc', 'hb');
$proof = $alliance->sign_outside('hb4', 'dc', "SELECT medchain.rekey_envelope('hb', $by_sub, last_height => $last)");
$alliance->sql('dc', "SELECT medchain.rekey('hb', $by_sub, proof => '$proof', last_height => $last)");
$alliance->use_key('hb', 'hb4');
$alliance->wait_for('hb', 'SELECT max(from_height) > ' . $last . q{ FROM medchain.ledger_key WHERE member = 'hb'});
$alliance->wait_for('hb', q{SELECT sealer FROM medchain.stat}, 'running');
$crl = $alliance->revoke('ha', '260101000000Z', ca => 'sub');
$alliance->sql('dc', "SELECT medchain.add_crl('$crl')");
$alliance->wait_for_equal_heads;
is($alliance->sql($_, 'SELECT count(*) FROM medchain.revocation_lists'), '3', "$_: the list counts") foreach qw(dc late);
is($alliance->sql($_, q{SELECT upper(valid) < now() + interval '6 days' FROM medchain.members WHERE member = 'hb'}), 't', "$_: a certificate ends with the CA that issued it") foreach qw(dc late);
$alliance->verify_ok;
$alliance->check_state;
$alliance->check_logs;
done_testing();
