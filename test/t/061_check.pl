# medchain.check(): each thing that it looks at is made wrong, seen, and mended, at a node whose findings are none; who may call it sees the same;
# on a standby, in a copy, in a database that is no node, and where a part of it fails, it says what it can.
use strict;
use warnings;

use Medchain::Alliance;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $alliance = Medchain::Alliance->new(dc => 'data_center', en => 'end_node');

# a server that a DBA has set up as the README says; the roles of these tests log in by a socket, as the server's user
foreach my $name (qw(dc en))
{
	my $keys = join '', map { "$_->[0] = '" . $alliance->pki($_->[1]) . "'\n" } [ 'medchain.signing_key', "$name.key" ], [ 'medchain.pseudonym_key_file', 'pseudonym.key' ];
	my $cluster = Medchain::Alliance->new_cluster($name, conf => "$keys\nfsync = on\nfull_page_writes = on\nmax_slot_wal_keep_size = 1GB\nmax_prepared_transactions = 2");
	my $user = getpwuid($<);
	my @roles = ($user, qw(sync auditor boss other));

	unlink $cluster->data_dir . '/pg_hba.conf', $cluster->data_dir . '/pg_ident.conf';
	append_to_file($cluster->data_dir . '/pg_hba.conf', "local all all peer map=tests\nlocal replication $user peer\n");
	append_to_file($cluster->data_dir . '/pg_ident.conf', join('', map { "tests $user $_\n" } @roles));
	$cluster->start;
	$alliance->{node}{$name} = { cluster => $cluster, dbname => 'postgres' };
	$alliance->sql($name, 'CREATE EXTENSION medchain; CREATE ROLE sync LOGIN REPLICATION IN ROLE medchain_peer; CREATE ROLE auditor LOGIN IN ROLE medchain_auditor; CREATE ROLE boss LOGIN IN ROLE medchain_admin');
}
my $dc = $alliance->cluster('dc');
my $en = $alliance->cluster('en');

# All that is found, or in one area, a line each.
sub found
{
	my ($name, $area, %params) = @_;
	return $alliance->sql($name, q{SELECT concat_ws(' | ', area, severity, subject, finding) FROM medchain.check()} . ($area ? " WHERE area = '$area'" : ''), %params);
}

# Tests: SQL (or what that is) makes this finding appear, and that makes it go.
sub appears
{
	my ($title, $area, $pattern, $make, $mend, %params) = @_;
	my $node = $params{node} || 'dc';
	my $do = sub { my ($what) = @_; ref $what ? $what->() : $alliance->sql($node, $what); };
	my $look = sub {
		my ($there) = @_;
		my $found;
		foreach (1 .. 10 * $PostgreSQL::Test::Utils::timeout_default)
		{
			$found = found($node, $area);
			last if ($found =~ $pattern ? 1 : 0) == $there;
			select undef, undef, undef, 0.1;
		}
		return $found;
	};

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	unlike(found($node, $area), $pattern, "not yet: $title");
	$do->($make);
	like($look->(1), $pattern, "found: $title");
	$do->($mend);
	unlike($look->(0), $pattern, "mended: $title");
	return;
}

sub conf { my ($line, $name) = @_; return sub { $name ||= 'dc'; my ($set, $value) = split / = /, $line; $alliance->sql($name, "ALTER SYSTEM SET $line"); $alliance->sql($name, 'SELECT pg_reload_conf()'); }; }
sub reset_conf { my ($set, $name) = @_; return sub { $name ||= 'dc'; $alliance->sql($name, "ALTER SYSTEM RESET $set"); $alliance->sql($name, 'SELECT pg_reload_conf()'); }; }
sub hba { my (@lines) = @_; my $file = $dc->data_dir . '/pg_hba.conf'; append_to_file($file, join('', map { "$_\n" } @lines)); return; }
my $hba = slurp_file($dc->data_dir . '/pg_hba.conf');
sub hba_back { my $file = $dc->data_dir . '/pg_hba.conf'; unlink $file; append_to_file($file, $hba); return; }

# ----- no node, and one that has just joined

