/* SPDX-License-Identifier: MIT */
/*
 * check.h: what every test program needs. A test is a function; a program runs its tests in order and prints
 * a line for each. The first failed check ends the program with the place and the values.
 */
#ifndef CHECK_H
#define CHECK_H

#include <errno.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define CHECK(condition)                                                            \
    do {                                                                            \
        if (!(condition)) {                                                         \
            fprintf(stderr, "%s:%d: failed: %s\n", __FILE__, __LINE__, #condition); \
            exit(1);                                                                \
        }                                                                           \
    } while (0)

#define CHECK_EQUAL(got, wanted)                                                                      \
    do {                                                                                              \
        uintmax_t got_ = (uintmax_t)(got), wanted_ = (uintmax_t)(wanted);                             \
        if (got_ != wanted_) {                                                                        \
            fprintf(stderr,                                                                           \
                    "%s:%d: failed: %s is %" PRIuMAX " (0x%" PRIxMAX "), wanted %s = %" PRIuMAX "\n", \
                    __FILE__, __LINE__, #got, got_, got_, #wanted, wanted_);                          \
            exit(1);                                                                                  \
        }                                                                                             \
    } while (0)

/* Of a call that gives a pointer: it fails as one without memory does. */
#define CHECK_NO_MEMORY(call)       \
    do {                            \
        errno = 0;                  \
        CHECK(!(call));             \
        CHECK_EQUAL(errno, ENOMEM); \
    } while (0)

#define RUN(test)                 \
    do {                          \
        test();                   \
        printf("ok %s\n", #test); \
        fflush(stdout);           \
    } while (0)

/* A small generator (splitmix64), so that a printed seed repeats a run. */
static inline uint64_t check_random(uint64_t *state) {
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* The seed of a run: argument 1, or the environment's CHECK_SEED, or a fixed one. Printed. */
static inline uint64_t check_seed(int argc, char **argv) {
    const char *text = argc > 1 ? argv[1] : getenv("CHECK_SEED");
    uint64_t seed = text ? strtoull(text, NULL, 0) : 20261123;
    printf("seed %" PRIu64 "\n", seed);
    return seed;
}

#endif
