# A node that is older than it was - a standby that was promoted with WAL lost, a backup, a snapshot of the disk - takes back
# what its peers have of its own chain before it seals anything, also with only one of them up; with none it waits, or is told.
use strict;
use warnings;

use Medchain::Alliance;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $alliance = Medchain::Alliance->new(dc => 'data_center', en => 'end_node', ha => 'chain_node');

$alliance->establish;
$alliance->sql('ha', q{
	CREATE TABLE device_log (id int PRIMARY KEY, what text);
	SELECT medchain.ledger_table('device_log')});
my $ha = $alliance->cluster('ha');
my @peers = qw(dc en);

sub visit { my ($n) = @_; return "SELECT medchain.append('visit', '{\"n\": $n}')"; }

# Sealed at ha, and known to its peers.
sub happens
{
	my ($n) = @_;
	$alliance->sql('ha', visit($n) . "; INSERT INTO device_log VALUES ($n, 'x')");
	$alliance->wait_for_equal_heads;
	return;
}

# Which visits are on the chain of ha, as this node has it.
sub visits
{
	my ($name) = @_;
	return $alliance->sql($name, q{SELECT string_agg(payload::jsonb #>> '{body,n}', ',' ORDER BY seq) FROM medchain.entry WHERE origin = 'ha' AND kind = 'visit'});
}

# ha is this cluster from now on: its peers follow it there.
sub moves
{
	my ($cluster) = @_;
	$alliance->{node}{ha} = { cluster => $cluster, dbname => 'postgres' };
	foreach my $peer (@peers)
	{
		$alliance->sql($peer, q{SELECT medchain.disconnect_peer('ha')});
		$alliance->connect_peers($peer, 'ha');
	}
	return;
}

# Nothing contradicts anything, and all have the same.
sub is_whole
{
	my ($title) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	$alliance->wait_for_equal_heads;
	$alliance->equal_ok;
	is($alliance->sql($_, q{SELECT string_agg(reason, ', ') FROM medchain.quarantine}), '', "$title: $_ has refused nothing") foreach $alliance->members;
	is($alliance->sql('ha', q{SELECT string_agg(fault || ': ' || detail, '; ') FROM medchain.verify() WHERE NOT ok}), '', "$title: the chains verify");
	return;
}

# ----- a standby that did not get the newest WAL

$ha->backup('standby');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($ha, 'standby', has_streaming => 1);
$standby->start;
happens(1);
# an entry waits for the sealer there, which has been sealed here
$alliance->use_key('ha', 'nobody');
$alliance->wait_for('ha', q{SELECT sealer = 'failed' FROM medchain.stat});
$alliance->sql('ha', visit(2));
$ha->wait_for_catchup($standby, 'replay', $ha->lsn('insert'));
$standby->stop;
$alliance->use_key('ha', 'ha');
$alliance->wait_for('ha', q{SELECT sealer = 'running' FROM medchain.stat});
happens(3);
$ha->stop('immediate');
$alliance->cluster($_)->stop foreach @peers;
$standby->append_conf('postgresql.conf', sprintf("medchain.signing_key = '%s'", $alliance->pki('ha.key')));
$standby->start;
$standby->promote;
is($standby->safe_psql('postgres', 'SELECT medchain.is_copy()'), 'f', 'promoted, it is the node');
$alliance->{node}{ha} = { cluster => $standby, dbname => 'postgres' };
$alliance->sql('ha', visit(4));
$alliance->wait_for('ha', q{SELECT sealer = 'failed' AND sealer_error ~ '^no peer can be asked whether it has more' FROM medchain.stat});
is($alliance->sql('ha', 'SELECT count(*) FROM medchain.pending'), '2', 'without peers, what is appended waits');
$alliance->fails_like('ha', 'SELECT medchain.seal()', qr/no peer can be asked whether it has more of this node's chain/, 'seal() says why');
is($alliance->sql('ha', q{SELECT severity, hint ~ 'take_over\(without_peers => true\)' FROM medchain.check() WHERE area = 'workers' AND finding ~ 'no peer can be asked'}),
	'error|t', 'and check(), with the way out');
is($alliance->sql('ha', q{SELECT finding ~ 'no peer' FROM medchain_internal.troubles() WHERE subject = 'sealer'}), 't', 'which is trouble to be told of');
$alliance->cluster('en')->start;
$alliance->sql('ha', 'SELECT medchain.seal()') if $alliance->wait_for('ha', q{SELECT sealer = 'running' FROM medchain.stat}) || 1;
is(visits('ha'), '1,2,3,4', 'one peer is enough: what was lost is back, what waited behind it, and nothing twice');
is($alliance->sql('ha', q{SELECT string_agg(id::text, ',') FROM device_log}), '1', 'a row of a table that is lost does not come back');
is($alliance->sql('ha', q{SELECT count(*) > 0 FROM medchain.verify_table('device_log')}), 't', 'which verify_table() says');
$alliance->cluster('dc')->start;
moves($standby);
$alliance->sql('ha', q{SELECT medchain.renew_table('device_log', 'a row was lost with the standby')});
is_whole('promoted');

# ----- a base backup, of some time ago

my $slots = q{SELECT string_agg(slot_name || ' ' || coalesce(active_pid::text, 'away'), ', ' ORDER BY slot_name) FROM pg_replication_slots WHERE slot_name ~ 'medchain_ha'};
$standby->backup('old');
happens(5);
$alliance->sql('ha', visit(6));
$alliance->wait_for_equal_heads;
my $before = join('; ', map { $alliance->sql($_, $slots) } @peers);

# for a test, while the node goes on
my $copy = PostgreSQL::Test::Cluster->new('copy');
$copy->init_from_backup($standby, 'old');
$copy->start;
is($copy->safe_psql('postgres', 'SELECT medchain.is_copy()'), 't', 'a base backup knows that it is a copy');
$copy->safe_psql('postgres', q{SELECT medchain.start_workers()});
ok($copy->poll_query_until('postgres', 'SELECT count(*) = 0 FROM pg_subscription'), 'and follows nobody');
is(join('; ', map { $alliance->sql($_, $slots) } @peers), $before, 'nor did it take the place of the node anywhere');
unlike(slurp_file($copy->logfile), qr/connection to server|replication slot .* is active/, 'nor try');
my ($rc, undef, $err) = $copy->psql('postgres', visit(0));
like($err, qr/copy of node "ha".*take_over/s, 'it writes on no chain');
$copy->restart;
is($copy->safe_psql('postgres', 'SELECT medchain.is_copy()'), 't', 'nor does it forget that when it starts again');
($rc, undef, $err) = $copy->psql('template1', 'DROP DATABASE postgres');
is($rc, 0, 'it is dropped as any other database') or diag $err;
is(join('; ', map { $alliance->sql($_, $slots) } @peers), $before, 'and what is at the peers stays the node\'s');
$copy->stop;

# for good, as the node is gone, and one of its peers is away
$standby->stop('immediate');
$alliance->cluster($_)->stop foreach @peers;
my $restored = PostgreSQL::Test::Cluster->new('restored');
$restored->init_from_backup($standby, 'old');
$restored->start;
($rc, undef, $err) = $restored->psql('postgres', 'SELECT medchain.take_over()');
like($err, qr/no peer can be asked what it has of the chain of "ha".*HINT:  [^\n]*without_peers => true/s, 'without peers it does not take over, and says how it can');
is($restored->safe_psql('postgres', 'SELECT medchain.is_copy()'), 't', 'and is the copy that it was');
$alliance->cluster('dc')->start;
($rc, undef, $err) = $restored->psql('postgres', 'SELECT medchain.take_over(); SELECT medchain.seal()');
is($rc, 0, 'with one of them it does') or diag $err;
like($err, qr/NOTICE:  this copy, with blocks up to \d+, is older than the node "ha".*DETAIL:  These have more: "dc"/s, 'and says what comes back');
$alliance->{node}{ha} = { cluster => $restored, dbname => 'postgres' };
is(visits('ha'), '1,2,3,4,5,6', 'all of it');
is($alliance->sql('ha', q{SELECT string_agg(kind, ',' ORDER BY seq) FROM (SELECT kind, seq FROM medchain.entry WHERE origin = 'ha' AND kind IN ('visit', 'member.take_over') ORDER BY seq DESC LIMIT 2) x}),
	'visit,member.take_over', 'before anything new');
like(slurp_file($restored->logfile), qr/blocks \d+ to \d+ of this node's own chain were taken back from its peers/, 'the log has it');
$alliance->cluster('en')->start;
moves($restored);
$alliance->sql('ha', 'SELECT medchain.resync(member) FROM medchain.peers WHERE state = $$subscription missing$$');
$alliance->sql('ha', q{SELECT medchain.renew_table('device_log', 'rows were lost with the server')});
is_whole('restored');

# ----- a snapshot of the disk, which says nothing: the start of the server is enough to ask

$restored->stop;
PostgreSQL::Test::Utils::system_or_bail("cp", "-a", $restored->data_dir, $restored->data_dir . ".old");
$restored->start;
happens(7);
$restored->stop('immediate');
PostgreSQL::Test::Utils::system_or_bail('rm', '-rf', $restored->data_dir);
rename($restored->data_dir . '.old', $restored->data_dir) or die $!;
$restored->start;
$alliance->sql('ha', visit(8) . '; SELECT medchain.seal()');
is(visits('ha'), '1,2,3,4,5,6,7,8', 'a snapshot: what was lost is back before what is new');
$alliance->sql('ha', q{SELECT medchain.renew_table('device_log', 'a row was lost with the disk')});
is_whole('snapshot');

# ----- nobody can be asked, and the administrator knows that nothing is missing

$restored->backup('newest');
$restored->stop;
$alliance->cluster($_)->stop foreach @peers;
my $alone = PostgreSQL::Test::Cluster->new('alone');
$alone->init_from_backup($restored, 'newest');
$alone->start;
($rc, undef, $err) = $alone->psql('postgres', 'SELECT medchain.take_over(without_peers => true); SELECT medchain.seal()');
is($rc, 0, 'told so, it goes on') or diag $err;
$alliance->{node}{ha} = { cluster => $alone, dbname => 'postgres' };
is($alliance->sql('ha', q{SELECT payload::jsonb #>> '{body,without_peers}' FROM medchain.entry WHERE kind = 'member.take_over' AND origin = 'ha' ORDER BY seq DESC LIMIT 1}), 'true', 'which is on the ledger');
$alone->restart;
$alliance->sql('ha', visit(9) . '; SELECT medchain.seal()');
is(visits('ha'), '1,2,3,4,5,6,7,8,9', 'a server that is only restarted does not need them either');
like(slurp_file($alone->logfile), qr/this node's chain goes on, although 2 peers could not be asked/, 'and says so');
$alliance->cluster($_)->start foreach @peers;
moves($alone);
$alliance->sql('ha', 'SELECT medchain.resync(member) FROM medchain.peers WHERE state = $$subscription missing$$');
is_whole('alone');
$alliance->check_logs(map { $alliance->cluster($_) } $alliance->members);
done_testing();
