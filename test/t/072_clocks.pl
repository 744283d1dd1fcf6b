# A server's clock jumps, an hour forward or back, while the others' go on: blocks are sealed, sent and verified all the same, what
# workers do every few seconds goes on, and nobody believes a block of the future before its time.
use strict;
use warnings;

use Medchain::Alliance;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $alliance = Medchain::Alliance->new(dc => 'data_center', en => 'end_node');
my $dir = PostgreSQL::Test::Utils::tempdir();
PostgreSQL::Test::Utils::system_or_bail('gcc', '-shared', '-fPIC', '-O2', '-Wall', '-Wextra', '-o', "$dir/jumping_clock.so", 'test/lib/jumping_clock.c', '-ldl');

# The clock of dc is so many hours ahead, from now on.
sub clock
{
	my ($hours) = @_;
	open my $out, '+<', "$dir/clock" or die $!;
	syswrite($out, pack('q', $hours * 3600 * 1000000)) == 8 or die $!;
	close $out or die $!;
	return;
}

PostgreSQL::Test::Utils::append_to_file("$dir/clock", pack('q', 0));
{
	local %ENV = (%ENV, LD_PRELOAD => "$dir/jumping_clock.so", JUMPING_CLOCK => "$dir/clock");
	$alliance->start('dc', conf => "medchain.witness_interval = '1s'\n");
}
$alliance->start('en', conf => "medchain.witness_interval = '1s'\n");
$alliance->establish;
sub hours { my ($name) = @_; return $alliance->sql($name, q{SELECT round(extract(epoch FROM clock_timestamp() - to_timestamp(} . time() . q{)) / 3600)}); }
sub visit { my ($n) = @_; return "SELECT medchain.append('visit', '{\"n\": $n}')"; }

# ----- put back: what it seals is behind the others' time, what they seal is before its own

clock(-2);
is(hours('dc') . hours('en'), '-20', 'a clock two hours back');
$alliance->sql('dc', visit(1));
$alliance->wait_for('en', q{SELECT count(*) FROM medchain.entry WHERE origin = 'dc' AND payload ~ '"n": ?1\M'}, '1');
pass('others take what is sealed by it');
$alliance->sql('en', visit(1));
$alliance->wait_for('dc', q{SELECT count(*) > 0 FROM medchain.quarantine WHERE origin = 'en' AND detail LIKE 'its author''s clock said %'});
is($alliance->sql('dc', q{SELECT count(*) > 0 FROM medchain.check() WHERE subject = 'en' AND finding LIKE '%sealed in the future' AND severity = 'warning' AND hint LIKE 'Its clock is ahead, or this server''s is behind%'}), 't', 'what they seal has to wait, and check() says why');
clock(0);
$alliance->wait_for_equal_heads;
clock(-2);
$alliance->sql('dc', q{ALTER SYSTEM SET medchain.max_clock_skew = 0; SELECT pg_reload_conf()});

# what is only looked for now and then: a slot that is gone
my $slot = $alliance->sql('dc', q{SELECT slot FROM medchain.peer WHERE member = 'en'});
$alliance->sql('en', qq{SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = '$slot' AND active});
$alliance->wait_for('en', qq{SELECT count(*) = 0 FROM (SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = '$slot' AND active) x});
$alliance->try('en', qq{SELECT pg_drop_replication_slot('$slot')});
# PostgreSQL's launcher waits for the time of its last start to come again
$alliance->sql('dc', q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'logical replication launcher'});
$alliance->sql('en', visit(2));
$alliance->wait_for_equal_heads;
pass('a lost slot is found and made anew');
my $heads = q{SELECT count(*) FROM medchain.entry WHERE origin = 'dc' AND kind = 'witness'};
my $before = $alliance->sql('dc', $heads);
$alliance->sql('en', visit(3));
$alliance->wait_for('dc', "SELECT ($heads) > $before");
pass('the chains of others are witnessed');

# ----- an hour ahead

clock(1);
is(hours('dc'), '1', 'a clock an hour ahead');
my ($rc, $out, $err) = $alliance->try('dc', visit(4));
is($rc, 0, 'it seals') or diag($err);
$alliance->wait_for('en', q{SELECT count(*) > 0 FROM medchain.quarantine WHERE origin = 'dc' AND detail LIKE 'its author''s clock said %'});
pass('who gets that block does not take it yet');
clock(0);
$alliance->sql('dc', visit(5));
is($alliance->sql('en', q{SELECT count(*) FROM medchain.entry WHERE origin = 'dc' AND payload ~ '"n": ?[45]'}), '0', 'nor what follows it');
$alliance->sql('en', q{ALTER SYSTEM SET medchain.max_clock_skew = 0; SELECT pg_reload_conf()});
$alliance->wait_for_equal_heads;
is($alliance->sql('en', q{SELECT count(*) FROM medchain.entry WHERE origin = 'dc' AND payload ~ '"n": ?[45]'}), '2', 'an administrator who knows why lets it in');
$alliance->sql($_, 'ALTER SYSTEM SET medchain.witness_interval = 0; SELECT pg_reload_conf()') foreach $alliance->members;
$alliance->wait_for($_, q{SELECT NOT EXISTS (SELECT FROM medchain.pending)}) foreach $alliance->members;
$alliance->wait_for_equal_heads;
$alliance->equal_ok;
$alliance->verify_ok;
$alliance->check_logs;
done_testing();
