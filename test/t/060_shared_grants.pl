# All grants of a member are loaded once for its sessions: by whom, as of when, what becomes of them when a load fails, in another
# database, on a standby, and where there is no room for them.  Whatever way a question takes, the answer is the view active_grant's.
use strict;
use warnings;

use IPC::Run;
use Medchain::Alliance;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $alliance = Medchain::Alliance->new(dc => 'data_center', en => 'end_node', ha => 'chain_node');
my $dc       = $alliance->start('dc', conf => "max_worker_processes = 24\nmax_connections = 60");

# the end node is a database of the same server, in which the same role acts for the same member
$alliance->start('en', cluster => $dc, dbname => 'en');
$alliance->establish;

foreach my $node (qw(dc en))
{
	$alliance->sql($node, q{
		CREATE TABLE visit (id int PRIMARY KEY, patient text NOT NULL);
		INSERT INTO visit SELECT i, 'P' || i FROM generate_series(1, 3000) i;
		CREATE INDEX ON visit (patient);
		SELECT medchain.protect('visit', 'patient');
		ANALYZE visit});
}
$alliance->sql('dc', q{CREATE ROLE app_ha LOGIN; ALTER ROLE app_ha SET medchain.read_audit = off; CREATE ROLE app_dc LOGIN; ALTER ROLE app_dc SET medchain.read_audit = off});
foreach my $node (qw(dc en))
{
	$alliance->sql($node, q{GRANT SELECT ON visit TO app_ha, app_dc; SELECT medchain.bind_role('app_ha', 'ha'), medchain.bind_role('app_dc', 'dc')});
}

# Protocols for one of them each: plain ones, and those whose terms matter.  P9001 has no record here.
sub issue
{
	my ($subject, $grant, $valid) = @_;
	$valid = defined $valid ? ", valid => '$valid'" : '';
	return $alliance->sql('en', qq{SELECT medchain.issue_protocol('$subject', 'text', '[{"grantee": "ha", "operations": ["query"]$grant}]'$valid)});
}
$alliance->sql('en', q{SELECT count(medchain.issue_protocol('P' || i, 'text', '[{"grantee": "ha", "operations": ["query"]}]')) FROM generate_series(1, 400) i});
my $twice = issue('P1', '');
issue('P500', ', "purpose": "TREAT"');
issue('P501', ', "records": ["public.other"]');
issue('P502', ', "records": ["public.visit"]');
issue('P503', '', '[2001-01-01,2002-01-01)');
issue('P504', '', '[2901-01-01,2902-01-01)');
issue('P9001', '');
my $revoked = issue('P505', '');
$alliance->sql('en', "SELECT medchain.revoke_protocol('$revoked', 'over')");
$alliance->wait_for_equal_heads;

sub psql
{
	my ($node, $sql, $role) = @_;
	my ($code, $out, $err) = $alliance->try($node, $sql, extra_params => [ '-U', $role || 'app_ha' ]);
	die $err if $code != 0;
	return $out;
}

# ----- one answer -----------------------------------------------------------------

my $seen   = q{SELECT string_agg(patient, ' ' ORDER BY id) FROM visit};
my $rows   = "SET enable_indexscan = off; SET enable_bitmapscan = off; $seen";
my %granted = map { $_ => 1 } 1 .. 400, 502;
sub answer { return join(' ', map { "P$_" } sort { $a <=> $b } keys %granted, @_); }

is(psql('dc', $rows), answer(), 'row by row, all are loaded');
is(psql('dc', "SET enable_seqscan = off; $seen"), answer(), 'by index');
is(psql('dc', "SET medchain.purpose = 'TREAT'; $rows"), answer(500), 'for a purpose');
is(psql('dc', "SELECT count(*) FROM visit v, LATERAL (SELECT FROM visit x WHERE x.id = v.id OFFSET 0) y WHERE v.id IN (1, 500, 502, 600)"), 2, 'some, one after the other');
is($alliance->sql('dc', q{SELECT count(DISTINCT subject) FROM medchain.active_grant WHERE grantee = 'ha' AND query AND now() <@ valid AND now() <@ protocol_valid}),
	404, 'and active_grant has those, the ones for a purpose and for another table, and one without records');

# ----- loaded once ----------------------------------------------------------------

# How many protocols a session that runs this looks up.
sub looked_up
{
	my ($query) = @_;
	my $count = q{SELECT coalesce(sum(idx_tup_read) + (SELECT seq_tup_read FROM pg_stat_user_tables WHERE relid = 'medchain.protocol'::regclass), 0)
		FROM pg_stat_user_indexes WHERE indexrelname = 'protocol_pkey'};
	my $before = $alliance->sql('dc', "SELECT pg_stat_force_next_flush(); $count");
	psql('dc', $query);
	$alliance->wait_for('dc', q{SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE usename = 'app_ha')});
	return $alliance->sql('dc', "SELECT pg_stat_force_next_flush(); $count") - $before;
}
is(looked_up($rows), 0, 'another session has them from the first');
is(looked_up('SELECT id FROM visit WHERE id = 3'), 0, 'for one row, too');

