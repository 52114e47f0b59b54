/* SPDX-License-Identifier: MIT */
/*
 * figures.h: the public figures, in the version that this library has of them, for callers within it.
 */
#ifndef FL_FIGURES_H
#define FL_FIGURES_H

#include "fallow/arena.h"
#include "fallow/process.h"

fallow_arena_figures fl_arena_figures(const fallow_arena *arena);
fallow_process_figures fl_process_figures(void);

#endif
