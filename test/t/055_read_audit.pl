# Who reads protected rows is on the ledger before they leave: whatever becomes of the session, the worker or the server; and where it cannot be, nothing is shown.
use strict;
use warnings;

use Medchain::Alliance;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $alliance = Medchain::Alliance->new(dc => 'data_center');
my $node = $alliance->start('dc', conf => "medchain.read_audit = strict\nmedchain.read_audit_timeout = 60s\nrestart_after_crash = on");
my ($certificate, $anchors) = ($alliance->certificate('dc'), $alliance->certificate('ca'));

$node->safe_psql('postgres', "SELECT medchain.found_alliance('east', 'dc', '$certificate', '$anchors')");
$node->safe_psql('postgres', q{
	CREATE TABLE chart (id int PRIMARY KEY, patient text, note text);
	SELECT medchain.protect('chart', 'patient');
	INSERT INTO chart SELECT i, 'P' || i, 'note ' || i FROM generate_series(1, 5000) i});

my $said = q{(SELECT payload FROM medchain.entry WHERE kind = 'access' UNION ALL SELECT payload FROM medchain.pending WHERE kind = 'access')};

# Is the read of that patient on the ledger, alone?
sub recorded
{
	my ($patient) = @_;
	return $node->safe_psql('postgres', "SELECT count(*) FROM $said a WHERE payload::jsonb ->> 'subject' = encode(medchain.pseudonym('$patient'), 'hex')");
}

# ----- the session

$node->safe_psql('postgres', q{BEGIN; SELECT note FROM chart WHERE id = 1; ROLLBACK});
is(recorded('P1'), 1, 'a read that is rolled back is on the ledger');
my ($rc, $out, $err) = $node->psql('postgres', q{SELECT note, pg_terminate_backend(pg_backend_pid()) FROM chart WHERE id = 2});
isnt($rc, 0, 'a session is ended while it reads');
unlike($out, qr/note 2/, 'nothing was shown');
($rc, $out, $err) = $node->psql('postgres', q{SELECT 1 / (id - 3) FROM chart WHERE id = 3});
is(recorded('P3'), 1, 'so is what an error was about');

# a notice, in the middle of a statement
$node->safe_psql('postgres', q{CREATE FUNCTION tell(what text) RETURNS int LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE '%', what; RETURN 1; END $$});
($rc, $out, $err) = $node->psql('postgres', q{SELECT tell(note), pg_terminate_backend(pg_backend_pid()) FROM chart WHERE id = 4});
like($err, qr/note 4/, 'a notice is shown at once');
is(recorded('P4'), 1, 'and on the ledger');

# ----- the worker

my $auditor = q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'medchain auditor'};
my $pid = $node->safe_psql('postgres', $auditor);
$node->safe_psql('postgres', "SELECT pg_terminate_backend($pid)");
is($node->safe_psql('postgres', 'SELECT note FROM chart WHERE id = 5'), 'note 5', 'without the worker a statement waits for the next one');
is(recorded('P5'), 1, 'and is recorded, once');
isnt($node->safe_psql('postgres', $auditor), $pid, 'by another worker');

# nobody may write what it writes: it does not get on, and its session's queue fills
my ($input, $output, $complaints) = ('', '', '');
my $locker = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres') ], '<', \$input, '>', \$output, '2>', \$complaints,
	IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default));
$input .= "BEGIN; LOCK TABLE medchain.pending IN SHARE MODE; SELECT 'locked';\n";
$locker->pump until $output =~ /locked/ || $complaints;
is($complaints, '', 'medchain.pending is locked');
($rc, $out, $err) = $node->psql('postgres', q{SET medchain.read_audit_timeout = '500ms'; SELECT note FROM chart WHERE id = 6});
isnt($rc, 0, 'a worker that does not get on: the statement fails');
is($out, '', 'and shows nothing');
like($err, qr/the access to protected rows cannot be recorded.*HINT/s, 'and says why');
($rc, $out, $err) = $node->psql('postgres', q{SET medchain.read_audit_timeout = '500ms'; SELECT note::int FROM chart WHERE id = 7});
isnt($rc, 0, 'a statement that fails anyhow');
unlike($err, qr/note 7/, 'does not say what it has read');
like($err, qr/the access to protected rows cannot be recorded.*HINT/s, 'but that');
($rc, $out, $err) = $node->psql('postgres', q{SET medchain.read_audit_timeout = '500ms';
	DO $$ BEGIN PERFORM note::int FROM chart WHERE id = 7; EXCEPTION WHEN OTHERS THEN RAISE NOTICE 'told: %', SQLERRM; END $$});
like($err, qr/told: the access to protected rows cannot be recorded/, 'nor to a function that handles the error');
unlike($err, qr/note 7/, 'and shows it');
$input .= "COMMIT;\n\\q\n";
$locker->finish;

# ----- a standby

$node->backup('copy');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'copy', has_streaming => 1);
$standby->start;
$node->wait_for_catchup($standby, 'replay', $node->lsn('insert'));
($rc, $out, $err) = $standby->psql('postgres', 'SELECT note FROM chart WHERE id = 8');
is($out, '', 'a standby shows nothing');
like($err, qr/protected tables cannot be read during recovery.*HINT:  Read them on the primary/s, 'and says why');
($rc, $out, $err) = $standby->psql('postgres', 'SET medchain.read_audit = off; SELECT note FROM chart WHERE id = 8');
is($out, '', 'also where a superuser would rather not have it recorded');
$standby->stop;

# ----- kill -9: what a client has got is on the ledger

foreach my $round (1 .. 6)
{
	my ($in, $got) = ('', '');
	my $first   = 100 + 700 * $round;
	my $errors  = '';
	my $session = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres') ], '<', \$in, '>', \$got, '2>', \$errors);

	$in .= "SELECT id FROM chart WHERE id = $_;\n" foreach $first .. $first + 600;
	$session->pump until $got =~ /\n.*\n/ || $errors;
	my $victim = $round % 2 ? $node->safe_psql('postgres', $auditor)
	  : $node->safe_psql('postgres', q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() LIMIT 1});
	kill 'KILL', $victim if $victim;
	$in .= "\\q\n";
	eval { $session->finish };
	$node->poll_query_until('postgres', 'SELECT true');
	my @ids = $got =~ /^(\d+)$/mg;
	is($node->safe_psql('postgres', "SELECT count(*) FROM unnest('{" . join(',', @ids) . "}'::int[]) i WHERE NOT EXISTS
		(SELECT FROM $said a WHERE payload::jsonb ->> 'subject' = encode(medchain.pseudonym('P' || i), 'hex'))"), 0,
		scalar(@ids) . ' rows were received before ' . ($round % 2 ? 'the worker' : 'the session') . ' was killed: all are on the ledger');
}
$node->safe_psql('postgres', 'SELECT medchain.seal()');
is($node->safe_psql('postgres', q{SELECT count(*) FROM medchain.verify() WHERE NOT ok}), 0, 'the ledger is sound');
is($node->safe_psql('postgres', q{SELECT count(*) FROM medchain.read_set_faults()}), 0, 'and so are the subjects behind it');
done_testing();
