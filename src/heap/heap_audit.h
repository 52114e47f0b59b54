/* SPDX-License-Identifier: MIT */
/*
 * heap_audit.h: audits the books of slabs, heaps and arenas, and stops the process at the first
 * contradiction, as page_audit.h does on the floor below. Only checking builds have it.
 *
 * Threads: an audit changes nothing and, except for fl_audit_arena_unused, takes no lock, so that a simulator
 * that has stopped every other thread may call it whatever those hold. Caller holds the lock that guards the
 * structure, or has stopped every other thread while nobody held it. An arena that is being made, reset or
 * destroyed cannot be audited.
 */
#ifndef FL_HEAP_AUDIT_H
#define FL_HEAP_AUDIT_H

#include "heap.h"

#if FL_CHECKS >= 2

/* Audits the abandoned slabs, listed and purged, and their counts. Caller holds lists_lock. (They are only
 * part of reclaimable_bytes; the rest is counted a moment earlier or later, so the sum is exact only in an
 * arena that nobody uses.) */
void fl_audit_lists(const fallow_arena *arena);

/*
 * Audits a heap's parked, notified and current slabs. Caller holds heap->lock, and the heap's thread is the
 * caller or is stopped, in none of the heap's functions except where they wait. A heap whose lists were lost
 * in a fork is skipped.
 */
void fl_audit_heap(const fl_heap *heap);

/* Audits the heap's lists alone, whatever its thread does. Returns how many slabs are in them. */
size_t fl_audit_parked(const fl_heap *heap);

/*
 * Audits all of an arena that nobody uses: the above; that each slab in the page map is in the one place for
 * its state; and that what is granted is what slabs, large blocks, spans and pools hold. The scavenger is not
 * in it, and no thread is about to part with its heap there, as it may when it ends or uses many other
 * arenas. A forked arena is skipped: no book there has what other threads had in hand.
 */
void fl_audit_arena_quiet(const fallow_arena *arena);

/* The same for an arena that the program does not use: takes the locks that keep the scavenger and such
 * threads away. */
void fl_audit_arena_unused(const fallow_arena *arena);

#else

static inline void fl_audit_arena_unused(const fallow_arena *arena) {
    (void)arena;
}

#endif

#endif