like(found('dc'), qr/^node \| notice \| postgres \| this database is not a node of an alliance$/m, 'a database that is no node is told so');
unlike(found('dc'), qr/could not be looked at/, 'and all of it can be looked at');
$alliance->establish;
like(found('en'), qr/^ledger \| notice \| dc, en \| verify\(\) has not been through all of it/m, 'nobody has verified yet');
$alliance->verify_ok;
$alliance->wait_for_equal_heads;
foreach my $name (qw(dc en))
{
	$alliance->wait_for($name, 'SELECT count(*) FROM medchain.check()', '0');
	is(found($name), '', "nothing is wrong at $name");
}

# ----- who may

is(found('dc', undef, extra_params => [ '-U', $_ ]), '', "$_ may call it") foreach qw(auditor boss);
$alliance->sql('dc', 'CREATE ROLE other LOGIN');
$alliance->fails_like('dc', 'SELECT * FROM medchain.check()', qr/permission denied/, 'others may not', extra_params => [ '-U', 'other' ]);

# ----- a part that fails hides no other

appears('a part that fails', 'roles', qr/^roles \| warning \| it could not be looked at: division by zero$/m,
	q{ALTER FUNCTION medchain_internal.check_roles() RENAME TO kept; CREATE FUNCTION medchain_internal.check_roles(OUT subject text, OUT severity text, OUT finding text, OUT hint text)
		RETURNS SETOF record LANGUAGE sql AS $$ SELECT NULL, NULL, (1 / (random() * 0)::int)::text, NULL $$},
	'DROP FUNCTION medchain_internal.check_roles(); ALTER FUNCTION medchain_internal.kept() RENAME TO check_roles');

# ----- settings

appears('fsync', 'settings', qr/error \| fsync \| it is off/, conf('fsync = off'), reset_conf('fsync'));
appears('full_page_writes', 'settings', qr/warning \| full_page_writes/, conf('full_page_writes = off'), reset_conf('full_page_writes'));
appears('disks that a peer fills', 'settings', qr/warning \| max_slot_wal_keep_size \| it is -1/, conf('max_slot_wal_keep_size = -1'), reset_conf('max_slot_wal_keep_size'));
$alliance->sql('dc', q{CREATE TABLE chart (id int PRIMARY KEY, patient text); SELECT medchain.protect('chart', 'patient')});
appears('a role whose reads are not recorded', 'settings', qr/warning \| medchain.read_audit of role other in database postgres \| it is off/,
	'ALTER ROLE other IN DATABASE postgres SET medchain.read_audit = off', 'ALTER ROLE other IN DATABASE postgres RESET medchain.read_audit');
appears('reads that are recorded later', 'settings', qr/notice \| medchain.read_audit \| it is async/, conf('medchain.read_audit = async'), reset_conf('medchain.read_audit'));

# ----- keys

my $key = $alliance->pki('dc.key');
appears('a signing key that others can read', 'keys', qr/error \| medchain.signing_key \| private key file .* has group or world access/, sub { chmod 0644, $key }, sub { chmod 0600, $key });
appears('a signing key that is gone', 'keys', qr/error \| medchain.signing_key \| could not open/, sub { rename $key, "$key.away" }, sub { rename "$key.away", $key });
appears('another signing key', 'keys', qr/error \| medchain.signing_key \| .*is not the key that the ledger of "dc"/, conf("medchain.signing_key = '" . $alliance->pki('en.key') . "'"), reset_conf('medchain.signing_key'));
append_to_file($alliance->pki('other.pseudonyms'), 'another key, long enough');
chmod 0600, $alliance->pki('other.pseudonyms');
appears('another key for pseudonyms', 'keys', qr/error \| medchain.pseudonym_key_file/, conf("medchain.pseudonym_key_file = '" . $alliance->pki('other.pseudonyms') . "'"), reset_conf('medchain.pseudonym_key_file'));

# ----- workers

appears('a worker that does not last', 'workers', qr/error \| sealer \| .*"harm"/,
	q{ALTER TABLE medchain.block ADD CONSTRAINT harm CHECK (false) NOT VALID; SELECT medchain.append('visit', '{}', 'P1')}, q{ALTER TABLE medchain.block DROP CONSTRAINT harm; SELECT medchain.start_workers()});
