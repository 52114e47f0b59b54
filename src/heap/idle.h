/* SPDX-License-Identifier: MIT */
/*
 * idle.h: heaps that wait in their arena, whole, for the next thread that comes to it.
 *
 * A thread that has heaps in too many arenas parts with one, and a thread that ends with all: current slabs, lists and tag stay
 * as they are, only the heap's thread changes hands. So a thread that lives for 200 blocks costs a third of what it does where
 * its slabs are let go and others made. The heap stands in a slot of its arena, in one word with the number of ticks that it has
 * been there, and whoever takes the word out has the heap: a thread, to go on with it, or upkeep, to let its slabs go when nobody
 * has come for a few ticks, or as soon as memory is wanted.
 *
 * What is free in an idle heap's slabs is nobody's to use meanwhile, so a heap of many slabs, or with much that is free, does not
 * wait: it is released. So is one in whose slabs others free much, by who is about to ask for another slab.
 *
 * Threads: heaps are put in with the lock of threads held, so that a slot is filled by one thread at a time, and neither in the
 * middle of a fork nor after the arena's end has looked for its heaps; they are taken out with that lock or in upkeep.
 */
#ifndef FL_IDLE_H
#define FL_IDLE_H

#include "heap.h"

/* So much does an idle heap count for among what a tick could free: a slab. What it has is not looked at for that. */
#define FL_IDLE_HEAP_BYTES ((size_t)64 << 10)

/* Parts a heap from its thread, which is the caller and is not in the middle of anything with it. A heap of many slabs, and one
 * whose arena has as many idle ones as it may, is released. Holds the lock of threads. */
void fl_idle_put(fl_heap *heap);

/* An idle heap becomes a thread's; NULL: there is none. Holds the lock of threads. */
fl_heap *fl_idle_take(fallow_arena *arena, struct fl_thread *thread);

/* Idle heaps in whose slabs others have freed much meanwhile let them go, for who is about to ask for another slab. True: some did. */
bool fl_idle_release_notified(fallow_arena *arena);

/* Upkeep's part: a tick goes by, or memory is wanted. True: some are idle still, and will have to go. */
bool fl_idle_tend(fallow_arena *arena, fl_cause cause);

/* The arena's heaps have ended, the idle ones among them. */
void fl_idle_forget(fallow_arena *arena);

/* The heap in a slot, or NULL. */
static inline fl_heap *fl_idle_heap(uintptr_t word) {
    return (fl_heap *)(word & ~(uintptr_t)63);
}

#endif
