#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# meson install puts everything where it belongs, and a program builds from there with pkg-config alone.
set -eu
source=$1 build=$2
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
DESTDIR=$place/root meson install -C "$build" --no-rebuild --quiet
library=$(dirname "$(find "$place/root" -name libfallow.so)")
prefix=$place/root$(sed -n 's/^prefix=//p' "$library/pkgconfig/fallow.pc")
for file in bin/fallow include/fallow/fallow.h include/fallow/osmem.h include/fallow/arena.h \
  include/fallow/pool.h; do
  [ -e "$prefix/$file" ] || { echo "failed: $file is not installed"; exit 1; }
done
for file in libfallow.so libfallow.a libfallow-malloc.so libfallow-malloc.a pkgconfig/fallow.pc \
  pkgconfig/fallow-malloc.pc; do
  [ -e "$library/$file" ] || { echo "failed: $file is not installed"; exit 1; }
done
echo "ok install_files"
for preload in "" "$library/libfallow-malloc.so"; do
  LD_PRELOAD=$preload "$prefix/bin/fallow" replay "$source/bench/traces/lua.trace" | grep -q '^operations ' ||
    { echo "failed: no replay"; exit 1; }
done
echo "ok install_replays"
export PKG_CONFIG_PATH=$library/pkgconfig PKG_CONFIG_SYSROOT_DIR=$place/root
for example in "$source"/examples/*.c; do
  for mode in "" --static; do
    cc -std=c11 -Wall -Wextra -Werror "$example" $(pkg-config $mode --cflags --libs fallow) ${mode:+-static} \
      -o "$place/example"
    LD_LIBRARY_PATH=$library "$place/example" >/dev/null
  done
  echo "ok install_builds_$(basename "$example" .c)"
done
cat >"$place/containers.cpp" <<'C'
#include <fallow/pmr.hpp>
#include <utility>
#include <vector>
int main() {
    fallow_arena *arena = fallow_arena_create("containers", 0);
    fallow::allocator<int> in(arena);
    std::vector<int, fallow::allocator<int>> some(in), others(in);
    some.push_back(7);
    others = std::move(some);
    some = others;
    swap(some, others);
    return some.size() == 1 && others[0] == 7 ? 0 : 1;
}
C
for compiler in g++ clang++; do
  command -v $compiler >/dev/null || continue
  for standard in 11 14 17 20; do
    for without in "" -fno-exceptions -fno-rtti "-fno-exceptions -fno-rtti"; do
      $compiler -std=c++$standard $without -Wall -Wextra -Werror "$place/containers.cpp" \
        $(pkg-config --cflags --libs fallow) -o "$place/containers"
      LD_LIBRARY_PATH=$library "$place/containers" ||
        { echo "failed: containers of $compiler, C++$standard $without"; exit 1; }
    done
  done
done
echo "ok install_containers_of_every_standard"
printf '#include <stdlib.h>\nint main(void) { return malloc(10) == NULL; }\n' >"$place/linked.c"
cc "$place/linked.c" -Wl,--no-as-needed $(pkg-config --libs fallow-malloc) -o "$place/linked"
LD_LIBRARY_PATH=$library "$place/linked"
LD_LIBRARY_PATH=$library ldd "$place/linked" | grep -q libfallow-malloc ||
  { echo "failed: not linked"; exit 1; }
echo "ok install_links_malloc"
