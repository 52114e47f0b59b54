/* SPDX-License-Identifier: MIT */
#include "driver.h"

#include "../system/container.h"
#include "../system/guest.h"
#include "../system/system.h"
#include "limits.h"
#include "scavenger.h"

#define TICK_NS UINT64_C(50000000)
#define WORK_NS (TICK_NS / 2)
#define REST_MAX_NS UINT64_C(10000000000)
#define LIFE_MIN_NS UINT64_C(1000000000)
#define TRY_EVERY_NS UINT64_C(1000000000)
#define START_THREADED_BYTES ((size_t)16 << 20)
#define START_SINGLE_BYTES ((size_t)64 << 20)
#define TOGETHER_MIN 4 /* arenas */
#define PIGGY_BACK_NS UINT64_C(1000000)
#define FOLLOW_EVERY_NS UINT64_C(30000000000)
#define STALLS_EVERY_NS UINT64_C(1000000000)
#define STALLS_PART 100 /* pressure: tasks waited for memory this part of the time */
#define WAIT_STEP_NS UINT64_C(50000)

static _Atomic bool switched_off;
static _Atomic bool guest_allowed;
static _Atomic bool guest_is_here;
static _Atomic bool guest_is_blind; /* there was none to be had, or the last one shared the program's files */
static _Atomic uint32_t guest_thread;    /* the last one */
static _Atomic uint64_t guest_failed_ns; /* when there was none; written by guest_is_here's holder */
static _Atomic uint32_t main_has_ended;
static _Atomic bool noted;          /* since the last tick */
static _Atomic size_t freed_bytes;  /* since the last tick, by fl_driver_note_freed */
static _Atomic size_t gained_bytes; /* since arenas were last summed up */

static _Atomic uint64_t followed_ns,
    stalls_looked_ns; /* the thread that moves one of them on looks; others use what it found */
static _Atomic uint64_t stalls_seen_ns;

static bool is_due(_Atomic uint64_t *done_ns, uint64_t now_ns, uint64_t every_ns, uint64_t *last_ns) {
    *last_ns = atomic_load_explicit(done_ns, memory_order_relaxed);
    return now_ns - *last_ns >= every_ns &&
           atomic_compare_exchange_strong_explicit(done_ns, last_ns, now_ns, memory_order_relaxed,
                                                   memory_order_relaxed);
}

static void look_for_pressure(uint64_t now_ns, uint64_t last_ns) {
    uint64_t stalls_ns = fl_container_stalls_ns("");
    uint64_t seen_ns = atomic_exchange_explicit(&stalls_seen_ns, stalls_ns, memory_order_relaxed);
    bool pressed = last_ns && stalls_ns > seen_ns && stalls_ns - seen_ns > (now_ns - last_ns) / STALLS_PART;
    fl_scavenger_press(pressed ? now_ns + 2 * STALLS_EVERY_NS : 0);
}

static void look_around(void) {
    uint64_t now_ns = fl_system_now_ns(), last_ns;
    if (is_due(&followed_ns, now_ns, FOLLOW_EVERY_NS, &last_ns)) {
        fl_limits_follow_container();
        fl_system_follow_huge_pages();
    }
    if (is_due(&stalls_looked_ns, now_ns, STALLS_EVERY_NS, &last_ns))
        look_for_pressure(now_ns, last_ns);
}

void fl_driver_start(void) {
    atomic_store_explicit(&followed_ns, fl_system_now_ns(), memory_order_relaxed);
    fl_limits_follow_container();
    fl_system_follow_huge_pages();
}

void fl_driver_allow_thread(bool allowed) {
    atomic_store_explicit(&guest_allowed, allowed, memory_order_relaxed);
}

void fl_driver_switch(bool on) {
    atomic_store_explicit(&switched_off, !on, memory_order_relaxed);
}

static size_t worth_bytes(void) {
    return fl_system_is_threaded() ? START_THREADED_BYTES : START_SINGLE_BYTES;
}

static bool is_worth_it(const fl_pagearena *arena) {
    size_t freed = atomic_load_explicit(&freed_bytes, memory_order_relaxed);
    size_t purged = atomic_load_explicit(&arena->purged_bytes, memory_order_relaxed);
    return fl_pagearena_sparable_bytes(arena) + (freed < purged ? freed : purged) >= worth_bytes() ||
           atomic_load_explicit(&arena->idle_shown, memory_order_relaxed) >
               atomic_load_explicit(&arena->limits.idle_pages, memory_order_relaxed);
}

