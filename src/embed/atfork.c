/* SPDX-License-Identifier: MIT */
#include "atfork.h"

#include <pthread.h>

#include "../arena/driver.h"
#include "../arena/events.h"
#include "../arena/huge.h"
#include "../arena/scarce.h"
#include "../arena/scavenger.h"
#include "../arena/shed.h"
#include "../heap/heap_life.h"
#include "../heap/reclaim.h"
#include "../heap/thread.h"
#include "../profile/copies.h"
#include "../system/fork.h"
#include "poollist.h"

/* Returns the lock of an arena, by rank, that fork must find free. (Heaps' own locks stay with their threads,
 * of which the child has only one.) */
static fl_lock *lock_of(fallow_arena *arena, fl_rank rank) {
    switch (rank) {
    case FL_LOCK_UPKEEP:
        return &arena->pages.upkeep.lock;
    case FL_LOCK_HEAPS:
        return &arena->heaps_lock;
    case FL_LOCK_LISTS:
        return &arena->lists_lock;
    case FL_LOCK_POOLS:
        return &arena->pools_lock;
    case FL_LOCK_GROUND:
        return &arena->pages.ground_lock;
    case FL_LOCK_PAGES:
        return &arena->pages.lock;
    default:
        return NULL;
    }
}

/* These stand below the lock of all arenas, which is closed by then, so no arena begins or ends to be alive.
 * The locks of one that is not alive can be held by nobody, or are yet to be made. */
static void each_lock(fl_rank rank, fl_fork_visit *visit) {
    if (rank <= FL_LOCK_ARENAS)
        return;
    if (rank == FL_LOCK_HEAP)
        fl_thread_visit_locks(visit);
    uint32_t slot = 0;
    for (fallow_arena *arena; (arena = fl_arena_next(&slot)) != NULL;) {
        fl_lock *lock = lock_of(arena, rank);
        if (lock)
            visit(lock);
    }
}

static void fork_prepare(void) {
    fl_huge_note_fork();
    fl_upkeep_hurry(true);
    fl_fork_prepare(each_lock);
    fl_upkeep_hurry(false);
}

static void fork_parent(void) {
    fl_fork_done(each_lock, false);
}

static void fork_child(void) {
    const struct fl_thread *self = fl_thread_record();
    uint32_t slot = 0;
    for (fallow_arena *arena; (arena = fl_arena_next(&slot)) != NULL;) {
        fl_heap_reclaim_fork_child(arena, self);
        fl_heap_fork_child(arena, self);
#if FL_CHECKS >= 2
        arena->forked = true;
#endif
        fl_scarce_fork_child(&arena->pages);
        fl_upkeep_fork_child_of(&arena->pages.upkeep);
        fl_shed_fork_child_of(&arena->pages);
        fl_pools_fork_child(arena);
    }
    fl_copies_drop();
    fl_events_fork_child();
    fl_shed_fork_child();
    fl_scavenger_fork_child();
    fl_driver_fork_child();
    fl_fork_done(each_lock, true);
}

void fl_fork_register(void) {
    static _Atomic bool registered;
    if (!atomic_exchange_explicit(&registered, true, memory_order_relaxed))
        pthread_atfork(fork_prepare, fork_parent, fork_child);
}
