// SPDX-License-Identifier: MIT
// leak.cc: the same in C++.
#include "leaks.h"

struct session {
    char name[KEPT_BYTES];
};

static __attribute__((noinline)) void *keep() {
    return seen(new session); /* LEAK new */
}

static __attribute__((noinline)) void pair() {
    delete[] static_cast<char *>(seen(new char[PAIR_BYTES])); /* PAIR */
}

int main(int count, char **) {
    work(keep, pair, count > 2);
    return 0;
}
