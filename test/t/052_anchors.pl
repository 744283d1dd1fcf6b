# The alliance outlives its CAs: trust anchors are renewed with the same key, with another one, and after the root itself has
# ended, and the data centre's certificate with it; members renew under either; who hears it late, in another order, or joins later, derives the same.
use strict;
use warnings;

use Medchain::Alliance;
use POSIX qw(strftime);
use PostgreSQL::Test::Utils;
use Test::More;

my $alliance = Medchain::Alliance->new(dc => 'data_center', en => 'end_node', late => 'chain_node', new => 'chain_node', others => ['solo']);
my $cluster = Medchain::Alliance->new_cluster('all', conf => "max_worker_processes = 60\nmax_logical_replication_workers = 30\nmax_wal_senders = 40\nmax_replication_slots = 40\njit = off\n");

system_or_bail('make', '-s', '-C', 'src/bin');
$cluster->start;

# A root, by its name; "key": of another one; "ends", in seconds since 1970.
sub root
{
	my ($name, %params) = @_;
	my $dir = PostgreSQL::Test::Utils::tempdir();
	my $made = $params{ends} ? "own$name" : $name;
	my ($key, $crt) = map { $alliance->pki("$made.$_") } qw(key crt);
	my $subject = $params{key} || $name;

	system_or_bail('openssl', 'genpkey', '-algorithm', 'ED25519', '-out', $key) unless $params{key};
	system_or_bail('cp', $alliance->pki("$params{key}.key"), $key) if $params{key};
	append_to_file("$dir/ca.cnf", "[req]\ndistinguished_name = name\nx509_extensions = ca\n[name]\n[ca]\nbasicConstraints = critical, CA:TRUE\n"
		. "keyUsage = critical, keyCertSign, cRLSign\nsubjectKeyIdentifier = hash\nauthorityKeyIdentifier = keyid\n");
	system_or_bail('openssl', 'req', '-x509', '-new', '-config', "$dir/ca.cnf", '-key', $key, '-subj', "/O=Medchain test/CN=$subject",
		'-days', $params{days} || 30, '-out', $crt);
	# certifies itself again, with an end that "req" cannot say
	$alliance->certify($name, $subject, key => $made, ca => $made, ends => $params{ends}, extensions => 'root') if $params{ends};
	return $alliance->certificate($name);
}

sub renew { my ($node, @roots) = @_; my $pem = join("\n", map { $alliance->certificate($_) } @roots); return $alliance->sql($node, "SELECT medchain.renew_anchors('$pem')"); }
sub anchors { my ($node) = @_; return $alliance->sql($node, q{SELECT subject, days_left, retired IS NULL FROM medchain.trust_anchors ORDER BY since, days_left}); }

root('rootca');
root('longca', key => 'rootca', days => 3650);
root('nextca', days => 3650);

# ----- beyond the time that there is for it: another alliance, of one node

