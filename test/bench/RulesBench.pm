=pod

=head1 NAME

RulesBench - what the rules cost: members and protocols, beside what cryptography alone costs

=head1 DESCRIPTION

A data centre, an end node and a hospital of their own. The entries of a chain are taken back and folded again, with the facts
of before removed, so that a figure is the fold alone, signatures included. Members come first, so that protocols are folded
with all of them there; what verify() takes for these is shown apart, by the contract. Nodes that share a machine take each
other's time, so the hospital has gone when protocols are issued, and those that are timed wait for the data centre.

=cut

package RulesBench;

use strict;
use warnings;

use Medchain::Alliance;
use PostgreSQL::Test::Utils;
use Rig;
use Time::HiRes qw(time);

sub new
{
	my ($class, $out, $rig) = @_;
	my $alliance = Medchain::Alliance->new(rdc => 'data_center', ren => 'end_node', rha => 'chain_node', others => [ 'rnew' ]);

	$alliance->start($_, conf => Rig->conf) foreach $alliance->members;
	$alliance->establish;
	return bless { alliance => $alliance, out => $out, rig => $rig }, $class;
}

sub stop
{
	my ($self) = @_;
	$_->stop foreach grep { defined } map { $self->{alliance}->cluster($_) } $self->{alliance}->members, 'rnew';
	return;
}

# Milliseconds that each of these statements takes there.
sub times
{
	my ($self, $name, @sql) = @_;
	my ($rc, $out, $err) = $self->{alliance}->try($name, join("\n", '\timing on', map { "$_;" } @sql));
	die $err if $rc;
	return $out =~ /^Time: ([0-9.]+) ms/mg;
}

# Milliseconds of an Ed25519 signature's check by openssl alone, at this moment: by the clock, as the rest.
sub check_alone
{
	my $out = `openssl speed -elapsed -seconds 1 ed25519 2>/dev/null`;
	return $out =~ /\(Ed25519\)\s+\S+\s+\S+\s+\S+\s+([0-9.]+)/ ? 1000 / $1 : die 'openssl speed has no Ed25519';
}

# Milliseconds to fold a chain's entries from there on, at that node, and the KiB that the session grows by; in a session that
# has folded one already, as the workers have, which read the members and make their plans once.  clean: what was taken back is
# away, as if it had never been there: rows of before would be looked at by each one of their keys.
sub fold
{
	my ($self, $name, $origin, $first, %params) = @_;
	my $last  = "(SELECT size - 1 FROM medchain.chain WHERE origin = '$origin')";
	my @clean = $params{clean} ? ('COMMIT', 'VACUUM medchain.claim, medchain.protocol, medchain.protocol_grant, medchain.data_index', 'BEGIN') : ();
	my $end   = $params{clean} ? 'COMMIT' : 'ROLLBACK';
	my $own   = "SELECT 'own', substring(pg_read_file('/proc/self/status') FROM 'RssAnon:\\s+([0-9]+)')";
	my ($rc, $out, $err) = $self->{alliance}->try($name, join("\n", '\timing on', map { "$_;" } 'BEGIN', "SELECT medchain_internal.fold_forget('$origin', $last)",
		"SELECT medchain_internal.fold_entries('$origin', $last, 9223372036854775806)", "SELECT medchain_internal.fold_forget('$origin', $first)",
		'TRUNCATE medchain.fact', @clean, $own, "SELECT medchain_internal.fold_entries('$origin', $first, 9223372036854775806)", $own, $end));
	die $err if $rc;
	my @kib = $out =~ /^own\|([0-9]+)$/mg;
	my @ms  = $out =~ /^Time: ([0-9.]+) ms/mg;
	return wantarray ? ($ms[-3], $kib[1] - $kib[0]) : $ms[-3];
}

sub folds { my ($self, $rounds, @fold) = @_; return Rig::median(map { scalar $self->fold(@fold) } 1 .. $rounds); }

# ----- members ------------------------------------------------------------------

# Names of members with certificates, admitted in one transaction.
sub admit_more
{
	my ($self, $first, $last) = @_;
	my $alliance = $self->{alliance};
	my $file     = PostgreSQL::Test::Utils::tempdir() . '/members.sql';
	my $sql      = "BEGIN;\n";

	foreach my $i ($first .. $last)
	{
		my $certificate = $alliance->certify("m$i", "m$i", ends => time + 86400);
		$sql .= "SELECT count(medchain.admit('m$i', 'chain_node', '$certificate'));\n";
	}
	PostgreSQL::Test::Utils::append_to_file($file, "${sql}COMMIT;\n");
	$alliance->sql('rdc', "\\i $file") if $last >= $first;
	return;
}

