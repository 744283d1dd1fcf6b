# What newer versions of PostgreSQL offer is used where the server has it, and not asked of
# one that has not.  And leaving leaves nothing behind.
use strict;
use warnings;

use Medchain::Alliance;
use Test::More;

my $alliance = Medchain::Alliance->new(dc => 'data_center', en => 'end_node');
$alliance->establish;
my $version = $alliance->sql('dc', q{SELECT current_setting('server_version_num')::int / 10000});

# ----- 17: waits have names

my $waits = q{SELECT string_agg(DISTINCT wait_event, ' ') FROM pg_stat_activity WHERE backend_type LIKE 'medchain %' AND wait_event_type = 'Extension'};
like($alliance->sql('dc', $waits), $version >= 17 ? qr/^MedchainLauncherMain( Medchain\w+)*$/ : qr/^Extension$/,
	'what our processes wait for can be told from what others do');

# ----- 17: slots that a standby can keep

my $field = $version >= 17 ? q{to_jsonb(s) ->> 'failover'} : q{'true'};
my $slots = qq{SELECT count(*), count(*) FILTER (WHERE $field = 'true') FROM pg_replication_slots s WHERE slot_name ^@ 'medchain_'};
is($alliance->sql($_, $slots), '1|1', "$_: its peer's slot survives the failover to a standby") foreach qw(dc en);
$alliance->sql('en', q{SELECT medchain.resync('dc')});
$alliance->sql('dc', q{SELECT medchain.append('visit', '{}', 'P1')});
$alliance->wait_for_equal_heads;
is($alliance->sql('dc', $slots), '1|1', 'and so does the one that resync() made');
if ($version >= 17)
{
	is($alliance->sql('en', q{SELECT bool_and(subfailover) FROM pg_subscription}), 't', 'the subscriptions know of it');
}

# ----- leaving, whatever else makes a slot at the peer in that moment

my $session = $alliance->cluster('dc')->background_psql('postgres');
$session->query_safe(q{BEGIN; SELECT medchain.resync('en'); ROLLBACK});
is($alliance->sql('en', q{SELECT count(*) FROM pg_replication_slots WHERE slot_name ^@ 'medchain_dc_'}), '1', 'a slot does not go with the transaction that made it');
$session->query_safe(q{BEGIN; SELECT medchain.resync('en')});
my $waiting = $alliance->cluster('dc')->background_psql('postgres');
$waiting->query_until(qr/begun/, "\\echo begun\nSELECT medchain.disconnect_peer('en');\n");
$alliance->wait_for('dc', q{SELECT count(*) > 0 FROM pg_locks WHERE NOT granted});
$session->query_safe('COMMIT');
$session->quit;
$waiting->query_safe('SELECT 1');
$waiting->quit;
is($alliance->sql('en', q{SELECT count(*) FROM pg_replication_slots WHERE slot_name ^@ 'medchain_dc_'}), '0', 'who is disconnected then has no slot of ours any more, of either');
$alliance->connect_peers('dc', 'en');
# past the first copies
$alliance->wait_for('dc', q{SELECT bool_and(srsubstate = 'r') FROM pg_subscription_rel});
$alliance->sql('en', 'SELECT medchain.leave_alliance()');
$alliance->fails_like('dc', q{SELECT medchain.resync('en')}, qr/"en" publishes no chain.*has left its alliance/s, 'nobody makes a slot at a server that has left');
is($alliance->sql('en', 'SELECT count(*) FROM pg_replication_slots'), '0', 'so it has none');
$alliance->sql($_, 'SELECT medchain.leave_alliance()') foreach qw(dc);
is($alliance->sql($_, q{SELECT (SELECT count(*) FROM pg_subscription), (SELECT count(*) FROM pg_replication_slots)}), '0|0', "$_: nothing is left of it")
	foreach qw(dc en);
$alliance->check_logs;
done_testing();
