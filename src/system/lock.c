/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "lock.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "fatal.h"
#include "system.h"

#define ROW(name, kind, text, what) {{FL_MUTEX_INIT, FL_LOCK_##name}},

fl_lock_line fl_locks[FL_LOCK_COUNT] = {FL_LOCKS(ROW)};

_Atomic uint32_t fl_locks_closed;
static _Atomic uintptr_t
    passes; /* the forking thread, or 0; written under the lock of forks, read by any thread */

void fl_gate_close_below(uint32_t rank) {
    atomic_store_explicit(&fl_locks_closed, rank, memory_order_release);
}

void fl_gate_give(bool to_me) {
    atomic_store_explicit(&passes, to_me ? (uintptr_t)pthread_self() : 0, memory_order_relaxed);
}

bool fl_gate_is_mine(void) {
    return atomic_load_explicit(&passes, memory_order_relaxed) == (uintptr_t)pthread_self();
}

bool fl_lock_is_closed(const fl_lock *lock) {
    return lock->rank < atomic_load_explicit(&fl_locks_closed, memory_order_acquire) && !fl_gate_is_mine();
}

void fl_lock_pass(fl_lock *lock) {
    while (fl_lock_is_closed(lock)) {
        fl_lock_drop_unseen(lock);
        fl_mutex_take(&fl_lock_of(FL_LOCK_FORK)->mutex); /* the forking thread holds it */
        fl_lock_drop_unseen(fl_lock_of(FL_LOCK_FORK));
        fl_mutex_take(&lock->mutex);
    }
}

void fl_lock_init_checking(fl_lock *lock, fl_rank rank) {
    pthread_mutexattr_t kind;
    fl_lock_init(lock, rank);
    pthread_mutexattr_init(&kind);
    pthread_mutexattr_settype(&kind, PTHREAD_MUTEX_ERRORCHECK);
    pthread_mutex_init(&lock->mutex, &kind);
    pthread_mutexattr_destroy(&kind);
}

/* Since glibc 2.30. */
extern int pthread_mutex_clocklock(pthread_mutex_t *, clockid_t, const struct timespec *)
    __attribute__((weak));

/* Defined in a program under ThreadSanitizer, which does not know that function (gcc 12) and would not see
 * the lock taken. */
extern void __tsan_init(void) __attribute__((weak));

/*
 * Returns true if the lock was free, and the caller has it now. A free lock can name the caller as its owner:
 * a signal handler that forks may interrupt its thread between taking a lock and signing it; in the child the
 * lock is new, the interrupted code signs it although it is free, and cannot drop what is not taken. A try
 * looks at the lock itself.
 */
static bool was_free(pthread_mutex_t *mutex) {
    return pthread_mutex_trylock(mutex) == 0;
}

static volatile char no_page = FL_BIRTH_BORN;
volatile char *fl_locks_birth = &no_page;
static _Atomic uint32_t guest_thread, parents_guest;
static uint32_t parents_thread; /* written while there is one thread */

void fl_locks_know_birth(volatile char *birth) {
    if (birth) {
        *birth = FL_BIRTH_BORN;
        fl_locks_birth = birth;
    }
}

void fl_locks_know_guest(uint32_t guest) {
    atomic_store_explicit(&guest_thread, guest, memory_order_relaxed);
}

void fl_locks_are_born(uint32_t thread) {
    *fl_locks_birth = FL_BIRTH_BORN;
    parents_thread = thread;
    fl_locks_know_guest(0);
}

uint32_t fl_lock_owner(const fl_lock *lock) {
#ifdef __GLIBC__
    return (uint32_t)__atomic_load_n(&lock->mutex.__data.__owner, __ATOMIC_RELAXED);
#else
    (void)lock;
    return 0;
#endif
}

/* Which thread of a child came by first: clone leaves it the name that it had in the parent. */
static _Atomic uint32_t first_name, first_thread;

static uint32_t my_name(void) {
    fl_lock *any = fl_lock_of(FL_LOCK_META);
    fl_lock_take(any);
    uint32_t name = fl_lock_owner(any);
    fl_lock_drop(any);
    return name;
}

bool fl_locks_notice_birth(void) {
    char by_hand = FL_BIRTH_BY_HAND;
    if (*fl_locks_birth != FL_BIRTH_BY_HAND ||
        !__atomic_compare_exchange_n(fl_locks_birth, &by_hand, FL_BIRTH_NOTICED, false, __ATOMIC_RELAXED,
                                     __ATOMIC_RELAXED))
        return false;
    uint32_t guest = atomic_load_explicit(&guest_thread, memory_order_relaxed);
    if (guest)
        atomic_store_explicit(&parents_guest, guest, memory_order_relaxed);
    atomic_store_explicit(&first_name, my_name(), memory_order_relaxed);
    atomic_store_explicit(&first_thread, fl_system_thread(), memory_order_relaxed);
    return true;
}

