# New keys and certificates: from which block on they count is the same for everybody, in whatever order things are
# heard; old blocks verify with the old key, for ever.
use strict;
use warnings;

use Medchain::Alliance;
use PostgreSQL::Test::Utils;
use Test::More;

my $alliance = Medchain::Alliance->new(dc => 'data_center', en => 'end_node', ha => 'chain_node', hb => 'chain_node');
my $dir = PostgreSQL::Test::Utils::tempdir();

system_or_bail('make', '-s', '-C', 'src/bin');
$alliance->establish;
$alliance->sql('en', q{SELECT medchain.issue_protocol('P1', 'text', '[{"grantee": "ha", "operations": ["query"]}]')});
$alliance->sql($_, q{SELECT medchain.append('visit', '1') FROM generate_series(1, 300)}) foreach qw(dc en ha);
$alliance->wait_for_equal_heads;

sub certificate_of { my ($name) = @_; return q{'} . $alliance->certificate($name) . q{'}; }

# ----- en changes its key: the old one signs over the new one

my $cert = q{'} . $alliance->certify('en2', 'en') . q{'};
my $stranger = q{'} . $alliance->certify('other', 'other') . q{'};
my $envelope = "SELECT medchain.rekey_envelope('en', $cert)";
my $proof = $alliance->sign_outside('en2', 'en', $envelope);
$alliance->fails_like('en', "SELECT medchain.rekey('en', $cert)", qr/a new key needs a proof/, 'a new key has to be shown');
my $wrong = $alliance->sign_outside('ha', 'en', $envelope);
$alliance->fails_like('en', "SELECT medchain.rekey('en', $cert, proof => '$wrong')", qr/not a signature of the new key/, 'by itself');
$alliance->fails_like('en', "SELECT medchain.rekey('en', " . certificate_of('rogue') . ')', qr/is not accepted/, 'with a certificate of the CA');
$alliance->fails_like('en', "SELECT medchain.rekey('en', " . certificate_of('ha') . ')', qr/this public key is, or was, that of a ledger/, 'not with the key of another');
$alliance->fails_like('en', "SELECT medchain.rekey('ha', $cert, proof => '$proof')", qr/for members of kind data_center/, 'nor for another member');

$alliance->unfollow('hb', qw(dc en ha));
$alliance->sql('en', "SELECT medchain.rekey('en', $cert, proof => '$proof')");
my ($from) = split / /, $alliance->head('en', 'en');
$alliance->sql('en', q{SELECT medchain.append('visit', '"waits for the key"')});
$alliance->wait_for('en', q{SELECT sealer = 'failed' AND sealer_error ~ 'is not the key that the ledger of "en" is configured with' FROM medchain.stat});
is($alliance->sql('en', q{SELECT height FROM medchain.chains WHERE origin = 'en'}), $from, 'nothing is sealed with the old key any more');
$alliance->use_key('en', 'en2');
$alliance->wait_for('en', q{SELECT sealer = 'running' FROM medchain.stat});
$alliance->sql('en', q{SELECT medchain.issue_protocol('P2', 'with the new key', '[{"grantee": "ha", "operations": ["query"]}]')});
$alliance->sql('en', q{SELECT medchain.append('visit', '2') FROM generate_series(1, 300)});
$alliance->wait_for_equal_heads(qw(dc en ha));
is($alliance->sql('dc', q{SELECT string_agg(from_height::text, ',' ORDER BY from_height) FROM medchain.ledger_key WHERE member = 'en'}), '0,' . ($from + 1), 'the new key counts from the next block on');
$alliance->verify_ok(qw(dc en ha));

# the same again, and the old key again
my $body = $alliance->sql('en', q{SELECT payload::jsonb -> 'body' FROM medchain.entry WHERE origin = 'en' AND kind = 'rekey'});
$alliance->sql('en', "SELECT medchain_internal.append_raw('rekey', '$body', NULL, true)");
$alliance->sql('ha', "SELECT medchain_internal.append_raw('rekey', '$body', NULL, true)");
$alliance->sql('dc', "SELECT medchain_internal.append_raw('rekey', '$body', NULL, true)");
$alliance->fails_like('en', "SELECT medchain.rekey('en', " . certificate_of('en') . ')', qr/is, or was, that of a ledger/, 'there is no way back to an old key');
my ($size, $root, $height, $hash) = split(/\|/, $alliance->sql('en', q{
	SELECT b.size, encode(b.root, 'base64'), b.height + 1, encode(b.hash, 'base64') FROM medchain.block b WHERE b.origin = 'en' ORDER BY b.height DESC LIMIT 1}));
