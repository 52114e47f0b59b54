/* SPDX-License-Identifier: MIT */
/*
 * Advice on huge pages, on a simulated system that makes them by itself: which regions are to have none,
 * which are to have them, when that changes, and how many regions are advised at most. The link puts the
 * answer below in the system's place (meson.build).
 */
#include <string.h>

#include "../lib/one_batch.h"
#include "../lib/sim_arena.h"

bool __wrap_fl_system_huge_pages_always(void);
bool __wrap_fl_system_huge_pages_always(void) {
    return true;
}

static sim_system sys;
static fl_pagearena arena;

/* What the system was told. */
static size_t against, again, split;

static osmem_result count_against(void *context, void *start, size_t bytes) {
    against++;
    return sim_no_huge_page(context, start, bytes);
}

static osmem_result count_again(void *context, void *start, size_t bytes) {
    CHECK_EQUAL((uintptr_t)start % FL_REGION_BYTES, 0);
    CHECK_EQUAL(bytes % FL_REGION_BYTES, 0);
    again += bytes / FL_REGION_BYTES;
    return sim_huge_page(context, start, bytes);
}

static osmem_result count_split(void *context, void *start, size_t bytes) {
    (void)context, (void)start, (void)bytes;
    split++;
    return OSMEM_OK;
}

static void start(void) {
    against = again = split = 0;
    sim_start(&sys,
              &(osmem_sim_config){.huge_page_bytes = (size_t)2 << 20, .address_bytes = (size_t)1 << 44});
    sys.backend.no_huge_page = count_against;
    sys.backend.huge_page = count_again;
    sys.backend.split = count_split;
    fl_pagearena_init(&arena, "advised", &sys.backend, NULL);
    osmem_stat_check(&arena.stat);
}

static void end(void) {
    fl_pagearena_end(&arena);
    sim_end(&sys);
}

static char *grant_for(size_t pages, fl_how how) {
    bool zeroed;
    char *start = fl_grant(&arena, pages, 1, how, &zeroed);
    CHECK(start);
    return start;
}

static char *grant(size_t pages) {
    return grant_for(pages, FL_FILLED_PERHAPS);
}

static size_t ready_bytes(void) {
    return osmem_stat_read(&arena.stat, NULL).ready;
}

static void give_back(void) {
    while (scavenge(&arena, SIZE_MAX, FL_CAUSE_REQUEST))
        ;
}

#define HALF (FL_REGION_PAGES / 2)

/* A small arena wants none, to the end of the region in which it stops to be small; steps of growth end
 * there. */
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
    fl_pagearena_given(&arena, FL_CAUSE_QUIET, &part, 1, 0);
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

#define HUGE_BYTES ((size_t)2 << 20)
#define SMALL_BYTES ((size_t)32 << 20)
#define ENOUGH_BYTES ((size_t)16 << 20)

/* An arena that is large enough to ask, and has no room in what is mapped. */
static char *start_large(void) {
    start();
    char *large = grant(SMALL_BYTES >> FL_PAGE_SHIFT);
    while (fl_region_of(grant(FL_CHUNK_PAGES))->mapped != FL_CHUNKS_ALL || ready_bytes() % FL_REGION_BYTES)
        ;
    arena.filled_bytes = ENOUGH_BYTES; /* the floor above says so */
    against = again = 0;
    return large;
}

static void asked_for_where_a_large_arena_grows_for_what_is_filled(void) {
    start();
    grant_for(2 * SMALL_BYTES >> FL_PAGE_SHIFT, FL_FILLED);
    CHECK_EQUAL(again, 0); /* granted, but not filled */
    end();
    start_large();
    arena.filled_bytes--;
    grant_for(1, FL_FILLED);
    CHECK_EQUAL(again, 0);
    end();
    start_large();
    grant(1);
    CHECK_EQUAL(again, 0); /* that may stay empty */
    end();
    start_large();
    size_t before = ready_bytes();
    char *first = grant_for(1, FL_FILLED);
    CHECK_EQUAL(again, 1);
    CHECK_EQUAL(against, 0);
    CHECK_EQUAL(ready_bytes() - before, HUGE_BYTES); /* as much as the first touch makes resident */
    for (size_t pages = 1; pages < HUGE_BYTES >> FL_PAGE_SHIFT; pages++)
        CHECK(grant_for(1, FL_FILLED) == first + (pages << FL_PAGE_SHIFT));
    CHECK_EQUAL(ready_bytes() - before, HUGE_BYTES);
    grant(1); /* whatever it is for: it lies in a huge page */
    CHECK_EQUAL(ready_bytes() - before, 2 * HUGE_BYTES);
    end();
}

