# Members cosign each other's blocks: what that proves to outsiders, and of a chain that was cut off or rewritten whole.
use strict;
use warnings;

use MIME::Base64 qw(decode_base64 encode_base64);
use Digest::SHA qw(sha256 sha256_hex);
use IPC::Run;
use Medchain::Alliance;
use PostgreSQL::Test::Utils;
use Test::More;

my @names = qw(dc en ha hb);
my $alliance = Medchain::Alliance->new(dc => 'data_center', en => 'end_node', ha => 'chain_node', hb => 'chain_node');
my $dir = PostgreSQL::Test::Utils::tempdir();
$alliance->start($_, conf => "medchain.witness_interval = '100ms'\n") foreach @names;
$alliance->establish;

# Everybody else has cosigned ha's newest block.
sub cosigned
{
	my ($height) = split / /, $alliance->head('ha', 'ha');
	$alliance->wait_for($_, "SELECT count(*) FROM medchain.witnessed('ha', $height) WHERE agrees AND cosigned", 3) foreach @names;
	return $height;
}

# Other bytes, as many of them.
sub reverse_base64 { my ($text) = @_; my $bytes = decode_base64("AAAA$text"); return substr(encode_base64(substr($bytes, 0, 3) . ~substr($bytes, 3), ''), 4); }

# All is said: nothing is pending anywhere, nothing is due, and all have the same.
sub settle
{
	my $settled;

	do
	{
		$alliance->wait_for($_, 'SELECT NOT EXISTS (SELECT FROM medchain.witness_due) AND NOT EXISTS (SELECT FROM medchain.pending)') foreach @names;
		$alliance->wait_for_equal_heads(@names);
		$settled = !grep { $alliance->sql($_, 'SELECT EXISTS (SELECT FROM medchain.witness_due) OR EXISTS (SELECT FROM medchain.pending)') eq 't' } @names;
	} until $settled;
	return;
}

settle();
my %old = map { $_ => (split / /, $alliance->head('hb', $_))[0] } @names;
$alliance->sql('ha', q{SELECT medchain.append('visit', json_build_object('n', i), 'P' || i) FROM generate_series(1, 20) i; });
$alliance->sql('ha', 'SELECT medchain.seal()');
my $height = cosigned();
is($alliance->sql('hb', "SELECT string_agg(witness || ' ' || (height = $height) || ' ' || (abs(extract(epoch FROM clock_timestamp() - time)) < 600), ', ') FROM medchain.witnessed('ha', $height)"),
	'dc true true, en true true, hb true true', 'the others have cosigned a block, and everybody has that');
is($alliance->sql('dc', "SELECT string_agg(witness, ' ') FROM medchain.witnessed('ha', $height - 1) WHERE agrees AND cosigned"), 'dc en hb', 'and with it the blocks before');
is($alliance->sql('dc', "SELECT count(*) FROM medchain.witnessed('ha', $height + 1)"), 0, 'none that there is not');

# ----- who witnesses is no reason to witness

settle();
my $heads = $alliance->heads('dc');
my $begun = $alliance->sql('dc', 'SELECT clock_timestamp()');
$alliance->wait_for('dc', "SELECT clock_timestamp() > '$begun'::timestamptz + interval '2 s'");
settle();
is($alliance->heads('dc'), $heads, 'twenty intervals later no chain has grown');
cmp_ok($alliance->sql('dc', q{SELECT max(n) FROM (SELECT count(*) AS n FROM medchain.entry WHERE kind = 'witness' GROUP BY origin) x}), '<=',
	$alliance->sql('dc', q{SELECT count(*) FROM medchain.block b WHERE EXISTS (SELECT FROM medchain.entry e WHERE e.origin = b.origin
		AND e.seq < b.size AND e.seq >= coalesce((SELECT p.size FROM medchain.block p WHERE p.origin = b.origin AND p.height = b.height - 1), 0) AND e.kind <> 'witness')}),
	'nobody has cosigned more blocks than there are with something new');
$alliance->equal_ok;
$alliance->verify_ok;

# ----- for outsiders

