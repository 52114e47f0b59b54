/* SPDX-License-Identifier: MIT */
/*
 * moves.h: pages that go from one granted run to another, and what is left of that in the system's list of mappings.
 *
 * Where pages are moved to, a mapping of its own comes to lie. The kernel does not merge it with its neighbours, whatever comes
 * and goes in it later, until the place is unmapped and mapped afresh.
 *
 *     mapped afresh │ moved to            │ mapped afresh    │ moved to     │ moved to
 *     ──────────────┼─────────────────────┼──────────────────┼──────────────┼──────────
 *                  cut                   cut                cut            cut
 *
 * A region has a bit for each cut, and the process counts them all. At FL_CUTS_MAX an arena first maps afresh what
 * was moved to and is free and Prepared: so a program whose blocks come and go never sees the bound. Where that brings
 * nothing, so many moved blocks live; then blocks are copied until some of them have gone. An end that meets the end of a
 * region is not counted: so there are at most two mappings for each cut, a quarter of the 65,530 that Linux allows.
 */
#ifndef FL_MOVES_H
#define FL_MOVES_H

#include "pagearena.h"

#define FL_CUTS_MAX ((size_t)8192)

/* Of the process. Counted with no order: the number guards nothing. */
extern _Atomic size_t fl_cuts;

/* osmem_move between two granted runs of an arena; OSMEM_UNSUPPORTED also where there are as many cuts as may be. Holds the
 * move lock; takes the arena's two. */
osmem_result fl_pages_move(fl_pagearena *arena, char *from, char *to, size_t pages);

/* Pages [first, end) of a region are no longer mapped, or mapped afresh. Has what guards the region's chunks. */
void fl_moves_forget(fl_region *region, size_t first, size_t end);

#endif
