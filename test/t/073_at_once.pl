# What a peer brings in one transaction becomes part of the ledger where that ends, and each payload is written once: many entries, in
# one block or several, and a backlog of them.  Where anything has to be judged, or somebody else is at work, it is held for the keeper
# as ever; and what is wrong is refused.
use strict;
use warnings;

use Medchain::Alliance;
use Medchain::HostileStream;
use PostgreSQL::Test::Utils;
use Test::More;

my $alliance = Medchain::Alliance->new(dc => 'data_center', en => 'end_node', ha => 'chain_node');
# nobody adds anything by himself
$alliance->start($_, conf => "medchain.witness_interval = 0\n") foreach $alliance->members;
$alliance->establish;

# How many entries were ever held there, and what has been told of that chain.
sub held { my ($name) = @_; return $alliance->sql($name, 'SELECT last_value FROM medchain.held_entry_id_seq'); }
sub told { my ($name, $origin) = @_; $alliance->wait_for($name, "SELECT told = size FROM medchain.chain WHERE origin = '$origin'", 't'); return; }

sub many
{
	my ($name, $count) = @_;
	$alliance->sql($name, "SELECT count(medchain.append('visit', json_build_object('n', i))) FROM generate_series(1, $count) i; SELECT medchain.seal()");
	$alliance->wait_for_equal_heads;
	return;
}

sub at_once_ok
{
	my ($title, $name, $count) = @_;
	my $before = held('dc');
	many($name, $count);
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is(held('dc'), $before, $title);
	return;
}

# ----- what is as it should be

my $listener = $alliance->cluster('dc')->background_psql($alliance->dbname('dc'));
$listener->query_safe('LISTEN medchain');
my $before = held('dc');
many('ha', 3);
is(held('dc'), $before + 3, 'a few entries are held first');
at_once_ok('none of 2,500 is', 'ha', 2500);
told('dc', 'ha');
my $size = $alliance->sql('dc', q{SELECT size FROM medchain.chain WHERE origin = 'ha'});
my $heard = '';
for my $try (1 .. 300)
{
	$heard .= ($listener->query('SELECT pg_sleep(0.1)'))[0];
	last if $heard =~ /"origin":"ha","entries":"$size"/;
}
like($heard, qr/"origin":"ha","entries":"$size"/, 'who listens hears of them');
$listener->quit;
$alliance->cluster('ha')->append_conf('postgresql.conf', 'medchain.block_max_entries = 100');
$alliance->cluster('ha')->reload;
$alliance->wait_for('ha', 'SHOW medchain.block_max_entries', '100');
at_once_ok('nor of 1,000 in ten blocks', 'ha', 1000);
is($alliance->sql('dc', q{SELECT count(*) FROM medchain.block b WHERE origin = 'ha' AND height > (SELECT max(height) FROM medchain.block WHERE origin = 'ha') - 10
	AND size - (SELECT p.size FROM medchain.block p WHERE p.origin = 'ha' AND p.height = b.height - 1) = 100}), '10', 'and these are there');
$alliance->cluster('ha')->append_conf('postgresql.conf', 'medchain.block_max_entries = 10000');
$alliance->cluster('ha')->reload;
$alliance->wait_for('ha', 'SHOW medchain.block_max_entries', '10000');

# ----- a peer that was away: whatever comes first, in the end it is at once

my $subscription = $alliance->sql('dc', q{SELECT subscription FROM medchain.peer WHERE member = 'ha'});
$alliance->sql('dc', "ALTER SUBSCRIPTION $subscription DISABLE");
$alliance->sql('ha', "SELECT count(medchain.append('visit', json_build_object('n', i))) FROM generate_series(1, 400) i; SELECT medchain.seal()") foreach 1 .. 10;
$alliance->sql('ha', "SELECT medchain.append('visit', '\"a few\"'); SELECT medchain.seal()");
$alliance->sql('ha', "SELECT count(medchain.append('visit', json_build_object('n', i))) FROM generate_series(1, 400) i; SELECT medchain.seal()") foreach 1 .. 10;
$before = held('dc');
$alliance->sql('dc', "ALTER SUBSCRIPTION $subscription ENABLE");
$alliance->wait_for_equal_heads;
cmp_ok(held('dc') - $before, '<', 2000, 'of a backlog of 8,001 entries few are held') or diag(held('dc') - $before);

