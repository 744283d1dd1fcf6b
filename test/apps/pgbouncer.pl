# pgbouncer in transaction mode: sessions act for the member of its certificate or of their login, whoever had the connection before.
# needs: debian pgbouncer
# needs: npm pg@8.23.1
use strict;
use warnings;

use IPC::Run;
use IO::Socket::INET;
use Medchain::Application;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $app = Medchain::Application->new(tls => 1, others => ['pooler']);
my $alliance = $app->alliance;
$app->sql(q{
	CREATE ROLE own LOGIN; CREATE ROLE bare; CREATE ROLE front LOGIN IN ROLE reader, own, keeper;
	GRANT bare TO reader;
	GRANT USAGE ON SCHEMA clinic TO own;
	SELECT medchain.bind_role('own', 'dc')});
$app->sql(q{
	CREATE TABLE clinic.record (id int PRIMARY KEY, patient text NOT NULL, finding text NOT NULL);
	INSERT INTO clinic.record SELECT i, 'P' || (1 + i % 3), 'benign' FROM generate_series(1, 300) i;
	GRANT ALL ON clinic.record TO own, front}, 'keeper');
$app->sql(q{SELECT medchain.protect('clinic.record', 'patient')});
my $protocol = $app->permit('P1', 'ha');
$app->permit('P2', 'dc');

# A pooler that has this certificate at the server, and its port.
my @poolers;
sub pooler
{
	my ($certificate, %params) = @_;
	my $dir = PostgreSQL::Test::Utils::tempdir();
	my $port = PostgreSQL::Test::Cluster::get_free_port();
	my ($ca, $crt, $key) = map { $alliance->pki($_) } 'ca.crt', "$certificate.crt", "$certificate.key";
	my $settings = join("\n", map { "$_ = $params{$_}" } sort keys %params);

	append_to_file("$dir/users", join('', map { qq("$_" ""\n) } qw(reader own stranger front keeper)));
	append_to_file("$dir/pgbouncer.ini", qq{
[databases]
postgres = host=127.0.0.1 port=@{[ $app->cluster->port ]} dbname=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = $port
unix_socket_dir =
logfile = $dir/log
auth_type = trust
auth_file = $dir/users
pool_mode = transaction
default_pool_size = 1
max_client_conn = 100
ignore_startup_parameters = extra_float_digits
server_tls_sslmode = verify-ca
server_tls_ca_file = $ca
server_tls_cert_file = $crt
server_tls_key_file = $key
client_tls_sslmode = allow
client_tls_ca_file = $ca
client_tls_cert_file = @{[ $alliance->pki('dc-tls.crt') ]}
client_tls_key_file = @{[ $alliance->pki('dc-tls.key') ]}
$settings
});
	my ($in, $out) = ('', '');
	push @poolers, IPC::Run::start([ 'pgbouncer', "$dir/pgbouncer.ini" ], '<', \$in, '>', \$out, '2>', \$out);
	foreach (1 .. 10 * $PostgreSQL::Test::Utils::timeout_default)
	{
		return $port if IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port);
		select(undef, undef, undef, 0.1);
	}
	die "pgbouncer does not start: " . slurp_file("$dir/log");
}
END { local $?; $_->kill_kill foreach @poolers }

my $sees = q{SELECT coalesce(medchain.current_member(), 'nobody') || ':' || coalesce((SELECT string_agg(DISTINCT patient, ',' ORDER BY patient) FROM clinic.record), '')};
sub through
{
	my ($port, $user, $more) = @_;
	my ($rc, $out, $err) = $app->cluster->psql('postgres', $sees, connstr => "host=127.0.0.1 port=$port dbname=postgres user=$user " . ($more || ''), on_error_die => 0);
	return $rc ? $err : $out;
}

my ($version) = `pgbouncer --version` =~ /PgBouncer (\d+\.\d+)/;
my ($major, $minor) = split(/\./, $version);
my $named = $major > 1 || $minor >= 21;
note("pgbouncer $version");

# its own certificate is no member's: the login decides
my $port = pooler('pooler', $named ? (max_prepared_statements => 50) : ());
$app->node('bouncer.js', {
	actors => sub
	{
		return $app->sql(q{SELECT medchain.seal()}) . $app->sql(q{
			SELECT string_agg(DISTINCT actor || ' ' || (payload::jsonb ->> 'role'), ', ' ORDER BY actor || ' ' || (payload::jsonb ->> 'role'))
			FROM medchain.entry WHERE origin = 'dc' AND kind = 'row.update'});
	},
	revoke      => sub { $app->revoke($protocol); return 'done' },
	permit      => sub { $protocol = $app->permit('P1'); return 'done' },
	connections => sub { return $app->sql(q{SELECT count(DISTINCT pid) FROM pg_stat_activity WHERE client_addr IS NOT NULL AND backend_type = 'client backend'}) }
}, $port, $named ? 'named' : 'unnamed');

# a client's own certificate ends at the pooler
my $certificate = sprintf('sslmode=require sslcert=%s sslkey=%s', $alliance->pki('ha.crt'), $alliance->pki('ha.key'));
is(through($port, 'stranger', $certificate), 'nobody:', 'a member\'s certificate at the pooler is none at the server');
is(through($port, 'own', $certificate), 'dc:P2', 'there, the login acts for whom it is bound to');

# with a member's certificate, all act for that member
my $members = pooler('ha');
is(through($members, $_), 'ha:P1', "with a member's certificate the pooler acts for the member, whoever logs in: $_") foreach qw(stranger own reader);

# and so they do not any more while the member is suspended, in connections that the pooler has had before
$app->sql(q{SELECT medchain.suspend('ha', 'for a while')});
is(through($members, 'stranger'), 'nobody:', 'nor when the member is suspended');
is(through($port, 'reader'), 'nobody:', 'nor by the login');
$app->sql(q{SELECT medchain.reinstate('ha')});
is(through($members, 'stranger'), 'ha:P1', 'until it is not any more');
is(through($port, 'reader'), 'ha:P1', 'by the login, too');

$app->sound_ok('pgbouncer');
$alliance->check_logs;
done_testing();
