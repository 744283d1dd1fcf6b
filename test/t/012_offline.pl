# The offline verifier: exports verify without PostgreSQL, and not after anything was changed.
use strict;
use warnings;

use Medchain::Alliance;
use PostgreSQL::Test::Utils;
use Test::More;

my $alliance = Medchain::Alliance->new(dc => 'data_center', en => 'end_node', ha => 'chain_node');
my $dir = PostgreSQL::Test::Utils::tempdir();
my $anchors = $alliance->pki('ca.crt');
my $program = 'src/bin/medchain-verify';

system_or_bail('make', '-s', '-C', 'src/bin');
$alliance->establish;
$alliance->sql('ha', q{SELECT medchain.append('visit', json_build_object('n', i, 'text', E'\u00e9\n"'), 'P' || i) FROM generate_series(1, 50) i});
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
	my $run = IPC::Run::start([ $program, @options ], '<', \$text, '>', \$out, '2>', \$err);
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
like($out, qr/^ha: \d+ blocks, 52 entries, head $head$/m, 'and says what was in it');
is($alliance->sql($_, 'SELECT medchain.export()') . "\n", $export, "$_ exports the same, byte for byte") foreach qw(en ha);
verifies_ok($export, [], 'without trust anchors those of genesis are taken');
verifies_ok($export, [ @given, '-c', "$dir/kept.note" ], 'it contains the checkpoint that was kept');
verifies_ok($alliance->sql('en', q{SELECT medchain.export('ha')}) . "\n", \@given, 'an export of one chain brings those that name its key');
like((verify($export, @given, '--json'))[1], qr/^\{"chains": \[.*"verdict": "verified"\}$/, '--json');

refuses_ok($export, [ '-a', $alliance->pki('rogue-ca.crt') ], 1, qr/certificate of "dc" is not accepted/, 'not under another CA');
refuses_ok($export, [ '-a', $alliance->pki('dc.crt') ], 1, qr/not a CA certificate/, 'nor under what is no CA');
refuses_ok('', \@given, 2, qr/no input/, 'nothing is unusable');
refuses_ok("garbage\n", \@given, 2, qr/not JSON/, 'garbage is unusable');
refuses_ok(join('', @lines[0 .. $#lines - 1]), \@given, 2, qr/cut off/, 'so is an export without its end');
refuses_ok(substr($export, 0, -1), \@given, 2, qr/cut off/, 'or without its last newline');
refuses_ok(join('', @lines, $lines[-1]), \@given, 2, qr/./, 'or with two ends');
refuses_ok($export =~ s/"type": "end"/"type":"end"/r, \@given, 2, qr/spelled/, 'or spelled otherwise');

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
	system_or_bail('sh', '-c', "rm '$dir/kept.note'");
	append_to_file("$dir/kept.note", $alliance->sql('ha', 'SELECT medchain.checkpoint()') . "\n");
	refuses_ok(join('', @cut), [ @given, '-c', "$dir/kept.note" ], 1, qr/was cut off/, 'one before it is found');
}

# ----- receipts: one entry alone

my $entry = $alliance->sql('ha', q{SELECT id FROM medchain.entry WHERE origin = 'ha' AND payload LIKE '%"later"%'});
my $receipt = $alliance->sql('en', "SELECT medchain.receipt('$entry')") . "\n";
$out = verifies_ok($receipt, \@given, 'a receipt verifies');
like($out, qr/^entry 51 of "ha" is in the tree of 52 entries/m, 'and says what it shows');
refuses_ok($receipt, [], 2, qr/--anchors/, 'it needs trust anchors');
refuses_ok($receipt, [ '-a', $alliance->pki('rogue-ca.crt') ], 1, qr/certificate is not accepted/, 'the right ones');
refuses_ok($receipt . $receipt, \@given, 2, qr/follows/, 'one receipt at a time');
refuses_ok($receipt =~ s/later/lAter/r, \@given, 1, qr/proof does not lead/, 'another payload is not in the tree');
refuses_ok($receipt =~ s/"index": 51/"index": 50/r, \@given, 1, qr/proof does not lead/, 'nor is it elsewhere');
refuses_ok($receipt =~ s/"type": "receipt"/"type": "receipt", "x": 1/r, \@given, 2, qr/do not belong/, 'nothing else is let in');

# any byte: a sample that is the same in every run
foreach my $text ($export, $receipt)
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
