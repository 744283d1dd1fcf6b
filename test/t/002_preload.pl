# Without shared_preload_libraries = 'medchain' the extension installs and its
# pure functions work; what needs the workers says which line is missing.  With the
# line, the same database becomes a node.
use strict;
use warnings;

use Medchain::Alliance;
use PostgreSQL::Test::Cluster;
use Test::More;

my $alliance = Medchain::Alliance->new(dc => 'data_center');
my ($certificate, $anchors) = ($alliance->certificate('dc'), $alliance->certificate('ca'));

# ----- without

my $cluster = PostgreSQL::Test::Cluster->new('plain');
$cluster->init(extra => [ '--encoding=UTF8', '--locale=C' ]);
$cluster->start;
$cluster->safe_psql('postgres', 'CREATE EXTENSION medchain CASCADE');

is($cluster->safe_psql('postgres', q{SELECT encode(medchain.leaf_hash(''), 'hex')}),
	'6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d', 'leaf_hash() of RFC 6962\'s empty leaf');
is($cluster->safe_psql('postgres', q{SELECT encode(medchain.merkle_root('{}'), 'hex')}),
	'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855', 'merkle_root() of the empty tree');
is($cluster->safe_psql('postgres', "SELECT ok, reason IS NULL FROM medchain.verify_certificate('$certificate', '$anchors')"), 't|t',
	'verify_certificate()');
is($cluster->safe_psql('postgres', "SELECT medchain.verify_signature('message', 'no signature', '$certificate')"), 'f', 'verify_signature()');

my $line = qr/HINT:.*Add shared_preload_libraries = 'medchain' to postgresql\.conf and restart the server\./;
foreach my $call (
	"found_alliance('east', 'dc', '$certificate', '$anchors')",
	"join_alliance('dc', '$certificate', 'dbname=postgres')",
	"append('visit', '{}')",
	'seal()',
	'start_workers()',
	'current_member()',
	"may_query('P1'::text)",
	"sign_envelope('application/vnd.medchain.protocol+json', '{}')")
{
	my ($name) = $call =~ /^(\w+)/;
	my $schema = $name eq 'sign_envelope' ? 'medchain_internal' : 'medchain';
	my ($rc, undef, $err) = $cluster->psql('postgres', "SELECT $schema.$call");
	isnt($rc, 0, "$name() fails without the library preloaded");
	like($err, $line, "$name() says which line to add");
}
my (undef, undef, $err) = $cluster->psql('postgres', q{INSERT INTO medchain.pending (payload) VALUES ('{}')});
like($err, $line, 'nothing can be written to pending that would never be sealed');
is($cluster->safe_psql('postgres', q{SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'medchain%'}), '0', 'there are no workers');
is($cluster->safe_psql('postgres', 'SELECT (SELECT count(*) FROM medchain.chains), (SELECT count(*) FROM medchain.members)'), '0|0',
	'the views can be read');

# a key in the wrong place is no way around
$cluster->safe_psql('postgres', 'DROP EXTENSION medchain');
is($cluster->safe_psql('postgres', q{SELECT count(*) FROM pg_depend WHERE refclassid = 'pg_namespace'::regclass AND refobjid = 'medchain'::regnamespace}),
	'0', 'DROP EXTENSION of an unused extension leaves nothing in its schema');
$cluster->safe_psql('postgres', 'CREATE EXTENSION medchain');

# ----- preloaded, but not ready for sync

my ($key, $pseudonym_key) = ($alliance->pki('dc.key'), $alliance->pki('pseudonym.key'));
$cluster->append_conf('postgresql.conf', qq{
shared_preload_libraries = 'medchain'
medchain.signing_key = '$key'
medchain.pseudonym_key_file = '$pseudonym_key'
});
$cluster->restart;
is($cluster->safe_psql('postgres', 'SELECT medchain.start_workers() IS NOT NULL, (SELECT sealer FROM medchain.stat)'), 't|running',
	'the workers start in a database that had the extension before');
($err) = ($cluster->psql('postgres', "SELECT medchain.found_alliance('east', 'dc', '$certificate', '$anchors')"))[2];
like($err, qr/wal_level must be "logical".*HINT:.*wal_level = logical/s, 'founding names the other setting that it needs');
is($cluster->safe_psql('postgres', 'SELECT (SELECT count(*) FROM medchain.local_node), (SELECT count(*) FROM medchain.pending)'), '0|0',
	'and leaves nothing behind');

# ----- ready

$cluster->append_conf('postgresql.conf', "wal_level = logical\nmax_wal_senders = 4");
$cluster->restart;
$cluster->safe_psql('postgres', "SELECT medchain.found_alliance('east', 'dc', '$certificate', '$anchors')");
$cluster->safe_psql('postgres', "SELECT medchain.append('visit', '{}', 'P1')");
$cluster->safe_psql('postgres', 'SELECT medchain.seal()');
is($cluster->safe_psql('postgres', 'SELECT origin, state, height, entries FROM medchain.chains'), 'dc|own|1|2', 'the ledger works');
is($cluster->safe_psql('postgres', 'SELECT origin, blocks, entries, ok FROM medchain.verify()'), 'dc|2|2|t', 'and verifies');

# ----- and without again: what is there can be read and verified

$cluster->append_conf('postgresql.conf', q{shared_preload_libraries = ''});
$cluster->restart;
is($cluster->safe_psql('postgres', 'SELECT origin, blocks, entries, ok FROM medchain.verify()'), 'dc|2|2|t', 'verify() needs no workers');
($err) = ($cluster->psql('postgres', q{SELECT medchain.append('visit', '{}')}))[2];
like($err, $line, 'append() does');

$alliance->check_logs($cluster);

done_testing();
