# Members say where they are (announce), and others follow them from there: one by one, all at once, and as they come; a hub passes on what it has.
# An address that leads astray hurts nobody who goes by it.
use strict;
use warnings;

use Medchain::Alliance;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $alliance = Medchain::Alliance->new(dc => 'data_center', en => 'end_node', ha => 'chain_node', hb => 'chain_node');
my @all = $alliance->members;

# Where each is reached from elsewhere, TLS being what others have to insist on: here by sockets, as peer_options say.
sub announce { my ($name) = @_; my $port = $alliance->cluster($name)->port; return $alliance->sql($name, "SELECT medchain.announce('host=$name.example port=$port dbname=postgres')"); }

foreach my $name (@all)
{
	$alliance->start($name);
	my $socket = $alliance->cluster($name)->host;
	$alliance->sql($name, "ALTER SYSTEM SET medchain.peer_options = 'user=sync host=$socket'");
	$alliance->sql($name, 'SELECT pg_reload_conf()');
}
$alliance->found;
$alliance->admit($_) foreach qw(en ha);
$alliance->join_alliance($_) foreach qw(en ha);
$alliance->connect_peers('dc', 'en');
$alliance->connect_peers('en', 'dc');
$alliance->configure('en', 'ha');
$alliance->connect_peers('ha', 'dc');

# ----- what is no address

my $secret = 'horse battery';
foreach my $try (
	[ "host=h dbname=d password=''$secret''", qr/password does not belong into an address/ ], [ 'host=h dbname=d sslpassword=x', qr/sslpassword does not belong/ ],
	[ 'host=h dbname=d passfile=/tmp/x', qr/passfile does not/ ], [ 'host=h dbname=d sslkey=/tmp/x sslcert=y', qr/sslcert, sslkey do/ ], [ 'host=h dbname=d user=postgres', qr/"?user"? does not/ ],
	[ 'host=h dbname=d service=x', qr/service does not/ ], [ q{host=h dbname=d options=-cx}, qr/options does not/ ], [ 'host=h dbname=d target_session_attrs=any', qr/target_session_attrs does not/ ],
	[ 'postgresql://u:' . 'pw@h/d', qr/password, user does not/ ], [ 'host=/tmp dbname=d', qr/no address that others can use/ ], [ 'host=@x dbname=d', qr/no address/ ],
	[ 'host=a,b dbname=d', qr/no address/ ], [ 'host=h port=0 dbname=d', qr/no address/ ], [ 'host=h port=99999 dbname=d', qr/no address/ ], [ 'host=h port=1,2 dbname=d', qr/no address/ ],
	[ q{host=h dbname=''a=b''}, qr/no address/ ], [ 'host=h', qr/an address has a dbname, and a host/ ], [ 'dbname=d', qr/an address has a dbname/ ], [ 'host', qr/invalid connection string/ ],
	[ 'host=' . ('h' x 300) . ' dbname=d', qr/no address/ ], [ 'host=h dbname=' . ('d' x 64), qr/no address/ ], [ '', qr/invalid connection string/ ])
{
	$alliance->fails_like('ha', "SELECT medchain.announce('$try->[0]')", $try->[1], 'refused: ' . substr($try->[0], 0, 60));
}
$alliance->fails_like('ha', 'SELECT medchain.announce(NULL)', qr/must not be null/, 'refused: null');
unlike(slurp_file($alliance->cluster('ha')->logfile), qr/battery/, 'what was a password is in no log');

# ----- one

