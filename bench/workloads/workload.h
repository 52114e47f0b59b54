/* SPDX-License-Identifier: MIT */
/*
 * workload.h: what every workload needs: arguments, a generator, blocks that check their own contents,
 * threads, and the one line at the end. A workload does a fixed amount of work, so that its time is its
 * figure; it never asks which allocator serves it.
 *
 *     NAME KEY=VALUE...        each workload's head names its keys; seed=1 and threads=2 are common to all
 */
#ifndef WORKLOAD_H
#define WORKLOAD_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define THREADS_MAX 64

static char **arguments;

static inline void fail(const char *what) {
    fprintf(stderr, "workload: %s\n", what);
    exit(1);
}

/* The number behind KEY=; with k or m for powers of 1024. */
static inline size_t argument(const char *key, size_t usual) {
    size_t length = strlen(key);
    for (char **it = arguments; *it; it++)
        if (!strncmp(*it, key, length) && (*it)[length] == '=') {
            char *end;
            size_t value = strtoull(*it + length + 1, &end, 10);
            return *end == 'k' ? value << 10 : *end == 'm' ? value << 20 : value;
        }
    return usual;
}

/* splitmix64: fast, and the same everywhere. */
static inline uint64_t next_random(uint64_t *state) {
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static inline size_t random_below(uint64_t *state, size_t limit) {
    return (size_t)(((next_random(state) >> 32) * limit) >> 32);
}

/* As many sizes in each doubling from min to max. */
static inline size_t log_uniform(uint64_t *state, size_t min, size_t max) {
    unsigned low = 63 - (unsigned)__builtin_clzll(min), high = 63 - (unsigned)__builtin_clzll(max);
    unsigned bits = low + (unsigned)random_below(state, high - low + 1);
    size_t bytes = ((size_t)1 << bits) + random_below(state, (size_t)1 << bits);
    return bytes < min ? min : bytes > max ? max : bytes;
}

/* A Pareto distribution of sizes from 16 bytes (shape 1.1), as measured of programs again and again: most are
 * small, and the few large ones hold much of the memory. */
static inline size_t pareto(uint64_t *state, size_t max) {
    uint64_t u = (next_random(state) >> 40) + 1; /* 1 .. 2^24 */
    uint64_t bytes = 16 * ((UINT64_C(1) << 24) / u);
    return bytes > max ? max : (size_t)bytes;
}

/*
 * Blocks of at least 16 bytes know their size and check it when they go; of large ones each page is touched,
 * as a program would.
 */
static inline void mark(char *block, size_t bytes) {
    memcpy(block, &bytes, sizeof bytes);
    for (size_t at = 4096; at < bytes; at += 4096)
        block[at] = (char)(bytes + at / 4096);
    block[bytes - 1] = (char)bytes;
}

static inline size_t verified(const char *block) {
    size_t bytes;
    memcpy(&bytes, block, sizeof bytes);
    if (block[bytes - 1] != (char)bytes)
        fail("a block's last byte is not what was written");
    for (size_t at = 4096; at + 1 < bytes; at += 4096)
        if (block[at] != (char)(bytes + at / 4096))
            fail("a block's contents are not what was written");
    return bytes;
}

static inline void *take(size_t bytes) {
    bytes = bytes < 16 ? 16 : bytes;
    char *block = malloc(bytes);
    if (!block)
        fail("out of memory");
    mark(block, bytes);
    return block;
}

static inline void drop(void *block) {
    if (block) {
        verified(block);
        free(block);
    }
}

static inline void start_threads(pthread_t *threads, size_t count, void *(*body)(void *)) {
    for (size_t i = 0; i < count; i++)
        if (pthread_create(&threads[i], NULL, body, (void *)i))
            fail("no thread");
}

static inline void join_threads(pthread_t *threads, size_t count) {
    for (size_t i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
}

static inline void run_threads(size_t count, void *(*body)(void *)) {
    pthread_t threads[THREADS_MAX];
    start_threads(threads, count, body);
    join_threads(threads, count);
}

static struct timespec started;

static inline void begin(char **argv) {
    arguments = argv + 1;
    clock_gettime(CLOCK_MONOTONIC, &started);
}

/* A figure of the workload's own, besides those that the kernel has of every process: tools/compare shows it
 * by row. */
static inline void say_figure(const char *name, double value) {
    printf("figure %s %.6g\n", name, value);
}

static inline int finish(size_t operations, size_t live_bytes) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    double seconds = (double)(now.tv_sec - started.tv_sec) + (double)(now.tv_nsec - started.tv_nsec) / 1e9;
    printf("operations %zu seconds %.6f per_second %.0f live_bytes %zu\n", operations, seconds,
           (double)operations / seconds, live_bytes);
    return 0;
}

#endif
