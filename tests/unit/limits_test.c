/* SPDX-License-Identifier: MIT */
/*
 * Limits of an arena and of the process: idle memory goes first, then the shedder is asked, then the request
 * fails and nothing is lost. On simulated systems, so that what is resident is the sim's word.
 */
#include <string.h>

#include "../../src/arena/charge.h"
#include "../../src/arena/pages.h"
#include "../../src/arena/scarce.h"
#include "../../src/arena/scavenger.h"
#include "../../src/arena/shed.h"
#include "../lib/sim_arena.h"

#define MIB ((size_t)1 << 20)
#define MIB_PAGES (MIB >> FL_PAGE_SHIFT)

static sim_system sys;
static fl_pagearena one, two;

static void start(osmem_sim_config config) {
    config.address_bytes = (size_t)1 << 44;
    sim_start(&sys, &config);
    fl_pagearena_init(&one, "one", &sys.backend, NULL);
    fl_pagearena_init(&two, "two", &sys.backend, NULL);
    CHECK(fl_upkeep_join(&one.upkeep));
    CHECK(fl_upkeep_join(&two.upkeep));
}

static void end(void) {
    fl_upkeep_leave(&one.upkeep);
    fl_upkeep_leave(&two.upkeep);
    fl_pagearena_end(&one);
    fl_pagearena_end(&two);
    fl_limits_set_process_soft(0);
    fl_limits_set_process_hard(0);
    sim_end(&sys);
}

static char *grant(fl_pagearena *arena, size_t mib) {
    bool zeroed;
    char *v = fl_grant(arena, mib * MIB_PAGES, 1, FL_FILLED_PERHAPS, &zeroed);
    if (v)
        sim_touch(&sys, v, mib * MIB_PAGES);
    return v;
}

static void give(fl_pagearena *arena, char *v, size_t mib) {
    fl_pages_return(arena, v, mib * MIB_PAGES);
}

static size_t resident_mib(void) {
    return osmem_sim_read(sys.sim).resident_bytes / MIB;
}

static void limits_hard_of_an_arena(void) {
    start((osmem_sim_config){0});
    fl_limits_set(&one, 0, 32 * MIB);
    char *a = grant(&one, 20), *b = grant(&one, 12);
    CHECK(a && b && !grant(&one, 1));
    CHECK(grant(&two, 100)); /* the neighbour's is another limit */
    give(&one, a, 20);
    CHECK(!grant(&one, 21)); /* gave back what was idle, and it was not enough */
    CHECK(grant(&one, 5) == a);
    CHECK(grant(&one, 15));
    CHECK(!grant(&one, 1));
    CHECK_EQUAL(resident_mib(), 132);
    end();
}

/* A page is wanted of a limit under which much lies idle: a 32nd of it goes at once, so that the next pages
 * need not ask. */
static void limits_fair_share_goes_at_once(void) {
    static fl_pagearena below;
    bool zeroed;
    start((osmem_sim_config){0});
    fl_pagearena_init_below(&below, "below", &sys.backend, &one);
    CHECK(fl_upkeep_join(&below.upkeep));
    fl_limits_set(&one, 0, 32 * MIB);
    char *a = grant(&one, 24), *b = grant(&one, 8);
    CHECK(a && b);
    give(&one, b, 8);
    size_t grain = fl_the_window.grain_pages;
    CHECK(fl_grant(&below, grain, 1, FL_FILLED_PERHAPS, &zeroed));
    /* Nobody has touched the new page. */
    CHECK_EQUAL(osmem_sim_read(sys.sim).resident_bytes, 31 * MIB);
    uint64_t given = one.given_bytes[FL_CAUSE_LIMIT];
    CHECK(fl_grant(&below, grain, 1, FL_FILLED_PERHAPS, &zeroed));
    CHECK_EQUAL(one.given_bytes[FL_CAUSE_LIMIT], given);
    fl_upkeep_leave(&below.upkeep);
    fl_pagearena_end(&below);
    end();
}

static void limits_idle_elsewhere_goes_first(void) {
    start((osmem_sim_config){0});
    fl_limits_set(&one, 0, 32 * MIB);
    char *a = grant(&one, 16), *b = grant(&one, 16);
    CHECK(a && b);
    give(&one, a, 16);
    a = grant(&one, 10);
    CHECK(a);
    give(&one, b, 16); /* 10 in use, 6 + 16 idle */
    char *c = grant(&one, 22);
    CHECK(c && !grant(&one, 1));
    CHECK_EQUAL(resident_mib(), 32);
    end();
}

