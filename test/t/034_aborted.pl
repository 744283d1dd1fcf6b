# Statements in a transaction that has failed already.  Nothing may look into a catalog
# there: a server with assertions ends at once if our hooks do, one without may read nonsense.
use strict;
use warnings;

use lib 'test/lib';
use Medchain::Alliance;
use PostgreSQL::Test::Utils;
use Test::More;

my $cluster = Medchain::Alliance->new_cluster('aborted', conf => "max_prepared_transactions = 2\n");
$cluster->start;
$cluster->safe_psql('postgres', 'CREATE EXTENSION medchain CASCADE; CREATE ROLE owner LOGIN; CREATE DATABASE other OWNER owner');

# How a failed transaction can end, and what may be tried in it.
my @ends = (
	'ROLLBACK', 'COMMIT', 'END', 'ABORT', 'ROLLBACK AND CHAIN; ROLLBACK',
	"PREPARE TRANSACTION 'never'",
	'SAVEPOINT s; ROLLBACK',
	'ROLLBACK TO SAVEPOINT before; SELECT 1; COMMIT',
	'RELEASE SAVEPOINT before; ROLLBACK',
	'DROP DATABASE other; ROLLBACK',
	'CREATE DATABASE copy TEMPLATE other; ROLLBACK',
	'ALTER DATABASE other RENAME TO another; ROLLBACK',
	'ALTER DATABASE other SET TABLESPACE pg_default; ROLLBACK',
	'DROP EXTENSION medchain; ROLLBACK',
	'DROP SCHEMA medchain CASCADE; ROLLBACK',
	'DEALLOCATE ALL; ROLLBACK',
	'FETCH c; CLOSE c; ROLLBACK',
	"SELECT medchain.append('remark', '{}'); ROLLBACK");

for my $role ('postgres', 'owner')
{
	for my $end (@ends)
	{
		# what the session knew of its role, superuser or not, has to be looked up anew then
		my $script = join ";\n", "SET SESSION AUTHORIZATION $role", 'BEGIN', 'SAVEPOINT before', "ALTER ROLE $role PASSWORD NULL", 'SELECT 1 / 0',
			split(/; /, $end), "SELECT 'alive'";
		my ($status, $output, $errors) = $cluster->psql('postgres', "$script;\n", on_error_stop => 0);
		is("$status " . ($output =~ /(\w*)\z/)[0], '0 alive', "$role: $end");
		like($errors, qr/division by zero/, '... and the transaction had failed');
	}
}
is($cluster->safe_psql('postgres', "SELECT string_agg(datname, ' ' ORDER BY datname) FROM pg_database WHERE datname ~ '^(other|another|copy)\$'"), 'other', 'nothing was done');
unlike(slurp_file($cluster->logfile), qr/TRAP:|terminated by signal/, 'no process of the server has crashed');
done_testing();
