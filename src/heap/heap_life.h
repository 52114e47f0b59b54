/* SPDX-License-Identifier: MIT */
/*
 * heap_life.h: makes a heap for a thread and releases it when the thread ends; and deals, in the child of a
 * fork, with the heaps of threads that are not there.
 */
#ifndef FL_HEAP_LIFE_H
#define FL_HEAP_LIFE_H

#include "heap.h"

/* Returns a heap for a thread; NULL if out of memory. */
fl_heap *fl_heap_acquire(fallow_arena *arena, struct fl_thread *thread);

/* Abandons all of a heap's slabs, which live on while they hold live blocks. Its batches have been handed
 * over. */
void fl_heap_release(fl_heap *heap);

/* Called in the child of a fork, where only the forking thread exists; `self` is its record, or NULL if it
 * has none. */
void fl_heap_fork_child(fallow_arena *arena, const struct fl_thread *self);

#endif
