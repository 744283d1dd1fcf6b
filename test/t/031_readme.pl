# The first hour: what README.md and doc/operations.md print, run line by line by somebody who has nothing else, on three
# new servers as Debian makes them.
#
# What stands for what, and nothing besides:
#
#   /etc/medchain                       a folder of each server's own
#   /etc/postgresql/15/main             the data directory, where postgresql.conf includes conf.d, as Debian's does
#   systemctl restart                   PostgreSQL::Test::Cluster
#   apt-get install, make, make install what scripts/run-tests has done before
#   postgres as owner of files, runuser who runs the tests; PGHOST and PGPORT lead to the server
#   host=a.example                      the same with hostaddr and port; listen_addresses is 127.0.0.1 instead of '*'
#   /usr/lib/postgresql/15/bin, /usr/share/postgresql/15/man, /usr/local, /tmp
#                                       where pg_config says, and folders of the test's own
#   node=...; host=...                  the reader's own names, as the line says
#   "to the CA", "back come"            the files go from folder to folder
#   /var/backups                        a folder of the test's own
#   the hospital's new server           another cluster, with what the README says of settings and who may come in
#   pg_upgradecluster, and its hook     pg_upgrade, to another cluster of the same version, which is more of the same to it
#   make uninstall                      DESTDIR, a folder of the test's own: other tests need what is installed
#
# A person looks at the screen before the next line: from the first protocol on, everybody has heard everybody in between.
use strict;
use warnings;

use File::Copy qw(copy);
use Medchain::Manual;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my @members = ('data-centre', 'end-node', 'hospital-a');
my %place   = ('the data centre' => 'data-centre', 'the end node' => 'end-node', 'the hospital' => 'hospital-a');
my %host    = ('data-centre' => 'dc.example', 'end-node' => 'e.example', 'hospital-a' => 'a.example');
my $base    = PostgreSQL::Test::Utils::tempdir();
my $user    = getpwuid($>);
my $group   = getgrgid($) + 0);
my ($bindir, $mandir) = map { my $dir = `'$ENV{PG_CONFIG}' --$_`; chomp $dir; $dir } qw(bindir mandir);
my ($version) = `'$ENV{PG_CONFIG}' --version` =~ /(\d+)/;
my (%cluster, %folder, %variables);
chomp(my $root = `pwd`);

# ----- as Debian leaves them: three clusters, each with Debian's pg_hba.conf but for who comes over the socket

$ENV{PGUSER} = 'postgres';
mkdir "$base/$_" foreach 'ca', 'tmp', 'local', 'uninstalled', @members;
mkdir "$base/local/bin";

# One such cluster; the address is its predecessor's, if it has one.
sub new_cluster
{
	my ($name, $predecessor) = @_;
	my $cluster = PostgreSQL::Test::Cluster->new($name, $predecessor ? (port => $predecessor->port) : ());

	$cluster->init(extra => [ '--username=postgres', '--encoding=UTF8', '--locale=C' ]);
	mkdir $cluster->data_dir . '/conf.d';
	$cluster->append_conf('postgresql.conf', "include_dir = 'conf.d'\nwal_retrieve_retry_interval = 500ms\n");
	unlink $cluster->data_dir . '/pg_hba.conf';
	$cluster->append_conf('pg_hba.conf', <<'HBA');
local   all             postgres                                trust
local   all             all                                     trust
host    all             all             127.0.0.1/32            scram-sha-256
host    all             all             ::1/128                 scram-sha-256
local   replication     all                                     trust
host    replication     all             127.0.0.1/32            scram-sha-256
host    replication     all             ::1/128                 scram-sha-256
HBA
	return $cluster;
}
foreach my $member (@members)
{
	$cluster{$member} = new_cluster($member);
	$cluster{$member}->start;
	$folder{$member} = "$base/$member/medchain";
}

