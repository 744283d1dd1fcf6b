# Partitions of protected tables, whoever owns them and whatever is done to them: each is closed by itself, its rows are
# on the ledger as long as it is one, and what cannot be is refused with what to do, which a follower of the hint does.
use strict;
use warnings;

use Medchain::Alliance;
use PostgreSQL::Test::Utils;
use Test::More;

my $alliance = Medchain::Alliance->new(dc => 'data_center', en => 'end_node', ha => 'chain_node');
$alliance->establish;
my $cluster = $alliance->cluster('dc');

# As a superuser, or as somebody who logs in.
sub sql { my ($sql, $role) = @_; return $alliance->sql('dc', "SET client_min_messages = warning; $sql", $role ? (extra_params => [ '-U', $role ]) : ()); }

# What a statement fails with, hint included.
sub error
{
	my ($sql, $role) = @_;
	my ($rc, $out, $err) = $cluster->psql('postgres', $sql, $role ? (extra_params => [ '-U', $role ]) : ());
	return $rc == 0 ? "no error: $out" : $err;
}

sub faults { my ($table) = @_; return sql("SELECT coalesce(string_agg(concat_ws(' ', row_key, fault, detail), '; ' ORDER BY row_key, detail), 'none') FROM medchain.verify_table('$table')"); }

