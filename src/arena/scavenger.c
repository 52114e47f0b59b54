/* SPDX-License-Identifier: MIT */
#include "scavenger.h"

#include "../system/system.h"
#include "regions.h"

#define KEPT_FOR_NS UINT64_C(10000000000) /* what the system kept is not asked for again before */

/* The lock of the scavenger is also held during a tick's system calls, so that one give-back is under way at a time and none
 * in a fork. Who wants it says so, and the tick ends after its batch. */
static _Atomic unsigned arenas_wanted;
static fl_arena *arenas; /* looked after, through next_attended */
static fl_scavenger_reclaim *reclaim_above;
static fl_allowance allowance; /* of the active regime */

static _Atomic uint64_t pressed_until_ns; /* tasks waited for memory lately */
static _Atomic uint64_t ticked_ns;

void fl_scavenger_want(bool want) {
    if (want)
        atomic_fetch_add_explicit(&arenas_wanted, 1, memory_order_relaxed);
    else
        atomic_fetch_sub_explicit(&arenas_wanted, 1, memory_order_relaxed);
}

static void take_arenas(void) {
    fl_scavenger_want(true);
    fl_lock_take(fl_lock_of(FL_LOCK_SCAVENGER));
    fl_scavenger_want(false);
}

void fl_scavenger_init(fl_scavenger_reclaim *reclaim) {
    reclaim_above = reclaim;
}

void fl_scavenger_press(uint64_t until_ns) {
    atomic_store_explicit(&pressed_until_ns, until_ns, memory_order_relaxed);
}

void fl_scavenger_join(fl_arena *arena) {
    take_arenas();
    arena->next_attended = arenas;
    arenas = arena;
    fl_lock_drop(fl_lock_of(FL_LOCK_SCAVENGER));
}

void fl_scavenger_leave(fl_arena *arena) {
    take_arenas();
    fl_arena **link = &arenas;
    while (*link && *link != arena)
        link = &(*link)->next_attended;
    if (*link)
        *link = arena->next_attended;
    fl_lock_drop(fl_lock_of(FL_LOCK_SCAVENGER));
}

void fl_scavenger_pause(fl_arena *arena) {
    take_arenas();
    arena->pauses++;
    fl_lock_drop(fl_lock_of(FL_LOCK_SCAVENGER));
}

void fl_scavenger_go_on(fl_arena *arena) {
    take_arenas();
    arena->pauses -= arena->pauses > 0; /* in the child of a fork from in between, there are none any more */
    fl_lock_drop(fl_lock_of(FL_LOCK_SCAVENGER));
}

static size_t larger(size_t a, size_t b) {
    return a > b ? a : b;
}

/* The idle pages that a limit forbids to keep: a soft one of the arena or of the process, or one on what is idle. Holds
 * the arena's lock. */
static size_t above_limits(const fl_arena *arena) {
    size_t idle = fl_arena_idle_pages(arena);
    size_t above =
        larger(fl_arena_above_soft(arena),
               fl_pages_above(idle, atomic_load_explicit(&arena->limits.idle_pages, memory_order_relaxed)));
    return above < idle ? above : idle;
}

/* Those above what the recent peak makes likely to be used again. Holds the arena's lock. */
static size_t above_goal(const fl_arena *arena) {
    return fl_pages_above(fl_arena_idle_pages(arena), fl_pace_keep(&arena->pace, arena->used_pages));
}

static size_t really_ready(const fl_arena *arena) {
    return arena->ready_pages -
           (atomic_load_explicit(&arena->away_bytes, memory_order_relaxed) >> FL_PAGE_SHIFT);
}

/* Follows the arena's use; returns whether it is quiet. Holds the arena's lock. */
static bool look(fl_arena *arena, uint64_t now_ns) {
    fl_look look = {now_ns, arena->activity, arena->used_pages, really_ready(arena)};
    return fl_pace_look(&arena->pace, &look);
}

/* What the floor above can free; its returns of pages must not look like the program's doing. */
static bool reclaim(fl_arena *arena, fl_cause cause, uint64_t deadline_ns) {
    bool left = reclaim_above && reclaim_above(arena, cause, deadline_ns);
    fl_lock_take(&arena->lock);
    arena->pace.activity_seen = arena->activity;
    fl_lock_drop(&arena->lock);
    return left;
}

bool fl_scavenger_time_is_up(uint64_t deadline_ns) {
    return fl_system_now_ns() >= deadline_ns || atomic_load_explicit(&arenas_wanted, memory_order_relaxed);
}

/* Batches of what is too much for a reason. Returns true where some is left for the next tick. */
static bool give_excess(fl_arena *arena, fl_cause cause, uint64_t deadline_ns) {
    for (;;) {
        fl_lock_take(&arena->lock);
        size_t pages = cause == FL_CAUSE_GOAL    ? above_goal(arena)
                       : cause == FL_CAUSE_LIMIT ? above_limits(arena)
                                                 : fl_arena_idle_pages(arena);
        fl_lock_drop(&arena->lock);
        if (pages == 0)
            return false;
        if (fl_scavenger_time_is_up(deadline_ns))
            return true;
        bool again;
        fl_pages_scavenge(arena, pages, cause, &again);
        if (!again)
            return false; /* refused by the system: to ask it again and again is no work */
    }
}