my $solo_ends = time + 30;
$alliance->certify('solo', 'solo', ca => 'rootca', ends => $solo_ends);
$alliance->start('solo', cluster => $cluster, dbname => 'solo');
my ($solo, $rootca, $nextca) = map { $alliance->certificate($_) } qw(solo rootca nextca);
$alliance->sql('solo', "SELECT medchain.found_alliance('west', 'solo', '> nobody''s business
$solo', '> nobody''s business
$rootca')");
$alliance->fails_like('solo', "SELECT medchain.renew_anchors('$solo')", qr/trust anchors are not accepted: trust anchor 1 is not a CA certificate.*HINT:/s, 'a CA has to be one');
$alliance->fails_like('solo', q{SELECT medchain.renew_anchors('no certificate')}, qr/trust anchors are not accepted/, 'and a certificate');
$alliance->fails_like('solo', "SELECT medchain.renew_anchors('$rootca', 1000)", qr/no number of days up to 366/, 'the time after the end has an end');
$alliance->fails_like('solo', 'SELECT medchain.renew_anchors(NULL)', qr/must not be null/, 'none are none');
$alliance->sql('solo', "SELECT medchain.renew_anchors('$rootca
> nobody''s business', 0)");
$alliance->certify($_, $_, ca => 'rootca') foreach qw(solo2 guest);
my ($solo2, $guest) = map { $alliance->certificate($_) } qw(solo2 guest);
$alliance->sql('solo', "SELECT medchain.admit('guest', 'chain_node', '$guest
> nobody''s business')");
is($alliance->sql('solo', q{SELECT count(*), count(*) FILTER (WHERE body::text ~ 'business') FROM medchain.claim}), '3|0', 'only certificates come to the ledger, and not what was quoted beside them');
is($alliance->sql('solo', "SELECT convert_from(medchain.rekey_envelope('solo', '$solo2
> nobody''s business'), 'UTF8') ~ 'business'"), 'f', 'nor with a new key');

# ----- an alliance one of whose roots ends soon, the data centre's

my $ends = time + 60;
root('endca', ends => $ends);
$alliance->certify('dc', 'dc', ca => 'endca');
$alliance->certify($_, $_, ca => 'rootca') foreach qw(en late);
$alliance->start($_, cluster => $cluster, dbname => $_) foreach qw(dc en late);
{
	no warnings 'redefine';
	my $found = \&Medchain::Alliance::found;
	local *Medchain::Alliance::found = sub { return $found->($_[0], 'endca', 'rootca'); };
	$alliance->establish(qw(dc en late));
}
my $grants = q{[{"grantee": "late", "operations": ["query"]}]};
sub issue { my ($subject) = @_; return $alliance->sql('en', "SELECT medchain.issue_protocol('$subject', 'text', '$grants')"); }
issue('P1');
$alliance->fails_like('en', "SELECT medchain.renew_anchors('$nextca')", qr/renew_anchors\(\) is for members of kind data_center/, 'renewing is for the data centre');
is(anchors('late'), "CN=endca,O=Medchain test|0|t\nCN=rootca,O=Medchain test|29|t", 'the view has the anchors, and how long they last');

# the same key, for longer: the very same certificate counts anew
renew('dc', 'longca');
$alliance->wait_for_equal_heads(qw(dc en late));
my $before = $alliance->sql('en', q{SELECT max(upper(valid)) FROM medchain.member_certificate WHERE member = 'late'});
my $certificate = $alliance->certificate('late');
$alliance->sql('late', "SELECT medchain.rekey('late', '$certificate')");
$alliance->wait_for_equal_heads(qw(dc en late));
is($alliance->sql('en', "SELECT max(upper(valid)) > '$before' FROM medchain.member_certificate WHERE member = 'late'"), 't', 'the same key: the same certificate counts for longer');

# ----- the data centre's root has ended, its certificate with it, and the other is lost

$alliance->wait_for('dc', "SELECT clock_timestamp() > to_timestamp($ends)");
is($alliance->sql('dc', q{SELECT state FROM medchain.members WHERE member = 'dc'}), 'expired', 'the data centre has expired');
$alliance->certify('new', 'new', ca => 'nextca');
$alliance->certify('dc-next', 'dc', key => 'dc', ca => 'nextca');
$alliance->certify('en-next', 'en', ca => 'nextca');
my $next = $alliance->certificate('dc-next');
$alliance->fails_like('dc', "SELECT medchain.rekey('dc', '$next')", qr/is not accepted: no path to a trust anchor/, 'no way on with a certificate of another CA');
my $en_next = $alliance->certificate('en-next');
$alliance->hears_late('late', [qw(en dc)], sub {
	renew('dc', 'longca', 'nextca');
	$alliance->sql('dc', "SELECT medchain.rekey('dc', '$next')");
	is($alliance->sql('dc', q{SELECT state FROM medchain.members WHERE member = 'dc'}), 'active', 'but for new anchors: the data centre is back');
	$alliance->wait_for_equal_heads(qw(dc en));

	# a new key and a certificate of the new CA, which who has not heard of it cannot take at once
	my $proof = $alliance->sign_outside('en-next', 'en', "SELECT medchain.rekey_envelope('en', '$en_next')");
	$alliance->sql('en', "SELECT medchain.rekey('en', '$en_next', proof => '$proof')");
	$alliance->use_key('en', 'en-next');
	$alliance->wait_for('en', q{SELECT sealer = 'running' FROM medchain.stat});
	issue('P2');
	$alliance->wait_for_equal_heads(qw(dc en));

	# the old ones are retired
	renew('dc', 'nextca');
});
is($alliance->sql($_, q{SELECT count(*) FROM medchain.protocol WHERE revoked IS NULL}), '2', "$_: all protocols count") foreach qw(dc en late);
is($alliance->sql($_, q{SELECT count(*) FROM medchain.rejections}), '0', "$_: nothing was refused") foreach qw(dc en late);
is(anchors('late'), "CN=endca,O=Medchain test|-1|f\nCN=rootca,O=Medchain test|29|f\nCN=rootca,O=Medchain test|3649|f\nCN=nextca,O=Medchain test|3649|t", 'the view has what was retired, too');

# ----- who has the old CA's key gets nowhere with it

$certificate = $alliance->certify('late-old', 'late', key => 'late', ca => 'longca');
$alliance->fails_like('late', "SELECT medchain.rekey('late', '$certificate')", qr/is not accepted: no path to a trust anchor/, 'a retired CA certifies no more');
$alliance->fails_like('dc', "SELECT medchain.admit('late', 'chain_node', '$certificate')", qr/is not accepted: no path to a trust anchor/, 'for nobody');
is($alliance->sql('dc', q{SELECT state FROM medchain.members WHERE member = 'late'}), 'active', 'what it certified before counts');

# ----- a member that joins later, under the new root alone

$alliance->start('new', cluster => $cluster, dbname => 'new');
$alliance->admit('new');
$alliance->join_alliance('new');
foreach my $name (qw(dc en late))
{
	$alliance->connect_peers($name, 'new');
	$alliance->connect_peers('new', $name);
}
$alliance->configure('en', 'new');
$alliance->wait_for_equal_heads(qw(dc en late new));
$alliance->wait_for('new', q{SELECT state = 'active' FROM medchain.members WHERE member = 'new'});
is($alliance->sql('new', 'SELECT medchain.state_hash()'), $alliance->sql('dc', 'SELECT medchain.state_hash()'), 'it derives the same state');
like($alliance->sql('dc', q{SELECT string_agg(condition || ': ' || holds, E'\n') FROM medchain.entry e, medchain.explain_entry(e.id) WHERE e.kind = 'anchors' AND e.origin = 'dc'}),
	qr/ended no longer ago than trust anchors can be renewed: true/, 'explain_entry() has the condition');

# a list by a retired CA counts for what that has certified, whose new anchors know nothing of it
my $crl = $alliance->revoke('late', strftime('%y%m%d%H%M%SZ', gmtime time), ca => 'longca');
$alliance->sql('dc', "SELECT medchain.add_crl('$crl')");
$alliance->wait_for($_, q{SELECT state = 'revoked' FROM medchain.members WHERE member = 'late'}) foreach qw(dc en new);
$alliance->wait_for_equal_heads(qw(dc en new));
is($alliance->sql('new', 'SELECT medchain.state_hash()'), $alliance->sql('dc', 'SELECT medchain.state_hash()'), 'a retired CA can still revoke');

# more than can be read at once, and text that only looks like one
renew('dc', ('nextca') x 60);
renew('dc', ('nextca') x 61);
$alliance->sql('dc', "SELECT medchain.renew_anchors(E'x-----BEGIN CERTIFICATE-----junk-----END CERTIFICATE-----\\n$nextca')");
$alliance->wait_for_equal_heads(qw(dc en new));
is($alliance->sql('new', q{SELECT string_agg(DISTINCT c.member, ',') FROM medchain.certificates c WHERE c.is_anchor}) ne '', 1, 'certificates are shown with many anchors');
is(anchors('new'), anchors('dc'), 'and so are these');
$crl = $alliance->revoke('late', strftime('%y%m%d%H%M%SZ', gmtime time), ca => 'nextca');
like($alliance->sql('dc', "SELECT medchain.add_crl('$crl')"), qr/^[0-9a-f-]{36}$/, 'and lists can be added');

# ----- too late

$alliance->wait_for('solo', "SELECT clock_timestamp() > to_timestamp($solo_ends)");
$alliance->fails_like('solo', "SELECT medchain.renew_anchors('$nextca')", qr/certificate ended too long ago to renew trust anchors.*HINT:/s, 'too late is too late');
$alliance->sql('solo', "INSERT INTO medchain.pending (payload) SELECT jsonb_build_object('kind', 'anchors', 'origin', 'solo', 'id', gen_random_uuid(), 'time',
	medchain_internal.ledger_time(to_timestamp($solo_ends) - interval '20 s'), 'actor', 'solo', 'role', 'postgres', 'body', medchain_internal.sign_envelope('application/vnd.medchain.anchors+json',
	jsonb_build_object('alliance', 'west', 'trust_anchors', '$nextca'::text, 'last', '{}'::jsonb)::text)::jsonb)::text");
$alliance->sql('solo', 'SELECT medchain.seal()');
is($alliance->sql('solo', q{SELECT kind, reason FROM medchain.rejections}), q{anchors|the data centre's certificate ended too long ago to renew trust anchors}, 'a back-dated one is seen by its block');

like(slurp_file($cluster->logfile), qr/WARNING:  medchain: trust anchor "CN=rootca,O=Medchain test" of the alliance ends in 29 days\n.*HINT:  .*renew_anchors/, 'the log warns');

$alliance->verify_ok(qw(dc en late new));
my ($export, $out) = ($alliance->sql('new', 'SELECT medchain.export()'));
ok(IPC::Run::run([ 'src/bin/medchain-verify', '-a', $alliance->{anchors}, '--state' ], '<', \"$export\n", '>', \$out), 'the first root is enough for the offline verifier');
like($out, qr/^Trust anchors\n.*nextca/ms, 'which shows the anchors');
$alliance->check_state;
$alliance->check_logs;
done_testing();
