# For whom a session acts, over TLS: what certificates look like, what becomes of them while sessions are open, and
# what a session can do to change it.
use strict;
use warnings;
use utf8;

use Encode qw(encode_utf8);
use Medchain::Alliance;
use PostgreSQL::Test::Utils;
use Test::More;

my $alliance = Medchain::Alliance->new(dc => 'data_center', en => 'end_node', map({ $_ => 'chain_node' } qw(brief ha hb hc hd)), others => [qw(stranger pooler offered)]);
my $pki = $alliance->pki('');

# hd's certificate comes through an intermediate authority, and its name is none that a shell or a DN parser likes
$alliance->certify('hd', 'hd', ca => 'intermediate', subject => encode_utf8('/O=Medchain test/OU=a\+b, "c"/CN=医院=\/CN=ha'));
$alliance->certify('lookalike', 'ha');
$alliance->certify('lookalike2', 'ha', ca => 'intermediate');
$alliance->certify('homoglyph', 'ha', subject => encode_utf8('/O=Medchain test/CN=hа'));
$alliance->certify('hb2', 'hb', key => 'hb');
$alliance->certify('hb3', 'hb');
$alliance->certify('nul', 'ha', subject => '/O=Medchain test/CN=ha-evil');
with_nul('nul', 'ha-evil', "ha\0evil");

# An element of DER: its tag, content, all of it, and what stands behind it.
sub der_element
{
	my ($der) = @_;
	my ($tag, $length) = unpack('CC', $der);
	my $header = 2;

	($length, $header) = $length == 0x81 ? (unpack('xxC', $der), 3) : $length == 0x82 ? (unpack('xxn', $der), 4) : ($length, 2);
	return ($tag, substr($der, $header, $length), substr($der, 0, $header + $length), substr($der, $header + $length));
}

# NAME's certificate with other bytes, as many, in it, and the CA's signature over them.  (The openssl command makes no names with NUL.)
sub with_nul
{
	my ($name, $old, $new) = @_;
	my $dir = PostgreSQL::Test::Utils::tempdir();

	system_or_bail('openssl', 'x509', '-in', "$pki/$name.crt", '-outform', 'DER', '-out', "$dir/der");
	my (undef, $content) = der_element(slurp_file("$dir/der"));
	my (undef, undef, $body, $rest) = der_element($content);
	my (undef, undef, $algorithm) = der_element($rest);
	$body =~ s/\Q$old\E/$new/ or die;
	append_to_file("$dir/body", $body);
	system_or_bail('openssl', 'dgst', '-sha256', '-sign', "$pki/ca.key", '-out', "$dir/signature", "$dir/body");
	my $signature = "\0" . slurp_file("$dir/signature");
	$content = $body . $algorithm . "\x03" . chr(length $signature) . $signature;
	unlink "$dir/der";
	append_to_file("$dir/der", "\x30\x82" . pack('n', length $content) . $content);
	system_or_bail('openssl', 'x509', '-inform', 'DER', '-in', "$dir/der", '-out', "$pki/$name.crt");
}

my $dc = $alliance->start_tls('dc');

# The others share a server, and speak to the data centre alone.
my $others = Medchain::Alliance->new_cluster('others', conf => "max_worker_processes = 40\nmax_logical_replication_workers = 20\n");
$others->start;
sub enter
{
	my ($name) = @_;
	$alliance->start($name, cluster => $others, dbname => $name);
	$alliance->admit($name);
	$alliance->join_alliance($name);
	$alliance->connect_peers('dc', $name);
	$alliance->configure('en', $name) unless $name eq 'en';
	return;
}
$alliance->found;
enter('en');
# this one's certificate lasts for half a minute
$alliance->certify('brief', 'brief', ends => time + 30);
enter('brief');
$alliance->wait_for('dc', q{SELECT state = 'active' FROM medchain.members WHERE member = 'brief'});

# What comes out of a session with a certificate, errors included.
sub over_tls { return $alliance->over_tls('dc', @_); }

