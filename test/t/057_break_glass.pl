# Emergencies over real nodes: who breaks the glass on its own chain reads at every holder of records, who does it at a holder, there;
# applications hear of it; and what others say in its name, or without the right to, opens nothing.
use strict;
use warnings;

use Medchain::Alliance;
use PostgreSQL::Test::Utils;
use Test::More;

my $alliance = Medchain::Alliance->new(dc => 'data_center', en => 'end_node', ha => 'chain_node', hb => 'chain_node');
my @nodes = qw(dc en ha hb);
my $cluster = Medchain::Alliance->new_cluster('both',
	conf => "max_worker_processes = 40\nmax_logical_replication_workers = 20\nmax_wal_senders = 30\nmax_replication_slots = 30\njit = off\n");
$cluster->start;
$alliance->start($_, cluster => $cluster, dbname => $_) foreach qw(en hb);
$alliance->establish;

foreach my $name (@nodes)
{
	$alliance->sql($name, q{
		CREATE TABLE record (id int PRIMARY KEY, patient_id text NOT NULL, finding text);
		INSERT INTO record SELECT i, 'P' || i, 'open' FROM generate_series(1, 6) i;
		CREATE INDEX record_patient ON record (patient_id);
		SELECT medchain.protect('record', 'patient_id')});
}
foreach my $name (qw(dc en))
{
	$alliance->sql($name, q{
		CREATE ROLE app_ha LOGIN; CREATE ROLE app_hb LOGIN;
		GRANT SELECT, UPDATE ON record TO app_ha, app_hb;
		SELECT medchain.bind_role('app_ha', 'ha'), medchain.bind_role('app_hb', 'hb')});
}
$alliance->sql($_, "CREATE ROLE doctor LOGIN; SELECT medchain.bind_role('doctor', '$_')") foreach qw(ha hb);

sub as_role { my ($name, $role, $sql) = @_; return $alliance->sql($name, $sql, extra_params => [ '-U', $role ]); }

sub refused
{
	my ($name, $role, $sql, $pattern, $title) = @_;
	my ($code, $out, $err) = $alliance->try($name, $sql, extra_params => [ '-U', $role ]);

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	like($code == 0 ? "no error: $out" : $err, $pattern, $title);
	return;
}

my $seen = q{SELECT coalesce(string_agg(patient_id, ' ' ORDER BY id), 'nothing') FROM record};

# ----- off by default, and for who may

refused('ha', 'doctor', q{SELECT medchain.break_glass('P1', 'unconscious')}, qr/does not allow breaking the glass/, 'not without the capability');
my $offer = $alliance->sql('dc', q{SELECT medchain.amend_contract('ha', '{query, update, emergency}')});
$alliance->wait_for('ha', "SELECT EXISTS (SELECT FROM medchain.contract WHERE id = '$offer')");
$alliance->sql('ha', 'SELECT medchain.accept_contract()');
$alliance->wait_for_equal_heads;
refused('ha', 'doctor', q{SELECT medchain.break_glass('P1', 'unconscious')}, qr/nobody breaks the glass in this alliance/, 'nor without a policy');
$alliance->sql('dc', q{SELECT medchain.set_policy('break_glass_max', '1 hour')});
$alliance->wait_for_equal_heads;
$alliance->fails_like('ha', q{SELECT medchain.break_glass('P1', 'unconscious')}, qr/for sessions that act for a member/, 'nor as a superuser who is nobody');
refused('dc', 'app_hb', q{SELECT medchain.break_glass('P1', 'unconscious')}, qr/the contract of "hb" does not allow/, 'nor for another member');

# ----- on the member's own chain: everywhere

my %listener = map { $_ => $alliance->cluster($_)->background_psql($alliance->dbname($_), on_error_stop => 0) } @nodes;
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

