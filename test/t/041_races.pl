# Races, each held where it is decided, by injection points: what one session has looked at is changed by another before
# it acts on it, and a worker is on its way in or out while somebody needs it, or needs it gone.
use strict;
use warnings;

use Medchain::Alliance;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my ($configured, $share) = map { `$ENV{PG_CONFIG} --$_` } qw(configure sharedir);
chomp($share);
plan skip_all => 'needs a PostgreSQL 17 or later that was built with --enable-injection-points, and its module injection_points'
  unless $configured =~ /--enable-injection-points/ && -e "$share/extension/injection_points.control";

my $alliance = Medchain::Alliance->new(dc => 'data_center');
$alliance->start('dc');
$alliance->found;
my $cluster = $alliance->cluster('dc');

sub sql { my ($sql, $database) = @_; return $cluster->safe_psql($database || 'postgres', $sql); }

# A session that will stop at a point, if it is given one; others pass it.
sub session
{
	my ($point) = @_;
	my $session = $cluster->background_psql('postgres');
	$session->query_safe("SET client_min_messages = warning; SELECT injection_points_set_local(); SELECT injection_points_attach('$point', 'wait')") if $point;
	return $session;
}

sub begin_in { my ($session, $sql) = @_; $session->query_until(qr/begun/, "\\echo begun\n$sql;\n"); return; }

sub wait_until_stopped
{
	my ($point, $count) = @_;
	$cluster->poll_query_until('postgres', sprintf(q{SELECT count(*) = %d FROM pg_stat_activity WHERE wait_event = '%s'}, $count || 1, $point))
	  or die "nobody has come to $point";
	return;
}

# A worker that is connected to no database yet shows in no view.
sub wait_for_process
{
	my ($title) = @_;
	foreach (1 .. 10 * $PostgreSQL::Test::Utils::timeout_default)
	{
		foreach my $file (glob '/proc/[0-9]*/cmdline')
		{
			open(my $cmdline, '<', $file) or next;
			my $line = readline($cmdline);
			return if defined $line && index($line, $title) >= 0;
		}
		select undef, undef, undef, 0.1;
	}
	die "there is no process $title";
}

# Who is stopped there goes on, and nobody stops there any more.
sub release
{
	my ($point, $count) = @_;
	sql("SELECT injection_points_detach('$point')");
	foreach (1 .. $count || 1)
	{
		# one after the other: whom a call has found waiting waits for a moment longer
		sql("SELECT injection_points_wakeup('$point')");
		$cluster->poll_query_until('postgres', sprintf(q{SELECT count(*) < %d FROM pg_stat_activity WHERE wait_event = '%s'}, ($count || 1) - $_ + 1, $point)) or die "somebody stays at $point";
	}
	return;
}

# What the ledger says of ledger tables since it was asked last.
my $mark = 0;
sub said
{
	sql('SELECT medchain.seal()');
	my $said = sql(qq{
		SELECT string_agg(concat_ws(' ', body ->> 'relation', coalesce(body ->> 'command', CASE WHEN body ? 'found' THEN 'FOUND' END),
				(SELECT string_agg(c ->> 'item', ', ' ORDER BY c ->> 'item' COLLATE "C") FROM jsonb_array_elements(body -> 'changes') c)), '; ' ORDER BY seq)
			FROM (SELECT seq, kind, payload::jsonb -> 'body' AS body FROM medchain.entry WHERE seq >= $mark) e WHERE kind IN ('table.alter', 'table.drop')});
	$mark = sql(q{SELECT size FROM medchain.chain WHERE origin = 'dc'});
	return $said;
}

sub faults { return sql(q{SELECT string_agg(concat_ws(' ', row_key, fault, detail), ', ') FROM medchain.verify_table('paint')}); }

sql(q{
	CREATE EXTENSION injection_points;
	CREATE TYPE colour AS ENUM ('red', 'green');
	CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
	CREATE TABLE paint (id int PRIMARY KEY, c colour);
	CREATE TRIGGER t BEFORE INSERT ON paint FOR EACH ROW EXECUTE FUNCTION nothing();
	INSERT INTO paint VALUES (1, 'red'), (2, 'red');
	SELECT medchain.ledger_table('paint');
	CREATE TABLE seen (fault text, detail text)});
said();

# ----- verify_table() has read what is known of the table, and before it looks at the table itself something changes

my $auditor = session('medchain-verify-table');
begin_in($auditor, q{INSERT INTO seen SELECT fault, detail FROM medchain.verify_table('paint')});
wait_until_stopped('medchain-verify-table');
sql('ALTER FUNCTION nothing() RENAME TO naught');
release('medchain-verify-table');
$auditor->query_safe('SELECT 1');
$auditor->quit;
is(sql('SELECT count(*) FROM seen'), '0', 'DDL that does not lock the table, while verify_table() is at work, is no fault');
is(said(), 'public.paint ALTER FUNCTION definition of trigger t', 'it is on the ledger');

# ----- DDL of two sessions on one table, of which one does not lock it

my $one = session('medchain-observe-table');
begin_in($one, 'ALTER FUNCTION naught() RENAME TO nothing');
wait_until_stopped('medchain-observe-table');
sql('ALTER TABLE paint ADD COLUMN w int');
release('medchain-observe-table');
$one->query_safe('SELECT 1');
$one->quit;
is(said(), 'public.paint ALTER TABLE column w; public.paint ALTER FUNCTION definition of trigger t', 'what the other has done meanwhile is not put down to this one, nor said twice');
is(faults(), '', 'and nothing is amiss');

