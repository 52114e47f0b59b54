/* SPDX-License-Identifier: MIT */
#include "scavenger.h"

#include <stddef.h>

#include "../system/arithmetic.h"
#include "../system/system.h"
#include "charge.h"
#include "family.h"
#include "pages.h"
#include "regions.h"
#include "scavenge.h"

#define TURNS_MAX 64 /* in one arena, for one give-back on request, while others come in between */
#define IN_VAIN_MAX 3
#define LEFT_BYTES ((size_t)1 << 20)      /* less is not waited for */
#define KEPT_FOR_NS UINT64_C(10000000000) /* what the system kept is not asked for again before */

static fl_scavenger_reclaim *reclaim_above;
static _Atomic bool ticking; /* one tick at a time, whose own these are, with the active regime's allowance */
static fl_allowance allowance;
static fl_work work;
static uint64_t worked_ns;                /* what ticks have taken of the process's CPU time */
static _Atomic uint64_t pressed_until_ns; /* tasks waited for memory lately */
static _Atomic uint64_t ticked_ns;

void fl_scavenger_init(fl_scavenger_reclaim *reclaim) {
    reclaim_above = reclaim;
}

void fl_scavenger_press(uint64_t until_ns) {
    atomic_store_explicit(&pressed_until_ns, until_ns, memory_order_relaxed);
}

/* Returns how many idle pages a limit forbids to keep: a soft one of the arena or of the process, or one on
 * what is idle. Caller holds the arena's lock. */
static size_t above_limits(const fl_pagearena *arena) {
    size_t idle = fl_pagearena_idle_pages(arena);
    size_t above =
        fl_larger(fl_pages_up(fl_pagearena_soft_excess(arena)),
                  fl_above(idle, atomic_load_explicit(&arena->limits.idle_pages, memory_order_relaxed)));
    return above < idle ? above : idle;
}

/* Returns how many exceed what the recent peak makes likely to be used again. Caller holds the arena's
 * lock. */
static size_t above_goal(const fl_pagearena *arena) {
    return fl_above(fl_pagearena_idle_pages(arena), fl_pace_keep(&arena->pace, arena->used_pages));
}

/* Returns how many exceed what a program at work takes and returns all the time. Caller holds the arena's
 * lock. */
static size_t above_stir(const fl_pagearena *arena) {
    return fl_above(fl_pagearena_idle_pages(arena), fl_pace_keep_quiet(&arena->pace, arena->used_pages));
}

static size_t really_ready(const fl_pagearena *arena) {
    return arena->ready_pages -
           (atomic_load_explicit(&arena->decommitted_bytes, memory_order_relaxed) >> FL_PAGE_SHIFT);
}

static uint64_t grown_pages(const fl_pagearena *arena) {
    return atomic_load_explicit(&arena->grown_bytes, memory_order_relaxed) >> FL_PAGE_SHIFT;
}

/* When a turn begins, and when it is to end. CPU time is read once a tick: that is a system call. */
typedef struct moment {
    uint64_t now_ns;
    uint64_t process_cpu_ns;
    uint64_t deadline_ns;
    bool at_work; /* the program is */
} moment;

/* Follows the arena's use; returns whether it is quiet. Caller holds the arena's lock. */
static bool look(fl_pagearena *arena, const moment *at) {
    fl_look look = {at->now_ns,
                    at->process_cpu_ns,
                    arena->activity,
                    arena->used_pages,
                    really_ready(arena),
                    grown_pages(arena),
                    fl_pages_up(fl_pagearena_sparable_bytes(arena))};
    return fl_pace_look(&arena->pace, &look);
}

/* Apart, to spare the stack of requests that come here. */
static __attribute__((noinline)) void upkeep_begins(fl_pagearena *arena, fl_cause cause) {
    bool waits = cause == FL_CAUSE_GOAL || cause == FL_CAUSE_QUIET;
    fl_lock_take(&arena->lock);
    arena->left_some = false;
    arena->unused_ms =
        waits ? (uint32_t)(fl_pace_unused_ns(&arena->pace, cause == FL_CAUSE_QUIET) / 1000000u) : 0;
    fl_pace_upkeep_begins(&arena->pace, arena->used_pages);
    fl_lock_drop(&arena->lock);
}

static __attribute__((noinline)) void upkeep_ends(fl_pagearena *arena) {
    fl_lock_take(&arena->lock);
    arena->pace.activity_seen = arena->activity;
    fl_pace_upkeep_ends(&arena->pace, arena->used_pages);
    fl_lock_drop(&arena->lock);
}

