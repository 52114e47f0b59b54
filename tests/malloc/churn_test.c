/* SPDX-License-Identifier: MIT */
/*
 * A cache whose objects come and go while its size stands still keeps the pages that it churns: memory that
 * is free for a moment is not idle. Once nothing happens any more, it goes.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "../lib/check.h"
#include "../lib/resident.h"

#define THREADS 2
#define RING ((size_t)1 << 17)
#define LIVE_BYTES ((size_t)64 << 20)
#define WARM_UP 150000
#define CHURNS 3000000
#define PART 200 /* of the bytes that are replaced, at most this part may lie in pages that had gone */

static size_t *objects[RING]; /* each begins with its size */
static size_t newest, oldest, live_bytes;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_barrier_t is_warm;
static _Atomic size_t churned_bytes;

/* A kilobyte and a half in the middle, twice as much or half with each turn of a coin, 16 times. */
static size_t size_of_object(uint64_t *random) {
    int heads = __builtin_popcountll(check_random(random) & 0xffff);
    return ((size_t)1536 << heads >> 8) + check_random(random) % 64;
}

static void put(size_t *object) {
    objects[newest++ % RING] = object;
    CHECK(newest - oldest < RING);
}

/* The oldest objects, which another thread may have made, make room for a new one. One in four, by its size,
 * is in demand, and mostly stays. */
static size_t replace(uint64_t *random) {
    size_t bytes = size_of_object(random) + sizeof(size_t), *object = malloc(bytes);
    CHECK(object);
    memset(object, 1, bytes);
    *object = bytes;
    pthread_mutex_lock(&lock);
    put(object);
    live_bytes += bytes;
    while (live_bytes > LIVE_BYTES) {
        object = objects[oldest++ % RING];
        if (*object % 4 == 0 && check_random(random) % 32)
            put(object);
        else {
            live_bytes -= *object;
            free(object);
        }
    }
    pthread_mutex_unlock(&lock);
    return bytes;
}

static void *work(void *seed) {
    uint64_t random = (uintptr_t)seed;
    size_t bytes = 0;
    for (size_t i = 0; i < WARM_UP / THREADS; i++)
        replace(&random);
    pthread_barrier_wait(&is_warm);
    for (size_t i = 0; i < CHURNS / THREADS; i++)
        bytes += replace(&random);
    atomic_fetch_add(&churned_bytes, bytes);
    return NULL;
}

static size_t faults(void) {
    struct rusage usage;
    CHECK_EQUAL(getrusage(RUSAGE_SELF, &usage), 0);
    return (size_t)usage.ru_minflt;
}

static void churn_keeps_its_pages(void) {
    pthread_t threads[THREADS];
    CHECK_EQUAL(pthread_barrier_init(&is_warm, NULL, THREADS + 1), 0);
    for (size_t i = 0; i < THREADS; i++)
        CHECK_EQUAL(pthread_create(&threads[i], NULL, work, (void *)(i + 1)), 0);
    pthread_barrier_wait(&is_warm);
    size_t before = faults();
    for (size_t i = 0; i < THREADS; i++)
        CHECK_EQUAL(pthread_join(threads[i], NULL), 0);
    size_t came = (faults() - before) * (size_t)sysconf(_SC_PAGESIZE);
    printf("replaced %zu MiB, in pages that had gone %zu MiB\n", churned_bytes >> 20, came >> 20);
    CHECK(came < churned_bytes / PART);
}

/* Of every sixteen objects one lives on. (It takes up to ten seconds, if it was given back in vain
 * before.) */
static void churn_ends_and_memory_goes(void) {
    size_t base = resident_bytes(), left = base;
    for (; oldest < newest; oldest++)
        if (oldest % 16)
            free(objects[oldest % RING]);
    for (int tenths = 0; tenths < 150 && left > base / 3; tenths++) {
        rest_ms(100);
        left = resident_bytes();
    }
    printf("resident %zu MiB, left %zu MiB\n", base >> 20, left >> 20);
    CHECK(left <= base / 3);
}

int main(void) {
    RUN(churn_keeps_its_pages);
    RUN(churn_ends_and_memory_goes);
    return 0;
}
