# What contracts allow, when, and from where on: each capability with and without it, before and after its period, judged
# alike by the node that decides, by the others, and by one that hears the chains in another order.
use strict;
use warnings;

use Medchain::Alliance;
use Test::More;

my @x = qw(x1 x2);
my $alliance = Medchain::Alliance->new(dc => 'data_center', en => 'end_node', e2 => 'end_node', ha => 'chain_node', late => 'chain_node', others => \@x);
my @peers = qw(e2 ha en dc);
my $cluster = Medchain::Alliance->new_cluster('all', conf => "max_worker_processes = 60\nmax_logical_replication_workers = 30\nmax_wal_senders = 40\nmax_replication_slots = 40\njit = off\n");
$cluster->start;
$alliance->start($_, cluster => $cluster, dbname => $_) foreach $alliance->members;
$alliance->establish;

$alliance->sql('dc', q{CREATE ROLE app_ha LOGIN; SELECT medchain.bind_role('app_ha', 'ha')});
foreach my $name (@x)
{
	my $certificate = $alliance->certificate($name);
	$alliance->sql('dc', "SELECT medchain.admit('$name', 'chain_node', '$certificate')");
}
my $grants = q{[{"grantee": "ha", "operations": ["query", "update"]}]};
my $others = $alliance->sql('en', "SELECT medchain.issue_protocol('P1', 'text', '$grants')");
$alliance->wait_for_equal_heads;

# A member's contract is one of these terms from now on.
sub contract
{
	my ($member, $capabilities, $valid) = @_;
	my $offer = $alliance->sql('dc', "SELECT medchain.amend_contract('$member', '{$capabilities}', '$valid')");

	$alliance->wait_for($member, "SELECT EXISTS (SELECT FROM medchain.contract WHERE id = '$offer')");
	$alliance->sql($member, "SELECT medchain.accept_contract('$offer')");
	$alliance->wait_for($_, "SELECT contract = '$offer' FROM medchain.members WHERE member = '$member'") foreach $member, 'dc';
	return;
}

my %expected = map { $_ => '' } @peers;
my ($n, $next) = (0, 0);

# It issues a protocol, configures a ledger, writes a note about a protocol of somebody else, and governs: allowed or for that reason not.
sub tries
{
	my ($member, $title, $what, $refused) = @_;
	my $subject = 'T' . ++$n;
	my $x = $x[$next] || 'x1';
	my $key = q{(medchain.certificate_facts('} . $alliance->certificate($x) . q{')).public_key};
	my %call = (
		issue     => "SELECT medchain.issue_protocol('$subject', '$title', '$grants')",
		configure => "SELECT medchain.configure_ledger('$x')",
		note      => "SELECT medchain.log_diagnosis('$others', '1')",
		suspend   => q{SELECT medchain.suspend('late', 'x')});
	my %error = (
		issue     => qr/does not allow issuing protocols/,
		configure => qr/does not allow configuring ledgers|for members of kind end_node/,
		note      => qr/$refused/,
		suspend   => qr/for members of kind data_center/);
	my %raw = (
		configure => "SELECT medchain_internal.append_raw('configure', jsonb_build_object('member', '$x', 'public_key', $key)::text, NULL, true)",
		note      => qq{SELECT medchain_internal.append_raw('note', '{"protocol": "$others", "note": 2}', NULL, true)},
		suspend   => q{SELECT medchain_internal.append_raw('suspend', '{"member": "late", "reason": "x", "last": {"height": -1, "size": 0}}', NULL, true)});

	if (!$refused)
	{
		my $id = $alliance->sql($member, $call{$what});
		is($alliance->sql($member, "SELECT effective FROM medchain.claim WHERE id = '$id'"), 't', "$title: $what");
		$next++ if $what eq 'configure';
		return;
	}
	$alliance->fails_like($member, $call{$what}, $error{$what}, "$title: not $what");
	$what eq 'issue'
	  ? $alliance->forge_entry($member, 'protocol', $alliance->protocol_body($member, $subject, 'ha'), "encode(medchain.pseudonym('$subject'), 'hex')", 'clock_timestamp()')
	  : $alliance->sql($member, $raw{$what});
	$expected{$member} .= ($what eq 'issue' ? 'protocol' : $what) . "|$refused\n";
	return;
}

