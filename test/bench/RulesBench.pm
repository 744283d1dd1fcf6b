=pod

=head1 NAME

RulesBench - what the rules cost: protocols and members, beside what cryptography alone costs

=head1 DESCRIPTION

A data centre and an end node of their own. The entries of a chain are taken back and folded again in a transaction that is
rolled back, with the facts of before removed, so that a figure is the fold alone, signatures included.

=cut

package RulesBench;

use strict;
use warnings;

use Medchain::Alliance;
use PostgreSQL::Test::Utils;
use Rig;

sub new
{
	my ($class, $out, $rig) = @_;
	my $alliance = Medchain::Alliance->new(rdc => 'data_center', ren => 'end_node');

	$alliance->start($_, conf => Rig->conf) foreach $alliance->members;
	$alliance->establish;
	return bless { alliance => $alliance, out => $out, rig => $rig }, $class;
}

sub stop { my ($self) = @_; $self->{alliance}->cluster($_)->stop foreach $self->{alliance}->members; return; }

# Milliseconds that each of these statements takes there.
sub times
{
	my ($self, $name, @sql) = @_;
	my ($rc, $out, $err) = $self->{alliance}->try($name, join("\n", '\timing on', map { "$_;" } @sql));
	die $err if $rc;
	return $out =~ /^Time: ([0-9.]+) ms/mg;
}

# Ed25519 signatures that are checked in a second, by openssl alone.
sub checks_per_second
{
	my $out = `openssl speed -seconds 1 ed25519 2>/dev/null`;
	return $out =~ /\(Ed25519\)\s+\S+\s+\S+\s+\S+\s+([0-9.]+)/ ? $1 : 0;
}

# Milliseconds to fold a chain's entries from there on, at that node.
sub fold
{
	my ($self, $name, $origin, $first, $rounds) = @_;
	my @ms;

	foreach (1 .. $rounds)
	{
		my @times = $self->times($name, 'BEGIN', "SELECT medchain.fold_forget('$origin', $first)", 'TRUNCATE medchain.fact',
			"SELECT medchain.fold_entries('$origin', $first, 9223372036854775806)", 'ROLLBACK');
		push @ms, $times[3];
	}
	return Rig::median(@ms);
}

# What verify() takes to derive and compare the state: milliseconds by its workers, and KiB in one process.
sub verify_state
{
	my ($self, $node) = @_;
	my $faults  = 'SELECT count(*) FROM medchain.state_faults()';
	my $peak    = q{SELECT substring(pg_read_file('/proc/self/status') FROM 'VmPeak:\s+([0-9]+)')};
	my ($ms)    = ($self->times($node, $faults))[0];
	my @printed = split /\n/, $self->{alliance}->sql($node, "SET medchain.verify_workers = 0; SET jit = off; $peak; $faults; $peak");

	return ($ms, $printed[2] - $printed[0]);
}

sub protocols
{
	my ($self, $sizes, $rounds) = @_;
	my $alliance = $self->{alliance};
	my $out      = $self->{out};
	my $crypto   = 1000 / checks_per_second();
	my (@ratios, @kib);

	printf $out "  one signature by openssl alone: %.3f ms\n", $crypto;
	printf $out "  %10s %14s %14s %14s %14s %10s\n", 'protocols', 'issued, /s', 'issuer, ms', 'peer, ms', 'verify(), ms', 'to openssl';
	foreach my $size (@$sizes)
	{
		my $there = $alliance->sql('ren', 'SELECT count(*) FROM medchain.protocol');
		my $turn  = $size - $there < 10000 ? $size - $there : 10000;
		my ($rate, $first);

		while ($there < $size)
		{
			$first = $alliance->sql('ren', q{SELECT size FROM medchain.chain WHERE origin = 'ren'});
			my @ms = $self->times('ren', 'SET medchain.seal_timeout = 0', 'BEGIN',
				qq{SELECT count(medchain.issue_protocol('P' || i, 'The data centre may read my records.',
					'[{"grantee": "rdc", "operations": ["query"]}]')) FROM generate_series($there + 1, $there + $turn) i}, 'COMMIT');
			$there += $turn;
			$rate = 1000 * $turn / ($ms[2] + $ms[3]);
		}
		$alliance->wait_for_equal_heads;
		$alliance->sql($_, 'VACUUM ANALYZE') foreach $alliance->members;
		my %ms = map { $_ => $self->fold($_, 'ren', $first, $rounds) / $turn } qw(ren rdc);
		my ($verify, $kib) = $self->verify_state('rdc');
		my @each = (@ms{qw(ren rdc)}, $verify / $size);

		push @ratios, Rig::median(map { $_ / $crypto } @each);
		push @kib, $kib;
		printf $out "  %10d %14.0f %14.3f %14.3f %14.3f %10.1f\n", $size, $rate, @each, $ratios[-1];
		$self->{rig}->target("issuing $turn protocols at once, $size there", 'at least 2000/s', sprintf('%.0f/s', $rate), $rate >= 2000)
		  if $turn >= 1000;
		$self->{rig}->target("fold of a protocol to its signature, $size there", 'at most 2', sprintf('%.1f', $ratios[-1]), $ratios[-1] <= 2);
	}
	printf $out "  verify() takes for the state, KiB: %s\n", join(', ', @kib);
	$self->{rig}->target('memory of verify(), most to fewest protocols', 'flat', sprintf('%.2f', $kib[-1] / $kib[0]), $kib[-1] < 1.5 * $kib[0]);
	$self->{rig}->target('fold of a protocol, most to fewest', 'flat', sprintf('%.2f', $ratios[-1] / $ratios[0]), $ratios[-1] < 1.5 * $ratios[0]);
	return;
}

sub members
{
	my ($self, $sizes, $rounds) = @_;
	my $alliance = $self->{alliance};
	my $out      = $self->{out};
	my $there    = 0;
	my @fold;

	printf $out "  %10s %26s %20s\n", 'contracts', 'admission, in the fold, ms', 'a session asks, ms';
	foreach my $size (@$sizes)
	{
		while ($there < $size)
		{
			$there++;
			my $certificate = $alliance->certify("m$there", "m$there", ends => time + 86400);
			$alliance->sql('rdc', "SELECT medchain.admit('m$there', 'chain_node', '$certificate')");
		}
		my $last = $alliance->sql('rdc', q{SELECT max(seq) FROM medchain.claim WHERE origin = 'rdc' AND kind = 'contract'});
		push @fold, $self->fold('rdc', 'rdc', $last, $rounds);
		my ($ask) = $self->times('rdc', q{SELECT medchain.may_seal('ren', 0, now())});
		printf $out "  %10d %26.1f %20.1f\n", $size, $fold[-1], $ask;
		$self->{rig}->target("one admission in the fold, $size contracts", 'at most 50 ms', sprintf('%.1f ms', $fold[-1]), $fold[-1] <= 50);
	}
	$self->{rig}->target('one admission, most to fewest', 'within 2 times', sprintf('%.1f', $fold[-1] / $fold[0]), $fold[-1] <= 2 * $fold[0]);
	return;
}

1;
