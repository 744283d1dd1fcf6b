# Workers that cannot come, or do not last: who needs them is told why, at once; they are started again with patience; the
# log says it once.  What a database, or a role, has set changes neither what they do nor whether they hear of it.
use strict;
use warnings;

use Medchain::Alliance;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $alliance = Medchain::Alliance->new(dc => 'data_center');
my ($key, $pseudonym_key) = ($alliance->pki('dc.key'), $alliance->pki('pseudonym.key'));
my ($certificate, $anchors) = ($alliance->certificate('dc'), $alliance->certificate('ca'));
my $cluster = Medchain::Alliance->new_cluster('house', conf => qq{
medchain.pseudonym_key_file = '$pseudonym_key'
max_logical_replication_workers = 1
max_parallel_workers = 0
restart_after_crash = on
});

sub sql { my ($database, $sql) = @_; return $cluster->safe_psql($database, $sql); }

# Everything the server has logged since.
sub logged { my ($since) = @_; return PostgreSQL::Test::Utils::slurp_file($cluster->logfile, $since); }

sub worker
{
	my ($kind, $database) = @_;
	return sql('postgres', "SELECT pid FROM pg_stat_activity WHERE backend_type = 'medchain $kind'" . ($database ? " AND datname = '$database'" : ''));
}

sub wait_for_sealer
{
	my ($database, $state) = @_;
	$cluster->poll_query_until($database, "SELECT sealer = '$state' FROM medchain.stat") or die "sealer of $database is not $state";
	return;
}

# A test: that fails within a second (four, on a machine that does much else), with an error like that.
sub refused
{
	my ($database, $sql, $pattern, $title) = @_;
	my $start = time;
	my ($rc, undef, $err) = $cluster->psql($database, $sql);
	my $took = time - $start;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	ok($rc != 0 && $took < 4 && $err =~ $pattern, $title) or diag(sprintf('%d, %.1f s: %s', $rc, $took, $err));
	return;
}

$cluster->start;
sql('postgres', 'CREATE DATABASE node');

# ----- an extension that nobody else can see yet

refused('node', 'BEGIN; CREATE EXTENSION medchain CASCADE; SELECT medchain.start_workers(); COMMIT',
	qr/ERROR:  the workers of this database find no extension "medchain".*HINT:  Commit CREATE EXTENSION first/s, 'CREATE EXTENSION has to be committed first');

# ----- settings of the database are taken up by a reload

sql('node', 'CREATE EXTENSION medchain CASCADE');
sql('node', 'SELECT medchain.start_workers()');
is(sql('node', 'SELECT sealer, sealer_error FROM medchain.stat'), 'failed|medchain.signing_key is not set', 'no key is set');
sql('postgres', "ALTER DATABASE node SET medchain.signing_key = '$key'");
sql('postgres', 'SELECT pg_reload_conf()');
wait_for_sealer('node', 'running');
pass('ALTER DATABASE ... SET medchain.signing_key is taken up by pg_reload_conf()');
my $sealer = worker('sealer', 'node');
sql('postgres', 'SELECT pg_reload_conf()');
sql('node', "SELECT medchain.found_alliance('east', 'dc', '$certificate', '$anchors')");
is(worker('sealer', 'node'), $sealer, 'a reload that changes nothing restarts nobody');
sql('postgres', 'ALTER DATABASE node RESET medchain.signing_key');
sql('postgres', 'SELECT pg_reload_conf()');
wait_for_sealer('node', 'failed');
sql('postgres', "ALTER ROLE postgres IN DATABASE node SET medchain.signing_key = '$key'");
sql('postgres', 'SELECT pg_reload_conf()');
wait_for_sealer('node', 'running');
pass('and so is what is reset, and what is set for the role');

# ----- settings that would stop workers, or have them do something else

