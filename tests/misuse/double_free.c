/* SPDX-License-Identifier: MIT */
/* double_free.c: a block is freed that is free already. glibc finds most of those that are small (by a key in
 * the block, while that stands there) and all that were mappings of their own; allocators with bits of what
 * lives beside the heap find nearly all. */
#include "misuse.h"

static void twice_at_once(size_t bytes, size_t extent) {
    (void)extent;
    char *block = filled(bytes);
    free(block);
    free(block);
}

static void with_another_between(size_t bytes, size_t extent) {
    (void)extent;
    char *block = filled(bytes), *another = filled(bytes);
    free(block);
    free(another);
    free(block);
}

static void with_many_between(size_t bytes, size_t count) {
    char *block = filled(bytes), *many[256];
    for (size_t i = 0; i < count; i++)
        many[i] = filled(bytes);
    free(block);
    for (size_t i = 0; i < count; i++)
        free(many[i]);
    free(block);
}

static void delayed(size_t bytes, size_t count) {
    char *block = filled(bytes);
    others(bytes, 2);
    free(block);
    for (size_t other = 16; other < 20000; other = other * 3 / 2 + 16)
        if (other / 2 > bytes || other * 2 < bytes)
            others_come_and_go(other, count);
    free(block);
}

static void interleaved(size_t bytes, size_t extent) {
    char *block = filled(bytes), *second = filled(bytes);
    free(block);
    char *other = filled(bytes * 4 + 100);
    free(second);
    free(other);
    if (extent)
        free(second);
    free(block);
}

static void after_a_call_takes_another(size_t bytes, size_t extent) {
    (void)extent;
    char *first = filled(bytes), *second = filled(bytes);
    free(first);
    free(second);
    filled(bytes); /* most likely the second */
    free(first);
}

static void after_reuse_by_the_same(size_t bytes, size_t extent) {
    (void)extent;
    char *stale = filled(bytes);
    free(stale);
    char *block = filled(bytes);
    free(stale);
    free(block);
}

/* All of them go, and blocks of another size come to lie where they were. */
static void after_reuse_by_another_size(size_t bytes, size_t other) {
    enum { COUNT = 4000 };
    static char *blocks[COUNT];
    size_t count = bytes > 10000 ? 100 : COUNT;
    for (size_t i = 0; i < count; i++)
        blocks[i] = filled(bytes);
    for (size_t i = 0; i < count; i++)
        free(blocks[i]);
    for (size_t taken = 0; taken < count * bytes; taken += other)
        filled(other);
    free(blocks[count / 2 + 1]);
}

static void after_all_are_gone(size_t bytes, size_t extent) {
    enum { COUNT = 5000 };
    static char *blocks[COUNT];
    (void)extent;
    for (size_t i = 0; i < COUNT; i++)
        blocks[i] = filled(bytes);
    for (size_t i = 0; i < COUNT; i++)
        free(blocks[i]);
    free(blocks[100]);
}

static void second_by_another_thread(size_t bytes, size_t extent) {
    (void)extent;
    char *block = filled(bytes);
    others(bytes, 1);
    free(block);
    in_a_thread(free_it, block);
}

static void first_by_another_thread(size_t bytes, size_t extent) {
    (void)extent;
    char *block = filled(bytes);
    others(bytes, 1);
    in_a_thread(free_it, block);
    free(block);
}

static void by_two_other_threads(size_t bytes, size_t extent) {
    (void)extent;
    char *block = filled(bytes), *another = filled(bytes);
    in_a_thread(free_it, block);
    in_a_thread(free_it, another);
    in_a_thread(free_it, block);
}

static void *allocate(void *bytes) {
    others((size_t)(uintptr_t)bytes, 1);
    return filled((size_t)(uintptr_t)bytes);
}

static void of_a_thread_that_has_ended(size_t bytes, size_t extent) {
    pthread_t thread;
    void *block;
    (void)extent;
    pthread_create(&thread, NULL, allocate, (void *)bytes);
    pthread_join(thread, &block);
    free(block);
    others(bytes * 3, 2);
    free(block);
}