# The reader's hands: what is printed, where it is printed for.
sub at
{
	my ($where, $text) = @_;
	my $member = $place{$where} || $where;
	my $cluster = $cluster{$member};
	my $port = sub { my ($name) = grep { $host{$_} eq $_[0] } @members; return $cluster{$name}->port; };

	$text =~ s/^apt-get .*\n//m;
	$text =~ s/^make .*\binstall$/true/m;
	$text =~ s/\bnode=\S+; host=\S+/node=$member; host=$host{$member}/;
	$text =~ s/systemctl restart \S+/true/;
	$text =~ s/runuser -u postgres -- //g;
	$text =~ s/-o postgres -g postgres/-o $user -g $group/g;
	$text =~ s/chown postgres:postgres/chown $user:$group/g;
	$text =~ s{/usr/lib/postgresql/15/bin}{$bindir}g;
	$text =~ s{/usr/share/postgresql/15/man}{$mandir}g;
	$text =~ s{/usr/local}{$base/local}g;
	$text =~ s{^cd /tmp$}{cd $base/tmp}m;
	$text =~ s{/etc/medchain}{$folder{$member}}g if $folder{$member};
	$text =~ s{/var/backups}{$base/$member}g;
	$text =~ s{^make uninstall$}{cd $root && make -s uninstall DESTDIR=$base/uninstalled}m;
	$text =~ s/listen_addresses = '\*'/listen_addresses = '127.0.0.1'/;
	$text =~ s/host=(\w+\.example)/"host=$1 hostaddr=127.0.0.1 port=" . $port->($1)/ge;
	$text =~ s/host '(\w+\.example)'/"host '$1', hostaddr '127.0.0.1', port '" . $port->($1) . "'"/ge;
	if ($cluster)
	{
		my $data = $cluster->data_dir;
		$text =~ s{/etc/postgresql/15/main}{$data}g;
	}
	return $text;
}

sub shell
{
	my ($where, $text) = @_;
	my $cluster = $cluster{$where};
	my ($out, $err) = ('', '');

	local $ENV{PATH} = "$base/local/bin:$ENV{PATH}";
	local ($ENV{PGHOST}, $ENV{PGPORT}) = ($cluster->host, $cluster->port) if $cluster;
	chdir "$base/ca" if $where eq 'ca';
	my $run = IPC::Run::run([ 'bash', '-e', '-o', 'pipefail' ], '<', \$text, '>', \$out, '2>', \$err);
	chdir $root if $where eq 'ca';
	return ($run, $out, $err);
}

