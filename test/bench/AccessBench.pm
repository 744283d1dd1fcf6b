=pod

=head1 NAME

AccessBench - what it costs to read the records that a member has been granted

=head1 DESCRIPTION

A table of records that is protected, and the same with a table of grants as one would write it by hand. It is read by two
members, one with few of all grants and one with many, each examinee's under several protocols: through C<may_query()>, by a
join with the grants, under the textbook policies (EXISTS, IN) on them, and without any security. To issue millions of
protocols would take an hour; they are put into the tables of state, past the triggers that keep them.

Accesses are not recorded here (medchain.read_audit = off): what that costs is another question.

=cut

package AccessBench;

use strict;
use warnings;

use Medchain::Alliance;
use PostgreSQL::Test::Utils;
use Rig;
use Time::HiRes qw(time);

my @members   = qw(few many);
my $patience  = 10;    # seconds: what takes longer, as a policy may, is shown as that
my $protocols = 5;     # under which the one with many has each examinee's records

sub new
{
	my ($class, $out, $rig, $rows, $node) = @_;
	my $alliance = Medchain::Alliance->new($node => 'data_center');
	my $self     = bless { alliance => $alliance, node => $node, out => $out, rig => $rig, rows => $rows, examinees => $rows / 10 }, $class;

	$alliance->start($node, conf => Rig->conf);
	$alliance->found;
	$self->records;
	return $self;
}

sub stop { my ($self) = @_; $self->{alliance}->cluster($self->{node})->stop; return; }

sub sql { my ($self, $sql) = @_; return $self->{alliance}->sql($self->{node}, $sql); }

# ----- what is read ------------------------------------------------------------

sub records
{
	my ($self) = @_;

	$self->sql(qq{
		CREATE TABLE record (id bigint PRIMARY KEY, patient text NOT NULL, at timestamptz NOT NULL, value float8 NOT NULL, finding text);
		INSERT INTO record SELECT i, 'P' || lpad((i * 7919::bigint % $self->{examinees})::text, 8, '0'), '2026-01-01Z'::timestamptz + i * interval '1 min',
			i % 1000, repeat('finding ', 5) FROM generate_series(1, $self->{rows}) i;
		CREATE INDEX ON record (patient);
		CREATE INDEX ON record (at);
		CREATE TABLE grants (subject text NOT NULL, grantee text NOT NULL, valid tstzrange NOT NULL)});
	foreach my $table (qw(plain_record exists_record in_record))
	{
		$self->sql(qq{
			CREATE TABLE $table (LIKE record INCLUDING INDEXES);
			INSERT INTO $table SELECT * FROM record});
	}
	my $mine = q{g.grantee = current_user AND now() <@ g.valid};
	$self->sql(qq{
		SELECT medchain.protect('record', 'patient');
		ALTER TABLE exists_record ENABLE ROW LEVEL SECURITY;
		CREATE POLICY p ON exists_record USING (EXISTS (SELECT FROM grants g WHERE $mine AND g.subject = exists_record.patient));
		ALTER TABLE in_record ENABLE ROW LEVEL SECURITY;
		CREATE POLICY p ON in_record USING (patient IN (SELECT g.subject FROM grants g WHERE $mine));
		SELECT format('ALTER TABLE %s DISABLE TRIGGER %I', tgrelid::regclass, tgname) FROM pg_trigger
			WHERE tgrelid = ANY ('{medchain.member, medchain.protocol, medchain.protocol_grant, medchain.role_binding, medchain.bound_role}'::regclass[]) \\gexec
		INSERT INTO medchain.member SELECT (jsonb_populate_record(m, jsonb_build_object('name', n, 'kind', 'chain_node',
			'capabilities', '{query,update}'::text[]))).* FROM medchain.member m, unnest('{few, many}'::text[] || array(SELECT 'other' || i FROM generate_series(1, 9) i)) n;
		INSERT INTO medchain.protocol SELECT md5('p' || i)::uuid, '$self->{node}', s.pseudonym, 'text', '[2026-01-01,)', now(), NULL, NULL, NULL, i
			FROM (SELECT row_number() OVER (ORDER BY identity) - 1 AS n, pseudonym FROM medchain.subject_identity) s, generate_series(0, $protocols - 1) k,
			LATERAL (SELECT s.n * $protocols + k AS i) x});
	foreach my $member (@members)
	{
		$self->sql(qq{
			CREATE ROLE $member LOGIN;
			ALTER ROLE $member SET medchain.read_audit = off;
			GRANT SELECT ON record, plain_record, exists_record, in_record, grants TO $member;
			INSERT INTO medchain.role_binding VALUES ('$member', '$member', 1000, md5('$member')::uuid);
			INSERT INTO medchain.bound_role VALUES ((SELECT system_identifier::text FROM pg_control_system()), '$member'::regrole, ARRAY[md5('$member')::uuid])});
	}
	$self->grants("'many'", 'true');
	$self->grants("'few'", sprintf('p.version %% %d = 0', 20 * $protocols));
	return;
}

