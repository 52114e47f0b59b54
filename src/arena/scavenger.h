/* SPDX-License-Identifier: MIT */
/*
 * scavenger.h: when idle memory goes back, in one piece of work, a tick. (pace.h: how much and how fast;
 * driver.h: who does it.)
 */
#ifndef FL_SCAVENGER_H
#define FL_SCAVENGER_H

#include "pagearena.h"

/* What the floor above does before pages are given back: it frees what it can in an arena, until the
 * deadline. Returns true while it has work left. For FL_CAUSE_GOAL the program is at work in the arena, and
 * what it may want soon stays. */
typedef bool fl_scavenger_reclaim(fl_pagearena *arena, fl_cause cause, uint64_t deadline_ns);

void fl_scavenger_init(fl_scavenger_reclaim *reclaim);

/* Keeps nothing idle until then: tasks had to wait for memory. */
void fl_scavenger_press(uint64_t until_ns);

/* Returns whether the deadline has come (UINT64_MAX: none), or somebody forks. Who works in a tick asks
 * this. */
bool fl_scavenger_time_is_up(uint64_t deadline_ns);

/* Returns when the last tick began. */
uint64_t fl_scavenger_ticked_ns(void);

/* The same in milliseconds: free of charge, and exact enough for what only ticks take anything from. */
uint32_t fl_scavenger_ticked_ms(void);

/* Gives the arenas that are due their turn, for at most budget_ns in all. Returns true while something is
 * left to do. */
bool fl_scavenger_tick(uint64_t budget_ns);

/* Returns whether `is` holds for any arena that is looked after. The caller holds no lock; `is` runs under
 * the queue's. */
bool fl_scavenger_any(bool (*is)(const fl_pagearena *arena));

/* Returns the sum of fl_pagearena_sparable_bytes over them. */
size_t fl_scavenger_sparable_bytes(void);

/* Gives back idle pages at once, of one arena and those below it, or (NULL) of all; with reclaim, also what
 * the floor above can free for that. Returns how many bytes went. The caller holds no lock. */
size_t fl_scavenger_give_back(fl_pagearena *arena, size_t wanted_bytes, fl_cause cause, bool reclaim);

/* Gives back the commit charge of all arenas' chunks that are wholly Prepared. */
void fl_scavenger_unmap_spare(void);

void fl_scavenger_fork_child(void);

#endif