static void old_after_realloc_moved_it(size_t bytes, size_t extent) {
    (void)extent;
    char *block = filled(bytes);
    others(bytes, 1);
    char *moved = unknown(realloc(block, bytes * 10));
    if (moved == block)
        block = moved;
    free(block);
    free(moved);
}

static void after_realloc_to_zero(size_t bytes, size_t extent) {
    (void)extent;
    char *block = filled(bytes);
    char *none = unknown(realloc(block, 0));
    free(block);
    free(none == block ? none : NULL);
    free(none);
}

static void of_calloc(size_t bytes, size_t extent) {
    (void)extent;
    char *block = unknown(calloc(1, bytes)), *another = unknown(calloc(1, bytes));
    free(block);
    free(another);
    free(block);
}

static void of_aligned(size_t bytes, size_t alignment) {
    char *block = unknown(memalign(alignment, bytes)), *another = unknown(memalign(alignment, bytes));
    memset(block, 'x', bytes);
    free(block);
    free(another);
    free(block);
}

/* Not found by what stands in the block itself. */
static void written_between(size_t bytes, size_t from) {
    char *block = filled(bytes), *another = filled(bytes);
    free(block);
    free(another);
    block[from] = 'y';
    free(block);
    goes_on(bytes);
}

static const misuse cases[] = {
    CASE(twice_at_once, 24, 0),
    CASE(twice_at_once, 100, 0),
    CASE(twice_at_once, 1000, 0),
    CASE(twice_at_once, 5000, 0),
    CASE(twice_at_once, 100000, 0),
    CASE(twice_at_once, 300000, 0),
    CASE(twice_at_once, 5 * MiB, 0),
    CASE(with_another_between, 24, 0),
    CASE(with_another_between, 100, 0),
    CASE(with_another_between, 1000, 0),
    CASE(with_another_between, 5000, 0),
    CASE(with_another_between, 300000, 0),
    CASE(with_many_between, 24, 100),
    CASE(with_many_between, 100, 200),
    CASE(with_many_between, 1000, 100),
    CASE(with_many_between, 5000, 20),
    CASE(delayed, 24, 10),
    CASE(delayed, 100, 10),
    CASE(delayed, 1000, 10),
    CASE(delayed, 300000, 10),
    CASE(interleaved, 24, 0),
    CASE(interleaved, 100, 1),
    CASE(interleaved, 1000, 0),
    CASE(after_a_call_takes_another, 40, 0),
    CASE(after_a_call_takes_another, 5000, 0),
    CASE(after_reuse_by_the_same, 24, 0),
    CASE(after_reuse_by_the_same, 100, 0),
    CASE(after_reuse_by_the_same, 5000, 0),
    CASE(after_reuse_by_the_same, 300000, 0),
    CASE(after_reuse_by_another_size, 48, 200),
    CASE(after_reuse_by_another_size, 1000, 48),
    CASE(after_reuse_by_another_size, 20000, 700),
    CASE(after_all_are_gone, 200, 0),
    CASE(after_all_are_gone, 2000, 0),
    CASE(second_by_another_thread, 24, 0),
    CASE(second_by_another_thread, 100, 0),
    CASE(second_by_another_thread, 5000, 0),
    CASE(second_by_another_thread, 300000, 0),
    CASE(first_by_another_thread, 100, 0),
    CASE(by_two_other_threads, 100, 0),
    CASE(of_a_thread_that_has_ended, 100, 0),
    CASE(of_a_thread_that_has_ended, 3000, 0),
    CASE(old_after_realloc_moved_it, 24, 0),
    CASE(old_after_realloc_moved_it, 1000, 0),
    CASE(old_after_realloc_moved_it, 300000, 0),
    CASE(after_realloc_to_zero, 100, 0),
    CASE(of_calloc, 64, 0),
    CASE(of_aligned, 200, 64),
    CASE(of_aligned, 5000, 4096),
    CASE(written_between, 100, 0),
    CASE(written_between, 100, 8),
    CASE(written_between, 100, 40),
};

const misuse_kind double_frees = KIND("double free", cases);
