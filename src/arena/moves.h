/* SPDX-License-Identifier: MIT */
/*
 * moves.h: moves pages from one granted run to another, and counts what that leaves in the system's list of
 * mappings.
 *
 * The place that pages are moved to becomes a mapping of its own. The kernel does not merge it with its
 * neighbours, whatever comes and goes in it later, until the place is unmapped and mapped afresh.
 *
 *     mapped afresh │ moved to            │ mapped afresh    │ moved to     │ moved to
 *     ──────────────┼─────────────────────┼──────────────────┼──────────────┼──────────
 *                  cut                   cut                cut            cut
 *
 * A region has a bit for each cut, and the process counts them all. At FL_CUTS_MAX an arena first maps afresh
 * what was moved to and is now free and Prepared, so a program whose blocks come and go never meets the
 * bound. If that gains nothing, so many moved blocks are live, and blocks are copied until some have gone. An
 * end that meets the end of a region is not counted; so there are at most two mappings for each cut, a
 * quarter of the 65,530 that Linux allows.
 */
#ifndef FL_MOVES_H
#define FL_MOVES_H

#include "pagearena.h"

#define FL_CUTS_MAX ((size_t)8192)

/* Of the process. Relaxed: the number guards nothing. */
extern _Atomic size_t fl_cuts;

/* Returns whether a run lies in so few mappings that moving it is cheaper than copying it into one. */
bool fl_pages_are_in_few_mappings(fl_pagearena *arena, const char *start, size_t pages);

/* osmem_move between two granted runs of an arena, mapping by mapping. Unless all have moved, none has; after
 * OSMEM_LOST, *lost is what of `to` is None. Returns OSMEM_UNSUPPORTED also if there are as many
 * cuts as may be. Holds the move lock; takes both of the arena's. */
osmem_result fl_pages_move(fl_pagearena *arena, char *from, char *to, size_t pages, osmem_range *lost);

/* Forgets the cuts in pages [first, end) of a region, which are no longer mapped, or mapped afresh. Caller
 * holds what guards the region's chunks. */
void fl_moves_forget(fl_region *region, size_t first, size_t end);

#endif
