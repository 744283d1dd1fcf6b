# A copy of a node knows that it is one: it writes and signs nothing, touches nothing of the node's, and becomes the
# node only where the node is gone and nothing newer is known of it.
use strict;
use warnings;

use Medchain::Alliance;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $alliance = Medchain::Alliance->new(dc => 'data_center', en => 'end_node', others => ['test']);
my $dir = PostgreSQL::Test::Utils::tempdir();
my $cluster = Medchain::Alliance->new_cluster('dc');
my ($rc, $out, $err);

# the data centre has a database of its own in its cluster, which can be dropped
$cluster->start;
$alliance->start('dc', cluster => $cluster, dbname => 'hospital');
$alliance->establish;
$alliance->sql('dc', q{
	CREATE ROLE app_a LOGIN;
	CREATE TABLE diagnosis (case_no int PRIMARY KEY, patient_id text NOT NULL, finding text);
	INSERT INTO diagnosis SELECT i, 'P' || i, 'benign' FROM generate_series(1, 20) i;
	SELECT medchain.protect('diagnosis', 'patient_id');
	CREATE TABLE device_log (id int PRIMARY KEY, gone int, what text);
	ALTER TABLE device_log DROP COLUMN gone;
	INSERT INTO device_log VALUES (1, 'installed');
	SELECT medchain.ledger_table('device_log', append_only => true);
	GRANT SELECT ON diagnosis TO app_a;
	SELECT medchain.bind_role('app_a', 'en')});
$alliance->sql('en', q{SELECT medchain.issue_protocol('P1', 'text', '[{"grantee": "dc", "operations": ["query"]}]')});
$alliance->wait_for_equal_heads;

my $settings = sub {
	my ($name) = @_;
	return join(' ', map { sprintf("ALTER DATABASE %s SET %s = '%s';", $name, $_, $alliance->sql('dc', "SHOW $_")) }
		  qw(medchain.signing_key medchain.pseudonym_key_file));
};
my $slots = sub { return $alliance->sql($_[0], 'SELECT slot_name, database, active FROM pg_replication_slots ORDER BY 1') };
my $verifies = q{SELECT count(*) FILTER (WHERE ok), count(*) FROM medchain.verify()};
my $agree = 'SELECT count(*) FROM medchain.row_table t, LATERAL medchain.verify_table(t.relation)';
my $slots_at_en = $slots->('en');

# What every copy says to whom wants to write.
sub is_a_copy
{
	my ($node, $database, $title) = @_;
	my $conninfo = $alliance->conninfo('en');

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is($node->safe_psql($database, 'SELECT medchain.is_copy()'), 't', "$title: it knows that it is a copy");
	is($node->safe_psql($database, 'SELECT sealer, sealer_error FROM medchain.stat'), 'failed|this database is a copy of node "dc"; medchain.take_over() makes it the node',
		"$title: medchain.stat says so, whether or not there were workers yet");
	$node->safe_psql($database, 'SELECT medchain.start_workers()');
	is($node->safe_psql($database, q{SELECT state FROM medchain.chains WHERE origin = 'dc'}), 'own, copy', "$title: medchain.chains says so");
	ok($node->poll_query_until($database, q{SELECT sealer = 'failed' AND key_fingerprint IS NULL AND sealer_error ~ 'copy of node "dc"' FROM medchain.stat}),
		"$title: its sealer says so, and has no key");
	foreach my $sql (q{SELECT medchain.append('visit', '{}')}, 'SELECT medchain.seal()', q{SELECT medchain.bind_role('app_a', 'dc')},
		q{INSERT INTO diagnosis VALUES (30, 'P30', 'x')}, q{DELETE FROM diagnosis WHERE case_no = 1}, q{INSERT INTO device_log VALUES (3, 'x')},
		q{SELECT medchain.unprotect('diagnosis')}, q{SELECT medchain.leave_alliance()}, q{SELECT medchain.disconnect_peer('en')},
		q{SELECT medchain.resync('en')}, qq{SELECT medchain.connect_peer('dc', '$conninfo')},
		q{SELECT medchain_internal.sign_envelope('application/vnd.medchain.protocol+json', '{}')})
	{
		($rc, undef, $err) = $node->psql($database, $sql);
		like($err, qr/copy of node "dc".*HINT:  [^\n]*take_over\(\)[^\n]*detach_copy\(\)/s, "$title: $sql");
	}
	is($node->safe_psql($database, $verifies), '2|2', "$title: what it has can be verified");
	is($node->safe_psql($database, $agree), '0', "$title: tables too");
	($rc, undef, $err) = $node->psql($database, 'SELECT count(*) FROM diagnosis');
	like($err, qr/copy of node "dc".*HINT/s, "$title: who reads protected tables is on no ledger here, so nobody does");
	is($node->safe_psql($database, 'SET medchain.read_audit = off; SET ROLE app_a; SELECT count(*) FROM diagnosis'), '0', "$title: and are as closed as they were");
	return;
}

