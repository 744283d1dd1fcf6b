# Whatever the database, the role or the session has set, results are the same.
#
# Two parts.  In the first, one alliance is asked the same, and writes the same, under one hostile setting after the
# other, set in the session, for the role and for the database: every answer and every entry is compared byte by byte.
# In the second, whole alliances come to be under all of them at once, their extension, workers and subscriptions
# included: their ledgers and states have to be those of an alliance that nobody has set anything for.
use strict;
use warnings;

use Medchain::Alliance;
use Test::More;

# Those that this server knows are taken.
my @hostile = (
	[ 'search_path',                   'evil, pg_catalog, public' ],
	[ 'standard_conforming_strings',   'off' ],
	[ 'escape_string_warning',         'on' ],
	[ 'backslash_quote',               'on' ],
	[ 'transform_null_equals',         'on' ],
	[ 'array_nulls',                   'off' ],
	[ 'quote_all_identifiers',         'on' ],
	[ 'row_security',                  'off' ],
	[ 'DateStyle',                     'SQL, DMY' ],
	[ 'IntervalStyle',                 'sql_standard' ],
	[ 'TimeZone',                      '<Z>5' ],
	[ 'timezone_abbreviations',        'India' ],
	[ 'bytea_output',                  'escape' ],
	[ 'extra_float_digits',            '-15' ],
	[ 'xmlbinary',                     'hex' ],
	[ 'xmloption',                     'document' ],
	[ 'lc_monetary',                   'C.UTF-8' ],
	[ 'lc_numeric',                    'C.UTF-8' ],
	[ 'lc_time',                       'C.UTF-8' ],
	[ 'client_encoding',               'LATIN1' ],
	[ 'default_text_search_config',    'german' ],
	[ 'exit_on_error',                 'on' ],
	[ 'session_replication_role',      'replica' ],
	[ 'default_transaction_read_only', 'on' ],
	[ 'default_transaction_isolation', 'serializable' ],
	[ 'default_transaction_deferrable', 'on' ],
	[ 'lock_timeout',                  '1ms' ],
	[ 'idle_in_transaction_session_timeout', '30s' ],
	[ 'transaction_timeout',           '30s' ],
	[ 'statement_timeout',             '30s' ],
	[ 'synchronous_commit',            'off' ],
	[ 'check_function_bodies',         'off' ],
	[ 'plpgsql.variable_conflict',     'use_variable' ],
	[ 'plpgsql.extra_errors',          'all' ],
	[ 'plpgsql.extra_warnings',        'all' ],
	[ 'plpgsql.check_asserts',         'off' ],
	[ 'restrict_nonsystem_relation_kind', 'foreign-table' ],
	[ 'default_toast_compression',     'pglz' ],
	[ 'gin_fuzzy_search_limit',        '1' ],
	[ 'constraint_exclusion',          'on' ],
	[ 'plan_cache_mode',               'force_generic_plan' ],
	[ 'work_mem',                      '64kB' ],
	[ 'enable_seqscan',                'off' ],
	[ 'enable_hashjoin',               'off' ],
	[ 'enable_indexscan',              'off' ],
	[ 'enable_hashagg',                'off' ],
	[ 'enable_sort',                   'off' ],
	[ 'from_collapse_limit',           '1' ],
	[ 'geqo_threshold',                '2' ],
	[ 'parallel_setup_cost',           '0' ],
	[ 'force_parallel_mode',           'regress' ],
	[ 'debug_parallel_query',          'regress' ],
);

# What somebody's schema has before pg_catalog in the search path.  Each is wrong, and says so.
my $evil = q{
	CREATE SCHEMA evil;
	GRANT USAGE ON SCHEMA evil TO PUBLIC;
	CREATE FUNCTION evil.now() RETURNS timestamptz LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''evil now()''; END';
	CREATE FUNCTION evil.clock_timestamp() RETURNS timestamptz LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''evil clock''; END';
	CREATE FUNCTION evil.encode(bytea, text) RETURNS text LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''evil encode()''; END';
	CREATE FUNCTION evil.to_char(timestamp, text) RETURNS text LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''evil to_char()''; END';
	CREATE FUNCTION evil.jsonb_typeof(jsonb) RETURNS text LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''evil jsonb_typeof()''; END';
	CREATE FUNCTION evil.count(int) RETURNS bigint LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''evil count()''; END';
	CREATE TABLE evil.member (LIKE pg_catalog.pg_class);
	CREATE TABLE evil.claim (LIKE pg_catalog.pg_class);
	CREATE TABLE evil.entry (LIKE pg_catalog.pg_class);
	CREATE TABLE evil.pg_class (nothing int);
	CREATE DOMAIN evil.tstzrange AS text;
	CREATE DOMAIN evil.jsonb AS text;
};

