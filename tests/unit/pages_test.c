/* SPDX-License-Identifier: MIT */
/* Grants of pages: where they lie, what the kernel holds for them, limits, and random runs against a
 * model. */
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../../src/arena/grant.h"
#include "../../src/arena/limits.h"
#include "../../src/arena/pages.h"
#include "../../src/arena/regions.h"
#include "../../src/system/system.h"
#include "../lib/check.h"
#include "../lib/one_batch.h"

static fl_pagearena arena;
static uint64_t seed;

static size_t resident_pages(const char *start, size_t pages) {
    size_t os_page = (size_t)sysconf(_SC_PAGESIZE), count = (pages << FL_PAGE_SHIFT) / os_page;
    unsigned char *in_core = malloc(count);
    size_t resident = 0;
    CHECK_EQUAL(mincore((void *)start, count * os_page, in_core), 0);
    for (size_t i = 0; i < count; i++)
        resident += in_core[i] & 1;
    free(in_core);
    return resident * os_page >> FL_PAGE_SHIFT;
}

static void start_arena(size_t limit_bytes) {
    fl_pagearena_init(&arena, "test", NULL, &fl_stat_process);
    CHECK(fl_upkeep_join(&arena.upkeep));
    fl_limits_set(&arena, 0, limit_bytes);
}

static void end_arena(void) {
    if (arena.upkeep.joined)
        fl_upkeep_leave(&arena.upkeep);
    fl_pagearena_end(&arena);
    osmem_bytes left = osmem_stat_read(&arena.stat, NULL);
    CHECK_EQUAL(left.reserved + left.prepared + left.ready, 0);
}

static char *grant(size_t pages, size_t alignment) {
    bool zeroed;
    return fl_grant(&arena, pages, alignment, FL_FILLED_PERHAPS, &zeroed);
}

static void pages_lowest_address_first(void) {
    start_arena(0);
    char *a = grant(3, 1), *b = grant(5, 1), *c = grant(2, 1);
    CHECK(b == a + 3 * FL_PAGE_BYTES && c == b + 5 * FL_PAGE_BYTES);
    fl_pages_return(&arena, b, 5);
    CHECK(grant(6, 1) == c + 2 * FL_PAGE_BYTES); /* does not fit the hole */
    CHECK(grant(4, 1) == b);
    CHECK(grant(1, 1) == b + 4 * FL_PAGE_BYTES);
    fl_pages_return(&arena, a, 3);
    CHECK(grant(4, 4) ==
          c + 8 * FL_PAGE_BYTES + ((0 - fl_page_of(c + 8 * FL_PAGE_BYTES)) % 4 << FL_PAGE_SHIFT));
    CHECK(grant(3, 1) == a);
    end_arena();
}

static void pages_zeroed_is_told_truly(void) {
    bool zeroed = false;
    start_arena(0);
    char *v = fl_grant(&arena, 8, 1, FL_FILLED_PERHAPS, &zeroed);
    CHECK(zeroed);
    memset(v, 7, 8 * FL_PAGE_BYTES);
    fl_pages_return(&arena, v, 8);
    CHECK(fl_grant(&arena, 8, 1, FL_FILLED_PERHAPS, &zeroed) == v);
    CHECK(!zeroed);
    CHECK_EQUAL(v[0], 7);
    fl_pages_return(&arena, v, 8);
    CHECK_EQUAL(scavenge(&arena, 4, FL_CAUSE_LIMIT), 4); /* the upper half: highest addresses first */
    CHECK_EQUAL(resident_pages(v, 8), 4);
    CHECK_EQUAL(resident_pages(v, 4), 4);
    CHECK(fl_grant(&arena, 8, 1, FL_FILLED_PERHAPS, &zeroed) == v);
    CHECK(!zeroed);
    for (size_t i = 4 * FL_PAGE_BYTES; i < 8 * FL_PAGE_BYTES; i++)
        CHECK_EQUAL(v[i], 0);
    fl_pages_return(&arena, v, 8);
    while (scavenge(&arena, SIZE_MAX, FL_CAUSE_LIMIT))
        ;
    CHECK_EQUAL(resident_pages(v, 8), 0);
    CHECK(fl_grant(&arena, 8, 1, FL_FILLED_PERHAPS, &zeroed) == v);
    CHECK(zeroed);
    end_arena();
}

