/* SPDX-License-Identifier: MIT */
/* Whose turn it is: the queue of arenas that have something to give back, with arenas that have no pages. */
#include <pthread.h>
#include <unistd.h>

#include "../../src/arena/pages.h"
#include "../../src/arena/scavenger.h"
#include "../../src/arena/upkeep.h"
#include "../../src/arena/window.h"
#include "../lib/check.h"

#define COUNT 1000
static fl_upkeep arenas[COUNT];

static void join_all(void) {
    for (size_t i = 0; i < COUNT; i++) {
        fl_upkeep_init(&arenas[i]);
        CHECK(fl_upkeep_join(&arenas[i]));
    }
}

static void leave_all(void) {
    for (size_t i = 0; i < COUNT; i++)
        fl_upkeep_leave(&arenas[i]);
    CHECK_EQUAL(fl_upkeep_due(), 0);
}

/* What a tick does: so many turns at most; each that had one is told of. */
static size_t turns(size_t max, bool stays, size_t *whose) {
    uint64_t round = fl_upkeep_new_round();
    size_t count = 0;
    for (fl_upkeep *it; count < max && (it = fl_upkeep_next_turn(round)) != NULL; count++) {
        whose[count] = (size_t)(it - arenas);
        CHECK(it->workspace);
        fl_upkeep_end_turn(it, stays);
    }
    return count;
}

static void upkeep_none_is_due_without_a_note(void) {
    size_t whose[COUNT];
    join_all();
    CHECK_EQUAL(fl_upkeep_due(), 0);
    CHECK_EQUAL(turns(COUNT, false, whose), 0);
    fl_upkeep_note(&arenas[7]);
    fl_upkeep_note(&arenas[7]);
    CHECK_EQUAL(turns(COUNT, false, whose), 1);
    CHECK_EQUAL(whose[0], 7);
    CHECK_EQUAL(turns(COUNT, false, whose), 0);
    leave_all();
}

/* Ticks that have time for three each: after so many, every one has had its turn as often as any other. */
static void upkeep_turns_are_fair(void) {
    size_t whose[COUNT], had[COUNT] = {0};
    join_all();
    for (size_t i = 0; i < COUNT; i++)
        fl_upkeep_note(&arenas[i]);
    for (size_t tick = 0; tick < 5 * COUNT / 3 + 1; tick++)
        for (size_t i = turns(3, true, whose); i-- > 0;)
            had[whose[i]]++;
    for (size_t i = 0; i < COUNT; i++)
        CHECK(had[i] == 5 || had[i] == 6);
    leave_all();
}

/* In one round, nobody has two turns, and all that are due have one. */
static void upkeep_one_turn_a_round(void) {
    size_t whose[COUNT];
    join_all();
    for (size_t i = 0; i < COUNT; i += 2)
        fl_upkeep_note(&arenas[i]);
    CHECK_EQUAL(turns(COUNT, true, whose), COUNT / 2);
    CHECK_EQUAL(turns(COUNT, false, whose), COUNT / 2);
    CHECK_EQUAL(turns(COUNT, false, whose), 0);
    leave_all();
}

/* What is noted while its turn is on comes again. */
static void upkeep_noted_in_its_turn(void) {
    size_t whose[COUNT];
    join_all();
    fl_upkeep_note(&arenas[3]);
    fl_upkeep *it = fl_upkeep_next_turn(fl_upkeep_new_round());
    CHECK(it == &arenas[3]);
    fl_upkeep_note(&arenas[3]);
    fl_upkeep_end_turn(it, false);
    CHECK_EQUAL(turns(COUNT, false, whose), 1);
    CHECK_EQUAL(turns(COUNT, false, whose), 0);
    leave_all();
}

/* What is noted while it is away is due when it has come back. */
static void upkeep_noted_while_away(void) {
    size_t whose[COUNT];
    join_all();
    fl_upkeep_note(&arenas[3]);
    fl_upkeep_leave(&arenas[3]);
    CHECK_EQUAL(turns(COUNT, false, whose), 0);
    CHECK(fl_upkeep_join(&arenas[3]));
    CHECK_EQUAL(turns(COUNT, false, whose), 1);
    fl_upkeep_leave(&arenas[3]);
    fl_upkeep_leave(&arenas[3]);
    fl_upkeep_note(&arenas[3]);
    CHECK(fl_upkeep_join(&arenas[3]));
    CHECK_EQUAL(turns(COUNT, false, whose), 1);
    leave_all();
}

