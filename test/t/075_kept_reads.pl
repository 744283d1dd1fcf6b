# What a statement has read and kept somewhere is on the ledger, although it shows no row, is cancelled, or its session ends.
use strict;
use warnings;

use Medchain::Alliance;
use PostgreSQL::Test::Utils;
use Test::More;

my $alliance = Medchain::Alliance->new(dc => 'data_center', en => 'end_node', ha => 'chain_node');
$alliance->establish;
my $node = $alliance->cluster('dc');

$alliance->sql('dc', $_) foreach (
	q{CREATE TABLE chart (id int PRIMARY KEY, patient text, note text)},
	q{SELECT medchain.protect('chart', 'patient')},
	q{INSERT INTO chart SELECT i, 'P' || i, 'note ' || i FROM generate_series(1, 40) i},
	q{CREATE ROLE app LOGIN; GRANT SELECT, UPDATE, DELETE ON chart TO app; SELECT medchain.bind_role('app', 'ha')},
	q{CREATE SEQUENCE kept; GRANT ALL ON SEQUENCE kept TO app; GRANT CREATE ON SCHEMA public TO app});
$alliance->sql('en', q{SELECT medchain.issue_protocol('P' || i, 'text', '[{"grantee": "ha", "operations": ["query", "update"]}]')
	FROM generate_series(1, 30) i});
$alliance->wait_for_equal_heads;

# As one session, whatever becomes of it.
sub session
{
	my ($role, $sql) = @_;
	my ($rc, $out, $err) = $node->psql('postgres', $sql, extra_params => [ '-U', $role ], on_error_stop => 0);
	return $out;
}

my $said = q{(SELECT payload FROM medchain.entry WHERE kind = 'access' UNION ALL SELECT payload FROM medchain.pending WHERE kind = 'access')};

