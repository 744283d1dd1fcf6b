# Certificates that expire or are revoked: no new blocks, no rights, and nothing of what was said before is lost or
# judged otherwise, in whatever order it is heard; and how a member comes back.  (Sessions: 017_sessions.pl.)
use strict;
use warnings;

use Medchain::Alliance;
use POSIX qw(strftime);
use PostgreSQL::Test::Utils;
use Test::More;

my $alliance = Medchain::Alliance->new(dc => 'data_center', en => 'end_node', e3 => 'end_node', late => 'chain_node', e2 => 'end_node');
my @peers = qw(e2 e3 en dc);
my $cluster = Medchain::Alliance->new_cluster('all', conf => "max_worker_processes = 60\nmax_logical_replication_workers = 30\nmax_wal_senders = 40\nmax_replication_slots = 40\njit = off\n");

system_or_bail('make', '-s', '-C', 'src/bin');
$cluster->start;
$alliance->start($_, cluster => $cluster, dbname => $_) foreach qw(dc en e3 late);
$alliance->establish(qw(dc en e3 late));

my $grants = q{[{"grantee": "late", "operations": ["query"]}]};
sub issue { my ($name, $subject) = @_; return $alliance->sql($name, "SELECT medchain.issue_protocol('$subject', 'text', '$grants')"); }
sub rejected { my ($name, $origin) = @_; return $alliance->sql($name, "SELECT kind, reason FROM medchain.rejections WHERE origin = '$origin' ORDER BY seq"); }
sub granted { my ($name) = @_; return $alliance->sql($name, q{SELECT count(*) FROM medchain.active_grant g JOIN medchain.protocol p ON p.id = g.protocol WHERE p.issuer = 'e2'}); }

# e2's certificate is good for another half minute of sealing: a sealer stops a minute before the end
my $ends = time + 90;
$alliance->certify('e2', 'e2', ends => $ends);
$alliance->start('e2', cluster => $cluster, dbname => 'e2');
$alliance->admit('e2');
$alliance->join_alliance('e2');
foreach my $name (qw(dc en e3 late))
{
	$alliance->connect_peers($name, 'e2');
	$alliance->connect_peers('e2', $name);
}
$alliance->configure('en', 'e2');
$alliance->wait_for_equal_heads;
$alliance->wait_for('e2', q{SELECT state = 'active' FROM medchain.members WHERE member = 'e2'});
issue('e2', 'P1');
$alliance->wait_for_equal_heads;

