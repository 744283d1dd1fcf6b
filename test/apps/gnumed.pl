# GNUmed (Debian package gnumed-server): its own bootstrap, which makes each version of its schema out of the one before, its tables on
# the ledger, some of them protected, and its functions, triggers and views at work on them.  Of 265 tables 208 take part in
# inheritance, most have audit triggers that write other tables, and some have no key.
# needs: debian gnumed-server python3-psycopg2
use strict;
use warnings;

use Medchain::Application;
use PostgreSQL::Test::RecursiveCopy;
use PostgreSQL::Test::Utils;
use Test::More;

my $app = Medchain::Application->new;
my $alliance = $app->alliance;
my ($bindir) = `$ENV{PG_CONFIG} --bindir` =~ /^(.*)$/m;
my %where = $app->where;

# A database of version after version, each a copy of the one before, by the package's own program, which finds its modules, and
# writes, beside itself.  The last one then becomes this node's by way of a dump: settings of its own stay behind, by which its
# transactions would be read-only.
sub bootstrap
{
	my $home = PostgreSQL::Test::Utils::tempdir() . '/gnumed';
	mkdir $home or die "$home: $!";
	PostgreSQL::Test::RecursiveCopy::copypath('/var/lib/gnumed/server', "$home/server", filterfn => sub { $_[0] ne 'backups' });
	symlink("$home/server", "$home/Gnumed") or die "$home/Gnumed: $!";
	$app->sql(q{DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'postgres') THEN CREATE ROLE postgres LOGIN SUPERUSER; END IF; END $$});
	my $log = "$PostgreSQL::Test::Utils::log_path/gnumed-bootstrap.log";
	my ($rc, $out, $err) = $app->program([ 'sh', '-c', 'cd "$1/server/bootstrap" && exec /usr/bin/python3 bootstrap_gm_db_system.py --log-file="$2" --conf-file=bootstrap-latest.conf', 'sh', $home, $log ],
		env => { %where, PGDATABASE => '', PGUSER => '', GM_DB_PORT => $where{PGPORT}, HOME => $home, PYTHONPATH => $home, LC_ALL => 'C.UTF-8' },
		seconds => 20 * $PostgreSQL::Test::Utils::timeout_default);
	is($rc, 0, 'the schema is made, version after version') or BAIL_OUT($out . $err);
	my ($newest) = $app->sql(q{SELECT max(substr(datname, 9)::int) FROM pg_database WHERE datname LIKE 'gnumed\_v%'});
	($rc, $out, $err) = $app->program([ 'sh', '-c', '"$1/pg_dump" -d "$2" | "$1/psql" -qX -v ON_ERROR_STOP=1 -d postgres', 'sh', $bindir, "gnumed_v$newest" ],
		env => { %where, PGUSER => '' }, seconds => 5 * $PostgreSQL::Test::Utils::timeout_default);
	is($err, '', "and version $newest dumped and restored");
	$app->cluster->safe_psql('postgres', "DROP DATABASE $_") foreach split(/\n/, $app->sql(q{SELECT datname FROM pg_database WHERE datname LIKE 'gnumed\_v%'}));
	return;
}

bootstrap();

# ----- all of its tables

my $user_tables = q{FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p') AND n.nspname !~ '^(pg_|information_schema|medchain|clinic$)'};
my $tables = $app->sql("SELECT count(*) $user_tables");
cmp_ok($tables, '>=', 250, "$tables tables");
$app->sql(q{GRANT medchain_admin TO "gm-dbo"});
# those that inherit from others come with them
my @roots = split(/\n/, $app->sql("SELECT c.oid::regclass $user_tables AND NOT EXISTS (SELECT FROM pg_inherits i WHERE i.inhrelid = c.oid) ORDER BY 1"));
my %refused;
foreach my $table (@roots)
{
	my $error = $app->error("SELECT medchain.ledger_table('$table')", 'gm-dbo');
	$refused{$table} = $error if $error ne '';
}
is(join(' ', sort keys %refused), 'staging.lnk_vacc_ind2subst_dose', 'all of them are put on the ledger but one');
like($refused{'staging.lnk_vacc_ind2subst_dose'}, qr/is unlogged.*ALTER TABLE \S+ SET LOGGED first/s, 'which is unlogged');
$app->sql(q{ALTER TABLE staging.lnk_vacc_ind2subst_dose SET LOGGED}, 'gm-dbo');
my ($key) = $app->error(q{SELECT medchain.ledger_table('staging.lnk_vacc_ind2subst_dose')}, 'gm-dbo') =~
  /has no primary key, and several unique indexes.*Rows can be named by '([^']+)', .*Give one of them as the argument "key"/s;
