# Light copies: whoever takes the payloads of governance alone, or of some kinds, verifies every chain, has the same state, knows what it does not have, and
# can have it later, from the author or from whoever has it.  Nobody who passes blocks on can leave entries out unnoticed.
use strict;
use warnings;

use Digest::SHA qw(sha256);
use MIME::Base64 qw(encode_base64);

use Medchain::Alliance;
use Medchain::Hostile;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $alliance = Medchain::Alliance->new(dc => 'data_center', en => 'end_node', ha => 'chain_node', hb => 'chain_node');
my $file     = PostgreSQL::Test::Utils::tempdir() . '/light.jsonl';
chomp(my $bindir = `$ENV{PG_CONFIG} --bindir`);
my $program = "$bindir/medchain-verify";

$alliance->start($_) foreach $alliance->members;
$alliance->found;
$alliance->admit($_)         foreach qw(en ha hb);
$alliance->join_alliance($_) foreach qw(en ha hb);
sub light
{
	my ($name, $peer, $payloads) = @_;
	my $conninfo = $alliance->conninfo($peer);
	return $alliance->sql($name, "SELECT medchain.connect_peer('$peer', '$conninfo', '$payloads')");
}
$alliance->connect_peers('dc', qw(en ha hb));
$alliance->connect_peers('en', qw(dc ha hb));
$alliance->connect_peers('ha', qw(en hb));
light('hb', 'en', '{governance}');
light('hb', 'ha', '{governance}');
$alliance->configure('en', $_) foreach qw(ha hb);
$alliance->wait_for_equal_heads;

# ----- what may be chosen

foreach my $try ([ '{}', qr/payloads must be/ ], [ '{all,access}', qr/payloads must be/ ], [ '{"a b"}', qr/payloads must be/ ], [ '{NULL}', qr/payloads must be/ ], [ '{ACCESS}', qr/payloads must be/ ],
	[ '{' . join(',', map { "k$_" } 1 .. 101) . '}', qr/payloads must be/ ])
{
	my $conninfo = $alliance->conninfo('ha');
	$alliance->fails_like('hb', "SELECT medchain.connect_peer('ha', '$conninfo', '$try->[0]')", $try->[1], "no choice: " . substr($try->[0], 0, 20));
}
foreach my $try ([ ' access ,row.set,', '{governance,access,row.set}' ], [ 'all', '{all}' ], [ 'access row.set', undef ], [ 'all,access', undef ], [ '', undef ])
{
	$alliance->sql('hb', "ALTER SYSTEM SET medchain.payloads = '$try->[0]'");
	$alliance->sql('hb', 'SELECT pg_reload_conf()');
	$alliance->wait_for('hb', "SELECT current_setting('medchain.payloads') = '$try->[0]'");
	my $chosen = 'SELECT medchain_internal.check_payloads(NULL)';
	defined $try->[1] ? is($alliance->sql('hb', $chosen), $try->[1], "medchain.payloads: '$try->[0]'") : $alliance->fails_like('hb', $chosen, qr/payloads must be/, "medchain.payloads: '$try->[0]' is no choice");
}
$alliance->sql('hb', $_) foreach 'ALTER SYSTEM RESET medchain.payloads', 'SELECT pg_reload_conf()';
is($alliance->sql('hb', q{SELECT string_agg(member || ' ' || payloads::text, ', ' ORDER BY member) FROM medchain.peers}), 'dc {all}, en {governance}, ha {governance}', 'peers shows what is taken');

# ----- entries that nobody depends on

$alliance->sql('ha', q{SELECT count(medchain.append('remark', json_build_object('n', i, 'text', repeat('x', 200)))) FROM generate_series(1, 3000) i});
my $kept = $alliance->sql('ha', q{SELECT medchain.append('remark', '{"n": "the last"}')});
$alliance->sql('ha', q{BEGIN; SELECT FROM medchain.announce('host=ha.example dbname=postgres');
	SELECT count(medchain.append('other', json_build_object('n', i))) FROM generate_series(1, 100) i; COMMIT});
