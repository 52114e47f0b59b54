/* SPDX-License-Identifier: MIT */
/*
 * startup.h: fallow comes into being: size classes, the window, upkeep, the process's arena.
 */
#ifndef FL_STARTUP_H
#define FL_STARTUP_H

#include "../slab/arenas.h"

/* Brings fallow into being; may be called any number of times, from any thread. False: no memory at all. */
bool fl_process_init(void);

#endif
