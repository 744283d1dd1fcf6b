=pod

=head1 NAME

Medchain::Alliance - alliances of real clusters, for the TAP tests

=head1 SYNOPSIS

  use Medchain::Alliance;

  my $alliance = Medchain::Alliance->new(dc => 'data_center', en => 'end_node', ha => 'chain_node');
  $alliance->establish;                     # start, found, admit, join, connect, configure; heads equal
  $alliance->sql('ha', 'SELECT ...');       # one value, or dies
  $alliance->wait_for_equal_heads;
  $alliance->check_logs;                    # a test of its own; last but done_testing()

=head1 DESCRIPTION

A node is one database; unless told otherwise it has a cluster to itself.  The
scripts start in the root of the tree, where test/pki/make-pki is.

=cut

package Medchain::Alliance;

use strict;
use warnings;

use Digest::SHA qw(sha256);
use IPC::Run;
use MIME::Base64 qw(decode_base64 encode_base64);
use POSIX qw(strftime);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

# What medchain needs of a server.  fsync is off by PostgreSQL::Test::Cluster.
my $settings = q{
shared_preload_libraries = 'medchain'
wal_level = logical
max_worker_processes = 20
max_logical_replication_workers = 12
max_wal_senders = 20
max_replication_slots = 20
wal_retrieve_retry_interval = 500ms
# chains grow when the test says so; 063 has witnesses
medchain.witness_interval = 0
# peers that a test has stopped are not waited for any longer
medchain.recovery_timeout = 2s
};

# A cluster with medchain's settings, not started.
sub new_cluster
{
	my ($class, $name, %params) = @_;
	my $cluster = PostgreSQL::Test::Cluster->new($name, map { exists $params{$_} ? ($_ => $params{$_}) : () } qw(install_path port));

	$cluster->init(extra => [ '--encoding=UTF8', '--locale=C', @{ $params{initdb} || [] } ]);
	$cluster->append_conf('postgresql.conf', $settings);
	# apart from max_replication_slots since 18; older servers refuse what they don't know
	$cluster->append_conf('postgresql.conf', 'max_active_replication_origins = 60') if $cluster->pg_version >= 18;
	$cluster->append_conf('postgresql.conf', $params{conf}) if defined $params{conf};
	return $cluster;
}

# Pairs of name and kind; the first must be the data centre.  "others" are names
# that get keys and certificates and nothing else.
sub new
{
	my ($class, @members) = @_;
	my $self = bless { order => [], kind => {}, node => {} }, $class;
	my @others;

	while (my ($name, $kind) = splice(@members, 0, 2))
	{
		if ($name eq 'others')
		{
			push @others, @$kind;
			next;
		}
		push @{ $self->{order} }, $name;
		$self->{kind}{$name} = $kind;
	}
	$self->{pki} = PostgreSQL::Test::Utils::tempdir() . '/pki';
	PostgreSQL::Test::Utils::system_or_bail('sh', 'test/pki/make-pki', $self->{pki}, @{ $self->{order} }, @others);
	return $self;
}

sub pki     { my ($self, $file) = @_; return "$self->{pki}/$file"; }
sub members { my ($self) = @_; return @{ $self->{order} }; }
sub cluster { my ($self, $name) = @_; return $self->{node}{$name}{cluster}; }
sub dbname  { my ($self, $name) = @_; return $self->{node}{$name}{dbname}; }

sub data_center { my ($self) = @_; return $self->{order}[0]; }

sub certificate
{
	my ($self, $name) = @_;
	my $pem = PostgreSQL::Test::Utils::slurp_file($self->pki("$name.crt"));

	# as psql's backquotes give it
	chomp($pem);
	return $pem;
}