$alliance->sql('ha', 'SELECT medchain.seal()');
$alliance->wait_for_equal_heads;
is($alliance->sql('hb', q{SELECT count(*) FROM medchain.entry WHERE origin = 'ha' AND kind IN ('remark', 'other')}), '0', 'payloads that were not taken are not here');
is($alliance->sql('hb', q{SELECT absent FROM medchain.chains WHERE origin = 'ha'}), '3101', 'chains says how many');
is($alliance->sql('hb', q{SELECT entries - (SELECT count(*) FROM medchain.entry e WHERE e.origin = 'ha') FROM medchain.chains WHERE origin = 'ha'}), '3101', 'and all others are');
is($alliance->sql('dc', q{SELECT sum(absent) FROM medchain.chains}), '0', 'a full copy has all');
$alliance->equal_ok;
is($alliance->sql($_, q{SELECT string_agg(origin || ' ' || fault, ', ') FROM medchain.verify() WHERE NOT ok}), '', "verify() at $_") foreach $alliance->members;
like($alliance->sql('hb', q{SELECT detail FROM medchain.verify() WHERE origin = 'ha'}), qr/payloads of 3101 more entries are not here/, 'verify() says what was not checked');
is($alliance->sql('hb', q{SELECT string_agg(octet_length(leaves) / 32 || ' ' || kinds, ', ' ORDER BY height) FROM medchain.block WHERE origin = 'ha'}),
	$alliance->sql('ha', q{SELECT string_agg(octet_length(leaves) / 32 || ' ' || kinds, ', ' ORDER BY height) FROM medchain.block WHERE origin = 'ha'}), 'what a block carries is the same everywhere');
is($alliance->sql('dc', q{SELECT string_agg(octet_length(leaves) / 32 || ' ' || kinds, ', ' ORDER BY height) FROM medchain.block WHERE origin = 'ha'}),
	$alliance->sql('ha', q{SELECT string_agg(octet_length(leaves) / 32 || ' ' || kinds, ', ' ORDER BY height) FROM medchain.block WHERE origin = 'ha'}), 'also where it was computed');
is($alliance->sql('hb', q{SELECT count(*) FROM medchain.consistency_proof('ha', 100, 3000)}), '1', 'proofs of what is not here are made');
is($alliance->sql('hb', q{SELECT medchain.rebuild_tiles('ha') > 0}), 't', 'and tiles');
is($alliance->sql('hb', q{SELECT count(*) FROM medchain.verify('ha') WHERE NOT ok}), '0', 'which are right');

# governance goes on
my $protocol = $alliance->sql('en', q{SELECT medchain.issue_protocol('P1', 'hb may read', '[{"grantee": "hb", "operations": ["query"]}]')});
$alliance->wait_for('hb', "SELECT count(*) FROM medchain.protocols WHERE protocol = '$protocol'", '1');

# ----- what is not here is said

sub warns { my ($sql) = @_; return ($alliance->try('hb', $sql))[2]; }
like(warns($_), qr/WARNING:  payloads of 3101 entries are not here.*chains "ha"/s, $_) foreach q{SELECT count(*) FROM medchain.diagnosis_log('P1')}, q{SELECT count(*) FROM medchain.disclosures('P1')};

is($alliance->sql('hb', q{SELECT severity, subject, finding FROM medchain.check() WHERE area = 'access'}), 'notice|ha|payloads of 3101 entries are not here: accesses among them were not looked at', 'check()');

# ----- an export of what is here

my ($rc, $out, $err);
sub verified
{
	my (@arguments) = @_;
	my ($stdout, $stderr) = ('', '');
	my $ok = IPC::Run::run([ $program, @arguments ], '>', \$stdout, '2>', \$stderr);
	return ($ok ? 0 : $? >> 8, $stdout . $stderr);
}
sub verifier_takes_receipt
{
	my ($entry) = @_;
	my $receipt = "$file.receipt";
	append_to_file($receipt, $alliance->sql('hb', "SELECT medchain.receipt('$entry')") . "\n");
	my ($status, $said) = verified("-a", $alliance->{anchors}, $receipt);
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is($status, 0, 'medchain-verify accepts a receipt of what is not here') or diag($said);
	return;
}
append_to_file($file, $alliance->sql('hb', 'SELECT medchain.export()') . "\n");
($rc, $out) = verified('--state', $file);
is($rc, 0, 'medchain-verify accepts it');
like($out, qr/ha: 3101 entries are here as leaf hashes alone/, 'and says what is not in it');
like($out, qr/$protocol/, 'the state is there');
my @lines = split /\n/, slurp_file($file);
foreach my $try ([ 'a protocol is left out', sub { grep { !/"kind\\": *\\"protocol/ } @_ } ], [ 'leaf hashes are changed', sub { map { s/("leaves": ")(.)/$1 . ($2 eq '0' ? '1' : '0')/er } @_ } ],
	[ 'kinds are changed', sub { map { s/\\"remark\\": 3/\\"remark\\": 4/r } @_ } ], [ 'leaf hashes are left out', sub { grep { !/"type": "absent"/ } @_ } ],
	[ 'the number of those that are not here', sub { map { s/"absent": 3101/"absent": 3100/r } @_ } ])
{
	my $other = "$file.other";
	unlink $other;
	my @changed = $try->[1]->(@lines);
	isnt(join("\n", @changed), join("\n", @lines), "changed: $try->[0]");
	append_to_file($other, join("\n", @changed) . "\n");
	($rc, $out) = verified($other);
	isnt($rc, 0, "refused: $try->[0]");
}

