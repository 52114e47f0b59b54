/* SPDX-License-Identifier: MIT */
/* Blocks that travel between threads: what others free comes back to be used, whoever sleeps, ends, or never
 * allocates. */
#include <pthread.h>
#include <string.h>

#include "../lib/check.h"
#include "../lib/resident.h"

#define MIB ((size_t)1 << 20)
#define COUNT 100000
#define BYTES ((size_t)200)

static char *blocks[COUNT];

static void fill_all(void) {
    for (size_t i = 0; i < COUNT; i++) {
        blocks[i] = malloc(BYTES);
        CHECK(blocks[i]);
        memset(blocks[i], (int)(i & 0xff), BYTES);
    }
}

static void free_all(void) {
    for (size_t i = 0; i < COUNT; i++) {
        CHECK_EQUAL((unsigned char)blocks[i][BYTES - 1], i & 0xff);
        free(blocks[i]);
    }
}

static void *free_all_of_them(void *unused) {
    (void)unused;
    free_all();
    return NULL;
}

static void in_a_thread(void *(*body)(void *), void *argument) {
    pthread_t thread;
    CHECK_EQUAL(pthread_create(&thread, NULL, body, argument), 0);
    CHECK_EQUAL(pthread_join(thread, NULL), 0);
}

/* (mimalloc issue 1364: such memory was not used again.) */
static void frees_by_a_thread_that_never_allocates(void) {
    fill_all();
    size_t once = resident_bytes();
    for (int round = 0; round < 10; round++) {
        in_a_thread(free_all_of_them, NULL);
        fill_all();
    }
    CHECK(resident_bytes() <= once + 2 * MIB);
    free_all();
}

/* One block is freed in a full slab and one is allocated, over and over, all over the heap: the block that
 * was freed is what is found, not new memory. */
static void frees_alternating_on_full_slabs(void) {
    uint64_t random = 3;
    fill_all();
    size_t once = resident_bytes();
    for (int i = 0; i < 1000000; i++) {
        size_t k = check_random(&random) % COUNT;
        CHECK_EQUAL((unsigned char)blocks[k][0], k & 0xff);
        free(blocks[k]);
        blocks[k] = malloc(BYTES);
        memset(blocks[k], (int)(k & 0xff), BYTES);
    }
    CHECK(resident_bytes() <= once + 3 * MIB); /* with a huge page, if there is one where it grows */
    free_all();
}

/* The owner ends while another thread is freeing to it. */
#define HANDED 2000
static void *handed[HANDED];
static pthread_barrier_t begun;

static void *allocate_and_end(void *unused) {
    (void)unused;
    for (size_t i = 0; i < HANDED; i++) {
        handed[i] = malloc(16 + i % 700);
        CHECK(handed[i]);
        memset(handed[i], (int)(i & 0xff), 16);
    }
    pthread_barrier_wait(&begun);
    return NULL;
}

static void frees_to_a_thread_that_ends(void) {
    size_t early = 0;
    CHECK_EQUAL(pthread_barrier_init(&begun, NULL, 2), 0);
    for (int round = 0; round < 1000; round++) {
        pthread_t owner;
        CHECK_EQUAL(pthread_create(&owner, NULL, allocate_and_end, NULL), 0);
        pthread_barrier_wait(&begun);
        for (size_t i = 0; i < HANDED; i++) {
            CHECK_EQUAL(((unsigned char *)handed[i])[15], i & 0xff);
            free(handed[i]);
        }
        CHECK_EQUAL(pthread_join(owner, NULL), 0);
        if (round == 100)
            early = resident_bytes();
    }
    CHECK(resident_bytes() <= early + MIB);
}

/* Each thread leaves some of its blocks to the next. */
static void *left[20];

static void *replace_what_was_left(void *argument) {
    uint64_t random = (uintptr_t)argument;
    for (size_t i = 0; i < 20; i++) {
        free(left[i]);
        left[i] = malloc(16 + check_random(&random) % 3000);
        CHECK(left[i]);
    }
    return NULL;
}

static void frees_left_by_threads_in_sequence(void) {
    size_t early = 0;
    for (uintptr_t thread = 1; thread <= 5000; thread++) {
        in_a_thread(replace_what_was_left, (void *)thread);
        if (thread == 500)
            early = resident_bytes();
    }
    CHECK(resident_bytes() <= early + MIB / 2);
}

int main(void) {
    RUN(frees_by_a_thread_that_never_allocates);
    RUN(frees_alternating_on_full_slabs);
    RUN(frees_to_a_thread_that_ends);
    RUN(frees_left_by_threads_in_sequence);
    return 0;
}