# Start a node: a cluster of its own, or a database (dbname) in a cluster that runs.  "create": options of CREATE DATABASE;
# "before" is called, with the name, when there is a database and no extension yet.
sub start
{
	my ($self, $name, %params) = @_;
	my $cluster = $params{cluster};
	my $dbname  = $params{dbname} || 'postgres';
	my $keys    = {
		'medchain.signing_key'        => $self->pki("$name.key"),
		'medchain.pseudonym_key_file' => $self->pki('pseudonym.key')
	};

	if (!defined $cluster)
	{
		$cluster = Medchain::Alliance->new_cluster($name, conf => $params{conf});
		$cluster->append_conf('postgresql.conf', "$_ = '$keys->{$_}'") foreach sort keys %$keys;
		$cluster->start;
	}
	else
	{
		$cluster->safe_psql('postgres', "CREATE DATABASE $dbname " . ($params{create} || ''));
		$cluster->safe_psql('postgres', "ALTER DATABASE $dbname SET $_ = '$keys->{$_}'") foreach sort keys %$keys;
	}
	$self->{node}{$name} = { cluster => $cluster, dbname => $dbname };
	$params{before}->($name) if $params{before};
	$self->sql($name, 'CREATE EXTENSION medchain CASCADE');
	$self->sql($name, q{
		DO $$
		BEGIN
			IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'sync') THEN
				CREATE ROLE sync LOGIN REPLICATION IN ROLE medchain_peer;
			END IF;
		END
		$$});
	return $cluster;
}

# The same for a cluster of its own that is open to TLS connections from this machine, with a certificate of the CA.
sub start_tls
{
	my ($self, $name, %params) = @_;
	my $more = $params{conf} || '';
	my ($crt, $key, $ca) = map { $self->pki($_) } "$name-tls.crt", "$name-tls.key", 'ca.crt';
	my $cluster = $self->start($name, conf => qq{
listen_addresses = '127.0.0.1'
ssl = on
ssl_cert_file = '$crt'
ssl_key_file = '$key'
ssl_ca_file = '$ca'
$more
});

	$cluster->append_conf('pg_hba.conf', 'hostssl all all 127.0.0.1/32 trust clientcert=verify-ca');
	$cluster->reload;
	return $cluster;
}

# Connection string of a role with a certificate.
sub tls_connstr
{
	my ($self, $name, $role, $certificate, $options) = @_;
	my ($ca, $crt, $key) = map { $self->pki($_) } 'ca.crt', "$certificate.crt", "$certificate.key";

	return sprintf("host=%s hostaddr=127.0.0.1 port=%d dbname=%s user=%s sslmode=verify-full sslrootcert=%s sslcert=%s sslkey=%s options='%s'",
		$name, $self->cluster($name)->port, $self->dbname($name), $role, $ca, $crt, $key, $options || '');
}

# What comes out of such a session, errors included.
sub over_tls
{
	my ($self, $name, $role, $certificate, $sql, $options) = @_;
	my ($rc, $out, $err) = $self->cluster($name)->psql($self->dbname($name), $sql,
		connstr => $self->tls_connstr($name, $role, $certificate, $options), on_error_die => 0);
	return $rc == 0 ? $out : $err;
}

# Stdout of SQL run at a node as its superuser; dies when that fails.
sub sql
{
	my ($self, $name, $sql, %params) = @_;
	return $self->cluster($name)->safe_psql($self->dbname($name), $sql, %params);
}

# (exit status, stdout, stderr) of the same, for what may fail.
sub try
{
	my ($self, $name, $sql, %params) = @_;
	my ($rc, $out, $err) = $self->cluster($name)->psql($self->dbname($name), $sql, %params);
	return ($rc, $out, $err);
}

# A test: SQL fails at a node, with an error like that.
sub fails_like
{
	my ($self, $name, $sql, $pattern, $title, %params) = @_;
	my ($rc, undef, $err) = $self->try($name, $sql, %params);

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	ok($rc != 0 && $err =~ $pattern, $title)
	  or diag("exit status $rc, stderr: $err");
	return;
}

# Wait, with the limit of PostgreSQL::Test::Utils, until a query at a node returns this; dies after it.
sub wait_for
{
	my ($self, $name, $query, $expected) = @_;
	$expected = 't' unless defined $expected;
	$self->cluster($name)->poll_query_until($self->dbname($name), $query, $expected)
	  or die "$name: timed out waiting for '$expected' from: $query";
	return;
}

