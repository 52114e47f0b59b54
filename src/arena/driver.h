/* SPDX-License-Identifier: MIT */
/*
 * driver.h: who does the scavenger's work, and who looks at what the system says of the process while it
 * runs.
 *
 *   the guest    a thread of fallow's own, where one is allowed. A slow path that finds much idle memory
 *                in its arena starts it. It lives for at least a second, so that no more than one is made
 *                in a second, and ends with the first tick after that which finds nothing to do. It blocks
 *                every signal and has a file table of its own. The child of a fork has no guest until it
 *                needs one. Once main has ended by pthread_exit there is none: it would hold up the
 *                process's end, or have the exit handlers run on its stack.
 *   the program  its calls of fallow_tick.
 *   slow paths   of the program, where no guest is to be had: a millisecond now and then.
 *
 * Looking (at the container's limit, huge pages, pressure) opens files, which takes a descriptor number. So
 * this happens once at start (but not at pressure), and then in the guest, or in fallow_tick if no guest
 * looks; never on a slow path.
 */
#ifndef FL_DRIVER_H
#define FL_DRIVER_H

#include "pagearena.h"

/* Looks for the first time, before anything is allocated. */
void fl_driver_start(void);

/* Says whether the guest may be started from now on. Off at first. */
void fl_driver_allow_thread(bool allowed);

/* Says whether idle memory goes back by itself, or only at limits and on request. On at first. */
void fl_driver_switch(bool on);

/* Has somebody look, if what is idle or reclaimable is worth it. For slow paths; the caller holds no lock. */
void fl_driver_note(fl_pagearena *arena);

/* The same after about so many bytes have become free, perhaps in what was purged before. */
void fl_driver_note_freed(fl_pagearena *arena, size_t bytes);

/* Does what is due now, for at most budget_ns: the program's tick. Returns true while something is left to
 * do. */
bool fl_driver_tick(uint64_t budget_ns);

/* Waits for the guest to end, and prevents another: the thread that runs main is ending. The caller holds no
 * lock. */
void fl_driver_end_main(void);

/* Return whether the system has ever refused the guest; its file table. */
bool fl_driver_was_refused_a_thread(void);
bool fl_driver_is_blind(void);

void fl_driver_fork_child(void);

#endif
