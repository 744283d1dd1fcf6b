#!/usr/bin/perl
#
# mesh.pl: what it takes that everybody follows everybody, with servers of their own.
#
# Run by test/bench/run, with BENCH_SECTIONS=mesh.  For each number of members: slots and WAL senders
# of each, what an entry of 300 bytes is in the stream to one follower, and how long it takes from
# the commit of one entry, and of many, at one member until the last of the others has verified them.

use strict;
use warnings;

my $out;
BEGIN { open($out, '>&', \*STDOUT) or die "stdout: $!"; }

use Medchain::Alliance;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

$out->autoflush(1);
Test::More->builder->output('/dev/null');

my @sizes   = split ' ', $ENV{BENCH_MESH} || '3 6 12';
my $entries = $ENV{BENCH_MESH_ENTRIES} || 2000;

# Until the last of them has that much of dc's chain.
sub last_has
{
	my ($alliance, $start, @others) = @_;
	my ($size) = $alliance->sql('dc', q{SELECT medchain.seal(); SELECT size FROM medchain.chain WHERE origin = 'dc'}) =~ /(\d+)\s*$/;

	$alliance->wait_for($_, "SELECT size >= $size FROM medchain.chain WHERE origin = 'dc'") foreach @others;
	return time - $start;
}

printf $out "%8s %6s %8s %16s %14s %14s\n", 'members', 'slots', 'senders', 'bytes per entry', 'one entry, s', "$entries, s";
foreach my $size (@sizes)
{
	my @others = map { sprintf 'm%02d', $_ } 2 .. $size - 1;
	my $alliance = Medchain::Alliance->new(dc => 'data_center', en => 'end_node', map { $_ => 'chain_node' } @others);
	my $conf = sprintf "max_worker_processes = %d\nmax_logical_replication_workers = %d\nmax_wal_senders = %d\nmax_replication_slots = %d\nshared_buffers = 32MB\n",
	  3 * $size + 20, 2 * $size + 8, 3 * $size + 10, 3 * $size + 10;

	$alliance->start($_, conf => $conf) foreach $alliance->members;
	$alliance->establish;
	my @followers = grep { $_ ne 'dc' } $alliance->members;
	my $sent = q{SELECT coalesce(sum(total_bytes), 0) FROM pg_stat_replication_slots};
	my ($slots, $senders) = map { $alliance->sql('dc', "SELECT count(*) FROM $_") } qw(pg_replication_slots pg_stat_replication);

	my @alone;
	foreach (1 .. 5)
	{
		my $start = time;
		$alliance->sql('dc', q{SELECT medchain.append('visit', '{}', 'P1')});
		push @alone, last_has($alliance, $start, @followers);
	}
	my $before = $alliance->sql('dc', $sent);
	my $start = time;
	$alliance->sql('dc', "SELECT count(medchain.append('visit', json_build_object('note', repeat('x', 60)), 'P1')) FROM generate_series(1, $entries)");
	my $many = last_has($alliance, $start, @followers);
	$alliance->wait_for('dc', q{SELECT count(*) = 0 FROM pg_stat_replication WHERE replay_lsn < pg_current_wal_lsn() - 100000::numeric});
	my $bytes = ($alliance->sql('dc', $sent) - $before) / $entries / @followers;
	printf $out "%8d %6d %8d %16d %14.2f %14.2f\n", $size, $slots, $senders, $bytes, (sort { $a <=> $b } @alone)[2], $many;
	foreach my $cluster (map { $alliance->cluster($_) } $alliance->members)
	{
		$cluster->stop('immediate');
		$cluster->clean_node;
	}
}
# the test modules, which start and stop the servers, expect a test
pass('measured');
done_testing();
