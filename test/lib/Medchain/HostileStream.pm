=pod

=head1 NAME

Medchain::HostileStream - the stream of an honest node, with one thing wrong in it at a time, for the TAP tests

=head1 SYNOPSIS

  use Medchain::HostileStream;

  my $stream = Medchain::HostileStream->new($alliance, 'ha', [ 'dc', 'en' ]);   # it follows, they are lied to
  my $rows = $stream->true_rows;                 # of a block that nobody has heard of
  $stream->send($rows);                          # as they are, or
  $stream->send($lie->{rows}, %$lie) foreach $stream->lies('entry', 'seq');
  my %outcome = $stream->outcome('dc');          # reasons, dropped, held, pid of the apply worker, ...

=head1 DESCRIPTION

The peer is a real node, of which the superuser puts tables of his own in the place of medchain.entry and medchain.block for one
transaction: of any columns and types, with any rows.  The subscribers see what he inserts, changes, removes or truncates there.
His own chain is as it was, and goes on.

A row is [ table, { column => value } ]: text and bytea are bytes, of numbers their digits; undef is null, and a reference to a
string an expression.

=cut

package Medchain::HostileStream;

use strict;
use warnings;

use parent 'Medchain::Hostile';

# What followers take, as it is with an honest node.
my %honest = (
	entry => [ [ origin => 'text' ], [ seq => 'bigint' ], [ payload => 'text' ] ],
	block => [ [ origin => 'text' ], [ height => 'bigint' ], [ note => 'text' ], [ leaves => 'bytea' ], [ kinds => 'text' ], [ kinds_note => 'text' ] ]);

sub new
{
	my ($class, $alliance, $name, $victims) = @_;
	my $self = $class->SUPER::new($alliance, $name);

	$self->{victims} = $victims;
	$self->{blocks} = 0;
	$self->{session}{$_} = $alliance->cluster($_)->background_psql($alliance->dbname($_)) foreach $name, @$victims;
	# the limit is one of each query, not of all
	$_->set_query_timer_restart(1) foreach values %{ $self->{session} };
	$self->{publications} = [ split(/\n/, $self->sql(q{SELECT pubname FROM pg_publication WHERE pubname ^@ 'medchain'})) ];
	# what is only true in a moment is asked for here, and not by another connection each time
	$self->{session}{$_}->query_safe(q{CREATE FUNCTION pg_temp.wait_for(query text) RETURNS float8 LANGUAGE plpgsql AS $$
		DECLARE answer boolean; began timestamptz := clock_timestamp();
		BEGIN
			LOOP
				EXECUTE query INTO answer;
				EXIT WHEN answer;
				IF clock_timestamp() > began + interval '120 s' THEN RAISE 'timed out waiting for: %', query; END IF;
				PERFORM pg_sleep(0.01);
			END LOOP;
			RETURN extract(epoch FROM clock_timestamp() - began);
		END $$}) foreach $name, @$victims;
	return $self;
}

# In a session that stays: much cheaper than one of its own each time.
sub ask
{
	my ($self, $name, $sql) = @_;
	return $self->{session}{$name}->query_safe($sql);
}

# Seconds until a query is true there; dies after two minutes.
sub wait_at
{
	my ($self, $name, $query) = @_;
	return $self->ask($name, "SELECT pg_temp.wait_for(\$wait\$$query\$wait\$)");
}

sub quit
{
	my ($self) = @_;
	$_->quit foreach values %{ $self->{session} };
	return;
}

# ----- true rows

