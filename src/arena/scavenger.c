/* SPDX-License-Identifier: MIT */
#include "scavenger.h"

#include "../osmem/system.h"

#define TICK_NS UINT64_C(100000000)
#define QUIET_TICKS 3
#define END_AFTER_TICKS 20 /* without work */
#define START_THREADED_BYTES ((size_t)16 << 20)
#define START_SINGLE_BYTES ((size_t)64 << 20)
#define PEAK_HALF_LIFE_TICKS 100
#define KEEP_ABOVE_PEAK 10 /* keep this part of the peak above it: one tenth */

/* Also held during a tick's system calls. Who wants it says so, and the tick ends after its batch. */
static fl_lock arenas_lock = FL_LOCK_INIT;
static _Atomic unsigned arenas_wanted;
static fl_arena *arenas; /* looked after, through next_attended */
static fl_scavenger_reclaim *reclaim_above;

static _Atomic bool thread_allowed;
static _Atomic bool thread_runs;
static _Atomic size_t reclaimable_bytes; /* noted by the floor above since the last tick */

static void take_arenas(void) {
    atomic_fetch_add_explicit(&arenas_wanted, 1, memory_order_relaxed);
    fl_lock_take(&arenas_lock);
    atomic_fetch_sub_explicit(&arenas_wanted, 1, memory_order_relaxed);
}

void fl_scavenger_init(fl_scavenger_reclaim *reclaim) {
    reclaim_above = reclaim;
}

void fl_scavenger_allow_thread(bool allowed) {
    atomic_store_explicit(&thread_allowed, allowed, memory_order_relaxed);
}

void fl_scavenger_join(fl_arena *arena) {
    take_arenas();
    arena->grants_seen = 0;
    arena->quiet_ticks = 0;
    arena->next_attended = arenas;
    arenas = arena;
    fl_lock_drop(&arenas_lock);
}

void fl_scavenger_leave(fl_arena *arena) {
    take_arenas();
    fl_arena **link = &arenas;
    while (*link && *link != arena)
        link = &(*link)->next_attended;
    if (*link)
        *link = arena->next_attended;
    fl_lock_drop(&arenas_lock);
}

/* The pages that the arena may keep idle now. */
static size_t pages_to_keep(fl_arena *arena, bool quiet) {
    if (quiet)
        return 0;
    size_t goal = arena->used_peak_pages + arena->used_peak_pages / KEEP_ABOVE_PEAK;
    return goal > arena->used_pages ? goal - arena->used_pages : 0;
}

/* Follows the arena's use; returns whether it is quiet, and its idle pages that are too many. */
static bool look(fl_arena *arena, size_t *excess_pages) {
    fl_lock_take(&arena->lock);
    arena->quiet_ticks = arena->grants == arena->grants_seen ? arena->quiet_ticks + 1 : 0;
    arena->grants_seen = arena->grants;
    if (arena->used_peak_pages > arena->used_pages)
        arena->used_peak_pages -= (arena->used_peak_pages - arena->used_pages) / PEAK_HALF_LIFE_TICKS + 1;
    bool quiet = arena->quiet_ticks >= QUIET_TICKS;
    size_t idle = fl_arena_idle_pages(arena);
    size_t keep = pages_to_keep(arena, quiet);
    *excess_pages = idle > keep ? idle - keep : 0;
    fl_lock_drop(&arena->lock);
    return quiet;
}

/* Our own returns of pages must not look like the program's doing. */
static void forget_own_grants(fl_arena *arena) {
    fl_lock_take(&arena->lock);
    arena->grants_seen = arena->grants;
    fl_lock_drop(&arena->lock);
}

static size_t idle_pages(fl_arena *arena) {
    fl_lock_take(&arena->lock);
    size_t pages = fl_arena_idle_pages(arena);
    fl_lock_drop(&arena->lock);
    return pages;
}