# How peers reach a node.
sub conninfo
{
	my ($self, $name) = @_;
	my $cluster = $self->cluster($name);
	return sprintf('host=%s port=%d dbname=%s user=sync', $cluster->host, $cluster->port, $self->dbname($name));
}

# The trust anchors are those of make-pki named here, its CA if none is.
sub found
{
	my ($self, @anchors) = @_;
	my $dc = $self->data_center;
	my ($certificate, $anchors) = ($self->certificate($dc), join("\n", map { $self->certificate($_) } (@anchors ? @anchors : 'ca')));
	$self->{anchors} = PostgreSQL::Test::Utils::tempdir() . '/anchors';
	PostgreSQL::Test::Utils::append_to_file($self->{anchors}, "$anchors\n");
	return $self->sql($dc, "SELECT medchain.found_alliance('east', '$dc', '$certificate', '$anchors')");
}

sub admit
{
	my ($self, $name) = @_;
	my $certificate = $self->certificate($name);
	return $self->sql($self->data_center, "SELECT medchain.admit('$name', '$self->{kind}{$name}', '$certificate')");
}

sub join_alliance
{
	my ($self, $name) = @_;
	my ($certificate, $conninfo) = ($self->certificate($name), $self->conninfo($self->data_center));
	return $self->sql($name, "SELECT medchain.join_alliance('$name', '$certificate', '$conninfo')");
}

