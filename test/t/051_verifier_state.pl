# The offline verifier says what state follows from an export, as of when, and what has no effect: as the database does,
# and whatever is in the export.
use strict;
use warnings;

use JSON::PP qw(decode_json encode_json);
use Medchain::Alliance;
use Medchain::Hostile;
use PostgreSQL::Test::Utils;
use Test::More;

my $alliance = Medchain::Alliance->new(
	dc => 'data_center', en => 'end_node', ha => 'chain_node', hb => 'chain_node', others => ['stranger']);
my $verifier = $alliance->sanitized_verifier;
my $input = PostgreSQL::Test::Utils::tempdir() . '/export';

$alliance->establish;
# there are entries of a distant future in here
foreach my $name ($alliance->members)
{
	$alliance->sql($name, 'ALTER SYSTEM SET medchain.max_clock_skew = 0');
	$alliance->sql($name, 'SELECT pg_reload_conf()');
}

# (exit status, output) of the verifier for a text
sub verify
{
	my ($text, @options) = @_;
	my $out = '';

	open my $file, '>:raw', $input or die "$input: $!";
	print $file $text;
	close $file or die "$input: $!";
	my $run = IPC::Run::start([ $verifier, '-q', @options ], '<', $input, '>', \$out, '2>&1');
	$run->finish;
	my ($status) = $run->full_results;
	return ($status & 127 ? "signal $status" : $status >> 8, $out);
}

# what it finds, parsed
sub found
{
	my ($text, @options) = @_;
	my ($status, $out) = verify($text, '--json', @options);
	BAIL_OUT("exit status $status: $out") if $status != 0;
	return decode_json($out);
}

sub export { my ($node) = @_; return $alliance->sql($node, 'SELECT medchain.export()') . "\n"; }

# ----- a protocol, as of when

my $grants = q{[{"grantee": "ha", "operations": ["query", "update"], "purpose": "referral", "records": ["public.diagnosis", "public.image"]}, {"grantee": "hb", "operations": ["query"]}]};
my $index = q{[{"holder": "dc", "relation": "public.diagnosis", "key": {"id": 7}}]};
my $protocol = $alliance->sql('en', "SELECT medchain.issue_protocol('P1', E'consent to\n\\033[2Jreferral', '$grants', '$index')");
my $later = $alliance->sql('en', qq{SELECT medchain.issue_protocol('P2', 'next century', '$grants', valid => '[2100-01-01,2200-01-01)')});
$alliance->wait_for_equal_heads;
$alliance->sql('dc', "SELECT medchain.revoke_protocol('$protocol', 'withdrawn')");
$alliance->sql('dc', q{SELECT medchain.suspend('hb', 'under inquiry')});
$alliance->wait_for_equal_heads;