my ($id) = split /\n/, $alliance->sql('ha', q{SELECT id FROM medchain.entry WHERE kind = 'visit' ORDER BY seq LIMIT 1 OFFSET 7});
my %file = map { $_ => "$dir/$_" } qw(policy all proof entry);
sub write_file { my ($name, $text) = @_; open my $out, '>:raw', $name or die "$name: $!"; print $out $text; close $out or die "$name: $!"; return; }
write_file($file{policy}, $alliance->sql('hb', 'SELECT medchain.tlog_policy()') . "\n");
write_file($file{all}, $alliance->sql('dc', 'SELECT medchain.tlog_policy(3)') . "\n");
write_file($file{proof}, $alliance->sql('dc', "SELECT medchain.proof('$id')") . "\n");
write_file($file{entry}, $alliance->sql('dc', "SELECT payload FROM medchain.entry WHERE id = '$id'"));
my $proof = slurp_file($file{proof});
like(slurp_file($file{policy}), qr/^group members 2 east\/dc east\/en east\/ha east\/hb\nquorum members\n+\z/m, 'a majority of those who can cosign a chain');
like($proof, qr/\Ac2sp\.org\/tlog-proof\@v1\nindex \d+\n(?:[\w+\/]{43}=\n)+\neast\/ha\n/, 'a tlog-proof');
is(scalar(() = $proof =~ /^— east\/(?:dc|en|hb) /mg), 3, 'with three cosignatures');
is($alliance->sql('ha', 'SELECT medchain.vkey()'), $alliance->sql('dc', q{SELECT medchain.vkey('ha')}), 'a member has one verifier key');
like(slurp_file($file{policy}), qr/^log \Q$_\E$/m, 'which the policy has') foreach $alliance->sql('dc', q{SELECT medchain.vkey('ha')});
like(slurp_file($file{policy}), qr/^witness east\/ha \Q$_\E$/m, 'and that as a witness') foreach $alliance->sql('dc', q{SELECT medchain.vkey('ha', true)});
$alliance->fails_like('dc', 'SELECT medchain.proof(gen_random_uuid())', qr/is not on the ledger/, 'none of an entry that is not there');
$alliance->fails_like('dc', 'SELECT medchain.tlog_policy(5)', qr/a quorum is from 0 to 4/, 'nor a quorum that nobody reaches');
$alliance->fails_like('dc', q{SELECT medchain.vkey('nobody')}, qr/there is no member "nobody"/, 'nor a key of nobody');

my $program = Medchain::Alliance::sanitized_verifier();
sub verifier
{
	my ($input, @options) = @_;
	my ($out, $err) = ('', '');
	my $run = IPC::Run::start([ $program, '-q', @options ], '<', $input, '>', \$out, '2>', \$err);
	$run->finish;
	return ($run->result(0), $out . $err);
}

