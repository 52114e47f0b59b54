/* SPDX-License-Identifier: MIT */
/*
 * idle.h: keeps heaps whole in their arena for the next thread that comes to it.
 *
 * A thread with heaps in too many arenas parts with one, and a thread that ends parts with all. Current
 * slabs, lists and tag stay as they are; only the heap's thread changes. This makes a thread that lives for
 * 200 blocks cost a third of what it costs to abandon its slabs and make others. The heap stands in a slot of
 * its arena, in one word with the number of ticks it has been there. Whoever takes the word out has the heap:
 * a thread, to go on with it; or upkeep, to abandon its slabs when nobody has come for a few ticks, or as
 * soon as memory is wanted.
 *
 * Nobody can use what is free in an idle heap's slabs, so a heap with many slabs, or with much free in them,
 * is released instead. So is one in whose slabs others free much, by a thread that is about to ask for
 * another slab.
 *
 * Threads: heaps are put in under the lock of threads, so that one thread at a time fills slots, and never in
 * the middle of a fork or after the arena's end has looked for its heaps. They are taken out under that lock
 * or by upkeep.
 */
#ifndef FL_IDLE_H
#define FL_IDLE_H

#include "heap.h"

/* What an idle heap counts for among what a tick could free: one slab. Nobody looks at what it really has. */
#define FL_IDLE_HEAP_BYTES ((size_t)64 << 10)

/* Parts a heap from its thread, which is the caller and not in the middle of anything with it. Releases a
 * heap with many slabs, or one whose arena has enough idle ones. Caller holds the lock of threads. */
void fl_idle_put(fl_heap *heap);

/* Makes an idle heap a thread's; returns NULL if there is none. Caller holds the lock of threads. */
fl_heap *fl_idle_take(fallow_arena *arena, struct fl_thread *thread);

/* Releases idle heaps in whose slabs others have freed much. Caller is about to ask for another slab. Returns
 * whether any was. */
bool fl_idle_release_notified(fallow_arena *arena);

/* Upkeep's part, at a tick or when memory is wanted. Returns whether heaps are still idle, and have to go
 * later. */
bool fl_idle_tend(fallow_arena *arena, fl_cause cause);

/* Called when the arena's heaps have ended, the idle ones among them. */
void fl_idle_forget(fallow_arena *arena);

static inline fl_heap *fl_idle_heap(uintptr_t word) {
    return (fl_heap *)(word & ~(uintptr_t)63);
}

#endif