# CREATE DATABASE ... TEMPLATE, while nobody follows anybody: PostgreSQL copies no database that somebody is connected to
$alliance->unfollow('dc', 'en');
$alliance->unfollow('en', 'dc');
$cluster->safe_psql('postgres', 'CREATE DATABASE staging TEMPLATE hospital');
$alliance->follow('dc', 'en');
$alliance->follow('en', 'dc');
$cluster->safe_psql('postgres', $settings->('staging'));
is_a_copy($cluster, 'staging', 'from a template');
($rc, undef, $err) = $cluster->psql('staging', 'SELECT medchain.take_over()');
like($err, qr/database "hospital" of this server is node "dc".*HINT/s, 'from a template: it does not take over while the node is there');
$alliance->fails_like('dc', 'SELECT medchain.detach_copy()', qr/is node "dc" itself.*HINT:  Call medchain.leave_alliance/s, 'the node is not detached');
is($alliance->sql('dc', 'SELECT medchain.take_over()'), '', 'and has nothing to take over');

# for something else: as if no node had been founded, and nothing of the node's touched
$cluster->safe_psql('staging', 'SELECT medchain.detach_copy()');
is($cluster->safe_psql('staging', 'SELECT medchain.is_copy()'), 't', 'private: it is a copy still');
is($cluster->safe_psql('staging', $verifies), '2|2', 'private: it can be verified');
isnt($cluster->safe_psql('staging', 'SELECT count(*) FROM medchain.export()'), '0', 'private: and exported');
is($cluster->safe_psql('staging', 'SELECT count(*) FROM diagnosis'), '20', 'private: read by who is above row security');
is($cluster->safe_psql('staging', 'SET ROLE app_a; SELECT count(*) FROM diagnosis'), '0', 'private: and by others as far as they may');
is($cluster->safe_psql('staging', q{SELECT severity FROM medchain.check() WHERE finding ~ 'private copy of node "dc"'}), 'notice', 'private: check() has nothing against it');
foreach my $sql (q{SELECT medchain.append('visit', '{}')}, q{DELETE FROM diagnosis WHERE case_no = 1}, q{SELECT medchain.resync('en')})
{
	($rc, undef, $err) = $cluster->psql('staging', $sql);
	like($err, qr/private copy of node "dc".*HINT/s, "private: $sql");
}
($rc, undef, $err) = $cluster->psql('staging', 'SELECT medchain.take_over()');
like($err, qr/private copy of node "dc".*HINT:  Restore the backup anew/s, 'private: nor does it become the node');
$cluster->safe_psql('staging', 'SELECT medchain.detach_copy(keep_ledger => false)');
is($cluster->safe_psql('staging', 'SELECT medchain.is_copy(), count(*) FROM medchain.entry'), 'f|0', 'detached: no copy any more');
is($cluster->safe_psql('staging', q{SELECT count(*) FROM pg_publication}), '0', 'detached: nor a publication');
is($cluster->safe_psql('staging', 'SET ROLE app_a; SELECT count(*) FROM diagnosis'), '0', 'detached: protected tables stay closed');
$cluster->safe_psql('staging', q{SELECT medchain.unprotect('diagnosis'); SELECT medchain.end_ledger_table('device_log')});
$cluster->safe_psql('staging', q{UPDATE diagnosis SET finding = 'x'; DELETE FROM device_log});
$cluster->safe_psql('postgres', sprintf(q{ALTER DATABASE staging SET medchain.signing_key = '%s'}, $alliance->pki('test.key')));
$cluster->safe_psql('staging', q{SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE backend_type = 'medchain sealer' AND datname = 'staging'});
my ($certificate, $anchors) = map { $alliance->certificate($_) } 'test', 'ca';
$cluster->safe_psql('staging', "SELECT medchain.found_alliance('staging', 'test', '$certificate', '$anchors')");
$cluster->safe_psql('staging', q{SELECT medchain.protect('diagnosis', 'patient_id'); SELECT medchain.seal()});
is($cluster->safe_psql('staging', q{SELECT string_agg(origin || ok, ',') FROM medchain.verify()}), 'testtrue', 'detached: it can found an alliance of its own');
is($cluster->safe_psql('staging', $agree), '0', 'with the same tables');
$cluster->safe_psql('staging', 'SELECT medchain.leave_alliance()');
$cluster->safe_psql('postgres', 'DROP DATABASE staging');
is($slots->('en'), $slots_at_en, 'slots of the node at its peer are untouched');

