# verify() derives the state part by part: what was edited, added or removed is found with workers
# and without, whatever ties parts together, and memory does not grow with the number of protocols.
use strict;
use warnings;

use Medchain::Alliance;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $alliance = Medchain::Alliance->new(dc => 'data_center', en => 'end_node', ha => 'chain_node');
$alliance->establish;
my $count = 0;

sub issue
{
	my ($more) = @_;
	$alliance->sql('en', "BEGIN; SET LOCAL medchain.seal_timeout = 0; SELECT count(medchain.issue_protocol('P' || i, 'text ' || i,
		'[{\"grantee\": \"ha\", \"operations\": [\"query\"]}]', '[{\"holder\": \"dc\", \"relation\": \"r\", \"key\": 1}]'))
		FROM generate_series($count + 1, $count + $more) i; COMMIT; SELECT medchain.seal()");
	$count += $more;
	$alliance->wait_for_equal_heads;
	$alliance->sql('dc', 'VACUUM ANALYZE');
	return;
}

my $offer = $alliance->sql('dc', q{SELECT medchain.set_policy('break_glass_max', '1 day'); SELECT medchain.amend_contract('ha', '{query, update, emergency}')});
$offer =~ s/.*\n//;
$alliance->wait_for('ha', "SELECT EXISTS (SELECT FROM medchain.contract WHERE id = '$offer')");
$alliance->sql('ha', 'SELECT medchain.accept_contract()');
issue(700);

# trust anchors are renewed amid them: what comes later is by a certificate that the first ones don't accept
my ($ca, $next) = map { $alliance->certificate($_) } qw(ca sm2-ca);
my $renewed = $alliance->certify('en-next', 'en', key => 'en', ca => 'sm2-ca');
$alliance->sql('dc', "SELECT medchain.renew_anchors('$ca\n$next')");
$alliance->wait_for_equal_heads;
$alliance->sql('en', "SELECT medchain.rekey('en', '$renewed')");
$alliance->wait_for_equal_heads;
$alliance->sql('dc', "SELECT medchain.renew_anchors('$next')");
issue(800);

# several of one examinee, and what is said of some; a revocation of an end node's that has its own
$alliance->sql('en', q{SELECT medchain.issue_protocol('P7', 'again', '[{"grantee": "dc", "operations": ["query"]}]')});
my @some = split /\n/, $alliance->sql('en', q{SELECT id FROM medchain.protocol ORDER BY id LIMIT 20});
$alliance->sql('en', "SELECT medchain.revoke_protocol('$some[0]', 'over')");
$alliance->sql('dc', "SELECT medchain.revoke_protocol('$some[1]', 'by the data centre')");
$alliance->wait_for_equal_heads;
$alliance->sql('ha', "SELECT medchain.log_diagnosis('$some[2]', '\"seen\"')");
$alliance->sql('en', "SELECT medchain.amend_protocol(id, i, 'other words', '[]') FROM medchain.protocol
	JOIN LATERAL (SELECT 'P' || n AS i FROM generate_series(1, 1500) n) x ON medchain.pseudonym(x.i) = subject
	WHERE id = '$some[3]'");

# entries that no part has by its subject: a protocol's and a revocation's without one, and what is
# said of no protocol at all
$alliance->sql('en', qq{SELECT medchain_internal.append_governance('revocation', '{"protocol": "$some[4]", "reason": "no subject"}', NULL);
	SELECT medchain_internal.append_governance('note', '{"protocol": "00000000-0000-4000-8000-000000000000", "note": 1}', NULL);
	SELECT medchain_internal.append_governance('protocol', '{}', NULL);
	SELECT medchain_internal.append_governance('revocation', '{"protocol": "$some[5]"}', sha256('somebody else'))});
$alliance->wait_for_equal_heads;

# emergencies, on the member's chain and at a holder of records, justified on one chain; and what has no effect, among it of other
# subjects, or of none
$alliance->sql($_, q{CREATE ROLE doctor LOGIN; SELECT medchain.bind_role('doctor', 'ha')}) foreach qw(ha dc);
my @glasses = map {
	$alliance->sql($_->[0], "SELECT medchain.break_glass('$_->[1]', 'r')", extra_params => [ '-U', 'doctor' ])
} [ ha => 'P9' ], [ dc => 'P10' ];
push @glasses, $alliance->sql('ha', q{SELECT medchain_internal.append_governance('break_glass', jsonb_build_object('member', 'ha', 'reason', 'r',
	'until', medchain_internal.ledger_time(clock_timestamp() + interval '1 hour')), NULL)});
$alliance->wait_for_equal_heads;
$alliance->sql('ha', "SELECT medchain_internal.append_governance('justification', jsonb_build_object('member', 'ha', 'break_glass', e.id, 'chain', e.origin,
	'seq', e.seq, 'justification', 'j'), s) FROM medchain.entry e, unnest(ARRAY[e.subject, e.subject, sha256('somebody else'), NULL]) s
	WHERE e.id IN ('$glasses[0]', '$glasses[1]', '$glasses[2]')");
