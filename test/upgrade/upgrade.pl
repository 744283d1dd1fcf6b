# pg_upgrade of a data centre, with medchain preloaded in both clusters: see test/upgrade/run.
use strict;
use warnings;

use Medchain::Alliance;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $installation = $ENV{MEDCHAIN_OLD_INSTALLATION} or die "run by test/upgrade/run\n";
$ENV{LD_LIBRARY_PATH} = $ENV{MEDCHAIN_OLD_LIBRARIES};

my $alliance = Medchain::Alliance->new(dc => 'data_center', en => 'end_node');
my $old = Medchain::Alliance->new_cluster('old', install_path => $installation, initdb => ['--data-checksums']);

$old->start;
$alliance->start('dc', cluster => $old, dbname => 'hospital');
$alliance->establish;
$alliance->sql('dc', q{
	CREATE ROLE app_a LOGIN;
	CREATE TYPE finding AS ENUM ('benign', 'malignant');
	CREATE TABLE diagnosis (case_no int PRIMARY KEY, patient_id text NOT NULL, gone int, finding finding NOT NULL DEFAULT 'benign')
		PARTITION BY RANGE (case_no);
	CREATE TABLE diagnosis_1 PARTITION OF diagnosis FOR VALUES FROM (0) TO (100);
	CREATE TABLE diagnosis_2 PARTITION OF diagnosis FOR VALUES FROM (100) TO (200);
	ALTER TABLE diagnosis DROP COLUMN gone;
	INSERT INTO diagnosis SELECT i, 'P' || i FROM generate_series(1, 120) i;
	SELECT medchain.protect('diagnosis', 'patient_id');
	UPDATE diagnosis SET finding = 'malignant' WHERE case_no < 4;
	CREATE TABLE device_log (id int PRIMARY KEY CHECK (id > 0), what text, at timestamptz DEFAULT now());
	INSERT INTO device_log (id, what) VALUES (1, 'installed');
	CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
	CREATE TRIGGER stamp BEFORE UPDATE OF what ON device_log FOR EACH ROW WHEN (OLD.what IS DISTINCT FROM NEW.what) EXECUTE FUNCTION stamp();
	SELECT medchain.ledger_table('device_log');
	GRANT SELECT ON diagnosis TO app_a;
	SELECT medchain.bind_role('app_a', 'en')});
$alliance->sql('en', q{SELECT medchain.issue_protocol('P1', 'text', '[{"grantee": "en", "operations": ["query"]}]')});
$alliance->wait_for_equal_heads;
$alliance->equal_ok;

my $agree = 'SELECT count(*) FROM medchain.row_table t, LATERAL medchain.verify_table(t.relation)';
my ($heads, $state) = ($alliance->heads('dc'), $alliance->state('dc'));
is($alliance->sql('dc', $agree), '0', 'before: tables and ledger agree');
is($old->safe_psql('hospital', 'SET ROLE app_a; SELECT count(*) FROM diagnosis'), '0', 'before: a protected table is closed');
my $followed = $alliance->sql('en', q{SELECT subscription FROM medchain.peer WHERE member = 'dc'});
$old->wait_for_catchup($followed);
$old->stop('fast');

# at the same address, as its peers know no other
my $new = Medchain::Alliance->new_cluster('new', port => $old->port, initdb => ['--data-checksums']);
my ($old_bin, $new_bin) = map { chomp(my $dir = `$_ --bindir`); $dir } "$installation/bin/pg_config", 'pg_config';
$new_bin = (split(/:/, $ENV{PATH}))[0];
my @upgrade = ('pg_upgrade', '--no-sync', '-d', $old->data_dir, '-D', $new->data_dir, '-b', $old_bin, '-B', $new_bin,
	'-s', $new->host, '-p', $old->port, '-P', $new->port);
chdir(PostgreSQL::Test::Utils::tempdir()) or die $!;
command_ok(\@upgrade, 'pg_upgrade, with medchain preloaded in both clusters')
  or diag(map { PostgreSQL::Test::Utils::slurp_file($_) } glob($new->data_dir . '/pg_upgrade_output.d/*/log/*'));
chdir('/src') or die $!;
$new->start;
$alliance->{node}{dc} = { cluster => $new, dbname => 'hospital' };

is($alliance->heads('dc'), $heads, 'heads are what they were');
is($alliance->state('dc'), $state, 'state is what it was');
is($alliance->sql('dc', q{SELECT count(*) FROM medchain.verify() WHERE NOT ok}), '0', 'the chains verify');
is($alliance->sql('dc', 'SELECT medchain.is_copy()'), 't', 'it cannot know that the old cluster will not go on');
my $acting = q{SELECT coalesce(medchain.current_member(), 'nobody')};
is($new->safe_psql('hospital', $acting, extra_params => [ '-U', 'app_a' ]), 'nobody', 'nor which roles of the new one are meant');
$alliance->fails_like('dc', q{SELECT medchain.append('visit', '{}')}, qr/copy of node "dc".*take_over/s, 'and asks');

$alliance->sql('dc', 'SELECT medchain.take_over()');
is($alliance->sql('dc', 'SELECT medchain.is_copy()'), 'f', 'it is told that it is the node');
is($new->safe_psql('hospital', $acting, extra_params => [ '-U', 'app_a' ]), 'en', 'and that those of the same names are');
is($alliance->sql('dc', $agree), '0', 'tables and ledger agree');
# since 17, subscriptions and logical slots go along
$alliance->sql('dc', q{SELECT medchain.resync(member) FROM medchain.peers WHERE state IN ('disabled', 'subscription missing')});
$alliance->sql('en', q{SELECT medchain.resync('dc')})
  if $alliance->sql('dc', 'SELECT count(*) FROM pg_replication_slots') eq '0';
$alliance->sql('dc', q{SELECT medchain.seal()});
is($alliance->sql('dc', q{SELECT count(*) FROM medchain.entry WHERE kind = 'table.alter'}), '0', 'another version of PostgreSQL is no DDL');

$alliance->sql('dc', q{
	UPDATE diagnosis SET finding = 'malignant' WHERE case_no IN (50, 110);
	INSERT INTO device_log (id, what) VALUES (2, 'upgraded');
	ALTER TABLE device_log ADD COLUMN place text});
$alliance->wait_for_equal_heads;
is($alliance->sql('dc', q{SELECT count(*) FROM medchain.entry WHERE kind = 'table.alter'}), '1', 'tables are watched');
is($alliance->sql('dc', $agree), '0', 'and what is done to them is on the ledger');
$alliance->sql('en', q{SELECT medchain.issue_protocol('P2', 'text', '[{"grantee": "en", "operations": ["query"]}]')});
$alliance->wait_for_equal_heads;
$alliance->equal_ok;
$alliance->verify_ok;
is($new->safe_psql('hospital', 'SET ROLE app_a; SELECT count(*) FROM diagnosis'), '0', 'a protected table is closed');
is($alliance->sql('en', 'SELECT count(*) FROM medchain.quarantine'), '0', 'its peer has nothing to say against it');
$alliance->check_logs;
done_testing();
