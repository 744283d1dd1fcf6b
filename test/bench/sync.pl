#!/usr/bin/perl
#
# sync.pl: how fast another server has what was committed at this one, beside a plain table that
# PostgreSQL replicates.
#
# Run by test/bench/run, with BENCH_SECTIONS=sync.  A publisher, a follower that takes all payloads,
# one that takes those of governance alone, and beside them a table with the columns and indexes of
# medchain.entry, replicated to the same server.  Catch-up is measured with subscriptions that were
# off while everything was written: each by itself, over nothing but what it has to catch up with,
# as a publisher decodes all of its WAL for each of them.

use strict;
use warnings;

my $out;
BEGIN { open($out, '>&', \*STDOUT) or die "stdout: $!"; }

use Medchain::Alliance;
use PostgreSQL::Test::Utils;
use Rig;
use Test::More;
use Time::HiRes qw(time);

$out->autoflush(1);
Test::More->builder->output('/dev/null');

my $entries = $ENV{BENCH_SYNC_ENTRIES} || ($ENV{BENCH_QUICK} ? 20000 : 1000000);
my $rounds  = $ENV{BENCH_ROUNDS}       || ($ENV{BENCH_QUICK} ? 1     : 3);
my $alliance = Medchain::Alliance->new(dc => 'data_center', en => 'end_node', ha => 'chain_node', hb => 'chain_node');

$alliance->start($_, conf => Rig->conf) foreach $alliance->members;
$alliance->found;
$alliance->admit($_)         foreach qw(en ha hb);
$alliance->join_alliance($_) foreach qw(en ha);
$alliance->sql('hb', q{ALTER SYSTEM SET medchain.payloads = 'governance'});
$alliance->sql('hb', 'SELECT pg_reload_conf()');
$alliance->wait_for('hb', 'SHOW medchain.payloads', 'governance');
$alliance->join_alliance('hb');
$alliance->connect_peers($_, qw(ha hb)) foreach qw(dc en);
$alliance->connect_peers($_, 'en') foreach qw(dc ha hb);
$alliance->connect_peers('ha', 'hb');
$alliance->connect_peers('hb', 'ha');
$alliance->configure('en', $_) foreach qw(ha hb);
$alliance->wait_for($_, 'SELECT count(*) FROM medchain.member WHERE takes_part', '4') foreach qw(dc ha hb);

# ----- the plain table

my $table = q{CREATE TABLE plain (origin text NOT NULL, seq bigint NOT NULL, id uuid NOT NULL, kind text NOT NULL, "time" timestamptz NOT NULL, actor text NOT NULL, subject bytea,
	payload text NOT NULL, leaf_hash bytea NOT NULL, PRIMARY KEY (origin, seq)); CREATE INDEX ON plain (id); CREATE INDEX ON plain (subject) WHERE subject IS NOT NULL};
$alliance->sql($_, $table) foreach qw(dc ha);
$alliance->sql('dc', 'CREATE PUBLICATION plain FOR TABLE plain; GRANT SELECT ON plain TO PUBLIC');
my $conninfo = $alliance->conninfo('dc');
$alliance->sql('ha', "CREATE SUBSCRIPTION plain CONNECTION '$conninfo' PUBLICATION plain");
$alliance->wait_for('ha', q{SELECT count(*) FROM pg_subscription_rel WHERE srsubstate = 'r' AND srrelid = 'plain'::regclass}, '1');
my ($plain_size, $size) = (0, 0);

# In transactions of as many as the sealer takes at once.
sub fill_plain
{
	my ($count) = @_;
	my $until = $plain_size + $count;
	$alliance->sql('dc', qq{DO \$\$ BEGIN FOR at IN $plain_size .. $until - 1 BY 16000 LOOP
		INSERT INTO plain SELECT 'dc', i, gen_random_uuid(), 'visit', now(), 'postgres', NULL, repeat('x', 300), sha256(i::text::bytea)
			FROM generate_series(at, least(at + 16000, $until) - 1) i; COMMIT; END LOOP; END \$\$});
	$plain_size = $until;
	return;
}

sub fill
{
	my ($count) = @_;
	$alliance->sql('dc', qq{SELECT count(medchain.append('visit', json_build_object('note', repeat('x', 130)))) FROM generate_series(1, $count)});
	($size) = $alliance->sql('dc', q{SELECT medchain.seal(); SELECT size FROM medchain.chain WHERE origin = 'dc'}) =~ /(\d+)\s*$/;
	return;
}

my %subscription = map { $_ => $alliance->sql($_, q{SELECT subscription FROM medchain.peer WHERE member = 'dc'}) } qw(ha hb);

sub switch { my ($name, $subscription, $to) = @_; return $alliance->sql($name, "ALTER SUBSCRIPTION $subscription $to"); }

# Kilobytes that this server's apply workers, and the keeper, have for themselves.
sub memory
{
	my ($name) = @_;
	return $alliance->sql($name, q{SELECT coalesce(max(substring(pg_read_file('/proc/' || pid || '/status') FROM 'RssAnon:\s+([0-9]+)')::int), 0) FROM pg_stat_activity
		WHERE backend_type IN ('logical replication worker', 'logical replication apply worker', 'medchain keeper')});
}

