# Whatever ends whenever, under load: kill -9 of any of four instances, again and again; nothing is lost, nothing is there twice,
# all end with the same heads and the same state.  MEDCHAIN_KILLS says how many (6; 200 and more for the long run).
use strict;
use warnings;

use Medchain::Alliance;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $kills = $ENV{MEDCHAIN_KILLS} || 6;
my $seed = $ENV{MEDCHAIN_SEED} || time;
my @names = qw(dc en ha hb);
my $alliance = Medchain::Alliance->new(dc => 'data_center', en => 'end_node', ha => 'chain_node', hb => 'chain_node');

srand($seed);
note("MEDCHAIN_SEED=$seed");
# a crash must not take back what was told: the other tests do without
foreach my $name (@names)
{
	$alliance->start($name, conf => "fsync = on\nmedchain.seal_interval = 50ms\nrestart_after_crash = off\nmax_slot_wal_keep_size = 1GB\n");
}
$alliance->establish(@names);
$alliance->sql('dc', q{
	CREATE TABLE diagnosis (case_no bigserial PRIMARY KEY, patient_id text NOT NULL, finding text);
	SELECT medchain.ledger_table('diagnosis')});
# what a client knows to be committed: written in the same transaction, in a table of its own
$alliance->sql($_, 'CREATE TABLE committed (id uuid PRIMARY KEY)') foreach @names;

my $dir = PostgreSQL::Test::Utils::tempdir();
my $append = q{WITH a AS (SELECT medchain.append('visit', json_build_object('n', random())) AS id) INSERT INTO committed SELECT id FROM a;};
my $protocol = q{\set p random(1, 20)
WITH a AS (SELECT medchain.issue_protocol('P' || :p, 'text', '[{"grantee": "ha", "operations": ["query"]}]') AS id) INSERT INTO committed SELECT id FROM a;};
append_to_file("$dir/append.sql", "$append\n\\sleep 5 ms\n");
append_to_file("$dir/protocol.sql", "$protocol\n\\sleep 200 ms\n");
append_to_file("$dir/rows.sql", "INSERT INTO diagnosis (patient_id, finding) VALUES ('P1', 'benign');\n\\sleep 20 ms\n");

# pgbench in the background, until its server is killed
my %load;
sub start_load
{
	my ($name) = @_;
	my @scripts = ('-f', "$dir/append.sql", $name eq 'en' ? ('-f', "$dir/protocol.sql") : $name eq 'dc' ? ('-f', "$dir/rows.sql") : ());
	my ($in, $out, $err) = ('', '', '');

	$load{$name} = IPC::Run::start([ 'pgbench', '-n', '-c', 2, '-T', 36000, @scripts, $alliance->cluster($name)->connstr('postgres') ], '<', \$in, '>', \$out, '2>', \$err);
	return;
}

sub stop_load
{
	my ($name) = @_;
	$load{$name}->kill_kill(grace => 1);
	eval { $load{$name}->finish };
	return;
}

# The postmaster and all of its processes, as when the machine stops.
sub kill_instance
{
	my ($name) = @_;
	my $cluster = $alliance->cluster($name);
	my $pid = (split /\n/, slurp_file($cluster->data_dir . '/postmaster.pid'))[0];
	my @children;

	# it makes no others while it stands still; one that was left would wait for ever for what a dead one holds
	kill 'STOP', $pid;
	foreach my $i (1 .. 1000)
	{
		last if slurp_file("/proc/$pid/stat") =~ /\) T /;
		select(undef, undef, undef, 0.01);
	}
	@children = map { /^\s*(\d+)\s+(\d+)/ && $2 == $pid ? $1 : () } `ps -eo pid,ppid`;
	kill 'KILL', $pid, @children;
	# its shared memory is in use as long as one of them is there
	foreach my $i (1 .. 1000)
	{
		last unless grep { -d "/proc/$_" && slurp_file("/proc/$_/stat") !~ /\) Z / } $pid, @children;
		select(undef, undef, undef, 0.01);
	}
	$cluster->{_pid} = undef;
	# nobody may be there who takes note of its end, and then it still counts as running
	unlink $cluster->data_dir . '/postmaster.pid', sprintf('%s/.s.PGSQL.%d.lock', $cluster->host, $cluster->port);
	return;
}

sub progress
{
	my ($name) = @_;
	my $count = $alliance->sql($name, 'SELECT count(*) FROM committed');
	$alliance->wait_for($name, "SELECT count(*) > $count FROM committed");
	return;
}

start_load($_) foreach @names;
my $start = time;
foreach my $n (1 .. $kills)
{
	my $name = $names[ rand @names ];

	# in any phase: of its start, of what it has to take back, of its work
	select(undef, undef, undef, rand 1.5) if rand() < 0.8;
	kill_instance($name);
	stop_load($name);
	$alliance->cluster($name)->start;
	start_load($name);
	progress($names[ rand @names ]) if rand() < 0.3;
	diag(sprintf('%d kills, %d s', $n, time - $start)) if $n % 50 == 0;
}
progress($_) foreach @names;
stop_load($_) foreach @names;

# ----- what came of it

$alliance->wait_for($_, q{SELECT sealer = 'running' FROM medchain.stat}) foreach @names;
$alliance->wait_for_equal_heads(@names);
$alliance->equal_ok(@names);
my ($hash) = $alliance->sql('dc', 'SELECT medchain.state_hash()');
my $total = 0;
foreach my $name (@names)
{
	is($alliance->sql($name, q{SELECT string_agg(DISTINCT reason, ', ') FROM medchain.quarantine}), '', "$name has refused nothing");
	is($alliance->sql($name, qq{SELECT count(*) FROM committed c WHERE (SELECT count(*) FROM medchain.entry e WHERE e.origin = '$name' AND e.id = c.id) <> 1}),
		'0', "$name: what was committed is on the chain exactly once");
	is($alliance->sql($name, qq{SELECT count(*) FROM medchain.entry e WHERE e.origin = '$name' AND e.kind IN ('visit', 'protocol.issue') AND NOT EXISTS (SELECT FROM committed c WHERE c.id = e.id)}),
		'0', "$name: and nothing that was not");
	is($alliance->sql($name, 'SELECT medchain.state_hash()'), $hash, "$name: the state is the same");
	$total += $alliance->sql($name, 'SELECT count(*) FROM committed');
}
is($alliance->sql('dc', q{SELECT count(*) FROM medchain.verify_table('diagnosis')}), '0', 'rows and ledger agree');
$alliance->verify_ok(@names);
diag(sprintf('%d kills in %d s, %d entries', $kills, time - $start, $total));
$alliance->check_logs;
done_testing();
