/* SPDX-License-Identifier: MIT */
/*
 * batches.h: gathers the blocks of other owners' slabs that a thread frees, by slab, until one atomic push is
 * worth its price. (Message batching; snmalloc's remote caches and BatchIt are the published references.)
 *
 * A gathered block counts as live to everybody: its slab stays, and so do its pages. So what waits is
 * bounded, to 64 KiB a heap, and whoever wants to know or have what is free hands it over first: upkeep and
 * malloc_trim, a limit, statistics, a walk, the thread's end, the heap's end. Nothing is gathered in an arena
 * at a limit, or where the system cannot fence all threads; if a filter takes that fence away later, what a
 * thread has gathered waits for its next free, or its end. Only blocks of the heap's own arena are gathered,
 * so they end with it.
 *
 * Threads: the owner gathers while its hazard pointer says "the heap". Another thread closes the heap's
 * batches, fences all threads and looks at the hazard pointer: one of the two sees the other, as with slabs
 * (heap.h). While its batches are closed, the owner pushes block by block. Other threads reach batches
 * through the arena's list, under its heaps_lock.
 */
#ifndef FL_BATCHES_H
#define FL_BATCHES_H

#include "heap.h"

/* A batch of larger blocks would hold too few to be worth anything, and would keep their slabs from becoming
 * empty. */
#define FL_BATCHED_BYTES_MAX ((size_t)512)

void fl_batches_init(fl_heap *heap);

/* Returns whether a block of this slab is to be gathered when the heap's thread frees it. A marked one is
 * not: it may have been freed before, which a push of it alone detects. */
static inline bool fl_batches_are_for(const fl_heap *heap, const fl_slab *slab, const void *block) {
    return slab->arena == heap->arena && slab->block_bytes <= FL_BATCHED_BYTES_MAX && !fl_is_marked(block);
}

/* Gathers a block that fl_batches_are_for. Returns what must be handed over now: nothing; a full batch; the
 * batch of another slab that was in the place; or the block together with those of its slab that have waited.
 * The last happens in a slab of which, by its word, little is live: none of its blocks wait, so that freeing
 * the last ones lets it die. */
fl_batch fl_batches_add(fl_heap *heap, fl_slab *slab, void *block);

/* What must follow once blocks have reached their slab. */
typedef enum fl_handed {
    FL_HANDED_QUIETLY, /* nothing */
    FL_HANDED_HALF,    /* the driver is told: half of what lived in an abandoned slab has gone */
    FL_HANDED_SLAB     /* the driver is told: a slab has changed hands, or has died */
} fl_handed;

/* Pushes blocks (see fl_slab_push) and does what follows from it, except informing the driver, which is left
 * to callers that may. Caller holds no heap's lock. */
fl_handed fl_hand_over(fl_slab *slab, void *first, void *last, uint32_t count);

/* Hands over all that a heap has gathered. Caller is its thread, which is about to part with it. */
void fl_batches_empty(fl_heap *heap);

/* Hands over what has been gathered in an arena, except what a thread is in the middle of. at_limit: the
 * arena is scarce, so nothing is gathered in it from now on, and what is left over is for the next time. */
void fl_batches_flush(fallow_arena *arena, bool at_limit);

/* Returns whether any are, because their threads were in the middle or the system refused a fence. */
bool fl_batches_are_left(fallow_arena *arena);

#endif
