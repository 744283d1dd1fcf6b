# Connections to peers: what is wrong with them is what the hint is about; a password does not reach any server's log; and
# a server that is too small for its peers says which setting.
use strict;
use warnings;

use Medchain::Alliance;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $alliance = Medchain::Alliance->new(dc => 'data_center', en => 'end_node');
my $secret = 'Tr0ub4dor';
my $verbose = q{
log_statement = all
log_min_duration_statement = 0
log_parameter_max_length_on_error = -1
log_error_verbosity = verbose
session_preload_libraries = 'auto_explain'
auto_explain.log_min_duration = 0
auto_explain.log_nested_statements = on
};

my $dc = $alliance->start_tls('dc');
$alliance->start('en', conf => $verbose);
$alliance->found;
$alliance->admit('en');
$alliance->sql('dc', qq{
	CREATE ROLE no_replication LOGIN IN ROLE medchain_peer;
	CREATE ROLE no_peer LOGIN REPLICATION;
	CREATE ROLE no_login REPLICATION;
	CREATE ROLE secretive LOGIN REPLICATION IN ROLE medchain_peer PASSWORD '$secret'});
$alliance->sql('dc', 'CREATE DATABASE plain');
$alliance->sql('dc', 'CREATE DATABASE closed');
$alliance->sql('dc', 'REVOKE CONNECT ON DATABASE closed FROM PUBLIC');
unlink $dc->data_dir . '/pg_hba.conf';
$dc->append_conf('pg_hba.conf', q{
hostssl all unlisted 127.0.0.1/32 reject
hostssl all secretive 127.0.0.1/32 scram-sha-256
hostssl all all 127.0.0.1/32 trust clientcert=verify-ca
local all secretive scram-sha-256
local all all trust
});
$dc->reload;

# ----- each cause has its hint, whatever language the servers speak

my ($ca, $crt, $key, $rogue) = map { $alliance->pki($_) } 'ca.crt', 'en-tls.crt', 'en-tls.key', 'rogue-ca.crt';
my $tls = sprintf('host=dc hostaddr=127.0.0.1 port=%d sslmode=verify-full sslrootcert=%s sslcert=%s sslkey=%s', $dc->port, $ca, $crt, $key);
my $socket = sprintf('host=%s port=%d', $dc->host, $dc->port);
my $nobody = PostgreSQL::Test::Cluster::get_free_port();
my $certificate = $alliance->certificate('en');