/* The active regime: as long as the allowance lasts. */
static bool attend_active(fl_arena *arena, uint64_t now_ns, uint64_t deadline_ns) {
    uint64_t started_ns = fl_system_thread_cpu_ns();
    uint64_t allowed_ns = fl_allowance_look(&allowance, fl_system_process_cpu_ns());
    if (allowed_ns == 0)
        return true;
    if (deadline_ns > now_ns + allowed_ns)
        deadline_ns = now_ns + allowed_ns;
    bool left = reclaim(arena, FL_CAUSE_GOAL, deadline_ns);
    left |= give_excess(arena, FL_CAUSE_GOAL, deadline_ns);
    fl_allowance_spend(&allowance, fl_system_thread_cpu_ns() - started_ns);
    return left;
}

/* One arena's share of a tick. Returns true where work is left. */
static bool attend(fl_arena *arena, uint64_t deadline_ns) {
    if (arena->pauses)
        return true;
    uint64_t now_ns = fl_system_now_ns();
    fl_lock_take(&arena->lock);
    bool ask_again = arena->kept_pages && now_ns - arena->kept_since_ns > KEPT_FOR_NS;
    fl_lock_drop(&arena->lock);
    if (ask_again)
        fl_pages_forget_kept(arena);
    fl_lock_take(&arena->lock);
    bool quiet = look(arena, now_ns);
    size_t ready_before = really_ready(arena);
    fl_lock_drop(&arena->lock);
    bool left = give_excess(arena, FL_CAUSE_LIMIT, deadline_ns);
    bool pressed = now_ns < atomic_load_explicit(&pressed_until_ns, memory_order_relaxed);
    if (atomic_load_explicit(&arena->limits.keeps_idle, memory_order_relaxed) && !pressed)
        return left;
    if (quiet || pressed) {
        fl_cause cause = quiet ? FL_CAUSE_QUIET : FL_CAUSE_PRESSURE;
        left |= reclaim(arena, cause, deadline_ns);
        left |= give_excess(arena, cause, deadline_ns);
    } else
        left |= attend_active(arena, now_ns, deadline_ns);
    fl_lock_take(&arena->lock);
    left |= !quiet && fl_arena_idle_pages(arena) > 0; /* it will be quiet some day */
    if (quiet && really_ready(arena) < ready_before)
        fl_pace_gave(&arena->pace, now_ns, ready_before, really_ready(arena));
    fl_lock_drop(&arena->lock);
    return left;
}

uint64_t fl_scavenger_ticked_ns(void) {
    return atomic_load_explicit(&ticked_ns, memory_order_relaxed);
}

uint32_t fl_scavenger_ticked_s(void) {
    return (uint32_t)(fl_scavenger_ticked_ns() / 1000000000u);
}

bool fl_scavenger_tick(uint64_t budget_ns) {
    uint64_t now_ns = fl_system_now_ns();
    bool left = false;
    atomic_store_explicit(&ticked_ns, now_ns, memory_order_relaxed);
    take_arenas();
    for (fl_arena *arena = arenas; arena; arena = arena->next_attended)
        left |= attend(arena, now_ns + budget_ns);
    fl_lock_drop(fl_lock_of(FL_LOCK_SCAVENGER));
    return left;
}

static size_t give_back_of(fl_arena *arena, size_t wanted_pages, fl_cause cause) {
    size_t all = 0;
    for (bool again = true; again && all < wanted_pages;)
        all += fl_pages_scavenge(arena, wanted_pages - all, cause, &again);
    return all;
}

static bool is_below(const fl_arena *arena, const fl_arena *other) {
    do
        arena = arena->parent;
    while (arena && arena != other);
    return arena != NULL;
}

/* Of one arena; in the second round also what the floor above can free for it. */
static size_t give_back_one(fl_arena *arena, size_t wanted_pages, fl_cause cause, int round) {
    if (arena->pauses)
        return 0;
    if (round == 1)
        reclaim(arena, cause, UINT64_MAX);
    else if (cause == FL_CAUSE_REQUEST)
        fl_pages_forget_kept(arena);
    return give_back_of(arena, wanted_pages, cause);
}

size_t fl_scavenger_give_back(fl_arena *arena, size_t wanted_pages, fl_cause cause, bool reclaim_too) {
    size_t all = 0;
    take_arenas();
    /* What is idle already, before anything is taken out of a heap's hands for it. */
    for (int round = 0; round <= (reclaim_too && reclaim_above); round++) {
        if (arena && all < wanted_pages)
            all += give_back_one(arena, wanted_pages - all, cause, round);
        for (fl_arena *it = arenas; it && all < wanted_pages; it = it->next_attended)
            if (!arena || is_below(it, arena))
                all += give_back_one(it, wanted_pages - all, cause, round);
    }
    fl_lock_drop(fl_lock_of(FL_LOCK_SCAVENGER));
    return all;
}

void fl_scavenger_unmap_spare(void) {
    take_arenas();
    for (fl_arena *arena = arenas; arena; arena = arena->next_attended) {
        fl_lock_take(&arena->ground_lock);
        fl_lock_take(&arena->lock);
        if (!arena->pauses)
            fl_regions_unmap_spare(arena);
        fl_lock_drop(&arena->lock);
        fl_lock_drop(&arena->ground_lock);
    }
    fl_lock_drop(fl_lock_of(FL_LOCK_SCAVENGER));
}

bool fl_scavenger_any(bool (*is)(const fl_arena *arena)) {
    bool found = false;
    take_arenas();
    for (fl_arena *arena = arenas; arena && !found; arena = arena->next_attended)
        found = is(arena);
    fl_lock_drop(fl_lock_of(FL_LOCK_SCAVENGER));
    return found;
}

void fl_scavenger_fork_child(void) {
    atomic_store_explicit(&arenas_wanted, 0, memory_order_relaxed);
    /* Nor those for whom arenas were left alone. */
    for (fl_arena *arena = arenas; arena; arena = arena->next_attended)
        arena->pauses = 0;
}
