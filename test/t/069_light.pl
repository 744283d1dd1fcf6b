# Light copies: whoever takes the payloads of governance alone, or of some kinds, verifies every chain, has the same state, knows what it does not have, and
# can have it later, from the author or from whoever has it.  Nobody who passes blocks on can leave entries out unnoticed.
use strict;
use warnings;

use Medchain::Alliance;
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
is($alliance->sql('hb', q{SELECT string_agg(member || ' ' || payloads::text, ', ' ORDER BY member) FROM medchain.peers}), 'dc {all}, en {governance}, ha {governance}', 'peers shows what is taken');

# ----- entries that nobody depends on

$alliance->sql('ha', q{SELECT count(medchain.append('remark', json_build_object('n', i, 'text', repeat('x', 200)))) FROM generate_series(1, 3000) i});
my $kept = $alliance->sql('ha', q{SELECT medchain.append('remark', '{"n": "the last"}')});
$alliance->sql('ha', q{SELECT count(medchain.append('other', json_build_object('n', i))) FROM generate_series(1, 100) i});
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

# ----- an export of what is here

my ($rc, $out, $err);
sub verified
{
	my (@arguments) = @_;
	my ($stdout, $stderr) = ('', '');
	my $ok = IPC::Run::run([ $program, @arguments ], '>', \$stdout, '2>', \$stderr);
	return ($ok ? 0 : $? >> 8, $stdout . $stderr);
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

# ----- payloads later

is($alliance->sql('hb', "SELECT medchain.receipt('$kept') ->> 'payload'"), $alliance->sql('ha', "SELECT payload FROM medchain.entry WHERE id = '$kept'"), 'a receipt is made of what is asked for');
is($alliance->sql('hb', q{SELECT absent FROM medchain.chains WHERE origin = 'ha'}), '3100', 'which is here from now on');
my $first = $alliance->sql('ha', q{SELECT min(seq) FROM medchain.entry WHERE origin = 'ha' AND kind = 'remark'});
is($alliance->sql('hb', "SELECT medchain.fetch_payloads('ha', $first, $first + 9)"), '10', 'some are fetched');
is($alliance->sql('hb', "SELECT medchain.fetch_payloads('ha', $first, $first + 9)"), '0', 'once');
$alliance->cluster('ha')->stop;
is($alliance->sql('hb', q{SELECT medchain.fetch_payloads('ha')}), '3090', 'all others, of whoever has them');
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
is($alliance->sql('hb', q{SELECT string_agg(origin || ' ' || fault, ', ') FROM medchain.verify() WHERE NOT ok}), '', 'verify() at the end');
$alliance->check_logs;
done_testing();