static void pages_extend_into_free_pages_only(void) {
    start_arena(0);
    char *v = grant(4, 1);
    CHECK(fl_pages_extend(&arena, v, 4, 4));
    memset(v, 1, 8 * FL_PAGE_BYTES);
    CHECK(grant(1, 1) == v + 8 * FL_PAGE_BYTES);
    CHECK(!fl_pages_extend(&arena, v, 8, 1));
    fl_pages_return(&arena, v + 8 * FL_PAGE_BYTES, 1);
    CHECK(fl_pages_extend(&arena, v, 8, FL_REGION_PAGES / 2));
    CHECK(!fl_pages_extend(&arena, v, 8 + FL_REGION_PAGES / 2, FL_REGION_PAGES));
    end_arena();
}

static void pages_longer_than_a_region(void) {
    bool zeroed;
    start_arena(0);
    size_t pages = FL_REGION_PAGES * 2 + 17;
    char *small = grant(1, 1);
    char *v = fl_grant(&arena, pages, 1, FL_FILLED_PERHAPS, &zeroed);
    CHECK(v && zeroed);
    v[0] = v[pages * FL_PAGE_BYTES - 1] = 1;
    /* Its last region's rest is used by others; after the end all is found again. */
    fl_pages_return(&arena, v, pages);
    CHECK(fl_grant(&arena, pages, 1, FL_FILLED_PERHAPS, &zeroed) == v);
    CHECK(!zeroed);
    char *aligned = grant(3, FL_REGION_PAGES * 2);
    CHECK(aligned && (uintptr_t)aligned % (FL_REGION_BYTES * 2) == 0);
    fl_pages_return(&arena, small, 1);
    end_arena();
}

static void pages_limit_gives_idle_back_before_it_refuses(void) {
    start_arena(64 * FL_PAGE_BYTES);
    char *a = grant(40, 1), *b = grant(24, 1);
    CHECK(a && b);
    memset(a, 1, 40 * FL_PAGE_BYTES);
    CHECK(!grant(1, 1));
    fl_pages_return(&arena, a, 40);
    char *c = grant(41, 1); /* does not fit where the idle ones are; they go for it */
    CHECK(!c);
    CHECK(grant(40, 1) == a);
    fl_pages_return(&arena, b, 24);
    c = grant(24, 64);
    CHECK(c && c != b);
    CHECK(resident_pages(b, 24) == 0);
    osmem_bytes bytes = osmem_stat_read(&arena.stat, NULL);
    CHECK_EQUAL(bytes.ready, 64 * FL_PAGE_BYTES);
    CHECK(!grant((size_t)1 << 40, 1));
    end_arena();
}

static void pages_more_than_the_window_has(void) {
    start_arena(0);
    osmem_bytes before = osmem_stat_read(&fl_stat_process, NULL);
    CHECK(!grant(((size_t)1 << 46) >> FL_PAGE_SHIFT, 1));
    osmem_bytes after = osmem_stat_read(&fl_stat_process, NULL);
    CHECK_EQUAL(after.ready, before.ready);
    CHECK(grant(1, 1));
    end_arena();
}

static bool refuses;

static osmem_result refuse_free(void *context, void *start, size_t bytes) {
    return refuses ? OSMEM_NOMEM : osmem_backend_system()->free(context, start, bytes);
}

static osmem_result refuse_unmap(void *context, void *start, size_t bytes) {
    return refuses ? OSMEM_NOMEM : osmem_backend_system()->unmap(context, start, bytes);
}

/* No mappings left when an arena ends: its memory goes all the same, and its addresses when there are. */
static void pages_refused_end_is_tried_again(void) {
    unsigned char in_core;
    osmem_backend refusing = *osmem_backend_system();
    refusing.free = refuse_free;
    refusing.unmap = refuse_unmap;
    fl_pagearena_init(&arena, "test", &refusing, &fl_stat_process);
    char *v = grant(100, 1);
    memset(v, 1, 100 * FL_PAGE_BYTES);
    refuses = true;
    end_arena();
    CHECK_EQUAL(resident_pages(v, 100), 0);
    size_t kept = osmem_stat_read(&fl_stat_meta, NULL).prepared;
    CHECK(kept >= FL_CHUNK_BYTES);
    /* Nobody of another back end is given it; who is of this one takes it as it is, and then there is no need
     * to map. */
    start_arena(0);
    char *w = grant(1, 1);
    CHECK(fl_region_of(w) != fl_region_of(v));
    end_arena();
    fl_pagearena_init(&arena, "test", &refusing, &fl_stat_process);
    CHECK(grant(100, 1) == v);
    for (size_t i = 0; i < 100 * FL_PAGE_BYTES; i += 512)
        CHECK_EQUAL(v[i], 0);
    CHECK(osmem_stat_read(&fl_stat_meta, NULL).prepared < kept);
    end_arena();
    refuses = false;
    fl_pagearena_init(&arena, "test", &refusing, &fl_stat_process);
    fl_pagearena other;
    fl_pagearena_init(&other, "other", &refusing, &fl_stat_process);
    bool zeroed;
    CHECK(fl_grant(&other, FL_REGION_PAGES, 1, FL_FILLED_PERHAPS,
                   &zeroed)); /* another region than the kept one */
    fl_pagearena_end(&other);
    CHECK(grant(1, 1));
    end_arena();
    if (!fl_window_is_reserved() && !arena.stat.traits.never_frees)
        CHECK(mincore(v, fl_the_window.os_page_bytes, &in_core) < 0); /* nothing is mapped there */
    CHECK(osmem_stat_read(&fl_stat_meta, NULL).prepared < kept);
}