/* Frees what the floor above can; its returns of pages must not look like the program's doing. */
static bool reclaim(fl_pagearena *arena, fl_cause cause, uint64_t deadline_ns) {
    upkeep_begins(arena, cause);
    bool left = reclaim_above && reclaim_above(arena, cause, deadline_ns);
    upkeep_ends(arena);
    return left;
}

bool fl_scavenger_time_is_up(uint64_t deadline_ns) {
    return fl_upkeep_is_hurried() || (deadline_ns != UINT64_MAX && fl_system_now_ns() >= deadline_ns);
}

/* Gives back, in batches, what is too much for a reason. Returns true if some is left for the next tick. */
static bool give_excess(fl_pagearena *arena, fl_cause cause, uint64_t deadline_ns) {
    for (;;) {
        fl_lock_take(&arena->lock);
        size_t pages = cause == FL_CAUSE_GOAL    ? above_goal(arena)
                       : cause == FL_CAUSE_QUIET ? above_stir(arena)
                       : cause == FL_CAUSE_LIMIT ? above_limits(arena)
                                                 : fl_pagearena_idle_pages(arena);
        fl_lock_drop(&arena->lock);
        if (pages == 0)
            return false;
        if (fl_scavenger_time_is_up(deadline_ns))
            return true;
        bool again;
        fl_pages_scavenge(arena, pages, cause, &again);
        if (!again)
            return false; /* the system refuses: asking again and again is no work */
    }
}

/* The active regime: as long as the allowance lasts. */
static bool attend_active(fl_pagearena *arena, const moment *at) {
    uint64_t started_ns = fl_system_thread_cpu_ns(), deadline_ns = at->deadline_ns;
    uint64_t allowed_ns = fl_allowance_look(&allowance, at->process_cpu_ns);
    if (allowed_ns == 0)
        return true;
    if (deadline_ns > at->now_ns + allowed_ns)
        deadline_ns = at->now_ns + allowed_ns;
    bool left = reclaim(arena, FL_CAUSE_GOAL, deadline_ns);
    left |= give_excess(arena, FL_CAUSE_GOAL, deadline_ns);
    fl_allowance_spend(&allowance, fl_system_thread_cpu_ns() - started_ns);
    return left;
}

typedef enum tick_prospect { NOTHING_LEFT, NOT_NOW, WORK_LEFT } tick_prospect;

/* Says in the end what can still be expected of the arena, and whether anything has gone. */
static tick_prospect foresee(fl_pagearena *arena, uint64_t now_ns, bool quiet, bool left, size_t ready_before,
                             bool *gave) {
    fl_lock_take(&arena->lock);
    bool idle = fl_pagearena_idle_pages(arena) > 0;
    bool keeps = atomic_load_explicit(&arena->limits.keeps_idle, memory_order_relaxed);
    bool reclaimable = atomic_load_explicit(&arena->reclaimable_bytes, memory_order_relaxed) > 0;
    bool much = fl_pagearena_sparable_bytes(arena) >= LEFT_BYTES;
    /* It will be quiet some day, what is young will be old, and the program not at work. */
    left |= !keeps && ((!quiet && idle) || (arena->left_some && much));
    bool waits = idle || arena->kept_pages || (reclaimable && (!quiet || arena->left_some));
    size_t gone = fl_above(ready_before, really_ready(arena));
    *gave = gone > 0;
    if (quiet && *gave)
        fl_pace_gave(&arena->pace, now_ns, gone, grown_pages(arena));
    fl_lock_drop(&arena->lock);
    return left ? WORK_LEFT : waits ? NOT_NOW : NOTHING_LEFT;
}

static uint64_t given_bytes(const fl_pagearena *arena, fl_cause cause) {
    return atomic_load_explicit(&arena->given_bytes[cause], memory_order_relaxed);
}

static tick_prospect attend(fl_pagearena *arena, const moment *at, bool *gave) {
    arena->at_work = at->at_work;
    fl_lock_take(&arena->lock);
    bool ask_again = arena->kept_pages && at->now_ns - arena->kept_since_ns > KEPT_FOR_NS;
    bool quiet = look(arena, at);
    size_t ready_before = really_ready(arena);
    uint64_t given = given_bytes(arena, FL_CAUSE_LIMIT);
    fl_lock_drop(&arena->lock);
    if (ask_again)
        fl_pages_forget_kept(arena);
    bool left = give_excess(arena, FL_CAUSE_LIMIT, at->deadline_ns);
    fl_pagearena_soft_given(arena, (size_t)(given_bytes(arena, FL_CAUSE_LIMIT) - given), at->now_ns);
    bool pressed = at->now_ns < atomic_load_explicit(&pressed_until_ns, memory_order_relaxed);
    if (atomic_load_explicit(&arena->limits.keeps_idle, memory_order_relaxed) && !pressed)
        quiet = false;
    else if (quiet || pressed) {
        fl_cause cause = quiet ? FL_CAUSE_QUIET : FL_CAUSE_PRESSURE;
        left |= reclaim(arena, cause, at->deadline_ns);
        left |= give_excess(arena, cause, at->deadline_ns);
    } else
        left |= attend_active(arena, at);
    return foresee(arena, at->now_ns, quiet, left, ready_before, gave);
}

