/* SPDX-License-Identifier: MIT */
#include "pagebits.h"

/* The bits of one word that lie in [first, first + count); count reaches at most to the word's end. */
static uint64_t mask_of(size_t first, size_t count) {
    uint64_t ones = count == 64 ? UINT64_MAX : (UINT64_C(1) << count) - 1;
    return ones << (first % 64);
}

static size_t part_in_word(size_t first, size_t count) {
    size_t to_end = 64 - first % 64;
    return count < to_end ? count : to_end;
}

void fl_pagebits_set(uint64_t *bits, size_t first, size_t count) {
    while (count) {
        size_t part = part_in_word(first, count);
        bits[first / 64] |= mask_of(first, part);
        first += part;
        count -= part;
    }
}

void fl_pagebits_clear(uint64_t *bits, size_t first, size_t count) {
    while (count) {
        size_t part = part_in_word(first, count);
        bits[first / 64] &= ~mask_of(first, part);
        first += part;
        count -= part;
    }
}

size_t fl_pagebits_count(const uint64_t *bits, size_t first, size_t count) {
    size_t set = 0;
    while (count) {
        size_t part = part_in_word(first, count);
        set += (size_t)__builtin_popcountll(bits[first / 64] & mask_of(first, part));
        first += part;
        count -= part;
    }
    return set;
}

/* flip is all ones to look for clear bits, 0 to look for set ones. */
static size_t next(const uint64_t *bits, size_t first, size_t limit, uint64_t flip) {
    while (first < limit) {
        uint64_t word = (bits[first / 64] ^ flip) >> (first % 64);
        if (word) {
            first += (size_t)__builtin_ctzll(word);
            return first < limit ? first : limit;
        }
        first = (first / 64 + 1) * 64;
    }
    return limit;
}

size_t fl_pagebits_next_set(const uint64_t *bits, size_t first, size_t limit) {
    return next(bits, first, limit, 0);
}

size_t fl_pagebits_next_clear(const uint64_t *bits, size_t first, size_t limit) {
    return next(bits, first, limit, UINT64_MAX);
}

size_t fl_pagebits_find(const uint64_t *bits, size_t limit, size_t count, size_t alignment) {
    size_t first = 0;
    for (;;) {
        first = fl_pagebits_next_clear(bits, first, limit);
        first = (first + alignment - 1) & ~(alignment - 1);
        if (first > limit || limit - first < count)
            return FL_PAGEBITS_NONE;
        size_t obstacle = fl_pagebits_next_set(bits, first, first + count);
        if (obstacle == first + count)
            return first;
        first = obstacle + 1;
    }
}

static uint32_t larger(uint32_t a, uint32_t b) {
    return a > b ? a : b;
}

fl_runs fl_pagebits_runs(const uint64_t *bits, size_t limit) {
    fl_runs runs = {0, 0, 0};
    for (size_t end = 0; end < limit;) {
        size_t first = fl_pagebits_next_clear(bits, end, limit);
        end = fl_pagebits_next_set(bits, first, limit);
        uint32_t run = (uint32_t)(end - first);
        if (first == 0)
            runs.first = run;
        runs.longest = larger(runs.longest, run);
        runs.last = end == limit ? run : 0;
    }
    return runs;
}

fl_runs fl_runs_join(const fl_runs *parts, size_t count, size_t width) {
    fl_runs runs = {0, 0, 0};
    for (size_t i = 0; i < count; i++) {
        const fl_runs *part = &parts[i];
        runs.longest = larger(runs.longest, larger(part->longest, runs.last + part->first));
        if (runs.first == i * width)
            runs.first += part->first;
        runs.last = part->first == width ? runs.last + (uint32_t)width : part->last;
    }
    return runs;
}
