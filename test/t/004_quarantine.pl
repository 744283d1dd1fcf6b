# What a hostile member sends: each forgery is in quarantine at every peer, with the
# reason; the subscription lives on, and the true blocks that follow are accepted.
use strict;
use warnings;

use Medchain::Alliance;
use Test::More;

my $alliance = Medchain::Alliance->new(dc => 'data_center', en => 'end_node', ha => 'chain_node');
my @peers = qw(dc en);
my $refused = 0;

$alliance->establish;
$alliance->sql('ha', q{SELECT medchain.append('visit', '{"n": 1}')});
$alliance->wait_for_equal_heads;

# The text of the block that could follow ha's newest, with some of its lines replaced (by number, from 0).
sub next_text
{
	my (%replace) = @_;
	my ($size, $root, $height, $hash) = split(/\|/, $alliance->sql('ha', q{
		SELECT b.size, encode(b.root, 'base64'), b.height + 1, encode(b.hash, 'base64')
		FROM medchain.block b WHERE b.origin = 'ha' ORDER BY b.height DESC LIMIT 1}));
	my @lines = ('east/ha', $size, $root, "height $height", "previous $hash", 'sealed 2026-01-31T23:59:59.123Z');

	$lines[$_] = $replace{$_} foreach keys %replace;
	return join("\n", @lines) . "\n";
}

# Insert a block, after an entry perhaps, behind the triggers' back, and take both away again: only inserts are published.
sub send_block
{
	my ($origin, $note, $entry) = @_;
	my ($height) = $note =~ /^height (\d+)$/m;
	my $sql = '';

	$sql .= "INSERT INTO medchain.entry VALUES ($entry);\n" if $entry;
	$sql .= "INSERT INTO medchain.block VALUES ('$origin', $height, 1, '\\x00', '\\x00', '\\x00', now(), \$note\$$note\$note\$);\n";
	$sql .= "DELETE FROM medchain.block WHERE sealed = now();\n";
	$sql .= "DELETE FROM medchain.entry WHERE leaf_hash = '\\x00'" if $entry;
	$alliance->forge('ha', $sql);
}

# Every peer has one more thing in quarantine, of that origin and for that reason, and follows ha as before.
sub refused_ok
{
	my ($origin, $reason, $title) = @_;
	$refused++;
	foreach my $peer (@peers)
	{
		$alliance->wait_for($peer, 'SELECT count(*) FROM medchain.quarantine', $refused);
		is($alliance->sql($peer, 'SELECT source, origin, reason FROM medchain.quarantine ORDER BY id DESC LIMIT 1'),
			"ha|$origin|$reason", "$peer: $title");
	}
	$alliance->sql('ha', q{SELECT medchain.append('visit', '{"after": "a forgery"}')});
	$alliance->wait_for_equal_heads;
	is($alliance->sql($_, q{SELECT state FROM medchain.peers WHERE member = 'ha'}), 'streaming', "$_: the subscription lives on")
	  foreach @peers;
}

send_block('ha', $alliance->sign_note('en', next_text(), 'east/ha'));
refused_ok('ha', 'bad signature', 'a block signed with another key');

send_block('ha', $alliance->sign_note('ha', next_text(4 => 'previous AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA='), 'east/ha'));
refused_ok('ha', 'bad link', 'a block that does not follow the last');

send_block('ha', $alliance->sign_note('ha', next_text(2 => 'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA='), 'east/ha'));
refused_ok('ha', 'bad root', 'a block with another root');

send_block('ha', $alliance->sign_note('ha', next_text(0 => 'west/ha'), 'west/ha'));
refused_ok('ha', 'bad name', 'a block of another alliance');

send_block('ha', next_text() . "\nno signature line\n");
refused_ok('ha', 'bad note', 'what is no signed note');

# a block that hangs together, over an entry that is none
{
	my ($size, $root) = split(/\|/, $alliance->sql('ha', q{
		SELECT count(*) + 1, encode(medchain.merkle_root(array_agg(convert_to(payload, 'UTF8') ORDER BY seq) || '\x6e6f7468696e67'::bytea), 'base64')
		FROM medchain.entry WHERE origin = 'ha'}));
	my $seq = $size - 1;
	send_block('ha', $alliance->sign_note('ha', next_text(1 => $size, 2 => $root), 'east/ha'),
		"'ha', $seq, gen_random_uuid(), 'visit', now(), 'ha', NULL, 'nothing', '\\x00'");
	refused_ok('ha', 'bad entry', 'an entry that is no JSON object');
	is($alliance->sql('dc', 'SELECT payloads FROM medchain.quarantine ORDER BY id DESC LIMIT 1'), '{nothing}', 'the entry is kept as evidence');
}