announce($_) foreach qw(dc en ha);
is($alliance->sql('ha', q{SELECT medchain.announce('host=later.example dbname=postgres') IS NOT NULL}), 't', 'a member moves');
my $entry = announce('ha');
$alliance->wait_for('dc', q{SELECT count(*) FROM medchain.addresses WHERE dbname = 'postgres'}, '2');      # dc, en: nobody is followed to ha yet
$alliance->fails_like('dc', q{SELECT medchain.follow('ha')}, qr/"ha" has not said where its database is.*HINT:/s, 'whose address is not here cannot be followed');
$alliance->connect_peers('dc', 'ha');
$alliance->wait_for('dc', q{SELECT host FROM medchain.addresses WHERE member = 'ha'}, 'ha.example');
is($alliance->sql('dc', "SELECT bool_and(holds), count(*) > 2 FROM medchain.explain_entry('$entry')"), 't|t', 'explain_entry() of an address');
$alliance->fails_like('dc', q{SELECT medchain.follow('ha')}, qr/"ha" is connected already, by connect_peer\(\)/, 'what was connected by hand stays so');
$alliance->sql('dc', q{SELECT medchain.disconnect_peer('ha')});
$alliance->fails_like('dc', q{SELECT medchain.follow('ha', options => 'user=postgres')}, qr/the login at the peer is a superuser there/, 'not as a superuser, whoever calls');
$alliance->fails_like('dc', q{SELECT medchain.follow('ha', options => 'port=1')}, qr/could not connect to the peer/, 'options go before the address');
$alliance->sql('dc', q{SELECT medchain.follow('ha')});
like($alliance->sql('dc', q{SELECT conninfo FROM medchain.peer WHERE member = 'ha'}), qr/sslmode='verify-full'/, 'TLS is insisted on unless somebody says otherwise');
$alliance->wait_for('dc', q{SELECT state FROM medchain.peers WHERE member = 'ha'}, 'streaming');
$alliance->sql('dc', q{SELECT medchain.follow('ha')});
is($alliance->sql('dc', q{SELECT count(*) FROM medchain.peer}), '2', 'called again it does nothing');
$alliance->sql('dc', q{SELECT medchain.follow('ha', options => 'application_name=x')});
is($alliance->sql('dc', q{SELECT options, conninfo ~ 'application_name=''x''' FROM medchain.peer WHERE member = 'ha'}), 'application_name=x|t', 'or takes up what has changed');
$alliance->sql('dc', q{SELECT medchain.resync('ha')});
is($alliance->sql('dc', q{SELECT options FROM medchain.peer WHERE member = 'ha'}), 'application_name=x', 'resync() keeps it');

# ----- all

is($alliance->sql('en', 'SELECT member, result FROM medchain.follow_all()'), 'ha|it is not known where its database is; peers are asked for its chain', 'follow_all() says why not');
is($alliance->sql('ha', 'SELECT member, result FROM medchain.follow_all()'), 'en|it is not known where its database is; peers are asked for its chain', 'at either side');
$alliance->wait_for($_, 'SELECT count(*) FROM medchain.addresses', '3') foreach qw(en ha);
is($alliance->sql('ha', 'SELECT member, result FROM medchain.follow_all()'), 'en|followed', 'and whom it follows now: any peer has what others have said');
is($alliance->sql('ha', 'SELECT member, result FROM medchain.follow_all()'), '', 'nobody is left');
$alliance->sql('ha', 'CREATE ROLE boss LOGIN IN ROLE medchain_admin');
$alliance->fails_like('ha', 'SHOW medchain.peer_options', qr/permission denied|must be superuser|privileges/, 'how this node logs in is for superusers', extra_params => [ '-U', 'boss' ]);
$alliance->fails_like('ha', 'SELECT * FROM medchain.peer', qr/permission denied/, 'and what it has made of it', extra_params => [ '-U', 'boss' ]);
is($alliance->sql('ha', 'SELECT member, host FROM medchain.addresses ORDER BY 1', extra_params => [ '-U', 'boss' ]), "dc|dc.example\nen|en.example\nha|ha.example", 'addresses are not');
is($alliance->sql('ha', 'SELECT count(*) FROM medchain.follow_all()', extra_params => [ '-U', 'boss' ]), '0', 'an admin may follow');

# ----- as they come

foreach my $name (qw(dc en ha hb))
{
	$alliance->sql($name, 'ALTER SYSTEM SET medchain.auto_follow = on');
	$alliance->sql($name, 'SELECT pg_reload_conf()');
}
$alliance->admit('hb');
$alliance->join_alliance('hb');
$alliance->connect_peers('dc', 'hb');       # somebody has to hear it first: it is known by nobody yet
$alliance->configure('en', 'hb');
$alliance->wait_for('hb', q{SELECT state FROM medchain.members WHERE member = 'hb'}, 'active');
announce('hb');
$alliance->wait_for($_, q{SELECT count(*) FROM medchain.peer}, '3') foreach @all;
pass('everybody follows everybody, and hb was told of the data centre alone');
$alliance->wait_for_equal_heads;
$alliance->equal_ok;
is(join(' ', map { $alliance->sql($_, q{SELECT encode(medchain.state_hash(), 'hex')}) eq $alliance->sql('dc', q{SELECT encode(medchain.state_hash(), 'hex')}) ? 1 : 0 } @all), '1 1 1 1', 'addresses are part of the state, everywhere the same');

