/* SPDX-License-Identifier: MIT */
/* arithmetic.h: of amounts, which are never below zero. Pure. */
#ifndef FL_ARITHMETIC_H
#define FL_ARITHMETIC_H

#include <stdbool.h>
#include <stddef.h>

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

#endif
