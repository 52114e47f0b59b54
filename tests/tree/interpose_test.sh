#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Of all that the C library exports, what allocates or knows its heap is ours in a preloaded program; and
# nothing is ours that merely calls malloc (strdup and its kin), so that a program with a malloc of its own
# gets no foreign pointers.
set -u
source=$1 build=$2
ours=$(nm -D --defined-only "$build/libfallow-malloc.so" | awk '{ print $3 }' | sed 's/@.*//' | sort -u)
libc=$(ldconfig -p | awk '/libc\.so\.6/ && /x86-64/ { print $NF; exit }')
[ -n "$libc" ] || { echo "skipped interpose: no glibc found"; exit 77; }
failed=0
# The family by name, as glibc exports it: of these, what is not ours would reach the C library's own heap.
family='^(malloc|free|calloc|realloc|reallocarray|cfree|memalign|aligned_alloc|posix_memalign|valloc|pvalloc|'
family+='malloc_.*|mallinfo2?|mallopt|free_.*sized|'
family+='__libc_(malloc|free|cfree|calloc|realloc|reallocarray|memalign|valloc|pvalloc)|__posix_memalign)$'
# Its own hooks and debugging, which have nothing to do with another heap.
theirs='^(__libc_freeres|malloc_hook.*|malloc_[gs]et_state)$'
for name in $(nm -D --defined-only "$libc" | awk '$2 ~ /[TWi]/ { print $3 }' | sed 's/@.*//' | sort -u |
  grep -E "$family" | grep -vE "$theirs"); do
  grep -qx "$name" <<<"$ours" || { echo "failed: $name reaches the C library's heap"; failed=1; }
done
[ $failed = 0 ] && echo "ok interpose_family_is_complete ($(grep -cE "$family" <<<"$ours") names)"
found=$(grep -E '^(strdup|strndup|asprintf|vasprintf|getline|getdelim|realpath|wcsdup|__strdup)$' <<<"$ours")
[ -z "$found" ] || { echo "failed: taken over for nothing: $found"; failed=1; }
# What the dynamic linker makes of it, in a real program.
bound=$(LD_PRELOAD=$build/libfallow-malloc.so LD_DEBUG=bindings LD_BIND_NOW=1 \
  perl -e 'my @x = map { "y" x $_ } 1 .. 10' 2>&1 |
  grep -E \
    "to .*libc\.so\.6 .*normal symbol .(malloc|free|calloc|realloc|memalign|posix_memalign|aligned_alloc)'" |
  head -3)
[ -z "$bound" ] || { echo "failed: bound to the C library: $bound"; failed=1; }
[ $failed = 0 ] && echo "ok interpose_bindings"
# C++: every form of new and delete that the compiler may call, or the library's own that calls a plain one.
for name in _Znwm _Znam _ZdlPv _ZdaPv _ZdlPvm _ZdaPvm _ZnwmSt11align_val_t _ZnamSt11align_val_t \
  _ZdlPvSt11align_val_t _ZdaPvSt11align_val_t _ZdlPvmSt11align_val_t _ZdaPvmSt11align_val_t; do
  grep -qx "$name" <<<"$ours" || { echo "failed: $name is not ours"; failed=1; }
done
[ $failed = 0 ] && echo "ok interpose_cxx"
exit $failed
