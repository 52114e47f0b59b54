/* SPDX-License-Identifier: MIT */
/*
 * scavenger.h: who gives idle memory back, when, and how fast.
 *
 * One piece of work (a tick) and three drivers of it: a thread of the scavenger's own, the program's calls
 * of fl_scavenger_tick, and slow paths that find a limit in their way (fl_pages_scavenge).
 *
 * The thread appears late and goes early: it is started from a slow path that finds much idle memory, ends
 * after two seconds without work, blocks every signal, and is not in the child of a fork until the child
 * needs it. Two regimes: while the program grants and returns pages, what it used at its recent peak and a
 * tenth more is kept, and giving back takes at most 1 % of one core; once it has been quiet for three ticks,
 * everything idle goes, at up to half of one core.
 */
#ifndef FL_SCAVENGER_H
#define FL_SCAVENGER_H

#include "pages.h"

/* What a floor above does in a tick before pages are given back: free what it can in an arena. quiet says
 * that the arena's grants and returns have ceased. Returns true while it has work left. */
typedef bool fl_scavenger_reclaim(fl_arena *arena, bool quiet);

void fl_scavenger_init(fl_scavenger_reclaim *reclaim);

/* The thread may be started from now on, or no longer. Off to begin with. */
void fl_scavenger_allow_thread(bool allowed);

/* An arena is looked after from here on (fl_scavenger_leave: to here). */
void fl_scavenger_join(fl_arena *arena);
void fl_scavenger_leave(fl_arena *arena);

/* Called from slow paths with no lock held: starts the thread if this much idle memory is worth it. */
void fl_scavenger_note(fl_arena *arena);

/* A floor above has memory that a tick could free, of this size. No lock may be held. */
void fl_scavenger_note_reclaimable(size_t bytes);

/* Does what is due now, for at most budget_ns. Returns true while something is left to do. */
bool fl_scavenger_tick(uint64_t budget_ns);

void fl_scavenger_fork_prepare(void);
void fl_scavenger_fork_parent(void);
void fl_scavenger_fork_child(void);

#endif
