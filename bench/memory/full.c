/* SPDX-License-Identifier: MIT */
/*
 * full.c: what a step of a cache costs that is full: insert a value, and where that is refused evict until
 * it is not.
 *
 * The cache lies in an arena with a limit, and all that it evicts it evicts because it was refused. The same
 * steps are done in an arena without a limit, where as much lives as had its place under the limit. Rounds
 * of both take turns; the CPU time of a step is that of all threads. Each OS page of a value is touched.
 *
 *     full MIB LEAST MOST [THREADS [STEPS [oldest|any [AT ONCE [with|without]]]]]
 *
 * values of LEAST to MOST bytes; which of them are evicted, and how many for each refusal; rounds with the
 * limit alone, or without it alone: to count their instructions, as the difference of two lengths
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "../../tests/lib/check.h"
#include "fallow/fallow.h"
#include "measure.h"

#define THREADS_MAX 64
#define ROUNDS 7
#define TOUCH_BYTES 4096

typedef struct value {
    char *start;
    uint32_t bytes;
} value;

/* A thread's values of one of the two arenas: a ring. */
typedef struct cache {
    fallow_arena *arena;
    value *values;
    size_t room, first, count;
    size_t live_bytes, most_bytes; /* most: where no limit says so */
    uint64_t random, refusals, evictions;
} cache;

static size_t least, most, steps = 400000, at_once = 1;
static bool any, leaves_out[2];
static cache caches[2][THREADS_MAX]; /* with and without a limit */
static unsigned thread_count = 1;

static bool evict(cache *it) {
    if (it->count == 0)
        return false;
    size_t first = it->first % it->room;
    if (any) {
        size_t other = (it->first + check_random(&it->random) % it->count) % it->room;
        value swapped = it->values[first];
        it->values[first] = it->values[other];
        it->values[other] = swapped;
    }
    it->live_bytes -= it->values[first].bytes;
    fallow_arena_free(it->arena, it->values[first].start);
    it->first++;
    it->count--;
    it->evictions++;
    return true;
}

static void insert(cache *it) {
    size_t bytes = least + check_random(&it->random) % (most - least + 1);
    char *start;
    while ((it->count == it->room || it->live_bytes + bytes > it->most_bytes) && evict(it))
        ;
    while (!(start = fallow_arena_alloc(it->arena, bytes))) {
        it->refusals++;
        size_t evicted = 0;
        while (evicted < at_once && evict(it))
            evicted++;
        if (!evicted)
            return;
    }
    for (size_t at = 0; at < bytes; at += TOUCH_BYTES)
        start[at] = 1;
    start[bytes - 1] = 1;
    it->live_bytes += bytes;
    it->values[(it->first + it->count++) % it->room] = (value){start, (uint32_t)bytes};
}

static void *work(void *argument) {
    cache *it = argument;
    for (size_t step = 0; step < steps; step++)
        insert(it);
    return NULL;
}

/* Returns the CPU time of a step, in ns. */
static double round_of(cache *all) {
    pthread_t threads[THREADS_MAX];
    if (leaves_out[all == caches[1]])
        return 0;
    double began = clock_s(CLOCK_PROCESS_CPUTIME_ID);
    for (unsigned i = 1; i < thread_count; i++)
        CHECK_EQUAL(pthread_create(&threads[i], NULL, work, &all[i]), 0);
    work(&all[0]);
    for (unsigned i = 1; i < thread_count; i++)
        CHECK_EQUAL(pthread_join(threads[i], NULL), 0);
    return (clock_s(CLOCK_PROCESS_CPUTIME_ID) - began) * 1e9 / ((double)steps * thread_count);
}

static void begin(cache *it, fallow_arena *arena, size_t room, uint64_t seed) {
    *it = (cache){.arena = arena, .room = room, .most_bytes = SIZE_MAX, .random = seed};
    it->values = calloc(room, sizeof *it->values);
    CHECK(it->values);
}

static uint64_t sum_of(uint64_t (*of)(const cache *)) {
    uint64_t sum = 0;
    for (unsigned i = 0; i < thread_count; i++)
        sum += of(&caches[0][i]);
    return sum;
}

static uint64_t refusals_of(const cache *it) {
    return it->refusals;
}

static uint64_t evictions_of(const cache *it) {
    return it->evictions;
}

static uint64_t live_of(const cache *it) {
    return it->live_bytes;
}

int main(int argc, char **argv) {
    if (argc < 4) {
        fprintf(stderr,
                "usage: full MIB LEAST MOST [THREADS [STEPS [oldest|any [AT ONCE [with|without]]]]]\n");
        return 2;
    }
    size_t limit = strtoull(argv[1], NULL, 10) << 20;
    least = strtoull(argv[2], NULL, 10);
    most = strtoull(argv[3], NULL, 10);
    thread_count = argc > 4 ? (unsigned)strtoul(argv[4], NULL, 10) : 1;
    steps = argc > 5 ? strtoull(argv[5], NULL, 10) : steps;
    any = argc > 6 && strcmp(argv[6], "any") == 0;
    at_once = argc > 7 ? strtoull(argv[7], NULL, 10) : at_once;
    CHECK(limit && least && least <= most && most < UINT32_MAX && thread_count &&
          thread_count <= THREADS_MAX);

    fallow_arena *limited = fallow_arena_create("limited", limit),
                 *unlimited = fallow_arena_create("unlimited", 0);
    for (unsigned i = 0; i < thread_count; i++) {
        begin(&caches[0][i], limited, limit / least + 1, i + 1);
        begin(&caches[1][i], unlimited, limit / least + 1, i + 1);
    }
    /* Until all of it is full, and for as long again. */
    size_t all_steps = steps, fills = 3 * (limit / ((least + most) / 2)) / thread_count + 1;
    steps = fills;
    round_of(caches[0]);
    for (unsigned i = 0; i < thread_count; i++)
        caches[1][i].most_bytes = caches[0][i].live_bytes;
    round_of(caches[1]);
    steps = all_steps / ROUNDS + 1;
    leaves_out[0] = argc > 8 && strcmp(argv[8], "without") == 0;
    leaves_out[1] = argc > 8 && strcmp(argv[8], "with") == 0;
    uint64_t refusals = sum_of(refusals_of), evictions = sum_of(evictions_of);
    double with[ROUNDS], without[ROUNDS], ratio[ROUNDS];
    fallow_arena_figures before = fallow_arena_read(limited);
    for (int i = 0; i < ROUNDS; i++) {
        with[i] = round_of(caches[0]);
        without[i] = round_of(caches[1]);
        ratio[i] = with[i] / without[i];
    }
    fallow_arena_figures after = fallow_arena_read(limited);
    double count = (double)steps * thread_count * ROUNDS;
    printf("%3zu MiB, %zu to %zu bytes, %u threads, %s: %.0f ns a step, %.0f without a limit, ratio %.2f; "
           "refused %.2f, "
           "evicted %.2f, system calls %.4f, grown %.0f bytes a step; %.1f MiB live, %.1f Ready\n",
           limit >> 20, least, most, thread_count, any ? "any" : "oldest", median_of(with, ROUNDS),
           median_of(without, ROUNDS), median_of(ratio, ROUNDS),
           (double)(sum_of(refusals_of) - refusals) / count,
           (double)(sum_of(evictions_of) - evictions) / count,
           (double)(after.system_calls - before.system_calls) / count,
           (double)(after.grown_bytes - before.grown_bytes) / count, (double)sum_of(live_of) / 1048576,
           (double)after.ready_bytes / 1048576);
    return 0;
}
