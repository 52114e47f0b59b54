/* SPDX-License-Identifier: MIT */
#define _POSIX_C_SOURCE 200809L
#include "lock.h"

#include <errno.h>

void fl_lock_init_checking(fl_lock *lock) {
    pthread_mutexattr_t kind;
    pthread_mutexattr_init(&kind);
    pthread_mutexattr_settype(&kind, PTHREAD_MUTEX_ERRORCHECK);
    pthread_mutex_init(lock, &kind);
    pthread_mutexattr_destroy(&kind);
}

void fl_lock_init_shared(fl_lock *lock) {
    pthread_mutexattr_t kind;
    pthread_mutexattr_init(&kind);
    pthread_mutexattr_setpshared(&kind, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&kind, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(lock, &kind);
    pthread_mutexattr_destroy(&kind);
}

void fl_lock_make_consistent(fl_lock *lock) {
    pthread_mutex_consistent(lock);
}

bool fl_lock_take_unless_mine(fl_lock *lock) {
    return pthread_mutex_lock(lock) != EDEADLK;
}
