# A member signs two blocks of one height, as the hostile administrator of a database that was restored from an old copy does, and
# shows one peer this and another that one.  Those who compare notes find out, prove it, and everybody takes that into account
# alike, whatever branch he has seen; until the data centre says which of them counts, or gives the chain another key.
use strict;
use warnings;

use Digest::SHA qw(sha256 sha256_hex);
use IPC::Run;
use Medchain::Alliance;
use Medchain::Hostile;
use PostgreSQL::Test::Utils;
use Test::More;

my @all = qw(dc en ha hb);
my @honest = qw(dc en hb);
my $alliance = Medchain::Alliance->new(dc => 'data_center', en => 'end_node', ha => 'chain_node', hb => 'chain_node');
my $dir = PostgreSQL::Test::Utils::tempdir();
$alliance->start($_, conf => "medchain.witness_interval = '100ms'\n") foreach @all;
$alliance->establish;
my $bad = Medchain::Hostile->new($alliance, 'ha');

sub subscription { my ($node) = @_; return $alliance->sql($node, q{SELECT subscription FROM medchain.peer WHERE member = 'ha'}); }

# These hear nothing of what ha does in there.
sub unseen_by
{
	my ($nodes, $do) = @_;
	$alliance->unfollow($_, 'ha') foreach @$nodes;
	my @result = $do->();
	foreach my $node (@$nodes)
	{
		my $lsn = $alliance->sql('ha', 'SELECT pg_current_wal_lsn()');
		my $subscription = subscription($node);
		$alliance->sql($node, "SELECT pg_replication_origin_advance('pg_' || s.oid, '$lsn') FROM pg_subscription s WHERE s.subname = '$subscription'");
		$alliance->follow($node, 'ha');
	}
	return @result;
}

# ha seals this for dc and en, and another block in its place for hb, which has heard of the first by then as $meanwhile says: the
# hashes of both, and their height.
my $meanwhile = sub { };

sub fork_chain
{
	my ($seal, @payloads) = @_;
	$alliance->sql('ha', 'SELECT medchain.seal()');
	$alliance->wait_for('ha', 'SELECT NOT EXISTS (SELECT FROM medchain.pending) AND NOT EXISTS (SELECT FROM medchain.witness_due)');
	$alliance->wait_for_equal_heads(@all);
	my @before = $bad->head;
	unseen_by(['hb'], sub { $alliance->sql('ha', "$seal; SELECT medchain.seal()"); });
	my $height = $before[0] + 1;
	my $one = $alliance->sql('ha', "SELECT encode(hash, 'hex') FROM medchain.block WHERE origin = 'ha' AND height = $height");
	$alliance->wait_for($_, "SELECT encode(hash, 'hex') FROM medchain.block WHERE origin = 'ha' AND height = $height", $one) foreach qw(dc en);
	$meanwhile->($height);
	my ($entries, $block, $behind) = $bad->block_over(\@payloads, behind => \@before);
	unseen_by([qw(dc en)], sub { $bad->publish_instead($entries, [$block]); });
	$alliance->wait_for('hb', "SELECT encode(hash, 'hex') FROM medchain.block WHERE origin = 'ha' AND height = $height", unpack('H*', $behind->[1]));
	return ($height, $one, unpack('H*', $behind->[1]), $block->[2]);
}

sub states { return map { $alliance->sql($_, q{SELECT encode(medchain.state_hash(), 'hex')}) } @_; }

# ----- words prove nothing

