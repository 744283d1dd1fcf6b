# What it costs to look up grants: a query that reads one row asks for one subject, and not for all that its member has; and many
# subjects are looked for by an index where theirs are few of the rows.
use strict;
use warnings;

use Medchain::Alliance;
use Test::More;

my $alliance = Medchain::Alliance->new(dc => 'data_center', en => 'end_node', ha => 'chain_node');
my $granted = 2100;

$alliance->start('dc', conf => 'max_worker_processes = 9');
$alliance->establish;
$alliance->sql('dc', q{
	CREATE TABLE visit (id int PRIMARY KEY, patient text NOT NULL, at int, finding text);
	INSERT INTO visit SELECT i, 'P' || i, i, repeat('x', 1500) FROM generate_series(1, 30000) i;
	CREATE INDEX visit_patient ON visit (patient);
	CREATE TABLE few (id int PRIMARY KEY, patient text NOT NULL);
	INSERT INTO few SELECT i, 'P' || i FROM generate_series(1, 2200) i;
	CREATE INDEX few_patient ON few (patient);
	SELECT medchain.protect('visit', 'patient');
	SELECT medchain.protect('few', 'patient');
	ANALYZE visit, few;
	CREATE ROLE app_ha LOGIN;
	GRANT SELECT ON visit, few TO app_ha;
	SELECT medchain.bind_role('app_ha', 'ha')});
$alliance->sql('en', qq{SELECT medchain.issue_protocol('P' || i * 3, 'text', '[{"grantee": "ha", "operations": ["query"]}]')
	FROM generate_series(1, $granted) i});
$alliance->wait_for_equal_heads;
$alliance->sql('dc', 'VACUUM ANALYZE medchain.protocol, medchain.protocol_grant, medchain.subject_identity');

# In a session of its own.
sub seen
{
	my ($query) = @_;
	my ($code, $out, $err) = $alliance->try('dc', $query, extra_params => [ '-U', 'app_ha' ]);
	die $err if $code != 0;
	return $out;
}

# How many protocols a session that runs this looks up.
sub looked_up
{
	my ($query) = @_;
	my $count = q{SELECT coalesce(sum(idx_tup_read), 0) + (SELECT seq_tup_read FROM pg_stat_user_tables WHERE relid = 'medchain.protocol'::regclass)
		FROM pg_stat_user_indexes WHERE indexrelname = 'protocol_pkey'};
	my $before = $alliance->sql('dc', "SELECT pg_stat_force_next_flush(); $count");
	seen($query);
	# what a session has counted is there when it has ended
	$alliance->wait_for('dc', q{SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE usename = 'app_ha')});
	return $alliance->sql('dc', "SELECT pg_stat_force_next_flush(); $count") - $before;
}

is(seen('SELECT count(*) FROM visit'), $granted, 'all that is granted is seen');
like(seen('EXPLAIN SELECT count(*) FROM visit'), qr/Index Cond.*granted_subjects_as/, 'a tenth of the rows is looked for by their subjects');
unlike(seen('EXPLAIN SELECT count(*) FROM few'), qr/granted_subjects_as/, 'most rows are not');
is(seen('SELECT count(*) FROM few'), int(2200 / 3), 'and are seen all the same');

# what sessions share is made anew
$alliance->cluster('dc')->restart;
my $all = looked_up('SELECT count(*) FROM visit');
my $shared = looked_up('SELECT count(*) FROM visit');
$alliance->cluster('dc')->restart;
my $one = looked_up('SELECT id FROM visit WHERE id = 3');
my $page = looked_up('SELECT id FROM visit ORDER BY id LIMIT 10');
my $prepared = looked_up('PREPARE p AS SELECT id FROM visit WHERE id = $1; EXPLAIN EXECUTE p (3); EXECUTE p (3)');
note("protocols that were looked up: $all for all rows, $one for one, $page for ten, $prepared for one, prepared");
cmp_ok($all, '>=', $granted, 'who reads all rows looks up all grants once');
cmp_ok($all, '<=', 2 * $granted, 'and only those');
is($shared, 0, 'who comes next none');
cmp_ok($one, '<=', 5, 'one row is one subject');
cmp_ok($page, '<=', 100, 'a page some subjects');
cmp_ok($prepared, '<=', 5, 'a plan none');

$alliance->check_logs;
done_testing();
