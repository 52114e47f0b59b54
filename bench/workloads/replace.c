/* SPDX-License-Identifier: MIT */
/*
 * replace.c: random replacement in a set of live blocks, of sizes by a Pareto distribution or log-uniform:
 * the plainest picture of a program at work. Each thread has a set of its own.
 *
 * Keys: slots=20000 ops=3000000 min=0 (0: Pareto) max=32768
 */
#include "workload.h"

static size_t slots, ops, min, max;
static _Atomic size_t live;

static size_t next_size(uint64_t *random) {
    return min ? log_uniform(random, min, max) : pareto(random, max);
}

static void *body(void *index) {
    uint64_t random = argument("seed", 1) + (size_t)index;
    char **blocks = calloc(slots, sizeof *blocks);
    for (size_t i = 0; i < ops; i++) {
        size_t k = random_below(&random, slots);
        drop(blocks[k]);
        blocks[k] = take(next_size(&random));
    }
    for (size_t k = 0; k < slots; k++)
        if (blocks[k]) {
            live += verified(blocks[k]);
            free(blocks[k]);
        }
    free(blocks);
    return NULL;
}

int main(int argc, char **argv) {
    (void)argc;
    begin(argv);
    size_t threads = argument("threads", 2);
    slots = argument("slots", 20000);
    ops = argument("ops", 3000000);
    min = argument("min", 0);
    max = argument("max", 32768);
    run_threads(threads, body);
    return finish(threads * ops, live);
}
