/* SPDX-License-Identifier: MIT */
/*
 * bursts.c: a burst to 512 MiB, then 95 % of it freed in random order, then no call at all: what stays
 * resident?
 *
 *   bursts small|kib|mixed SEED owner|sleeper|others|ended SECONDS...
 *
 * small: blocks of 64 bytes; kib: of 1 KiB; mixed: log-uniform from 16 bytes to 64 KiB, and a few from 256
 * KiB to 4 MiB. Who frees: the thread that allocated; it frees 30 % and sleeps, and another the rest; another
 * all; another, after it has ended. Prints one line: live bytes, the floor (OS pages that hold a byte of a
 * live block, as no allocator can do better that does not move blocks), resident bytes above the base at once
 * and after so many seconds, after an explicit purge by the allocator's own call, and the CPU time used while
 * nothing was done, from one second on. Bookkeeping of its own lies outside the allocator. Works with any
 * malloc: LD_PRELOAD.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "../../tests/lib/check.h"
#include "../../tests/lib/resident.h"
#include "../purge.h"
#include "blocks.h"
#include "measure.h"

#define TOTAL_BYTES ((size_t)512 << 20)
#define BLOCKS_MAX ((size_t)9 << 20)

static block *blocks;
static size_t count;
static const char *kind;
static uint64_t seed;

static size_t next_size(uint64_t *random) {
    if (strcmp(kind, "small") == 0)
        return 64;
    if (strcmp(kind, "kib") == 0)
        return 1024;
    if (check_random(random) % 2000 == 0)
        return ((size_t)256 << 10) + check_random(random) % ((size_t)4 << 20);
    unsigned bits = 4 + (unsigned)(check_random(random) % 12);
    return ((size_t)1 << bits) + check_random(random) % ((size_t)1 << bits);
}

static void allocate(void) {
    uint64_t random = seed;
    for (size_t total = 0; total < TOTAL_BYTES && count < BLOCKS_MAX; count++) {
        size_t bytes = next_size(&random);
        blocks[count] = (block){malloc(bytes), bytes};
        CHECK(blocks[count].start);
        memset(blocks[count].start, 0x5a, bytes);
        total += bytes;
    }
    for (size_t i = count; i > 1; i--) {
        size_t j = check_random(&random) % i;
        block other = blocks[i - 1];
        blocks[i - 1] = blocks[j];
        blocks[j] = other;
    }
}

/* The last 5 % in the random order live on. */
static size_t survivors(void) {
    return count - count / 20;
}

static void free_range(size_t first, size_t end) {
    for (size_t i = first; i < end; i++)
        free(blocks[i].start);
}

static pthread_barrier_t freed_some, all_done;

static void *owner(void *who) {
    allocate();
    if (strcmp(who, "sleeper") == 0)
        free_range(0, count * 3 / 10);
    pthread_barrier_wait(&freed_some);
    if (strcmp(who, "ended") != 0)
        pthread_barrier_wait(&all_done);
    return NULL;
}

static double mib(size_t bytes) {
    return (double)bytes / (1 << 20);
}

static size_t above(size_t base) {
    size_t now = resident_bytes();
    return now > base ? now - base : 0;
}

int main(int argc, char **argv) {
    CHECK(argc > 3);
    kind = argv[1];
    seed = strtoull(argv[2], NULL, 0);
    char *who = argv[3];
    pthread_t thread;
    setvbuf(stdout, outside(4096), _IOFBF, 4096);
    blocks = outside(BLOCKS_MAX * sizeof *blocks);
    pthread_barrier_init(&freed_some, NULL, 2);
    pthread_barrier_init(&all_done, NULL, 2);
    free(malloc(1));
    size_t base = resident_bytes(), live, first = 0;
    if (strcmp(who, "owner") == 0)
        allocate();
    else {
        CHECK_EQUAL(pthread_create(&thread, NULL, owner, who), 0);
        pthread_barrier_wait(&freed_some);
        if (strcmp(who, "ended") == 0)
            CHECK_EQUAL(pthread_join(thread, NULL), 0);
        first = strcmp(who, "sleeper") == 0 ? count * 3 / 10 : 0;
    }
    size_t peak = above(base);
    free_range(first, survivors());
    size_t at_once = above(base), floor = floor_bytes(blocks + survivors(), count - survivors(), &live);
    printf("%s %s peak %.1f live %.1f floor %.1f now %.1f", kind, who, mib(peak), mib(live), mib(floor),
           mib(at_once));
    double waited = 0, cpu_before = 0;
    for (int i = 4; i < argc; i++) {
        double until = strtod(argv[i], NULL);
        rest_ms((long)((until - waited) * 1000));
        waited = until;
        printf(" %ss %.1f", argv[i], mib(above(base)));
        cpu_before = i == 4 ? clock_s(CLOCK_PROCESS_CPUTIME_ID) : cpu_before;
    }
    double cpu = clock_s(CLOCK_PROCESS_CPUTIME_ID) - cpu_before;
    const char *how = dlsym(RTLD_DEFAULT, "fallow_arena_create") ? "none needed" : purge();
    printf(" purged %.1f (%s) cpu %.4f\n", mib(above(base)), how, cpu);
    /* What lives is intact. */
    for (size_t i = survivors(); i < count; i++)
        for (size_t k = 0; k < blocks[i].bytes; k += 509)
            CHECK(blocks[i].start[k] == 0x5a);
    return 0;
}