# The rows of a block that the node seals over these entries, and that no peer hears of.
sub true_rows
{
	my ($self, $many) = @_;
	my $name = $self->{name};

	# never as many as in the block before
	$many ||= 3 + $self->{blocks}++ % 2;
	$self->ask($name, "ALTER PUBLICATION $_ SET (publish = '')") foreach @{ $self->{publications} };
	$self->ask($name, "SELECT count(medchain.append('visit', json_build_object('hidden', i))) FROM generate_series(1, $many) i; SELECT medchain.seal()");
	$self->ask($name, "ALTER PUBLICATION $_ SET (publish = 'insert')") foreach @{ $self->{publications} };
	my $hashes = $self->ask($name, "SELECT height, encode(hash, 'hex') FROM medchain.block WHERE origin = '$name'");
	$self->{hash} = { map { split(/\|/, $_) } split(/\n/, $hashes) };
	my ($height, $first, $last) = split(/\|/, $self->ask($name, "SELECT b.height, p.size, b.size - 1 FROM medchain.block b JOIN medchain.block p
		ON p.origin = b.origin AND p.height = b.height - 1 WHERE b.origin = '$name' ORDER BY b.height DESC LIMIT 1"));
	$self->{height} = $height;
	return $self->rows_of('entry', "seq BETWEEN $first AND $last ORDER BY seq"), $self->rows_of('block', "height = $height");
}

# ... that are in the node's own tables.
sub rows_of
{
	my ($self, $table, $where) = @_;
	my @columns = @{ $honest{$table} };
	my $select = join(', ', map { $_->[1] eq 'bigint' ? $_->[0] : $_->[1] eq 'text' ? "encode(convert_to($_->[0], 'UTF8'), 'hex')" : "encode($_->[0], 'hex')" } @columns);
	my @rows;

	foreach my $line (split(/\n/, $self->ask($self->{name}, "SELECT $select FROM medchain.$table WHERE origin = '$self->{name}' AND $where")))
	{
		my @values = split(/\|/, $line, -1);
		push @rows, [ $table, { map { ($columns[$_][0] => $columns[$_][1] eq 'bigint' ? $values[$_] : pack('H*', $values[$_])) } 0 .. $#columns } ];
	}
	return @rows;
}

# ----- one thing wrong

# The same rows in bytes, to see whether two are the same.
sub bytes
{
	my (@rows) = @_;
	return join("\n", map { my ($table, $row) = @$_; join(' ', $table, map { "$_=" . (!defined $row->{$_} ? 'null' : ref $row->{$_} ? "expression ${$row->{$_}}" : unpack('H*', $row->{$_})) } sort keys %$row) } @rows);
}

# These rows with another value in one column of one of them.
sub changed
{
	my ($rows, $n, $column, $value) = @_;
	my @changed = map { [ $_->[0], { %{ $_->[1] } } ] } @$rows;

	$changed[$n][1]{$column} = $value;
	return \@changed;
}

# Name, value, type (that of an honest node if there is none) of what may stand in a column instead.
sub _instead
{
	my ($type, $value, $neighbour) = @_;
	my $flip = sub { my ($at) = @_; my $flipped = $value; substr($flipped, $at, 1) ^= "\x01"; return $flipped; };

	return (
		[ 'null', undef ], [ 'negative', -1 ], [ 'the largest', '9223372036854775807' ], [ 'the smallest', '-9223372036854775808' ], [ q{its neighbour's}, $neighbour ],
		[ 'of four bytes', $value, 'int' ], [ 'letters', 'x', 'text' ], [ 'nothing', '', 'text' ], [ 'more digits than fit', '123456789012345678901', 'text' ],
		[ 'a fraction', "$value.5", 'text' ], [ 'no UTF-8', "\xff$value", 'text' ]) if $type eq 'bigint';
	my @both = (
		[ 'null', undef ], [ 'empty', '' ], [ 'its first byte flipped', $flip->(0) ], [ 'its last byte flipped', $flip->(-1) ], [ 'cut', substr($value, 0, length($value) / 2) ],
		[ q{its neighbour's}, $neighbour ], [ 'three times', $value x 3 ], [ 'a number', '7', 'bigint' ]);
	return (@both, [ 'no hexadecimal digits', '\xzz', 'text' ], [ 'half a byte', '\x012', 'text' ], [ 'a lone backslash', "a\\", 'text' ]) if $type eq 'bytea';
	return (@both, [ 'no UTF-8', "\xc0\xaf\xff$value" ], [ 'control characters', "\x01\x7f$value" ]);
}

# Lies about one column: each with a name, rows and shape.  Dies when one of them is none.
sub lies
{
	my ($self, $rows, $table, $column) = @_;
	my ($n, @others) = grep { $rows->[$_][0] eq $table } 0 .. $#$rows;
	my ($type) = map { $_->[1] } grep { $_->[0] eq $column } @{ $honest{$table} };
	my $value = $rows->[$n][1]{$column};
	# of who has only one, that of the one before
	my $neighbour = $column eq 'origin' ? $self->{victims}[0] : @others ? $rows->[ $others[0] ][1]{$column}
	  : ($self->rows_of('block', 'height = ' . ($self->{height} - 1)))[0][1]{$column};
	my @lies;

	foreach my $instead (_instead($type, $value, $neighbour))
	{
		my ($name, $other, $as) = @$instead;
		my $changed = changed($rows, $n, $column, $other);
		die "$table.$column: \"$name\" changes nothing" if !$as && bytes(@$changed) eq bytes(@$rows);
		push @lies, { name => "$table.$column: $name", rows => $changed, shape => { $table => { $column => $as || $type } } };
	}
	return @lies;
}

# ----- sending it

sub _literal
{
	my ($type, $value) = @_;
	return 'NULL' unless defined $value;
	return $$value if ref $value;
	return $value =~ /^-?\d+$/ ? $value : 'NULL' if $type eq 'bigint' || $type eq 'int';
	my $bytes = "'\\x" . unpack('H*', $value) . "'::bytea";
	return $type eq 'bytea' ? $bytes : "($bytes)::text";
}

# Rows, in this order, in one transaction, and until they have been applied.  shape: types of columns, by table, and further columns;
# "without": columns that are not there; "tables": others of medchain's that are published, with their columns; "then": SQL after
# the rows; "operations": what is published.  Names change in the catalog alone: a node does not let its tables be renamed.
sub send
{
	my ($self, $rows, %params) = @_;
	my %others = %{ $params{tables} || {} };
	my @tables = ('entry', 'block', sort keys %others);
	my (%columns, @sql);
	my $rename = sub {
		my ($from, $to) = @_;
		return "UPDATE pg_class SET relname = '$to' WHERE relname = '$from' AND relnamespace = 'medchain'::regnamespace";
	};

	foreach my $table (qw(entry block))
	{
		my %shape = %{ $params{shape}{$table} || {} };
		my %there = map { $_->[0] => 1 } @{ $honest{$table} };
		$columns{$table} = [ grep { my $name = $_->[0]; !grep { $_ eq "$table.$name" } @{ $params{without} || [] } }
			  (map { [ $_->[0], $shape{ $_->[0] } || $_->[1] ] } @{ $honest{$table} }), map { [ $_, $shape{$_} ] } grep { !$there{$_} } sort keys %shape ];
		$others{$table} = join(', ', map { "$_->[0] $_->[1]" } @{ $columns{$table} });
	}
	push @sql, map { "CREATE TABLE medchain.lie_$_ ($others{$_})" } @tables;
	foreach my $publication (@{ $self->{publications} })
	{
		push @sql, "ALTER PUBLICATION $publication ADD TABLE " . join(', ', map { "medchain.lie_$_" } @tables);
		push @sql, "ALTER PUBLICATION $publication SET (publish = '$params{operations}')" if $params{operations};
	}
	push @sql, map { ($rename->($_, "true_$_"), $rename->("lie_$_", $_)) } @tables;
	foreach my $row (@$rows)
	{
		my ($table, $values, $from) = @$row;
		my @names = grep { exists $values->{ $_->[0] } } @{ $columns{$table} };
		push @sql, "INSERT INTO medchain.$table (" . join(', ', map { $_->[0] } @names) . ') SELECT ' . join(', ', map { _literal($_->[1], $values->{ $_->[0] }) } @names)
		  . ($from ? " FROM $from" : '');
	}
	push @sql, $params{then} if $params{then};
	push @sql, map { ($rename->($_, "lie_$_"), $rename->("true_$_", $_)) } @tables;
	push @sql, 'DROP TABLE ' . join(', ', map { "medchain.lie_$_" } @tables);
	push @sql, map { "ALTER PUBLICATION $_ SET (publish = 'insert')" } @{ $self->{publications} } if $params{operations};
	$self->ask($self->{name}, join(";\n", 'BEGIN', @sql, 'COMMIT'));
	$self->applied;
	return;
}

# All victims have applied what was published.
sub applied
{
	my ($self) = @_;
	my $name = $self->{name};
	my $lsn = $self->ask($name, 'SELECT pg_current_wal_lsn()');
	my $many = @{ $self->{victims} };
	$self->wait_at($name, "SELECT count(*) >= $many FROM pg_stat_replication WHERE state = 'streaming' AND replay_lsn >= '$lsn' AND application_name ^\@ 'medchain_'");
	return;
}

# ----- what comes of it

# What a victim has of this peer's lies is put aside.
sub forget
{
	my ($self) = @_;
	$self->ask($_, "DELETE FROM medchain.quarantine WHERE source = '$self->{name}'; DELETE FROM medchain.dropped WHERE source = '$self->{name}'") foreach @{ $self->{victims} };
	$self->{mark}{$_} = $self->ask($_, 'SELECT coalesce(max(e.id), 0) || \'|\' || (SELECT coalesce(max(b.id), 0) FROM medchain.held_block b) FROM medchain.held_entry e')
	  foreach @{ $self->{victims} };
	return;
}

sub outcome
{
	my ($self, $victim) = @_;
	my $name = $self->{name};
	my @columns = qw(pid height hash state reasons dropped held waiting);
	my ($entry, $block) = split(/\|/, $self->{mark}{$victim});
	my %outcome;

	@outcome{@columns} = split(/\|/, $self->ask($victim, qq{
		SELECT w.pid, c.height, encode((SELECT b.hash FROM medchain.block b WHERE b.origin = '$name' AND b.height = c.height), 'hex'), encode(medchain.state_hash(), 'hex'),
			(SELECT coalesce(string_agg(DISTINCT reason, ', ' ORDER BY reason), '') FROM medchain.quarantine WHERE source = '$name'),
			(SELECT coalesce(sum(entries + blocks), 0) FROM medchain.dropped WHERE source = '$name'),
			(SELECT count(*) FROM medchain.held_block WHERE source = '$name' AND (id > $block OR origin = '$name' AND height = $self->{height})) + (SELECT count(*) FROM medchain.held_entry WHERE source = '$name' AND id > $entry),
			(SELECT count(*) FROM pg_locks WHERE NOT granted AND pid IN (SELECT pid FROM pg_stat_subscription))
		FROM medchain.chain c, medchain.peer p LEFT JOIN pg_stat_subscription w ON w.subname = p.subscription AND w.relid IS NULL
		WHERE c.origin = '$name' AND p.member = '$name'}), -1);
	return %outcome;
}

# Is the newest block that a victim has of this peer's chain one that the peer has sealed?
sub is_true { my ($self, $outcome) = @_; return $outcome->{hash} eq ($self->{hash}{ $outcome->{height} } || ''); }

1;