/* Many arenas that are not worth it one by one may be so together. Summing them up takes longer, so this
 * happens only once arenas have gained a quarter of what is worth it. What an arena had when it was last
 * noted does not count as gained again. */
static bool are_worth_it_together(fl_pagearena *arena) {
    size_t bytes = fl_pagearena_sparable_bytes(arena);
    size_t before = atomic_load_explicit(&arena->sparable_noted, memory_order_relaxed);
    if (bytes != before)
        atomic_store_explicit(&arena->sparable_noted, bytes, memory_order_relaxed);
    if (bytes <= before || fl_upkeep_due() < TOGETHER_MIN)
        return false;
    size_t gained = atomic_fetch_add_explicit(&gained_bytes, bytes - before, memory_order_relaxed);
    if (gained + bytes - before < worth_bytes() / 4)
        return false;
    atomic_store_explicit(&gained_bytes, 0, memory_order_relaxed);
    return fl_scavenger_sparable_bytes() >= worth_bytes();
}

static bool tick(uint64_t budget_ns) {
    atomic_store_explicit(&noted, false, memory_order_seq_cst);
    atomic_store_explicit(&freed_bytes, 0, memory_order_relaxed);
    return fl_scavenger_tick(budget_ns);
}

static bool guest_may_be_here(void) {
    return atomic_load_explicit(&guest_allowed, memory_order_relaxed) &&
           !atomic_load_explicit(&main_has_ended, memory_order_seq_cst);
}

/* What the guest and the process had of the processors. Wall and processor time are read together: if
 * processor time is not to be had, the wall's clock stands in for it, and a rest must not count as work. */
typedef struct spent {
    uint64_t now_ns, guest_ns, process_ns;
} spent;

static spent spent_by_now(void) {
    return (spent){fl_system_now_ns(), fl_system_thread_cpu_ns(), fl_system_process_cpu_ns()};
}

/* How long to rest after a tick, which began at `began`; the one before it ended at `before`. If the whole of
 * a tick's time was used: until the guest had half of one core, and so leaves half of it to a program on a
 * single one; time in which others kept it from the processor is rest. If the program does nothing that would
 * notice, a quarter of the work. Where the wall's clock stands in, its own rest looks like the program's
 * work, so that it stays at half. No tick works longer than REST_MAX_NS; if one seems to, an option has
 * meanwhile put another clock in the place of processor time. */
static uint64_t rest_of(const spent *before, const spent *began, const spent *ended) {
    uint64_t took_ns = ended->now_ns - began->now_ns, worked_ns = ended->guest_ns - began->guest_ns;
    uint64_t others_ns = fl_above(ended->process_ns - before->process_ns, worked_ns);
    bool alone = others_ns < (ended->now_ns - before->now_ns) / FL_WORK_PART;
    uint64_t rest_ns = took_ns < WORK_NS ? TICK_NS - took_ns
                       : alone           ? worked_ns / 4
                                         : fl_above(2 * worked_ns, took_ns);
    return rest_ns < REST_MAX_NS ? rest_ns : REST_MAX_NS;
}

static void live(bool looks) {
    uint64_t rest_ns = TICK_NS;
    spent before = spent_by_now(), began, ended;
    for (uint64_t came_ns = before.now_ns;; before = ended) {
        fl_system_sleep_while(&main_has_ended, 0, rest_ns);
        if (!guest_may_be_here())
            return;
        if (looks)
            look_around();
        /* While the program is at work, its allowance is the tighter bound. */
        began = spent_by_now();
        bool left = tick(WORK_NS);
        ended = spent_by_now();
        if (!left && ended.now_ns - came_ns >= LIFE_MIN_NS)
            return;
        rest_ns = rest_of(&before, &began, &ended);
    }
}

/* One thread wins: this exchange alone keeps a second guest from coming. */
static bool claim_guest(void) {
    return !atomic_load_explicit(&guest_is_here, memory_order_relaxed) &&
           !atomic_exchange_explicit(&guest_is_here, true, memory_order_seq_cst);
}

static void *guest(void *unused) {
    (void)unused;
    bool looks = fl_guest_settle_in();
    uint32_t me = fl_system_thread();
    atomic_store_explicit(&guest_thread, me, memory_order_relaxed);
    fl_locks_know_guest(me);
    atomic_store_explicit(&guest_is_blind, !looks, memory_order_relaxed);
    do {
        live(looks);
        /* Releases guest_thread to the thread that waits for the end in fl_driver_end_main. */
        atomic_store_explicit(&guest_is_here, false, memory_order_seq_cst);
        /* Work noted since the last tick found this one still here and did not start another. */
    } while (guest_may_be_here() && atomic_load_explicit(&noted, memory_order_seq_cst) &&
             (fl_scavenger_any(is_worth_it) || fl_scavenger_sparable_bytes() >= worth_bytes()) &&
             claim_guest());
    return NULL;
}