# an author who says that there is less than there is deceives those who have less; who has it is not in the wrong
{
	my @changed = @lines;
	foreach my $i (grep { $changed[$_] =~ /"type": "absent", .*"origin": "ha"|"origin": "ha", .*"type": "absent"/ } 0 .. $#changed)
	{
		my ($kinds) = $changed[$i] =~ /"kinds": "((?:[^"\\]|\\.)*)"/;
		my ($note)  = $changed[$i] =~ /"kinds_note": "((?:[^"\\]|\\.)*)"/;
		my @text = (split /\\n/, $note)[ 0 .. 4 ];
		$kinds =~ s/\\"/"/g;
		my $all = 0;
		$all += $_ foreach $kinds =~ /: (\d+)/g;
		my $lie = qq({"remark": $all});
		$text[4] = encode_base64(sha256($lie), '');
		(my $signed = $alliance->sign_note('ha', join("\n", @text) . "\n", 'east/ha')) =~ s/\n/\\n/g;
		$lie =~ s/"/\\"/g;
		$changed[$i] =~ s/("kinds": )"(?:[^"\\]|\\.)*"/$1"$lie"/;
		$changed[$i] =~ s/("kinds_note": )"(?:[^"\\]|\\.)*"/$1"$signed"/;
	}
	isnt(join("\n", @changed), join("\n", @lines), 'an author says that there are remarks alone');
	append_to_file("$file.less", join("\n", @changed) . "\n");
	($rc, $out) = verified("$file.less");
	is($rc, 0, 'an export that has more of it verifies') or diag($out);
}

# ----- payloads later

is($alliance->sql('hb', "SELECT medchain.receipt('$kept') ->> 'payload'"), $alliance->sql('ha', "SELECT payload FROM medchain.entry WHERE id = '$kept'"), 'a receipt is made of what is asked for');
like($alliance->sql('hb', "SET default_transaction_read_only = on; BEGIN; SELECT medchain.receipt('$kept', 'ha') ->> 'type'"), qr/^receipt$/m, 'also where nothing may be written');
$alliance->fails_like('hb', "SELECT medchain.receipt('$kept', 'en')", qr/is not on the chain "en"/, 'not of another chain');
$alliance->fails_like('hb', "SELECT medchain.inclusion_proof('$kept')", qr/HINT:  It may be one whose payload is not here: medchain.receipt\(\)/, 'what needs the payload to be here says so');
verifier_takes_receipt($kept);
is($alliance->sql('hb', q{SELECT absent FROM medchain.chains WHERE origin = 'ha'}), '3101', 'it is not kept');
# whose transaction stays open
$alliance->sql('hb', 'CREATE ROLE member LOGIN IN ROLE medchain_member; CREATE ROLE boss LOGIN IN ROLE medchain_admin');
my %session = map { $_ => $alliance->cluster('hb')->background_psql('postgres', extra_params => [ '-U', $_ ]) } qw(member boss);
is($session{member}->query_safe("BEGIN; SELECT medchain.receipt('$kept') IS NULL"), 'f', 'a member asks for a receipt');
is($session{boss}->query_safe(q{BEGIN; SELECT medchain.fetch_payloads('hb')}), '0', 'an administrator for what is here');
$alliance->sql('ha', q{SELECT medchain.append('remark', '{"n": "behind them"}')});
$alliance->sql('hb', q{SELECT medchain.append('remark', '{"n": "behind them"}')});
$alliance->wait_for_equal_heads;
pass('and holds up nothing that arrives, nor what is sealed');
$_->query_safe('ROLLBACK') foreach values %session;
$_->quit foreach values %session;
my $first = $alliance->sql('ha', q{SELECT min(seq) FROM medchain.entry WHERE origin = 'ha' AND kind = 'remark'});
is($alliance->sql('hb', "SELECT medchain.fetch_payloads('ha', $first, $first + 9)"), '10', 'some are fetched');
is($alliance->sql('hb', "SELECT medchain.fetch_payloads('ha', $first, $first + 9)"), '0', 'once');
$alliance->cluster('ha')->stop;
is($alliance->sql('hb', q{SELECT medchain.fetch_payloads('ha')}), '3092', 'all others, of whoever has them');
is($alliance->sql('hb', q{SELECT absent FROM medchain.chains WHERE origin = 'ha'}), '0', 'nothing is missing');
is($alliance->sql('hb', q{SELECT count(*) FROM medchain.verify('ha') WHERE NOT ok}), '0', 'verify() finds them in order');
$alliance->cluster('ha')->start;
is($alliance->sql('hb', 'SELECT medchain_internal.keep_payload(origin, seq, payload) FROM medchain.entry LIMIT 1'), 'f', 'what is here is not taken twice');