my $protocol = $alliance->sql('en', q{SELECT medchain.issue_protocol('P1', 'care', '[{"grantee": "ha", "operations": ["query"]}]')});
$alliance->wait_for_equal_heads(@all);
my $note = $alliance->sql('hb', q{SELECT note FROM medchain.block WHERE origin = 'en' AND height = 0});
my $json = sub { return '"' . ($_[0] =~ s/\n/\\n/gr) . '"' };
my ($forged) = $bad->block_over([ $bad->payload ], origin => 'en', behind => [ -1, "\0" x 32 ]);
my @lies = (
	'{"member": "en"}',
	'{"member": "en", "notes": [' . $json->($note) . ', ' . $json->($note) . ']}',
	'{"member": "en", "notes": [' . $json->($note) . ', ' . $json->(($bad->block_over([ $bad->payload ], origin => 'en', behind => [ -1, "\0" x 32 ]))[1][2]) . ']}',
	'{"member": "nobody", "notes": [' . $json->($note =~ s/en$/nobody/mr) . ', ' . $json->($note) . ']}');
$alliance->forge_entry('hb', 'fork', "\$b\$$_\$b\$", 'NULL', 'clock_timestamp()') foreach @lies;
$alliance->wait_for_equal_heads(@all);
foreach my $node (@all)
{
	is($alliance->sql($node, q{SELECT string_agg(reason, '; ' ORDER BY seq) FROM medchain.rejections WHERE kind = 'fork'}),
		'there are no two blocks in it; the two blocks are the same; a block in it is not signed with the key in force there; there are no two blocks in it',
		"$node: what proves nothing has no effect");
	is($alliance->sql($node, q{SELECT count(*) FROM medchain.members WHERE state <> 'active'}), '0', "$node: and suspends nobody");
	is($alliance->sql($node, 'SELECT count(*) FROM medchain.forks'), '0', "$node: there is no fork");
}

# ----- two blocks of one height

my $listener = $alliance->cluster('dc')->background_psql('postgres', on_error_stop => 0);
$listener->query_safe('LISTEN medchain');
my ($height, $one, $other, $other_note) = fork_chain(q{SELECT medchain.announce('host=a.example dbname=a')},
	$bad->payload(kind => 'address', body => '{"host": "b.example", "port": "5432", "dbname": "b"}'), $bad->payload(kind => 'note', body => '{}'));
my $view = join(' ', sort($one, $other));
my $one_and_other = join(' and ', sort($one, $other));
foreach my $node (@honest)
{
	$alliance->wait_for($node, q{SELECT bool_or(state = 'open') FROM medchain.forks});
	is($alliance->sql($node, q{SELECT DISTINCT member || ' ' || height || ' ' || block || ' ' || other FROM medchain.forks}), "ha $height $view", "$node knows of both blocks");
	is($alliance->sql($node, q{SELECT DISTINCT here FROM medchain.forks}), $node eq 'hb' ? $other : $one, "$node has one of them");
	is($alliance->sql($node, q{SELECT state FROM medchain.members WHERE member = 'ha'}), 'suspended', "$node: the member is suspended");
	is($alliance->sql($node, q{SELECT count(*) FROM medchain.check() WHERE area = 'ledger' AND subject = 'ha' AND severity = 'error' AND finding LIKE 'it has signed two blocks%'}), '1', "$node: check() says so");
}
$alliance->wait_for('ha', q{SELECT count(*) > 0 FROM medchain.forks});
pass('the member itself is told');
settle();
my ($dc, $en, $hb) = states(@honest);
is($en, $dc, 'who has the same branch has the same state');
is($hb, $dc, 'so has who has the other one');
is($alliance->sql($_, q{SELECT count(*) FROM medchain.addresses WHERE member = 'ha' AND host IN ('a.example', 'b.example')}), '0', "$_: what follows the fork has no effect") foreach @honest;
is($alliance->sql($_, qq{SELECT count(*) FROM medchain.active_grant WHERE grantee = 'ha'}), '0', "$_: the member's grants are dormant") foreach @honest;
is($alliance->sql($_, q{SELECT count(*) FROM medchain.forks}) <= 3 ? 'few' : 'many', 'few', "$_: not each says it again and again") foreach @honest;
my $entry = $alliance->sql('dc', q{SELECT entry FROM medchain.forks ORDER BY proven, entry LIMIT 1});
is($alliance->sql('hb', "SELECT bool_and(holds) FROM medchain.explain_entry('$entry')"), 't', 'explain_entry() says why it is one');
like($alliance->sql('hb', "SELECT judged_by FROM medchain.explain_entry('$entry') WHERE condition LIKE 'both are signed%'"), qr/^blocks $height with the hashes $one_and_other$/, 'by these blocks');
$alliance->verify_ok(@honest);

