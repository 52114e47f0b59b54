/* SPDX-License-Identifier: MIT */
/* How much goes back and how fast, by a clock that the test moves. */
#include <string.h>

#include "../../src/arena/pace.h"
#include "../lib/check.h"

#define MS UINT64_C(1000000)
#define SECOND (1000 * MS)

static fl_pace pace;
static fl_look now;

static void start(void) {
    memset(&pace, 0, sizeof pace);
    memset(&now, 0, sizeof now);
    now.now_ns = 77 * SECOND;
    now.used_pages = 5000;
    fl_pace_use(&pace, 5000);
}

/* So many are in use meanwhile, and then as many as before. */
static void pass_by(size_t pages) {
    now.activity++;
    fl_pace_use(&pace, pages);
    fl_pace_use(&pace, now.used_pages);
}

/* A tick some time later; active: many pages were returned, and granted again, meanwhile. */
static bool tick(uint64_t later_ns, bool active) {
    now.now_ns += later_ns;
    if (active)
        pass_by(now.used_pages - 1000);
    return fl_pace_look(&pace, &now);
}

/* From here on so many are in use. */
static void use(size_t pages) {
    now.activity++;
    now.used_pages = pages;
    fl_pace_use(&pace, pages);
}

static void pace_quiet_after_300_ms(void) {
    start();
    CHECK(!tick(0, false)); /* never seen before: not quiet */
    for (int i = 0; i < 50; i++)
        CHECK(!tick(100 * MS, i % 3 == 0)); /* a tooth of 300 ms */
    CHECK(!tick(100 * MS, true));
    CHECK(!tick(100 * MS, false));
    CHECK(!tick(199 * MS, false));
    CHECK(tick(1 * MS, false));
    CHECK(tick(3600 * SECOND, false));
    CHECK(!tick(100 * MS, true));
}

/* At work all the while, on half a processor at least. */
static void pace_quiet_after_150_ms_of_work(void) {
    start();
    CHECK(!tick(0, true));
    now.process_cpu_ns += 74 * MS;
    CHECK(!tick(149 * MS, false));
    now.process_cpu_ns += 1 * MS;
    CHECK(tick(1 * MS, false));
    CHECK(!tick(1 * MS, true));
    now.process_cpu_ns += 74 * MS; /* a little less than that */
    CHECK(!tick(150 * MS, false));
    CHECK(tick(150 * MS, false));
}

/* Up and down by a few pages, with many idle. */
static void pace_stir_is_quiet(void) {
    start();
    now.spare_pages = 100000;
    CHECK(!tick(0, false));
    for (int i = 1; i < 6; i++) {
        use(i % 2 ? 5200 : 4800);
        CHECK(!tick(50 * MS, false));
    }
    use(4900);
    CHECK(tick(50 * MS, false));
    CHECK_EQUAL(fl_pace_keep_quiet(&pace, 4900), 300); /* what it comes back to */
    CHECK(tick(50 * MS, false));
    CHECK_EQUAL(fl_pace_keep_quiet(&pace, 4900), 0); /* and no more when nothing stirs */
}

/* Nor where little can go, while it works. */
static void pace_leaves_little_to_what_stirs(void) {
    start();
    now.spare_pages = 500;
    for (int i = 0; i < 50; i++) {
        use(i % 2 ? 5050 : 4950);
        CHECK(!tick(50 * MS, false));
    }
    CHECK(tick(50 * MS, false));
}

/* 256 MiB in 15 s: far less in 300 ms than what is idle, but always the same way. */
static void pace_slow_ramp_is_active(void) {
    for (int down = 0; down < 2; down++) {
        start();
        use(down ? 13250 : 5000);
        for (int i = 0; i < 150; i++) {
            use(down ? now.used_pages - 55 : now.used_pages + 55);
            now.spare_pages = 22000 - now.used_pages;
            CHECK(!tick(50 * MS, false));
        }
    }
}

