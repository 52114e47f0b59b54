/* SPDX-License-Identifier: MIT */
/*
 * startup.h: starts fallow: size classes, the window, upkeep, the process's arena.
 */
#ifndef FL_STARTUP_H
#define FL_STARTUP_H

#include "../slab/arenas.h"

/* Starts fallow. Any thread may call it any number of times. Returns false if there is no memory at all. */
bool fl_process_init(void);

#endif
