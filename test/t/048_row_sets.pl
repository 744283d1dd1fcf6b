# Statements about many rows where things go wrong, or elsewhere: canceled, killed, crashed, replicated, restored; and what others have of them.
use strict;
use warnings;

use JSON::PP qw(decode_json);
use Medchain::Alliance;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

my $alliance = Medchain::Alliance->new(dc => 'data_center', en => 'end_node', ha => 'chain_node');
$alliance->start('dc', conf => "max_prepared_transactions = 5\nrestart_after_crash = on\n");
$alliance->establish;
my $dc  = $alliance->cluster('dc');
chomp(my $bindir = `$ENV{PG_CONFIG} --bindir`);
my @verifier = ("$bindir/medchain-verify", '-a', $alliance->pki('ca.crt'));
my $dir = PostgreSQL::Test::Utils::tempdir();

$alliance->sql('dc', q{
	CREATE TABLE t (id int PRIMARY KEY, v text);
	CREATE TABLE slow (id int);
	SELECT medchain.ledger_table('t')});

sub agrees_ok
{
	my ($title, $rows) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	$alliance->sql('dc', 'SELECT medchain.seal()');
	is($alliance->sql('dc', 'SELECT count(*) FROM t'), $rows, "$title: $rows rows");
	is($alliance->sql('dc', q{SELECT count(*) FROM medchain.verify_table('t')}), '0', "$title: table and ledger agree");
	is($alliance->sql('dc', q{SELECT ok, fault, detail FROM medchain.verify('dc', 0)}), 't||', "$title: items and entries agree");
}

# ----- in the middle of it

# A statement that writes a good deal of its set and then waits for a lock that somebody else has.
my $holder = $dc->background_psql('postgres');
sub start_in_the_middle
{
	$holder->query_safe('BEGIN; LOCK TABLE slow');
	$dc->safe_psql('postgres', q{
		CREATE OR REPLACE FUNCTION stop_there() RETURNS trigger LANGUAGE plpgsql AS $$
		BEGIN
			LOCK TABLE slow IN ACCESS SHARE MODE;
			RETURN NULL;
		END$$;
		DROP TRIGGER IF EXISTS zz_stop ON t;
		CREATE TRIGGER zz_stop AFTER INSERT ON t FOR EACH ROW WHEN (NEW.id = 60000) EXECUTE FUNCTION stop_there()});
	my ($in, $out, $err) = ('', '', '');
	my $run = IPC::Run::start([ 'psql', '-X', '-c', 'INSERT INTO t SELECT i, i FROM generate_series(1, 70000) i', $dc->connstr('postgres') ],
		'<', \$in, '>', \$out, '2>', \$err);
	$dc->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_stat_activity WHERE query ~ '^INSERT INTO t' AND wait_event_type = 'Lock'})
	  or die 'the statement does not wait';
	return ($run, $dc->safe_psql('postgres', q{SELECT pid FROM pg_stat_activity WHERE query ~ '^INSERT INTO t' AND wait_event_type = 'Lock'}));
}

my ($run, $pid) = start_in_the_middle();
is($dc->safe_psql('postgres', "SELECT pg_cancel_backend($pid)"), 't', 'canceled in the middle');
$run->finish;
$holder->query_safe('ROLLBACK');
agrees_ok('canceled', 0);
is($alliance->sql('dc', 'SELECT count(*) FROM medchain.row_set'), '0', 'nothing is left of it');

($run, $pid) = start_in_the_middle();
$alliance->sql('dc', "SELECT pg_terminate_backend($pid)");
eval { $run->finish };
$holder->query_safe('ROLLBACK');
agrees_ok('terminated', 0);

# the process that hashes for it, by its title: it has no place in pg_stat_activity
sub hashers { my $of = shift; return map { /^\s*(\d+) .*medchain row hasher for process $of hashing/ ? $1 : () } `ps -eo pid,args`; }
($run, $pid) = start_in_the_middle();
my @hasher;
foreach (1 .. 10 * $PostgreSQL::Test::Utils::timeout_default)
{
	last if @hasher = hashers($pid);
	usleep(100_000);
}
is(scalar(@hasher), 1, 'a process hashes for the statement');
kill('TERM', @hasher);
$holder->query_safe('ROLLBACK');
eval { $run->finish };
is($alliance->sql('dc', 'SELECT count(*) FROM t'), '0', 'without it the statement fails');
agrees_ok('its hasher terminated', 0);

