/* SPDX-License-Identifier: MIT */
/* bad_call.c: realloc and malloc_usable_size of what is no live block, and sizes that cannot be. */
#include <errno.h>

#include "misuse.h"

static void realloc_of_a_free_one(size_t bytes, size_t to) {
    char *block = filled(bytes);
    others(bytes, 1);
    free(block);
    char *moved = unknown(realloc(block, to));
    goes_on(bytes);
    free(moved);
}

static void realloc_twice_of_the_same(size_t bytes, size_t extent) {
    (void)extent;
    char *block = filled(bytes);
    others(bytes, 1);
    char *first = unknown(realloc(block, bytes * 16)), *second = unknown(realloc(block, bytes * 16));
    free(first);
    free(second);
}

static void realloc_of_a_free_one_by_another_thread(size_t bytes, size_t extent) {
    (void)extent;
    char *block = filled(bytes);
    others(bytes, 1);
    in_a_thread(free_it, block);
    free(unknown(realloc(block, bytes * 3)));
}

static void realloc_inside(size_t bytes, size_t offset) {
    char *block = filled(bytes);
    others(bytes, 1);
    block = unknown(realloc(unknown(block + offset), bytes * 2));
    goes_on(bytes);
}

static char global[64];

static void realloc_of_static(size_t bytes, size_t extent) {
    (void)extent;
    memset(global, 'x', sizeof global);
    free(unknown(realloc(unknown(global), bytes)));
}

static void realloc_of_stack(size_t bytes, size_t extent) {
    char local[64] __attribute__((aligned(16)));
    (void)extent;
    memset(local, 'x', sizeof local);
    free(unknown(realloc(unknown(local), bytes)));
}

static void realloc_of_a_number(size_t number, size_t bytes) {
    free(unknown(realloc(unknown((void *)number), bytes)));
}

static void to_zero_of_a_free_one(size_t bytes, size_t extent) {
    (void)extent;
    char *block = filled(bytes);
    others(bytes, 1);
    free(block);
    block = unknown(realloc(block, 0));
}

static void size_of_a_free_one(size_t bytes, size_t extent) {
    (void)extent;
    char *block = filled(bytes);
    others(bytes, 1);
    free(block);
    usable(block);
}

static void size_inside(size_t bytes, size_t offset) {
    usable(unknown(filled(bytes) + offset));
}

static void size_of_static(size_t bytes, size_t extent) {
    (void)bytes, (void)extent;
    usable(unknown(global));
}

static const misuse cases[] = {
    CASE(realloc_of_a_free_one, 24, 400),
    CASE(realloc_of_a_free_one, 100, 90),
    CASE(realloc_of_a_free_one, 1000, 5000),
    CASE(realloc_of_a_free_one, 5000, 500),
    CASE(realloc_of_a_free_one, 300000, 900000),
    CASE(realloc_twice_of_the_same, 24, 0),
    CASE(realloc_twice_of_the_same, 1000, 0),
    CASE(realloc_twice_of_the_same, 300000, 0),
    CASE(realloc_of_a_free_one_by_another_thread, 100, 0),
    CASE(realloc_inside, 100, 8),
    CASE(realloc_inside, 100, 16),
    CASE(realloc_inside, 1000, 500),
    CASE(realloc_inside, 300000, 4096),
    CASE(realloc_of_static, 100, 0),
    CASE(realloc_of_stack, 100, 0),
    CASE(realloc_of_a_number, 48, 100),
    CASE(to_zero_of_a_free_one, 100, 0),
    CASE(size_of_a_free_one, 100, 0),
    CASE(size_of_a_free_one, 300000, 0),
    CASE(size_inside, 100, 8),
    CASE(size_inside, 1000, 512),
    CASE(size_of_static, 0, 0),
};

const misuse_kind bad_calls = KIND("bad pointer", cases);

static void refused_if(int is_null) {
    if (is_null && errno == ENOMEM)
        REFUSED();
}

static void malloc_of(size_t bytes, size_t extent) {
    (void)extent;
    refused_if(unknown(malloc(bytes)) == NULL);
}

static void calloc_of(size_t bytes, size_t count) {
    refused_if(unknown(calloc(count, bytes)) == NULL);
}

static void realloc_to(size_t bytes, size_t extent) {
    char *block = filled(100);
    (void)extent;
    refused_if(unknown(realloc(block, bytes)) == NULL);
}

static void reallocarray_to(size_t bytes, size_t count) {
    refused_if(unknown(reallocarray(filled(100), count, bytes)) == NULL);
}

static void aligned_to(size_t bytes, size_t alignment) {
    void *block = NULL;
    if (posix_memalign(&block, alignment, bytes) == EINVAL && !block)
        REFUSED();
}

static void zero_bytes_written(size_t bytes, size_t extent) {
    char *block = unknown(malloc(bytes)), *next = unknown(malloc(bytes));
    free(next);
    memset(unknown(block), 'y', extent);
    goes_on(bytes);
}

static const misuse size_cases[] = {
    CASE(malloc_of, SIZE_MAX, 0),
    CASE(malloc_of, (size_t)-100, 0),
    CASE(malloc_of, (size_t)PTRDIFF_MAX + 1, 0),
    CASE(calloc_of, SIZE_MAX / 2 + 2, 2),
    CASE(calloc_of, (size_t)1 << 33, (size_t)1 << 33),
    CASE(realloc_to, (size_t)-1, 0),
    CASE(reallocarray_to, SIZE_MAX / 4, 8),
    CASE(aligned_to, 100, 24),
    CASE(aligned_to, 100, 4),
    CASE(zero_bytes_written, 0, 32),
    CASE(zero_bytes_written, 0, 64),
};

const misuse_kind bad_sizes = KIND("bad size", size_cases);
