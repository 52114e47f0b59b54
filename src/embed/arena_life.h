/* SPDX-License-Identifier: MIT */
/* arena_life.h: arenas of the program: made, used by one thread or by all, emptied, ended with all that is below. */
#ifndef FL_ARENA_LIFE_H
#define FL_ARENA_LIFE_H

#include "../slab/arenas.h"
#include "fallow/arena.h"

/* Makes an arena that is whole before anybody comes by it: guarded where that is wanted, with its limits. Returns NULL where there is no memory. */
fallow_arena *fl_arena_make(const fallow_arena_options *options, fallow_arena *parent);

/* With all arenas below it. */
void fl_arena_destroy(fallow_arena *arena);

/* All blocks are gone; so many bytes of pages stay Ready. The arenas below are not touched. */
void fl_arena_reset(fallow_arena *arena, size_t keep_bytes);

/* One heap serves all callers, one at a time: they need not be looked up. Before the arena is used; false: no memory. */
bool fl_arena_use_by_one_thread(fallow_arena *arena);

#endif
