/* SPDX-License-Identifier: MIT */
/*
 * arena.h: a heap of its own for a tenant, a shard, a cache: its own address range, its own limit, its own
 * figures, and an end that gives everything back in one call.
 *
 * An arena's limit is on Ready bytes: what the arena can have resident. Pages that have become idle count
 * until they are given back; an arena at its limit gives back what is idle before it refuses.
 *
 * Threads: every function may be called from any thread. A block may be freed by another thread than the one
 * that allocated it. While fallow_arena_destroy runs, no other thread may use the arena or its blocks.
 */
#ifndef FALLOW_ARENA_H
#define FALLOW_ARENA_H

#include <stddef.h>

#include "version.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct fallow_arena fallow_arena;

/* Figures of one arena, in bytes, together at one moment. */
typedef struct fallow_arena_figures {
    size_t prepared_bytes; /* address space mapped, meant to have no memory behind it */
    size_t ready_bytes;    /* can be resident; never above the limit */
    size_t ready_peak_bytes;
    size_t granted_bytes; /* of the Ready bytes: in slabs and large blocks; the rest is idle */
    size_t limit_bytes;   /* 0: none */
} fallow_arena_figures;

/*
 * A new, empty arena. name is shown in figures; up to 31 bytes of it are copied; may be NULL. limit_bytes is
 * rounded down to pages of 16 KiB; 0: no limit. An arena that serves a block holds at least one slab for its
 * size (64 KiB for blocks to 1 KiB, 128 KiB to 8 KiB, 256 KiB to 32 KiB, 1 MiB to 128 KiB): a limit below
 * that makes every allocation of the size fail. NULL with errno ENOMEM when there is no memory for its
 * bookkeeping.
 */
FALLOW_API fallow_arena *fallow_arena_create(const char *name, size_t limit_bytes) FALLOW_MUST_USE;

/*
 * Gives everything back: all blocks are gone, all memory is the system's again. Any number of threads may
 * have used the arena; none may do so any more.
 */
FALLOW_API void fallow_arena_destroy(fallow_arena *arena);

/* At least `bytes`, aligned to 16 bytes, not cleared. NULL with errno ENOMEM at the limit or when the system
 * has no memory; nothing is lost by that. 0 bytes give a block of its own. */
FALLOW_API void *fallow_arena_alloc(fallow_arena *arena, size_t bytes) FALLOW_MUST_USE;

/* The same, all zero. */
FALLOW_API void *fallow_arena_alloc_zeroed(fallow_arena *arena, size_t bytes) FALLOW_MUST_USE;

/* The same, aligned to a power of two. NULL with errno EINVAL if it is none. */
FALLOW_API void *fallow_arena_alloc_aligned(fallow_arena *arena, size_t alignment,
                                            size_t bytes) FALLOW_MUST_USE;

/* Frees a block of this arena; NULL does nothing. A pointer that is no block stops the process. */
FALLOW_API void fallow_arena_free(fallow_arena *arena, void *block);

FALLOW_API fallow_arena_figures fallow_arena_read(const fallow_arena *arena);

/* The arena that a block came from; NULL if the pointer is not into a block of fallow's (of a block above a
 * MiB: into its first MiB). */
FALLOW_API fallow_arena *fallow_arena_of(const void *block);

/*
 * Gives idle memory back to the system: what fallow's own thread does in libfallow-malloc. A program that
 * embeds fallow calls this from its own loop, ten times a second or so; one call works for at most a
 * millisecond. Returns 0 when nothing is left to do.
 */
FALLOW_API int fallow_tick(void);

#ifdef __cplusplus
}
#endif
#endif
