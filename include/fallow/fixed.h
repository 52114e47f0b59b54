/* SPDX-License-Identifier: MIT */
/*
 * fixed.h: an allocator inside memory that the caller provides: a static buffer, a mapping that processes
 * share, the memory of a device. All of its bookkeeping lies in that memory; it asks nobody for anything, and
 * is gone when the memory is.
 *
 *     ┌ bookkeeping ┬ block ┬ free ┬ block ┬ block ┬ free ──────────────────┐
 *     │ 1,096 bytes │8 bytes in front of each                               │
 *     └─────────────┴───────┴──────┴───────┴───────┴────────────────────────┘
 *
 * Sizes: of n bytes, a single block of n - 1,200 can be had while nothing else is allocated. A block of b
 * bytes takes b + 8, rounded up to a multiple of 16, and at least 32. Adjacent free blocks are always merged.
 * Free blocks are kept in 64 lists by size. An allocation takes the best of 16 looks in its own size's list,
 * or the first block of a list of larger ones; so an allocation or a free takes a bounded number of steps,
 * however many blocks there are. (A good fit by segregated lists, with boundary tags as D. Knuth described
 * them.)
 *
 * These blocks lie outside of the window in which fallow recognizes its own: their free names the allocator,
 * and none of them may be passed to free or fallow_arena_free.
 *
 * Threads: any thread may call any function. With FALLOW_FIXED_SHARED, so may any process that has the memory
 * mapped, at whatever address, because the allocator keeps offsets instead of pointers.
 *
 * A process killed inside a call, at any instruction, leaves no trace of the call: the next caller, in
 * whatever process, first undoes what the call had begun or finds it done. A realloc that was cut off has not
 * moved its block. The process's blocks and their contents stay; it is up to whoever knows of them to free
 * them (fallow_fixed_walk shows them). A fallow_fixed_create that was cut off has made no allocator.
 *
 * Under AddressSanitizer, without having to be compiled for it, free memory and the tag in front of each
 * block are poisoned, except in memory that processes share. Unpoison the memory
 * (ASAN_UNPOISON_MEMORY_REGION) before you put it to another use.
 *
 * Damage: a program that writes beyond its blocks can hit a tag or the bookkeeping. fallow never follows what
 * it finds there to outside of the memory, and a call that meets a contradiction does nothing. If one process
 * owns the memory, the call stops that process with one line, as a misused pointer does. In shared memory the
 * damage may be another process's: the call fails, and so does every later call of any process, with
 * ENOTRECOVERABLE, until fallow_fixed_repair or fallow_fixed_reset. A call notices damage only where it comes
 * by; fallow_fixed_open looks everywhere. The first 64 bytes hold the lock: if damage makes it seem taken,
 * calls wait for ever, and FALLOW_FIXED_ALONE makes it anew.
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

#define FALLOW_FIXED_ALONE 2u /* for fallow_fixed_repair: nobody else is using the memory */

#define FALLOW_FIXED_OVERHEAD_BYTES 1200 /* one block can have all bytes but so many */

/*
 * Makes an allocator in [memory, memory + bytes), which it owns for as long as anybody uses it: there is no
 * destroy. The allocator lies at the first multiple of 64 in that range. Returns NULL with errno EINVAL if
 * this leaves less than FALLOW_FIXED_OVERHEAD_BYTES + 64, or for unknown flags.
 */
FALLOW_API fallow_fixed *fallow_fixed_create(void *memory, size_t bytes, unsigned flags) FALLOW_MUST_USE;

/* Returns the allocator in memory in which one was made, in another process or at another address. Looks at
 * every block, under the lock. Returns NULL with errno EINVAL if there is none, or it is longer than `bytes`;
 * ENOTRECOVERABLE if it is damaged. */
FALLOW_API fallow_fixed *fallow_fixed_open(void *memory, size_t bytes) FALLOW_MUST_USE;