uint64_t fl_scavenger_ticked_ns(void) {
    return atomic_load_explicit(&ticked_ns, memory_order_relaxed);
}

uint32_t fl_scavenger_ticked_ms(void) {
    return (uint32_t)(fl_scavenger_ticked_ns() / 1000000u);
}

/* Takes turns until the deadline; those in which nothing goes may together take this long, which ten thousand
 * arenas at work do. */
#define IN_VAIN_NS UINT64_C(500000)

static bool take_turns(uint64_t now_ns, uint64_t budget_ns) {
    uint64_t round = fl_upkeep_new_round(), in_vain_ns = 0;
    moment at = {now_ns, fl_system_process_cpu_ns(), now_ns + budget_ns, false};
    at.at_work = fl_work_look(&work, now_ns, at.process_cpu_ns - worked_ns);
    bool left = false;
    for (fl_upkeep *upkeep; (upkeep = fl_upkeep_next_turn(round)) != NULL;) {
        bool gave;
        tick_prospect prospect = attend(fl_pagearena_of_upkeep(upkeep), &at, &gave);
        fl_upkeep_end_turn(upkeep, prospect != NOTHING_LEFT);
        left |= prospect == WORK_LEFT;
        uint64_t began_ns = at.now_ns;
        at.now_ns = fl_system_now_ns();
        in_vain_ns += gave ? 0 : at.now_ns - began_ns;
        if (at.now_ns >= at.deadline_ns || in_vain_ns >= IN_VAIN_NS || fl_upkeep_is_hurried())
            return left || fl_upkeep_due() > 0; /* their turn comes first, next time */
    }
    return left;
}

bool fl_scavenger_tick(uint64_t budget_ns) {
    uint64_t now_ns = fl_system_now_ns();
    if (atomic_exchange_explicit(&ticking, true, memory_order_acquire))
        return true; /* another thread is at it */
    atomic_store_explicit(&ticked_ns, now_ns, memory_order_relaxed);
    uint64_t began_ns = fl_system_thread_cpu_ns();
    bool left = take_turns(now_ns, budget_ns);
    worked_ns += fl_system_thread_cpu_ns() - began_ns;
    atomic_store_explicit(&ticking, false, memory_order_release);
    return left;
}

typedef enum give_back_end { ENOUGH, NO_MORE, INTERRUPTED } give_back_end;

/* A fork waits for at most a batch of what was asked for. But a request at a limit waits, and must not fail
 * because of a fork. */
static give_back_end give_back_of(fl_pagearena *arena, size_t wanted_pages, fl_cause cause) {
    size_t all = 0;
    for (bool again = true; again && all < wanted_pages;) {
        all += fl_pages_scavenge(arena, wanted_pages - all, cause, &again);
        if (again && cause == FL_CAUSE_REQUEST && fl_upkeep_is_hurried())
            return INTERRUPTED;
    }
    return all < wanted_pages ? NO_MORE : ENOUGH;
}

/* Gives back what is idle; in the second round also what the floor above can free. `before` is what had gone
 * until now. */
static give_back_end give_back_now(fl_pagearena *arena, size_t wanted_pages, fl_cause cause, int round,
                                   uint64_t before) {
    if (round == 0)
        return give_back_of(arena, wanted_pages, cause);
    arena->wanted_bytes = wanted_pages << FL_PAGE_SHIFT;
    bool left = reclaim(arena, cause, UINT64_MAX);
    /* Inside of what is granted. */
    size_t gone = (size_t)(given_bytes(arena, cause) - before) >> FL_PAGE_SHIFT;
    give_back_end outcome = gone < wanted_pages ? give_back_of(arena, wanted_pages - gone, cause) : ENOUGH;
    return left && outcome == NO_MORE && cause == FL_CAUSE_REQUEST ? INTERRUPTED : outcome;
}

/* For an arena that is in the caller's hands until here. Others that wait for it come in between; what was
 * asked for is done in the end all the same. Returns the bytes that went. */
