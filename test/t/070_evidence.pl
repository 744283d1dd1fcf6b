# A node that has lost the end of its chain, and those who have it cannot be asked: what others have verified says that it is not
# all here, and nothing is sealed in its place.  And where an administrator has said that the node goes on all the same, that is
# remembered.
use strict;
use warnings;

use IO::Socket::UNIX;
use Medchain::Alliance;
use PostgreSQL::Test::Utils;
use Test::More;

my $alliance = Medchain::Alliance->new(dc => 'data_center', en => 'end_node', ha => 'chain_node', hb => 'chain_node');
$alliance->start('hb', conf => "medchain.witness_interval = '100ms'\n");
$alliance->establish;
my $ha = $alliance->cluster('ha');
my @peers = qw(dc en hb);

sub visit { my ($n) = @_; return "SELECT medchain.append('visit', '{\"n\": $n}')"; }

# Which visits are on the chain of ha.
sub visits
{
	my ($name) = @_;
	return $alliance->sql($name, q{SELECT string_agg(payload::jsonb #>> '{body,n}', ',' ORDER BY seq) FROM medchain.entry WHERE origin = 'ha' AND kind = 'visit'});
}

# The disk of ha as it is now; and ha with that disk again, not started: nothing on it says that it was.
sub snapshot
{
	$ha->stop;
	system_or_bail('cp', '-a', $ha->data_dir, $ha->data_dir . '.old');
	$ha->start;
	$alliance->wait_for('ha', q{SELECT sealer = 'running' AND NOT medchain_internal.recovering() FROM medchain.stat});
	return;
}

sub back
{
	$ha->stop('immediate');
	system_or_bail('rm', '-rf', $ha->data_dir);
	rename($ha->data_dir . '.old', $ha->data_dir) or die $!;
	return;
}

sub seal_waits_for
{
	my ($pattern, $title) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	$alliance->wait_for('ha', "SELECT sealer = 'failed' AND sealer_error ~ '$pattern' OR NOT medchain_internal.recovering() FROM medchain.stat");
	is($alliance->sql('ha', "SELECT sealer || ' ' || (sealer_error ~ '$pattern') FROM medchain.stat"), 'failed true', $title)
	  or diag($alliance->sql('ha', 'SELECT sealer_error FROM medchain.stat'));
	return;
}

# ----- one has the block and is away; the others have heard of it

snapshot();
$alliance->unfollow($_, 'ha') foreach qw(dc en);
$alliance->sql('ha', visit(1) . '; SELECT medchain.seal()');
my ($height) = split / /, $alliance->head('ha', 'ha');
$alliance->wait_for($_, "SELECT count(*) > 0 FROM medchain.sealed WHERE kind = 'witness' AND origin = 'hb' AND medchain_internal.witness_chain(payload) = 'ha'
	AND medchain_internal.witness_height(payload) = $height") foreach qw(dc en);
is(visits($_), '', "$_ does not have the block") foreach qw(dc en);
back();
$alliance->cluster('hb')->stop;
$ha->start;
$alliance->sql('ha', visit(2));
seal_waits_for("^\"hb\" has verified block $height of this node''s chain", 'who has verified a block that nobody shows: nothing is sealed in its place');
like($alliance->sql('ha', q{SELECT hint FROM medchain.check() WHERE area = 'workers' AND finding ~ 'has verified block'}), qr/take_over\(without_peers => true\)/, 'check() has the way out');
$alliance->cluster('hb')->start;
$alliance->wait_for('ha', q{SELECT sealer = 'running' AND NOT medchain_internal.recovering() FROM medchain.stat});
$alliance->sql('ha', 'SELECT medchain.seal()');
is(visits('ha'), '1,2', 'when the witness is back, so is the block, and what waited comes behind it');
foreach my $peer (qw(dc en))
{
	# its slot is gone, which it finds out
	my $subscription = $alliance->sql($peer, q{SELECT quote_ident(subscription) FROM medchain.peer WHERE member = 'ha'});
	$alliance->sql($peer, "ALTER SUBSCRIPTION $subscription ENABLE");
}
$alliance->wait_for_equal_heads;
$alliance->equal_ok;

# ----- some let it wait, and the last one has more

snapshot();
$alliance->sql('ha', visit(3));
$alliance->wait_for_equal_heads;
back();
$alliance->cluster('dc')->stop;
my $silent = IO::Socket::UNIX->new(Local => sprintf('%s/.s.PGSQL.%d', $alliance->cluster('dc')->host, $alliance->cluster('dc')->port), Listen => 20) or die $!;
chmod(0777, $silent->hostpath);
$ha->append_conf('postgresql.conf', 'medchain.recovery_timeout = 100ms');
$ha->start;
$alliance->sql('ha', visit(4) . '; SELECT medchain.seal()');
is(visits('ha'), '1,2,3,4', 'the one that answers is asked, however long another one lets us wait');
unlink $silent->hostpath;
close $silent;
$alliance->cluster('dc')->start;
$alliance->wait_for_equal_heads;
$alliance->equal_ok;
is($alliance->sql($_, q{SELECT string_agg(reason, ', ') FROM medchain.quarantine}), '', "$_ has refused nothing") foreach $alliance->members;

# ----- an administrator says that it goes on, and is wrong

$ha->append_conf('postgresql.conf', 'medchain.recovery_timeout = -1');
snapshot();
$alliance->sql('ha', visit(5));
$alliance->wait_for_equal_heads;
back();
$alliance->cluster($_)->stop foreach @peers;
$ha->start;
$alliance->sql('ha', 'SELECT medchain.take_over(without_peers => true)');
$alliance->sql('ha', visit(6) . '; SELECT medchain.seal()');
is(visits('ha'), '1,2,3,4,6', 'told so, it seals another block in the place of one');
$alliance->cluster($_)->start foreach @peers;
foreach my $time ('once', 'twice')
{
	$ha->restart;
	$alliance->sql('ha', visit($time eq 'once' ? 7 : 8) . '; SELECT medchain.seal()');
	is(visits('ha'), $time eq 'once' ? '1,2,3,4,6,7' : '1,2,3,4,6,7,8', "restarted $time, it goes on: that has been decided");
}
like(slurp_file($ha->logfile), qr/"$_" has another chain of this node: block \d+, with which take_over/, "the log says that $_ has another chain") foreach @peers;
$alliance->sql('dc', q{SELECT medchain.resync('ha')});
$alliance->wait_for('dc', q{SELECT count(*) > 0 FROM medchain.forks WHERE member = 'ha' AND state = 'open'});
is($alliance->sql('dc', q{SELECT state FROM medchain.members WHERE member = 'ha'}), 'suspended', 'and the fork is one');
$alliance->check_logs;
done_testing();