static void upkeep_paused_is_left_alone(void) {
    size_t whose[COUNT];
    join_all();
    fl_upkeep_note(&arenas[5]);
    fl_upkeep_pause(&arenas[5]);
    fl_upkeep_pause(&arenas[5]);
    CHECK(!fl_upkeep_begin(&arenas[5]));
    CHECK_EQUAL(turns(COUNT, false, whose), 0);
    fl_upkeep_go_on(&arenas[5]);
    CHECK_EQUAL(turns(COUNT, false, whose), 0);
    fl_upkeep_go_on(&arenas[5]);
    CHECK_EQUAL(turns(COUNT, false, whose), 1);
    leave_all();
}

static bool is_odd(const fl_upkeep *it, const void *context) {
    (void)context;
    return (it - arenas) % 2 == 1;
}

static void upkeep_next_finds_all_that_fit(void) {
    size_t place = 0, found = 0;
    join_all();
    for (fl_upkeep *it; (it = fl_upkeep_next(&place, is_odd, NULL)) != NULL; found++) {
        CHECK(is_odd(it, NULL));
        if (it != &arenas[1]) { /* who leaves meanwhile disturbs nobody */
            fl_upkeep_leave(it - 1);
            CHECK(fl_upkeep_join(it - 1));
        }
        fl_upkeep_end(it);
    }
    CHECK_EQUAL(found, COUNT / 2);
    leave_all();
}

/* A fork came between the two halves of a note, which the child's thread is not there to finish. */
static void upkeep_half_noted_is_due_in_a_child(void) {
    size_t whose[COUNT];
    join_all();
    atomic_store(&arenas[9].noted, true);
    fl_upkeep_fork_child();
    fl_upkeep_note(&arenas[9]);
    CHECK_EQUAL(turns(COUNT, false, whose), 1);
    CHECK_EQUAL(whose[0], 9);
    leave_all();
}

static _Atomic bool left;

static void *leave(void *arena) {
    fl_upkeep_leave(arena);
    atomic_store(&left, true);
    return NULL;
}

/* Who leaves waits for who is at work; and who comes afterwards finds it gone. */
static void upkeep_leaving_waits(void) {
    pthread_t thread;
    fl_upkeep one;
    fl_upkeep_init(&one);
    CHECK(fl_upkeep_join(&one));
    CHECK(fl_upkeep_begin(&one));
    atomic_store(&left, false);
    CHECK_EQUAL(pthread_create(&thread, NULL, leave, &one), 0);
    usleep(50000);
    CHECK(!atomic_load(&left));
    fl_upkeep_end(&one);
    CHECK_EQUAL(pthread_join(thread, NULL), 0);
    CHECK(atomic_load(&left) && !fl_upkeep_begin(&one));
}

static _Atomic bool stop;
static _Atomic int inside[COUNT];

static void enter(fl_upkeep *it) {
    CHECK_EQUAL(atomic_fetch_add(&inside[it - arenas], 1), 0);
    atomic_fetch_sub(&inside[it - arenas], 1);
}

static bool is_any(const fl_upkeep *it, const void *context) {
    (void)context;
    return it >= arenas;
}

/* Ticks, give-backs of one and of all, and notes, all at once: nobody meets another in an arena, and nothing
 * that is noted last stays behind. */
static void *bustle(void *seed) {
    uint64_t random = (uintptr_t)seed;
    while (!atomic_load(&stop)) {
        size_t i = check_random(&random) % 16, place = 0;
        fl_upkeep *it;
        switch (check_random(&random) % 4) {
        case 0:
            for (uint64_t round = fl_upkeep_new_round(); (it = fl_upkeep_next_turn(round)) != NULL;) {
                enter(it);
                fl_upkeep_end_turn(it, check_random(&random) % 4 == 0);
            }
            break;
        case 1:
            if (fl_upkeep_begin(&arenas[i])) {
                enter(&arenas[i]);
                fl_upkeep_end(&arenas[i]);
            }
            break;
        case 2:
            while ((it = fl_upkeep_next(&place, is_any, NULL)) != NULL) {
                enter(it);
                fl_upkeep_end(it);
            }
            break;
        default:
            fl_upkeep_note(&arenas[i]);
        }
    }
    return NULL;
}

static void upkeep_many_threads(void) {
    enum { THREADS = 4 };
    pthread_t threads[THREADS];
    size_t whose[COUNT];
    for (size_t i = 0; i < 16; i++) {
        fl_upkeep_init(&arenas[i]);
        CHECK(fl_upkeep_join(&arenas[i]));
    }
    atomic_store(&stop, false);
    for (uintptr_t i = 0; i < THREADS; i++)
        CHECK_EQUAL(pthread_create(&threads[i], NULL, bustle, (void *)(i + 1)), 0);
    usleep(300000);
    atomic_store(&stop, true);
    for (int i = 0; i < THREADS; i++)
        CHECK_EQUAL(pthread_join(threads[i], NULL), 0);
    for (size_t i = 0; i < 16; i++)
        fl_upkeep_note(&arenas[i]);
    CHECK_EQUAL(turns(COUNT, false, whose), 16);
    for (size_t i = 0; i < 16; i++)
        fl_upkeep_leave(&arenas[i]);
}

