# pg_repack (Debian package postgresql-NN-repack) rewrites ledger tables and protected ones, which are written to meanwhile.
# needs: debian postgresql-NN-repack
use strict;
use warnings;

use Medchain::Application;
use PostgreSQL::Test::Utils;
use Test::More;

my $app = Medchain::Application->new;
$app->sql('CREATE EXTENSION pg_repack');
my $alliance = $app->alliance;
my ($bindir) = `$ENV{PG_CONFIG} --bindir` =~ /^(.*)$/m;

sub repack
{
	my (@arguments) = @_;
	return $app->program([ "$bindir/pg_repack", '--wait-timeout=60', '--no-kill-backend', @arguments, 'postgres' ], env => { $app->where, PGUSER => $app->sql('SELECT current_user') });
}

$app->sql(q{
	CREATE TABLE clinic.visit (id int PRIMARY KEY, gone int, patient text NOT NULL, note text);
	CREATE INDEX ON clinic.visit (patient);
	INSERT INTO clinic.visit SELECT i, 0, 'P' || (1 + i % 2), repeat('note ' || i, 500) FROM generate_series(1, 500) i;
	ALTER TABLE clinic.visit DROP COLUMN gone;
	CREATE TABLE clinic.record (LIKE clinic.visit INCLUDING ALL);
	INSERT INTO clinic.record SELECT * FROM clinic.visit;
	CREATE TABLE clinic.part (id int PRIMARY KEY, patient text NOT NULL) PARTITION BY RANGE (id);
	CREATE TABLE clinic.part_1 PARTITION OF clinic.part FOR VALUES FROM (0) TO (100);
	INSERT INTO clinic.part SELECT i, 'P' || (1 + i % 2) FROM generate_series(1, 50) i}, 'keeper');
$app->sql(q{
	SELECT medchain.ledger_table('clinic.visit'), medchain.protect('clinic.record', 'patient'), medchain.protect('clinic.part', 'patient');
	SELECT medchain.bind_role('keeper', 'dc')});
$app->permit('P1');
$app->permit('P1', 'dc');
$app->sql(q{DELETE FROM clinic.visit WHERE id % 4 = 0; UPDATE clinic.visit SET note = note || '!' WHERE id % 4 = 1}, 'keeper');
$app->changes($_) foreach qw(clinic.visit clinic.record clinic.part);

sub seen_ok
{
	my ($title) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is($app->sql('SELECT count(*), count(DISTINCT patient) FROM clinic.record', 'reader'), '250|1', "$title: the reader sees what he may");
	is($app->sql('SELECT (SELECT count(*) FROM clinic.record) + (SELECT count(*) FROM clinic.part) + (SELECT count(*) FROM clinic.part_1)', 'stranger'), '0', "$title: a stranger sees nothing");
	return;
}

my $file = q{SELECT pg_relation_filenode('clinic.visit') || ' ' || pg_relation_filenode('clinic.record') || ' ' || pg_relation_filenode('clinic.part_1')};
my $before = $app->sql($file);
foreach my $table (qw(visit record part_1))
{
	my ($rc, $out, $err) = repack("--table=clinic.$table");
	is($rc, 0, "$table is repacked") or diag($err);
}
my @after = split(/ /, $app->sql($file));
my @same = grep { $after[$_] eq (split(/ /, $before))[$_] } 0 .. 2;
is(scalar(@same), 0, 'all of them have other files');
is(join(';', map { $app->changes($_) } qw(clinic.visit clinic.record clinic.part)), ';;', 'of their rows the ledger has nothing new to say');
$app->sound_ok('repacked');
seen_ok('repacked');

# while it is written to: the rewriting waits for an open transaction, and the changes come after it
my $writer = $app->cluster->background_psql('postgres', on_error_stop => 0, extra_params => [ '-U', 'keeper' ]);
$writer->query(q{BEGIN; INSERT INTO clinic.visit VALUES (1000, 'P1', 'meanwhile')});
my ($in, $out) = ('', '');
my $run;
{
	local %ENV = (%ENV, $app->where, PGUSER => $app->sql('SELECT current_user'));
	$run = IPC::Run::start([ "$bindir/pg_repack", '--wait-timeout=100', '--no-kill-backend', '--table=clinic.visit', 'postgres' ], '<', \$in, '>', \$out, '2>', \$out);
}
$alliance->wait_for('dc', q{SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND relation = 'clinic.visit'::regclass)
	OR EXISTS (SELECT FROM pg_stat_activity WHERE application_name = 'pg_repack' AND query LIKE '%pg_locks%' AND state = 'idle in transaction')});
$writer->query('COMMIT');
foreach my $i (1 .. 20)
{
	$app->sql(qq{INSERT INTO clinic.visit VALUES (1000 + $i, 'P1', 'meanwhile'); UPDATE clinic.visit SET note = 'changed' WHERE id = $i * 4 + 1;
		DELETE FROM clinic.visit WHERE id = $i * 4 + 2}, 'keeper');
}
ok($run->finish, 'a table that is written to is repacked') or diag($out);
$writer->quit;
is($app->changes('clinic.visit'), 'insert 21, update 20, delete 20', 'all that was written is on the ledger, once');
is($app->sql(q{SELECT count(*) FROM clinic.visit WHERE note = 'meanwhile'}), '21', 'and in the table');
$app->sound_ok('repacked while it was written to');

# in another order, and indexes alone
foreach my $how ([ '--order-by=patient' ], [ '--no-order' ], ['--only-indexes'])
{
	my ($rc, undef, $err) = repack(@$how, '--table=clinic.record');
	is($rc, 0, "repacked with @$how") or diag($err);
}
$app->sound_ok('repacked otherwise');
seen_ok('repacked otherwise');

# a run that was killed leaves its trigger and tables, and takes them away the next time
$app->sql(q{SELECT medchain.seal()});
is($app->sql(q{SELECT count(*) FROM pg_trigger WHERE tgname = 'repack_trigger'}), '0', 'nothing of it is left');
$app->sql('DROP EXTENSION pg_repack');
$app->sound_ok('without it');
$alliance->check_logs;
done_testing();
