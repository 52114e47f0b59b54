/* SPDX-License-Identifier: MIT */
/*
 * An arena under threads that hand blocks over, end, and leave blocks behind; then destroyed, and again.
 *
 * Usage: arena_stress [PART [SEED]]   each thread takes one of so many parts of its steps
 */
#include "../lib/reading.h"
#include "../lib/resident.h"
#include "../lib/stress.h"
#include "fallow/fallow.h"

static void *alloc(void *context, size_t bytes) {
    return fallow_arena_alloc((fallow_arena *)context, bytes);
}

static void release(void *context, void *block) {
    fallow_arena_free((fallow_arena *)context, block);
}

static unsigned part = 1;
static _Atomic int stop;

/* The scavenger at work all the time: whoever rests for a moment has parked slabs taken away. */
static void *tick(void *unused) {
    (void)unused;
    while (!stop)
        fallow_tick();
    return NULL;
}

/* Arenas of all sizes, used, given back, used again, destroyed; small and many blocks by turns. */
static void stress_arena(const stress_plan *plan) {
    stress_plan its = *plan;
    its.steps /= part;
    fallow_arena *arena = fallow_arena_create("stress", 0);
    CHECK(arena);
    its.allocator = (stress_allocator){alloc, release, arena};
    stress_run(&its);
    while (!stop && fallow_tick())
        ;
    stress_run(&its);
    /* All is freed and every thread has ended: no slab has been forgotten. (What a tick finds in the middle
     * of a free it leaves for the next, and where its share of the time is used up, until the arena has been
     * quiet for a moment.) */
    for (int i = 0; i < 5000 && arena_figures(arena).granted_bytes > 0; i++) {
        fallow_tick();
        rest_ms(1);
    }
    CHECK_EQUAL(arena_figures(arena).granted_bytes, 0);
    fallow_arena_destroy(arena);
}

int main(int argc, char **argv) {
    if (argc > 1)
        part = (unsigned)atoi(argv[1]);
    CHECK(part > 0);
    uint64_t seed = check_seed(argc - 1, argv + 1);
    stress_plan mixed = {
        .seed = seed, .threads = 6, .generations = 5, .steps = 8000, .large_bytes_max = 1 << 19, .live = 256};
    stress_plan narrow = {
        .seed = seed + 1, .threads = 4, .generations = 6, .steps = 20000, .live = 3000, .narrow_bytes = 1100};
    stress_plan short_lived = {
        .seed = seed + 2, .threads = 8, .generations = 60, .steps = 600, .live = 500, .narrow_bytes = 4000};
    pthread_t ticker;
    CHECK_EQUAL(pthread_create(&ticker, NULL, tick, NULL), 0);
    stress_arena(&mixed);
    stress_arena(&narrow);
    stress_arena(&short_lived);
    stop = 1;
    CHECK_EQUAL(pthread_join(ticker, NULL), 0);
    stress_arena(&narrow); /* and without */
    puts("ok arena_stress_contents");
    return 0;
}
