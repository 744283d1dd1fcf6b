# Chains on their way between databases: held until configured, fetched late, caught
# up with after an absence, given up, fetched anew; and leaving for good.
use strict;
use warnings;

use Medchain::Alliance;
use Test::More;

my $alliance = Medchain::Alliance->new(
	dc => 'data_center', en => 'end_node', ha => 'chain_node', hb => 'chain_node');

sub conninfo_of { my ($name) = @_; return $alliance->conninfo($name); }

# ----- two nodes in two databases of one server: dc and en share it

my $shared = $alliance->start('dc');
$alliance->start('en', cluster => $shared, dbname => 'en');
$alliance->start('ha');
$alliance->found;
$alliance->admit($_) foreach qw(en ha);
# A slot of one's own server can only be made while no transaction runs that has written: join_alliance()
# has written nothing yet when it makes it.
$alliance->join_alliance('en');
$alliance->connect_peers('dc', 'en');
$alliance->wait_for_equal_heads(qw(dc en));
is($alliance->sql('dc', q{SELECT count(*) FROM pg_replication_slots WHERE slot_name LIKE 'medchain\_%' AND active}), '2',
	'two databases of one server follow each other, through slots of different names');
is($alliance->sql('dc', q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'medchain sealer'}), '2', 'each with a sealer of its own');

# ----- held until configured

$alliance->join_alliance('ha');
$alliance->connect_peers($_, 'ha') foreach qw(dc en);
$alliance->connect_peers('ha', 'en');
$alliance->sql('ha', q{SELECT medchain.append('visit', '{}', 'P1')});
$alliance->sql('ha', 'SELECT medchain.seal()');
foreach my $name (qw(dc en))
{
	# the first copies of the two tables come one after the other
	$alliance->wait_for($name, q{SELECT held_blocks, waiting_entries FROM medchain.chains WHERE origin = 'ha'}, '2|2');
	is($alliance->sql($name, q{SELECT state, height, entries, waiting_entries, lag > '0' FROM medchain.chains WHERE origin = 'ha'}),
		'held, not configured|||2|t', "$name holds the chain that is not configured");
	is($alliance->sql($name, q{SELECT count(*) FROM medchain.entry WHERE origin = 'ha'}), '0', "$name has none of its entries in the ledger");
	is($alliance->sql($name, 'SELECT count(*) FROM medchain.quarantine'), '0', "$name refuses nothing of it");
}
$alliance->configure('en', 'ha');
$alliance->wait_for_equal_heads(qw(dc en ha));
is($alliance->sql('dc', q{SELECT state, height, entries, held_blocks FROM medchain.chains WHERE origin = 'ha'}), 'verified|1|2|0',
	'accepted as soon as it is configured');
$alliance->equal_ok(qw(dc en ha));

# ----- a late joiner gets everything that was before

$alliance->sql('ha', q{SELECT medchain.append('visit', json_build_object('n', i), 'P' || i) FROM generate_series(1, 300) i});
$alliance->start('hb');
$alliance->admit('hb');
$alliance->join_alliance('hb');
$alliance->connect_peers('hb', qw(en ha));
$alliance->connect_peers($_, 'hb') foreach qw(dc en ha);
$alliance->configure('en', 'hb');
$alliance->wait_for_equal_heads;
$alliance->equal_ok;
$alliance->wait_for('hb', q{SELECT count(*) FROM medchain.peers WHERE state = 'streaming'}, '3');

# ----- an absent peer catches up, and nobody waits for it

$alliance->cluster('hb')->stop('fast');
$alliance->sql('ha', q{SELECT medchain.append('visit', json_build_object('n', i), 'P' || i) FROM generate_series(1, 200) i});
my $protocol = $alliance->sql('en', q{SELECT medchain.issue_protocol('P1', 'care', '[{"grantee": "hb", "operations": ["query"]}]')});
$alliance->wait_for_equal_heads(qw(dc en ha));
$alliance->wait_for('ha', q{SELECT follower_state FROM medchain.peers WHERE member = 'hb'}, 'away');
cmp_ok($alliance->sql('ha', q{SELECT follower_lag_bytes FROM medchain.peers WHERE member = 'hb'}), '>', 0, 'the absent peer lags behind');
$alliance->cluster('hb')->start;
$alliance->wait_for_equal_heads;
is($alliance->sql('hb', 'SELECT state FROM medchain.protocols'), 'active', 'it has what was issued meanwhile');
$alliance->equal_ok;

# ----- disconnect_peer() takes subscription and slot, and keeps what has arrived

my $slot = $alliance->sql('hb', q{SELECT slot FROM medchain.peer WHERE member = 'ha'});
is($alliance->sql('ha', "SELECT count(*) FROM pg_replication_slots WHERE slot_name = '$slot'"), '1', 'hb follows ha through a slot at ha');
my $before = $alliance->head('hb', 'ha');
$alliance->sql('hb', q{SELECT medchain.disconnect_peer('ha')});
is($alliance->sql('hb', "SELECT count(*) FROM pg_subscription WHERE subname = '$slot'"), '0', 'the subscription is gone');
is($alliance->sql('ha', "SELECT count(*) FROM pg_replication_slots WHERE slot_name = '$slot'"), '0', 'the slot is gone');
is($alliance->sql('hb', q{SELECT state FROM medchain.peers WHERE member = 'ha'}), 'not connected', 'view peers says so');
is($alliance->head('hb', 'ha'), $before, 'what has arrived stays');
$alliance->fails_like('hb', q{SELECT medchain.disconnect_peer('ha')}, qr/"ha" is not connected/, 'disconnecting twice is an error');
$alliance->fails_like('hb', q{SELECT medchain.resync('ha')}, qr/"ha" is not connected.*HINT:.*connect_peer/s, 'and so is a resync');

