# PostgreSQL 17 and later: a standby keeps the slots of the peers.  When it takes over at the address of its primary, they go on
# following it where they were, and fetch nothing anew.
use strict;
use warnings;

use Medchain::Alliance;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $standby = PostgreSQL::Test::Cluster->new('standby');
plan skip_all => 'slots are not kept by standbys before PostgreSQL 17' if $standby->pg_version < 17;

my $alliance = Medchain::Alliance->new(dc => 'data_center', en => 'end_node');
$alliance->establish;
my $primary = $alliance->cluster('dc');

sub visit { my ($n) = @_; return "SELECT medchain.append('visit', '{\"n\": $n}')"; }

# ----- a standby as the manual has it ("Replication Slot Synchronization")

$alliance->sql('dc', q{SELECT pg_create_physical_replication_slot('standby', true)});
$primary->backup('base');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->append_conf('postgresql.conf', "primary_conninfo = '" . ($primary->connstr('postgres') =~ s/'/''/gr) . q{'
primary_slot_name = 'standby'
hot_standby_feedback = on
sync_replication_slots = on
});
$standby->start;
my $kept = q{SELECT count(*) FROM pg_replication_slots WHERE slot_name ^@ 'medchain_' AND to_jsonb(pg_replication_slots) ->> 'synced' = 'true' AND NOT temporary};
# it comes only when the publisher has gone on
for (my $n = 1; $n <= 600 && $standby->safe_psql('postgres', $kept) ne '1'; $n++)
{
	$alliance->sql('dc', visit($n));
	$alliance->wait_for_equal_heads;
	select undef, undef, undef, 0.1;
}
is($standby->safe_psql('postgres', $kept), '1', 'the standby has the slot of the peer');
$alliance->sql('dc', q{ALTER SYSTEM SET synchronized_standby_slots = 'standby'; SELECT pg_reload_conf()});
$alliance->sql('dc', visit(1000));
$alliance->wait_for_equal_heads;
my $slot = $alliance->sql('en', q{SELECT slot FROM medchain.peer WHERE member = 'dc'});
my $ahead = $primary->safe_psql('postgres', 'SELECT pg_current_wal_lsn()');
ok($standby->poll_query_until('postgres', "SELECT confirmed_flush_lsn <= pg_last_wal_replay_lsn() FROM pg_replication_slots WHERE slot_name = '$slot'"), 'which is not ahead of it');

# ----- the primary is lost; the standby has its address

my $offset = -s $alliance->cluster('en')->logfile;
$alliance->sql('dc', visit(1001));
$primary->wait_for_catchup($standby, 'replay', $primary->lsn('flush'));
$primary->stop('immediate');
$standby->stop;
$standby->{_port} = $primary->port;
$standby->append_conf('postgresql.conf', 'port = ' . $primary->port . "\nsynchronized_standby_slots = ''");
$standby->start;
$standby->promote;
$alliance->{node}{dc}{cluster} = $standby;
$alliance->wait_for('dc', 'SELECT NOT pg_is_in_recovery()');
$alliance->sql('dc', visit(1002));
$alliance->sql('en', visit(1));
$alliance->wait_for_equal_heads;
$alliance->equal_ok;
is($alliance->sql('en', q{SELECT count(*) FROM medchain.entry WHERE origin = 'dc' AND payload ~ '"n": ?100[012]'}), '3', 'all that was sealed before and after has arrived');
is($alliance->sql('dc', "SELECT active FROM pg_replication_slots WHERE slot_name = '$slot'"), 't', 'by the slot that the standby had kept');
unlike(PostgreSQL::Test::Utils::slurp_file($alliance->cluster('en')->logfile, $offset), qr/was lost; its chain is fetched anew/, 'and nothing was fetched anew');
is($alliance->sql('dc', q{SELECT string_agg(subscription || '', ',') FROM medchain.peer p JOIN pg_subscription s ON s.subname = p.subscription AND s.subenabled}) ne '', 1,
	'it follows its peers as well');
$alliance->verify_ok;
$alliance->check_logs($primary, $alliance->cluster('en'), $standby);
done_testing();
