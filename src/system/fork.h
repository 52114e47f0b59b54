/* SPDX-License-Identifier: MIT */
/*
 * fork.h: makes fork find every lock free. The forking thread holds none of them, however many there are.
 * Instead it closes one rank after another, in the order of lockranks.h, and takes and drops each lock of the
 * rank it has just closed. A thread inside a critical section finishes it, since any lock it still needs has
 * a higher rank, which is open. A thread that arrives later waits at the gate until the fork is over.
 *
 *   open ──▶ closed up to a rank ──▶ … ──▶ all closed ──▶ open     (fl_locks_closed, in lock.h)
 *
 * The gate lets the forking thread pass throughout. Afterwards the parent has nothing to undo, and the child
 * writes only to locks that a thread had taken without having seen them closed: writing to every lock would
 * cost the child, or the parent, one page for each arena.
 *
 * fork may be called by a signal handler that has interrupted the holder of a lock. The parent leaves that
 * lock as it is; in the child it is free, and the interrupted code goes on. Hence a thread can hold a lock
 * while its handler waits for another thread's fork. A forking thread that cannot get a lock in time opens
 * the gate, lets the others pass and starts again, for up to a minute. It gives up earlier only if it was
 * itself interrupted while holding a lock, because the other thread may be waiting for that one; the child
 * then inherits whatever that thread was in the middle of.
 */
#ifndef FL_FORK_H
#define FL_FORK_H

#include "lock.h"

/* Called with each lock that lies in an object. */
typedef void fl_fork_visit(fl_lock *lock);

/* Visits all such locks of one rank; provided by the floor that has them. */
typedef void fl_fork_each(fl_rank rank, fl_fork_visit *visit);

/* `each` may be NULL if no locks lie in objects. */
void fl_fork_prepare(fl_fork_each *each);
void fl_fork_done(fl_fork_each *each, bool in_child);

#endif
