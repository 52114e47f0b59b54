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

/* Of the kind that knows its owner, where it can be had without a call: who comes to a lock that he holds, which a signal
 * handler can, is told and not left waiting for ever. */
#ifdef __PTHREAD_MUTEX_INITIALIZER
#define FL_LOCK_INIT                                                 \
    {                                                                \
        { __PTHREAD_MUTEX_INITIALIZER(PTHREAD_MUTEX_ERRORCHECK_NP) } \
    }
#else
#define FL_LOCK_INIT PTHREAD_MUTEX_INITIALIZER
#endif

static inline void fl_lock_init(fl_lock *lock) {
    *lock = (fl_lock)FL_LOCK_INIT;
}

/* For a lock that a thread may come to again while it holds it: fl_lock_take_unless_mine is then false. */
void fl_lock_init_checking(fl_lock *lock);
bool fl_lock_take_unless_mine(fl_lock *lock);

/* For a lock in memory that processes share. If one of them ends while it holds it, the next to take it has it. */
void fl_lock_init_shared(fl_lock *lock);

/* False at once where the calling thread holds it, or after a second. */
bool fl_lock_take_in_time(fl_lock *lock);

/* What pthread_mutex_lock did not do as usual. */
void fl_lock_unusual(fl_lock *lock, int code);

static inline void fl_lock_take(fl_lock *lock) {
    int code = pthread_mutex_lock(lock);
    if (__builtin_expect(code != 0, 0))
        fl_lock_unusual(lock, code);
}

static inline bool fl_lock_try(fl_lock *lock) {
    return pthread_mutex_trylock(lock) == 0;
}

/*
 * A lock around fork, which takes many, and may come from a signal handler that has interrupted whoever holds one: that one is
 * left as it is. (Between the moment when a lock is held and that when it knows by whom lie a few instructions; who is
 * interrupted there waits for a second.) In the parent it is dropped if it was taken; in the child, where there is one
 * thread, it is new: nobody else is inside, and who was interrupted goes on.
 */
typedef struct fl_fork_lock {
    fl_lock *lock;
    bool taken;
} fl_fork_lock;

static inline void fl_fork_take(fl_fork_lock *it) {
    it->taken = fl_lock_take_in_time(it->lock);
}

static inline void fl_fork_drop(fl_fork_lock *it, bool in_child) {
    if (in_child)
        fl_lock_init(it->lock);
    else if (it->taken)
        pthread_mutex_unlock(it->lock);
}

static inline void fl_lock_drop(fl_lock *lock) {
    pthread_mutex_unlock(lock);
}

#endif
