/* SPDX-License-Identifier: MIT */
/*
 * sampled.h: a sample by bytes of what is allocated, for the profile (../profile/), and one by allocations, for traps
 * (../slab/trap.h): who counts, and what a sampled block is.
 *
 * The fast path counts nothing. While blocks are sampled, heaps are *counted*: what their fast path finds for every size is a
 * slab of their own from which nothing can be had (heap->counted), so that each allocation comes to fl_heap_alloc_slow, which counts
 * and takes the block from the current slab. Frees are as ever. A sampled block is a large block, whatever its size; so all that
 * finds a block's slab in the page map finds a descriptor that says what it is, and frees of others ask nothing.
 *
 * On and off is a wish (fl_the_sampling.wanted), written by whoever has it: a call, an option, another process. It is followed by the
 * next thread that comes to a slow path, for all heaps. Who writes it from outside makes each heap's window_pages 0: the next free of its
 * owner comes here then.
 *
 * The hardened build does not sample: its large blocks have guards and an end word (sealed.h), and a sampled one would have none. No wish is
 * followed there, and the root does not say where to write one.
 */
#ifndef FL_SAMPLED_H
#define FL_SAMPLED_H

#include "../profile/sites.h"
#include "heap.h"

/* Has one in `mean` allocations of the process's arena put into a trap from now on, each with the same chance; 0 means none. The
 * caller holds no lock of fallow's; so for the next. */
void fl_sampling_trap(uint32_t mean);

/* Follows the wish. */
void fl_sampling_follow(void);

/* An allocation of a counted heap: is it to be sampled? By its owner. */
bool fl_sampled_is_due(fl_heap *heap, size_t bytes);

/* Counts an allocation of a counted heap, and returns whether it is to be put into a trap. By the owner. */
bool fl_trapping_is_due(fl_heap *heap);

/* Returns whether the heaps of an arena are to be counted. */
bool fl_sampling_counts(const fallow_arena *arena);

/* A block, at hand or to be had, that is a sample of the calls from a frame on. NULL: no memory. */
void *fl_sampled_alloc(fl_heap *heap, size_t bytes, const void *frame);

/* A large block has been handed out, or changed its size, past fl_heap_alloc: perhaps it is one. */
void fl_sampled_note_large(fl_slab *run, size_t bytes, const void *frame);

#endif
