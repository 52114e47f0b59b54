/* SPDX-License-Identifier: MIT */
#include "chance.h"

#include <stdatomic.h>

#include "../system/arithmetic.h"

#define ONE ((uint64_t)1 << 62) /* the probability 1 */
#define LN2_32 UINT64_C(2977044472)
#define CERTAIN_SHIFT 6 /* beyond 64 times the mean, only e^-64 are not sampled */

typedef unsigned __int128 wide;

static _Atomic uint64_t shared;

static uint64_t next_shared(void) {
    return fl_mixed(atomic_fetch_add_explicit(&shared, FL_MIXED_STEP, memory_order_relaxed));
}

uint64_t fl_chance_seed(void) {
    return next_shared();
}

/* The binary logarithm, in 1/2^32, of a number from 1 to 2 in 1/2^63: squaring a number gives the next digit
 * of its logarithm. */
static uint64_t log2_of(uint64_t number) {
    uint64_t digits = 0;
    for (int i = 0; i < 32; i++) {
        wide square = ((wide)number * number) >> 63;
        bool above = (square >> 64) != 0;
        digits = digits << 1 | above;
        number = (uint64_t)(above ? square >> 1 : square);
    }
    return digits;
}

/* -ln of a random number between 0 and 1, times the mean. */
uint64_t fl_chance_gap(uint64_t *state, unsigned shift) {
    uint64_t random = fl_mixed(*state += FL_MIXED_STEP) | 1;
    unsigned zeroes = (unsigned)__builtin_clzll(random);
    uint64_t minus_log2 = ((uint64_t)(zeroes + 1) << 32) - log2_of(random << zeroes);
    return (uint64_t)((((wide)minus_log2 * LN2_32) << shift) >> 64);
}

uint32_t fl_chance_step(uint64_t *state, uint32_t mean) {
    if (mean == 1)
        return 1;
    /* In whole events: half of one less, as it is rounded down. */
    wide steps = 1 + ((wide)fl_chance_gap(state, 32) * (2 * (uint64_t)mean - 1) >> 33);
    return steps < UINT32_MAX ? (uint32_t)steps : UINT32_MAX;
}

static uint64_t times(uint64_t a, uint64_t b) {
    return (uint64_t)(((wide)a * b) >> 62);
}

/* For a small x, 1 - e^-x is a short series; for twice x it follows from q for x: 1 - (1 - q)^2. */
static uint64_t probability(size_t bytes, unsigned shift) {
    if (bytes == 0)
        return 0;
    unsigned length = 64 - (unsigned)__builtin_clzll(bytes);
    if (length > shift + CERTAIN_SHIFT)
        return ONE;
    unsigned doublings = length + 10 > shift ? length + 10 - shift : 0;
    uint64_t x = (uint64_t)bytes << (62 - shift - doublings);
    uint64_t squared = times(x, x), cubed = times(squared, x);
    uint64_t q = x - squared / 2 + cubed / 6 - times(cubed, x) / 24;
    for (; doublings; doublings--)
        q = 2 * q - times(q, q);
    return q;
}

bool fl_chance_hits(size_t bytes, unsigned shift) {
    return next_shared() >> 2 < probability(bytes, shift);
}

uint64_t fl_chance_weight(size_t bytes, unsigned shift) {
    uint64_t q = probability(bytes, shift) >> 15;
    return q ? ((uint64_t)1 << 63) / q : 0;
}
