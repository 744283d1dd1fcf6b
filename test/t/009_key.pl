# The signing key: what is refused, where the reason shows, and that nothing is lost until it is mended.
use strict;
use warnings;

use Medchain::Alliance;
use Test::More;

my $alliance = Medchain::Alliance->new(dc => 'data_center', en => 'end_node');
my $cluster = $alliance->start('dc');
my $key = $alliance->pki('dc.key');
my $encrypted = $alliance->pki('encrypted.key');

sub use_key
{
	my ($file) = @_;
	$alliance->sql('dc', "ALTER SYSTEM SET medchain.signing_key = '$file'");
	$alliance->sql('dc', 'SELECT pg_reload_conf()');
}

# The sealer says that it can't, and why.
sub fails_ok
{
	my ($words, $title) = @_;
	$alliance->wait_for('dc', "SELECT sealer = 'failed' AND sealer_error ~ '$words' FROM medchain.stat");
	pass("$title: medchain.stat says so");
	$alliance->fails_like('dc', 'SELECT medchain.seal()', qr/the sealer cannot seal.*DETAIL:.*$words.*HINT:.*Nothing is lost/s, "$title: seal() says so");
}

sub runs_ok
{
	my ($title) = @_;
	$alliance->wait_for('dc', q{SELECT sealer = 'running' FROM medchain.stat});
	$alliance->sql('dc', 'SELECT medchain.seal()');
	is($alliance->sql('dc', 'SELECT count(*) FROM medchain.pending'), '0', $title);
}

# ----- before founding

my ($certificate, $anchors) = ($alliance->certificate('dc'), $alliance->certificate('ca'));
use_key($alliance->pki('en.key'));
$alliance->sql('dc', 'SELECT medchain.start_workers()');
$alliance->wait_for('dc', 'SELECT key_fingerprint = (SELECT key_fingerprint FROM medchain.certificate_facts($c$' . $alliance->certificate('en') . '$c$)) FROM medchain.stat');
$alliance->fails_like('dc', "SELECT medchain.found_alliance('east', 'dc', '$certificate', '$anchors')",
	qr/signing_key is not the private key of this certificate/, 'founding with the key of another certificate');
use_key('');
$alliance->wait_for('dc', q{SELECT sealer = 'failed' FROM medchain.stat});
$alliance->fails_like('dc', "SELECT medchain.found_alliance('east', 'dc', '$certificate', '$anchors')",
	qr/the sealer has no signing key.*HINT:.*medchain\.signing_key/s, 'founding without a key');
use_key($key);
$alliance->wait_for('dc', q{SELECT sealer = 'running' FROM medchain.stat});
$alliance->found;
$alliance->sql('dc', q{SELECT medchain.append('visit', '{"n": 1}')});
runs_ok('with the right key it works');

# ----- and later

chmod 0644, $key;
use_key($key);
fails_ok('group or world access', 'a key file that others can read');
$alliance->sql('dc', q{SELECT medchain.append('visit', '{"n": 2}')});
is($alliance->sql('dc', 'SELECT count(*) FROM medchain.pending'), '1', 'entries are taken meanwhile');
chmod 0600, $key;
use_key($key);
runs_ok('mended and reloaded, what waited is sealed');

PostgreSQL::Test::Utils::system_or_bail('openssl', 'pkey', '-in', $key, '-aes256', '-passout', 'pass:opensesame', '-out', $encrypted);
chmod 0600, $encrypted;
use_key($encrypted);
fails_ok('encrypted with a passphrase', 'an encrypted key file');
use_key($alliance->pki('nothing.key'));
fails_ok('could not open', 'a missing key file');
use_key($alliance->pki('ca.crt'));
fails_ok('group or world access|no private key', 'a certificate in its place');
use_key($alliance->pki('en.key'));
$alliance->sql('dc', q{SELECT medchain.append('visit', '{"n": 3}')});
fails_ok('is not the key that the ledger of "dc" is configured with', 'the key of somebody else');
use_key($key);
runs_ok('the right key again');

# ----- a passphrase, by a command that notes each time it is run