my $note = $alliance->sign_note('en', "east/en\n$size\n$root\nheight $height\nprevious $hash\nsealed 2026-01-31T23:59:59.123Z\n", 'east/en');
$alliance->forge('en', "INSERT INTO medchain.block VALUES ('en', $height, 1, '\\x00', '\\x00', '\\x00', now(), \$note\$$note\$note\$);
	DELETE FROM medchain.block WHERE sealed = now()");
$alliance->wait_for($_, q{SELECT count(*) FROM medchain.quarantine WHERE origin = 'en' AND reason = 'bad signature'}, '1') foreach qw(dc ha);
pass('what the old key signs later is refused');
$alliance->wait_for_equal_heads(qw(dc en ha));
is($alliance->sql('dc', q{SELECT origin, reason FROM medchain.rejections WHERE kind = 'rekey' ORDER BY origin}),
	"dc|no valid signature by the required key\nen|change of key does not follow the key in force\nha|only the data centre and the member itself change its key",
	'a change of key that is repeated, or on another chain, has no effect') or diag($alliance->sql('dc', q{SELECT origin, reason FROM medchain.rejections WHERE kind = 'rekey'}));
$alliance->follow('hb', qw(ha en dc));
$alliance->wait_for_equal_heads;
is($alliance->sql('hb', q{SELECT count(*) FROM medchain.protocol}), '2', 'hb, which was away, comes to the same');
is($alliance->sql('hb', q{SELECT count(*) FROM medchain.quarantine WHERE origin = 'en' AND reason <> 'bad signature'}), '0', 'without refusing what is signed with the new key');
$alliance->equal_ok;
$alliance->sql('hb', q{SELECT medchain.resync('en')});
$alliance->wait_for_equal_heads;
$alliance->verify_ok;
$alliance->verifies_offline_ok('after a change of key', qw(dc hb));

# ----- the same key, a new certificate

my $renewed = q{'} . $alliance->certify('en3', 'en', key => 'en2') . q{'};
$alliance->sql('en', "SELECT medchain.rekey('en', $renewed)");
$alliance->sql('en', q{SELECT medchain.append('visit', '3')});
$alliance->wait_for_equal_heads;
is($alliance->sql('hb', qq{SELECT certificate_fingerprint = encode((medchain.certificate_facts($renewed)).fingerprint, 'hex') FROM medchain.members WHERE member = 'en'}), 't', 'renewed, with the same key');
is($alliance->sql('hb', q{SELECT count(*) FROM medchain.protocol}), '2', 'what it said before still counts');

# ----- ha has lost its key, and somebody has found it

my $new = q{'} . $alliance->certify('ha2', 'ha') . q{'};
my ($last) = split / /, $alliance->head('dc', 'ha');
$alliance->unfollow('dc', 'ha');
$alliance->unfollow('hb', 'dc');
$alliance->sql('ha', q{SELECT medchain.append('visit', '"by whoever has the key"') FROM generate_series(1, 300)});
$alliance->sql('ha', 'SELECT medchain.seal()');
$alliance->sql('ha', q{CREATE ROLE thief LOGIN; SELECT medchain.bind_role('thief', 'ha')});
my $thief = $alliance->head('ha', 'ha');
$alliance->wait_for($_, q{SELECT height || ' ' || head FROM medchain.chains WHERE origin = 'ha'}, $thief) foreach qw(en hb);

# en has verified that, and the transaction of who did lasts
my $auditor = $alliance->cluster('en')->background_psql('postgres', on_error_stop => 0);
$auditor->query_safe(q{BEGIN; SELECT count(*) FROM medchain.verify('ha')});
my $lost = $alliance->sign_outside('ha2', 'dc', "SELECT medchain.rekey_envelope('ha', $new, last_height => $last)");
$alliance->fails_like('ha', "SELECT medchain.rekey('ha', $new, proof => '$lost', last_height => $last)", qr/is for the data centre/, 'after loss, the data centre changes the key');
$alliance->fails_like('dc', "SELECT medchain.rekey('ha', $new, proof => '$lost')", qr/last_height must not be null/, 'and names the last block');
$alliance->fails_like('dc', "SELECT medchain.rekey('ha', $new, proof => '$lost', last_height => 100000)", qr/block 100000 of "ha" is not here/, 'one that it has');
my $usurper = $alliance->sign_outside('other', 'dc', "SELECT medchain.rekey_envelope('ha', $stranger, last_height => $last)");
$alliance->fails_like('dc', "SELECT medchain.rekey('ha', $stranger, proof => '$usurper', last_height => $last)", qr/certificate is for another name/, 'the CA has to vouch for the name');
$alliance->sql('dc', "SELECT medchain_internal.append_raw('rekey', jsonb_set(e, '{signatures}', e -> 'signatures' || '[{\"sig\": \"$usurper\"}]')::text, NULL, true)
	FROM (SELECT medchain_internal.sign_envelope('application/vnd.medchain.rekey+json', medchain_internal.rekey_terms('ha', $stranger, NULL, medchain_internal.chain_point('ha', $last)))::jsonb) x(e)");
is($alliance->sql('dc', q{SELECT reason FROM medchain.rejections WHERE kind = 'rekey' AND origin = 'dc' ORDER BY seq DESC LIMIT 1}),
	q{the certificate is for another name than the member's contract}, 'not even the data centre gets round that');
$alliance->sql('dc', "SELECT medchain.rekey('ha', $new, proof => '$lost', last_height => $last)");

# ha itself: takes its own blocks back, and seals the entries again, behind one that has waited for its new key: none has
# the number that it had with the thief
$alliance->wait_for('ha', q{SELECT max(from_height) > 0 FROM medchain.ledger_key WHERE member = 'ha'});
$alliance->sql('ha', q{SELECT medchain.append('visit', '"before the new key"')});
$alliance->use_key('ha', 'ha2');
$alliance->wait_for('ha', q{SELECT sealer = 'running' FROM medchain.stat});
$alliance->sql('ha', q{SELECT medchain.append('visit', '"with the new key"')});
$alliance->sql('ha', 'SELECT medchain.seal()');
is($alliance->sql('ha', q{SELECT count(*) FROM medchain.entry WHERE origin = 'ha' AND payload ~ 'by whoever has the key'}), '300', 'no entry is lost');
isnt($alliance->sql('ha', q{SELECT encode(hash, 'hex') FROM medchain.block WHERE origin = 'ha' AND height = } . ($last + 1)), '', 'they are in blocks of the new key');

# en hears of it after it has accepted the thief's blocks; hb hears ha's new blocks before the data centre's word; the data centre had none of it
$alliance->wait_for('hb', q{SELECT count(*) > 0 FROM medchain.quarantine WHERE origin = 'ha' AND reason = 'differs from accepted block'});
$alliance->follow('dc', 'ha');
$alliance->follow('hb', 'dc');
$alliance->wait_for_equal_heads;
$auditor->query_safe('COMMIT');
$auditor->quit;
is($alliance->sql('en', q{SELECT count(*) FROM medchain.verified v WHERE origin = 'ha' AND NOT EXISTS (SELECT FROM medchain.block b WHERE b.origin = v.origin AND b.hash = v.hash)}), '1',
	'en remembers a block that is none any more, and has gone on all the same');
$alliance->equal_ok;
$alliance->verify_ok;
$alliance->verify_ok('en');
is($alliance->sql('en', q{SELECT count(*) FROM medchain.verified v JOIN medchain.block b USING (origin, hash) WHERE origin = 'ha'}), '1', 'and then what there is');
is($alliance->sql($_, q{SELECT count(*) > 0 FROM medchain.quarantine WHERE origin = 'ha' AND reason = 'signed with a key that was replaced'}), 't', "$_: what was taken back is kept")
  foreach qw(en hb);
$alliance->verifies_offline_ok('after loss', qw(dc hb));
my $entry = $alliance->sql('hb', q{SELECT id FROM medchain.entry WHERE origin = 'ha' AND payload ~ 'with the new key' LIMIT 1});
my $receipt = $alliance->sql('hb', "SELECT medchain.receipt('$entry')") . "\n";
my ($out, $err) = ('', '');
ok(IPC::Run::run([ 'src/bin/medchain-verify', '-a', $alliance->pki('ca.crt') ], '<', \$receipt, '>', \$out, '2>', \$err), 'a receipt under the new key') or diag($out . $err);
$alliance->check_state;
$alliance->check_logs;
done_testing();
