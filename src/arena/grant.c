/* SPDX-License-Identifier: MIT */
#include "grant.h"

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
    size_t limit = atomic_load_explicit(whose ? &whose->limits.hard_bytes : &fl_the_process.hard_limit_bytes,
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

/* Returns whether something could go, but for a thread in the middle of an operation. */
static bool is_in_hands(const fl_shortage *shortage) {
    return fl_is_at_hard_limit(shortage) && fl_scarce_was_in_hands(shortage->whose);
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
    fl_counter_add(&arena->refusals, 1);
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

/* The shedder of the arena whose limit it is knows best what can be spared below it; else the requesting
 * arena's. (Apart, for the stack.) */
static __attribute__((noinline)) bool have_shed(fl_pagearena *arena, const fl_shortage *shortage,
                                                fl_ladder *ladder, size_t bytes) {
    bool insists = ladder->gave_way;
    if (ladder->sheds == SHEDS_MAX)
        return false;
    fl_shed_outcome outcome = fl_shed_ask_above(arena, shortage, ladder->looked, insists);
    ladder->looked &= outcome != FL_SHED_ASKED;
    if (outcome == FL_SHED_NOBODY && shortage->whose)
        outcome = fl_shed_ask(shortage->whose, arena, shortage, bytes, insists);
    if (outcome == FL_SHED_NOBODY && shortage->whose != arena)
        outcome = fl_shed_ask(arena, arena, shortage, bytes, insists);
    ladder->gave_way = outcome == FL_SHED_OTHERS;
    ladder->sheds += outcome == FL_SHED_ASKED;
    return outcome != FL_SHED_NOBODY;
}

static bool make_room(fl_pagearena *arena, const fl_shortage *shortage, fl_ladder *ladder, size_t bytes) {
    if (shortage->why == FL_REFUSED_NEVER || ladder->tries == TRIES_MAX)
        return false;
    /* As long as something goes, and always the first time: what was taken from its owners may be of use as
     * it is. */
    if (!ladder->dry && !(fl_is_at_hard_limit(shortage) && fl_scarce_is_exhausted(shortage->whose))) {
        ladder->dry = give_back(arena, shortage) == 0;
        /* At a limit that is exhausted there is no look, and what has no limit is always looked for. */
        ladder->looked |= !ladder->dry || ladder->tries == 0 || fl_is_at_hard_limit(shortage);
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
    return have_shed(arena, shortage, ladder, bytes);
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