bool fl_locks_name_me_right(void) {
    uint32_t name = my_name(), thread = fl_system_thread();
    return name == 0 || name == thread ||
           (name == atomic_load_explicit(&first_name, memory_order_relaxed) &&
            thread == atomic_load_explicit(&first_thread, memory_order_relaxed));
}

/* Frees a lock that the guest held when the child was made. The first thread to come frees it; for those
 * after it the lock names another owner, or none. */
void fl_lock_take_over(fl_lock *lock) {
    static _Atomic bool busy;
    uint32_t guest = fl_lock_owner(lock);
    if (!guest ||
        (guest != atomic_load_explicit(&guest_thread, memory_order_relaxed) &&
         guest != atomic_load_explicit(&parents_guest, memory_order_relaxed)) ||
        fl_system_has_thread(guest))
        return; /* by now a thread of the child's own may have that number */
    while (atomic_exchange_explicit(&busy, true, memory_order_acquire))
        ;
    if (fl_lock_owner(lock) == guest)
        lock->mutex = (pthread_mutex_t)FL_MUTEX_INIT;
    atomic_store_explicit(&busy, false, memory_order_release);
}

void fl_lock_drop_misnamed(fl_lock *lock) {
    if (parents_thread && fl_lock_owner(lock) == parents_thread)
        lock->mutex = (pthread_mutex_t)FL_MUTEX_INIT;
}

fl_lock_answer fl_lock_take_in_time(fl_lock *lock, uint64_t duration_ns) {
    if (fl_locks_may_be_the_guests())
        fl_lock_take_over(lock);
    bool monotonic = pthread_mutex_clocklock && !__tsan_init; /* people set the other clock */
    uint64_t until_ns = (monotonic ? fl_system_now_ns() : fl_system_date_ns()) + duration_ns;
    struct timespec until = {(time_t)(until_ns / 1000000000u), (long)(until_ns % 1000000000u)};
    int code = monotonic ? pthread_mutex_clocklock(&lock->mutex, CLOCK_MONOTONIC, &until)
                         : pthread_mutex_timedlock(&lock->mutex, &until);
    if (code == 0 || (code == EDEADLK && was_free(&lock->mutex)))
        return FL_LOCK_HAD;
    return code == EDEADLK ? FL_LOCK_MINE : fl_lock_owner(lock) ? FL_LOCK_OTHERS : FL_LOCK_UNNAMED;
}

static bool is_new(const fl_lock *lock) {
    static const pthread_mutex_t new_mutex = FL_MUTEX_INIT;
    return memcmp(&lock->mutex, &new_mutex, sizeof new_mutex) == 0;
}

void fl_lock_renew(fl_lock *lock) {
    if (!is_new(lock))
        lock->mutex = (pthread_mutex_t)FL_MUTEX_INIT;
}

bool fl_lock_is_free(fl_lock *lock) {
    if (is_new(lock))
        return true;
    bool is_free = was_free(&lock->mutex);
    if (is_free)
        fl_lock_drop_unseen(lock);
    return is_free;
}

void fl_shared_lock_init(fl_shared_lock *lock, bool between_processes) {
    pthread_mutexattr_t kind;
    if (!between_processes) {
        lock->mutex = (pthread_mutex_t)FL_MUTEX_INIT;
        return;
    }
    pthread_mutexattr_init(&kind);
    pthread_mutexattr_settype(&kind, PTHREAD_MUTEX_ERRORCHECK);
    pthread_mutexattr_setpshared(&kind, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&kind, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(&lock->mutex, &kind);
    pthread_mutexattr_destroy(&kind);
}

bool fl_lock_unusual(pthread_mutex_t *mutex, int code) {
    if (code == EOWNERDEAD)
        return pthread_mutex_consistent(mutex) == 0;
    if (code == EDEADLK && !was_free(mutex))
        fl_fatal("use of the heap", NULL, "from a signal handler that has interrupted the same thread in it");
    return code == EDEADLK;
}

bool fl_lock_take_unless_mine(fl_lock *lock) {
    fl_held_want(lock, lock->rank);
    if (pthread_mutex_lock(&lock->mutex) == EDEADLK && !was_free(&lock->mutex))
        return false;
    if (fl_locks_may_be_closed())
        fl_lock_pass(lock);
    fl_held_add(lock, lock->rank);
    return true;
}
