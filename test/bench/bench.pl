#!/usr/bin/perl
#
# bench.pl: what medchain costs, section by section.
#
# Run by test/bench/run, which says what the variables mean.

use strict;
use warnings;

# The test modules take STDOUT for a log of their own, and Test::More tells of every query: what is
# printed here goes past them.
my $out;
BEGIN { open($out, '>&', \*STDOUT) or die "stdout: $!"; }

use AccessBench;
use AuditBench;
use Instructions;
use List::Util qw(max min sum);
use POSIX ();
use Rig;
use RulesBench;
use Time::HiRes qw(sleep time);

$out->autoflush(1);
Test::More->builder->output('/dev/null');

my $quick     = $ENV{BENCH_QUICK};
my %section   = map { $_ => 1 } split(' ', $ENV{BENCH_SECTIONS} || 'append sustained ledger pgbench bulk verify growth ddl rules access audit idle');
my $rounds    = $ENV{BENCH_ROUNDS}    || ($quick ? 1 : 5);
my $seconds   = $ENV{BENCH_SECONDS}   || ($quick ? 1 : 5);
my $sustained = $ENV{BENCH_SUSTAINED} || ($quick ? 5 : 60);
my $entries   = $ENV{BENCH_ENTRIES}   || ($quick ? 50000 : 500000);
my $tables    = $quick ? 100 : 1000;
my $rows      = $ENV{BENCH_ROWS} || ($quick ? 50000 : 1000000);
my @protocols = split(' ', $ENV{BENCH_PROTOCOLS} || ($quick ? '200 1000' : '1000 10000 100000'));
my @members   = split(' ', $ENV{BENCH_MEMBERS} || ($quick ? '10 30' : '10 100 1000'));
my @growth    = split(' ', $ENV{BENCH_GROWTH} || ($quick ? '10000 30000' : '10000 100000 1000000'));

# at most 2 GB are written between two checkpoints
my $rig = Rig->new(wal_segments => $quick ? 16 : 128);

# A body that makes a payload of 300 bytes, and the text of such a payload.
my $text    = 'x' x 138;
my $body    = qq({"text":"$text"});
my $payload = qq({"kind":"bench","origin":"dc","id":"01a20e60-68af-76b8-97f1-3f58c539111e","time":"2026-11-24T12:00:00.000000Z",)
  . qq("actor":"dc","role":"postgres","body":$body});

sub heading { print $out "\n", join("\n", @_), "\n"; return; }

# ----- the machine ------------------------------------------------------------

# Hashes per second of messages as long as that, by so many processes.
sub openssl_messages
{
	my ($bytes, $processes) = @_;
	my $out = `openssl speed -seconds 1 -multi $processes -bytes $bytes sha256 2>/dev/null`;
	return $out =~ /^sha256\s+([0-9.]+)k/m ? $1 * 1000 / $bytes : 0;
}

sub machine
{
	my $sync = `pg_test_fsync -s 1 -f @{[ PostgreSQL::Test::Utils::tempdir() ]}/fsync 2>/dev/null`;
	my ($fdatasync) = $sync =~ /fdatasync\s+([0-9.]+) ops/;
	my $cores = `nproc`;
	chomp $cores;
	heading('The machine');
	printf $out "  %d cores; PostgreSQL %s; fdatasync %.0f/s; sha256 of 320 bytes %.2f million/s (one core)\n", $cores,
	  $rig->sql('SHOW server_version'), $fdatasync || 0, openssl_messages(320, 1) / 1e6;
	return;
}

# ----- append -----------------------------------------------------------------

