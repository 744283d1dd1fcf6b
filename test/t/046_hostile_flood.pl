# A peer that floods: chains that it invented, junk in the name of others and in its own, forged blocks by the thousand, rows
# that are too large, numbers beyond all.  Who receives it goes on sealing and hearing from the others, holds no more than so
# much, and counts the rest.  And what was dropped, though somebody needs it, comes again.
use strict;
use warnings;

use Medchain::Alliance;
use Medchain::Hostile;
use PostgreSQL::Test::Utils;
use Test::More;

my $alliance = Medchain::Alliance->new(dc => 'data_center', en => 'end_node', ha => 'chain_node', hc => 'chain_node', hb => 'chain_node');
my @all    = qw(dc en ha hc);
my @honest = qw(dc en hc);

$alliance->establish(@all);
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
	$alliance->sql($_, q{SELECT medchain.append('visit', '1')}) foreach @all;
	$alliance->wait_for_equal_heads(@all);
	pass("$title: all chains go on, that of the sender among them");
	return;
}

# Lines in the log of one of the honest, since the flood began, that match.
my %read = map { $_ => 0 } @honest;
sub logged
{
	my ($node, $pattern) = @_;
	my $log = slurp_file($alliance->cluster($node)->logfile, $read{$node});
	my $lines = () = $log =~ /$pattern/g;
	return $lines;
}

# Wait until all of what ha has published is through at the honest: held, refused or dropped.
sub through
{
	foreach my $node (@honest)
	{
		my $subscription = $alliance->sql($node, q{SELECT subscription FROM medchain.peer WHERE member = 'ha'});
		$alliance->cluster('ha')->wait_for_catchup($subscription);
	}
	return;
}

sub flood
{
	my (@sql) = @_;
	$read{$_} = -s $alliance->cluster($_)->logfile foreach @honest;
	$bad->publish_sql($_) foreach @sql;
	through();
	return;
}

# What is held, in rows and bytes, of one source; lines in the log; no process has failed.
sub bounded_ok
{
	my ($title) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	foreach my $node (@honest)
	{
		# of the source's own chain, and as much of others
		is($alliance->sql($node, q{SELECT count(*) <= 2 * 100000 AND coalesce(sum(bytes), 0) <= 2 * 1.25 * 256 * 1024 * 1024 FROM medchain.held_entry WHERE source = 'ha'}),
			't', "$title: $node holds no more entries than so many");
		is($alliance->sql($node, q{SELECT count(*) <= 2 * 10000 FROM medchain.held_block WHERE source = 'ha'}), 't', "$title: and blocks");
		is($alliance->sql($node, q{SELECT count(*) <= 2 * 1000 FROM medchain.quarantine WHERE source = 'ha'}), 't', "$title: and evidence");
		cmp_ok(logged($node, 'LOG:  medchain: '), '<', 60, "$title: nor is each of them a line in the log");
		is(logged($node, 'out of (?:shared )?memory|exited with exit code|medchain.*has to wait: (?!from block|.*statement timeout)'), 0, "$title: no process has failed");
	}
	return;
}

# A note that looks like one, of an SQL expression for its origin, and ones for height and size; its signature is rubbish.
sub forged_note
{
	my ($origin, $height, $size, $salt) = @_;
	my $line = sub { my ($salt) = @_; return "encode(sha256(($salt)::text::bytea), 'base64')" };
	return qq{'east/' || $origin || E'\\n' || $size || E'\\n' || } . $line->(q{'root'}) . qq{ || E'\\nheight ' || $height || E'\\nprevious ' || }
	  . $line->($salt) . qq{ || E'\\nsealed 2026-01-31T23:59:59.123Z\\n\\n\\u2014 east/' || $origin || ' '
		|| translate(encode(sha256('x') || sha256('y') || '\\x00000000'::bytea, 'base64'), E'\\n', '') || E'\\n'};
}

sub blocks
{
	my ($from, $origin, $height, $size, $salt) = @_;
	return qq{INSERT INTO medchain.block SELECT $origin, $height, 0, '\\x00', '\\x00', '\\x00', $mark, } . forged_note($origin, $height, $size, $salt) . " FROM $from";
}

sub entries
{
	my ($from, $origin, $seq, $payload) = @_;
	return qq{INSERT INTO medchain.entry SELECT $origin, $seq, gen_random_uuid(), 'visit', $mark, 'x', NULL, $payload, '\\x00' FROM $from};
}

# Many versions of one row, each gone before the next is there: $table->(what, it is inserted from).
sub versions
{
	my ($many, $table, $origin, $number, @values) = @_;
	my ($relation, $key) = $table eq 'block' ? ('medchain.block', 'height') : ('medchain.entry', 'seq');
	my $insert = $table eq 'block' ? blocks('(SELECT) x', "'$origin'", $number, @values) : entries('(SELECT) x', "'$origin'", $number, @values);
	return qq{UPDATE $relation SET origin = '~' WHERE origin = '$origin' AND $key = $number;
		DO \$do\$ BEGIN FOR i IN 1 .. $many LOOP $insert; DELETE FROM $relation WHERE origin = '$origin' AND $key = $number; END LOOP; END \$do\$;
		UPDATE $relation SET origin = '$origin' WHERE origin = '~'};
}

