/* SPDX-License-Identifier: MIT */
/* What every size promises: alignment, usable size, waste; and every alignment for sizes of every class. */
#include <errno.h>
#include <malloc.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "../lib/check.h"

#define CLASSED_MAX ((size_t)128 << 10)

/* 16 bytes up to 128; an eighth to 16 KiB; a quarter to 128 KiB; above, whole pages of 16 KiB, or the
 * system's if larger. */
static size_t waste_allowed(size_t bytes) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    return bytes <= 128           ? 15
           : bytes <= 16 << 10    ? bytes / 8
           : bytes <= CLASSED_MAX ? bytes / 4
                                  : (page > 16384 ? page : 16384) - 1;
}

static void check_block(char *block, size_t bytes, size_t alignment) {
    CHECK(block);
    CHECK_EQUAL((uintptr_t)block % alignment, 0);
    size_t usable = malloc_usable_size(block);
    CHECK(usable >= bytes);
    block[0] = 1;
    block[usable - 1] = 2; /* all of it may be written */
}

static void sizes_every_one(void) {
    for (size_t bytes = 0; bytes <= CLASSED_MAX + 4096; bytes += bytes < 20000 ? 1 : 61) {
        char *block = malloc(bytes);
        check_block(block, bytes, 16);
        size_t usable = malloc_usable_size(block), needed = bytes ? bytes : 1;
        CHECK(usable - needed <= waste_allowed(needed));
        /* What is usable stays so, and asking for all of it moves nothing. */
        CHECK(realloc(block, usable) == block);
        CHECK_EQUAL(malloc_usable_size(block), usable);
        free(block);
    }
}

/* The neighbours of a block are untouched when all that is usable of it is written. */
static void sizes_do_not_overlap(void) {
    enum { N = 9 };
    for (size_t bytes = 1; bytes <= CLASSED_MAX; bytes += bytes / 9 + 1) {
        char *blocks[N];
        size_t usable = 0;
        for (int i = 0; i < N; i++) {
            blocks[i] = malloc(bytes);
            usable = malloc_usable_size(blocks[i]);
            memset(blocks[i], i + 1, usable);
        }
        for (int i = 0; i < N; i++) {
            for (size_t k = 0; k < usable; k++)
                CHECK_EQUAL(blocks[i][k], i + 1);
            free(blocks[i]);
        }
    }
}

static void sizes_with_every_alignment(void) {
    for (size_t alignment = 1; alignment <= (size_t)4 << 20; alignment *= 2)
        for (size_t bytes = 0; bytes <= 300000; bytes += bytes / 5 + 1) {
            void *block = NULL;
            char *several[5]; /* the first of a slab is always aligned */
            for (int i = 0; i < 5; i++) {
                several[i] = memalign(alignment, bytes);
                check_block(several[i], bytes, alignment < 16 ? 16 : alignment);
            }
            for (int i = 0; i < 5; i++)
                free(several[i]);
            if (alignment < sizeof(void *))
                continue;
            CHECK_EQUAL(posix_memalign(&block, alignment, bytes), 0);
            check_block(block, bytes, alignment < 16 ? 16 : alignment);
            free(block);
        }
}

int main(void) {
    RUN(sizes_every_one);
    RUN(sizes_do_not_overlap);
    RUN(sizes_with_every_alignment);
    return 0;
}
