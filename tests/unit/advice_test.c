/* SPDX-License-Identifier: MIT */
/*
 * Advice against huge pages where the system makes them by itself, on a simulated system: which regions get it, when it is
 * taken back, and how many have it at most. The link puts the answer below in the system's place (meson.build).
 */
#include <string.h>

#include "../lib/one_batch.h"
#include "../lib/sim_arena.h"

bool __wrap_fl_system_huge_pages_always(void);
bool __wrap_fl_system_huge_pages_always(void) {
    return true;
}

static sim_system sys;
static fl_arena arena;

/* What the system was told. */
static size_t against, again;

static osmem_result count_against(void *context, void *start, size_t bytes) {
    against++;
    return sim_no_huge_page(context, start, bytes);
}

static osmem_result count_again(void *context, void *start, size_t bytes) {
    CHECK_EQUAL(bytes, FL_REGION_BYTES);
    again++;
    return sim_huge_page(context, start, bytes);
}

static void start(void) {
    against = again = 0;
    sim_start(&sys,
              &(osmem_sim_config){.huge_page_bytes = (size_t)2 << 20, .address_bytes = (size_t)1 << 44});
    sys.backend.no_huge_page = count_against;
    sys.backend.huge_page = count_again;
    fl_arena_init(&arena, "advised", &sys.backend, NULL);
    osmem_stat_check(&arena.stat);
}

static void end(void) {
    fl_arena_end(&arena);
    sim_end(&sys);
}

static char *grant(size_t pages) {
    bool zeroed;
    char *start = fl_grant(&arena, pages, 1, &zeroed);
    CHECK(start);
    return start;
}

static void give_back(void) {
    while (scavenge(&arena, SIZE_MAX, FL_CAUSE_REQUEST))
        ;
}

#define HALF (FL_REGION_PAGES / 2)

/* A small arena wants none, to the end of the region in which it stops to be small; steps of growth end there. */
static void advice_ends_with_the_small_arena(void) {
    start();
    CHECK(fl_region_of(grant(1))->small);
    for (int i = 0; i < 12; i++) {
        const fl_region *last = fl_region_of(grant(FL_REGION_PAGES) + FL_REGION_BYTES - FL_PAGE_BYTES);
        CHECK(i < 5 || i > 8 ? last->small == (i < 5) : true); /* 32 MiB of mappings lie somewhere between */
    }
    end();
}

static void advice_is_taken_back_when_dense(void) {
    start();
    char *large = grant(16 * FL_REGION_PAGES), *upper = large + 4 * FL_REGION_BYTES;
    CHECK_EQUAL(against, 0); /* not a small arena */
    for (size_t round = 1; round <= 3; round++) {
        fl_pages_return(&arena, upper, HALF);
        give_back();
        CHECK_EQUAL(against, round);
        CHECK(grant(HALF - FL_REGION_PAGES / 16) == upper);
        CHECK_EQUAL(again, round - 1);
        CHECK(grant(FL_REGION_PAGES / 32)); /* now it is */
        CHECK_EQUAL(again, round);
        CHECK(grant(FL_REGION_PAGES / 32));
        CHECK_EQUAL(again, round);
    }
    end();
}

/* What has gone inside of granted pages does not make them dense by being granted. */
static void advice_stays_where_slabs_were_purged(void) {
    start();
    char *large = grant(16 * FL_REGION_PAGES);
    osmem_range part = {large, FL_PAGE_BYTES};
    fl_workspace workspace;
    fl_lock_take(&arena.upkeep.lock);
    arena.upkeep.workspace = &workspace;
    CHECK_EQUAL(osmem_unused(part.start, part.bytes, &arena.stat), OSMEM_OK);
    fl_arena_given(&arena, FL_CAUSE_QUIET, &part, 1, 0);
    arena.upkeep.workspace = NULL;
    fl_lock_drop(&arena.upkeep.lock);
    CHECK_EQUAL(against, 1);
    fl_pages_return(&arena, large + FL_PAGE_BYTES, HALF);
    CHECK(grant(HALF) == large + FL_PAGE_BYTES);
    CHECK_EQUAL(again, 0);
    CHECK_EQUAL(osmem_used(part.start, part.bytes, part.bytes, &arena.stat), OSMEM_OK);
    end();
}

static void advice_is_bounded(void) {
    enum { REGIONS = 5000, BOUND = 4096 };
    for (int round = 0; round < 2; round++) { /* what has gone does not count */
        start();
        char *large = grant(REGIONS * FL_REGION_PAGES);
        against = again = 0;
        for (size_t i = 0; i < REGIONS; i++)
            fl_pages_return(&arena, large + i * FL_REGION_BYTES, HALF);
        give_back();
        CHECK_EQUAL(against, BOUND);
        for (size_t i = 0; i < REGIONS; i++)
            CHECK(grant(HALF));
        CHECK_EQUAL(again, BOUND);
        end();
    }
}

int main(void) {
    CHECK(fl_window_init());
    sim_skip_unless_possible();
    RUN(advice_ends_with_the_small_arena);
    RUN(advice_is_taken_back_when_dense);
    RUN(advice_stays_where_slabs_were_purged);
    RUN(advice_is_bounded);
    return 0;
}
