/* SPDX-License-Identifier: MIT */
/*
 * lock.h: the lock that every floor uses. In which order locks may be taken: lockranks.h.
 *
 * Plain mutexes: they are taken on slow paths only, they sleep under contention, and tools know them.
 */
#ifndef FL_LOCK_H
#define FL_LOCK_H

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>

#include "held.h"

typedef struct fl_lock {
    pthread_mutex_t mutex;
#if FL_LOCKS_ARE_SEEN
    fl_rank rank;
#endif
} fl_lock;

/* Of the kind that knows its owner, where it can be had without a call: who comes to a lock that he holds, which a signal
 * handler can, is told and not left waiting for ever. */
#ifdef __PTHREAD_MUTEX_INITIALIZER
#define FL_MUTEX_INIT                                                \
    {                                                                \
        { __PTHREAD_MUTEX_INITIALIZER(PTHREAD_MUTEX_ERRORCHECK_NP) } \
    }
#else
#define FL_MUTEX_INIT PTHREAD_MUTEX_INITIALIZER
#endif

/* Those of which the process has one each, on lines of the cache of their own: who takes one disturbs no other. */
typedef struct fl_lock_line {
    _Alignas(64) fl_lock lock;
} fl_lock_line;

extern fl_lock_line fl_locks[FL_LOCK_COUNT];

static inline fl_lock *fl_lock_of(fl_rank rank) {
    return &fl_locks[rank].lock;
}

static inline fl_rank fl_lock_rank(const fl_lock *lock) {
#if FL_LOCKS_ARE_SEEN
    return lock->rank;
#else
    (void)lock;
    return FL_LOCK_COUNT;
#endif
}

/* A lock in an object. */
static inline void fl_lock_init(fl_lock *lock, fl_rank rank) {
    lock->mutex = (pthread_mutex_t)FL_MUTEX_INIT;
#if FL_LOCKS_ARE_SEEN
    lock->rank = rank;
#else
    (void)rank;
#endif
}

/* For a lock that a thread may come to again while it holds it: fl_lock_take_unless_mine is then false. */
void fl_lock_init_checking(fl_lock *lock, fl_rank rank);
bool fl_lock_take_unless_mine(fl_lock *lock);

/* False at once where the calling thread holds it, or after a second. For fork alone: it is not looked at in which order. */
bool fl_lock_take_in_time(fl_lock *lock);

/* What pthread_mutex_lock did not do as usual. */
void fl_lock_unusual(pthread_mutex_t *mutex, int code);

static inline void fl_mutex_take(pthread_mutex_t *mutex) {
    int code = pthread_mutex_lock(mutex);
    if (__builtin_expect(code != 0, 0))
        fl_lock_unusual(mutex, code);
}

static inline void fl_lock_take(fl_lock *lock) {
    fl_held_want(lock, fl_lock_rank(lock));
    fl_mutex_take(&lock->mutex);
    fl_held_add(lock, fl_lock_rank(lock));
}

static inline bool fl_lock_try(fl_lock *lock) {
    if (pthread_mutex_trylock(&lock->mutex))
        return false;
    fl_held_add(lock, fl_lock_rank(lock));
    return true;
}

static inline void fl_lock_drop(fl_lock *lock) {
    fl_held_remove(lock, fl_lock_rank(lock));
    pthread_mutex_unlock(&lock->mutex);
}

/* Does the calling thread hold it? For assertions of a checking build; true in others. */
static inline bool fl_lock_is_mine(const fl_lock *lock) {
    return fl_held_is(lock);
}

/*
 * A lock in memory that processes may share (between_processes), and whose place there is the same for every build. If one
 * of them ends while it holds it, the next to take it has it.
 */
typedef struct fl_shared_lock {
    pthread_mutex_t mutex;
} fl_shared_lock;

void fl_shared_lock_init(fl_shared_lock *lock, bool between_processes);

static inline void fl_shared_lock_take(fl_shared_lock *lock, fl_rank rank) {
    fl_held_want(lock, rank);
    fl_mutex_take(&lock->mutex);
    fl_held_add(lock, rank);
}

static inline void fl_shared_lock_drop(fl_shared_lock *lock, fl_rank rank) {
    fl_held_remove(lock, rank);
    pthread_mutex_unlock(&lock->mutex);
}

#endif
