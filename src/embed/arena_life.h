/* SPDX-License-Identifier: MIT */
/*
 * arena_life.h: makes the program's arenas, for one thread or for all, empties them, and ends them with all
 * below.
 */
#ifndef FL_ARENA_LIFE_H
#define FL_ARENA_LIFE_H

#include "../slab/arenas.h"
#include "fallow/arena.h"

/* Makes an arena that is whole before anybody comes by it: with its limits, and guarded if it should be.
 * Returns NULL if there is no memory. */
fallow_arena *fl_arena_make(const fallow_arena_options *options, fallow_arena *parent);

/* Ends it, and all arenas below it. */
void fl_arena_destroy(fallow_arena *arena);

/* Drops all blocks; so many bytes of pages stay Ready. The arenas below are not touched. */
void fl_arena_reset(fallow_arena *arena, size_t keep_bytes);

/* Gives the arena one heap for all callers, one at a time: none has to be looked up. Called before the arena
 * is used; returns false if there is no memory. */
bool fl_arena_use_by_one_thread(fallow_arena *arena);

#endif
