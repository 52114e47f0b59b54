/* SPDX-License-Identifier: MIT */
/* What the statistics say of an arena is what the program has of it: after random work of many threads that
 * free each other's blocks, and have ended or not; and nearly so while they are at it. */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "../lib/check.h"
#include "../lib/reading.h"
#include "fallow/fallow.h"

#define THREADS 4
#define SHARED 3000
#define STEPS 30000

static fallow_arena *arena;
static _Atomic(void *) shared[SHARED];
static _Atomic int stop;
static _Atomic size_t live_bytes, live_blocks; /* what the program itself knows */
static uint64_t seed;

static void *alloc(size_t bytes) {
    void *block = fallow_arena_alloc(arena, bytes);
    CHECK(block != NULL);
    live_bytes += fallow_arena_usable_bytes(block);
    live_blocks++;
    return block;
}

static void give(void *block) {
    if (!block)
        return;
    live_bytes -= fallow_arena_usable_bytes(block);
    live_blocks--;
    fallow_arena_free(arena, block);
}

static size_t any_size(uint64_t *random) {
    uint64_t number = check_random(random);
    return number % 500 == 0 ? 300000 + number % 1000000 : number % 10 == 0 ? number % 60000 : number % 700;
}

static void *work(void *argument) {
    uint64_t random = (uint64_t)(uintptr_t)argument;
    for (int i = 0; i < STEPS; i++)
        give(atomic_exchange(&shared[check_random(&random) % SHARED],
                             check_random(&random) % 3 ? alloc(any_size(&random)) : NULL));
    while (!stop)
        sched_yield();
    return NULL;
}

static fallow_stats stats(void) {
    fallow_stats now;
    CHECK(fallow_arena_stats(arena, &now, sizeof now));
    return now;
}

static void expect_exact(void) {
    fallow_stats now = stats();
    size_t bytes = now.large_bytes, blocks = now.large_blocks, before = 0;
    for (size_t i = 0; i < now.class_count; i++) {
        CHECK(now.classes[i].block_bytes > before);
        before = now.classes[i].block_bytes;
        bytes += now.classes[i].live_blocks * before;
        blocks += now.classes[i].live_blocks;
    }
    CHECK_EQUAL(now.live_bytes, live_bytes);
    CHECK_EQUAL(now.live_blocks, live_blocks);
    CHECK_EQUAL(bytes, live_bytes);
    CHECK_EQUAL(blocks, live_blocks);
    CHECK_EQUAL(now.ready_bytes, arena_figures(arena).ready_bytes);
    CHECK_EQUAL(now.ready_bytes, now.live_bytes + now.free_bytes + now.idle_bytes + now.pool_bytes);
}

/* How many of all the program's blocks may change hands in the course of one look. */
static void expect_near(void) {
    size_t blocks_before = live_blocks, bytes_before = live_bytes;
    fallow_stats now = stats();
    size_t blocks = live_blocks, bytes = live_bytes;
    CHECK(now.live_blocks < blocks_before + blocks + SHARED);
    CHECK(now.live_bytes < bytes_before + bytes + ((size_t)64 << 20));
}

static void stats_are_exact_when_nobody_works(void) {
    pthread_t threads[THREADS];
    arena = fallow_arena_create("statistics", 0);
    expect_exact();
    for (int round = 0; round < 4; round++) {
        stop = 0;
        for (uintptr_t i = 0; i < THREADS; i++)
            CHECK_EQUAL(
                pthread_create(&threads[i], NULL, work, (void *)(seed + 10 * (uintptr_t)round + i + 1)), 0);
        for (int look = 0; look < 50; look++)
            expect_near();
        stop = 1; /* they end when they have done their steps */
        for (int i = 0; i < THREADS; i++)
            CHECK_EQUAL(pthread_join(threads[i], NULL), 0);
        expect_exact();
        while (fallow_tick())
            ;
        expect_exact();
        fallow_give_back();
        expect_exact();
    }
}

/* With owners that live, and sleep in the middle of their slabs. */
static void *fill(void *unused) {
    (void)unused;
    for (int i = 0; i < SHARED; i += THREADS)
        give(atomic_exchange(&shared[i], alloc((size_t)i)));
    stop++;
    while (stop <= THREADS)
        sched_yield();
    return NULL;
}

static void stats_see_into_slabs_of_others(void) {
    pthread_t threads[THREADS];
    stop = 0;
    for (int i = 0; i < THREADS; i++)
        CHECK_EQUAL(pthread_create(&threads[i], NULL, fill, NULL), 0);
    while (stop < THREADS)
        sched_yield();
    expect_exact();
    for (int i = 0; i < SHARED; i += 7)
        give(atomic_exchange(&shared[i], NULL)); /* in slabs of theirs */
    expect_exact();
    stop++;
    for (int i = 0; i < THREADS; i++)
        CHECK_EQUAL(pthread_join(threads[i], NULL), 0);
    for (int i = 0; i < SHARED; i++)
        give(atomic_exchange(&shared[i], NULL));
    CHECK_EQUAL(live_blocks, 0);
    expect_exact();
}

static void stats_of_pools_apart(void) {
    fallow_pool *pool = fallow_pool_create(arena);
    CHECK(pool && fallow_pool_alloc(pool, 100000));
    CHECK(stats().pool_bytes >= 100000);
    expect_exact();
    fallow_pool_destroy(pool);
    fallow_arena_destroy(arena);
}

int main(int argc, char **argv) {
    seed = check_seed(argc, argv);
    RUN(stats_are_exact_when_nobody_works);
    RUN(stats_see_into_slabs_of_others);
    RUN(stats_of_pools_apart);
    return 0;
}
