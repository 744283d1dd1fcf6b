=pod

=head1 NAME

Medchain::Application - an alliance, and an application at its data centre, for test/apps

=head1 SYNOPSIS

  use Medchain::Application;

  my $app = Medchain::Application->new(conf => "shared_preload_libraries = 'medchain, pgaudit'");
  $app->sql('SELECT ...', 'keeper');          # at the data centre, as that role
  my $id = $app->permit('P1');                # a protocol that lets the member "ha" query and update
  $app->revoke($id);
  $app->node('migrations.js', 'knex');        # tests of a script, by node
  $app->sound_ok('after the migration');      # verify() and verify_table() find nothing
  is($app->changes('clinic.visit'), 'insert 3, update 1', 'on the ledger');

=head1 DESCRIPTION

The data centre, C<dc>, has a server of its own, where the application runs; the end node C<en> and the
hospital C<ha> share another.  At the data centre there are the roles C<keeper>, who owns a schema
C<clinic> and has no role of medchain's, and C<reader>, bound to C<ha>, and C<stranger>, bound to nobody, who may do
all to keeper's tables that a privilege allows.

=cut

package Medchain::Application;

use strict;
use warnings;

use IPC::Run;
use Medchain::Alliance;
use PostgreSQL::Test::Utils;
use Test::More;

sub new
{
	my ($class, %params) = @_;
	my $alliance = Medchain::Alliance->new(dc => 'data_center', en => 'end_node', ha => 'chain_node', others => $params{others} || []);
	my $self = bless { alliance => $alliance }, $class;

	if ($params{tls})
	{
		$alliance->start_tls('dc', conf => $params{conf});
	}
	else
	{
		$alliance->start('dc', conf => $params{conf});
	}
	my $others = Medchain::Alliance->new_cluster('others');
	$others->start;
	$alliance->start($_, cluster => $others, dbname => $_) foreach qw(en ha);
	$alliance->establish;
	$self->sql(q{
		CREATE ROLE keeper LOGIN; CREATE ROLE reader LOGIN; CREATE ROLE stranger LOGIN;
		SELECT medchain.bind_role('reader', 'ha');
		GRANT CREATE, TEMPORARY ON DATABASE postgres TO keeper;
		CREATE SCHEMA clinic AUTHORIZATION keeper;
		GRANT USAGE ON SCHEMA clinic TO reader, stranger;
		ALTER DEFAULT PRIVILEGES FOR ROLE keeper GRANT ALL ON TABLES TO reader, stranger;
		ALTER DEFAULT PRIVILEGES FOR ROLE keeper GRANT ALL ON SEQUENCES TO reader, stranger;
		ALTER DEFAULT PRIVILEGES FOR ROLE keeper GRANT USAGE ON SCHEMAS TO reader, stranger;
		ALTER ROLE keeper SET search_path = clinic, public; ALTER ROLE reader SET search_path = clinic, public;
		ALTER ROLE stranger SET search_path = clinic, public});
	return $self;
}

sub alliance { my ($self) = @_; return $self->{alliance}; }
sub cluster  { my ($self) = @_; return $self->{alliance}->cluster('dc'); }

# What SQL gives at the data centre, as its superuser or as a role; notices are not wanted.
sub sql
{
	my ($self, $sql, $role) = @_;
	return $self->{alliance}->sql('dc', "SET client_min_messages = error; $sql", $role ? (extra_params => [ '-U', $role ]) : ());
}

# The error of SQL there that fails; nothing if it does not.
sub error
{
	my ($self, $sql, $role) = @_;
	my ($rc, undef, $err) = $self->{alliance}->try('dc', "SET client_min_messages = error; $sql", $role ? (extra_params => [ '-U', $role ]) : ());
	return $rc ? $err : '';
}

# ----- protocols

# The member may query and update the records of an examinee from now on.
sub permit
{
	my ($self, $subject, $member) = @_;
	$member ||= 'ha';
	my $id = $self->{alliance}->sql('en',
		qq{SELECT medchain.issue_protocol('$subject', 'text', '[{"grantee": "$member", "operations": ["query", "update"]}]')});
	$self->{alliance}->wait_for('dc', "SELECT EXISTS (SELECT FROM medchain.protocol WHERE id = '$id')");
	return $id;
}

sub revoke
{
	my ($self, $id) = @_;
	$self->{alliance}->sql('en', "SELECT medchain.revoke_protocol('$id', 'over')");
	$self->{alliance}->wait_for('dc', "SELECT state = 'revoked' FROM medchain.protocols WHERE protocol = '$id'");
	return;
}

# ----- what became of it

