/* SPDX-License-Identifier: MIT */
/*
 * fork.h: fork finds every lock free. It holds none of them, however many there are: it closes a rank after the other, in the
 * order of lockranks.h, and takes and drops each lock of a rank that it has closed. Who is inside comes to its end, for what it
 * may still take has a higher rank, which is open; who comes later waits at the gate until the fork is over.
 *
 *   open ──▶ closed up to a rank ──▶ … ──▶ all closed ──▶ open     (fl_locks_closed, in lock.h)
 *
 * The thread that forks passes all the while. In the parent nothing is left to be done, and in the child only those locks are
 * written to that somebody had got and not yet seen closed: else each arena would cost the child, or the parent, a page.
 *
 * fork may come from a signal handler that has interrupted whoever holds a lock: that one is left as it is in the parent, and is
 * free in the child, where who was interrupted goes on. So a thread that holds a lock may wait for a fork, in a handler. Who forks
 * and does not get a lock in time opens all, lets others pass, and begins again, for a minute; sooner he gives it up only if he was
 * interrupted with a lock himself, for which the other may wait. Then the child gets what that one was in the middle of as it is.
 */
#ifndef FL_FORK_H
#define FL_FORK_H

#include "lock.h"

/* To be called with each lock that lies in an object. */
typedef void fl_fork_visit(fl_lock *lock);

/* A floor that has such locks: visits all those of a rank. */
typedef void fl_fork_each(fl_rank rank, fl_fork_visit *visit);

/* Each may be NULL: no locks lie in objects. */
void fl_fork_prepare(fl_fork_each *each);
void fl_fork_done(fl_fork_each *each, bool in_child);

#endif
