# What an expelled member sends behind its last block is refused, and nothing of it stays once it is followed no more.
use strict;
use warnings;

use Medchain::Alliance;
use Test::More;

my $alliance = Medchain::Alliance->new(dc => 'data_center', en => 'end_node', ha => 'chain_node');
$alliance->establish;
$alliance->unfollow('ha', 'dc');
$alliance->sql('dc', q{SELECT medchain.expel('ha', 'it does not behave')});
$alliance->sql('ha', "SELECT count(medchain.append('visit', json_build_object('n', i))) FROM generate_series(1, 300) i; SELECT medchain.seal()");
$alliance->wait_for('dc', q{SELECT count(*) FROM medchain.quarantine WHERE origin = 'ha' AND reason = 'chain is closed'}, '1');
is($alliance->sql('dc', q{SELECT count(*) FROM medchain.held_entry WHERE origin = 'ha'}), '300', 'as long as it is followed, its entries are held');
$alliance->sql('dc', q{SELECT medchain.disconnect_peer('ha')});
$alliance->wait_for('dc', 'SELECT count(*) FROM medchain.held_entry', '0');
pass('afterwards they are gone');
$alliance->verify_ok('dc', 'en');
$alliance->check_logs;
done_testing();