$app->sql(qq{SELECT medchain.ledger_table('staging.lnk_vacc_ind2subst_dose', key => '$key')}, 'gm-dbo');
is($app->sql("SELECT count(*) $user_tables AND c.oid IN (SELECT relation FROM medchain.row_table)"), $tables, 'and then has all');
my ($heirs, $keyless, $rows) = split(/\|/, $app->sql(q{SELECT count(*) FILTER (WHERE with_parent), count(*) FILTER (WHERE key_columns = '{}'),
	(SELECT count(*) FROM medchain.row_table t, medchain_internal.row_digests(t.relation, t.version)) FROM medchain.row_table}));
note("$tables tables, $heirs of them because of one that they inherit from, $keyless without a key; $rows rows");
$app->sound_ok('all on the ledger');

# ----- some of them protected, though they inherit from one that is not

my %subject = ('clin.patient' => 'fk_identity', 'clin.encounter' => 'fk_patient', 'clin.waiting_list' => 'fk_patient', 'dem.identity_tag' => 'fk_identity', 'clin.export_item' => 'fk_identity');
$app->sql(q{SELECT medchain.end_ledger_table('clin.export_item')}, 'gm-dbo');    # which inherits from none
$app->sql(join('', map { "SELECT medchain.protect('$_', '$subject{$_}');" } sort keys %subject), 'gm-dbo');
is($app->sql('SELECT count(*) FROM medchain.row_table WHERE subject_column IS NOT NULL'), scalar(keys %subject), 'tables that say whose they are are protected');
$app->sql(q{SELECT medchain.bind_role('any-doc', 'ha'); SELECT medchain.bind_role('gm-dbo', 'dc')});
my ($kirk, $other) = split(/\n/, $app->sql('SELECT DISTINCT fk_patient FROM clin.encounter ORDER BY 1 LIMIT 2'));
is($app->sql('SELECT count(*) FROM clin.v_pat_encounters', 'any-doc'), '0', 'nobody permits a doctor anything: he sees no encounter');
is($app->sql('SELECT count(*) FROM clin.encounter', 'gm-dbo'), '0', 'nor does who owns the table');
my $protocol = $app->permit($kirk);
my $seen = q{SELECT string_agg(DISTINCT pk_patient::text, ',') FROM clin.v_pat_encounters};
is($app->sql($seen, 'any-doc'), $kirk, 'with a protocol a doctor sees what he may, through views as well')
  or diag($app->sql(q{SELECT pg_get_viewdef('clin.v_pat_encounters'::regclass)}));
like($app->error('SELECT count(*) FROM audit.audit_fields', 'any-doc'), qr/is protected, and "audit_fields", from which it inherits, is not/, 'nothing of it by way of what it inherits from');
is($app->sql(join(' UNION ALL ', map { "SELECT '$_', v.* FROM medchain.verify_table('$_') v" } sort keys %subject)), '', 'they are as they should be');

# ----- at work