# The data centre gives the hospital another key, as if it had lost its own; its chain ends there.
sub rekey
{
	my ($self, $number) = @_;
	my $alliance    = $self->{alliance};
	my $certificate = $alliance->certify("rha$number", 'rha', ends => time + 86400);
	my $height      = $alliance->sql('rdc', q{SELECT height FROM medchain.chain WHERE origin = 'rha'});
	my $proof       = $alliance->sign_outside("rha$number", 'rdc', "medchain.rekey_envelope('rha', '$certificate', last_height => $height)");

	$alliance->sql('rdc', "SELECT medchain.rekey('rha', '$certificate', proof => '$proof', last_height => $height)");
	return;
}

sub members
{
	my ($self, $sizes, $rounds) = @_;
	my $alliance = $self->{alliance};
	my $out      = $self->{out};
	my $newest   = sub {
		my ($origin, $kind, $about) = @_;
		return $alliance->sql('rdc', "SELECT max(seq) FROM medchain.claim WHERE origin = '$origin' AND kind = '$kind' AND effective AND about LIKE '$about'");
	};
	my @what = ('admission', 'countersignature', 'configuration', 'change of key');
	my ($there, %ms) = (0);

	printf $out "  %10s %16s %18s %16s %16s %16s\n", 'contracts', map({ "$_, ms" } @what), 'a call asks, ms';
	foreach my $size (@$sizes)
	{
		$self->admit_more($there + 1, $size - 1);
		$self->admit_more($size, $size);
		$there = $size;
		push @{ $ms{admission} }, $self->folds($rounds, 'rdc', 'rdc', $newest->('rdc', 'contract', "m$size"));
		push @{ $ms{countersignature} }, $self->folds($rounds, 'rdc', 'rha', $newest->('rha', 'acceptance', 'rha'));
		push @{ $ms{configuration} }, $self->folds($rounds, 'rdc', 'ren', $newest->('ren', 'configure', 'rha'));
		$self->rekey($size);
		push @{ $ms{'change of key'} }, $self->folds($rounds, 'rdc', 'rdc', $newest->('rdc', 'rekey', 'rha'));
		my ($ask) = $self->times('rdc', q{SELECT medchain_internal.may_seal('ren', 0, now())});
		printf $out "  %10d %16.1f %18.1f %16.1f %16.1f %16.1f\n", $size, (map { $ms{$_}[-1] } @what), $ask;
	}
	foreach my $what (@what)
	{
		my ($few, $many) = @{ $ms{$what} }[ 0, -1 ];
		$self->{rig}->target("$what in the fold, $there contracts", 'at most 50 ms', sprintf('%.1f ms', $many), $many <= 50);
		$self->{rig}->target("$what in the fold, most to fewest", 'within 2 times', sprintf('%.1f', $many / $few), $many <= 2 * $few);
	}
	return;
}

# ----- protocols ----------------------------------------------------------------

# What verify() takes to derive and compare the state, by one process: milliseconds, and the KiB that it grows by.
sub verify_alone
{
	my ($self, $node) = @_;
	my $peak = q{SELECT 'peak', substring(pg_read_file('/proc/self/status') FROM 'VmPeak:\s+([0-9]+)')};
	my ($rc, $printed, $err) = $self->{alliance}->try($node, join("\n", '\timing on', 'SET medchain.verify_workers = 0;', 'SET jit = off;', "$peak;",
		'SELECT count(*) FROM medchain_internal.state_faults();', "$peak;"));
	die $err if $rc;
	my @kib = $printed =~ /^peak\|([0-9]+)$/mg;
	my @ms  = $printed =~ /^Time: ([0-9.]+) ms/mg;
	return ($ms[3], $kib[1] - $kib[0]);
}

sub verify_by_workers
{
	my ($self, $node) = @_;
	my ($ms) = $self->times($node, 'SELECT count(*) FROM medchain_internal.state_faults()');
	return $ms;
}