/* What is mapped ends in the middle of a region, which is not asked for any more; those behind it are. */
static void asked_for_behind_what_was_not(void) {
    start_large();
    grant(FL_REGION_PAGES + FL_CHUNK_PAGES);
    for (size_t pages = 0; pages < 3 * FL_REGION_PAGES; pages += FL_CHUNK_PAGES)
        grant_for(FL_CHUNK_PAGES, FL_FILLED);
    CHECK_EQUAL(again, 3);
    end();
    start_large();
    grant(FL_REGION_PAGES + FL_CHUNK_PAGES);
    grant_for(3 * FL_REGION_PAGES, FL_FILLED);
    CHECK_EQUAL(again, 3);
    end();
}

static void asked_for_no_more_where_part_has_gone(void) {
    start_large();
    char *first = grant_for(1, FL_FILLED);
    size_t before = ready_bytes();
    give_back();
    CHECK_EQUAL(before - ready_bytes(), HUGE_BYTES - FL_PAGE_BYTES);
    CHECK_EQUAL(against, 1);
    CHECK_EQUAL(split, 1);
    fl_pages_return(&arena, first, 1);
    CHECK(grant_for(2, FL_FILLED) == first);
    fl_pages_return(&arena, first, 2);
    CHECK(grant_for(1, FL_FILLED) == first);
    give_back();
    CHECK_EQUAL(split, 1); /* once is enough */
    CHECK(grant_for(1, FL_FILLED) == first + FL_PAGE_BYTES);
    CHECK_EQUAL(before - ready_bytes(), HUGE_BYTES - 2 * FL_PAGE_BYTES); /* and not a huge page again */
    end();
}

static void asked_for_again_where_all_has_gone(void) {
    start_large();
    char *first = grant_for(FL_REGION_PAGES, FL_FILLED);
    CHECK_EQUAL(again, 1);
    fl_pages_return(&arena, first, FL_REGION_PAGES);
    /* Not all at once, and not so that the region leaves. */
    scavenge(&arena, FL_REGION_PAGES / 2, FL_CAUSE_GOAL);
    CHECK_EQUAL(against, 1);
    scavenge(&arena, FL_REGION_PAGES, FL_CAUSE_GOAL);
    CHECK(fl_region_of(first)->small);
    size_t before = ready_bytes();
    CHECK(grant(1) == first);
    CHECK_EQUAL(ready_bytes() - before, FL_PAGE_BYTES);
    fl_pages_return(&arena, first, 1);
    scavenge(&arena, 1, FL_CAUSE_GOAL);
    CHECK(grant_for(1, FL_FILLED) == first);
    CHECK_EQUAL(again, 2);
    CHECK_EQUAL(ready_bytes() - before, HUGE_BYTES);
    end();
}

/* What may stay empty, and has a whole huge page that nobody has touched: granted, or grown into. */
static void asked_for_no_more_where_blocks_may_stay_empty(void) {
    start_large();
    char *first = grant_for(1, FL_FILLED);
    CHECK(grant(1) == first + FL_PAGE_BYTES);
    CHECK_EQUAL(against, 0); /* it has no whole one */
    CHECK(grant(FL_REGION_PAGES - 2) == first + 2 * FL_PAGE_BYTES);
    CHECK_EQUAL(against, 1);
    CHECK_EQUAL(again, 1); /* though the region looks dense */
    end();
    start_large();
    first = grant_for(1, FL_FILLED);
    char *block = grant(1);
    CHECK(block == first + FL_PAGE_BYTES && fl_pages_extend(&arena, block, 1, FL_REGION_PAGES - 2));
    CHECK_EQUAL(against, 1);
    CHECK_EQUAL(again, 1);
    end();
}

static void asked_for_within_limits(void) {
    start_large();
    fl_limits_set(&arena, 0, ready_bytes() + 3 * FL_PAGE_BYTES);
    size_t before = ready_bytes();
    grant_for(1, FL_FILLED);
    CHECK_EQUAL(ready_bytes() - before, FL_PAGE_BYTES);
    end();
}

static void asked_for_by_few_rows(void) {
    enum { ROWS = 5000, BOUND = 4096 };
    start_large();
    for (size_t i = 0; i < ROWS; i++) {
        grant_for(FL_REGION_PAGES, FL_FILLED);
        grant(FL_REGION_PAGES); /* each row is of one region */
    }
    CHECK_EQUAL(again, BOUND);
    end();
}

int main(void) {
    CHECK(fl_window_init());
    sim_skip_unless_possible();
    RUN(advice_ends_with_the_small_arena);
    RUN(advice_is_taken_back_when_dense);
    RUN(advice_stays_where_slabs_were_purged);
    RUN(advice_is_bounded);
    RUN(asked_for_where_a_large_arena_grows_for_what_is_filled);
    RUN(asked_for_behind_what_was_not);
    RUN(asked_for_no_more_where_part_has_gone);
    RUN(asked_for_again_where_all_has_gone);
    RUN(asked_for_no_more_where_blocks_may_stay_empty);
    RUN(asked_for_within_limits);
    RUN(asked_for_by_few_rows);
    return 0;
}