# Seconds from now on until that is true.
sub seconds
{
	my ($name, $sql) = @_;
	my $start = time;
	my $session = $alliance->cluster($name)->background_psql('postgres', timeout => 3600);
	until ($session->query_safe($sql) eq 't') { select(undef, undef, undef, 0.02); }
	$session->quit;
	return time - $start;
}

# ----- one after the other

my (@plain, @ours);
foreach (1 .. 31)
{
	my $start = time;
	fill_plain(1);
	push @plain, 1000 * ($start - $start + seconds('ha', "SELECT count(*) = 1 FROM plain WHERE seq = $plain_size - 1"));
	$alliance->sql('dc', q{SELECT medchain.append('visit', '{}')});
	my $count = $size || $alliance->sql('dc', q{SELECT size FROM medchain.chain WHERE origin = 'dc'});
	push @ours, 1000 * seconds('ha', "SELECT size > $count FROM medchain.chain WHERE origin = 'dc'");
	$size = $count + 1;
}
my ($interval) = $alliance->sql('dc', 'SELECT setting FROM pg_settings WHERE name = $$medchain.seal_interval$$');
printf $out "from commit to there, median of 31: plain %.0f ms, verified %.0f ms, seal_interval %s ms\n", Rig::median(@plain), Rig::median(@ours), $interval;

# ----- catch-up

# All of these subscriptions, until they have nothing before them any more.
sub let_pass
{
	my @who = @_;
	my $end = $alliance->sql('dc', 'SELECT pg_current_wal_insert_lsn()');

	foreach (@who)
	{
		my ($name, $subscription) = @$_;
		switch($name, $subscription, 'ENABLE');
		my $slot = $alliance->sql($name, "SELECT subslotname FROM pg_subscription WHERE subname = '$subscription'");
		$alliance->wait_for('dc', "SELECT confirmed_flush_lsn >= '$end' FROM pg_replication_slots WHERE slot_name = '$slot'", 't');
		switch($name, $subscription, 'DISABLE');
	}
	return;
}

my @followers = ([ 'ha', $subscription{ha} ], [ 'hb', $subscription{hb} ]);
printf $out "%10s %14s %14s %14s %10s %10s %12s %12s\n", 'entries', 'plain, /s', 'full, /s', 'light, /s', 'full', 'light', 'KiB full', 'KiB light';
foreach my $round (1 .. $rounds)
{
	my %rate;

	switch(@$_, 'DISABLE') foreach [ 'ha', 'plain' ], @followers;
	fill_plain($entries);
	switch('ha', 'plain', 'ENABLE');
	$rate{plain} = $entries / seconds('ha', "SELECT count(*) = 1 FROM plain WHERE seq = $plain_size - 1");
	let_pass([ 'ha', 'plain' ], @followers);
	fill($entries);
	switch('ha', $subscription{ha}, 'ENABLE');
	$rate{full} = $entries / seconds('ha', "SELECT size >= $size FROM medchain.chain WHERE origin = 'dc'");
	my $full = memory('ha');
	switch('hb', $subscription{hb}, 'ENABLE');
	$rate{light} = $entries / seconds('hb', "SELECT size >= $size FROM medchain.chain WHERE origin = 'dc'");
	printf $out "%10d %14.0f %14.0f %14.0f %10.2f %10.2f %12d %12d\n", $entries, @rate{qw(plain full light)}, $rate{full} / $rate{plain}, $rate{light} / $rate{plain}, $full, memory('hb');
	let_pass([ 'ha', 'plain' ]);
}
$alliance->sql('hb', 'VACUUM medchain.block, medchain.held_block, medchain.tile');
my $bytes = $alliance->sql('hb', q{SELECT pg_total_relation_size('medchain.block') + pg_total_relation_size('medchain.tile')});
my ($absent) = $alliance->sql('hb', q{SELECT absent FROM medchain.chain WHERE origin = 'dc'});
printf $out "a light copy has %.1f bytes on disk for each of %d entries without payload\n", $bytes / $absent, $absent;
# what pgoutput sends of the same entries to either
my %publication = map { $_ => $alliance->sql($_, "SELECT subpublications[1] FROM pg_subscription WHERE subname = '$subscription{$_}'") } qw(ha hb);
$alliance->sql('dc', q{SELECT FROM pg_create_logical_replication_slot('measure', 'pgoutput')});
fill(20000);
my %binary = (ha => 'false', hb => 'true');
my %sent = map { $_ => $alliance->sql('dc', "SELECT sum(length(data)) FROM pg_logical_slot_peek_binary_changes('measure', NULL, NULL, 'proto_version', '2', 'binary', '$binary{$_}', 'publication_names', '$publication{$_}')") } qw(ha hb);
$alliance->sql('dc', q{SELECT pg_drop_replication_slot('measure')});
printf $out "sent for an entry: %.1f bytes (full), %.1f (light)\n", $sent{ha} / 20000, $sent{hb} / 20000;
$alliance->cluster($_)->stop('immediate') foreach $alliance->members;
# the test modules, which start and stop the servers, expect a test
pass('measured');
done_testing();