# Tests: nothing is wrong with a table whose rows are on the ledger, or with those that came with it, nor with the ledger.
sub sound_ok
{
	my ($self, $title) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	$self->sql('SELECT medchain.seal()');
	is($self->sql(q{SELECT t.relation, v.row_key, v.fault, v.detail FROM medchain.row_table t, medchain.verify_table(t.relation) v WHERE NOT t.with_parent}), '',
		"$title: no table has a fault");
	is($self->sql(q{SELECT origin, height, fault, detail FROM medchain.verify() WHERE ok IS NOT TRUE}), '', "$title: the ledger has no fault");
	return;
}

# How many rows of a table were inserted, updated and deleted, and came by as a baseline, since the last time that this was asked.
sub changes
{
	my ($self, $relation) = @_;

	$self->sql('SELECT medchain.seal()');
	my $all = $self->sql(qq{
		WITH said AS MATERIALIZED (
			SELECT id, kind FROM medchain.entry
			WHERE origin = 'dc' AND kind LIKE 'row.%' AND payload::jsonb #>> '{body,relation}' = '$relation')
		SELECT done, count(*) FROM (
			SELECT substr(kind, 5) FROM said WHERE kind <> 'row.set'
			UNION ALL
			SELECT i.operation
			FROM said JOIN medchain.row_set s ON s.entry = said.id
				CROSS JOIN LATERAL (SELECT s.items WHERE s.items IS NOT NULL UNION ALL SELECT x.items FROM medchain.row_item x WHERE x.part = s.part) x
				CROSS JOIN LATERAL medchain_internal.row_item_list(x.items) i) c (done)
		GROUP BY done});
	my %count = map { split(/\|/, $_) } split(/\n/, $all);
	my $before = $self->{count}{$relation} || {};
	my @new;

	foreach my $kind (qw(baseline insert update delete))
	{
		my $new = ($count{$kind} || 0) - ($before->{$kind} || 0);
		push @new, "$kind $new" if $new;
	}
	$self->{count}{$relation} = \%count;
	return join(', ', @new);
}

# ----- running programs

# Status, standard output and errors of a program that has so many seconds.
sub program
{
	my ($self, $command, %params) = @_;
	my ($out, $err, $done) = ('', '');
	my $in = defined $params{input} ? $params{input} : '';
	my $timer = IPC::Run::timeout($params{seconds} || $PostgreSQL::Test::Utils::timeout_default);

	local %ENV = (%ENV, %{ $params{env} || {} });
	$done = eval { IPC::Run::run($command, '<', \$in, '>', \$out, '2>', \$err, $timer); 1 };
	$err .= $@ unless $done;
	return ($done ? $? >> 8 : 255, $out, $err);
}

# Where libpq and other drivers find the data centre.
sub where
{
	my ($self) = @_;
	return (PGHOST => $self->cluster->host, PGPORT => $self->cluster->port, PGDATABASE => 'postgres', PGUSER => 'keeper',
		NODE_PATH => $ENV{MEDCHAIN_NODE_MODULES} || '');
}

# A script of test/apps/node writes a line of TAP for each of its tests, and in between may ask the data centre for what
# only others can do: a line "?", a name and a JSON array, answered by the function of that name with a line.
sub node
{
	my ($self, $script, $answers, @arguments) = @_;
	my ($in, $out, $err) = ('', '', '');
	my $tests = 0;
	my $run;

	{
		local %ENV = (%ENV, $self->where);
		$run = IPC::Run::start([ 'node', "test/apps/node/$script", @arguments ], '<', \$in, '>', \$out, '2>', \$err,
			IPC::Run::timeout(5 * $PostgreSQL::Test::Utils::timeout_default));
	}
	my $line = sub
	{
		my ($text) = @_;
		if ($text =~ /^(not )?ok - (.*)/)
		{
			ok(!$1, "$script: $2");
			$tests++;
		}
		elsif ($text =~ /^\? (\w+)(?: (.*))?$/)
		{
			my $answer = $answers->{$1} or die "$script asks for '$1'";
			$in .= $answer->(defined $2 ? $2 : ()) . "\n";
		}
		else
		{
			diag($text);
		}
	};
	my $ended = eval
	{
		while ($run->pumpable)
		{
			$run->pump;
			$line->($1) while $out =~ s/^([^\n]*)\n//;
		}
		$run->finish;
	};
	diag("$script: $@") unless defined $ended;
	$run->kill_kill unless defined $ended;
	$line->($1) while $out =~ s/^([^\n]*)\n//;
	ok($ended && $tests, "$script ends well") or diag($err);
	return;
}

1;