/* If the system counts what is mapped, a stack fits only when something else goes: enough at once, as the
 * program may not come by again to give it back piece by piece. */
static bool make_room_for_guest(void) {
    if (fl_scavenger_give_back(NULL, FL_REGION_BYTES, FL_CAUSE_LIMIT, false) == 0)
        return false;
    fl_scavenger_unmap_spare();
    return true;
}

/* Caller has claimed the guest. Main's end sets its word and then looks whether a guest is here; here it is
 * the other way round: one of the two sees the other. */
static bool start_guest(void) {
    uint64_t now_ns = fl_system_now_ns();
    uint64_t failed_ns = atomic_load_explicit(&guest_failed_ns, memory_order_relaxed);
    if ((failed_ns && now_ns - failed_ns < TRY_EVERY_NS) || !fl_guest_may_start())
        return false;
    if (guest_may_be_here() &&
        (fl_guest_start(guest, NULL) || (make_room_for_guest() && fl_guest_start(guest, NULL))))
        return true;
    atomic_store_explicit(&guest_failed_ns, now_ns, memory_order_relaxed);
    atomic_store_explicit(&guest_is_blind, true, memory_order_relaxed);
    return false;
}

/* Returns false if no guest is allowed, or the system has none to give. */
static bool have_guest(void) {
    if (!guest_may_be_here())
        return false;
    if (!claim_guest() || start_guest())
        return true;
    atomic_store_explicit(&guest_is_here, false, memory_order_seq_cst);
    return false;
}

/* Has work done: by the guest, or, if there is none, a little of it now and then by the calling thread. */
static void drive(void) {
    if (atomic_load_explicit(&switched_off, memory_order_relaxed) || have_guest())
        return;
    if (fl_system_now_ns() - fl_scavenger_ticked_ns() >= TICK_NS)
        tick(PIGGY_BACK_NS);
}

/* A child made by hand has no guest, and what the parent's was in the middle of, nobody is. */
static void notice_birth(void) {
    if (__builtin_expect(fl_locks_notice_birth(), 0)) {
        fl_scavenger_fork_child();
        fl_driver_fork_child();
    }
}

void fl_driver_note(fl_pagearena *arena) {
    notice_birth();
    fl_upkeep_note(&arena->upkeep);
    if (!atomic_load_explicit(&noted, memory_order_relaxed))
        atomic_store_explicit(&noted, true, memory_order_seq_cst);
    if (!atomic_load_explicit(&guest_is_here, memory_order_relaxed) &&
        (is_worth_it(arena) || are_worth_it_together(arena)))
        drive();
}

void fl_driver_note_freed(fl_pagearena *arena, size_t bytes) {
    atomic_fetch_add_explicit(&freed_bytes, bytes, memory_order_relaxed);
    fl_driver_note(arena);
}

bool fl_driver_tick(uint64_t budget_ns) {
    notice_birth();
    if (!guest_may_be_here() || atomic_load_explicit(&guest_is_blind, memory_order_relaxed))
        look_around();
    return tick(budget_ns);
}

void fl_driver_end_main(void) {
    notice_birth();
    atomic_store_explicit(&main_has_ended, 1, memory_order_seq_cst);
    fl_system_wake(&main_has_ended);
    fl_upkeep_hurry(true);
    while (atomic_load_explicit(&guest_is_here, memory_order_seq_cst))
        fl_system_sleep_ns(WAIT_STEP_NS);
    fl_upkeep_hurry(false);
    /* If the C library counted it as the last thread, it would run the exit handlers, on its stack and
     * without the program's files. */
    uint32_t last = atomic_load_explicit(&guest_thread, memory_order_relaxed);
    if (last)
        fl_guest_await_end(last);
}

bool fl_driver_was_refused_a_thread(void) {
    return atomic_load_explicit(&guest_failed_ns, memory_order_relaxed) != 0;
}

bool fl_driver_is_blind(void) {
    return atomic_load_explicit(&guest_is_blind, memory_order_relaxed);
}

void fl_driver_fork_child(void) {
    /* The guest was not forked. It comes back when the child has something to give back; the thread that
     * forked runs the child's main. */
    atomic_store_explicit(&guest_is_here, false, memory_order_relaxed);
    atomic_store_explicit(&guest_thread, 0, memory_order_relaxed);
    atomic_store_explicit(&main_has_ended, 0, memory_order_relaxed);
}
