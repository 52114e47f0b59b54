/* SPDX-License-Identifier: MIT */
/*
 * poollist.h: which pools an arena has, children too: a list, the newest first, that changes under a lock of
 * the arena's when a pool is made and when it ends. A pool's own thread takes no lock for anything else;
 * another thread that looks at the pool sees what was written last, or a moment before.
 */
#ifndef FL_POOLLIST_H
#define FL_POOLLIST_H

#include "../slab/arenas.h"

struct fl_pool_link;

/* Adds a pool whose books are whole; removes one that is about to go. */
void fl_pools_add(fallow_arena *arena, struct fl_pool_link *pool);
void fl_pools_remove(fallow_arena *arena, struct fl_pool_link *pool);

/* Empties the list: all pools have ended with what the arena had. */
void fl_pools_forget(fallow_arena *arena);

/* Removes, in the child of a fork, visits of other threads. */
void fl_pools_fork_child(fallow_arena *arena);

#endif
