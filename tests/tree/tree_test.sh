#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The tree keeps its own rules: floors call downwards, OS calls stay in osmem, names and headers are clean.
set -u
source=$1 build=$2
failed=0
cd "$source" || exit 1

fail() { echo "failed: $*"; failed=1; }
passed() { [ "$failed" = "$1" ] && echo "ok $2"; }

before=$failed # Each floor may include its own headers and those of floors below.
declare -A below=([system]="" [osmem]="system" [arena]="system osmem" [profile]="system osmem arena"
  [slab]="system osmem arena profile" [heap]="system osmem arena profile slab"
  [embed]="system osmem arena profile slab heap" [malloc]="system osmem arena profile slab heap embed"
  [cli]="malloc record arena slab heap embed profile" [record]="system osmem")
for floor in "${!below[@]}"; do
  while IFS=: read -r file _ include; do
    target=$(sed -n 's/.*"\.\.\/\([a-z]*\)\/.*/\1/p' <<<"$include")
    [ -z "$target" ] && continue
    [[ " ${below[$floor]} " == *" $target "* ]] ||
      fail "$file includes a header of '$target', which is not below '$floor'"
  done < <(grep -n '#include "\.\./' src/"$floor"/*.[ch] /dev/null)
done
passed $before tree_includes_point_downwards

before=$failed # The operating system is the two lowest floors', its memory osmem's alone.
systems='\b(mmap|munmap|mprotect|madvise|mremap|sbrk|brk|syscall|prctl|sysconf|getpagesize)\(|'
systems+='sys/mman\.h|sys/syscall\.h|#.*\b(__linux__|__APPLE__|_WIN32|__FreeBSD__)'
found=$(grep -nE "$systems" src/{arena,profile,slab,heap,embed,malloc,record}/*.[ch])
[ -z "$found" ] || fail "system calls or systems above osmem: $found"
found=$(grep -nE '\b(mmap|munmap|mprotect|madvise|mremap|sbrk|brk)\(|sys/mman\.h' src/system/*.[ch])
[ -z "$found" ] || fail "memory's system calls outside of osmem: $found"
passed $before tree_system_calls_stay_in_osmem

before=$failed # Every lock has its place in the order: none is made outside of the floor that has the table.
found=$(grep -nE 'pthread_(mutex|rwlock|spin)|PTHREAD_(MUTEX|RWLOCK)|FL_MUTEX_INIT' \
  src/{osmem,arena,profile,slab,heap,embed,malloc,record}/*.[ch])
[ -z "$found" ] || fail "locks outside of the table: $found"
passed $before tree_locks_stand_in_the_table

# What could allocate has no place in the library, but where no path of malloc leads: strings in pools, and
# malloc_info.
before=$failed
found=$(grep -nE '\b(printf|fprintf|snprintf|fopen|fputs|puts|strdup|asprintf)\(|<stdio\.h>' \
  src/{system,osmem,arena,profile,slab,heap,embed,malloc,record}/*.[ch] |
  grep -vE '^src/(embed/pooltext|malloc/info)\.c:')
[ -z "$found" ] || fail "stdio in the library: $found"
passed $before tree_library_without_stdio

before=$failed # Public headers compile alone, as C99 and as C++.
for header in include/fallow/*.h include/fallow/*.hpp; do
  name=fallow/$(basename "$header")
  for compiler in "cc -std=c99 -x c" "c++ -std=c++11 -x c++" "c++ -std=c++17 -x c++"; do
    [[ $header == *.hpp && $compiler == cc* ]] && continue
    printf '#include "%s"\ntypedef int unit;\n' "$name" |
      $compiler -Wall -Wextra -Wpedantic -Werror -Iinclude -fsyntax-only - ||
      fail "$name does not compile alone with: $compiler"
  done
done
passed $before tree_public_headers_compile_alone

# So do the others; and sources without names that hide others, or macros that nobody has defined.
before=$failed
for header in src/*/*.h; do
  printf '#include "%s"\n' "$header" |
    cc -std=c11 -x c -D_GNU_SOURCE -Wall -Wextra -Werror -I. -Iinclude -fsyntax-only - ||
    fail "$header does not compile alone"
done
for source in src/{system,osmem,arena,profile,slab,heap,embed,malloc,record}/*.c; do
  cc -std=c11 -DFL_CHECKS=2 -Wshadow -Wundef -Werror -Iinclude -fsyntax-only "$source" ||
    fail "$source has names that hide others, or unknown macros"
done
passed $before tree_headers_compile_alone_names_hide_none

family='__libc_(malloc|free|cfree|calloc|realloc|reallocarray|memalign|valloc|pvalloc)|__posix_memalign|'
family+='free_sized|free_aligned_sized|cfree|malloc_trim|malloc_info|malloc_stats|mallinfo2?|mallopt|'
family+='malloc|free|calloc|realloc|reallocarray|posix_memalign|aligned_alloc|memalign|valloc|pvalloc|'
family+='malloc_usable_size|_Zn[wa].*|_Zd[la].*'
before=$failed # What a linker can see.
found=$(nm -g --defined-only "$build"/libfallow.a "$build"/libfallow-malloc.a 2>/dev/null |
  awk 'NF == 3 { print $3 }' | # (the last is of sys/sdt.h, and hidden)
  grep -vE "^((fallow|osmem|fl)_.*|$family|_\.stapsdt\.base)$" | sort -u)
[ -z "$found" ] || fail "names that are not ours to take, in the static libraries: $found"
found=$(nm -g --defined-only "$build"/libfallow.a | awk 'NF == 3 { print $3 }' | grep -E "^($family)$")
[ -z "$found" ] || fail "libfallow overrides: $found"
found=$(nm -D --defined-only "$build"/libfallow.so | awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }' |
  grep -vE '^(fallow|osmem)_')
[ -z "$found" ] || fail "libfallow.so exports: $found"
found=$(nm -D --defined-only "$build"/libfallow-malloc.so | awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }' |
  grep -vE "^((fallow|osmem)_.*|$family)$")
[ -z "$found" ] || fail "libfallow-malloc.so exports: $found"
passed $before tree_symbols

# What is exported is what packaging/debian/libfallow0.symbols has, and what the headers declare.
before=$failed
exported() { # of a library: as in the symbols file, without the version that it came in
  nm -D --defined-only "$build/lib$1.so" |
    awk '{ sub(/@@/, "@", $3); print ($2 == "A" ? $3 "@" $3 : $3 ~ /@/ ? $3 : $3 "@Base") }' | sort
}
for library in fallow fallow-malloc; do
  found=$(diff <(exported $library) \
    <(sed -n "/^lib$library\.so\.0 /,/^lib/s/^ \(.*\) [0-9.]*$/\1/p" packaging/debian/libfallow0.symbols |
    sort))
  [ -z "$found" ] ||
    fail "lib$library.so exports (<) other symbols than packaging/debian/libfallow0.symbols has (>): $found"
done
found=$(diff <(exported fallow-malloc | grep -oE '^(fallow|osmem)_[a-z_]*' | sort) \
  <(sed 's/^ \*.*//' include/fallow/*.h | tr '\n' ' ' | grep -oE 'FALLOW_API [^;(]*\(' |
  grep -oE '(fallow|osmem)_[a-z_]*\($' | tr -d '(' | sort))
[ -z "$found" ] || fail "libfallow-malloc.so exports (<) other functions than the headers declare (>): $found"
passed $before tree_symbols_file

# What malloc can reach is no point where threads are cancelled, and is not entered by way of what other
# libraries like to replace.
before=$failed
never='(open|openat|creat|read|pread|readv|write|pwrite|writev|close|fcntl|poll|select|'
never+='nanosleep|clock_nanosleep|usleep|sleep)(64)?|'
never+='clock_gettime|gettimeofday|time|getpid|(secure_)?getenv|getrandom|sem_wait|'
never+='pthread_(cond_.*|join|testcancel)|fopen(64)?|printf|puts|strdup|strstr'
found=$(nm -D --undefined-only "$build"/libfallow-malloc.so | awk '{ sub(/@.*/, "", $NF); print $NF }' |
  grep -xE "$never" | sort -u)
[ -z "$found" ] || fail "libfallow-malloc.so calls: $found"
readelf -d "$build"/libfallow.so "$build"/libfallow-malloc.so | grep -c 'NOW' | grep -qx 4 ||
  fail "a symbol is looked up when it is first called, on the caller's stack"
passed $before tree_library_calls_nothing_that_cancels

before=$failed # Two words of thread-local storage, initial-exec in the preload library only.
bytes=$(($(readelf -lW "$build"/libfallow-malloc.so | awk '$1 == "TLS" { print $6 }')))
[ "${bytes:-0}" -le 16 ] || fail "libfallow-malloc.so has $bytes bytes of thread-local storage"
readelf -d "$build"/libfallow-malloc.so | grep -q STATIC_TLS || fail "libfallow-malloc.so is not initial-exec"
readelf -d "$build"/libfallow.so | grep -q STATIC_TLS && fail "libfallow.so is initial-exec: dlopen may fail"
passed $before tree_thread_local_storage

before=$failed # File names say what is where, once.
found=$(find src include tests examples -name '*.[ch]' -printf '%f\n' | grep -v '^fallow' | sort | uniq -d)
[ -z "$found" ] || fail "file names that occur twice: $found"
found=$(find src -name '*.[ch]' -exec awk 'END { if (NR > 500) print FILENAME, NR }' {} \;)
[ -z "$found" ] || fail "longer than 500 lines: $found"
passed $before tree_files

before=$failed # Lines fit a window; but tables, and what a program is given or prints, stay as they are.
found=$(find meson.build meson_options.txt src include tests examples bench packaging tools \
  -name '*.[ch]' -o -name '*.cpp' -o -name '*.map' -o -name '*.py' -o -name '*.sh' \
  -o -name 'meson.build' -o -name 'meson_options.txt' -o -path 'tools/*' -type f ! -path 'tools/*/*' |
  LC_ALL=C.UTF-8 xargs grep -nHE '^.{111}' | cut -c1-120)
[ -z "$found" ] || fail "longer than 110 columns: $found"
found=$(find ./*.md bench docs examples src tests -name '*.md' | LC_ALL=C.UTF-8 xargs grep -nHE '^.{131}' |
  grep -vE '^[^:]*:[0-9]*:( *\||    )' | cut -c1-120)
[ -z "$found" ] || fail "longer than 130 columns: $found"
passed $before tree_lines

before=$failed # The formatter's settings hold for every file.
if command -v clang-format >/dev/null; then
  find src include tests examples bench -name '*.[ch]' -o -name '*.cpp' |
    xargs clang-format --dry-run -Werror 2>&1 | head -20 |
    grep . && fail "clang-format -i would change files"
  passed $before tree_format
else
  echo "skipped tree_format: no clang-format"
fi
exit $failed
