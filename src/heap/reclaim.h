/* SPDX-License-Identifier: MIT */
/*
 * reclaim.h: upkeep's part of this floor: takes slabs with free blocks away from owners that are outside of
 * them, so that others can use what is free, or it can be given back.
 */
#ifndef FL_RECLAIM_H
#define FL_RECLAIM_H

#include "heap.h"

/* The scavenger's part of this floor (fl_scavenger_reclaim). Caller holds its lock. */
bool fl_heap_reclaim(fl_pagearena *arena, fl_cause cause, uint64_t deadline_ns);

/* Called in the child of a fork while hazard pointers are as they were: gives up slabs that were taken from
 * an owner who was in the middle of them and is not in the child. (Either nobody would ever find that owner
 * outside, or everybody would.) */
void fl_heap_reclaim_fork_child(fallow_arena *arena, const struct fl_thread *self);

#endif