my ($before, $after, $crl);
$alliance->hears_late('late', \@peers, sub {
	issue('e2', 'P2');

	# ----- e3's is revoked, since a time between what it said before and after

	$before = issue('e3', 'R1');
	# lists tell time in seconds
	my $since = $alliance->sql('dc', q{SELECT extract(epoch FROM date_trunc('second', clock_timestamp()) + interval '1 second')::bigint});
	$alliance->wait_for('dc', "SELECT clock_timestamp() > to_timestamp($since)");
	$after = issue('e3', 'R2');
	$crl = $alliance->revoke('e3', strftime('%y%m%d%H%M%SZ', gmtime $since));
	$alliance->wait_for_equal_heads(@peers);
	$alliance->unfollow('dc', 'e3');
	$alliance->unfollow('e3', 'dc');
	# what the data centre has not heard when it adds the list: back-dated, it is refused by where it stands
	$alliance->forge_entry('e3', 'protocol', $alliance->protocol_body('e3', 'R3', 'late'), q{encode(medchain.pseudonym('R3'), 'hex')}, qq{to_timestamp($since) - interval '1 second'});
	my ($behind) = split / /, $alliance->head('e3', 'e3');
	$alliance->wait_for('en', qq{SELECT height = $behind FROM medchain.chains WHERE origin = 'e3'});
	$alliance->sql('dc', "SELECT medchain.add_crl('$crl')");
	$alliance->follow('e3', 'dc');
	$alliance->follow('dc', 'e3');
	$alliance->wait_for($_, q{SELECT state = 'revoked' FROM medchain.members WHERE member = 'e3'}) foreach qw(dc en e3);
	$alliance->fails_like('e3', "SELECT medchain.issue_protocol('R4', 'text', '$grants')", qr/certificate of "e3" was revoked/, 'who is revoked issues no more');
	is($alliance->sql($_, "SELECT string_agg(CASE id WHEN '$before' THEN 'before' ELSE 'after' END, ',') FROM medchain.protocol WHERE issuer = 'e3'"), 'before', "$_: what it said before it was revoked counts, what it said later does not")
	  foreach qw(dc en);
	is(rejected('dc', 'e3'), q{protocol|the author's certificate was revoked}, 'and why');
	is($alliance->sql('en', q{SELECT count(*) FROM medchain.rejections WHERE origin = 'e3' AND reason = 'the author''s certificate was revoked'}), '2', 'en had heard more, which has no effect either');
	is($alliance->sql('dc', q{SELECT state FROM medchain.chains WHERE origin = 'e3'}), 'held, certificate', 'and which waits at the data centre');
	is($alliance->sql('dc', q{SELECT ok FROM medchain.verify('e3')}), 't', 'the chain up to there verifies');

	# it comes back with a new key, from where the data centre has heard it up to
	my $certificate = $alliance->certify('e3-new', 'e3');
	my ($last) = split / /, $alliance->head('dc', 'e3');
	my $proof = $alliance->sign_outside('e3-new', 'dc', "SELECT medchain.rekey_envelope('e3', '$certificate', last_height => $last)");
	$alliance->fails_like('e3', "SELECT medchain.rekey('e3', '$certificate')", qr/has expired or was revoked.*HINT:.*the data centre calls medchain\.rekey\(\)/s, 'it cannot do so itself');
	$alliance->sql('dc', "SELECT medchain.rekey('e3', '$certificate', proof => '$proof', last_height => $last)");
	$alliance->wait_for('e3', q{SELECT state = 'active' FROM medchain.members WHERE member = 'e3'});
	$alliance->use_key('e3', 'e3-new');
	issue('e3', 'R4');

	# ----- e2's certificate ends: what was said before stays, and nothing is sealed any more

	$alliance->wait_for('e2', 'SELECT clock_timestamp() > to_timestamp(' . ($ends - 60) . ')');
	$alliance->sql('e2', q{SELECT medchain.append('visit', '"after it"')});
	$alliance->wait_for('e2', q{SELECT sealer = 'failed' AND sealer_error ~ 'certificate of "e2" has expired' FROM medchain.stat});
	is($alliance->sql('e2', q{SELECT count(*) FROM medchain.pending}), '1', 'expired: its sealer stops, and its entries wait');
	$alliance->wait_for('en', q{SELECT count(*) = 2 FROM medchain.protocol WHERE issuer = 'e2'});
	is($alliance->sql('dc', q{SELECT ok, fault FROM medchain.verify('e2')}), 't|', 'what is sealed verifies');

	# it cannot renew it itself, as it seals nothing: the data centre offers a contract with the new certificate
	my $new = $alliance->certify('e2-new', 'e2', key => 'e2');
	$alliance->fails_like('e2', "SELECT medchain.rekey('e2', '$new')", qr/has expired or was revoked.*HINT:.*medchain\.admit\(\)/s, 'its own rekey() says what to do');
	my $offer = $alliance->sql('dc', "SELECT medchain.admit('e2', 'end_node', '$new')");
	$alliance->wait_for('e2', "SELECT EXISTS (SELECT FROM medchain.contract WHERE id = '$offer')");
	$alliance->wait_for('e2', q{SELECT sealer = 'running' FROM medchain.stat});
	$alliance->sql('e2', 'SELECT medchain.accept_contract()');
	$alliance->wait_for('e2', "SELECT contract = '$offer' FROM medchain.members WHERE member = 'e2'");
	issue('e2', 'P3');
});
is($alliance->sql('late', q{SELECT count(*) FROM medchain.entry WHERE origin = 'e2' AND payload ~ 'after it'}), '1', 'renewed: what waited is sealed');
is(granted($_), '3', "$_: all that it granted counts") foreach qw(dc late);
is(rejected($_, 'e2'), '', "$_: nothing of it was refused") foreach qw(dc late);
is($alliance->sql($_, "SELECT count(*) FILTER (WHERE id = '$before'), count(*) FILTER (WHERE id = '$after'), count(*) FROM medchain.protocol WHERE issuer = 'e3'"), '1|0|3',
	"$_: with its new key it counts again, and what was said with the revoked one stays without effect") foreach qw(dc en late);
is(rejected($_, 'e3'), q{protocol|the author's certificate was revoked}, "$_: for the same reason") foreach qw(en late);

# ----- a block that is sealed without a certificate for its time waits, and says nothing

my ($size, $root, $height, $hash) = split(/\|/, $alliance->sql('e2', q{
	SELECT b.size, encode(b.root, 'base64'), b.height + 1, encode(b.hash, 'base64') FROM medchain.block b WHERE b.origin = 'e2' ORDER BY b.height DESC LIMIT 1}));
my $note = $alliance->sign_note('e2', "east/e2\n$size\n$root\nheight $height\nprevious $hash\nsealed 2050-01-31T23:59:59.123Z\n", 'east/e2');
$alliance->forge('e2', "INSERT INTO medchain.block VALUES ('e2', $height, 1, '\\x00', '\\x00', '\\x00', now(), \$note\$$note\$note\$);
	DELETE FROM medchain.block WHERE sealed = now()");
$alliance->wait_for($_, q{SELECT state = 'held, certificate' FROM medchain.chains WHERE origin = 'e2'}) foreach qw(dc late);
is($alliance->sql($_, q{SELECT height FROM medchain.chains WHERE origin = 'e2'}), $height - 1, "$_: a block of a time without certificate waits") foreach qw(dc late);
$alliance->verify_ok(qw(dc late));
$alliance->verifies_offline_ok('after revocation and renewal', qw(dc late));
$alliance->check_state;
$alliance->check_logs;
done_testing();