# ... and operators, which our own questions have to name by their schema then.
my $evil_operators = q{
	CREATE FUNCTION evil.never(text, text) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''evil operator''; END';
	CREATE FUNCTION evil.never(bigint, bigint) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''evil operator''; END';
	CREATE OPERATOR evil.= (LEFTARG = text, RIGHTARG = text, FUNCTION = evil.never);
	CREATE OPERATOR evil.<> (LEFTARG = text, RIGHTARG = text, FUNCTION = evil.never);
	CREATE OPERATOR evil.~ (LEFTARG = text, RIGHTARG = text, FUNCTION = evil.never);
	CREATE OPERATOR evil.< (LEFTARG = bigint, RIGHTARG = bigint, FUNCTION = evil.never);
};

# A table with every type whose text depends on a setting, and rows to copy into it: a literal would be read by the setting.
my $table = q{
	CREATE TYPE public.triage AS ENUM ('red', 'green');
	CREATE TYPE public.reading AS (at timestamptz, value float8, raw bytea);
	CREATE DOMAIN public.moment AS timestamptz;
	CREATE TABLE public.diagnosis (
		id int PRIMARY KEY, patient_id text NOT NULL, day date, at timestamptz, local timestamp, clock timetz, span interval, ratio float8, small float4,
		raw bytea, price money, doc xml, source regclass, routine regprocedure, kind regtype, config regconfig, period tstzrange, days daterange, many datemultirange,
		labels text[], times timestamptz[], last reading, readings reading[], urgency triage, when_seen moment, notes jsonb, words tsvector, lsn pg_lsn, flags bit(3));
	CREATE TABLE public.template (LIKE public.diagnosis);
	CREATE TABLE public.visit (day date, at timestamptz, PRIMARY KEY (day, at));
	INSERT INTO public.template SELECT i, 'P' || i, '2026-02-03', '2026-02-03 04:05:06.789+00', '2026-02-03 04:05:06.789', '04:05:06+02', '-1 days +02:03:04', 0.1 + 0.2, 1.1,
		'\x00ff5c27', '$1234.56', '<a>1</a>', 'medchain.entry', 'medchain.leaf_hash(bytea)', 'public.triage', 'pg_catalog.english', '[2026-02-03 04:05:06+00,)', '[2026-02-03,2026-03-04)', '{[2026-02-03,2026-03-04)}',
		'{NULL,"null",a\\\\b}', '{2026-02-03 04:05:06+00,NULL}', ROW('2026-02-03 04:05:06+00', 1e-7, '\x5c')::public.reading, ARRAY[ROW('2026-02-03 04:05:06+00', 1e-7, '\x5c')::public.reading], 'green',
		'2026-02-03 04:05:06+00', '{"a": 1.10}', 'a b', '0/16', B'101'
		FROM generate_series(1, 3) i;
};

# What comes to be in an alliance, with one table: everything that writes, once.
my $grants = q{'[{"grantee": "dc", "operations": ["query", "update"], "purpose": "care", "valid": {"from": "2026-01-02T03:04:05", "to": "2036-01-01"}},
	{"grantee": "dc", "operations": ["query"], "valid": "[2026-01-01,2036-01-01)", "records": ["public.diagnosis"]}]'};
my $index = q{'[{"holder": "dc", "relation": "public.diagnosis", "key": {"id": 1}}]'};
my $text = q{E'text \\\\ with ''quotes'', "others" and \\u00e9'};
my $valid = q{pg_catalog.tstzrange(NULL, '2030-01-01T00:00:00+02:00', '[)')};

sub write_at_dc
{
	my ($alliance) = @_;

	$alliance->sql('dc', q{
		SELECT medchain.bind_role('app', 'en');
		SELECT medchain.protect('public.diagnosis', subject => 'patient_id');
		SELECT medchain.ledger_table('public.visit')});
	$alliance->sql('dc', q{
		INSERT INTO public.diagnosis SELECT t.* FROM public.template t WHERE t.id OPERATOR(pg_catalog.<=) 2;
		UPDATE public.diagnosis SET ratio = 0.7::float8, at = 'epoch' WHERE id OPERATOR(pg_catalog.=) 2;
		SELECT medchain.append('visit', E'{"weight": 1.10, "text": "\\\\u00e9"}', 'P1');
		SELECT medchain.set_policy('examinee_signature', 'optional')});
	return;
}

