/* SPDX-License-Identifier: MIT */
/*
 * scarce.h: what has changed in an arena that is at a limit, so that a give-back for the limit looks at that
 * and at nothing else, and a request that is refused again costs the same however large the arena is.
 *
 * An arena is scarce from its first give-back at a limit on, until it is well below its limits. While it is,
 * whoever frees something in it that no list of idle memory shows, and that may leave a page with no live
 * block, notes the region, or, in what a heap holds, that heaps are to be asked. A limit is exhausted when a
 * give-back for it has come to its end, until anything below it changes.
 *
 * A change comes first and is noted then; a give-back says that it looks, and looks then: one of them sees
 * the other. So what is stored and read on both sides is sequentially consistent, or under a lock that both
 * take.
 */
#ifndef FL_SCARCE_H
#define FL_SCARCE_H

#include "pagearena.h"

/* A give-back for a limit begins in an arena. What has not been looked at since the arena became scarce counts as changed. */
void fl_scarce_begin(fl_pagearena *arena);

#define FL_GROUP_PAGES (FL_REGION_PAGES / 64)

/* A region that has changed, with a bit in *groups for each FL_GROUP_PAGES of it in which something has; it no longer counts as
 * such. NULL: none has. */
fl_region *fl_scarce_next(fl_pagearena *arena, uint64_t *groups);

/* Parts of a region that have not been looked at after all: they count as changed again. */
void fl_scarce_put_back(fl_pagearena *arena, fl_region *region, uint64_t groups);

/* If the arena is well below all limits on it, it is scarce no longer. */
void fl_scarce_end(fl_pagearena *arena);

/* The rest of fl_scarce_note. */
void fl_scarce_mark(fl_pagearena *arena, const void *at);

/* Blocks became free in the slab at an address, or the slab has left its owner. After that has happened. */
static inline void fl_scarce_note(fl_pagearena *arena, const void *at) {
    if (atomic_load_explicit(&arena->scarce, memory_order_seq_cst))
        fl_scarce_mark(arena, at);
}

/* Something in an arena is, or may become, idle: no limit on it is exhausted any more. */
void fl_scarce_changed(fl_pagearena *arena);

/* The same of what a heap holds: it is to be asked. */
void fl_scarce_in_heaps(fl_pagearena *arena);

/* Has that been so since the last time that this was asked? */
bool fl_scarce_was_in_heaps(fl_pagearena *arena);

/* A hint: who must not miss a change of it loads it by himself, sequentially consistent. */
static inline bool fl_pagearena_is_scarce(const fl_pagearena *arena) {
    return atomic_load_explicit(&arena->scarce, memory_order_relaxed);
}

/* Of the limit of an arena, or (NULL) of the process. */
bool fl_scarce_is_exhausted(const fl_pagearena *whose);
void fl_scarce_set_exhausted(fl_pagearena *whose, bool exhausted);

/* Something in an arena could go, but for a thread that is in the middle of an operation: who is at a limit on it may wait for that
 * a moment. */
void fl_scarce_in_hands(fl_pagearena *arena);

/* Has that been so since the last time that this was asked? */
bool fl_scarce_was_in_hands(fl_pagearena *whose);

#endif
