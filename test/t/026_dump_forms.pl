# pg_dump in all its forms, and every way back: what works, works whole; what cannot is refused where it begins.
use strict;
use warnings;

use IPC::Run;
use Medchain::Alliance;
use PostgreSQL::Test::Utils;
use Test::More;

my $alliance = Medchain::Alliance->new(dc => 'data_center', en => 'end_node');
my $dir = PostgreSQL::Test::Utils::tempdir();
my ($rc, $out, $err);

$alliance->establish;
$alliance->sql('dc', q{
	CREATE ROLE app_a LOGIN;
	CREATE TABLE diagnosis (case_no int PRIMARY KEY, patient_id text NOT NULL, finding text) PARTITION BY RANGE (case_no);
	CREATE TABLE diagnosis_1 PARTITION OF diagnosis FOR VALUES FROM (0) TO (100);
	CREATE TABLE diagnosis_2 PARTITION OF diagnosis FOR VALUES FROM (100) TO (200);
	INSERT INTO diagnosis SELECT i, 'P' || i, 'benign' FROM generate_series(1, 120) i;
	SELECT medchain.protect('diagnosis', 'patient_id');
	GRANT SELECT ON diagnosis TO app_a;
	SELECT medchain.bind_role('app_a', 'en');
	UPDATE diagnosis SET finding = 'malignant' WHERE case_no < 4});
$alliance->sql('dc', join("\n", map { qq{
	CREATE TABLE log_$_ (id int PRIMARY KEY, gone int, what text, UNIQUE (what));
	INSERT INTO log_$_ (id, what) SELECT i, 'w' || i FROM generate_series(1, 50) i;
	ALTER TABLE log_$_ DROP COLUMN gone;
	SELECT medchain.ledger_table('log_$_', append_only => $_ = 1);
	CREATE INDEX ON log_$_ (id, what);
	CREATE TABLE plain_$_ (id int PRIMARY KEY REFERENCES log_$_, what text);
	INSERT INTO plain_$_ SELECT i, 'w' || i FROM generate_series(1, 50) i;} } 1 .. 8));
$alliance->sql('en', q{SELECT medchain.issue_protocol('P1', 'text', '[{"grantee": "dc", "operations": ["query"]}]')});
$alliance->wait_for_equal_heads;

my $cluster = $alliance->cluster('dc');
my $keys    = join(' ', map { sprintf("ALTER DATABASE %%s SET %s = '%s';", $_, $alliance->sql('dc', "SHOW $_")) }
	  qw(medchain.signing_key medchain.pseudonym_key_file));

# What medchain's tables hold, but for oids, numbers of columns, and where the node is at home; and what hangs on the users' tables.
my $content = q{SET timezone = 'UTC';
	SELECT string_agg(t.table_name || ' ' || md5(query_to_xml(format('SELECT to_jsonb(x) - ''{home, watched, roles, number}''::text[] AS row FROM medchain.%I x ORDER BY (to_jsonb(x) - ''{home, watched, roles, number}''::text[])::text COLLATE "C"', t.table_name), true, false, '')::text), E'\n' ORDER BY t.table_name COLLATE "C")
	FROM information_schema.tables t WHERE t.table_schema = 'medchain' AND t.table_type = 'BASE TABLE' AND t.table_name NOT IN ('verified', 'row_part', 'fact', 'rules_state')};
my $attached = q{
	SELECT md5(string_agg(x.line, E'\n' ORDER BY x.line COLLATE "C")) FROM (
		SELECT concat_ws(' ', tgrelid::regclass, tgname, tgenabled) FROM pg_trigger WHERE NOT tgisinternal OR tgparentid <> 0
		UNION ALL SELECT concat_ws(' ', polrelid::regclass, polname) FROM pg_policy
		UNION ALL SELECT concat_ws(' ', conrelid::regclass, conname) FROM pg_constraint WHERE contype IN ('p', 'u', 'f')
		UNION ALL SELECT concat_ws(' ', oid::regclass, relrowsecurity, relforcerowsecurity) FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace
	) x(line)};
my $attached_before = $alliance->sql('dc', $attached);

sub create
{
	my ($name) = @_;
	$cluster->safe_psql('postgres', "CREATE DATABASE $name");
	$cluster->safe_psql('postgres', sprintf($keys, $name, $name));
	return;
}

# what it holds then, in each of these: who reads protected rows, as pg_dump does, is on the ledger
my %content_of;