my $heard = '';
for (my $i = 0; $i < 600 && $heard !~ /"area":"forks"/; $i++)
{
	$heard .= $listener->query('SELECT pg_sleep(0.05)');
}
like($heard, qr/"event":"trouble","area":"forks","subject":"ha"/, 'who listens hears of it');
$listener->quit;

# ----- offline

my $program = Medchain::Alliance::sanitized_verifier();
my %file = map { $_ => "$dir/$_.export" } qw(dc en hb);
foreach my $node (keys %file)
{
	open my $out, '>:raw', $file{$node} or die;
	print $out $alliance->sql($node, 'SELECT medchain.export()') . "\n";
	close $out or die;
}
sub verifier
{
	my ($expected, $pattern, $title, @arguments) = @_;
	my ($out, $err) = ('', '');
	my $run = IPC::Run::start([ $program, '-q', '-a', $alliance->pki('ca.crt'), @arguments ], '>', \$out, '2>', \$err);
	$run->finish;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	ok($run->result(0) == $expected && $out =~ $pattern, $title) or diag($run->result(0) . ": $out$err");
	return;
}
my $forked = join(' and ', sort($one, $other));
verifier(0, qr/^ha: forked at block $height: $forked are both signed with its key; what follows has no effect$/m, 'an export of one branch proves the fork', $file{dc});
verifier(0, qr/^ha: forked at block $height: $forked/m, 'that of the other one as well', $file{hb});
verifier(0, qr/^Forks\n.*\bha\b/ms, 'and it is in the state', '--state', $file{dc});
verifier(1, qr{block $height of "east/ha" is another one in the other export, signed with the same key: the chain was forked}, 'two exports together say so by themselves', '--other', $file{hb}, $file{dc});
verifier(1, qr/^ha: forked at block $height: $one and $other are both signed/m, 'with both blocks', '--other', $file{hb}, $file{dc});
verifier(0, qr/^verified$/m, 'two of the same branch agree', '--other', $file{en}, $file{dc});
verifier(2, qr/the other export cannot be used/, 'another file is none', '--other', $alliance->pki('ca.crt'), $file{dc});
{
	open my $out, '>:raw', "$dir/note" or die;
	print $out $other_note;
	close $out or die;
	verifier(1, qr/signed with the same key: the chain was rewritten/, 'so does one note that was kept', '--checkpoint', "$dir/note", $file{dc});
}

# ----- which of them counts

$alliance->fails_like('dc', q{SELECT medchain.reinstate('ha')}, qr/"ha" has forked its chain/, 'not without saying which block counts');
$alliance->fails_like('dc', sprintf(q{SELECT medchain.reinstate('ha', '%s')}, 'ab' x 32), qr/has no open fork with that block/, 'nor with another block');
$alliance->fails_like('en', "SELECT medchain.reinstate('ha', '$one')", qr/data_center/, 'nor does another member say so');
$alliance->sql('dc', "SELECT medchain.reinstate('ha', '$one')");
$alliance->wait_for($_, q{SELECT state FROM medchain.members WHERE member = 'ha'}, 'active') foreach @all;
$alliance->wait_for('hb', "SELECT encode(hash, 'hex') FROM medchain.block WHERE origin = 'ha' AND height = $height", $one);
pass('who had the other block takes it back, and has the one that counts');
$alliance->sql('ha', q{SELECT medchain.append('visit', '"afterwards"')});
$alliance->wait_for_equal_heads(@all);
$alliance->equal_ok(@all);
is($alliance->sql($_, q{SELECT DISTINCT state || ' ' || counts FROM medchain.forks}), "decided $one", "$_: the fork is decided") foreach @all;
is($alliance->sql($_, q{SELECT count(*) FROM medchain.addresses WHERE member = 'ha' AND host = 'a.example'}), '1', "$_: what that block says has effect") foreach @all;
$alliance->verify_ok(@all);

