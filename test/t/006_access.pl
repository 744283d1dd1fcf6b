# Who sees and changes what: at the data centre by role binding and by TLS client
# certificate, and from a hospital's own database through postgres_fdw.
use strict;
use warnings;

use Medchain::Alliance;
use PostgreSQL::Test::Utils;
use Test::More;

my $alliance = Medchain::Alliance->new(
	dc => 'data_center', en => 'end_node', ha => 'chain_node', hb => 'chain_node', others => ['stranger']);
my $pki = $alliance->pki('');

# a certificate of the alliance's CA that carries a member's name, with a key of its own
$alliance->certify('lookalike', 'ha');

my $dc = $alliance->start_tls('dc');
$alliance->establish;

$alliance->sql('dc', q{
	CREATE TABLE diagnosis (case_no int PRIMARY KEY, patient_id text NOT NULL, finding text);
	INSERT INTO diagnosis SELECT i, 'P' || i, 'benign' FROM generate_series(1, 20) i;
	SELECT medchain.protect('diagnosis', 'patient_id');
	CREATE ROLE app_a LOGIN; CREATE ROLE app_b LOGIN; CREATE ROLE nobody LOGIN; CREATE ROLE mighty LOGIN IN ROLE app_a;
	GRANT SELECT, INSERT, UPDATE, DELETE ON diagnosis TO app_a, app_b, nobody, mighty;
	SELECT medchain.bind_role('app_a', 'ha'), medchain.bind_role('app_b', 'hb')});
sub issue
{
	my ($patient, $grants, $valid) = @_;
	return $alliance->sql('en', "SELECT medchain.issue_protocol('$patient', 'text', '$grants', valid => " . (defined $valid ? "'$valid'" : 'NULL') . ')');
}
my $first = issue('P1', '[{"grantee": "ha", "operations": ["query", "update"]}]');
issue('P2', '[{"grantee": "ha", "operations": ["query"]}, {"grantee": "hb", "operations": ["query"]}]');
issue('P3', '[{"grantee": "hb", "operations": ["query"], "records": ["public.other"]}]');
issue('P4', '[{"grantee": "ha", "operations": ["query"]}]', '[2020-01-01, 2021-01-01)');
issue('P5', '[{"grantee": "ha", "operations": ["query"], "valid": "[2020-01-01, 2021-01-01)"}]');
$alliance->wait_for_equal_heads;

my $visible = q{SELECT coalesce(string_agg(patient_id, ',' ORDER BY case_no), 'none') FROM diagnosis};

sub as_role
{
	my ($role, $sql) = @_;
	return $alliance->sql('dc', $sql, extra_params => [ '-U', $role ]);
}

# What comes out of a session with a certificate, errors included.
sub over_tls { return $alliance->over_tls('dc', @_); }

# ----- by role

is(as_role('app_a', $visible), 'P1,P2', 'ha sees the subjects it has grants for now');
is(as_role('app_b', $visible), 'P2', 'hb those it has grants for, for these records');
is(as_role('nobody', $visible), 'none', 'who acts for nobody sees nothing');
is(as_role('app_a', q{UPDATE diagnosis SET finding = 'malignant' RETURNING patient_id}), 'P1', 'ha changes what it may update');
is(as_role('app_b', q{UPDATE diagnosis SET finding = 'malignant' RETURNING patient_id}), '', 'hb nothing');
is(as_role('app_b', q{DELETE FROM diagnosis RETURNING patient_id}), '', 'and removes nothing');
is(as_role('mighty', "SET ROLE app_a; SELECT medchain.current_member() IS NULL; $visible"), "t\nnone", 'SET ROLE to a bound role gains nothing');
is($alliance->sql('dc', "SET SESSION AUTHORIZATION app_a; SELECT medchain.current_member() IS NULL; $visible"), "t\nnone", 'nor SET SESSION AUTHORIZATION, even by a superuser');
is(as_role('app_a', "SET ROLE app_a; SELECT medchain.current_member(); $visible"), "ha\nP1,P2", 'and who is bound stays bound');

# ----- by certificate

is(over_tls('nobody', 'ha', "SELECT medchain.current_member(); $visible"), "ha\nP1,P2", 'a member\'s certificate decides, whatever role logs in');
is(over_tls('app_b', 'ha', 'SELECT medchain.current_member()'), 'ha', 'also against the role\'s binding');
is(over_tls('nobody', 'stranger', "SELECT medchain.current_member() IS NULL; $visible"), "t\nnone", 'a certificate of the same CA that was never admitted gains nothing');
is(over_tls('nobody', 'lookalike', "SELECT medchain.current_member() IS NULL; $visible"), "t\nnone", 'nor does one with a member\'s name');
like(over_tls('nobody', 'rogue', 'SELECT 1'), qr/alert|certificate|SSL/, 'one of another CA does not get in');

# ----- from the hospital's own database

my $port = $dc->port;
$alliance->sql('ha', qq{
	CREATE EXTENSION postgres_fdw;
	CREATE ROLE doctor LOGIN;
	CREATE SERVER data_centre FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host 'dc', hostaddr '127.0.0.1', port '$port', dbname 'postgres',
		sslmode 'verify-full', sslrootcert '$pki/ca.crt');
	CREATE USER MAPPING FOR doctor SERVER data_centre OPTIONS (user 'nobody', sslcert '$pki/ha.crt', sslkey '$pki/ha.key', password_required 'false');
	CREATE FOREIGN TABLE diagnosis (case_no int, patient_id text, finding text) SERVER data_centre;
	GRANT SELECT, UPDATE ON diagnosis TO doctor});
sub doctor { my ($sql) = @_; return $alliance->sql('ha', $sql, extra_params => [ '-U', 'doctor' ]); }
is(doctor($visible), 'P1,P2', 'through postgres_fdw the hospital sees its subjects');
is(doctor(q{UPDATE diagnosis SET finding = 'seen' WHERE patient_id IN ('P1', 'P2', 'P3') RETURNING patient_id}), 'P1', 'and changes what it may');
is(doctor(q{SELECT count(*) FROM diagnosis WHERE patient_id = 'P3'}), '0', 'of others it gets no rows');
$alliance->wait_for_equal_heads;
is($alliance->sql('ha', q{SELECT origin, actor FROM medchain.diagnosis_log('P1') WHERE kind = 'row.update' ORDER BY time DESC LIMIT 1}), 'dc|ha',
	'the change is in the diagnosis log, with who did it, in its own database');

# ----- a revocation binds the next statement, whichever way it comes

$alliance->sql('en', "SELECT medchain.revoke_protocol('$first', 'over')");
$alliance->wait_for_equal_heads;
is(as_role('app_a', $visible), 'P2', 'after the revocation not by role');
is(doctor($visible), 'P2', 'nor through postgres_fdw');
is(doctor(q{UPDATE diagnosis SET finding = 'again' RETURNING patient_id}), '', 'nor can it be changed');
is($alliance->sql('dc', q{SELECT count(*) FROM medchain.verify_table('diagnosis')}), '0', 'the table is what the ledger says');
$alliance->verify_ok;
$alliance->check_logs;
done_testing();