# ----- through a hub, which keeps something back

$alliance->sql('dc', q{SELECT medchain.relay('hb')});
$alliance->sql('hb', q{SELECT medchain.disconnect_peer(m) FROM unnest('{dc,en,ha}'::text[]) m});
light('hb', 'dc', '{remark}');
is($alliance->sql('hb', q{SELECT payloads FROM medchain.peers WHERE member = 'dc'}), '{governance,remark}', 'kinds can be chosen');
$alliance->sql('ha', q{SELECT medchain.append('remark', '{"n": "by the hub"}'), medchain.append('other', '{}')});
$alliance->sql('en', q{SELECT medchain.issue_protocol('P2', 'hb may read', '[{"grantee": "hb", "operations": ["query"]}]')});
$alliance->wait_for_equal_heads;
is($alliance->sql('hb', q{SELECT kind, count(*) FROM medchain.entry WHERE origin = 'ha' AND payload ~ 'by the hub' GROUP BY kind}), 'remark|1', 'they come, of the chain of another member as well');
is($alliance->sql('hb', q{SELECT absent FROM medchain.chains WHERE origin = 'ha'}), '1', 'and nothing else');
$alliance->equal_ok;
# a hub that passes on less than is asked for
my $publication = $alliance->sql('dc', q{SELECT pubname FROM pg_publication WHERE pubname ~ '_[0-9a-f]{8}$' AND pubname <> 'medchain' ORDER BY oid DESC LIMIT 1});
my ($height, $size) = split /\|/, $alliance->sql('hb', q{SELECT height, entries FROM medchain.chains WHERE origin = 'en'});
$alliance->sql('dc', qq{ALTER PUBLICATION "$publication" SET TABLE medchain.entry WHERE (origin <> 'hb' AND kind = 'witness'), medchain.block (origin, height, size, root, previous, hash, sealed, note, kinds,
	kinds_note, leaves) WHERE (origin <> 'hb')});
my $withheld = $alliance->sql('en', q{SELECT medchain.issue_protocol('P3', 'hb may read', '[{"grantee": "hb", "operations": ["query"]}]')});
$alliance->wait_for('dc', "SELECT count(*) FROM medchain.protocols WHERE protocol = '$withheld'", '1');
$alliance->wait_for('hb', "SELECT count(*) FROM medchain.protocols WHERE protocol = '$withheld'", '1');
pass('what it keeps back is noticed, and asked for');
# or sends something else in its place, which nobody has asked for
$alliance->wait_for_equal_heads;
my $absent = $alliance->sql('hb', q{SELECT absent FROM medchain.chains WHERE origin = 'en'});
$alliance->sql('dc', qq{ALTER PUBLICATION "$publication" SET TABLE medchain.entry (origin, seq, payload) WHERE (origin <> 'hb' AND kind <> 'protocol'), medchain.block (origin, height, note, kinds,
	kinds_note, leaves) WHERE (origin <> 'hb')});
($withheld) = $alliance->sql('en', q{BEGIN; SELECT FROM medchain.append('other', '{"n": "in its place"}');
	SELECT medchain.issue_protocol('P4', 'hb may read', '[{"grantee": "hb", "operations": ["query"]}]'); COMMIT}) =~ /([0-9a-f-]{36})/;
is($alliance->sql('en', q{SELECT kinds FROM medchain.block WHERE origin = 'en' ORDER BY height DESC LIMIT 1}), '{"other": 1, "protocol": 1}', 'a block with both');
$alliance->wait_for_equal_heads;
is($alliance->sql('hb', "SELECT count(*) FROM medchain.protocols WHERE protocol = '$withheld'"), '1', 'that does not stand for what is kept back');
is($alliance->sql('hb', q{SELECT absent FROM medchain.chains WHERE origin = 'en'}), $absent + 1, 'nor is it taken');
$alliance->equal_ok;

# ----- a hub that changes its mind, and one that many follow

