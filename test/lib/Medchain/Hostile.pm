=pod

=head1 NAME

Medchain::Hostile - a node whose superuser rewrites what it publishes, for the TAP tests

=head1 SYNOPSIS

  use Medchain::Hostile;

  my $bad = Medchain::Hostile->new($alliance, 'ha');   # a member that is established
  my ($entries, $block) = $bad->block_over([ $bad->payload(kind => 'visit', body => '1e400000') ]);
  $bad->publish($entries, [$block]);                   # peers see it; ha's own tables are as before
  $bad->publish_sql('INSERT INTO medchain.block SELECT ...');
  $bad->publish_everything;                            # no row filter: other origins too

=head1 DESCRIPTION

The node has its real key: what it signs is signed.  What it publishes is inserted
behind the back of the triggers and taken away again in the same transaction:
only inserts are published, so that its own chain can go on where it stood.

Texts are bytes here, which need be no UTF-8.

=cut

package Medchain::Hostile;

use strict;
use warnings;

use Digest::SHA qw(sha256);
use MIME::Base64 qw(encode_base64);
use POSIX qw(strftime);

# Marks the rows that are taken away again.
my $mark = q{'2001-01-01 00:00:00+00'};

sub new
{
	my ($class, $alliance, $name) = @_;
	my $self = bless { alliance => $alliance, name => $name, id => 0 }, $class;

	# any bytes as text, as a superuser's own function can make them
	$self->sql('CREATE CAST (bytea AS text) WITHOUT FUNCTION');
	return $self;
}

sub name     { my ($self) = @_; return $self->{name}; }
sub alliance { my ($self) = @_; return $self->{alliance}; }

sub sql
{
	my ($self, $sql) = @_;
	return $self->{alliance}->sql($self->{name}, $sql);
}

# ----- what to publish

# All that is in the two tables, whosever it is.
sub publish_everything
{
	my ($self) = @_;
	return $self->sql('ALTER PUBLICATION medchain SET TABLE medchain.entry, medchain.block');
}

# The text of an entry.  Fields that are given replace those that an honest node would write; undef leaves one out;
# "body" is JSON, as are the others when their name has a "=" behind it.
sub payload
{
	my ($self, %fields) = @_;
	my %json = (
		kind   => '"visit"',
		origin => qq{"$self->{name}"},
		id     => sprintf('"00000000-0000-4000-8000-%012x"', ++$self->{id}),
		time   => '"2026-01-31T23:59:59.000000Z"',
		actor  => qq{"$self->{name}"},
		role   => '"postgres"',
		body   => '{}');
	my @names = qw(kind origin id time actor role subject body);

	foreach my $name (keys %fields)
	{
		my $field = $name =~ s/=$//r;
		push @names, $field unless grep { $_ eq $field } @names;
		$json{$field} = !defined $fields{$name} || $field eq 'body' || $name =~ /=$/ ? $fields{$name} : qq{"$fields{$name}"};
	}
	return '{' . join(',', map { qq{"$_":$json{$_}} } grep { defined $json{$_} } @names) . '}';
}

sub leaf { my ($payload) = @_; return sha256("\x00$payload"); }

