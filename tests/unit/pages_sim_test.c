/* SPDX-License-Identifier: MIT */
/*
 * The page allocator on simulated systems with OS pages of 4, 16 and 64 KiB: where grants lie (after the
 * scenarios of the Go runtime's page allocator tests), exhaustion, refusals by the system, and random runs
 * against the sim's own record of what is resident. Positions and lengths are in grains: the larger of 16 KiB
 * and the OS page.
 */
#include <pthread.h>
#include <string.h>

#include "../lib/one_batch.h"
#include "../lib/sim_arena.h"

static uint64_t seed;
static sim_system sys;
static fl_pagearena arena;
static size_t os_page_bytes;
static bool windows; /* the rules of reservations that are apart */

#define GRAIN (os_page_bytes > FL_PAGE_BYTES ? os_page_bytes >> FL_PAGE_SHIFT : (size_t)1)
#define REGION (FL_REGION_PAGES / GRAIN) /* grains in a region */

static void start_with(osmem_sim_config config) {
    config.os_page_bytes = os_page_bytes;
    config.reservations_apart = windows;
    config.reserve_bytes = windows ? 65536 : 0;
    config.address_bytes = (size_t)1 << 44;
    sim_start(&sys, &config);
    fl_pagearena_init(&arena, "sim", &sys.backend, NULL);
    osmem_stat_check(&arena.stat);
}

static void start(void) {
    start_with((osmem_sim_config){0});
}

static void end(void) {
    fl_pagearena_end(&arena);
    sim_end(&sys);
}

static char *grant(size_t grains) {
    bool zeroed;
    char *v = fl_grant(&arena, grains * GRAIN, 1, FL_FILLED_PERHAPS, &zeroed);
    if (v)
        sim_touch(&sys, v, grains * GRAIN);
    return v;
}

static void give(char *base, size_t first, size_t grains) {
    fl_pages_return(&arena, base + (first * GRAIN << FL_PAGE_SHIFT), grains * GRAIN);
}

/* What is free in an arena that is otherwise full, and where requests must land. In grains; 1/4 regions as
 * R4. */
#define NO SIZE_MAX
#define R4 (REGION / 4)
typedef struct request {
    size_t grains, wanted;
} request;

static void check_case(const char *name, size_t regions, const request *free, const request *requests) {
    start();
    fl_limits_set(&arena, 0, regions * FL_REGION_BYTES);
    char *base = grant(regions * REGION);
    CHECK(base && !grant(1));
    for (; free->grains; free++)
        give(base, free->wanted, free->grains);
    for (; requests->grains; requests++) {
        char *got = grant(requests->grains);
        size_t at = got ? (size_t)(got - base) >> FL_PAGE_SHIFT : NO;
        if (at != (requests->wanted == NO ? NO : requests->wanted * GRAIN)) {
            fprintf(stderr, "%s: %zu grains at page %zd, wanted grain %zd\n", name, requests->grains,
                    (ssize_t)at, (ssize_t)requests->wanted);
            exit(1);
        }
    }
    end();
}

#define LIST(...) ((const request[]){__VA_ARGS__, {0, 0}})

