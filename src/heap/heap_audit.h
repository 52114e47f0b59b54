/* SPDX-License-Identifier: MIT */
/*
 * heap_audit.h: walks over the books of slabs, heaps and arenas, and stops the process at the first two entries that contradict
 * each other, as page_audit.h does on the floor below. For checking builds; others have none of it.
 *
 * Threads: an audit takes no lock (but for fl_audit_arena_unused), so that a simulator that has stopped every other thread may
 * call it whatever these hold. The caller holds the lock that guards the structure, or has stopped every other thread at a moment
 * when nobody holds it. It changes nothing. Of an arena that is being made, reset or destroyed nothing can be said.
 */
#ifndef FL_HEAP_AUDIT_H
#define FL_HEAP_AUDIT_H

#include "heap.h"

#if FL_CHECKS >= 2

/* Slabs that nobody owns, listed and purged, and their counts. Under lists_lock. (Of reclaimable_bytes they are a part only; what
 * adds to it elsewhere is counted a moment before or after, so that it is exact in an arena that nobody uses.) */
void fl_audit_lists(const fallow_arena *arena);

/*
 * A heap's parked slabs, those that it is notified of, and its current ones. Under heap->lock; and its own thread is stopped, or is
 * the caller, and in none of the heap's functions but where these wait. Nothing is said of a heap whose lists were lost in a fork.
 */
void fl_audit_heap(const fl_heap *heap);

/* The heap's lists alone, whatever its thread does. Returns how many slabs are in them. */
size_t fl_audit_parked(const fl_heap *heap);

/*
 * All of an arena that nobody uses: the above, that each slab which the table leads to is in the one place for its state, and
 * that what is granted is what slabs, large blocks, spans and pools hold. The scavenger is not in it, and no thread is about to
 * let its heap there go, as it may when it ends or uses many other arenas. Nothing is said of an arena that was forked: what
 * other threads had in their hands is in no book there.
 */
void fl_audit_arena_quiet(const fallow_arena *arena);

/* The same of an arena that the program does not use: takes the locks that keep those two away. */
void fl_audit_arena_unused(const fallow_arena *arena);

#else

static inline void fl_audit_arena_unused(const fallow_arena *arena) {
    (void)arena;
}

#endif

#endif
