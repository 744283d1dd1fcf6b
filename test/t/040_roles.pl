# Roles that act for a member are roles, and not names: who gets the name of one does not act for the member, who is renamed
# still does, and whatever becomes of one, wherever on the server, is on the ledger.
use strict;
use warnings;

use Medchain::Alliance;
use PostgreSQL::Test::Utils;
use Test::More;

my $alliance = Medchain::Alliance->new(dc => 'data_center', en => 'end_node', ha => 'chain_node', hb => 'chain_node');

$alliance->establish;
my $cluster = $alliance->cluster('dc');
$alliance->sql('dc', q{
	CREATE TABLE diagnosis (case_no int PRIMARY KEY, patient_id text NOT NULL);
	INSERT INTO diagnosis SELECT i, 'P' || i FROM generate_series(1, 3) i;
	SELECT medchain.protect('diagnosis', 'patient_id');
	GRANT SELECT ON diagnosis TO PUBLIC;
	CREATE ROLE app_ha LOGIN;
	CREATE ROLE app_hb LOGIN;
	CREATE ROLE other LOGIN;
	SELECT medchain.bind_role('app_ha', 'ha'), medchain.bind_role('app_hb', 'hb')});
$alliance->sql('en', q{SELECT medchain.issue_protocol('P1', 'text', '[{"grantee": "ha", "operations": ["query"]}]')});
$alliance->wait_for_equal_heads;
$cluster->safe_psql('postgres', 'CREATE DATABASE elsewhere');

# The member that a login acts for at the data centre, and the rows that it sees.
sub acts
{
	my ($role, $sql) = @_;
	return $cluster->safe_psql('postgres', ($sql || '') . q{SELECT coalesce(medchain.current_member(), 'nobody') || ' ' || (SELECT count(*) FROM diagnosis)}, extra_params => [ '-U', $role ]);
}

sub elsewhere { return $cluster->safe_psql('elsewhere', $_[0]); }

# What the ledger says of bindings, but those that somebody has asked for.
sub said
{
	return $alliance->sql('en', q{SELECT string_agg(concat_ws(' ', b ->> 'cause', b ->> 'role', coalesce(b ->> 'member', 'nobody')), ', ' ORDER BY seq)
		FROM (SELECT seq, payload::jsonb -> 'body' AS b FROM medchain.entry WHERE origin = 'dc' AND kind = 'bind_role') x WHERE b ? 'cause'});
}

# A test: the ledger says this, here and elsewhere, and the tables are as it says.
sub said_ok
{
	my ($expected, $title) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	(my $literal = $expected) =~ s/'/''/g;
	$alliance->wait_for('en', qq{SELECT '$literal' = (SELECT string_agg(concat_ws(' ', b ->> 'cause', b ->> 'role', coalesce(b ->> 'member', 'nobody')), ', ' ORDER BY seq)
		FROM (SELECT seq, payload::jsonb -> 'body' AS b FROM medchain.entry WHERE origin = 'dc' AND kind = 'bind_role') x WHERE b ? 'cause')});
	is(said(), $expected, $title);
	is($alliance->sql('dc', q{SELECT string_agg(concat_ws(' ', origin, fault, detail), '; ') FROM medchain.verify() WHERE NOT ok}), '', '... and verify() finds it in order');
}

is(acts('app_ha'), 'ha 1', 'a role that is bound');
is(acts('other'), 'nobody 0', 'one that is not');

# ----- another role gets the name

elsewhere('ALTER ROLE app_ha RENAME TO hospital; CREATE ROLE app_ha LOGIN');
is(acts('app_ha'), 'nobody 0', 'who gets the name of a role that was renamed acts for nobody');
is(acts('hospital'), 'ha 1', 'who was renamed acts for whom he acted');
said_ok('renamed hospital ha', 'the ledger says what it is called now');
is(acts('hospital'), 'ha 1', 'and it still acts');
is(acts('app_ha'), 'nobody 0', 'the other one still does not');
is(acts('other', 'SET SESSION AUTHORIZATION DEFAULT; RESET ROLE;'), 'nobody 0', 'nor does who sets his role');

# ----- names are swapped

