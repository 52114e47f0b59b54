/* SPDX-License-Identifier: MIT */
/*
 * stats.h: how much of an arena is live, and how much is only held: by size class, by large blocks, in all.
 *
 * The figures are read off the structures while other threads allocate and free: nobody is stopped or slowed,
 * and nothing is counted on their paths. So each figure is right for some moment of the call, and exact for
 * what does not change meanwhile. The caller pays: a few ns for each slab and each large block of the arena.
 *
 * Threads: any, at any time but the arena's end.
 */
#ifndef FALLOW_STATS_H
#define FALLOW_STATS_H

#include <stddef.h>

#include "arena.h"
#include "version.h"

#ifdef __cplusplus
extern "C" {
#endif

#define FALLOW_CLASSES_MAX 96 /* more sizes than are in use */

/* Blocks of a size class live in slabs. */
typedef struct fallow_class_stats {
    size_t block_bytes; /* usable bytes of each block */
    size_t live_blocks;
    size_t slabs;
    size_t slab_bytes;        /* granted to these */
    size_t decommitted_bytes; /* the part of them that is not Ready: not used yet or given back */
} fallow_class_stats;

typedef struct fallow_stats {
    size_t live_bytes;        /* in blocks that are handed out, by what may be used of each */
    size_t live_blocks;       /* with the large ones */
    size_t large_bytes;       /* in blocks with pages of their own: most are larger than any size class */
    size_t large_blocks;      /* of that kind */
    size_t pool_bytes;        /* granted to pools, or kept by threads; not among the live bytes */
    size_t free_bytes;        /* Ready, in slabs, between and behind live blocks */
    size_t idle_bytes;        /* Ready, and granted to nobody: goes back by itself, or by fallow_give_back */
    size_t ready_bytes;       /* live, free, idle, and of pools: can be resident; without arenas below */
    size_t granted_bytes;     /* to slabs, large blocks, pools, and what threads keep for their next ones */
    size_t decommitted_bytes; /* the part of these that is not Ready */
    size_t class_count;
    fallow_class_stats classes[FALLOW_CLASSES_MAX]; /* the smallest first */
} fallow_stats;

/* Fills in the figures of an arena; NULL: of the arena that malloc serves from. stats_bytes is sizeof *stats.
 * Takes no memory. Returns false with errno EINVAL if no version had that size. */
FALLOW_API bool fallow_arena_stats(const fallow_arena *arena, fallow_stats *stats, size_t stats_bytes);

#ifdef __cplusplus
}
#endif
#endif