$alliance->sql('ha', q{SELECT medchain.append('visit', '{"n": "while disconnected"}')});
$alliance->sql('ha', 'SELECT medchain.seal()');
$alliance->wait_for_equal_heads(qw(dc en ha));
is($alliance->head('hb', 'ha'), $before, 'nothing arrives while disconnected');
$alliance->connect_peers('hb', 'ha');
$alliance->wait_for_equal_heads;
$alliance->equal_ok;

# ----- resync() fetches everything again, and takes nothing twice

my $entries = $alliance->sql('hb', q{SELECT count(*), md5(string_agg(payload, '' ORDER BY seq)) FROM medchain.entry WHERE origin = 'ha'});
$alliance->sql('hb', q{SELECT medchain.resync('ha')});
$alliance->wait_for('hb', q{SELECT state FROM medchain.peers WHERE member = 'ha'}, 'streaming');
is($alliance->sql('hb', q{SELECT count(*), md5(string_agg(payload, '' ORDER BY seq)) FROM medchain.entry WHERE origin = 'ha'}), $entries,
	'after a resync the chain is what it was');
is($alliance->sql('hb', 'SELECT (SELECT count(*) FROM medchain.held_entry), (SELECT count(*) FROM medchain.held_block), (SELECT count(*) FROM medchain.quarantine)'),
	'0|0|0', 'nothing is held or in quarantine of what was known');
$alliance->sql('ha', q{SELECT medchain.append('visit', '{"n": "after the resync"}')});
$alliance->wait_for_equal_heads;
$alliance->verify_ok;

# ----- an unreachable peer's slot: a warning that says what is left

my $hb_slot_at_ha = $alliance->sql('hb', q{SELECT slot FROM medchain.peer WHERE member = 'ha'});
$alliance->cluster('ha')->stop('fast');
my ($rc, undef, $err) = $alliance->try('hb', q{SELECT medchain.disconnect_peer('ha')});
is($rc, 0, 'disconnecting works while the peer cannot be reached');
like($err, qr/WARNING:  replication slot "$hb_slot_at_ha" could not be dropped at "ha".*HINT:.*pg_drop_replication_slot\('$hb_slot_at_ha'\)/s,
	'and says which slot is left there');
$alliance->cluster('ha')->start;
is($alliance->sql('ha', "SELECT count(*) FROM pg_replication_slots WHERE slot_name = '$hb_slot_at_ha'"), '1', 'the slot is left');
$alliance->connect_peers('hb', 'ha');
$alliance->sql('ha', q{SELECT medchain.append('visit', '{"n": "after reconnecting"}')});
$alliance->wait_for_equal_heads;
is($alliance->sql('ha', 'SELECT count(*) FROM pg_replication_slots'), '3', 'connecting again uses that slot\'s name anew');

# ----- leaving: nothing is left behind

$alliance->fails_like('hb', 'DROP EXTENSION medchain', qr/cannot be dropped while this database uses it.*DETAIL:.*publication.*subscription.*HINT:.*leave_alliance/s,
	'DROP EXTENSION is refused while the node takes part');
$alliance->sql($_, q{SELECT medchain.disconnect_peer('hb')}) foreach qw(dc en ha);
$alliance->sql('hb', 'SELECT medchain.leave_alliance()');
foreach my $name (qw(dc ha))
{
	is($alliance->sql($name, q{SELECT count(*) FROM pg_replication_slots WHERE slot_name LIKE 'medchain\_hb\_%'}), '0', "$name has no slot of the node that left");
}
is($alliance->sql('hb', 'SELECT (SELECT count(*) FROM pg_subscription), (SELECT count(*) FROM pg_publication), (SELECT count(*) FROM pg_replication_slots)'),
	'0|0|0', 'leave_alliance() leaves no subscription, publication or slot');
$alliance->sql('hb', 'DROP EXTENSION medchain');
is($alliance->sql('hb', q{SELECT count(*) FROM pg_namespace WHERE nspname = 'medchain'}), '0', 'then DROP EXTENSION works');
is($alliance->sql('hb', q{SELECT count(*) FROM pg_proc WHERE proname = 'found_alliance' OR prosrc LIKE 'medchain%'}), '0', 'and leaves no function');
$alliance->wait_for('hb', q{SELECT count(*) FROM pg_stat_activity WHERE backend_type IN ('medchain sealer', 'medchain keeper')}, '0');
pass('the workers have gone');

# the others go on, one of them by leaving while it is still followed
$alliance->sql('ha', 'SELECT medchain.leave_alliance()');
is($alliance->sql('ha', 'SELECT (SELECT count(*) FROM pg_subscription), (SELECT count(*) FROM pg_publication), (SELECT count(*) FROM pg_replication_slots)'),
	'0|0|0', 'leave_alliance() of a node that others follow');
$alliance->sql('ha', 'DROP EXTENSION medchain');
$alliance->sql('dc', q{SELECT medchain.append('visit', '{"n": "without them"}')});
$alliance->wait_for_equal_heads(qw(dc en));
$alliance->verify_ok(qw(dc en));
$alliance->check_logs;

done_testing();