# a member that moves is followed to its new place
my $before = $alliance->sql('en', q{SELECT conninfo FROM medchain.peer WHERE member = 'dc'});
$alliance->sql('ha', q{SELECT medchain.announce('host=moved.example port=' || current_setting('port') || ' dbname=postgres')});
$alliance->wait_for('dc', q{SELECT conninfo ~ 'application_name=''x''' AND host = 'moved.example' FROM medchain.peer JOIN medchain.addresses USING (member) WHERE member = 'ha'});
pass('as itself has said');

# ----- addresses that lead astray

my @hostile = ('{"host":"/tmp","dbname":"d"}', '{"host":"h","dbname":"d","port":5432}', '{"host":["h"],"dbname":"d"}', '{"dbname":"host=/tmp"}', '{"host":"h x=y","dbname":"d"}',
	'{"host":"h","dbname":"d","port":"65536"}', '{"host":"-x","dbname":"d"}', '{"hostaddr":"localhost","dbname":"d"}', '{"host":"h","dbname":"a\'b"}', '{}');
foreach my $body (@hostile)
{
	(my $quoted = $body) =~ s/'/''/g;
	$alliance->forge_entry('hb', 'address', "'$quoted'", 'NULL', 'clock_timestamp()');
}
$alliance->forge_entry('hb', 'address', q{jsonb_build_object('host', repeat('h', 100000), 'dbname', 'd')}, 'NULL', 'clock_timestamp()');
$alliance->forge_entry('hb', 'address', q{'{"host":"h.example","dbname":"d","port":"7","password":"x","options":"-c x=y","service":"s","sslmode":"disable"}'}, 'NULL', 'clock_timestamp()');
$alliance->wait_for('dc', q{SELECT host FROM medchain.addresses WHERE member = 'hb'}, 'h.example');
is($alliance->sql('dc', q{SELECT count(*) FROM medchain.rejections WHERE kind = 'address' AND reason IN ('it is no address', 'malformed entry')}), scalar(@hostile) + 1, 'what is no address has no effect');
like($alliance->sql('dc', q{SELECT medchain_internal.follow_conninfo('hb', NULL)}), qr/^connect_timeout='10' dbname='d' host='[^']+' port='7' sslmode='verify-full' user='sync'$/, 'and of one that is, nothing but that counts');
$alliance->wait_for_equal_heads;
$alliance->verify_ok(qw(dc en));

# ----- who listens is told of blocks, and of trouble

my $listener = $alliance->cluster('en')->background_psql('postgres', on_error_stop => 0);
$listener->set_query_timer_restart();
$listener->query_safe('LISTEN medchain');
sub hears
{
	my ($pattern, $title) = @_;
	my $heard = '';
	foreach (1 .. 10 * $PostgreSQL::Test::Utils::timeout_default)
	{
		$heard .= $listener->query('SELECT pg_sleep(0.1)');
		last if $heard =~ $pattern;
	}
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	like($heard, $pattern, $title);
	return;
}
$alliance->sql('ha', q{SELECT medchain.append('visit', '{}', 'P1')});
hears(qr/"event":"block","origin":"ha","entries":"\d+"/, 'of a block that has come');
$alliance->sql('en', q{SELECT medchain.append('visit', '{}', 'P1')});
hears(qr/"event":"block","origin":"en","entries":"\d+"/, 'of one of its own');
$alliance->cluster('ha')->stop;
hears(qr/"event":"trouble","area":"peers","subject":"ha","finding":"[^"]*could not connect/, 'of a peer that is lost');
like($alliance->sql('en', q{SELECT state, lag_seconds > 0, last_error ~ '^could not connect', last_error_time > now() - interval '1 minute' FROM medchain.peers WHERE member = 'ha'}),
	qr/^(?:down|failing)\|t\|t\|t$/, 'the view peers says why, and since when');
