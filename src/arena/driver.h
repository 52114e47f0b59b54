/* SPDX-License-Identifier: MIT */
/*
 * driver.h: who does the scavenger's work, and who looks at what the system says of the process while it runs.
 *
 *   the guest    a thread of fallow's own, where one is allowed. It is started from a slow path that finds much idle memory in
 *                its arena, lives for a second at least, so that no more than one is made in a second, and then ends with the first
 *                tick that finds nothing to do. It blocks every signal and has a file table of its own. It is not in the
 *                child of a fork until the child needs it, and there is none any more when main has ended by pthread_exit:
 *                it would hold up the process's end, or have the exit handlers run on its stack.
 *   the program  its calls of fallow_tick.
 *   slow paths   of the program where no guest is to be had: a millisecond now and then.
 *
 * Looking (the container's limit, huge pages, pressure) opens files, which takes a number for a descriptor. So it is done once
 * at start, and then by the guest, or in fallow_tick where there is no guest that looks; never on a slow path.
 */
#ifndef FL_DRIVER_H
#define FL_DRIVER_H

#include "pagearena.h"

/* Looks for the first time, before anything is allocated. */
void fl_driver_start(void);

/* The guest may come from now on, or no longer. Off to begin with. */
void fl_driver_allow_thread(bool allowed);

/* Idle memory goes back by itself; off, only at limits and on request. On to begin with. */
void fl_driver_switch(bool on);

/* Called from slow paths with no lock held: somebody is to look, if what is idle or reclaimable is worth it. */
void fl_driver_note(fl_pagearena *arena);

/* The same; about so many bytes have become free, perhaps in what was purged before. */
void fl_driver_note_freed(fl_pagearena *arena, size_t bytes);

/* The program's tick: does what is due now, for at most budget_ns. Returns true while something is left to do. */
bool fl_driver_tick(uint64_t budget_ns);

/* The thread that runs main ends: waits for the guest to be gone, and none comes again. No lock may be held. */
void fl_driver_end_main(void);

/* What the system has refused: the guest, ever; its table of files. */
bool fl_driver_was_refused_a_thread(void);
bool fl_driver_is_blind(void);

void fl_driver_fork_child(void);

#endif
