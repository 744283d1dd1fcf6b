# Nobody's locks hold up a revocation: neither those of a login without any right, who takes all that he can get hold of, nor
# those that a peer has our apply worker hold; and where something does wait, it shows, with for whom.
use strict;
use warnings;

use Medchain::Alliance;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

my $alliance = Medchain::Alliance->new(dc => 'data_center', en => 'end_node', ha => 'chain_node');
my $grants = q{[{"grantee": "ha", "operations": ["query"]}]};

$alliance->start('dc', conf => 'max_worker_processes = 9');
$alliance->establish;
$alliance->sql('dc', q{
	CREATE TABLE diagnosis (case_no int PRIMARY KEY, patient_id text NOT NULL);
	INSERT INTO diagnosis SELECT i, 'P' || i FROM generate_series(1, 20) i;
	SELECT medchain.protect('diagnosis', 'patient_id');
	CREATE ROLE mallory LOGIN;
	CREATE ROLE app_ha LOGIN;
	GRANT SELECT ON diagnosis TO app_ha;
	SELECT medchain.bind_role('app_ha', 'ha')});

my @protocols = split(/\n/, $alliance->sql('en', "SELECT medchain.issue_protocol('P' || i, 'text', '$grants') FROM generate_series(1, 20) i"));
$alliance->wait_for_equal_heads;

# What the chain node's login sees at the data centre.
sub seen { return ($alliance->try('dc', 'SELECT count(*) FROM diagnosis', extra_params => [ '-U', 'app_ha' ]))[1]; }

is(seen(), '20', 'before, all is readable');