sub prepare_alternatives
{
	my $columns = q{seq bigint GENERATED ALWAYS AS IDENTITY, id uuid DEFAULT gen_random_uuid(), kind text, "time" timestamptz DEFAULT now(), actor text, payload text};

	$rig->sql(qq{
		CREATE EXTENSION pgcrypto;
		CREATE TABLE plain ($columns);

		CREATE TABLE row_chain ($columns, hash bytea);
		CREATE TABLE row_chain_head (hash bytea);
		INSERT INTO row_chain_head VALUES ('');
		CREATE FUNCTION row_chain() RETURNS trigger LANGUAGE plpgsql AS \$\$
		DECLARE
			previous bytea;
		BEGIN
			SELECT hash INTO previous FROM row_chain_head FOR UPDATE;
			NEW.hash := digest(previous || convert_to(NEW.payload, 'UTF8'), 'sha256');
			UPDATE row_chain_head SET hash = NEW.hash;
			RETURN NEW;
		END\$\$;
		CREATE TRIGGER row_chain BEFORE INSERT ON row_chain FOR EACH ROW EXECUTE FUNCTION row_chain();

		CREATE TABLE audited ($columns);
		CREATE TABLE audit_log (id bigint GENERATED ALWAYS AS IDENTITY, at timestamptz, who text, txid bigint, relation text, operation text, image jsonb);
		CREATE FUNCTION audit() RETURNS trigger LANGUAGE plpgsql AS \$\$
		BEGIN
			INSERT INTO audit_log (at, who, txid, relation, operation, image)
				VALUES (clock_timestamp(), session_user, txid_current(), TG_RELID::regclass::text, TG_OP, to_jsonb(NEW));
			RETURN NULL;
		END\$\$;
		CREATE TRIGGER audit AFTER INSERT ON audited FOR EACH ROW EXECUTE FUNCTION audit()});
	return;
}

sub append
{
	my $insert = sub { my ($table) = @_; return "INSERT INTO $table (kind, actor, payload) VALUES ('bench', 'dc', '$payload');" };
	my $append = "SELECT medchain.append('bench', '$body');";

	heading('Append, entries of 300 bytes: transactions per second, and ratio to',
		'  (a) the same insert into a plain table, (b) a plpgsql row chain, (c) an audit trigger');
	prepare_alternatives();
	printf $out "  %-22s %8s %8s %8s %8s   %-22s %-24s %s\n", '', 'append', '(a)', '(b)', '(c)', 'to (a)', 'to (b)', 'to (c)';
	foreach my $async (0, 1)
	{
		foreach my $clients (1, 8)
		{
			my %load    = (clients => $clients, seconds => $seconds, async => $async);
			my $figures = $rig->rounds($rounds,
				a      => sub { $rig->tps($insert->('plain'), %load) },
				append => sub { $rig->tps($append, %load) },
				b      => sub { $rig->tps($insert->('row_chain'), %load) },
				c      => sub { $rig->tps($insert->('audited'), %load) });
			my %to = map { $_ => [ Rig::ratios($figures, 'append', $_) ] } qw(a b c);
			my $what = sprintf('%d client%s, %s', $clients, $clients > 1 ? 's' : '', $async ? 'asynchronous' : 'durable');

			printf $out "  %-22s %8.0f %8.0f %8.0f %8.0f   %-22s %-24s %s\n", $what,
			  (map { Rig::median(@{ $figures->{$_} }) } qw(append a b c)), map { Rig::spread(@{ $to{$_} }) } qw(a b c);
			next if $async;
			$rig->target("append to plain insert, $what", 'at least 0.9', Rig::spread(@{ $to{a} }), Rig::median(@{ $to{a} }) >= 0.9);
			$rig->target("append to plpgsql row chain, $what", 'at least 4', Rig::spread(@{ $to{b} }), Rig::median(@{ $to{b} }) >= 4)
			  if $clients > 1;
		}
	}
	return;
}

# ----- under load -------------------------------------------------------------