my $glass = as_role('ha', 'doctor', q{SELECT medchain.break_glass('P1', 'arrived unconscious', '20 minutes')});
$alliance->wait_for_equal_heads;
is(as_role($_, 'app_ha', $seen), 'P1', "$_ shows the records, by that alone") foreach qw(dc en);
is(as_role('dc', 'app_ha', q{UPDATE record SET finding = 'x' RETURNING id}), '', 'to look, and not to touch');
is(as_role('dc', 'app_hb', $seen), 'nothing', 'and to nobody else');
is($alliance->sql($_, q{SELECT member, role, holder, reason, until - "from" BETWEEN '19 minutes' AND '20 minutes', justified FROM medchain.break_glasses}),
	'ha|doctor||arrived unconscious|t|', "$_: view break_glasses")
  foreach @nodes;
like(hears($_, qr/break_glass/), qr/"medchain" with payload "\{"event":"break_glass","entry":"$glass","member":"ha"\}"/, "$_: who listens hears of it")
  foreach @nodes;

# ----- at a holder of records: there

my $there = as_role('en', 'app_ha', q{SELECT medchain.break_glass('P2', 'asked for by the station')});
is(as_role('en', 'app_ha', $seen), 'P1 P2', 'at once');
$alliance->wait_for_equal_heads;
is(as_role('dc', 'app_ha', $seen), 'P1', 'and not elsewhere');
is($alliance->sql('dc', q{SELECT member, role, holder FROM medchain.unjustified ORDER BY "from"}), "ha|doctor|\nha|app_ha|en", 'all know of both');
like(hears('dc', qr/break_glass/), qr/"entry":"$there","member":"ha"/, 'and hear of it');

# A session that has sent a NOTIFY keeps its lock until its entries are sealed: nobody waits for that.
my ($code, $out, $err) = $alliance->try('en', q{SET medchain.seal_timeout = '20 s'; BEGIN; NOTIFY others;
	SELECT medchain.break_glass('P2', 'and once more') IS NOT NULL; COMMIT;}, extra_params => [ '-U', 'app_ha' ]);
is("$code $out $err", '0 t ', 'and NOTIFY of an application waits for none of it');
like(hears('en', qr/break_glass/), qr/"event":"break_glass"/, 'nor is it lost');

# ----- justified, by whom it concerns

refused('dc', 'app_ha', "SELECT medchain.justify('$glass', 'why')", qr/there is no break-glass .* of "ha"/, 'not at a node that has nothing to do with it');
refused('ha', 'doctor', "SELECT medchain.justify('$glass', ' ')", qr/must not be empty or blank/, 'with words');
as_role('ha', 'doctor', "SELECT medchain.justify('$glass', 'He could not be asked.')");
as_role('ha', 'doctor', "SELECT medchain.justify('$there', 'The station had asked.')");
$alliance->wait_for_equal_heads;
is($alliance->sql($_, q{SELECT count(*) FROM medchain.unjustified}), '1', "$_: what is not justified is seen") foreach @nodes;
my $again = $alliance->sql('en', q{SELECT break_glass FROM medchain.unjustified});
as_role('en', 'app_ha', "SELECT medchain.justify('$again', 'The same.')");
$alliance->wait_for_equal_heads;
is($alliance->sql($_, q{SELECT string_agg(justification, ' ' ORDER BY "from") FROM medchain.break_glasses}),
	'He could not be asked. The station had asked. The same.', "$_: and why")
  foreach @nodes;
refused('ha', 'doctor', "SELECT medchain.justify('$glass', 'again')", qr/justified already/, 'once');

# ----- what opens nothing, by entries as a program of their own would write them

my $until = q{medchain_internal.ledger_time(clock_timestamp() + interval '30 minutes')};
my $far = q{medchain_internal.ledger_time(clock_timestamp() + interval '10 years')};

sub forge
{
	my ($name, $kind, $body, $patient) = @_;
	return $alliance->sql($name, "SELECT medchain_internal.append_raw('$kind', ($body)::text, medchain.pseudonym('$patient'), true)");
}