# NAME follows each of the others that it does not follow yet.
sub connect_peers
{
	my ($self, $name, @peers) = @_;

	foreach my $peer (@peers)
	{
		my $conninfo = $self->conninfo($peer);
		$self->sql($name, "SELECT medchain.connect_peer('$peer', '$conninfo')
			WHERE NOT EXISTS (SELECT FROM medchain.peer WHERE member = '$peer')");
	}
	return;
}

# The end node configures a member's ledger, as soon as it knows of the member.
sub configure
{
	my ($self, $end_node, $name) = @_;
	$self->wait_for($end_node, "SELECT EXISTS (SELECT FROM medchain.member WHERE name = '$name')");
	return $self->sql($end_node, "SELECT medchain.configure_ledger('$name')");
}

# NAME hears nothing while something happens among these; then from each in turn, until it knows all and derives the same.
sub hears_late
{
	my ($self, $name, $peers, $happens) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	$self->unfollow($name, @$peers);
	$happens->();
	$self->wait_for_equal_heads(@$peers);
	$self->follow($name, @$peers);
	$self->wait_for_equal_heads(@$peers, $name);
	$self->equal_ok(@$peers, $name);
	return;
}

# Everything up to an alliance of these members (by default all) in which everybody follows everybody.
sub establish
{
	my ($self, @names) = @_;
	@names = $self->members unless @names;
	my ($dc, @others) = @names;
	my ($end_node) = grep { $self->{kind}{$_} eq 'end_node' } @others;

	foreach my $name (@names)
	{
		$self->start($name) unless $self->{node}{$name};
	}
	$self->found;
	$self->admit($_)         foreach @others;
	$self->join_alliance($_) foreach @others;
	foreach my $name (@names)
	{
		$self->connect_peers($name, grep { $_ ne $name } @names);
	}
	# the contract of the first end node configures its ledger
	$self->configure($end_node, $_) foreach grep { $_ ne $end_node } @others;
	$self->wait_for_equal_heads(@names);
	return;
}

# Seal what is committed at each of these nodes, and wait until each has the heads of all; again while what one has of the others makes
# it say so on its own chain.
sub wait_for_equal_heads
{
	my ($self, @names) = @_;
	@names = grep { $self->{node}{$_} } $self->members unless @names;

	foreach my $round (1 .. 20)
	{
		my %head;
		foreach my $origin (@names)
		{
			$self->sql($origin, 'SELECT medchain.seal()');
			$head{$origin} = $self->head($origin, $origin);
			foreach my $name (grep { $_ ne $origin } @names)
			{
				my ($height) = split / /, $head{$origin};
				$self->wait_for($name, "SELECT height > $height OR height || ' ' || head = '$head{$origin}' FROM medchain.chains WHERE origin = '$origin'");
			}
		}
		my $moved = grep { my $name = $_; $self->sql($name, 'SELECT count(*) FROM medchain.pending') ne '0' || grep { $self->head($name, $_) ne $head{$_} } @names } @names;
		last unless $moved;
	}
	return;
}

# Height and head of a chain as a node has verified it.
sub head
{
	my ($self, $name, $origin) = @_;
	return $self->sql($name, "SELECT height || ' ' || head FROM medchain.chains WHERE origin = '$origin'");
}

# All heads a node knows, as text.
sub heads
{
	my ($self, $name) = @_;
	return $self->sql($name, 'SELECT origin, height, entries, head FROM medchain.chains ORDER BY origin COLLATE "C"');
}

# The whole state that every node derives alike (role bindings are each node's own).
sub state
{
	my ($self, $name) = @_;
	my $rows = join(' UNION ALL ',
		map { "SELECT '$_ ' || to_jsonb(x)::text FROM medchain.$_ x" }
		  qw(claim member contract ledger_key member_certificate exclusion fork examinee_key protocol protocol_grant data_index break_glass));
	return $self->sql($name, qq{SET timezone = 'UTC'; SELECT r FROM ($rows) x(r) ORDER BY r COLLATE "C"});
}

# Tests: equal heads and equal state at each of these nodes.
sub equal_ok
{
	my ($self, @names) = @_;
	@names = grep { $self->{node}{$_} } $self->members unless @names;
	my ($first, @others) = @names;
	my ($heads, $state) = ($self->heads($first), $self->state($first));

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	foreach my $name (@others)
	{
		is($self->heads($name), $heads, "$name has the heads of $first");
		is($self->state($name), $state, "$name has the state of $first");
	}
	return;
}

# Tests: verify() finds nothing at any of these nodes, and has looked at every chain that has blocks.
sub verify_ok
{
	my ($self, @names) = @_;
	@names = grep { $self->{node}{$_} } $self->members unless @names;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	foreach my $name (@names)
	{
		my $ask = 'SELECT origin, height + 1, entries FROM medchain.chains WHERE height IS NOT NULL ORDER BY origin COLLATE "C"';
		my ($chains, $found);

		# who reads adds to the node's own chain, a moment later
		do
		{
			$chains = $self->sql($name, $ask);
			$found  = $self->sql($name, q{
				SELECT origin, blocks, entries || CASE WHEN ok THEN '' ELSE ': ' || concat_ws(', ', 'height ' || height, fault, detail) END
				FROM medchain.verify() WHERE blocks > 0 OR ok IS NOT TRUE ORDER BY origin COLLATE "C"});
		} until $found eq $chains || $self->sql($name, $ask) eq $chains;
		is($found, $chains, "$name: verify() finds every chain in order");
	}
	return;
}

# Tests: what each of these nodes exports, the offline verifier finds in order.
sub verifies_offline_ok
{
	my ($self, $title, @names) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	foreach my $name (@names)
	{
		my $export = $self->sql($name, 'SELECT medchain.export()') . "\n";
		my ($out, $err) = ('', '');
		my $run = IPC::Run::run([ 'src/bin/medchain-verify', '-a', $self->{anchors} ], '<', \$export, '>', \$out, '2>', \$err);
		ok($run && $out =~ /^verified$/m, "$title: an export of $name verifies offline") or diag($out . $err);
	}
	return;
}

# SQL as a superuser who has switched the ledger's triggers off; they are on again afterwards.
sub forge
{
	my ($self, $name, $sql) = @_;
	my ($off, $on) = ('', '');

	foreach my $table (qw(entry block))
	{
		my $triggers = $self->sql($name, "SELECT tgname FROM pg_trigger WHERE tgrelid = 'medchain.$table'::regclass AND NOT tgisinternal");
		$off .= "ALTER TABLE medchain.$table DISABLE TRIGGER $_;\n"       foreach split(/\n/, $triggers);
		$on  .= "ALTER TABLE medchain.$table ENABLE ALWAYS TRIGGER $_;\n" foreach split(/\n/, $triggers);
	}
	$self->sql($name, "BEGIN;\n$off$sql;\n$on COMMIT;");
	return;
}

# The Ed25519 signature that makes a note text a signed note (C2SP signed-note), with NAME's private key.
sub sign_note
{
	my ($self, $name, $text, $signer) = @_;
	my $der = PostgreSQL::Test::Utils::tempdir();
	my $key = $self->pki("$name.key");

	PostgreSQL::Test::Utils::append_to_file("$der/text", $text);
	PostgreSQL::Test::Utils::system_or_bail('openssl', 'pkeyutl', '-sign', '-rawin', '-inkey', $key, '-in', "$der/text", '-out', "$der/signature");
	PostgreSQL::Test::Utils::system_or_bail('openssl', 'pkey', '-in', $key, '-pubout', '-outform', 'DER', '-out', "$der/public");
	# the last 32 bytes of the key's SubjectPublicKeyInfo are the key itself
	my $public = substr(PostgreSQL::Test::Utils::slurp_file("$der/public"), -32);
	my $id = substr(sha256("$signer\n\x01$public"), 0, 4);
	return "$text\n\xe2\x80\x94 $signer " . encode_base64($id . PostgreSQL::Test::Utils::slurp_file("$der/signature"), '') . "\n";
}

# What the user id of GB/T 32918 is called by the openssl command.
my $sm2_id = 'distid:1234567812345678';

# A command without its chatter; dies with it when that fails.
sub quietly
{
	my (@command) = @_;
	my $output = '';

	IPC::Run::run(\@command, '<', \'', '>', \$output, '2>', \$output) or die "@command: $output";
	return;
}

# NEW.key and NEW.crt: a certificate for a name (CN).  Parameters: type of its key (ed25519, ec, rsa, sm2), or "key", a
# NAME with whose key it shall be; "subject" beyond a name; "ends", in seconds since 1970; the "ca", whose certificate
# is appended where it is an intermediate; "extensions" => 'root' for a CA's own.
sub certify
{
	my ($self, $new, $cn, %params) = @_;
	my %generate = (
		ed25519 => [ '-algorithm', 'ED25519' ],
		ec      => [ '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256' ],
		rsa     => [ '-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:2048' ],
		sm2     => [ '-algorithm', 'SM2' ]);
	my $type = ($params{key} ? $self->{type}{ $params{key} } : $params{type}) || 'ed25519';
	my $ca = $params{ca} || 'ca';
	my ($key, $crt) = map { $self->pki("$new.$_") } qw(key crt);
	my $dir = PostgreSQL::Test::Utils::tempdir();
	my @end = $params{ends} ? ('-enddate', strftime('%Y%m%d%H%M%SZ', gmtime $params{ends})) : ('-days', 3650);

	unlink $key, $crt;
	PostgreSQL::Test::Utils::append_to_file($key, $params{key} ? PostgreSQL::Test::Utils::slurp_file($self->pki("$params{key}.key")) : '');
	chmod 0600, $key;
	quietly('openssl', 'genpkey', @{ $generate{$type} }, '-out', $key) unless $params{key};
	PostgreSQL::Test::Utils::append_to_file("$dir/index.txt$_->[0]", $_->[1]) foreach [ '', '' ], [ '.attr', "unique_subject = no\n" ];
	PostgreSQL::Test::Utils::append_to_file("$dir/ca.cnf", "[ca]\ndefault_ca = c\n[c]\ndatabase = $dir/index.txt\nnew_certs_dir = $dir\nrand_serial = yes\n"
		. "policy = any\nx509_extensions = " . ($params{extensions} || 'member') . "\nstring_mask = utf8only\n[any]\norganizationName = optional\norganizationalUnitName = optional\ncommonName = optional\n"
		. "[req]\ndistinguished_name = name\nstring_mask = utf8only\n[name]\n[member]\nbasicConstraints = critical, CA:FALSE\nkeyUsage = critical, digitalSignature\n"
		. "subjectKeyIdentifier = hash\nauthorityKeyIdentifier = keyid\n[root]\nbasicConstraints = critical, CA:TRUE\nkeyUsage = critical, keyCertSign, cRLSign\nsubjectKeyIdentifier = hash\n");
	quietly('openssl', 'req', '-new', '-utf8', '-config', "$dir/ca.cnf", '-key', $key, '-subj', $params{subject} || "/O=Medchain test/CN=$cn",
		($type eq 'sm2' ? ('-sm3', '-sigopt', $sm2_id) : ()), '-out', "$dir/request");
	quietly('openssl', 'ca', '-batch', '-notext', '-utf8', '-config', "$dir/ca.cnf", '-keyfile', $self->pki("$ca.key"), '-cert', $self->pki("$ca.crt"),
		($type eq 'sm2' ? ('-vfyopt', $sm2_id) : ()), ($ca =~ /^sm2/ ? ('-md', 'sm3', '-sigopt', $sm2_id) : ('-md', 'sha256')),
		@end, '-in', "$dir/request", '-out', $crt);
	PostgreSQL::Test::Utils::append_to_file($crt, PostgreSQL::Test::Utils::slurp_file($self->pki("$ca.crt"))) unless $ca =~ /ca$/;
	$self->{type}{$new} = $type;
	return $self->certificate($new);
}

# A revocation list of the CA (or another), with NAME's certificate revoked at a time (YYMMDDHHMMSSZ).
sub revoke
{
	my ($self, $name, $at, %params) = @_;
	my $ca = $params{ca} || 'ca';
	my $dir = PostgreSQL::Test::Utils::tempdir();
	my $crt = $self->pki("$name.crt");
	my ($serial) = `openssl x509 -in '$crt' -noout -serial` =~ /serial=(\w+)/;

	PostgreSQL::Test::Utils::append_to_file("$dir/index.txt", "R\t491231235959Z\t$at,keyCompromise\t$serial\tunknown\t/CN=x\n");
	PostgreSQL::Test::Utils::append_to_file("$dir/ca.cnf", "[ca]\ndefault_ca = c\n[c]\ndatabase = $dir/index.txt\ndefault_md = sha256\ncrlnumber = $dir/number\n");
	PostgreSQL::Test::Utils::append_to_file("$dir/number", "01\n");
	PostgreSQL::Test::Utils::system_or_bail('openssl', 'ca', '-gencrl', '-config', "$dir/ca.cnf", '-keyfile', $self->pki("$ca.key"),
		'-cert', $self->pki("$ca.crt"), '-crldays', '30', '-out', "$dir/crl.pem");
	return PostgreSQL::Test::Utils::slurp_file("$dir/crl.pem");
}

# The signature, in base64, that the openssl command makes with NAME's key over what a query at a node returns (bytea).
sub sign_outside
{
	my ($self, $name, $node, $query) = @_;
	my $dir = PostgreSQL::Test::Utils::tempdir();
	my $type = $self->{type}{$name} || 'ed25519';
	my @digest = $type eq 'ed25519' ? () : $type eq 'sm2' ? ('-digest', 'sm3', '-pkeyopt', $sm2_id) : ('-digest', 'sha256');

	PostgreSQL::Test::Utils::append_to_file("$dir/message", pack('H*', $self->sql($node, "SELECT encode(($query), 'hex')")));
	PostgreSQL::Test::Utils::system_or_bail('openssl', 'pkeyutl', '-sign', '-rawin', @digest, '-inkey', $self->pki("$name.key"),
		'-in', "$dir/message", '-out', "$dir/signature");
	return encode_base64(PostgreSQL::Test::Utils::slurp_file("$dir/signature"), '');
}

# NAME signs its blocks with another key from now on.
sub use_key
{
	my ($self, $name, $key) = @_;
	my $file = $self->pki("$key.key");
	my $database = $self->dbname($name);

	if ($database eq 'postgres')
	{
		$self->sql($name, "ALTER SYSTEM SET medchain.signing_key = '$file'");
		$self->sql($name, 'SELECT pg_reload_conf()');
		return;
	}
	# one of several in its cluster: what is set for a database counts for a sealer that starts
	$self->sql($name, "ALTER DATABASE $database SET medchain.signing_key = '$file'");
	$self->sql($name, q{SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE backend_type = 'medchain sealer' AND datname = current_database()});
	$self->sql($name, 'SELECT medchain.start_workers()');
	return;
}

# NAME hears nothing from these peers until they are followed again.
sub unfollow
{
	my ($self, $name, @peers) = @_;
	foreach my $peer (@peers)
	{
		my $subscription = $self->sql($name, "SELECT quote_ident(subscription) FROM medchain.peer WHERE member = '$peer'");
		$self->sql($name, "ALTER SUBSCRIPTION $subscription DISABLE");
		$self->wait_for($name, "SELECT count(*) FROM pg_stat_subscription WHERE subname = '$subscription' AND pid IS NOT NULL", '0');
	}
	return;
}

# The keeper of a node has looked at all that had arrived there.
sub wait_for_keeper
{
	my ($self, $name) = @_;
	my $rounds = q{(SELECT rounds FROM medchain_internal.workers() WHERE worker = 'keeper')};
	my $begun = $self->sql($name, "SELECT $rounds");

	# one may have looked too early
	$self->wait_for($name, "SELECT $rounds >= $begun + 2");
	return;
}

# ... one after the other, each until all that it has to say has arrived, and was looked at.
sub follow
{
	my ($self, $name, @peers) = @_;
	foreach my $peer (@peers)
	{
		my $subscription = $self->sql($name, "SELECT quote_ident(subscription) FROM medchain.peer WHERE member = '$peer'");
		$self->sql($name, "ALTER SUBSCRIPTION $subscription ENABLE");
		$self->cluster($peer)->wait_for_catchup($subscription);
		$self->wait_for_keeper($name);
	}
	return;
}

# An entry that NAME's database puts on its chain behind the extension's back: a body, with another time.
sub forge_entry
{
	my ($self, $name, $kind, $body, $subject, $time) = @_;
	my $payload = qq{jsonb_strip_nulls(jsonb_build_object('kind', '$kind', 'origin', '$name', 'id', gen_random_uuid(), 'time', medchain_internal.ledger_time($time),
		'actor', '$name', 'role', 'postgres', 'subject', $subject, 'body', ($body)::jsonb))::text};
	$self->sql($name, "INSERT INTO medchain.pending (payload) SELECT $payload");
	$self->sql($name, 'SELECT medchain.seal()');
	return;
}

# Protocol of a member in the words of the ledger, signed by its node: a body for forge_entry().
sub protocol_body
{
	my ($self, $name, $identity, $grantee, %more) = @_;
	my $extra = $more{terms} || '{}';
	return qq{medchain_internal.sign_envelope('application/vnd.medchain.protocol+json', (jsonb_build_object('alliance', 'east', 'issuer', '$name',
		'subject', encode(medchain.pseudonym('$identity'), 'hex'), 'text', 'forged', 'data_index', '[]'::jsonb, 'valid', '{}'::jsonb,
		'grants', '[{"grantee": "$grantee", "operations": ["query"], "valid": {}}]'::jsonb) || '$extra'::jsonb)::text)};
}

# What must not be in any log: crashes, leaked resources, catalogs gone astray.  (Not in
# statements, which the log quotes.)
my $suspicious = qr/^TRAP: |\b(?:PANIC|ERROR|FATAL|WARNING|LOG):  (?!statement:|execute )(?:.*(?:\bleak|cache lookup failed|could not open relation with OID|unrecognized node type|was terminated by signal (?:4|6|7|8|11)\b|unexpected chunk|invalid memory alloc)|.*internal error.*)|\bPANIC: /;

# A test: none of that in the logs of any of the clusters, or of these.
sub check_logs
{
	my ($self, @clusters) = @_;
	my %seen;
	my @found;

	@clusters = map { $_->{cluster} } values %{ $self->{node} } unless @clusters;
	foreach my $cluster (grep { !$seen{ $_->name }++ } @clusters)
	{
		push @found, map { $cluster->name . ": $_" }
		  grep { $_ =~ $suspicious } split(/\n/, PostgreSQL::Test::Utils::slurp_file($cluster->logfile));
	}
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is(join("\n", @found), '', 'nothing suspicious in the logs of the servers');
	return;
}

my @state_tables = qw(claim member contract ledger_key member_certificate exclusion fork examinee_key protocol protocol_grant data_index
  break_glass role_binding);

# The offline verifier with sanitizers, as test/core builds it.
sub sanitized_verifier
{
	my $program = 'test/core/build/medchain-verify';

	PostgreSQL::Test::Utils::system_or_bail('make', '-s', '-C', 'test/core', 'build/medchain-verify') unless -x $program;
	return $program;
}

# The state that the offline verifier derives from a node's export, compared with its own tables: each row that only one of the
# two has, as text; empty if they are the same.  Blocks behind the last one of a member who was expelled are in no export.
sub state_differences
{
	my ($self, $name) = @_;
	my ($derived, $err);
	my $export = $self->sql($name, 'SELECT medchain.export()');

	return '' if $export eq '';
	IPC::Run::run([ sanitized_verifier(), '--json', '--state', '--node', $name ], '<', \"$export\n", '>', \$derived, '2>', \$err)
	  or return "$name: its export does not verify: $derived$err";
	my $file = PostgreSQL::Test::Utils::tempdir() . '/derived';
	PostgreSQL::Test::Utils::append_to_file($file, $derived =~ s/\\/\\\\/gr);
	my $script = "SET client_min_messages = warning;\nCREATE TEMP TABLE derived (found json);\n\\copy derived FROM '$file'\n";
	foreach my $table (@state_tables)
	{
		my $kept = $table eq 'claim'
		  ? 'medchain.claim WHERE NOT EXISTS (SELECT FROM medchain.member m WHERE m.name = origin AND height > m.last_height)'
		  : "medchain.$table";
		$script .= "CREATE TEMP TABLE derived_$table AS SELECT r.* FROM derived, json_populate_recordset(NULL::medchain.$table,"
		  . " found -> 'state' -> '$table') r;\nCREATE TEMP TABLE kept_$table AS SELECT * FROM $kept;\n"
		  . "SELECT '$name, $table, ' || x.side || ': ' || x.content FROM (\n"
		  . join("\nUNION ALL\n", map {
			"(SELECT '$_->[0]' AS side, to_jsonb(a)::text AS content FROM $_->[1] a EXCEPT ALL SELECT '$_->[0]', to_jsonb(b)::text FROM $_->[2] b)"
		  } [ 'only by the verifier', "derived_$table", "kept_$table" ], [ 'only in the table', "kept_$table", "derived_$table" ])
		  . ") x ORDER BY 1;\n";
	}
	# the same hash means the same rows, written in the same way
	$script .= "SELECT '$name: its state''s hash is another one' FROM derived WHERE encode(medchain.state_hash(), 'hex') <> found #>> '{state,hash}'\n"
	  . "AND NOT EXISTS (SELECT FROM medchain.member WHERE last_height IS NOT NULL);\n";
	return $self->sql($name, $script);
}

# A test: these nodes' tables (all that run, unless named) are what the offline verifier derives from their exports.
sub check_state
{
	my ($self, @names) = @_;
	my @found;

	@names = grep { defined $self->cluster($_)->{_pid} } keys %{ $self->{node} } unless @names;
	push @found, grep { $_ ne '' } $self->state_differences($_) foreach sort @names;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is(join("\n", @found), '', 'the state is what the offline verifier derives from an export: ' . join(', ', sort @names));
	return;
}

1;