# a second block at a height that is known: the first one counts, the other is evidence
{
	my $note = $alliance->sign_note('ha', next_text(3 => 'height 0'), 'east/ha');
	$alliance->forge('ha', "DELETE FROM medchain.block WHERE origin = 'ha' AND height = 0;
		INSERT INTO medchain.block VALUES ('ha', 0, 1, '\\x00', '\\x00', '\\x00', now(), \$note\$$note\$note\$)");
	$refused++;
	$alliance->wait_for($_, 'SELECT count(*) FROM medchain.quarantine', $refused) foreach @peers;
	is($alliance->sql('dc', 'SELECT reason FROM medchain.quarantine ORDER BY id DESC LIMIT 1'), 'differs from accepted block',
		'another block of a known height');
	is($alliance->sql('dc', q{SELECT ok FROM medchain.verify('ha')}), 't', 'the one that came first stands');
}

# ----- a publication that says more than its own chain's inserts

$alliance->sql('ha', q{ALTER PUBLICATION medchain SET TABLE medchain.entry, medchain.block});
send_block('en', $alliance->sign_note('ha', next_text(0 => 'east/en', 3 => 'height 99'), 'east/en'));
$refused++;
$alliance->wait_for($_, 'SELECT count(*) FROM medchain.quarantine', $refused) foreach @peers;
is($alliance->sql('dc', 'SELECT source, origin, reason FROM medchain.quarantine ORDER BY id DESC LIMIT 1'), 'ha|en|bad signature',
	'a block in the name of another member');
is($alliance->sql('en', 'SELECT source, origin, reason FROM medchain.quarantine ORDER BY id DESC LIMIT 1'),
	'ha|en|block of our own chain that we never sealed', 'that member knows what it never sealed');

$alliance->forge('ha', q{INSERT INTO medchain.entry VALUES ('dc', 900, gen_random_uuid(), 'visit', now(), 'dc', NULL, '{}', '\x00');
	DELETE FROM medchain.entry WHERE leaf_hash = '\x00'});
$alliance->wait_for('dc', q{SELECT count(*) FROM medchain.quarantine WHERE reason = 'entry of our own chain that we never wrote'}, '1');
pass('nor what it never wrote');

my $payload = $alliance->sql('dc', q{SELECT payload FROM medchain.entry WHERE origin = 'ha' AND seq = 1});
$alliance->sql('ha', q{ALTER PUBLICATION medchain SET (publish = 'insert, update, delete')});
$alliance->forge('ha', q{UPDATE medchain.entry SET payload = '{}' WHERE origin = 'ha' AND seq = 1;
	DELETE FROM medchain.entry WHERE origin = 'ha' AND seq = 1});
$alliance->sql('ha', q{SELECT medchain.append('visit', '{"after": "an update"}')});
$alliance->sql('ha', 'SELECT medchain.seal()');
$alliance->wait_for('dc', q{SELECT EXISTS (SELECT FROM medchain.entry WHERE origin = 'ha' AND payload LIKE '%an update%')});
is($alliance->sql('dc', q{SELECT payload FROM medchain.entry WHERE origin = 'ha' AND seq = 1}), $payload,
	'updates and deletes that a peer publishes are ignored, and what follows arrives');

$alliance->sql('ha', 'ALTER PUBLICATION medchain ADD TABLE medchain.member');
$alliance->sql('dc', q{SELECT medchain.disconnect_peer('ha')});
my $conninfo = $alliance->conninfo('ha');
$alliance->fails_like('dc', "SELECT medchain.connect_peer('ha', '$conninfo')",
	qr/"ha" publishes more than its chain.*DETAIL:.*member/s, 'nobody subscribes to more than a chain');
is($alliance->sql('dc', 'SELECT count(*) FROM pg_subscription'), '1', 'and nothing is left of the attempt here');
is($alliance->sql('dc', q{SELECT count(*) FROM medchain.verify() WHERE NOT ok}), '0', 'after all that the data centre is as it should be');
$alliance->check_logs(map { $alliance->cluster($_) } @peers);
done_testing();
