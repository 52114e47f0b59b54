/* SPDX-License-Identifier: MIT */
/*
 * phases.c: threads that allocate in phases of different sizes, pass some blocks to each other, and let some
 * survive into the next phases: what a heap looks like after a program has lived for a while.
 *
 * Keys: phases=10 ops=200000 (a thread and phase) min=16 max=4096 (grows and shrinks with the phase)
 * survivors=10 (%)
 */
#include "workload.h"

#define SHARED 4096
#define LIVE_MAX 8192

static _Atomic(void *) shared[SHARED];
static size_t phases, ops, min, max, survivors;

static void *body(void *index) {
    uint64_t random = argument("seed", 1) + (size_t)index;
    void **live = calloc(LIVE_MAX, sizeof *live);
    for (size_t phase = 0; phase < phases; phase++) {
        size_t most = phase % 2 ? max : max / 8 > 2 * min ? max / 8 : 2 * min;
        for (size_t i = 0; i < ops; i++) {
            size_t k = random_below(&random, LIVE_MAX);
            if (i % 4 == 0) { /* hand one over, and take what lies there */
                live[k] = atomic_exchange(&shared[random_below(&random, SHARED)], live[k]);
                continue;
            }
            drop(live[k]);
            live[k] = take(log_uniform(&random, min, most));
        }
        for (size_t k = 0; k < LIVE_MAX; k++)
            if (random_below(&random, 100) >= survivors) {
                drop(live[k]);
                live[k] = NULL;
            }
    }
    for (size_t k = 0; k < LIVE_MAX; k++)
        drop(live[k]);
    free(live);
    return NULL;
}

int main(int argc, char **argv) {
    (void)argc;
    begin(argv);
    size_t threads = argument("threads", 2);
    phases = argument("phases", 10);
    ops = argument("ops", 200000);
    min = argument("min", 16);
    max = argument("max", 4096);
    survivors = argument("survivors", 10);
    run_threads(threads, body);
    for (size_t i = 0; i < SHARED; i++)
        drop(shared[i]);
    return finish(threads * phases * ops, 0);
}