# the dump that is restored where it was made: what was signed since is not in it
$alliance->sql('dc', q{SELECT medchain.append('visit', '{"n": 1}')});
$alliance->wait_for_equal_heads;
command_ok([ 'pg_dump', '-Fc', '-f', "$dir/old", $cluster->connstr('hospital') ], 'an older dump');
$alliance->sql('dc', q{SELECT medchain.append('visit', '{"n": 2}')});
$alliance->wait_for_equal_heads;

# a dump with entries that are not sealed yet, of a hub, in another server
$alliance->sql('dc', q{SELECT medchain.relay('en')});
$alliance->sql('dc', q{UPDATE diagnosis SET finding = 'malignant' WHERE case_no = 1});
$alliance->wait_for_equal_heads;
$alliance->forge('dc', 'SELECT 1');
$cluster->safe_psql('postgres', "ALTER DATABASE hospital SET medchain.signing_key = '/nowhere'");
$cluster->safe_psql('hospital', q{SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE backend_type = 'medchain sealer' AND datname = 'hospital'});
$alliance->sql('dc', q{INSERT INTO device_log VALUES (2, 'not sealed')});
is($alliance->sql('dc', 'SELECT count(*) FROM medchain.pending'), '1', 'an entry waits');
command_ok([ 'pg_dump', '-Fc', '-f', "$dir/new", $cluster->connstr('hospital') ], 'a dump of the last moment');
$cluster->stop('fast');

my $second = Medchain::Alliance->new_cluster('second');
$second->start;
$second->safe_psql('postgres', 'CREATE ROLE app_a; CREATE ROLE sync LOGIN REPLICATION');
foreach my $name (qw(old new))
{
	$second->safe_psql('postgres', "CREATE DATABASE $name");
	foreach my $setting ('signing_key', 'pseudonym_key_file')
	{
		my $file = $alliance->pki($setting eq 'signing_key' ? 'dc.key' : 'pseudonym.key');
		$second->safe_psql('postgres', "ALTER DATABASE $name SET medchain.$setting = '$file'");
	}
	command_ok([ 'pg_restore', '-e', '-d', $second->connstr($name), "$dir/$name" ], "the $name one is restored");
	is_a_copy($second, $name, "$name dump");
}
$second->safe_psql('postgres', 'GRANT medchain_peer TO sync');
is($slots->('en') =~ /\|f/ ? 'away' : $slots->('en'), 'away', 'restoring follows nobody');
$alliance->cluster('en')->stop;
($rc, undef, $err) = $second->psql('old', 'SELECT medchain.take_over()');
like($err, qr/no peer can be asked what it has of the chain of "dc".*HINT:  [^\n]*without_peers => true/s, 'the older one does not take over while nobody can say what it lacks');
is($second->safe_psql('old', 'SELECT medchain.is_copy()'), 't', 'and is the copy that it was');
$alliance->cluster('en')->start;

# half of a restore is no node either
$second->safe_psql('postgres', 'CREATE DATABASE half TEMPLATE new');
$second->safe_psql('half', q{ALTER TABLE medchain.entry DISABLE TRIGGER guard_row; DELETE FROM medchain.entry WHERE origin = 'en' AND seq > 0});
($rc, undef, $err) = $second->psql('half', 'SELECT medchain.take_over()');
like($err, qr/the ledger in this database is not complete.*"en".*HINT/s, 'nor does one that lacks something');
$second->safe_psql('postgres', 'DROP DATABASE half');

# the node goes on
$second->safe_psql('new', q{ALTER TABLE device_log ADD COLUMN place text});
($rc, undef, $err) = $second->psql('new', 'SELECT medchain.take_over()');
is($rc, 0, 'the newest one takes over');
unlike($err, qr/not sealed yet/, 'and its sealer, which knew it as a copy, seals at once');
like($err, qr/node "dc" now.*HINT:  SELECT medchain\.resync/s, 'and says what to do next');
$alliance->{node}{dc} = { cluster => $second, dbname => 'new' };
is($alliance->sql('dc', 'SELECT medchain.is_copy()'), 'f', 'it is the node now');
is($alliance->sql('dc', q{SELECT string_agg(DISTINCT rowfilter, ', ') FROM pg_publication_tables WHERE pubname ~ '^medchain_en_[0-9a-f]{8}$' AND schemaname = 'medchain' HAVING count(*) = 2}),
	q{(origin <> 'en'::text)}, 'and the hub of whom it was that of');