($run, $pid) = start_in_the_middle();
$dc->stop('immediate');
eval { $run->finish };
eval { $holder->quit };
$dc->start;
$alliance->sql('dc', 'SELECT medchain.start_workers()');
agrees_ok('crashed', 0);
is($alliance->sql('dc', 'SELECT count(*) FROM medchain.row_set'), '0', 'nothing is left of that either');
$dc->safe_psql('postgres', 'DROP TRIGGER zz_stop ON t');

# committed, and crashed before it was on disk anywhere else but in the WAL
$dc->safe_psql('postgres', q{INSERT INTO t SELECT i, i FROM generate_series(1, 40000) i});
$dc->stop('immediate');
$dc->start;
$alliance->sql('dc', 'SELECT medchain.start_workers()');
agrees_ok('committed, and crashed', 40000);

# prepared, and crashed before it was committed
$dc->safe_psql('postgres', q{
	BEGIN;
	UPDATE t SET v = 'prepared' WHERE id <= 2000;
	PREPARE TRANSACTION 'kept';
	BEGIN;
	UPDATE t SET v = 'dropped' WHERE id > 2000 AND id < 3000;
	PREPARE TRANSACTION 'dropped'});
$dc->stop('immediate');
$dc->start;
$alliance->sql('dc', q{SELECT medchain.start_workers(); COMMIT PREPARED 'kept'; ROLLBACK PREPARED 'dropped'});
agrees_ok('prepared, and crashed', 40000);

# ----- what the others have

$alliance->wait_for_equal_heads;
foreach my $other (qw(en ha))
{
	is($alliance->sql($other, q{SELECT count(*) FROM medchain.entry WHERE origin = 'dc' AND kind = 'row.set'}), '2', "$other has the entries");
	is($alliance->sql($other, 'SELECT (SELECT count(*) FROM medchain.row_set) + (SELECT count(*) FROM medchain.row_item) + (SELECT count(*) FROM medchain.row_about)'), '0',
		"$other has none of the items");
	is($alliance->sql($other, q{SELECT ok, fault FROM medchain.verify('dc', 0)}), 't|', "$other misses none");
}

# what anybody can check without a database
my $proof = $alliance->sql('dc', q{SELECT medchain.row_proof('t', 1)});
append_to_file("$dir/proof", "$proof\n");
my ($stdout, $stderr) = run_command([ @verifier, '--json', "$dir/proof" ]);
is_deeply((decode_json($stdout))->{row}, { id => '1', v => 'prepared' }, 'the proof of a row of a set verifies') or diag($stderr);
my $index = (decode_json($proof))->{row}{set}{index};
foreach my $forged (
	[ qr/1:v8:prepared/, '1:v8:Prepared' ], [ qr/"operation": "update"/, '"operation": "insert"' ], [ qr/"index": $index, "hashes"/, '"index": ' . ($index + 1) . ', "hashes"' ],
	[ qr/("previous": ")(.)/,  sub { $1 . ($2 eq '0' ? '1' : '0') } ], [ qr/("row": \{"set": \{"row": ")(.)/, sub { $1 . ($2 eq '0' ? '1' : '0') } ])
{
	my ($what, $by) = @$forged;
	my $text = $proof;
	my $changed = ref $by ? $text =~ s/$what/$by->()/e : $text =~ s/$what/$by/;
	ok($changed, "forged: $what");
	unlink "$dir/forged";
	append_to_file("$dir/forged", "$text\n");
	my $status = system(@verifier, '-q', "$dir/forged") >> 8;
	isnt($status, 0, 'does not verify');
}

# ----- rows that come by logical replication: nobody tells where a statement ends