appears('a worker that fails again and again', 'workers', qr/error \| sealer \| .*failed [2-9] times in a row/,
	sub {
		$alliance->sql('dc', q{ALTER TABLE medchain.block ADD CONSTRAINT harm CHECK (false) NOT VALID; SELECT medchain.append('visit', '{}', 'P1')});
	},
	q{ALTER TABLE medchain.block DROP CONSTRAINT harm; SELECT medchain.start_workers()});
my $locker = $dc->background_psql('postgres');
appears('a worker that waits', 'workers', qr/warning \| (?:sealer|keeper) \| .*(?:waited for \d+ s by process|has to wait)/,
	sub {
		$locker->query_safe('BEGIN; LOCK TABLE medchain.pending IN EXCLUSIVE MODE');
	},
	sub { $locker->query_safe('ROLLBACK'); });
appears('a table that nobody may read', 'workers', qr/could not be looked at/, sub { $locker->query_safe('BEGIN; LOCK TABLE medchain.local_node IN ACCESS EXCLUSIVE MODE'); }, sub { $locker->query_safe('ROLLBACK'); });
$locker->quit;
$alliance->sql('dc', 'SELECT medchain.seal()');
$dc->safe_psql('postgres', 'CREATE DATABASE gone');
$dc->safe_psql('gone', 'CREATE EXTENSION medchain');
$dc->psql('gone', 'SELECT medchain.start_workers()');
$alliance->wait_for('dc', q{SELECT count(*) > 0 FROM pg_stat_activity WHERE datname = 'gone' AND backend_type LIKE 'medchain %'});
like($alliance->sql('dc', q{BEGIN; DELETE FROM pg_database WHERE datname = 'gone'; SELECT finding FROM medchain.check() WHERE area = 'workers'; ROLLBACK}),
	qr/^medchain \w+ works in a database that is gone/m, 'found: a worker of a database that is gone');
unlike(found('dc', 'workers'), qr/gone/, 'mended: a worker of a database that is gone');
appears('DROP DATABASE that was interrupted', 'workers', qr/warning \| gone \| DROP DATABASE was interrupted/,
	q{UPDATE pg_database SET datconnlimit = -2 WHERE datname = 'gone'}, sub { $dc->safe_psql('postgres', 'DROP DATABASE gone') });

# ----- peers and slots

my $subscription = $alliance->sql('en', q{SELECT quote_ident(subscription) FROM medchain.peer WHERE member = 'dc'});
appears('a peer that is away', 'slots', qr/warning \| medchain_en_\w+ \| "en" is away; its slot holds back/,
	sub { $alliance->unfollow('en', 'dc') }, sub { $alliance->follow('en', 'dc') });
appears('a subscription that is disabled', 'peers', qr/warning \| dc \| its subscription is disabled/, sub { $alliance->unfollow('en', 'dc') }, sub { $alliance->follow('en', 'dc') }, node => 'en');
appears('a peer that cannot be reached', 'peers', qr/error \| dc \| (?:it is not being followed|what it sends cannot be applied): could not connect/, sub { $dc->stop }, sub { $dc->start }, node => 'en');
# DROP SUBSCRIPTION is refused; a dump, or somebody's hand, can take it
appears('a subscription that is gone', 'peers', qr/error \| dc \| its subscription was dropped by hand/,
	"UPDATE medchain.peer SET subscription = 'away'", "UPDATE medchain.peer SET subscription = '$subscription'", node => 'en');
appears('a slot of nobody', 'slots', qr/warning \| medchain_nobody_12345678 \| nobody who is a member follows/,
	q{SELECT pg_create_logical_replication_slot('medchain_nobody_12345678', 'pgoutput')}, q{SELECT pg_drop_replication_slot('medchain_nobody_12345678')});
appears('a slot that decodes everything', 'slots', qr/warning \| spy \| output plugin "test_decoding" decodes every change/,
	q{SELECT pg_create_logical_replication_slot('spy', 'test_decoding')}, q{SELECT pg_drop_replication_slot('spy')});
