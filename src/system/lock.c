/* SPDX-License-Identifier: MIT */
#define _POSIX_C_SOURCE 200809L
#include "lock.h"

#include <errno.h>
#include <time.h>

#include "fatal.h"

void fl_lock_init_checking(fl_lock *lock) {
    pthread_mutexattr_t kind;
    pthread_mutexattr_init(&kind);
    pthread_mutexattr_settype(&kind, PTHREAD_MUTEX_ERRORCHECK);
    pthread_mutex_init(lock, &kind);
    pthread_mutexattr_destroy(&kind);
}

bool fl_lock_take_in_time(fl_lock *lock) {
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 1;
    return pthread_mutex_timedlock(lock, &until) == 0;
}

void fl_lock_init_shared(fl_lock *lock) {
    pthread_mutexattr_t kind;
    pthread_mutexattr_init(&kind);
    pthread_mutexattr_setpshared(&kind, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&kind, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(lock, &kind);
    pthread_mutexattr_destroy(&kind);
}

void fl_lock_unusual(fl_lock *lock, int code) {
    if (code == EOWNERDEAD)
        pthread_mutex_consistent(lock);
    else if (code == EDEADLK)
        fl_fatal("use of the heap", NULL, "from a signal handler that has interrupted the same thread in it");
}

bool fl_lock_take_unless_mine(fl_lock *lock) {
    return pthread_mutex_lock(lock) != EDEADLK;
}