$alliance->sql('dc', q{SELECT medchain.relay('hb')});
my $again = $alliance->sql('en', q{SELECT medchain.issue_protocol('P5', 'hb may read', '[{"grantee": "hb", "operations": ["query"]}]')});
$alliance->wait_for('hb', "SELECT count(*) FROM medchain.protocols WHERE protocol = '$again'", '1');
pass('who followed a publication that is there no more fetches it all anew, by itself');
$alliance->sql('dc', q{SET client_min_messages = error; DO $$ BEGIN FOR i IN 10000000 .. 10000100 LOOP EXECUTE format('CREATE PUBLICATION medchain_spoke_%s', i); END LOOP; END $$});
like($alliance->sql('dc', q{SELECT medchain.offer_payloads('en', '{access}')}), qr/^medchain_[0-9a-f]{8}$/, 'publications for those whose hub it is leave room for the choices of others');
is($alliance->sql('dc', q{SET default_transaction_read_only = on; SELECT medchain.offer_payloads('en', NULL)}), 'medchain', 'what is there is offered where nothing may be written');
$alliance->fails_like('dc', q{SELECT medchain.offer_payloads('en', ARRAY['k' || i]) FROM generate_series(1, 100) i}, qr/"postgres" has chosen payloads of publication "medchain" in 100 ways already/, 'who has made so many makes no more');
$alliance->sql('dc', 'CREATE ROLE follower LOGIN IN ROLE medchain_peer');
like($alliance->sql('dc', q{SET SESSION AUTHORIZATION follower; SELECT medchain.offer_payloads('en', '{"break.glass"}')}), qr/^medchain_[0-9a-f]{8}$/, 'but others do');

$alliance->fails_like('dc', q{SELECT medchain.offer_payloads('hb', ARRAY['k' || i]) FROM generate_series(1, 11) i}, qr/in 10 ways already/, 'of what is behind a hub it is fewer');
$alliance->sql('dc', q{DO $$ BEGIN FOR i IN 10000000 .. 10000100 LOOP EXECUTE format('DROP PUBLICATION medchain_spoke_%s', i); END LOOP; END $$});
$alliance->wait_for_equal_heads;
is($alliance->sql('hb', q{SELECT string_agg(origin || ' ' || fault, ', ') FROM medchain.verify() WHERE NOT ok}), '', 'verify() at the end');

# ----- an author who says that there is less than there is

$alliance->wait_for('ha', 'SELECT NOT EXISTS (SELECT FROM medchain.pending)');
light('hb', 'ha', '{governance}');
$alliance->wait_for_equal_heads;
$alliance->sql('hb', q{SELECT medchain.disconnect_peer('dc')});
my $bad = Medchain::Hostile->new($alliance, 'ha');
my ($entries, $block, $behind) = $bad->block_over([ $bad->payload(kind => 'address', body => '{"host": "hidden.example", "dbname": "d"}') ]);
my $lie = '{"visit": 1}';
my $kinds_note = $alliance->sign_note('ha', join("\n", 'medchain kinds v1', 'east/ha', $block->[1], encode_base64($behind->[1], ''), encode_base64(sha256($lie), '')) . "\n", 'east/ha');
my $mark = $bad->mark;
$bad->publish_sql($bad->rows($entries) . sprintf(q{; INSERT INTO medchain.block VALUES ('ha', %d, 0, '\x00', '\x00', '\x00', %s, $note$%s$note$, '\x%s', '%s', $note$%s$note$)},
	$block->[1], $mark, $block->[2], unpack('H*', $behind->[-1]), $lie, $kinds_note));
$alliance->wait_for($_, "SELECT height FROM medchain.chains WHERE origin = 'ha'", $block->[1]) foreach qw(dc en hb);
is($alliance->sql($_, q{SELECT count(*) FROM medchain.claim WHERE body ->> 'host' = 'hidden.example'}), $_ eq 'hb' ? '0' : '1', "$_: whoever has the entry has what it says") foreach qw(dc en hb);
like(slurp_file($alliance->cluster('dc')->logfile), qr/block $block->[1] of "[^"]*ha" has other kinds of entries than its author says/, 'and says that its author lies');
light('hb', 'dc', '{governance}');
is($alliance->sql('hb', q{SELECT medchain.fetch_payloads('ha') > 0}), 't', 'who has not, gets it with the others');
is($alliance->sql('hb', q{SELECT count(*) FROM medchain.claim WHERE body ->> 'host' = 'hidden.example'}), '1', 'and all have the same state');
like(slurp_file($alliance->cluster('hb')->logfile), qr/was kept from those who do not take all payloads/, 'and says that it was hidden');
$alliance->check_logs;
done_testing();
