/* SPDX-License-Identifier: MIT */
#include "shed.h"

#include <stdint.h>

#include "../system/fatal.h"
#include "../system/system.h"
#include "charge.h"
#include "scarce.h"
#include "scavenger.h"

static fl_call_back *all; /* guarded by the lock of askers */

static uintptr_t self(void) {
    return (uintptr_t)pthread_self();
}

void fl_shed_set(fl_pagearena *arena, fl_shed_function *function, void *context) {
    fl_lock_take(&arena->lock);
    arena->limits.shed = function;
    arena->limits.shed_context = context;
    fl_lock_drop(&arena->lock);
    atomic_store_explicit(&arena->limits.asks, function != NULL, memory_order_relaxed);
}

static bool is_asking(void) {
    bool found = false;
    fl_lock_take(fl_lock_of(FL_LOCK_ASKING));
    for (const fl_call_back *it = all; it && !found; it = it->next)
        found = it->asks && it->thread == self();
    fl_lock_drop(fl_lock_of(FL_LOCK_ASKING));
    return found;
}

bool fl_call_back_needs(const fl_pagearena *arena) {
    bool found = false;
    fl_lock_take(fl_lock_of(FL_LOCK_ASKING));
    for (const fl_call_back *it = all; it && !found; it = it->next)
        found = it->thread == self() && (it->about == arena || it->wanting == arena);
    fl_lock_drop(fl_lock_of(FL_LOCK_ASKING));
    return found;
}

void fl_call_back_begin(fl_call_back *it, const fl_pagearena *about, const fl_pagearena *wanting, bool asks) {
    fl_lock_take(fl_lock_of(FL_LOCK_ASKING));
    *it = (fl_call_back){self(), about, wanting, asks, all};
    all = it;
    fl_lock_drop(fl_lock_of(FL_LOCK_ASKING));
}

void fl_call_back_end(const fl_call_back *it) {
    fl_lock_take(fl_lock_of(FL_LOCK_ASKING));
    fl_call_back **place = &all;
    while (*place && *place != it)
        place = &(*place)->next;
    FL_ASSERT(*place);
    *place = it->next;
    fl_lock_drop(fl_lock_of(FL_LOCK_ASKING));
}

void fl_shed_set_soft(fl_pagearena *arena, fl_shed_function *function, void *context) {
    fl_lock_take(&arena->lock);
    arena->limits.soft_shed = function;
    arena->limits.soft_context = context;
    fl_lock_drop(&arena->lock);
    atomic_store_explicit(&arena->limits.soft_asks, function != NULL, memory_order_seq_cst);
    fl_pagearena_look_at_soft(arena);
}

/* Returns with the lock of shedders, or false: the caller may not wait. *waited: another thread had it. */
static bool take_turn(fl_pagearena *arena, bool *waited) {
    *waited = !fl_lock_try(&arena->shed_lock);
    return !*waited || (!is_asking() && fl_lock_take_unless_mine(&arena->shed_lock));
}

/* Caller has the turn. Returns false also if there is nobody to ask any more. */
static bool call(fl_pagearena *arena, const fl_pagearena *wanting, bool soft, size_t bytes) {
    fl_lock_take(&arena->lock);
    fl_shed_function *function = soft ? arena->limits.soft_shed : arena->limits.shed;
    void *context = soft ? arena->limits.soft_context : arena->limits.shed_context;
    fl_lock_drop(&arena->lock);
    if (!function)
        return false;
    fl_call_back it;
    fl_counter_add(&arena->sheds, 1);
    fl_call_back_begin(&it, arena, wanting, true);
    bool worth_it = function(context, bytes);
    fl_call_back_end(&it);
    return worth_it;
}

/* Returns whether something has changed since the request looked for what can go: it may be there by now. */
static bool has_changed(const fl_shortage *shortage) {
    return fl_is_at_hard_limit(shortage) && !fl_scarce_is_exhausted(shortage->whose);
}

fl_shed_outcome fl_shed_ask(fl_pagearena *arena, const fl_pagearena *wanting, const fl_shortage *shortage,
                            size_t bytes, bool insists) {
    bool waited;
    if (!atomic_load_explicit(&arena->limits.asks, memory_order_relaxed) || !take_turn(arena, &waited))
        return FL_SHED_NOBODY;
    fl_shed_outcome outcome = FL_SHED_OTHERS;
    if (insists || !(waited || has_changed(shortage)))
        outcome = call(arena, wanting, false, bytes) || waited ? FL_SHED_ASKED : FL_SHED_NOBODY;
    fl_lock_drop(&arena->shed_lock);
    return outcome;
}

/* By how much the soft limit is exceeded, if there is a shedder for it. */
static size_t above_soft(const fl_pagearena *arena) {
    return atomic_load_explicit(&arena->limits.soft_asks, memory_order_relaxed)
               ? fl_above(atomic_load_explicit(&arena->family_bytes, memory_order_relaxed),
                          atomic_load_explicit(&arena->limits.soft_bytes, memory_order_relaxed))
               : 0;
}

/* Caller has the turn. Returns whether the shedder has been asked, whatever it says. What it has freed goes
 * back once the caller is where the stack has room for that. */
static bool call_soft(fl_pagearena *arena, const fl_pagearena *wanting) {
    size_t above = above_soft(arena);
    if (above) {
        (void)call(arena, wanting, true, above);
        atomic_store_explicit(&arena->limits.soft_asked, true, memory_order_relaxed);
        atomic_store_explicit(&fl_soft_limit_crossed, true, memory_order_release);
    }
    return above > 0;
}

