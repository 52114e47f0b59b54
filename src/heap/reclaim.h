/* SPDX-License-Identifier: MIT */
/*
 * reclaim.h: upkeep's part of this floor: takes slabs with free blocks away from owners that are outside of them, so that
 * what is free in these can be used by others, or given back.
 */
#ifndef FL_RECLAIM_H
#define FL_RECLAIM_H

#include "heap.h"

/* The scavenger's part of this floor (fl_scavenger_reclaim). Holds its lock. */
bool fl_heap_reclaim(fl_pagearena *arena, fl_cause cause, uint64_t deadline_ns);

/* In the child of a fork, while hazard pointers stand as they stood: gives up slabs that were taken from an owner who was in the
 * middle of them and is not there. (Nobody would ever find him outside, or all would.) */
void fl_heap_reclaim_fork_child(fallow_arena *arena, const struct fl_thread *self);

#endif
