/* SPDX-License-Identifier: MIT */
/*
 * family.h: moves an arena to another parent. From then on all that it has, with the arenas below it, counts
 * in the limits and figures of other arenas.
 *
 * What an arena counts goes up its chain of parents under the arena's lock, without the parents' (charge.h).
 * So a thread that holds the locks of an arena and of all below it knows that nothing of theirs is on its way
 * up: each arena above counts exactly what the arena itself counts. Others only read chains, at any time, for
 * hints; descriptors of arenas stay what they are for ever.
 *
 * Threads: the caller holds the lock of arenas (../slab/arenas.c).
 */
#ifndef FL_FAMILY_H
#define FL_FAMILY_H

#include "pagearena.h"

/* Counts an arena in (more) or out, in all above it (arenas_below). */
void fl_family_count(fl_pagearena *arena, bool more);

/* Returns whether an arena is below another, at whatever depth. */
bool fl_family_is_below(const fl_pagearena *arena, const fl_pagearena *other);

/* Moves an arena to another parent (NULL: below nobody), which is neither the arena nor below it. The caller
 * holds the locks of pages of the arena and of all below it. Returns false, and changes nothing, if a hard
 * limit is in the way; *shortage says whose. */
bool fl_family_move(fl_pagearena *arena, fl_pagearena *parent, fl_shortage *shortage);

#endif
