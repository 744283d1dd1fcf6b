# A peer whose superuser takes a true stream and changes one thing in it at a time: every column of entries and blocks, their order,
# their size, their number, what is done to them, and the tables that they come from.  Whatever it is, a full copy and a light one
# accept nothing that is wrong, their apply workers go on, what others say arrives, and what was refused is evidence, within bounds.
use strict;
use warnings;

use Medchain::Alliance;
use Medchain::HostileStream;
use POSIX ();
use PostgreSQL::Test::Utils;
use Test::More;

# 1000000 in the long run
my $many = $ENV{HOSTILE_STREAM_ROWS} || 3000;
my $alliance = Medchain::Alliance->new(dc => 'data_center', en => 'end_node', ha => 'chain_node');
my @victims = qw(dc en);
$alliance->start($_) foreach $alliance->members;
$alliance->found;
$alliance->admit($_) foreach qw(en ha);
$alliance->join_alliance($_) foreach qw(en ha);
$alliance->connect_peers('dc', qw(en ha));
$alliance->connect_peers('ha', qw(dc en));
$alliance->connect_peers('en', 'dc');
my $conninfo = $alliance->conninfo('ha');
$alliance->sql('en', "SELECT medchain.connect_peer('ha', '$conninfo', '{governance}')");
$alliance->configure('en', 'ha');
$alliance->sql('ha', q{SELECT medchain.append('visit', '{"before": true}'); SELECT medchain.seal(); SELECT medchain.append('visit', '{"before": 2}')});
$alliance->wait_for_equal_heads;
$alliance->wait_for($_, q{SELECT state = 'streaming' FROM medchain.peers WHERE member = 'ha'}) foreach @victims;

my $stream = Medchain::HostileStream->new($alliance, 'ha', \@victims);
my @true = $stream->true_rows;
$stream->forget;
my %begin = map { $_ => { $stream->outcome($_) } } @victims;
my %logged = map { $_ => -s $alliance->cluster($_)->logfile } @victims;
my $slowest = 0;

# What must be so after each lie, and what became of it; reasons: a pattern of what has to be in quarantine; is_known: it is no lie.
sub harmless_ok
{
	my ($title, $reasons, $is_known) = @_;
	my (@wrong, @became, $accepted);

	my $said = $stream->ask('en', q{SELECT medchain.append('visit', '"meanwhile"')});
	my $took = $stream->wait_at('dc', "SELECT EXISTS (SELECT FROM medchain.entry WHERE id = '$said')");
	$slowest = $took if $took > $slowest;
	push @wrong, "what others said took $took s" if $took > 10;
	foreach my $node (@victims)
	{
		my $seen = $reasons && "SELECT coalesce(string_agg(reason, ', '), '') ~ '$reasons' FROM medchain.quarantine WHERE source = 'ha'";
		$stream->wait_at($node, $seen) if $seen;
		my %outcome = $stream->outcome($node);
		push @wrong, "$node: the apply worker is another one"              if $outcome{pid} ne $begin{$node}{pid};
		push @wrong, "$node: block $outcome{height} is none that was sealed" if !$stream->is_true(\%outcome);
		push @wrong, "$node: the state is another one"                     if $outcome{state} ne $begin{$node}{state};
		push @wrong, "$node: an apply worker waits for a lock"             if $outcome{waiting} ne '0';
		my @what = ($outcome{reasons}, $outcome{dropped} > 0 ? "dropped: $outcome{dropped}" : '', $outcome{held} > 0 ? "held: $outcome{held}" : '');
		$accepted ||= $outcome{height} >= $stream->{height};
		push @what, 'accepted' if $outcome{height} >= $stream->{height};
		push @became, "$node: " . join('; ', grep { $_ ne '' } @what);
		push @wrong, "$node: nothing is known of it" unless $is_known || grep { $_ ne '' } @what;
	}
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is(join("\n", @wrong), '', "$title (" . join(', ', @became) . ')');
	return unless $accepted;

	# by the other one as well, when it comes as it is
	$stream->send([@true]);
	$stream->wait_at($_, "SELECT height >= $stream->{height} FROM medchain.chain WHERE origin = 'ha'") foreach @victims;
	@true = $stream->true_rows;
	return;
}

# The true block, however it was sent, is accepted by all.
sub arrives_ok
{
	my ($title, $rows, %params) = @_;

	$stream->forget;
	$stream->send($rows, %params);
	$stream->wait_at($_, "SELECT height >= $stream->{height} FROM medchain.chain WHERE origin = 'ha'") foreach @victims;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	harmless_ok($title);
	return;
}

