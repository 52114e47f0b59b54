/* SPDX-License-Identifier: MIT */
/*
 * What threads keep that sleep: they have allocated in every size class and freed nearly all of it. After
 * some ticks no more of it is resident than the OS pages that hold a live block, and 64 KiB for each thread;
 * also if the ticks first found them in the middle of an operation.
 * Where huge pages come by themselves, the last one that an arena has grown into is resident as a whole,
 * though no more than its first pages were ever granted.
 */
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "../lib/check.h"
#include "../lib/reading.h"
#include "../lib/resident.h"
#include "fallow/fallow.h"
#include "fallow/osmem.h"

#define THREADS 16
#define SIZES 60
#define BLOCKS 40 /* of each size */

static fallow_arena *arena;
static pthread_barrier_t allocated, looked;
static char *kept[THREADS][SIZES];

static size_t size_of(int i) {
    return (size_t)16 << i / 6 | ((size_t)16 << i / 6) / 6 * (size_t)(i % 6);
}

static void *sleeper(void *number) {
    char *blocks[BLOCKS];
    char **mine = kept[(uintptr_t)number];
    for (int i = 0; i < SIZES; i++) {
        for (int k = 0; k < BLOCKS; k++)
            blocks[k] = memset(fallow_arena_alloc(arena, size_of(i)), 1, size_of(i));
        mine[i] = blocks[BLOCKS / 2];
        for (int k = 0; k < BLOCKS; k++)
            if (k != BLOCKS / 2)
                fallow_arena_free(arena, blocks[k]);
    }
    pthread_barrier_wait(&allocated);
    pthread_barrier_wait(&looked);
    for (int i = 0; i < SIZES; i++) {
        CHECK_EQUAL(mine[i][size_of(i) - 1], 1);
        fallow_arena_free(arena, mine[i]);
    }
    return NULL;
}

/* An upper bound: pages that two blocks share count twice. */
static size_t pages_with_live_blocks(void) {
    size_t page = osmem_os_page_bytes(), bytes = 0;
    for (int t = 0; t < THREADS; t++)
        for (int i = 0; i < SIZES; i++) {
            uintptr_t start = (uintptr_t)kept[t][i];
            bytes += ((start + fallow_arena_usable_bytes(kept[t][i]) - 1) / page - start / page + 1) * page;
        }
    return bytes;
}

static size_t brought_by_huge_pages(void) {
    char text[64] = "";
    int file = open("/sys/kernel/mm/transparent_hugepage/enabled", O_RDONLY);
    if (file >= 0) {
        ssize_t length = read(file, text, sizeof text - 1);
        CHECK(length >= 0);
        close(file);
    }
    return strstr(text, "[always]") ? (size_t)2 << 20 : 0;
}

static void sleepers_keep_pages_with_live_blocks(void) {
    pthread_t threads[THREADS];
    arena = fallow_arena_create("sleepers", 0);
    CHECK_EQUAL(pthread_barrier_init(&allocated, NULL, THREADS + 1), 0);
    CHECK_EQUAL(pthread_barrier_init(&looked, NULL, THREADS + 1), 0);
    size_t before = resident_bytes();
    for (uintptr_t i = 0; i < THREADS; i++)
        CHECK_EQUAL(pthread_create(&threads[i], NULL, sleeper, (void *)i), 0);
    pthread_barrier_wait(&allocated);
    size_t allocated_bytes = resident_bytes() - before,
           most = pages_with_live_blocks() + THREADS * ((size_t)64 << 10),
           most_resident = most + brought_by_huge_pages();
    size_t now = 0;
    for (int tick = 0; tick < 1000; tick++) {
        usleep(20000);
        fallow_tick();
        now = resident_bytes() - before;
        if (now <= most_resident && arena_figures(arena).ready_bytes <= most)
            break;
    }
    printf("# %zu KiB resident, %zu after ticks, %zu allowed; %zu Ready\n", allocated_bytes >> 10, now >> 10,
           most_resident >> 10, arena_figures(arena).ready_bytes >> 10);
    if (RESIDENT_IS_OURS) {
        CHECK(allocated_bytes > most_resident);
        CHECK(now <= most_resident);
    }
    CHECK(arena_figures(arena).ready_bytes <= most);
    pthread_barrier_wait(&looked);
    for (int i = 0; i < THREADS; i++)
        CHECK_EQUAL(pthread_join(threads[i], NULL), 0);
    fallow_arena_destroy(arena);
}

#define RUNS 1000
#define RUN_BLOCKS 16
#define STOPS 4 /* some come in the middle of an operation */

static sem_t has_stopped, goes_on;
static _Atomic bool rests;

static void stop_here(int signal) {
    (void)signal;
    sem_post(&has_stopped);
    sem_wait(&goes_on);
}

/* Frees half of what it has, in runs of 16 KiB, and goes on with something else until it rests. */
static void *worker(void *unused) {
    static void *blocks[RUNS * RUN_BLOCKS];
    (void)unused;
    for (int i = 0; i < RUNS * RUN_BLOCKS; i++)
        blocks[i] = memset(fallow_arena_alloc(arena, 1024), 1, 1024);
    for (int i = 0; i < RUNS * RUN_BLOCKS; i++)
        if (i / RUN_BLOCKS % 2)
            fallow_arena_free(arena, blocks[i]);
    pthread_barrier_wait(&allocated);
    while (!rests)
        fallow_arena_free(arena, fallow_arena_alloc(arena, 64));
    pthread_barrier_wait(&looked);
    for (int i = 0; i < RUNS * RUN_BLOCKS; i++)
        if (i / RUN_BLOCKS % 2 == 0)
            fallow_arena_free(arena, blocks[i]);
    return NULL;
}

static void who_is_stopped_inside_is_waited_for(void) {
    pthread_t thread;
    arena = fallow_arena_create("stopped", 0);
    rests = false;
    CHECK_EQUAL(pthread_barrier_init(&allocated, NULL, 2), 0);
    CHECK_EQUAL(pthread_barrier_init(&looked, NULL, 2), 0);
    CHECK_EQUAL(pthread_create(&thread, NULL, worker, NULL), 0);
    pthread_barrier_wait(&allocated);
    CHECK_EQUAL(pthread_kill(thread, SIGUSR1), 0);
    CHECK_EQUAL(sem_wait(&has_stopped), 0);
    for (int tick = 0; tick < 25; tick++) {
        usleep(20000);
        fallow_tick();
    }
    rests = true;
    CHECK_EQUAL(sem_post(&goes_on), 0);
    for (int tick = 0; fallow_tick(); tick++) {
        CHECK(tick < 1000);
        usleep(20000);
    }
    CHECK(arena_figures(arena).ready_bytes < (size_t)RUNS * RUN_BLOCKS * 1024 / 4 * 3);
    pthread_barrier_wait(&looked);
    CHECK_EQUAL(pthread_join(thread, NULL), 0);
    fallow_arena_destroy(arena);
}

static void sleepers_stopped_inside_are_waited_for(void) {
    struct sigaction stops = {.sa_handler = stop_here};
    CHECK_EQUAL(sigaction(SIGUSR1, &stops, NULL), 0);
    CHECK_EQUAL(sem_init(&has_stopped, 0, 0), 0);
    CHECK_EQUAL(sem_init(&goes_on, 0, 0), 0);
    for (int i = 0; i < STOPS; i++)
        who_is_stopped_inside_is_waited_for();
}

int main(void) {
    RUN(sleepers_keep_pages_with_live_blocks);
    RUN(sleepers_stopped_inside_are_waited_for);
    return 0;
}