$alliance->sql('dc', q{SELECT medchain.relay('en', false)});
my ($next) = $err =~ /HINT:  (SELECT medchain\.resync[^\n]*)/;
$alliance->sql('dc', $next);
$alliance->sql('en', q{SELECT medchain.disconnect_peer('dc')});
$alliance->connect_peers('en', 'dc');
$alliance->sql('dc', q{INSERT INTO device_log VALUES (3, 'moved', 'here'); UPDATE diagnosis SET finding = 'benign' WHERE case_no = 1});
$alliance->wait_for_equal_heads;
$alliance->equal_ok;
$alliance->verify_ok;
is($alliance->sql('dc', $agree), '0', 'tables and ledger agree');
is($alliance->sql('dc', q{SELECT string_agg(kind, ',' ORDER BY seq) FROM medchain.entry WHERE origin = 'dc'
		AND seq >= (SELECT seq FROM medchain.entry WHERE kind = 'row.insert' AND origin = 'dc' ORDER BY seq DESC OFFSET 1 LIMIT 1)}),
	'row.insert,member.take_over,table.alter,row.insert,access,row.update', 'on the ledger: what had waited, the move, what was done to a table meanwhile, and what comes now');
is($alliance->sql('en', 'SELECT count(*) FROM medchain.quarantine'), '0', 'and nobody finds anything to say against it');
$alliance->sql('en', q{SELECT medchain.issue_protocol('P2', 'text', '[{"grantee": "dc", "operations": ["query"]}]')});
$alliance->wait_for_equal_heads;
$alliance->equal_ok;

# the same database, emptied and restored from its own dump
command_ok([ 'pg_dump', '-Fc', '-f', "$dir/own", $second->connstr('new') ], 'a dump of the node');
$alliance->sql('dc', q{SELECT medchain.append('visit', '{"n": 3}')});
$alliance->wait_for_equal_heads;
$second->stop('fast');
$second->append_conf('postgresql.conf', "shared_preload_libraries = ''");
$second->start;
$second->safe_psql('new', q{
	DO $$ DECLARE s name; BEGIN
		FOR s IN SELECT subname FROM pg_subscription LOOP
			EXECUTE format('ALTER SUBSCRIPTION %I DISABLE', s); EXECUTE format('ALTER SUBSCRIPTION %I SET (slot_name = NONE)', s); EXECUTE format('DROP SUBSCRIPTION %I', s);
		END LOOP;
	END $$;
	DROP PUBLICATION medchain; DROP SCHEMA medchain CASCADE; DROP SCHEMA public CASCADE; CREATE SCHEMA public});
$second->append_conf('postgresql.conf', "shared_preload_libraries = 'medchain'");
$second->restart;
my ($stdout, $stderr);
IPC::Run::run([ 'pg_restore', '-d', $second->connstr('new'), "$dir/own" ], '>', \$stdout, '2>', \$stderr);
is($second->safe_psql('new', 'SELECT medchain.is_copy()'), 't', 'restored where it was at home, it is a copy all the same');
($rc, undef, $err) = $second->psql('new', 'SELECT medchain.take_over(); SELECT medchain.seal()');
is($rc, 0, 'it takes over') or diag $err;
like($err, qr/NOTICE:  this copy, with blocks up to \d+, is older than the node "dc" itself was.*"en" \(up to \d+\)/s, 'and says what it lacks');
is($alliance->sql('dc', q{SELECT string_agg(coalesce(payload::jsonb #>> '{body,n}', 'move'), ',' ORDER BY seq) FROM medchain.entry WHERE origin = 'dc' AND kind IN ('visit', 'member.take_over')}),
	'1,2,move,3,move', 'what was sealed behind the dump is back, before anything new');
$alliance->sql('dc', q{SELECT medchain.resync('en')});
$alliance->wait_for_equal_heads;
$alliance->equal_ok;
is($alliance->sql('en', 'SELECT count(*) FROM medchain.quarantine'), '0', 'and nobody finds anything to say against it');

# a standby is the node's own; promoted, it is the node
my $primary = $alliance->cluster('en');
$primary->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->start;
is($standby->safe_psql('postgres', 'SELECT medchain.is_copy(), medchain_internal.at_home()'), 'f|t', 'a standby is no copy');
$primary->wait_for_catchup($standby);
$primary->stop('fast');
$standby->promote;
is($standby->safe_psql('postgres', q{SELECT medchain.append('visit', '{}') IS NOT NULL; SELECT medchain.seal(); SELECT ok FROM medchain.verify('en')}),
	"t\n\nt", 'promoted, it is the node');
$alliance->check_logs($second, $standby);
done_testing();
