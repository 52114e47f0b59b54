/* SPDX-License-Identifier: MIT */
/* blocks.h: blocks of a malloc, and the pages that they need at least. Its own bookkeeping lies outside of
 * that malloc. */
#ifndef BLOCKS_H
#define BLOCKS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../../tests/lib/check.h"

typedef struct block {
    char *start;
    size_t bytes;
} block;

static inline void *outside(size_t bytes) {
    void *start = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(start != MAP_FAILED);
    memset(start, 1, bytes);
    return start;
}

/* Heap sort in place: qsort may allocate. */
static inline void sift(uintptr_t *values, size_t at, size_t end) {
    for (size_t child; (child = 2 * at + 1) < end; at = child) {
        if (child + 1 < end && values[child] < values[child + 1])
            child++;
        if (values[at] >= values[child])
            return;
        uintptr_t other = values[at];
        values[at] = values[child];
        values[child] = other;
    }
}

static inline void sort(uintptr_t *values, size_t n) {
    for (size_t i = n / 2; i-- > 0;)
        sift(values, i, n);
    for (size_t end = n; end-- > 1;) {
        uintptr_t other = values[0];
        values[0] = values[end];
        values[end] = other;
        sift(values, 0, end);
    }
}

/* The OS pages in which a byte of a block lies, as bytes: no allocator can do better that does not move
 * blocks. *live: the blocks' own bytes. */
static inline size_t floor_bytes(const block *blocks, size_t count, size_t *live) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE), room = ((size_t)1 << 20), n = 0, pages = 0;
    uintptr_t *touched = outside(room * sizeof *touched);
    *live = 0;
    for (size_t i = 0; i < count; i++) {
        if (blocks[i].bytes == 0)
            continue;
        *live += blocks[i].bytes;
        uintptr_t first = (uintptr_t)blocks[i].start / page,
                  last = ((uintptr_t)blocks[i].start + blocks[i].bytes - 1) / page;
        for (; first <= last; first++) {
            CHECK(n < room);
            touched[n++] = first;
        }
    }
    sort(touched, n);
    for (size_t i = 0; i < n; i++)
        pages += i == 0 || touched[i] != touched[i - 1];
    munmap(touched, room * sizeof *touched);
    return pages * page;
}

#endif