sub write_at_en
{
	my ($alliance) = @_;
	my $protocol = $alliance->sql('en', "SELECT medchain.issue_protocol('P1', $text, $grants, $index, $valid)");

	$alliance->sql('en', "SELECT medchain.log_diagnosis('$protocol', '{\"a\": 1.10}')");
	$alliance->sql('en', "SELECT medchain.amend_protocol('$protocol', 'P1', $text, $grants)");
	my $second = $alliance->sql('en', "SELECT medchain.issue_protocol('P2', 'second', $grants)");
	$alliance->sql('en', "SELECT medchain.revoke_protocol('$second', 'done')");
	return;
}

# ----- one alliance, one hostile setting after the other

my $alliance = Medchain::Alliance->new(dc => 'data_center', en => 'end_node', others => ['x1']);
my $cluster = Medchain::Alliance->new_cluster('calm', conf => "medchain.seal_interval = 10ms\n");
$cluster->start;
$alliance->start($_, cluster => $cluster, dbname => $_) foreach $alliance->members;
$alliance->establish;
$alliance->sql('dc', 'CREATE ROLE app LOGIN');
$alliance->sql('dc', 'CREATE ROLE prober LOGIN SUPERUSER');
$alliance->sql($_, $evil . $evil_operators) foreach $alliance->members;
$alliance->sql('dc', q{CREATE ROLE impostor LOGIN SUPERUSER; SELECT medchain.bind_role('impostor', 'en')});
$alliance->sql('en', q{SELECT medchain.bind_role('impostor', 'dc')});
$alliance->sql('dc', $table);
write_at_dc($alliance);
write_at_en($alliance);
$alliance->wait_for_equal_heads;

my $x1 = $alliance->certificate('x1');
my $protocol = $alliance->sql('en', q{SELECT id FROM medchain.protocol WHERE revoked IS NULL});
my $entry = $alliance->sql('en', q{SELECT id FROM medchain.entry WHERE origin = 'en' ORDER BY seq LIMIT 1});

# Queries of typed values, each asked under the setting; printed under none.
my %asked = (
	dc => [
		q{SELECT medchain.contract_envelope('x1', 'chain_node', '} . $x1 . q{', '{query}', pg_catalog.tstzrange('2026-01-01T00:00:00+00:00', '2030-01-01T00:00:00+02:00'))},
		q{SELECT * FROM medchain.verify_table('public.diagnosis')},
		q{SELECT medchain.row_proof('public.diagnosis', '1'::text) - 'checkpoint' - 'hashes' - 'tree_size'},
		q{SELECT * FROM medchain.row_history('public.diagnosis', 2)},
		q{SELECT medchain_internal.row_description('public.diagnosis')},
	],
	en => [
		"SELECT medchain.protocol_envelope('P1', $text, $grants, $index, $valid)",
	],
	both => [
		q{SELECT member, kind, state, reason, capabilities, valid, configured_by, certificate_fingerprint, certificate_subject, certificate_issuer, ledger_algorithm FROM medchain.members},
		q{SELECT origin, kind, state, height, entries, head, sealed, waiting_entries, held_blocks, quarantined FROM medchain.chains},
		q{SELECT * FROM medchain.contracts},
		q{SELECT * FROM medchain.policies},
		q{SELECT * FROM medchain.protocols},
		q{SELECT member, "position", serial, not_before, not_after, fingerprint FROM medchain.certificates},
		q{SELECT * FROM medchain.rejections},
		q{SELECT * FROM medchain.data_index('P1')},
		q{SELECT * FROM medchain.diagnosis_log('P1')},
		q{SELECT * FROM medchain.export()},
		q{SELECT * FROM medchain.verify()},
		q{SELECT medchain.checkpoint()},
		qq{SELECT medchain.receipt('$entry')},
		q{SELECT medchain.default_capabilities('data_center')},
		q{SELECT * FROM medchain.certificate_facts('} . $x1 . q{')},
	]);

