/* SPDX-License-Identifier: MIT */
/*
 * purge.h: gives OS pages inside a slab back to the system if no live block touches them; they come back when
 * their blocks are wanted (units.h). Resident memory thus approaches the least that blocks which cannot move
 * allow: the pages that hold a live block.
 */
#ifndef FL_PURGE_H
#define FL_PURGE_H

#include "arenas.h"

/*
 * Purges slabs in an arena's lists that have lain unused for as long as the turn asks (pace.h). Returns true
 * if the deadline came first.
 */
bool fl_purge_listed(struct fallow_arena *arena, fl_cause cause, uint64_t deadline_ns);

#endif
