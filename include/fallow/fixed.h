/* SPDX-License-Identifier: MIT */
/*
 * fixed.h: an allocator inside memory that the caller gives: a static buffer, a mapping shared by
 * processes, the memory of a device. All of its bookkeeping lies inside; it asks nobody for anything, and
 * is gone when the memory is.
 *
 *     ┌ bookkeeping ┬ block ┬ free ┬ block ┬ block ┬ free ──────────────────┐
 *     │ 1,096 bytes │8 bytes in front of each                               │
 *     └─────────────┴───────┴──────┴───────┴───────┴────────────────────────┘
 *
 * The promise on size: of n bytes, one block of n - 1,200 can be had while nothing else is allocated; a
 * block of b bytes takes b + 8, rounded up to a multiple of 16, 32 at least. Neighbours that are free are
 * always one free block. There are 64 lists of free blocks by size; the best of 16 looks in a block's own
 * list is taken, or the first of a longer one: an allocation or a free takes a bounded number of steps,
 * however many blocks there are. (A good fit by segregated lists, with boundary tags as D. Knuth described
 * them.)
 *
 * These blocks lie outside the window in which fallow recognises its own: their free names the allocator,
 * and none of them may be given to free or fallow_arena_free.
 *
 * Threads: every function may be called from any thread and, with FALLOW_FIXED_SHARED, from any process
 * that has the memory mapped, at whatever address: offsets are kept, not pointers.
 *
 * A process that is killed inside a call, at any instruction, leaves no trace of it: who calls next, in
 * whatever process, first undoes what the call had begun, or finds it done. A realloc that was cut off has
 * not moved its block. What the process had in blocks, and the blocks themselves, stay: their free is for
 * whoever knows of them (fallow_fixed_walk shows them). A call of fallow_fixed_create that was cut off has
 * made none.
 *
 * Under AddressSanitizer, and without being compiled for it, what is free is poisoned, and so is the tag in front of each block, but not
 * in memory of many processes. Who puts the memory to another use afterwards unpoisons it first (ASAN_UNPOISON_MEMORY_REGION).
 *
 * Damage. A program that writes beyond its blocks can hit a tag, or the bookkeeping. Nothing in here
 * follows what it finds there to outside the memory, and a call that comes upon what contradicts itself
 * does nothing. In memory of one process it then stops that process with a line, as a misused pointer does.
 * In shared memory another process may have done it: the call fails, and so do all later calls of all
 * processes, with ENOTRECOVERABLE, until fallow_fixed_repair or fallow_fixed_reset. What is found is what
 * contradicts itself where a call comes by; fallow_fixed_open looks everywhere. The first 64 bytes hold the
 * lock: calls wait for ever if it is damaged so that it seems taken, and FALLOW_FIXED_ALONE makes it anew.
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

#define FALLOW_FIXED_ALONE 2u /* for fallow_fixed_repair: nobody else uses the memory now */

#define FALLOW_FIXED_OVERHEAD_BYTES 1200 /* of n bytes, so many less can be had in one block */

/*
 * Makes an allocator in [memory, memory + bytes), which it then owns until nobody uses it any more: there
 * is no destroy. The allocator is at the first address in it that is a multiple of 64. NULL with errno
 * EINVAL if that leaves less than FALLOW_FIXED_OVERHEAD_BYTES + 64, or for unknown flags.
 */
FALLOW_API fallow_fixed *fallow_fixed_create(void *memory, size_t bytes, unsigned flags) FALLOW_MUST_USE;

/* In another process, or at another address: the allocator in memory in which one was made. Looks at
 * each block, with the lock. NULL with errno EINVAL if there is none, or it is longer than `bytes`;
 * ENOTRECOVERABLE if it is damaged. */
FALLOW_API fallow_fixed *fallow_fixed_open(void *memory, size_t bytes) FALLOW_MUST_USE;