/* Half of what is idle is used, every 250 ms, and never when somebody looks. */
static void pace_pulses_are_active(void) {
    start();
    now.spare_pages = 10000;
    for (int i = 0; i < 100; i++) {
        if (i % 5 == 0)
            pass_by(now.used_pages + 5000);
        CHECK(!tick(50 * MS, false));
    }
}

/* What upkeep takes out of slabs, and a little of which the program takes again. */
static void pace_upkeep_is_not_the_programs_move(void) {
    start();
    use(30000);
    now.spare_pages = 20000;
    tick(0, false);
    CHECK(tick(400 * MS, false));
    for (int i = 0; i < 10; i++) {
        fl_pace_upkeep_begins(&pace, now.used_pages);
        use(now.used_pages - 2000);
        fl_pace_upkeep_ends(&pace, now.used_pages);
        use(now.used_pages + 100);
        CHECK(tick(50 * MS, false));
    }
}

static void pace_keeps_the_peak_and_a_tenth_for_a_while(void) {
    start();
    now.used_pages = 100000;
    fl_pace_use(&pace, 100000);
    tick(0, true);
    CHECK_EQUAL(fl_pace_keep(&pace, 100000), 10000);
    now.used_pages = 20000;
    CHECK_EQUAL(fl_pace_keep(&pace, 20000), 90000);
    for (int i = 0; i < 100; i++) /* one half-life: 20000 + 80000 / 2 */
        tick(100 * MS, true);
    size_t keep = fl_pace_keep(&pace, 20000);
    CHECK(keep > 45000 && keep < 47000);
    for (int i = 0; i < 1000; i++)
        tick(100 * MS, true);
    keep = fl_pace_keep(&pace, 20000);
    CHECK(keep >= 2000 && keep < 2200);
    tick(1000 * SECOND, true); /* a driver that seldom ticks */
    CHECK_EQUAL(fl_pace_keep(&pace, 20000), 2000);
}

/* Everything goes and is wanted again within seconds; returns how long it took to be quiet. */
static uint64_t tooth(size_t pages) {
    uint64_t waited = 0;
    now.ready_pages = pages;
    now.grown_pages += pages - 10;
    tick(10 * MS, true);
    while (!tick(10 * MS, false))
        waited += 10 * MS;
    fl_pace_gave(&pace, now.now_ns, pages - 10, now.grown_pages);
    now.ready_pages = 10;
    CHECK(tick(1000 * MS, false));
    return waited + 10 * MS;
}

static void pace_learns_from_regret(void) {
    start();
    tick(0, true);
    CHECK_EQUAL(tooth(10000), 300 * MS);
    CHECK_EQUAL(tooth(10000), 300 * MS);
    CHECK_EQUAL(tooth(10000), 300 * MS);
    CHECK_EQUAL(tooth(10000), 600 * MS);
    CHECK_EQUAL(tooth(10000), 1200 * MS);
    CHECK_EQUAL(tooth(10000), 2400 * MS);
    CHECK_EQUAL(tooth(10000), 4800 * MS);
    CHECK_EQUAL(tooth(10000), 9600 * MS);
    CHECK_EQUAL(tooth(10000), 10000 * MS);
    CHECK_EQUAL(tooth(10000), 10000 * MS);
    tick(11 * SECOND, false); /* not wanted again this time */
    CHECK_EQUAL(tooth(10000), 300 * MS);
}

/* What has gone comes back, while as much goes elsewhere: the number of Ready pages stands still. */
static void pace_regrets_what_came_back_while_other_went(void) {
    start();
    tick(0, true);
    for (int i = 0; i < 3; i++) {
        CHECK(!tick(299 * MS, false));
        CHECK(tick(1 * MS, false));
        fl_pace_gave(&pace, now.now_ns, 1000, now.grown_pages);
        for (int j = 0; j < 5; j++) {
            now.grown_pages += 250;
            fl_pace_gave(&pace, now.now_ns, 250, now.grown_pages);
            CHECK_EQUAL(tick(1 * MS, false), j < 4);
        }
    }
    CHECK(!tick(599 * MS, false));
    CHECK_EQUAL(fl_pace_unused_ns(&pace, true), 300 * MS);
    CHECK(tick(1 * MS, false));
}