static void limits_hard_of_the_process(void) {
    start((osmem_sim_config){0});
    fl_limits_set_process_hard(64 * MIB);
    char *a = grant(&one, 40);
    CHECK(a && grant(&two, 24));
    CHECK(!grant(&two, 1) && !grant(&one, 1));
    give(&one, a, 40);
    CHECK(grant(&two, 30)); /* the other arena's idle memory has gone for it */
    CHECK_EQUAL(resident_mib(), 24 + 30 + 10);
    CHECK(!grant(&two, 11));
    CHECK(grant(&two, 10));
    CHECK(fl_process_ready_bytes == 64 * MIB_PAGES << FL_PAGE_SHIFT);
    end();
    CHECK(fl_process_ready_bytes == 0);
}

/* A soft limit refuses nothing; what is idle goes before the arena grows. */
static void limits_soft(void) {
    start((osmem_sim_config){0});
    fl_limits_set(&one, 32 * MIB, 0);
    char *a = grant(&one, 10), *b = grant(&one, 20);
    CHECK(a && b);
    give(&one, a, 10);
    CHECK_EQUAL(resident_mib(), 30);
    char *c = grant(&one, 20); /* does not fit where a was */
    CHECK(c);
    CHECK_EQUAL(resident_mib(), 40);
    char *d = grant(&one, 100);
    CHECK(d);
    CHECK_EQUAL(resident_mib(), 140);
    end();
    start((osmem_sim_config){0});
    fl_limits_set_process_soft(32 * MIB);
    a = grant(&one, 30);
    give(&one, a, 30);
    b = grant(&one, 31); /* one MiB of it is new, and the soft limit holds */
    CHECK(b);
    CHECK_EQUAL(resident_mib(), 31);
    give(&one, b, 31);
    c = grant(&two, 8); /* two has nothing idle: its growth is not refused; a tick looks at all */
    CHECK(c);
    fl_scavenger_tick(UINT64_C(1000000000));
    CHECK(resident_mib() <= 32);
    end();
}

/* A shedder. */
static struct {
    char *v;
    size_t mib;
    int calls;
    size_t bytes;
    bool grants_itself;
} shed;

static bool shed_some(void *context, size_t bytes) {
    fl_pagearena *arena = context;
    shed.calls++;
    shed.bytes = bytes;
    if (shed.grants_itself)
        CHECK(!grant(arena, 8)); /* fails, and does not call back */
    if (!shed.v)
        return false;
    give(arena, shed.v, shed.mib);
    shed.v = NULL;
    return true;
}

static void limits_shedder_frees_and_the_request_is_tried_again(void) {
    start((osmem_sim_config){0});
    memset(&shed, 0, sizeof shed);
    fl_limits_set(&one, 0, 32 * MIB);
    fl_shed_set(&one, shed_some, &one);
    shed.mib = 8;
    shed.v = grant(&one, 8);
    CHECK(shed.v && grant(&one, 24));
    CHECK_EQUAL(shed.calls, 0);
    shed.grants_itself = true;
    CHECK(grant(&one, 4));
    CHECK_EQUAL(shed.calls, 1);
    CHECK_EQUAL(shed.bytes, 4 * MIB);
    CHECK(grant(&one, 4));
    CHECK_EQUAL(shed.calls, 1);
    CHECK(!grant(&one, 1));
    CHECK_EQUAL(shed.calls, 2);
    CHECK_EQUAL(resident_mib(), 32);
    end();
}

static bool shed_nothing_for_ever(void *context, size_t bytes) {
    (void)bytes;
    (*(int *)context)++;
    return true;
}

static void limits_shedder_that_lies_is_asked_a_bounded_number_of_times(void) {
    int calls = 0;
    start((osmem_sim_config){0});
    fl_limits_set(&one, 0, 4 * MIB);
    fl_shed_set(&one, shed_nothing_for_ever, &calls);
    CHECK(grant(&one, 4) && !grant(&one, 1));
    CHECK(calls > 1 && calls < 100);
    end();
}

