# Knex and Sequelize: what migrations and models do to ledger tables and protected ones, up and down.
# needs: npm pg@8.23.1 knex@3.3.0 sequelize@6.37.8
use strict;
use warnings;

use Medchain::Application;
use Test::More;

my $app = Medchain::Application->new;
# who migrates protected tables is their owner, and an administrator of medchain's; the application acts for the member whose
# database it is, and may see what it writes by a protocol like anybody else
$app->sql(q{GRANT medchain_admin TO keeper; SELECT medchain.bind_role('keeper', 'dc')});
$app->permit($_, 'dc') foreach qw(1 2 P0 P1);

my $faults = q{SELECT string_agg(concat_ws(' ', t.relation, v.row_key, v.fault, v.detail), '; ') FROM medchain.row_table t, medchain.verify_table(t.relation) v};
my %answers = (
	changes => sub { return $app->changes(@_) },
	sound   => sub { return $app->sql($faults) },
	tables  => sub { return $app->sql('SELECT count(*) FROM medchain.row_table') });

$app->node("$_.js", \%answers) foreach qw(knex sequelize);
$app->sound_ok('migrations');
$app->alliance->check_logs;
done_testing();