static void pages_sim_where_grants_lie(void) {
    check_case("all free, 1", 1, LIST({REGION, 0}), LIST({1, 0}, {1, 1}, {1, 2}));
    check_case("all free, 2", 1, LIST({REGION, 0}), LIST({2, 0}, {2, 2}, {2, 4}));
    check_case("all free, 5", 1, LIST({REGION, 0}), LIST({5, 0}, {5, 5}, {5, 10}));
    check_case("all free, a region but one", 1, LIST({REGION, 0}),
               LIST({REGION - 1, 0}, {2, NO}, {1, REGION - 1}));
    check_case("none free", 2, LIST({0, 0}), LIST({1, NO}, {REGION, NO}));
    check_case("exact fit", 2, LIST({5, 7}), LIST({6, NO}, {5, 7}, {1, NO}));
    check_case("the lowest that fits", 2, LIST({2, 3}, {9, 20}, {5, 40}),
               LIST({5, 20}, {5, 40}, {4, 25}, {2, 3}));
    check_case("over a region's edge", 2, LIST({2, REGION - 1}), LIST({2, REGION - 1}, {1, NO}));
    check_case("regions apart", 3, LIST({REGION, 0}, {REGION, 2 * REGION}),
               LIST({REGION + 1, NO}, {REGION, 0}, {REGION, 2 * REGION}, {1, NO}));
    check_case("a region over an edge", 2, LIST({REGION, R4}), LIST({REGION, R4}, {1, NO}));
    check_case("a region and one", 2, LIST({2 * REGION, 0}),
               LIST({REGION + 1, 0}, {REGION, NO}, {REGION - 1, REGION + 1}));
    check_case("two regions", 4, LIST({4 * REGION, 0}),
               LIST({2 * REGION, 0}, {2 * REGION, 2 * REGION}, {1, NO}));
    check_case("two regions, not side by side", 5, LIST({REGION, 0}, {2 * REGION, 2 * REGION}),
               LIST({2 * REGION, 2 * REGION}, {REGION, 0}));
    check_case("five quarters over edges", 4, LIST({5 * R4, 3 * R4}), LIST({5 * R4, 3 * R4}, {1, NO}));
    check_case("seven regions and five", 8, LIST({8 * REGION, 0}),
               LIST({7 * REGION + 5, 0}, {1, 7 * REGION + 5}));
    check_case("over a far region's edge", 18, LIST({5, 16 * REGION - 2}),
               LIST({6, NO}, {5, 16 * REGION - 2}));
    check_case("many regions", 36, LIST({33 * REGION, REGION}),
               LIST({33 * REGION + 1, NO}, {33 * REGION, REGION}));
}

/* Eight regions, all of it in grants of n, until nothing is left; then all back, and again. */
static void pages_sim_exhaust(void) {
    static const size_t sizes[] = {1, 2, 3, 4, 5, 8, 16, 64, 65, 255, 256, 257, 512, 513};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        start();
        size_t all = 8 * REGION, n = sizes[i] < all ? sizes[i] : all;
        fl_limits_set(&arena, 0, 8 * FL_REGION_BYTES);
        char *base = NULL;
        for (int round = 0; round < 3; round++) {
            size_t count = 0;
            for (char *got; (got = grant(n)) != NULL; count++) {
                base = base ? base : got;
                CHECK(got == base + (count * n * GRAIN << FL_PAGE_SHIFT));
            }
            CHECK_EQUAL(count, all / n);
            for (size_t k = 0; k < count; k++)
                give(base, (round & 1 ? k : count - 1 - k) * n, n);
            if (round == 1)
                while (scavenge(&arena, SIZE_MAX, FL_CAUSE_LIMIT))
                    ;
        }
        end();
    }
}

/* Scavenging: after some pages were returned, so many grains are wanted, and these must have gone. */
static void check_scavenge(const char *name, const request *free, size_t wanted, fl_cause cause,
                           const request *gone) {
    start();
    size_t all = 4 * REGION;
    char *base = grant(all);
    size_t left = all * GRAIN, idle = 0;
    for (; free->grains; free++) {
        give(base, free->wanted, free->grains);
        idle += free->grains;
    }
    size_t went = scavenge(&arena, wanted * GRAIN, cause);
    for (; gone->grains; gone++) {
        left -= gone->grains * GRAIN;
        const char *at = base + (gone->wanted * GRAIN << FL_PAGE_SHIFT);
        if (sim_resident_pages(&sys, at, gone->grains * GRAIN)) {
            fprintf(stderr, "%s: %zu at %zu did not go\n", name, gone->grains, gone->wanted);
            exit(1);
        }
    }
    CHECK_EQUAL(all * GRAIN - left, went);
    CHECK_EQUAL(sim_resident_pages(&sys, base, all * GRAIN), left);
    CHECK_EQUAL(osmem_stat_read(&arena.stat, NULL).ready, left << FL_PAGE_SHIFT);
    /* The rest goes when it is asked for, and nothing that is in use. */
    while (scavenge(&arena, SIZE_MAX, FL_CAUSE_QUIET))
        ;
    CHECK_EQUAL(sim_resident_pages(&sys, base, all * GRAIN), (all - idle) * GRAIN);
    end();
}

