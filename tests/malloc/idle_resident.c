/* SPDX-License-Identifier: MIT */
/*
 * A program that used 500 MiB, freed it and does nothing has its memory given back, with no call into the
 * allocator: below 5 % of the peak within two seconds. Cases differ in who frees, and from where.
 */
#include <pthread.h>
#include <stdlib.h>

#include "../lib/check.h"
#include "../lib/resident.h"

#define TOTAL_BYTES ((size_t)500 << 20)
#define BLOCKS_MAX 2000000

static void **blocks;
static size_t block_count;

/* Blocks of all sizes: log-uniform from 16 bytes to 4 MiB, so that each doubling gets the same number. */
static void allocate_all(void) {
    uint64_t random = 7;
    size_t total = 0;
    block_count = 0;
    while (total < TOTAL_BYTES && block_count < BLOCKS_MAX) {
        unsigned bits = 4 + (unsigned)(check_random(&random) % 19);
        size_t bytes = ((size_t)1 << bits) + check_random(&random) % ((size_t)1 << bits);
        if (bits > 14 && check_random(&random) % 16) /* or the largest would be nearly all of it */
            continue;
        char *block = malloc(bytes);
        CHECK(block);
        memset(block, 0x5a, bytes);
        blocks[block_count++] = block;
        total += bytes;
    }
    CHECK(total >= TOTAL_BYTES);
}

static void shuffle(void) {
    uint64_t random = 11;
    for (size_t i = block_count; i > 1; i--) {
        size_t j = check_random(&random) % i;
        void *block = blocks[i - 1];
        blocks[i - 1] = blocks[j];
        blocks[j] = block;
    }
}

static void free_range(size_t first, size_t end) {
    for (size_t i = first; i < end; i++)
        free(blocks[i]);
}

/* Waits without a call into the allocator; returns how much of the peak is left. */
static void expect_given_back(size_t base, size_t peak) {
    size_t left = 0;
    for (int tenths = 0; tenths < 20; tenths++) {
        rest_ms(100);
        size_t now = resident_bytes();
        left = now > base ? now - base : 0; /* the case before may have left some that goes now */
        if (left < peak / 20)
            break;
    }
    printf("peak %zu KiB, left %zu KiB\n", peak >> 10, left >> 10);
    CHECK(left < peak / 20);
}

static void idle_resident_freed_by_owner(void) {
    size_t base = resident_bytes();
    allocate_all();
    size_t peak = resident_bytes() - base;
    CHECK(peak > TOTAL_BYTES * 9 / 10);
    shuffle();
    free_range(0, block_count);
    expect_given_back(base, peak);
}

static void *allocate_and_sleep(void *step) {
    allocate_all();
    shuffle();
    if (*(int *)step == 1)
        free_range(0, block_count * 3 / 10);
    __atomic_store_n((int *)step, 2, __ATOMIC_RELEASE);
    while (__atomic_load_n((int *)step, __ATOMIC_ACQUIRE) != 3)
        rest_ms(10);
    return NULL;
}

/* The owner frees part of it or nothing (first_step 1 or 0), sleeps, and others free the rest. */
static void freed_by_others(int first_step) {
    pthread_t owner;
    int step = first_step;
    size_t base = resident_bytes();
    CHECK_EQUAL(pthread_create(&owner, NULL, allocate_and_sleep, &step), 0);
    while (__atomic_load_n(&step, __ATOMIC_ACQUIRE) != 2)
        rest_ms(10);
    size_t peak = resident_bytes() - base;
    free_range(first_step ? block_count * 3 / 10 : 0, block_count);
    expect_given_back(base, peak);
    __atomic_store_n(&step, 3, __ATOMIC_RELEASE);
    CHECK_EQUAL(pthread_join(owner, NULL), 0);
}

static void idle_resident_freed_by_others_while_owner_sleeps(void) {
    freed_by_others(0);
}

static void idle_resident_owner_frees_some_and_sleeps(void) {
    freed_by_others(1);
}

static void *allocate_and_end(void *unused) {
    (void)unused;
    allocate_all();
    return NULL;
}

static void idle_resident_owner_has_ended(void) {
    pthread_t owner;
    size_t base = resident_bytes();
    CHECK_EQUAL(pthread_create(&owner, NULL, allocate_and_end, NULL), 0);
    CHECK_EQUAL(pthread_join(owner, NULL), 0);
    size_t peak = resident_bytes() - base;
    free_range(0, block_count);
    expect_given_back(base, peak);
}

/* One block in 20 lives on: every slab holds some, and one page in five does. */
static void idle_resident_pages_inside_slabs(void) {
    size_t base = resident_bytes(), page = (size_t)sysconf(_SC_PAGESIZE), floor = 0;
    for (block_count = 0; block_count < (256 << 10); block_count++)
        blocks[block_count] = memset(malloc(1024), 1, 1024);
    uintptr_t last = 0;
    for (size_t i = 0; i < block_count; i++) {
        if (i % 20) {
            free(blocks[i]);
            continue;
        }
        floor += (uintptr_t)blocks[i] / page != last ? page : 0;
        last = (uintptr_t)blocks[i] / page;
    }
    size_t left = 0;
    for (int tenths = 0; tenths < 20; tenths++) {
        rest_ms(100);
        left = resident_bytes() - base;
        if (left <= floor + floor / 20 + (2 << 20))
            break;
    }
    printf("floor %zu KiB, left %zu KiB\n", floor >> 10, left >> 10);
    CHECK(left <= floor + floor / 20 + (2 << 20));
    for (size_t i = 0; i < block_count; i += 20)
        CHECK(((char *)blocks[i])[1023] == 1);
}

int main(void) {
    blocks = malloc(BLOCKS_MAX * sizeof *blocks);
    CHECK(blocks);
    memset(blocks, 0, BLOCKS_MAX * sizeof *blocks); /* ours, and resident before and after */
    RUN(idle_resident_pages_inside_slabs); /* first: nothing else has started the scavenger's thread */
    RUN(idle_resident_freed_by_owner);
    RUN(idle_resident_freed_by_others_while_owner_sleeps);
    RUN(idle_resident_owner_frees_some_and_sleeps);
    RUN(idle_resident_owner_has_ended);
    return 0;
}
