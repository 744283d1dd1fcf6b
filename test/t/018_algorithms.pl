# Members with keys of every kind, and one that goes from kind to kind: everybody takes their blocks, in whatever order.
use strict;
use warnings;

use Medchain::Alliance;
use PostgreSQL::Test::Utils;
use Test::More;

my $alliance = Medchain::Alliance->new(dc => 'data_center', en => 'end_node', ha => 'chain_node', hb => 'chain_node', late => 'chain_node', others => [qw(thief)]);
my @all = $alliance->members;

system_or_bail('make', '-s', '-C', 'src/bin');
$alliance->certify('dc', 'dc', type => 'ec');
$alliance->certify('en', 'en', type => 'rsa');
# certified by an authority that has an SM2 key itself
$alliance->certify('ha', 'ha', type => 'sm2', ca => 'sm2-ca');

# all but late share a server
my $cluster = Medchain::Alliance->new_cluster('most', conf => "max_worker_processes = 60\nmax_logical_replication_workers = 30\nmax_wal_senders = 40\nmax_replication_slots = 40\njit = off\n");
$cluster->start;
$alliance->start($_, cluster => $cluster, dbname => $_) foreach qw(dc en ha);
$alliance->start($_) foreach qw(hb late);
$alliance->found(qw(ca sm2-ca));
$alliance->admit($_), $alliance->join_alliance($_) foreach qw(en ha hb late);
foreach my $name (@all)
{
	$alliance->connect_peers($name, grep { $_ ne $name } @all);
}
$alliance->configure('en', $_) foreach qw(ha hb late);
$alliance->wait_for_equal_heads;
is($alliance->sql('late', q{SELECT string_agg(member || ' ' || ledger_algorithm, ', ' ORDER BY member) FROM medchain.members}),
	'dc ecdsa-p256-sha256, en rsa-pkcs1-sha256, ha sm2-sm3, hb ed25519, late ed25519', 'ledgers with keys of every kind');

# each says something that counts: a contract, a protocol, a note
my $protocol = $alliance->sql('en', q{SELECT medchain.issue_protocol('P1', 'text', '[{"grantee": "ha", "operations": ["query"]}]')});
$alliance->wait_for_equal_heads;
$alliance->sql('ha', "SELECT medchain.log_diagnosis('$protocol', '1')");
$alliance->sql('dc', q{SELECT medchain.amend_contract('ha', '{query,audit}')});
$alliance->wait_for('ha', q{SELECT EXISTS (SELECT FROM medchain.contracts WHERE member = 'ha' AND state = 'offered')});
my $signature = $alliance->sign_outside('ha', 'ha', q{SELECT medchain.contract_envelope(contract) FROM medchain.contracts WHERE member = 'ha' AND state = 'offered'});
$alliance->sql('ha', "SELECT medchain.accept_contract(signature => '$signature')");
my $terms = q{'P2', 'signed outside', '[{"grantee": "ha", "operations": ["query"]}]'};
$signature = $alliance->sign_outside('en', 'en', "SELECT medchain.protocol_envelope($terms)");
$alliance->sql('en', "SELECT medchain.issue_protocol($terms, signature => '$signature')");
$alliance->wait_for_equal_heads;
$alliance->equal_ok;
is($alliance->sql('late', q{SELECT array_to_string(capabilities, ','), (SELECT count(*) FROM medchain.rejections) FROM medchain.members WHERE member = 'ha'}), 'query,audit|0', 'what they say counts');

# ----- from kind to kind, while late hears nothing

