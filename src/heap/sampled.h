/* SPDX-License-Identifier: MIT */
/*
 * sampled.h: a sample by bytes of what is allocated, for the profile (../profile/), and one by allocations,
 * for traps (../slab/trap.h): who counts, and what a sampled block is.
 *
 * The fast path counts nothing. While blocks are sampled, heaps are *counted*: for every size, their fast
 * path finds a slab of their own which never has a block (heap->counted). So each allocation comes to
 * fl_heap_alloc_slow, which counts and takes the block from the current slab. Frees are as ever. A sampled
 * block is a large block, whatever its size: code that looks up a block's slab in the page map finds a
 * descriptor that says what it is, and frees of others have nothing to ask.
 *
 * On and off is a wish (fl_the_sampling.wanted), written by a call, an option, or another process. The next
 * thread that comes to a slow path follows it, for all heaps. A writer from outside also makes each heap's
 * window_pages 0, which leads its owner's next free to here.
 *
 * The hardened build does not sample: its large blocks have guards and an end word (sealed.h), and a sampled
 * one would have none. There, no wish is followed, and the root does not say where to write one.
 */
#ifndef FL_SAMPLED_H
#define FL_SAMPLED_H

#include "../profile/sites.h"
#include "heap.h"

/* From now on, puts one in `mean` allocations of the process's arena into a trap, each with the same chance;
 * 0: none. The caller holds no lock of fallow's; so with the next. */
void fl_sampling_trap(uint32_t mean);

void fl_sampling_follow(void);

/* Returns whether an allocation of a counted heap is to be sampled. For its owner. */
bool fl_sampled_is_due(fl_heap *heap, size_t bytes);

/* Counts an allocation of a counted heap. Returns whether it is to go into a trap. For its owner. */
bool fl_trapping_is_due(fl_heap *heap);

bool fl_sampling_counts(const fallow_arena *arena);

/* Allocates a block as a sample of the calls from a frame on. Returns NULL if there is no memory. */
void *fl_sampled_alloc(fl_heap *heap, size_t bytes, const void *frame);

/* Samples, perhaps, a large block that was handed out or resized without fl_heap_alloc. */
void fl_sampled_note_large(fl_slab *run, size_t bytes, const void *frame);

#endif