sub height_of { my ($origin) = @_; return $alliance->sql($origin, "SELECT height FROM medchain.chains WHERE origin = '$origin'"); }
sub size_of   { my ($origin) = @_; return $alliance->sql($origin, "SELECT entries FROM medchain.chains WHERE origin = '$origin'"); }

goes_on_ok('before');

# ----- 30,000 chains that nobody has, in one transaction

flood(blocks('generate_series(1, 30000) i', q{('invented' || i)}, '0', '0', 'i') . ';'
	  . entries('generate_series(1, 10000) i', q{('invented' || i)}, '0', q{'{}'}));
foreach my $node (@honest)
{
	is($alliance->sql($node, q{SELECT (SELECT count(*) FROM medchain.held_block WHERE origin LIKE 'invented%'),
			(SELECT count(*) FROM medchain.held_entry WHERE origin LIKE 'invented%'), (SELECT count(*) FROM medchain.quarantine),
			(SELECT count(*) FROM medchain.chains WHERE origin LIKE 'invented%')}), '0|0|0|0', "$node keeps nothing of chains that no member has");
	is($alliance->sql($node, q{SELECT dropped FROM medchain.peers WHERE member = 'ha'}), '40000', "$node has counted them");
	is($alliance->sql($node, q{SELECT origin, entries, blocks FROM medchain.dropped}), '|10000|30000', '... in one row');
	is(logged($node, 'LOG:  medchain: .*invented'), 0, '... and without a word in the log');
}
bounded_ok('invented chains');
goes_on_ok('invented chains');

# ----- 200,000 entries that no block comes for, of its own chain and of others'; just ahead, and far beyond

sub junk
{
	my $window = sprintf(q{(CASE o WHEN 'ha' THEN %d ELSE %d END + 10 + i)}, size_of('ha'), size_of('en'));
	return entries(q{generate_series(1, 100000) i, unnest('{ha, en}'::text[]) o}, 'o', $window, q{'{"n": ' || i || '}'});
}

flood(junk());
bounded_ok('200,000 entries');
goes_on_ok('200,000 entries');
flood(junk(), entries(q{generate_series(1, 1000) i, unnest('{ha, en, dc}'::text[]) o}, 'o', '9223372036854775807 - i', q{'{}'}),
	entries('generate_series(1, 1000) i', q{'en'}, '-i', q{'{}'}));
bounded_ok('the same again, and numbers beyond all');
is($alliance->sql('hc', q{SELECT count(*) FROM medchain.quarantine WHERE reason = 'bad entry' AND origin = ''}), '1', 'negative numbers are one row of evidence');
goes_on_ok('the same again');
$alliance->cluster('dc')->restart;
goes_on_ok('and after a restart');

# ----- rows that are too large: of them, no more is kept than it takes to refuse them

my $next = size_of('ha') + 10;
flood(map { entries('generate_series(1, 3) i', q{'ha'}, "$next + i", q{'"' || repeat('x', 40000000) || i || '"'}) } 1 .. 2);
bounded_ok('large rows');
is($alliance->sql($_, q{SELECT coalesce(max(octet_length(payload)), 0) <= 16 * 1024 * 1024 + 1 FROM medchain.held_entry}), 't', "$_ keeps no more of a row than it has to") foreach @honest;
goes_on_ok('large rows');

# ----- forged versions of one block, and blocks to come, of its own chain and of another's

my %next = map { $_ => height_of($_) + 1 } qw(ha en);
flood(versions(3000, 'block', 'ha', $next{ha}, 1000000, 'i'), versions(3000, 'block', 'en', $next{en}, 1000000, 'i'),
	blocks(q{generate_series(1, 20000) i, unnest('{ha, en}'::text[]) o}, 'o', "(CASE o WHEN 'ha' THEN $next{ha} ELSE $next{en} END + 10 + i)", '1000000', 'i'));
bounded_ok('forged blocks');
goes_on_ok('forged blocks');

# ... and of one that is known, each of which is evidence of the same

flood(versions(3000, 'block', 'en', 0, 1, 'i'), versions(3000, 'entry', 'en', 0, q{'{"n": ' || i || '}'}));
bounded_ok('forged old blocks');
is($alliance->sql('dc', q{SELECT count(*) FROM medchain.quarantine WHERE source = 'ha' AND signed}), '0', 'nothing of that is signed');
goes_on_ok('forged old blocks');

# ----- evidence that proves something has room of its own: what is signed with the chain's key

my (undef, $fork) = $bad->block_over([ $bad->payload ], behind => [ -1, "\0" x 32 ]);
$bad->publish_sql(qq{UPDATE medchain.block SET origin = '~' WHERE origin = 'ha' AND height = 0;
	INSERT INTO medchain.block VALUES ('ha', 0, 0, '\\x00', '\\x00', '\\x00', $mark, \$note\$$fork->[2]\$note\$);
	DELETE FROM medchain.block WHERE sealed = $mark;
	UPDATE medchain.block SET origin = 'ha' WHERE origin = '~'});
