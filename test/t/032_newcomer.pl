# What goes wrong in somebody's first hour: the wrong key for pseudonyms, calls that come before the others' chains have,
# a CA without keyUsage, the wrong file or name in a call.  Each error says what to do, and doing that works.
use strict;
use warnings;

use File::Copy qw(copy);
use Medchain::Alliance;
use PostgreSQL::Test::Utils;
use Test::More;

my $alliance = Medchain::Alliance->new(dc => 'data_center', en => 'end_node', ha => 'chain_node', others => [ 'hb', 'hc' ]);
my @all = $alliance->members;
my $grants = '[{"grantee": "ha", "operations": ["query", "update"]}]';
my $index = '[{"holder": "dc", "relation": "public.record"}, {"holder": "dc", "relation": "public.other"}]';

# ----- the key for pseudonyms: of one member another, or one that cannot be read

my $right = $alliance->pki('pseudonym.key');
my $wrong = $alliance->pki('wrong.key');
append_to_file($wrong, 'f' x 64 . "\n");
chmod 0600, $wrong;

sub pseudonym_key
{
	my ($name, $file) = @_;
	$alliance->sql($name, "ALTER SYSTEM SET medchain.pseudonym_key_file = '$file'");
	$alliance->sql($name, 'SELECT pg_reload_conf()');
	$alliance->wait_for($name, "SELECT current_setting('medchain.pseudonym_key_file') = '$file'");
}

sub conninfo_of { my ($name) = @_; return $alliance->conninfo($name); }

$alliance->start($_) foreach @all;
pseudonym_key('dc', '');
$alliance->fails_like('dc', sprintf(q{SELECT medchain.found_alliance('east', 'dc', '%s', '%s')}, map { $alliance->certificate($_) } 'dc', 'ca'),
	qr/no key for pseudonyms is configured.*HINT:.*medchain\.pseudonym_key_file/s, 'no founding without a key for pseudonyms');