# who has them in a transaction, and one that comes later
my $open = $dc->background_psql('postgres', on_error_stop => 0, extra_params => [ '-U', 'app_ha' ]);
$open->query_safe('BEGIN');
is($open->query_safe($seen), answer(), 'in a transaction');
$open->query_safe('SAVEPOINT s');
$open->query('SELECT 1 / 0 FROM visit');
$open->{stderr} = '';
$open->query_safe('ROLLBACK TO s');
is($open->query_safe($seen), answer(), 'after an error in a part of it');
$alliance->sql('en', "SELECT medchain.revoke_protocol(protocol, 'over') FROM medchain.protocols WHERE protocol <> '$twice'
	AND (SELECT count(*) FROM medchain.protocol_grant g WHERE g.protocol = protocols.protocol) = 1 AND protocol IN
	(SELECT p.id FROM medchain.protocol p WHERE p.subject = medchain.pseudonym('P2'))");
$alliance->wait_for_equal_heads;
delete $granted{2};
is(psql('dc', $rows), answer(), 'a revocation: a new session');
is($open->query_safe($seen), answer(), 'and the one that is in a transaction');
$open->query_safe('COMMIT');

# a record comes, of one who was granted under a pseudonym only
is(psql('dc', $rows), answer(), 'before a record comes');
$alliance->sql('dc', q{INSERT INTO visit VALUES (9001, 'P9001')});
$granted{9001} = 1;
is(psql('dc', $rows), answer(), 'a record comes: row by row');
is(psql('dc', "SET enable_seqscan = off; $seen"), answer(), 'by index');
is($open->query_safe($seen), answer(), 'in a session that has asked before');

# ----- others -----------------------------------------------------------------------

is(psql('en', $rows), answer() =~ s/ P9001//r, 'another database has its own');
is(psql('dc', "$seen", 'app_dc'), '', 'another member has nothing');
$alliance->sql('en', q{SELECT count(medchain.issue_protocol('P' || i, 'text', '[{"grantee": "dc", "operations": ["query"]}]')) FROM generate_series(2001, 2100) i});
$alliance->wait_for_equal_heads;
is(psql('dc', $rows, 'app_dc'), join(' ', map { "P$_" } 2001 .. 2100), 'or what it was granted');
is(psql('dc', $rows), answer(), 'and the first one what it had');

# ----- loads that fail ---------------------------------------------------------------

# their turn: the first waits for a table, the second for the first
sub waiting
{
	my ($name) = @_;
	my ($in, $out, $err) = ('', '', '');
	my $run = IPC::Run::start([ 'psql', '-XAtq', '-U', 'app_ha', '-d', $dc->connstr('postgres') . " application_name='$name'", '-c', $rows ],
		'<', \$in, '>', \$out, '2>', \$err, IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default));
	$alliance->wait_for('dc', "SELECT count(*) = 1 FROM pg_stat_activity WHERE application_name = '$name' AND wait_event_type = 'Lock'");
	return { run => $run, out => \$out, err => \$err };
}
my $holder = $dc->background_psql('postgres');
# something that concerns the member, so that what is there is too old
issue('P506', '');
$alliance->wait_for_equal_heads;
$granted{506} = 1;
$holder->query_safe('BEGIN; LOCK TABLE medchain.subject_identity IN ACCESS EXCLUSIVE MODE');
my $first  = waiting('first');
my $second = waiting('second');
is($alliance->sql('dc', q{SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted}), 1, 'one loads, one waits for it');
$alliance->sql('dc', q{SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE application_name = 'first'});
$first->{run}->finish;
like(${ $first->{err} }, qr/canceling statement/, 'the one that loads is canceled');
$holder->query_safe('COMMIT');
$second->{run}->finish;
is(${ $second->{out} } =~ s/\n//r, answer(), 'the other one loads them');
is(psql('dc', $rows), answer(), 'for all');
$holder->quit;

# ----- no room -----------------------------------------------------------------------

foreach my $size ('0', '8kB')
{
	$alliance->sql('dc', "ALTER SYSTEM SET medchain.grant_cache_size = '$size'");
	$alliance->sql('dc', 'SELECT pg_reload_conf()');
	$alliance->wait_for('dc', "SELECT setting::int < 9 FROM pg_settings WHERE name = 'medchain.grant_cache_size'");
	my $number = $size eq '0' ? 507 : 508;
	issue("P$number", '');
	$granted{$number} = 1;
	$alliance->wait_for_equal_heads;
	is(psql('dc', $rows), answer(), "with $size of memory they are asked for one by one");
	is(psql('dc', "SET enable_seqscan = off; $seen"), answer(), 'or made an array');
	is(psql('dc', 'SELECT cardinality(medchain.granted_subjects())'), 1 + keys %granted, 'as somebody asks, those of other tables, too');
	is(psql('dc', "SET work_mem = '64kB'; SET hash_mem_multiplier = 1; $rows"), answer(), 'and keep few answers');
}
$alliance->sql('dc', 'ALTER SYSTEM RESET medchain.grant_cache_size');
$alliance->sql('dc', 'SELECT pg_reload_conf()');

# ----- a standby, and another start ----------------------------------------------------

$dc->backup('copy');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($dc, 'copy', has_streaming => 1);
$standby->append_conf('postgresql.conf', 'hot_standby_feedback = on');
$standby->start;
$dc->wait_for_catchup($standby, 'replay', $dc->lsn('insert'));
sub on_standby { my ($sql) = @_; return $standby->safe_psql('postgres', $sql, extra_params => [ '-U', 'app_ha' ]); }
# it shows no records, as that cannot be recorded there
my $asked = q{SELECT cardinality(medchain.granted_subjects()), medchain.may_query('P508'), medchain.may_query('P509')};
is(on_standby($asked), keys(%granted) + 1 . '|t|f', 'on a standby');
is(on_standby("$asked; $asked"), join("\n", (keys(%granted) + 1 . '|t|f') x 2), 'again');
issue('P509', '');
$granted{509} = 1;
$alliance->wait_for_equal_heads;
$dc->wait_for_catchup($standby, 'replay', $dc->lsn('insert'));
is(on_standby($asked), keys(%granted) + 1 . '|t|t', 'and it follows');
$standby->stop;
$open->quit;

$dc->restart;
is(psql('dc', $rows), answer(), 'after a restart');

$alliance->check_logs;
done_testing();