/* What the kernel says of the mapping that an address lies in. */
static bool has_flag(const char *address, const char *flag) {
    FILE *maps = fopen("/proc/self/smaps", "r");
    char line[512];
    bool inside = false, found = false, any = false;
    CHECK(maps);
    while (fgets(line, sizeof line, maps)) {
        uintptr_t first, end;
        if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " ", &first, &end) == 2)
            inside = (uintptr_t)address >= first && (uintptr_t)address < end;
        else if (inside && strncmp(line, "VmFlags:", 8) == 0) {
            any = true;
            found = strstr(line, flag) != NULL;
        }
    }
    fclose(maps);
    CHECK(any);
    return found;
}

/* Where the system makes huge pages by itself, a small arena wants none; a large one leaves it to the
 * system. */
static void pages_small_arena_wants_no_huge_pages(void) {
    start_arena(0);
    fl_system_follow_huge_pages();
    if (arena.stat.traits.huge_page_bytes == 0 || !fl_system_huge_pages_always()) {
        printf("no huge pages by themselves here\n");
        return;
    }
    char *v = grant(FL_REGION_PAGES * 12, 1);
    for (size_t region = 0; region < 12; region++)
        memset(v + region * FL_REGION_BYTES, 1, 1);
    CHECK(!has_flag(v, " nh")); /* one large block */
    end_arena();
    start_arena(0);
    v = grant(1, 1);
    CHECK(has_flag(v, " nh"));
    for (size_t region = 0; region < 12; region++)
        CHECK(grant(FL_REGION_PAGES, 1));
    CHECK(has_flag(v + 7 * FL_REGION_BYTES, " nh"));
    CHECK(!has_flag(v + 10 * FL_REGION_BYTES, " nh"));
    end_arena();
}

/* What a naive allocator would say: who holds each page. */
#define MODEL_PAGES (2 * 4096)
static unsigned short holder[MODEL_PAGES];

static size_t lowest_run(size_t pages) {
    for (size_t first = 0, run = 0; first < MODEL_PAGES; first++) {
        run = holder[first] ? 0 : run + 1;
        if (run == pages)
            return first + 1 - pages;
    }
    return MODEL_PAGES;
}

