/* SPDX-License-Identifier: MIT */
/*
 * lock.h: the lock that every floor uses; lockranks.h has the order in which locks may be taken.
 *
 * Locks are plain mutexes: only slow paths take them, they sleep under contention, and tools know them.
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

/* Error-checking where the C library has a static initializer for that kind: a thread that comes to a lock it
 * already holds, as a signal handler can, gets an error instead of waiting for ever. */
#ifdef __PTHREAD_MUTEX_INITIALIZER
#define FL_MUTEX_INIT                                                \
    {                                                                \
        { __PTHREAD_MUTEX_INITIALIZER(PTHREAD_MUTEX_ERRORCHECK_NP) } \
    }
#else
#define FL_MUTEX_INIT PTHREAD_MUTEX_INITIALIZER
#endif

/* The process's single locks. Each has a cache line to itself, so that taking one does not disturb the
 * others. */
typedef struct fl_lock_line {
    _Alignas(64) fl_lock lock;
} fl_lock_line;

extern fl_lock_line fl_locks[FL_LOCK_COUNT];

static inline fl_lock *fl_lock_of(fl_rank rank) {
    return &fl_locks[rank].lock;
}

/* For a lock that lies in an object. */
static inline void fl_lock_init(fl_lock *lock, fl_rank rank) {
    lock->mutex = (pthread_mutex_t)FL_MUTEX_INIT;
    lock->rank = rank;
}

/* For a lock that a thread may come to while it holds it: fl_lock_take_unless_mine then returns false. */
void fl_lock_init_checking(fl_lock *lock, fl_rank rank);
bool fl_lock_take_unless_mine(fl_lock *lock);

/*
 * The gate of fork (fork.h): locks of a rank below this one are closed to every thread but the forking one. A
 * thread that gets a closed lock drops it and waits. Fork closes a rank before it takes each of that rank's
 * locks once, so a thread that gets a lock after fork had it sees it closed: the lock itself orders the two.
 * A thread that sees the gate open again (acquire) comes after everything fork has looked at.
 */
extern _Atomic uint32_t fl_locks_closed;

/* Closes the locks below a rank; 0 opens all of them. Then: lets the calling thread, which holds the lock of
 * forks, pass all gates (to_me), or nobody any more. */
void fl_gate_close_below(uint32_t rank);
void fl_gate_give(bool to_me);
bool fl_gate_is_mine(void);

/* Called with a lock just taken, which may be closed: returns with it held once it is open. */
void fl_lock_pass(fl_lock *lock);

static inline bool fl_locks_may_be_closed(void) {
    return __builtin_expect(atomic_load_explicit(&fl_locks_closed, memory_order_acquire) != 0, 0);
}

/* Returns whether the lock is closed to the calling thread. */
bool fl_lock_is_closed(const fl_lock *lock);

/* For fork alone, which no order binds. */
typedef enum fl_lock_answer { FL_LOCK_HAD, FL_LOCK_MINE, FL_LOCK_OTHERS, FL_LOCK_UNNAMED } fl_lock_answer;

/* Returns MINE at once if the calling thread holds the lock; OTHERS if it could not be had in that time;
 * UNNAMED if it could not be had and names no owner, who may be the calling thread, interrupted between
 * taking the lock and signing it. */
fl_lock_answer fl_lock_take_in_time(fl_lock *lock, uint64_t duration_ns);

/* In the child: makes the lock free, since nobody there holds it. Writes only to a lock that looks taken:
 * writing to all would cost the child a page for each arena. */
void fl_lock_renew(fl_lock *lock);

/* In the child: returns whether the lock is free. */
bool fl_lock_is_free(fl_lock *lock);

/*
 * A child made by hand (clone, _Fork) runs no fork handlers. Even in a program without other threads,
 * fallow's own thread may hold a lock at that moment; the thread is not in the child, and nobody there would
 * ever drop the lock.
 *
 * birth: a byte that reads as 0 in any child and as BORN from here on in this process; NULL if the system has
 * no such page. guest: fallow's own thread as its locks name it. Where locks name no owner, such a child
 * waits.
 */
void fl_locks_know_birth(volatile char *birth);
void fl_locks_know_guest(uint32_t guest);

typedef enum fl_birth {
    FL_BIRTH_BY_HAND, /* nobody has come by in this child */
    FL_BIRTH_BORN,    /* no such child, or after fork */
    FL_BIRTH_NOTICED, /* such a child, which knows it; locks may still be the guest's */
} fl_birth;

extern volatile char *fl_locks_birth;

/* Returns true to one caller in such a child: all that the guest has noted of itself is the parent's. */
bool fl_locks_notice_birth(void);

/* Returns whether the calling thread is one of this process's own. (A child of vfork runs on its parent's
 * memory, under its name.) Where locks name no owner: true. Caller holds no lock. */
bool fl_locks_name_me_right(void);

/* In such a child, called before the lock is taken. */
void fl_lock_take_over(fl_lock *lock);

static inline bool fl_locks_may_be_the_guests(void) {
    return __builtin_expect(*fl_locks_birth != FL_BIRTH_BORN, 0);
}

/*
 * In the child of a fork, once all locks are free. thread: the name by which locks knew the forking thread in
 * the parent. A signal handler that forks may have interrupted that thread between reading its name and
 * taking a lock; in the child the lock then names the wrong owner, and the thread could not drop it.
 */
void fl_locks_are_born(uint32_t thread);

/* Drops such a lock. */
void fl_lock_drop_misnamed(fl_lock *lock);

/* Drops a lock unseen by held.h. */
static inline void fl_lock_drop_unseen(fl_lock *lock) {
    if (__builtin_expect(pthread_mutex_unlock(&lock->mutex) != 0, 0))
        fl_lock_drop_misnamed(lock);
}

/* Returns the name of the owner; 0 if there is none, or locks name none. */
uint32_t fl_lock_owner(const fl_lock *lock);

/* Deals with an error of pthread_mutex_lock. Returns false if the caller has not got it, because what lies
 * there is no mutex. */
bool fl_lock_unusual(pthread_mutex_t *mutex, int code);

static inline void fl_mutex_take(pthread_mutex_t *mutex) {
    int code = pthread_mutex_lock(mutex);
    if (__builtin_expect(code != 0, 0))
        fl_lock_unusual(mutex, code);
}

/* Takes a lock unseen by held.h: for who takes many of a kind at once, which another lock makes right. */
static inline void fl_lock_take_unseen(fl_lock *lock) {
    if (fl_locks_may_be_the_guests())
        fl_lock_take_over(lock);
    fl_mutex_take(&lock->mutex);
    if (fl_locks_may_be_closed())
        fl_lock_pass(lock);
}

static inline void fl_lock_take(fl_lock *lock) {
    fl_held_want(lock, lock->rank);
    fl_lock_take_unseen(lock);
    fl_held_add(lock, lock->rank);
}

static inline bool fl_lock_try(fl_lock *lock) {
    if (fl_locks_may_be_the_guests())
        fl_lock_take_over(lock);
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

/* Returns whether the calling thread holds the lock. For assertions: true in a build that does not check. */
static inline bool fl_lock_is_mine(const fl_lock *lock) {
    return fl_held_is(lock);
}

/*
 * A lock in memory that processes may share (between_processes); its layout is the same in every build. If
 * its holder's process ends, the next thread to take the lock gets it.
 */
typedef struct fl_shared_lock {
    pthread_mutex_t mutex;
} fl_shared_lock;

void fl_shared_lock_init(fl_shared_lock *lock, bool between_processes);

/* Returns false, without the lock, if what lies there is no lock. */
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