sub dump_to
{
	my ($file, @options) = @_;
	unless ($file eq 'waiting.sql')
	{
		$alliance->sql('dc', 'SELECT medchain.seal()');
		$content_of{$file} = $alliance->sql('dc', $content);
	}
	command_ok([ 'pg_dump', @options, '-f', "$dir/$file", $cluster->connstr('postgres') ], "pg_dump @options");
	return;
}

# A command that says nothing on stderr and succeeds.
sub silent_ok
{
	my ($title, @command) = @_;
	my ($stdout, $stderr) = ('', '');
	my $run = IPC::Run::run(\@command, '<', \'', '>', \$stdout, '2>', \$stderr);

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	ok($run && $stderr eq '', $title) or diag(substr($stderr, 0, 4000));
	return;
}

# A database that holds the whole node, knows that it is a copy, and can be dropped.
sub copy_ok
{
	my ($name, $title, $file) = @_;
	my $sql = sub { my ($query) = @_; return $cluster->safe_psql($name, $query); };

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is($sql->($content), $content_of{$file}, "$title: ledger, state and secrets are what they were");
	is($sql->($attached), $attached_before, "$title: triggers, policies and keys are what they were");
	is($sql->('SELECT count(*) FILTER (WHERE ok), count(*) FROM medchain.verify()'), '2|2', "$title: the chains verify");
	is($sql->('SELECT count(*) FROM medchain.row_table t, LATERAL medchain.verify_table(t.relation)'), '0', "$title: tables and ledger agree");
	is($sql->('SELECT medchain.is_copy()'), 't', "$title: it is a copy");
	is($sql->('SELECT count(*) FROM pg_subscription WHERE subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())'),
		'0', "$title: it has no subscriptions");
	($rc, undef, $err) = $cluster->psql($name, q{SELECT medchain.append('visit', '{}')});
	like($err, qr/copy of node "dc".*medchain\.take_over\(\)/s, "$title: it appends nothing");
	{
		local $ENV{PGOPTIONS} = '-c medchain.pseudonym_key_file=';
		($rc, undef, $err) = $cluster->psql($name, q{INSERT INTO log_2 VALUES (1000, 'x')});
	}
	like($err, qr/copy of node "dc".*medchain\.take_over\(\)/s, "$title: which is said first, whatever else is missing");
	$cluster->safe_psql('postgres', "DROP DATABASE $name");
	return;
}

my $slots = q{SELECT string_agg(slot_name, ',') FROM pg_replication_slots};
my $slots_before = $alliance->sql('en', $slots);

# without medchain: what it leaves out is not what the node's slots hang on
dump_to('without.sql', '-N', 'medchain');
create('without');
$cluster->psql('without', qq{\\i $dir/without.sql}, on_error_stop => 0);
is($cluster->safe_psql('without', q{SELECT count(*) FROM pg_subscription WHERE subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())}),
	'0', 'a dump without medchain brings no subscriptions');
$cluster->safe_psql('postgres', 'DROP DATABASE without');

# several jobs at once: three times, as what they get in each other's way with differs
dump_to('directory', '-Fd', '-j', '2');
foreach my $try (1 .. 3)
{
	create("jobs_$try");
	silent_ok("pg_restore -j 4, $try", 'pg_restore', '-j', '4', '-d', $cluster->connstr("jobs_$try"), "$dir/directory");
	copy_ok("jobs_$try", "-j 4, $try", 'directory');
}

# one transaction
dump_to('custom', '-Fc');
create('single');
silent_ok('pg_restore -1', 'pg_restore', '-1', '-d', $cluster->connstr('single'), "$dir/custom");
copy_ok('single', '-1', 'custom');

# a list of what there is
dump_to('tar', '-Ft');
create('listed');
command_ok([ 'sh', '-c', "pg_restore -l '$dir/tar' | grep -v ' SUBSCRIPTION ' > '$dir/list'" ], 'pg_restore -l');
silent_ok('pg_restore -L', 'pg_restore', '-e', '-L', "$dir/list", '-d', $cluster->connstr('listed'), "$dir/tar");
copy_ok('listed', '-L', 'tar');

