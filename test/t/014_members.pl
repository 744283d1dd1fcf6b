# Suspension and expulsion: which entries count is decided alike by a node that sees it happen, by one that hears
# the member before the data centre, and by one that hears the data centre first; whatever times the member writes.
use strict;
use warnings;

use Medchain::Alliance;
use Test::More;

my $alliance = Medchain::Alliance->new(dc => 'data_center', en => 'end_node', bad => 'end_node', late => 'chain_node');
my @honest = qw(dc en late);

$alliance->establish;
my $grants = q{[{"grantee": "late", "operations": ["query"]}, {"grantee": "bad", "operations": ["query"]}]};
my $before = $alliance->sql('bad', "SELECT medchain.issue_protocol('P1', 'text', '$grants')");
my $others = $alliance->sql('en', "SELECT medchain.issue_protocol('P2', 'text', '$grants')");
$alliance->wait_for_equal_heads;

sub rejected
{
	my ($name) = @_;
	return $alliance->sql($name, q{SELECT kind, reason FROM medchain.rejections WHERE origin = 'bad' ORDER BY seq});
}

# ----- suspended

$alliance->fails_like('en', q{SELECT medchain.suspend('bad', 'x')}, qr/for members of kind data_center/, 'only the data centre suspends');
$alliance->fails_like('dc', q{SELECT medchain.suspend('nobody', 'x')}, qr/there is no member "nobody"/, 'members');
$alliance->fails_like('dc', q{SELECT medchain.suspend('dc', 'x')}, qr/other members than the data centre/, 'not itself');
$alliance->fails_like('dc', q{SELECT medchain.reinstate('bad')}, qr/is not suspended/, 'who is not suspended is not reinstated');
$alliance->sql('bad', q{SELECT medchain_internal.append_raw('suspend', '{"member": "en", "reason": "x", "last": {"height": -1, "size": 0}}', NULL, true)});
$alliance->wait_for_equal_heads;
is(rejected('dc'), 'suspend|only the data centre suspends members', 'nor has an entry of somebody else effect');
is($alliance->sql('dc', q{SELECT count(*) FROM medchain.active_grant}), '4', 'grants in force before');

$alliance->unfollow('late', qw(dc en bad));
$alliance->unfollow('bad', 'dc');
$alliance->sql('dc', q{SELECT medchain.suspend('bad', 'audit of its consents')});
$alliance->fails_like('dc', q{SELECT medchain.suspend('bad', 'x')}, qr/is suspended already/, 'once');
is($alliance->sql('dc', q{SELECT state, reason FROM medchain.members WHERE member = 'bad'}), 'suspended|audit of its consents', 'the view says so and why');
is($alliance->sql('dc', q{SELECT DISTINCT protocol, grantee FROM medchain.active_grant}), "$others|late", 'what it granted and what it was granted is dormant');

# it does not know, or does not care, and writes what times it likes
$alliance->sql('bad', "SELECT medchain.issue_protocol('P3', 'during', '$grants')");
$alliance->forge_entry('bad', 'protocol', $alliance->protocol_body('bad', 'P4', 'late'), q{encode(medchain.pseudonym('P4'), 'hex')}, q{now() - interval '1 day'});
$alliance->forge_entry('bad', 'revocation', qq{'{"protocol": "$before", "reason": "mine"}'}, q{encode(medchain.pseudonym('P1'), 'hex')}, q{now() - interval '1 day'});
$alliance->wait_for('dc', q{SELECT height FROM medchain.chains WHERE origin = 'bad'}, $alliance->sql('bad', q{SELECT height FROM medchain.chains WHERE origin = 'bad'}));
is((split /\n/, rejected('dc'))[$_], ('protocol', 'protocol', 'revocation')[ $_ - 1 ] . '|the member was suspended', 'entry ' . $_ . ' of the time has no effect, back-dated or not')
  foreach 1 .. 3;
$alliance->follow('bad', 'dc');
$alliance->wait_for('bad', q{SELECT state = 'suspended' FROM medchain.members WHERE member = 'bad'});
$alliance->fails_like('bad', "SELECT medchain.issue_protocol('P3', 'during', '$grants')", qr/"bad" is suspended.*Reason: audit/s, 'its own functions say so');

# ----- and reinstated

$alliance->wait_for_equal_heads(qw(dc en bad));
$alliance->sql('dc', q{SELECT medchain.reinstate('bad')});
$alliance->wait_for('bad', q{SELECT state = 'active' FROM medchain.members WHERE member = 'bad'});
my $after = $alliance->sql('bad', "SELECT medchain.issue_protocol('P5', 'after', '$grants')");
$alliance->forge_entry('bad', 'protocol', $alliance->protocol_body('bad', 'P6', 'late'), q{encode(medchain.pseudonym('P6'), 'hex')},
	q{(SELECT suspended FROM (SELECT lower(during) + (upper(during) - lower(during)) / 2 AS suspended FROM medchain.exclusion) x)});
