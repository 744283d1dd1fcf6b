# Who saw what, under which protocol, provably; and whoever lets somebody in without one is seen by all others.
use strict;
use warnings;

use Medchain::Alliance;
use PostgreSQL::Test::Utils;
use Test::More;

my $alliance = Medchain::Alliance->new(dc => 'data_center', en => 'end_node', ha => 'chain_node', hb => 'chain_node');
my @nodes = qw(dc en ha hb);
$alliance->establish;

$alliance->sql('dc', q{
	CREATE TABLE record (id int PRIMARY KEY, patient_id text NOT NULL, finding text);
	INSERT INTO record SELECT i, 'P' || i, 'open' FROM generate_series(1, 20) i;
	SELECT medchain.protect('record', 'patient_id');
	CREATE ROLE app_a LOGIN; CREATE ROLE app_b LOGIN;
	GRANT SELECT, UPDATE ON record TO app_a, app_b;
	SELECT medchain.bind_role('app_a', 'ha'), medchain.bind_role('app_b', 'hb')});
sub as_role { my ($role, $sql) = @_; return $alliance->sql('dc', $sql, extra_params => [ '-U', $role ]); }
sub issue { my ($patient, $grants) = @_; return $alliance->sql('en', "SELECT medchain.issue_protocol('$patient', 'text', '$grants')"); }

# What the view says at each node that was not said before, as reason and number.
my %told = map { $_ => {} } @nodes;
sub told
{
	my ($name, $patients) = @_;
	my %new;
	$alliance->sql('dc', 'SELECT medchain.seal()');
	$alliance->wait_for_equal_heads;
	foreach my $line (split /\n/, $alliance->sql($name, q{SELECT entry || coalesce(encode(subject, 'hex'), ''), member || ' ' || operation || ': ' || reason FROM medchain.unauthorised}))
	{
		my ($key, $text) = split /\|/, $line;
		$new{$text}++ unless $told{$name}{$key}++;
	}
	return join("\n", map { "$new{$_} $_" } sort keys %new);
}

my %listener = map { $_ => $alliance->cluster($_)->background_psql($alliance->dbname($_), on_error_stop => 0) } qw(dc en);
$_->query_safe('LISTEN medchain') foreach values %listener;

# What that session hears until it is this.
sub hears
{
	my ($name, $pattern) = @_;
	my $heard = '';
	for (1 .. 1200)
	{
		$heard .= $listener{$name}->query('SELECT pg_sleep(0.05)');
		last if $heard =~ $pattern;
	}
	return $heard;
}

# ----- an honest holder of records

my %protocol;
$protocol{P1} = issue('P1', '[{"grantee": "ha", "operations": ["query", "update"]}]');
$protocol{P2} = issue('P2', '[{"grantee": "ha", "operations": ["query"], "records": ["public.record"]}]');
$protocol{P3} = issue('P3', '[{"grantee": "hb", "operations": ["query"], "purpose": "TREAT"}]');
$protocol{"P$_"} = issue("P$_", '[{"grantee": "ha", "operations": ["query"]}]') foreach 10 .. 14;
$alliance->wait_for_equal_heads;
my $seen = q{SELECT coalesce(string_agg(patient_id, ' ' ORDER BY id), 'nothing') FROM record};
is(as_role('app_a', "$seen WHERE patient_id = 'P1'"), 'P1', 'one examinee');
like(hears('en', qr/"access"/), qr/\{"event":"access","entry":"[-0-9a-f]+","holder":"dc","member":"ha","outcome":"read"\}/, 'the end node is told of it');
is(as_role('app_a', "SET medchain.end_user = 'dr. who'; $seen"), 'P1 P2 P10 P11 P12 P13 P14', 'several');
is(as_role('app_a', q{UPDATE record SET finding = 'seen' RETURNING id}), '1', 'a change');
is(as_role('app_b', $seen), 'nothing', 'not without the purpose');
is(as_role('app_b', "SET medchain.purpose = 'TREAT'; $seen"), 'P3', 'with it');
$alliance->cluster('dc')->psql($alliance->dbname('dc'), q{UPDATE record SET patient_id = 'P20' WHERE id = 1}, extra_params => [ '-U', 'app_a' ]);
like(hears('dc', qr/"refused"/), qr/\{"event":"refused","entry":"[-0-9a-f]+","member":"ha"\}/, 'applications are told what was refused');
$_->quit foreach values %listener;
is($alliance->sql('dc', 'SELECT count(*) FROM record'), '20', 'the holder itself');
is(told($_), '', "$_: all of it was covered") foreach @nodes;

