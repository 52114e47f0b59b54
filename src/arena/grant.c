/* SPDX-License-Identifier: MIT */
#include "grant.h"

#include "../system/container.h"
#include "../system/probes.h"
#include "../system/system.h"
#include "charge.h"
#include "events.h"
#include "pages.h"
#include "scarce.h"
#include "scavenger.h"
#include "shed.h"

#define SHEDS_MAX 16 /* for a call-back that frees too little each time */
#define TRIES_MAX 64 /* others take what has gone back */
#define WAITS_MAX 40
#define A_MOMENT_NS UINT64_C(50000)

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
    atomic_store_explicit(&fl_process_soft_bytes, limit_of(soft), memory_order_seq_cst);
}

void fl_limits_set_process_soft(size_t bytes) {
    atomic_store_explicit(&soft_set_bytes, bytes, memory_order_seq_cst);
    put_soft_together();
}

void fl_limits_set_process_hard(size_t bytes) {
    atomic_store_explicit(&fl_process_hard_bytes, limit_of(bytes), memory_order_relaxed);
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

/* At most this part of a limit goes back at once, so that it is a while until the next request is refused.
 * But if little more can go than what is wanted, all of it would soon be wanted again, for a page fault each.
 * So, unless so much lies idle, twice as much goes as the last time, as long as there was enough. */
#define FAIR_PARTS 32

static _Atomic size_t process_share_bytes;

static size_t ready_bytes(const fl_pagearena *whose) {
    return atomic_load_explicit(whose ? &whose->family_bytes : &fl_process_ready_bytes, memory_order_relaxed);
}

/* What is known to lie idle; arenas below not included. */
static size_t idle_bytes(const fl_pagearena *whose) {
    return whose ? atomic_load_explicit(&whose->idle_shown, memory_order_relaxed) << FL_PAGE_SHIFT : 0;
}

/* Where the amount to go next time is kept. */
static _Atomic size_t *share_of(fl_pagearena *whose) {
    return whose ? &whose->limits.share_bytes : &process_share_bytes;
}

/* At a hard limit; returns how many bytes went. The shortage is read again after the call, to need no room on
 * the stack meanwhile. */
static size_t give_back_for_limit(const fl_shortage *shortage) {
    fl_pagearena *whose = shortage->whose;
    size_t wanted = shortage->bytes, ready = ready_bytes(whose);
    size_t limit = atomic_load_explicit(whose ? &whose->limits.hard_bytes : &fl_process_hard_bytes,
                                        memory_order_relaxed);
    size_t fair = atomic_load_explicit(share_of(whose), memory_order_relaxed);
    fair = fair < limit / FAIR_PARTS && idle_bytes(whose) < limit / FAIR_PARTS ? fair : limit / FAIR_PARTS;
    wanted = wanted > fair ? wanted : fair;
    fl_scarce_set_exhausted(whose, true); /* before the look, so that a change during it is not forgotten */
    size_t went = fl_scavenger_give_back(whose, wanted, FL_CAUSE_LIMIT, true);
    /* More may have gone than what was given back by name: a page goes whole when a slab ends in which it was
     * Ready in part. */
    size_t fewer = fl_above(ready, ready_bytes(shortage->whose));
    went = went > fewer ? went : fewer;
    if (went >= wanted)
        fl_scarce_set_exhausted(shortage->whose, false);
    atomic_store_explicit(share_of(shortage->whose), went >= wanted ? 2 * wanted : 0, memory_order_relaxed);
    return went;
}

static size_t give_back_for_soft(fl_pagearena *arena, size_t wanted) {
    size_t went = fl_scavenger_give_back(arena, wanted, FL_CAUSE_LIMIT, false);
    fl_pagearena_soft_given(arena, went, fl_system_now_ns());
    return went;
}

/* The system counts what is mapped: it gains by chunks that can be unmapped whole. */
static size_t give_back_for_system(size_t wanted) {
    wanted = wanted > FL_REGION_BYTES ? wanted : FL_REGION_BYTES;
    size_t went = fl_scavenger_give_back(NULL, wanted, FL_CAUSE_LIMIT, true);
    fl_scavenger_unmap_spare();
    return went;
}

static size_t give_back(fl_pagearena *arena, const fl_shortage *shortage) {
    return shortage->why == FL_REFUSED_SOFT     ? give_back_for_soft(arena, shortage->bytes)
           : shortage->why == FL_REFUSED_SYSTEM ? give_back_for_system(shortage->bytes)
                                                : give_back_for_limit(shortage);
}

static bool is_at_hard_limit(const fl_shortage *shortage) {
    return shortage->why == FL_REFUSED_ARENA || shortage->why == FL_REFUSED_PROCESS;
}

/* Returns whether something could go, but for a thread in the middle of an operation. */
static bool is_in_hands(const fl_shortage *shortage) {
    return is_at_hard_limit(shortage) && fl_scarce_was_in_hands(shortage->whose);
}

/* That thread works, or waits for a processor. */
static __attribute__((noinline)) void wait_a_moment(void) {
    _Atomic uint32_t nothing = 0;
    fl_system_sleep_while(&nothing, 0, A_MOMENT_NS);
}

#define WHY_MASK ((uintptr_t)15)

static __attribute__((noinline)) void note_refusal(fl_pagearena *arena, const fl_shortage *shortage,
                                                   size_t bytes) {
    uintptr_t last = (uintptr_t)shortage->whose | ((uintptr_t)shortage->why + 1);
    bool above = shortage->why == FL_REFUSED_ARENA && shortage->whose != arena;
    atomic_fetch_add_explicit(&arena->refusals, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(above ? &arena->refused_above : &arena->refused[shortage->why], 1,
                              memory_order_relaxed);
    if (atomic_load_explicit(&arena->refused_last, memory_order_relaxed) != last)
        atomic_store_explicit(&arena->refused_last, last, memory_order_relaxed);
    FL_PROBE3(refused, arena, shortage->why, bytes);
    fl_event_note(FL_EVENT_REFUSAL, shortage->why, bytes, arena, 0);
}

bool fl_last_refusal(const fl_pagearena *arena, fl_shortage *shortage) {
    uintptr_t last = atomic_load_explicit(&arena->refused_last, memory_order_relaxed);
    if (last == 0)
        return false;
    *shortage = (fl_shortage){(fl_refusal)((last & WHY_MASK) - 1), 0, (fl_pagearena *)(last & ~WHY_MASK)};
    return true;
}

static bool make_room(fl_pagearena *arena, const fl_shortage *shortage, fl_ladder *ladder, size_t bytes) {
    if (shortage->why == FL_REFUSED_NEVER || ladder->tries == TRIES_MAX)
        return false;
    /* As long as something goes, and always the first time: what was taken from its owners may be of use as
     * it is. */
    if (!ladder->dry && !(is_at_hard_limit(shortage) && fl_scarce_is_exhausted(shortage->whose))) {
        ladder->dry = give_back(arena, shortage) == 0;
        if (!ladder->dry || ladder->tries == 0) {
            ladder->tries++;
            return true;
        }
    }
    if (is_in_hands(shortage) && ladder->waits++ < WAITS_MAX) {
        wait_a_moment();
        ladder->dry = false;
        return true;
    }
    ladder->dry = false;
    /* The shedder of the arena whose limit it is knows best what can be spared below it; else the requesting
     * arena's. */
    return ladder->sheds++ < SHEDS_MAX && ((shortage->whose && fl_shed_ask(shortage->whose, arena, bytes)) ||
                                           (shortage->whose != arena && fl_shed_ask(arena, arena, bytes)));
}

bool fl_make_room(fl_pagearena *arena, const fl_shortage *shortage, fl_ladder *ladder, size_t bytes) {
    bool again = make_room(arena, shortage, ladder, bytes);
    if (!again)
        note_refusal(arena, shortage, bytes);
    return again;
}

char *fl_grant(fl_pagearena *arena, size_t pages, size_t alignment_pages, fl_how how, bool *zeroed) {
    fl_shortage shortage;
    for (fl_ladder ladder = {0};;) {
        char *start = fl_pages_try(arena, pages, alignment_pages,
                                   ladder.tries == 0 ? how | FL_HEEDS_SOFT : how, zeroed, &shortage);
        if (start || !fl_make_room(arena, &shortage, &ladder, pages << FL_PAGE_SHIFT))
            return start;
    }
}

char *fl_grant_lazily(fl_pagearena *arena, size_t pages, uint64_t *prepared, bool *zeroed) {
    fl_shortage shortage;
    for (fl_ladder ladder = {0};;) {
        char *start = fl_pages_try_lazily(arena, pages, prepared, zeroed, &shortage);
        if (start || !fl_make_room(arena, &shortage, &ladder, pages << FL_PAGE_SHIFT))
            return start;
    }
}

static bool is_far(const _Atomic size_t *ready, const _Atomic size_t *limit, size_t bytes) {
    return atomic_load_explicit(ready, memory_order_relaxed) + bytes <=
           atomic_load_explicit(limit, memory_order_relaxed) / 2;
}

bool fl_limits_are_far(const fl_pagearena *arena, size_t bytes) {
    bool far = is_far(&fl_process_ready_bytes, &fl_process_hard_bytes, bytes) &&
               is_far(&fl_process_ready_bytes, &fl_process_soft_bytes, bytes);
    for (const fl_pagearena *it = arena; far && it; it = fl_pagearena_above(it))
        far = is_far(&it->family_bytes, &it->limits.hard_bytes, bytes) &&
              is_far(&it->family_bytes, &it->limits.soft_bytes, bytes);
    return far;
}

#define AHEAD_PARTS 64 /* at most this part of a limit is ahead, in all owners' hands */

size_t fl_limits_ahead_bytes(const fl_pagearena *arena, size_t owners) {
    size_t least = atomic_load_explicit(&fl_process_hard_bytes, memory_order_relaxed);
    for (const fl_pagearena *it = arena; it; it = fl_pagearena_above(it)) {
        size_t limit = atomic_load_explicit(&it->limits.hard_bytes, memory_order_relaxed);
        least = limit < least ? limit : least;
    }
    return least == SIZE_MAX ? SIZE_MAX : least / (AHEAD_PARTS * (owners ? owners : 1));
}
