/* SPDX-License-Identifier: MIT */
/*
 * batches.h: blocks of other owners' slabs that a thread has freed, gathered by slab until there are some for one atomic push. (Message
 * batching: snmalloc's remote caches, and BatchIt, are the published references.)
 *
 * A gathered block counts as live for everybody: its slab stays, its pages stay. So what waits is bounded, 64 KiB a heap; and whoever
 * wants to know or to have what is free hands it over first: upkeep and malloc_trim, a limit, statistics, a walk, the thread's end,
 * the heap's. In an arena at a limit, and where the system has no fence for all threads, nothing is gathered; where it has none any
 * more (a filter), what a thread has waits for its next free, or its end. Only blocks of the heap's own arena are: they end with it.
 *
 * Threads: the owner gathers with its hazard pointer saying "the heap"; another thread closes the heap's batches, fences all threads,
 * and looks at the hazard pointer: one of them sees the other, as with slabs (heap.h). While batches are closed their owner pushes
 * block by block. Others come to them by the arena's list, with its heaps_lock.
 */
#ifndef FL_BATCHES_H
#define FL_BATCHES_H

#include "heap.h"

/* A batch of larger blocks would be so few that it is worth nothing, and keeps their slabs from being empty. */
#define FL_BATCHED_BYTES_MAX ((size_t)512)

/* Of a heap that has none. */
void fl_batches_init(fl_heap *heap);

/* Is a block of this slab, which its thread frees, one to gather? Not if it is marked: it may have been freed before, which is seen
 * where it is pushed alone. */
static inline bool fl_batches_are_for(const fl_heap *heap, const fl_slab *slab, const void *block) {
    return slab->arena == heap->arena && slab->block_bytes <= FL_BATCHED_BYTES_MAX && !fl_is_marked(block);
}

/* Gathers a block that fl_batches_are_for. Returns what is to be handed over now: nothing, or a batch of as many blocks as one may
 * have, that of another slab which was in the place, or the block with those of its slab that have waited: in a slab of which
 * little is live for all that its word says, none waits, so that the last blocks that are freed let it die. */
fl_batch fl_batches_add(fl_heap *heap, fl_slab *slab, void *block);

/* What has to follow when blocks have come to their slab. */
typedef enum fl_handed { FL_HANDED_QUIETLY, FL_HANDED_HALF, FL_HANDED_SLAB } fl_handed;

/* Pushes blocks (see fl_slab_push), and does what the push is to bring about, but for telling the driver: that is left to who may do
 * so. No heap's lock may be held. */
fl_handed fl_hand_over(fl_slab *slab, void *first, void *last, uint32_t count);

/* Hands over all that a heap has gathered, for its thread, which is about to part with it. */
void fl_batches_empty(fl_heap *heap);

/* Hands over what has been gathered in an arena, but for what a thread is in the middle of. at_limit: the arena is scarce, so from here
 * on nothing is gathered in it, and what has been left is for the next time. */
void fl_batches_flush(fallow_arena *arena, bool at_limit);

#endif