# What is written there, and taken back: the entries' exact texts.
my %written = (
	dc => q{
		INSERT INTO public.diagnosis SELECT t.* FROM public.template t WHERE t.id OPERATOR(pg_catalog.=) 3;
		UPDATE public.diagnosis SET small = 2.2::float4 WHERE id OPERATOR(pg_catalog.=) 1;
		DELETE FROM public.diagnosis WHERE id OPERATOR(pg_catalog.=) 2;
		SELECT medchain.append('visit', '{"weight": 1.10}', 'P1');
		SELECT medchain.admit('x1', 'chain_node', '} . $x1 . q{');
		SELECT medchain.suspend('en', 'why');
		SELECT medchain.bind_role('app', NULL);
		ALTER TABLE public.diagnosis ADD COLUMN more timestamptz DEFAULT 'epoch';
		INSERT INTO public.visit SELECT t.day, t.at FROM public.template t LIMIT 1;
		SELECT medchain.unprotect('public.diagnosis');
		CREATE TABLE public.other (day date PRIMARY KEY);
		SELECT medchain.ledger_table('public.other');
	},
	en => qq{
		SELECT medchain.issue_protocol('P3', $text, $grants, $index, $valid);
		SELECT medchain.amend_protocol('$protocol', 'P1', $text, $grants, $index, $valid);
		SELECT medchain.log_diagnosis('$protocol', '{"a": 1.10}');
		SELECT medchain.revoke_protocol('$protocol', 'done');
	});