sub checks
{
	my ($expected, $pattern, $title, $input, @options) = @_;
	my ($status, $out) = verifier($input, @options);
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	ok($status == $expected && $out =~ $pattern, $title) or diag("exit status $status: $out");
	return;
}
my @under = ('--policy', $file{policy}, '--entry', $file{entry});
checks(0, qr/^verified$/m, 'it verifies offline', $file{proof}, @under);
checks(0, qr/cosigned by "east\/hb" at 2\d\d\d-/, 'and says who has cosigned', $file{proof}, '--policy', $file{all}, '--entry', $file{entry});
checks(0, qr/^verified$/m, 'three cosignatures are asked for, and there', $file{proof}, @under, '--quorum', 3);
checks(1, qr/3 of 4 witnesses.*no quorum/, 'four are not', $file{proof}, @under, '--quorum', 4);
checks(2, qr/give them with --policy/, 'without a policy there is nothing to be said', $file{proof}, '--entry', $file{entry});
checks(2, qr/give it with --entry/, 'nor without the entry', $file{proof}, '--policy', $file{policy});
my %vkey = map { $_ => $alliance->sql('dc', "SELECT medchain.vkey('$_', " . ($_ eq 'ha' ? 'false' : 'true') . ')') } @names;
checks(0, qr/^verified$/m, 'or under verifier keys', $file{proof}, '--entry', $file{entry}, map { ('--vkey', $vkey{$_}) } @names);
checks(1, qr/signed by no log/, 'not without that of the log', $file{proof}, '--entry', $file{entry}, map { ('--vkey', $vkey{$_}) } qw(dc en hb));
(my $checkpoint = $proof) =~ s/\A.*?\n\n//s;
write_file("$dir/note", $checkpoint);
checks(0, qr/^"east\/ha" has a tree of \d+ entries$/m, 'the checkpoint alone verifies as well', "$dir/note", '--policy', $file{all});
foreach my $gone (qw(dc en hb))
{
	write_file("$dir/fewer", $proof =~ s/^— east\/$gone .*\n//mr);
	checks(1, qr/2 of 4 witnesses.*no quorum/, "without the cosignature of $gone there is no quorum of three", "$dir/fewer", '--policy', $file{all}, '--entry', $file{entry});
	checks(0, qr/^verified$/m, 'but of two', "$dir/fewer", @under);
}

# every part of it changed, byte by byte; what psql adds is none of it
my @accepted;
for (my $i = 0; $i < length($proof) - 1; $i += 3)
{
	my $changed = $proof;
	substr($changed, $i, 1) ^= chr(1 << ($i % 5));
	write_file("$dir/changed", $changed);
	push @accepted, $i if (verifier("$dir/changed", '--policy', $file{all}, '--entry', $file{entry}))[0] == 0;
}
is("@accepted", '', 'a proof that was changed anywhere is refused');
my $entry = slurp_file($file{entry});
write_file("$dir/other", $entry =~ s/"n" : 8/"n" : 9/r);
checks(1, qr/does not lead from the entry/, 'so is another entry', $file{proof}, '--policy', $file{policy}, '--entry', "$dir/other");

# written from the specifications, by others' cryptography
SKIP:
{
	my $foreign = sub { return system("python3 test/lib/foreign_verify.py $_[0] $_[1] $_[2] >$dir/said 2>&1") >> 8; };
	write_file("$dir/exact", $proof =~ s/\n\n\z/\n/r);
	my $status = $foreign->($file{all}, $file{entry}, "$dir/exact");
	skip('python3-cryptography is not here', 3) if $status == 77 || $status == 127;
	is($status, 0, 'a foreign verifier accepts it') or diag(slurp_file("$dir/said"));
	isnt($foreign->($file{all}, "$dir/other", "$dir/exact"), 0, 'and not another entry');
	isnt($foreign->($file{all}, $file{entry}, "$dir/fewer"), 0, 'nor one without its quorum');
}

# ----- in an export

write_file("$dir/export", $alliance->sql('hb', 'SELECT medchain.export()') . "\n");
my @anchors = ('-a', $alliance->pki('ca.crt'));
checks(0, qr/^    cosigned up to block \d+ by 3 members$/m, 'an export has the cosignatures', "$dir/export", @anchors, '--quorum', 3);
checks(0, qr/^verified$/m, 'also for the policy', "$dir/export", @anchors, '--policy', $file{policy});
checks(1, qr/^\w+, cosignatures: none of its newest blocks/m, 'and not more than there are', "$dir/export", @anchors, '--quorum', 4);

# somebody who says that he has cosigned it, and has not, harms nobody but himself
settle();
my $body = $alliance->sql('hb', q{SELECT payload::jsonb ->> 'body' FROM medchain.entry e WHERE origin = 'hb' AND kind = 'witness' AND medchain_internal.witness_chain(payload) = 'ha' ORDER BY seq DESC LIMIT 1});
(my $false = $body) =~ s/("cosignature": "[^"]*? )([A-Za-z0-9+\/]{20})([A-Za-z0-9+\/]+=*)"/$1 . $2 . reverse_base64($3) . '"'/e;
isnt($false, $body, 'a false cosignature');
$alliance->forge_entry('hb', 'witness', "\$b\$$false\$b\$", 'NULL', 'clock_timestamp()');
settle();
unlink "$dir/export";
write_file("$dir/export", $alliance->sql('dc', 'SELECT medchain.export()') . "\n");
checks(0, qr/^verified$/m, 'is in nobody\'s export', "$dir/export", @anchors, '--quorum', 2);

# ----- rewritten, and cut off

my $faults = "SELECT origin, height, fault, detail FROM medchain.verify(witnesses => true) WHERE NOT ok";
is($alliance->sql('ha', $faults), '', 'compared with what the others hold, all is in order');
is($alliance->sql('ha', 'BEGIN READ ONLY; SELECT bool_and(ok) FROM medchain.verify(witnesses => true)'), 't', 'read-only as well');

# a peer that answers nonsense keeps nobody else from being heard
foreach my $nonsense (q{'east/ha' || E'\\n1\\nx\\nheight ' || height + 1 || E'\\nprevious x\\nsealed 2026-99-99T00:00:00.000Z\\n\\nx'}, q{E'\\nheight 999999999999999999\\n'}, q{''})
{
	$alliance->forge('hb', "INSERT INTO medchain.block SELECT origin, height + 1, size, root, previous, hash, sealed, $nonsense FROM medchain.block WHERE origin = 'ha' ORDER BY height DESC LIMIT 1");
	is($alliance->sql('ha', $faults), '', 'nonsense of a peer is no fault');
	$alliance->forge('hb', q{DELETE FROM medchain.block WHERE origin = 'ha' AND height > (SELECT height FROM medchain.chain WHERE origin = 'ha')});
}

# What a superuser does, who has the key; and what is found then.  It is not to last.
sub forged
{
	my ($name, $sql) = @_;
	my $off = '';

	foreach my $table (qw(entry block))
	{
		my $triggers = $alliance->sql($name, "SELECT string_agg(format('ALTER TABLE medchain.$table DISABLE TRIGGER %I', tgname), ';') FROM pg_trigger WHERE tgrelid = 'medchain.$table'::regclass AND NOT tgisinternal");
		$off .= "$triggers;\n";
	}
	return $alliance->sql($name, "SET client_min_messages = error; BEGIN;\nDO \$do\$ BEGIN $off $sql; END \$do\$;\n"
		. "SELECT 'alone: ' || (SELECT count(*) FROM medchain.verify() WHERE NOT ok);\n$faults;\nROLLBACK;");
}

