# A peer that floods: chains that it invented, junk in the name of others and in its own.  Who receives it goes on
# sealing and hearing from the others, holds no more than so much, and counts the rest.
use strict;
use warnings;

use Medchain::Alliance;
use Medchain::Hostile;
use PostgreSQL::Test::Utils;
use Test::More;

my $alliance = Medchain::Alliance->new(dc => 'data_center', en => 'end_node', ha => 'chain_node');
my @honest = qw(dc en);

$alliance->establish;
my $bad = Medchain::Hostile->new($alliance, 'ha');
my $mark = $bad->mark;
$bad->publish_everything;

# A revocation that somebody else issues arrives; the others seal; the sender's own chain goes on.
my $round = 0;
sub goes_on_ok
{
	my ($title) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	$round++;
	my $protocol = $alliance->sql('en', "SELECT medchain.issue_protocol('P$round', 'care', '[{\"grantee\": \"ha\", \"operations\": [\"query\"]}]')");
	$alliance->wait_for('dc', "SELECT count(*) FROM medchain.protocol WHERE id = '$protocol'", '1');
	$alliance->sql('en', "SELECT medchain.revoke_protocol('$protocol', 'over')");
	$alliance->wait_for('dc', "SELECT state FROM medchain.protocols WHERE protocol = '$protocol'", 'revoked');
	pass("$title: a revocation arrives");
	$alliance->sql($_, q{SELECT medchain.append('visit', '1')}) foreach $alliance->members;
	$alliance->wait_for_equal_heads;
	pass("$title: all chains go on, that of the sender among them");
	return;
}

# Lines in the log of each of the honest since the last look that speak of such a thing.
my %read = map { $_ => 0 } @honest;
sub logged
{
	my ($node, $pattern) = @_;
	my $log = slurp_file($alliance->cluster($node)->logfile, $read{$node});
	my $lines = () = $log =~ /$pattern/g;
	return $lines;
}

goes_on_ok('before');
$read{$_} = -s $alliance->cluster($_)->logfile foreach @honest;

# ----- 30,000 chains that nobody has

$bad->publish_sql(qq{INSERT INTO medchain.block SELECT 'invented' || i, 0, 0, '\\x00', '\\x00', '\\x00', $mark, format(E'east/invented%s\\n1\\n%s\\nheight 0\\nprevious %s\\nsealed 2026-01-31T23:59:59.123Z\\n\\n\\u2014 east/invented%s %s\\n',
	i, encode(sha256('x'), 'base64'), encode(sha256('x'), 'base64'), i, translate(encode(sha256('x') || sha256('y') || '\\x00000000'::bytea, 'base64'), E'\\n', '')) FROM generate_series(1, 30000) i});
$bad->publish_sql(qq{INSERT INTO medchain.entry SELECT 'invented' || i, 0, gen_random_uuid(), 'visit', $mark, 'x', NULL, '{}', '\\x00' FROM generate_series(1, 10000) i});
$alliance->wait_for($_, q{SELECT dropped >= 40000 FROM medchain.peers WHERE member = 'ha'}) foreach @honest;
foreach my $node (@honest)
{
	is($alliance->sql($node, q{SELECT (SELECT count(*) FROM medchain.held_block), (SELECT count(*) FROM medchain.held_entry), (SELECT count(*) FROM medchain.chains WHERE origin LIKE 'invented%')}),
		'0|0|0', "$node holds nothing of chains that no member has");
	is($alliance->sql($node, q{SELECT count(*) < 10 FROM medchain.quarantine}), 't', "$node: nor is each of them a row of evidence");
	cmp_ok(logged($node, 'invented'), '<', 10, "$node: or a line in the log");
	is(logged($node, 'out of shared memory|exited with exit code'), 0, "$node: no process has failed");
}
goes_on_ok('invented chains');

# ----- 200,000 entries that no block comes for, of its own chain and of others'

$bad->publish_sql(qq{INSERT INTO medchain.entry SELECT o, 1000000 + i, gen_random_uuid(), 'visit', $mark, 'x', NULL, '{"n": ' || i || '}', '\\x00' FROM generate_series(1, 100000) i, unnest('{ha, en}'::text[]) o});
$alliance->wait_for('dc', q{SELECT dropped >= 40000 + 50000 FROM medchain.peers WHERE member = 'ha'});
foreach my $node (@honest)
{
	is($alliance->sql($node, q{SELECT count(*) <= 120000 FROM medchain.held_entry}), 't', "$node holds no more than so many rows");
}
goes_on_ok('junk');
done_testing();
