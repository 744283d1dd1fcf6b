# Contracts, revocation lists and examinees' keys: what a member may do, signed outside of the database, decided alike by
# a node that hears the chains in another order.
use strict;
use warnings;

use Medchain::Alliance;
use PostgreSQL::Test::Utils;
use Test::More;

my $alliance = Medchain::Alliance->new(dc => 'data_center', en => 'end_node', ha => 'chain_node', late => 'chain_node', others => [qw(examinee card)]);
my @all = $alliance->members;

$alliance->establish;
sub key_of { my ($name) = @_; return q{'} . $alliance->certificate($name) . q{'}; }

# late hears of it from these in turn, the data centre last
sub late_hears_of { my ($what) = @_; return $alliance->hears_late('late', [qw(ha en dc)], $what); }

# ----- contracts are amended and ended

$alliance->sql('dc', q{
	CREATE TABLE diagnosis (case_no int PRIMARY KEY, patient_id text NOT NULL, finding text);
	INSERT INTO diagnosis VALUES (1, 'P1', 'open');
	SELECT medchain.protect('diagnosis', 'patient_id');
	CREATE ROLE app_ha LOGIN;
	GRANT SELECT, UPDATE ON diagnosis TO app_ha;
	SELECT medchain.bind_role('app_ha', 'ha')});
$alliance->sql('en', q{SELECT medchain.issue_protocol('P1', 'text', '[{"grantee": "ha", "operations": ["query", "update"]}]')});
$alliance->wait_for_equal_heads;
my @as_ha = (extra_params => [ '-U', 'app_ha' ]);
sub may { return $alliance->sql('dc', q{SELECT medchain.may_query('P1'::text), medchain.may_update('P1'::text)}, @as_ha); }
is(may(), 't|t', 'ha may query and update');

$alliance->fails_like('ha', q{SELECT medchain.amend_contract('ha', '{query, update, admit}')}, qr/for members of kind data_center/, 'no member amends its own contract');
$alliance->fails_like('ha', q{SELECT medchain.accept_contract()}, qr/./, 'nor countersigns what was not offered');
$alliance->fails_like('dc', q{SELECT medchain.amend_contract('ha', '{fly}')}, qr/capabilities are/, 'a contract has known capabilities');
$alliance->fails_like('dc', q{SELECT medchain.amend_contract('nobody', '{query}')}, qr/there is no member "nobody"/, 'and is with a member');
late_hears_of(sub {
	$alliance->sql('dc', q{SELECT medchain.amend_contract('ha', '{query}')});
	is(may(), 't|t', 'an offer changes nothing');
	$alliance->wait_for('ha', q{SELECT count(*) FROM medchain.contracts WHERE member = 'ha' AND state = 'offered'}, '1');
	my ($offer) = $alliance->sql('ha', q{SELECT contract FROM medchain.contracts WHERE member = 'ha' AND state = 'offered'});
	my $wrong = $alliance->sign_outside('en', 'ha', "SELECT medchain.contract_envelope('$offer'::uuid)");
	$alliance->fails_like('ha', "SELECT medchain.accept_contract('$offer', '$wrong')", qr/signature/, 'somebody else cannot countersign');
	my $signature = $alliance->sign_outside('ha', 'ha', "SELECT medchain.contract_envelope('$offer'::uuid)");
	$alliance->sql('ha', "SELECT medchain.accept_contract('$offer', '$signature')");
	$alliance->wait_for('dc', q{SELECT capabilities = '{query}' FROM medchain.members WHERE member = 'ha'});
});
is(may(), 't|f', 'countersigned, outside of the database, it binds the sessions at the record holder');
is($alliance->sql($_, q{SELECT array_to_string(capabilities, ',') FROM medchain.members WHERE member = 'ha'}), 'query', "$_: and is the contract in force") foreach @all;

my $terms = q{'ha', 'chain_node', } . key_of('ha') . q{, '{query,update}'};
my $outside = $alliance->sign_outside('dc', 'dc', "SELECT medchain.contract_envelope($terms)");
late_hears_of(sub {
	$alliance->fails_like('dc', "SELECT medchain.admit($terms, NULL, '" . $alliance->sign_outside('ha', 'dc', "SELECT medchain.contract_envelope($terms)") . "')",
		qr/signature/, 'the data centre signs its offers itself');
	$alliance->sql('dc', "SELECT medchain.admit($terms, NULL, '$outside')");
	$alliance->wait_for('ha', q{SELECT count(*) FROM medchain.contracts WHERE member = 'ha' AND state = 'offered'}, '1');
	$alliance->sql('ha', 'SELECT medchain.accept_contract()');
	$alliance->wait_for('dc', q{SELECT 'update' = ANY (capabilities) FROM medchain.members WHERE member = 'ha'});
});
is(may(), 't|t', 'a contract that was signed outside counts');

# ----- examinees sign for themselves

my $proof = $alliance->sign_outside('examinee', 'en', "SELECT medchain.examinee_key_envelope('P7', " . key_of('examinee') . ')');
$alliance->fails_like('en', "SELECT medchain.register_examinee_key('P7', " . key_of('examinee') . ", '" . $alliance->sign_outside('card', 'en', "SELECT medchain.examinee_key_envelope('P7', " . key_of('examinee') . ')') . "')",
	qr/not a signature of this key/, 'a key is registered by who has it');