my $source = PostgreSQL::Test::Cluster->new('source');
$source->init(extra => [ '--encoding=UTF8', '--locale=C' ]);
$source->append_conf('postgresql.conf', "wal_level = logical\nmax_wal_senders = 10\nmax_replication_slots = 10\nlogical_decoding_work_mem = 64kB");
$source->start;
$source->safe_psql('postgres', q{
	CREATE TABLE arriving (id int PRIMARY KEY, v text, other int);
	CREATE TABLE beside (id int PRIMARY KEY);
	CREATE TABLE theirs (id int PRIMARY KEY, patient text NOT NULL);
	INSERT INTO arriving SELECT i, 'first' FROM generate_series(1, 3000) i;
	INSERT INTO theirs SELECT i, 'Q' || i % 7 FROM generate_series(1, 100) i;
	CREATE PUBLICATION out FOR TABLE arriving, beside, theirs});
$alliance->sql('dc', q{
	CREATE TABLE arriving (id int PRIMARY KEY, v text, other int);
	CREATE TABLE beside (id int PRIMARY KEY);
	CREATE TABLE theirs (id int PRIMARY KEY, patient text NOT NULL);
	SELECT medchain.ledger_table(r) FROM unnest('{arriving, beside}'::regclass[]) r;
	SELECT medchain.protect('theirs', 'patient')});
my $before = $alliance->sql('dc', q{SELECT size FROM medchain.chain WHERE origin = 'dc'});
$alliance->sql('dc', sprintf(q{CREATE SUBSCRIPTION arrives CONNECTION 'host=%s port=%d dbname=postgres' PUBLICATION out WITH (streaming = on)}, $source->host, $source->port));
$dc->wait_for_subscription_sync($source, 'arrives');
is($alliance->sql('dc', q{SELECT count(*) FROM medchain.verify_table('arriving')}), '0', 'the first copy is captured');

$source->safe_psql('postgres', q{
	UPDATE arriving SET v = 'second' WHERE id <= 2000;
	DELETE FROM arriving WHERE id % 5 = 0;
	BEGIN;
	INSERT INTO beside SELECT generate_series(1, 20);
	UPDATE arriving SET other = 1 WHERE id > 2500;
	SAVEPOINT a;
	UPDATE arriving SET other = 2;
	INSERT INTO beside SELECT generate_series(101, 4000);
	ROLLBACK TO a;
	SAVEPOINT b;
	UPDATE arriving SET other = 3 WHERE id < 2000;
	UPDATE arriving SET other = 4 WHERE id BETWEEN 1000 AND 2800;
	RELEASE b;
	DELETE FROM beside WHERE id < 5;
	COMMIT;
	UPDATE arriving SET id = id + 10000 WHERE id > 2990;
	INSERT INTO theirs SELECT i, 'Q' || i % 9 FROM generate_series(101, 200) i});
$source->wait_for_catchup('arrives');
is($alliance->sql('dc', q{SELECT count(*), count(*) FILTER (WHERE other = 4) FROM arriving}),
	$source->safe_psql('postgres', q{SELECT count(*), count(*) FILTER (WHERE other = 4) FROM arriving}), 'changes arrive');
foreach my $table (qw(arriving beside theirs))
{
	is($alliance->sql('dc', "SELECT count(*) FROM medchain.verify_table('$table')"), '0', "and are captured: $table");
}
$alliance->sql('dc', 'SELECT medchain.seal()');
cmp_ok($alliance->sql('dc', qq{SELECT count(*) FROM medchain.entry WHERE origin = 'dc' AND seq >= $before AND kind ~ '^row[.]'}), '<', 60, 'as sets');
is($alliance->sql('dc', q{SELECT count(*) FROM medchain.verify('dc', 0) WHERE NOT ok}), '0', 'whose items are there');
is($alliance->sql('dc', q{SELECT string_agg(operation, ' '), count(fault) FROM medchain.row_history('arriving', 1001)}), 'insert update update update|0', 'each change in its turn');
$alliance->sql('dc', 'DROP SUBSCRIPTION arrives');
$source->stop;

# ----- restored, and on a standby

$alliance->sql('dc', q{
	CREATE TABLE seen (id int PRIMARY KEY, person text);
	SELECT medchain.protect('seen', 'person');
	INSERT INTO seen SELECT i, 'P' || i % 70 FROM generate_series(1, 20) i;
	INSERT INTO seen SELECT i, 'P' || i % 70 FROM generate_series(21, 5000) i});
