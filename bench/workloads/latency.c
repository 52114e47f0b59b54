/* SPDX-License-Identifier: MIT */
/*
 * latency.c: how long single operations take: random replacement by some threads, some blocks handed over,
 * each malloc and each free timed by the processor's counter; alone, or beside another thread that makes the
 * allocator work:
 *
 *   beside=1 it frees a burst that the timed threads have allocated, in random order: what gives memory back
 *   has work beside=2 it calls malloc_trim, or what the allocator has in its place, again and again beside=3
 *   it starts threads that allocate and free a little, and go beside=4 it creates, fills and destroys arenas
 *   of fallow's; where there are none, this prints nothing
 *
 * Not a row of its own: a clock around every operation is no program.
 *
 * Keys: ops=2000000 (a thread) slots=20000 min=16 max=16k ms=0 (end after so many, in place of ops)
 * burst=256m (of all threads) Prints nanoseconds: malloc and free, p50 p99 p99.9 p99.99 max.
 */
#include "../purge.h"
#include "histogram.h"
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

enum beside { ALONE, FREED, TRIMS, THREADS, ARENAS };

static histogram of_malloc[THREADS_MAX], of_free[THREADS_MAX];
static size_t threads, ops, slots, min, max, milliseconds, burst, beside;
static _Atomic(void *) shared[1024];
static char **freed[THREADS_MAX]; /* what each thread has allocated for the other one to free */
static pthread_barrier_t ready;
static _Atomic int done;

static double ns_since_start(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - started.tv_sec) * 1e9 + (double)(now.tv_nsec - started.tv_nsec);
}

/* The blocks of a thread's part of the burst end with NULL. */
static char **allocate_burst(size_t bytes, uint64_t *random) {
    size_t room = bytes / 512, count = 0;
    char **blocks = calloc(room + 1, sizeof *blocks);
    for (size_t total = 0; total < bytes && count < room; count++) {
        size_t place = random_below(random, count + 1);
        blocks[count] = blocks[place];
        blocks[place] = take(log_uniform(random, 64, 32 << 10));
        total += verified(blocks[place]);
    }
    return blocks;
}

static void *body(void *index) {
    size_t me = (size_t)index;
    uint64_t random = argument("seed", 1) + me;
    void **blocks = calloc(slots, sizeof *blocks);
    if (beside == FREED)
        freed[me] = allocate_burst(burst / threads, &random);
    pthread_barrier_wait(&ready);
    double until = ns_since_start() + (double)milliseconds * 1e6;
    for (size_t i = 0; milliseconds ? i % 1024 || ns_since_start() < until : i < ops; i++) {
        size_t k = random_below(&random, slots), bytes = log_uniform(&random, min, max);
        if (i % 16 == 0)
            blocks[k] = atomic_exchange(&shared[k % 1024], blocks[k]);
        uint64_t start = ticks();
        free(blocks[k]);
        uint64_t end_of_free = ticks();
        blocks[k] = malloc(bytes);
        uint64_t end = ticks();
        if (!blocks[k])
            fail("out of memory");
        mark(blocks[k], bytes);
        note(&of_free[me], end_of_free - start);
        note(&of_malloc[me], end - end_of_free);
    }
    return NULL;
}

static void *visit(void *index) {
    uint64_t random = (size_t)index;
    void *blocks[100];
    for (size_t i = 0; i < 100; i++)
        blocks[i] = take(log_uniform(&random, min, max));
    for (size_t i = 0; i < 100; i++)
        drop(blocks[i]);
    return NULL;
}

/* By name, because only fallow has them; false where it does not serve. */
static int arena_comes_and_goes(void) {
    void *(*create)(const char *, size_t) = dlsym(RTLD_DEFAULT, "fallow_arena_create");
    void *(*alloc)(void *, size_t) = dlsym(RTLD_DEFAULT, "fallow_arena_alloc");
    void (*destroy)(void *) = dlsym(RTLD_DEFAULT, "fallow_arena_destroy");
    uint64_t random = 1;
    void *arena = create && alloc && destroy ? create("visitor", 0) : NULL;
    if (!arena)
        return 0;
    for (size_t i = 0; i < 100; i++) {
        size_t bytes = log_uniform(&random, min, max);
        char *block = alloc(arena, bytes);
        if (!block)
            fail("out of memory");
        mark(block, bytes);
    }
    destroy(arena);
    return 1;
}

static void *other(void *unused) {
    pthread_barrier_wait(&ready);
    for (size_t t = 0; beside == FREED && t < threads; t++)
        for (char **it = freed[t]; *it; it++)
            drop(*it);
    while (!done && beside > FREED) {
        if (beside == TRIMS)
            purge();
        else if (beside == THREADS)
            run_threads(2, visit);
        else
            arena_comes_and_goes();
    }
    return unused;
}

int main(int argc, char **argv) {
    (void)argc;
    begin(argv);
    pthread_t them[THREADS_MAX], another;
    uint64_t start = ticks();
    threads = argument("threads", 2);
    ops = argument("ops", 2000000);
    slots = argument("slots", 20000);
    min = argument("min", 16);
    max = argument("max", 16384);
    milliseconds = argument("ms", 0);
    burst = argument("burst", 256 << 20);
    beside = argument("beside", ALONE);
    if (beside == ARENAS && !arena_comes_and_goes())
        return 0;
    pthread_barrier_init(&ready, NULL, (unsigned)threads + 1);
    start_threads(them, threads, body);
    start_threads(&another, 1, other);
    join_threads(them, threads);
    done = 1;
    join_threads(&another, 1);
    double ns_per_tick = ns_since_start() / (double)(ticks() - start);
    print("malloc", of_malloc, threads, ns_per_tick);
    print("free", of_free, threads, ns_per_tick);
    return 0;
}
