# pgaudit (Debian package postgresql-NN-pgaudit) beside medchain, loaded before it and behind it.
# needs: debian postgresql-NN-pgaudit
use strict;
use warnings;

use Medchain::Application;
use PostgreSQL::Test::Utils;
use Test::More;

my $audit = qq{pgaudit.log = 'all'\npgaudit.log_parameter = on\npgaudit.log_relation = on\npgaudit.log_level = log\npgaudit.role = 'auditor'};
my $app = Medchain::Application->new(conf => "shared_preload_libraries = 'pgaudit, medchain'\n$audit");
my $alliance = $app->alliance;
my $cluster = $app->cluster;

$app->sql(q{
	CREATE EXTENSION pgaudit; CREATE ROLE auditor; GRANT medchain_admin TO keeper;
	SELECT medchain.bind_role('keeper', 'dc')});
$app->permit('P1');
$app->permit($_, 'dc') foreach qw(P1 P2);

# What was logged since a place in the log.
sub logged { my ($from) = @_; return substr(slurp_file($cluster->logfile), $from); }
sub place { return -s $cluster->logfile; }

foreach my $order ('pgaudit, medchain', 'medchain, pgaudit')
{
	my $name = $order =~ /^pgaudit/ ? 'before' : 'behind';

	$cluster->append_conf('postgresql.conf', "shared_preload_libraries = '$order'");
	$cluster->restart;
	my $from = place();
	$app->sql(qq{
		CREATE TABLE clinic.visit_$name (id int PRIMARY KEY, patient text NOT NULL, note text);
		CREATE TABLE clinic.record_$name (id int PRIMARY KEY, patient text NOT NULL, note text);
		SELECT medchain.ledger_table('clinic.visit_$name'), medchain.protect('clinic.record_$name', 'patient');
		INSERT INTO clinic.visit_$name SELECT i, 'P' || (1 + i % 2), 'x' FROM generate_series(1, 10) i;
		INSERT INTO clinic.record_$name SELECT * FROM clinic.visit_$name;
		ALTER TABLE clinic.visit_$name ADD COLUMN more text DEFAULT 'y';
		GRANT SELECT ON clinic.record_$name TO auditor;
		UPDATE clinic.visit_$name SET note = 'z' WHERE id = 1;
		DELETE FROM clinic.visit_$name WHERE id = 2}, 'keeper');
	is($app->changes("clinic.visit_$name"), 'insert 10, update 11, delete 1', "$name: changes are on the ledger");
	is($app->changes("clinic.record_$name"), 'insert 10', "$name: of protected rows, too");
	is($app->sql("SELECT count(*) FROM clinic.record_$name", 'reader'), '5', "$name: the reader sees what he may");
	is($app->sql("SELECT count(*) FROM clinic.record_$name", 'stranger'), '0', "$name: a stranger nothing");
	$app->sound_ok($name);

	my $log = logged($from);
	my $count = () = $log =~ /AUDIT: SESSION,\d+,\d+,WRITE,UPDATE,TABLE,clinic\.visit_$name,/g;
	is($count, 1, "$name: pgaudit tells of an update once");
	like($log, qr/AUDIT: OBJECT,\d+,\d+,READ,SELECT,TABLE,clinic\.record_$name,/, "$name: and of who reads what the auditor may");
	like($log, qr/AUDIT: SESSION,\d+,\d+,DDL,ALTER TABLE,TABLE,clinic\.visit_$name,/, "$name: and of DDL");

	# a password in a connection string is in no line of either
	$from = place();
	$app->error(q{SELECT medchain.connect_peer('ha', 'host=127.0.0.1 port=1 dbname=x user=y password=Geheim#1 connect_timeout=1')});
	$app->error(q{PREPARE p (text) AS SELECT medchain.connect_peer('ha', $1); EXECUTE p('host=127.0.0.1 port=1 password=Geheim#1')});
	unlike(logged($from), qr/Geheim/, "$name: a peer's password is not in the log");
	like(logged($from), qr/AUDIT: .*connect_peer/, "$name: the call is");
	is($app->sql(q{SELECT count(*) FROM medchain.members WHERE state = 'active'}), '3', "$name: the alliance goes on");
}

# what medchain does inside of a call, and its workers all day, is no news to an auditor of statements
my $from = place();
$alliance->sql('en', q{SELECT medchain.log_diagnosis(id, '{"note": 1}') FROM medchain.protocol LIMIT 1});
$alliance->wait_for_equal_heads;
unlike(logged($from), qr/medchain (?:sealer|keeper).*AUDIT/, 'workers are not audited');
$alliance->check_logs;
done_testing();