static void be_a_child(void) {
    for (size_t i = 0; i < COUNT; i++)
        fl_upkeep_fork_child_of(&arenas[i]);
    fl_upkeep_fork_child();
}

/* The child of a signal handler's fork goes on where the handler came in: in the middle of upkeep, of a
 * pause, of a fork. */
static void upkeep_goes_on_in_a_child(void) {
    size_t whose[COUNT];
    join_all();
    CHECK(fl_upkeep_begin(&arenas[2]));
    be_a_child();
    fl_upkeep_end(&arenas[2]);
    fl_upkeep_pause(&arenas[3]);
    be_a_child();
    fl_upkeep_go_on(&arenas[3]);
    fl_upkeep_hurry(true);
    be_a_child();
    fl_upkeep_hurry(false);
    CHECK(!fl_upkeep_is_hurried());
    fl_upkeep_note(&arenas[2]);
    fl_upkeep_note(&arenas[3]);
    CHECK_EQUAL(turns(COUNT, false, whose), 2);
    leave_all();
}

static bool is_wanted(const fl_upkeep *upkeep, const void *wanted) {
    return upkeep == wanted;
}

/* Another thread was waiting to have it to itself, for one that was in it: neither is in the child. */
static void upkeep_left_before_a_fork_is_nobodys(void) {
    size_t place = 0;
    join_all();
    CHECK(fl_upkeep_hold_next(&place, is_wanted, &arenas[5]) == &arenas[5]);
    CHECK(fl_upkeep_part(&arenas[5]));
    be_a_child();
    alarm(60); /* a wait for ever ends as a failure */
    fl_upkeep_leave(&arenas[5]);
    alarm(0);
    leave_all();
}

/* A fork came in between a thread's word and the queue: the child has the word only. */
static void upkeep_noted_before_a_fork(void) {
    size_t whose[COUNT];
    join_all();
    atomic_store(&arenas[4].noted, true);
    fl_upkeep_fork_child();
    CHECK_EQUAL(turns(COUNT, false, whose), 1);
    CHECK_EQUAL(whose[0], 4);
    leave_all();
}

static char *granted[8];
static size_t granted_count;

/* Something each time, then nothing; and each time something is left that does not go. */
static bool reclaim_a_little(fl_pagearena *arena, fl_cause cause, uint64_t deadline_ns) {
    (void)cause, (void)deadline_ns;
    if (granted_count)
        fl_pages_return(arena, granted[--granted_count], fl_the_window.grain_pages);
    return true;
}

static void upkeep_request_ends_in_vain(void) {
    static fl_pagearena arena;
    bool zeroed;
    fl_shortage shortage;
    fl_pagearena_init(&arena, "in vain", NULL, &fl_stat_process);
    CHECK(fl_upkeep_join(&arena.upkeep));
    for (granted_count = 0; granted_count < 8; granted_count++)
        CHECK(granted[granted_count] =
                  fl_pages_try(&arena, fl_the_window.grain_pages, 1, FL_FILLED_PERHAPS, &zeroed, &shortage));
    fl_scavenger_init(reclaim_a_little);
    CHECK_EQUAL(fl_scavenger_give_back(&arena, SIZE_MAX, FL_CAUSE_REQUEST, true),
                8 * fl_the_window.grain_pages << FL_PAGE_SHIFT);
    fl_scavenger_init(NULL);
    fl_upkeep_leave(&arena.upkeep);
    fl_pagearena_end(&arena);
}

int main(void) {
    CHECK(fl_window_init());
    RUN(upkeep_none_is_due_without_a_note);
    RUN(upkeep_turns_are_fair);
    RUN(upkeep_one_turn_a_round);
    RUN(upkeep_noted_in_its_turn);
    RUN(upkeep_noted_while_away);
    RUN(upkeep_paused_is_left_alone);
    RUN(upkeep_next_finds_all_that_fit);
    RUN(upkeep_half_noted_is_due_in_a_child);
    RUN(upkeep_leaving_waits);
    RUN(upkeep_many_threads);
    RUN(upkeep_goes_on_in_a_child);
    RUN(upkeep_left_before_a_fork_is_nobodys);
    RUN(upkeep_noted_before_a_fork);
    RUN(upkeep_request_ends_in_vain);
    return 0;
}
