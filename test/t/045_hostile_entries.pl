# Entries that somebody could not read: a member with its real key signs blocks over them.  No node accepts one, all for
# the same reason, whatever it is that could not be read: and what is accepted, every reader reads.
use strict;
use warnings;

use Medchain::Alliance;
use Medchain::Hostile;
use IPC::Run;
use Test::More;

my $alliance = Medchain::Alliance->new(dc => 'data_center', en => 'end_node', ha => 'chain_node');
my @honest = qw(dc en);

$alliance->establish;
my $bad = Medchain::Hostile->new($alliance, 'ha');
my $subject = $alliance->sql('dc', q{SELECT encode(medchain.pseudonym('P1'), 'hex')});
my $refused = 0;

# Everything that reads entries, at each honest node.
sub readers_ok
{
	my ($title) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	foreach my $node (@honest)
	{
		my ($rc, $out, $err) = $alliance->try($node, q{
			SELECT count(*) FROM medchain.diagnosis_log('P1');
			SELECT count(*) FROM (SELECT medchain.receipt(id) FROM medchain.entry) x;
			SELECT count(*) FROM (SELECT medchain.export()) x;
			SELECT count(*) FROM medchain.chains; SELECT count(*) FROM medchain.rejections; SELECT count(*) FROM medchain.quarantine;
			SELECT count(*) FILTER (WHERE NOT ok) AS faults FROM medchain.verify()});
		ok($rc == 0 && $out =~ /^0$/m, "$title: everything at $node is read, and in order") or diag($out . $err);
	}
	$alliance->verifies_offline_ok($title, @honest);
	return;
}

# A block over such an entry is refused everywhere, for that reason, and the chain goes on without it.
sub refused_ok
{
	my ($title, $payload, $pattern) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($entries, $block) = $bad->block_over([ $bad->payload(body => '"before it"'), $payload ]);

	$bad->publish($entries, [$block]);
	$refused++;
	$alliance->wait_for($_, 'SELECT count(*) FROM medchain.quarantine', $refused) foreach @honest;
	my @seen = map { $alliance->sql($_, 'SELECT source, origin, height, reason, detail FROM medchain.quarantine ORDER BY id DESC LIMIT 1') } @honest;
	like($seen[0], qr/^ha\|ha\|$block->[1]\|bad entry\|entry \d+: $pattern/, "$title: refused");
	is($seen[1], $seen[0], "$title: and by all alike");
	return;
}

# ... and such a one, at the limit of what is refused, is accepted by all; "detail" is what the log of diagnoses shows.
sub accepted_ok
{
	my ($title, $body, $detail) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	$bad->sql("SELECT medchain.append('visit', \$json\$$body\$json\$::json, 'P1')");
	$alliance->wait_for_equal_heads;
	is($alliance->sql($_, q{SELECT left(detail::text, 100) FROM medchain.diagnosis_log('P1') ORDER BY "time" DESC LIMIT 1}), substr($detail, 0, 100), "$title: read at $_")
	  foreach @honest;
	return;
}

readers_ok('before');

# ----- text that is none

refused_ok('a byte that is no UTF-8',       $bad->payload(body => qq{"M\xfcller"}),           'payload is not UTF-8 text');
refused_ok('an overlong character',         $bad->payload(body => qq{"\xc0\xaf"}),            'payload is not UTF-8 text');
refused_ok('a surrogate',                   $bad->payload(body => qq{"\xed\xa0\x80"}),        'payload is not UTF-8 text');
refused_ok('beyond Unicode',                $bad->payload(body => qq{"\xf4\x90\x80\x80"}),    'payload is not UTF-8 text');
refused_ok('a character that is cut off',   $bad->payload(body => '{}', role => "x\xe2\x80"), 'payload is not UTF-8 text');
refused_ok('the same in the name of a field', $bad->payload("more\xff=" => '1'),              'payload is not UTF-8 text');
refused_ok('a null character',              $bad->payload(body => '"a\u0000b"'),              '.*\\\\u0000');
refused_ok('half of a surrogate pair',      $bad->payload(body => '"\ud800"'),                '.*surrogate');
refused_ok('the other half',                $bad->payload(body => '["\udc00\ud800"]'),        '.*surrogate');
refused_ok('one in a name',                 $bad->payload(body => '{"\ud83d": 1}'),           '.*surrogate');

# ----- JSON that is none

