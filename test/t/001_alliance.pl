# An alliance of four, from founding to a protocol that is in force everywhere:
# what the views say on the way, and that all nodes end with the same ledger and state.
use strict;
use warnings;

use Medchain::Alliance;
use Test::More;

my $alliance = Medchain::Alliance->new(
	dc => 'data_center', en => 'end_node', ha => 'chain_node', hb => 'chain_node');
my @all = $alliance->members;

# ----- founding

$alliance->start($_) foreach @all;
is($alliance->sql('dc', 'SELECT count(*) FROM medchain.alliance'), '0', 'a database is no node before it is founded');
$alliance->fails_like('dc', q{SELECT medchain.append('visit', '{}')}, qr/not a node of an alliance.*HINT:.*found_alliance/s,
	'nothing can be appended before');

my $dc_certificate = $alliance->certificate('dc');
my $rogue = $alliance->certificate('rogue-ca');
$alliance->fails_like('dc', "SELECT medchain.found_alliance('east', 'dc', '$dc_certificate', '$rogue')",
	qr/certificate of "dc" is not accepted: /, 'no founding under anchors that the certificate does not lead to');
my $en_certificate = $alliance->certificate('en');
my $ca = $alliance->certificate('ca');
$alliance->fails_like('dc', "SELECT medchain.found_alliance('east', 'dc', '$en_certificate', '$ca')",
	qr/signing_key is not the private key of this certificate/, 'nor with somebody else\'s certificate');

$alliance->found;
is($alliance->sql('dc', 'SELECT alliance, node, kind, data_center, members, length(genesis) FROM medchain.alliance'),
	'east|dc|data_center|dc|1|64', 'view alliance at the data centre');
is($alliance->sql('dc', 'SELECT origin, kind, state, height, entries, waiting_entries FROM medchain.chains'),
	'dc|data_center|own|0|1|0', 'genesis is sealed when founding returns');
$alliance->fails_like('dc', "SELECT medchain.found_alliance('west', 'dc', '$dc_certificate', '$ca')",
	qr/this database is node "dc" of alliance "east" already/, 'one node per database');

# ----- admission

foreach my $bad (
	[ 'rogue', qr/signature|Authority Key Identifier/ ],
	[ 'expired', qr/expired/ ],
	[ 'future', qr/not yet valid/ ],
	[ 'nosign', qr/key usage/ ])
{
	my ($name, $reason) = @$bad;
	my $certificate = $alliance->certificate($name);
	$alliance->fails_like('dc', "SELECT medchain.admit('$name', 'chain_node', '$certificate')",
		qr/certificate of "$name" is not accepted: .*$reason/, "a certificate that is '$name' is refused with the reason");
}
$alliance->fails_like('ha', 'SELECT medchain.join_alliance(\'ha\', \'' . $alliance->certificate('ha') . '\', \'' . $alliance->conninfo('dc') . '\')',
	qr/the data centre has no contract for "ha"/, 'no joining without a contract');
is($alliance->sql('ha', 'SELECT (SELECT count(*) FROM medchain.local_node), (SELECT count(*) FROM pg_subscription), (SELECT count(*) FROM pg_publication)'),
	'0|0|0', 'a failed attempt to join leaves nothing behind');

$alliance->admit($_) foreach qw(en ha hb);
is($alliance->sql('dc', 'SELECT member, kind, state, configured_by FROM medchain.members ORDER BY member'),
	"dc|data_center|active|dc\nen|end_node|admitted|dc\nha|chain_node|admitted|\nhb|chain_node|admitted|", 'view members after admission');
is($alliance->sql('dc', 'SELECT member, kind, accepted IS NULL, current, capabilities FROM medchain.contracts ORDER BY member'),
	"en|end_node|t|t|{configure,issue}\nha|chain_node|t|t|{query,update}\nhb|chain_node|t|t|{query,update}", 'view contracts after admission');
$alliance->fails_like('ha', 'SELECT medchain.join_alliance(\'ha\', \'' . $alliance->certificate('hb') . '\', \'' . $alliance->conninfo('dc') . '\')',
	qr/signing_key is not the private key of this certificate/, 'no joining with another member\'s certificate');

# ----- joining, connecting, configuring

$alliance->join_alliance($_) foreach qw(en ha hb);
is($alliance->sql('en', "SELECT genesis = '" . $alliance->sql('dc', 'SELECT genesis FROM medchain.alliance') . "' FROM medchain.alliance"),
	't', 'a member has the data centre\'s genesis block pinned');
is($alliance->sql('ha', q{SELECT count(*) FROM medchain.chains WHERE origin = 'ha' AND state = 'own, not configured'}), '1',
	'the chain of a member that joined is its own and not configured');
foreach my $name (@all)
{
	my @peers = grep { $_ ne $name } @all;
	$alliance->connect_peers($name, @peers);
}
$alliance->fails_like('hb', "SELECT medchain.connect_peer('ha', '" . $alliance->conninfo('en') . "')",
	qr/"ha" is connected already/, 'a peer is connected once');
