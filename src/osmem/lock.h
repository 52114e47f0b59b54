/* SPDX-License-Identifier: MIT */
/*
 * lock.h: the lock that every floor uses, and the order in which locks may be taken.
 *
 * A thread that holds a lock may take only locks further down this list:
 *
 *   shed       an owner that is asked to free something: its call-back may take any of these
 *   registry   arenas that exist, threads that have heaps in them
 *   heap       one heap's lists of parked slabs
 *   lists      an arena's lists of slabs that belong to nobody
 *   arena      an arena's pages
 *   branches   branches of arenas' trees, to be used again
 *   recycled   descriptors of slabs, and heaps, that wait to be used again
 *   kept       regions that the system did not take back yet
 *   window     regions of the window
 *   meta       memory for fallow's own bookkeeping
 *   checker    the state of every OS page
 *   ledger     the counters of osmem
 *   fixed      one allocator in memory that the caller gave; under it nothing is taken
 *
 * Plain mutexes: they are taken on slow paths only, they sleep under contention, and tools know them.
 */
#ifndef FL_LOCK_H
#define FL_LOCK_H

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>

typedef pthread_mutex_t fl_lock;

#define FL_LOCK_INIT PTHREAD_MUTEX_INITIALIZER

static inline void fl_lock_init(fl_lock *lock) {
    *lock = (fl_lock)PTHREAD_MUTEX_INITIALIZER;
}

/* For a lock that a thread may come to again while it holds it: fl_lock_take_unless_mine is then false. */
void fl_lock_init_checking(fl_lock *lock);
bool fl_lock_take_unless_mine(fl_lock *lock);

/* For a lock in memory that processes share. If one of them ends while it holds it, the next to take it has it. */
void fl_lock_init_shared(fl_lock *lock);

void fl_lock_make_consistent(fl_lock *lock);

static inline void fl_lock_take(fl_lock *lock) {
    if (__builtin_expect(pthread_mutex_lock(lock) == EOWNERDEAD, 0))
        fl_lock_make_consistent(lock);
}

static inline bool fl_lock_try(fl_lock *lock) {
    return pthread_mutex_trylock(lock) == 0;
}

static inline void fl_lock_drop(fl_lock *lock) {
    pthread_mutex_unlock(lock);
}

#endif
