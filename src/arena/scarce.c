/* SPDX-License-Identifier: MIT */
#include "scarce.h"

#include "charge.h"
#include "regions.h"

static _Atomic bool process_is_exhausted, process_is_in_hands;

#define TIMES_MAX \
    ((UINT32_C(1) << 24) - 1) /* then from 1 on: a tally's word has room for so many (slab/tally.c) */

void fl_scarce_begin(fl_pagearena *arena) {
    if (atomic_load_explicit(&arena->scarce, memory_order_relaxed))
        return;
    /* First: who finds the arena scarce finds this time's number. */
    uint32_t times = atomic_load_explicit(&arena->scarce_times, memory_order_relaxed);
    atomic_store_explicit(&arena->scarce_times, times % TIMES_MAX + 1, memory_order_relaxed);
    atomic_store_explicit(&arena->scarce, true, memory_order_seq_cst);
    atomic_store_explicit(&arena->in_heaps, true, memory_order_seq_cst);
    fl_lock_take(&arena->lock);
    for (fl_region *region = arena->regions; region; region = region->next)
        fl_region_set_changed(arena, region, UINT64_MAX);
    fl_lock_drop(&arena->lock);
}

fl_region *fl_scarce_next(fl_pagearena *arena, uint64_t *groups) {
    fl_lock_take(&arena->lock);
    fl_region *region = arena->changed;
    if (region) {
        *groups = atomic_load_explicit(&region->changed, memory_order_relaxed);
        fl_region_set_changed(arena, region, 0);
    }
    fl_lock_drop(&arena->lock);
    return region;
}

void fl_scarce_put_back(fl_pagearena *arena, fl_region *region, uint64_t groups) {
    fl_lock_take(&arena->lock);
    if (groups && fl_region_is_of(region, arena)) /* if not, it is empty, and has left */
        fl_region_set_changed(arena, region,
                              atomic_load_explicit(&region->changed, memory_order_relaxed) | groups);
    fl_lock_drop(&arena->lock);
}

static uint64_t group_of(size_t page) {
    return UINT64_C(1) << (page % FL_REGION_PAGES / FL_GROUP_PAGES);
}

void fl_scarce_skip(fl_pagearena *arena, size_t page) {
    fl_region *region = &fl_the_window.regions[page / FL_REGION_PAGES];
    fl_lock_take(&arena->lock);
    if (fl_region_is_of(region, arena)) {
        if (!region->skipped) {
            region->next_skipped = arena->skipped;
            arena->skipped = region;
        }
        region->skipped |= group_of(page);
    }
    fl_lock_drop(&arena->lock);
}

void fl_scarce_look_ends(fl_pagearena *arena) {
    if (!arena->skipped)
        return;
    fl_lock_take(&arena->lock);
    for (fl_region *region; (region = arena->skipped) != NULL; region->skipped = 0) {
        uint64_t changed = atomic_load_explicit(&region->changed, memory_order_relaxed);
        arena->skipped = region->next_skipped;
        fl_region_set_changed(arena, region, changed | region->skipped);
    }
    fl_lock_drop(&arena->lock);
    fl_scarce_changed(arena);
}

static bool is_near(const _Atomic size_t *ready, const _Atomic size_t *limit) {
    size_t most = atomic_load_explicit(limit, memory_order_relaxed);
    return atomic_load_explicit(ready, memory_order_relaxed) > most - most / 8;
}

void fl_scarce_end(fl_pagearena *arena) {
    if (!atomic_load_explicit(&arena->scarce, memory_order_relaxed) ||
        is_near(&fl_process_ready_bytes, &fl_the_process.hard_limit_bytes))
        return;
    for (const fl_pagearena *it = arena; it; it = fl_pagearena_above(it))
        if (is_near(&it->family_bytes, &it->limits.hard_bytes))
            return;
    /* First: from then on nobody notes what changes in it. A request at a limit that afterwards says that the
     * limit is exhausted comes by here once more, and finds everything changed. */
    fl_scarce_changed(arena);
    atomic_store_explicit(&arena->scarce, false, memory_order_seq_cst);
}

void fl_scarce_fork_child(fl_pagearena *arena) {
    if (!atomic_load_explicit(&arena->scarce, memory_order_relaxed))
        return;
    fl_scarce_changed(arena);
    atomic_store_explicit(&arena->scarce, false, memory_order_relaxed);
}

void fl_scarce_mark(fl_pagearena *arena, const void *at) {
    fl_region *region = fl_region_of(at);
    uint64_t group = group_of(fl_page_of(at));
    if (!(atomic_load_explicit(&region->changed, memory_order_seq_cst) & group))
        fl_scarce_put_back(arena, region, group);
    fl_scarce_changed(arena);
}

void fl_scarce_changed(fl_pagearena *arena) {
    for (fl_pagearena *it = arena; it; it = fl_pagearena_above(it))
        if (fl_scarce_is_exhausted(it))
            fl_scarce_set_exhausted(it, false);
    if (fl_scarce_is_exhausted(NULL))
        fl_scarce_set_exhausted(NULL, false);
}

void fl_scarce_in_heaps(fl_pagearena *arena) {
    atomic_store_explicit(&arena->in_heaps, true, memory_order_seq_cst);
    fl_scarce_changed(arena);
}

bool fl_scarce_was_in_heaps(fl_pagearena *arena) {
    return atomic_exchange_explicit(&arena->in_heaps, false, memory_order_seq_cst);
}

bool fl_scarce_is_exhausted(const fl_pagearena *whose) {
    return atomic_load_explicit(whose ? &whose->exhausted : &process_is_exhausted, memory_order_seq_cst);
}

void fl_scarce_set_exhausted(fl_pagearena *whose, bool exhausted) {
    atomic_store_explicit(whose ? &whose->exhausted : &process_is_exhausted, exhausted, memory_order_seq_cst);
}

void fl_scarce_in_hands(fl_pagearena *arena) {
    fl_scarce_changed(arena);
    for (fl_pagearena *it = arena; it; it = fl_pagearena_above(it))
        atomic_store_explicit(&it->in_hands, true, memory_order_relaxed);
    atomic_store_explicit(&process_is_in_hands, true, memory_order_relaxed);
}

bool fl_scarce_was_in_hands(fl_pagearena *whose) {
    _Atomic bool *in_hands = whose ? &whose->in_hands : &process_is_in_hands;
    return atomic_load_explicit(in_hands, memory_order_relaxed) &&
           atomic_exchange_explicit(in_hands, false, memory_order_relaxed);
}