my $secrets = PostgreSQL::Test::Utils::tempdir();
my $ledger = "$secrets/runs";
PostgreSQL::Test::Utils::append_to_file("$secrets/right", "opensesame\n");
PostgreSQL::Test::Utils::append_to_file("$secrets/wrong", "mistaken\n");
sub use_command
{
	my ($what) = @_;
	$alliance->sql('dc', "ALTER SYSTEM SET medchain.signing_key_passphrase_command = 'echo \"%p\" >> $ledger; $what'");
	use_key($encrypted);
}
sub runs { return -e $ledger ? scalar(split(/\n/, PostgreSQL::Test::Utils::slurp_file($ledger))) : 0; }

use_command("cat $secrets/right");
$alliance->sql('dc', q{SELECT medchain.append('visit', '{"n": 4}')});
runs_ok('an encrypted key with its passphrase');
is(PostgreSQL::Test::Utils::slurp_file($ledger), "Enter passphrase of medchain.signing_key:\n", 'the command is run once, with the prompt');
use_command("cat $secrets/wrong");
fails_ok('cannot be read with the passphrase given', 'a wrong passphrase');
my $tried = runs();
# what a token does with each wrong PIN: a second is the time between tries with other faults
$alliance->sql('dc', 'SELECT pg_sleep(2.5)');
$alliance->fails_like('dc', 'SELECT medchain.seal()', qr/cannot seal/, 'and seal() goes on to fail');
is(runs(), $tried, 'it is not tried again');
use_command('exit 3');
fails_ok('is encrypted with a passphrase', 'a command that fails');
use_command('true');
fails_ok('is encrypted with a passphrase', 'a command that says nothing');
use_command("head -c 10 $secrets/right");
runs_ok('a passphrase without an end of line');
like(PostgreSQL::Test::Utils::slurp_file($cluster->logfile), qr/signing_key_passphrase_command gave no passphrase \(child process exited with exit code 3\)/, 'the log says why');
use_key('pkcs11:token=hospital;object=ledger?pin-value=1234');
fails_ok('contains a PIN', 'a PIN in the URI');
use_key($encrypted);
runs_ok('with the command');

$alliance->sql('dc', 'CREATE ROLE nobody LOGIN');
$alliance->fails_like('dc', "SET medchain.signing_key_passphrase_command = 'id'", qr/permission denied to set parameter/, 'only superusers set the command', extra_params => [ '-U', 'nobody' ]);
is($alliance->sql('dc', q{SELECT count(*) FROM pg_settings WHERE name ~ '^medchain\.(signing_key|signing_key_passphrase_command|pseudonym_key_file)$'}, extra_params => [ '-U', 'nobody' ]),
	'0', 'nor do others see where the key is');

# ----- its memory: a process that may be dumped, or be attached to by its user, belongs to that user in /proc

SKIP:
{
	skip 'no /proc', 2 unless -d '/proc/self';
	my ($sealer, $keeper) = map { $alliance->sql('dc', "SELECT pid FROM pg_stat_activity WHERE backend_type = 'medchain $_'") } qw(sealer keeper);

	ok(open(my $other, '<', "/proc/$keeper/environ"), 'the memory of other processes of the server can be read by the user it runs as');
	ok(!open(my $own, '<', "/proc/$sealer/environ"), 'that of the sealer cannot');
}

is($alliance->sql('dc', q{SELECT entries, ok FROM medchain.verify('dc')}), '5|t', 'nothing was lost, and all of it verifies');
is($alliance->sql('dc', q{SELECT count(*) FROM pg_stat_activity WHERE query ~ 'BEGIN PRIVATE' AND pid <> pg_backend_pid()}), '0', 'no key in pg_stat_activity');
unlike(PostgreSQL::Test::Utils::slurp_file($cluster->logfile), qr/BEGIN (ENCRYPTED )?PRIVATE KEY|[A-Za-z0-9+\/]{60}=?\n-----END PRIVATE/, 'nor in the log');
# (the statements of this test, which the server is told to log, are its own doing)
my @lines = grep { !/ LOG:  statement: | STATEMENT: / } split(/\n/, PostgreSQL::Test::Utils::slurp_file($cluster->logfile));
is(join("\n", grep { /opensesame|mistaken/ } @lines), '', 'nor a passphrase or PIN');
$alliance->check_logs;
done_testing();