# Samples of the backlog while eight clients append, and how long a probe's entry takes from commit to the ledger.
sub sustained
{
	my (@backlog, @delays);
	my $file = PostgreSQL::Test::Utils::tempdir() . '/sustained';
	my $pid;
	my $probe = $rig->{alliance}->cluster('dc')->background_psql('postgres');

	heading("$sustained s of durable appends by 8 clients");
	$rig->sql('SELECT medchain.seal()');
	$rig->recycle_wal;
	defined($pid = fork) or die "fork: $!";
	if ($pid == 0)
	{
		my $tps = $rig->tps("SELECT medchain.append('bench', '$body');", clients => 8, seconds => $sustained);
		open(my $result, '>', $file) or die "$file: $!";
		print $result $tps;
		close($result);
		POSIX::_exit(0);
	}
	my $end = time + $sustained - 1;
	sleep 1;
	while (time < $end)
	{
		my $delay = $probe->query_safe(q{
			SELECT medchain.append('probe', 'null') AS id, clock_timestamp() AS at \gset
			CALL medchain_bench.wait(:'id', :'at')});
		push @delays, $delay =~ /([0-9.]+)/ ? $1 : die "no delay: $delay";
		push @backlog, [ split(/\|/, $rig->sql("SELECT pending, pending_size FROM medchain.stat")) ];
		sleep 0.2;
	}
	waitpid($pid, 0);
	$probe->quit;
	my $tps    = PostgreSQL::Test::Utils::slurp_file($file);
	my $third  = int(@backlog / 3) || 1;
	my $before = Rig::median(map { $_->[0] } @backlog[ 0 .. $third - 1 ]);
	my $after  = Rig::median(map { $_->[0] } @backlog[ -$third .. -1 ]);
	my @sorted = sort { $a <=> $b } @delays;
	my $p99    = $sorted[ int(0.99 * $#sorted) ];

	printf $out "  %.0f entries/s; backlog: median %.0f in the first third, %.0f in the last; medchain.pending at most %.0f MB\n",
	  $tps, $before, $after, max(map { $_->[1] } @backlog) / 1e6;
	printf $out "  from commit to block, %d probes: median %.0f ms, 99 %% %.0f ms, longest %.0f ms\n", scalar(@delays), Rig::median(@delays), $p99, $sorted[-1];
	$rig->target('backlog of the sealer, first third to last', 'does not grow', sprintf('%.0f to %.0f', $before, $after),
		$after <= max(2 * $before, $tps * 0.4));
	$rig->target('seal delay under full load, 99 %', 'below 1000 ms', sprintf('%.0f ms', $p99), $p99 < 1000);
	return;
}

# Milliseconds from a moment until an entry is in the ledger.
sub prepare_probe
{
	$rig->sql(q{
		CREATE SCHEMA medchain_bench;
		CREATE PROCEDURE medchain_bench.wait(entry uuid, since timestamptz, INOUT ms float8 DEFAULT NULL) LANGUAGE plpgsql AS $$
		BEGIN
			LOOP
				EXIT WHEN EXISTS (SELECT FROM medchain.entry e WHERE e.id = wait.entry);
				COMMIT;
				PERFORM pg_sleep(0.005);
			END LOOP;
			ms := extract(epoch FROM clock_timestamp() - since) * 1000;
		END$$});
	return;
}

# ----- ledger tables ----------------------------------------------------------

sub ledger
{
	heading('A ledger table to the same table without, durable');
	$rig->sql(q{
		CREATE TABLE t_plain (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, patient text, seen timestamptz DEFAULT now(), finding text, value numeric);
		CREATE TABLE t_ledger (LIKE t_plain INCLUDING ALL);
		INSERT INTO t_plain (patient, finding, value) SELECT 'P' || i, repeat('finding ', 10), i FROM generate_series(1, 10000) i;
		INSERT INTO t_ledger (patient, finding, value) SELECT patient, finding, value FROM t_plain;
		SELECT medchain.ledger_table('t_ledger')});
	my $insert = sub { "INSERT INTO $_[0] (patient, finding, value) VALUES ('P0042', '" . 'finding ' x 10 . "', 3.14);" };
	my $update = sub { "\\set id random(1, 10000)\nUPDATE $_[0] SET value = value + 1 WHERE id = :id;" };

	foreach my $clients (1, 8)
	{
		my %load = (clients => $clients, seconds => $seconds);
		foreach my $case ([ insert => $insert ], [ update => $update ])
		{
			my ($name, $script) = @$case;
			my $figures = $rig->rounds($rounds,
				plain  => sub { $rig->tps($script->('t_plain'), %load) },
				ledger => sub { $rig->tps($script->('t_ledger'), %load) });
			my @ratios = Rig::ratios($figures, 'ledger', 'plain');

			printf $out "  %-22s %8.0f to %8.0f/s   %s\n", "$name, $clients client" . ($clients > 1 ? 's' : ''),
			  (map { Rig::median(@{ $figures->{$_} }) } qw(ledger plain)), Rig::spread(@ratios);
			$rig->target("ledger table to plain, $name, $clients clients", 'at least 0.7', Rig::spread(@ratios), Rig::median(@ratios) >= 0.7);
		}
	}
	$rig->sql('SELECT medchain.seal()');
	return;
}

# ----- pgbench ----------------------------------------------------------------

# One of pgbench's own scripts, for tables of that scale.
sub own_script
{
	my ($name, $scale) = @_;
	my (undef, $script) = PostgreSQL::Test::Utils::run_command([ 'pgbench', "--show-script=$name" ]);

	$script =~ s/^--.*\n//mg;
	return $script =~ s/:scale\b/$scale/gr;
}

sub pgbench
{
	my $scale   = $quick ? 1 : 5;
	my $cluster = $rig->{alliance}->cluster('dc');
	my $taken   = 0;

	heading("pgbench, scale $scale, durable: its four tables on the ledger to the same without");
	foreach my $schema (qw(pgbench_plain pgbench_ledger))
	{
		$rig->sql("CREATE SCHEMA $schema");
		local $ENV{PGOPTIONS} = "-c search_path=$schema";
		PostgreSQL::Test::Utils::run_command([ 'pgbench', '-i', '-q', '-s', $scale, '-h', $cluster->host, '-p', $cluster->port, 'postgres' ]);
		$rig->sql("ALTER TABLE $schema.pgbench_history ADD COLUMN id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY");
	}
	$taken += $rig->seconds("SELECT medchain.ledger_table('pgbench_ledger.pgbench_$_')") foreach qw(branches tellers history accounts);
	printf $out "  ledger_table() of all four, with %d accounts: %.1f s\n", $scale * 100000, $taken;
	$rig->sql('SELECT medchain.seal(); VACUUM ANALYZE');
	foreach my $name (qw(tpcb-like simple-update))
	{
		my $script = own_script($name, $scale);
		foreach my $clients (1, 8)
		{
			my %load    = (clients => $clients, seconds => $seconds);
			my $figures = $rig->rounds($rounds, map { my $schema = "pgbench_$_"; ($_ => sub { $rig->tps($script, %load, schema => $schema) }) } qw(plain ledger));
			my @ratios  = Rig::ratios($figures, 'ledger', 'plain');
			my $what    = "$name, $clients client" . ($clients > 1 ? 's' : '');

			printf $out "  %-26s %8.0f to %8.0f/s   %s\n", $what, (map { Rig::median(@{ $figures->{$_} }) } qw(ledger plain)), Rig::spread(@ratios);
			$rig->target("pgbench's tables on the ledger to plain, $what", '', Rig::spread(@ratios), 1);
		}
	}
	$rig->sql('SELECT medchain.seal()');
	return;
}

# ----- statements about many rows -----------------------------------------------

# Rows of 100 bytes, a hundred of each patient's, in a file that the server can read.
sub prepare_rows
{
	my $file = PostgreSQL::Test::Utils::tempdir() . '/rows';

	$rig->sql(qq{
		CREATE TABLE b_like (id bigint PRIMARY KEY, patient text, seen timestamptz, finding text, value numeric);
		COPY (SELECT i, 'P' || (i * 7919::bigint) % ($rows / 100), '2026-01-01Z'::timestamptz + i * interval '1 min', repeat('finding ', 5) || i, i * 1.5
			FROM generate_series(1, $rows) i) TO '$file'});
	return $file;
}

# Bytes of what is kept of sets.
sub set_size
{
	return $rig->sql(q{SELECT sum(pg_total_relation_size(c)) FROM unnest('{medchain.row_set, medchain.row_item, medchain.row_key}'::regclass[]) c});
}

sub bulk
{
	my $some = int($rows / 10);
	my $file = prepare_rows();
	my $name = 0;
	my (%bytes, $table);

	heading("Statements about many rows, durable, and until they are sealed: a ledger table to one without;",
		"  COPY of $rows rows of 100 bytes, UPDATE and DELETE of $some of them; protect() of $rows rows to their COPY into a plain table");
	# each table is new, and each pair one behind the other
	my $figures = $rig->rounds($rounds,
		plain_copy => sub {
			$rig->sql('DROP TABLE IF EXISTS b_plain; CREATE TABLE b_plain (LIKE b_like INCLUDING ALL); CHECKPOINT');
			return $rig->seconds("COPY b_plain FROM '$file'");
		},
		copy => sub {
			$table = 'b_ledger_' . ++$name;
			$rig->sql("CREATE TABLE $table (LIKE b_like INCLUDING ALL); SELECT medchain.ledger_table('$table'); CHECKPOINT");
			my $before  = set_size();
			my $seconds = $rig->seconds_of_all("COPY $table FROM '$file'", 'SELECT medchain.seal()');
			push @{ $bytes{copy} }, (set_size() - $before) / $rows;
			return $seconds;
		},
		(map {
			my ($what, $sql) = @$_;
			("plain_$what" => sub { return $rig->seconds(sprintf($sql, 'b_plain')) },
			$what => sub {
				my $before  = set_size();
				my $seconds = $rig->seconds_of_all(sprintf($sql, $table), 'SELECT medchain.seal()');
				push @{ $bytes{$what} }, (set_size() - $before) / $some;
				return $seconds;
			})
		} [ update => "UPDATE %s SET value = value + 1 WHERE id <= $some" ], [ delete => "DELETE FROM %s WHERE id <= $some" ]),
		protect => sub {
			$rig->sql("TRUNCATE b_plain; COPY b_plain FROM '$file'; CHECKPOINT");
			my $before  = set_size();
			my $seconds = $rig->seconds_of_all(q{SELECT medchain.protect('b_plain', 'patient')}, 'SELECT medchain.seal()');
			push @{ $bytes{protect} }, (set_size() - $before) / $rows;
			$rig->sql(qq{SELECT medchain.unprotect('b_plain'); SELECT medchain.end_ledger_table('$table'); DROP TABLE $table});
			return $seconds;
		});

	foreach my $what (qw(copy update delete))
	{
		my @ratios = Rig::ratios($figures, "plain_$what", $what);
		printf $out "  %-22s %8.2f to %6.2f s   %s   %.0f bytes a row\n", $what,
		  (map { Rig::median(@{ $figures->{$_} }) } $what, "plain_$what"), Rig::spread(@ratios), Rig::median(@{ $bytes{$what} });
		$rig->target("$what of many rows, plain to ledger table", 'at least 0.5', Rig::spread(@ratios), Rig::median(@ratios) >= 0.5);
	}
	my @protect = Rig::ratios($figures, 'protect', 'plain_copy');
	printf $out "  %-22s %8.2f to %6.2f s   %s   %.0f bytes a row\n", 'protect()',
	  (map { Rig::median(@{ $figures->{$_} }) } qw(protect plain_copy)), Rig::spread(@protect), Rig::median(@{ $bytes{protect} });
	$rig->target('protect() to COPY of the same rows', 'at most 3', Rig::spread(@protect), Rig::median(@protect) <= 3);
	my $most = max(map { Rig::median(@$_) } values %bytes);
	$rig->target('what is kept of a row in a set', 'at most 120 bytes', sprintf('%.0f bytes', $most), $most <= 120);
	$rig->sql('DROP TABLE b_plain, b_like');
	return;
}

# ----- verify -----------------------------------------------------------------

sub fill
{
	my ($count) = @_;
	$rig->sql("SELECT count(medchain.append('bench', '$body')) FROM generate_series(1, $count)") if $count > 0;
	$rig->sql('SELECT medchain.seal()');
	return;
}

# Megabytes of its own that a session had at most while it verified.
sub verify_memory
{
	my $session = $rig->{alliance}->cluster('dc')->background_psql('postgres');
	my $pid     = $session->query_safe('SELECT pg_backend_pid()');
	$pid =~ s/\D//g;
	my $read = sub { my ($what) = @_; return `cat /proc/$pid/status` =~ /^$what:\s+(\d+)/m ? $1 / 1024 : 0 };
	my $before = $read->('RssAnon');
	$session->query_safe("SET medchain.verify_workers = 0; SELECT count(*) FROM medchain.verify('dc')");
	my $grown = $read->('RssAnon') - $before;
	$session->quit;
	return $grown;
}

sub verify
{
	my $verify = "SELECT * FROM medchain.verify('dc')";
	my ($small, $large);

	heading('verify(), entries of 300 bytes');
	fill($entries / 2);
	$small = verify_memory();
	fill($entries / 2);
	$large = verify_memory();
	# as autovacuum leaves it a minute later; its own turn would fall into the measurement
	$rig->sql('VACUUM ANALYZE medchain.entry');
	my $count   = $rig->sql('SELECT count(*) FROM medchain.entry');
	my $figures = $rig->rounds($rounds,
		sha => sub { openssl_messages(320, 1) },
		sha2 => sub { openssl_messages(320, 2) },
		map { my $workers = $_; ($workers => sub { $count / $rig->seconds("SET medchain.verify_workers = $workers", $verify) }) } 0, 1, 2);
	my @limit = Rig::ratios($figures, 1, 'sha');
	my @two   = Rig::ratios($figures, 2, 1);
	my @cores = Rig::ratios($figures, 'sha2', 'sha');
	my %rate  = map { $_ => Rig::median(@{ $figures->{$_} }) } 0, 1, 2;

	printf $out "  %d entries: %.0f entries/s in the session, %.0f with 1 worker, %.0f with 2\n", $count, @rate{ 0, 1, 2 };
	printf $out "  two workers to one: %s; two processes of openssl to one: %s\n", Rig::spread(@two), Rig::spread(@cores);
	printf $out "  one worker to sha256 of 320 bytes by openssl alone: %s\n", Rig::spread(@limit);
	printf $out "  memory of the session: %.1f MB more after half of them, %.1f after all\n", $small, $large;
	$rig->target('verify(), entries per second and core', 'at least 500000', sprintf('%.0f', $rate{1}), $rate{1} >= 500000);
	$rig->target('verify(), two workers to one', 'at least 1.7', Rig::spread(@two), Rig::median(@two) >= 1.7);
	$rig->target('verify(), memory at twice the entries', 'flat', sprintf('%.1f to %.1f MB', $small, $large), $large - $small < 4);
	return;
}

# ----- growth -----------------------------------------------------------------

# Milliseconds of an inclusion proof, the median of many at random.
sub proof
{
	my $out = $rig->sql(q{
		DO $$
		DECLARE
			n bigint := (SELECT size FROM medchain.chain WHERE origin = 'dc');
			entry uuid;
			t timestamptz;
			times float8[];
		BEGIN
			FOR i IN 1 .. 220 LOOP
				SELECT id INTO entry FROM medchain.entry WHERE origin = 'dc' AND seq = (SELECT floor(random() * n)::bigint);
				t := clock_timestamp();
				PERFORM medchain.inclusion_proof(entry);
				IF i > 20 THEN
					times := times || extract(epoch FROM clock_timestamp() - t)::float8 * 1000;
				END IF;
			END LOOP;
			PERFORM set_config('bench.ms', (SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY x) FROM unnest(times) x)::text, false);
		END$$;
		SELECT current_setting('bench.ms')});
	return $out;
}

sub growth
{
	my (@append, @proof);

	heading('Growth: the cost of an append and of a proof as the ledger gets longer');
	foreach my $size (@growth)
	{
		fill(max(0, $size - $rig->sql('SELECT count(*) FROM medchain.entry')));
		# beside a plain insert, for the machine is not the same from one minute to the next
		my $figures = $rig->rounds($rounds,
			a      => sub { $rig->tps("INSERT INTO plain_growth (payload) VALUES ('$payload');", clients => 8, seconds => $seconds, async => 1) },
			append => sub { $rig->tps("SELECT medchain.append('bench', '$body');", clients => 8, seconds => $seconds, async => 1) });
		my @ratios = Rig::ratios($figures, 'append', 'a');

		$rig->sql('SELECT medchain.seal()');
		push @append, Rig::median(@ratios);
		push @proof,  proof();
		printf $out "  %10d entries and more: append to a plain insert, 8 clients asynchronous: %s; inclusion_proof() %.2f ms\n",
		  $size, Rig::spread(@ratios), $proof[-1];
	}
	$rig->target('append, longest ledger to shortest', 'within 10 %', sprintf('%.2f', $append[-1] / $append[0]), $append[-1] / $append[0] >= 0.9);
	$rig->target('inclusion_proof() in the longest', 'below 1 ms', sprintf('%.2f ms', $proof[-1]), $proof[-1] < 1);
	return;
}

# ----- DDL --------------------------------------------------------------------

# Milliseconds a statement, of some that have nothing to do with a ledger table, in that database.
sub foreign_ddl
{
	my ($dbname) = @_;
	my $turns = 40;
	return $rig->seconds_in($dbname, qq{
		DO \$\$
		BEGIN
			FOR i IN 1 .. $turns LOOP
				CREATE TABLE passing (id int PRIMARY KEY, v text);
				ALTER TABLE passing ADD COLUMN w int;
				ALTER TABLE passing RENAME COLUMN w TO x;
				CREATE TEMP TABLE short (id int);
				DROP TABLE short;
				DROP TABLE passing;
			END LOOP;
		END\$\$}) * 1000 / (6 * $turns);
}

# Seconds that pg_restore takes for such a dump, into a new database.
sub restore
{
	my ($dump) = @_;
	my $cluster = $rig->{alliance}->cluster('dc');
	my $start;

	$rig->sql('CREATE DATABASE restored');
	$start = time;
	PostgreSQL::Test::Utils::run_command([ 'pg_restore', '-d', $cluster->connstr('restored'), $dump ]);
	my $seconds = time - $start;
	$rig->sql('DROP DATABASE restored WITH (FORCE)');
	return $seconds;
}

sub dump_to
{
	my ($file) = @_;
	PostgreSQL::Test::Utils::system_or_bail('pg_dump', '-Fc', '-f', $file, '--no-subscriptions', '--no-publications',
		$rig->{alliance}->cluster('dc')->connstr('postgres'));
	return $file;
}

# Milliseconds of ledger_table() for each of these.
sub put_on_ledger
{
	my (@names) = @_;
	return map { $rig->seconds("SELECT medchain.ledger_table('ddl.t$_')") * 1000 } @names;
}

sub ddl
{
	my $dir     = PostgreSQL::Test::Utils::tempdir();
	my $restore = 270;
	my $few     = 50;
	my $last    = $tables - 9;

	heading("DDL with $tables ledger tables");
	$rig->sql(qq{
		CREATE DATABASE without;
		CREATE SCHEMA ddl;
		SELECT format('CREATE TABLE ddl.t%s (id int PRIMARY KEY, other int, v text)', i) FROM generate_series(1, $restore) i \\gexec
		SELECT format('ALTER TABLE ddl.t%s ADD FOREIGN KEY (other) REFERENCES ddl.t%s', i, i - 1) FROM generate_series(2, $restore) i \\gexec
		SELECT format('CREATE INDEX ON ddl.t%s (other)', i) FROM generate_series(1, $restore) i \\gexec});
	my $none = dump_to("$dir/none");
	my @first = put_on_ledger(1 .. 10);
	put_on_ledger(11 .. $few);
	my $some = dump_to("$dir/some");
	my $restores = $rig->rounds($rounds, some => sub { restore($some) }, none => sub { restore($none) });
	my @restores = Rig::ratios($restores, 'some', 'none');

	$rig->sql(qq{
		SELECT format('CREATE TABLE ddl.t%s (id int PRIMARY KEY, other int, v text)', i) FROM generate_series($restore + 1, $tables) i \\gexec
		SELECT format('SELECT medchain.ledger_table(%L)', 'ddl.t' || i) FROM generate_series($few + 1, $last - 1) i \\gexec});
	my @last = put_on_ledger($last .. $tables);
	my $figures = $rig->rounds($rounds, with => sub { foreign_ddl('postgres') }, without => sub { foreign_ddl('without') });
	my @cost = map { $figures->{with}[$_] - $figures->{without}[$_] } 0 .. $#{ $figures->{with} };

	printf $out "  a statement about other tables: %.2f ms, %.2f in a database without medchain\n",
	  map { Rig::median(@{ $figures->{$_} }) } qw(with without);
	printf $out "  ledger_table(): %.1f ms each for the first ten, %.1f for the last\n", Rig::median(@first), Rig::median(@last);
	printf $out "  pg_restore of $restore tables: %.1f s with $few of them on the ledger, %.1f s with none\n",
	  map { Rig::median(@{ $restores->{$_} }) } qw(some none);
	$rig->target("cost of DDL on other tables, $tables ledger tables", 'below 1 ms', sprintf('%.2f ms', Rig::median(@cost)),
		Rig::median(@cost) < 1);
	$rig->target('ledger_table(), last to first', 'as fast', sprintf('%.2f', Rig::median(@last) / Rig::median(@first)),
		Rig::median(@last) < 1.5 * Rig::median(@first));
	$rig->target("restore, $few of $restore tables on the ledger to none", '', Rig::spread(@restores), 1);
	$rig->sql('DROP DATABASE without');
	return;
}

# ----- the rules ---------------------------------------------------------------

sub rules
{
	my $bench = RulesBench->new($out, $rig);

	heading('The rules: fold of entries about members; of a protocol, milliseconds each; a newcomer; and what sessions notice');
	$bench->members(\@members, $quick ? 1 : 3);
	$bench->protocols(\@protocols, $quick ? 1 : 3);
	$bench->newcomer;
	$bench->access;
	$bench->stop;
	return;
}

# ----- reading what was granted --------------------------------------------------

sub access
{
	my $bench = AccessBench->new($out, $rig, $rows, 'adc');

	heading("Reading $rows records by grants, without the audit of reads: to a join with them, to textbook policies, and to none");
	$bench->run($rounds);
	$bench->stop;
	return;
}

# ----- who has read what -----------------------------------------------------------

sub audit
{
	my $bench = AuditBench->new($out, $rig, $rows);

	heading('Reading with each access on the ledger before its rows leave (strict), or behind them (async), to without; milliseconds');
	$bench->run($rounds, $seconds);
	$bench->stop;
	return;
}

# ----- who does not use it ------------------------------------------------------

sub idle
{
	my $bare   = $rig->start_bare;
	my $script = "\\set aid random(1, 100000)\nSELECT abalance FROM pgbench_accounts WHERE aid = :aid;";
	my $ours   = $rig->{alliance}->cluster('dc');

	heading('pgbench -S, prepared, to a server that does not know of medchain');
	foreach my $cluster ($ours, $bare)
	{
		PostgreSQL::Test::Utils::run_command([ 'pgbench', '-i', '-q', '-h', $cluster->host, '-p', $cluster->port, 'postgres' ]);
	}
	foreach my $clients (1, 8)
	{
		my %load    = (clients => $clients, seconds => $seconds);
		my $figures = $rig->rounds(2 * $rounds,
			ours => sub { $rig->tps($script, %load) },
			bare => sub { $rig->tps($script, %load, cluster => $bare) });
		my @ratios = Rig::ratios($figures, 'ours', 'bare');

		printf $out "  %-22s %8.0f to %8.0f/s   %s\n", "$clients client" . ($clients > 1 ? 's' : ''),
		  (map { Rig::median(@{ $figures->{$_} }) } qw(ours bare)), Rig::spread(@ratios);
		$rig->target("pgbench -S, preloaded to not, $clients clients", 'at least 0.98', Rig::spread(@ratios), Rig::median(@ratios) >= 0.98);
	}
	$bare->stop;
	if (!Instructions::possible())
	{
		print $out "  instructions are counted where there is valgrind\n";
		return;
	}
	foreach my $name (Instructions::names())
	{
		my ($with, $without) = map { Instructions::count($bare, $name, $_) } ('medchain', '');
		my $ratio = sprintf('%.4f', $without / $with);

		printf $out "  %-22s %8.0f to %8.0f instructions   %s\n", $name, $with, $without, $ratio;
		$rig->target("$name, instructions, not preloaded to preloaded", 'at least 0.98', $ratio, $ratio >= 0.98);
	}
	return;
}

machine();
# first, while the ledger is short
if ($section{growth})
{
	$rig->sql('CREATE TABLE plain_growth (seq bigint GENERATED ALWAYS AS IDENTITY, payload text)');
	growth();
}
append() if $section{append};
if ($section{sustained})
{
	prepare_probe();
	sustained();
}
# while all entries have 300 bytes
verify() if $section{verify};
ledger() if $section{ledger};
pgbench() if $section{pgbench};
bulk() if $section{bulk};
idle() if $section{idle};
ddl() if $section{ddl};
rules() if $section{rules};
access() if $section{access};
audit() if $section{audit};
$rig->summary($out);
$rig->stop;
# the test modules, which start and stop the server, expect a test
Test::More::pass('measured');
Test::More::done_testing();