foreach my $setting (
	'default_transaction_read_only = on', 'default_transaction_isolation = serializable', 'default_transaction_deferrable = on',
	'statement_timeout = 1', 'lock_timeout = 1', 'idle_in_transaction_session_timeout = 1', 'idle_session_timeout = 1',
	'search_path = nowhere', 'standard_conforming_strings = off', 'session_replication_role = replica', 'row_security = on', 'role = nobody',
	"DateStyle = 'SQL, DMY'", "TimeZone = 'Asia/Kathmandu'", 'IntervalStyle = iso_8601', 'bytea_output = escape', 'extra_float_digits = -15',
	'quote_all_identifiers = on', 'xmloption = document', 'transform_null_equals = on', "lc_messages = 'C.UTF-8'", 'jit = on', 'jit_above_cost = 0')
{
	next if $setting =~ /^standard_conforming_strings/ && sql('postgres', 'SHOW server_version_num') >= 190000; # which has one value for it
	sql('postgres', 'CREATE ROLE nobody') if $setting =~ /^role/;
	sql('postgres', "SET default_transaction_read_only = off; ALTER DATABASE node SET $setting");
}
sql('postgres', 'SELECT pg_reload_conf()');
{
	# our own sessions want none of that
	local $ENV{PGOPTIONS} = join ' ', map { "-c $_" } 'default_transaction_read_only=off', 'default_transaction_isolation=read\ committed',
	  'statement_timeout=0', 'lock_timeout=0', 'idle_in_transaction_session_timeout=0', 'idle_session_timeout=0', 'role=postgres';

	wait_for_sealer('node', 'running');
	sql('node', "SELECT medchain.append('visit', '{}', 'P1')");
	sql('node', 'SELECT medchain.seal()');
	is(sql('node', 'SELECT entries, height FROM medchain.chains'), '2|1', 'hostile settings of the database do not keep the sealer from sealing');
}
is(sql('postgres', q{SELECT string_agg(DISTINCT usename, ' ') FROM pg_stat_activity WHERE datname = 'node' AND backend_type LIKE 'medchain%'}), 'postgres', 'nor make it somebody else');
sql('postgres', 'ALTER DATABASE node RESET ALL');
sql('postgres', 'SELECT pg_reload_conf()');
wait_for_sealer('node', 'running');

# ----- a worker that fails each time: one line, and patience

sql('node', 'ALTER TABLE medchain.block ADD CONSTRAINT harm CHECK (false) NOT VALID');
my $offset = -s $cluster->logfile;
sql('node', "SELECT medchain.append('visit', '{}', 'P1')");
$cluster->poll_query_until('node', q{SELECT sealer_error LIKE '%"harm"%' FROM medchain.stat});
sql('postgres', 'SELECT pg_sleep(4)');
my $log = logged($offset);
my $errors = () = $log =~ /ERROR:  .*"harm"/g;
is($errors, 1, 'a fault that lasts is one line in the log');
unlike($log, qr/background worker "medchain sealer" .* exited/, 'and nothing else');
# but while it is tried again
ok($cluster->poll_query_until('node', q{SELECT sealer = 'failed' AND sealer_error LIKE '%"harm"%' FROM medchain.stat}), 'medchain.stat says it as long as it lasts');
refused('node', 'SELECT medchain.seal()', qr/the sealer cannot seal.*DETAIL:  .*"harm"/s, 'who waits for it is told at once');
sql('node', 'ALTER TABLE medchain.block DROP CONSTRAINT harm');
is(sql('node', 'SELECT medchain.start_workers() IS NOT NULL'), 't', 'start_workers() has it tried at once');
sql('node', 'SELECT medchain.seal()');
is(sql('node', 'SELECT entries, height FROM medchain.chains'), '3|2', 'and what had to wait is sealed');

# ----- killed, in every way

sql('postgres', 'CREATE DATABASE other');
sql('other', 'CREATE EXTENSION medchain CASCADE');
sql('postgres', "ALTER DATABASE other SET medchain.signing_key = '$key'");
sql('other', 'SELECT medchain.start_workers()');
$sealer = worker('sealer', 'other');
foreach my $kind (qw(sealer keeper launcher))
{
	my $pid = worker($kind, $kind eq 'launcher' ? undef : 'other');
	sql('postgres', "SELECT pg_terminate_backend($pid, 20000)");
	$cluster->poll_query_until('postgres', "SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'medchain $kind' AND pid <> $pid"
		. ($kind eq 'launcher' ? '' : " AND datname = 'other'")) or die "no new $kind";
	pass("pg_terminate_backend() of the $kind: there is another");
}
my $pid = worker('launcher');
sql('postgres', "SELECT pg_terminate_backend($pid, 20000)");
is(sql('other', 'SELECT medchain.start_workers() IS NOT NULL'), 't', 'without a launcher, workers that run are enough');
kill 'KILL', worker('sealer', 'other');
foreach (1 .. 100)
{
	last if $cluster->psql('postgres', 'SELECT pg_postmaster_start_time()') == 0 && worker('launcher');
	select undef, undef, undef, 0.1;
}
is(sql('other', 'SELECT medchain.start_workers() IS NOT NULL'), 't', 'after a crash of the server they are there again');

