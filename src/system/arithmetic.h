/* SPDX-License-Identifier: MIT */
/* arithmetic.h: of amounts, which are never below zero; and a hash of numbers. Pure. */
#ifndef FL_ARITHMETIC_H
#define FL_ARITHMETIC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline size_t fl_larger(size_t a, size_t b) {
    return a > b ? a : b;
}

/* By how much an amount exceeds a limit, or what is left of it without a part. */
static inline size_t fl_above(size_t amount, size_t limit) {
    return amount > limit ? amount - limit : 0;
}

static inline bool fl_is_power_of_two(size_t n) {
    return n != 0 && (n & (n - 1)) == 0;
}

/* Sebastiano Vigna's splitmix64: a good hash of a counter that goes up by FL_MIXED_STEP. */
#define FL_MIXED_STEP UINT64_C(0x9e3779b97f4a7c15)

static inline uint64_t fl_mixed(uint64_t counter) {
    counter = (counter ^ (counter >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    counter = (counter ^ (counter >> 27)) * UINT64_C(0x94d049bb133111eb);
    return counter ^ (counter >> 31);
}

#endif
