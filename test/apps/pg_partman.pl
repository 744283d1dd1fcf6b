# pg_partman (Debian package postgresql-NN-partman) makes, fills, detaches, moves and drops partitions of a protected table, run by
# the table's owner, who has no role of medchain's.
# needs: debian postgresql-NN-partman
use strict;
use warnings;

use Medchain::Alliance;
use PostgreSQL::Test::Utils;
use Test::More;

my $alliance = Medchain::Alliance->new(dc => 'data_center', en => 'end_node', ha => 'chain_node');
$alliance->establish;
my $cluster = $alliance->cluster('dc');
sub sql { my ($sql, $role) = @_; return $alliance->sql('dc', "SET client_min_messages = error; $sql", $role ? (extra_params => [ '-U', $role ]) : ()); }
plan skip_all => 'pg_partman is not installed' unless sql(q{SELECT count(*) FROM pg_available_extensions WHERE name = 'pg_partman'});

sql(q{
	CREATE SCHEMA partman; CREATE EXTENSION pg_partman SCHEMA partman;
	CREATE ROLE keeper LOGIN; CREATE ROLE reader LOGIN; CREATE ROLE stranger LOGIN;
	SELECT medchain.bind_role('reader', 'ha');
	GRANT ALL ON SCHEMA partman TO keeper;
	GRANT ALL ON ALL TABLES IN SCHEMA partman TO keeper; GRANT EXECUTE ON ALL ROUTINES IN SCHEMA partman TO keeper;
	GRANT CREATE, TEMPORARY ON DATABASE postgres TO keeper;
	CREATE SCHEMA clinic AUTHORIZATION keeper; CREATE SCHEMA attic AUTHORIZATION keeper;
	ALTER DEFAULT PRIVILEGES FOR ROLE keeper GRANT ALL ON TABLES TO reader, stranger;
	ALTER DEFAULT PRIVILEGES FOR ROLE keeper GRANT USAGE ON SCHEMAS TO reader, stranger;
	GRANT USAGE ON SCHEMA clinic, attic TO reader, stranger});
my $kind = sql(q{SELECT extversion ~ '^4' FROM pg_extension WHERE extname = 'pg_partman'}) eq 't' ? q{p_type := 'native', p_interval := 'monthly'} : q{p_interval := '1 month'};
# every partition holds one row of an examinee whose records the reader may see, and one of somebody else's
sql(qq{
	CREATE TABLE clinic.visit (at timestamptz NOT NULL, id int, patient text, PRIMARY KEY (at, id)) PARTITION BY RANGE (at);
	SELECT partman.create_parent(p_parent_table := 'clinic.visit', p_control := 'at', $kind, p_premake := 2,
		p_start_partition := (now() - interval '5 months')::text);
	INSERT INTO clinic.visit SELECT date_trunc('month', now()) - n * interval '1 month' + interval '1 day', i, 'P' || i
		FROM generate_series(0, 5) n, generate_series(1, 2) i}, 'keeper');
sql(q{SELECT medchain.protect('clinic.visit', 'patient')});
$alliance->sql('en', q{SELECT medchain.issue_protocol('P1', 'text', '[{"grantee": "ha", "operations": ["query", "update"]}]')});
$alliance->wait_for_equal_heads;

my $tables = q{SELECT t FROM (SELECT inhrelid::regclass::text AS t FROM pg_inherits WHERE inhparent = 'clinic.visit'::regclass
	UNION SELECT relation::text FROM medchain.row_table) x ORDER BY 1};

# Faults of all tables, and how many rows the reader and the stranger see in each of them and its partitions.
sub state_ok
{
	my ($seen, $title) = @_;
	is(sql(q{SELECT count(*) FROM medchain.row_table t, medchain.verify_table(t.relation)}), '0', "$title: no fault");
	foreach my $role (qw(reader stranger))
	{
		my $all = join(' + ', map { "(SELECT count(*) FROM $_)" } grep { $_ ne 'clinic.visit' } split(/\n/, sql($tables)));
		is(sql("SELECT $all", $role), $role eq 'reader' ? $seen : 0, "$title: what the $role sees");
	}
	return;
}
my $count = q{SELECT count(*) FROM pg_inherits WHERE inhparent = 'clinic.visit'::regclass};
state_ok(6, 'made');
my $made = sql($count);

sql(q{UPDATE partman.part_config SET premake = 4, infinite_time_partitions = true; SELECT partman.run_maintenance('clinic.visit')}, 'keeper');
cmp_ok(sql($count), '>', $made, 'partitions are made ahead');
state_ok(6, 'made ahead');

sql(q{INSERT INTO clinic.visit VALUES (now() + interval '9 months', 9, 'P1'); SELECT partman.partition_data_time('clinic.visit', p_batch_count := 10);
	GRANT ALL ON ALL TABLES IN SCHEMA clinic TO reader, stranger});
is(sql(q{SELECT count(*) FROM clinic.visit_default}), '0', 'rows of the default partition get one of their own');
state_ok(7, 'moved');

sql(q{UPDATE partman.part_config SET retention = '4 months', retention_keep_table = false; SELECT partman.run_maintenance('clinic.visit')}, 'keeper');
state_ok(6, 'dropped');
is(sql(q{SELECT count(*) FROM medchain.pending WHERE kind = 'row.delete'}) + sql(q{SELECT count(*) FROM medchain.entry WHERE kind = 'row.delete'}), 3,
	'the ledger says which rows went');

sql(q{UPDATE partman.part_config SET retention = '3 months', retention_keep_table = true; SELECT partman.run_maintenance('clinic.visit')}, 'keeper');
is(sql(q{SELECT count(*) FROM medchain.row_table}), '2', 'detached, a partition is a protected table');
state_ok(6, 'detached');

sql(q{UPDATE partman.part_config SET retention = '2 months', retention_schema = 'attic'; SELECT partman.run_maintenance('clinic.visit')}, 'keeper');
is(sql(q{SELECT count(*) FROM medchain.row_table t JOIN pg_class c ON c.oid = t.relation WHERE c.relnamespace = 'attic'::regnamespace}), '1', 'also in another schema');
state_ok(6, 'moved away');
done_testing();