# a cursor that is open while the protocol is revoked, and terms that change: what is read before, and behind it
$alliance->sql('en', "SELECT medchain.amend_protocol('$protocol{P2}', 'P2', 'other text', '[{\"grantee\": \"ha\", \"operations\": [\"query\"]}]')");
$alliance->wait_for_equal_heads;
is(as_role('app_a', "$seen WHERE patient_id = 'P2'"), 'P2', 'by other terms');
$alliance->sql('en', "SELECT medchain.revoke_protocol('$protocol{P10}', 'over')");
$alliance->wait_for_equal_heads;
is(as_role('app_a', $seen), 'P1 P2 P11 P12 P13 P14', 'what is revoked is not seen');
is(told($_), '', "$_: nothing of that was not covered") foreach @nodes;
is($alliance->sql('ha', q{SELECT count(DISTINCT e.payload::jsonb #> '{body,version}') FROM medchain.entry e
	WHERE e.origin = 'dc' AND e.kind = 'access' AND e.payload::jsonb #>> '{body,protocol}' = '} . $protocol{P2} . q{'}), '1', 'which terms, is said');

# a table keeps the name that protocols know it by, whatever it is called here
issue('P15', '[{"grantee": "ha", "operations": ["query"], "records": ["public.record"]}]');
$alliance->wait_for_equal_heads;
$alliance->sql('dc', 'ALTER TABLE record RENAME TO renamed');
is(as_role('app_a', q{SELECT patient_id FROM renamed WHERE patient_id = 'P15'}), 'P15', 'a grant of its records');
$alliance->sql('dc', 'ALTER TABLE renamed RENAME TO record');
is(told('en'), '', 'covers them');

# ----- one that lies

# and sees to it that nobody remembers what was there before
$alliance->sql('dc', 'ALTER SYSTEM SET medchain.grant_cache_size = 0');
$alliance->sql('dc', 'SELECT pg_reload_conf()');
$alliance->wait_for('dc', q{SELECT setting = '0' FROM pg_settings WHERE name = 'medchain.grant_cache_size'});
my $lie = sub { my ($lie, $role, $sql) = @_;
	$alliance->sql('dc', "SET session_replication_role = replica; $lie");
	# longer than the moment that it takes to know, for certain
	$alliance->sql('dc', 'SELECT pg_sleep(1.1)');
	return as_role($role, $sql) };
$listener{ha} = $alliance->cluster('ha')->background_psql($alliance->dbname('ha'), on_error_stop => 0);
$listener{ha}->query_safe('LISTEN medchain');
is($lie->("UPDATE medchain.protocol_grant SET grantee = 'hb' WHERE protocol = '$protocol{P11}'", 'app_b', $seen), 'P11', 'a row of state says something else');
is(told($_), '1 hb select: the protocol granted the member nothing of that', "$_: it is seen") foreach @nodes;
my $heard = hears('ha', qr/"unauthorised"/);
like($heard, qr/\{"event":"unauthorised","entry":"[-0-9a-f]+","holder":"dc","member":"hb","reason":"the protocol granted the member nothing of that"\}/, 'ha: applications are told');
is(scalar(() = $heard =~ /"unauthorised"/g), 1, 'of nothing else');
$listener{ha}->quit;
$alliance->sql('en', "SELECT medchain.revoke_protocol('$protocol{P1}', 'over')");
$alliance->wait_for_equal_heads;
is($lie->("UPDATE medchain.protocol SET revoked = NULL WHERE id = '$protocol{P1}'", 'app_a', "$seen WHERE patient_id = 'P1'"), 'P1', 'a revocation is not wanted');
is(told($_), '1 ha select: the protocol was revoked', "$_: it is seen") foreach @nodes;
is($lie->('ALTER ROLE app_b BYPASSRLS', 'app_b', "$seen WHERE id < 3"), 'P1 P2', 'row security is passed by');
is(told($_), q{1 hb select: row security did not apply to another member's session}, "$_: it is seen") foreach @nodes;
$lie->('ALTER ROLE app_b NOBYPASSRLS', 'app_a', 'SELECT 1');
is($lie->("UPDATE medchain.protocol_grant SET grantee = 'hb' WHERE protocol = '$protocol{P12}'", 'app_b', $seen), 'P11 P12', 'several at a time');
is(told('dc'), '2 hb select: the protocol granted the member nothing of that', 'dc: who has the set sees each');
is(told('ha'), '', 'ha: who has not, cannot');

# ----- the accounting

my $accounts = q{SELECT holder, member, operation, basis, protocol IS NOT NULL, number FROM medchain.disclosures(%s) ORDER BY time, operation};
is($alliance->sql('en', sprintf($accounts, q{'P3'})), 'dc|hb|select|protocol|t|1', 'en: whose protocol it is has the line');
is($alliance->sql('dc', sprintf($accounts, q{'P13', summarised => true})), join("\n", 'dc|ha|select|protocol|t|1', 'dc|dc|select|owner|f|1', 'dc|ha|select|protocol|t|1'), 'dc: with sets, like ones together');
is($alliance->sql('dc', q{SELECT end_user, recipient LIKE '%ha%', role FROM medchain.disclosures('P13') WHERE end_user <> ''}), 'dr. who|t|app_a', 'who it was');
$alliance->sql('dc', 'GRANT medchain_member TO app_a, app_b');
is(as_role('app_b', sprintf($accounts, q{'P13'})), '', 'a member hears nothing of who it has no part in');
is(as_role('app_b', q{SELECT count(*) FROM medchain.diagnosis_log('P13')}), '0', 'nor in the log');
is(as_role('app_b', q{SELECT count(*) FROM medchain.data_index('P13')}), '0', 'nor the index');
isnt(as_role('app_a', sprintf($accounts, q{'P13'})), '', 'of others it does');
isnt(as_role('app_a', q{SELECT count(*) FROM medchain.diagnosis_log('P10')}), '0', 'also when its part is over');

# ----- proofs

my $dir = PostgreSQL::Test::Utils::tempdir();
sub offline
{
	my ($text, @options) = @_;
	my ($out, $err) = ('', '');
	open(my $file, '>', "$dir/input") or die $!;
	print $file $text;
	close($file);
	IPC::Run::run([ 'src/bin/medchain-verify', '-q', @options, "$dir/input" ], '<', \'', '>', \$out, '2>', \$err);
	return ($? >> 8) . " $out$err";
}
my @given = ('-a', $alliance->pki('ca.crt'));
my $set   = $alliance->sql('dc', q{SELECT entry FROM medchain.disclosures('P13') WHERE end_user <> ''});
my $proof = $alliance->sql('dc', "SELECT medchain.disclosure_proof('$set', 'P13')") . "\n";
like(offline($proof, @given, '--json'), qr/^0 .*"disclosure": \{[^}]*"end_user": "dr\. who"[^}]*"protocol": "$protocol{P13}"/s, 'one examinee among several is proven, with the protocol');
like(offline($proof =~ s/("leaf": "[0-9a-f]{64}[0-9a-f]{31})./$1x/r, @given), qr/^1 .*no leaf/s, 'a leaf that is none is not');
like(offline($proof =~ s/("index": )(\d+)(, "hashes": \[[^\]]*\], "subject)/$1 . ($2 + 1) . $3/er, @given), qr/^1 .*not about this examinee/s, 'nor another place');
like(offline($proof =~ s/("subject": "[0-9a-f]{63})./$1f/r =~ s/f"/e"/r, @given), qr/^[12] /, 'nor another examinee');
is($alliance->sql('dc', "SELECT medchain.disclosure_proof('$set', 'P20') IS NULL"), 't', 'there is none of others');
my $single = $alliance->sql('en', q{SELECT entry FROM medchain.disclosures('P3')});
like(offline($alliance->sql('en', "SELECT medchain.disclosure_proof('$single', 'P3')") . "\n", @given), qr/^0 /, 'elsewhere too: of an access to the records of one');

like(offline($alliance->sql('ha', 'SELECT medchain.export()') . "\n", @given, '--authorised', '--json'), qr/^1 .*"sets_not_here": [1-9].*"uncovered": \[\{/s, 'whoever has the ledger sees what was not covered');
my $with_sets = $alliance->sql('dc', 'SELECT medchain.export(sets => true)') . "\n";
my ($here, $offline) = ($alliance->sql('dc', 'SELECT count(*) FROM medchain.unauthorised'), offline($with_sets, @given, '--authorised', '--json'));
is(scalar(() = $offline =~ /"reason": /g), $here, 'with the sets it is what the holder\'s own database says');
like($offline, qr/"sets_not_here": 0/, 'and all is judged');
like(offline($with_sets, @given), qr/^0 /, 'the export is verified, with its sets');
like(offline($with_sets =~ s/("leaves": "[0-9a-f]{10})(.)/$1 . ($2 eq '0' ? '1' : '0')/er, @given), qr/^1 .*is not what the entry says/s, 'a set that was changed is found');
like(offline($with_sets =~ s/[^\n]*"type": "set"[^\n]*\n//r, @given), qr/^0 /, 'one may be missing');

# the end node is given the leaves of its own examinees, and nobody else's
my $own = $alliance->sql('dc', q{SELECT medchain.export(examinees_of => 'en')}) . "\n";
my $nobodys = $alliance->sql('dc', q{SELECT medchain.export(examinees_of => 'hb')}) . "\n";
is($nobodys, $alliance->sql('dc', 'SELECT medchain.export()') . "\n", 'who has no examinees is given no leaf');
my %leaf = map { $_ => 1 } $own =~ /"leaf": "([0-9a-f]{64})/g;
cmp_ok(scalar(keys %leaf), '>', 1, 'the end node: leaves of several examinees');
is($alliance->sql('en', sprintf(q{SELECT count(*) FROM unnest('{%s}'::text[]) x WHERE NOT EXISTS (SELECT FROM medchain.protocol p WHERE p.issuer = 'en' AND encode(p.subject, 'hex') = x)}, join(',', keys %leaf))),
	'0', 'all its own');
cmp_ok($alliance->sql('dc', q{SELECT count(DISTINCT r.subject) FROM medchain.read_set s, medchain.read_set_subjects(s.entry) r}), '>', scalar(keys %leaf), 'of more that were read');
my $judged = offline($own, @given, '--authorised', '--json');
my $mine   = $alliance->sql('dc', q{SELECT count(*) FROM medchain.unauthorised u WHERE u.subject IS NULL OR EXISTS (SELECT FROM medchain.protocol p WHERE p.subject = u.subject AND p.issuer = 'en')});
is(scalar(() = $judged =~ /"reason": /g), $mine, 'who learns by them what concerns them and was not covered');
like($judged, qr/"sets_not_here": [1-9]/, 'and that there are others');
like(offline($own =~ s/("leaf": "[0-9a-f]{10})(.)/$1 . ($2 eq '0' ? '1' : '0')/er, @given), qr/^1 .*is not in the set/s, 'a leaf that was changed is found');
like(offline($own =~ s/("type": "set_leaf", "index": )(\d+)/$1 . ($2 + 1)/er, @given), qr/^1 .*is not in the set/s, 'or moved');
like(offline($own =~ s/([^\n]*"type": "set_leaf"[^\n]*\n)/$1$1/r, @given), qr/^1 .*another leaf was expected/s, 'or told twice');
my ($first_leaf) = $own =~ /([^\n]*"type": "set_leaf"[^\n]*\n)/;
like(offline($with_sets =~ s/([^\n]*"type": "set"[^\n]*\n)/$1$first_leaf/r, @given), qr/^1 .*another/s, 'a set is there whole or in part');
like(offline($own =~ s/[^\n]*"type": "set_leaf"[^\n]*\n//r, @given), qr/^0 /, 'one may be missing');
$alliance->fails_like('dc', q{SELECT count(*) FROM medchain.export(examinees_of => 'nobody')}, qr/there is no member "nobody" here/, 'of nobody: an error');

$alliance->verify_ok(qw(en ha hb));
$alliance->check_logs;
done_testing();
