/* SPDX-License-Identifier: MIT */
/*
 * family.h: an arena goes from one parent to another: all that it has, with those below it, counts in the limits and figures of other arenas
 * from then on.
 *
 * What an arena counts goes up its chain of parents without a lock of theirs, but with its own (charge.h). So with the locks of an arena and
 * of all below it nothing of theirs is on its way up: what the arena counts is exactly what each above it counts of it. Chains are only
 * read otherwise, at any time, for hints; arenas' descriptors stay what they are for ever.
 *
 * Threads: with the lock of arenas (../slab/arenas.c).
 */
#ifndef FL_FAMILY_H
#define FL_FAMILY_H

#include "pagearena.h"

/* Counts an arena that is there, or is no more, in all above it (arenas_below). */
void fl_family_count(fl_pagearena *arena, bool more);

/* Is an arena below another one, at whatever depth? */
bool fl_family_is_below(const fl_pagearena *arena, const fl_pagearena *other);

/* Takes an arena to another parent (NULL: below nobody), which is neither the arena nor below it. The caller holds the locks of pages of the
 * arena and of all below it. Returns false where a hard limit is in the way: *shortage says whose, and nothing has changed. */
bool fl_family_move(fl_pagearena *arena, fl_pagearena *parent, fl_shortage *shortage);

#endif