#define EDGE (64 / GRAIN) /* a bitmap word, in grains */

static void pages_sim_what_is_scavenged(void) {
    check_scavenge("none free", LIST({0, 0}), 100, FL_CAUSE_QUIET, LIST({0, 0}));
    check_scavenge("one", LIST({1, 7}), 100, FL_CAUSE_QUIET, LIST({1, 7}));
    check_scavenge("highest first", LIST({1, 7}, {1, 9}, {1, REGION + 1}), 2, FL_CAUSE_QUIET,
                   LIST({1, 9}, {1, REGION + 1}));
    check_scavenge("part of a run, from its end", LIST({8, 2}), 3, FL_CAUSE_QUIET, LIST({3, 7}));
    check_scavenge("a run to a word's edge", LIST({EDGE, 0}), EDGE, FL_CAUSE_QUIET, LIST({EDGE, 0}));
    check_scavenge("a run over a word's edge", LIST({4, EDGE - 2}), 4, FL_CAUSE_QUIET, LIST({4, EDGE - 2}));
    check_scavenge("a vacant chunk before a higher page", LIST({REGION, REGION}, {1, 3 * REGION + 5}), REGION,
                   FL_CAUSE_QUIET, LIST({REGION, REGION}));
    check_scavenge("a dense chunk is left alone", LIST({1, 5}, {REGION / 2, REGION}), REGION, FL_CAUSE_GOAL,
                   LIST({REGION / 2, REGION}));
    check_scavenge("but not when all must go", LIST({1, 5}), REGION, FL_CAUSE_LIMIT, LIST({1, 5}));
    check_scavenge("nothing wanted", LIST({5, 5}), 0, FL_CAUSE_QUIET, LIST({0, 0}));
}

static void pages_sim_nothing_twice(void) {
    bool zeroed;
    start();
    char *v = fl_grant(&arena, 8 * GRAIN, 1, FL_FILLED_PERHAPS, &zeroed);
    CHECK(zeroed);
    sim_touch(&sys, v, 8 * GRAIN);
    fl_pages_return(&arena, v, 8 * GRAIN);
    CHECK_EQUAL(scavenge(&arena, 4 * GRAIN, FL_CAUSE_LIMIT), 4 * GRAIN);
    CHECK(fl_grant(&arena, 8 * GRAIN, 1, FL_FILLED_PERHAPS, &zeroed) == v &&
          !zeroed); /* half of it is as it was left */
    fl_pages_return(&arena, v, 8 * GRAIN);
    CHECK_EQUAL(scavenge(&arena, SIZE_MAX, FL_CAUSE_LIMIT), 8 * GRAIN);
    CHECK_EQUAL(scavenge(&arena, SIZE_MAX, FL_CAUSE_LIMIT), 0);
    CHECK(fl_grant(&arena, 8 * GRAIN, 1, FL_FILLED_PERHAPS, &zeroed) == v && zeroed);
    end();
    start_with((osmem_sim_config){.dirty_after_unused = true});
    v = fl_grant(&arena, 8 * GRAIN, 1, FL_FILLED_PERHAPS, &zeroed);
    CHECK(!zeroed);
    end();
}

