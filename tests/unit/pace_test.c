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
}

/* A tick some time later; active: pages were granted or returned meanwhile. */
static bool tick(uint64_t later_ns, bool active) {
    now.now_ns += later_ns;
    now.activity += active;
    return fl_pace_look(&pace, &now);
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
    tick(10 * MS, true);
    while (!tick(10 * MS, false))
        waited += 10 * MS;
    fl_pace_gave(&pace, now.now_ns, pages, 10);
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

static void pace_does_not_regret_little(void) {
    start();
    tick(0, true);
    for (int i = 0; i < 20; i++)
        CHECK_EQUAL(tooth(200), 300 * MS);
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
}

int main(void) {
    RUN(pace_quiet_after_300_ms);
    RUN(pace_quiet_after_150_ms_of_work);
    RUN(pace_keeps_the_peak_and_a_tenth_for_a_while);
    RUN(pace_learns_from_regret);
    RUN(pace_does_not_regret_little);
    RUN(pace_allowance_is_a_hundredth);
    return 0;
}
