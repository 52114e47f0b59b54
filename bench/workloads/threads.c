/* SPDX-License-Identifier: MIT */
/*
 * threads.c: short-lived threads, a few at a time, each of which allocates a little and leaves some of it to
 * whoever comes later.
 *
 * Keys: lives=10000 (threads in all) blocks=200 (each) left=20 (% left behind)
 */
#include "workload.h"

#define SHARED 4096
static _Atomic(void *) shared[SHARED];
static size_t blocks, left;
static _Atomic uint64_t next_seed = 1;

static void *life(void *unused) {
    (void)unused;
    uint64_t random = next_seed++;
    void *mine[1000];
    for (size_t i = 0; i < blocks; i++)
        mine[i] = take(log_uniform(&random, 16, 1024));
    for (size_t i = 0; i < blocks; i++)
        drop(random_below(&random, 100) < left
                 ? atomic_exchange(&shared[random_below(&random, SHARED)], mine[i])
                 : mine[i]);
    return NULL;
}

int main(int argc, char **argv) {
    (void)argc;
    begin(argv);
    size_t threads = argument("threads", 4), lives = argument("lives", 10000);
    blocks = argument("blocks", 200);
    left = argument("left", 20);
    if (blocks > 1000)
        fail("blocks is at most 1000");
    for (size_t n = 0; n < lives; n += threads)
        run_threads(threads, life);
    for (size_t i = 0; i < SHARED; i++)
        drop(shared[i]);
    return finish(lives * blocks, 0);
}