# All of it at one node, in one session.
sub probe
{
	my ($name, %how) = @_;
	my @connect = map { exists $how{$_} ? ($_ => $how{$_}) : () } qw(connstr);
	my $become = $how{become} || '';
	my @queries = (@{ $asked{$name} }, @{ $asked{both} });
	my ($ask, $print) = ('', '');

	foreach my $i (0 .. $#queries)
	{
		$ask .= "CREATE TEMP TABLE q$i AS $queries[$i];\n";
		$print .= "\\echo query $i\nSELECT * FROM (SELECT pg_catalog.row_to_json(q)::text AS line FROM pg_temp.q$i q) x ORDER BY line COLLATE \"C\";\n";
	}
	my ($rc, $out, $err) = $cluster->psql($name, qq{
\\set ON_ERROR_STOP on
$become;
BEGIN READ WRITE;
SAVEPOINT asked;
$ask
\\o /dev/null
SAVEPOINT written;
$written{$name}
CREATE TEMP TABLE written AS SELECT seq, kind, payload FROM medchain.pending WHERE kind !~ '^access';
\\o
SET LOCAL search_path = pg_catalog; SET LOCAL DateStyle = 'ISO, YMD'; SET LOCAL IntervalStyle = 'iso_8601'; SET LOCAL TimeZone = 'UTC';
SET LOCAL bytea_output = 'hex'; SET LOCAL extra_float_digits = 1; SET LOCAL client_encoding = 'UTF8'; SET LOCAL standard_conforming_strings = on;
SET LOCAL quote_all_identifiers = off;
$print
\\echo written
-- rows come in the order in which a plan finds them; a table that comes onto the ledger gets a secret of its own
SELECT kind, text FROM (
	SELECT seq, kind, regexp_replace(payload, '"(id|time)":"[^"]*"' || CASE kind WHEN 'table.ledger' THEN '|"(known)": "[0-9a-f]{64}"' ELSE '' END,
		'"\\1\\2":""', 'g') AS text FROM pg_temp.written) w
	ORDER BY kind LIKE 'row.%', CASE WHEN kind LIKE 'row.%' THEN text END COLLATE "C", seq;
ROLLBACK;
}, on_error_die => 0, extra_params => ['-X'], @connect);

	# who reads protected rows, as here, adds to the chain
	$out =~ s/"(height|entries|blocks)":\d+|"(head|sealed)":"[^"]*"/"" . ($1 \/\/ $2)/ge;
	$out =~ s{^\{[^\n]*(type\\*": \\*"end|kind\\*":\\*"access|east/dc)[^\n]*\n}{}gm;
	return $rc == 0 ? $out . ($err =~ /WARNING/ ? $err : '') : "failed: $err";
}

# Where two of them differ, or nothing.
sub difference
{
	my ($got, $expected) = @_;
	my @got = split /\n/, $got;
	my @expected = split /\n/, $expected;

	foreach my $i (0 .. ($#got > $#expected ? $#got : $#expected))
	{
		my ($g, $e) = map { defined $_ ? $_ : '(nothing)' } $got[$i], $expected[$i];
		return "line $i: $g\ninstead of: $e" if $g ne $e;
	}
	return '';
}

my %calm = map { $_ => probe($_) } $alliance->members;
foreach my $name ($alliance->members)
{
	unlike($calm{$name}, qr/^failed/, "$name: the probe works") or diag $calm{$name};
	is(difference(probe($name), $calm{$name}), '', "$name: and says the same again");
}

# Who a session acts for, and whose name is on what it writes, is settled when it logs in: not by whom it becomes.
foreach my $become ('SET ROLE impostor', 'SET SESSION AUTHORIZATION impostor')
{
	is(difference(probe($_, become => $become), $calm{$_}), '', "$_: $become, a role that is bound to another member, changes nothing") foreach $alliance->members;
}

my %prober = map { $_ => probe($_, connstr => sprintf('host=%s port=%d dbname=%s user=prober', $cluster->host, $cluster->port, $_)) } $alliance->members;

# Some settings in the session, others for the role, others again for the database, until each has been everywhere.
my %known = map { $_ => 1 } split /\n/, $alliance->sql('dc', 'SELECT name FROM pg_settings');
@hostile = grep { $known{ $_->[0] } || $_->[0] =~ /\./ } @hostile;
# 19 knows it, and one value of it
@hostile = grep { $_->[0] ne 'standard_conforming_strings' } @hostile if $alliance->sql('dc', 'SHOW server_version_num') >= 190000;

sub literal { my ($guc, $value) = @_; return $guc eq 'search_path' ? $value : "'$value'"; }

sub options { return join ' ', map { my $v = $_->[1]; $v =~ s/([ \\])/\\$1/g; "-c $_->[0]=$v" } @_; }

my $third = int((@hostile + 2) / 3);
for (my $i = 0; $i < @hostile; $i += 3)
{
	my ($session, $role, $database) = map { my $from = $i + $_ * $third; [ @hostile[ map { $_ % @hostile } $from .. $from + 2 ] ] } 0 .. 2;

	foreach my $name ($alliance->members)
	{
		$cluster->safe_psql('postgres', join ';', (map { "ALTER ROLE prober SET $_->[0] = " . literal(@$_) } @$role),
			map { "ALTER DATABASE $name SET $_->[0] = " . literal(@$_) } @$database);
		{
			local $ENV{PGOPTIONS} = options(@$session);
			is(difference(probe($name, connstr => sprintf('host=%s port=%d dbname=%s user=prober', $cluster->host, $cluster->port, $name)), $prober{$name}), '',
				"$name: the same with " . join('; ', map { join ', ', map { join ' = ', @$_ } @$_ } $session, $role, $database));
		}
		$cluster->safe_psql('postgres', join ';', "ALTER ROLE prober RESET ALL", map { "ALTER DATABASE $name RESET $_->[0]" } @$database);
	}
}
$alliance->check_logs;
$cluster->stop;

# ----- whole alliances under all of them

# What is set in PGOPTIONS counts before what the role or the database has.
my $calmly = join ' ', map { "-c $_" } 'search_path=public', 'DateStyle=ISO,YMD', 'IntervalStyle=iso_8601', 'TimeZone=UTC', 'bytea_output=hex',
	'extra_float_digits=1', 'standard_conforming_strings=on', 'client_encoding=UTF8', 'array_nulls=on', 'exit_on_error=off';

# Writing sessions have to be able to.
my $writing = '-c default_transaction_read_only=off -c lock_timeout=0 -c client_encoding=UTF8 -c exit_on_error=off';

# Two members come to be, extension, workers and subscriptions, and something is written there.  Returns the ledger and
# the state of each, but for ids, times and what follows from them.
sub life
{
	my ($title, %params) = @_;
	my $members = Medchain::Alliance->new(dc => 'data_center', en => 'end_node');
	my $server = Medchain::Alliance->new_cluster($title, conf => "medchain.seal_interval = 10ms\n");
	my $seen = '';

	# A transaction that is deferrable beside waits for all that write, be it the one that called it from the next database.
	my @set = grep { $_->[0] ne 'default_transaction_deferrable' } @hostile;

	# the same keys and certificates for all
	$members->{pki} = $alliance->{pki};
	$server->start;
	local $ENV{PGOPTIONS} = $writing . ' ' . ($params{session} || '');
	foreach my $name ($members->members)
	{
		$members->start($name, cluster => $server, dbname => $name, create => $params{create}, before => sub {
			$server->safe_psql($name, $evil);
			$server->safe_psql('postgres', $_) foreach map { my $to = $params{to}; $to =~ s/NAME/$name/g; "$to SET $_->[0] = " . literal(@$_) } $params{to} ? @set : ();
		});
	}
	$members->establish;
	$members->sql('dc', 'CREATE ROLE app LOGIN');
	{
		local $ENV{PGOPTIONS} = $calmly . ' -c default_transaction_read_only=off';
		$members->sql('dc', $table);
	}
	write_at_dc($members);
	write_at_en($members);
	$members->wait_for_equal_heads;
	$members->verify_ok;
	is($members->sql('dc', q{SELECT * FROM medchain.verify_table('public.diagnosis')}), '', "$title: the table is as the ledger says");
	local $ENV{PGOPTIONS} = $calmly;
	$members->equal_ok;
	$members->verifies_offline_ok($title, $members->members);
	is($members->sql($_, 'SELECT count(*) FROM medchain.quarantine'), '0', "$title: $_ refuses nothing") foreach $members->members;
	foreach my $name ($members->members)
	{
		$seen .= "state of $name\n" . $members->state($name) . "\nentries\n"
			. $members->sql($name, q{SELECT origin, kind, actor, payload FROM medchain.entry WHERE kind NOT IN ('access', 'witness') ORDER BY origin COLLATE "C", seq}) . "\n";
	}
	$members->check_logs;
	$server->stop;
	for ($seen)
	{
		s/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/ID/g;
		s/\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|\+00(?::00)?)?/TIME/g;
		s/(?:[0-9a-f]{2}){32}/HASH/g;
		# how many entries got into one block is a matter of time, and so is how often it is said what is here of others
		s/("(?:height|seq|size|(?:from|to|cause)_seq)": ?)\d+/$1N/g;
		s/("sig": ?|"payload": ?)"[^"]*"/$1BASE64/g;
	}
	return $seen;
}

my $expected = life('calm_life');
# a server that was built without ICU has no collations of it, and this by the C library alone
my $icu = `"$ENV{PG_CONFIG}" --configure` !~ /--without-icu/;
is(difference(life('database_life', to => 'ALTER DATABASE NAME', create => $icu ? q{TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'ar-EG'} : q{TEMPLATE template0 LOCALE 'C.UTF-8'}), $expected), '',
	'an alliance whose databases have all of it set, and another collation, has the same ledger and state');
is(difference(life('role_life', to => 'ALTER ROLE postgres IN DATABASE NAME'), $expected), '', 'and one of roles that have');
my $session = options(grep { $_->[0] !~ /default_transaction_read_only|lock_timeout|client_encoding|exit_on_error/ } @hostile);
is(difference(life('session_life', session => $session), $expected), '', 'and one of sessions that have');

# ----- the first copy, from a database whose sessions are to end by the first lock that takes time

my $pair = Medchain::Alliance->new(dc => 'data_center', en => 'end_node');
my $server = Medchain::Alliance->new_cluster('sender');
$server->start;
$pair->start($_, cluster => $server, dbname => $_) foreach $pair->members;
$pair->found;
$pair->admit('en');
$server->safe_psql('postgres', "ALTER DATABASE dc SET $_") foreach "lock_timeout = '1ms'", 'exit_on_error = on';

# a slot is made when all that write have ended
my $writer = $server->background_psql('dc', on_error_stop => 1);
$writer->query_safe('BEGIN; SELECT pg_current_xact_id()');
my $joins = IPC::Run::start([ 'psql', '-XAtq', '-d', $server->connstr('en'), '-c', sprintf q{SELECT medchain.join_alliance('en', '%s', '%s')}, $pair->certificate('en'), $pair->conninfo('dc') ], '>', \my $nothing, '2>', \my $complaint);
ok($server->poll_query_until('postgres', q{SELECT count(*) FROM pg_stat_activity WHERE datname = 'dc' AND backend_type = 'walsender' AND wait_event_type = 'Lock'}, '1'),
	'who sends a copy waits for who writes');
$writer->query_safe('COMMIT');
$writer->quit;
ok($joins->finish, 'and then sends it') or diag($complaint);
$pair->wait_for('en', q{SELECT height > 0 FROM medchain.chains WHERE origin = 'dc'});
$pair->check_logs;
$server->stop;
done_testing();