# ----- the extension dropped and created anew, in one session

sql('other', 'DROP EXTENSION medchain; CREATE EXTENSION medchain');
is(sql('other', 'SELECT medchain.start_workers(); SELECT sealer FROM medchain.stat'), "\nrunning", 'dropped and created anew, it has workers');
sql('other', 'DROP EXTENSION medchain');
$cluster->poll_query_until('postgres', q{SELECT count(*) = 0 FROM pg_stat_activity WHERE datname = 'other' AND backend_type LIKE 'medchain%'}) or die 'workers stay';
pass('dropped, it has none');
sql('postgres', 'DROP DATABASE other');

# ----- no room for them

$offset = -s $cluster->logfile;
$cluster->append_conf('postgresql.conf', 'max_worker_processes = 4');
$cluster->restart;
my $full = qr/there is no room for the (?:sealer|keeper) of this database.*DETAIL:  max_worker_processes is \d.*HINT:  Raise max_worker_processes/s;
sql('postgres', "CREATE DATABASE x$_") foreach 1 .. 2;
sql("x$_", 'CREATE EXTENSION medchain CASCADE') foreach 1 .. 2;
$cluster->poll_query_until('postgres', q{SELECT count(*) = 2 FROM pg_stat_activity WHERE datname = 'node' AND backend_type LIKE 'medchain%'});
refused('x1', 'SELECT medchain.start_workers()', $full, 'start_workers() names max_worker_processes');
refused('x1', "SELECT medchain.found_alliance('west', 'dc', '$certificate', '$anchors')", $full, 'so does found_alliance()');
refused('x1', "SELECT medchain_internal.sign_envelope('application/vnd.medchain.protocol+json', '{}')", $full, 'and what asks for a signature');
refused('x2', 'SELECT medchain.start_workers()', $full, 'in each database that has none');
like(sql('x1', 'SELECT sealer_error FROM medchain.stat'), qr/no room/, 'medchain.stat says it too');
sql('postgres', 'SELECT pg_sleep(3)');
my $lines = () = logged($offset) =~ /LOG:  medchain: no room for the workers of every database/g;
is($lines, 1, 'the log says it once');

# room for the sealer alone
$cluster->append_conf('postgresql.conf', 'max_worker_processes = 5');
$cluster->restart;
$cluster->poll_query_until('postgres', q{SELECT count(*) = 2 FROM pg_stat_activity WHERE datname = 'node' AND backend_type LIKE 'medchain%'});
# those that look which databases there are take some for a moment
my ($rc, $err);
foreach (1 .. 60)
{
	($rc, undef, $err) = $cluster->psql('x1', 'SELECT medchain.start_workers()');
	last if $rc == 0;
	sleep 1;
}
is($rc, 0, 'with room for the sealer alone start_workers() succeeds');
like($err, qr/WARNING:  there is no room for the keeper of this database.*HINT:  Raise max_worker_processes/s, 'with a warning');