my $errors = q{SELECT coalesce(max(count), 0) > 8 FROM medchain_internal.peer_errors()};
$alliance->wait_for('en', $errors);
my $log = slurp_file($alliance->cluster('en')->logfile);
my $subscription = $alliance->sql('en', q{SELECT subscription FROM medchain.peer WHERE member = 'ha'});
my $oid = $alliance->sql('en', "SELECT oid FROM pg_subscription WHERE subname = '$subscription'");
my @failed = $log =~ /^.*could not connect to the publisher.*$/mg;
my @started = $log =~ /^.*apply worker for subscription "$subscription" has started.*$/mg;
my @ended = $log =~ /^.*worker for subscription $oid.* exited with exit code.*$/mg;
cmp_ok(scalar(@failed), '<=', 3, 'a peer that cannot be reached is a line or two in the log, not one for each try') or diag(join "\n", @failed);
cmp_ok(scalar(@started), '<=', 8, 'and so are the starts of workers in vain');
cmp_ok(scalar(@ended), '<=', 3, 'and their ends');
$alliance->cluster('ha')->start;
hears(qr/"event":"mended","area":"peers","subject":"ha"/, 'of its return');
$alliance->sql('en', q{ALTER TABLE medchain.block ADD CONSTRAINT harm CHECK (origin <> 'en') NOT VALID; SELECT medchain.append('visit', '{}', 'P1')});
hears(qr/"event":"trouble","area":"workers","subject":"sealer","finding":"/, 'of a worker that does not last');
$alliance->sql('en', q{ALTER TABLE medchain.block DROP CONSTRAINT harm; SELECT medchain.start_workers()});
hears(qr/"event":"mended","area":"workers","subject":"sealer"/, 'and that it does again');
$alliance->sql('en', q{ALTER TABLE medchain.quarantine DISABLE TRIGGER guard_insert; INSERT INTO medchain.quarantine (source, origin, height, reason, signed) VALUES ('ha', 'ha', 7, 'no block', false);
	ALTER TABLE medchain.quarantine ENABLE ALWAYS TRIGGER guard_insert});
hears(qr/"event":"trouble","area":"quarantine","subject":"ha","finding":"from \\"ha\\": no block"/, 'of what was refused');
$alliance->sql('en', 'DELETE FROM medchain.quarantine');
$listener->quit;
$alliance->wait_for_equal_heads;

# ----- a hub: dc passes on what it has, but to nobody his own

$alliance->sql('hb', $_) foreach 'ALTER SYSTEM SET medchain.auto_follow = off', 'SELECT pg_reload_conf()';
$alliance->fails_like('dc', q{SELECT medchain.relay('dc')}, qr/"dc" is no other member/, 'nobody is his own hub');
$alliance->sql('dc', q{SELECT medchain.relay('hb')});
$alliance->sql('hb', "SELECT medchain.disconnect_peer('$_')") foreach qw(en ha);
$alliance->sql('hb', q{SELECT medchain.resync('dc')});
$alliance->sql($_, q{SELECT medchain.append('visit', '{}', 'P1')}) foreach @all;
$alliance->wait_for_equal_heads;
$alliance->equal_ok;
is($alliance->sql('hb', q{SELECT string_agg(member, ' ') FROM medchain.peer}), 'dc', 'by one peer alone, all chains come');
is($alliance->sql('dc', q{SELECT string_agg(DISTINCT rowfilter, ', ') FROM pg_publication_tables WHERE pubname ^@ 'medchain_'}), q{(origin <> 'hb'::text)}, 'and its own does not come back');
is($alliance->sql('hb', q{SELECT count(*) FROM medchain.quarantine}), '0', 'nothing of it is refused');
$alliance->verify_ok('hb');
$alliance->sql('dc', q{SELECT medchain.relay('hb', false)});
$alliance->sql('hb', q{SELECT medchain.resync('dc')});
is($alliance->sql('dc', q{SELECT string_agg(pubname, ' ') FROM pg_publication}), 'medchain', 'and no longer');
$alliance->sql('hb', $_) foreach 'ALTER SYSTEM SET medchain.auto_follow = on', 'SELECT pg_reload_conf()';
$alliance->wait_for('hb', q{SELECT count(*) FROM medchain.peer}, '3');
$alliance->wait_for_equal_heads;

# ----- and go

my $last = $alliance->sql('dc', q{SELECT medchain.expel('hb', 'for a test')});
$alliance->wait_for('dc', q{SELECT count(*) FROM medchain.peer WHERE member = 'hb'}, '0');
$alliance->wait_for($_, q{SELECT count(*) FROM medchain.peer WHERE member = 'hb'}, '0') foreach qw(en ha);
pass('who is expelled is let go');
is($alliance->sql('dc', q{SELECT count(*) FROM medchain.check() WHERE area = 'workers'}), '0', 'all workers are well');
done_testing();
