/* SPDX-License-Identifier: MIT */
/*
 * grow.c: the same operations on a live heap of any size and by any number of threads, for bench/growth: an
 * operation must not cost more because there is more of everything. The heap, with holes all over, is built
 * first and is no part of the figure: cpu_ns is the CPU time of the whole process for an operation (free,
 * malloc, and the check of the contents).
 *
 * Keys: live=16m (bytes of all threads) min=16 max=1k ops=1m (of all threads) threads=1 near=0 (how many of
 * its blocks a thread replaces; 0: all of them) handed=0 (1: each sixteenth block goes to whoever comes next)
 */
#include "workload.h"

static char **blocks;
static size_t share, near, ops, min, max, handed;
static pthread_barrier_t built;
static _Atomic(void *) shared[1024];

static double cpu_seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void *body(void *index) {
    uint64_t random = argument("seed", 1) + (size_t)index;
    char **mine = blocks + share * (size_t)index;
    for (size_t k = 0; k < share; k++)
        mine[k] = take(log_uniform(&random, min, max));
    for (size_t k = 0; k < share; k += 1 + random_below(&random, 4)) {
        drop(mine[k]);
        mine[k] = NULL;
    }
    pthread_barrier_wait(&built);
    pthread_barrier_wait(&built); /* the clock has been read */
    for (size_t i = 0; i < ops; i++) {
        size_t k = random_below(&random, near);
        if (handed && i % 16 == 0)
            mine[k] = atomic_exchange(&shared[random_below(&random, 1024)], mine[k]);
        drop(mine[k]);
        mine[k] = take(log_uniform(&random, min, max));
    }
    pthread_barrier_wait(&built);
    for (size_t k = 0; k < share; k++)
        drop(mine[k]);
    return NULL;
}

/* Of log_uniform(), nearly. */
static size_t mean_bytes(void) {
    size_t sum = 0, steps = 0;
    for (size_t bytes = min; bytes < max; bytes *= 2, steps++)
        sum += bytes + bytes / 2;
    return steps ? sum / steps : min;
}

int main(int argc, char **argv) {
    (void)argc;
    begin(argv);
    pthread_t them[THREADS_MAX];
    size_t threads = argument("threads", 1), live = argument("live", 16 << 20);
    min = argument("min", 16);
    max = argument("max", 1024);
    ops = argument("ops", 1 << 20) / threads;
    handed = argument("handed", 0);
    share = live / mean_bytes() / threads;
    near = argument("near", 0);
    near = near && near < share ? near : share;
    blocks = calloc(share * threads, sizeof *blocks);
    if (!share || !blocks)
        fail("live is too small");
    pthread_barrier_init(&built, NULL, (unsigned)threads + 1);
    start_threads(them, threads, body);
    pthread_barrier_wait(&built);
    double before = cpu_seconds();
    pthread_barrier_wait(&built);
    pthread_barrier_wait(&built);
    say_figure("cpu_ns", (cpu_seconds() - before) / (double)(ops * threads) * 1e9);
    join_threads(them, threads);
    for (size_t i = 0; i < 1024; i++)
        drop(shared[i]);
    free(blocks);
    return finish(ops * threads, live);
}