static size_t give_back_one(fl_upkeep *upkeep, size_t wanted_pages, fl_cause cause, int round) {
    fl_pagearena *arena = fl_pagearena_of_upkeep(upkeep);
    size_t given = 0;
    if (round == 0 && cause == FL_CAUSE_REQUEST)
        fl_pages_forget_kept(arena);
    for (unsigned turns = 0, in_vain = 0; in_vain < IN_VAIN_MAX && turns < TURNS_MAX;) {
        uint64_t before = given_bytes(arena, cause);
        give_back_end outcome = give_back_now(arena, wanted_pages, cause, round, before);
        size_t more = (size_t)(given_bytes(arena, cause) - before);
        given += more;
        in_vain = more ? 0 : in_vain + 1;
        turns += !fl_upkeep_is_hurried(); /* others may free as fast as this gives back; forks end */
        if (outcome != INTERRUPTED)
            break;
        if (!fl_upkeep_yield(upkeep))
            return given;
    }
    fl_upkeep_end(upkeep);
    return given;
}

/* Whom a give-back asks: arenas below one (NULL: all); in its second round also for what the floor above
 * holds. */
typedef struct arena_circle {
    const fl_pagearena *above;
    int round;
} arena_circle;

/* Returns whether an arena may have anything. For what the floor above holds, any Ready page will do: pages
 * of abandoned slabs become idle without any count showing it, and a heap may wait. All of these are hints,
 * except pins: what another thread gives back at this moment is no longer shown, but still counts; a request
 * that would be refused because of it waits. */
static bool is_worth_asking(const fl_upkeep *upkeep, const void *context) {
    const fl_pagearena *arena = fl_pagearena_of_upkeep(upkeep);
    const arena_circle *circle = context;
    bool has_idle = upkeep->pins || atomic_load_explicit(&arena->idle_shown, memory_order_relaxed);
    bool has_any = atomic_load_explicit(&arena->family_bytes, memory_order_relaxed) ||
                   atomic_load_explicit(&arena->heap_count, memory_order_relaxed);
    return (has_idle || (circle->round == 1 && has_any)) &&
           (!circle->above || fl_family_is_below(arena, circle->above));
}

static bool has_idle(const fl_pagearena *arena) {
    return atomic_load_explicit(&arena->idle_shown, memory_order_relaxed) > 0;
}

size_t fl_scavenger_give_back(fl_pagearena *arena, size_t wanted_bytes, fl_cause cause, bool reclaim_too) {
    size_t all = 0;
    /* First what is idle already, before anything is taken out of a heap's hands. */
    for (int round = 0; round <= (reclaim_too && reclaim_above); round++) {
        if (arena && all < wanted_bytes && (round == 1 || !reclaim_too || has_idle(arena)) &&
            fl_upkeep_begin(&arena->upkeep))
            all += give_back_one(&arena->upkeep, fl_pages_up(wanted_bytes - all), cause, round);
        if (arena && !atomic_load_explicit(&arena->arenas_below, memory_order_relaxed))
            continue;
        size_t place = 0;
        arena_circle circle = {arena, round};
        for (fl_upkeep *it;
             all < wanted_bytes && (it = fl_upkeep_next(&place, is_worth_asking, &circle)) != NULL;)
            all += give_back_one(it, fl_pages_up(wanted_bytes - all), cause, round);
    }
    return all;
}

static bool is_any(const fl_upkeep *upkeep, const void *context) {
    (void)upkeep, (void)context;
    return true;
}

void fl_scavenger_unmap_spare(void) {
    size_t place = 0;
    for (fl_upkeep *it; (it = fl_upkeep_next(&place, is_any, NULL)) != NULL;) {
        fl_pagearena *arena = fl_pagearena_of_upkeep(it);
        fl_lock_take(&arena->ground_lock);
        fl_lock_take(&arena->lock);
        fl_regions_unmap_spare(arena);
        fl_lock_drop(&arena->lock);
        fl_lock_drop(&arena->ground_lock);
        fl_upkeep_end(it);
    }
}

typedef struct arena_question {
    bool (*is)(const fl_pagearena *arena);
    bool found;
    size_t sparable_bytes;
} arena_question;

static void ask(const fl_upkeep *upkeep, void *context) {
    arena_question *question = context;
    const fl_pagearena *arena = fl_pagearena_of_upkeep(upkeep);
    question->found |= question->is && question->is(arena);
    question->sparable_bytes += fl_pagearena_sparable_bytes(arena);
}

bool fl_scavenger_any(bool (*is)(const fl_pagearena *arena)) {
    arena_question question = {.is = is};
    fl_upkeep_each(ask, &question);
    return question.found;
}

size_t fl_scavenger_sparable_bytes(void) {
    arena_question question = {.is = NULL};
    fl_upkeep_each(ask, &question);
    return question.sparable_bytes;
}

void fl_scavenger_fork_child(void) {
    atomic_store_explicit(&ticking, false, memory_order_relaxed);
    fl_upkeep_fork_child();
}
