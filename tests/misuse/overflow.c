/* SPDX-License-Identifier: MIT */
/* overflow.c: writes behind the end of a block, and before its start. glibc finds what hits the sizes between
 * blocks, once it looks at them; allocators whose blocks lie bare find what hits free ones; guard pages, what
 * leaves a large one. */
#include "misuse.h"

static char *write_behind(char *block, size_t extent) {
    memset(block + usable(block), 'y', extent);
    return block;
}

static void into_a_live_one(size_t bytes, size_t extent) {
    char *block = filled(bytes), *next = filled(bytes);
    others(bytes, 1);
    write_behind(block, extent);
    free(next);
    free(block);
    goes_on(bytes);
}

static void into_a_live_one_that_is_resized(size_t bytes, size_t extent) {
    char *block = filled(bytes), *next = filled(bytes);
    others(bytes, 1);
    write_behind(block, extent);
    next = unknown(realloc(next, bytes * 4));
    free(next);
    goes_on(bytes);
}

static void into_a_free_one(size_t bytes, size_t extent) {
    char *block = filled(bytes), *next = filled(bytes);
    others(bytes, 1);
    free(next);
    write_behind(block, extent);
    goes_on(bytes);
}

static void into_a_free_one_then_freed(size_t bytes, size_t extent) {
    char *block = filled(bytes), *next = filled(bytes);
    others(bytes, 1);
    free(next);
    write_behind(block, extent);
    free(block);
}

/* A program's first block of a size, and nobody has had what lies behind it. */
static void into_what_is_new(size_t bytes, size_t extent) {
    char *block = filled(bytes);
    write_behind(block, extent);
    goes_on(bytes);
    free(block);
}

static void by_one_zero(size_t bytes, size_t extent) {
    char *block = filled(bytes), *next = filled(bytes);
    others(bytes, 1);
    if (extent)
        free(next);
    block[usable(block)] = '\0';
    if (!extent)
        free(next);
    free(block);
    goes_on(bytes);
}

static void of_one_in_an_array(size_t bytes, size_t extent) {
    char *blocks[64];
    for (size_t i = 0; i < 64; i++)
        blocks[i] = filled(bytes);
    for (size_t i = 0; i < 64; i += 2)
        free(blocks[i]);
    write_behind(blocks[31], extent);
    for (size_t i = 0; i < 64; i++)
        filled(bytes);
}

static void off_a_large_one(size_t bytes, size_t extent) {
    char *block = filled(bytes);
    write_behind(block, extent);
    free(block);
}

static void off_a_large_one_into_another(size_t bytes, size_t extent) {
    char *lower = filled(bytes), *upper = filled(bytes);
    if (upper < lower) {
        char *swapped = lower;
        lower = upper;
        upper = swapped;
    }
    write_behind(lower, extent);
    free(upper);
    free(lower);
}

static void of_an_aligned_one(size_t bytes, size_t extent) {
    char *block = unknown(memalign(256, bytes)), *next = unknown(memalign(256, bytes));
    free(next);
    write_behind(block, extent);
    next = unknown(memalign(256, bytes));
    free(block);
    free(next);
    goes_on(bytes);
}

/* The lowest of many blocks, which fill twice the extent from there on, or the highest, and no later call of
 * malloc's or free's that could look at what was done. */
static char *at_an_end_of_many(size_t bytes, size_t extent, bool lowest) {
    char *end = NULL;
    for (size_t i = 0; i < 2 * extent / bytes; i++) {
        char *block = filled(bytes);
        end = !end || (block < end) == lowest ? block : end;
    }
    return end;
}

static void runs_on_through_live_ones(size_t bytes, size_t extent) {
    memset(at_an_end_of_many(bytes, extent, true), 'y', extent);
    _exit(0);
}

static void reads_on_through_live_ones(size_t bytes, size_t extent) {
    char *block = at_an_end_of_many(bytes, extent, true);
    for (size_t i = 0; i < extent; i++)
        use(block + i);
    _exit(0);
}