/* A region with nothing in it goes back to the window, and its addresses to the system; others stay. */
static void pages_sim_empty_regions_leave(void) {
    start();
    char *a = grant(1), *b = grant(16 * REGION), *c = grant(1);
    CHECK(a && b && c);
    size_t before = osmem_sim_read(sys.sim).accessible_bytes;
    CHECK(before >= FL_REGION_BYTES);
    fl_pages_return(&arena, b, 16 * REGION * GRAIN);
    while (scavenge(&arena, SIZE_MAX, FL_CAUSE_LIMIT))
        ;
    CHECK_EQUAL(osmem_sim_read(sys.sim).accessible_bytes, before); /* it is about to grow again */
    b = grant(16 * REGION);
    fl_pages_return(&arena, b, 16 * REGION * GRAIN);
    fl_pages_return(&arena, c, GRAIN);
    while (scavenge(&arena, SIZE_MAX, FL_CAUSE_QUIET))
        ;
    CHECK_EQUAL(osmem_sim_read(sys.sim).accessible_bytes, FL_REGION_BYTES);
    CHECK_EQUAL(sim_resident_pages(&sys, a, FL_REGION_PAGES), GRAIN);
    CHECK(grant(20 * REGION));
    end();
}

/* Refusals of every call, one after the other, in a run of everything: nothing is lost by any. */
static void pages_sim_refusals_lose_nothing(void) {
    static const osmem_sim_call calls[] = {OSMEM_SIM_RESERVE, OSMEM_SIM_MAP, OSMEM_SIM_USED, OSMEM_SIM_UNUSED,
                                           OSMEM_SIM_FREE};
    for (size_t call = 0; call < sizeof calls / sizeof calls[0]; call++)
        for (uint64_t nth = 1; nth <= 4; nth++) {
            start();
            char *kept = grant(REGION + 3);
            sim_touch(&sys, kept, (REGION + 3) * GRAIN);
            osmem_sim_fail(sys.sim, calls[call], nth, OSMEM_NOMEM, 1);
            size_t granted = 0;
            for (int i = 0; i < 6; i++)
                if (grant(REGION)) /* stays */
                    granted += REGION * GRAIN;
            char *v = grant(9 * REGION);
            if (v)
                fl_pages_return(&arena, v, 9 * REGION * GRAIN);
            while (scavenge(&arena, SIZE_MAX, FL_CAUSE_QUIET))
                ;
            osmem_sim_fail(sys.sim, OSMEM_SIM_ANY, 0, OSMEM_OK, 0);
            while (scavenge(&arena, SIZE_MAX, FL_CAUSE_QUIET))
                ;
            granted += (REGION + 3) * GRAIN;
            CHECK_EQUAL(osmem_sim_read(sys.sim).resident_bytes, granted << FL_PAGE_SHIFT);
            CHECK_EQUAL(osmem_stat_read(&arena.stat, NULL).ready, granted << FL_PAGE_SHIFT);
            CHECK(grant(9 * REGION));
            end();
        }
}

/* Somebody else sits in the way: its chunks are left out, and not asked for again. */
static void pages_sim_somebody_else_sits_there(void) {
    if (windows)
        return; /* nobody can: a region is one reservation */
    start();
    char *a = grant(REGION);
    char *in_the_way = a + 2 * FL_REGION_BYTES;
    osmem_request request = {.hint = sim_in(&sys, in_the_way),
                             .bytes = FL_REGION_BYTES,
                             .alignment = os_page_bytes,
                             .exactly = true};
    osmem_reservation theirs;
    CHECK_EQUAL(sys.inner->reserve(sys.inner->context, &request, &theirs), OSMEM_OK);
    char *b = grant(REGION + 1); /* would need that one */
    CHECK(b == a + 3 * FL_REGION_BYTES);
    CHECK(grant(REGION) == a + FL_REGION_BYTES);
    fl_pagearena_end(&arena);
    CHECK_EQUAL(sys.inner->free(sys.inner->context, theirs.start, FL_REGION_BYTES), OSMEM_OK);
    sim_end(&sys);
}

/* Random grants, returns and scavenging: what is granted is resident, what was scavenged is not, no page is
 * granted twice, and the ledger is the sim's own record. */
