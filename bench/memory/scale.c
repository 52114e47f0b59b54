/* SPDX-License-Identifier: MIT */
/*
 * scale.c: what a grant and a step of the scavenger cost in heaps from 64 MiB to 1 TiB, on a simulated
 * system.
 *
 * A heap of each size is filled with up to 100,000 spans of random lengths; half of them are returned at
 * random. Then spans are returned and granted at random, of 64 KiB and of 16 KiB to 1 MiB, and batches
 * scavenged: medians of several rounds, after one that does not count. The time of the simulated system is in
 * it.
 */
#define _GNU_SOURCE
#include "../../tests/lib/one_batch.h"
#include "../../tests/lib/sim_arena.h"
#include "measure.h"

#define SPANS_MAX 100000
#define ROUNDS 7
#define STEPS 200000

static sim_system sys;
static fl_pagearena arena;
static struct {
    char *start;
    size_t pages;
} spans[SPANS_MAX];
static uint64_t random_state = 1;

static double now_ns(void) {
    return clock_s(CLOCK_MONOTONIC) * 1e9;
}

static void grant(size_t i, size_t pages) {
    bool zeroed;
    spans[i].start = fl_grant(&arena, pages, 1, FL_FILLED_PERHAPS, &zeroed);
    spans[i].pages = pages;
    CHECK(spans[i].start);
}

static void give(size_t i) {
    fl_pages_return(&arena, spans[i].start, spans[i].pages);
    spans[i].start = NULL;
}

/* Returns and grants random spans, of a length or (0) of random ones. Returns the time for one or the
 * other. */
static double swap_spans(size_t count, size_t pages) {
    double values[ROUNDS + 1];
    for (int round = 0; round <= ROUNDS; round++) {
        double start = now_ns();
        for (int step = 0; step < STEPS; step++) {
            size_t i = check_random(&random_state) % count;
            if (spans[i].start)
                give(i);
            else
                grant(i, pages ? pages : 1 + check_random(&random_state) % 64);
        }
        values[round] = (now_ns() - start) / STEPS;
    }
    return median_of(values + 1, ROUNDS);
}

static double scavenge_steps(double *pages_each) {
    double values[ROUNDS];
    size_t went = 0;
    for (int round = 0; round < ROUNDS; round++) {
        double start = now_ns();
        for (int step = 0; step < 8; step++)
            went += scavenge(&arena, SIZE_MAX, FL_CAUSE_LIMIT);
        values[round] = (now_ns() - start) / 8;
    }
    *pages_each = (double)went / (8 * ROUNDS);
    return median_of(values, ROUNDS);
}

static void measure(size_t bytes) {
    size_t heap_pages = bytes >> FL_PAGE_SHIFT;
    size_t count = heap_pages / 4 < SPANS_MAX ? heap_pages / 4 : SPANS_MAX, mean = heap_pages / count;
    osmem_sim_config config = {.address_bytes = (size_t)1 << 44};
    double pages_each;
    sim_start(&sys, &config);
    fl_pagearena_init(&arena, "scale", &sys.backend, NULL);
    for (size_t i = 0; i < count; i++)
        grant(i, 1 + check_random(&random_state) % (2 * mean - 1));
    for (size_t i = 0; i < count; i++)
        if (check_random(&random_state) % 2)
            give(i);
    double mix = swap_spans(count, 0), slab = swap_spans(count, 4);
    double step = scavenge_steps(&pages_each);
    printf("%8zu MiB %7zu spans  mix %7.0f ns  slab %7.0f ns  scavenger's batch %8.0f ns, %4.0f pages\n",
           bytes >> 20, count, mix, slab, step, pages_each);
    fl_pagearena_end(&arena);
    sim_end(&sys);
}

int main(int argc, char **argv) {
    size_t most = argc > 1 ? (size_t)atol(argv[1]) << 20 : (size_t)1 << 40;
    CHECK(fl_window_init());
    sim_skip_unless_possible();
    for (size_t bytes = (size_t)64 << 20; bytes <= most; bytes *= 4)
        measure(bytes);
    return 0;
}
