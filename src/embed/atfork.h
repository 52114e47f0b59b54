/* SPDX-License-Identifier: MIT */
/*
 * atfork.h: fork, as all floors see it: which locks it must find free (src/system/fork.h), and what its child
 * does first.
 */
#ifndef FL_ATFORK_H
#define FL_ATFORK_H

/* From the first call on, has fork find every lock free that is not one thread's. May allocate, so nothing
 * that an allocation reaches may call it. */
void fl_fork_register(void);

#endif
