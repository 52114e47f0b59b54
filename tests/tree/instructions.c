/* SPDX-License-Identifier: MIT */
/* Does one operation so many times; two runs under callgrind differ by what it costs. See
 * instructions_test.sh. */
#include <pthread.h>
#include <stdlib.h>

static void *volatile sink;

/* A thread's life: 200 blocks of 16 to 496 bytes, of which five outlive it, for two hundred lives. */
static void *survivors[1000];
static size_t left;

static void *life(void *unused) {
    (void)unused;
    char *mine[200];
    for (size_t i = 0; i < 200; i++)
        mine[i] = malloc(16 + i * 7 % 31 * 16);
    for (size_t i = 0; i < 200; i++)
        if (i % 40 == 7) {
            free(survivors[left]);
            survivors[left] = mine[i];
            left = (left + 1) % 1000;
        } else
            free(mine[i]);
    return NULL;
}

static void live_and_end(void) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, life, NULL) || pthread_join(thread, NULL))
        abort();
}

int main(int argc, char **argv) {
    if (argc != 3)
        return 2;
    /* A digit, so that choosing costs the same for all: 0 nothing, 1 malloc and free, 2 calloc and free, 3
     * realloc, 4 a thread's life, 5 aligned_alloc and free. */
    int operation = atoi(argv[1]);
    long n = atol(argv[2]);
    char *grown = malloc(64);
    for (long i = 0; i < 100; i++) /* warm */
        free(sink = malloc(64));
    if (operation == 1)
        for (long i = 0; i < n; i++)
            free(sink = malloc(64));
    if (operation == 2)
        for (long i = 0; i < n; i++)
            free(sink = calloc(1, 64));
    if (operation == 3)
        for (long i = 0; i < n; i++)
            sink = grown = realloc(grown, 50 + (size_t)i % 8);
    if (operation == 4)
        for (long i = 0; i < n; i++)
            live_and_end();
    if (operation == 5)
        for (long i = 0; i < n; i++)
            free(sink = aligned_alloc(64, 192));
    free(grown);
    return 0;
}