# A session that stays open.
sub session
{
	my $self = { in => '', out => '' };
	$self->{psql} = IPC::Run::start([ 'psql', '-XAtq', '-d', $alliance->tls_connstr('dc', @_) ], '<', \$self->{in}, '>', \$self->{out}, '2>', \$self->{out},
		IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default));
	return $self;
}

sub ask
{
	my ($session, $sql) = @_;
	$session->{out} = '';
	$session->{in} .= "$sql;\n\\echo -end-\n";
	$session->{psql}->pump until $session->{out} =~ /-end-\n/;
	return $session->{out} =~ s/\n?-end-\n//r;
}

my $who = q{SELECT coalesce(medchain.current_member(), 'nobody')};
my $sees = q{SELECT coalesce(medchain.current_member(), 'nobody') || ':' || coalesce(string_agg(patient_id, ',' ORDER BY case_no), '') FROM diagnosis};

$alliance->sql('dc', q{
	CREATE TABLE diagnosis (case_no int PRIMARY KEY, patient_id text NOT NULL, finding text);
	INSERT INTO diagnosis SELECT i, 'P' || i, 'benign' FROM generate_series(1, 20) i;
	SELECT medchain.protect('diagnosis', 'patient_id');
	CREATE ROLE app_a LOGIN; CREATE ROLE app_b LOGIN; CREATE ROLE nobody LOGIN; CREATE ROLE mighty LOGIN SUPERUSER;
	GRANT SELECT, UPDATE ON diagnosis TO app_a, app_b, nobody;
	GRANT CREATE ON SCHEMA public TO app_b, nobody});
my $expires = session('nobody', 'brief');
is(ask($expires, $sees), 'brief:', 'a certificate that will have expired soon, while it is valid');

enter($_) foreach qw(ha hb hc hd);
my $offered = "'" . $alliance->certificate('offered') . "'";
$alliance->sql('dc', "SELECT medchain.admit('offered', 'chain_node', $offered)");
$alliance->wait_for('dc', q{SELECT count(*) FROM medchain.members WHERE state = 'active'}, '7');
$alliance->sql('dc', q{SELECT medchain.bind_role('app_a', 'ha'), medchain.bind_role('app_b', 'hb')});
my $n = 0;
foreach my $grantees ('ha', 'ha,hb', 'hc', 'hd', 'hb')
{
	my $grants = join(',', map { qq({"grantee": "$_", "operations": ["query"]}) } split(/,/, $grantees));
	my $patient = 'P' . ++$n;
	$alliance->wait_for('en', qq{SELECT bool_and(EXISTS (SELECT FROM medchain.member WHERE name = g)) FROM unnest('{$grantees}'::text[]) g});
	my $id = $alliance->sql('en', "SELECT medchain.issue_protocol('$patient', 'text', '[$grants]')");
	$alliance->wait_for('dc', "SELECT EXISTS (SELECT FROM medchain.protocol WHERE id = '$id')");
}

# ----- certificates

is(over_tls('nobody', 'ha', $sees), 'ha:P1,P2', 'the certificate that a member is registered with');
is(over_tls('nobody', 'hd', $sees), 'hd:P4', 'one through an intermediate authority, with a name of UTF-8 and characters that mean something elsewhere');
is($alliance->sql('dc', q{SELECT certificate_subject FROM medchain.members WHERE member = 'hd'}), encode_utf8('CN=医院=/CN=ha,OU=a\+b\, \"c\",O=Medchain test'), 'shown as it is');
is(over_tls('nobody', $_->[0], $sees), 'nobody:', $_->[1]) foreach
	[ 'stranger', 'a certificate of the same CA that was never admitted' ],
	[ 'lookalike', 'one with a member\'s name' ],
	[ 'lookalike2', 'the same through another authority' ],
	[ 'homoglyph', 'one whose name looks like a member\'s' ],
	[ 'offered', 'that of somebody who has not countersigned yet' ],
	[ 'ha-tls', 'a member\'s certificate for other purposes, which is not registered' ];
