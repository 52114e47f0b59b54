/* SPDX-License-Identifier: MIT */
/*
 * arena_api.h: the public figures of an arena, in this library's own version of them, for callers within it.
 */
#ifndef FL_ARENA_API_H
#define FL_ARENA_API_H

#include "fallow/arena.h"

fallow_arena_figures fl_arena_figures(const fallow_arena *arena);

#endif