my $export = export('dc');
my ($issued, $revoked) = map {
	$alliance->sql('dc', qq{SELECT to_char(b.sealed AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') FROM medchain.claim c
		JOIN medchain.block b ON b.origin = c.origin AND b.height = c.height WHERE c.kind = '$_' AND c.about = '$protocol'})
} qw(protocol revocation);

# the words for what has become of protocols and members then
sub words
{
	my ($when, $table, $key) = @_;
	my $state = found($export, '--state', defined $when ? ('--as-of', $when) : ())->{state};
	return { map { $_->{$key} => $_->{state} } @{ $state->{$table} } };
}

# the last time at which something sealed at this one was not sealed yet
sub just_before
{
	my ($time) = @_;
	return $alliance->sql('dc', qq{SELECT to_char(('$time'::timestamptz - interval '1 us') AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')});
}

is_deeply(words($revoked, 'protocol', 'id'), { $protocol => 'revoked', $later => 'future' }, 'as of when its revocation was sealed, a protocol is revoked');
is_deeply(words(just_before($revoked), 'protocol', 'id'), { $protocol => 'active', $later => 'future' }, 'a microsecond before, it was in force');
is_deeply(words(just_before($issued), 'protocol', 'id'), {}, 'and there was none before it was sealed');
is_deeply(words('2150-06-01T12:00:00+02:00', 'protocol', 'id'), { $protocol => 'revoked', $later => 'active' }, 'what is valid is judged by that time');
is_deeply(words('2222-01-01T00:00:00Z', 'protocol', 'id'), { $protocol => 'revoked', $later => 'expired' }, 'to its end');
is_deeply(words(just_before($revoked), 'member', 'name'), { map { $_ => 'active' } qw(dc en ha hb) }, 'members, too');
is_deeply(words(undef, 'member', 'name'), { dc => 'active', en => 'active', ha => 'active', hb => 'suspended' }, 'without a time, it is the newest block');
is_deeply(words('1999-12-31T23:59:59Z', 'member', 'name'), {}, 'before there was an alliance, it had no members');
is_deeply([ map { (verify($export, '--as-of', $_))[0] } '2026-02-30T00:00:00Z', 'yesterday', '2026-01-01T00:00:00', '' ], [ (2) x 4 ], 'what is no time is refused');
my $all = found($export, '--state', '--rejections');
is($all->{as_of}, $alliance->sql('dc', q{SELECT to_char(max(sealed) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') FROM medchain.block}), 'it says as of when');
is_deeply([ map { @$_{qw(holder relation)}, $_->{key}{id} } @{ $all->{state}{data_index} } ], [qw(dc public.diagnosis 7)], 'the data index is there');
is_deeply([ map { [ @$_{qw(grantee operations purpose records)} ] } grep { $_->{protocol} eq $protocol } @{ $all->{state}{protocol_grant} } ],
	[ [ 'ha', [qw(query update)], 'referral', [qw(public.diagnosis public.image)] ], [ 'hb', ['query'], undef, undef ] ], 'and the grants, in their order');
is_deeply($all->{rejections}, [], 'nothing was rejected');

# the same for people
{
	my ($status, $out) = verify($export, '-a', $alliance->{anchors}, '--state', '--rejections');
	is($status, 0, 'verified');
	like($out, qr/^verified\n\neast, data centre dc, as of \S+, when the newest block was sealed\nstate hash [0-9a-f]{64}\n\nMembers\n  member  kind /m, 'a heading');
	like($out, qr/^  hb      chain_node   suspended  [^\n]*  under inquiry$/m, 'members, in columns');
	like($out, qr/^  \Q$protocol\E  revoked\n    subject  [0-9a-f]{64}\n    issued   \S+ by en\n    valid    always\n    revoked  \S+ by dc: withdrawn\n    version  \d+\n    text     consent to\\n\\x1b\[2Jreferral\n    grant    ha may query, update public\.diagnosis, public\.image, always, for referral\n    grant    hb may query all records, always\n    data     dc public\.diagnosis \{"id": 7\}$/m,
		'protocols, with what belongs to them, and no control characters');
	like($out, qr/^Entries without effect: none$/m, 'nothing without effect');
	is((verify($export, '-a', $alliance->{anchors}, '--state', '--rejections'))[1], $out, 'and once more the same');
}
foreach my $title ([ 'a receipt', $alliance->sql('dc', q{SELECT medchain.receipt(id) FROM medchain.entry WHERE seq = 0 AND origin = 'dc'}) . "\n" ], [ 'nothing', '' ])
{
	my ($status, $out) = verify($title->[1], '-a', $alliance->{anchors}, '--state');
	is($status, 2, "$title->[0] has no state") or diag($out);
}

is_deeply([ (verify($export, '--node', 'hd'))[0], (verify($export, '--node', 'hb'))[0], (verify($export, '--node', 'ha', '--as-of', '1999-01-01T00:00:00Z'))[0] ],
	[ 2, 0, 2 ], 'the roles of nobody, or of nobody yet, cannot be shown');
like((verify($export, '--node', 'hd'))[1], qr/^there is no member "hd"$/m, 'that is said');
like((verify($export, '--as-of', '1999-01-01T00:00:00Z'))[1], qr/^There was no alliance then\.$/m, 'and so is a time before everything');
like((verify("  export\n$export"))[1], qr/^line 1 is not JSON as medchain spells it \(psql -XAt/m, 'an export in a frame, and how it comes without');

# ----- whatever has no effect

my $subject = q{encode(medchain.pseudonym('P1'), 'hex')};
foreach my $case (
	[ ha => 'revocation', qq{{"protocol": "$protocol"}} ], [ ha => 'configure', '{"member": "hb", "public_key": "none"}' ], [ ha => 'genesis', '{"x": 1}' ],
	[ ha => 'contract', '{}' ], [ ha => 'suspend', '{"member": "dc"}' ], [ ha => 'rekey', '{"member": "ha"}' ], [ ha => 'note', '[]' ],
	[ ha => 'policy', '{"policy": "examinee_signature", "value": "required"}' ], [ ha => 'protocol', '{"payloadType": "application/json"}' ],
	[ dc => 'configure', '{"member": "ha", "public_key": "none"}' ], [ dc => 'expel', '{"member": "nobody"}' ], [ dc => 'reinstate', '{"member": "ha"}' ],
	[ dc => 'crl', '{"crl": "none", "last": {}}' ], [ dc => 'contract', '{"a": 1, "a": 2}' ], [ en => 'configure', '{"member": "stranger", "public_key": "none"}' ],
	[ en => 'amendment', '{"protocol": "00000000-0000-4000-8000-000000000000"}' ], [ en => 'acceptance', '{"contract": "none"}' ],
	[ en => 'ending', '{"contract": "none", "member": "ha"}' ], [ en => 'examinee_key', '{}' ], [ en => 'examinee_withdrawal', '{}' ],
	[ en => 'bind_role', '{}' ], [ hb => 'note', qq{{"protocol": "$protocol", "note": 1}} ])
{
	my ($node, $kind, $body) = @$case;
	$alliance->sql($node, "SELECT medchain_internal.append_raw('$kind', '$body', NULL, true)");
}
$alliance->wait_for_equal_heads;
foreach my $node (qw(dc hb))
{
	my $text = export($node);
	my $seen = found($text, '--rejections');
	my $expected = $alliance->sql($node, q{SELECT coalesce(json_agg(json_build_object('origin', origin, 'seq', seq, 'entry', entry, 'kind', kind,
		'time', medchain_internal.ledger_time("time"), 'about', about, 'reason', reason) ORDER BY origin COLLATE "C", seq), '[]') FROM medchain.rejections});
	is_deeply($seen->{rejections}, decode_json($expected), "$node: what medchain.rejections has");
	ok(!exists $seen->{state}, 'and no state, for which nobody asked');
	my (undef, $out) = verify($text, '--rejections');
	my %reasons = map { $_->{reason} => 1 } @{ $seen->{rejections} };
	is(scalar(grep { index($out, $_) < 0 } keys %reasons), 0, "$node: people are told of all " . keys(%reasons) . ' reasons');
	cmp_ok(scalar(keys %reasons), '>', 12, 'which are many');
}
$alliance->check_state;

# ----- whatever is in an export: an error or a rejection

my $bad = Medchain::Hostile->new($alliance, 'ha');
my @lines = split(/(?<=\n)/, export('dc'));
my $end = pop @lines;

# JSON as medchain spells it, with fields in that order
sub line
{
	my @fields = @_;
	my $json = JSON::PP->new->utf8(0)->allow_nonref;
	my @written;

	push @written, $json->encode(shift @fields) . ': ' . $json->encode(shift @fields) while @fields;
	return '{' . join(', ', @written) . "}\n";
}

# An export with a further block of ha's over these payloads.
sub with_block
{
	my (@payloads) = @_;
	my ($entries, $block) = $bad->block_over(\@payloads, sealed => '2099-01-01T00:00:00.000Z');
	my @more = map { line(seq => $_->[1], type => 'entry', origin => $_->[0], payload => $_->[2]) } @$entries;
	utf8::decode(my $note = $block->[2]);
	my $closing = line(note => $note, type => 'block', height => $block->[1], origin => $block->[0]);
	utf8::encode($closing);
	my ($blocks, $chains, $count) = $end =~ /(\d+)/g;
	my ($last) = reverse grep { $lines[$_] =~ /"origin": "ha"/ } 0 .. $#lines;

	return join('', @lines[ 0 .. $last ], @more, $closing, @lines[ $last + 1 .. $#lines ],
		line(type => 'end', blocks => $blocks + 1, chains => 0 + $chains, entries => $count + @payloads));
}

my $before = @{ found(join('', @lines, $end), '--rejections')->{rejections} };
my @hostile = map { $bad->payload(@$_) } (
	[ kind => 'contract', body => '{"member": "stranger"}' ], [ kind => 'configure', body => '{"member": "stranger", "public_key": "x"}' ],
	[ kind => 'acceptance', body => '{"contract": "x"}' ], [ kind => 'protocol', body => '{"payload": "' . ('x' x 100000) . '"}' ],
	[ kind => 'note', body => '[' x 100 . ']' x 100 ], [ kind => 'revocation', body => '{"protocol": 1e300}' ],
	[ kind => 'rekey', body => '{"payloadType": "application/vnd.medchain.rekey+json", "payload": "e30=", "signatures": [{"sig": "AAAA"}]}' ],
	[ kind => 'crl', body => '{"last": {"ha": {"height": -1, "size": 0}}}' ], [ kind => 'examinee_key', body => '"' . ('\\u0041' x 1000) . '"' ],
	[ kind => 'expel', body => '{"member": "dc", "last": {"height": 999999999999999999, "size": 999999999999999999}}' ], [ kind => 'nothing' ]);
my $told = found(with_block(@hostile), '--state', '--rejections');
is(@{ $told->{rejections} }, $before + 10, 'hostile entries of a member are rejected');
is_deeply([ map { $_->{name} } @{ $told->{state}{member} } ], [qw(dc en ha hb)], 'nobody became a member by them');
is(@{ found(with_block(@hostile), '--rejections', '--as-of', '2098-12-31T00:00:00Z')->{rejections} }, $before, 'before their block was sealed, they were not there');

# a chain of somebody who was never admitted
{
	my ($entries, $block) = $bad->block_over([ $bad->payload(origin => 'stranger', kind => 'protocol') ], origin => 'stranger', key => 'stranger', behind => [ -1, pack('H*', $alliance->sql('dc', 'SELECT genesis FROM medchain.alliance')) ]);
	utf8::decode(my $note = $block->[2]);
	my $closing = line(note => $note, type => 'block', height => 0, origin => 'stranger');
	utf8::encode($closing);
	my ($status, $out) = verify(join('', @lines, line(seq => 0, type => 'entry', origin => 'stranger', payload => $entries->[0][2]), $closing, $end), '--state');
	ok($status == 1 && $out =~ /the ledger of "stranger" is not configured/ && $out !~ /Members/, 'the chain of a stranger does not verify, and shows no state') or diag($out);
}

# any byte, of what the state follows from: nothing but an error, and no state
{
	my $text = with_block(@hostile);
	my $wrong = '';
	for (my $i = 31; $i < length($text); $i += int(length($text) / 60))
	{
		my $changed = $text;
		substr($changed, $i, 1) = chr(ord(substr($changed, $i, 1)) ^ 1);
		my ($status, $out) = verify($changed, '--state', '--rejections', '--json');
		$wrong .= "$i: $status " unless ($status eq '1' || $status eq '2') && $out =~ /"fault"/ && $out !~ /"state"|anitizer/;
	}
	is($wrong, '', 'with any byte changed there is a fault, and no state');
}

# a hundred thousand entries: memory and time grow with their number, no faster
{
	my @cost;
	foreach my $number (10_000, 100_000)
	{
		my @flood = map { $bad->payload(kind => $_ % 2 ? 'note' : 'revocation', body => qq({"protocol": "$protocol", "note": $_})) } 1 .. $number;
		open my $file, '>:raw', $input or die "$input: $!";
		print $file with_block(@flood);
		close $file or die "$input: $!";
		my @begun = times;
		my $status = system("(ulimit -v 1500000; src/bin/medchain-verify -q --rejections '$input' >'$input.out')");
		my @ended = times;
		is($status, 0, "$number entries that have no effect verify, in bounded memory");
		is(scalar(grep { /^  ha / } split(/\n/, slurp_file("$input.out"))), $number + grep({ $_->{origin} eq 'ha' } @{ $told->{rejections} }) - 10, 'and are told of');
		push @cost, $ended[2] - $begun[2] + $ended[3] - $begun[3];
	}
	cmp_ok($cost[1], '<', 25 * ($cost[0] + 0.05), "ten times as many take no more than their share of time ($cost[0] s, $cost[1] s)");
}
$alliance->check_logs;
done_testing();
