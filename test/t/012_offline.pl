# The offline verifier: exports verify without PostgreSQL, and not after anything was changed.
use strict;
use warnings;

use JSON::PP qw(decode_json);
use Medchain::Alliance;
use PostgreSQL::Test::Utils;
use Test::More;

my $alliance = Medchain::Alliance->new(dc => 'data_center', en => 'end_node', ha => 'chain_node');
my $dir = PostgreSQL::Test::Utils::tempdir();
my $anchors = $alliance->pki('ca.crt');

# make install has put it beside the server's own programs
my ($bindir, $mandir) = map { chomp(my $is = `$ENV{PG_CONFIG} --$_`); $is } qw(bindir mandir);
my $program = "$bindir/medchain-verify";

ok(-x $program && -s "$mandir/man1/medchain-verify.1", 'program and manual are installed');
like(slurp_file("$mandir/man1/medchain-verify.1"), qr/\\-\\-\Q${\ s{-}{\\-}r }\E\b/, "the manual tells of --$_") foreach qw(anchors checkpoint json state rejections as-of node quiet help version);
unlike(`ldd $program`, qr/libpq|not found/, 'it needs nothing of PostgreSQL');
$alliance->establish;
$alliance->sql('ha', q{SELECT medchain.append('visit', json_build_object('n', i, 'text', E'\u00e9\n"'), 'P' || i) FROM generate_series(1, 50) i});
$alliance->wait_for_equal_heads;

# what a user may append: numbers that no type of C holds, a field twice, white space, any escapes
$alliance->sql('ha', q{SELECT medchain.append('odd', E'{"n": 1e400, "m": -12345678901234567890,\n\t"n": [-0.5E-7, "\\u00e9\\/\\ud834\\udd1e", {}, []]}')});
$alliance->wait_for_equal_heads;
append_to_file("$dir/kept.note", $alliance->sql('ha', 'SELECT medchain.checkpoint()') . "\n");
$alliance->sql('ha', q{SELECT medchain.append('visit', '{"n": "later"}')});
$alliance->wait_for_equal_heads;

my $export = $alliance->sql('dc', 'SELECT medchain.export()') . "\n";
my @lines = split(/(?<=\n)/, $export);

# (exit status, output) of the verifier for a text
sub verify
{
	my ($text, @options) = @_;
	my ($out, $err) = ('', '');
	my $input = PostgreSQL::Test::Utils::tempdir() . '/evidence';

	# a file: the program may end without having read all of it
	open my $file, '>:raw', $input or die "$input: $!";
	print $file $text;
	close $file or die "$input: $!";
	my $run = IPC::Run::start([ $program, @options ], '<', $input, '>', \$out, '2>', \$err);
	$run->finish;
	return ($run->result(0), $out . $err);
}

sub verifies_ok
{
	my ($text, $options, $title) = @_;
	my ($status, $out) = verify($text, @$options);
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	ok($status == 0 && $out =~ /^verified$/m, $title) or diag("exit status $status: $out");
	return $out;
}

sub refuses_ok
{
	my ($text, $options, $expected, $pattern, $title) = @_;
	my ($status, $out) = verify($text, @$options);
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	ok($status == $expected && $out =~ $pattern, $title) or diag("exit status $status: $out");
}

