/* SPDX-License-Identifier: MIT */
/*
 * heap_life.h: heaps come and go: made for a thread, released when it ends; and what the child of a fork makes of those whose
 * threads it does not have.
 */
#ifndef FL_HEAP_LIFE_H
#define FL_HEAP_LIFE_H

#include "heap.h"

/* A heap for a thread; NULL: out of memory. */
fl_heap *fl_heap_acquire(fallow_arena *arena, struct fl_thread *thread);

/* Lets all slabs go; they live on, abandoned, while they hold live blocks. Its batches have been handed over. */
void fl_heap_release(fl_heap *heap);

/* In the child of a fork: no other thread exists than the one that forked, whose record `self` is (NULL: it has none). */
void fl_heap_fork_child(fallow_arena *arena, const struct fl_thread *self);

#endif