$alliance->sql('dc', 'BEGIN; ALTER ROLE hospital RENAME TO x; ALTER ROLE app_hb RENAME TO hospital; ALTER ROLE x RENAME TO app_hb; COMMIT');
is(acts('app_hb'), 'ha 1', 'the first with the name of the second');
is(acts('hospital'), 'hb 0', 'the second with that of the first');
said_ok('renamed hospital ha, renamed app_hb ha, renamed hospital hb', 'the ledger says both');
is(acts('app_hb') . acts('hospital'), 'ha 1hb 0', 'as it was');

# ----- the role is dropped, and there is another one of the name

my $session = $cluster->background_psql('postgres', on_error_stop => 0, extra_params => [ '-U', 'app_hb' ]);
is($session->query_safe(q{SELECT medchain.current_member()}), 'ha', 'a session of a role');
elsewhere('DROP ROLE app_hb; CREATE ROLE app_hb LOGIN');
is($session->query_safe(q{SELECT coalesce(medchain.current_member(), 'nobody') || ' ' || (SELECT count(*) FROM diagnosis)}), 'nobody 0', '... that is dropped acts for nobody, that moment');
$session->quit;
is(acts('app_hb'), 'nobody 0', 'nor does the next one of that name');
said_ok('renamed hospital ha, renamed app_hb ha, renamed hospital hb, dropped app_hb nobody', 'the ledger says that the binding has ended');
is($alliance->sql('dc', q{SELECT string_agg(role || ' ' || member, ', ') FROM medchain.role_binding}), 'hospital hb', 'so does the state');
is($alliance->sql('dc', q{SELECT count(*) FROM medchain.bound_role}), '1', 'and what the node knows of it is gone');

# ----- dropped and made again before anybody has looked

$alliance->sql('dc', q{SELECT medchain.bind_role('app_ha', 'ha')});
is(acts('app_ha'), 'ha 1', 'bound again');
elsewhere('DROP ROLE app_ha; CREATE ROLE app_ha LOGIN');
$alliance->sql('dc', q{SELECT medchain.bind_role('app_ha', 'hb')});
is(acts('app_ha'), 'hb 0', 'a role of the same name, bound to another member at once');
said_ok('renamed hospital ha, renamed app_hb ha, renamed hospital hb, dropped app_hb nobody, dropped app_ha nobody', 'that the first is gone ends the first alone');
is(acts('app_ha'), 'hb 0', 'and not the second');

# ----- what is rolled back has not happened; nor does a savepoint leave anything behind

$alliance->sql('dc', q{BEGIN; ALTER ROLE app_ha RENAME TO mayfly; DROP ROLE hospital; ROLLBACK});
is(acts('app_ha') . acts('hospital'), 'hb 0hb 0', 'a rename and a drop that are rolled back');
$alliance->sql('dc', q{BEGIN; SAVEPOINT s; SELECT medchain.bind_role('app_ha', 'ha'); ROLLBACK TO s; SELECT medchain.bind_role('app_ha', 'hb'); COMMIT});
is(acts('app_ha'), 'hb 0', 'a binding that is rolled back');
said_ok('renamed hospital ha, renamed app_hb ha, renamed hospital hb, dropped app_hb nobody, dropped app_ha nobody', 'the ledger says nothing of it');

# ----- names of all kinds; in another encoding they are no text here