$app->changes($_) foreach qw(clin.encounter audit.log_encounter clin.clin_narrative dem.names audit.log_names dem.identity audit.log_identity clin.waiting_list gm.access_log);
my $encounter = $app->sql(qq{INSERT INTO clin.encounter (fk_patient, fk_location, reason_for_encounter) SELECT $kirk, min(pk), 'a new one' FROM dem.org_unit RETURNING pk}, 'any-doc');
$app->sql(qq{UPDATE clin.encounter SET assessment_of_encounter = 'nothing' WHERE pk = $encounter}, 'any-doc');
is($app->changes('clin.encounter'), 'insert 1, update 1', 'an encounter');
is($app->changes('audit.log_encounter'), 'insert 1', 'and what its trigger noted elsewhere');
like($app->error(qq{INSERT INTO clin.encounter (fk_patient, fk_location) SELECT $other, min(pk) FROM dem.org_unit}, 'any-doc'), qr/row-level security/, 'not of a patient whom nothing permits');
my $episode = $app->sql(qq{INSERT INTO clin.episode (fk_encounter, description, is_open) VALUES ($encounter, 'an episode', true) RETURNING pk}, 'any-doc');
$app->sql(qq{INSERT INTO clin.clin_narrative (fk_encounter, fk_episode, narrative, soap_cat) SELECT $encounter, $episode, 'note ' || i, 's' FROM generate_series(1, 3) i}, 'any-doc');
$app->sql(qq{UPDATE clin.clin_root_item SET clin_when = clin_when - interval '1 hour' WHERE fk_encounter = $encounter}, 'any-doc');
is($app->changes('clin.clin_narrative'), 'insert 3, update 3', 'notes, changed by way of what they inherit from');
$app->sql(qq{SELECT dem.add_name($kirk, 'Tiberius', 'Kirk', true)}, 'any-doc');
like($app->changes('dem.names'), qr/^insert 1, update \d+$/, 'a name');
is($app->sql(qq{SELECT string_agg(operation, ',') FROM dem.names n, medchain.row_history('dem.names', n) WHERE id_identity = $kirk AND firstnames = 'Tiberius'}), 'insert', 'which has a history');
$app->sql(qq{INSERT INTO clin.waiting_list (fk_patient, urgency, list_position) VALUES ($kirk, 0, 101), ($kirk, 1, 102); SELECT clin.move_waiting_list_entry(101, 102)}, 'any-doc');
is($app->changes('clin.waiting_list'), 'insert 2, update 3', 'a waiting list, by its function');
$app->sql(q{SELECT gm.log_access2emr('looked at')}, 'any-doc');
is($app->changes('gm.access_log'), 'insert 1', 'its own log of accesses');
$app->sound_ok('at work');

# ----- its own maintenance, and more tables

$app->sql(q{SELECT gm.create_all_table_mod_triggers(true)}, 'gm-dbo');
is($app->sql(q{SELECT count(*) > 50 FROM medchain.entry WHERE kind = 'table.alter' AND payload::jsonb #>> '{body,changes}' LIKE '%zzz_tr_announce_%'}), 't', 'triggers that are made again are on the ledger') if $app->sql('SELECT medchain.seal() IS NULL');
$app->sql(q{CREATE TABLE clin.later (pk serial PRIMARY KEY, said text) INHERITS (clin.clin_root_item)}, 'gm-dbo');
is($app->sql(q{SELECT with_parent FROM medchain.row_table WHERE relation = 'clin.later'::regclass}), 't', 'a table that inherits is on the ledger at once');
$app->sql(q{ALTER TABLE clin.later NO INHERIT clin.clin_root_item; DROP TABLE clin.later}, 'gm-dbo');

# ----- fixtures past everything, and the way back

$app->sql(q{ALTER TABLE ref.keyword_expansion DISABLE TRIGGER medchain_capture;
	UPDATE ref.keyword_expansion SET keyword = keyword || '!' WHERE pk IN (SELECT pk FROM ref.keyword_expansion ORDER BY pk LIMIT 5); ALTER TABLE ref.keyword_expansion ENABLE TRIGGER medchain_capture});
is($app->sql(q{SELECT fault, count(*) FROM medchain.verify_table('ref.keyword_expansion') GROUP BY 1 ORDER BY 1}), "changed|5\nnot captured|1", 'what was done past the trigger is found');
$app->sql(q{SELECT medchain.renew_table('ref.keyword_expansion', 'fixtures')}, 'gm-dbo');
is($app->sql(q{SELECT count(*) FROM medchain.verify_table('ref.keyword_expansion')}), '0', 'and there is a way back');
is($app->error(q{SELECT medchain.end_ledger_table('audit.audit_fields')}, 'gm-dbo'), '', 'off the ledger again');
is($app->sql(q{SELECT string_agg(relation::text, ' ' ORDER BY relation::text) FROM medchain.row_table WHERE subject_column IS NOT NULL}), join(' ', sort keys %subject), 'what is protected stays so');
$app->revoke($protocol);
is($app->sql('SELECT count(*) FROM clin.v_pat_encounters', 'any-doc'), '0', 'nothing is seen when the protocol is revoked');
$app->sound_ok('at the end');
$alliance->check_logs;
done_testing();