isnt(over_tls('nobody', 'nul', $who), 'ha', 'a name that goes on behind a NUL does not get in as what is before it');
like(slurp_file($dc->logfile), qr/common name contains embedded null/, 'nor at all');
is($alliance->sql('dc', 'SELECT f.subject FROM medchain.certificate_facts($c$' . $alliance->certificate('nul') . '$c$) f'), 'CN=ha\00evil,O=Medchain test', 'and no member passes for another so');
like(over_tls('nobody', 'rogue', $who), qr/alert|certificate|SSL/, 'a certificate of another CA does not get in');

# ----- poolers: their own certificate is no member's, and the login decides

is(over_tls('app_a', 'pooler', $sees), 'ha:P1,P2', 'a pooled connection acts for the member that its login is bound to');
is(over_tls('app_b', 'pooler', $sees), 'hb:P2,P5', 'each for its own');
is(over_tls('nobody', 'pooler', $sees), 'nobody:', 'a login that is bound to nobody for nobody');
is(over_tls('app_b', 'ha', $sees), 'ha:P1,P2', 'a member\'s own certificate goes before the login');
is(over_tls('app_b', 'offered', $sees), 'nobody:', 'even one that does not count yet');

# ----- what a session can do

$alliance->sql('dc', q{
	GRANT app_a, app_b TO nobody;
	CREATE FUNCTION who_by_b() RETURNS text LANGUAGE sql STABLE SECURITY DEFINER AS $$ SELECT current_user || ':' || coalesce(medchain.current_member(), 'nobody') || ':' || coalesce(string_agg(patient_id, ',' ORDER BY case_no), '') FROM diagnosis $$;
	ALTER FUNCTION who_by_b() OWNER TO app_b;
	CREATE FUNCTION who_in_worker(text) RETURNS text LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$ BEGIN RETURN coalesce(medchain.current_member(), 'nobody'); END $$;
	CREATE VIEW by_b AS SELECT * FROM diagnosis; ALTER VIEW by_b OWNER TO app_b; GRANT SELECT ON by_b TO PUBLIC});
