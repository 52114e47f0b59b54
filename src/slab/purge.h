/* SPDX-License-Identifier: MIT */
/*
 * purge.h: OS pages inside a slab that no live block touches go back to the system, and come back when their blocks
 * are wanted (units.h). What is resident then approaches what memory that may not move can reach: the pages that hold a live
 * block.
 */
#ifndef FL_PURGE_H
#define FL_PURGE_H

#include "arenas.h"

/*
 * Purges slabs in an arena's lists: all, or only those that have lain there for ten seconds. Returns true where the
 * deadline came first.
 */
bool fl_purge_listed(struct fallow_arena *arena, fl_cause cause, uint64_t deadline_ns);

#endif