$alliance->configure('en', $_) foreach qw(ha hb);
$alliance->wait_for_equal_heads;

my $members = "dc|data_center|active|dc\nen|end_node|active|dc\nha|chain_node|active|en\nhb|chain_node|active|en";
foreach my $name (@all)
{
	is($alliance->sql($name, 'SELECT member, kind, state, configured_by FROM medchain.members ORDER BY member'),
		$members, "$name: all members are active");
	is($alliance->sql($name, 'SELECT count(*) FROM medchain.contracts WHERE accepted IS NOT NULL AND current'), '3',
		"$name: all contracts are countersigned");
	$alliance->wait_for($name, q{SELECT count(*) FROM medchain.peers WHERE state = 'streaming' AND follower_state = 'following us'}, '3');
	is($alliance->sql($name, q{SELECT string_agg(member, ' ' ORDER BY member) FROM medchain.peers WHERE follower_wal = 'reserved'}),
		join(' ', grep { $_ ne $name } @all), "$name: view peers names the others");
}

# ----- a protocol, amended and then revoked, and its log

my $protocol = $alliance->sql('en', q{SELECT medchain.issue_protocol('P1', 'care at a',
	'[{"grantee": "ha", "operations": ["query", "update"], "purpose": "care"}]',
	'[{"holder": "dc", "relation": "public.diagnosis"}]')});
is($alliance->sql('en', 'SELECT protocol, issuer, identity, state, grants FROM medchain.protocols'),
	qq{$protocol|en|P1|active|[{"valid": {}, "grantee": "ha", "purpose": "care", "operations": ["query", "update"]}]},
	'view protocols at the issuer, at once');
$alliance->wait_for_equal_heads;
foreach my $name (qw(dc ha hb))
{
	is($alliance->sql($name, 'SELECT protocol, issuer, identity, protocol_text, state FROM medchain.protocols'),
		"$protocol|en||care at a|active", "$name: view protocols, without the identity");
	is($alliance->sql($name, q{SELECT protocol, issuer, holder, relation, active FROM medchain.data_index('P1')}),
		"$protocol|en|dc|public.diagnosis|t", "$name: data index of the examinee");
}
$alliance->sql('ha', "SELECT medchain.log_diagnosis('$protocol', '{\"text\": \"seen\"}')");
$alliance->fails_like('hb', "SELECT medchain.log_diagnosis('$protocol', '{\"text\": \"seen too\"}')",
	qr/the author has no part in this protocol/, 'a stranger writes nothing into the diagnosis log');
$alliance->sql('en', qq{SELECT medchain.amend_protocol('$protocol', 'P1', 'care at b',
	'[{"grantee": "hb", "operations": ["query"]}]')});
$alliance->wait_for_equal_heads;
is($alliance->sql('dc', q{SELECT origin, kind, actor, detail -> 'note' ->> 'text' FROM medchain.diagnosis_log('P1')}),
	"en|protocol|en|\nha|note|ha|seen\nen|amendment|en|", 'the diagnosis log at another node');
is($alliance->sql('ha', 'SELECT grantee, operations FROM medchain.protocol_grant'), 'hb|{query}', 'the amendment counts');

$alliance->sql('dc', "SELECT medchain.revoke_protocol('$protocol', 'moved')");
$alliance->wait_for_equal_heads;
foreach my $name (@all)
{
	is($alliance->sql($name, 'SELECT state, revoked_by, revoke_reason FROM medchain.protocols'), 'revoked|dc|moved', "$name: the protocol is revoked");
}

# ----- data entries, and the end

$alliance->sql($_, "SELECT medchain.append('visit', json_build_object('n', i), 'P' || i) FROM generate_series(1, 250) i") foreach qw(ha hb);
$alliance->wait_for_equal_heads;
$alliance->equal_ok;
foreach my $name (@all)
{
	is($alliance->sql($name, q{SELECT count(*) FROM medchain.entry WHERE kind = 'visit'}), '500', "$name: all data entries");
	is($alliance->sql($name, q{SELECT (SELECT count(*) FROM medchain.rejections), (SELECT count(*) FROM medchain.quarantine),
			(SELECT count(*) FROM medchain.held_block), (SELECT count(*) FROM medchain.held_entry), (SELECT count(*) FROM medchain.pending)}),
		'0|0|0|0|0', "$name: nothing is rejected, in quarantine, held or pending");
	is($alliance->sql($name, 'SELECT sealer, sealer_error, pending, held_blocks, quarantined FROM medchain.stat'), 'running||0|0|0',
		"$name: view stat");
}
$alliance->verify_ok;
# what an auditor's read-only transaction does, the state included
is($alliance->sql('ha', q{BEGIN READ ONLY; SELECT count(*), bool_and(ok), count(detail) FROM medchain.verify(); COMMIT}), @all . '|t|0',
	'verify() leaves nothing out in a read-only transaction');
$alliance->check_state;
$alliance->check_logs;

done_testing();
