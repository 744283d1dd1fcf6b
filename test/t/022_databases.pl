# Databases come and go, and are renamed, moved and copied, by owners who are no superusers: the workers are in nobody's
# way, nobody else can have them interrupted, and nothing of a database that is gone is left.
use strict;
use warnings;

use Medchain::Alliance;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $alliance = Medchain::Alliance->new(dc => 'data_center');
my $key      = $alliance->pki('dc.key');
my $cluster  = Medchain::Alliance->new_cluster('house', conf => qq{
medchain.signing_key = '$key'
medchain.max_databases = 4
max_prepared_transactions = 2
});
my $spaces = PostgreSQL::Test::Utils::tempdir();

sub sql { my ($database, $sql, @more) = @_; return $cluster->safe_psql($database, $sql, @more); }

# Pids of a database's workers, as text.
sub workers
{
	my ($database) = @_;
	return sql('postgres', qq{SELECT string_agg(pid::text, ' ' ORDER BY backend_type) FROM pg_stat_activity
		WHERE datname = '$database' AND backend_type IN ('medchain sealer', 'medchain keeper')});
}

sub wait_for_workers
{
	my ($database) = @_;
	$cluster->poll_query_until('postgres', qq{SELECT count(*) = 2 FROM pg_stat_activity
		WHERE datname = '$database' AND backend_type IN ('medchain sealer', 'medchain keeper')})
	  or die "no workers in $database";
	return workers($database);
}

# A database with workers, of a plain owner.
sub make
{
	my ($database, $owner) = @_;
	sql('postgres', "CREATE DATABASE $database OWNER $owner TEMPLATE node");
	sql($database, 'SELECT medchain.start_workers()');
	return wait_for_workers($database);
}

# A test: a command of that role succeeds, and does not wait until PostgreSQL has looked twice whether somebody is gone.
# (What it takes itself, checkpoints for the most part, is not ours.)
sub passes
{
	my ($role, $command, $title) = @_;
	my $start = time;
	my ($rc, undef, $err) = $cluster->psql('postgres', "SET ROLE $role; $command");
	my $took = time - $start;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	ok($rc == 0 && $took < 2.5, $title) or diag(sprintf("%.1f s, %s", $took, $err));
	return;
}

$cluster->start;
sql('postgres', q{
	CREATE ROLE owner LOGIN CREATEDB;
	CREATE ROLE stranger LOGIN CREATEDB;
	CREATE ROLE plain LOGIN});
mkdir "$spaces/other";
sql('postgres', "CREATE TABLESPACE other LOCATION '$spaces/other'");
sql('postgres', 'GRANT CREATE ON TABLESPACE other, pg_default TO owner');
sql('postgres', 'CREATE DATABASE node');
sql('node', 'CREATE EXTENSION medchain CASCADE');
sql('node', 'SELECT medchain.start_workers()');
my $offset = -s $cluster->logfile;

# ----- the owner's way is free

wait_for_workers('node');
make('a', 'owner');
wait_for_workers('node');
pass('a database that was copied has its workers again');
passes('owner', 'DROP DATABASE a', 'DROP DATABASE by an owner who is no superuser');
make('a', 'owner');
passes('owner', 'DROP DATABASE a WITH (FORCE)', 'DROP DATABASE ... WITH (FORCE), who could terminate no superuser\'s session');
my $before = make('a', 'owner');
passes('owner', 'ALTER DATABASE a RENAME TO b', 'ALTER DATABASE ... RENAME TO');
isnt(wait_for_workers('b'), $before, 'under the new name it has workers again');
passes('owner', 'ALTER DATABASE b SET TABLESPACE other', 'ALTER DATABASE ... SET TABLESPACE');
wait_for_workers('b');
passes('owner', 'ALTER DATABASE b WITH TABLESPACE pg_default', 'the same in other words');
wait_for_workers('b');
passes('owner', 'CREATE DATABASE c TEMPLATE b STRATEGY wal_log', 'CREATE DATABASE ... TEMPLATE');
wait_for_workers('b');
passes('owner', 'CREATE DATABASE d TEMPLATE = b STRATEGY = file_copy', '... by copying files');
wait_for_workers('b');
passes('owner', 'DROP DATABASE c', 'a copy in which nobody ever was');
passes('owner', 'DROP DATABASE IF EXISTS d; DROP DATABASE IF EXISTS d', 'DROP DATABASE IF EXISTS, twice');
passes('owner', 'DROP DATABASE b', 'and the last');