refused_ok('no object',                     '[1]',                                            'payload is not a JSON object');
refused_ok('nothing',                       '',                                               'payload is not a JSON object');
refused_ok('more behind it',                $bad->payload() . '{}',                           'payload is not a JSON object');
refused_ok('a control character',           $bad->payload(body => qq{"\x01"}),                'payload is not a JSON object');
refused_ok('a number with a zero before it', $bad->payload(body => '01'),                     'payload is not a JSON object');
refused_ok('NaN',                           $bad->payload(body => 'NaN'),                     'payload is not a JSON object');
refused_ok('a comma too many',              $bad->payload(body => '[1,]'),                    'payload is not a JSON object');

# ----- what a type of PostgreSQL cannot hold, or what becomes of it would not fit

refused_ok('a number beyond numeric',       $bad->payload(subject => $subject, body => '1e400000'),   'a number in payload has more than 1000 digits');
refused_ok('one too small for it',          $bad->payload(subject => $subject, body => '[1e-400000]'), 'a number in payload has more than 1000 digits');
refused_ok('an exponent beyond all',        $bad->payload(subject => $subject, body => '1E' . '9' x 400), 'a number in payload has more than 1000 digits');
refused_ok('many that are long when written out', $bad->payload(subject => $subject, body => '[' . join(',', ('1e999') x 17000) . ']'), '.*longer than');
refused_ok('nested too deep',               $bad->payload(subject => $subject, body => '[' x 600 . ']' x 600), '.*nested deeper');
refused_ok('deeper than memory',            $bad->payload(subject => $subject, body => '[' x 100000),  '.*nested deeper');

# ----- fields