static void pages_random_against_model(void) {
    enum { LIVE = 200 };
    struct {
        char *start;
        size_t pages;
    } live[LIVE] = {{0}};
    uint64_t random = seed;
    start_arena(0);
    char *base = grant(MODEL_PAGES, 1); /* regions side by side, none of them mapped in the end */
    fl_pages_return(&arena, base, MODEL_PAGES);
    while (scavenge(&arena, SIZE_MAX, FL_CAUSE_LIMIT))
        ;
    fl_lock_take(&arena.ground_lock);
    fl_lock_take(&arena.lock);
    fl_regions_unmap_spare(&arena);
    fl_lock_drop(&arena.lock);
    fl_lock_drop(&arena.ground_lock);
    memset(holder, 0, sizeof holder);
    for (int step = 0; step < 20000; step++) {
        size_t k = check_random(&random) % LIVE;
        if (live[k].start) {
            size_t first = (size_t)(live[k].start - base) >> FL_PAGE_SHIFT;
            for (size_t i = 0; i < live[k].pages; i++) {
                CHECK_EQUAL(holder[first + i], k + 1);
                CHECK_EQUAL(*(unsigned short *)(live[k].start + (i << FL_PAGE_SHIFT)), k + 1);
                holder[first + i] = 0;
            }
            fl_pages_return(&arena, live[k].start, live[k].pages);
            live[k].start = NULL;
            if (step % 50 == 0)
                scavenge(&arena, check_random(&random) % 300, FL_CAUSE_LIMIT);
            continue;
        }
        size_t pages = 1 + check_random(&random) % (step % 7 ? 8 : 90),
               alignment = (size_t)1 << check_random(&random) % 4;
        size_t wanted = lowest_run(pages);
        if (wanted % alignment) {
            wanted = lowest_run(pages + alignment - 1);
            wanted = (wanted + alignment - 1) / alignment * alignment;
        }
        char *start = grant(pages, alignment);
        CHECK(start);
        CHECK_EQUAL((size_t)(start - base) >> FL_PAGE_SHIFT, wanted);
        for (size_t i = 0; i < pages; i++) {
            holder[wanted + i] = (unsigned short)(k + 1);
            *(unsigned short *)(start + (i << FL_PAGE_SHIFT)) = (unsigned short)(k + 1);
        }
        live[k].start = start;
        live[k].pages = pages;
    }
    /* What is mapped read-write is Prepared and Ready, and resident is at most Ready. */
    osmem_bytes bytes = osmem_stat_read(&arena.stat, NULL);
    size_t mapped = 0, resident = 0;
    for (fl_region *region = arena.regions; region; region = region->next)
        for (size_t chunk = 0; chunk < FL_REGION_CHUNKS; chunk++)
            if (region->mapped >> chunk & 1) {
                mapped += FL_CHUNK_BYTES;
                char *start = fl_region_start(region) + chunk * FL_CHUNK_BYTES;
                resident += resident_pages(start, FL_CHUNK_PAGES) << FL_PAGE_SHIFT;
            }
    CHECK_EQUAL(bytes.prepared + bytes.ready, mapped);
    CHECK(resident <= bytes.ready);
    end_arena();
}

/* A block at the end of its region asks for the next one at the moment when the system takes that away. */
static char *asked_start, *asked_answer;
static size_t asked_pages;

static void *extend_asked(void *unused) {
    (void)unused;
    asked_answer = fl_pages_extend(&arena, asked_start, asked_pages, 64) ? "extended" : "refused";
    return NULL;
}

/* By another thread: this one has locks from further down. */
static void ask(const void *start) {
    if (asked_start && start == asked_start + (asked_pages << FL_PAGE_SHIFT)) {
        pthread_t thread;
        CHECK_EQUAL(pthread_create(&thread, NULL, extend_asked, NULL), 0);
        CHECK_EQUAL(pthread_join(thread, NULL), 0);
        asked_start = NULL;
    }
}

static osmem_result free_and_ask(void *context, void *start, size_t bytes) {
    ask(start);
    return osmem_backend_system()->free(context, start, bytes);
}

static osmem_result unmap_and_ask(void *context, void *start, size_t bytes) {
    ask(start);
    return osmem_backend_system()->unmap(context, start, bytes);
}

static void pages_extend_not_into_a_region_that_leaves(void) {
    osmem_backend asking = *osmem_backend_system();
    asking.free = free_and_ask;
    asking.unmap = unmap_and_ask;
    fl_pagearena_init(&arena, "test", &asking, &fl_stat_process);
    char *first = grant(64, 1);
    size_t rest =
        FL_REGION_PAGES - (size_t)(first - fl_region_start(fl_region_of(first))) / FL_PAGE_BYTES - 64;
    char *middle = grant(rest, 1), *second = grant(64, 1);
    CHECK(second == middle + (rest << FL_PAGE_SHIFT) && fl_region_of(second) != fl_region_of(middle));
    fl_pages_return(&arena, second, 64);
    asked_start = middle;
    asked_pages = rest;
    CHECK_EQUAL(scavenge(&arena, SIZE_MAX, FL_CAUSE_REQUEST), 64);
    CHECK(asked_answer && strcmp(asked_answer, "refused") == 0);
    end_arena();
}

int main(int argc, char **argv) {
    seed = check_seed(argc, argv);
    CHECK(fl_window_init());
    if (fl_the_window.grain_pages > 1) {
        printf("skipped: lengths here are in pages of 16 KiB (pages_sim_test has others)\n");
        return 77;
    }
    RUN(pages_lowest_address_first);
    RUN(pages_zeroed_is_told_truly);
    RUN(pages_extend_into_free_pages_only);
    RUN(pages_extend_not_into_a_region_that_leaves);
    RUN(pages_longer_than_a_region);
    RUN(pages_limit_gives_idle_back_before_it_refuses);
    RUN(pages_more_than_the_window_has);
    RUN(pages_refused_end_is_tried_again);
    RUN(pages_small_arena_wants_no_huge_pages);
    RUN(pages_random_against_model);
    return 0;
}