sub join_with { my ($conninfo) = @_; $conninfo =~ s/'/''/g; return "SELECT medchain.join_alliance('en', '$certificate', '$conninfo')"; }

foreach my $case (
	[ "host=127.0.0.1 port=$nobody dbname=postgres user=sync connect_timeout=5", qr/listen_addresses/, 'nobody listens' ],
	[ "host=no-such-host.invalid dbname=postgres user=sync", qr/look at host and port/, 'a host that is none' ],
	[ "$tls dbname=postgres user=sync" =~ s/sslrootcert=\S+/sslrootcert=$rogue/r, qr/TLS does not come about/, 'a server certificate of another CA' ],
	[ "$tls dbname=postgres user=sync" =~ s/sslrootcert=\S+/sslrootcert=$rogue.none/r, qr/is not here, or not readable.*files of this server/, 'a file that is not there' ],
	[ "$tls dbname=postgres user=sync" =~ s/host=dc /host=elsewhere /r, qr/TLS does not come about/, '... for another name' ],
	[ "$tls dbname=postgres user=sync" =~ s/sslcert=\S+ sslkey=\S+//r, qr/pg_hba\.conf|TLS does not come about/, 'no certificate of ours' ],
	[ "$tls dbname=postgres user=sync" =~ s/sslcert=\S+/sslcert=nothing.crt/r, qr/sslcert/, '... as its file is missing' ],
	[ 'service=nowhere', qr/how that is spelt/, 'a service that is not defined' ],
	[ "$tls dbname=postgres user=sync" =~ s/verify-full/verify_full/r, qr/how that is spelt/, 'a misspelt option' ],
	[ "$tls dbname=nowhere user=sync", qr/no such database.*dbname/, 'no such database' ],
	[ "$tls dbname=postgres user=nobody", qr/the login must exist/, 'no such login' ],
	[ "$tls dbname=postgres user=no_login", qr/with LOGIN/, 'a role that is no login' ],
	[ "$tls dbname=postgres user=unlisted", qr/pg_hba\.conf/, 'no line in pg_hba.conf' ],
	[ "$tls dbname=postgres user=no_replication", qr/needs REPLICATION/, 'a login without REPLICATION' ],
	[ "$tls dbname=closed user=sync", qr/privilege CONNECT/, 'no right to connect' ],
	[ "$tls dbname=plain user=sync", qr/CREATE EXTENSION medchain/, 'no extension there' ],
	[ "$tls dbname=postgres user=no_peer", qr/GRANT medchain_peer/, 'a login that is no peer' ],
	[ "$tls dbname=postgres user=secretive", qr/passfile/, 'no password' ],
	[ "$tls dbname=postgres user=secretive password=wrong", qr/password/, 'a wrong password' ],
	[ 'host=dc password=a b c', qr/values with blanks stand in single quotes/, 'a string that is none' ],
	[ '', qr/dbname=hospital/, 'an empty one' ])
{
	my ($conninfo, $hint, $title) = @$case;
	$alliance->fails_like('en', join_with($conninfo), qr/HINT:[^\n]*$hint/, "$title: the hint is about it");
}
SKIP:
{
	my $locale = (grep { /^(?:de_DE|fr_FR|zh_CN)\.utf-?8$/i } split(/\n/, `locale -a`))[0];
	skip 'no other language installed', 1 unless $locale;
	$dc->append_conf('postgresql.conf', "lc_messages = '$locale'");
	$dc->reload;
	$alliance->fails_like('en', join_with("$tls dbname=postgres user=no_replication"), qr/HINT:[^\n]*needs REPLICATION/, 'in another language as well');
}
$alliance->fails_like('en', q{SELECT medchain.connect_peer('dc', 'host=nowhere')}, qr/not a node of an alliance/, 'no peers before joining');

# ----- passwords

my $with = "$tls dbname=postgres user=secretive password=$secret";
my $uri = sprintf('postgresql://secretive:%s@%s:%d/nowhere?hostaddr=127.0.0.1', $secret, 'dc', $dc->port);
$alliance->fails_like('en', join_with("$tls dbname=nowhere user=secretive password=$secret"), qr/no such database/, 'a join with a password that fails');
$alliance->fails_like('en', join_with($uri), qr/HINT/, '... with a URI');
$alliance->fails_like('en', "DO \$\$ BEGIN PERFORM medchain.join_alliance('en', 'x', 'host=dc password=' || '$secret'); END \$\$", qr/ERROR/, '... in a block');
$alliance->fails_like('en', "PREPARE p AS SELECT medchain.join_alliance('en', 'x', \$1); EXECUTE p('host=dc password=$secret')", qr/ERROR/, '... prepared');
$alliance->fails_like('en', "SET search_path = medchain; SELECT Join_Alliance('en', 'x', \$\$host=dc password = '$secret'\$\$)", qr/ERROR/, '... without schema');
$alliance->fails_like('en', "SELECT medchain.join_alliance('en', 'x', 'host=dc password=$secret' 1)", qr/syntax error/, '... that is not SQL');
is((PostgreSQL::Test::Utils::run_command([ 'psql', '-XAt', '-d', $alliance->cluster('en')->connstr('postgres'), '-c', 'SELECT 1' ]))[0], '1', 'the server is there');

# Tests: commands fail, and neither what they have logged nor what pg_stat_activity shows then gives the password away.
my $bytes = join(' ', map { ord } split(//, $secret));
sub no_trace
{
	my ($title, $command, $input, %environment) = @_;
	my $cluster = $alliance->cluster('en');
	my $start = -s $cluster->logfile;
	my ($out, $err) = ('', '');
	local %ENV = (%ENV, %environment, PGHOST => $cluster->host, PGPORT => $cluster->port, PGDATABASE => 'postgres');

	my $run = IPC::Run::run($command, '<', \$input, '>', \$out, '2>', \$err);
	my @lines = grep { /\Q$secret\E|\b$bytes\b/ } split(/\n/, substr(slurp_file($cluster->logfile), $start));
	like($err, qr/ERROR/, "$title: fails");
	is(join("\n", @lines), '', '... the password is not in the log');
	unlike($out, qr/\Q$secret\E/, '... nor in pg_stat_activity');
	return;
}
# a session that is asked about itself by another one
my $look = '\\! psql -XAtc "SELECT query FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND query ~ ' . "'" . ($secret =~ s/r\z/[r]/r) . "'\"\n";
foreach my $case (
	[ 'a misspelt name', "SELECT medchain.join_aliance('en', '$certificate', '$tls password=$secret');" ],
	[ 'a blank too many', join_with("$tls user=secretive password=x $secret") . ';' ],
	[ 'a URI, the password in its query', join_with("postgresql://dc:" . $dc->port . "/nowhere?user=secretive&pass%77ord=$secret&hostaddr=127.0.0.1") . ';' ],
	[ 'a URI with an @ in the password', join_with("postgresql://secretive:abc\@$secret:$secret\@dc:" . $dc->port . '/postgres') . ';' ],
	[ 'a URI with a / in it', join_with("postgresql://secretive:$secret/$secret\@dc:" . $dc->port . '/postgres') . ';' ],
	[ 'a common table expression', "WITH c (c) AS (VALUES ('$tls user=secretive password=$secret')) SELECT medchain.connect_peer('dc', c) FROM c;" ],
	[ 'a cursor', "BEGIN;\nDECLARE c CURSOR FOR SELECT medchain.connect_peer('dc', '$tls password=$secret');\nFETCH c;" ],
	[ 'a password that is a parameter', "PREPARE p AS SELECT medchain.connect_peer('dc', '$tls password=' || \$1);\nEXECUTE p('$secret');" ],
	[ 'a statement that was prepared otherwise', "PREPARE \"P q\" AS SELECT medchain.connect_peer('dc', \$1);\nEXECUTE \"P q\" ('$tls password=$secret', 'too much');" ],
	[ 'a secret of other methods', join_with("$tls dbname=nowhere oauth_client_secret=$secret") . "\n;" . join_with("$tls dbname=nowhere scram_client_key=$secret") . ';' ],
	[ 'a copy of the result', "COPY (SELECT medchain.connect_peer('dc', '$tls password=$secret')) TO STDOUT;" ],
	[ 'what the planner is asked', "EXPLAIN (ANALYZE, VERBOSE) SELECT medchain.connect_peer('dc', '$tls password=$secret');" ],
	[ 'trees and plans', join_with("$tls dbname=nowhere user=secretive password=$secret") . ';', PGOPTIONS => '-c debug_print_parse=on -c debug_print_rewritten=on -c debug_print_plan=on' ])
{
	my ($title, $sql, %environment) = @$case;
	no_trace($title, [ 'psql', '-XAtq' ], "$sql\n$look", %environment);
}
my $script = PostgreSQL::Test::Utils::tempdir() . '/script';
foreach my $case (
	[ 'the connection string', "SELECT medchain.connect_peer('dc', :c);", "c=$tls user=secretive password=$secret" ],
	[ 'the password', "SELECT medchain.connect_peer('dc', '$tls user=secretive password=' || :p);", "p=$secret" ],
	[ 'the password before the rest', "SELECT medchain.connect_peer('dc', format('%2\$s password=%1\$s', :p::text, :c::text));", "p=$secret", "c=$tls user=secretive" ],
	[ 'the format behind the password', "SELECT medchain.connect_peer('dc', format(CASE WHEN :p::text <> '' THEN :c::text END, :p::text));", "p=$secret", 'c=password=%s' ])
{
	my ($title, $sql, @values) = @$case;
	unlink $script;
	append_to_file($script, "$sql\n");
	no_trace("$title as a parameter, $_", [ qw(pgbench -n -t 1 -f), $script, '-M', $_, map { ('-D', $_) } @values ], '') foreach 'extended', 'prepared';
}
$alliance->sql('en', join_with($with));
$alliance->wait_for('en', q{SELECT state = 'streaming' FROM medchain.peers WHERE member = 'dc'});
pass('a join with a password works');
$alliance->sql('en', 'SELECT medchain.disconnect_peer(\'dc\')');
my $peer = "medchain.connect_peer('dc', '$with')";
my $shown = $alliance->sql('en', "SELECT $peer; SELECT count(*) FILTER (WHERE query LIKE '%$secret' || '%') FROM pg_stat_activity WHERE pid <> pg_backend_pid()");
my $background = IPC::Run::start([ 'psql', '-XAtq', '-d', $alliance->cluster('en')->connstr('postgres') ], '<', \my $in, '>', \my $seen, '2>', \my $complaints);
$alliance->sql('en', 'SELECT medchain.disconnect_peer(\'dc\')');
$in .= "SELECT $peer;\n";
$background->pump_nb until $alliance->sql('en', q{SELECT count(*) FROM pg_subscription}) eq '1';
is($alliance->sql('en', q{SELECT query FROM pg_stat_activity WHERE query ~ 'connect_pee[r]' AND pid <> pg_backend_pid()}),
	q{SELECT medchain.connect_peer('dc', 'host=dc hostaddr=127.0.0.1 port=} . $dc->port . " sslmode=verify-full sslrootcert=$ca sslcert=$crt sslkey=$key dbname=postgres user=secretive password... (connection string not shown)",
	'pg_stat_activity does not show it');
$in .= "\\q\n";
$background->finish;
$alliance->wait_for('en', q{SELECT state = 'streaming' FROM medchain.peers WHERE member = 'dc'});
$alliance->sql('en', q{SELECT medchain.resync('dc')});
$alliance->sql('en', q{SET search_path = medchain; SELECT resync('dc')});
foreach my $name ('en', 'dc')
{
	my $log = slurp_file($alliance->cluster($name)->logfile);
	my @lines = grep { /\Q$secret\E/ && !/CREATE ROLE secretive|PASSWORD '|pg_stat_activity/ } split(/\n/, $log);
	is(join("\n", @lines), '', "the password is not in the log of $name");
}
like(slurp_file($alliance->cluster('en')->logfile), qr/connection string not shown/, 'where the statements are');
unlike(slurp_file($alliance->cluster('en')->logfile), qr/CREATE SUBSCRIPTION[^\n]*CONNECTION '/, 'no statement of ours has the connection string in it');
like(slurp_file($alliance->cluster('en')->logfile), qr/SELECT count\(\*\) FROM pg_subscription/, 'other statements are logged as ever');
is($alliance->sql('en', q{SELECT has_table_privilege('medchain_admin', 'medchain.peer', 'SELECT') OR has_table_privilege('medchain_auditor', 'medchain.peer', 'SELECT')}), 'f',
	'who is no superuser cannot read connection strings');

# ----- too small

is($alliance->sql($_, q{SELECT count(shortage) FROM medchain.peers}), '0', "$_: there is no shortage") foreach 'dc', 'en';
$alliance->sql('en', 'SELECT medchain.disconnect_peer(\'dc\')');
$alliance->cluster('en')->append_conf('postgresql.conf', 'max_logical_replication_workers = 0');
$alliance->cluster('en')->restart;
$alliance->wait_for('en', q{SELECT sealer = 'running' FROM medchain.stat});
my (undef, undef, $err) = $alliance->try('en', "SELECT $peer");
like($err, qr/WARNING:  .*max_logical_replication_workers.*HINT:/s, 'too few workers: the call warns');
is($alliance->sql('en', q{SELECT state, shortage ~ '^max_logical_replication_workers is 0, .*needs' FROM medchain.peers WHERE member = 'dc'}), 'down|t', 'and peers says which setting');
$alliance->cluster('en')->append_conf('postgresql.conf', 'max_logical_replication_workers = 12');
$alliance->cluster('en')->restart;
$alliance->wait_for('en', q{SELECT state = 'streaming' AND shortage IS NULL FROM medchain.peers WHERE member = 'dc'});
pass('with more it streams');

# each of the others at the subscriber; what counts how far subscriptions have got has had a setting of its own since 18
my $origins = $dc->pg_version >= 18 ? 'max_active_replication_origins' : 'max_replication_slots';
foreach my $small ([ 'max_worker_processes', 4, 6, 20 ], [ $origins, 0, 2, 20 ])
{
	my ($setting, $value, $needed, $enough) = @$small;
	my $en = $alliance->cluster('en');

	$alliance->sql('en', 'SELECT medchain.disconnect_peer(\'dc\')');
	$en->append_conf('postgresql.conf', "$setting = $value");
	$en->restart;
	$alliance->wait_for('en', q{SELECT sealer = 'running' FROM medchain.stat});
	$err = ($alliance->try('en', "SELECT $peer"))[2];
	like($err, qr/WARNING:  $setting is too small.*DETAIL:  It is $value, and $needed are needed.*HINT:  Set $setting = $needed/s, "$setting: the call warns");
	is($alliance->sql('en', q{SELECT state, shortage FROM medchain.peers WHERE member = 'dc'}), "down|$setting is $value, this server needs $needed",
		"$setting: and peers says which setting");
	$en->append_conf('postgresql.conf', "$setting = $enough");
	$en->restart;
	$alliance->wait_for('en', q{SELECT state = 'streaming' AND shortage IS NULL FROM medchain.peers WHERE member = 'dc'});
	pass("$setting: with more it streams");
}

# ... and at the publisher
$alliance->sql('en', 'SELECT medchain.disconnect_peer(\'dc\')');
$dc->append_conf('postgresql.conf', 'max_wal_senders = 0');
$dc->restart;
$alliance->wait_for('dc', q{SELECT sealer = 'running' FROM medchain.stat});
$alliance->fails_like('en', "SELECT $peer", qr/ERROR:.*HINT:[^\n]*max_wal_senders/s, 'no sender left at the peer: the hint says which setting');
is($alliance->sql('dc', q{SELECT follower_state, shortage FROM medchain.peers WHERE member = 'en'}), 'not following us|max_wal_senders is 0, this server needs 1',
	'... and so does peers there');
$dc->append_conf('postgresql.conf', 'max_wal_senders = 20');
$dc->append_conf('postgresql.conf', 'max_replication_slots = 1');
$dc->restart;
$alliance->wait_for('dc', q{SELECT sealer = 'running' FROM medchain.stat});
$alliance->sql('dc', q{SELECT pg_create_physical_replication_slot('occupied')});
$alliance->fails_like('en', "SELECT $peer", qr/ERROR:.*HINT:[^\n]*max_replication_slots/s, 'no slot left at the peer: the hint says which setting');
is($alliance->sql('dc', q{SELECT follower_state, shortage ~ '^max_replication_slots is 1, .*needs' FROM medchain.peers WHERE member = 'en'}), 'not following us|t', '... and so does peers there');
$alliance->check_logs;
done_testing();