$alliance->sql('dc', 'SELECT medchain.seal()');
my $content = q{SELECT md5(string_agg(r, ' ' ORDER BY r)) FROM (SELECT s::text FROM medchain.row_set s UNION ALL SELECT i::text FROM medchain.row_item i
	UNION ALL SELECT a::text FROM medchain.row_about a) x (r)};
my $log = q{SELECT count(*), md5(string_agg(l::text, ' ')) FROM medchain.diagnosis_log('P7') l};
$alliance->wait_for_equal_heads;
like($alliance->sql('dc', $log), qr/^72[|]/, 'the log of an examinee has what sets say about him');
is($alliance->sql($_, $log), '0|', "and only here: $_") foreach qw(en ha);
my $dumped = $alliance->sql('dc', $content);
command_ok([ 'pg_dump', '--no-subscriptions', '--no-publications', '-Fc', '-f', "$dir/dump", $dc->connstr('postgres') ], 'dumped');
$dc->safe_psql('postgres', 'CREATE DATABASE restored');
$dc->safe_psql('postgres', "ALTER DATABASE restored SET $_ = '" . $alliance->sql('dc', "SHOW $_") . "'")
  foreach qw(medchain.signing_key medchain.pseudonym_key_file);
command_ok([ 'pg_restore', '-d', $dc->connstr('restored'), "$dir/dump" ], 'restored');
is($dc->safe_psql('restored', $content), $dumped, 'with all items');
is($dc->safe_psql('restored', q{SELECT ok, fault FROM medchain.verify('dc', 0)}), 't|', 'which are those of the entries');
is($dc->safe_psql('restored', $log), $alliance->sql('dc', $log), 'and so are logs');
is($dc->safe_psql('restored', q{SELECT count(*) FROM medchain.verify_table('t')}), '0', 'and the table agrees');
is($dc->safe_psql('restored', q{SELECT medchain.row_proof('t', 39999) -> 'row'}), $alliance->sql('dc', q{SELECT medchain.row_proof('t', 39999) -> 'row'}), 'proofs are the same');
$dc->safe_psql('restored', q{
	CREATE FUNCTION go_on() RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path = medchain, medchain_internal, pg_temp
	AS $$ UPDATE local_node SET home = here(); SELECT setval('row_set_part_seq', (SELECT max(part) FROM row_set)); SELECT take_over_tables(false) $$;
	SELECT go_on();
	UPDATE t SET v = 'here' WHERE id > 30000});
is($dc->safe_psql('restored', q{SELECT count(*) FROM medchain.verify_table('t')}), '0', 'the copy goes on');
$dc->safe_psql('postgres', 'DROP DATABASE restored WITH (FORCE)');

$dc->backup('copy');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($dc, 'copy', has_streaming => 1);
$standby->start;
$dc->wait_for_catchup($standby, 'replay', $dc->lsn('insert'));
is($standby->safe_psql('postgres', q{SELECT operation, sealed IS NOT NULL FROM medchain.row_history('t', 1)}), "insert|t\nupdate|t", 'histories on a standby');
is($standby->safe_psql('postgres', q{SELECT medchain.row_proof('t', 1) -> 'row'}), $alliance->sql('dc', q{SELECT medchain.row_proof('t', 1) -> 'row'}), 'proofs');
is($standby->safe_psql('postgres', q{SELECT count(*) FROM medchain.verify('dc', 0) WHERE NOT ok}), '0', 'and verify()');
$standby->stop;

# ----- whoever hashes

my $rows = $alliance->sql('dc', 'SELECT count(*) FROM t');
$alliance->sql('dc', 'SET max_parallel_workers = 0; INSERT INTO t SELECT i, i FROM generate_series(1000001, 1020000) i');
$alliance->sql('dc', q{UPDATE t SET v = repeat('beside', id % 20000) WHERE id > 1004000});
agrees_ok('the session before, a process beside it after', $rows + 20000);
$alliance->sql('dc', 'SET max_parallel_workers = 0; DELETE FROM t WHERE id > 1000000');
agrees_ok('and the other way round', $rows);
$alliance->check_logs;
done_testing();
