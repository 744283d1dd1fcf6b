# Orthanc (Debian packages orthanc, orthanc-postgresql), a server of medical images: it makes its tables and stores, changes and deletes
# studies over ledger tables, run by their owner, who has no role of medchain's.
# needs: debian orthanc orthanc-postgresql
use strict;
use warnings;

use HTTP::Tiny;
use IPC::Run;
use JSON::PP;
use Medchain::Application;
use MIME::Base64;
use PostgreSQL::Test::Utils;
use Test::More;

my ($program) = grep { -x } qw(/usr/sbin/Orthanc /usr/bin/Orthanc);
my ($index) = glob('/usr/lib/orthanc/libOrthancPostgreSQLIndex.so* /usr/share/orthanc/plugins/libOrthancPostgreSQLIndex.so*');
my ($storage) = glob('/usr/lib/orthanc/libOrthancPostgreSQLStorage.so* /usr/share/orthanc/plugins/libOrthancPostgreSQLStorage.so*');
plan skip_all => 'Orthanc is not installed' unless $program && $index && $storage;

my $app = Medchain::Application->new;
my $port = PostgreSQL::Test::Cluster::get_free_port();
my $folder = PostgreSQL::Test::Utils::tempdir();
my $http = HTTP::Tiny->new(timeout => $PostgreSQL::Test::Utils::timeout_default);
my $orthanc;

# ----- the program

sub start
{
	my $file = "$folder/orthanc.json";
	append_to_file($file, encode_json({
		Name => 'medchain', HttpPort => $port, HttpBindAddresses => ['127.0.0.1'], RemoteAccessAllowed => JSON::PP::false,
		AuthenticationEnabled => JSON::PP::false, DicomServerEnabled => JSON::PP::false,
		StorageDirectory => $folder, IndexDirectory => $folder, Plugins => [ $index, $storage ],
		PostgreSQL => { EnableIndex => JSON::PP::true, EnableStorage => JSON::PP::true, Lock => JSON::PP::false,
			ConnectionUri => sprintf('postgresql://keeper@%s:%d/postgres', $app->cluster->host =~ s{/}{%2F}gr, $app->cluster->port) } }))
		unless -e $file;
	my ($in, $log) = ('', "$folder/orthanc.log");
	$orthanc = IPC::Run::start([ $program, $file ], '<', \$in, '>>', $log, '2>>', $log);
	my $tries = 0;
	until ($http->get("http://127.0.0.1:$port/system")->{success})
	{
		IPC::Run::pumpable($orthanc) && $tries++ < 10 * $PostgreSQL::Test::Utils::timeout_default or die "Orthanc does not answer:\n" . slurp_file($log);
		select(undef, undef, undef, 0.1);
	}
	return;
}

sub stop { $orthanc->signal('TERM'); $orthanc->finish; return; }
END { local $?; $orthanc->kill_kill if $orthanc && $orthanc->pumpable; }

sub ask
{
	my ($method, $path, $content) = @_;
	my $answer = $http->request($method, "http://127.0.0.1:$port$path", defined $content ? { content => ref $content ? encode_json($content) : $content } : {});
	die "$method $path: $answer->{status} $answer->{content}" unless $answer->{success};
	return $answer->{content} =~ /^[\[{]/ ? decode_json($answer->{content}) : $answer->{content};
}

# An image of so many pixels a side, by an instance of its own in the patient's study.
sub store
{
	my ($patient, $side, $study) = @_;
	my $pixels = join('', map { chr(($_ * 7 + ($_ >> 8)) % 256) } 0 .. $side * $side - 1);
	require Compress::Zlib;
	my $chunk = sub { my ($type, $data) = @_; return pack('N', length $data) . $type . $data . pack('N', Compress::Zlib::crc32($type . $data)); };
	my $rows = join('', map { "\0" . substr($pixels, $_ * $side, $side) } 0 .. $side - 1);
	my $png = "\x89PNG\r\n\x1a\n" . $chunk->('IHDR', pack('NNC5', $side, $side, 8, 0, 0, 0, 0)) . $chunk->('IDAT', Compress::Zlib::compress($rows)) . $chunk->('IEND', '');
	return ask('POST', '/tools/create-dicom', {
		($study ? (Parent => $study) : ()), Content => 'data:image/png;base64,' . encode_base64($png, ''),
		Tags => { ($study ? () : (PatientID => $patient, PatientName => "$patient^Test", StudyDescription => "Study of $patient")), Modality => 'OT' } });
}

# ----- its tables

# it looks for its tables where they are without a search path
$app->sql('GRANT CREATE ON SCHEMA public TO keeper; ALTER ROLE keeper SET search_path = public');
start();
my @tables = split(/\n/, $app->sql(q{SELECT c.oid::regclass FROM pg_class c
	WHERE relkind = 'r' AND relowner = 'keeper'::regrole ORDER BY 1}));
cmp_ok(scalar @tables, '>=', 15, 'Orthanc makes its tables');
$app->sql("SELECT medchain.ledger_table('$_')") foreach grep { $_ ne 'storagearea' } @tables;
my ($status, undef, $notice) = $app->alliance->try('dc', q{SELECT medchain.ledger_table('storagearea')});
like($notice, qr/NOTICE:  large objects that rows of public\.storagearea name are not on the ledger.*content/s, 'that of the images with what is not covered') or diag($status);
is($app->sql('SELECT count(*) FROM medchain.row_table'), scalar @tables, 'all of them are ledger tables');
$app->sound_ok('as made');

# ----- its work

my @studies = map { store($_, 64)->{ParentStudy} } qw(P1 P2 P3);
store('P1', 128, $studies[0]) foreach 1 .. 3;
is(scalar @{ ask('GET', '/instances') }, 6, 'images are stored');
$app->sound_ok('stored');
my $image = ask('GET', "/studies/$studies[0]/instances")->[0]{ID};
my $file = ask('GET', "/instances/$image/file");

ask('PUT', "/studies/$studies[1]/metadata/1024", 'reported');
my $changed = ask('POST', "/studies/$studies[1]/modify",
	{ Replace => { StudyDescription => 'Changed' }, KeepSource => JSON::PP::false, Synchronous => JSON::PP::true });
my $description = ask('GET', $changed->{Path})->{MainDicomTags}{StudyDescription};
is($description, 'Changed', 'a study is changed');
ask('POST', "/studies/$studies[0]/anonymize", { Synchronous => JSON::PP::true });
ask('DELETE', "/studies/$studies[2]");
is(scalar @{ ask('GET', '/studies') }, 3, 'one is anonymised, and one deleted');
$app->sound_ok('changed and deleted');

stop();
start();
is(ask('GET', "/instances/$image/file"), $file, 'a new Orthanc finds the images');
ask('DELETE', "/patients/$_") foreach @{ ask('GET', '/patients') };
is($app->sql('SELECT count(*) FROM resources, pg_largeobject_metadata', 'keeper'), '0', 'all is deleted');
$app->sound_ok('emptied');

# ----- behind its back

store('P4', 64);
stop();
$app->sql($_) foreach q{UPDATE pg_trigger SET tgenabled = 'D' WHERE tgrelid = 'maindicomtags'::regclass},
  q{UPDATE maindicomtags SET value = 'somebody else' WHERE value LIKE 'P4%'},
  q{UPDATE pg_trigger SET tgenabled = 'A' WHERE tgrelid = 'maindicomtags'::regclass};
cmp_ok($app->sql(q{SELECT count(*) FROM medchain.verify_table('maindicomtags') WHERE row_key IS NOT NULL}), '>', 0, 'who changes tags behind its back is found out');
done_testing();
