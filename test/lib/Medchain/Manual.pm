=pod

=head1 NAME

Medchain::Manual - the fenced blocks of README.md and doc/operations.md, as somebody who reads them runs them

=head1 SYNOPSIS

  my @blocks = Medchain::Manual::blocks('README.md');
  foreach my $step (map { Medchain::Manual::steps($_) } @blocks) { ... }

=head1 DESCRIPTION

A block says in its first line where it is for:

  ```sh     # at every member: ...          commands of root's shell
  ```conf   # at every member: FILE[, above its first line]
  ```sql    -- at the data centre: ...      psql; a paragraph that begins with such a line goes on there

Blocks of another language, and settings without such a line, are there to look at.

=cut

package Medchain::Manual;

use strict;
use warnings;

use PostgreSQL::Test::Utils;

# Hashes of file, line, heading, language and text, dedented, in the order of the file.
sub blocks
{
	my ($file) = @_;
	my ($heading, $block, $indent) = ('');
	my $number = 0;
	my @blocks;

	foreach my $line (split(/\n/, PostgreSQL::Test::Utils::slurp_file($file)))
	{
		$number++;
		if (!$block && $line =~ /^#+ (.*)/)
		{
			$heading = $1;
		}
		elsif ($line =~ /^( *)```(\w*)$/)
		{
			push @blocks, $block if $block;
			$block = $block ? undef : { file => $file, line => $number, heading => $heading, language => $2, text => '' };
			$indent = $1;
		}
		elsif ($block)
		{
			$line =~ s/^$indent//;
			$block->{text} .= "$line\n";
		}
	}
	die "$file: a block does not end" if $block;
	return @blocks;
}

# What a block says where: hashes of where (the rest of the first line, from "at" on), title (that line) and text.
sub steps
{
	my ($block) = @_;
	my $mark = $block->{language} eq 'sql' ? '--' : '#';
	my @steps;

	return () unless $block->{language} =~ /^(?:sh|sql|conf)$/;
	foreach my $paragraph ($block->{language} eq 'sql' ? split(/\n\n/, $block->{text}) : $block->{text})
	{
		my ($title) = $paragraph =~ /^(.*)/;
		my ($where) = $title =~ /^\Q$mark\E (?:.*: )?((?:at|anywhere)\b.*)/;

		if (defined $where)
		{
			push @steps, { %$block, where => $where, title => $title, text => $paragraph };
		}
		elsif (@steps)
		{
			$steps[-1]{text} .= "\n$paragraph";
		}
		else
		{
			push @steps, { %$block, where => '', title => $title, text => $paragraph };
		}
	}
	return @steps;
}

1;
