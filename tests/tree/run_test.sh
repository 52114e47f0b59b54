#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# `fallow run`: the program runs on fallow, its status comes through, figures are printed when asked for.
set -u
source=$1 fallow=$2/fallow figures=$(mktemp)
trap 'rm -f "$figures"' EXIT
failed=0
check() { # name, wanted, got
  if [ "$2" = "$3" ]; then echo "ok $1"; else echo "failed $1: wanted '$2', got '$3'"; failed=1; fi
}
check run_preloads 1 "$("$fallow" run -- grep -c 'r-xp.*libfallow-malloc' /proc/self/maps)"
check run_preloads_hardened 1 \
  "$("$fallow" run --hardened -- grep -c 'r-xp.*libfallow-malloc-hardened' /proc/self/maps)"
# The hardened library does not sample: who asks is told, and the program goes on.
for option in profile=64k profile_file=$figures guard_sampling=5000; do
  said=$("$fallow" run --hardened --$option -- echo 1000 2>&1 | sort | paste -sd' ')
  check "run_hardened_refuses_${option%%=*}" \
    "1000 fallow: option '${option/=/:}' ignored; accepted: none; libfallow-malloc-hardened does not sample" \
    "$said"
done
"$fallow" run --hardened sleep 60 & running=$!
for tries in 1 2 3 4 5 6 7 8 9 10; do
  said=$("$fallow" profile --start "$running" 2>&1)
  case $said in *sample*) break ;; esac
  sleep 1
done
kill "$running"
check run_hardened_refuses_profile_from_outside \
  "fallow: process $running (sleep): runs the hardened library, which does not sample" "$said"
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
stats=$(PYTHONMALLOC=malloc "$fallow" run --stats -- \
  python3 -c 'x = [bytes(100) for i in range(500000)]; print(len(x))' 2>&1)
check run_output_is_the_programs 500000 "$(head -1 <<<"$stats")"
for word in Reserved Prepared Ready 'peak Ready' 'peak resident' 'system calls'; do
  grep -q "$word" <<<"$stats" || { echo "failed run_stats: no '$word' in: $stats"; failed=1; }
done
# 500,000 objects of 133 bytes: between 60 and 200 MiB, and never more resident than was Ready and the rest.
peak=$(sed -n 's/.*peak Ready *\([0-9]*\)\..*/\1/p' <<<"$stats")
[ "${peak:-0}" -gt 60 ] && [ "$peak" -lt 200 ] && echo "ok run_stats_plausible" ||
  { echo "failed: peak $peak"; failed=1; }
# An option that is wrong is reported by name, once, and ignored.
said=$(FALLOW_OPTIONS=backgroundthread:1 "$fallow" run true 2>&1)
accepted="the options background_thread container give_back guard_sampling hard_limit huge_pages idle_max "
accepted+="profile profile_file soft_limit stats_file verbose"
check run_bad_option "fallow: option 'backgroundthread:1' ignored; accepted: $accepted" "$said"
said=$(FALLOW_OPTIONS=soft_limit:12x,idle_max:8m "$fallow" run true 2>&1)
accepted="soft_limit:a number of bytes, optionally with a suffix k, m, g or t"
check run_bad_value "fallow: option 'soft_limit:12x' ignored; accepted: $accepted" "$said"
said=$(FALLOW_OPTIONS=stats_file:/dev/null "$fallow" run --hard_limit=24m -- python3 -c 'bytes(100 << 20)' \
  2>&1 | tail -1)
check run_option_on_the_command_line MemoryError "$said"
# One that is wrong on the command line is named, and the program does not run without it.
for wrong in hard_limit=64x hard_limit= hard_limit give_back=2 stats_file=a,b; do
  said=$("$fallow" run --$wrong echo unlimited 2>&1)
  check "run_wrong_value_$wrong" 2 $?
  case $said in "fallow: --$wrong: "*) ;; *) echo "failed: --$wrong: $said"; failed=1 ;; esac
done
# A line for each process that ends, in a form that the manual has; who cannot write it says so.
FALLOW_OPTIONS=stats_file:$figures "$fallow" run sh -c 'true; "$1" run true' sh "$fallow" >/dev/null
wanted='^process=[0-9]+ reserved_bytes=[0-9]+ prepared_bytes=[0-9]+ ready_bytes=[1-9][0-9]* '
wanted+='ready_peak_bytes=[1-9][0-9]* system_calls=[1-9][0-9]* live_bytes=[0-9]+ live_blocks=[0-9]+ '
wanted+='time=[1-9][0-9]{9} user='$(id -u)' program=[!-~]+$'
check run_figures_of_each_process 1 \
  "$(($(grep -cE "$wanted" "$figures") >= 1 && $(grep -cE "$wanted" "$figures") == $(wc -l <"$figures")))"
check run_figures_name_the_program 1 "$(($(grep -c ' program=true$' "$figures") == 1))"
said=$(FALLOW_OPTIONS=stats_file:/nowhere/figures "$fallow" run true 2>&1)
check run_figures_that_cannot_be_written \
  "fallow: option 'stats_file:/nowhere/figures': cannot write that file" "$said"
# The table of options is the documents' as well.
missing=
for option in $("$fallow" options | sed -nE 's/^([a-z_]+) .*/\1/p'); do
  grep -q "\`$option:" "$source/README.md" &&
    grep -qE "^\.B[RI] $option ?:" "$source/packaging/man/libfallow-malloc.7" || missing+=" $option"
done
check run_options_are_in_readme_and_manual "" "$missing"
# With figures too: signals reach the program, ignored ones stay ignored, and its end is ours.
"$fallow" run --stats \
  sh -c 'trap "exit 9" TERM; (kill -TERM $PPID); for i in 1 2 3 4 5 6 7 8 9; do sleep 1; done' 2>/dev/null
check run_passes_signals_on 9 $?
(trap '' INT; "$fallow" run --stats sh -c 'kill -INT $$; exit 6' 2>/dev/null)
check run_keeps_ignored_signals 6 $?
python3 - "$fallow" <<'P'
import signal, subprocess, sys
code = subprocess.run([sys.argv[1], "run", "--stats", "sh", "-c", "kill -KILL $$"],
                      stderr=subprocess.DEVNULL).returncode
sys.exit(code != -signal.SIGKILL)
P
check run_dies_of_the_same_signal 0 $?
mkdir "$2/a path" && cp "$fallow" "$2"/libfallow-malloc.so.* "$2/a path" 2>/dev/null
said=$("$2/a path/fallow" run true 2>&1)
check run_from_a_path_with_spaces 2 $?
case $said in
  *"cannot hold a path that contains a space"*) echo ok run_says_why ;;
  *) echo "failed: $said"; failed=1 ;;
esac
rm -rf "$2/a path"
check run_lists_options 12 "$("$fallow" options | grep -c accepted:)"
exit $failed