$alliance->fails_like('ha', "SELECT medchain.register_examinee_key('P7', " . key_of('examinee') . ", '$proof')", qr/for members of kind end_node/, 'at an end node');
$alliance->fails_like('en', q{SELECT medchain.set_policy('examinee_signature', 'required')}, qr/for members of kind data_center/, 'policies are the data centre\'s');
$alliance->fails_like('dc', q{SELECT medchain.set_policy('examinee_signature', 'perhaps')}, qr/"required" or "optional"/, 'and known');
my $grants = q{[{"grantee": "ha", "operations": ["query"]}]};
my ($unsigned, $signed, $other);
late_hears_of(sub {
	$alliance->sql('en', "SELECT medchain.register_examinee_key('P7', " . key_of('examinee') . ", '$proof')");
	$alliance->wait_for_equal_heads(qw(dc en ha));
	$alliance->sql('dc', q{SELECT medchain.set_policy('examinee_signature', 'required')});
	$alliance->wait_for('en', q{SELECT count(*) FROM medchain.policies}, '1');
	$alliance->fails_like('en', "SELECT medchain.issue_protocol('P7', 'access', '$grants')", qr/examinee/, 'a protocol about who has a key needs the signature');
	my $by_examinee = $alliance->sign_outside('examinee', 'en', "SELECT medchain.protocol_envelope('P7', 'access', '$grants', '[]', NULL)");
	$signed = $alliance->sql('en', "SELECT medchain.issue_protocol('P7', 'access', '$grants', examinee_signature => '$by_examinee')");
	$other  = $alliance->sql('en', "SELECT medchain.issue_protocol('P8', 'access', '$grants')");
	# past the function
	$alliance->forge_entry('en', 'protocol', $alliance->protocol_body('en', 'P7', 'ha'), "encode(medchain.pseudonym('P7'), 'hex')", 'clock_timestamp()');
	$unsigned = $alliance->sql('en', q{SELECT id FROM medchain.entry WHERE origin = 'en' AND kind = 'protocol' ORDER BY seq DESC LIMIT 1});
});
foreach my $name (@all)
{
	is($alliance->sql($name, qq{SELECT string_agg(CASE id WHEN '$signed' THEN 'signed' WHEN '$other' THEN 'no key' ELSE 'unsigned' END, ',' ORDER BY seq)
		FROM medchain.claim WHERE kind = 'protocol' AND effective AND id IN ('$signed', '$other', '$unsigned')}), 'signed,no key', "$name: the examinee's signature decides");
	like($alliance->sql($name, qq{SELECT reason FROM medchain.rejections WHERE entry = '$unsigned'}), qr/examinee/, "$name: and says why");
}
late_hears_of(sub {
	$alliance->sql('dc', q{SELECT medchain.withdraw_examinee_key('P7', 'card lost')});
	$alliance->wait_for('en', q{SELECT count(*) FROM medchain.examinee_key WHERE withdrawn IS NULL}, '0');
	$alliance->sql('en', "SELECT medchain.register_examinee_key('P7', " . key_of('card') . ", '" . $alliance->sign_outside('card', 'en', "SELECT medchain.examinee_key_envelope('P7', " . key_of('card') . ')') . "')");
});
is($alliance->sql($_, 'SELECT count(*) FROM medchain.examinee_key WHERE withdrawn IS NULL'), '1', "$_: a lost key is replaced") foreach @all;

# ----- a revoked certificate

my $crl = $alliance->revoke('ha', '260101000000Z');
my $foreign = $alliance->revoke('ha', '260101000000Z', ca => 'rogue-ca');
$alliance->fails_like('dc', "SELECT medchain.add_crl('$foreign')", qr/./, 'a list of another CA is refused');
$alliance->fails_like('dc', q{SELECT medchain.add_crl('no list')}, qr/./, 'and what is none');
$alliance->fails_like('en', "SELECT medchain.add_crl('$crl')", qr/for members of kind data_center/, 'the data centre puts lists on the ledger');
$alliance->unfollow('late', qw(dc en ha));
$alliance->sql('dc', "SELECT medchain.add_crl('> nobody''s business
$crl')");
is($alliance->sql('dc', q{SELECT body ->> 'crl' ~ 'business' FROM medchain.claim WHERE kind = 'crl'}), 'f', 'and nothing that stands beside them');
$alliance->wait_for($_, q{SELECT state = 'revoked' FROM medchain.members WHERE member = 'ha'}) foreach qw(dc en ha);
is(may(), 'f|f', 'sessions of who has a revoked certificate have no rights');
$alliance->fails_like('dc', "SELECT medchain.add_crl('$crl')", qr/on the ledger already/, 'a list is added once');

# it seals nothing any more, and nothing that was sealed is lost
my $entries = $alliance->sql('dc', q{SELECT entries FROM medchain.chains WHERE origin = 'ha'});
$alliance->sql('ha', q{SELECT medchain.append('visit', '"revoked"')});
$alliance->wait_for('ha', q{SELECT sealer = 'failed' FROM medchain.stat});
is($alliance->sql('ha', q{SELECT count(*) FROM medchain.pending}), '1', 'its new entries wait');
$alliance->follow('late', qw(ha en dc));
$alliance->wait_for('late', q{SELECT state = 'revoked' FROM medchain.members WHERE member = 'ha'});
is($alliance->sql($_, q{SELECT entries, ok FROM medchain.verify('ha')}), "$entries|t", "$_: the old ones verify") foreach @all;

# ----- the end of a contract

$alliance->fails_like('en', q{SELECT medchain.end_contract('late', 'x')}, qr/./, 'nobody ends the contract of others');
$alliance->sql('late', q{SELECT medchain.end_contract('late', 'we leave')});
$alliance->wait_for($_, q{SELECT state = 'ended' FROM medchain.members WHERE member = 'late'}) foreach qw(dc en);
$alliance->fails_like('late', q{SELECT medchain.end_contract('late', 'again')}, qr/was ended already/, 'a contract ends once');
is($alliance->sql($_, q{SELECT ok FROM medchain.verify('late')}), 't', "$_: what was said before stands") foreach qw(dc en);
$alliance->check_state;
$alliance->check_logs;
done_testing();
