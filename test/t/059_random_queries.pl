# Random queries of a member, by sqlsmith (Debian package of that name): whatever is asked, the server stays up, every access is on the ledger, and none
# of them was without a protocol.  MEDCHAIN_RANDOM_QUERIES: how many (2000); MEDCHAIN_RANDOM_SEED: where they begin (1).
use strict;
use warnings;

use Medchain::Alliance;
use PostgreSQL::Test::Utils;
use Test::More;

my $sqlsmith = `sh -c 'command -v sqlsmith'`;
chomp $sqlsmith;
plan skip_all => 'sqlsmith is not installed' unless $sqlsmith;
my $queries = $ENV{MEDCHAIN_RANDOM_QUERIES} // 2000;
my $seed    = $ENV{MEDCHAIN_RANDOM_SEED} // 1;

my $alliance = Medchain::Alliance->new(dc => 'data_center', en => 'end_node', ha => 'chain_node');
$alliance->establish;
$alliance->sql('dc', q{
	CREATE TABLE chart (id int PRIMARY KEY, patient text NOT NULL, visited date, weight numeric, note text);
	INSERT INTO chart SELECT i, 'P' || i % 40, '2026-01-01'::date + i, i * 1.5, 'note ' || i FROM generate_series(1, 400) i;
	CREATE TABLE image (id int PRIMARY KEY, chart int REFERENCES chart, patient text NOT NULL, size int) PARTITION BY RANGE (id);
	CREATE TABLE image_1 PARTITION OF image FOR VALUES FROM (0) TO (200);
	CREATE TABLE image_2 PARTITION OF image FOR VALUES FROM (200) TO (1000);
	INSERT INTO image SELECT i, i, 'P' || i % 40, i FROM generate_series(1, 400) i;
	SELECT medchain.protect('chart', 'patient'), medchain.protect('image', 'patient');
	CREATE VIEW heavy AS SELECT id, patient, weight FROM chart WHERE weight > 100;
	CREATE VIEW pair WITH (security_invoker = true) AS SELECT c.id, c.note, i.size FROM chart c JOIN image i ON i.chart = c.id;
	CREATE ROLE app_a LOGIN;
	GRANT SELECT, INSERT, UPDATE, DELETE ON chart, image, pair TO app_a;
	SELECT medchain.bind_role('app_a', 'ha')});
$alliance->sql('en', qq{SELECT medchain.issue_protocol('P$_', 'text', '[{"grantee": "ha", "operations": ["query", "update"]}]')}) foreach 1 .. 8;
$alliance->wait_for_equal_heads;

my $cluster = $alliance->cluster('dc');
my $target  = sprintf('host=%s port=%d dbname=%s user=app_a', $cluster->host, $cluster->port, $alliance->dbname('dc'));
my $log     = PostgreSQL::Test::Utils::tempdir() . '/sqlsmith.log';
my $status  = system("'$sqlsmith' --target='$target' --exclude-catalog --max-queries=$queries --seed=$seed > '$log' 2>&1");
is($status, 0, "$queries random queries") or diag(substr(slurp_file($log), -2000));

is($alliance->sql('dc', 'SELECT 1'), '1', 'the server is there');
unlike(slurp_file($cluster->logfile), qr/terminated by signal|PANIC|TRAP:|XX000|internal error/, 'and was all the time');
$alliance->sql('dc', 'SELECT medchain.seal()');
$alliance->wait_for_equal_heads;
my ($accesses, $others) = split /\|/, $alliance->sql('dc', q{
	SELECT count(*), count(*) FILTER (WHERE s.identity !~ '^P[1-8]$') FROM medchain.entry e
	LEFT JOIN LATERAL (SELECT r.subject FROM medchain.read_set_subjects(e.id) r UNION SELECT e.subject) x ON true
	LEFT JOIN medchain.subject_identity s ON s.pseudonym = x.subject
	WHERE e.kind = 'access' AND e.actor = 'ha' AND e.payload::jsonb #>> '{body,outcome}' = 'read'});
cmp_ok($accesses, '>', 0, "what they read is on the ledger: $accesses accesses to an examinee's records");
is($others, '0', 'of nobody but who granted it');
is($alliance->sql($_, 'SELECT count(*) FROM medchain.unauthorised'), '0', "$_: none of it was without a protocol") foreach qw(dc en ha);
is($alliance->sql('dc', q{SELECT count(*) FROM medchain.verify_table('chart')}), '0', 'the table is what the ledger says');
$alliance->verify_ok;
done_testing();
