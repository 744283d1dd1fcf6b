# A member's block under its new key reaches a node before the one under its old key, which another passes on, and before the
# data centre's word: the one that counts has its entries when that comes, although others with the same numbers were accepted.
use strict;
use warnings;

use Medchain::Alliance;
use Medchain::Hostile;
use Test::More;

my $alliance = Medchain::Alliance->new(dc => 'data_center', en => 'end_node', ha => 'chain_node', late => 'chain_node');

# The keeper has swept away what is of no use there: a row that no peer sent is gone.
sub swept
{
	my ($trigger) = split /\n/, $alliance->sql('late', q{SELECT tgname FROM pg_trigger WHERE tgrelid = 'medchain.held_entry'::regclass AND tgtype & 4 > 0});
	$alliance->sql('late', qq{BEGIN; ALTER TABLE medchain.held_entry DISABLE TRIGGER $trigger;
		INSERT INTO medchain.held_entry (source, origin, seq, payload, bytes) VALUES ('nobody', 'dc', 1, '', 0);
		ALTER TABLE medchain.held_entry ENABLE ALWAYS TRIGGER $trigger; COMMIT});
	$alliance->wait_for('late', q{SELECT count(*) FROM medchain.held_entry WHERE source = 'nobody'}, '0');
	return;
}

$alliance->establish;

my $certificate = $alliance->certify('ha2', 'ha');
my ($last) = split / /, $alliance->head('dc', 'ha');
my $height = $last + 1;
$alliance->unfollow('late', 'dc', 'en', 'ha');

# en, which hears nothing more of ha, passes on what that said with the old key
$alliance->unfollow('en', 'ha');
my $relay = Medchain::Hostile->new($alliance, 'en');
my $after = "SELECT size FROM medchain.block WHERE origin = 'ha' AND height = $last";
$alliance->sql('ha', q{SELECT medchain.append('visit', '"with the old key"')});
$alliance->sql('ha', 'SELECT medchain.seal()');
my ($seq, $payload, $note) = split /\|/, $alliance->sql('ha', qq{SELECT e.seq, encode(convert_to(e.payload, 'UTF8'), 'hex'), encode(convert_to(b.note, 'UTF8'), 'hex') FROM medchain.entry e, medchain.block b
	WHERE e.origin = 'ha' AND e.seq >= ($after) AND b.origin = 'ha' AND b.height = $height});

# ha loses it, and seals something else with the new one in front of what it has taken back
my $lost = $alliance->sign_outside('ha2', 'dc', "SELECT medchain.rekey_envelope('ha', '$certificate', last_height => $last)");
$alliance->sql('dc', "SELECT medchain.rekey('ha', '$certificate', proof => '$lost', last_height => $last)");
$alliance->wait_for('ha', q{SELECT max(from_height) > 0 FROM medchain.ledger_key WHERE member = 'ha'});
$alliance->sql('ha', q{SELECT medchain.append('visit', '"before the new key"')});
$alliance->use_key('ha', 'ha2');
$alliance->wait_for('ha', q{SELECT sealer = 'running' FROM medchain.stat});
$alliance->sql('ha', 'SELECT medchain.seal()');
is($alliance->sql('ha', qq{SELECT string_agg(payload::jsonb ->> 'body', ', ' ORDER BY seq) FROM medchain.entry WHERE origin = 'ha' AND seq >= ($after)}),
	'before the new key, with the old key', 'the entries have other numbers now');

# the new one first: nobody has told of that key
$alliance->sql('late', q{SELECT medchain.disconnect_peer('ha')});
$alliance->connect_peers('late', 'ha');
$alliance->wait_for('late', qq{SELECT reason FROM medchain.quarantine WHERE origin = 'ha' AND height = $height}, 'bad signature');

# then the old one, with the key that is known
$relay->publish_everything;
$relay->publish([ [ 'ha', $seq, pack('H*', $payload) ] ], [ [ 'ha', $height, pack('H*', $note) ] ]);
$alliance->sql('late', 'ALTER SUBSCRIPTION ' . $alliance->sql('late', q{SELECT quote_ident(subscription) FROM medchain.peer WHERE member = 'en'}) . ' ENABLE');
$alliance->wait_for('late', q{SELECT height FROM medchain.chains WHERE origin = 'ha'}, $height);

swept();
is($alliance->sql('late', q{SELECT count(*) FROM medchain.held_entry WHERE origin = 'ha' AND payload ~ 'before the new key'}), '1', 'an entry that another block may need is of use');

$alliance->follow('late', 'dc');
$alliance->follow('en', 'ha');
$alliance->wait_for_equal_heads;
$alliance->equal_ok;
is($alliance->sql('late', q{SELECT string_agg(DISTINCT reason, ', ' ORDER BY reason) FROM medchain.quarantine WHERE origin = 'ha'}), 'signed with a key that was replaced', 'the block that counts is in quarantine no more');
swept();
is($alliance->sql('late', q{SELECT count(*) FROM medchain.held_entry}), '0', 'and nothing is held any more');
$alliance->verify_ok;
$alliance->check_logs(map { $alliance->cluster($_) } qw(dc ha late));
done_testing();
