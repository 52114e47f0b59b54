/* SPDX-License-Identifier: MIT */
/*
 * scavenger.h: who gives idle memory back, and when (how much and how fast: pace.h).
 *
 * One piece of work (a tick) and three drivers of it: a thread of the scavenger's own; the program's calls of
 * fl_scavenger_tick; and, where neither is there, slow paths of the program that find much idle memory.
 *
 * The thread appears late and goes early: it is started from a slow path that finds much idle memory, ends
 * after two seconds without work, blocks every signal, and is not in the child of a fork until the child
 * needs it.
 */
#ifndef FL_SCAVENGER_H
#define FL_SCAVENGER_H

#include "pages.h"

/* What a floor above does before pages are given back: free what it can in an arena, until the deadline. Returns true
 * while it has work left. For FL_CAUSE_GOAL the program is at work in the arena, and what it may want soon stays. */
typedef bool fl_scavenger_reclaim(fl_arena *arena, fl_cause cause, uint64_t deadline_ns);

void fl_scavenger_init(fl_scavenger_reclaim *reclaim);

/* The thread may be started from now on, or no longer. Off to begin with. */
void fl_scavenger_allow_thread(bool allowed);

/* Idle memory goes back by itself; off, only at limits and on request. On to begin with. */
void fl_scavenger_switch(bool on);

/* Called from slow paths with no lock held: somebody is to look, if what is idle or reclaimable is worth it. */
void fl_scavenger_note(fl_arena *arena);

/* The same; about so many bytes have become free, perhaps in what was purged before. */
void fl_scavenger_note_freed(fl_arena *arena, size_t bytes);

/* To be asked by who works in a tick: the deadline has come, or somebody forks. UINT64_MAX: no deadline. */
bool fl_scavenger_time_is_up(uint64_t deadline_ns);

/* The time of the last tick, in seconds: free of charge, and exact enough for those whom only ticks take anything from. */
uint32_t fl_scavenger_ticked_s(void);

/* Those arenas that are due have their turn, for at most budget_ns in all. Returns true while something is left to do. */
bool fl_scavenger_tick(uint64_t budget_ns);

/* Gives back idle pages at once, of one arena and those below it or (NULL) of all; with reclaim, also what the floor above can free
 * for it. Returns how many bytes went. No lock may be held. */
size_t fl_scavenger_give_back(fl_arena *arena, size_t wanted_pages, fl_cause cause, bool reclaim);

/* Commit charge of all arenas' chunks that are wholly Prepared goes back to the system. */
void fl_scavenger_unmap_spare(void);

void fl_scavenger_fork_child(void);

#endif