$alliance->hears_late('late', [qw(hb ha en dc)], sub {
	foreach my $type (qw(rsa sm2 ec))
	{
		my $certificate = q{'} . $alliance->certify("hb-$type", 'hb', type => $type) . q{'};
		my $proof = $alliance->sign_outside("hb-$type", 'hb', "SELECT medchain.rekey_envelope('hb', $certificate)");
		$alliance->sql('hb', "SELECT medchain.rekey('hb', $certificate, proof => '$proof')");
		$alliance->use_key('hb', "hb-$type");
		$alliance->sql('hb', qq{SELECT medchain.append('visit', '"$type"') FROM generate_series(1, 3)});
		$alliance->wait_for('hb', 'SELECT count(*) FROM medchain.pending', '0');
	}
	# the data centre and the end node change theirs, too
	foreach my $name (qw(dc en))
	{
		my $certificate = q{'} . $alliance->certify("$name-sm2", $name, type => 'sm2') . q{'};
		my $proof = $alliance->sign_outside("$name-sm2", $name, "SELECT medchain.rekey_envelope('$name', $certificate)");
		$alliance->sql($name, "SELECT medchain.rekey('$name', $certificate, proof => '$proof')");
		$alliance->use_key($name, "$name-sm2");
		$alliance->wait_for($name, q{SELECT sealer = 'running' AND key_fingerprint = (SELECT f.key_fingerprint FROM medchain.member m, medchain.certificate_facts(m.certificate) f WHERE m.name = (SELECT node FROM medchain.alliance)) FROM medchain.stat});
	}
	$alliance->sql('en', q{SELECT medchain.issue_protocol('P3', 'with the new key', '[]')});
	$alliance->sql('dc', q{SELECT medchain.suspend('ha', 'with the new key')});
});
is($alliance->sql($_, q{SELECT string_agg((medchain.key_facts(public_key)).algorithm, ', ' ORDER BY from_height) FROM medchain.ledger_key WHERE member = 'hb'}),
	'ed25519, rsa-pkcs1-sha256, sm2-sm3, ecdsa-p256-sha256', "$_: from kind to kind") foreach qw(dc late);
is($alliance->sql('late', q{SELECT state FROM medchain.members WHERE member = 'ha'}), 'suspended', 'what the new keys say counts');
is($alliance->sql('late', q{SELECT count(*) FROM medchain.rejections}), '0', 'all of it');
$alliance->verify_ok(qw(dc late));
$alliance->verifies_offline_ok('keys of every kind', qw(hb late));
foreach my $type (qw(rsa sm2 ec))
{
	my $receipt = $alliance->sql('late', qq{SELECT medchain.receipt((SELECT id FROM medchain.entry WHERE origin = 'hb' AND payload::jsonb ->> 'body' = '$type' LIMIT 1))}) . "\n";
	my ($out, $err) = ('', '');
	ok(IPC::Run::run([ 'src/bin/medchain-verify', '-a', $alliance->{anchors} ], '<', \$receipt, '>', \$out, '2>', \$err), "a receipt under a key of kind $type") or diag($out . $err);
}

# ----- nobody takes a certificate of somebody else: its key has to sign

my $ha = q{'} . $alliance->certificate('ha') . q{'};
my $thief = q{'} . $alliance->certificate('thief') . q{'};
my $by_thief = $alliance->sign_outside('thief', 'hb', "SELECT medchain.rekey_envelope('hb', $ha, $thief)");
$alliance->fails_like('hb', "SELECT medchain.rekey('hb', $ha, $thief, '$by_thief')", qr/certificate's key.*has to sign/, 'the certificate of another member is not to be had');
$alliance->sql('hb', qq{SELECT medchain_internal.append_raw('rekey', jsonb_set(e, '{signatures}', e -> 'signatures' || '[{"sig": "$by_thief"}]')::text, NULL, true)
	FROM (SELECT medchain_internal.sign_envelope('application/vnd.medchain.rekey+json', medchain_internal.rekey_terms('hb', $ha, $thief, NULL))::jsonb) x (e)});
$alliance->wait_for_equal_heads;
is($alliance->sql($_, q{SELECT reason FROM medchain.rejections WHERE origin = 'hb'}), 'key of the certificate: no valid signature by the required key', "$_: past the function neither") foreach @all;
is($alliance->sql($_, qq{SELECT string_agg(member, ',') FROM medchain.members WHERE certificate_fingerprint = encode((medchain.certificate_facts($ha)).fingerprint, 'hex')}), 'ha', "$_: it stays its holder's")
  foreach qw(dc late);
$alliance->equal_ok(qw(dc late));
$alliance->check_logs;
done_testing();
