/* SPDX-License-Identifier: MIT */
/*
 * fork.h: all locks around fork: taken before it, in the order of lockranks.h, dropped after it in the parent, new in the
 * child.
 *
 * fork may come from a signal handler that has interrupted whoever holds a lock: that one is left as it is. (Between the
 * moment when a lock is held and that when it knows by whom lie a few instructions; who is interrupted there waits for a
 * second.) In the child, where there is one thread, every lock is new: nobody else is inside, and who was interrupted goes on.
 */
#ifndef FL_FORK_H
#define FL_FORK_H

#include "lock.h"

/* To be called with each lock that lies in an object; *taken is kept beside the lock, false to begin with. */
typedef void fl_fork_visit(fl_lock *lock, bool *taken);

/* A floor that has such locks: visits all those of a rank. */
typedef void fl_fork_each(fl_rank rank, fl_fork_visit *visit);

/* Each may be NULL: no locks lie in objects. */
void fl_fork_prepare(fl_fork_each *each);
void fl_fork_done(fl_fork_each *each, bool in_child);

#endif
