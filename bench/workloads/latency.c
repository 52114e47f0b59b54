/* SPDX-License-Identifier: MIT */
/*
 * latency.c: how long single operations take: random replacement by two threads, some blocks handed over, each malloc and
 * each free timed by the processor's counter. Not a row of its own: a clock around every operation is no program.
 *
 * Keys: ops=2000000 (a thread) slots=20000 min=16 max=16k
 * Prints nanoseconds: malloc and free, p50 p99 p99.9 p99.99 max.
 */
#include "workload.h"

#if defined(__x86_64__)
#include <x86intrin.h>
static uint64_t ticks(void) {
    return __rdtsc();
}
#else
static uint64_t ticks(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}
#endif

/* Sixteen buckets to a doubling: the error is below 7 %. */
#define BUCKETS (64 * 16)
typedef struct histogram {
    uint64_t counts[BUCKETS], max;
} histogram;

static histogram of_malloc[THREADS_MAX], of_free[THREADS_MAX];
static size_t ops, slots, min, max;
static _Atomic(void *) shared[1024];

static void note(histogram *it, uint64_t value) {
    unsigned bits = value < 16 ? 0 : 60 - (unsigned)__builtin_clzll(value);
    it->counts[value < 16 ? value : 16 * bits + (value >> bits)]++;
    it->max = value > it->max ? value : it->max;
}

static uint64_t value_of(size_t bucket) {
    size_t bits = bucket < 32 ? 0 : bucket / 16 - 1;
    return bucket < 32 ? bucket : (uint64_t)(bucket - 16 * bits) << bits;
}

static void *body(void *index) {
    size_t me = (size_t)index;
    uint64_t random = argument("seed", 1) + me;
    void **blocks = calloc(slots, sizeof *blocks);
    for (size_t i = 0; i < ops; i++) {
        size_t k = random_below(&random, slots), bytes = log_uniform(&random, min, max);
        if (i % 16 == 0)
            blocks[k] = atomic_exchange(&shared[k % 1024], blocks[k]);
        uint64_t start = ticks();
        free(blocks[k]);
        uint64_t freed = ticks();
        blocks[k] = malloc(bytes);
        uint64_t end = ticks();
        if (!blocks[k])
            fail("out of memory");
        mark(blocks[k], bytes);
        note(&of_free[me], freed - start);
        note(&of_malloc[me], end - freed);
    }
    return NULL;
}

static void print(const char *name, const histogram *all, size_t threads, double ns_per_tick) {
    static const double parts[] = {0.5, 0.99, 0.999, 0.9999};
    histogram sum = {{0}, 0};
    uint64_t total = 0, seen = 0;
    for (size_t t = 0; t < threads; t++) {
        for (size_t b = 0; b < BUCKETS; b++)
            sum.counts[b] += all[t].counts[b];
        sum.max = all[t].max > sum.max ? all[t].max : sum.max;
    }
    for (size_t b = 0; b < BUCKETS; b++)
        total += sum.counts[b];
    printf("%s", name);
    for (size_t b = 0, part = 0; b < BUCKETS; b++) {
        seen += sum.counts[b];
        for (; part < 4 && (double)seen >= parts[part] * (double)total; part++)
            printf(" %.0f", (double)value_of(b) * ns_per_tick);
    }
    printf(" %.0f\n", (double)sum.max * ns_per_tick);
}

int main(int argc, char **argv) {
    (void)argc;
    begin(argv);
    uint64_t start = ticks();
    size_t threads = argument("threads", 2);
    ops = argument("ops", 2000000);
    slots = argument("slots", 20000);
    min = argument("min", 16);
    max = argument("max", 16384);
    run_threads(threads, body);
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    double ns = (double)(now.tv_sec - started.tv_sec) * 1e9 + (double)(now.tv_nsec - started.tv_nsec);
    double ns_per_tick = ns / (double)(ticks() - start);
    print("malloc", of_malloc, threads, ns_per_tick);
    print("free", of_free, threads, ns_per_tick);
    return 0;
}
