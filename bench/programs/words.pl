#!/usr/bin/perl
# SPDX-License-Identifier: MIT
# Hashes of arrays, strings cut and joined, a sort.
use strict;
use warnings;
my ($state, %index, @lines) = (12345);
sub next_number { $state = ($state * 1103515245 + 12345) % 2147483648; return $state >> 8; }
for my $i (1 .. 60000) {
    push @lines, join ' ', map { 'w' . (next_number() % 5000) } 1 .. 1 + next_number() % 12;
}
for my $i (0 .. $#lines) { push @{ $index{$_} }, $i for split / /, $lines[$i]; }
my @often = sort { @{ $index{$b} } <=> @{ $index{$a} } || $a cmp $b } keys %index;
print "$_ ", scalar @{ $index{$_} }, "\n" for @often[0 .. 4];
my $text = join "\n", @lines;
my $count = () = $text =~ /w1\d/g;
$text =~ s/w(\d+)/<$1>/g;
print "$count ", length $text, "\n";
