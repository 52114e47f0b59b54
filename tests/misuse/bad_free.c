/* SPDX-License-Identifier: MIT */
/* bad_free.c: what is freed is not the start of a block. glibc goes by what stands in front of it; allocators
 * that know where blocks start need no luck. */
#include <sys/mman.h>

#include "misuse.h"

static void inside(size_t bytes, size_t offset) {
    char *block = filled(bytes);
    others(bytes, 1);
    free(unknown(block + offset));
    goes_on(bytes);
}

static void inside_by_another_thread(size_t bytes, size_t offset) {
    char *block = filled(bytes);
    in_a_thread(free_it, block + offset);
}

static void inside_the_only_one(size_t bytes, size_t offset) {
    free(unknown(filled(bytes) + offset));
}

static void inside_of_a_free_one(size_t bytes, size_t offset) {
    char *block = filled(bytes);
    others(bytes, 1);
    free(block);
    free(unknown(block + offset));
    goes_on(bytes);
}

static void before(size_t bytes, size_t distance) {
    others(bytes, 2);
    char *block = filled(bytes);
    others(bytes, 1);
    free(unknown(block - distance));
    goes_on(bytes);
}

static void just_behind(size_t bytes, size_t distance) {
    char *block = filled(bytes);
    free(unknown(block + usable(block) + distance));
    goes_on(bytes);
}

static void heap_never_handed_out(size_t bytes, size_t distance) {
    char *block = filled(bytes);
    free(unknown((char *)((uintptr_t)(block + distance) & ~(uintptr_t)15)));
}

static char global[256];

static void of_static(size_t offset, size_t extent) {
    (void)extent;
    memset(global, 'x', sizeof global);
    free(unknown(global + offset));
}

static void of_stack(size_t offset, size_t extent) {
    char local[256] __attribute__((aligned(16)));
    (void)extent;
    memset(local, 'x', sizeof local);
    free(unknown(local + offset));
}

static void of_a_literal(size_t bytes, size_t extent) {
    (void)bytes, (void)extent;
    free(unknown((void *)(uintptr_t) "a string of the program"));
}

static void of_a_function(size_t bytes, size_t extent) {
    (void)bytes, (void)extent;
    free(unknown((void *)(uintptr_t)of_a_literal));
}

static void of_the_environment(size_t bytes, size_t extent) {
    (void)bytes, (void)extent;
    free(unknown(getenv("PATH")));
}

static void of_a_mapping(size_t bytes, size_t offset) {
    char *mapping = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memset(mapping, 'x', bytes);
    free(unknown(mapping + offset));
}

static void of_a_number(size_t number, size_t extent) {
    (void)extent;
    free(unknown((void *)number));
}

/* An array of objects that a wrapper has put a header before. */
static void of_what_a_header_precedes(size_t bytes, size_t header) {
    char *all = filled(bytes + header);
    size_t count = bytes;
    memcpy(all, &count, sizeof count);
    free(unknown(all + header));
    goes_on(bytes + header);
}

static void on_the_way_through_an_array(size_t bytes, size_t step) {
    char *at = filled(bytes);
    for (char *end = at + bytes / 2; at < end; at += step)
        *at = 'y';
    free(unknown(at));
    goes_on(bytes);
}

static const misuse cases[] = {
    CASE(inside, 24, 8),
    CASE(inside, 24, 1),
    CASE(inside, 40, 16),
    CASE(inside, 64, 16),
    CASE(inside, 100, 16),
    CASE(inside, 100, 48),
    CASE(inside, 200, 64),
    CASE(inside, 1000, 16),
    CASE(inside, 1000, 512),
    CASE(inside, 1000, 3),
    CASE(inside, 5000, 16),
    CASE(inside, 5000, 4096),
    CASE(inside, 100000, 16),
    CASE(inside, 100000, 65536),
    CASE(inside, 300000, 8),
    CASE(inside, 300000, 16),
    CASE(inside, 300000, 16384),
    CASE(inside, 5 * MiB, MiB),
    CASE(inside_by_another_thread, 100, 8),
    CASE(inside_by_another_thread, 1000, 64),
    CASE(inside_the_only_one, 48, 16),
    CASE(inside_the_only_one, 2000, 1000),
    CASE(inside_of_a_free_one, 100, 16),
    CASE(inside_of_a_free_one, 1000, 48),
    CASE(inside_of_a_free_one, 300000, 16384),
    CASE(before, 100, 8),
    CASE(before, 100, 16),
    CASE(before, 1000, 16),
    CASE(before, 5000, 64),
    CASE(just_behind, 100, 0),
    CASE(just_behind, 1000, 8),
    CASE(just_behind, 300000, 0),
    CASE(heap_never_handed_out, 100, 30000),
    CASE(heap_never_handed_out, 100, MiB),
    CASE(heap_never_handed_out, 100, 64 * MiB),
    CASE(of_static, 0, 0),
    CASE(of_static, 17, 0),
    CASE(of_stack, 0, 0),
    CASE(of_stack, 40, 0),
    CASE(of_a_literal, 0, 0),
    CASE(of_a_function, 0, 0),
    CASE(of_the_environment, 0, 0),
    CASE(of_a_mapping, 64 * KiB, 0),
    CASE(of_a_mapping, 64 * KiB, 4112),
    CASE(of_a_number, 16, 0),
    CASE(of_a_number, 0x123456789ab0, 0),
    CASE(of_a_number, 0xdeadbeef00000000, 0),
    CASE(of_what_a_header_precedes, 40, 8),
    CASE(of_what_a_header_precedes, 200, 16),
    CASE(of_what_a_header_precedes, 4000, 64),
    CASE(on_the_way_through_an_array, 120, 4),
    CASE(on_the_way_through_an_array, 1000, 8),
};

const misuse_kind bad_frees = KIND("bad free", cases);
