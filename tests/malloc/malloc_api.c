/* SPDX-License-Identifier: MIT */
/* Each function of the malloc family: what C, POSIX and glibc's habits promise. */
#include <errno.h>
#include <malloc.h>
#include <string.h>

#include "../lib/check.h"

/* The same for every function that can fail: NULL, ENOMEM. Sizes that no system has. */
static const size_t too_much[] = {SIZE_MAX,         SIZE_MAX - 1,    SIZE_MAX - 4096, SIZE_MAX / 2,
                                  SIZE_MAX / 2 + 1, (size_t)1 << 60, (size_t)1 << 47};

static void malloc_any_size(void) {
    for (size_t bytes = 0; bytes < 5000000; bytes = bytes < 2000 ? bytes + 1 : bytes * 9 / 8) {
        errno = 77;
        unsigned char *block = malloc(bytes);
        CHECK(block);
        CHECK_EQUAL((uintptr_t)block % 16, 0);
        size_t usable = malloc_usable_size(block);
        CHECK(usable >= bytes);
        memset(block, 0xa5, usable);
        free(block);
        CHECK_EQUAL(errno, 77);
    }
}

static void malloc_zero_bytes_is_unique(void) {
    void *one = malloc(0), *two = malloc(0);
    CHECK(one && two && one != two);
    free(one);
    free(two);
    free(NULL);
    CHECK_EQUAL(malloc_usable_size(NULL), 0);
}

static void malloc_too_much_is_enomem(void) {
    for (size_t i = 0; i < sizeof too_much / sizeof *too_much; i++) {
        size_t n = too_much[i];
        char *kept = malloc(100);
        memset(kept, 5, 100);
        void *out = kept;
        CHECK_NO_MEMORY(malloc(n));
        CHECK_NO_MEMORY(calloc(n, 1));
        CHECK_NO_MEMORY(calloc(1, n));
        CHECK_NO_MEMORY(realloc(kept, n));
        CHECK_NO_MEMORY(reallocarray(kept, n, 1));
        CHECK_NO_MEMORY(memalign(64, n));
        CHECK_NO_MEMORY(aligned_alloc(64, n));
        CHECK_NO_MEMORY(aligned_alloc((size_t)1 << 30, n));
        CHECK_NO_MEMORY(valloc(n));
        CHECK_NO_MEMORY(pvalloc(n));
        errno = 77;
        CHECK_EQUAL(posix_memalign(&out, 64, n), ENOMEM);
        CHECK(out == kept);
        CHECK_EQUAL(errno, ENOMEM); /* as glibc leaves it */
        for (int k = 0; k < 100; k++)
            CHECK_EQUAL(kept[k], 5);
        free(kept);
    }
    volatile size_t half = SIZE_MAX / 2, big = (size_t)1 << 33; /* the compiler would see the overflow */
    CHECK_NO_MEMORY(calloc(half, 3));
    CHECK_NO_MEMORY(calloc(big, big));
    CHECK_NO_MEMORY(reallocarray(NULL, big, big));
}

static void calloc_is_zero_also_where_it_was_dirty(void) {
    for (size_t bytes = 1; bytes < 3000000; bytes = bytes * 5 / 4 + 1)
        for (int again = 0; again < 3; again++) {
            unsigned char *block = calloc(again == 1 ? bytes : 1, again == 1 ? 1 : bytes);
            CHECK(block);
            for (size_t i = 0; i < bytes; i++)
                CHECK_EQUAL(block[i], 0);
            memset(block, 0xff, malloc_usable_size(block));
            free(block);
        }
}

/* Whole slabs of dirty blocks, gone and used again. */
static void calloc_is_zero_in_recycled_slabs(void) {
    static unsigned char *blocks[400];
    for (size_t bytes = 3000; bytes < 131072; bytes *= 3)
        for (int round = 0; round < 3; round++) {
            size_t count = 8000000 / bytes < 400 ? 8000000 / bytes : 400;
            for (size_t i = 0; i < count; i++) {
                blocks[i] = calloc(1, bytes);
                CHECK(blocks[i]);
                for (size_t k = 0; k < bytes; k++)
                    CHECK_EQUAL(blocks[i][k], 0);
                memset(blocks[i], 0xee, bytes);
            }
            for (size_t i = 0; i < count; i++)
                free(blocks[i]);
        }
}

