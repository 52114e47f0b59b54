/* SPDX-License-Identifier: MIT */
/*
 * larson.c: a server whose connections outlive its threads (P. Larson and M. Krishnan, "Memory allocation for
 * long-running server applications", ISMM 1998). Each thread replaces random blocks of its own array; after a
 * round the thread ends and a new one takes the array over, so that most blocks are freed by another thread
 * than allocated them.
 *
 * Keys: min=10 max=500 slots=1000 (a thread) rounds=20 ops=50000 (a thread and round)
 */
#include "workload.h"

static size_t min, max, slots, ops;
static char **arrays[THREADS_MAX];
static uint64_t randoms[THREADS_MAX];

static void *one_round(void *index) {
    char **mine = arrays[(size_t)index];
    uint64_t *random = &randoms[(size_t)index];
    for (size_t i = 0; i < ops; i++) {
        size_t k = random_below(random, slots);
        drop(mine[k]);
        mine[k] = take(min + random_below(random, max - min + 1));
    }
    return NULL;
}

int main(int argc, char **argv) {
    (void)argc;
    begin(argv);
    size_t threads = argument("threads", 2), rounds = argument("rounds", 20), live = 0;
    min = argument("min", 10);
    max = argument("max", 500);
    slots = argument("slots", 1000);
    ops = argument("ops", 50000);
    for (size_t t = 0; t < threads; t++) {
        randoms[t] = argument("seed", 1) + t;
        arrays[t] = calloc(slots, sizeof *arrays[t]);
        for (size_t i = 0; i < slots; i++)
            arrays[t][i] = take(min + random_below(&randoms[t], max - min + 1));
    }
    for (size_t round = 0; round < rounds; round++)
        run_threads(threads, one_round);
    for (size_t t = 0; t < threads; t++)
        for (size_t i = 0; i < slots; i++)
            live += verified(arrays[t][i]);
    return finish(threads * rounds * ops, live);
}
