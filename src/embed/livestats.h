/* SPDX-License-Identifier: MIT */
/*
 * livestats.h: how much of an arena is live, read off the table and the descriptors that it leads to.
 *
 * No owner is stopped, and none counts for it: its counts are read from beside it, twice, with the slab's
 * word before and after. The table may lead to a descriptor that has become another slab's; it is still a
 * descriptor, and says whose it is.
 */
#ifndef FL_LIVESTATS_H
#define FL_LIVESTATS_H

#include "fallow/stats.h"

#include "../slab/arenas.h"

typedef struct fl_live {
    size_t bytes;
    size_t blocks;
    size_t large_bytes; /* of these; so with the next */
    size_t large_blocks;
    size_t free_blocks; /* waiting in slabs, or given back with their pages */
    size_t slabs;
    size_t slab_bytes;
    size_t decommitted_bytes; /* of the slabs */
    size_t trap_bytes;       /* the part of large_bytes that is in traps: not in what the arena has granted */
    size_t trap_stuck_bytes; /* of freed traps that the system keeps */
} fl_live;

/* classes: FL_CLASS_COUNT of them, all zero, or NULL if not wanted. Takes no memory, and the arena's lock for
 * moments. */
fl_live fl_stats_live(const fallow_arena *arena, fallow_class_stats *classes);

/* What the heaps of an arena keep for their next requests; how many heaps there are, and how many have no
 * thread. */
typedef struct fl_heaps_seen {
    size_t span_bytes;
    size_t count;
    size_t without_thread;
} fl_heaps_seen;

fl_heaps_seen fl_stats_heaps(const fallow_arena *arena);

#endif