/* Cleared before the shedder is asked: what crosses the limit from then on is another crossing. */
static bool take(_Atomic bool *noted) {
    return atomic_load_explicit(noted, memory_order_relaxed) &&
           atomic_exchange_explicit(noted, false, memory_order_relaxed);
}

static fl_shed_outcome ask_above(fl_pagearena *arena, const fl_pagearena *wanting,
                                 const fl_shortage *shortage, bool looked, bool insists) {
    bool waited;
    if (!above_soft(arena) || !take_turn(arena, &waited))
        return FL_SHED_NOBODY;
    bool changed = waited || has_changed(shortage);
    fl_shed_outcome outcome = changed && !insists ? FL_SHED_OTHERS : FL_SHED_NOBODY;
    if (outcome == FL_SHED_NOBODY && (take(&arena->limits.soft_crossed) || looked || changed) &&
        (call_soft(arena, wanting) || waited))
        outcome = FL_SHED_ASKED;
    fl_lock_drop(&arena->shed_lock);
    return outcome;
}

fl_shed_outcome fl_shed_ask_above(fl_pagearena *arena, const fl_shortage *shortage, bool looked,
                                  bool insists) {
    fl_shed_outcome most = FL_SHED_NOBODY;
    for (fl_pagearena *it = arena; it; it = fl_pagearena_above(it)) {
        fl_shed_outcome outcome = ask_above(it, arena, shortage, looked, insists);
        most = outcome > most ? outcome : most;
    }
    return most;
}

/* If another thread is at it, the crossing stays noted: whoever comes by next asks. */
static void ask_crossed(fl_pagearena *arena, const fl_pagearena *wanting) {
    if (!atomic_load_explicit(&arena->limits.soft_crossed, memory_order_relaxed))
        return;
    if (fl_lock_try(&arena->shed_lock)) {
        if (take(&arena->limits.soft_crossed))
            call_soft(arena, wanting);
        fl_lock_drop(&arena->shed_lock);
    }
    fl_shed_remind(arena);
}

/* A little more of a soft limit goes back than exceeds it, so that it is a while until it is crossed again;
 * and that much it grows, at the least, until its shedder is asked again where it stays exceeded. */
#define SHARE_PARTS 32

/* What was freed lies in slabs, and in heaps: as long as it stays Ready, the limit stays exceeded, and
 * nothing crosses it. If it stays so all the same, because what was freed is little, or lies among what is
 * not, the next crossing is where the excess has doubled. */
static void give_back_above(fl_pagearena *arena) {
    if (!take(&arena->limits.soft_asked))
        return;
    size_t limit = atomic_load_explicit(&arena->limits.soft_bytes, memory_order_relaxed);
    size_t share = limit / SHARE_PARTS, next = SIZE_MAX, above = above_soft(arena);
    if (above)
        fl_scavenger_give_back(arena, above + share, FL_CAUSE_LIMIT, true);
    above = above_soft(arena);
    if (above)
        next = limit + above + (above > share ? above : share);
    atomic_store_explicit(&arena->limits.soft_next_bytes, next, memory_order_seq_cst);
    if (atomic_load_explicit(&arena->family_bytes, memory_order_seq_cst) > next) /* it grew meanwhile */
        fl_pagearena_look_at_soft(arena);
}

#define TICKS_COME_NS UINT64_C(1000000000)

static _Atomic uint64_t ticked_ns; /* the program's last */

void fl_shed_ask_soft(fl_pagearena *arena) {
    if (!atomic_load_explicit(&fl_soft_limit_crossed, memory_order_relaxed))
        return;
    bool ticks_come =
        fl_system_now_ns() - atomic_load_explicit(&ticked_ns, memory_order_relaxed) < TICKS_COME_NS;
    for (fl_pagearena *it = arena; it; it = fl_pagearena_above(it)) {
        if (!ticks_come)
            ask_crossed(it, arena);
        give_back_above(it);
    }
}

static bool is_noted(const fl_upkeep *upkeep, const void *unused) {
    (void)unused;
    const fl_limits *limits = &fl_pagearena_of_upkeep(upkeep)->limits;
    return atomic_load_explicit(&limits->soft_crossed, memory_order_relaxed) ||
           atomic_load_explicit(&limits->soft_asked, memory_order_relaxed);
}

void fl_shed_tick(void) {
    atomic_store_explicit(&ticked_ns, fl_system_now_ns(), memory_order_relaxed);
    /* Cleared first: what is noted from here on is seen now, or next time. */
    if (!atomic_exchange_explicit(&fl_soft_limit_crossed, false, memory_order_acquire))
        return;
    size_t place = 0;
    for (fl_upkeep *it; (it = fl_upkeep_hold_next(&place, is_noted, NULL)) != NULL; fl_upkeep_let_go(it)) {
        ask_crossed(fl_pagearena_of_upkeep(it), NULL);
        give_back_above(fl_pagearena_of_upkeep(it));
    }
}

void fl_shed_remind(const fl_pagearena *arena) {
    if (is_noted(&arena->upkeep, NULL))
        atomic_store_explicit(&fl_soft_limit_crossed, true, memory_order_release);
}

void fl_shed_fork_child(void) {
    fl_call_back **place = &all;
    while (*place)
        if ((*place)->thread == self())
            place = &(*place)->next;
        else
            *place = (*place)->next;
}

void fl_shed_fork_child_of(fl_pagearena *arena) {
    if (!fl_lock_is_free(&arena->shed_lock))
        fl_lock_init_checking(&arena->shed_lock, FL_LOCK_SHED);
}
