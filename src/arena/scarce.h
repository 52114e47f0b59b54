/* SPDX-License-Identifier: MIT */
/*
 * scarce.h: what has changed in an arena at a limit. A give-back for the limit looks at that and at nothing
 * else, so a request that is refused again costs the same however large the arena is.
 *
 * An arena is scarce from its first give-back at a limit until it is well below its limits. While it is, a
 * thread that frees something which no list of idle memory shows, and which may leave a page with no live
 * block, notes the region; or, for what a heap holds, that heaps should be asked. A limit is exhausted from
 * the end of a give-back for it until anything below it changes.
 *
 * A thread first makes a change and then notes it; a give-back first says that it looks and then looks. One
 * of them sees the other, because what both sides store and read is sequentially consistent, or under a lock
 * that both take.
 */
#ifndef FL_SCARCE_H
#define FL_SCARCE_H

#include "pagearena.h"

/* Begins a give-back for a limit in an arena, whose upkeep the caller has. What has not been looked at since
 * the arena became scarce counts as changed. */
void fl_scarce_begin(fl_pagearena *arena);

#define FL_GROUP_PAGES (FL_REGION_PAGES / 64)

/* Takes out a region that has changed, with a bit in *groups for each FL_GROUP_PAGES of it in which something
 * has. Returns NULL if none has. */
fl_region *fl_scarce_next(fl_pagearena *arena, uint64_t *groups);

/* Counts parts of a region as changed again: they have not been looked at after all. */
void fl_scarce_put_back(fl_pagearena *arena, fl_region *region, uint64_t groups);

/* Notes that a page could not be looked at, because somebody has in hand what is in it. It counts as changed
 * from the end of this look on: who has it in hand need not know that he was in the way. */
void fl_scarce_skip(fl_pagearena *arena, size_t page);
void fl_scarce_look_ends(fl_pagearena *arena);

/* Ends scarcity if the arena is well below all limits on it. */
void fl_scarce_end(fl_pagearena *arena);

/* In the child of a fork: what other threads were about to note, nobody notes. So it is not scarce until its
 * next give-back. */
void fl_scarce_fork_child(fl_pagearena *arena);

/* The rest of fl_scarce_note. */
void fl_scarce_mark(fl_pagearena *arena, const void *at);

/* Notes that blocks became free in the slab at an address, or that the slab has left its owner. Called after
 * that has happened. */
static inline void fl_scarce_note(fl_pagearena *arena, const void *at) {
    if (atomic_load_explicit(&arena->scarce, memory_order_seq_cst))
        fl_scarce_mark(arena, at);
}

/* Ends the exhaustion of all limits on an arena: something in it is, or may become, idle. */
void fl_scarce_changed(fl_pagearena *arena);

/* The same for what a heap holds: heaps should be asked. */
void fl_scarce_in_heaps(fl_pagearena *arena);

/* Returns whether that has been called since the last time that this was. */
bool fl_scarce_was_in_heaps(fl_pagearena *arena);

/* A hint. A caller that must not miss a change loads it itself, sequentially consistent. */
static inline bool fl_pagearena_is_scarce(const fl_pagearena *arena) {
    return atomic_load_explicit(&arena->scarce, memory_order_relaxed);
}

/* Of the limit of an arena, or (NULL) of the process. */
bool fl_scarce_is_exhausted(const fl_pagearena *whose);
void fl_scarce_set_exhausted(fl_pagearena *whose, bool exhausted);

/* Notes that something in an arena could go, but for a thread in the middle of an operation: a request at a
 * limit on it may wait for that a moment. */
void fl_scarce_in_hands(fl_pagearena *arena);

/* Returns whether that has been called since the last time that this was. */
bool fl_scarce_was_in_hands(fl_pagearena *whose);

#endif