# with -j, the triggers of a partitioned table come when they may: before the rows of its partitions, and before or after what medchain knows of them
my ($triggers, $data, $rest) = ('', '', '');
foreach my $line (split(/\n/, `pg_restore -l '$dir/custom'`))
{
	my $part = $line =~ / TRIGGER public diagnosis medchain_/ ? \$triggers : $line =~ / TABLE DATA public / ? \$data : \$rest;
	$$part .= "$line\n";
}
isnt($triggers, '', 'the triggers of a partitioned table are in the list');
my ($before, $after) = $rest =~ /\A(.*?\n)((?:\S+ \S+ \S+ TABLE DATA .*)?)\z/s;
foreach my $order ([ 'early', $before . $triggers . $data . $after ], [ 'between', $before . $triggers . ($after =~ s/((?:[^\n]* TABLE DATA medchain [^\n]*\n)+)/$1$data/r) ])
{
	my ($name, $list) = @$order;
	append_to_file("$dir/$name.list", $list);
	create($name);
	silent_ok("pg_restore, triggers come $name", 'pg_restore', '-e', '-L', "$dir/$name.list", '-d', $cluster->connstr($name), "$dir/custom");
	copy_ok($name, "triggers $name", 'custom');
}

# the schema, then the data
create('halves');
silent_ok('pg_restore --schema-only', 'pg_restore', '-e', '--schema-only', '-d', $cluster->connstr('halves'), "$dir/custom");
is($cluster->safe_psql('halves', 'SELECT medchain.is_copy(), medchain_internal.at_home()'), 'f|f', 'without its data it is no node');
IPC::Run::run([ 'pg_restore', '--data-only', '-t', 'log_1', '-d', $cluster->connstr('halves'), "$dir/custom" ], '<', \'', '2>', \$err);
like($err, qr/HINT:[^\n]*--disable-triggers/, 'pg_restore --data-only alone says what it needs');
silent_ok('pg_restore --data-only --disable-triggers', 'pg_restore', '-e', '--data-only', '--disable-triggers', '-d', $cluster->connstr('halves'), "$dir/custom");
copy_ok('halves', '--data-only', 'custom');

