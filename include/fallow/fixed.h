/* SPDX-License-Identifier: MIT */
/*
 * fixed.h: an allocator inside memory that the caller gives: a static buffer, a mapping shared by processes, the memory of a
 * device. All of its bookkeeping lies inside; it asks nobody for anything, and is gone when the memory is.
 *
 *     ┌ bookkeeping ┬ block ┬ free ┬ block ┬ block ┬ free ──────────────────┐
 *     │ 768 bytes   │8 bytes in front of each                               │
 *     └─────────────┴───────┴──────┴───────┴───────┴────────────────────────┘
 *
 * The promise on size: of n bytes, one block of n - 800 can be had while nothing else is allocated; a block of b bytes takes b
 * + 8, rounded up to a multiple of 16, 32 at least. Neighbours that are free are always one free block. There are 64 lists of
 * free blocks by size; the best of 16 looks in a block's own list is taken, or the first of a longer one: an allocation or a
 * free takes a bounded number of steps, however many blocks there are. (A good fit by segregated lists, with boundary tags
 * as D. Knuth described them.)
 *
 * These blocks lie outside the window in which fallow recognises its own: their free names the allocator, and none of them may
 * be given to free or fallow_arena_free.
 *
 * Threads: every function may be called from any thread and, with FALLOW_FIXED_SHARED, from any process that has the memory
 * mapped, at whatever address: offsets are kept, not pointers. A process that dies inside a call leaves the next caller the
 * lock and a heap that may be damaged; fallow stops the process that finds it so.
 */
#ifndef FALLOW_FIXED_H
#define FALLOW_FIXED_H

#include <stdbool.h>
#include <stddef.h>

#include "version.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct fallow_fixed fallow_fixed;

#define FALLOW_FIXED_SHARED 1u /* its lock works between processes */

#define FALLOW_FIXED_OVERHEAD_BYTES 800 /* of n bytes, so many less can be had in one block */

/*
 * Makes an allocator in [memory, memory + bytes), which it then owns until nobody uses it any more: there is no destroy. The
 * allocator is at the first address in it that is a multiple of 64. NULL with errno EINVAL if that leaves less than
 * FALLOW_FIXED_OVERHEAD_BYTES + 64, or for unknown flags.
 */
FALLOW_API fallow_fixed *fallow_fixed_create(void *memory, size_t bytes, unsigned flags) FALLOW_MUST_USE;

/* In another process, or at another address: the allocator in memory in which one was made. NULL with errno EINVAL if there is
 * none. */
FALLOW_API fallow_fixed *fallow_fixed_open(void *memory, size_t bytes) FALLOW_MUST_USE;

/* At least `bytes`, aligned to 16, not cleared. NULL with errno ENOMEM; nothing is lost by that. 0 bytes give a block of its
 * own. */
FALLOW_API void *fallow_fixed_alloc(fallow_fixed *fixed, size_t bytes) FALLOW_MUST_USE;

/* The same, aligned to a power of two. NULL with errno EINVAL if it is none. */
FALLOW_API void *fallow_fixed_alloc_aligned(fallow_fixed *fixed, size_t alignment,
                                            size_t bytes) FALLOW_MUST_USE;

/* As realloc: where it is if that can be. block NULL: as fallow_fixed_alloc. bytes 0 counts as 1. */
FALLOW_API void *fallow_fixed_realloc(fallow_fixed *fixed, void *block, size_t bytes) FALLOW_MUST_USE;

/* Frees a block; NULL does nothing. What is no block, or was freed before, stops the process. */
FALLOW_API void fallow_fixed_free(fallow_fixed *fixed, void *block);

/* What a block holds. */
FALLOW_API size_t fallow_fixed_usable_bytes(const void *block);

/* All blocks are gone. Nobody may be in a call. */
FALLOW_API void fallow_fixed_reset(fallow_fixed *fixed);

/* Figures in bytes, together at one moment. */
typedef struct fallow_fixed_figures {
    size_t total_bytes;   /* that blocks and what is free have together */
    size_t used_bytes;    /* in blocks, with what stands in front of them */
    size_t blocks;        /* live */
    size_t largest_bytes; /* the largest block that could be had now, aligned to 16 */
} fallow_fixed_figures;

FALLOW_API fallow_fixed_figures fallow_fixed_read(fallow_fixed *fixed);

/* Shows every live block, in order of addresses; false from `visit` ends the walk, and is returned. The allocator's lock is
 * held: nothing may be allocated or freed in it from inside. */
FALLOW_API bool fallow_fixed_walk(fallow_fixed *fixed,
                                  bool (*visit)(void *context, void *block, size_t bytes), void *context);

#ifdef __cplusplus
}
#endif
#endif
