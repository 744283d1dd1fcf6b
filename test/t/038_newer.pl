# What newer versions of PostgreSQL offer is used where the server has it, and not asked of
# one that has not.
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

# ----- leaving

$alliance->sql($_, 'SELECT medchain.leave_alliance()') foreach qw(en dc);
is($alliance->sql($_, q{SELECT (SELECT count(*) FROM pg_subscription), (SELECT count(*) FROM pg_replication_slots)}), '0|0', "$_: nothing is left of it")
	foreach qw(dc en);
$alliance->check_logs;
done_testing();
