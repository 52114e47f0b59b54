/* SPDX-License-Identifier: MIT */
#include "limits.h"

#include "../system/container.h"
#include "charge.h"
#include "scavenger.h"

/* What the process's soft limit is made of: the program's word, else the container's; 0: none. A thread that
 * changes one of them puts the limit together from what it sees; the last one to do so sees all. */
static _Atomic size_t soft_set_bytes, container_bytes;
static _Atomic bool container_is_ignored;

/* Returns a limit in whole OS pages, but at least one. */
static size_t limit_of(size_t bytes) {
    size_t page_bytes = fl_the_window.os_page_bytes ? fl_the_window.os_page_bytes : osmem_os_page_bytes();
    return bytes == 0 ? SIZE_MAX : bytes < page_bytes ? page_bytes : bytes & ~(page_bytes - 1);
}

static void give_back_above(fl_pagearena *whose, const _Atomic size_t *ready, size_t hard_bytes) {
    size_t above = fl_above(atomic_load_explicit(ready, memory_order_relaxed), limit_of(hard_bytes));
    if (above)
        fl_scavenger_give_back(whose, above, FL_CAUSE_LIMIT, true);
}

void fl_limits_set(fl_pagearena *arena, size_t soft_bytes, size_t hard_bytes) {
    size_t soft = limit_of(soft_bytes);
    if (atomic_exchange_explicit(&arena->limits.soft_bytes, soft, memory_order_seq_cst) > soft)
        fl_pagearena_look_at_soft(arena);
    atomic_store_explicit(&arena->limits.hard_bytes, limit_of(hard_bytes), memory_order_relaxed);
    give_back_above(arena, &arena->family_bytes, hard_bytes);
}

void fl_limits_set_idle_max(fl_pagearena *arena, size_t bytes) {
    atomic_store_explicit(&arena->limits.idle_pages, bytes ? bytes >> FL_PAGE_SHIFT : SIZE_MAX,
                          memory_order_relaxed);
}

void fl_limits_set_policy(fl_pagearena *arena, bool keeps, bool at_once) {
    atomic_store_explicit(&arena->limits.keeps_idle, keeps, memory_order_relaxed);
    if (at_once)
        atomic_store_explicit(&arena->limits.idle_pages, 0, memory_order_relaxed);
}

static void put_soft_together(void) {
    size_t soft = atomic_load_explicit(&soft_set_bytes, memory_order_seq_cst);
    if (!soft && !atomic_load_explicit(&container_is_ignored, memory_order_seq_cst))
        soft = atomic_load_explicit(&container_bytes, memory_order_seq_cst);
    atomic_store_explicit(&fl_the_process.soft_limit_bytes, limit_of(soft), memory_order_seq_cst);
}

void fl_limits_set_process_soft(size_t bytes) {
    atomic_store_explicit(&soft_set_bytes, bytes, memory_order_seq_cst);
    put_soft_together();
}

void fl_limits_set_process_hard(size_t bytes) {
    atomic_store_explicit(&fl_the_process.hard_limit_bytes, limit_of(bytes), memory_order_relaxed);
    give_back_above(NULL, &fl_process_ready_bytes, bytes);
}

void fl_limits_heed_container(bool heed) {
    atomic_store_explicit(&container_is_ignored, !heed, memory_order_seq_cst);
    put_soft_together();
}

void fl_limits_follow_container(void) {
    size_t limit = fl_container_limit("");
    atomic_store_explicit(&container_bytes, limit - limit / 10, memory_order_seq_cst);
    put_soft_together();
}

static bool is_far(const _Atomic size_t *ready, const _Atomic size_t *limit, size_t bytes) {
    return atomic_load_explicit(ready, memory_order_relaxed) + bytes <=
           atomic_load_explicit(limit, memory_order_relaxed) / 2;
}

bool fl_limits_are_far(const fl_pagearena *arena, size_t bytes) {
    bool far = is_far(&fl_process_ready_bytes, &fl_the_process.hard_limit_bytes, bytes) &&
               is_far(&fl_process_ready_bytes, &fl_the_process.soft_limit_bytes, bytes);
    for (const fl_pagearena *it = arena; far && it; it = fl_pagearena_above(it))
        far = is_far(&it->family_bytes, &it->limits.hard_bytes, bytes) &&
              is_far(&it->family_bytes, &it->limits.soft_bytes, bytes);
    return far;
}

#define AHEAD_PARTS 64 /* at most this part of a limit is ahead, in all owners' hands */

size_t fl_limits_ahead_bytes(const fl_pagearena *arena, size_t owners) {
    size_t least = atomic_load_explicit(&fl_the_process.hard_limit_bytes, memory_order_relaxed);
    for (const fl_pagearena *it = arena; it; it = fl_pagearena_above(it)) {
        size_t limit = atomic_load_explicit(&it->limits.hard_bytes, memory_order_relaxed);
        least = limit < least ? limit : least;
    }
    return least == SIZE_MAX ? SIZE_MAX : least / (AHEAD_PARTS * (owners ? owners : 1));
}