appears('what is in medchain.dropped', 'peers', qr/notice \| en \| 3 entries and blocks that it sent were not kept/,
	q{ALTER TABLE medchain.dropped DISABLE TRIGGER guard_insert; INSERT INTO medchain.dropped VALUES ('en', '', 2, 1, now(), now())},
	'DELETE FROM medchain.dropped; ALTER TABLE medchain.dropped ENABLE ALWAYS TRIGGER guard_insert');
appears('a password in a connection string', 'peers', qr/warning \| en \| its connection string has a password/,
	q{UPDATE medchain.peer SET conninfo = conninfo || ' password=secret'}, q{UPDATE medchain.peer SET conninfo = replace(conninfo, ' password=secret', '')});
appears('a connection that anybody can take over', 'peers', qr/warning \| en \| the connection to it does not make sure/,
	q{UPDATE medchain.peer SET conninfo = conninfo || ' hostaddr=127.0.0.1'}, q{UPDATE medchain.peer SET conninfo = replace(conninfo, ' hostaddr=127.0.0.1', '')});
my $conninfo = $alliance->conninfo('en');
appears('a node that follows nobody', 'peers', qr/warning \| dc \| it follows nobody/, q{SELECT medchain.disconnect_peer('en')}, "SELECT medchain.connect_peer('en', '$conninfo')");

# ----- who gets in, and what he sees then

foreach my $line (
	[ 'host all sync 10.0.0.0/8 trust', qr/error \| .*pg_hba.conf, line 3 \| sync may log in from elsewhere without any proof/ ],
	[ 'local all all trust', qr/warning \| .*, line 3 \| sync may log in without any proof, whoever it is on this machine/ ],
	[ 'hostnossl all +medchain_peer all gss', qr/warning \| .*, line 3 \| sync may follow this node without TLS/ ],
	[ 'hast all all all cert', qr/error \| .*, line 3 \| invalid connection type/ ])
{
	appears("pg_hba.conf: $line->[0]", 'pg_hba', $line->[1], sub { hba($line->[0]) }, \&hba_back);
}
$alliance->sql('dc', q{ALTER ROLE sync PASSWORD 'of its own'});
appears('a password in the clear', 'pg_hba', qr/error \| .*, line 3 \| sync may send a password that everybody on the way reads/, sub { hba('host all all 10.0.0.0/8 password') }, \&hba_back);
appears('a copy of the whole server', 'pg_hba', qr/warning \| .*, line 3 \| sync may have the whole server copied/, sub { hba('local replication sync scram-sha-256') }, \&hba_back);
hba('host all sync all reject', 'host all all 10.0.0.0/8 password');
is(found('dc', 'pg_hba'), '', 'a line behind one that turns it away lets nobody in');
hba_back();
$alliance->sql('dc', 'ALTER ROLE sync PASSWORD NULL');
like(found('dc', 'replication'), qr/^replication \| warning \| output plugin test_decoding \| by it sync can read every change in this database, protected rows included$/m, 'found: an output plugin that a login could use');
appears('a login that may use it', 'replication', qr/by it other, sync can read/, 'ALTER ROLE other REPLICATION', 'ALTER ROLE other NOREPLICATION');
appears('protected tables in a publication', 'replication', qr/warning \| publication leak \| it publishes protected tables \(public.chart\)/, 'CREATE PUBLICATION leak FOR TABLE chart', 'DROP PUBLICATION leak');
appears('more in our publication', 'replication', qr/error \| publication medchain \| it is not as medchain made it/, 'ALTER PUBLICATION medchain ADD TABLE medchain.chain', 'ALTER PUBLICATION medchain DROP TABLE medchain.chain');
appears('no publication', 'replication', qr/error \| publication medchain \| it is missing/, 'ALTER PUBLICATION medchain RENAME TO away', 'ALTER PUBLICATION away RENAME TO medchain');

# ----- roles

