/* SPDX-License-Identifier: MIT */
#include "fork.h"

#include <stdatomic.h>
#include <stdint.h>

#include "system.h"

/* Guarded by the lock of forks: the thread that holds all others, 0: none; and how often it forks once more meanwhile, from
 * signal handlers that interrupted it at taking or dropping them. Others look who it is. */
static _Atomic uintptr_t forking;
static unsigned again;

static bool taken[FL_LOCK_COUNT];

enum { ONE, MANY, NEST };

#define ROW(name, kind, text, what) kind,
static const unsigned char kinds[] = {FL_LOCKS(ROW)};

static uintptr_t self(void) {
    return (uintptr_t)pthread_self();
}

static bool is_mine(void) {
    return atomic_load_explicit(&forking, memory_order_relaxed) == self();
}

static void set_forking(uintptr_t thread) {
    atomic_store_explicit(&forking, thread, memory_order_relaxed);
}

static void take(fl_lock *lock, bool *was_taken) {
    *was_taken = fl_lock_take_in_time(lock);
}

static void drop(fl_lock *lock, bool *was_taken) {
    if (*was_taken)
        pthread_mutex_unlock(&lock->mutex);
    *was_taken = false;
}

static void renew(fl_lock *lock, bool *was_taken) {
    lock->mutex = (pthread_mutex_t)FL_MUTEX_INIT;
    *was_taken = false;
}

static void visit_rank(fl_rank rank, fl_fork_each *each, fl_fork_visit *visit) {
    if (kinds[rank] == ONE)
        visit(fl_lock_of(rank), &taken[rank]);
    else if (each)
        each(rank, visit);
}

/* False: it is the calling thread that forks already, or was interrupted between taking that lock and saying so. */
static bool begin(void) {
    while (!fl_lock_take_in_time(fl_lock_of(FL_LOCK_FORK)))
        if (is_mine() || atomic_load_explicit(&forking, memory_order_relaxed) == 0)
            return false;
    set_forking(self());
    return true;
}

static void visit_all(fl_fork_each *each, fl_fork_visit *visit) {
    for (unsigned rank = FL_LOCK_COUNT; rank-- > FL_LOCK_FORK + 1;)
        visit_rank((fl_rank)rank, each, visit);
}

void fl_fork_prepare(fl_fork_each *each) {
    fl_system_fork_prepare();
    if (!begin()) {
        again += is_mine();
        return;
    }
    for (unsigned rank = FL_LOCK_FORK + 1; rank < FL_LOCK_COUNT && is_mine(); rank++)
        visit_rank((fl_rank)rank, each, take);
    if (!is_mine()) /* a child of a signal handler's fork has come back to here: nobody else is in it */
        visit_all(each, drop);
}

static void done_in_parent(fl_fork_each *each) {
    if (!is_mine())
        return;
    if (again > 0) {
        again--;
        return;
    }
    visit_all(each, drop);
    set_forking(0);
    pthread_mutex_unlock(&fl_lock_of(FL_LOCK_FORK)->mutex);
}

static void done_in_child(fl_fork_each *each) {
    visit_all(each, renew);
    again = 0;
    set_forking(0);
    fl_lock_of(FL_LOCK_FORK)->mutex = (pthread_mutex_t)FL_MUTEX_INIT;
}

void fl_fork_done(fl_fork_each *each, bool in_child) {
    if (in_child)
        done_in_child(each);
    else
        done_in_parent(each);
    fl_system_fork_done(in_child);
}