foreach my $login ([ 'nobody', 'pooler', 'nobody:' ], [ 'app_a', 'pooler', 'ha:P1,P2' ], [ 'nobody', 'ha', 'ha:P1,P2' ], [ 'nobody', 'stranger', 'nobody:' ])
{
	my ($role, $certificate, $expected) = @$login;
	my $title = "$role with the certificate of $certificate";
	my $member = $expected =~ s/:.*//r;
	if ($role eq 'nobody')
	{
		is(over_tls($role, $certificate, "SET ROLE app_b; $sees; RESET ROLE; $sees"), "$expected\n$expected", "$title: SET ROLE, RESET ROLE");
		is(over_tls($role, $certificate, $sees, '-c role=app_b'), $expected, "$title: a role among the connection's options");
		is(over_tls($role, $certificate, "BEGIN; SET LOCAL ROLE app_b; SAVEPOINT s; $who; ROLLBACK TO s; $who; COMMIT; $who"), "$member\n$member\n$member", "$title: SET LOCAL ROLE");
	}
	is(over_tls($role, $certificate, 'SELECT who_by_b()'), "app_b:$expected", "$title: a function of SECURITY DEFINER");
	is(over_tls($role, $certificate, 'SELECT string_agg(patient_id, \',\' ORDER BY case_no) FROM by_b'), $expected =~ s/.*://r, "$title: a view of somebody else");
	is(over_tls($role, $certificate, "RESET ALL; DISCARD ALL; RESET SESSION AUTHORIZATION; $sees"), $expected, "$title: RESET, DISCARD");
	is(over_tls($role, $certificate, "PREPARE p AS $sees; EXECUTE p; SET plan_cache_mode = force_generic_plan; EXECUTE p"), "$expected\n$expected", "$title: prepared statements");
	like(over_tls($role, $certificate, 'SET SESSION AUTHORIZATION app_b'), qr/permission denied/, "$title: SET SESSION AUTHORIZATION");
}
is(over_tls('mighty', 'stranger', "SET SESSION AUTHORIZATION app_b; $sees; RESET SESSION AUTHORIZATION; $who"), "nobody:\nnobody", 'SET SESSION AUTHORIZATION gains even a superuser nothing');
is(over_tls('mighty', 'ha', "SET SESSION AUTHORIZATION app_b; $sees"), 'ha:P1,P2', 'nor loses anything');

# settings
like(over_tls('app_a', 'pooler', "ALTER ROLE app_a SET $_"), qr/permission denied to set parameter/, "no role gives itself $_")
  foreach q{medchain.signing_key = '/tmp/x'}, q{medchain.pseudonym_key_file = '/tmp/x'}, q{medchain.crl_policy = last_known};
like(over_tls('app_a', 'pooler', $_), qr/invalid configuration parameter name|unrecognized configuration parameter/, "nor is there: $_")
  foreach q{ALTER ROLE app_a SET medchain.current_member = 'hb'}, q{SET medchain.member = 'hb'};
like(over_tls('app_a', 'pooler', $who, '-c medchain.current_member=hb'), qr/^ha$|invalid configuration parameter/m, 'nor among the connection\'s options');
over_tls('app_a', 'pooler', q{ALTER ROLE app_a SET medchain.wait_for_seal = on});
$alliance->sql('dc', q{ALTER ROLE app_a SET role = 'app_b'});
is(over_tls('app_a', 'pooler', $sees), 'ha:P1,P2', 'what is set for a role changes nothing about for whom it acts');
$alliance->sql('dc', 'ALTER ROLE app_a RESET ALL');

# parallel workers know nobody; what asks for the member is not sent to them
my $forced = $alliance->sql('dc', q{SELECT name FROM pg_settings WHERE name IN ('debug_parallel_query', 'force_parallel_mode')});
my $parallel = "SET $forced = on; SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0; SET max_parallel_workers_per_gather = 2";
is(over_tls('nobody', 'ha', "$parallel; $sees"), 'ha:P1,P2', 'with parallel plans a session sees the same');
is(over_tls('app_b', 'pooler', "$parallel; SELECT count(*) FROM diagnosis d JOIN diagnosis e USING (patient_id)"), '2', 'in joins too');
$alliance->sql('dc', q{CREATE TABLE large AS SELECT i FROM generate_series(1, 20000) i; ANALYZE large; GRANT SELECT ON large TO PUBLIC});
is(over_tls('nobody', 'ha', "$parallel; SET parallel_leader_participation = off; SELECT DISTINCT who_in_worker(i::text) FROM large"), 'nobody',
	'a function that lies about being safe finds nobody there');
is(over_tls('nobody', 'ha', $who), 'ha', 'and the session itself its member');

# ----- what becomes of certificates, and of sessions that are open meanwhile

my %open = map { $_ => session('nobody', $_) } qw(ha hb hc hd);
my $bound = session('app_a', 'pooler');
is(ask($open{$_}, $who), $_, "$_ has a session open") foreach sort keys %open;
is(ask($bound, $who), 'ha', 'and there is one of a login bound to ha');

$alliance->sql('dc', q{SELECT medchain.suspend('ha', 'audit')});
is(ask($_, $sees), 'nobody:', 'suspended: an open session acts for nobody') foreach $open{ha}, $bound;
is(over_tls('nobody', 'ha', $who), 'nobody', 'nor does a new one');
is(over_tls('app_b', 'ha', $who), 'nobody', 'a login that is bound to another member is no way around');
$alliance->sql('dc', q{SELECT medchain.reinstate('ha')});
is(ask($_, $sees), 'ha:P1,P2', 'reinstated: it acts for the member again') foreach $open{ha}, $bound;

# hb goes on with the same key and a new certificate, then with a new key
my $certificate = sub { return "'" . $alliance->certificate($_[0]) . "'" };
# it has to know that its ledger is configured
$alliance->connect_peers('hb', 'en');
$alliance->wait_for('hb', q{SELECT ledger_key IS NOT NULL FROM medchain.member WHERE name = 'hb'});
my $registered = sub { $alliance->wait_for('dc', "SELECT certificate_fingerprint = encode((medchain.certificate_facts(" . $certificate->($_[0]) . ")).fingerprint, 'hex') FROM medchain.members WHERE member = 'hb'") };
$alliance->sql('hb', "SELECT medchain.rekey('hb', " . $certificate->('hb2') . ')');
$registered->('hb2');
is(ask($open{hb}, $sees), 'nobody:', 'renewed: a session with the old certificate acts for nobody');
is(over_tls('app_b', 'hb', $sees), 'nobody:', 'whatever its login is bound to');
is(over_tls('nobody', 'hb2', $sees), 'hb:P2,P5', 'one with the new certificate for the member');
my $second = session('nobody', 'hb2');
is(ask($second, $who), 'hb', 'it stays open');
my $proof = $alliance->sign_outside('hb3', 'hb', "SELECT medchain.rekey_envelope('hb', " . $certificate->('hb3') . ')');
$alliance->sql('hb', "SELECT medchain.rekey('hb', " . $certificate->('hb3') . ", proof => '$proof')");
$registered->('hb3');
is(ask($second, $sees), 'nobody:', 'a new key: a session with the old one acts for nobody');
is(over_tls('app_a', $_, $sees), 'nobody:', "nor does a new one with $_, whatever its login is bound to") foreach qw(hb hb2);
is(over_tls('nobody', 'hb3', $sees), 'hb:P2,P5', 'the new key counts');

my $crl = $alliance->revoke('hc', '260101000000Z');
$alliance->sql('dc', "SELECT medchain.add_crl('$crl')");
is(ask($open{hc}, $sees), 'nobody:', 'revoked: an open session acts for nobody');
is(over_tls('app_b', 'hc', $sees), 'nobody:', 'nor does a new one, whatever its login is bound to');
$alliance->sql('dc', q{SELECT medchain.end_contract('hd', 'over')});
is(ask($open{hd}, $sees), 'nobody:', 'a contract ends: an open session acts for nobody');
$alliance->sql('dc', q{SELECT medchain.expel('ha', 'fraud')});
is(ask($_, $sees), 'nobody:', 'expelled: an open session acts for nobody') foreach $open{ha}, $bound;
is(over_tls('app_b', 'ha', $sees), 'nobody:', 'nor does a new one');

foreach (1 .. 1200)
{
	last if ask($expires, $who) eq 'nobody';
	ask($expires, 'SELECT pg_sleep(0.1)');
}
is(ask($expires, $sees), 'nobody:', 'expired: an open session acts for nobody');
like(over_tls('nobody', 'brief', $who), qr/expired|alert/, 'and a new one is refused');
is($alliance->sql('dc', q{SELECT state FROM medchain.members WHERE member = 'brief'}), 'expired', 'the view says so');

# it seals nothing any more, and what it has sealed verifies
$alliance->sql('brief', q{SELECT medchain.append('visit', '1')});
$alliance->wait_for('brief', q{SELECT sealer = 'failed' AND sealer_error ~ 'certificate of "brief" has expired' FROM medchain.stat});
is($alliance->sql('dc', q{SELECT ok, blocks > 0 FROM medchain.verify('brief')}), 't|t', 'the blocks of before verify');
system_or_bail('make', '-s', '-C', 'src/bin');
$alliance->verifies_offline_ok('when a certificate has expired', 'dc');

$_->{in} .= "\\q\n" foreach values %open, $bound, $second, $expires;
$_->{psql}->finish foreach values %open, $bound, $second, $expires;
$alliance->verify_ok('dc');
$alliance->check_logs;
done_testing();
