# Nobody's locks hold up a revocation: neither those of a login without any right, who takes all that he can get hold of, nor
# those that a peer has our apply worker hold; and where something does wait, it shows, with for whom.
use strict;
use warnings;

use Medchain::Alliance;
use PostgreSQL::Test::Utils;
use Test::More;

my $alliance = Medchain::Alliance->new(dc => 'data_center', en => 'end_node', ha => 'chain_node');
my $grants = q{[{"grantee": "ha", "operations": ["query"]}]};

$alliance->establish;
$alliance->sql('dc', q{
	CREATE TABLE diagnosis (case_no int PRIMARY KEY, patient_id text NOT NULL);
	INSERT INTO diagnosis SELECT i, 'P' || i FROM generate_series(1, 20) i;
	SELECT medchain.protect('diagnosis', 'patient_id');
	CREATE ROLE mallory LOGIN;
	CREATE ROLE app_ha LOGIN;
	GRANT SELECT ON diagnosis TO app_ha;
	SELECT medchain.bind_role('app_ha', 'ha')});

my @protocols = split(/\n/, $alliance->sql('en', "SELECT medchain.issue_protocol('P' || i, 'text', '$grants') FROM generate_series(1, 20) i"));
$alliance->wait_for_equal_heads;

# What the chain node's login sees at the data centre.
sub seen { return ($alliance->try('dc', 'SELECT count(*) FROM diagnosis', extra_params => [ '-U', 'app_ha' ]))[1]; }

is(seen(), '20', 'before, all is readable');

# A test: the next protocol is revoked at the end node, and at the data centre its row is gone in a moment.
sub revocation_ok
{
	my ($title) = @_;
	my $left = @protocols - 1;

	$alliance->sql('en', "SELECT medchain.revoke_protocol('" . pop(@protocols) . "', 'it is over')");
	my $start = time;
	until (seen() eq $left || time > $start + 20) { $alliance->sql('dc', 'SELECT pg_sleep(0.1)') }
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is(seen(), $left, "a revocation arrives while $title");
}

# A session of a login that keeps what it gets in an open transaction.
sub hold
{
	my ($node, $role, @sql) = @_;
	my $session = $alliance->cluster($node)->background_psql($alliance->dbname($node), on_error_stop => 0, extra_params => [ '-U', $role ]);

	$session->query_safe('BEGIN');
	$session->query_safe($_) foreach @sql;
	return $session;
}

sub release { my ($session) = @_; $session->query_safe('ROLLBACK'); $session->quit; }

# ----- a login without any right

my $session = hold('dc', 'mallory', map { "SELECT pg_advisory_lock(hashtextextended('medchain chain $_', 0))" } $alliance->members);
revocation_ok('a login holds the advisory locks of that name');
release($session);
my @relations = split(/\n/, $alliance->sql('dc', q{SELECT c.oid::regclass FROM pg_class c WHERE c.relnamespace = 'medchain'::regnamespace AND c.relkind IN ('r', 'v', 'S')}));
my @tables = split(/\n/, $alliance->sql('dc', q{SELECT c.oid::regclass || ' SET ' || (SELECT quote_ident(attname) FROM pg_attribute a WHERE a.attrelid = c.oid AND attnum > 0 AND attidentity = '' ORDER BY attnum LIMIT 1) || ' = NULL'
	FROM pg_class c WHERE c.relnamespace = 'medchain'::regnamespace AND c.relkind = 'r'}));
my $n = 0;
$session = hold('dc', 'mallory', (map { 'PREPARE p' . $n++ . " AS SELECT * FROM $_" } @relations), (map { 'PREPARE p' . $n++ . " AS UPDATE $_" } @tables));
is($alliance->sql('dc', q{SELECT count(*) > 20 FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE a.usename = 'mallory' AND l.mode = 'RowExclusiveLock'}), 't',
	'statements that he prepares and may not run keep locks');
revocation_ok('a login has statements prepared on all our tables');
release($session);
$alliance->check_logs;
done_testing();
