/* SPDX-License-Identifier: MIT */
/*
 * scavenger.h: when idle memory goes back (how much and how fast: pace.h; who does it: driver.h). One piece of work, a tick.
 */
#ifndef FL_SCAVENGER_H
#define FL_SCAVENGER_H

#include "pagearena.h"

/* What a floor above does before pages are given back: free what it can in an arena, until the deadline. Returns true
 * while it has work left. For FL_CAUSE_GOAL the program is at work in the arena, and what it may want soon stays. */
typedef bool fl_scavenger_reclaim(fl_pagearena *arena, fl_cause cause, uint64_t deadline_ns);

void fl_scavenger_init(fl_scavenger_reclaim *reclaim);

/* Tasks had to wait for memory: until then, nothing idle is kept. */
void fl_scavenger_press(uint64_t until_ns);

/* To be asked by who works in a tick: the deadline has come, or somebody forks. UINT64_MAX: no deadline. */
bool fl_scavenger_time_is_up(uint64_t deadline_ns);

/* When the last tick began. */
uint64_t fl_scavenger_ticked_ns(void);

/* The same in seconds: free of charge, and exact enough for those whom only ticks take anything from. */
uint32_t fl_scavenger_ticked_s(void);

/* Those arenas that are due have their turn, for at most budget_ns in all. Returns true while something is left to do. */
bool fl_scavenger_tick(uint64_t budget_ns);

/* Is it so of any arena that is looked after? No lock may be held; `is` runs with the queue's. */
bool fl_scavenger_any(bool (*is)(const fl_pagearena *arena));

/* What all of them could spare, as fl_pagearena_sparable_bytes. */
size_t fl_scavenger_sparable_bytes(void);

/* Gives back idle pages at once, of one arena and those below it or (NULL) of all; with reclaim, also what the floor above can free
 * for it. Returns how many bytes went. No lock may be held. */
size_t fl_scavenger_give_back(fl_pagearena *arena, size_t wanted_bytes, fl_cause cause, bool reclaim);

/* Commit charge of all arenas' chunks that are wholly Prepared goes back to the system. */
void fl_scavenger_unmap_spare(void);

void fl_scavenger_fork_child(void);

#endif