my ($no_issue, $no_configure, $no_note, $no_suspend, $not_then) = ('the author may not issue protocols', 'only an end node configures ledgers', 'the author has no part in this protocol',
	'only the data centre suspends members', q{the author's contract was not valid then});
my ($always, $future, $past) = ('(,)', '[2999-01-01Z,)', '[2020-01-01Z,2021-01-01Z)');

sub may { return $alliance->sql('dc', q{SELECT medchain.may_query('P1'::text), medchain.may_update('P1'::text)}, extra_params => [ '-U', 'app_ha' ]); }
my $grants_of_ha = q{SELECT protocol, query, update, member_valid, issuer_valid FROM medchain.active_grant WHERE grantee = 'ha' ORDER BY protocol};
is(may(), 't|t', 'ha may query and update');
$alliance->hears_late('late', \@peers, sub {
	foreach my $case (
		#                                              issue         configure      note
		[ 'configure,issue',             $always, '',            '',            $no_note ],
		[ 'configure',                   $always, $no_issue,     '',            $no_note ],
		[ 'issue',                       $always, '',            $no_configure, $no_note ],
		[ 'audit,admit,query,update',    $always, $no_issue,     $no_configure, '' ],
		[ 'admit,configure,issue,audit', $future, $not_then,     $not_then,     $not_then ],
		[ 'admit,configure,issue,audit', $past,   $not_then,     $not_then,     $not_then ])
	{
		my ($capabilities, $valid, @reasons) = @$case;
		my $title = "e2, {$capabilities} $valid";
		contract('e2', $capabilities, $valid);
		tries('e2', $title, $_, shift @reasons) foreach qw(issue configure note);
		tries('e2', $title, 'suspend', $no_suspend) if $capabilities =~ /admit/;
	}
	contract('e2', 'configure,issue', $always);

	# a grant gives no more than the contract of who gets it
	foreach my $case ([ 'query', $always, 't|f' ], [ 'update', $always, 'f|t' ], [ 'audit', $always, 'f|f' ], [ 'query,update', $future, 'f|f' ], [ 'query,update', $past, 'f|f' ], [ 'query,update', '[2020-01-01Z,)', 't|t' ])
	{
		my ($capabilities, $valid, $may) = @$case;
		contract('ha', $capabilities, $valid);
		is(may(), $may, "ha, {$capabilities} $valid: may query, may update");
	}
	# a hospital may issue if its contract says so, and never configures ledgers
	contract('ha', 'issue,configure,admit', $always);
	tries('ha', 'ha, {issue,configure,admit}', $_->[0], $_->[1]) foreach [ 'issue', '' ], [ 'configure', $no_configure ], [ 'suspend', $no_suspend ];

	# what was countersigned by nobody, or is another contract than the one offered, is not in force
	my $offer = $alliance->sql('dc', q{SELECT medchain.amend_contract('ha', '{query,update}')});
	$alliance->wait_for('ha', "SELECT EXISTS (SELECT FROM medchain.contract WHERE id = '$offer')");
	$alliance->sql('ha', qq{SELECT medchain_internal.append_raw('acceptance', jsonb_build_object('contract', '$offer', 'envelope', $_)::text, NULL, true)}) foreach
	  qq{(SELECT jsonb_set(payload::jsonb -> 'body', '{signatures}', '[]') FROM medchain.entry WHERE id = '$offer')},
	  qq{(SELECT payload::jsonb -> 'body' FROM medchain.entry WHERE id = '$offer')},
	  q{medchain_internal.sign_envelope('application/vnd.medchain.contract+json', '{"alliance": "east"}')::jsonb};
	$expected{ha} .= "acceptance|no valid signature by the required key\n" x 2 . "acceptance|what was countersigned is not the contract\n";
	is($alliance->sql('ha', q{SELECT array_to_string(capabilities, ',') FROM medchain.members WHERE member = 'ha'}), 'issue,configure,admit', 'the contract before stays in force');
});
is($alliance->sql('late', $grants_of_ha), $alliance->sql('dc', $grants_of_ha), 'grants are worth the same everywhere');
foreach my $member (qw(e2 ha))
{
	is($alliance->sql($_, "SELECT kind, reason FROM medchain.rejections WHERE origin = '$member' ORDER BY seq") . "\n", $expected{$member}, "$_: what $member had no right to, and no more, has no effect")
	  foreach qw(dc late);
}

# ----- the end of a contract: where the data centre has heard the chain up to

$alliance->hears_late('late', \@peers, sub {
	my $before = $alliance->sql('e2', "SELECT medchain.issue_protocol('E1', 'heard before the end', '$grants')");
	$alliance->wait_for_equal_heads(@peers);
	$alliance->unfollow('dc', 'e2');
	$alliance->unfollow('e2', 'dc');
	my $after = $alliance->sql('e2', "SELECT medchain.issue_protocol('E1', 'heard after the end', '$grants')");
	$alliance->forge_entry('e2', 'protocol', $alliance->protocol_body('e2', 'E1', 'ha'), q{encode(medchain.pseudonym('E1'), 'hex')}, q{clock_timestamp() - interval '1 hour'});
	$alliance->sql('dc', q{SELECT medchain.end_contract('e2', 'over')});
	$alliance->follow('e2', 'dc');
	$alliance->wait_for('e2', q{SELECT state = 'ended' FROM medchain.members WHERE member = 'e2'});
	$alliance->fails_like('e2', "SELECT medchain.issue_protocol('E1', 'after the end', '$grants')", qr/"e2" has no contract any more.*Reason: over/s, 'after the end it says so');
	$alliance->fails_like('e2', "SELECT medchain.log_diagnosis('$before', '1')", qr/contract was ended/, 'nor does it write into logs');
	$alliance->sql('e2', qq{SELECT medchain_internal.append_raw('note', '{"protocol": "$before", "note": 2}', NULL, true)});
	$expected{e2} .= "protocol|the author's contract was ended\n" x 2 . "note|the author's contract was ended\n";
	# its own protocols it may still revoke
	is($alliance->sql('e2', "SELECT medchain.revoke_protocol('$before', 'we leave') IS NOT NULL"), 't', 'it revokes what it issued');
	$alliance->follow('dc', 'e2');
	$alliance->wait_for('dc', "SELECT state = 'revoked' FROM medchain.protocols WHERE protocol = '$before'");
	is($alliance->sql('dc', "SELECT count(*) FROM medchain.protocols WHERE protocol = '$after'"), '0', 'what was heard after the end has no effect, whatever time it says');

	# and a new contract, from where it is countersigned on
	my $certificate = $alliance->certificate('e2');
	my $offer = $alliance->sql('dc', "SELECT medchain.admit('e2', 'end_node', '$certificate')");
	$alliance->wait_for('e2', "SELECT EXISTS (SELECT FROM medchain.contract WHERE id = '$offer')");
	$alliance->sql('e2', 'SELECT medchain.accept_contract()');
	$alliance->wait_for('e2', q{SELECT state = 'active' FROM medchain.members WHERE member = 'e2'});
	$alliance->sql('e2', "SELECT medchain.issue_protocol('E1', 'under the new contract', '$grants')");
});
is($alliance->sql($_, q{SELECT kind, reason FROM medchain.rejections WHERE origin = 'e2' ORDER BY seq}) . "\n", $expected{e2}, "$_: what was said after the end has no effect, what was said under the new contract has")
  foreach qw(dc late);
$alliance->verify_ok(qw(dc late));
$alliance->check_state;
$alliance->check_logs;
done_testing();
