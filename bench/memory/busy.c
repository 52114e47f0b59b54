/* SPDX-License-Identifier: MIT */
/*
 * busy.c: four threads that have just freed 95 % of what they had, and go on at full speed with a little:
 * when has it gone?
 *
 *   busy small|middle MIB SECONDS...
 *
 * Each allocates and touches so many MiB (log-uniform from 16 bytes to 64 KiB), frees 19 blocks in 20 in
 * random order, and from then on replaces one of 2,000 blocks after another, of 16 to 512 bytes (small) or
 * log-uniform from 16 bytes to 16 KiB (middle). Prints what is resident above the base when the last has
 * freed and so many seconds later, and in the end the floor: the OS pages in which a live block lies. No call
 * asks for anything. Any malloc: LD_PRELOAD.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../tests/lib/check.h"
#include "../../tests/lib/resident.h"
#include "blocks.h"
#include "measure.h"

#define THREADS 4
#define BLOCKS_MAX ((size_t)1 << 20)
#define WORKING 2000

static struct worker {
    pthread_t thread;
    block *blocks; /* the first WORKING of them are replaced */
    size_t count;
} workers[THREADS];

static bool middle;
static size_t total_bytes;
static _Atomic int freed;
static _Atomic bool stop;

static size_t log_uniform(uint64_t *random, unsigned bits_max) {
    unsigned bits = 4 + (unsigned)(check_random(random) % (bits_max - 4));
    return ((size_t)1 << bits) + check_random(random) % ((size_t)1 << bits);
}

static void allocate(block *it, size_t bytes) {
    *it = (block){malloc(bytes), bytes};
    CHECK(it->start);
    memset(it->start, 1, bytes);
}

static void release(block *it) {
    free(it->start);
    *it = (block){NULL, 0};
}

static void *work(void *context) {
    struct worker *me = context;
    uint64_t random = (uint64_t)(me - workers) + 1;
    size_t total = 0;
    for (me->count = WORKING; total < total_bytes && me->count < BLOCKS_MAX; me->count++) {
        allocate(&me->blocks[me->count], log_uniform(&random, 16));
        total += me->blocks[me->count].bytes;
    }
    for (size_t i = WORKING; i < me->count; i++)
        if (check_random(&random) % 20)
            release(&me->blocks[i]);
    atomic_fetch_add(&freed, 1);
    while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
        block *it = &me->blocks[check_random(&random) % WORKING];
        release(it);
        allocate(it, middle ? log_uniform(&random, 14) : 16 + check_random(&random) % 497);
    }
    return NULL;
}

static double mib(size_t bytes) {
    return (double)bytes / (1 << 20);
}

int main(int argc, char **argv) {
    CHECK(argc > 3);
    middle = strcmp(argv[1], "middle") == 0;
    total_bytes = (size_t)strtoul(argv[2], NULL, 0) << 20;
    setvbuf(stdout, outside(4096), _IOFBF, 4096);
    block *all = outside(THREADS * BLOCKS_MAX * sizeof *all);
    memset(all, 0, THREADS * BLOCKS_MAX * sizeof *all);
    free(malloc(1));
    size_t base = resident_bytes(), live;
    for (int i = 0; i < THREADS; i++) {
        workers[i].blocks = all + (size_t)i * BLOCKS_MAX;
        CHECK_EQUAL(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
    while (atomic_load(&freed) < THREADS)
        rest_ms(1);
    double began_s = clock_s(CLOCK_MONOTONIC);
    printf("%s now %.1f", argv[1], mib(resident_bytes() - base));
    for (int i = 3; i < argc; i++) {
        double left_s = began_s + strtod(argv[i], NULL) - clock_s(CLOCK_MONOTONIC);
        rest_ms(left_s > 0 ? (long)(left_s * 1000) : 0);
        printf(" %ss %.1f", argv[i], mib(resident_bytes() - base));
    }
    atomic_store(&stop, true);
    for (int i = 0; i < THREADS; i++)
        CHECK_EQUAL(pthread_join(workers[i].thread, NULL), 0);
    size_t floor = floor_bytes(all, THREADS * BLOCKS_MAX, &live);
    printf(" floor %.1f live %.1f\n", mib(floor), mib(live));
    return 0;
}
