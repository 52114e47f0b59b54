/* SPDX-License-Identifier: MIT */
/* after_free.c: writes to blocks that are free, and reads of them. glibc finds writes that damage its links,
 * and everything that was a mapping of its own; who reads what is still there is found only by making it
 * inaccessible. */
#include "misuse.h"

static void written(size_t bytes, size_t from, size_t length) {
    char *block = filled(bytes), *another = filled(bytes);
    others(bytes, 1);
    free(another);
    free(block);
    memset(unknown(block + from), 'y', length);
    goes_on(bytes);
}

static void first_byte(size_t bytes, size_t extent) {
    (void)extent;
    written(bytes, 0, 1);
}

static void first_word(size_t bytes, size_t extent) {
    (void)extent;
    written(bytes, 0, 8);
}

static void second_word(size_t bytes, size_t extent) {
    (void)extent;
    written(bytes, 8, 8);
}

static void first_words(size_t bytes, size_t extent) {
    written(bytes, 0, extent);
}

static void in_the_middle(size_t bytes, size_t extent) {
    written(bytes, bytes / 2, extent);
}

static void all_of_it(size_t bytes, size_t extent) {
    (void)extent;
    written(bytes, 0, bytes);
}

static void a_pointer_to_live_memory(size_t bytes, size_t extent) {
    char *block = filled(bytes), *another = filled(bytes), *live = filled(bytes);
    free(another);
    free(block);
    memcpy(unknown(block + extent), &live, sizeof live);
    goes_on(bytes);
}

static void a_null_pointer(size_t bytes, size_t extent) {
    char *block = filled(bytes), *another = filled(bytes);
    free(another);
    free(block);
    memset(unknown(block + extent), 0, sizeof(void *));
    goes_on(bytes);
}

static void a_counter_is_counted(size_t bytes, size_t extent) {
    char *block = filled(bytes), *another = filled(bytes);
    free(another);
    free(block);
    --*(int *)unknown(block + extent);
    goes_on(bytes);
}

static void one_of_many_that_are_free(size_t bytes, size_t extent) {
    char *blocks[100];
    for (size_t i = 0; i < 100; i++)
        blocks[i] = filled(bytes);
    for (size_t i = 0; i < 100; i++)
        free(blocks[i]);
    memset(unknown(blocks[50]), 'y', extent);
    others(bytes, 100);
}

static void freed_by_another_thread(size_t bytes, size_t extent) {
    char *block = filled(bytes);
    others(bytes, 1);
    in_a_thread(free_it, block);
    memset(unknown(block), 'y', extent);
    others(bytes, 2000);
}

static void large(size_t bytes, size_t from) {
    char *block = filled(bytes);
    free(block);
    memset(unknown(block + from), 'y', 64);
    goes_on(bytes);
}

static void old_after_realloc(size_t bytes, size_t extent) {
    char *block = filled(bytes);
    others(bytes, 1);
    char *moved = unknown(realloc(block, bytes * 16));
    memset(unknown(block), 'y', extent);
    goes_on(bytes);
    free(moved);
}

static const misuse cases[] = {
    CASE(first_byte, 24, 0),
    CASE(first_byte, 1000, 0),
    CASE(first_word, 24, 0),
    CASE(first_word, 100, 0),
    CASE(first_word, 1000, 0),
    CASE(first_word, 5000, 0),
    CASE(first_word, 100000, 0),
    CASE(second_word, 24, 0),
    CASE(second_word, 100, 0),
    CASE(second_word, 5000, 0),
    CASE(first_words, 40, 16),
    CASE(first_words, 1000, 64),
    CASE(in_the_middle, 100, 8),
    CASE(in_the_middle, 5000, 64),
    CASE(all_of_it, 24, 0),
    CASE(all_of_it, 200, 0),
    CASE(all_of_it, 5000, 0),
    CASE(a_pointer_to_live_memory, 64, 0),
    CASE(a_pointer_to_live_memory, 64, 8),
    CASE(a_pointer_to_live_memory, 2000, 0),
    CASE(a_null_pointer, 64, 0),
    CASE(a_null_pointer, 64, 8),
    CASE(a_counter_is_counted, 48, 0),
    CASE(a_counter_is_counted, 48, 8),
    CASE(one_of_many_that_are_free, 80, 8),
    CASE(one_of_many_that_are_free, 800, 64),
    CASE(freed_by_another_thread, 100, 16),
    CASE(large, 300000, 0),
    CASE(large, 300000, 150000),
    CASE(large, 5 * MiB, 0),
    CASE(large, 5 * MiB, 4 * MiB),
    CASE(old_after_realloc, 100, 8),
    CASE(old_after_realloc, 300000, 8),
};

const misuse_kind writes_after_free = KIND("write after free", cases);

static void read_of(size_t bytes, size_t from) {
    char *block = filled(bytes);
    others(bytes, 1);
    free(block);
    use(block + from);
}

static void read_of_the_only_one(size_t bytes, size_t from) {
    char *block = filled(bytes);
    free(block);
    use(block + from);
}

static void read_of_old_after_realloc(size_t bytes, size_t from) {
    char *block = filled(bytes);
    others(bytes, 1);
    char *moved = unknown(realloc(block, bytes * 16));
    use(block + from);
    free(moved);
}

static const misuse read_cases[] = {
    CASE(read_of, 100, 0),
    CASE(read_of, 5000, 4096),
    CASE(read_of, 300000, 100000),
    CASE(read_of, 5 * MiB, 3 * MiB),
    CASE(read_of_the_only_one, 300000, 0),
    CASE(read_of_the_only_one, 64 * MiB, 32 * MiB),
    CASE(read_of_old_after_realloc, 100, 0),
    CASE(read_of_old_after_realloc, 300000, 0),
};

const misuse_kind reads_after_free = KIND("read after free", read_cases);