appears('another superuser', 'roles', qr/notice \| other \| it is a superuser/, 'ALTER ROLE other SUPERUSER', 'ALTER ROLE other NOSUPERUSER');
appears('BYPASSRLS', 'roles', qr/warning \| other \| it has BYPASSRLS/, 'ALTER ROLE other BYPASSRLS', 'ALTER ROLE other NOBYPASSRLS');
appears('several admins', 'roles', qr/notice \| medchain_admin \| several logins have it: boss, other/, 'GRANT medchain_admin TO other', 'REVOKE medchain_admin FROM other');
appears('a peer that can do more', 'roles', qr/warning \| sync \| it may replicate, and more than a peer has to: CREATEDB, member of medchain_auditor, reads public.chart/,
	'ALTER ROLE sync CREATEDB; GRANT medchain_auditor TO sync; GRANT SELECT ON chart TO sync', 'ALTER ROLE sync NOCREATEDB; REVOKE medchain_auditor FROM sync; REVOKE SELECT ON chart FROM sync');
appears('an admin that acts for somebody else', 'roles', qr/warning \| other \| it acts for "en", and as medchain_admin/,
	q{GRANT medchain_admin TO other; SELECT medchain.bind_role('other', 'en')}, q{REVOKE medchain_admin FROM other; SELECT medchain.bind_role('other', NULL)});

# ----- tables