/* One arena's share of a tick. Returns true where work is left. */
static bool attend(fl_arena *arena, uint64_t deadline_ns) {
    size_t excess;
    bool quiet = look(arena, &excess);
    bool left = reclaim_above && reclaim_above(arena, quiet);
    forget_own_grants(arena);
    if (quiet)
        excess = idle_pages(arena);
    while (excess) {
        if (fl_system_now_ns() >= deadline_ns || atomic_load_explicit(&arenas_wanted, memory_order_relaxed))
            return true;
        size_t went = fl_pages_scavenge(arena, excess);
        if (went == 0)
            return left; /* refused by the system: to ask it again and again is no work */
        excess -= went < excess ? went : excess;
    }
    return left || idle_pages(arena) > 0;
}

bool fl_scavenger_tick(uint64_t budget_ns) {
    uint64_t deadline_ns = fl_system_now_ns() + budget_ns;
    bool left = false;
    atomic_store_explicit(&reclaimable_bytes, 0, memory_order_relaxed);
    take_arenas();
    for (fl_arena *arena = arenas; arena; arena = arena->next_attended)
        left |= attend(arena, deadline_ns);
    fl_lock_drop(&arenas_lock);
    return left;
}

static bool anyone_busy(void) {
    bool busy = false;
    take_arenas();
    for (fl_arena *arena = arenas; arena; arena = arena->next_attended)
        busy |= arena->quiet_ticks < QUIET_TICKS;
    fl_lock_drop(&arenas_lock);
    return busy;
}

static size_t start_threshold_bytes(void) {
    return fl_system_is_threaded() ? START_THREADED_BYTES : START_SINGLE_BYTES;
}

static bool anyone_idle(void) {
    bool idle = false;
    take_arenas();
    for (fl_arena *arena = arenas; arena; arena = arena->next_attended)
        idle |= (idle_pages(arena) << FL_PAGE_SHIFT) >= start_threshold_bytes();
    fl_lock_drop(&arenas_lock);
    return idle;
}

static void start_thread(void);

static void *thread_body(void *unused) {
    (void)unused;
    unsigned ticks_without_work = 0;
    while (ticks_without_work < END_AFTER_TICKS) {
        fl_system_sleep_ns(TICK_NS);
        /* At most 1 % of a core while the program is at work, half of one when it rests. */
        uint64_t budget_ns = anyone_busy() ? TICK_NS / 100 : TICK_NS / 2;
        ticks_without_work = fl_scavenger_tick(budget_ns) ? 0 : ticks_without_work + 1;
        if (!atomic_load_explicit(&thread_allowed, memory_order_relaxed))
            break;
    }
    atomic_store_explicit(&thread_runs, false, memory_order_seq_cst);
    /* Work noted since the last tick found the thread still there and did not start another. */
    if (atomic_load_explicit(&reclaimable_bytes, memory_order_seq_cst) || anyone_idle())
        start_thread();
    return NULL;
}

static void start_thread(void) {
    if (!atomic_load_explicit(&thread_allowed, memory_order_relaxed))
        return;
    /* One winner; its exchange is all that keeps a second thread from starting. */
    if (atomic_load_explicit(&thread_runs, memory_order_relaxed) ||
        atomic_exchange_explicit(&thread_runs, true, memory_order_acq_rel))
        return;
    if (!fl_system_start_thread(thread_body, NULL))
        atomic_store_explicit(&thread_runs, false, memory_order_release);
}

void fl_scavenger_note(fl_arena *arena) {
    if (atomic_load_explicit(&thread_runs, memory_order_relaxed))
        return;
    if ((idle_pages(arena) << FL_PAGE_SHIFT) >= start_threshold_bytes())
        start_thread();
}

void fl_scavenger_note_reclaimable(size_t bytes) {
    size_t noted = atomic_fetch_add_explicit(&reclaimable_bytes, bytes, memory_order_relaxed) + bytes;
    if (noted >= start_threshold_bytes())
        start_thread();
}

void fl_scavenger_fork_prepare(void) {
    take_arenas();
}

void fl_scavenger_fork_parent(void) {
    fl_lock_drop(&arenas_lock);
}

void fl_scavenger_fork_child(void) {
    /* The thread was not forked. It comes back when the child has something to give back. */
    atomic_store_explicit(&thread_runs, false, memory_order_relaxed);
    fl_lock_drop(&arenas_lock);
}
