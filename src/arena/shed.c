/* SPDX-License-Identifier: MIT */
#include "shed.h"

#include <stdint.h>

#include "../system/fatal.h"
#include "../system/system.h"
#include "charge.h"

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

static bool ask(fl_pagearena *arena, const fl_pagearena *wanting, bool soft, size_t bytes) {
    fl_lock_take(&arena->lock);
    fl_shed_function *function = soft ? arena->limits.soft_shed : arena->limits.shed;
    void *context = soft ? arena->limits.soft_context : arena->limits.shed_context;
    fl_lock_drop(&arena->lock);
    if (!function)
        return false;
    if (!(is_asking() ? fl_lock_try(&arena->shed_lock) : fl_lock_take_unless_mine(&arena->shed_lock)))
        return false;
    fl_call_back it;
    fl_counter_add(&arena->sheds, 1);
    fl_call_back_begin(&it, arena, wanting, true);
    bool worth_it = function(context, bytes);
    fl_call_back_end(&it);
    fl_lock_drop(&arena->shed_lock);
    return worth_it;
}

bool fl_shed_ask(fl_pagearena *arena, const fl_pagearena *wanting, size_t bytes) {
    return atomic_load_explicit(&arena->limits.asks, memory_order_relaxed) &&
           ask(arena, wanting, false, bytes);
}

#define TICKS_COME_NS UINT64_C(1000000000)

static _Atomic uint64_t ticked_ns; /* the program's last */

/* Returns whether the shedder has been asked, whatever it says. */
static bool ask_soft(fl_pagearena *arena, const fl_pagearena *wanting) {
    size_t limit = atomic_load_explicit(&arena->limits.soft_bytes, memory_order_relaxed);
    size_t above = fl_above(atomic_load_explicit(&arena->family_bytes, memory_order_relaxed), limit);
    if (above)
        ask(arena, wanting, true, above);
    return above > 0;
}

bool fl_shed_ask_crossed(fl_pagearena *arena) {
    bool asked = false;
    if (!atomic_load_explicit(&fl_soft_limit_crossed, memory_order_relaxed))
        return false;
    for (fl_pagearena *it = arena; it; it = fl_pagearena_above(it))
        if (atomic_load_explicit(&it->limits.soft_crossed, memory_order_relaxed) &&
            atomic_exchange_explicit(&it->limits.soft_crossed, false, memory_order_relaxed))
            asked |= ask_soft(it, arena);
    return asked;
}

void fl_shed_ask_soft(fl_pagearena *arena) {
    if (atomic_load_explicit(&fl_soft_limit_crossed, memory_order_relaxed) &&
        fl_system_now_ns() - atomic_load_explicit(&ticked_ns, memory_order_relaxed) >= TICKS_COME_NS)
        (void)fl_shed_ask_crossed(arena);
}

static bool is_crossed(const fl_upkeep *upkeep, const void *unused) {
    (void)unused;
    return atomic_load_explicit(&fl_pagearena_of_upkeep(upkeep)->limits.soft_crossed, memory_order_relaxed);
}

void fl_shed_tick(void) {
    atomic_store_explicit(&ticked_ns, fl_system_now_ns(), memory_order_relaxed);
    /* Cleared first: what is crossed from here on is seen now, or next time. */
    if (!atomic_exchange_explicit(&fl_soft_limit_crossed, false, memory_order_acquire))
        return;
    size_t place = 0;
    for (fl_upkeep *it; (it = fl_upkeep_hold_next(&place, is_crossed, NULL)) != NULL; fl_upkeep_let_go(it))
        if (atomic_exchange_explicit(&fl_pagearena_of_upkeep(it)->limits.soft_crossed, false,
                                     memory_order_relaxed))
            ask_soft(fl_pagearena_of_upkeep(it), NULL);
}

void fl_shed_remind(const fl_pagearena *arena) {
    if (atomic_load_explicit(&arena->limits.soft_crossed, memory_order_relaxed))
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
