/* SPDX-License-Identifier: MIT */
/* leak.c: a known leak, in C: one line allocates what is kept, another one what is freed. By the name of its
 * second argument: how. */
#include "leaks.h"

#include <string.h>

static const char *how = "malloc";

static __attribute__((noinline)) void *keep(void) {
    if (!strcmp(how, "calloc"))
        return seen(calloc(1, KEPT_BYTES)); /* LEAK calloc */
    if (!strcmp(how, "realloc")) {
        void *block = seen(malloc(16));
        return seen(realloc(block, KEPT_BYTES)); /* LEAK realloc */
    }
    if (!strcmp(how, "large"))
        return seen(calloc(1, 300 * KEPT_BYTES + 100000)); /* LEAK large */
    if (!strcmp(how, "aligned"))
        return seen(aligned_alloc(64, 320)); /* LEAK aligned */
    return seen(malloc(KEPT_BYTES));         /* LEAK malloc */
}

static __attribute__((noinline)) void pair(void) {
    free(seen(malloc(PAIR_BYTES))); /* PAIR */
}

int main(int count, char **arguments) {
    how = count > 1 ? arguments[1] : how;
    work(keep, pair, count > 2);
    return 0;
}
