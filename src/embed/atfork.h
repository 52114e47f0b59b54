/* SPDX-License-Identifier: MIT */
/* atfork.h: fork, as all floors see it: which locks it has to find free (src/system/fork.h), and what its child does first. */
#ifndef FL_ATFORK_H
#define FL_ATFORK_H

/* Has fork take every lock that is not one thread's, from the first call on. May allocate: not for use where
 * an allocation leads. */
void fl_fork_register(void);

#endif