$one = session('medchain-observe-table');
begin_in($one, 'ALTER TABLE paint ADD COLUMN x int');
wait_until_stopped('medchain-observe-table');
sql('ALTER FUNCTION nothing() RENAME TO naught');
release('medchain-observe-table');
$one->query_safe('SELECT 1');
$one->quit;
is(said(), 'public.paint ALTER FUNCTION definition of trigger t; public.paint ALTER TABLE column x', 'the other way round');
is(faults(), '', '... nothing is amiss');

# ----- rows are written between the DDL and its new baseline

$one = session('medchain-observe-table');
begin_in($one, q{ALTER TYPE colour RENAME VALUE 'red' TO 'rouge'});
wait_until_stopped('medchain-observe-table');
sql(q{INSERT INTO paint VALUES (3, 'red'); UPDATE paint SET c = 'green' WHERE id = 1; DELETE FROM paint WHERE id = 2});
release('medchain-observe-table');
$one->query_safe('SELECT 1');
$one->quit;
is(said(), 'public.paint ALTER TYPE labels of public.colour', 'a label that prints otherwise is on the ledger');
is(sql('SELECT string_agg(id || $$ $$ || c, $$, $$ ORDER BY id) FROM paint'), '1 green, 3 rouge', 'rows were written before it was');
is(faults(), '', 'and the new baseline has them');

# ----- a worker is about to leave, and somebody asks for it

sub workers
{
	my ($database) = @_;
	return sql(qq{SELECT string_agg(pid::text, ' ' ORDER BY backend_type) FROM pg_stat_activity WHERE datname = '$database' AND backend_type LIKE 'medchain %'});
}

sub wait_for_workers
{
	my ($database, $others_than) = @_;
	my $other = $others_than ? 'AND pid <> ALL (ARRAY[' . $others_than =~ s/ /, /gr . '])' : '';
	return $cluster->poll_query_until('postgres', qq{SELECT count(*) = 2 FROM pg_stat_activity WHERE datname = '$database' AND backend_type LIKE 'medchain %' $other});
}

sql('CREATE ROLE owner LOGIN CREATEDB');
sql('CREATE DATABASE x OWNER owner');
sql('CREATE EXTENSION medchain CASCADE', 'x');
sql('SELECT medchain.start_workers()', 'x');
wait_for_workers('x') or die 'no workers';
my $before = workers('x');
sql(q{SELECT injection_points_attach('medchain-worker-leaves', 'wait')});
sql('DROP EXTENSION medchain', 'x');
wait_until_stopped('medchain-worker-leaves', 2);
sql('CREATE EXTENSION medchain', 'x');
my $asks = $cluster->background_psql('x');
begin_in($asks, 'SELECT medchain.start_workers()');
# who is about to leave may look as if it were there
$cluster->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_stat_activity WHERE query ~ '^SELECT medchain.start_workers' AND datname = 'x'
	AND (state = 'idle' OR wait_event = 'MedchainWorkerStart')}) or die 'nobody has asked';
release('medchain-worker-leaves', 2);
$asks->query_safe('SELECT 1');
$asks->quit;
pass('workers that have found no extension are asked for in this moment');
ok(wait_for_workers('x', $before), 'there are others in their place') or diag($before . ' / ' . workers('x'));

# ----- a worker has connected, and looks at nothing yet: it is in nobody's way

sub drops
{
	my ($database, $title) = @_;
	my $start = time;
	my ($rc, undef, $err) = $cluster->psql('postgres', "SET ROLE owner; DROP DATABASE $database");
	my $took = time - $start;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	ok($rc == 0 && $took < 2.5, $title) or diag(sprintf('%.1f s, %s', $took, $err));
	return;
}

# The sealer of a database ends: the launcher starts another one, which comes no further than to a point.
sub start_as_far_as
{
	my ($point, $database) = @_;
	sql("SELECT injection_points_attach('$point', 'wait')");
	sql(qq{SELECT pg_terminate_backend(pid, 20000) FROM pg_stat_activity WHERE datname = '$database' AND backend_type = 'medchain sealer'});
	return;
}

my $log = -s $cluster->logfile;
start_as_far_as('medchain-worker-connected', 'x');
wait_until_stopped('medchain-worker-connected');
drops('x', 'DROP DATABASE while a worker has just connected to it');
is(sql(q{SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'medchain-worker-connected'}), '0', 'it has gone out of the way');
sql(q{SELECT injection_points_detach('medchain-worker-connected')});

# ----- a worker was started, and has no place yet: it finds that it is not wanted

sql('CREATE DATABASE y OWNER owner');
sql('CREATE EXTENSION medchain CASCADE', 'y');
sql('SELECT medchain.start_workers()', 'y');
wait_for_workers('y') or die 'no workers';
my $oid = sql(q{SELECT oid FROM pg_database WHERE datname = 'y'});
start_as_far_as('medchain-worker-starts', 'y');
wait_for_process(sprintf('%s: medchain sealer for database %s', $cluster->name, $oid));
drops('y', 'DROP DATABASE while a worker for it is starting');
release('medchain-worker-starts');
sql('CREATE DATABASE y OWNER owner');
sql('CREATE EXTENSION medchain CASCADE', 'y');
is($cluster->psql('y', 'SELECT medchain.start_workers()'), 0, 'nor is it in the way of another database of that name');
unlike(slurp_file($cluster->logfile, $log), qr/FATAL:  database/, 'it has left without a word');

$alliance->check_logs;
done_testing();