# So many grants, to whom, of which protocols.
sub grants
{
	my ($self, $grantee, $which) = @_;

	$self->sql(qq{
		INSERT INTO medchain.protocol_grant SELECT p.id, abs(hashtext($grantee)), p.subject, $grantee, '{query}', NULL, NULL, '[2026-01-01,)' FROM medchain.protocol p WHERE $which;
		INSERT INTO grants SELECT s.identity, $grantee, '[2026-01-01,)' FROM medchain.protocol p JOIN medchain.subject_identity s ON s.pseudonym = p.subject WHERE $which});
	return;
}

# Nine others have as many as the one with many.
sub more
{
	my ($self) = @_;
	$self->grants("'other$_'", 'true') foreach 1 .. 9;
	return;
}

sub settle
{
	my ($self) = @_;

	$self->sql(q{
		CREATE INDEX IF NOT EXISTS grants_grantee ON grants (grantee, subject);
		ANALYZE grants, record, plain_record, exists_record, in_record});
	$self->sql($_) foreach 'VACUUM ANALYZE', 'CHECKPOINT';
	# what is kept in memory knows nothing of rows that nobody has folded
	$self->{alliance}->cluster($self->{node})->restart;
	return;
}

# ----- questions ----------------------------------------------------------------

my %question = (
	one       => [ 'one row by key',             'WHERE r.id = %s * 20' ],
	subject   => [ 'rows of one examinee',       q{WHERE r.patient = 'P' || lpad((%s * 20)::text, 8, '0')} ],
	page      => [ 'first page by time',         'ORDER BY r.at LIMIT 20' ],
	aggregate => [ 'aggregate over all its rows', '' ]);
my @questions = qw(one subject page aggregate);

# One that the member may see; n: of which examinee.
sub ask
{
	my ($self, $question, $table, $member, $n) = @_;
	my $what  = $question eq 'aggregate' ? 'count(*), avg(r.value)' : 'r.*';
	my $which = $question{$question}[1];
	my $join  = '';

	$which = sprintf($which, $n) if $which =~ /%/;
	if ($table eq 'join')
	{
		# several grants of one examinee show each record once
		my $exists = "EXISTS (SELECT FROM grants g WHERE g.grantee = '$member' AND now() <\@ g.valid AND g.subject = r.patient)";

		$table = 'plain_record';
		$which = $which =~ s/^WHERE /WHERE $exists AND /r || "WHERE $exists";
		$which = "WHERE $exists $which" if $which !~ /^WHERE/;
	}
	return "SELECT $what FROM $table r $which";
}

# Milliseconds of these in a session of its own.
sub times
{
	my ($self, $member, @sql) = @_;
	local $ENV{PGOPTIONS} = "-c statement_timeout=${patience}s";
	my ($rc, $out, $err) = $self->{alliance}->try($self->{node}, join("\n", '\timing on', map { "$_ \\g /dev/null" } @sql), extra_params => [ '-U', $member ]);
	return (1000 * $patience) x @sql if $err =~ /statement timeout/;
	die $err if $rc;
	return $out =~ /^Time: ([0-9.]+) ms/mg;
}

my %way  = (record => 'medchain', join => 'join', exists_record => 'EXISTS', in_record => 'IN', plain_record => 'no security');
my @ways = qw(record join exists_record in_record plain_record);