# the programs that come with PostgreSQL
sql('postgres', 'CREATE DATABASE a OWNER owner TEMPLATE node');
sql('a', 'SELECT medchain.start_workers()');
$cluster->command_ok([ 'createdb', '-U', 'owner', '-T', 'a', '-h', $cluster->host, '-p', $cluster->port, 'b' ], 'createdb -T');
wait_for_workers('a');
$cluster->command_ok([ 'dropdb', '-U', 'owner', '--force', '-h', $cluster->host, '-p', $cluster->port, $_ ], "dropdb --force $_") foreach qw(a b);

# ----- a busy worker leaves as well, with what it has started

sql('postgres', 'CREATE DATABASE a OWNER owner TEMPLATE node');
sql('postgres', q{ALTER DATABASE a SET medchain.signing_key_passphrase_command = 'sleep 600'});
my $encrypted = $alliance->pki('dc.key') . '.enc';
PostgreSQL::Test::Utils::system_or_bail('sh', '-c', "umask 077; openssl pkey -in '$key' -aes256 -passout pass:x -out '$encrypted'");
sql('postgres', "ALTER DATABASE a SET medchain.signing_key = '$encrypted'");
$cluster->psql('a', "SET statement_timeout = '2s'; SELECT medchain.start_workers()");
ok(length(workers('a')) > 0, 'a sealer waits for its passphrase');
passes('owner', 'DROP DATABASE a', 'and leaves all the same');

# ----- who may not, interrupts nobody

$before = make('a', 'owner');
foreach my $command ('DROP DATABASE a', 'DROP DATABASE a WITH (FORCE)', 'ALTER DATABASE a RENAME TO z', 'ALTER DATABASE a SET TABLESPACE other',
	'CREATE DATABASE z TEMPLATE a')
{
	my ($rc, undef, $err) = $cluster->psql('postgres', "SET ROLE stranger; $command");
	like($err, qr/must be owner of database a|permission denied to copy database "a"/, "refused to a stranger: $command");
}
sql('postgres', 'ALTER ROLE owner NOCREATEDB');
foreach my $command ('ALTER DATABASE a RENAME TO z', 'CREATE DATABASE z TEMPLATE a')
{
	my ($rc, undef, $err) = $cluster->psql('postgres', "SET ROLE owner; $command");
	like($err, qr/permission denied/, "refused to an owner who may not create databases: $command");
}
sql('postgres', 'ALTER ROLE owner CREATEDB');
is(workers('a'), $before, 'the workers did not even notice');

# commands that fail for their own reasons: the workers are back at once
my ($rc, undef, $err) = $cluster->psql('postgres', 'SET ROLE owner; ALTER DATABASE a RENAME TO node');
like($err, qr/database "node" already exists/, 'a command that fails');
wait_for_workers('a');
my $session = $cluster->background_psql('a', on_error_stop => 0);
$session->query_safe('SELECT 1');
($rc, undef, $err) = $cluster->psql('postgres', 'SET ROLE owner; ALTER DATABASE a RENAME TO z');
like($err, qr/database "a" is being accessed by other users.*There is 1 other session/s, 'a session is in the way, and it alone');
$session->quit;
wait_for_workers('a');

# in a transaction, that may be rolled back
$session = $cluster->background_psql('postgres', on_error_stop => 0);
$session->query_safe('BEGIN; ALTER DATABASE a RENAME TO z');
($rc, undef, $err) = $cluster->psql('postgres', 'SELECT 1');
is(workers('a'), '', 'no worker is there while the transaction holds the database');
$session->query_safe('ROLLBACK');
$session->quit;
wait_for_workers('a');

# a session that dies in the middle of such a command
$session = $cluster->background_psql('postgres', on_error_stop => 0);
my $other = $cluster->background_psql('a', on_error_stop => 0);
$other->query_safe('SELECT 1');
$session->{stdin} .= "ALTER DATABASE a RENAME TO z;\n";
$session->{run}->pump_nb;
$cluster->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_stat_activity WHERE query LIKE 'ALTER DATABASE a RENAME%' AND state = 'active'});
$cluster->poll_query_until('postgres', q{SELECT count(*) = 0 FROM pg_stat_activity WHERE datname = 'a' AND backend_type LIKE 'medchain %'});
sql('postgres', q{SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE query LIKE 'ALTER DATABASE a RENAME%' AND pid <> pg_backend_pid()});
$other->quit;
wait_for_workers('a');
pass('after a session that was terminated in such a command the workers are back');
eval { $session->quit };