# A chain ends with this block; where medchain.chain stands then.
sub cut
{
	my ($origin, $height) = @_;
	return qq{
		DELETE FROM medchain.entry WHERE origin = '$origin' AND seq >= (SELECT size FROM medchain.block WHERE origin = '$origin' AND height = $height);
		DELETE FROM medchain.block WHERE origin = '$origin' AND height > $height;
		DELETE FROM medchain.verified;
		UPDATE medchain.chain c SET height = b.height, size = b.size, head = b.hash,
			frontier = (SELECT string_agg(medchain.merkle_root(ARRAY(
					SELECT convert_to(e.payload, 'UTF8') FROM medchain.entry e WHERE e.origin = c.origin
					AND e.seq >= (b.size >> (bit + 1)) << (bit + 1) AND e.seq < (b.size >> bit) << bit ORDER BY e.seq)), ''::bytea ORDER BY bit DESC)
				FROM generate_series(0, 61) bit WHERE (b.size >> bit) & 1 = 1)
		FROM medchain.block b WHERE c.origin = '$origin' AND b.origin = c.origin AND b.height = $height};
}
my $found = forged('ha', cut('ha', $height - 1));
like($found, qr/^alone: 0$/m, 'a chain that was cut off is in order by itself');
like($found, qr/^ha\|$height\|missing block\|"$_" has verified block $height, by its chain/m, "$_ had verified more of it") foreach qw(dc en hb);
like($found, qr/^ha\|\d+\|missing block\|"dc" has block \d+, signed with this chain's key: the chain was cut off$/m, 'and has it');
$found = forged('hb', join(';', map { cut($_, $old{$_}) } @names));
like($found, qr/^alone: 0$/m, 'so is a database in which all chains were cut off');
like($found, qr/^hb\|\d+\|missing block\|"$_" has block \d+, signed/m, "$_ has more of what it has sealed itself") foreach qw(dc en ha);
unlike($found, qr/^(?!hb)\w+\|\d+\|/m, 'what others have sealed may just not have come yet');

my $note = $alliance->sql('ha', "SELECT note FROM medchain.block WHERE origin = 'ha' AND height = $height");
my ($text) = $note =~ /\A(.*?\n)\n/s;
$text =~ s/^(sealed .*?)\d\dZ$/$1 . '00Z'/me;
$text =~ s/^(sealed .*?)\d\dZ$/$1 . '01Z'/me if $note =~ /\A\Q$text\E/;
my $again = $alliance->sign_note('ha', $text, 'east/ha');
my $last = (split / /, $alliance->head('ha', 'ha'))[0];
my $kinds = $alliance->sql('ha', "SELECT kinds FROM medchain.block WHERE origin = 'ha' AND height = $height");
my $carried = $alliance->sign_note('ha', join("\n", 'medchain kinds v1', 'east/ha', $height, encode_base64(sha256($text), ''), encode_base64(sha256($kinds), ''), ''), 'east/ha');
my $rewrite = ($last > $height ? cut('ha', $height) . ';' : '') . qq{
	UPDATE medchain.block SET note = \$note\$$again\$note\$, kinds_note = \$note\$$carried\$note\$, hash = '\\x${\ sha256_hex($text) }', sealed = substring(\$note\$$again\$note\$ FROM E'sealed (\\\\S+)')::timestamptz
		WHERE origin = 'ha' AND height = $height;
	UPDATE medchain.chain SET head = '\\x${\ sha256_hex($text) }' WHERE origin = 'ha';
	DELETE FROM medchain.verified};
$found = forged('ha', $rewrite);
like($found, qr/^alone: 0$/m, 'a chain that was rewritten, and signed, is in order by itself');
like($found, qr/^ha\|$height\|differs from witness\|"$_" has verified another block $height/m, "$_ had verified another one") foreach qw(dc en hb);
like($found, qr/^ha\|$height\|differs from witness\|"dc" has another block $height, signed with the same key: the chain was rewritten$/m, 'and has it');
is($alliance->sql('ha', $faults), '', 'afterwards all is as it was');

# who is not there is named
$alliance->cluster('dc')->stop;
my (undef, $out, $err) = $alliance->try('ha', $faults);
is($out, '', 'who cannot be asked has no fault');
like($err, qr/WARNING:  what "dc" holds is not known: /, 'but it is said');
$alliance->cluster('dc')->start;
$alliance->wait_for_equal_heads;
$alliance->check_logs;
done_testing();