my $point = q{medchain_internal.chain_point('ha')};
forge('hb', 'break_glass', "jsonb_build_object('member', 'hb', 'reason', 'x', 'until', $until)", 'P3');
forge('hb', 'break_glass', "jsonb_build_object('member', 'ha', 'reason', 'x', 'until', $until)", 'P3');
forge('en', 'break_glass', "jsonb_build_object('member', 'hb', 'reason', 'x', 'until', $until, 'last', medchain_internal.chain_point('hb'))", 'P3');
forge('ha', 'break_glass', "jsonb_build_object('member', 'ha', 'reason', 'x', 'until', 'tomorrow')", 'P3');
forge('hb', 'justification', "jsonb_build_object('member', 'ha', 'break_glass', '$glass', 'chain', 'ha', 'seq', (SELECT seq FROM medchain.entry WHERE id = '$glass'), 'justification', 'x')", 'P1');
# at hb alone, whoever that helps
forge('hb', 'break_glass', "jsonb_build_object('member', 'ha', 'reason', 'x', 'until', $until, 'last', $point)", 'P3');
# as long as the policy allows
forge('ha', 'break_glass', "jsonb_build_object('member', 'ha', 'reason', 'for ever', 'until', $far)", 'P4');
$alliance->wait_for_equal_heads;
my $rejected = q{SELECT string_agg(origin || ': ' || reason, E'\n' ORDER BY origin COLLATE "C", seq) FROM medchain.rejections};
my $expected = <<'END';
en: the member may not break the glass there
ha: it has no end, or one before its beginning
hb: the author may not break the glass
hb: it names no block of the member's chain
hb: only the member itself, or the holder of the records for it, justifies
END
is($alliance->sql($_, $rejected) . "\n", $expected, "$_: what has no effect") foreach @nodes;
is(as_role($_, 'app_ha', $seen), $_ eq 'dc' ? 'P1 P4' : 'P1 P2 P4', "$_ shows what it showed, and P4") foreach qw(dc en);
is(as_role($_, 'app_hb', $seen), 'nothing', "$_ shows hb nothing") foreach qw(dc en);
is($alliance->sql('dc', q{SELECT until - "from" FROM medchain.break_glasses WHERE reason = 'for ever'}), '01:00:00', 'for an hour');

# ----- the end of it

my $protocol = $alliance->sql('en', q{SELECT medchain.issue_protocol('P4', 'text', '[{"grantee": "ha", "operations": ["query", "update"]}]')});
$alliance->sql('en', "SELECT medchain.revoke_protocol('$protocol', 'over')");
$alliance->wait_for_equal_heads;
is(as_role('dc', 'app_ha', $seen), 'P1 P4', 'a revocation of protocols is none of it');
$alliance->sql('dc', q{SELECT medchain.suspend('ha', 'to be looked into')});
$alliance->wait_for_equal_heads;
is(as_role($_, 'app_ha', $seen), 'nothing', "$_: a suspension ends it") foreach qw(dc en);
refused('dc', 'app_ha', q{SELECT medchain.break_glass('P5', 'x')}, qr/for members who take part/, 'and who is suspended breaks none');
$alliance->sql('dc', q{SELECT medchain.reinstate('ha')});
$alliance->wait_for_equal_heads;
is(as_role('dc', 'app_ha', $seen), 'P1 P4', 'as long as it lasts');
$alliance->sql('dc', q{SELECT medchain.set_policy('break_glass_max', '0')});
$alliance->wait_for_equal_heads;
refused('ha', 'doctor', q{SELECT medchain.break_glass('P5', 'x')}, qr/nobody breaks the glass/, 'the policy is taken back');
is(as_role('dc', 'app_ha', $seen), 'P1 P4', 'and what was said before it stays');

$_->quit foreach values %listener;
$alliance->wait_for_equal_heads;
$alliance->equal_ok;
$alliance->verify_ok;
$alliance->check_state;
$alliance->check_logs;
done_testing();