appears('a trigger that is off', 'tables', qr/error \| public.chart \| trigger medchain_capture on public.chart is missing, disabled/, 'ALTER TABLE chart DISABLE TRIGGER medchain_capture', 'ALTER TABLE chart ENABLE ALWAYS TRIGGER medchain_capture');
appears('row security that is off', 'tables', qr/error \| public.chart \| row security on public.chart is off/, 'ALTER TABLE chart DISABLE ROW LEVEL SECURITY', 'ALTER TABLE chart ENABLE ROW LEVEL SECURITY');
appears('row security that its owner passes by', 'tables', qr/error \| public.chart \| row security on public.chart is not forced/, 'ALTER TABLE chart NO FORCE ROW LEVEL SECURITY', 'ALTER TABLE chart FORCE ROW LEVEL SECURITY');
appears('a policy that is gone', 'tables', qr/error \| public.chart \| policy medchain_may_select on public.chart is missing/, 'DROP POLICY medchain_may_select ON chart', q{SELECT medchain.renew_table('chart', 'for a test')});
appears('an owner with BYPASSRLS', 'tables', qr/warning \| public.chart \| its owner, other, has BYPASSRLS/, 'ALTER TABLE chart OWNER TO other; ALTER ROLE other BYPASSRLS', 'ALTER ROLE other NOBYPASSRLS');
appears('an event trigger that is off', 'tables', qr/error \| medchain_observe_ddl \| this event trigger/, 'ALTER EVENT TRIGGER medchain_observe_ddl DISABLE', 'ALTER EVENT TRIGGER medchain_observe_ddl ENABLE ALWAYS');
appears('what peers send is not looked at', 'tables', qr/error \| medchain.block \| medchain's trigger arrive on it is not enabled always/, 'ALTER TABLE medchain.block ENABLE TRIGGER arrive', 'ALTER TABLE medchain.block ENABLE ALWAYS TRIGGER arrive');

# ----- the ledger, and accesses

appears('quarantine', 'ledger', qr/warning \| en \| 1 blocks in its name are in quarantine, from en: no block/,
	q{ALTER TABLE medchain.quarantine DISABLE TRIGGER guard_insert;
	  INSERT INTO medchain.quarantine (source, origin, height, reason, signed) VALUES ('en', 'en', 7, 'no block', false)},
	'DELETE FROM medchain.quarantine; ALTER TABLE medchain.quarantine ENABLE ALWAYS TRIGGER guard_insert');
appears('a chain that contradicts itself', 'ledger', qr/error \| en \| 1 blocks in its name are in quarantine, from en, signed with its key: another block/,
	q{ALTER TABLE medchain.quarantine DISABLE TRIGGER guard_insert;
	  INSERT INTO medchain.quarantine (source, origin, height, reason, signed) VALUES ('en', 'en', 7, 'another block', true)},
	'DELETE FROM medchain.quarantine; ALTER TABLE medchain.quarantine ENABLE ALWAYS TRIGGER guard_insert');
appears('what another has sent of a chain', 'ledger', qr/warning \| en \| 2 blocks in its name are in quarantine, from hub: bad (?:entry|root)/,
	q{ALTER TABLE medchain.quarantine DISABLE TRIGGER guard_insert;
	  INSERT INTO medchain.quarantine (source, origin, height, reason, note, signed) SELECT 'hub', 'en', height, 'bad entry', note, true FROM medchain.block WHERE origin = 'en' AND height = 0;
	  INSERT INTO medchain.quarantine (source, origin, height, reason, signed) VALUES ('hub', 'en', 7, 'bad root', true)},
	'DELETE FROM medchain.quarantine; ALTER TABLE medchain.quarantine ENABLE ALWAYS TRIGGER guard_insert');
appears('an emergency that nobody has explained', 'access', qr/notice \| en \| it has broken the glass 1 times without saying why since/,
	q{ALTER TABLE medchain.break_glass DISABLE TRIGGER guard_insert;
	  INSERT INTO medchain.break_glass (id, member, origin, seq, subject, reason, valid) VALUES (gen_random_uuid(), 'en', 'en', 0, '\x00', 'test', tstzrange(now(), now() + interval '1 hour'));
	  ALTER TABLE medchain.break_glass ENABLE ALWAYS TRIGGER guard_insert},
	q{DELETE FROM medchain.break_glass});
# what is on the ledger stays there: an update of somebody's record by a member that no protocol lets
my $change = q{jsonb_build_object('kind', 'row.update', 'origin', 'en', 'id', gen_random_uuid(), 'time', medchain_internal.ledger_time(clock_timestamp()), 'actor', 'dc',
	'role', 'postgres', 'subject', encode(medchain.pseudonym('P1'), 'hex'), 'body', '{}'::jsonb)::text};
unlike(found('en', 'access'), qr/./, 'not yet: an access that nothing covers');
$alliance->sql('en', "INSERT INTO medchain.pending (payload) SELECT $change");
$alliance->sql('en', 'SELECT medchain.seal()');
like(found('en', 'access'), qr/^access \| error \| en \| 1 accesses to records that it holds, by dc, were covered by no protocol/m, 'found: an access that nothing covers');

# a block that was sealed some time ago, when its author had no certificate; the one before it was refused, and is not asked for
(my $old = $alliance->sql('en', q{SELECT note FROM medchain.block WHERE origin = 'en' AND height = 0})) =~ s/\nheight 0\n/\nheight 1000\n/;
my $hold = "ALTER TABLE medchain.held_block DISABLE TRIGGER guard_insert; INSERT INTO medchain.held_block (source, origin, height, note)
	VALUES ('en', 'en', 1000, regexp_replace(\$n\$$old\$n\$, E'\\nsealed [^\\n]+', E'\\nsealed ' || to_char(now() AT TIME ZONE 'UTC' - interval '1 hour', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')));
	ALTER TABLE medchain.held_block ENABLE ALWAYS TRIGGER guard_insert";
my $release = 'DELETE FROM medchain.held_block WHERE height = 1000';
$alliance->sql('dc', q{ALTER TABLE medchain.quarantine DISABLE TRIGGER guard_insert;
	INSERT INTO medchain.quarantine (source, origin, height, reason, signed)
		SELECT 'en', o.origin, coalesce(c.height, -1) + 1, 'no block', false FROM (VALUES ('en'), ('new')) o (origin) LEFT JOIN medchain.chain c USING (origin)});
appears('a chain that stands still', 'ledger', qr/warning \| en \| held, certificate, for 3[67]\d\d s/, $hold, $release);
appears('a peer that is behind', 'peers', qr/warning \| en \| its chain is \d+ blocks and 3[67]\d\d s behind/, $hold, $release);
# one that nobody has configured
(my $theirs = $hold) =~ s/'en', 'en', 1000/'en', 'new', 1000/;
appears('a chain that nobody has configured', 'ledger', qr/warning \| new \| held, not configured, for 3[67]\d\d s/, $theirs, $release);
$alliance->sql('dc', 'DELETE FROM medchain.quarantine; ALTER TABLE medchain.quarantine ENABLE ALWAYS TRIGGER guard_insert');

# ----- a peer that was away too long

appears('a slot that is lost', 'slots', qr/error \| medchain_en_\w+ \| "en" was away so long that it cannot go on from here: the WAL is gone/,
	sub {
		$alliance->unfollow('en', 'dc');
		conf(q{max_slot_wal_keep_size = '16MB'})->();
		$alliance->sql('dc', q{SELECT pg_logical_emit_message(true, 'x', 'x'); SELECT pg_switch_wal()}) foreach 1 .. 5;
		$alliance->sql('dc', 'CHECKPOINT');
	},
	sub {
		reset_conf('max_slot_wal_keep_size')->();
		$alliance->sql('en', q{SELECT medchain.resync('dc')});
	});

# ----- a server that was set up wrong, and certificates that end

my $soon = Medchain::Alliance->new(soon => 'data_center', others => ['member']);
$soon->certify('soon', 'soon', ends => time + 20 * 86400 + 3600);
$soon->certify('member', 'member', ends => time + 30 * 86400 + 3600);
my $server = $soon->start('soon');
$soon->found;
like($soon->sql('soon', q{SELECT concat_ws(' | ', severity, subject, finding) FROM medchain.check() WHERE area = 'certificates'}),
	qr/^warning \| soon \| the certificate of "soon" ends in 20 days$/m, 'found: the end of its own certificate');
$soon->{kind}{member} = 'chain_node';
$soon->admit('member');
like($soon->sql('soon', q{SELECT concat_ws(' | ', severity, subject, finding) FROM medchain.check() WHERE area = 'certificates'}),
	qr/^notice \| member \| certificate or contract ends in 30 days, or later$/m, "found: that of a member's");
$server->append_conf('postgresql.conf', 'wal_level = replica');
$server->restart;
like($soon->sql('soon', q{SELECT concat_ws(' | ', severity, subject, finding) FROM medchain.check() WHERE area = 'settings'}),
	qr/^error \| wal_level \| it is "replica": no peer can follow$/m, 'found: a WAL that nobody can follow');
$server->append_conf('postgresql.conf', "wal_level = logical\nshared_preload_libraries = ''");
$server->restart;
my $unloaded = $soon->sql('soon', q{SELECT concat_ws(' | ', area, severity, subject, finding) FROM medchain.check()});
like($unloaded, qr/^settings \| error \| shared_preload_libraries \| the server was started without medchain$/m, 'found: a server without medchain');
unlike($unloaded, qr/could not be looked at/, 'where the rest of it can be looked at');

# ----- elsewhere: a copy, a standby

$dc->backup('copy');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($dc, 'copy', has_streaming => 1);
$standby->start;
$dc->wait_for_catchup($standby, 'replay', $dc->lsn('insert'));
my $there = $standby->safe_psql('postgres', q{SELECT concat_ws(' | ', area, severity, subject, finding) FROM medchain.check()});
like($there, qr/^node \| notice \| postgres \| this server is a standby: workers, slots and subscriptions are at its primary, and were not looked at$/m, 'a standby says what it cannot see');
unlike($there, qr/could not be looked at|^workers|^peers|^slots/m, 'and nothing of what it cannot know');
$standby->stop;

$dc->safe_psql('postgres', 'CREATE DATABASE copied');
my $dump = PostgreSQL::Test::Utils::tempdir() . '/dump';
$dc->run_log([ 'pg_dump', '-Fc', '-f', $dump, '-d', $dc->connstr('postgres') ]);
$dc->run_log([ 'pg_restore', '-d', $dc->connstr('copied'), $dump ]);
$there = $dc->safe_psql('copied', q{SELECT concat_ws(' | ', area, severity, subject, finding) FROM medchain.check()});
like($there, qr/^node \| warning \| copied \| this database is a copy of node "dc": it seals nothing and follows nobody$/m, 'a copy says that it is one');
unlike($there, qr/could not be looked at|^peers|^workers/m, 'and complains of nothing that it need not do');

done_testing();
