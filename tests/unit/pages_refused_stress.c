/* SPDX-License-Identifier: MIT */
/*
 * Threads that grant, grow, return, give back and end arenas of pages on a system that refuses at random, in
 * every way that it may: no memory, taken, kept (half of it gone), lost, not freed. Contents stay, what is
 * said to be zero is, and in the end the arena's books, the ledger and what is left agree. Usage:
 * pages_refused_stress [SECONDS [SEED]]
 */
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "../../src/arena/charge.h"
#include "../../src/arena/grant.h"
#include "../../src/arena/limits.h"
#include "../../src/arena/pages.h"
#include "../../src/arena/regions.h"
#include "../../src/arena/scavenger.h"
#include "../lib/check.h"
#include "../lib/one_batch.h"

enum rules { USUAL, NEVER_FREES, APART, DIRTY, RULES };

static const osmem_backend *native;
static osmem_backend moody_by_rules[RULES]; /* what one kept, another must not find */
#define moody moody_by_rules[rules]
static enum rules rules;
static _Atomic bool refuses, stop;
static _Atomic unsigned long steps, refusals;
static fl_pagearena shared[2];
static uint64_t seed;
static _Thread_local uint64_t random_state;

static size_t below(size_t bound) {
    return check_random(&random_state) % bound;
}

static bool one_in(size_t n) {
    return atomic_load_explicit(&refuses, memory_order_relaxed) && below(n) == 0;
}

static void moody_traits(void *context, osmem_traits *out) {
    native->traits(context, out);
    out->never_frees = rules == NEVER_FREES;
    out->reservations_apart = rules == APART;
    out->zero_after_unused = rules != DIRTY;
}

static osmem_result moody_reserve(void *context, const osmem_request *request, osmem_reservation *out) {
    if (one_in(16))
        return below(2) ? OSMEM_NOMEM : OSMEM_TAKEN;
    return native->reserve(context, request, out);
}

static osmem_result moody_map(void *context, void *start, size_t bytes) {
    return one_in(8) ? OSMEM_NOMEM : native->map(context, start, bytes);
}

static osmem_result moody_used(void *context, void *start, size_t bytes) {
    return one_in(32) ? OSMEM_NOMEM : native->used(context, start, bytes);
}

static osmem_result moody_unused(void *context, const osmem_range *ranges, size_t count, size_t *done) {
    for (*done = 0; *done < count; ++*done) {
        const osmem_range *range = &ranges[*done];
        size_t ignored;
        if (one_in(8))
            return OSMEM_NOMEM;
        if (one_in(8)) {
            osmem_range half = {range->start, range->bytes / 2 & ~(osmem_os_page_bytes() - 1)};
            if (half.bytes)
                CHECK_EQUAL(native->unused(context, &half, 1, &ignored), OSMEM_OK);
            return OSMEM_KEPT;
        }
        CHECK_EQUAL(native->unused(context, range, 1, &ignored), OSMEM_OK);
    }
    return OSMEM_OK;
}

static osmem_result moody_unmap(void *context, void *start, size_t bytes) {
    if (one_in(4))
        return OSMEM_NOMEM;
    if (rules == USUAL && one_in(4))
        return native->free(context, start, bytes) == OSMEM_OK ? OSMEM_LOST : OSMEM_NOMEM;
    return native->unmap(context, start, bytes);
}

static osmem_result moody_free(void *context, void *start, size_t bytes) {
    if (rules == NEVER_FREES)
        return OSMEM_KEPT;
    return one_in(4) ? OSMEM_NOMEM : native->free(context, start, bytes);
}

#define RUNS 48

/* A run of pages, with its number and a mark at both ends of each. */
typedef struct run {
    fl_pagearena *arena;
    char *start;
    size_t pages;
    uint64_t mark;
} run;

static uint64_t *at_page(const run *it, size_t page, bool end) {
    return (uint64_t *)(it->start + (page << FL_PAGE_SHIFT) + (end ? FL_PAGE_BYTES - 8 : 0));
}

static void fill(const run *it, size_t from) {
    for (size_t page = from; page < it->pages; page++) {
        *at_page(it, page, false) = it->mark + page;
        *at_page(it, page, true) = it->mark ^ page;
    }
}

static void verify(const run *it) {
    for (size_t page = 0; page < it->pages; page++) {
        CHECK_EQUAL(*at_page(it, page, false), it->mark + page);
        CHECK_EQUAL(*at_page(it, page, true), it->mark ^ page);
    }
}

static void get(run *it, fl_pagearena *arena) {
    bool zeroed = false;
    size_t grain = fl_the_window.grain_pages;
    it->pages = (below(8) ? below(200) + 1 : below(3000) + 1) * grain;
    it->start = fl_grant(arena, it->pages, below(8) ? 1 : (size_t)1 << below(9), FL_FILLED_PERHAPS, &zeroed);
    if (!it->start) {
        atomic_fetch_add(&refusals, 1);
        return;
    }
    for (size_t page = 0; zeroed && page < it->pages; page++)
        CHECK(*at_page(it, page, false) == 0 && *at_page(it, page, true) == 0);
    it->arena = arena;
    it->mark = check_random(&random_state) << 20;
    fill(it, 0);
}

static void let_go(run *it, bool empty) {
    verify(it);
    (empty ? fl_pages_return_empty : fl_pages_return)(it->arena, it->start, it->pages);
    it->start = NULL;
}

static void grow(run *it) {
    size_t before = it->pages, more = (below(300) + 1) * fl_the_window.grain_pages;
    if (fl_pages_extend(it->arena, it->start, it->pages, more)) {
        it->pages += more;
        fill(it, before);
    }
    verify(it);
}

