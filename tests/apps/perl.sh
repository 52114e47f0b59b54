#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# perl: hashes, strings, sorting, regular expressions, fork.
. "$(dirname "$0")/common.sh" "$1"
need perl
work() {
  perl -e 'my %h; for my $i (1..200000) { $h{"k" . ($i * 7919 % 100003)} .= chr(65 + $i % 26) }
           print "$_ $h{$_}\n" for (sort keys %h)[0..2000];
           my $t = join(",", map { $_ x ($_ % 50) } 1..3000); my $n = () = $t =~ /(\d)\1+/g; print "$n\n";
           for my $c (1..5) { my $p = fork; if (!$p) { my @a = (1..10000 * $c); exit(@a % 256) }
                              waitpid($p, 0); print $? >> 8, "\n" }'
}
same hashes_and_forks work