# The hint of an error, followed: its first statement or call.
sub follow
{
	my ($error, $role) = @_;
	my ($hint) = $error =~ /^HINT:\s+(.*?)$/m;
	my ($call) = defined $hint && $hint =~ /(medchain\.\w+\('[^']*'\)|(?:ALTER|DROP) [^;]*?)(?:;| first|$)/ or return "no hint to follow: $error";
	$call =~ s/\.\.\.$/renamed/;
	return error($call =~ /^medchain/ ? "SELECT $call" : $call, $role) =~ /^no error/ ? 'followed' : "could not follow: $call";
}

sql(q{
	CREATE ROLE clinic LOGIN;
	CREATE ROLE stranger LOGIN;
	CREATE ROLE reader LOGIN;
	GRANT CREATE ON SCHEMA public TO clinic, stranger;
	SELECT medchain.bind_role('reader', 'ha');
	SET ROLE clinic;
	CREATE TABLE visit (at int, id int, patient text, PRIMARY KEY (at, id)) PARTITION BY RANGE (at);
	CREATE TABLE visit_0 PARTITION OF visit FOR VALUES FROM (0) TO (10);
	CREATE TABLE visit_1 PARTITION OF visit FOR VALUES FROM (10) TO (20);
	INSERT INTO visit SELECT i, i, 'P' || i FROM generate_series(1, 19) i;
	ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO reader, stranger;
	GRANT ALL ON visit, visit_0, visit_1 TO reader, stranger;
	RESET ROLE;
	GRANT medchain_admin TO clinic});
sql(q{SELECT medchain.protect('visit', 'patient')}, 'clinic');
# who owns a table need not administer the alliance for the rest of its life
sql(q{REVOKE medchain_admin FROM clinic});
$alliance->sql('en', qq{SELECT medchain.issue_protocol('P$_', 'text', '[{"grantee": "ha", "operations": ["query", "update"]}]')}) foreach 5, 15, 25;
$alliance->wait_for_equal_heads;

# What the reader, who has grants for three examinees, and a stranger see of these tables.
sub seen
{
	my @tables = @_;
	my $count = join ' || ', map { "(SELECT count(*) FROM $_)::text" } @tables;
	return sql("SELECT $count", 'reader') . '/' . sql("SELECT $count", 'stranger');
}
is(seen('visit', 'visit_0', 'visit_1'), '211/000', 'each partition is closed by itself');

# What the ledger says of tables since the last time it was asked.
my $mark = 0;
sub said
{
	my $said = sql(qq{
		SELECT coalesce(string_agg(concat_ws(' ', kind, body ->> 'relation', body ->> 'part_of', CASE WHEN body ? 'found' THEN 'FOUND' END,
				(SELECT string_agg(c ->> 'item', ', ' ORDER BY c ->> 'item' COLLATE "C") FROM jsonb_array_elements(body -> 'changes') c
				 WHERE c ->> 'item' !~ '^(definition of|policy|roles of|trigger)'), n), '; ' ORDER BY first), 'nothing')
			FROM (SELECT kind, CASE WHEN kind ~ '^row' THEN jsonb_build_object('relation', body -> 'relation') ELSE body END AS body,
					min(seq) AS first, CASE WHEN kind ~ '^row' THEN 'x' || count(*) END AS n
				FROM (SELECT seq, kind, payload::jsonb -> 'body' AS body FROM medchain.entry WHERE origin = 'dc' AND seq >= $mark) e
				WHERE kind ~ '^(row|table)[.]|protect' GROUP BY 1, 2) e});
	$mark = sql(q{SELECT size FROM medchain.chain WHERE origin = 'dc'});
	return $said;
}
sub sealed { sql('SELECT medchain.seal()'); return said(); }
sealed();

# ----- making and attaching them, as their owner

is(error(q{CREATE TABLE visit_2 PARTITION OF visit FOR VALUES FROM (20) TO (30)}, 'clinic'), 'no error: ', 'an owner who is no administrator makes a partition');
is(error(q{
	CREATE TABLE visit_3 (patient text, id int, at int, PRIMARY KEY (at, id));
	INSERT INTO visit_3 VALUES ('P31', 31, 31), ('P32', 32, 32);
	ALTER TABLE visit ATTACH PARTITION visit_3 FOR VALUES FROM (30) TO (40)}, 'clinic'), 'no error: ', 'and attaches one');
is(error(q{
	CREATE TABLE visit_rest PARTITION OF visit DEFAULT PARTITION BY LIST (id);
	CREATE TABLE visit_rest_1 PARTITION OF visit_rest FOR VALUES IN (1);
	CREATE TABLE visit_rest_2 PARTITION OF visit_rest DEFAULT}, 'clinic'), 'no error: ', 'and a default one that has partitions');
sql(q{INSERT INTO visit_2 VALUES (25, 25, 'P25')}, 'reader');
is(sealed(), 'table.alter public.visit partition public.visit_2; table.alter public.visit partition public.visit_3; row.baseline public.visit x2; '
	  . 'table.alter public.visit partition public.visit_rest; table.alter public.visit partition public.visit_rest_1; table.alter public.visit partition public.visit_rest_2; '
	  . 'row.insert public.visit x1', 'all of that is on the ledger');
is(seen('visit', 'visit_2', 'visit_3', 'visit_rest', 'visit_rest_2'), '31000/00000', 'they are closed like the others');
is(faults('visit'), 'none', 'and without fault');

# ----- one partition is opened

is(error(q{ALTER TABLE visit_1 DISABLE ROW LEVEL SECURITY}, 'clinic'), 'no error: ', 'an owner can open a partition');
is(sealed(), 'table.alter public.visit row security on public.visit_1', 'which is on the ledger');
like(faults('visit'), qr/^not protected row security on public\.visit_1 is off$/, 'and a fault');
sql(q{ALTER TABLE visit_1 NO FORCE ROW LEVEL SECURITY, ENABLE ROW LEVEL SECURITY}, 'clinic');
like(faults('visit'), qr/^not protected row security on public\.visit_1 is not forced$/, 'as is one whose owner sees all');
sql(q{ALTER TABLE visit_1 FORCE ROW LEVEL SECURITY}, 'clinic');
is(faults('visit'), 'none', 'no more than that');
sealed();
sql(q{ALTER TABLE visit_1 OWNER TO stranger});
is(sealed(), 'table.alter public.visit owner on public.visit_1', 'that one is given away is on the ledger, too');
sql(q{REASSIGN OWNED BY stranger TO clinic; GRANT ALL ON visit_1 TO stranger});
is(sealed(), 'table.alter public.visit owner on public.visit_1', 'and that it is given back');

# ----- policies of somebody else's

sql(qq{
	DROP POLICY medchain_select ON $_; DROP POLICY medchain_may_select ON $_; ALTER POLICY medchain_update ON $_ USING (true) WITH CHECK (true);
	CREATE POLICY theirs ON $_ USING (true) WITH CHECK (true)}, 'clinic') foreach qw(visit visit_1);
is(seen('visit', 'visit_1'), '31/00', 'with all of medchain\'s gone, a policy that lets everything through lets through what medchain does');
is(sql(q{UPDATE visit SET patient = patient RETURNING at}, 'reader') =~ tr/\n//, 2, 'for changes, too');
is(sql(q{UPDATE visit_1 SET patient = 'P15' RETURNING at}, 'stranger'), '', 'of a partition as well');
like(error(q{INSERT INTO visit_1 VALUES (11, 99, 'P99')}, 'stranger'), qr/row-level security/, 'and new rows');
isnt(faults('visit'), 'none', 'it is a fault all the same');
sql(q{DROP POLICY theirs ON visit; DROP POLICY theirs ON visit_1; DROP POLICY medchain_update ON visit; DROP POLICY medchain_update ON visit_1}, 'clinic');
sql(q{SELECT medchain.unprotect('visit'); SELECT medchain.protect('visit', 'patient')});
is(faults('visit'), 'none', 'protect() makes them anew');
sealed();

# ----- detached

is(error(q{ALTER TABLE visit DETACH PARTITION visit_1}, 'clinic'), 'no error: ', 'an owner detaches one');
like(sealed(), qr/^table\.alter public\.visit partition public\.visit_1; row\.delete public\.visit x10; protect public\.visit_1 public\.visit; row\.baseline public\.visit_1 x10$/,
	'its rows are gone from the one table, and are another protected one\'s');
is(seen('visit', 'visit_1'), '21/00', 'it is closed as before');
sql(q{UPDATE visit_1 SET patient = 'P15' WHERE at = 15}, 'reader');
is(sealed(), 'row.update public.visit_1 x1', 'changes of it are on the ledger');
is(faults('visit') . faults('visit_1'), 'nonenone', 'both are without fault');
like(error(q{CREATE TABLE plain (LIKE visit) PARTITION BY RANGE (at); ALTER TABLE plain ATTACH PARTITION visit_1 FOR VALUES FROM (10) TO (20)}, 'clinic'),
	qr/public\.visit_1 are on the ledger, it cannot become a partition.*medchain\.unprotect/s, 'it cannot become part of a table that is open');
like(error(q{CREATE TABLE heir (LIKE visit); ALTER TABLE visit_1 INHERIT heir}, 'clinic'), qr/public\.visit_1 is protected, and cannot inherit from public\.heir, which is not/, 'nor be inherited from');
is(error(q{ALTER TABLE visit ATTACH PARTITION visit_1 FOR VALUES FROM (10) TO (20)}, 'clinic'), 'no error: ', 'it comes back');
like(sealed(), qr/^unprotect public\.visit_1 public\.visit; table\.alter public\.visit partition public\.visit_1; row\.baseline public\.visit x10$/, 'with its rows');
is(seen('visit', 'visit_1'), '31/00', 'closed');
is(faults('visit'), 'none', 'and without fault');
is(error(q{ALTER TABLE visit DETACH PARTITION visit_rest}, 'clinic'), 'no error: ', 'one with partitions of its own');
is(seen('visit_rest', 'visit_rest_1'), '00/00', 'is closed as well');
is(faults('visit_rest'), 'none', 'and without fault');
is(error(q{ALTER TABLE visit ATTACH PARTITION visit_rest DEFAULT}, 'clinic'), 'no error: ', 'and comes back');
is(faults('visit'), 'none', 'without fault');
like(error(q{SELECT medchain.unprotect('visit_1')}), qr/is a partition of public\.visit, which is protected.*DETACH PARTITION public\.visit_1 first/s, 'a partition is not unprotected alone');

# ----- detached while others look on, and interrupted
sealed();
sql(q{ALTER TABLE visit DETACH PARTITION visit_rest}, 'clinic');
is(error(q{ALTER TABLE visit DETACH PARTITION visit_0 CONCURRENTLY}, 'clinic'), 'no error: ', 'detached concurrently');
is(seen('visit', 'visit_0'), '21/00', 'it is closed');
is(faults('visit') . faults('visit_0'), 'nonenone', 'and both are without fault');
sql(q{ALTER TABLE visit ATTACH PARTITION visit_0 FOR VALUES FROM (0) TO (10)}, 'clinic');

# with partitions of its own, which go with it: nothing about that is found, as if nobody had explained it
my $unexplained = q{SELECT count(*) FROM medchain.entry WHERE kind = 'table.alter' AND payload::jsonb -> 'body' ? 'found'};
sql(q{CREATE TABLE visit_n PARTITION OF visit FOR VALUES FROM (300) TO (310) PARTITION BY RANGE (id);
	CREATE TABLE visit_n1 PARTITION OF visit_n FOR VALUES FROM (0) TO (1000)}, 'clinic');
sealed();
my $before = sql($unexplained);
my (undef, undef, $notice) = $cluster->psql('postgres', q{ALTER TABLE visit DETACH PARTITION visit_n CONCURRENTLY}, extra_params => [ '-U', 'clinic' ]);
sealed();
is(sql($unexplained), $before, 'partitions of what is detached go with it');
like($notice, qr/HINT:  Call medchain\.unprotect\('public\.visit_n'\) as a member of medchain_admin and of clinic to open it/, 'who may open it is said to an owner who may not');
sql(q{SELECT medchain.unprotect('visit_n'); DROP TABLE visit_n});

my $onlooker = $cluster->background_psql('postgres');
$onlooker->query_safe(q{BEGIN; SELECT count(*) FROM visit});
my ($rc, $out, $err) = $cluster->psql('postgres', q{SET statement_timeout = '1s'; ALTER TABLE visit DETACH PARTITION visit_0 CONCURRENTLY}, extra_params => [ '-U', 'clinic' ]);
isnt($rc, 0, 'somebody looks on, and it is interrupted');
$onlooker->query_safe('COMMIT');
$onlooker->quit;
is(sql(q{SELECT count(*) FROM pg_inherits WHERE inhdetachpending}), '1', 'half-way');
is(seen('visit', 'visit_0'), '21/00', 'it is closed');
is(faults('visit'), 'none', 'and without fault');
sql(q{UPDATE visit_0 SET patient = 'P5' WHERE at = 5}, 'reader');
is(faults('visit'), 'none', 'as changes of it are on the ledger');
like(error('TRUNCATE visit_0', 'clinic'), qr/cannot be truncated/, 'or refused');
like(error(q{SELECT medchain.unprotect('visit_0')}), qr/is a partition of public\.visit/, 'and it is still a part');
is(error(q{ALTER TABLE visit DETACH PARTITION visit_0 FINALIZE}, 'clinic'), 'no error: ', 'finalized');
is(seen('visit', 'visit_0'), '21/00', 'it is closed');
is(faults('visit') . faults('visit_0'), 'nonenone', 'and both are without fault');
sql(q{ALTER TABLE visit ATTACH PARTITION visit_0 FOR VALUES FROM (0) TO (10)}, 'clinic');

# ----- renamed, moved, dropped
sealed();
sql(q{CREATE SCHEMA archive AUTHORIZATION clinic; GRANT USAGE ON SCHEMA archive TO reader, stranger});
sql(q{ALTER TABLE visit_3 RENAME TO visit_three; ALTER TABLE visit_three SET SCHEMA archive}, 'clinic');
is(seen('visit', 'archive.visit_three'), '30/00', 'renamed and moved, it is closed');
is(faults('visit'), 'none', 'and without fault');
unlike(sealed(), qr/FOUND/, 'and all of that was seen');
is(error(q{DROP TABLE archive.visit_three}, 'clinic'), 'no error: ', 'one is dropped');
is(sealed(), 'row.delete public.visit x2; table.alter public.visit partition archive.visit_three', 'the ledger says which rows went with it');
is(faults('visit'), 'none', 'no fault');
sql(q{ALTER TABLE visit_2 SET SCHEMA archive}, 'clinic');
like(my $drop = error(q{DROP SCHEMA archive CASCADE}, 'clinic'), qr/partition archive\.visit_2 of public\.visit cannot be dropped.*HINT:  DROP TABLE archive\.visit_2 first/s,
	'not along with something else');
is(follow($drop, 'clinic'), 'followed', 'the hint helps');
is(error(q{DROP SCHEMA archive CASCADE}, 'clinic'), 'no error: ', 'then it can go');
is(faults('visit'), 'none', 'no fault');
like(error(q{BEGIN; DROP TABLE visit_0; ROLLBACK; SELECT count(*) FROM medchain.verify_table('visit')}), qr/^no error: 0$/, 'a drop that is rolled back has not been');
like(error('DROP TABLE visit_0', 'stranger'), qr/must be owner/, 'who may not drop it does not');

# ----- names that a stranger has used
sql(q{
	CREATE FUNCTION theirs() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
	CREATE TABLE named (at int, id int, patient text, PRIMARY KEY (at, id));
	CREATE TRIGGER medchain_capture AFTER INSERT ON named FOR EACH ROW EXECUTE FUNCTION theirs();
	CREATE TRIGGER medchain_truncate BEFORE TRUNCATE ON named EXECUTE FUNCTION theirs();
	CREATE POLICY medchain_select ON named USING (true)}, 'clinic');
my $attach = q{ALTER TABLE visit ATTACH PARTITION named FOR VALUES FROM (50) TO (60)};
foreach my $what ('trigger "medchain_capture"', 'trigger "medchain_truncate"', 'policy "medchain_select"')
{
	like(my $error = error($attach, 'clinic'), qr/$what on table public\.named is not medchain's.*HINT:  Rename it: ALTER/s, "$what of that name is not taken for medchain's");
	is(follow($error, 'clinic'), 'followed', 'the hint helps');
	sql(q{ALTER TRIGGER renamed ON named RENAME TO theirs}, 'clinic') if $what =~ /capture/;
}
is(error($attach, 'clinic'), 'no error: ', 'with all of them renamed it is attached');
is(seen('named'), '0/0', 'and closed');
is(faults('visit'), 'none', 'and without fault');

# who may put triggers on a table cannot write on the chain with medchain's
sql(q{GRANT TRIGGER ON visit TO stranger; CREATE TRIGGER again AFTER UPDATE ON visit FOR EACH ROW EXECUTE FUNCTION medchain_internal.capture()});
like(my $again = error(q{UPDATE visit SET patient = patient WHERE at = 5}, 'reader'), qr/trigger "again" on table "visit_0" is not medchain's.*HINT:  DROP TRIGGER again ON public\.visit/s,
	'medchain\'s function in a trigger of somebody else\'s is refused');
sql(q{DROP TRIGGER again ON visit});
sql(q{CREATE TRIGGER medchain_again AFTER INSERT ON visit_0 EXECUTE FUNCTION medchain_internal.capture_truncate()});
like(error(q{INSERT INTO visit_0 VALUES (6, 66, 'P5')}, 'reader'), qr/trigger "medchain_again" on table "visit_0" is not medchain's/, 'so is the one of TRUNCATE');
is(follow(error(q{INSERT INTO visit_0 VALUES (6, 66, 'P5')}, 'reader')), 'followed', 'the hint helps');
is(sql(q{INSERT INTO visit_0 VALUES (6, 66, 'P5') RETURNING at}, 'reader'), '6', 'then it can be written to');
is(faults('visit'), 'none', 'no fault');

# ----- ledger tables that become partitions
sql(q{
	CREATE TABLE other (at int, id int, patient text, who text, PRIMARY KEY (at, id)) PARTITION BY RANGE (at);
	CREATE TABLE logs (at int, id int, patient text, who text, PRIMARY KEY (at, id));
	CREATE TABLE plain_ledger (at int, id int, patient text, PRIMARY KEY (at, id));
	INSERT INTO plain_ledger VALUES (61, 61, 'P61');
	SELECT medchain.protect('other', 'who');
	SELECT medchain.ledger_table('logs', append_only => true);
	SELECT medchain.ledger_table('plain_ledger')});
sql(q{ALTER TABLE visit DETACH PARTITION visit_1; ALTER TABLE visit_1 ADD COLUMN who text});
like(my $by = error(q{ALTER TABLE other ATTACH PARTITION visit_1 FOR VALUES FROM (10) TO (20)}),
	qr/public\.visit_1 cannot become a partition of public\.other.*protected by its column "patient"; the other table by "who".*medchain\.unprotect\('public\.visit_1'\)/s, 'a table protected by another column');
like(my $append = error(q{ALTER TABLE other ATTACH PARTITION logs FOR VALUES FROM (30) TO (40)}), qr/append-only; the other table is not.*medchain\.end_ledger_table/s, 'one that is append-only');
is(follow($append), 'followed', 'the hint helps');
is(error(q{ALTER TABLE other ATTACH PARTITION logs FOR VALUES FROM (30) TO (40)}), 'no error: ', 'then it can be attached');
sealed();
is(error(q{ALTER TABLE visit ATTACH PARTITION plain_ledger FOR VALUES FROM (60) TO (70)}), 'no error: ', 'a ledger table can be attached to a protected one');
is(sealed(), 'table.end public.plain_ledger public.visit; table.alter public.visit owner on public.plain_ledger, partition public.plain_ledger; row.baseline public.visit x1', 'which its rows belong to then');
is(faults('visit') . faults('other'), 'nonenone', 'no fault');
is(follow($by), 'followed', 'the hint helps for the first as well');
is(error(q{ALTER TABLE other ATTACH PARTITION visit_1 FOR VALUES FROM (10) TO (20)}), 'no error: ', 'which can be attached then');

# ----- whatever happens to the table it was detached from
sql(q{ALTER TABLE other DETACH PARTITION visit_1; ALTER TABLE visit DETACH PARTITION visit_0});
is(seen('visit_0', 'visit_1'), '20/00', 'detached ones');
sql(q{SELECT medchain.unprotect('other'); DROP TABLE other; DROP TABLE visit CASCADE});
is(seen('visit_0', 'visit_1'), '20/00', 'are closed when the other is unprotected, or dropped');
is(sql(q{SELECT string_agg(what, ', ') FROM medchain.before_drop() WHERE what ~ 'table'}), 'table public.visit_0, table public.visit_1, table public.visit_rest', 'and known');
sealed();
is(sql(q{SELECT medchain.unprotect('visit_1'); SELECT count(*) FROM visit_1}, undef), "\n10", 'and can be unprotected');
is(sql(q{SELECT count(*) FROM visit_1}, 'stranger'), '10', 'which opens them');
like(sealed(), qr/unprotect public\.visit_1$/, 'and is on the ledger');
sql(q{CREATE POLICY theirs ON visit_1 USING (true)}, 'clinic');

# ----- a server without medchain, and what PostgreSQL's own hint names
$cluster->append_conf('postgresql.conf', "shared_preload_libraries = ''");
$cluster->restart;
like(error(q{SELECT count(*) FROM visit_0}, 'stranger'), qr/shared_preload_libraries/, 'without medchain a protected table shows nothing');
is(error(q{DROP EXTENSION medchain CASCADE}) =~ /^no error/, 1, 'the extension goes, with all that depends on it');
is(sql(q{SELECT count(*) FROM visit_0}, 'stranger') . sql(q{SELECT count(*) FROM visit_0}, 'clinic'), '00', 'and the table still shows nothing, to its owner neither');
done_testing();