/* Strict overcommit charges what is mapped: chunks with nothing in them give their charge to who needs it. */
static void limits_strict_overcommit(void) {
    start((osmem_sim_config){.overcommit = OSMEM_SIM_STRICT, .commit_limit_bytes = 128 * MIB});
    char *a = grant(&one, 100);
    CHECK(a && !grant(&two, 100));
    CHECK(grant(&two, 20));
    give(&one, a, 100);
    char *b = grant(&two, 90); /* one's charge has come back */
    CHECK(b);
    CHECK(osmem_sim_read(sys.sim).accessible_bytes <= 128 * MIB);
    CHECK(!grant(&one, 60) && !grant(&two, 60));
    give(&two, b, 90);
    CHECK(grant(&one, 90));
    end();
    /* A page, where one arena holds all that may be charged and uses none of it. */
    bool zeroed;
    start((osmem_sim_config){.overcommit = OSMEM_SIM_STRICT, .commit_limit_bytes = 64 * MIB});
    CHECK((a = grant(&one, 64)) != NULL);
    CHECK(!fl_grant(&two, 1, 1, FL_FILLED_PERHAPS, &zeroed));
    give(&one, a, 64);
    for (int i = 0; i < 100; i++)
        CHECK(fl_grant(&two, 1, 1, FL_FILLED_PERHAPS, &zeroed));
    end();
}

/* What is Ready already is granted, also above a limit that was lowered meanwhile. */
static void limits_lowered_below_what_the_system_keeps(void) {
    bool zeroed;
    start((osmem_sim_config){0});
    char *a = grant(&one, 40);
    CHECK(a);
    osmem_sim_fail(sys.sim, OSMEM_SIM_UNUSED, 0, OSMEM_KEPT, 0);
    give(&one, a, 40);
    fl_limits_set(&one, 0, 10 * MIB);
    for (int i = 0; i < 10; i++)
        CHECK(grant(&one, 1));
    CHECK(fl_grant(&one, 1, 1, FL_FILLED_PERHAPS, &zeroed));
    osmem_sim_fail(sys.sim, OSMEM_SIM_ANY, 0, OSMEM_OK, 0);
    end();
}

/* The system says neither yes nor "no memory" (a sandbox): that is a refusal, and not asked for everywhere
 * else. */
static void limits_system_refuses_for_another_reason(void) {
    static const osmem_result results[] = {OSMEM_UNSUPPORTED, OSMEM_INVALID, OSMEM_KEPT};
    for (size_t i = 0; i < 3; i++) {
        bool zeroed;
        start((osmem_sim_config){.reservations_apart = i == 0});
        osmem_sim_fail(sys.sim, OSMEM_SIM_RESERVE, 0, results[i], 0);
        uint64_t calls = osmem_sim_read(sys.sim).calls;
        CHECK(!fl_grant(&one, 1, 1, FL_FILLED_PERHAPS, &zeroed));
        CHECK(osmem_sim_read(sys.sim).calls - calls < 100);
        osmem_sim_fail(sys.sim, OSMEM_SIM_ANY, 0, OSMEM_OK, 0);
        CHECK(fl_grant(&one, 1, 1, FL_FILLED_PERHAPS, &zeroed));
        end();
    }
}

/* Less than a chunk can be had: what is asked for is, in steps, until that is no more; and all of it comes
 * back. */
static void limits_less_than_a_chunk(void) {
    start((osmem_sim_config){.overcommit = OSMEM_SIM_STRICT, .commit_limit_bytes = 3 * MIB});
    char *v[12];
    bool zeroed;
    for (int i = 0; i < 12; i++) {
        CHECK((v[i] = fl_grant(&one, MIB_PAGES / 4, 1, FL_FILLED_PERHAPS, &zeroed)) != NULL && zeroed);
        sim_touch(&sys, v[i], MIB_PAGES / 4);
        for (int k = 0; k < i; k++)
            CHECK(v[k] != v[i]);
    }
    CHECK(!fl_grant(&one, MIB_PAGES / 4, 1, FL_FILLED_PERHAPS, &zeroed) &&
          !fl_grant(&one, 1, 1, FL_FILLED_PERHAPS, &zeroed));
    CHECK_EQUAL(osmem_sim_read(sys.sim).accessible_bytes, 3 * MIB);
    fl_pages_return(&one, v[5], MIB_PAGES / 4);
    CHECK(fl_grant(&one, MIB_PAGES / 4, 1, FL_FILLED_PERHAPS, &zeroed) == v[5]); /* what is mapped first */
    end();
}