/*
 * Like fallow_fixed_open, but rebuilds the bookkeeping from the blocks where the two disagree. Live blocks
 * keep their contents, and no part of one is handed out. Behind a damaged tag it is not known where the next
 * block begins: everything up to the next free block that is certain is lost until fallow_fixed_reset
 * (lost_bytes). Blocks in there, too, keep their contents; freeing one gives nothing back, a realloc copies
 * it elsewhere, a walk does not show it, and fallow_fixed_usable_bytes may report less than it holds.
 *
 * Any process may call it at any time; others wait for the lock meanwhile. It may be killed and called again.
 * flags: FALLOW_FIXED_ALONE, if nobody else is in a call or makes one before this returns: the lock is made
 * anew, with FALLOW_FIXED_SHARED as one between processes. That is for memory in a file that has outlived a
 * crash of the machine, or of a process whose allocator was not shared. On consistent memory it costs what
 * fallow_fixed_open costs, otherwise that for each damaged place. Returns NULL with errno EINVAL if no
 * allocator was made there, or for unknown flags; ENOTRECOVERABLE if what lies there is no lock.
 */
FALLOW_API fallow_fixed *fallow_fixed_repair(void *memory, size_t bytes, unsigned flags) FALLOW_MUST_USE;

/* Returns at least `bytes`, aligned to 16, not cleared; 0 bytes give a block of their own. Returns NULL with
 * errno ENOMEM, and nothing is lost; or ENOTRECOVERABLE if the memory is damaged. */
FALLOW_API void *fallow_fixed_alloc(fallow_fixed *fixed, size_t bytes) FALLOW_MUST_USE;

/* The same, aligned to a power of two. Returns NULL with errno EINVAL if `alignment` is none. */
FALLOW_API void *fallow_fixed_alloc_aligned(fallow_fixed *fixed, size_t alignment,
                                            size_t bytes) FALLOW_MUST_USE;

/* Like realloc; in place if possible. With a NULL block like fallow_fixed_alloc. 0 bytes count as 1. */
FALLOW_API void *fallow_fixed_realloc(fallow_fixed *fixed, void *block, size_t bytes) FALLOW_MUST_USE;

/* Frees a block; NULL does nothing. Stops the process if it is no block or was freed before. Returns false
 * with errno ENOTRECOVERABLE, and the block as it was, if the memory is damaged. */
FALLOW_API bool fallow_fixed_free(fallow_fixed *fixed, void *block);

/* Returns how much a block holds; under AddressSanitizer, what was asked for. */
FALLOW_API size_t fallow_fixed_usable_bytes(const void *block);

/* Drops all blocks, and all damage to the bookkeeping behind its first 64 bytes. Nobody else may be in a
 * call. Returns false, and does nothing, if those 64 bytes are damaged. */
FALLOW_API bool fallow_fixed_reset(fallow_fixed *fixed);

/* Figures in bytes, all of one moment. */
typedef struct fallow_fixed_figures {
    size_t total_bytes;   /* blocks and free memory together */
    size_t used_bytes;    /* in blocks, with the tags in front of them */
    size_t blocks;        /* live */
    size_t largest_bytes; /* the largest block that can be had now, aligned to 16 */
    size_t lost_bytes;    /* by damage, until a reset; part of total_bytes alone */
} fallow_fixed_figures;

/* figures_bytes is sizeof *figures. Returns false with errno EINVAL if no version had that size, or
 * ENOTRECOVERABLE if the memory is damaged. */
FALLOW_API bool fallow_fixed_read_sized(fallow_fixed *fixed, fallow_fixed_figures *figures,
                                        size_t figures_bytes);

/* The same for callers compiled with this header; all 0 if it fails. */
FALLOW_INLINE fallow_fixed_figures fallow_fixed_read(fallow_fixed *fixed) {
    fallow_fixed_figures figures = FALLOW_ZEROS;
    (void)fallow_fixed_read_sized(fixed, &figures, sizeof figures);
    return figures;
}

/* Shows every live block, in order of addresses. The walk ends when `visit` returns false, and then returns
 * false. The allocator's lock is held meanwhile: a visitor that allocates or frees in this allocator stops
 * the process. Returns false with errno ENOTRECOVERABLE if the memory is damaged; blocks from there on were
 * not shown. */
FALLOW_API bool fallow_fixed_walk(fallow_fixed *fixed,
                                  bool (*visit)(void *context, void *block, size_t bytes), void *context);

#ifdef __cplusplus
}
#endif
#endif
