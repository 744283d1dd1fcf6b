# What does not end an instance and keeps it from the others: a network that is cut, a slot that is lost as its member was away for
# too long, a disk that is full, a subscription that somebody drops.  Nobody has to do anything but mend the cause.
use strict;
use warnings;

use Medchain::Alliance;
use PostgreSQL::Test::Utils;
use Test::More;

my $alliance = Medchain::Alliance->new(dc => 'data_center', en => 'end_node', ha => 'chain_node');

$alliance->start('dc', conf => "max_slot_wal_keep_size = 1MB\nwal_keep_size = 0\nmin_wal_size = 32MB\nmax_wal_size = 32MB\n");
$alliance->establish;
my ($dc, $ha) = map { $alliance->cluster($_) } 'dc', 'ha';

sub visit { my ($n) = @_; return "SELECT medchain.append('visit', '{\"n\": $n}'); SELECT medchain.seal()"; }

sub all_is_well
{
	my ($title) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	$alliance->wait_for_equal_heads;
	$alliance->equal_ok;
	is($alliance->sql($_, 'SELECT count(*) FROM medchain.quarantine'), '0', "$title: $_ has refused nothing") foreach $alliance->members;
	return;
}

# ----- the network is cut, and heals

my $hba = slurp_file($dc->data_dir . '/pg_hba.conf');
unlink $dc->data_dir . '/pg_hba.conf';
append_to_file($dc->data_dir . '/pg_hba.conf', "local all sync reject\n$hba");
$dc->reload;
$alliance->sql('dc', 'SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_replication');
$alliance->sql($_, visit(1)) foreach $alliance->members;
$alliance->wait_for('ha', q{SELECT height >= 0 FROM medchain.chains WHERE origin = 'en'});
is($alliance->sql('ha', q{SELECT state IN ('down', 'failing') FROM medchain.peers WHERE member = 'dc'}), 't', 'cut off: peers says so');
unlink $dc->data_dir . '/pg_hba.conf';
append_to_file($dc->data_dir . '/pg_hba.conf', $hba);
$dc->reload;
all_is_well('healed');

# ----- a member is away for so long that its slot is lost

my $slot = $alliance->sql('ha', q{SELECT slot FROM medchain.peer WHERE member = 'dc'});
$ha->stop;
$alliance->sql('dc', 'CREATE TABLE filler (x text)');
foreach my $n (1 .. 20)
{
	$alliance->sql('dc', q{INSERT INTO filler SELECT repeat('x', 1000) FROM generate_series(1, 5000); SELECT pg_switch_wal(); CHECKPOINT});
	last if $alliance->sql('dc', "SELECT wal_status FROM pg_replication_slots WHERE slot_name = '$slot'") eq 'lost';
}
is($alliance->sql('dc', "SELECT wal_status FROM pg_replication_slots WHERE slot_name = '$slot'"), 'lost', 'away too long: the slot is lost');
$alliance->sql('dc', visit(2));
$ha->start;
all_is_well('away too long: it resyncs by itself');
like(slurp_file($ha->logfile), qr/the slot at "dc", or the publication, was lost; its chain is fetched anew/, 'and says so');
is($alliance->sql('dc', "SELECT count(*) FROM pg_replication_slots WHERE slot_name = '$slot'"), '0', 'the lost slot is gone');

# ----- a subscription dropped by hand

my $subscription = $alliance->sql('ha', q{SELECT subscription FROM medchain.peer WHERE member = 'dc'});
$alliance->fails_like('ha', "DROP SUBSCRIPTION $subscription", qr/is how node "ha" follows "dc".*HINT:  Call medchain.disconnect_peer/s, 'a subscription is not dropped by hand');

# ----- the disk of a peer is full, as far as the server can tell

$ha->stop;
system_or_bail('sh', '-c', sprintf('ulimit -S -f 34816 && exec pg_ctl -w -D %s -l %s -o "--cluster-name=ha" start >/dev/null', $ha->data_dir, $ha->logfile));
$ha->_update_pid(1);
foreach my $n (1 .. 10)
{
	$alliance->sql('dc', q{SET client_min_messages = error; SELECT count(medchain.append('visit', json_build_object('x', (SELECT string_agg(md5(i::text || random()::text), '')
		FROM generate_series(1, 500) i WHERE n > 0)))) FROM generate_series(1, 300) n});
	$alliance->sql('dc', 'SELECT medchain.seal()');
}
$alliance->wait_for('ha', q{SELECT blocked ~ 'could not (extend|write)|No space|File too large' FROM medchain.chains WHERE origin = 'dc' UNION ALL
	SELECT last_error ~ 'could not (extend|write)|File too large' FROM medchain.peers WHERE member = 'dc' ORDER BY 1 DESC NULLS LAST LIMIT 1});
pass('a full disk: it says so');
$alliance->sql('en', visit(3));
$ha->stop('immediate');
$ha->start;
all_is_well('a full disk: with room, it goes on');
$alliance->verify_ok;
$alliance->check_logs;
done_testing();