static void realloc_keeps_contents(void) {
    uint64_t random = 5;
    unsigned char *block = NULL;
    size_t bytes = 0;
    for (int step = 0; step < 3000; step++) {
        size_t wanted = 1 + check_random(&random) % (step % 10 ? 3000 : 2000000);
        unsigned char *moved = realloc(block, wanted);
        CHECK(moved);
        CHECK_EQUAL((uintptr_t)moved % 16, 0);
        for (size_t i = 0; i < (bytes < wanted ? bytes : wanted); i += 7)
            CHECK_EQUAL(moved[i], i * 31 & 0xff);
        for (size_t i = 0; i < wanted; i++)
            moved[i] = i * 31 & 0xff;
        block = moved;
        bytes = wanted;
    }
    /* As glibc does: frees, and returns NULL. */
    CHECK(!realloc(block, 0));
    block = realloc(NULL, 10);
    CHECK(block);
    free(block);
    unsigned char *array = reallocarray(NULL, 10, 10);
    CHECK(array && malloc_usable_size(array) >= 100);
    free(array);
}

static void aligned_as_promised(void) {
    void *kept[24];
    size_t count = 0;
    for (size_t alignment = 16; alignment <= (size_t)64 << 20; alignment *= 2) {
        for (size_t bytes = 0; bytes < 300000; bytes = bytes * 3 + 1) {
            void *block = memalign(alignment, bytes), *other = NULL;
            CHECK(block);
            CHECK_EQUAL((uintptr_t)block % alignment, 0);
            CHECK(malloc_usable_size(block) >= bytes);
            memset(block, 1, bytes);
            CHECK_EQUAL(posix_memalign(&other, alignment, bytes), 0);
            CHECK_EQUAL((uintptr_t)other % alignment, 0);
            free(block);
            free(other);
            block = aligned_alloc(alignment, bytes);
            CHECK(block);
            CHECK_EQUAL((uintptr_t)block % alignment, 0);
            free(block);
        }
        kept[count++] = memalign(alignment, 10);
    }
    while (count > 0)
        free(kept[--count]);
    size_t page = 4096;
    void *block = valloc(10);
    CHECK_EQUAL((uintptr_t)block % page, 0);
    free(block);
    block = pvalloc(page + 1);
    CHECK_EQUAL((uintptr_t)block % page, 0);
    CHECK(malloc_usable_size(block) >= 2 * page);
    free(block);
}

static void aligned_bad_alignment_is_einval(void) {
    static const size_t bad[] = {0, 3, 24, 48, SIZE_MAX, 100};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        int untouched;
        void *out = &untouched;
        errno = 0;
        CHECK(!aligned_alloc(bad[i], 100));
        CHECK_EQUAL(errno, EINVAL);
        errno = 77;
        CHECK_EQUAL(posix_memalign(&out, bad[i], 100), EINVAL);
        CHECK(out == &untouched);
        CHECK_EQUAL(errno, 77);
    }
    void *out;
    CHECK_EQUAL(posix_memalign(&out, 4, 100), EINVAL); /* a power of two, but less than a pointer */
    volatile size_t no_power = 48;                     /* as glibc does: rounded up to 64 */
    void *block = memalign(no_power, 100);
    CHECK(block);
    CHECK_EQUAL((uintptr_t)block % 64, 0);
    free(block);
}

int main(void) {
    RUN(malloc_any_size);
    RUN(malloc_zero_bytes_is_unique);
    RUN(malloc_too_much_is_enomem);
    RUN(calloc_is_zero_also_where_it_was_dirty);
    RUN(calloc_is_zero_in_recycled_slabs);
    RUN(realloc_keeps_contents);
    RUN(aligned_as_promised);
    RUN(aligned_bad_alignment_is_einval);
    return 0;
}