static const misuse cases[] = {
    CASE(runs_on_through_live_ones, 100, 6 * MiB),
    CASE(runs_on_through_live_ones, 1000, 6 * MiB),
    CASE(runs_on_through_live_ones, 5000, 7 * MiB),
    CASE(reads_on_through_live_ones, 40, 6 * MiB),
    CASE(reads_on_through_live_ones, 1000, 6 * MiB),
    CASE(reads_on_through_live_ones, 3000, 7 * MiB),
    CASE(into_a_live_one, 24, 1),
    CASE(into_a_live_one, 24, 8),
    CASE(into_a_live_one, 24, 16),
    CASE(into_a_live_one, 100, 8),
    CASE(into_a_live_one, 100, 16),
    CASE(into_a_live_one, 100, 64),
    CASE(into_a_live_one, 1000, 16),
    CASE(into_a_live_one, 1000, 4096),
    CASE(into_a_live_one_that_is_resized, 24, 16),
    CASE(into_a_live_one_that_is_resized, 1000, 16),
    CASE(into_a_free_one, 24, 1),
    CASE(into_a_free_one, 24, 8),
    CASE(into_a_free_one, 24, 64),
    CASE(into_a_free_one, 100, 1),
    CASE(into_a_free_one, 100, 16),
    CASE(into_a_free_one, 100, 64),
    CASE(into_a_free_one, 1000, 8),
    CASE(into_a_free_one, 1000, 16),
    CASE(into_a_free_one, 5000, 16),
    CASE(into_a_free_one, 5000, 4096),
    CASE(into_a_free_one_then_freed, 100, 16),
    CASE(into_a_free_one_then_freed, 1000, 16),
    CASE(into_what_is_new, 40, 8),
    CASE(into_what_is_new, 100, 16),
    CASE(into_what_is_new, 1000, 64),
    CASE(into_what_is_new, 5000, 16),
    CASE(by_one_zero, 24, 0),
    CASE(by_one_zero, 24, 1),
    CASE(by_one_zero, 1000, 1),
    CASE(of_one_in_an_array, 48, 16),
    CASE(of_one_in_an_array, 200, 64),
    CASE(of_one_in_an_array, 3000, 16),
    CASE(of_an_aligned_one, 512, 16),
    CASE(off_a_large_one, 300000, 16),
    CASE(off_a_large_one, 300000, 65536),
    CASE(off_a_large_one, 300000, 16 * MiB),
    CASE(off_a_large_one_into_another, 300000, 16),
    CASE(off_a_large_one_into_another, 300000, 4096),
};

const misuse_kind overflows = KIND("overflow", cases);

static void before_a_live_one(size_t bytes, size_t extent) {
    others(bytes, 1);
    char *block = filled(bytes);
    others(bytes, 1);
    memset(block - extent, 'y', extent);
    free(block);
    goes_on(bytes);
}

static void with_a_free_one_before(size_t bytes, size_t extent) {
    char *previous = filled(bytes), *block = filled(bytes);
    others(bytes, 1);
    free(previous);
    memset(block - extent, 'y', extent);
    free(block);
    goes_on(bytes);
}

static void of_the_first(size_t bytes, size_t extent) {
    char *block = filled(bytes);
    memset(block - extent, 'y', extent);
    free(block);
    goes_on(bytes);
}

static void runs_back_through_live_ones(size_t bytes, size_t extent) {
    char *block = at_an_end_of_many(bytes, extent, false);
    for (size_t i = 1; i <= extent; i++)
        block[-(ptrdiff_t)i] = 'y';
    _exit(0);
}

static const misuse under_cases[] = {
    CASE(runs_back_through_live_ones, 100, 6 * MiB),
    CASE(runs_back_through_live_ones, 1000, 6 * MiB),
    CASE(runs_back_through_live_ones, 5000, 7 * MiB),
    CASE(before_a_live_one, 24, 8),
    CASE(before_a_live_one, 100, 1),
    CASE(before_a_live_one, 100, 16),
    CASE(before_a_live_one, 1000, 16),
    CASE(with_a_free_one_before, 24, 16),
    CASE(with_a_free_one_before, 24, 64),
    CASE(with_a_free_one_before, 100, 8),
    CASE(with_a_free_one_before, 100, 128),
    CASE(with_a_free_one_before, 1000, 16),
    CASE(with_a_free_one_before, 1000, 1024),
    CASE(of_the_first, 100, 16),
    CASE(of_the_first, 300000, 16),
    CASE(of_the_first, 300000, 4096),
};

const misuse_kind underflows = KIND("underflow", under_cases);