$alliance->sql('dc', 'CREATE ROLE plain LOGIN');
my $called = 'plain';
my $so_far = said();
my $quoted = sub { my ($name) = @_; $name =~ s/"/""/g; return qq{"$name"} };
$alliance->sql('dc', q{SELECT medchain.bind_role('plain', 'ha')});
foreach my $name ('a"b', q{it's}, 'Public', ' ', 'x' x 63, "\xc3\xa4" x 31, 'NULL', '{}', 'a,b\\', "\t", '0', '-')
{
	elsewhere('ALTER ROLE ' . $quoted->($called) . ' RENAME TO ' . $quoted->($name));
	$called = $name;
	is(acts($name), 'ha 1', "a role called $name");
	said_ok("$so_far, renamed $name ha", '... is called so on the ledger');
	$so_far = said();
	(my $ident = $quoted->($name)) =~ s/'/''/g;
	$alliance->sql('dc', qq{SELECT medchain.bind_role('$ident', 'ha')});
}
elsewhere(q{CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'});
$cluster->safe_psql('latin', qq{SET client_encoding = 'LATIN1'; ALTER ROLE "-" RENAME TO "\xe4rztin"});
is(acts("\xe4rztin"), 'ha 1', 'a role whose name is no text in this encoding');
said_ok("$so_far, renamed base64:5HJ6dGlu ha", '... has one on the ledger all the same');
$cluster->safe_psql('latin', qq{SET client_encoding = 'LATIN1'; ALTER ROLE "\xe4rztin" RENAME TO plain});
said_ok("$so_far, renamed base64:5HJ6dGlu ha, renamed plain ha", 'and another one again');
$alliance->fails_like('dc', "SELECT medchain.bind_role('$_', 'ha')", qr/ERROR:  role ".*" does not exist/, "there is no role $_") foreach qw(public none);
elsewhere('DROP ROLE plain');
said_ok("$so_far, renamed base64:5HJ6dGlu ha, renamed plain ha, dropped plain nobody", 'it is gone');

# ----- what has no right to a role's name has nothing to do with it

$alliance->sql('dc', 'DROP OWNED BY app_ha; REASSIGN OWNED BY app_ha TO other; GRANT app_ha TO other');
is(acts('app_ha') . acts('other', 'SET ROLE app_ha;'), 'hb 0nobody 0', 'what a role owns, and who is a member of it, changes nothing');
$alliance->sql('dc', q{SELECT medchain.bind_role('app_ha', 'ha')});
is(acts('app_ha'), 'ha 1', 'a role that is bound to another member');
is($alliance->sql('dc', q{SELECT string_agg(role || ' ' || member, ', ' ORDER BY role) FROM medchain.role_binding}), 'app_ha ha, hospital hb', '... is bound once');
$alliance->sql('dc', q{SELECT medchain.bind_role('app_ha', NULL)});
is(acts('app_ha'), 'nobody 0', 'and to nobody');
$alliance->fails_like('dc', 'SELECT medchain.bind_role(1, NULL)', qr/there is no role with oid 1.*HINT:/s, 'a number that is no role');

# ----- a hand in the tables

$alliance->sql('dc', q{SELECT medchain.bind_role('app_ha', 'ha')});
my $before = said();
$alliance->sql('dc', q{UPDATE medchain.bound_role SET role = 'other'::regrole WHERE role = 'app_ha'::regrole});
like($alliance->sql('dc', q{SELECT detail FROM medchain.verify() WHERE NOT ok}), qr/^bound_role \d+: by the ledger it is called app_ha, here other$/, 'whom the node takes for a role is seen by verify()');
$alliance->sql('dc', q{SELECT medchain.bind_role('app_hb', NULL)});
said_ok("$before, renamed other ha", 'and is on the ledger as soon as the keeper looks');
my ($rc, undef, $err) = $alliance->try('dc', q{INSERT INTO medchain.bound_role SELECT medchain_internal.server_identifier(), 'app_hb'::regrole, ARRAY[gen_random_uuid()]});
ok($rc != 0, 'rows of its own it has nobody insert');
$alliance->sql('dc', q{UPDATE medchain.role_binding SET member = 'hb' WHERE role = 'other'});
like($alliance->sql('dc', q{SELECT detail FROM medchain.verify() WHERE NOT ok}), qr/^role_binding other, entry \S+: column member is "hb", by the ledger "ha"$/, 'whom a role acts for is by the ledger');
$alliance->sql('dc', q{UPDATE medchain.role_binding SET member = 'ha' WHERE role = 'other'});
$alliance->sql('dc', q{UPDATE medchain.bound_role SET entries = ARRAY[gen_random_uuid()] WHERE role = 'other'::regrole});
like($alliance->sql('dc', q{SELECT detail FROM medchain.verify() WHERE NOT ok}),
	qr/^bound_role \d+: the ledger knows no entry \S+ that binds it\nrole_binding other, entry \S+: it is not known which role that is$/, 'so is which entry it is that binds it');
$alliance->sql('dc', q{UPDATE medchain.bound_role o SET entries = ARRAY[r.entry] FROM medchain.role_binding r WHERE r.role = 'other' AND o.role = 'other'::regrole});
is(acts('other'), 'ha 1', 'as it was');

# ----- a standby is the node's own

my $acting = q{SELECT coalesce(medchain.current_member(), 'nobody')};
$alliance->sql('dc', q{CREATE ROLE passing LOGIN; SELECT medchain.bind_role('passing', 'hb')});
$cluster->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($cluster, 'base', has_streaming => 1);
$standby->start;
is($standby->safe_psql('postgres', $acting, extra_params => [ '-U', 'passing' ]), 'hb', 'a role on a standby');
elsewhere('DROP ROLE passing; CREATE ROLE passing LOGIN');
$alliance->wait_for('dc', q{SELECT count(*) = 2 FROM medchain.role_binding});
$cluster->wait_for_catchup($standby);
is($standby->safe_psql('postgres', $acting, extra_params => [ '-U', $_->[0] ]), $_->[1], "then $_->[0] acts there for $_->[1]") foreach [ 'other', 'ha' ], [ 'passing', 'nobody' ];

# ----- copies: roles are the same on the same server, and others elsewhere, until somebody says that they are to be

$alliance->sql('dc', 'SELECT medchain.seal()');
my $dump = PostgreSQL::Test::Utils::tempdir() . '/dump';
# without what is read of protected tables, which would be on the ledger behind it
$cluster->run_log([ 'pg_dump', '-Fc', '--exclude-table-data=diagnosis', '-f', $dump, '-h', $cluster->host, '-p', $cluster->port, 'postgres' ]);
$cluster->safe_psql('elsewhere', 'CREATE DATABASE copy');
$cluster->run_log([ 'pg_restore', '-d', 'copy', '-h', $cluster->host, '-p', $cluster->port, $dump ]);
is($cluster->safe_psql('copy', $acting, extra_params => [ '-U', 'other' ]), 'ha', 'a copy on the same server has the same roles');
$cluster->safe_psql('elsewhere', 'DROP DATABASE copy');
$cluster->wait_for_catchup($standby);
my $second = Medchain::Alliance->new_cluster('second');
$second->append_conf('postgresql.conf', "medchain.pseudonym_key_file = '" . $alliance->pki('pseudonym.key') . "'\nmedchain.signing_key = '" . $alliance->pki('dc.key') . "'");
$second->start;
# the same number, if it comes to the worst
my $number = $alliance->sql('dc', q{SELECT role FROM medchain.bound_role WHERE role = 'other'::regrole});
$second->safe_psql('postgres', 'CREATE ROLE other LOGIN; CREATE ROLE thief LOGIN; CREATE ROLE sync LOGIN REPLICATION');
$second->safe_psql('postgres', "SET allow_system_table_mods = on; UPDATE pg_authid SET oid = $number WHERE rolname = 'thief'");
$second->safe_psql('postgres', 'CREATE DATABASE copy');
$second->run_log([ 'pg_restore', '-d', 'copy', '-h', $second->host, '-p', $second->port, $dump ]);
is($second->safe_psql('copy', $acting, extra_params => [ '-U', $_ ]), 'nobody', "on another one $_ acts for nobody") foreach qw(other thief);
$cluster->stop;
my ($status, $out, $notices) = $second->psql('copy', 'SELECT medchain.take_over()');
like($notices, qr/these roles of this server act for members: other\n.*HINT:  Are they the same.*these roles acted for members and are not here: hospital/s, 'who takes over is told whose names these are') or diag("$status $out");
is($second->safe_psql('copy', $acting, extra_params => [ '-U', 'other' ]), 'ha', 'then the role of that name does');
is($second->safe_psql('copy', $acting, extra_params => [ '-U', 'thief' ]), 'nobody', 'the one of that number still does not');
$second->poll_query_until('copy', q{SELECT string_agg(role, ',') FROM medchain.role_binding}, 'other') or die 'timed out';
is($second->safe_psql('copy', q{SELECT string_agg(concat_ws(' ', detail), '; ') FROM medchain.verify() WHERE NOT ok}), '', 'and verify() finds that in order');

# ----- promoted, it is the node, and its keeper looks

$standby->promote;
is($standby->safe_psql('postgres', $acting, extra_params => [ '-U', 'other' ]), 'ha', 'promoted, it has the same roles');
$standby->safe_psql('elsewhere', 'DROP ROLE other; CREATE ROLE other LOGIN');
is($standby->safe_psql('postgres', $acting, extra_params => [ '-U', 'other' ]), 'nobody', 'one that is dropped there');
$standby->poll_query_until('postgres', q{SELECT string_agg(role, ',') FROM medchain.role_binding}, 'hospital') or die 'timed out';
is($standby->safe_psql('postgres', q{SELECT string_agg(concat_ws(' ', detail), '; ') FROM medchain.verify() WHERE NOT ok}), '', '... is unbound, says the ledger there');
$alliance->check_logs($second, $standby, map { $alliance->cluster($_) } qw(dc en ha hb));
done_testing();