$alliance->wait_for_equal_heads;
is($alliance->sql('dc', q{SELECT count(*), count(justified) FROM medchain.break_glass}), '2|2', 'emergencies, and why');

# What verify() says of the state after a statement, in either way; it is undone.
sub faults
{
	my ($workers, $statement) = @_;
	return $alliance->sql('dc', "SET medchain.verify_workers = $workers; SET search_path = medchain; BEGIN;
		DO \$\$ DECLARE t record; BEGIN FOR t IN SELECT tgrelid::regclass AS of, tgname FROM pg_trigger WHERE NOT tgisinternal
				AND tgrelid = ANY ('{claim,member,member_certificate,contract,examinee_key,protocol,protocol_grant,data_index,break_glass,fact}'::regclass[]) LOOP
			EXECUTE format('ALTER TABLE %s DISABLE TRIGGER %I', t.of, t.tgname); END LOOP; END \$\$;
		$statement;
		SELECT origin, detail FROM medchain_internal.state_faults() ORDER BY origin COLLATE \"C\", detail COLLATE \"C\"; ROLLBACK");
}

is(faults($_, 'SELECT 1 WHERE false'), '', "nothing to be found, $_ workers") foreach 0, 2;

my $claim  = "origin = 'en' AND kind = 'protocol' AND about = '$some[6]'";
my %tamper = (
	'a protocol edited'      => ["UPDATE medchain.protocol SET protocol_text = 'x' WHERE id = '$some[6]'", qr/protocol $some[6]: column protocol_text is "x"/],
	'a protocol of another'  => ["UPDATE medchain.protocol SET subject = sha256('x') WHERE id = '$some[6]'", qr/protocol $some[6]: column subject is/],
	'a protocol removed'     => ["DELETE FROM medchain.protocol WHERE id = '$some[6]'", qr/protocol $some[6]: row is missing/],
	'a protocol added'       => ["INSERT INTO medchain.protocol SELECT '00000000-0000-4000-8000-000000000001', issuer, subject, protocol_text, valid, issued, NULL, NULL, NULL, version FROM medchain.protocol ORDER BY id LIMIT 1",
		qr/protocol [0-9a-f-]+: the ledger knows nothing of this row/],
	'a revocation undone'    => ["UPDATE medchain.protocol SET revoked = NULL WHERE id = '$some[4]'", qr/protocol $some[4]: column revoked is null/],
	'a grant edited'         => ["UPDATE medchain.protocol_grant SET grantee = 'en' WHERE protocol = '$some[6]'", qr/grant 1: column grantee is "en"/],
	'a grant removed'        => ["DELETE FROM medchain.protocol_grant WHERE protocol = '$some[6]'", qr/protocol_grant $some[6], grant 1: row is missing/],
	'a grant added'          => ["INSERT INTO medchain.protocol_grant SELECT protocol, 2, subject, 'dc', operations, purpose, records, valid
		FROM medchain.protocol_grant WHERE protocol = '$some[6]'", qr/grant 2: the ledger knows nothing of this row/],
	'a grant of nothing'     => ["INSERT INTO medchain.protocol_grant SELECT '00000000-0000-4000-8000-000000000001'::uuid, 1, subject, 'dc', operations, purpose, records, valid
		FROM medchain.protocol_grant ORDER BY 1 LIMIT 1", qr/protocol_grant [0-9a-f-]+, grant 1: the ledger knows nothing of this row/],
	'an index edited'        => ["UPDATE medchain.data_index SET holder = 'ha' WHERE protocol = '$some[6]'", qr/record 1: column holder is "ha"/],
	'an index removed'       => ["DELETE FROM medchain.data_index WHERE protocol = '$some[6]'", qr/data_index $some[6], record 1: row is missing/],
	'an index added'         => ["INSERT INTO medchain.data_index SELECT '00000000-0000-4000-8000-000000000001'::uuid, 1, subject, holder, relation FROM medchain.data_index ORDER BY 1 LIMIT 1",
		qr/data_index [0-9a-f-]+, record 1: the ledger knows nothing/],
	'a key added'            => ["INSERT INTO medchain.examinee_key VALUES ('en', 1, sha256('x'), 'x', now())", qr/examinee_key entry 1: the ledger knows nothing/],
	'a broken glass edited'  => ["UPDATE medchain.break_glass SET reason = 'x' WHERE origin = 'dc'", qr/^dc\|break_glass entry \d+: column reason is "x"/],
	'a justification undone' => ["UPDATE medchain.break_glass SET justified = NULL WHERE origin = 'ha'", qr/^ha\|break_glass entry \d+: column justified is null/],
	'a broken glass removed' => ["DELETE FROM medchain.break_glass WHERE id = '$glasses[0]'", qr/^ha\|break_glass entry \d+: row is missing/],
	'a broken glass added'   => ["INSERT INTO medchain.break_glass SELECT 'en', 1, id, 'dc', subject, reason, valid FROM medchain.break_glass WHERE origin = 'ha'",
		qr/break_glass entry 1: the ledger knows nothing/],
	'its claim removed'      => ["DELETE FROM medchain.claim WHERE kind = 'break_glass' AND effective", qr/claim [0-9]+: row is missing/],
	'a justification removed' => ["DELETE FROM medchain.claim WHERE kind = 'justification'", qr/claim [0-9]+: row is missing/],
	'a claim edited'         => ["UPDATE medchain.claim SET effective = false, reason = 'x' WHERE $claim", qr/column effective is false, by the ledger true/],
	'a claim of another'     => ["UPDATE medchain.claim SET subject = sha256('x') WHERE $claim", qr/column subject is/],
	'a claim of nobody'      => ["UPDATE medchain.claim SET subject = NULL WHERE $claim", qr/column subject is null/],
	'a claim about another'  => ["UPDATE medchain.claim SET about = 'x' WHERE $claim", qr/column about is "x"/],
	'a claim of one kind'    => ["UPDATE medchain.claim SET kind = 'note' WHERE $claim", qr/column kind is "note", by the ledger "protocol"/],
	'a claim of no kind'     => ["UPDATE medchain.claim SET kind = 'x' WHERE $claim", qr/claim [0-9]+: /],
	'a claim of a member'    => ["UPDATE medchain.claim SET kind = 'note' WHERE kind = 'configure'", qr/claim [0-9]+: /],
	'a claim removed'        => ["DELETE FROM medchain.claim WHERE $claim", qr/claim [0-9]+: row is missing/],
	'a claim, its row edited' => ["DELETE FROM medchain.claim WHERE $claim; UPDATE medchain.protocol SET protocol_text = 'x' WHERE id = '$some[6]'",
		qr/protocol $some[6]: column protocol_text is "x"/],
	'a claim added'          => ["INSERT INTO medchain.claim SELECT origin, 1000000, id, kind, \"time\", height, sealed, about, subject, body, effective
		FROM medchain.claim WHERE $claim", qr/claim 1000000: the ledger knows nothing/],
	'no claims'              => ['DELETE FROM medchain.claim', qr/claim [0-9]+: row is missing/],
	'anchors edited'         => ["UPDATE medchain.claim SET effective = false, reason = 'x' WHERE kind = 'anchors'", qr/column effective is false, by the ledger true/],
	'anchors removed'        => ["DELETE FROM medchain.claim WHERE kind = 'anchors'", qr/claim [0-9]+: row is missing/],
	'anchors of one kind'    => ["UPDATE medchain.claim SET kind = 'note' WHERE kind = 'anchors'", qr/claim [0-9]+: row is missing/],
	'a certificate edited'   => ["UPDATE medchain.member_certificate SET valid = 'empty' WHERE member = 'en' AND from_seq > 1", qr/member_certificate [^:]+: column valid is "empty"/],
	'a member edited'        => ["UPDATE medchain.member SET kind = 'end_node' WHERE name = 'ha'", qr/member ha: column kind is "end_node"/],
	'a contract removed'     => ["DELETE FROM medchain.contract WHERE member = 'ha'", qr/contract [0-9a-f-]+: row is missing/],
	'facts edited'           => ["UPDATE medchain.fact SET answer = 'x'", qr/fact [0-9a-f]+: the answer is "x"/],
);

foreach my $what (sort keys %tamper)
{
	my ($statement, $expected) = @{ $tamper{$what} };
	my %found = map { $_ => faults($_, $statement) } 0, 2;

	like($found{0}, $expected, "$what: found");
	is($found{2}, $found{0}, "$what: found by workers, too");
}

# who looks at one protocol tells of nothing else
is(scalar(split /\n/, faults(2, $tamper{'a protocol edited'}[0])), 1, 'one fault for one row');

# in transactions that must not write, and on a standby, which has parts and workers as well
is($alliance->sql('dc', "SET medchain.verify_workers = $_; BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY DEFERRABLE; SELECT count(*) FROM medchain_internal.state_faults(); COMMIT"),
	'0', "read-only, $_ workers") foreach 0, 2;
my $primary = $alliance->cluster('dc');
my $standby = PostgreSQL::Test::Cluster->new('standby');

$primary->backup('copy');
$standby->init_from_backup($primary, 'copy', has_streaming => 1);
$standby->start;
my $on_standby = sub
{
	my ($workers) = @_;
	$primary->wait_for_catchup($standby);
	return $standby->safe_psql('postgres', "SET medchain.verify_workers = $workers; SELECT detail FROM medchain_internal.state_faults()");
};
is($on_standby->($_), '', "nothing to be found on a standby, $_ workers") foreach 0, 2;
my $as_stored = q{SET session_replication_role = replica; UPDATE medchain.protocol SET protocol_text = '%s' WHERE id = '%s'};
my $text = $alliance->sql('dc', "SELECT protocol_text FROM medchain.protocol WHERE id = '$some[6]'");
$alliance->sql('dc', sprintf $as_stored, 'x', $some[6]);
like($on_standby->($_), qr/^protocol $some[6]: column protocol_text is "x", by the ledger "$text"$/, "found on a standby, $_ workers") foreach 0, 2;
$alliance->sql('dc', sprintf $as_stored, $text, $some[6]);
$standby->stop;

# what this session has taken from the system, at most, since it began to look; what compiles
# statements, and takes 50 MiB for it, is left out
sub growth
{
	my ($before, $found, $after) = split /\n/, $alliance->sql('dc', q{SET medchain.verify_workers = 0; SET jit = off;
		SELECT substring(pg_read_file('/proc/self/status') FROM 'VmPeak:\s+([0-9]+)');
		SELECT count(*) FROM medchain_internal.state_faults();
		SELECT substring(pg_read_file('/proc/self/status') FROM 'VmPeak:\s+([0-9]+)')});
	return $after - $before;
}
my $few = growth();
issue(4500);
my $many = growth();
note("KiB for $count protocols: $many, for a quarter of them: $few");
cmp_ok($many, '<', 1.25 * $few, 'memory does not grow with the number of protocols');

# what an entry costs does not depend on how much others say about its examinee: what is long is read when it is needed
{
	my $long  = q{(SELECT string_agg(encode(sha256(i::text::bytea), 'hex'), ' ') FROM generate_series(1, 20000) i)};
	my $grant = q{'[{"grantee": "ha", "operations": ["query"]}]'};
	my $much  = $alliance->sql('en', "SELECT medchain.issue_protocol('long', $long, $grant)");
	$alliance->sql('en', "SELECT medchain.issue_protocol('long', 'short', $grant)");
	my $last   = q{(SELECT size - 1 FROM medchain.chain WHERE origin = 'en')};
	my $blocks = q{SELECT 'blocks', pg_stat_get_xact_blocks_fetched(reltoastrelid) FROM pg_class WHERE oid = 'medchain.claim'::regclass};
	my @read   = $alliance->sql('en', "BEGIN; SELECT medchain_internal.fold_forget('en', $last); $blocks;
		SELECT medchain_internal.fold_entries('en', $last, 9223372036854775806); $blocks; COMMIT") =~ /^blocks\|([0-9]+)$/mg;
	is($read[1], $read[0], 'a long protocol is not read for a short one about the same examinee');

	# all that is said about it afterwards takes it as it is
	my $later = $alliance->sql('en', "SELECT medchain.amend_protocol('$much', 'long', $long || ' amended', $grant)");
	$alliance->wait_for_equal_heads;
	$alliance->sql('ha', "SELECT medchain.log_diagnosis('$much', to_json($long))");
	$alliance->wait_for_equal_heads;
	is($alliance->sql('dc', "SELECT effective FROM medchain.claim WHERE kind = 'note' AND about = '$much'"), 't', 'whom it grants something writes into its log');
	$alliance->sql('dc', "SELECT medchain.revoke_protocol('$much', 'too long')");
	$alliance->wait_for_equal_heads;
	is($alliance->sql('ha', "SELECT length(protocol_text) > 1000000 AND revoked IS NOT NULL FROM medchain.protocol WHERE id = '$much'"), 't', 'its terms are the newest');
	$alliance->check_state;
}

$alliance->verify_ok;
$alliance->check_logs;
done_testing();
