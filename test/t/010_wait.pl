# Commits that wait for their seal: what ends the wait, and that it is never the transaction.
use strict;
use warnings;

use Medchain::Alliance;
use PostgreSQL::Test::Utils;
use Test::More;

my $alliance = Medchain::Alliance->new(dc => 'data_center', en => 'end_node', ha => 'chain_node');

$alliance->establish;
my $key = $alliance->pki('en.key');
my $grants = q{[{"grantee": "ha", "operations": ["query"]}]};

sub stop_sealing
{
	chmod 0644, $key;
	$alliance->sql('en', 'SELECT pg_reload_conf()');
	$alliance->wait_for('en', q{SELECT sealer = 'failed' FROM medchain.stat});
}

sub go_on
{
	chmod 0600, $key;
	$alliance->sql('en', 'SELECT pg_reload_conf()');
	$alliance->wait_for('en', q{SELECT sealer = 'running' AND pending = 0 FROM medchain.stat});
}

# read your writes, in one session, each protocol as soon as its commit has returned
is($alliance->sql('en', qq{
	SELECT count(*) FROM medchain.protocols;
	SELECT medchain.revoke_protocol(medchain.issue_protocol('P0', 'text', '$grants'), 'x') WHERE false;
	SELECT 1 FROM medchain.issue_protocol('P0', 'text', '$grants');
	SELECT count(*) FROM medchain.protocols}), "0\n1\n1", 'a session reads its own governance');

# ----- the time-out

stop_sealing();
my ($rc, $out, $err) = $alliance->try('en', qq{SET medchain.seal_timeout = '300ms'; SELECT medchain.log_diagnosis(protocol, '{"n": 1}') IS NOT NULL FROM medchain.protocols});
is($rc, 0, 'a commit that could not be sealed in time succeeds');
is($out, 't', 'with its result');
like($err, qr/WARNING:  transaction is committed, but its ledger entries are not sealed yet: medchain\.seal_timeout has passed.*DETAIL:.*group or world access.*HINT:/s,
	'and a warning that says why');
is($alliance->sql('en', q{SELECT count(*) FROM medchain.pending WHERE kind = 'note'}), '1', 'the entry waits');

# ----- cancel

my ($in, $stdout, $stderr) = ('', '', '');
my $psql = IPC::Run::start([ 'psql', '-XAtq', '-d', $alliance->cluster('en')->connstr('postgres') ], '<', \$in, '>', \$stdout, '2>', \$stderr,
	IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default));
$in .= q{SELECT medchain.log_diagnosis(protocol, '{"n": 2}') IS NOT NULL FROM medchain.protocols;} . "\n";
$psql->pump_nb;
$alliance->wait_for('en', q{SELECT count(*) FROM medchain.pending WHERE kind = 'note'}, '2');
$alliance->wait_for('en', q{SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query ~ 'log_diagnosis.*"n": 2' AND pid <> pg_backend_pid() AND state = 'active'});
$in .= "SELECT 'still here';\n\\q\n";
$psql->finish;
like($stderr, qr/WARNING:  transaction is committed, but its ledger entries are not sealed yet: the wait was canceled/, 'cancel ends the wait with a warning');
like($stdout, qr/still here/, 'and the session lives on');

# what does not ask for it does not wait; what asks for it does
is($alliance->sql('en', q{SELECT medchain.append('visit', '{}') IS NOT NULL}), 't', 'data entries do not wait');
($rc, $out, $err) = $alliance->try('en', q{SET medchain.seal_timeout = '300ms'; SET medchain.wait_for_seal = on; SELECT medchain.append('visit', '{}') IS NOT NULL});
like($err, qr/WARNING:  transaction is committed/, 'unless medchain.wait_for_seal says so');

go_on();
$alliance->wait_for_equal_heads;
is($alliance->sql('ha', q{SELECT count(*) FROM medchain.claim WHERE kind = 'note' AND effective}), '2', 'afterwards everything is sealed, and everywhere');
$alliance->verify_ok;
$alliance->check_logs;
done_testing();