$alliance->wait_for_equal_heads(qw(dc en bad));
my $expected = rejected('dc');
is(scalar(split(/\n/, $expected)), 5, 'after it, an entry dated into the suspension has no effect');
is($alliance->sql('dc', qq{SELECT count(*) FROM medchain.active_grant WHERE protocol IN ('$before', '$after')}), '4', 'one of now has, and the old grants are awake');

$alliance->follow('late', qw(bad en dc));
$alliance->wait_for_equal_heads;
is(rejected('late'), $expected, 'who hears the member first and the data centre last rejects the same');
$alliance->equal_ok;

# from scratch: the data centre first, the member last
$alliance->unfollow('late', 'bad');
$alliance->sql('late', q{SELECT medchain.resync('dc')});
$alliance->follow('late', 'bad');
$alliance->wait_for_equal_heads;
$alliance->verify_ok;

# ----- expelled: en hears of it after it has accepted more, late before

my $last = $alliance->head('dc', 'bad');
$alliance->unfollow('en',  'dc');
$alliance->unfollow('bad', 'dc');
$alliance->unfollow('late', qw(dc bad));
$alliance->unfollow('dc', 'bad');
$alliance->sql('bad', "SELECT medchain.issue_protocol('P7', 'not heard by the data centre', '$grants')");
$alliance->sql('bad', 'SELECT medchain.seal()');
$alliance->wait_for('en', q{SELECT EXISTS (SELECT FROM medchain.protocol WHERE protocol_text = 'not heard by the data centre')});
$alliance->sql('dc', q{SELECT medchain.expel('bad', 'forged consents')});
$alliance->fails_like('dc', $_, qr/"bad" was expelled/, "no more: " . (/medchain\.(\w+)/)[0])
  foreach q{SELECT medchain.expel('bad', 'x')}, q{SELECT medchain.suspend('bad', 'x')}, q{SELECT medchain.amend_contract('bad')},
  q{SELECT medchain.admit('bad', 'end_node', '} . $alliance->certificate('bad') . q{')};
is($alliance->sql('dc', q{SELECT last_height FROM medchain.member WHERE name = 'bad'}), (split / /, $last)[0], 'the last block that the data centre has is the last that counts');

$alliance->follow('en', 'dc');
$alliance->wait_for('en', q{SELECT state = 'expelled' FROM medchain.members WHERE member = 'bad'});
is($alliance->sql('en', q{SELECT count(*) FROM medchain.protocol WHERE protocol_text = 'not heard by the data centre'}), '0', 'en has more, which counts no longer');
like(rejected('en'), qr/^protocol\|the member was expelled: its chain counts up to block \d+$/m, 'and says why');
is($alliance->sql('en', q{SELECT state FROM medchain.chains WHERE origin = 'bad'}), 'closed, surplus', 'it keeps the blocks');
like($alliance->sql('en', q{SELECT ok, detail FROM medchain.verify('bad')}), qr/^t\|the member was expelled: blocks after \d+ do not count$/, 'which is no fault of its own');

$alliance->follow('late', qw(dc bad));
$alliance->follow('dc', 'bad');
foreach my $name (qw(dc late))
{
	$alliance->wait_for($name, q{SELECT EXISTS (SELECT FROM medchain.quarantine WHERE origin = 'bad' AND reason = 'chain is closed')});
	is($alliance->head($name, 'bad'), $last, "$name: refuses what follows, and stands at the last that counts");
}
my $state = sub { $alliance->sql($_[0], q{SELECT r FROM (SELECT to_jsonb(m)::text FROM medchain.member m UNION ALL SELECT to_jsonb(p)::text FROM medchain.protocol p
	UNION ALL SELECT to_jsonb(g)::text FROM medchain.protocol_grant g UNION ALL SELECT to_jsonb(k)::text FROM medchain.contract k
	UNION ALL SELECT to_jsonb(x)::text FROM medchain.exclusion x) x(r) ORDER BY r COLLATE "C"}) };
is($state->($_), $state->('dc'), "$_: the state of the data centre") foreach qw(en late);
is($alliance->sql($_, q{SELECT count(*) FROM medchain.verify() WHERE NOT ok}), '0', "$_: verify() finds no fault") foreach @honest;
is($alliance->sql('en', q{SELECT medchain.export()}), $alliance->sql('late', q{SELECT medchain.export()}), 'both export the same: what counts');

$alliance->follow('bad', 'dc');
$alliance->wait_for('bad', q{SELECT state = 'expelled' FROM medchain.members WHERE member = 'bad'});
$alliance->sql('bad', q{SELECT medchain.append('visit', '1')});
$alliance->wait_for('bad', q{SELECT sealer = 'failed' AND sealer_error ~ 'was expelled' FROM medchain.stat});
pass('its own sealer stops');
$alliance->check_state;
$alliance->check_logs;
done_testing();