# psql as somebody; what \set has set before at this place is set again.
sub sql
{
	my ($where, $text, $conninfo, $role) = @_;
	my $cluster = $cluster{$where};
	my ($out, $err) = ('', '');

	$conninfo .= ' hostaddr=127.0.0.1 port=' . $cluster->port if $conninfo && $conninfo =~ /\bhost=/;
	my $input = join('', @{ $variables{$where} || [] }) . $text;

	push @{ $variables{$where} }, $text =~ /^(\\set .*\n)/mg;
	local ($ENV{PGHOST}, $ENV{PGPORT}, $ENV{PGPASSWORD}) = ($cluster->host, $cluster->port, 'of your choice');
	my $run = IPC::Run::run([ 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-d', $conninfo || 'dbname=hospital' . ($role ? " user=$role" : '') ],
		'<', \$input, '>', \$out, '2>', \$err);
	return ($run, $out, $err);
}

# "FILE[, above its first line]"
sub settings
{
	my ($where, $target, $text) = @_;
	my $above = $target =~ s/, above its first line$//;
	my $file = at($where, $target);

	$text = at($where, $text =~ s/^#.*\n//r);
	$text .= PostgreSQL::Test::Utils::slurp_file($file) if $above;
	open(my $out, $above ? '>' : '>>', $file) or return (0, '', "$file: $!");
	print $out $text;
	close($out);
	return (1, '', '');
}

# Everybody has what everybody has sealed.
sub settle
{
	foreach my $origin (@members)
	{
		my (undef, $head) = sql($origin, "SELECT medchain.seal();\nSELECT height || ' ' || head FROM medchain.chains WHERE origin = '$origin';\n");
		$head =~ s/\s+\z//;
		$head =~ s/.*\n//s;
		$cluster{$_}->poll_query_until('hospital', "SELECT height || ' ' || head = '$head' FROM medchain.chains WHERE origin = '$origin'")
		  or die "$_ did not hear of block $head of $origin"
		  foreach @members;
	}
	return;
}

# Debian's way from one version to the next, which for this test is the same one, and its pg_upgrade.
sub upgrade
{
	my ($member) = @_;
	my $old = $cluster{$member};
	my $new = new_cluster("$member-upgraded", $old);

	$old->stop('fast');
	foreach my $file ('pg_hba.conf', 'pg_ident.conf', 'conf.d/medchain.conf')
	{
		copy($old->data_dir . "/$file", $new->data_dir . "/$file");
	}
	chdir "$base/tmp";
	my $run = IPC::Run::run([ 'pg_upgrade', '--no-sync', '-d', $old->data_dir, '-D', $new->data_dir, '-b', $bindir, '-B', $bindir, '-s', $new->host,
			'-p', $old->port, '-P', $new->port ], '>', \my $out, '2>&1');
	chdir $root;
	$cluster{$member} = $new;
	$new->start if $run;
	return ($run, '', $out);
}

# The hospital's server is lost, and it has another, as Install says in 1, 4 and 5.
sub new_server
{
	my ($member, @install) = @_;
	my $old = $cluster{$member};

	$old->stop('immediate');
	$cluster{$member} = new_cluster("$member-new", $old);
	$cluster{$member}->start;
	$cluster{$member}->safe_psql('postgres', 'CREATE DATABASE hospital');
	follow($_, at => [$member]) foreach grep { $_->{language} eq 'conf' || $_->{text} =~ /systemctl restart/ } @install;
	return;
}

# The members that a step is for: those it names, or all.
sub places
{
	my ($where) = @_;
	my $one = join('|', keys %place);
	my ($named) = $where =~ /^at ((?:$one)(?: and (?:$one))*)/;

	return $named ? map { $place{$_} } split(/ and /, $named) : @members;
}

# One step, at each place that it is for; a test for each.  Returns what came out at the last.  "settle": before it, and
# not where the reader stays where he is; "at": some of the places only.
my $last_place = '';

sub follow
{
	my ($step, %options) = @_;
	my $what = "$step->{file}, line $step->{line}: $step->{title}";
	my ($run, $out, $err);

	if ($step->{where} =~ /^at the CA/)
	{
		foreach my $member ($step->{where} =~ /every member/ ? @members : $step->{where} =~ /new key/ ? 'hospital-a' : 'ca')
		{
			copy($_, "$base/ca") foreach $folder{$member} ? glob("$folder{$member}/*.csr") : ();
			($run, $out, $err) = shell('ca', $step->{text});
			ok($run, "$what ($member)") or diag($out . $err);
			copy("$base/ca/$_", $folder{$member})
			  foreach $folder{$member} ? grep { -e "$base/ca/$_" } qw(node.crt server.crt new.crt ca.crt pseudonym.key) : ();
			unlink glob("$base/ca/*.csr $base/ca/node.crt $base/ca/server.crt $base/ca/new.crt");
		}
		return $out;
	}
	my @places = $options{at} ? @{ $options{at} } : places($step->{where});
	settle() if $options{settle} && "@places" ne $last_place;
	$last_place = "@places";
	foreach my $member (@places)
	{
		if ($step->{language} eq 'conf')
		{
			($run, $out, $err) = settings($member, $step->{where} =~ s/^at [\w ]+: //r, $step->{text});
		}
		elsif ($step->{language} eq 'sh')
		{
			($run, $out, $err) = $step->{text} =~ /^pg_upgradecluster/m ? upgrade($member) : shell($member, at($member, $step->{text}));
			$cluster{$member}->restart if $step->{text} =~ /systemctl restart/;
		}
		else
		{
			my ($conninfo) = $step->{where} =~ /in psql "([^"]*)"/;
			my ($role) = $step->{where} =~ /, as (\w+)/;
			($run, $out, $err) = sql($member, at($member, $step->{text}), $conninfo, $role);
		}
		ok($run && $err !~ /WARNING/, "$what ($member)") or diag($out . $err);
	}
	return $out;
}

# ----- each block says where it is for

my @readme     = map { Medchain::Manual::steps($_) } Medchain::Manual::blocks('README.md');
my @operations = map { Medchain::Manual::steps($_) } Medchain::Manual::blocks('doc/operations.md');
my $executable = sub { $_[0]{language} ne 'conf' || $_[0]{where} ne '' };

is(join("\n", map { "$_->{file}, line $_->{line}: $_->{title}" }
		grep { $_->{where} eq '' && $_->{language} ne 'conf' } @readme, @operations),
	'', 'every block of commands or SQL says where it is run');
@readme     = grep { $executable->($_) && $_->{where} ne 'anywhere' } @readme;
@operations = grep { $executable->($_) } @operations;
my @of = map { my $heading = $_; [ grep { $_->{heading} eq $heading } @readme, @operations ] }
  ('medchain', 'Install', 'Ten minutes of SQL', 'What to watch', 'TLS', "Changing a member's key or certificate",
	"When the CA's certificate ends", 'Applications', 'Backup and restore', 'pg_upgrade', 'Taking it away');
is(scalar(grep { !@$_ } @of), 0, 'the sections are there');
is(scalar(map { @$_ } @of), scalar(@readme) + scalar(@operations), 'and there are no others with something to run');
my ($shown, $install, $minutes, $watch, $tls, $rekey, $anchors, $applications, $backup, $upgrade, $away) = @of;

if (-e '/etc/debian_version' && $version == 15)
{
	is($bindir, '/usr/lib/postgresql/15/bin', 'the programs are where the README says');
	is($mandir, '/usr/share/postgresql/15/man', 'and so are the manual pages');
}

# ----- the README

foreach my $step (@$install)
{
	my $out = follow($step);
	if ($step->{title} eq '# at the CA, for every member')
	{
		copy("$folder{$_}/node.crt", "$folder{'data-centre'}/$_.crt") foreach 'end-node', 'hospital-a';
	}
	like($out, qr/^running\|\|fine$/m, 'the sealer runs, and the key for pseudonyms is fine') if $step->{text} =~ /FROM medchain\.stat;/;
}
foreach my $member (@members)
{
	my ($mode) = map { $_ & 0777 } (stat("$folder{$member}/node.key"))[2];
	is($mode, 0600, "$member: its private key is private");
	foreach my $weak ('sslmode=disable', 'sslmode=require')
	{
		my ($run, undef, $err) = sql($member, 'SELECT 1', 'host=127.0.0.1 port=' . $cluster{$member}->port . " dbname=hospital user=alliance $weak");
		ok(!$run, "$member: nobody gets in as alliance with $weak and no certificate") or diag($err);
	}
}

my $end = (grep { $minutes->[$_]{title} =~ /and the end of it/ } 0 .. $#$minutes)[0];
my $quick = 1;
foreach my $step (@$minutes[ 0 .. $end - 1 ])
{
	# up to here each call waits for what it needs; reading does not
	$quick = 0 if $step->{title} =~ /put the records under the ledger/;
	my $out = follow($step, settle => !$quick);

	if ($step->{text} =~ /FROM medchain\.members;/)
	{
		ok($cluster{$_}->poll_query_until('hospital', q{SELECT count(*) = 3 FROM medchain.members WHERE state = 'active'}),
			"$_: all three are active, with nothing done but what is printed") foreach 'end-node';
	}
	is($out, "hospital-a|42|P0042|benign\nt|f\n", 'app_a sees the rows of P0042 and of nobody else') if $step->{title} =~ /user=app_a/;
	like($out, qr/^update\|hospital-a\|2/m, 'the history says who changed it') if $step->{text} =~ /row_history/;
}
foreach my $member (@members)
{
	ok($cluster{$member}->poll_query_until('hospital',
		q{SELECT count(*) = 2 FROM medchain.peers WHERE state = 'streaming' AND follower_state = 'following us' AND shortage IS NULL}),
		"$member follows both others, and is followed by them");
}

# ----- operations.md, and what the README shows at its beginning

my $log = sub { follow($_, settle => 1) foreach @_ };
$log->(@$tls);
foreach my $step (@$shown)
{
	my $out = follow($step, settle => 1);
	if ($step->{where} =~ /as app/)
	{
		is($out, "P0042|malignant\n", 'the record through postgres_fdw; of P0043 nothing');
	}
	like($out, qr/^[0-9a-f-]{36}\|data-centre\|public\.diagnosis\|/m, 'the data index') if $step->{text} =~ /data_index/;
	unlike($out, qr/\|f\|/, 'verify() finds no fault') if $step->{text} =~ /verify\(\)/;
}

foreach my $step (@$minutes[ $end .. $#$minutes ])
{
	my $out = follow($step, settle => 1);
	if ($step->{text} =~ /revoke_protocol/)
	{
		is(scalar(() = $out =~ /^[0-9a-f-]{36}$/mg), 1, 'the protocol is revoked');
		is((sql('end-node', q{SELECT state FROM medchain.protocols}))[1], "revoked\n", '... at once');
	}
	is($out, '', 'verify_table() finds no fault') if $step->{text} =~ /verify_table/;
	like($out, qr/^verified\n.*^verified\n.*^Protocols\n.*^Entries without effect: none\n\{.*"verdict": "verified".*"state": \{.*\}\n\z/ms,
		'export and receipts verify without a database; the state is shown, as of now and of before') if $step->{language} eq 'sh';
}
is((sql('data-centre', 'SELECT * FROM diagnosis', 'host=localhost dbname=hospital user=app_a'))[1], '', 'after that app_a sees nothing');

$log->(@$watch);

# a certificate for the same request is the CA's; the reader sends node.csr again
copy("$folder{'hospital-a'}/node.csr", "$base/ca");
my ($again) = grep { $_->{text} =~ /in node\.csr/ } @$install;
{
	my ($run, $out, $err) = shell('ca', $again->{text} =~ s/^.*server\.csr.*\n//mr);
	ok($run, 'the CA makes another certificate for the same key') or diag($err);
	copy("$base/ca/node.crt", $folder{'hospital-a'});
}
$log->(@$rekey);
# what the CA gives the data centre: its new certificate, and both
my $at = $folder{'data-centre'};
system_or_bail('openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', "$at/new-ca.key", '-out', "$at/new-ca.crt",
	'-days', '3650', '-subj', '/CN=New CA', '-addext', 'keyUsage=critical,keyCertSign,cRLSign');
append_to_file("$at/anchors.pem", slurp_file("$at/ca.crt") . slurp_file("$at/new-ca.crt"));
$log->(@$anchors);
ok($cluster{'hospital-a'}->poll_query_until('hospital', q{SELECT sealer = 'running' FROM medchain.stat}), 'after the change of its key the hospital seals');

sub all_is_well
{
	my ($when) = @_;
	settle();
	foreach my $member (@members)
	{
		ok($cluster{$member}->poll_query_until('hospital', sprintf(
				q{SELECT count(*) = %d FROM medchain.peers WHERE state = 'streaming' AND follower_state = 'following us'}, scalar(@members) - 1)),
			"$when: everybody follows $member");
		is((sql($member, 'SELECT count(*) FROM medchain.verify() WHERE NOT ok'))[1], "0\n", "$when: verify() finds no fault at $member");
	}
	return;
}
all_is_well('after the change of a key');

# ----- applications: a migration of what the table is protected by

$log->(@$applications);
is((sql('data-centre', q{SELECT count(*) FROM medchain.verify_table('diagnosis')}))[1], "0\n", 'a migration leaves the table in order');

# ----- backup and restore

foreach my $step (@$backup)
{
	new_server('hospital-a', @$install) if $step->{title} =~ /new server/;
	my $out = follow($step);
	like($out, qr/^t\|[^|]*copy of node "hospital-a"/m, 'what is restored knows that it is a copy') if $step->{text} =~ /is_copy\(\)/;
}
all_is_well('after a restore');

# ----- pg_upgrade

foreach my $step (@$upgrade)
{
	# since 17 slots go along
	next if $step->{where} =~ /before 17/ && $version >= 17;
	follow($step);
}
all_is_well('after pg_upgrade');

# ----- taking it away

foreach my $step (@$away)
{
	if ($step->{text} =~ /disconnect_peer/)
	{
		settle();
		is((sql($_, q{SELECT state FROM medchain.members WHERE member = 'hospital-a'}))[1], "ended\n", "$_: the contract has ended") foreach places($step->{where});
	}
	my $out = follow($step);
}
is((sql('hospital-a', q{SELECT (SELECT count(*) FROM pg_extension WHERE extname = 'medchain'), (SELECT count(*) FROM pg_namespace WHERE nspname = 'medchain'),
		(SELECT count(*) FROM pg_subscription), (SELECT count(*) FROM pg_publication), (SELECT count(*) FROM pg_replication_slots),
		(SELECT count(*) FROM pg_roles WHERE rolname ~ '^medchain|^alliance$'),
		(SELECT count(*) FROM pg_file_settings WHERE name ~ '^medchain'), current_setting('shared_preload_libraries'),
		(SELECT count(*) FROM pg_hba_file_rules WHERE 'alliance' = ANY (user_name)), (SELECT count(*) FROM pg_ident_file_mappings)}))[1],
	"0|0|0|0|0|0|0||0|0\n", 'nothing of medchain is left at the hospital');
is((sql('data-centre', q{SELECT diagnosis FROM diagnosis WHERE case_no = 42}))[1], "malignant\n", 'the records are where they were');
is((sql('data-centre', 'SELECT * FROM diagnosis', 'host=localhost dbname=hospital user=app_a'))[0], '', 'and nobody sees them who was not to');
@members = ('data-centre', 'end-node');
sql('data-centre', q{SELECT medchain.append('visit', '{}')});
all_is_well('without the hospital');
done_testing();