# no room for the launcher
$cluster->append_conf('postgresql.conf', 'max_worker_processes = 0');
$cluster->restart;
sql('postgres', 'SELECT pg_sleep(3)');
refused('x1', 'SELECT medchain.start_workers()', qr/ERROR:  medchain's launcher is not running.*max_worker_processes is 0/s, 'without a launcher it says so');
refused('node', 'SELECT medchain.seal()', qr/ERROR:  (?:medchain's launcher is not running|the sealer cannot seal)/s, 'and so does seal()');

$cluster->stop;

# ----- a server in single-user mode waits for nobody

my $single = "SELECT medchain.start_workers();\n";
my ($out, $single_err) = ('', '');
IPC::Run::run([ 'postgres', '--single', '-D', $cluster->data_dir, 'x1' ], '<', \$single, '>', \$out, '2>', \$single_err, IPC::Run::timeout(60));
like($single_err, qr/cannot execute medchain\.start_workers\(\) in this mode of the server/, 'single-user mode');

# ----- nor does one that pg_upgrade has started: it has no workers, and nothing of ours is written in it

my $everything = q{SELECT string_agg(t.table_name || ' ' || md5(query_to_xml(format('SELECT ctid, xmin, x.* FROM medchain.%I x ORDER BY ctid', t.table_name), true, false, '')::text), E'\n'
	ORDER BY t.table_name COLLATE "C") FROM information_schema.tables t WHERE t.table_schema = 'medchain' AND t.table_type = 'BASE TABLE'};
$cluster->append_conf('postgresql.conf', 'max_worker_processes = 20');
$cluster->start;
wait_for_sealer('node', 'running');
sql('node', 'SELECT medchain.seal()');
# what waits to be sealed goes on waiting
my $holder = $cluster->background_psql('node');
$holder->query_safe('BEGIN; SELECT FROM medchain.chain FOR UPDATE');
sql('node', "SELECT medchain.append('visit', '{}', 'P1')");
$cluster->stop('immediate');
eval { $holder->quit };
my @upgrade = ('pg_ctl', '-w', '-s', '-D', $cluster->data_dir, '-l', $cluster->logfile);
$offset = -s $cluster->logfile;
system_or_bail(@upgrade, '-o', '-b', 'start');
my $before = sql('node', $everything);
like($before, qr/^pending /m, 'a server in binary upgrade mode');
is(sql('postgres', q{SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'medchain%'}), '0', 'it has no workers of ours');
refused('node', 'SELECT medchain.start_workers()', qr/cannot execute medchain\.start_workers\(\) in this mode of the server/, 'start_workers() says why');
refused('node', 'SELECT medchain.seal()', qr/in this mode of the server/, 'and so does seal()');
is(sql('node', 'SELECT count(*) FROM medchain.pending'), '1', 'what waits to be sealed waits');
system_or_bail('pg_dumpall', '--binary-upgrade', '-h', $cluster->host, '-p', $cluster->port, '-f', $cluster->basedir . '/dump');
is(sql('postgres', q{SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'medchain%'}), '0', 'and none comes');
is(sql('node', $everything), $before, 'nothing was written');
unlike(logged($offset), qr/medchain (?:sealer|keeper|launcher)|medchain: /, 'nor said in the log');
system_or_bail(@upgrade, 'stop');
$cluster->start;
$cluster->poll_query_until('node', 'SELECT count(*) = 0 FROM medchain.pending') or die 'not sealed';
pass('started as usual, what waited is sealed');

# ----- a worker that had some of the tables and waited for another would be in the way of who drops them all

sql('postgres', $_) foreach 'CREATE DATABASE leaving', "ALTER DATABASE leaving SET medchain.signing_key = '$key'";
sql('leaving', 'CREATE EXTENSION medchain CASCADE');
sql('leaving', "SELECT medchain.found_alliance('west', 'dc', '$certificate', '$anchors')");
sql('leaving', 'SELECT medchain.leave_alliance()');
sql('leaving', 'CREATE ROLE visitor');
$cluster->poll_query_until('leaving', q{SELECT count(*) = 1 FROM pg_stat_activity WHERE datname = 'leaving' AND backend_type = 'medchain keeper'}) or die 'no keeper';
my $keeper = worker('keeper', 'leaving');
refused('leaving', 'SET ROLE visitor; DROP EXTENSION medchain', qr/must be owner of extension medchain/, 'an extension is its owner\'s to drop');
is(worker('keeper', 'leaving'), $keeper, 'nobody else has the workers step aside');
sql('leaving', 'BEGIN; DROP EXTENSION medchain; ROLLBACK');
isnt(worker('keeper', 'leaving'), $keeper, 'for him they do');
$cluster->poll_query_until('leaving', q{SELECT count(*) = 1 FROM pg_stat_activity WHERE datname = 'leaving' AND backend_type = 'medchain keeper'}) or die 'no keeper';
pass('and come back where it is not dropped');
sql('leaving', 'DROP EXTENSION medchain');

$cluster->stop;
$alliance->check_logs($cluster);
done_testing();
