/* SPDX-License-Identifier: MIT */
/*
 * threadtest.c: each thread allocates a batch of equal blocks and frees them in order, again and again (E.
 * Berger et al., "Hoard", ASPLOS 2000).
 *
 * Keys: bytes=64 batch=10000 rounds=100
 */
#include "workload.h"

static size_t bytes, batch, rounds;

static void *body(void *unused) {
    (void)unused;
    char **blocks = malloc(batch * sizeof *blocks);
    for (size_t round = 0; round < rounds; round++) {
        for (size_t i = 0; i < batch; i++)
            blocks[i] = take(bytes);
        for (size_t i = 0; i < batch; i++)
            drop(blocks[i]);
    }
    free(blocks);
    return NULL;
}

int main(int argc, char **argv) {
    (void)argc;
    begin(argv);
    size_t threads = argument("threads", 2);
    bytes = argument("bytes", 64);
    batch = argument("batch", 10000);
    rounds = argument("rounds", 100);
    run_threads(threads, body);
    return finish(threads * batch * rounds, 0);
}