# by psql: as text with INSERT, and over the copy again with --clean
dump_to('inserts.sql', '--inserts', '--rows-per-insert=7');
create('text');
silent_ok('psql with INSERT', 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-o', '/dev/null', '-f', "$dir/inserts.sql", $cluster->connstr('text'));
dump_to('clean.sql', '--clean', '--if-exists');
# (pg_dump drops primary keys of partitions that hang on those of their table: PostgreSQL's own error)
my @clean = ('psql', '-X', '-q', '-o', '/dev/null', '-f', "$dir/clean.sql", $cluster->connstr('text'));
IPC::Run::run(\@clean, '<', \'', '2>', \$err);
is(join("\n", grep { !/cannot drop inherited constraint/ } split(/\n/, $err)), '', 'psql --clean over a copy');

# a second time over a copy that was not emptied: in whatever form, no row of medchain's comes twice
my $rows = q{SELECT string_agg(t.table_name || ' ' || (xpath('/row/n/text()', query_to_xml(format('SELECT count(*) AS n FROM medchain.%I', t.table_name), true, true, '')))[1]::text, ', ' ORDER BY t.table_name COLLATE "C")
	FROM information_schema.tables t WHERE t.table_schema = 'medchain' AND t.table_type = 'BASE TABLE'};
my $rows_before = $cluster->safe_psql('text', $rows);
dump_to('plain.sql');
foreach my $again (
	[ 'by psql', 'psql', '-X', '-q', '-o', '/dev/null', '-f', "$dir/plain.sql" ],
	[ 'with INSERT', 'psql', '-X', '-q', '-o', '/dev/null', '-f', "$dir/inserts.sql" ],
	[ '--data-only', 'pg_restore', '--data-only', '-d' ],
	[ '--data-only --disable-triggers', 'pg_restore', '--data-only', '--disable-triggers', '-d' ],
	[ '-j 2', 'pg_restore', '-j', '2', '-d' ])
{
	my ($title, @command) = @$again;
	$err = '';
	push @command, $cluster->connstr('text');
	push @command, "$dir/custom" if $command[0] eq 'pg_restore';
	IPC::Run::run(\@command, '<', \'', '>', \$out, '2>', \$err);
	is($cluster->safe_psql('text', $rows), $rows_before, "over a copy once more: $title: no row of medchain's is doubled");
	like($err, qr/has rows already.*HINT:  [^\n]*empty database/s, "over a copy once more: $title: with a hint");
}
copy_ok('text', '--inserts, then --clean, then once more', 'clean.sql');

# nor does what was not sealed yet when it was dumped
my $holder = $cluster->background_psql('postgres');
$holder->query_safe(q{BEGIN; SELECT FROM medchain.chain WHERE origin = 'dc' FOR UPDATE});
$alliance->sql('dc', q{SELECT medchain.append('visit', '{}')});
dump_to('waiting.sql', '--inserts');
$holder->query_safe('ROLLBACK');
$holder->quit;
create('waiting');
IPC::Run::run([ 'psql', '-X', '-q', '-o', '/dev/null', '-f', "$dir/waiting.sql", $cluster->connstr('waiting') ], '<', \'', '2>', \$err) foreach 1 .. 2;
is($cluster->safe_psql('waiting', 'SELECT count(*) FROM medchain.pending'), '1', 'over a copy once more: what waits to be sealed is there once');
like($err, qr/"medchain[.]pending" of this database has rows already/, 'over a copy once more: and said to be');
$cluster->safe_psql('postgres', 'DROP DATABASE waiting');
$alliance->sql('dc', 'SELECT medchain.seal()');
my $content_before = $alliance->sql('dc', $content);
is($alliance->sql('en', $slots), $slots_before, 'no slot of the node was touched');

# over the node itself: whatever the form, medchain's tables stay what they are, and the ledger what it was
my @over = (
	[ 'everything, by psql', 'psql', '-X', '-q', '-o', '/dev/null', '-f', "$dir/inserts.sql" ],
	[ '--data-only', 'pg_restore', '--data-only', '-d' ],
	[ '--data-only --disable-triggers', 'pg_restore', '--data-only', '--disable-triggers', '-d' ],
	[ '-j 2', 'pg_restore', '-j', '2', '-d' ],
	[ '--data-only --inserts --disable-triggers', 'psql', '-X', '-q', '-o', '/dev/null', '-f', "$dir/data_inserts.sql" ]);
dump_to('data_inserts.sql', '--data-only', '--inserts', '--disable-triggers');

# what is missing in ledger tables comes with the dump, and the ledger says so; a table that is on none is loaded as ever
my $keys_of_rows = q{SELECT md5(string_agg(k, ' ' ORDER BY k)) FROM (
	SELECT t.ledger_name || ' ' || k.row_key FROM medchain.row_key k JOIN medchain.row_table t USING (relation)
	UNION SELECT s.relation || ' ' || k.row_key FROM medchain.row_set s, medchain_internal.row_key_list(s.keys) k) x (k)};
my $keys_of_rows_before = $alliance->sql('dc', $keys_of_rows);
foreach my $form (@over)
{
	$alliance->sql('dc', q{DELETE FROM plain_2; DELETE FROM log_2; DELETE FROM diagnosis WHERE case_no < 100});
	my ($title, @command) = @$form;
	my $stdout;
	($stdout, $err) = ('', '');
	push @command, $cluster->connstr('postgres');
	push @command, "$dir/custom" if $command[0] eq 'pg_restore';
	my $triggers = q{SELECT string_agg(concat_ws(' ', tgrelid::regclass, tgname, tgenabled), E'\n' ORDER BY tgrelid::regclass::text, tgname) FROM pg_trigger WHERE NOT tgisinternal};
	my $triggers_before = $alliance->sql('dc', $triggers);
	IPC::Run::run(\@command, '<', \'', '>', \$stdout, '2>', \$err);
	like($err, qr/takes no rows from a dump|are written by medchain alone/, "over the node: $title: it is refused");
	like($err, qr/HINT:  [^\n]*database of its own/, "over the node: $title: with a hint") ;
	is($alliance->sql('dc', $triggers), $triggers_before, "over the node: $title: triggers are as they were");
	is($alliance->sql('dc', 'SELECT (SELECT count(*) FROM log_2), (SELECT count(*) FROM diagnosis)'), '50|120', "over the node: $title: what was missing in ledger tables has come");
	is($alliance->sql('dc', 'SELECT count(*) FROM medchain.row_table t, LATERAL medchain.verify_table(t.relation)'), '0', "over the node: $title: and is on the ledger");
}
$alliance->sql('dc', 'SELECT medchain.seal()');
foreach my $table (qw(claim member contract protocol protocol_grant role_binding chain row_table row_column row_secret subject_identity peer local_node))
{
	my $state = "SET timezone = 'UTC'; SELECT md5(string_agg((to_jsonb(x) - 'description')::text, ' ' ORDER BY to_jsonb(x)::text COLLATE \"C\")) FROM medchain.$table x";
	next if $table eq 'chain';
	my ($mine) = $alliance->sql('dc', $content) =~ /^$table (\w+)$/m;
	my ($theirs) = $content_before =~ /^$table (\w+)$/m;
	is($mine, $theirs, "over the node: $table is what it was");
}
is($alliance->sql('dc', $keys_of_rows), $keys_of_rows_before, 'over the node: the keys of rows are what they were');
$alliance->verify_ok;
is($alliance->sql('dc', q{SELECT string_agg(state, ',') FROM medchain.peers}), 'streaming', 'over the node: it follows its peers');
is($alliance->sql('en', $slots), $slots_before, 'over the node: by the same slots');
foreach my $drop ([ 'DROP SUBSCRIPTION ' . $alliance->sql('dc', 'SELECT subscription FROM medchain.peer'), q{disconnect_peer\('en'\)} ],
	[ 'DROP PUBLICATION medchain', 'leave_alliance\(\)' ])
{
	$alliance->fails_like('dc', $drop->[0], qr/HINT:  Call medchain\.$drop->[1]/, "as of pg_restore --clean: " . substr($drop->[0], 0, 17));
}

# one table, or one schema, elsewhere: whoever owns it there takes it on or frees it
dump_to('table.sql', '-t', 'diagnosis', '-t', 'diagnosis_1', '-t', 'diagnosis_2', '-t', 'log_1', '-t', 'log_2');
dump_to('schema.sql', '-n', 'public');
$alliance->sql('en', 'CREATE ROLE app_a');
foreach my $elsewhere ([ 'table.sql', 'en', 'a node' ], [ 'schema.sql', 'nowhere', 'a database that is none' ])
{
	my ($file, $where, $title) = @$elsewhere;
	my ($node, $database) = $where eq 'en' ? ($alliance->cluster('en'), 'postgres') : ($cluster, 'nowhere');
	if ($where eq 'nowhere')
	{
		create('nowhere');
		$cluster->safe_psql('nowhere', 'CREATE EXTENSION medchain; DROP SCHEMA public');
	}
	silent_ok("$file in $title", 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-o', '/dev/null', '-f', "$dir/$file", $node->connstr($database));
	$node->safe_psql($database, 'GRANT USAGE ON SCHEMA public TO PUBLIC');
	($rc, undef, $err) = $node->psql($database, q{INSERT INTO log_1 VALUES (1000, 'x')});
	like($err, qr/HINT:  [^\n]*medchain\.end_ledger_table\('public\.log_1'\)[^\n]*medchain\.ledger_table\(\)/, "$title: its tables say what to do");
	is($node->safe_psql($database, 'SET ROLE app_a; SELECT count(*) FROM diagnosis'), '0', "$title: a protected table is closed");
	if ($where eq 'en')
	{
		$node->safe_psql($database, q{SELECT medchain.ledger_table('log_1', append_only => true); SELECT medchain.protect('diagnosis', 'patient_id')});
		$node->safe_psql($database, q{INSERT INTO log_1 VALUES (1000, 'x'); UPDATE diagnosis SET finding = 'x' WHERE case_no IN (1, 101)});
		is($node->safe_psql($database, 'SELECT count(*) FROM medchain.row_table t, LATERAL medchain.verify_table(t.relation)'), '0', "$title: taken on");
	}
	$node->safe_psql($database, q{SELECT medchain.unprotect('diagnosis')});
	$node->safe_psql($database, "SELECT medchain.end_ledger_table('$_')") foreach $where eq 'en' ? qw(log_1 log_2) : map { "log_$_" } 1 .. 8;
	is($node->safe_psql($database, q{SELECT count(*) FROM pg_trigger WHERE tgname ~ '^medchain_'}), '0', "$title: no trigger is left");
	is($node->safe_psql($database, q{SELECT count(*) FROM pg_policy}), '0', "$title: nor a policy");
	$node->safe_psql($database, q{INSERT INTO log_2 VALUES (1001, 'y')});
	is($node->safe_psql($database, q{SET ROLE app_a; SELECT count(*) FROM diagnosis}), '120', "$title: freed, it is a table like any other");
	($rc, undef, $err) = $node->psql($database, q{SELECT medchain.unprotect('diagnosis')});
	like($err, qr/is not protected/, "$title: and nothing of medchain's");
}
$alliance->check_logs;
done_testing();
