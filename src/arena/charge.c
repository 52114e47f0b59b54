/* SPDX-License-Identifier: MIT */
#include "charge.h"

#include "../system/fatal.h"

_Atomic size_t fl_process_ready_bytes;
fl_process_counters fl_the_process = {.hard_limit_bytes = SIZE_MAX, .soft_limit_bytes = SIZE_MAX};

_Atomic bool fl_soft_limit_crossed;

static void note_crossing(fl_pagearena *arena) {
    atomic_store_explicit(&arena->limits.soft_crossed, true, memory_order_relaxed);
    atomic_store_explicit(&fl_soft_limit_crossed, true, memory_order_release);
}

void fl_pagearena_count_in_family(fl_pagearena *arena, size_t bytes, bool more) {
    if (!more) {
        fl_pagearena_count(&arena->family_bytes, bytes, false);
        return;
    }
    /* Each crossing lies in one addition, however many threads count. Seq_cst: in one order with a limit that
     * is set, and with a shedder that comes (fl_pagearena_look_at_soft). */
    size_t before = atomic_fetch_add_explicit(&arena->family_bytes, bytes, memory_order_seq_cst);
    if (!atomic_load_explicit(&arena->limits.soft_asks, memory_order_seq_cst))
        return;
    size_t limit = atomic_load_explicit(&arena->limits.soft_bytes, memory_order_seq_cst);
    size_t next = atomic_load_explicit(&arena->limits.soft_next_bytes, memory_order_seq_cst);
    if ((before <= limit && before + bytes > limit) || (before <= next && before + bytes > next))
        note_crossing(arena);
}

void fl_pagearena_look_at_soft(fl_pagearena *arena) {
    if (atomic_load_explicit(&arena->limits.soft_asks, memory_order_seq_cst) &&
        atomic_load_explicit(&arena->family_bytes, memory_order_seq_cst) >
            atomic_load_explicit(&arena->limits.soft_bytes, memory_order_seq_cst))
        note_crossing(arena);
}

void fl_pagearena_count_ready(fl_pagearena *arena, size_t bytes, bool more) {
    FL_ASSERT_AT(2, fl_lock_is_mine(&arena->lock));
    for (fl_pagearena *it = arena; it; it = fl_pagearena_above(it))
        fl_pagearena_count_in_family(it, bytes, more);
    fl_pagearena_count(&fl_process_ready_bytes, bytes, more);
}

/* By how much Ready bytes, and so many more, exceed a limit. */
static size_t over(const _Atomic size_t *ready, size_t more, const _Atomic size_t *limit) {
    return fl_above(atomic_load_explicit(ready, memory_order_relaxed) + more,
                    atomic_load_explicit(limit, memory_order_relaxed));
}

/* Finds the first limit, from the arena upwards, that is exceeded, or would be with so many bytes more. */
static bool exceeds_hard(fl_pagearena *arena, size_t more, fl_shortage *shortage) {
    for (fl_pagearena *it = arena; it; it = fl_pagearena_above(it)) {
        *shortage =
            (fl_shortage){FL_REFUSED_ARENA, over(&it->family_bytes, more, &it->limits.hard_bytes), it};
        if (shortage->bytes)
            return true;
    }
    *shortage = (fl_shortage){FL_REFUSED_PROCESS,
                              over(&fl_process_ready_bytes, more, &fl_the_process.hard_limit_bytes), NULL};
    return shortage->bytes > 0;
}

bool fl_pagearena_has_room(fl_pagearena *arena, size_t bytes, fl_shortage *shortage) {
    return !exceeds_hard(arena, bytes, shortage);
}

/* Returns by how much the soft limit is exceeded that is exceeded most; *limit becomes that limit. */
static size_t above_soft(const fl_pagearena *arena, size_t *limit) {
    size_t most = over(&fl_process_ready_bytes, 0, &fl_the_process.soft_limit_bytes);
    *limit = atomic_load_explicit(&fl_the_process.soft_limit_bytes, memory_order_relaxed);
    for (const fl_pagearena *it = arena; it; it = fl_pagearena_above(it)) {
        size_t above = over(&it->family_bytes, 0, &it->limits.soft_bytes);
        if (above > most) {
            most = above;
            *limit = atomic_load_explicit(&it->limits.soft_bytes, memory_order_relaxed);
        }
    }
    return most;
}

#define GRACE_PARTS 32 /* of a soft limit */
#define GRACE_NS UINT64_C(1000000000)

size_t fl_pagearena_soft_excess(const fl_pagearena *arena) {
    size_t limit, idle = atomic_load_explicit(&arena->idle_shown, memory_order_relaxed) << FL_PAGE_SHIFT;
    size_t above = idle ? above_soft(arena, &limit) : 0;
    if (above <= idle)
        return above;
    size_t grace = atomic_load_explicit(&arena->limits.soft_grace_bytes, memory_order_relaxed);
    grace = grace > limit / GRACE_PARTS ? grace : limit / GRACE_PARTS;
    return idle >= grace ? idle : 0;
}

void fl_pagearena_soft_given(fl_pagearena *arena, size_t bytes, uint64_t now_ns) {
    size_t limit, grace = above_soft(arena, &limit) ? 2 * bytes : 0;
    size_t before = atomic_load_explicit(&arena->limits.soft_grace_bytes, memory_order_relaxed);
    bool is_over =
        now_ns - atomic_load_explicit(&arena->limits.soft_graced_ns, memory_order_relaxed) > GRACE_NS;
    if (grace != before && (grace > before || grace == 0 || is_over)) {
        atomic_store_explicit(&arena->limits.soft_grace_bytes, grace, memory_order_relaxed);
        atomic_store_explicit(&arena->limits.soft_graced_ns, now_ns, memory_order_relaxed);
    }
}

/* Returns whether a soft limit is exceeded while pages of the arena are idle that could go first. */
static bool exceeds_soft(fl_pagearena *arena, fl_shortage *shortage) {
    *shortage = (fl_shortage){FL_REFUSED_SOFT, fl_pagearena_soft_excess(arena), arena};
    return shortage->bytes > 0;
}

bool fl_pagearena_charge(fl_pagearena *arena, size_t bytes, bool heed_soft, fl_shortage *shortage) {
    /* What is Ready already counts, even above a limit that was lowered: granting it changes nothing. */
    if (bytes == 0)
        return true;
    /* Adds first and looks then, so that two arenas cannot both take the last bytes. */
    fl_pagearena_count_ready(arena, bytes, true);
    if (!exceeds_hard(arena, 0, shortage) && !(heed_soft && exceeds_soft(arena, shortage)))
        return true;
    fl_pagearena_count_ready(arena, bytes, false);
    return false;
}