$alliance->wait_for($_, q{SELECT count(*) FROM medchain.quarantine WHERE source = 'ha' AND origin = 'ha' AND signed}, '1') foreach @honest;
pass('a fork that is signed is kept, however much rubbish came before it');

# ----- a peer that has no answer when it is asked again: the others are not in its way

my $lock = $alliance->cluster('ha')->background_psql('postgres');
$lock->query_safe('BEGIN; LOCK TABLE medchain.block IN ACCESS EXCLUSIVE MODE');
$bad->sql(join(";\n", 'BEGIN', (map { "ALTER TABLE medchain.entry DISABLE TRIGGER $_" } qw(arrive guard_row)),
		entries('generate_series(1, 10) i', q{'hc'}, '9000000 + i', q{'{}'}), "DELETE FROM medchain.entry WHERE \"time\" = $mark",
		(map { "ALTER TABLE medchain.entry ENABLE ALWAYS TRIGGER $_" } qw(arrive guard_row)), 'COMMIT'));
$alliance->wait_for('dc', q{SELECT missing LIKE '%chain "hc": %statement timeout%' FROM medchain.peers WHERE member = 'ha'});
pass('peers says what a peer is asked for in vain');
$alliance->sql('en', q{SELECT medchain.append('visit', '1')});
$alliance->wait_for_equal_heads('dc', 'en', 'hc');
pass('and all goes on');
$lock->query_safe('ROLLBACK');
$lock->quit;
$alliance->wait_for('dc', q{SELECT missing IS NULL FROM medchain.peers WHERE member = 'ha'});
pass('until it has one');

# ----- nothing that somebody needs is lost: more at once than is held of one source

$alliance->unfollow('dc', 'en');
$alliance->sql('en', q{SELECT count(medchain.append('visit', to_json(i))) FROM generate_series(1, 130000) i});
$alliance->sql('en', 'SELECT medchain.seal()');
$alliance->follow('dc', 'en');
goes_on_ok('130,000 entries at once');

# ... nor the chain of a member that a hub passes on before word of its admission is here

my $before = $alliance->sql('hc', q{SELECT coalesce(sum(entries), 0) FROM medchain.dropped WHERE source = 'ha' AND origin = ''});
$bad->sql(q{ALTER PUBLICATION medchain SET TABLE medchain.entry WHERE (origin IN ('ha', 'hb')), medchain.block WHERE (origin IN ('ha', 'hb'))});
$alliance->unfollow('hc', 'dc', 'en');
$alliance->start('hb');
$alliance->admit('hb');
$alliance->join_alliance('hb');
$alliance->connect_peers('ha', 'hb');
$alliance->connect_peers('en', 'hb');
$alliance->configure('en', 'hb');
$alliance->sql('hb', q{SELECT medchain.append('visit', '"early"')});
$alliance->sql('hb', 'SELECT medchain.seal()');
$alliance->wait_for('hc', "SELECT entries > $before FROM medchain.dropped WHERE source = 'ha' AND origin = ''");
is($alliance->sql('hc', q{SELECT count(*) FROM medchain.member WHERE name = 'hb'}), '0', 'hc hears of hb before it is a member');
$alliance->follow('hc', 'dc', 'en');
$alliance->wait_for('hc', sprintf(q{SELECT height || ' ' || head FROM medchain.chains WHERE origin = 'hb'}), $alliance->head('hb', 'hb'));
pass('and asks for what it has missed when it is one');

# ... nor what does not fit when a newcomer copies all that there is

$alliance->connect_peers('hb', 'en', 'ha', 'hc');
$alliance->wait_for_equal_heads('dc', 'en', 'hb');
is($alliance->sql('hb', q{SELECT dropped > 0 FROM medchain.peers WHERE member = 'en'}), 't', 'a first copy of a long chain is more than is held');
pass('and yet a newcomer has all of it');
$alliance->verify_ok('dc', 'hb');

# ----- a gap, whatever it came from, is asked for

$alliance->unfollow('hc', 'en');
$alliance->sql('en', q{SELECT medchain.append('visit', '"gap"')});
$alliance->sql('en', 'SELECT medchain.seal()');
$alliance->wait_for_equal_heads('dc', 'en');
{
	my $subscription = $alliance->sql('hc', q{SELECT subscription FROM medchain.peer WHERE member = 'en'});
	my $lsn = $alliance->sql('en', 'SELECT pg_current_wal_lsn()');
	$alliance->sql('hc', qq{SELECT pg_replication_origin_advance('pg_' || s.oid, '$lsn') FROM pg_subscription s WHERE s.subname = '$subscription'});
}
$alliance->sql('en', q{SELECT medchain.append('visit', '"behind it"')});
$alliance->follow('hc', 'en');
$alliance->wait_for_equal_heads(@all);
pass('a block that never came is asked for');
$alliance->check_state;
$alliance->check_logs(map { $alliance->cluster($_) } @honest);
done_testing();
