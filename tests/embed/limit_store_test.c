/* SPDX-License-Identifier: MIT */
/*
 * A document store: four threads put values of 100 bytes to 40 KiB into one arena and evict when they are
 * refused, all at the same time. (One after the other, against a model: limit_model_test.) A thread is never
 * refused while it holds far less than its share, whatever the others hold in their hands; and when all is
 * evicted, the next one has the whole arena.
 *
 * Usage: limit_store_test [VALUES]    by thread
 */
#include <pthread.h>
#include <string.h>

#include "../lib/check.h"
#include "../lib/reading.h"
#include "fallow/fallow.h"
#include "fallow/osmem.h"

#define THREADS 4
#define LIMIT ((size_t)32 << 20)
#define VALUES_MAX 65536

static size_t values = 10000; /* by thread */
static fallow_arena *arena;
static _Atomic size_t live[THREADS]; /* bytes that each thread's values may hold */

typedef struct store {
    unsigned number;
    uint64_t random;
    struct value {
        unsigned char *start;
        size_t bytes;
    } values[VALUES_MAX];
    size_t oldest, count, evicted;
} store;

static store stores[THREADS];

static size_t value_bytes(store *it) {
    size_t bytes = (size_t)100 << check_random(&it->random) % 9;
    return bytes + (size_t)check_random(&it->random) % bytes > 40960 ? 40960 : bytes;
}

static void evict(store *it) {
    struct value *value = &it->values[it->oldest++ % VALUES_MAX];
    CHECK_EQUAL(value->start[0], it->number);
    CHECK_EQUAL(value->start[value->bytes - 1], it->number);
    live[it->number] -= fallow_arena_usable_bytes(value->start);
    fallow_arena_free(arena, value->start);
    it->count--;
    it->evicted++;
}

static size_t live_of_all(void) {
    size_t all = 0;
    for (int i = 0; i < THREADS; i++)
        all += live[i];
    return all;
}

/* Blocks of dead neighbours hold pages back that live ones lie in; but not nine tenths of the arena. */
static void put(store *it) {
    size_t bytes = value_bytes(it);
    unsigned char *start;
    while (!(start = fallow_arena_alloc(arena, bytes))) {
        CHECK(it->count > 0);
        CHECK(live_of_all() >= LIMIT / 10);
        evict(it);
    }
    memset(start, (int)it->number, bytes);
    it->values[(it->oldest + it->count++) % VALUES_MAX] = (struct value){start, bytes};
    live[it->number] += fallow_arena_usable_bytes(start);
    while (live[it->number] > LIMIT / THREADS || it->count == VALUES_MAX)
        evict(it); /* its own share, so that nobody starves by the others' greed */
}

static void *serve(void *argument) {
    store *it = argument;
    for (size_t step = 0; step < values; step++)
        put(it);
    return NULL;
}

static void limit_serves_a_document_store(void) {
    pthread_t threads[THREADS];
    arena = fallow_arena_create("store", LIMIT);
    for (unsigned i = 0; i < THREADS; i++) {
        stores[i] = (store){.number = i, .random = i};
        CHECK_EQUAL(pthread_create(&threads[i], NULL, serve, &stores[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++)
        CHECK_EQUAL(pthread_join(threads[i], NULL), 0);
    fallow_arena_figures full = arena_figures(arena);
    CHECK(full.ready_bytes <= LIMIT);
    printf("# %zu MiB in values, %zu MiB Ready, %llu requests refused\n", live_of_all() >> 20,
           full.ready_bytes >> 20, (unsigned long long)full.refusals);
    for (unsigned i = 0; i < THREADS; i++)
        while (stores[i].count)
            evict(&stores[i]);
    char *all = fallow_arena_alloc(arena, LIMIT);
    CHECK(all);
    all[LIMIT - 1] = 1;
    fallow_arena_destroy(arena);
}

int main(int argc, char **argv) {
    values = argc > 1 ? strtoull(argv[1], NULL, 10) : values;
    RUN(limit_serves_a_document_store);
    return 0;
}