# ----- what the state depends on is the keeper's

my $issue = q{SELECT count(medchain.issue_protocol('P' || i, 'The data centre may read.', '[{"grantee": "dc", "operations": ["query"]}]')) FROM generate_series(%d, %d) i};
$before = held('dc');
$alliance->sql('en', sprintf($issue, 1, 300));
$alliance->wait_for_equal_heads;
is(held('dc'), $before + 300, 'protocols are held');
$alliance->wait_for('dc', 'SELECT count(*) FROM medchain.protocol', '300');
pass('and have their effect');
at_once_ok('what another one brings is not', 'ha', 300);

# ----- somebody else is at work on the chain

my $holder = $alliance->cluster('dc')->background_psql($alliance->dbname('dc'));
$holder->query_safe(q{BEGIN; SELECT FROM medchain.chain WHERE origin = 'ha' FOR UPDATE});
$before = held('dc');
$alliance->sql('ha', "SELECT count(medchain.append('visit', json_build_object('n', i))) FROM generate_series(1, 500) i; SELECT medchain.seal()");
$alliance->wait_for('dc', "SELECT last_value = $before + 500 FROM medchain.held_entry_id_seq", 't');
is($alliance->sql('dc', q{SELECT count(*) FROM pg_locks WHERE NOT granted AND pid IN (SELECT pid FROM pg_stat_subscription)}), '0', 'nobody waits for a chain that somebody has');
$holder->query_safe('COMMIT');
$holder->quit;
$alliance->wait_for_equal_heads;
pass('and what came meanwhile is accepted afterwards');

# ----- what is wrong

my $stream = Medchain::HostileStream->new($alliance, 'ha', ['dc']);
my @true   = $stream->true_rows(400);
$stream->forget;
my %begin  = $stream->outcome('dc');
my $n      = 200;
my $payload = $true[$n][1]{payload};

$before = held('dc');
$stream->forget;
$stream->send([ @true[ 0 .. 99 ], @true[ 101 .. $#true ] ]);
$stream->wait_at('dc', "SELECT last_value > $before FROM medchain.held_entry_id_seq");
my %without = $stream->outcome('dc');
is($without{height}, $begin{height}, 'without one of them, a block waits');

sub refused_ok
{
	my ($title, $rows, $reason) = @_;

	$stream->forget;
	$stream->send($rows);
	$stream->wait_at('dc', "SELECT coalesce(string_agg(reason, ', '), '') ~ '$reason' FROM medchain.quarantine WHERE source = 'ha'");
	my %outcome = $stream->outcome('dc');
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is("$outcome{pid} $outcome{height}", "$begin{pid} $begin{height}", "$title: refused, and the apply worker goes on");
	return;
}
refused_ok('another payload among many', Medchain::HostileStream::changed(\@true, $n, 'payload', $payload =~ s/"hidden" : (\d+)/"hidden" : 1$1/r), 'wrong root|bad root|root');
refused_ok('one that is no entry', Medchain::HostileStream::changed(\@true, $n, 'payload', '{}'), 'bad entry');
my $note = $true[-1][1]{note};
refused_ok('a block without a true signature', Medchain::HostileStream::changed(\@true, $#true, 'note', $note =~ s/height (\d+)/'height ' . ($1 + 0)/er =~ s/\nsealed 2/\nsealed 3/r), 'signature');
$stream->send([@true]);
$stream->wait_at('dc', "SELECT height >= $stream->{height} FROM medchain.chain WHERE origin = 'ha'");
pass('as they are, they are accepted');
$stream->quit;

# ----- and it is all there

# what was tried in vain is not tried again with each transaction
many('ha', 300) foreach 1 .. 10;
at_once_ok('afterwards as before', 'ha', 1000);
$alliance->verify_ok($_) foreach $alliance->members;
$alliance->equal_ok;
done_testing();