# A test: the next protocol is revoked at the end node, and at the data centre its row is gone in a moment.
sub revocation_ok
{
	my ($title) = @_;
	my $left = @protocols - 1;

	$alliance->sql('en', "SELECT medchain.revoke_protocol('" . pop(@protocols) . "', 'it is over')");
	my $start = time;
	my $seen;
	# whom the server turns away for want of locks asks again
	until (($seen = eval { seen() } // 'no answer') eq $left || time > $start + 60) { usleep(100_000) }
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is($seen, $left, "a revocation arrives while $title");
}

# A session of a login that keeps what it gets in an open transaction.
sub hold
{
	my ($node, $role, @sql) = @_;
	my $session = $alliance->cluster($node)->background_psql($alliance->dbname($node), on_error_stop => 0, extra_params => [ '-U', $role ]);

	$session->query_safe('BEGIN');
	$session->query_safe($_) foreach @sql;
	return $session;
}

sub release { my ($session) = @_; $session->query_safe('ROLLBACK'); $session->quit; }

# ----- a login without any right

my $session = hold('dc', 'mallory', map { "SELECT pg_advisory_lock(hashtextextended('medchain chain $_', 0))" } $alliance->members);
revocation_ok('a login holds the advisory locks of that name');
release($session);

# Statements lock their tables before it is asked whether he may run them.
my @relations = split(/\n/, $alliance->sql('dc', q{SELECT c.oid::regclass FROM pg_class c WHERE c.relnamespace = 'medchain'::regnamespace AND c.relkind IN ('r', 'v', 'S') ORDER BY 1}));
my @tables = split(/\n/, $alliance->sql('dc', q{
	SELECT c.oid::regclass || ' SET ' || (SELECT quote_ident(attname) FROM pg_attribute a WHERE a.attrelid = c.oid AND attnum > 0 AND attidentity = '' ORDER BY attnum LIMIT 1) || ' = NULL'
	FROM pg_class c WHERE c.relnamespace IN ('medchain'::regnamespace, 'pg_catalog'::regnamespace) AND c.relkind = 'r' ORDER BY 1}));
my $n = 0;
my @prepare = ((map { 'PREPARE p' . $n++ . " AS SELECT * FROM $_" } @relations), (map { 'PREPARE p' . $n++ . " AS UPDATE $_" } @tables),
	'CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE sql AS $$ SELECT 1 $$', 'ALTER FUNCTION pg_temp.f() DEPENDS ON EXTENSION medchain', 'LISTEN medchain', 'NOTIFY medchain',
	q{ALTER ROLE mallory IN DATABASE postgres SET work_mem = '1MB'});
$session = hold('dc', 'mallory', @prepare);
is($alliance->sql('dc', q{SELECT count(*) > 20 FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE a.usename = 'mallory' AND l.mode = 'RowExclusiveLock'}), 't',
	'statements that he prepares keep locks on tables of which he has no right');
revocation_ok('a login has statements prepared on all our tables');

# And others wait for stronger ones before that: then everybody waits behind them.
my @waiting;
foreach my $relation (qw(medchain.entry medchain.chain medchain.claim medchain.member medchain.held_block pg_catalog.pg_proc pg_catalog.pg_authid pg_catalog.pg_subscription))
{
	foreach my $statement ("CREATE RULE r AS ON INSERT TO $relation DO NOTHING", "CREATE TRIGGER t BEFORE INSERT ON $relation FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()",
		"CREATE TEMP TABLE t (x text REFERENCES $relation)", "ALTER TABLE mine ADD COLUMN y text REFERENCES $relation", "ALTER TABLE mine ADD FOREIGN KEY (x) REFERENCES $relation",
		"CREATE TABLE mallory.p PARTITION OF $relation DEFAULT", "ALTER TABLE parted ATTACH PARTITION $relation DEFAULT", "ALTER TABLE parted DETACH PARTITION $relation",
		"ALTER MATERIALIZED VIEW $relation DEPENDS ON EXTENSION plpgsql")
	{
		push @waiting, $statement;
	}
}
push @waiting, 'ALTER INDEX parted_x ATTACH PARTITION medchain.chain_pkey', 'ALTER INDEX medchain.chain_pkey DEPENDS ON EXTENSION plpgsql',
	'DROP SUBSCRIPTION medchain_dc_12345678', 'DROP SCHEMA medchain CASCADE';
my @elsewhere = ('DROP DATABASE postgres', 'ALTER DATABASE postgres RENAME TO mine', 'ALTER DATABASE postgres SET TABLESPACE pg_default', 'DROP SUBSCRIPTION nobodys');
$alliance->sql('dc', q{CREATE SCHEMA mallory AUTHORIZATION mallory; CREATE TABLE mallory.mine (x text); CREATE TABLE mallory.parted (x text) PARTITION BY LIST (x); CREATE INDEX parted_x ON mallory.parted (x);
	ALTER TABLE mallory.mine OWNER TO mallory; ALTER TABLE mallory.parted OWNER TO mallory});
# SQLSTATEs of statements, each of which has a second.
sub states
{
	my ($database, @statements) = @_;
	my $states = join("\n", map { "\\warn '$_'\n$_;" } map { s/'//gr } @statements);
	return ($alliance->cluster('dc')->psql($database, "\\set VERBOSITY sqlstate\nSET statement_timeout = '1s';\n$states", on_error_stop => 0, extra_params => [ '-U', 'mallory' ]))[2];
}
my $states = join("\n", states('postgres', @waiting), states('template1', @elsewhere));
unlike($states, qr/ERROR:  57014/, 'what he may not do is refused before it waits for a lock');
is(scalar(() = $states =~ /ERROR:  (?:42501|42704)/g), @waiting + @elsewhere, 'all of it');
revocation_ok('he has tried');

# ... but for one: it is PostgreSQL's catalogue, which everybody may look at.  Newer minor releases of
# 17 and later drop a subscription beside him.
my $subscription = $alliance->sql('dc', q{SELECT subscription FROM medchain.peer WHERE member = 'ha'});
my ($status, undef, $words) = $alliance->cluster('dc')->psql('postgres', q{SELECT medchain.disconnect_peer('ha')});
like($status == 0 ? 'dropped' : $words,
	qr/^dropped$|cannot be dropped while others look at pg_subscription.*DETAIL:  These do: process \d+ \(mallory\)\..*HINT:  Try again/s,
	'a subscription is not dropped while he looks at it, or beside him');
revocation_ok('somebody has tried that');
release($session);
$alliance->sql('dc', q{SELECT medchain.disconnect_peer('ha')}) if $status != 0;
is($alliance->sql('dc', "SELECT count(*) FROM pg_subscription WHERE subname = '$subscription'"), '0', 'and is gone');
$alliance->connect_peers('dc', 'ha');

# ----- a login that takes all the locks that there are, and what he got he keeps

my $greedy = $alliance->cluster('dc')->background_psql('postgres', on_error_stop => 0, extra_params => [ '-U', 'mallory' ]);
$greedy->query('SELECT pg_advisory_lock(i) FROM generate_series(1, 1000000) i');
revocation_ok('a login has taken every lock that there was room for');
ok($alliance->cluster('dc')->wait_for_log(qr/LOG:  medchain: process \d+ is terminated, which has \d+ locks/), 'he has more than his share, and is gone');
eval { $greedy->quit };
$alliance->sql('dc', q{CREATE ROLE greedy SUPERUSER LOGIN});
my $may = $alliance->cluster('dc')->background_psql('postgres', on_error_stop => 0, extra_params => [ '-U', 'greedy' ]);
$may->query_safe('SELECT pg_advisory_lock(i) FROM generate_series(1, 2000) i');
is($alliance->sql('dc', q{SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'}), '2000', 'who leaves room for others has what he likes');
$session = hold('dc', 'mallory', 'SELECT pg_advisory_lock(-i) FROM generate_series(1, 600) i');
$may->query('SELECT pg_advisory_lock(i) FROM generate_series(1, 1000000) i');
sleep 8;    # the launcher looks after five seconds, and one more
is($session->query_safe('SELECT 1'), '1', 'nor is anybody terminated for what a superuser takes');
$may->quit;
release($session);

# ... nor by many sessions, each of which takes some hundreds
my @many;
for my $i (1 .. 90)
{
	my $one = $alliance->cluster('dc')->background_psql('postgres', on_error_stop => 0, extra_params => [ '-U', 'mallory' ]);
	my ($got) = $one->query("\\set VERBOSITY sqlstate\nSELECT count(pg_advisory_lock(i)) FROM generate_series(${i}000, ${i}000 + 399) i");
	push @many, $one;
	last if !defined $got || $got ne '400';
}
cmp_ok(scalar @many, '<', 90, 'sessions of a login have taken every lock that there was room for');
revocation_ok('they have');
foreach my $one (@many) { eval { $one->quit }; }
$alliance->wait_for('dc', q{SELECT sealer = 'running' FROM medchain.stat});

# ----- logins that take all the background workers that there are

my @parallel = map { $alliance->cluster('dc')->background_psql('postgres', on_error_stop => 0, extra_params => [ '-U', 'mallory' ]) } 1 .. 4;
my $force = $alliance->cluster('dc')->pg_version >= 16 ? 'debug_parallel_query' : 'force_parallel_mode';
$_->query_safe("SET $force = on; SET max_parallel_workers = 1000; SET max_parallel_workers_per_gather = 1000") foreach @parallel;
$_->query_until(qr//, "SELECT pg_sleep(1000);\n") foreach @parallel;
$alliance->wait_for('dc', q{SELECT count(*) = 4 FROM pg_stat_activity WHERE usename = 'mallory' AND state = 'active' AND backend_type = 'client backend'});
cmp_ok($alliance->sql('dc', q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'parallel worker'}), '<=', 2, 'they get what is left');
is($alliance->sql('dc', q{SELECT count(pg_terminate_backend(pid, 60000)) FROM pg_stat_subscription WHERE pid IS NOT NULL}), '2', 'apply workers end');
revocation_ok('logins have all the background workers that there are');
$alliance->sql('dc', q{SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE usename = 'mallory'});
eval { $_->quit } foreach @parallel;

# ----- a login whose transaction is old: what was sealed in the meantime is not read again and again

$session = hold('dc', 'mallory', 'SET TRANSACTION ISOLATION LEVEL REPEATABLE READ', 'SELECT 1');
$alliance->sql('dc', q{SELECT count(medchain.append('visit', '1')) FROM generate_series(1, 20000)});
$alliance->sql('dc', q{SELECT medchain.seal()});
my ($pages, $least) = ($alliance->sql('dc', q{SELECT pg_relation_size('medchain.pending') / 8192}), 1e9);
foreach (1 .. 10)
{
	my $looks = q{SELECT heap_blks_read + heap_blks_hit FROM pg_statio_all_tables WHERE relid = 'medchain.pending'::regclass};
	my $looked = $alliance->sql('dc', $looks);
	$alliance->sql('dc', q{SELECT medchain.append('visit', '1')});
	$alliance->sql('dc', q{SELECT medchain.seal()});
	$looked = $alliance->sql('dc', $looks) - $looked;
	$least = $looked if $looked < $least;
}
cmp_ok($pages, '>', 400, 'what is sealed lies about as long as he might look at it');
cmp_ok($least, '<', 40, 'and the sealer does not look at it in each round');
release($session);

# ----- whoever may lock our tables: it shows

$session = hold('dc', 'postgres', 'LOCK TABLE medchain.claim IN SHARE MODE');
my $pid = $session->query_safe('SELECT pg_backend_pid()');
$alliance->sql('en', "SELECT medchain.revoke_protocol('" . pop(@protocols) . "', 'it is over')");
$alliance->wait_for('dc', q{SELECT EXISTS (SELECT FROM medchain.chains WHERE blocked IS NOT NULL)});
like($alliance->sql('dc', q{SELECT blocked FROM medchain.chains WHERE origin = 'en'}), qr/^keeper for \d+ s by process $pid \(\w+\)$/, 'chains says for whom one waits');
is($alliance->sql('dc', q{SELECT count(*) FROM medchain.chains WHERE origin <> 'en' AND blocked IS NOT NULL}), '0', 'and that the others have nothing to wait for');
is($alliance->sql('dc', q{SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE l.locktype IN ('advisory', 'userlock') AND a.backend_type <> 'client backend'}), '0', 'no worker of ours has a lock of a kind that anybody can take');
like($alliance->sql('dc', q{SELECT string_agg(objsubid::text, ',') FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE l.locktype = 'object' AND a.backend_type = 'medchain keeper' AND classid = 'pg_extension'::regclass}), qr/^1$/, 'but the one on a part of the extension');
my $log = qr/LOG:  medchain: medchain keeper \d+ of database \d+ has waited \d+ s for a lock of process $pid\n/;
ok($alliance->cluster('dc')->wait_for_log($log), 'so does the log');
release($session);
$alliance->wait_for('dc', q{SELECT count(*) FROM medchain.chains WHERE blocked IS NOT NULL OR held_blocks > 0}, '0');
is(seen(), scalar(@protocols), 'and when he lets go, it goes on');
my @lines = PostgreSQL::Test::Utils::slurp_file($alliance->cluster('dc')->logfile) =~ /$log/g;
is(scalar(@lines), 1, 'it was said once');

$session = hold('dc', 'postgres', 'LOCK TABLE medchain.held_block IN SHARE MODE');
$pid = $session->query_safe('SELECT pg_backend_pid()');
$alliance->sql('en', q{SELECT medchain.append('visit', '1')});
$alliance->wait_for('dc', qq{SELECT blocked ~ '^for \\d+ s by process $pid ' FROM medchain.peers WHERE member = 'en'});
pass('peers says it of what a peer sends');
release($session);

$session = hold('dc', 'postgres', q{SELECT FROM medchain.chain WHERE origin = 'en' FOR UPDATE});
$alliance->sql('en', q{SELECT medchain.append('visit', '1')});
$alliance->wait_for('dc', q{SELECT blocked ~ '^keeper for \d+ s: ' FROM medchain.chains WHERE origin = 'en'});
$alliance->sql('ha', q{SELECT medchain.append('visit', '1')});
$alliance->wait_for_equal_heads(qw(ha dc));
pass('a chain that somebody holds does not hold up the others');
release($session);
$alliance->wait_for_equal_heads;

# ----- a peer whose transaction does not end: a block with an entry that counts, and then more and more

my ($size, $height, $hash) = split(/\|/, $alliance->sql('ha', q{SELECT size, height + 1, encode(hash, 'base64') FROM medchain.block WHERE origin = 'ha' ORDER BY height DESC LIMIT 1}));
my $payload = q({"kind":"bind_role","origin":"ha","id":"00000000-0000-4000-8000-000000000001","time":"2026-01-31T23:59:59.000000Z","actor":"ha","role":"x","body":{"role":"nobody","member":null}});
my $root = $alliance->sql('ha', qq{SELECT encode(medchain.merkle_root(array_agg(convert_to(payload, 'UTF8') ORDER BY seq) || convert_to('$payload', 'UTF8')), 'base64') FROM medchain.entry WHERE origin = 'ha'});
my $sealed = $alliance->sql('ha', q{SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')});
my $note = $alliance->sign_note('ha', "east/ha\n" . ($size + 1) . "\n$root\nheight $height\nprevious $hash\nsealed $sealed\n", 'east/ha');
my $apply = q{SELECT EXISTS (SELECT FROM pg_locks l JOIN pg_stat_subscription s USING (pid) JOIN medchain.peer p ON p.subscription = s.subname
	WHERE p.member = 'ha' AND s.relid IS NULL AND l.relation = 'medchain.held_block'::regclass)};
$alliance->wait_for('dc', q{SELECT state FROM medchain.peers WHERE member = 'ha'}, 'streaming');
$alliance->forge('ha', "INSERT INTO medchain.entry VALUES ('ha', $size, '00000000-0000-4000-8000-000000000001', 'bind_role', now(), 'ha', NULL, '$payload', '\\x00');
	INSERT INTO medchain.block VALUES ('ha', $height, 1, '\\x00', '\\x00', '\\x00', now(), \$note\$$note\$note\$);
	INSERT INTO medchain.entry SELECT 'ha', 1000000 + i, gen_random_uuid(), 'visit', now(), 'ha', NULL, repeat('x', 100), '\\x00' FROM generate_series(1, 200000) i;
	DELETE FROM medchain.entry WHERE leaf_hash = '\\x00'; DELETE FROM medchain.block WHERE hash = '\\x00'");
$alliance->wait_for('dc', $apply);
my $sender = $alliance->sql('ha', q{SELECT pid FROM pg_stat_replication WHERE application_name = (SELECT medchain_internal.slot_name('east', 'dc', 'ha')) OR application_name = (SELECT medchain_internal.slot_name('east', 'dc', 'ha', true))});
kill 'STOP', $sender;
is($alliance->sql('dc', $apply), 't', q{a peer's transaction is under way here, and goes no further});
revocation_ok('it is');
kill 'CONT', $sender;
$alliance->wait_for('dc', q{SELECT height FROM medchain.chains WHERE origin = 'ha'}, $height);
pass('what it brought is accepted when it has ended');

$alliance->verify_ok('dc');
$alliance->check_logs;
done_testing();