static void pages_sim_random(void) {
    enum { LIVE = 100 };
    struct {
        char *start;
        size_t grains;
    } live[LIVE] = {{0}};
    uint64_t random = seed;
    start();
    size_t used = 0;
    for (int step = 0; step < 4000; step++) {
        size_t k = check_random(&random) % LIVE;
        if (live[k].start) {
            CHECK_EQUAL(sim_resident_pages(&sys, live[k].start, live[k].grains * GRAIN),
                        live[k].grains * GRAIN);
            fl_pages_return(&arena, live[k].start, live[k].grains * GRAIN);
            used -= live[k].grains * GRAIN;
            live[k].start = NULL;
        } else {
            live[k].grains = 1 + check_random(&random) % (step % 40 ? 60 : 2000);
            live[k].start = grant(live[k].grains);
            CHECK(live[k].start);
            used += live[k].grains * GRAIN;
        }
        if (step % 16 == 0)
            scavenge(&arena, check_random(&random) % 900, (fl_cause)(check_random(&random) % FL_CAUSE_COUNT));
        osmem_sim_figures truth = osmem_sim_read(sys.sim);
        osmem_bytes ledger = osmem_stat_read(&arena.stat, NULL);
        CHECK_EQUAL(ledger.ready, truth.resident_bytes);
        CHECK_EQUAL(ledger.ready + ledger.prepared, truth.accessible_bytes);
        CHECK_EQUAL(arena.used_pages, used);
    }
    end();
}

/* Threads that grant and return, one that scavenges: nobody loses a page in use. */
static _Atomic bool stop;

static void *scavenge_all_the_time(void *unused) {
    (void)unused;
    while (!atomic_load(&stop))
        scavenge(&arena, 200, FL_CAUSE_QUIET);
    return NULL;
}

static void *grant_and_return(void *argument) {
    uint64_t random = (uint64_t)(uintptr_t)argument;
    for (int i = 0; i < 4000; i++) {
        size_t grains = 1 + check_random(&random) % 20;
        char *v = grant(grains);
        CHECK(v);
        CHECK_EQUAL(sim_resident_pages(&sys, v, grains * GRAIN), grains * GRAIN);
        fl_pages_return(&arena, v, grains * GRAIN);
    }
    return NULL;
}

static void pages_sim_find_and_mark_race(void) {
    pthread_t threads[3], scavenger;
    start();
    atomic_store(&stop, false);
    CHECK_EQUAL(pthread_create(&scavenger, NULL, scavenge_all_the_time, NULL), 0);
    for (uintptr_t i = 0; i < 3; i++)
        CHECK_EQUAL(pthread_create(&threads[i], NULL, grant_and_return, (void *)(seed + i)), 0);
    for (int i = 0; i < 3; i++)
        CHECK_EQUAL(pthread_join(threads[i], NULL), 0);
    atomic_store(&stop, true);
    CHECK_EQUAL(pthread_join(scavenger, NULL), 0);
    while (scavenge(&arena, SIZE_MAX, FL_CAUSE_LIMIT))
        ;
    CHECK_EQUAL(osmem_sim_read(sys.sim).resident_bytes, 0);
    end();
}

int main(int argc, char **argv) {
    static const size_t sizes[] = {4096, 16384, 65536};
    seed = check_seed(argc, argv);
    CHECK(fl_window_init());
    sim_skip_unless_possible();
    for (size_t i = 0; i < 6; i++) {
        os_page_bytes = sizes[i % 3];
        windows = i >= 3;
        printf("OS pages of %zu bytes%s\n", os_page_bytes, windows ? ", reservations apart" : "");
        RUN(pages_sim_where_grants_lie);
        RUN(pages_sim_exhaust);
        RUN(pages_sim_what_is_scavenged);
        RUN(pages_sim_nothing_twice);
        RUN(pages_sim_empty_regions_leave);
        RUN(pages_sim_refusals_lose_nothing);
        RUN(pages_sim_somebody_else_sits_there);
        RUN(pages_sim_random);
        RUN(pages_sim_find_and_mark_race);
    }
    return 0;
}