my @given = ('-a', $anchors);
my $out = verifies_ok($export, \@given, 'an export verifies');
my $head = $alliance->sql('ha', q{SELECT head FROM medchain.chains WHERE origin = 'ha'});
like($out, qr/^ha: \d+ blocks, 53 entries, head $head$/m, 'and says what was in it');
is($alliance->sql($_, 'SELECT medchain.export()') . "\n", $export, "$_ exports the same, byte for byte") foreach qw(en ha);
verifies_ok($export, [], 'without trust anchors those of genesis are taken');
verifies_ok($export, [ @given, '-c', "$dir/kept.note" ], 'it contains the checkpoint that was kept');
verifies_ok($alliance->sql('en', q{SELECT medchain.export('ha')}) . "\n", \@given, 'an export of one chain brings those that name its key');
append_to_file("$dir/kept-dc.note", $alliance->sql('en', q{SELECT medchain.checkpoint('dc')}) . "\n");
verifies_ok($export, [ @given, '-c', "$dir/kept.note", '-c', "$dir/kept-dc.note" ], 'or several checkpoints');
my $json = decode_json((verify($export, @given, '--json'))[1]);
is_deeply([ $json->{verdict}, $json->{trust_anchors}, map { $_->{origin} } @{ $json->{chains} } ], [ 'verified', 'given', 'dc', 'en', 'ha' ], '--json');
is($json->{chains}[2]{head}, $head, 'it has the heads');
like((verify('', '--help'))[1], qr/--\Q$_\E\b/, "--help tells of --$_") foreach qw(anchors checkpoint json state rejections as-of node quiet help version);
like((verify('', '--version'))[1], qr/^medchain-verify \d+\.\d+ \(OpenSSL 3/, '--version');
refuses_ok($alliance->sql('en', q{SELECT medchain.export('en')}) . "\n", [ @given, '-c', "$dir/kept.note" ], 1, qr/^ha, block \d+: .*east\/ha/m,
	'a checkpoint of a chain that is not there: the chain is named, whichever was the last');
my $receipts = $alliance->sql('ha', q{SELECT medchain.receipt(id) FROM medchain.entry WHERE origin = 'ha' AND kind = 'visit' ORDER BY seq LIMIT 3}) . "\n";
like(verifies_ok($receipts, \@given, 'several receipts in one file'), qr/^receipt 3: verified$/m, '... each is told of');
my @receipt = split(/(?<=\n)/, $receipts);
refuses_ok($receipt[0] . ($receipt[1] =~ s/"index": \d+/"index": 0/r) . $receipt[2], \@given, 1, qr/^receipt 2: the proof does not lead/m, 'one that was changed is named');
is((verify('', @$_))[0], 2, "@$_ is no way to call it") foreach ([ '--nonsense' ], [ 'a', 'b' ], [ '-a', "$dir/none" ], [ '-c', "$dir/none" ], ["$dir/none"]);

refuses_ok($export, [ '-a', $alliance->pki('rogue-ca.crt') ], 1, qr/certificate of "dc" is not accepted/, 'not under another CA');
refuses_ok($export, [ '-a', $alliance->pki('dc.crt') ], 1, qr/not a CA certificate/, 'nor under what is no CA');
refuses_ok('', \@given, 2, qr/no input/, 'nothing is unusable');
refuses_ok("garbage\n", \@given, 2, qr/not JSON/, 'garbage is unusable');
refuses_ok(join('', @lines[0 .. $#lines - 1]), \@given, 2, qr/cut off/, 'so is an export without its end');
refuses_ok(substr($export, 0, -1), \@given, 2, qr/cut off/, 'or without its last newline');
refuses_ok(join('', @lines, $lines[-1]), \@given, 2, qr/./, 'or with two ends');
refuses_ok($export =~ s/"type": "end"/"type":"end"/r, \@given, 2, qr/spells/, 'or spelled otherwise');

refuses_ok($export =~ s/"seq": 0,/"seq": -0,/r, \@given, 2, qr/spells/, 'even a sign before a zero');
refuses_ok($export =~ s/"seq": 0, "type": "entry"/"type": "entry", "seq": 0/r, \@given, 2, qr/another order/, 'or the order of fields');
refuses_ok($export =~ s/\\n\\n\K—/\\u2014/r, \@given, 2, qr/spells/, 'or an escape that needs not be');
refuses_ok('{"type": "export", "x": [' . join(', ', (0) x 2000) . "]}\n", \@given, 2, qr/spells/, 'or more values than any line has');

# a line without an end must not fill the memory, nor entries about members without a block
foreach (
	[ q({ printf '{"type": "export", "x": "'; head -c 300000000 /dev/zero | tr '\\0' x; }), qr/is longer than/ ],
	[ q({ printf '{"type": "export", "alliance": "a", "data_center": "d"}\n';
		perl -e 'my $pad = "x" x 60000; printf(qq({"seq": %d, "type": "entry", "origin": "d", "payload": "{\\\\"kind\\\\":\\\\"configure\\\\",\\\\"origin\\\\":\\\\"d\\\\",\\\\"id\\\\":\\\\"00000000-0000-0000-0000-%012d\\\\",\\\\"time\\\\":\\\\"2026-01-01T00:00:00.000000Z\\\\",\\\\"actor\\\\":\\\\"d\\\\",\\\\"body\\\\":{\\\\"x\\\\":\\\\"$pad\\\\"}}"}\n), $_, $_) for 0 .. 5000'; }),
		qr/about members before/ ])
{
	my ($source, $pattern) = @$_;
	my $said = `($source) | (ulimit -v 400000; $program; echo "status \$?") 2>&1`;
	like($said, qr/$pattern.*status 2/s, 'memory is bounded');
}

# a chain twice could say two things
{
	my @ha = grep { /"origin": "ha"/ } @lines;
	my $twice = join('', @lines[ 0 .. $#lines - 1 ], @ha, $lines[-1]);
	my @twice = split(/(?<=\n)/, $twice);
	refuses_ok(join('', (grep { !/"origin": "ha"/ } @lines[ 0 .. $#lines - 1 ]), @ha, grep({ /"origin": "en"/ } @lines), $lines[-1]),
		\@given, 2, qr/each chain once/, 'a chain comes once');
	refuses_ok(join('', (grep { !/"origin": "dc"/ } @lines)), \@given, 2, qr/must come first/, 'the data centre first');
}

# a line less, two exchanged, one twice
my ($first) = grep { $lines[$_] =~ /"origin": "ha".*"seq": 5,|"seq": 5, .*"origin": "ha"/ } 0 .. $#lines;
refuses_ok(join('', @lines[ grep { $_ != $first } 0 .. $#lines ]), \@given, 1, qr/ha, entry 6: entry 5 was expected/, 'a missing entry is located');
refuses_ok(join('', @lines[ 0 .. $first - 1, $first + 1, $first, $first + 2 .. $#lines ]), \@given, 1, qr/entry 5 was expected/, 'exchanged entries are');
refuses_ok($export =~ s/\\"n\\" : 20,/\\"n\\" : 21,/r, \@given, 1, qr/ha, block \d+: root of the entries/, 'a changed entry is');
refuses_ok($export =~ s/\\nsealed 2/\\nsealed 1/r, \@given, 1, qr/dc, block 0: no valid signature/, 'a changed block is');

# a chain cut off at its end, and the summary made to fit
{
	my @cut = @lines;
	my @last = grep { $cut[$_] =~ /"origin": "ha"/ } 0 .. $#cut;
	splice(@cut, $last[-2], 2);
	my ($blocks, $entries) = $cut[-1] =~ /"blocks": (\d+).*"entries": (\d+)/;
	$cut[-1] =~ s/"blocks": $blocks/'"blocks": ' . ($blocks - 1)/e;
	$cut[-1] =~ s/"entries": $entries/'"entries": ' . ($entries - 1)/e;
	verifies_ok(join('', @cut), [ @given, '-c', "$dir/kept.note" ], 'a cut after the checkpoint that was kept hangs together');
	refuses_ok(join('', @cut), [ @given, '-c', "$dir/kept.note", '-c', "$dir/kept-dc.note", '-c', $alliance->pki('ca.crt') ], 2, qr/checkpoint 3 .* is none/, 'what is no checkpoint is unusable');
	system_or_bail('sh', '-c', "rm '$dir/kept.note'");
	append_to_file("$dir/kept.note", $alliance->sql('ha', 'SELECT medchain.checkpoint()') . "\n");
	refuses_ok(join('', @cut), [ @given, '-c', "$dir/kept.note" ], 1, qr/was cut off/, 'one before it is found');
	refuses_ok(join('', @cut), [ @given, '-c', "$dir/kept.note", '-c', "$dir/kept-dc.note" ], 1, qr/was cut off/, 'whichever checkpoint it is that tells');
	my $forged = slurp_file("$dir/kept.note") =~ s/\nheight \d+/\nheight 999/r;
	append_to_file("$dir/forged.note", $forged);
	refuses_ok($export, [ @given, '-c', "$dir/forged.note" ], 1, qr/not signed with its key/, 'a forged checkpoint accuses nobody');
	append_to_file("$dir/forged-here.note", slurp_file("$dir/kept.note") =~ s/\nsealed 20/\nsealed 19/r);
	refuses_ok($export, [ @given, '-c', "$dir/forged-here.note" ], 1, qr/not signed with this chain's key/, 'at a height that there is neither');
}

# ----- receipts: one entry alone

my $entry = $alliance->sql('ha', q{SELECT id FROM medchain.entry WHERE origin = 'ha' AND payload LIKE '%"later"%'});
my $receipt = $alliance->sql('en', "SELECT medchain.receipt('$entry')") . "\n";
$out = verifies_ok($receipt, \@given, 'a receipt verifies');
like($out, qr/^entry 52 of "ha" is in the tree of 53 entries/m, 'and says what it shows');
like($out, qr/^signed with the certificate of CN=ha,.*, issued by CN=/m, 'and whose certificate signed it');
$json = decode_json((verify($receipt, @given, '--json'))[1]);
is_deeply([ @$json{qw(verdict origin index tree_size)}, sort keys %{ $json->{signer} } ], [ 'verified', 'ha', 52, 53, 'fingerprint', 'issuer', 'subject' ], '--json of a receipt');
verifies_ok($receipt, [ @given, '-c', "$dir/kept.note" ], 'it is of the checkpoint that was kept');
refuses_ok($receipt, [ @given, '-c', "$dir/kept-dc.note" ], 2, qr/verify an export/, 'of another it says nothing');
refuses_ok($receipt, [ @given, '-c', "$dir/forged-here.note" ], 1, qr/another block/, 'and it is not of a different block');
refuses_ok($receipt, [], 2, qr/--anchors/, 'it needs trust anchors');
refuses_ok($receipt, [ '-a', "$dir/kept.note" ], 2, qr/trust anchors in .*kept\.note/, 'which a file without certificates has not');
refuses_ok($receipt, [ '-a', $alliance->pki('rogue-ca.crt') ], 1, qr/certificate is not accepted/, 'the right ones');
verifies_ok($receipt . $receipt, \@given, 'two receipts');
refuses_ok($receipt =~ s/later/lAter/r, \@given, 1, qr/proof does not lead/, 'another payload is not in the tree');
refuses_ok($receipt =~ s/"index": 52/"index": 51/r, \@given, 1, qr/proof does not lead/, 'nor is it elsewhere');
refuses_ok($receipt =~ s/"type": "receipt"/"type": "receipt", "x": 1/r, \@given, 2, qr/do not belong/, 'nothing else is let in');

# ----- row proofs: what one row said
$alliance->sql('ha', q{
	CREATE TABLE device (id int PRIMARY KEY, name text, note text);
	INSERT INTO device VALUES (1, 'CT "1"', NULL);
	SELECT medchain.ledger_table('device');
	UPDATE device SET name = 'X-ray' WHERE id = 1});
$alliance->sql('ha', 'SELECT medchain.seal()');
my $row = $alliance->sql('ha', q{SELECT medchain.row_proof('device', 1)}) . "\n";
my $shown = verifies_ok($row, \@given, 'a row proof verifies');
like($shown, qr/row of "public[.]device" was:\n    id: 1\n    name: X-ray\n/, 'and shows the row');
is_deeply(decode_json((verify($row, @given, '--json'))[1])->{row}{id}, '1', '--json of a row proof');
refuses_ok($row =~ s/2:id1:1/2:id1:2/r, \@given, 1, qr/not what the entry commits to/, 'another content is not what was committed to');
refuses_ok($row =~ s/"relation": "public.device"/"relation": "public.devise"/r, \@given, 1, qr/not what the entry commits to/, 'nor is another table');

# any byte: a sample that is the same in every run
foreach my $text ($export, $receipt, $row)
{
	my $accepted = '';
	my $step = length($text) > 10000 ? 97 : 7;
	for (my $i = 0; $i < length($text); $i += $step)
	{
		my $changed = $text;
		substr($changed, $i, 1) = chr(ord(substr($changed, $i, 1)) ^ ($i % 2 ? 0x01 : 0x20));
		my ($status) = verify($changed, @given);
		$accepted .= "$i " unless $status == 1 || $status == 2;
	}
	is($accepted, '', 'with any byte changed it does not verify');
}
$alliance->check_logs;
done_testing();