/* No more can be mapped, but what is mapped and free is found, wherever it lies. */
static void limits_no_more_mappings_to_be_had(void) {
    start((osmem_sim_config){0});
    char *a = grant(&one, 8), *b = grant(&one, 8);
    CHECK(a && b);
    give(&one, a, 6); /* 6 MiB at the start, 48 MiB of the region not mapped */
    osmem_sim_fail(sys.sim, OSMEM_SIM_RESERVE, 0, OSMEM_NOMEM, 0);
    CHECK(grant(&one, 6) == a);
    CHECK(!grant(&one, 3));
    give(&one, b, 8);
    CHECK(grant(&one, 3) == b);
    osmem_sim_fail(sys.sim, OSMEM_SIM_ANY, 0, OSMEM_OK, 0);
    CHECK(grant(&one, 9));
    end();
    /* The lowest free run is not mapped, a higher one is. */
    bool zeroed;
    start((osmem_sim_config){0});
    CHECK(grant(&one, 1));
    char *high = fl_grant(&one, 4 * MIB_PAGES, 16 * MIB_PAGES, FL_FILLED_PERHAPS, &zeroed);
    CHECK(high && high != fl_region_start(one.regions));
    give(&one, high, 4);
    osmem_sim_fail(sys.sim, OSMEM_SIM_RESERVE, 0, OSMEM_NOMEM, 0);
    CHECK(grant(&one, 2) == high);
    osmem_sim_fail(sys.sim, OSMEM_SIM_ANY, 0, OSMEM_OK, 0);
    CHECK(grant(&one, 2) < high);
    end();
}

/* While an arena is scarce, what changes in it is noted; once it is not, nobody knows any more that nothing
 * has changed since a give-back for its limit, or for the process's, came to its end. */
static void limits_nothing_is_exhausted_that_is_not_watched(void) {
    start((osmem_sim_config){0});
    fl_limits_set(&one, 0, 8 * MIB);
    grant(&one, 4);
    fl_scarce_begin(&one);
    fl_scarce_set_exhausted(&one, true);
    fl_scarce_set_exhausted(NULL, true);
    fl_scarce_end(&one);
    CHECK(!fl_pagearena_is_scarce(&one));
    CHECK(!fl_scarce_is_exhausted(&one) && !fl_scarce_is_exhausted(NULL));
    end();
}

/* What was in somebody's hands while others looked is looked at again, but not in the same look. */
static void limits_skipped_has_changed_when_the_look_ends(void) {
    uint64_t groups;
    start((osmem_sim_config){0});
    fl_limits_set(&one, 0, 8 * MIB);
    const char *a = grant(&one, 4);
    fl_scarce_begin(&one);
    while (fl_scarce_next(&one, &groups))
        ;
    fl_scarce_set_exhausted(&one, true);
    fl_scarce_skip(&one, fl_page_of(a));
    CHECK(!fl_scarce_next(&one, &groups));
    CHECK(fl_scarce_is_exhausted(&one));
    fl_scarce_look_ends(&one);
    CHECK(!fl_scarce_is_exhausted(&one));
    CHECK(fl_scarce_next(&one, &groups) == fl_region_of(a));
    CHECK_EQUAL(groups, UINT64_C(1) << (fl_page_of(a) % FL_REGION_PAGES / FL_GROUP_PAGES));
    fl_scarce_look_ends(&one);
    CHECK(!fl_scarce_next(&one, &groups));
    end();
}

int main(void) {
    CHECK(fl_window_init());
    sim_skip_unless_possible();
    RUN(limits_hard_of_an_arena);
    RUN(limits_fair_share_goes_at_once);
    RUN(limits_idle_elsewhere_goes_first);
    RUN(limits_hard_of_the_process);
    RUN(limits_soft);
    RUN(limits_shedder_frees_and_the_request_is_tried_again);
    RUN(limits_shedder_that_lies_is_asked_a_bounded_number_of_times);
    RUN(limits_strict_overcommit);
    RUN(limits_less_than_a_chunk);
    RUN(limits_lowered_below_what_the_system_keeps);
    RUN(limits_system_refuses_for_another_reason);
    RUN(limits_no_more_mappings_to_be_had);
    RUN(limits_nothing_is_exhausted_that_is_not_watched);
    RUN(limits_skipped_has_changed_when_the_look_ends);
    return 0;
}
