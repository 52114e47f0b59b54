/* SPDX-License-Identifier: MIT */
#include "fork.h"

#include <stdatomic.h>
#include <stdint.h>

#include "system.h"

#define A_WHILE_NS UINT64_C(100000000)
/* The patience for one lock, doubled each time: a minute in all, or a quarter of a second for a thread that
 * was interrupted while it held a lock. */
#define PATIENCE_FIRST_NS UINT64_C(1000000)
#define PATIENCE_LAST_NS UINT64_C(32768000000)
#define PATIENCE_SHORT_NS UINT64_C(128000000)

/* Guarded by the lock of forks. again: how many more forks of the same thread are under way, from signal
 * handlers that interrupted it while it closed or opened the others. lent: the fork under way is that of a
 * signal handler that interrupted its thread with the lock of forks in hand, before or after the gate was
 * closed; the lock stays with the thread. */
static unsigned again;
static bool lent;
static uint32_t forks_thread; /* by the name that locks know it by */

/* Guarded likewise, for one attempt. missed: a lock could not be had in time. interrupted: the thread was
 * interrupted while it held one. */
static bool missed, interrupted;
static uint64_t patience_ns;

enum { ONE, MANY, NEST };

#define ROW(name, kind, text, what) kind,
static const unsigned char kinds[] = {FL_LOCKS(ROW)};

static void visit_rank(fl_rank rank, fl_fork_each *each, fl_fork_visit *visit) {
    if (kinds[rank] == ONE)
        visit(fl_lock_of(rank));
    else if (each)
        each(rank, visit);
}

static void await(fl_lock *lock) {
    fl_lock_answer answer = fl_lock_take_in_time(lock, missed ? 0 : patience_ns);
    if (answer == FL_LOCK_HAD)
        fl_lock_drop_unseen(lock);
    missed |= answer == FL_LOCK_OTHERS || answer == FL_LOCK_UNNAMED;
    interrupted |= answer == FL_LOCK_MINE || answer == FL_LOCK_UNNAMED;
}

/* Returns false if the calling thread is forking already, and one of its signal handlers has come in between.
 * */
static bool begin(void) {
    unsigned unnamed = 0;
    fl_lock_answer answer;
    fl_system_fork_prepare();
    do {
        answer = fl_lock_take_in_time(fl_lock_of(FL_LOCK_FORK), A_WHILE_NS);
        unnamed = answer == FL_LOCK_UNNAMED ? unnamed + 1 : 0;
    } while (answer == FL_LOCK_OTHERS ||
             (answer == FL_LOCK_UNNAMED && unnamed < 4)); /* another thread would have named itself by now */
    if (fl_gate_is_mine())
        return false;
    lent = answer != FL_LOCK_HAD;
    fl_gate_give(true);
    forks_thread = fl_lock_owner(fl_lock_of(FL_LOCK_FORK));
    return true;
}

/* Ends the fork, or lets another one pass. A signal handler that comes in between and forks begins on its
 * own. */
static void end(void) {
    bool keep = lent;
    lent = false;
    fl_gate_give(false);
    fl_gate_close_below(0);
    if (!keep)
        fl_lock_drop_unseen(fl_lock_of(FL_LOCK_FORK));
}

static void close_all(fl_fork_each *each) {
    missed = interrupted = false;
    for (uint32_t rank = FL_LOCK_FORK + 1; rank < FL_LOCK_COUNT && fl_gate_is_mine(); rank++) {
        fl_gate_close_below(rank + 1);
        visit_rank((fl_rank)rank, each, await);
    }
    if (!fl_gate_is_mine()) /* the child of a signal handler's fork returned to here, without other threads */
        fl_gate_close_below(0);
}

/* The forking thread waits for a thread that holds a lock for long. But that thread may itself be waiting for
 * what the calling thread was in the middle of when a signal handler interrupted it; then the wait is short.
 * */
static bool is_worth_another_try(void) {
    uint64_t last_ns = interrupted ? PATIENCE_SHORT_NS : PATIENCE_LAST_NS;
    return missed && fl_gate_is_mine() && !lent && patience_ns < last_ns;
}

void fl_fork_prepare(fl_fork_each *each) {
    if (!begin()) {
        bool before[] = {missed, interrupted};
        again++;
        if (atomic_load_explicit(&fl_locks_closed, memory_order_relaxed) < FL_LOCK_COUNT)
            close_all(each); /* the thread was closing them, and goes on where it was */
        missed = before[0], interrupted = before[1];
        return;
    }
    patience_ns = PATIENCE_FIRST_NS;
    for (close_all(each); is_worth_another_try(); close_all(each)) {
        uint64_t next_ns = patience_ns * 2;
        end();
        fl_system_fork_done(false);
        fl_system_sleep_ns(next_ns / 2); /* threads that wait, to fork or for a lock, come first */
        begin();
        patience_ns = next_ns;
    }
}

static void done_in_parent(void) {
    if (!fl_gate_is_mine())
        return;
    if (again > 0)
        again--;
    else
        end();
}

static void done_in_child(fl_fork_each *each) {
    for (unsigned rank = FL_LOCK_COUNT; rank-- > FL_LOCK_FORK;)
        visit_rank((fl_rank)rank, each, fl_lock_renew);
    again = 0;
    lent = missed = false;
    fl_gate_give(false);
    fl_gate_close_below(0);
    fl_locks_are_born(forks_thread);
    fl_system_be_first_thread();
}

void fl_fork_done(fl_fork_each *each, bool in_child) {
    if (in_child)
        done_in_child(each);
    else
        done_in_parent();
    fl_system_fork_done(in_child);
}