static void halve(run *it) {
    size_t keep = it->pages / 2 / fl_the_window.grain_pages * fl_the_window.grain_pages;
    if (keep == 0)
        return;
    fl_pages_return(it->arena, it->start + (keep << FL_PAGE_SHIFT), it->pages - keep);
    it->pages = keep;
    verify(it);
}

/* The thread's own arena begins, or ends with all that is in it. */
static void begin_or_end(fl_pagearena *own, bool *is_there, run *runs) {
    if (!*is_there) {
        fl_pagearena_init(own, "own", &moody, &fl_stat_process);
        if (below(2))
            fl_limits_set(own, 0, (size_t)2000 << FL_PAGE_SHIFT);
        *is_there = true;
        return;
    }
    for (size_t i = 0; i < RUNS; i++)
        if (runs[i].start && runs[i].arena == own) {
            verify(&runs[i]);
            runs[i].start = NULL;
        }
    if (below(2)) {
        fl_pages_return_all(own);
        return;
    }
    fl_pagearena_end(own);
    osmem_bytes left = osmem_stat_read(&own->stat, NULL);
    CHECK_EQUAL(left.reserved + left.prepared + left.ready, 0);
    *is_there = false;
}

static void *work(void *number) {
    static const fl_cause causes[] = {FL_CAUSE_GOAL, FL_CAUSE_QUIET, FL_CAUSE_LIMIT, FL_CAUSE_REQUEST};
    run runs[RUNS] = {{0}};
    fl_pagearena own;
    bool is_there = false;
    random_state = seed + (uintptr_t)number;
    while (!atomic_load(&stop)) {
        run *it = &runs[below(RUNS)];
        fl_pagearena *arena = &shared[below(2)];
        atomic_fetch_add(&steps, 1);
        switch (below(12)) {
        case 0 ... 4:
            if (it->start)
                let_go(it, false);
            else
                get(it, is_there && below(3) == 0 ? &own : arena);
            break;
        case 5 ... 6:
            if (it->start)
                grow(it);
            break;
        case 7:
            if (it->start)
                halve(it);
            break;
        case 8:
            if (it->start)
                let_go(it, true);
            break;
        case 9:
            scavenge(arena, below(2000) + 1, causes[below(4)]);
            break;
        case 10:
            if (below(8) == 0)
                begin_or_end(&own, &is_there, runs);
            break;
        default:
            if (below(16) == 0) {
                fl_lock_take(&arena->lock);
                fl_regions_unmap_spare(arena);
                fl_lock_drop(&arena->lock);
            } else if (below(16) == 0)
                fl_pages_forget_kept(arena);
        }
    }
    for (size_t i = 0; i < RUNS; i++)
        if (runs[i].start)
            let_go(&runs[i], false);
    if (is_there)
        fl_pagearena_end(&own);
    return NULL;
}

/* All that was granted has been returned. */
static void books_agree(fl_pagearena *arena) {
    size_t mapped = 0;
    fl_pages_forget_kept(arena);
    for (const fl_region *region = arena->regions; region; region = region->next)
        mapped += (size_t)__builtin_popcount(region->mapped);
    CHECK_EQUAL(arena->used_pages, 0);
    CHECK_EQUAL(arena->leaving_pages, 0);
    CHECK_EQUAL(arena->kept_pages, 0);
    CHECK_EQUAL(arena->ready_pages, osmem_stat_read(&arena->stat, NULL).ready >> FL_PAGE_SHIFT);
    CHECK_EQUAL(arena->chunks_mapped, mapped);
    fl_upkeep_leave(&arena->upkeep);
    fl_pagearena_end(arena);
    osmem_bytes left = osmem_stat_read(&arena->stat, NULL);
    CHECK_EQUAL(left.reserved + left.prepared + left.ready, 0);
}

static void run_under(double seconds) {
    enum { THREADS = 3 };
    pthread_t threads[THREADS];
    struct timespec duration = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};
    atomic_store(&stop, false);
    atomic_store(&refuses, true);
    for (int i = 0; i < 2; i++) {
        fl_pagearena_init(&shared[i], "shared", &moody, &fl_stat_process);
        CHECK(fl_upkeep_join(&shared[i].upkeep));
    }
    for (uintptr_t i = 0; i < THREADS; i++)
        CHECK_EQUAL(pthread_create(&threads[i], NULL, work, (void *)(i + 1)), 0);
    nanosleep(&duration, NULL);
    atomic_store(&stop, true);
    for (int i = 0; i < THREADS; i++)
        CHECK_EQUAL(pthread_join(threads[i], NULL), 0);
    atomic_store(&refuses, false);
    books_agree(&shared[0]);
    books_agree(&shared[1]);
    CHECK_EQUAL(atomic_load(&fl_process_ready_bytes), 0);
}

int main(int argc, char **argv) {
    static const char *const names[] = {"usual", "never_frees", "apart", "dirty"};
    double seconds = argc > 1 ? atof(argv[1]) : 1;
    seed = check_seed(argc - 1, argv + 1);
    CHECK(fl_window_init());
    native = osmem_backend_system();
    for (int i = 0; i < RULES; i++) {
        rules = (enum rules)i;
        moody = *native;
        moody.traits = moody_traits;
        moody.reserve = moody_reserve;
        moody.map = moody_map;
        moody.used = moody_used;
        moody.unused = moody_unused;
        moody.unmap = moody_unmap;
        moody.free = moody_free;
        run_under(seconds);
        printf("ok pages_refused_%s\n", names[i]);
        fflush(stdout);
    }
    printf("%lu steps, %lu grants refused\n", atomic_load(&steps), atomic_load(&refusals));
    return 0;
}
