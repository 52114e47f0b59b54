/* SPDX-License-Identifier: MIT */
/*
 * purge.h: OS pages inside a slab that no live block touches go back to the system, and come back when their blocks
 * are wanted. What is resident then approaches what memory that may not move can reach: the pages that hold a live
 * block.
 *
 *     units   │  0  │  1  │  2  │  3  │     a unit is an OS page; more in slabs of more than 64
 *     blocks  │ a │ b │ c │ d │ e │ f │   a, f live: units 1 and 2 hold no part of them and go away;
 *                                         b to e touch them and are in no list until these are Ready again
 *
 * Only who holds a slab's claim purges it; its owner carves it. A purged slab stays granted as a whole, so that to
 * use it again cannot run into a limit.
 */
#ifndef FL_PURGE_H
#define FL_PURGE_H

#include "slab.h"

/* Makes the units of some blocks Ready that are away, and puts all blocks that this makes whole into the free list.
 * False: there are none, or no memory. */
bool fl_slab_carve_away(fl_slab *slab);

/* All units that blocks [first, end) touch Ready; no block is moved. False: no memory; nothing has changed. */
bool fl_slab_make_ready(fl_slab *slab, uint32_t first, uint32_t end);

/* All of a slab Ready that is about to be given up: its pages are the arena's again. False: the system refused some, where
 * that is something to ask for (Windows' commit); the slab is as good as before. */
bool fl_slab_restore(fl_slab *slab);

/* All of it Prepared instead, in its arena's books too. False: the system refused that. */
bool fl_slab_empty(fl_slab *slab);

/*
 * Purges slabs in an arena's lists: all, or only those that have lain there for ten seconds. Returns true where the
 * deadline came first.
 */
bool fl_purge_listed(struct fallow_arena *arena, fl_cause cause, uint64_t deadline_ns);

#endif
