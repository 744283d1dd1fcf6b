# On a hot standby every call answers at once, and says where to go; what only reads, works.  Promoted, it has workers.
use strict;
use warnings;

use Medchain::Alliance;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $alliance = Medchain::Alliance->new(dc => 'data_center');
my $primary  = $alliance->start('dc', conf => 'max_prepared_transactions = 2');
my ($certificate, $anchors) = ($alliance->certificate('dc'), $alliance->certificate('ca'));

$primary->safe_psql('postgres', "SELECT medchain.found_alliance('east', 'dc', '$certificate', '$anchors')");
$primary->safe_psql('postgres', "SELECT medchain.append('visit', '{}', 'P1'); SELECT medchain.seal()");
$primary->safe_psql('postgres', 'CREATE DATABASE bare');
$primary->safe_psql('bare', 'CREATE EXTENSION medchain CASCADE');
$primary->backup('copy');

my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'copy', has_streaming => 1);
$standby->start;
$primary->wait_for_catchup($standby, 'replay', $primary->lsn('insert'));

# A test: a call fails within a second (five, on a machine that does much else), with that SQLSTATE and message.
sub refused
{
	my ($database, $call, $pattern, $title) = @_;
	my $start = time;
	my ($rc, $out, $err) = $standby->psql($database, "\\set VERBOSITY verbose\nSET medchain.seal_timeout = 0;\nSELECT $call;", timeout => 60, timed_out => \my $hangs);
	my $took = time - $start;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	ok(!$hangs && $took < 5 && $err =~ $pattern, $title || "at once: $call")
	  or diag(sprintf('%.1f s%s: %s%s', $took, $hangs ? ', hangs' : '', $out, $err));
	return;
}

my $here = qr/ERROR:  25006: cannot execute medchain\w*\.\w+\(\) during recovery.*HINT:  This server is a standby, and medchain's workers run on its primary/s;
refused('postgres', 'medchain.seal()', $here);
refused('postgres', 'medchain.start_workers()', $here);
refused('postgres', "medchain_internal.sign_envelope('application/vnd.medchain.protocol+json', '{}')", $here);

my $elsewhere = qr/ERROR:  25006: the ledger cannot be written.*HINT:  This server is a standby: ask the primary/s;
refused('bare', "medchain.found_alliance('west', 'dc', '$certificate', '$anchors')", $elsewhere, 'found_alliance()');
refused('bare', "medchain.join_alliance('dc', '$certificate', 'dbname=postgres')", $elsewhere, 'join_alliance()');
refused('postgres', "medchain.$_", $elsewhere) foreach 'take_over()', 'detach_copy()', 'leave_alliance()', q{disconnect_peer('en')}, q{rebuild_tiles('dc')},
	map { sprintf $_, q{'pg_description'} } 'ledger_table(%s)', q{protect(%s, 'description')}, 'end_ledger_table(%s)', 'unprotect(%s)', 'renew_table(%s)', q{bind_role('pg_monitor', NULL)};

# all the rest of them that writes says what PostgreSQL says, at once; nothing hangs
my @calls = split /\n/, $standby->safe_psql('postgres', q{
	SELECT format('%s(%s)', p.oid::regproc, string_agg(
		CASE WHEN a.type = 'boolean'::regtype THEN 'false' WHEN a.type::regtype::text IN ('integer', 'bigint') THEN '1'
			WHEN a.type = 'regclass'::regtype THEN '''pg_class''::regclass' WHEN a.type IN ('json'::regtype, 'jsonb'::regtype) THEN '''{}''::' || a.type::regtype
			WHEN a.type = 'uuid'::regtype THEN '''00000000-0000-0000-0000-000000000000''::uuid'
			WHEN a.type = 'bytea'::regtype THEN '''\x00''::bytea' WHEN a.type = 'text'::regtype THEN '''x'''
			ELSE 'NULL::' || a.type::regtype END, ', ' ORDER BY a.n))
	FROM pg_proc p LEFT JOIN LATERAL unnest(p.proargtypes::oid[]) WITH ORDINALITY a(type, n) ON true
	WHERE p.pronamespace = ANY ('{medchain,medchain_internal}'::regnamespace[]) AND p.provolatile = 'v' AND p.prokind = 'f' AND p.prorettype NOT IN ('trigger'::regtype, 'event_trigger'::regtype)
		AND p.proname NOT IN ('seal', 'start_workers', 'sign_envelope', 'found_alliance', 'join_alliance')
		AND NOT EXISTS (SELECT FROM unnest(p.proargtypes::oid[]) t WHERE t = ANY ('{internal,anyelement,anyarray}'::regtype[]))
	GROUP BY p.oid ORDER BY 1});
cmp_ok(scalar(@calls), '>', 30, 'calls to try');
my $slow = '';
foreach my $call (@calls)
{
	my $start = time;
	my ($rc, $out, $err) = $standby->psql('postgres', "\\set VERBOSITY verbose\nSET statement_timeout = '20s';\nSELECT $call;");
	my $took = time - $start;
	$slow .= sprintf("%s: %.1f s, %s\n", $call, $took, $err) if $took > 4 || $err =~ /ERROR:  (?:57014|XX000)/ || $rc == 2;
}
is($slow, '', 'no call hangs, crashes or fails without a reason');

# what reads, works
is($standby->safe_psql('postgres', 'SELECT origin, blocks, entries, ok FROM medchain.verify()'), 'dc|2|2|t', 'verify()');
is($standby->safe_psql('postgres', 'SELECT sealer, sealer_error, pending FROM medchain.stat'), 'down|this server is a standby: its primary seals|0', 'medchain.stat says why there is no sealer');
is($standby->safe_psql('postgres', 'SELECT origin, state FROM medchain.chains'), 'dc|own', 'medchain.chains');
is($standby->safe_psql('postgres', q{SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'medchain%'}), '0', 'no workers run there');

# databases come and go on the primary while sessions use them here
foreach my $n (1 .. 3)
{
	$primary->safe_psql('postgres', "CREATE DATABASE gone$n TEMPLATE bare");
	$primary->wait_for_catchup($standby, 'replay', $primary->lsn('insert'));
	$standby->safe_psql("gone$n", 'SELECT * FROM medchain.sealer_status()');
	$primary->safe_psql('postgres', "DROP DATABASE gone$n");
}

# a read-only transaction on the primary: what is written elsewhere may be waited for
is($primary->safe_psql('postgres', 'BEGIN READ ONLY; SELECT medchain.seal() IS NOT NULL, medchain.start_workers() IS NOT NULL; COMMIT'), 't|t', 'seal() and start_workers() write nothing themselves');
my ($rc, undef, $err) = $primary->psql('postgres', "BEGIN READ ONLY; SELECT medchain.append('visit', '{}'); COMMIT");
like($err, qr/the ledger cannot be written in a read-only transaction/, 'append() does');

# ----- promotion

$primary->stop;
$standby->promote;
$standby->poll_query_until('postgres', 'SELECT NOT pg_is_in_recovery()');
is($standby->safe_psql('postgres', 'SELECT medchain.start_workers() IS NOT NULL'), 't', 'promoted, it starts workers');
$standby->poll_query_until('postgres', q{SELECT count(*) = 2 FROM pg_stat_activity WHERE datname = 'postgres' AND backend_type IN ('medchain sealer', 'medchain keeper')})
  or die 'no workers after promotion';
pass('both of them');
unlike($standby->safe_psql('postgres', 'SELECT sealer_error FROM medchain.stat'), qr/standby/, 'medchain.stat has forgotten that it was one');

$alliance->check_logs($primary, $standby);
done_testing();