# ----- an aborted transaction

($rc, undef, $err) = $cluster->psql('postgres', "BEGIN; SELECT 1/0; ROLLBACK;", on_error_stop => 0);
is($cluster->psql('postgres', "BEGIN;\nSELECT 1/0;\nDROP DATABASE a;\nROLLBACK;\nSELECT 1;", on_error_stop => 0), 0, 'commands in an aborted transaction');

# ----- a database that is closed

sql('postgres', 'ALTER DATABASE a ALLOW_CONNECTIONS false');
my $log = -s $cluster->logfile;
sql('postgres', q{SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = 'a'});
sql('postgres', 'SELECT pg_sleep(1.5)');
unlike(PostgreSQL::Test::Utils::slurp_file($cluster->logfile, $log), qr/not currently accepting connections/, 'nothing is started in a database that is closed');
is(workers('a'), '', 'it has no workers');
sql('postgres', 'ALTER DATABASE a ALLOW_CONNECTIONS true CONNECTION LIMIT 0');
sql('a', 'SELECT medchain.start_workers()');
wait_for_workers('a');
pass('opened again, it has, whatever its limit of connections');
sql('postgres', 'ALTER DATABASE a IS_TEMPLATE true');
passes('stranger', 'CREATE DATABASE z TEMPLATE a', 'a template is anybody\'s to copy who may create databases');
wait_for_workers('a');
passes('stranger', 'DROP DATABASE z', 'and the copy his');
sql('postgres', 'ALTER DATABASE a IS_TEMPLATE false');
passes('owner', 'DROP DATABASE a', 'a database that was all that');

# ----- template1 with the extension, as for all that is to come

sql('template1', 'CREATE EXTENSION medchain CASCADE');
sql('template1', 'SELECT medchain.start_workers()');
wait_for_workers('template1');
passes('stranger', 'CREATE DATABASE a', 'CREATE DATABASE while template1 has workers');
wait_for_workers('template1');
passes('stranger', 'CREATE DATABASE b TEMPLATE DEFAULT', '... said in other words');
sql('b', 'SELECT medchain.start_workers()');
passes('stranger', "DROP DATABASE $_", "DROP DATABASE $_") foreach qw(a b);
$cluster->restart;
passes('stranger', 'CREATE DATABASE a', 'CREATE DATABASE right after a restart');
passes('stranger', 'DROP DATABASE a', 'and away with it');
sql('template1', 'SELECT medchain.start_workers()');
wait_for_workers('template1');
sql('template1', 'DROP EXTENSION medchain');
$cluster->poll_query_until('postgres', q{SELECT count(*) = 0 FROM pg_stat_activity WHERE datname = 'template1'});
pass('DROP EXTENSION takes the workers away');

# ----- the table of databases: a full one says what to do, and what is gone makes room

sql('postgres', "CREATE DATABASE $_ TEMPLATE node") foreach map { "x$_" } 1 .. 4;
my $full = '';
foreach my $database (map { "x$_" } 1 .. 4)
{
	(undef, undef, $err) = $cluster->psql($database, 'SELECT medchain.start_workers()');
	$full = $err if $err;
}
like($full, qr/medchain has no room for another database.*HINT:  Raise medchain\.max_databases in postgresql\.conf and restart the server/s,
	'one database too many is told which setting to raise');
sql('postgres', 'DROP DATABASE x1');
sql('x4', 'SELECT medchain.start_workers()');
wait_for_workers('x4');
pass('a dropped one makes room');

# ----- what all this left in the log

$log = PostgreSQL::Test::Utils::slurp_file($cluster->logfile, $offset);
unlike($log, qr/FATAL:  database "?\d+"? does not exist|database .* does not exist/, 'no worker was ever sent to a database that is gone');
my $fatal = () = $log =~ /FATAL:  terminating background worker "medchain (?:sealer|keeper)/g;
cmp_ok($fatal, '<', 20, 'workers that are asked to leave say nothing about it');
$alliance->check_logs($cluster);
$cluster->stop;
done_testing();
