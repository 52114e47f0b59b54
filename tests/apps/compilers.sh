#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# gcc and g++ compile real sources: the same object files.
source=$(cd "$(dirname "$0")/../.." && pwd)
. "$(dirname "$0")/common.sh" "$1"
need gcc g++
c_work() {
  for file in osmem/osmem heap/alloc slab/slab arena/pages; do
    gcc -std=c11 -O2 -I"$source/include" -c "$source/src/$file.c" -o out.o || return 1
    sha256sum <out.o
  done
}
cpp_work() {
  printf '#include <algorithm>\n#include <functional>\n#include <iostream>\n#include <map>
#include <regex>\n#include <string>\n#include <vector>\n
  int main() { std::map<std::string, std::vector<int>> m; std::regex r("(a|b)*c");
  for (int i = 0; i < 99; i++) m[std::to_string(i)].push_back(i);
  std::function<int(int)> f = [&](int x) { return int(m.size()) + x; };
  std::cout << f(std::regex_match("abc", r)) << "\\n"; }\n' >big.cpp
  g++ -std=c++17 -O2 big.cpp -o big && sha256sum <big && ./big
}
clang_work() { sed -e 's/gcc -std/clang -std/' <(declare -f c_work) >clang.sh && . ./clang.sh && c_work; }
same c_objects c_work
if command -v clang >/dev/null; then
  same clang_objects clang_work
else
  echo "skipped compilers_clang_objects: no clang on this machine"
fi
same cpp_program cpp_work