# ----- every order

arrives_ok('as they are', [@true]);
arrives_ok('the block first', [ reverse @true ]);
arrives_ok('each of them twice', [ map { ($_, $_) } @true ]);
arrives_ok('entries backwards', [ (reverse grep { $_->[0] eq 'entry' } @true), grep { $_->[0] eq 'block' } @true ]);
arrives_ok('with columns that nobody asked for', [ map { [ $_->[0], { %{ $_->[1] }, id => 'x', more => 7, note2 => "\xff" } ] } @true ],
	shape => { entry => { id => 'text', more => 'int' }, block => { note2 => 'text', more => 'bigint' } });
{
	my @entries = grep { $_->[0] eq 'entry' } @true;
	$stream->send([ $entries[1] ]);
	arrives_ok('in two transactions', [ @entries[ 2 .. $#entries ], $true[-1], $entries[0] ]);
}

# ----- every column

foreach my $column (map { [ entry => $_ ] } qw(origin seq payload))
{
	foreach my $n (0 .. $stream->lies([@true], @$column) - 1)
	{
		# about what is true by now
		my $lie = ($stream->lies([@true], @$column))[$n];
		$stream->forget;
		$stream->send($lie->{rows}, shape => $lie->{shape});
		harmless_ok($lie->{name}, $lie->{name} =~ /seq: (?:null|negative|the smallest|letters|nothing|more|a frac|no UTF)|: null$/ ? 'bad entry' : undef);
	}
}
foreach my $column (map { [ block => $_ ] } qw(origin height note leaves kinds kinds_note))
{
	foreach my $n (0 .. $stream->lies([@true], @$column) - 1)
	{
		# about what is true by now
		my $lie = ($stream->lies([@true], @$column))[$n];
		$stream->forget;
		$stream->send($lie->{rows}, shape => $lie->{shape});
		harmless_ok($lie->{name}, $lie->{name} =~ /block\.(?:origin|note|height): null$|height: (?:negative|letters|nothing|more|a frac|no UTF)/ ? 'bad note' : undef);
	}
}

# ----- tables that are others

foreach my $without (qw(entry.payload entry.seq entry.origin block.note block.height))
{
	$stream->forget;
	$stream->send([@true], without => [$without]);
	harmless_ok("without $without", $without =~ /entry/ ? 'bad entry' : 'bad note');
}
foreach my $table (qw(other member pending))
{
	$stream->forget;
	$stream->send([], tables => { $table => 'name text, seq bigint' }, then => "INSERT INTO medchain.$table SELECT 'somebody', i FROM generate_series(1, 100) i");
	harmless_ok("rows of medchain.$table", 'bad operation');
}

# ----- what is done to them; meanwhile somebody reads

my $reader = $alliance->cluster('dc')->background_psql('postgres');
$reader->query_safe('BEGIN; SELECT count(*) FROM medchain.entry; SELECT count(*) FROM medchain.block');
my $full = 'ALTER TABLE medchain.entry REPLICA IDENTITY FULL; ALTER TABLE medchain.block REPLICA IDENTITY FULL';
foreach my $operation (
	[ 'an update',                     qq{$full; UPDATE medchain.entry SET payload = '{}'; UPDATE medchain.block SET note = 'x'} ],
	[ 'an update of what names rows',  qq{$full; UPDATE medchain.entry SET origin = 'en', seq = 0; UPDATE medchain.block SET height = 0} ],
	[ 'a deletion',                    qq{$full; DELETE FROM medchain.entry; DELETE FROM medchain.block} ],
	[ 'an update by another identity', 'ALTER TABLE medchain.entry ALTER payload SET NOT NULL, ADD UNIQUE (payload), REPLICA IDENTITY USING INDEX entry_payload_key; '
		  . q{UPDATE medchain.entry SET payload = 'x' || seq} ],
	[ 'TRUNCATE',                      'TRUNCATE medchain.entry' ],
	[ 'TRUNCATE of both',              'TRUNCATE medchain.block, medchain.entry RESTART IDENTITY CASCADE' ])
{
	my ($title, $sql) = @$operation;
	$stream->forget;
	$stream->send([@true], then => $sql, operations => 'insert, update, delete, truncate');
	harmless_ok($title, 'bad operation');
}
$reader->query_safe('COMMIT');
$reader->quit;

# ----- how large, and how many

foreach my $bytes (16 * 1024 * 1024, 16 * 1024 * 1024 + 1, 40_000_000)
{
	$stream->forget;
	$stream->send(Medchain::HostileStream::changed([@true], 0, 'payload', \"repeat('x', $bytes)"));
	harmless_ok("an entry of $bytes bytes");
}
$stream->forget;
$stream->send(Medchain::HostileStream::changed([@true], $#true, 'note', \"repeat('x', 20000000)"));
harmless_ok('a note of 20000000 bytes', 'bad note');
foreach my $deep ('[', '{"a":')
{
	$stream->forget;
	$stream->send(Medchain::HostileStream::changed([@true], 0, 'payload', \"repeat('$deep', 100000)"));
	harmless_ok("100000 times $deep");
}
my $next = $true[0][1]{seq} + 100;
foreach my $flood (
	[ 'entries of invented chains',         [ 'entry', { origin => \"'invented' || i", seq => 0, payload => '{}' } ] ],
	[ 'blocks of invented chains',          [ 'block', { origin => \"'invented' || i", height => 0, note => 'x' } ] ],
	[ 'entries to come in one transaction', [ 'entry', { origin => 'ha', seq => \"$next + i", payload => \"'{\"n\": ' || i || '}'" } ] ],
	[ 'entries of the smallest kind',       [ 'entry', { origin => 'ha', seq => \"$next + i", payload => '' } ] ],
	[ 'blocks that are none',               [ 'block', { origin => 'ha', height => \"$true[-1][1]{height} + i", note => \"'note ' || i" } ] ],
	[ 'the same block',                     [ 'block', $true[-1][1] ] ],
	[ 'old blocks',                         [ 'block', ($stream->rows_of('block', 'height = 0'))[0][1] ] ],
	[ 'values that are none',               [ 'entry', { origin => 'ha', seq => 'x', payload => '{}' } ], { entry => { seq => 'text' } } ])
{
	my ($title, $row, $shape) = @$flood;
	$stream->forget;
	$stream->send([ [ @$row, "generate_series(1, $many) i" ], @true[ 0 .. 0 ] ], shape => $shape || {});
	harmless_ok("$many $title", undef, $title eq 'old blocks');
}
# what was dropped for want of room, and is needed, comes again
arrives_ok('and after all that the truth', [@true]);

# ----- bounds

foreach my $node (@victims)
{
	is($stream->ask($node, q{SELECT count(*) <= 200000 AND coalesce(sum(bytes), 0) <= 2 * 1.25 * 256 * 1024 * 1024 FROM medchain.held_entry WHERE source = 'ha'}), 't', "$node: what is held has a bound");
	my $log = slurp_file($alliance->cluster($node)->logfile, $logged{$node});
	my $lines = () = $log =~ /(?:LOG|WARNING):  medchain: /g;
	# some a minute of each process
	cmp_ok($lines, '<=', 5 * 21 * (1 + (time - $^T) / 60), "$node: so have lines in its log");
	is(() = $log =~ /exited with exit code|logical replication apply worker for subscription "\w+" has started|logical replication target relation/g, 0, "$node: no apply worker has ended");
}
note("what others say took at most $slowest s to arrive");

# ----- evidence: so much of it, until it is let go

sub set_at_dc { my ($setting, $value) = @_; $stream->ask('dc', "ALTER SYSTEM SET $setting = '$value'"); $stream->ask('dc', 'SELECT pg_reload_conf()'); return $alliance->wait_for('dc', "SELECT current_setting('$setting') = '$value'"); }
sub refused { return $stream->ask('dc', q{SELECT count(*) FROM medchain.quarantine WHERE source = 'ha'}); }

$stream->forget;
$stream->send([], operations => 'insert, truncate', then => 'TRUNCATE medchain.block');
is($stream->ask('dc', q{SELECT origin, height, reason, detail, signed FROM medchain.quarantine WHERE source = 'ha'}),
	'|-1|bad operation|rows of medchain.block were to be changed or removed|f', 'what was to be done to the ledger is evidence');
set_at_dc('medchain.quarantine_limit', 10);
$stream->forget;
my $rubbish = [ 'block', { origin => 'ha', height => \"$true[-1][1]{height} + i", note => \q{'rubbish ' || i || clock_timestamp()} }, 'generate_series(1, 100) i' ];
$stream->send([$rubbish]);
is(refused(), '10', 'of one source no more is kept than medchain.quarantine_limit');
set_at_dc('medchain.quarantine_limit', 12);
my $kept;
for (my $try = 0; $try < 100 && ($kept = refused()) < 12; $try++)
{
	$stream->send([$rubbish]);
}
is($kept, '12', 'and as many as it says now');
is($stream->ask('dc', q{SELECT medchain.release_quarantine(source => 'en')}), '0', 'release_quarantine() lets go what one source sent');
is($stream->ask('dc', q{SELECT medchain.release_quarantine(origin => 'en')}), '0', '... or of one chain');
cmp_ok($stream->ask('dc', q{SELECT medchain.release_quarantine('ha', 'ha')}), '>=', 12, '... and says how much that was');
for (my $try = 0; $try < 100 && ($kept = refused()) < 1; $try++)
{
	$stream->send([$rubbish]);
}
cmp_ok($kept, '>', 0, 'there is room again');
set_at_dc('medchain.quarantine_limit', 1000);

# ----- the chain once more, from its own database

$stream->ask('dc', q{SELECT medchain.release_quarantine()});
$stream->ask('dc', q{SELECT medchain.resync('ha')});
$stream->wait_at('dc', "SELECT height >= $stream->{height} FROM medchain.chain WHERE origin = 'ha'");
pass('resync() brings what was kept from us');
$alliance->wait_for('dc', q{SELECT state = 'streaming' FROM medchain.peers WHERE member = 'ha'});
$stream->send([@true]);
$alliance->wait_for_equal_heads;
$alliance->equal_ok;
$alliance->verify_ok(qw(dc ha));
is($alliance->sql('en', q{SELECT count(*) FROM medchain.verify() WHERE NOT ok}), '0', 'en: so does it in a light copy');

# ----- what is signed with the member's own key, and wrong

sub signed
{
	my (%params) = @_;
	my ($entries, $block) = $stream->block_over([ $stream->payload ], %params);
	$stream->forget;
	$stream->send([ (map { [ 'entry', { origin => $_->[0], seq => $_->[1], payload => $_->[2] } ] } @$entries), [ 'block', { origin => $block->[0], height => $block->[1], note => $block->[2] } ] ]);
	return $block;
}
sub refused_ok
{
	my ($reason, $signed, $title) = @_;
	$stream->wait_at('dc', "SELECT count(*) > 0 FROM medchain.quarantine WHERE source = 'ha' AND reason = '$reason'");
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is($stream->ask('dc', "SELECT DISTINCT signed FROM medchain.quarantine WHERE source = 'ha' AND reason = '$reason'"), $signed, $title);
	return;
}
my $height = $alliance->sql('dc', q{SELECT height FROM medchain.chain WHERE origin = 'ha'});
signed(lines => { 0 => 'west/ha' }, signer => 'west/ha');
refused_ok('bad name', 'f', 'a block of another alliance');
signed(origin => 'en', lines => { 3 => 'height 1000' });
is($alliance->sql('dc', q{SELECT count(*) FROM medchain.block WHERE origin = 'en' AND height = 1000}), '0', 'a block in the name of another is none of his');
signed(lines => { 4 => 'previous ' . 'A' x 43 . '=' });
refused_ok('bad link', 't', 'a block behind none that there is');
is($stream->ask('dc', q{SELECT medchain.release_quarantine('ha')}), '0', 'what is signed proves something, and is kept');
cmp_ok($stream->ask('dc', q{SELECT medchain.release_quarantine('ha', signed => true)}), '>=', 1, '... until somebody says that this is to go, too');
is($alliance->sql('dc', q{SELECT height FROM medchain.chain WHERE origin = 'ha'}), $height, 'none of them is part of the chain');

# ----- from the future

my $soon = sub { my ($seconds) = @_; return POSIX::strftime('%Y-%m-%dT%H:%M:%S.000Z', gmtime(time + $seconds)); };
my $early = signed(sealed => $soon->(1800));
refused_ok('sealed in the future', 't', 'a block that is to be sealed in half an hour waits');
is($alliance->sql('dc', q{SELECT height FROM medchain.chain WHERE origin = 'ha'}), $height, 'and is no part of the chain');
set_at_dc('medchain.max_clock_skew', '1h');
$alliance->wait_for('dc', qq{SELECT count(*) = 1 FROM medchain.block WHERE origin = 'ha' AND note = \$note\$$early->[2]\$note\$});
pass('where clocks may be that much apart it is accepted');
$alliance->check_logs;
$stream->quit;
done_testing();
