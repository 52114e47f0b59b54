/* SPDX-License-Identifier: MIT */
/*
 * pagebits.h: arithmetic on bitmaps with one bit for each page. Pure: no state, no locks, no memory of its
 * own. Bit i is bit (i % 64) of word (i / 64). Ranges are [first, first + count).
 */
#ifndef FL_PAGEBITS_H
#define FL_PAGEBITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FL_PAGEBITS_NONE SIZE_MAX

/* The clear bits of a range, summed up: how many at its start, the longest run, how many at its end. */
typedef struct fl_runs {
    uint32_t first, longest, last;
} fl_runs;

void fl_pagebits_set(uint64_t *bits, size_t first, size_t count);
void fl_pagebits_clear(uint64_t *bits, size_t first, size_t count);

size_t fl_pagebits_count(const uint64_t *bits, size_t first, size_t count);

/* Return the first set (clear) bit at or after first, or limit if there is none below it. */
size_t fl_pagebits_next_set(const uint64_t *bits, size_t first, size_t limit);
size_t fl_pagebits_next_clear(const uint64_t *bits, size_t first, size_t limit);

/* Returns the start of the lowest run of count clear bits below limit that starts at a multiple of alignment
 * (a power of two), or FL_PAGEBITS_NONE. count is at least 1. */
size_t fl_pagebits_find(const uint64_t *bits, size_t limit, size_t count, size_t alignment);

/* Sums up the clear bits in [0, limit). */
fl_runs fl_pagebits_runs(const uint64_t *bits, size_t limit);

/* Sums up what `count` parts of `width` bits each make together. */
fl_runs fl_runs_join(const fl_runs *parts, size_t count, size_t width);

#endif