/*
 * As fallow_fixed_open, and makes the bookkeeping anew from the blocks where it does not agree. Contents of
 * live blocks stay as they are, and nothing of them is handed out. Where a tag is damaged it is not known
 * where the next block begins: all up to the next free block that is known for sure is lost until
 * fallow_fixed_reset (lost_bytes). Blocks in there stay as they are too; a free of one gives nothing back,
 * a realloc copies it to another place, a walk does not show it, and fallow_fixed_usable_bytes may say less
 * than it holds.
 *
 * Any process may call it, at any time: others wait for the lock meanwhile. It may be killed and called
 * again. flags: FALLOW_FIXED_ALONE where nobody else is in a call, or comes to one before this returns: the
 * lock is made anew, with FALLOW_FIXED_SHARED as one between processes. That is for memory in a file which
 * has outlived a crash of the machine, or of a process whose allocator was not shared. In memory that
 * agrees it costs what fallow_fixed_open costs; else that for each damaged place. NULL with errno EINVAL if
 * no allocator was made there, or for unknown flags; ENOTRECOVERABLE if the lock is none.
 */
FALLOW_API fallow_fixed *fallow_fixed_repair(void *memory, size_t bytes, unsigned flags) FALLOW_MUST_USE;

/* At least `bytes`, aligned to 16, not cleared. NULL with errno ENOMEM; nothing is lost by that.
 * ENOTRECOVERABLE: the memory is damaged. 0 bytes give a block of its own. */
FALLOW_API void *fallow_fixed_alloc(fallow_fixed *fixed, size_t bytes) FALLOW_MUST_USE;

/* The same, aligned to a power of two. NULL with errno EINVAL if it is none. */
FALLOW_API void *fallow_fixed_alloc_aligned(fallow_fixed *fixed, size_t alignment,
                                            size_t bytes) FALLOW_MUST_USE;

/* As realloc: where it is if that can be. block NULL: as fallow_fixed_alloc. bytes 0 counts as 1. */
FALLOW_API void *fallow_fixed_realloc(fallow_fixed *fixed, void *block, size_t bytes) FALLOW_MUST_USE;

/* Frees a block; NULL does nothing. What is no block, or was freed before, stops the process. False with
 * errno ENOTRECOVERABLE: the memory is damaged, and the block as it was. */
FALLOW_API bool fallow_fixed_free(fallow_fixed *fixed, void *block);

/* What a block holds; under AddressSanitizer what was asked for. */
FALLOW_API size_t fallow_fixed_usable_bytes(const void *block);

/* All blocks are gone, and all damage to the bookkeeping behind its first 64 bytes. Nobody may be in a
 * call. False, and nothing is done: those are damaged. */
FALLOW_API bool fallow_fixed_reset(fallow_fixed *fixed);

/* Figures in bytes, together at one moment. */
typedef struct fallow_fixed_figures {
    size_t total_bytes;   /* that blocks and what is free have together */
    size_t used_bytes;    /* in blocks, with what stands in front of them */
    size_t blocks;        /* live */
    size_t largest_bytes; /* the largest block that could be had now, aligned to 16 */
    size_t lost_bytes;    /* by damage, until a reset; in neither of the others but total_bytes */
} fallow_fixed_figures;

/* figures_bytes is sizeof *figures; false with errno EINVAL if no version had that, or ENOTRECOVERABLE: the memory is damaged. */
FALLOW_API bool fallow_fixed_read_sized(fallow_fixed *fixed, fallow_fixed_figures *figures,
                                        size_t figures_bytes);

/* The same for who was compiled with this header; all 0 where it fails. */
FALLOW_INLINE fallow_fixed_figures fallow_fixed_read(fallow_fixed *fixed) {
    fallow_fixed_figures figures = FALLOW_ZEROS;
    (void)fallow_fixed_read_sized(fixed, &figures, sizeof figures);
    return figures;
}

/* Shows every live block, in order of addresses; false from `visit` ends the walk, and is returned. The
 * allocator's lock is held: nothing may be allocated or freed in it from inside, which stops the
 * process. False with errno ENOTRECOVERABLE: the memory is damaged, and blocks from there on were not
 * shown. */
FALLOW_API bool fallow_fixed_walk(fallow_fixed *fixed,
                                  bool (*visit)(void *context, void *block, size_t bytes), void *context);

#ifdef __cplusplus
}
#endif
#endif