# RFC 6962, section 2.1.
sub root
{
	my (@leaves) = @_;
	my $left = 1;

	return sha256('') unless @leaves;
	return $leaves[0] if @leaves == 1;
	$left *= 2 while 2 * $left < @leaves;
	return sha256("\x01" . root(@leaves[ 0 .. $left - 1 ]) . root(@leaves[ $left .. $#leaves ]));
}

# Where the node's own chain stands: height, hash of the last block, leaves.
sub head
{
	my ($self) = @_;
	my ($height, $hash) = split(/\|/, $self->sql(qq{
		SELECT b.height, encode(b.hash, 'hex') FROM medchain.block b WHERE b.origin = '$self->{name}' ORDER BY b.height DESC LIMIT 1}));
	my @leaves = map { pack('H*', $_) } split(/\n/, $self->sql(qq{
		SELECT encode(e.leaf_hash, 'hex') FROM medchain.entry e WHERE e.origin = '$self->{name}' ORDER BY e.seq}));

	return ($height, pack('H*', $hash), @leaves);
}

# The next block over these payloads, or what comes in its place: entries [origin, seq, payload] and block [origin, height,
# note].  "lines" replaces lines of the note by their number; "key": a NAME with whose key it is signed; "behind": block and
# leaves that it follows, as head() gives them, instead of the newest.
sub block_over
{
	my ($self, $payloads, %params) = @_;
	my ($height, $hash, @leaves) = @{ $params{behind} || [ $self->head ] };
	my $origin = $params{origin} || $self->{name};
	my $first  = @leaves;
	my @all    = (@leaves, map { leaf($_) } @$payloads);
	my @lines  = (
		"east/$origin", scalar(@all), encode_base64(root(@all), ''), 'height ' . ($height + 1),
		'previous ' . encode_base64($hash, ''), 'sealed ' . ($params{sealed} || strftime('%Y-%m-%dT%H:%M:%S.000Z', gmtime)));
	my $text;

	$lines[$_] = $params{lines}{$_} foreach keys %{ $params{lines} || {} };
	$text = join("\n", @lines) . "\n";
	my $note = $self->{alliance}->sign_note($params{key} || $self->{name}, $text, $params{signer} || "east/$origin");
	my @entries = map { [ $origin, $first + $_, $payloads->[$_] ] } 0 .. $#$payloads;
	return (\@entries, [ $origin, $height + 1, $note ], [ $height + 1, sha256($text), @all ]);
}

# ----- publishing it

# Statements that insert these, in the order entries, blocks.
sub rows
{
	my ($self, $entries, $blocks) = @_;
	my $hex = sub { my ($bytes) = @_; return "('\\x" . unpack('H*', $bytes) . "'::bytea)::text" };
	my @rows;

	push @rows, 'INSERT INTO medchain.entry VALUES ' . join(', ', map {
			sprintf("(%s, %d, gen_random_uuid(), 'visit', $mark, 'x', NULL, %s, '\\x00')", $hex->($_->[0]), $_->[1], $hex->($_->[2]))
		} @$entries) if @{ $entries || [] };
	push @rows, 'INSERT INTO medchain.block VALUES ' . join(', ', map {
			sprintf("(%s, %d, 0, '\\x00', '\\x00', '\\x00', $mark, %s)", $hex->($_->[0]), $_->[1], $hex->($_->[2]))
		} @$blocks) if @{ $blocks || [] };
	return join(";\n", @rows);
}

# In one transaction.
sub publish
{
	my ($self, $entries, $blocks) = @_;
	return $self->publish_sql($self->rows($entries, $blocks));
}

# Any statements that insert rows of that mark into the two tables, in one transaction.
sub publish_sql
{
	my ($self, $sql) = @_;
	return $self->{alliance}->forge($self->{name}, "$sql;
		DELETE FROM medchain.entry WHERE \"time\" = $mark; DELETE FROM medchain.block WHERE sealed = $mark");
}

# The same in the place of what the node's own chain has there: for peers that have not seen that, or are not to see it.
sub publish_instead
{
	my ($self, $entries, $blocks) = @_;
	my $first = @$entries ? $entries->[0][1] : 0;
	my $height = $blocks->[0][1];
	my $where = $self->{name};

	my $rows = $self->rows($entries, $blocks);
	return $self->{alliance}->forge($where, qq{UPDATE medchain.entry SET origin = '~' WHERE origin = '$where' AND seq >= $first;
		UPDATE medchain.block SET origin = '~' WHERE origin = '$where' AND height >= $height;
		$rows;
		DELETE FROM medchain.entry WHERE "time" = $mark; DELETE FROM medchain.block WHERE sealed = $mark;
		UPDATE medchain.entry SET origin = '$where' WHERE origin = '~';
		UPDATE medchain.block SET origin = '$where' WHERE origin = '~'});
}

sub mark { return $mark; }

1;
