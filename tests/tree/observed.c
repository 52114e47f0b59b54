/* SPDX-License-Identifier: MIT */
/*
 * observed.c: a program for others to look into: blocks of all sizes, some freed, in malloc's arena and in
 * others; pools; threads that rest or that go on allocating. Says what it has live in arena "known", and
 * waits until it is killed. With a second argument, SIGUSR1 has it write malloc_info into that file.
 */
#include <fallow/fallow.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define THREADS 4
#define SLOTS 4000

static _Atomic int resting;
static int busy;

static size_t next(uint64_t *seed) {
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return (size_t)(*seed >> 33);
}

/* Replaces blocks at random; at last lives on with half of them. */
static void *work(void *number) {
    uint64_t seed = (uint64_t)(size_t)number;
    char **slots = calloc(SLOTS, sizeof *slots);
    fallow_arena *own = fallow_arena_create("a \"thread's\" <own>\n", 0);
    for (size_t i = 0; busy || i < 40000; i++) {
        size_t slot = next(&seed) % SLOTS;
        size_t bytes = next(&seed) % 64 ? next(&seed) % 3000 : next(&seed) % 400000;
        free(slots[slot]);
        slots[slot] = malloc(bytes + 1);
        memset(slots[slot], 1, bytes + 1);
        if (i % 16 == 0)
            fallow_arena_free(own, fallow_arena_alloc(own, bytes));
        if (busy && i % 20000 == 0) {
            fallow_arena_destroy(own);
            own = fallow_arena_create("again", 64 << 20);
        }
    }
    for (size_t i = 0; i < SLOTS; i += 2)
        free(slots[i]);
    resting++;
    for (;;)
        pause();
    return NULL;
}

int main(int count, char **arguments) {
    busy = count > 1 && !strcmp(arguments[1], "busy");
    sigset_t asked;
    sigemptyset(&asked);
    sigaddset(&asked, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &asked, NULL);
    fallow_arena *known = fallow_arena_create_sized(
        &(fallow_arena_options){.name = "known", .limit_bytes = 256 << 20}, sizeof(fallow_arena_options));
    fallow_pool *pool = fallow_pool_create(known);
    size_t blocks = 0, bytes = 0;
    for (size_t i = 0; i < 20000; i++) {
        char *block = fallow_arena_alloc(known, i % 1000 ? 100 : 1000000),
             *other = fallow_arena_alloc(known, 100);
        blocks++;
        bytes += fallow_arena_usable_bytes(block);
        memset(block, 1, 100);
        fallow_arena_free(known, other);
    }
    memset(fallow_pool_alloc(pool, 3000000), 1, 3000000);
    pthread_t threads[THREADS];
    for (size_t i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, work, (void *)(i + 1));
    while (!busy && resting < THREADS)
        usleep(1000);
    printf("live_bytes=%zu live_blocks=%zu\n", bytes, blocks);
    fflush(stdout);
    for (int number; sigwait(&asked, &number) == 0 && count > 2;) {
        FILE *to = fopen(arguments[2], "w");
        if (!to || malloc_info(0, to) != 0)
            return 1;
        fclose(to);
    }
    return 1; /* asked, and nowhere to write to */
}