# Milliseconds of it in a session that asks again and again, prepared, each time for another examinee's.
sub latency
{
	my ($self, $question, $table, $member, $seconds) = @_;
	my $file    = PostgreSQL::Test::Utils::tempdir() . '/script.sql';
	my $cluster = $self->{alliance}->cluster($self->{node});

	open(my $script, '>', $file) or die "$file: $!";
	printf $script "\\set n random(1, %d)\n%s;\n", $self->{examinees} / 20 - 1, $self->ask($question, $table, $member, ':n');
	close($script);
	local $ENV{PGOPTIONS} = "-c statement_timeout=${patience}s";
	my ($stdout, $stderr) = PostgreSQL::Test::Utils::run_command(
		[ 'pgbench', '-n', '-M', 'prepared', '-h', $cluster->host, '-p', $cluster->port, '-U', $member, '-T', $seconds, '-f', $file, 'postgres' ]);
	return 1000 * $patience if $stderr =~ /statement timeout/;
	$stdout =~ /tps = ([0-9.]+)/ or die "pgbench failed: $stderr";
	return 1000 / $1;
}

# Alternatives in turn, in sessions that have asked before.
sub warm
{
	my ($self, $member, $question, $rounds) = @_;
	my %ms;

	foreach my $round (1 .. $rounds)
	{
		foreach my $way (@ways)
		{
			push @{ $ms{$way} }, $question eq 'aggregate'
			  ? ($self->times($member, ($self->ask($question, $way, $member, 0)) x 2))[1]
			  : $self->latency($question, $way, $member, 1);
		}
	}
	return \%ms;
}

sub fresh
{
	my ($self, $member, $question, $rounds) = @_;
	my %ms;

	foreach my $round (1 .. 3 * $rounds)
	{
		push @{ $ms{$_} }, ($self->times($member, $self->ask($question, $_, $member, $round)))[0] foreach qw(record join plain_record);
	}
	return \%ms;
}

sub target
{
	my ($self, $what, $limit, $ms, $to) = @_;
	my @ratios = Rig::ratios($ms, 'record', $to);
	my $ratio  = Rig::median(@ratios);

	$self->{rig}->target($what, $limit <= 1 ? 'as fast' : "at most $limit", Rig::spread(@ratios), $ratio <= $limit);
	return;
}

sub line
{
	my ($self, $what, $ms) = @_;
	printf { $self->{out} } "  %-40s %s\n", $what, join('', map { exists $ms->{$_} ? sprintf('%12.3f', Rig::median(@{ $ms->{$_} })) : sprintf('%12s', '') } @ways);
	return;
}

sub run
{
	my ($self, $rounds) = @_;

	foreach my $step (0, 1)
	{
		$self->more if $step;
		$self->settle;
		my $all = $self->sql('SELECT count(*) FROM medchain.protocol_grant');

		foreach my $member (@members)
		{
			my $own   = $self->sql("SELECT count(*) FROM medchain.protocol_grant WHERE grantee = '$member'");
			my $whose = "$own of $all grants";
			my ($load) = $self->times($member, $self->ask('aggregate', 'record', $member, 0));

			printf { $self->{out} } "  %-40s %s\n", "$whose, ms", join('', map { sprintf('%12s', $way{$_}) } @ways);
			foreach my $question (@questions)
			{
				my $ms = $self->warm($member, $question, $rounds);

				$self->line($question{$question}[0], $ms);
				if ($question eq 'one')
				{
					$self->target("one row by key, $whose, to no security", 1.5, $ms, 'plain_record');
				}
				else
				{
					$self->target("$question{$question}[0], $whose, to a join", 1, $ms, 'join');
				}
			}
			foreach my $question (qw(one page))
			{
				my $ms = $self->fresh($member, $question, $rounds);

				$self->line("first of a session: $question{$question}[0]", $ms);
				$self->target("first of a session, $question{$question}[0], $whose, to a join", 1.5, $ms, 'join') if $step;
			}
			printf { $self->{out} } "  %-40s %12.0f\n", 'aggregate of who loads the grants', $load;
		}
	}
	return;
}

1;
