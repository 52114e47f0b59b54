#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# `fallow run`: the program runs on fallow, its status comes through, figures are printed when asked for.
set -u
fallow=$2/fallow
failed=0
check() { # name, wanted, got
  if [ "$2" = "$3" ]; then echo "ok $1"; else echo "failed $1: wanted '$2', got '$3'"; failed=1; fi
}
check run_preloads 1 "$("$fallow" run -- grep -c 'r-xp.*libfallow-malloc' /proc/self/maps)"
"$fallow" run sh -c 'exit 7'
check run_passes_status 7 $?
"$fallow" run --stats sh -c 'exit 8' 2>/dev/null
check run_passes_status_with_stats 8 $?
"$fallow" run --stats sh -c 'kill -TERM $$' 2>/dev/null
check run_passes_signal_with_stats 143 $?
"$fallow" run /no/such/program 2>/dev/null
check run_unknown_program 127 $?
"$fallow" run --no-such-option true 2>/dev/null
check run_unknown_option 2 $?
"$fallow" 2>/dev/null
check run_usage 2 $?
stats=$(PYTHONMALLOC=malloc "$fallow" run --stats -- python3 -c 'x = [bytes(100) for i in range(500000)]; print(len(x))' 2>&1)
check run_output_is_the_programs 500000 "$(head -1 <<<"$stats")"
for word in Reserved Prepared Ready 'peak Ready' 'peak resident' 'system calls'; do
  grep -q "$word" <<<"$stats" || { echo "failed run_stats: no '$word' in: $stats"; failed=1; }
done
# 500,000 objects of 133 bytes: between 60 and 200 MiB, and never more resident than was Ready and the rest.
peak=$(sed -n 's/.*peak Ready *\([0-9]*\)\..*/\1/p' <<<"$stats")
[ "${peak:-0}" -gt 60 ] && [ "$peak" -lt 200 ] && echo "ok run_stats_plausible" || { echo "failed: peak $peak"; failed=1; }
# An option that is wrong is reported by name, once, and ignored.
said=$(FALLOW_OPTIONS=backgroundthread:1 "$fallow" run true 2>&1)
check run_bad_option "fallow: option 'backgroundthread:1' ignored; accepted: the options background_thread container give_back hard_limit idle_max soft_limit stats_file" "$said"
said=$(FALLOW_OPTIONS=soft_limit:12x,idle_max:8m "$fallow" run true 2>&1)
check run_bad_value "fallow: option 'soft_limit:12x' ignored; accepted: soft_limit:a number of bytes, with k, m, g or t behind it if you like" "$said"
said=$(FALLOW_OPTIONS=stats_file:/dev/null "$fallow" run --hard_limit=24m -- python3 -c 'bytes(100 << 20)' 2>&1 | tail -1)
check run_option_on_the_command_line MemoryError "$said"
check run_lists_options 7 "$("$fallow" options | grep -c accepted:)"
exit $failed
