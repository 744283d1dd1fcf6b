# Entries whose authors had no authority: on the ledger, without effect, and rejected
# for the same reason on every node, whatever the order in which chains arrive there.
use strict;
use warnings;

use Medchain::Alliance;
use Test::More;

my $alliance = Medchain::Alliance->new(
	dc => 'data_center', en => 'end_node', ha => 'chain_node', hb => 'chain_node', others => ['stranger']);
my @nodes = qw(dc en ha hb);

$alliance->establish;

sub rejections
{
	my ($name) = @_;
	return $alliance->sql($name, 'SELECT origin, seq, kind, reason FROM medchain.rejections ORDER BY origin COLLATE "C", seq');
}

my $grants = q{[{"grantee": "ha", "operations": ["query"]}]};
my $protocol = $alliance->sql('en', "SELECT medchain.issue_protocol('P1', 'text', '$grants')");
$alliance->wait_for_equal_heads;

# one node is away while it all happens, and learns of it later, chain by chain
$alliance->cluster('hb')->stop('fast');

# an envelope that ha signs as if it were an end node
my $subject = q{encode(medchain.pseudonym('P1'), 'hex')};
my $terms = qq{jsonb_build_object('alliance', 'east', 'issuer', 'ha', 'subject', $subject, 'text', 'mine',
	'grants', '[{"grantee": "ha", "operations": ["query", "update"], "valid": {}}]'::jsonb, 'data_index', '[]'::jsonb, 'valid', '{}'::jsonb)::text};
$alliance->sql('ha', qq{SELECT medchain_internal.append_raw('protocol', medchain_internal.sign_envelope('application/vnd.medchain.protocol+json', $terms), medchain.pseudonym('P1'), true)});
$alliance->sql('ha', qq{SELECT medchain_internal.append_raw('revocation', '{"protocol": "$protocol", "reason": "mine"}', medchain.pseudonym('P1'), true)});
$alliance->sql('ha', q{SELECT medchain_internal.append_raw('configure', jsonb_build_object('member', 'hb', 'public_key', (SELECT ledger_key FROM medchain.member WHERE name = 'ha'))::text, NULL, true)});
$alliance->sql('ha', q{SELECT medchain_internal.append_raw('genesis', (SELECT body FROM medchain.claim WHERE kind = 'genesis')::text, NULL, true)});

# the end node admits nobody, and the data centre configures no ledger
my $certificate = $alliance->certificate('stranger');
$alliance->sql('en', qq{SELECT medchain_internal.append_raw('contract', medchain_internal.sign_envelope('application/vnd.medchain.contract+json',
	jsonb_build_object('alliance', 'east', 'member', 'stranger', 'kind', 'chain_node', 'certificate', '$certificate',
		'capabilities', '["query"]'::jsonb, 'valid', '{}'::jsonb)::text), NULL, true)});
$alliance->sql('dc', q{SELECT medchain_internal.append_raw('configure', jsonb_build_object('member', 'ha', 'public_key', (SELECT ledger_key FROM medchain.member WHERE name = 'dc'))::text, NULL, true)});

# a protocol in the end node's name that it has not signed
$alliance->sql('dc', qq{SELECT medchain_internal.append_raw('protocol', medchain_internal.sign_envelope('application/vnd.medchain.protocol+json',
	(($terms)::jsonb || '{"issuer": "en"}')::text), medchain.pseudonym('P1'), true)});

# a note by someone who has no part in the protocol, and one by someone who has
$alliance->sql('dc', qq{SELECT medchain_internal.append_raw('note', '{"protocol": "00000000-0000-4000-8000-000000000000", "note": 1}', NULL, true)});
my $note = $alliance->sql('ha', qq{SELECT medchain.log_diagnosis('$protocol', '{"text": "seen"}')});

$alliance->wait_for_equal_heads(qw(dc en ha));
my $expected = rejections('dc');
like($expected, qr/^dc\|\d+\|configure\|only an end node configures ledgers$/m, 'the data centre configures no ledgers');
like($expected, qr/^dc\|\d+\|protocol\|the author may not issue protocols$/m, 'nor issues protocols in another name');
like($expected, qr/^dc\|\d+\|note\|there is no such protocol$/m, 'a note needs a protocol');
like($expected, qr/^en\|\d+\|contract\|only the data centre admits members$/m, 'an end node admits nobody');
like($expected, qr/^ha\|\d+\|protocol\|the author may not issue protocols$/m, 'a chain node issues no protocols');
like($expected, qr/^ha\|\d+\|revocation\|only the issuer, the examinee's end node and the data centre revoke a protocol$/m, 'nor revokes those of others');
like($expected, qr/^ha\|\d+\|configure\|only an end node configures ledgers$/m, 'nor configures ledgers');
like($expected, qr/^ha\|\d+\|genesis\|only the first entry of the data centre's chain founds an alliance$/m, 'nor founds the alliance again');
is(scalar(split(/\n/, $expected)), 8, 'and the note of a grantee counts');
is(rejections($_), $expected, "$_ rejects the same") foreach qw(en ha);

# hb gets ha's chain before the end node's, and the data centre's last
my $hb = $alliance->cluster('hb');
$hb->append_conf('postgresql.conf', 'max_logical_replication_workers = 0');
$hb->start;
$alliance->sql('hb', "ALTER SUBSCRIPTION $_ DISABLE") foreach split(/\n/, $alliance->sql('hb', q{SELECT quote_ident(subscription) FROM medchain.peer}));
$hb->append_conf('postgresql.conf', 'max_logical_replication_workers = 12');
$hb->restart;
foreach my $origin (qw(ha en dc))
{
	my $subscription = $alliance->sql('hb', "SELECT quote_ident(subscription) FROM medchain.peer WHERE member = '$origin'");
	$alliance->sql('hb', "ALTER SUBSCRIPTION $subscription ENABLE");
	$alliance->wait_for('hb', "SELECT height || ' ' || head FROM medchain.chains WHERE origin = '$origin'", $alliance->head($origin, $origin));
}
is(rejections('hb'), $expected, 'a node that was away, and hears it in another order, rejects the same');
$alliance->equal_ok;
is($alliance->sql('hb', qq{SELECT state FROM medchain.protocols WHERE protocol = '$protocol'}), 'active', 'the protocol was not revoked');
is($alliance->sql('hb', q{SELECT count(*) FROM medchain.protocol_grant}), '1', 'and nobody has a grant that nobody gave');
is($alliance->sql('hb', q{SELECT count(*) FROM medchain.members WHERE member = 'stranger'}), '0', 'and the stranger is no member');

# the data centre may revoke any protocol, and a revocation always wins
$alliance->sql('dc', qq{SELECT medchain.revoke_protocol('$protocol', 'by the data centre')});
$alliance->wait_for_equal_heads;
is($alliance->sql($_, qq{SELECT state, revoked_by FROM medchain.protocols WHERE protocol = '$protocol'}), 'revoked|dc', "$_: revoked by the data centre")
  foreach @nodes;
$alliance->equal_ok;
$alliance->verify_ok;
$alliance->check_state;
$alliance->check_logs;
done_testing();
