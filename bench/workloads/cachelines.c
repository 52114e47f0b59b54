/* SPDX-License-Identifier: MIT */
/*
 * cachelines.c: do blocks of different threads share cache lines by the allocator's doing? (Hoard's
 * cache-thrash and cache-scratch, ASPLOS 2000.) Each thread allocates a small block, writes to it many times,
 * and frees it. scratch: the first block of each thread was allocated, side by side, by the main thread.
 *
 * Keys: scratch=0 bytes=8 rounds=1000 writes=20000
 */
#include "workload.h"

static size_t bytes, rounds, writes;
static char *given[THREADS_MAX];

static void *body(void *index) {
    free(given[(size_t)index]);
    for (size_t round = 0; round < rounds; round++) {
        volatile char *block = malloc(bytes);
        if (!block)
            fail("out of memory");
        for (size_t i = 0; i < writes; i++)
            block[i % bytes]++;
        free((void *)block);
    }
    return NULL;
}

int main(int argc, char **argv) {
    (void)argc;
    begin(argv);
    size_t threads = argument("threads", 2);
    bytes = argument("bytes", 8);
    rounds = argument("rounds", 1000);
    writes = argument("writes", 20000);
    for (size_t i = 0; i < threads && argument("scratch", 0); i++)
        given[i] = malloc(bytes);
    run_threads(threads, body);
    return finish(threads * rounds, 0);
}