# ----- or another key; of this fork only hb can learn, by what dc had verified before, and en invents a thousand heads in between

$alliance->sql('hb', "ALTER SYSTEM SET medchain.witness_interval = 0; SELECT pg_reload_conf()");
$meanwhile = sub {
	my ($height) = @_;
	my $witnessed = q{SELECT count(*) > 0 FROM medchain.entry e CROSS JOIN LATERAL medchain_internal.witness_head(e.payload) h
		WHERE e.origin = '%s' AND e.kind = 'witness' AND h.chain = 'ha' AND h.height = %s};
	my $body = q{'{"chain": "ha", "entries": 1, "height": ' || 1000000 + i || ', "hash": "' || repeat('ab', 32) || '"}'};

	$alliance->wait_for('hb', sprintf($witnessed, 'dc', $height));
	$alliance->sql('en', qq{INSERT INTO medchain.pending (payload) SELECT jsonb_build_object('kind', 'witness', 'origin', 'en', 'id',
		gen_random_uuid(), 'time', medchain_internal.ledger_time(clock_timestamp()), 'actor', 'en', 'role', 'postgres', 'body', ($body)::jsonb)::text
		FROM generate_series(1, 1200) i; SELECT medchain.seal()});
	$alliance->wait_for('hb', sprintf($witnessed, 'en', 1001200));
};
($height, $one, $other) = fork_chain(q{SELECT medchain.append('visit', '"one"')}, $bad->payload(body => '"other"'));
$alliance->wait_for($_, "SELECT bool_or(state = 'open') FROM medchain.forks WHERE height = $height") foreach @honest;
pass('another fork is found as well');
$meanwhile = sub { };
$alliance->sql('hb', "ALTER SYSTEM RESET medchain.witness_interval; SELECT pg_reload_conf()");
my $last = $height - 1;
my $new = q{'} . $alliance->certify('ha2', 'ha') . q{'};
my $proof = $alliance->sign_outside('ha2', 'dc', "SELECT medchain.rekey_envelope('ha', $new, last_height => $last)");
$alliance->sql('dc', "SELECT medchain.rekey('ha', $new, proof => '$proof', last_height => $last)");
$alliance->use_key('ha', 'ha2');
$alliance->wait_for($_, q{SELECT state FROM medchain.members WHERE member = 'ha'}, 'active') foreach @all;
$alliance->sql('ha', q{SELECT medchain.append('visit', '"with another key"')});
$alliance->wait_for_equal_heads(@all);
$alliance->equal_ok(@all);
is($alliance->sql($_, "SELECT DISTINCT state FROM medchain.forks WHERE height = $height"), 'key replaced', "$_: what the old key has signed is no proof against the new one") foreach @all;
$alliance->verify_ok(@all);
$alliance->check_state;
$alliance->check_logs;
done_testing();

# All that members have to say because of it is said.
sub settle
{
	foreach my $round (1 .. 50)
	{
		$alliance->sql($_, 'SELECT medchain.seal()') foreach @all;
		my %heads = map { $_ => $alliance->sql($_, q{SELECT origin, head FROM medchain.chains WHERE origin <> 'ha' ORDER BY 1}) } @honest;
		my $same = $heads{en} eq $heads{dc} && $heads{hb} eq $heads{dc};
		my $pending = grep { $alliance->sql($_, 'SELECT EXISTS (SELECT FROM medchain.pending) OR EXISTS (SELECT FROM medchain.witness_due)') eq 't' } @honest;
		return if $same && !$pending;
		$alliance->wait_for_keeper($_) foreach @honest;
	}
	return;
}