static void pace_does_not_regret_little(void) {
    start();
    tick(0, true);
    for (int i = 0; i < 20; i++)
        CHECK_EQUAL(tooth(200), 300 * MS);
}

static void pace_a_sixteenth_is_work(void) {
    fl_work work = {0, 0, false};
    uint64_t clock = 77 * SECOND, cpu = 4 * SECOND;
    CHECK(fl_work_look(&work, clock, cpu)); /* nothing is known */
    CHECK(fl_work_look(&work, clock += 400 * MS, cpu += 25 * MS));
    CHECK(fl_work_look(&work, clock += 299 * MS, cpu)); /* not long enough to tell */
    CHECK(!fl_work_look(&work, clock += 1 * MS, cpu));
    CHECK(!fl_work_look(&work, clock += 400 * MS, cpu += 24 * MS));
    CHECK(!fl_work_look(&work, clock += 100 * MS, cpu += 100 * MS));
    CHECK(fl_work_look(&work, clock += 200 * MS, cpu));
    CHECK(!fl_work_look(&work, clock += 3600 * SECOND, cpu));
}

/* A process with one busy core: 64 MiB go in batches that take 1 ms a MiB, at a hundredth of its time. */
static void pace_allowance_is_a_hundredth(void) {
    fl_allowance allowance = {0, 0};
    uint64_t cpu = 5 * SECOND, spent = 0, elapsed = 0;
    CHECK_EQUAL(fl_allowance_look(&allowance, cpu), 0);
    while (spent < 64 * MS) {
        cpu += 100 * MS;
        elapsed += 100 * MS;
        for (uint64_t left = fl_allowance_look(&allowance, cpu); left;) {
            fl_allowance_spend(&allowance, 1 * MS);
            spent += 1 * MS;
            left = left > 1 * MS ? left - 1 * MS : 0;
        }
    }
    CHECK(spent * 1000 >= elapsed * 5 && spent * 1000 <= elapsed * 15); /* 1 % ± 0.5 */
    cpu += 3600 * SECOND;                                               /* not saved up */
    CHECK_EQUAL(fl_allowance_look(&allowance, cpu), 10 * MS);
    fl_allowance_spend(&allowance, 30 * MS); /* one batch too long: made up for */
    CHECK_EQUAL(fl_allowance_look(&allowance, cpu += SECOND), 0);
    CHECK_EQUAL(fl_allowance_look(&allowance, cpu += SECOND), 0);
    CHECK(fl_allowance_look(&allowance, cpu += SECOND) > 0);
    CHECK_EQUAL(fl_allowance_look(&allowance, cpu), 10 * MS); /* a process that sleeps earns nothing */
    fl_allowance_spend(&allowance, 3600 * SECOND);            /* by the wall's clock: it was stopped */
    CHECK_EQUAL(fl_allowance_look(&allowance, cpu += 99 * SECOND), 0);
    CHECK(fl_allowance_look(&allowance, cpu += 2 * SECOND) > 0);
}

int main(void) {
    RUN(pace_quiet_after_300_ms);
    RUN(pace_quiet_after_150_ms_of_work);
    RUN(pace_stir_is_quiet);
    RUN(pace_leaves_little_to_what_stirs);
    RUN(pace_slow_ramp_is_active);
    RUN(pace_pulses_are_active);
    RUN(pace_upkeep_is_not_the_programs_move);
    RUN(pace_keeps_the_peak_and_a_tenth_for_a_while);
    RUN(pace_learns_from_regret);
    RUN(pace_regrets_what_came_back_while_other_went);
    RUN(pace_does_not_regret_little);
    RUN(pace_a_sixteenth_is_work);
    RUN(pace_allowance_is_a_hundredth);
    return 0;
}