refused_ok('a field twice',                 $bad->payload() =~ s/^\{/{"kind":"note",/r,       '.*one field "kind"');
refused_ok('no kind',                       $bad->payload(kind => undef),                     '.*one field "kind"');
refused_ok('a kind that is no word',        $bad->payload(kind => 'x' x 500),                 '.*"kind"');
refused_ok('a kind with a line end in it',  $bad->payload(kind => 'a\nb'),                    '.*"kind"');
refused_ok('an actor who has no name',      $bad->payload(actor => ''),                       '.*"actor"');
refused_ok('a role that is no text',        $bad->payload('role=' => '7'),                    '.*"role"');
refused_ok('an id in capitals',             $bad->payload(id => 'AAAAAAAA-0000-4000-8000-000000000001'), '.*"id"');
refused_ok('the 30th of February',          $bad->payload(time => '2026-02-30T00:00:00.000000Z'), '.*"time"');
refused_ok('a time before all',             $bad->payload(time => '0000-01-01T00:00:00.000000Z'), '.*"time"');
refused_ok('half a subject',                $bad->payload(subject => substr($subject, 0, 32)), '.*"subject"');
refused_ok('another origin',                $bad->payload(origin => 'en'),                    'payload is of another origin');

# ----- at the limits

accepted_ok('a long number',  '1e999', '1' . '0' x 999);
accepted_ok('a small one',    '1e-999', '0.' . '0' x 98);
accepted_ok('nested deep',    '[' x 127 . ']' x 127, '[' x 127);
accepted_ok('escapes',        '"\\ud834\\udd1e\\u00e9\\/\\n"', qq{"\xf0\x9d\x84\x9e\xc3\xa9/\\n"});
accepted_ok('a field twice, which in what users append is their business', '{"a": 1, "a": 2}', '{"a": 2}');

# who says that is the same by whom it is said
$alliance->fails_like('en', $_->[0], qr/ERROR:  invalid entry: $_->[1]/, "nor may one's own session append $_->[0]") foreach
  [ q{SELECT medchain.append('visit', '1e400000')}, 'a number in payload has more than 1000 digits' ],
  [ q{SELECT medchain.append('visit', '"\\u0000"')}, 'payload has \\\\u0000 in it' ],
  [ q{SELECT medchain.append('visit', '"\\ud800"')}, 'payload has half of a surrogate pair in it' ],
  [ q{SELECT medchain.append('visit', (repeat('[', 128) || repeat(']', 128))::json)}, 'payload is nested deeper than 128 levels' ],
  [ q{SELECT medchain.append('visit', to_json(repeat('x', 16 * 1024 * 1024)))}, 'payload is longer than 16777216 bytes' ];

readers_ok('after all that');

# ----- what is said about an examinee by an entry that is in force and about something else

my $protocol = $alliance->sql('en', q{SELECT medchain.issue_protocol('P1', 'care', '[{"grantee": "dc", "operations": ["query"]}]')});
$bad->sql(qq{SELECT medchain_internal.append_raw('bind_role', '{"role": "' || repeat('-', 36) || '", "member": null}', '\\x$subject', true)});
$bad->sql(qq{SELECT medchain_internal.append_raw('bind_role', '{"role": "$protocol", "member": null}', '\\x$subject', true)});
$alliance->wait_for_equal_heads;
is($alliance->sql($_, q{SELECT count(*) FROM medchain.diagnosis_log('P1') WHERE protocol IS NOT NULL}), '1', "$_: the log of diagnoses names protocols only") foreach @honest;
readers_ok('and after that');

# ----- a ledger of old, which has such entries since more was accepted (ha's own, for itself)

my @old = (qq{"M\xfcller"}, '1e400000');
$bad->sql('ALTER TABLE medchain.pending DISABLE TRIGGER pending_leaf');
foreach my $n (0, 1)
{
	my $id      = "00000000-0000-4000-9000-00000000000$n";
	my $payload = unpack('H*', $bad->payload(id => $id, subject => $subject, body => $old[$n]));
	# before it is sealed verify() looks at it, whatever it is
	is($bad->sql("BEGIN; INSERT INTO medchain.pending (id, kind, \"time\", actor, subject, payload, leaf_hash)
		SELECT '$id', 'visit', '2026-01-31T23:59:59Z', 'ha', '\\x$subject', p, medchain_internal.text_leaf_hash(p) FROM (SELECT '\\x$payload'::bytea::text) x(p);
		SELECT count(*) FROM medchain_internal.pending_faults() f WHERE f ~ 'not UTF-8|more than 1000 digits' AND f ~ (SELECT seq::text FROM medchain.pending WHERE id = '$id'); COMMIT"),
		'1', 'what waits to be sealed is looked at, whatever it is');
}
$bad->sql('ALTER TABLE medchain.pending ENABLE ALWAYS TRIGGER pending_leaf');
# what nobody has told the sealer of it looks for now and then
$alliance->wait_for('ha', q{WITH s AS MATERIALIZED (SELECT medchain.seal()) SELECT count(*) = 0 FROM s, medchain.pending});
is($bad->sql(q{SELECT detail FROM medchain.diagnosis_log('P1') WHERE detail ? 'unreadable' ORDER BY detail::text}),
	qq{{"unreadable": "a number in payload has more than 1000 digits"}\n{"unreadable": "payload is not UTF-8 text"}}, 'the log of diagnoses shows what they are');
is($bad->sql(q{SELECT ok, detail FROM medchain.verify('ha')}),
	't|entries that say nothing, as not everybody could read them: 2; medchain.entry_fault() tells why', 'verify() finds them in order, and says that they are there');
$alliance->verifies_offline_ok('with entries of old', 'ha');
my ($receipts) = $bad->sql(q{SELECT medchain.receipt(id) FROM medchain.entry WHERE origin = 'ha' AND medchain.entry_fault(payload) IS NOT NULL});
my $found = '';
ok(IPC::Run::run([ 'src/bin/medchain-verify', '-a', $alliance->{anchors} ], '<', \"$receipts\n", '>', \$found), 'their receipts verify offline');
is(() = $found =~ /^ha: entry \d+ says nothing, as not everybody could read it: /mg, 2, 'and say what they are worth');
$alliance->check_state;
$alliance->check_logs(map { $alliance->cluster($_) } @honest);

# ----- what it publishes cannot even be sent: its workers at the others end each time, which is to be seen, and others' chains go on

$bad->sql(q{ALTER PUBLICATION medchain SET TABLE medchain.entry WHERE (1 / (seq - seq) > 0), medchain.block});
$bad->sql(q{SELECT medchain.append('visit', '"never sent"')});
foreach my $node (@honest)
{
	$alliance->wait_for($node, q{SELECT state = 'failing' FROM medchain.peers WHERE member = 'ha'});
	pass("$node: who sends nothing that can be applied is failing");
	cmp_ok($alliance->sql($node, q{SELECT count(*) FROM medchain.block WHERE origin = 'ha'}), '>', 1, "$node: nothing is gone");
}
my $said = $alliance->sql('en', q{SELECT medchain.append('visit', '"after all"', 'P1')});
$alliance->wait_for('dc', "SELECT EXISTS (SELECT FROM medchain.entry WHERE id = '$said')");
pass('what others say arrives');
done_testing();