is($alliance->sql('dc', 'SELECT pseudonym_key FROM medchain.stat'), 'no key for pseudonyms is configured', 'and stat says so');
pseudonym_key('dc', $right);
$alliance->found;
is($alliance->sql('dc', 'SELECT pseudonym_key FROM medchain.stat'), 'fine', 'with it, stat says fine');
my $check = $alliance->sql('dc', q{SELECT payload::jsonb #>> '{body,pseudonym_check}' FROM medchain.entry WHERE kind = 'genesis'});
like($check, qr/^[0-9a-f]{64}$/, 'the genesis entry has a check value of it');
my $file = slurp_file($right) =~ s/\s+\z//r;
is($check, `printf '\\000medchain pseudonym key' | openssl dgst -sha256 -mac HMAC -macopt hexkey:\$(printf '%s' '$file' | od -An -v -tx1 | tr -d ' \\n') -r | cut -d' ' -f1` =~ s/\s+\z//r,
	'... as doc/ledger.md describes it');
unlike($check, qr/\Q$file\E/, '... which is not the key');
$alliance->admit($_) foreach 'en', 'ha';

pseudonym_key('ha', $wrong);
my $join = sprintf(q{SELECT medchain.join_alliance('ha', '%s', '%s')}, $alliance->certificate('ha'), conninfo_of('dc'));
$alliance->fails_like('ha', $join, qr/medchain\.pseudonym_key_file is not the alliance's.*HINT:.*data centre's file/s, 'no joining with another key');
is($alliance->sql('ha', 'SELECT (SELECT count(*) FROM medchain.local_node), (SELECT count(*) FROM pg_subscription)'), '0|0', 'which leaves nothing behind');
pseudonym_key('ha', $right);

# ----- one call after the other, as fast as psql reads them; nobody waits for anything but the calls themselves

$alliance->join_alliance('en');
$alliance->sql('en', q{SELECT medchain.configure_ledger('ha')});
pass('the end node configures a ledger in the moment it has joined');
$alliance->sql('ha', $join);
$alliance->sql('en', sprintf(q{SELECT medchain.connect_peer('ha', '%s')}, conninfo_of('ha')));
$alliance->sql('ha', sprintf(q{SELECT medchain.connect_peer('en', '%s')}, conninfo_of('en')));
$alliance->sql('dc', sprintf(q{SELECT medchain.connect_peer('%1$s', '%2$s')}, $_, conninfo_of($_))) foreach 'en', 'ha';
my $protocol = $alliance->sql('en', "SELECT medchain.issue_protocol('P0042', 'text', '$grants', '$index')");
$alliance->sql('ha', "SELECT medchain.log_diagnosis('$protocol', '{\"seen\": true}')");
pass('a member writes into the log of a protocol in the moment another has issued it');
$protocol = $alliance->sql('en', "SELECT medchain.issue_protocol('P0042', 'another', '$grants')");
$alliance->sql('dc', "SELECT medchain.revoke_protocol('$protocol', 'in the next moment')");
pass('the data centre revokes one likewise');
$alliance->wait_for_equal_heads;

# where waiting cannot help, the call does not
my $start = time;
$alliance->fails_like('en', q{SELECT medchain.configure_ledger('nobody')}, qr/there is no member "nobody".*HINT:.*medchain\.peers/s, 'a name that nobody has');
$alliance->fails_like('en', qq{BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT medchain.configure_ledger('nobody')}, qr/there is no member "nobody"/, 'nor with a snapshot of its own');
$alliance->fails_like('en', q{SELECT medchain.issue_protocol('P0042', 'text', '[{"grantee": "nobody", "operations": ["query"]}]')}, qr/there is no member "nobody"/, 'nor in a grant');
cmp_ok(time - $start, '<', 15, 'fails at once: everything the others have said is here');
$alliance->cluster('dc')->stop;
$start = time;
$alliance->fails_like('en', q{SELECT medchain.configure_ledger('nobody')}, qr/there is no member "nobody".*HINT:.*medchain\.peers/s, 'and when the data centre is away');
cmp_ok(time - $start, '<', 15, 'the call does not wait for it');
$alliance->cluster('dc')->start;
$alliance->wait_for($_, q{SELECT state = 'streaming' FROM medchain.peers WHERE member = 'dc'}) foreach 'en', 'ha';

# ----- the reader's line

$alliance->sql('en', "SELECT medchain.issue_protocol('P0042', 'without an index', '$grants')");
is($alliance->sql('en', q{SELECT count(*), count(DISTINCT protocol), count(holder) FROM medchain.data_index('P0042')}), '3|2|2',
	'data_index() has a row for each record, and one for a protocol without');
is($alliance->sql('en', q{SELECT count(DISTINCT protocol), bool_and(active IS NOT NULL) FROM medchain.data_index('P0042', ended => true)}), '3|t', 'and those that have ended when asked');
my (undef, $out, $err) = $alliance->try('en', q{SELECT medchain.revoke_protocol(protocol, 'treatment is over') FROM medchain.data_index('P0042')});
is(scalar(split(/\n/, $out)), 3, 'the line of the README revokes them');
like($err, qr/NOTICE:.*revoked already/, 'and says where it has done so in this statement before');
is($alliance->sql('en', q{SELECT count(*) FILTER (WHERE kind = 'revocation'), count(*) FILTER (WHERE kind = 'protocol') FROM medchain.diagnosis_log('P0042')}), '3|3',
	'each protocol once');
is($alliance->sql('en', q{SELECT count(*) FROM medchain.data_index('P0042')}), '0', 'nothing is in force any more');
is($alliance->sql('en', q{SELECT medchain.revoke_protocol(protocol, 'treatment is over') FROM medchain.data_index('P0042')}), '', 'the line again does nothing');
(undef, $out, $err) = $alliance->try('en', "SELECT medchain.revoke_protocol('$protocol', 'again')");
is($out, $alliance->sql('en', qq{SELECT entry FROM medchain.diagnosis_log('P0042') WHERE kind = 'revocation' AND protocol = '$protocol'}),
	'revoking what is revoked returns the entry that did it');
like($err, qr/NOTICE:  the protocol is revoked already/, '... with a notice');

# ----- a wrong key later on: every call that uses it fails, and says so

$alliance->sql('dc', q{CREATE TABLE record (id int PRIMARY KEY, patient_id text); SELECT medchain.protect('record', 'patient_id'); INSERT INTO record VALUES (1, 'P0001')});
$protocol = $alliance->sql('en', "SELECT medchain.issue_protocol('P0001', 'text', '$grants')");
$alliance->sql('dc', q{CREATE ROLE app_ha LOGIN; GRANT SELECT, INSERT, UPDATE ON record TO app_ha; SELECT medchain.bind_role('app_ha', 'ha')});
$alliance->wait_for_equal_heads;
pseudonym_key($_, $wrong) foreach @all;
foreach my $call (
	[ 'en', qq{medchain.issue_protocol('P0001', 'text', '$grants')} ],
	[ 'en', qq{medchain.protocol_envelope('P0001', 'text', '$grants')} ],
	[ 'en', qq{medchain.amend_protocol('$protocol', 'P0001', 'text', '$grants')} ],
	[ 'en', qq{medchain.examinee_key_envelope('P0001', '} . $alliance->certificate('ha') . q{')} ],
	[ 'dc', q{medchain.withdraw_examinee_key('P0001', 'lost')} ],
	[ 'ha', q{medchain.data_index('P0001')} ],
	[ 'ha', q{medchain.diagnosis_log('P0001')} ],
	[ 'ha', q{medchain.append('visit', '{}', 'P0001')} ],
	[ 'ha', q{medchain.pseudonym('P0001')} ])
{
	my ($name, $sql) = @$call;
	$alliance->fails_like($name, "SELECT $sql", qr/medchain\.pseudonym_key_file is not the alliance's.*DETAIL:.*HINT:/s, "with the wrong key: " . $sql =~ s/\(.*//sr);
}
$alliance->fails_like('dc', q{INSERT INTO record VALUES (2, 'P0002')}, qr/is not the alliance's/, 'and a row about somebody does not go on the ledger');
$alliance->fails_like('dc', q{SELECT * FROM record}, qr/is not the alliance's/, 'nor is there a guess about whose rows are granted', extra_params => [ '-U', 'app_ha' ])
  if $alliance->sql('dc', q{SELECT count(*) FROM medchain.subject_identity}) eq '0';
is($alliance->sql($_, 'SELECT pseudonym_key FROM medchain.stat'), q{the key in medchain.pseudonym_key_file is not the alliance's}, "$_: stat says so") foreach @all;
like($alliance->sql('dc', q{SELECT detail FROM medchain.verify() WHERE NOT ok}), qr/pseudonym_key_file is not the alliance's/, 'so does verify()');
foreach my $name (@all)
{
	$alliance->sql($name, 'SELECT pg_reload_conf()');
	ok($alliance->cluster($name)->wait_for_log(qr/LOG:  medchain: no pseudonyms: the key in medchain\.pseudonym_key_file is not the alliance's/), "$name: and the log");
}
copy($right, $wrong);
is($alliance->sql('ha', q{SELECT count(*) FROM medchain.data_index('P0001')}), '1', 'the right key in the same file mends it');
chmod 0644, $wrong;
$alliance->cluster('ha')->restart;
$alliance->wait_for('ha', q{SELECT sealer = 'running' AND pseudonym_key ~ 'must be readable by the server alone' FROM medchain.stat});
pass('a file that others can read shows in stat');
ok($alliance->cluster('ha')->wait_for_log(qr/LOG:  medchain: no pseudonyms: .*must be readable by the server alone/), 'and in the log when the server starts');
is($alliance->sql('ha', q{SELECT count(*) FROM medchain.verify() WHERE NOT ok}), '1', 'verify() goes on, and has it as a fault');
chmod 0600, $wrong;
$alliance->verify_ok('ha');

# ----- CAs by plain openssl

my $dir = PostgreSQL::Test::Utils::tempdir();
my $home = $alliance->pki('dc.key');
my $request = sub { system_or_bail('openssl', 'req', '-x509', '-new', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', "$dir/ca.key", '-out', "$dir/$_[0].crt",
	'-subj', "/CN=plain", '-days', '30', @_[ 1 .. $#_ ]); };
append_to_file("$dir/member.ext", "basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n");
my $new = Medchain::Alliance->new_cluster('plain', conf => "medchain.signing_key = '$home'\nmedchain.pseudonym_key_file = '$right'\n");
$new->start;
$new->safe_psql('postgres', 'CREATE EXTENSION medchain CASCADE');
foreach my $case ([ 'plain' ], [ 'proper', '-addext', 'keyUsage=critical,keyCertSign,cRLSign' ])
{
	my ($name, @extension) = @$case;
	$request->($name, @extension);
	system_or_bail('openssl', 'req', '-new', '-key', $home, '-subj', '/CN=dc', '-out', "$dir/request");
	system_or_bail('openssl', 'x509', '-req', '-in', "$dir/request", '-CA', "$dir/$name.crt", '-CAkey', "$dir/ca.key", '-CAcreateserial', '-days', '20', '-extfile', "$dir/member.ext", '-out', "$dir/dc-$name.crt");
	my ($rc, undef, $why) = $new->psql('postgres', sprintf(q{SELECT medchain.found_alliance('west', 'dc', '%s', '%s')}, map { slurp_file("$dir/$_.crt") } "dc-$name", $name));
	if (@extension)
	{
		is($rc, 0, 'with the option that the hint names it is accepted') or diag($why);
	}
	else
	{
		ok($rc != 0 && $why =~ /HINT:.*keyCertSign.*-addext "keyUsage=critical,keyCertSign,cRLSign"/s, 'a CA of plain openssl req -x509: the hint says what its certificate needs') or diag($why);
		unlike($why, qr/HINT:.*digital signatures/s, '... and nothing that leads astray');
	}
}
# ----- the wrong file, the wrong name

# SQL that says a warning, or none; what it says
sub warned_like
{
	my ($name, $sql, $pattern, $title) = @_;
	my ($rc, undef, $err) = $alliance->try($name, $sql);

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	ok($rc == 0 && (defined $pattern ? $err =~ $pattern : $err eq ''), $title) or diag("exit status $rc, stderr: $err");
}

sub admit { my ($name, $certificate) = @_; return sprintf(q{SELECT medchain.admit('%s', 'chain_node', '%s')}, $name, $certificate); }

my $hb = $alliance->certificate('hb');
warned_like('dc', admit('hc', $hb), qr/WARNING:  the certificate of "hc" is made out to another name: .*CN=hb.*HINT:.*end_contract\(\)/s,
	'a certificate with another name is accepted, and is said to be one');
$alliance->fails_like('dc', admit('hb', $hb), qr/that of another member.*It belongs to "hc".*HINT:.*end_contract\(\).*the CA makes another certificate of the same request/s,
	'whose it is then cannot be admitted with it: what to do');
$alliance->sql('dc', q{SELECT medchain.end_contract('hc', 'the wrong file', contract) FROM medchain.contracts WHERE member = 'hc'});
warned_like('dc', admit('hb', $alliance->certify('hb-again', 'hb', key => 'hb')), undef, '... and doing that works, without a word');
warned_like('dc', admit('hc', $alliance->certify('hc-same', 'hc', key => 'ha')),
	qr/WARNING:  the certificate of "hc" is for a key that signs the ledger of "ha".*HINT:.*of its own/s, 'two members with the same key: said as soon as it shows');
$alliance->fails_like('en', q{SELECT medchain.configure_ledger('hc')}, qr/that of another ledger.*HINT:.*It is that of "ha"/s, '... and whose key it is');
$alliance->fails_like('dc', q{SELECT medchain.end_contract('dc', 'x')}, qr/other members than the data centre.*HINT:.*the alliance ends/s, 'the data centre has nothing to end');
$alliance->fails_like('ha', $join, qr/this database is node "ha".*HINT:.*leave_alliance\(\)/s, 'to begin anew');
$new->safe_psql('postgres', 'SELECT medchain.leave_alliance(); DROP EXTENSION medchain; CREATE EXTENSION medchain');
{
	my $found = sprintf(q{SELECT medchain.found_alliance('west', '%%s', '%s', '%s')}, map { slurp_file("$dir/$_.crt") } 'dc-proper', 'proper');
	my (undef, undef, $why) = $new->psql('postgres', sprintf($found, 'centre'));
	like($why, qr/WARNING:  the certificate of "centre" is made out to another name: CN=dc.*HINT:.*found it anew/s, 'the name in founding: that is said');
	$new->safe_psql('postgres', 'SELECT medchain.leave_alliance(); DROP EXTENSION medchain; CREATE EXTENSION medchain');
	(undef, undef, $why) = $new->psql('postgres', sprintf(q{SELECT medchain.join_alliance('%s', '%s', '%s')}, 'hd', slurp_file("$dir/dc-proper.crt"), conninfo_of('ha')));
	like($why, qr/the peer refused: .*not the data centre.*found_alliance\(\) comes first/s, 'joining at somebody else');
	$alliance->fails_like('dc', admit('dd', slurp_file("$dir/dc-proper.crt")), qr/no path to a trust anchor/, 'another CA');
	(undef, undef, $why) = $new->psql('postgres', sprintf(q{SELECT medchain.found_alliance('west', 'dc', '%s', '%s')}, $alliance->certificate('ha'), slurp_file("$dir/proper.crt")));
	like($why, qr/signing_key is not the private key.*made out to .*CN=ha.*HINT:.*this node's own request/s, 'the certificate of somebody else');
	(undef, undef, $why) = $new->psql('postgres', sprintf(q{SELECT medchain.join_alliance('ha', '%s', '%s')}, $alliance->certificate('dc'), conninfo_of('dc')));
	like($why, qr/the contract is about another certificate.*DETAIL:.*CN=ha.*CN=dc.*HINT:.*Is the name right/s, 'the name of somebody else');
}

$alliance->check_logs;
done_testing();
