/* SPDX-License-Identifier: MIT */
/*
 * A request at the process's limit, while another thread gives back what is idle in another arena: there is
 * room for it, now or in a moment, and it is not refused.
 *
 * Usage: limit_race_test [ROUNDS]
 */
#include <pthread.h>
#include <string.h>

#include "../lib/check.h"
#include "../lib/reading.h"
#include "fallow/fallow.h"

#define BYTES ((size_t)2 << 20)

static int rounds = 1000;
static pthread_barrier_t both;

static void *give_back(void *unused) {
    (void)unused;
    for (int round = 0; round < rounds; round++) {
        pthread_barrier_wait(&both);
        fallow_give_back();
        pthread_barrier_wait(&both);
    }
    return NULL;
}

static void limit_counts_nothing_that_is_on_its_way(void) {
    pthread_t thread;
    uint64_t random = 1;
    fallow_arena *idle = fallow_arena_create("idle", 0), *asks = fallow_arena_create("asks", 0);
    CHECK(idle && asks);
    CHECK_EQUAL(pthread_barrier_init(&both, NULL, 2), 0);
    CHECK_EQUAL(pthread_create(&thread, NULL, give_back, NULL), 0);
    for (int round = 0; round < rounds; round++) {
        fallow_set_limits(0, 0);
        fallow_give_back();
        char *block = fallow_arena_alloc(idle, BYTES);
        CHECK(block);
        memset(block, 1, BYTES);
        fallow_arena_free(idle, block);
        fallow_set_limits(0, process_figures().ready_bytes + BYTES / 2);
        pthread_barrier_wait(&both);
        for (volatile uint64_t wait = check_random(&random) % 200000; wait > 0; wait = wait - 1)
            ;
        block = fallow_arena_alloc(asks, BYTES);
        pthread_barrier_wait(&both);
        CHECK(block);
        fallow_arena_free(asks, block);
    }
    CHECK_EQUAL(pthread_join(thread, NULL), 0);
    fallow_set_limits(0, 0);
    fallow_arena_destroy(idle);
    fallow_arena_destroy(asks);
}

int main(int argc, char **argv) {
    if (argc > 1)
        rounds = atoi(argv[1]);
    CHECK(rounds > 0);
    RUN(limit_counts_nothing_that_is_on_its_way);
    return 0;
}