# The patients of these whose records are said to have been read; each entry is about one.
sub recorded
{
	my @ids = @_;
	return $alliance->sql('dc', "SELECT coalesce(string_agg(i::text, ' ' ORDER BY i), '') FROM unnest('{" . join(',', @ids) . "}'::int[]) i WHERE EXISTS
		(SELECT FROM $said a WHERE payload::jsonb ->> 'subject' = encode(medchain.pseudonym('P' || i), 'hex'))");
}

# ----- conditions that let no row pass

my $keep = q{set_config('my.kept', coalesce(current_setting('my.kept', true), '') || '/' || note, false) IS NULL};
foreach my $case ([ 'app', 1 ], [ 'postgres', 31 ])
{
	my ($role, $id) = @$case;
	is(session($role, "SELECT id FROM chart WHERE id = $id AND $keep; SHOW my.kept"), "/note $id", "$role: a condition keeps a row");
	is(recorded($id), $id, 'it is on the ledger');
}
is(session('app', "SELECT id FROM chart WHERE id > 28 AND $keep; SHOW my.kept"), '/note 29/note 30', 'a member keeps what it may read');
is($alliance->sql('dc', "SELECT payload::jsonb #>> '{body,subjects}' || ' ' || (payload::jsonb #>> '{body,rows}') FROM $said a
	WHERE payload::jsonb #>> '{body,basis}' = 'protocol' AND payload::jsonb #> '{body,root}' IS NOT NULL"), '2 2', 'and that is on the ledger, each once');
is(session('app', "SELECT id FROM chart WHERE id = 2 AND note = 'none' AND $keep"), '', 'what does not come to it');
is(recorded(2), '', 'is not read');
session('app', q{
	CREATE FUNCTION tell(what text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN PERFORM set_config('my.kept', what, false); RETURN false; END $$;
	CREATE DOMAIN told AS text CHECK (NOT tell(VALUE))});
my $number = 3;
foreach my $way ('SELECT id FROM chart WHERE id = %d AND tell(note)', 'UPDATE chart SET note = note WHERE id = %d AND tell(note)',
	'DELETE FROM chart WHERE id = %d AND tell(note) RETURNING id', q{SELECT id FROM chart c WHERE id = %d AND (SELECT tell(c.note))},
	q{SELECT id FROM chart WHERE id = %d AND note::told = 'x'}, q{SET enable_seqscan = off; SET enable_bitmapscan = off; SELECT id FROM chart WHERE id = %d AND tell(note)},
	q{SET enable_seqscan = off; SET enable_indexscan = off; SELECT id FROM chart WHERE id = %d AND tell(note)},
	q{SET enable_seqscan = off; SET enable_bitmapscan = off; SELECT count(*) FILTER (WHERE false) FROM chart WHERE id = %d AND tell('note ' || id)},
	q{SELECT c.id FROM (VALUES (1)) v (i) LEFT JOIN chart c ON c.id = %d AND tell(c.note || left('', v.i))})
{
	my $out = session('app', sprintf($way, $number) . '; SHOW my.kept');
	like($out, qr/note $number/, "kept by: $way");
	is(recorded($number), $number, 'it is on the ledger');
	$number++;
}
is(session('app', q{SELECT count(*) FROM chart WHERE id = 33 AND tell(note)}), '0', 'what is not granted');
is(recorded(33), '', 'comes to no condition');

# ----- an error behind the end of a query, which a function handles: of what WITH has left to be changed

like(session('app', q{DO $$ BEGIN EXECUTE 'WITH u AS (UPDATE chart SET note = note WHERE id = 19 RETURNING note::int) SELECT 1';
	EXCEPTION WHEN OTHERS THEN PERFORM set_config('my.kept', SQLERRM, false); END $$; SHOW my.kept}), qr/"note 19"/, 'a late error tells of a row');
is(recorded(19), '19', 'it is on the ledger');

# ----- sessions that end: each is a new one, which has no channel to the worker yet

my $sure = sub { my ($id, $what) = @_;
	is($alliance->sql('dc', 'SELECT last_value FROM kept'), $id, "$what: what was read is kept");
	$alliance->wait_for('dc', "SELECT EXISTS (SELECT FROM $said a WHERE payload::jsonb ->> 'subject' = encode(medchain.pseudonym('P$id'), 'hex'))");
	is(recorded($id), $id, 'and on the ledger') };
session('app', q{BEGIN; DECLARE c CURSOR FOR SELECT setval('kept', id), pg_cancel_backend(pg_backend_pid()) FROM chart WHERE id = 20; FETCH 1 FROM c});
$sure->(20, 'cancelled');
session('app', q{BEGIN; DECLARE c CURSOR FOR SELECT setval('kept', id), pg_terminate_backend(pg_backend_pid()) FROM chart WHERE id = 21; FETCH 1 FROM c});
$sure->(21, 'ended');
session('app', q{SELECT setval('kept', id), pg_terminate_backend(pg_backend_pid()), 1 / (id - 22) FROM chart WHERE id = 22});
$sure->(22, 'ended, and an error');

my ($in, $out, $err) = ('', '', '');
my $client = IPC::Run::start([ 'psql', '-XAtq', '-U', 'app', '-d', $node->connstr('postgres') ], '<', \$in, '>', \$out, '2>', \$err,
	IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default));
$in .= "SET client_connection_check_interval = '50ms'; SELECT pg_backend_pid();\n";
$client->pump until $out =~ /(\d+)\n/;
my $pid = $1;
$in .= "SELECT setval('kept', id), pg_sleep(300) FROM chart WHERE id = 23;\n";
$client->pump_nb;
$alliance->wait_for('dc', 'SELECT last_value = 23 FROM kept');
$client->kill_kill;
$alliance->wait_for('dc', "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $pid)");
$sure->(23, 'its client is gone');

# ----- a row that somebody else has just changed is looked at again, and so is what a subquery says of it

session('app', q{CREATE TABLE mine (id int, v text); INSERT INTO mine VALUES (25, '')});
my $changer = $node->background_psql('postgres', on_error_stop => 0, extra_params => [ '-U', 'app' ]);
$changer->query_safe('BEGIN; UPDATE mine SET id = 26');
my $again = IPC::Run::start([ 'psql', '-XAtq', '-U', 'app', '-d', $node->connstr('postgres'), '-c',
	'UPDATE mine SET v = (SELECT note FROM chart WHERE chart.id = mine.id) RETURNING v' ], '>', \my $seen, IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default));
$alliance->wait_for('dc', q{SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND locktype = 'transactionid')});
$changer->query_safe('COMMIT');
$changer->quit;
$again->finish;
is($seen, "note 26\n", 'a subquery is run again');
is($alliance->sql('dc', "SELECT count(*) FROM $said a WHERE payload::jsonb #>> '{body,operation}' = 'update' AND payload::jsonb #>> '{body,subjects}' = '2'"), '1',
	'both rows that it has read are on the ledger');

# ----- what a session claims goes on the ledger as it is, and does not stop the worker

foreach my $setting (qw(end_user request_id purpose))
{
	$alliance->fails_like('dc', "SELECT set_config('medchain.$setting', repeat('x', 1025), false)", qr/invalid value for parameter "medchain.$setting".*at most 1024 bytes/s,
		"medchain.$setting has its limit", extra_params => [ '-U', 'app' ]);
}
is(session('app', q{SELECT set_config('medchain.end_user', repeat('"', 1024), false) <> ''; SELECT note FROM chart WHERE id = 24}), "t\nnote 24", 'which is enough');

$alliance->sql('dc', 'SELECT medchain.seal()');
is($alliance->sql('dc', q{SELECT count(*) FROM medchain.verify() WHERE NOT ok}), 0, 'the ledger is sound');
$alliance->check_logs;
done_testing();
