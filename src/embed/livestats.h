/* SPDX-License-Identifier: MIT */
/*
 * livestats.h: what of an arena is live, read off the table and the descriptors that it leads to.
 *
 * No owner is stopped, and none counts for it: his counts are read beside him, twice, with the slab's word before and after. The
 * table may lead to a descriptor that has become another's; it is still one, and says whose it is.
 */
#ifndef FL_LIVESTATS_H
#define FL_LIVESTATS_H

#include "fallow/stats.h"

#include "../slab/arenas.h"

typedef struct fl_live {
    size_t bytes;
    size_t blocks;
    size_t large_bytes; /* of these; so the next */
    size_t large_blocks;
    size_t free_blocks; /* that wait in slabs, or were given back with their pages */
    size_t slabs;
    size_t slab_bytes;
    size_t decommitted_bytes; /* of the slabs */
    size_t trap_bytes;        /* of the large ones, those in traps: beside what the arena has granted */
    size_t trap_stuck_bytes;  /* of freed ones, and the system keeps them */
} fl_live;

/* classes: FL_CLASS_COUNT of them, zero to begin with, or NULL: not wanted. Takes no memory, and the arena's lock for moments. */
fl_live fl_stats_live(const fallow_arena *arena, fallow_class_stats *classes);

/* What the heaps of an arena keep for their next requests; how many these are, and how many of them have no thread. */
typedef struct fl_heaps_seen {
    size_t span_bytes;
    size_t count;
    size_t without_thread;
} fl_heaps_seen;

fl_heaps_seen fl_stats_heaps(const fallow_arena *arena);

#endif
