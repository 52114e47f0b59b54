/* SPDX-License-Identifier: MIT */
/*
 * blocks.h: what the simulated program holds: every live block, with what was written into it. No two may
 * overlap, and each keeps its contents until the program frees it.
 */
#ifndef BLOCKS_H
#define BLOCKS_H

#include "world.h"

#define BLOCKS_MAX 600
#define SHARED (-1) /* anybody may take it */

typedef struct block {
    char *start; /* NULL: no block */
    size_t bytes;
    uint64_t pattern;
    int arena;        /* a slot of arenas.h; 0: malloc's */
    int owner;        /* number of a worker, or SHARED */
    const void *pool; /* it is an object of this pool: not freed alone */
} block;

/* A new block is at hand: it is aligned, overlaps no other, and is written to from here on. NULL: no room to
 * remember it. */
block *blocks_add(void *start, size_t bytes, size_t alignment, int arena, int owner);

/* As it was left. */
void blocks_verify(const block *it, const char *when);
void blocks_verify_zero(const void *start, size_t bytes);

/* From here on it is nobody's: the program is about to free it. */
block blocks_remove(block *it);

/* It could not be: it is still there (resized in place to other bytes, or moved there with its contents). */
block *blocks_put_back(const block *it, void *start, size_t bytes);

/* Some block of an owner, NULL: none. */
block *blocks_pick(int owner, sim_stream stream);
block *blocks_pick_in(int owner, int arena);

block *blocks_first(void);
#define BLOCKS_EACH(it) for (block *it = blocks_first(), *it##_end = it + BLOCKS_MAX; it < it##_end; it++)

/* All that is live. */
size_t blocks_bytes(void);

#endif