# Issue so many more, in one transaction; how many a second, to sealed and folded.
sub issue
{
	my ($self, $there, $turn) = @_;
	my @ms = $self->times('ren', 'SET medchain.seal_timeout = 0', 'BEGIN',
		qq{SELECT count(medchain.issue_protocol('P' || i, 'The data centre may read my records.',
			'[{"grantee": "rdc", "operations": ["query"]}]')) FROM generate_series($there + 1, $there + $turn) i}, 'COMMIT');
	return 1000 * $turn / ($ms[2] + $ms[3]);
}

sub protocols
{
	my ($self, $sizes, $rounds) = @_;
	my $alliance  = $self->{alliance};
	my $out       = $self->{out};
	my $contracts = $alliance->sql('rdc', 'SELECT count(*) FROM medchain.contract');
	my $members   = Rig::median(map { ($self->verify_alone('rdc'))[0] } 1 .. $rounds);
	my $shared    = Rig::median(map { $self->verify_by_workers('rdc') } 1 .. $rounds);
	my (@ratios, @verify, @kib, @fold_kib);

	printf $out "  verify() of %d contracts: %.1f ms, %.3f each; by workers, of which each does the same, %.1f ms\n", $contracts, $members,
	  $members / $contracts, $shared;
	printf $out "  %10s %12s %16s %12s %12s %12s %15s %15s %12s\n", 'protocols', 'issued, /s', 'signature, ms', 'issuer, ms', 'peer, ms', 'to openssl',
	  'verify(), ms', 'by workers, ms', 'to openssl';
	$self->without_hospital;
	foreach my $size (@$sizes)
	{
		my $there = $alliance->sql('ren', 'SELECT count(*) FROM medchain.protocol');
		my $turn  = $size - $there < 10000 ? $size - $there : 10000;
		my ($rate, $first);

		while ($there < $size)
		{
			$turn = $size - $there if $size - $there < $turn;
			$alliance->wait_for_equal_heads('rdc', 'ren') if $there + $turn == $size;
			$first = $alliance->sql('ren', q{SELECT size FROM medchain.chain WHERE origin = 'ren'});
			$self->{first} = $first unless defined $self->{first};
			$rate  = $self->issue($there, $turn);
			$there += $turn;
		}
		$alliance->wait_for_equal_heads('rdc', 'ren');
		$alliance->sql($_, 'VACUUM ANALYZE') foreach qw(rdc ren);
		# beside each other, as the machine is not the same from one minute to the next
		my (@crypto, %ms, $kib, $fold_kib);
		foreach (1 .. $rounds)
		{
			push @crypto, check_alone();
			foreach my $node (qw(ren rdc))
			{
				(my $fold, $fold_kib) = $self->fold($node, 'ren', $first, clean => 1);
				push @{ $ms{$node} }, $fold / $turn;
			}
			(my $verify, $kib) = $self->verify_alone('rdc');
			push @{ $ms{verify} }, ($verify - $members) / $size;
			push @{ $ms{workers} }, ($self->verify_by_workers('rdc') - $shared) / $size;
		}
		my %each = map { $_ => Rig::median(@{ $ms{$_} }) } keys %ms;

		push @ratios, Rig::median(map { my $i = $_; map { $ms{$_}[$i] / $crypto[$i] } qw(ren rdc) } 0 .. $#crypto);
		push @verify, Rig::median(map { $ms{verify}[$_] / $crypto[$_] } 0 .. $#crypto);
		push @kib, $kib;
		push @fold_kib, $fold_kib;
		# of few protocols it is the contracts that take the time
		my $many = $size >= 10 * $contracts;
		printf $out "  %10d %12.0f %16.3f %12.3f %12.3f %12.1f %15s %15s %12s\n", $size, $rate, Rig::median(@crypto), @each{qw(ren rdc)}, $ratios[-1],
		  map { $many ? sprintf($_->[0], $_->[1]) : '-' } [ '%.3f', $each{verify} ], [ '%.3f', $each{workers} ], [ '%.1f', $verify[-1] ];
		$self->{rig}->target("issuing $turn protocols at once, $size there", 'at least 2000/s', sprintf('%.0f/s', $rate), $rate >= 2000)
		  if $turn >= 1000;
		$self->{rig}->target("fold of a protocol to its signature, $size there", 'at most 2', sprintf('%.1f', $ratios[-1]), $ratios[-1] <= 2);
		$self->{rig}->target("verify()'s of a protocol to its signature, one process, $size there", 'at most 2', sprintf('%.1f', $verify[-1]), $verify[-1] <= 2)
		  if $many;
	}
	printf $out "  verify() takes for the state, KiB: %s; the fold: %s\n", join(', ', @kib), join(', ', @fold_kib);
	$self->{rig}->target('memory of verify(), most to fewest protocols', 'flat', sprintf('%.2f', $kib[-1] / $kib[0]), $kib[-1] < 1.5 * $kib[0]);
	$self->{rig}->target('fold of a protocol, most to fewest', 'flat', sprintf('%.2f', $ratios[-1] / $ratios[0]), $ratios[-1] < 1.5 * $ratios[0]);
	return;
}

# It has said what it had to say.  Nobody keeps anything for it.
sub without_hospital
{
	my ($self) = @_;
	my $alliance = $self->{alliance};

	$alliance->cluster('rha')->stop;
	foreach my $node (qw(rdc ren))
	{
		$alliance->wait_for($node, q{SELECT count(*) > 0 FROM pg_replication_slots WHERE NOT active AND NOT temporary});
		$alliance->sql($node, 'SELECT count(pg_drop_replication_slot(slot_name)) FROM pg_replication_slots WHERE NOT active AND NOT temporary');
	}
	return;
}

# ----- who comes to an alliance of many members and protocols -------------------

sub newcomer
{
	my ($self) = @_;
	my $alliance = $self->{alliance};
	my $count    = $alliance->sql('ren', 'SELECT count(*) FROM medchain.protocol');
	my $crypto   = check_alone();

	$alliance->{kind}{rnew} = 'chain_node';
	$alliance->start('rnew', conf => Rig->conf);
	$alliance->admit('rnew');
	my $begun = time;
	$alliance->join_alliance('rnew');
	$alliance->connect_peers('rnew', 'ren');
	$alliance->wait_for('rnew', "SELECT count(*) = $count FROM medchain.protocol");
	my $seconds = time - $begun;
	$alliance->sql('rnew', 'VACUUM ANALYZE');
	# the protocols of before come first on the chain, and nothing else stands between
	my $again = $count < 100000 ? $count : 100000;
	my $ms = $self->fold('rnew', 'ren', "(SELECT size - $again FROM medchain.chain WHERE origin = 'ren')", clean => 1) / $again;
	my $ratio = $ms / Rig::median($crypto, check_alone());

	printf { $self->{out} } "  a newcomer has all members and %d protocols after %.1f s, in which it folds each in %.3f ms\n", $count, $seconds, $ms;
	$self->{rig}->target("a newcomer's fold of each of $count protocols to its signature", 'at most 2', sprintf('%.1f', $ratio), $ratio <= 2);
	return;
}

# ----- whom an entry about members concerns -------------------------------------

sub access
{
	my ($self) = @_;
	my $alliance = $self->{alliance};
	my $count    = $alliance->sql('rdc', 'SELECT count(*) FROM medchain.protocol_grant');
	my $ask      = q{SELECT cardinality(medchain.granted_subjects())};
	my $session;

	$alliance->sql('rdc', q{CREATE ROLE reader LOGIN; SELECT medchain.bind_role('reader', 'rdc')});
	$session = $alliance->cluster('rdc')->background_psql($alliance->dbname('rdc'), extra_params => [ '-U', 'reader' ]);
	my $time = sub { my $start = time; $session->query_safe($ask); return 1000 * (time - $start); };
	my $loads = sub { return $session->query_safe('SELECT medchain.grant_cache_loads()') };
	my $first = $time->();
	my $kept  = Rig::median(map { $time->() } 1 .. 5);
	my $before = $loads->();
	my $certificate = $alliance->certify('mlast', 'mlast', ends => time + 86400);
	$alliance->sql('rdc', "SELECT medchain.admit('mlast', 'chain_node', '$certificate')");
	my $after = $time->();
	my $again = $loads->() - $before;

	printf { $self->{out} } "  %d grants are read by a session in %.1f ms, asked for in %.1f, and behind an admission in %.1f\n", $count, $first, $kept, $after;
	$self->{rig}->target('loads of grants by an admission', 'none', $again, $again == 0);
	$session->quit;
	return;
}

1;
