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
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "held.h"

typedef struct fl_lock {
    pthread_mutex_t mutex;
    fl_rank rank;
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

/* A lock in an object. */
static inline void fl_lock_init(fl_lock *lock, fl_rank rank) {
    lock->mutex = (pthread_mutex_t)FL_MUTEX_INIT;
    lock->rank = rank;
}

/* For a lock that a thread may come to again while it holds it: fl_lock_take_unless_mine is then false. */
void fl_lock_init_checking(fl_lock *lock, fl_rank rank);
bool fl_lock_take_unless_mine(fl_lock *lock);

/*
 * The gate of fork (fork.h): locks of lower ranks than this are closed to all but the thread that forks. Who gets one that is
 * closed drops it and waits. Fork closes a rank before it takes each lock of it once, so who comes to a lock after that sees it
 * closed, by the lock's own order; and who sees it open again (acquire) comes after all that fork has looked at.
 */
extern _Atomic uint32_t fl_locks_closed;

/* Closes those below a rank; 0: opens all. The thread that passes all the while, and has the lock of forks: the calling one, or none. */
void fl_gate_close_below(uint32_t rank);
void fl_gate_give(bool to_me);
bool fl_gate_is_mine(void);

/* What the calling thread has got may be closed: returns with it when it is open. */
void fl_lock_pass(fl_lock *lock);

static inline bool fl_locks_may_be_closed(void) {
    return __builtin_expect(atomic_load_explicit(&fl_locks_closed, memory_order_acquire) != 0, 0);
}

/* Is it closed to the calling thread? */
bool fl_lock_is_closed(const fl_lock *lock);

/* For fork alone: it is not looked at in which order. */
typedef enum fl_lock_answer { FL_LOCK_HAD, FL_LOCK_MINE, FL_LOCK_OTHERS, FL_LOCK_UNNAMED } fl_lock_answer;

/* MINE at once where the calling thread holds it; OTHERS: not to be had in that time; UNNAMED: likewise, and it names no owner, who may
 * be the calling thread, interrupted by a signal handler between having it and saying so. */
fl_lock_answer fl_lock_take_in_time(fl_lock *lock, uint64_t duration_ns);

/* In the child: makes it free, which it is for all who are there. Writes only where it looks otherwise: with many arenas, a page
 * of the child's own for each. */
void fl_lock_renew(fl_lock *lock);

/* In the child: is it free? */
bool fl_lock_is_free(fl_lock *lock);

/*
 * Children that are made by hand (clone) run no handlers of fork. A program that has no other threads can have one whose lock
 * fallow's own thread held at that moment; it is not in the child, and nobody would ever drop it.
 *
 * birth: reads as 0 in any child, as 1 from here on in this process; NULL: the system has no such page. guest: fallow's own thread,
 * as its locks name it; where they do not, such a child waits.
 */
void fl_locks_know_birth(volatile char *birth);
void fl_locks_know_guest(uint32_t guest);

extern volatile char *fl_locks_birth;

/* Before it is taken, in such a child. */
void fl_lock_take_over(fl_lock *lock);

/*
 * In the child of a fork, when all are free. thread: as what the one that forked was known to locks in the parent. A signal handler
 * that forks can have interrupted it between reading that name and taking a lock, which then has a wrong owner in the child, and
 * cannot be dropped by him.
 */
void fl_locks_are_born(uint32_t thread);

/* What cannot be dropped. */
void fl_lock_drop_misnamed(fl_lock *lock);

/* For fork, which is not looked at in which order: drops it. */
static inline void fl_lock_drop_unseen(fl_lock *lock) {
    if (__builtin_expect(pthread_mutex_unlock(&lock->mutex) != 0, 0))
        fl_lock_drop_misnamed(lock);
}

/* As what a lock knows its owner; 0: unknown, or nobody. */
uint32_t fl_lock_owner(const fl_lock *lock);

/* What pthread_mutex_lock did not do as usual; false: the caller has not got it, as it is no mutex. */
bool fl_lock_unusual(pthread_mutex_t *mutex, int code);

static inline void fl_mutex_take(pthread_mutex_t *mutex) {
    int code = pthread_mutex_lock(mutex);
    if (__builtin_expect(code != 0, 0))
        fl_lock_unusual(mutex, code);
}

static inline void fl_lock_take(fl_lock *lock) {
    fl_held_want(lock, lock->rank);
    if (__builtin_expect(!*fl_locks_birth, 0))
        fl_lock_take_over(lock);
    fl_mutex_take(&lock->mutex);
    if (fl_locks_may_be_closed())
        fl_lock_pass(lock);
    fl_held_add(lock, lock->rank);
}

static inline bool fl_lock_try(fl_lock *lock) {
    if (pthread_mutex_trylock(&lock->mutex))
        return false;
    if (fl_locks_may_be_closed() && fl_lock_is_closed(lock)) {
        fl_lock_drop_unseen(lock);
        return false;
    }
    fl_held_add(lock, lock->rank);
    return true;
}

static inline void fl_lock_drop(fl_lock *lock) {
    fl_held_remove(lock, lock->rank);
    fl_lock_drop_unseen(lock);
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

/* False: not taken, since what lies there is no lock. */
static inline bool fl_shared_lock_take(fl_shared_lock *lock, fl_rank rank) {
    fl_held_want(lock, rank);
    int code = pthread_mutex_lock(&lock->mutex);
    if (__builtin_expect(code != 0, 0) && !fl_lock_unusual(&lock->mutex, code))
        return false;
    fl_held_add(lock, rank);
    return true;
}

static inline void fl_shared_lock_drop(fl_shared_lock *lock, fl_rank rank) {
    fl_held_remove(lock, rank);
    pthread_mutex_unlock(&lock->mutex);
}

#endif
