/* SPDX-License-Identifier: MIT */
/*
 * audited.h: for tests of audits, an arena with something in every place where a slab or a page can be.
 */
#ifndef AUDITED_H
#define AUDITED_H

#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "../../src/arena/scavenger.h"
#include "../../src/heap/idle.h"
#include "../../src/heap/thread.h"
#include "check.h"
#include "fallow/fallow.h"

static fallow_arena *arena, *other;
static fl_heap *heap;
static fl_slab *current, *full, *partial, *notified, *listed, *purged, *floating, *large;
static fl_region *region, *bare_region; /* the arena's: with pages of each kind, with nothing mapped */
static fl_region *free_region;          /* nobody's */
static size_t idle_page, prepared_page, used_page; /* in the region */
static _Atomic uint64_t *span;                     /* a slot with something in it */

#define LAST_CHUNK (FL_REGION_CHUNKS - 1)
#define LAST_PAGE (FL_REGION_PAGES - 1)

static void skip_case(void) {
    _exit(77);
}

static fl_slab *slab_of(const void *block) {
    return fl_entry_slab(fl_entry_of(block));
}

static char *alloc(size_t bytes) {
    char *block = fallow_arena_alloc(arena, bytes);
    CHECK(block);
    memset(block, 7, bytes);
    return block;
}

static void in_a_thread(void *(*body)(void *), void *argument) {
    pthread_t thread;
    CHECK_EQUAL(pthread_create(&thread, NULL, body, argument), 0);
    CHECK_EQUAL(pthread_join(thread, NULL), 0);
}

static size_t capacity_for(size_t bytes) {
    return fl_classes[fl_sizeclass_of(bytes)].capacity;
}

/* The first of a slab and one in the next one stay. */
static void *leave_nearly_empty_slabs(void *unused) {
    (void)unused;
    char *blocks[64];
    size_t count = capacity_for(16384);
    CHECK(count < 64);
    for (size_t i = 0; i <= count; i++)
        blocks[i] = alloc(16384);
    for (size_t i = 1; i < count; i++)
        fallow_arena_free(arena, blocks[i]);
    purged = slab_of(blocks[0]);
    return NULL;
}

static void *leave_listed_slab(void *unused) {
    (void)unused;
    char *block = alloc(1000);
    for (int i = 0; i < 5; i++)
        block = alloc(1000);
    fallow_arena_free(arena, block);
    listed = slab_of(block);
    return NULL;
}

static void *leave_full_slab(void *unused) {
    (void)unused;
    char *block = NULL;
    for (size_t count = capacity_for(512); count > 0; count--)
        block = alloc(512);
    floating = slab_of(block);
    return NULL;
}

static char *blocks[1024];
static size_t per_slab;

static void *free_of_second(void *unused) {
    (void)unused;
    for (size_t i = 0; i < per_slab / 8; i++)
        fallow_arena_free(arena, blocks[per_slab + i]);
    return NULL;
}

/* Four slabs of one class: the first with some free, the second notified of, the third full, the fourth
 * current. */
static void park(void) {
    per_slab = capacity_for(2048);
    CHECK(4 * per_slab <= 1024);
    for (size_t i = 0; i < 4 * per_slab; i++)
        blocks[i] = alloc(2048);
    for (size_t i = 0; i < per_slab / 8; i++)
        fallow_arena_free(arena, blocks[i]);
    in_a_thread(free_of_second, NULL);
    partial = slab_of(blocks[0]);
    notified = slab_of(blocks[per_slab]);
    full = slab_of(blocks[2 * per_slab]);
    current = slab_of(blocks[3 * per_slab]);
}

/* A region that has one page of each kind, and one that has nothing. */
static bool find_pages(void) {
    for (bare_region = fl_arena_find(arena)->pages.regions; bare_region && bare_region->mapped;)
        bare_region = bare_region->next;
    for (region = fl_arena_find(arena)->pages.regions; region && bare_region; region = region->next) {
        for (idle_page = 0; idle_page < FL_REGION_PAGES; idle_page++)
            if (fl_region_idle_word(region, idle_page / 64) >> (idle_page % 64) & 1)
                break;
        prepared_page = fl_pagebits_next_set(region->prepared, 0, FL_REGION_PAGES);
        used_page = fl_pagebits_next_set(region->in_use, 0, FL_REGION_PAGES);
        if (idle_page < FL_REGION_PAGES && prepared_page < FL_REGION_PAGES && used_page < FL_REGION_PAGES)
            return true;
    }
    return false;
}

/* One that nobody has and that nothing is kept in, if there is one. */
static void find_free_region(void) {
    fl_window_books books = fl_window_look();
    size_t index = fl_pagebits_next_clear(books.taken, 0, books.reached);
    free_region = index < books.reached ? &fl_the_window.regions[index] : NULL;
}

/* The heaps of threads that have ended, which wait for the next ones. */
static void let_idle_go(void) {
    CHECK(fl_upkeep_begin(&fl_arena_find(arena)->pages.upkeep));
    fl_idle_tend(fl_arena_find(arena), FL_CAUSE_REQUEST);
    fl_upkeep_end(&fl_arena_find(arena)->pages.upkeep);
}

static void set_up(void) {
    fallow_arena *before = fallow_arena_create("before", 0);
    CHECK(fallow_arena_alloc(before, 100));
    arena = fallow_arena_create("audited", 0);
    in_a_thread(leave_nearly_empty_slabs, NULL);
    fl_scavenger_give_back(&fl_arena_find(arena)->pages, SIZE_MAX, FL_CAUSE_REQUEST, true);
    in_a_thread(leave_listed_slab, NULL);
    in_a_thread(leave_full_slab, NULL);
    let_idle_go();
    other = fallow_arena_create("other", 0);
    CHECK(fallow_arena_alloc(other, 100));
    CHECK(fallow_pool_create(arena));
    large = slab_of(alloc(300 << 10));
    fallow_arena_free(arena, alloc(200 << 10)); /* its span is kept */
    fallow_arena_free(arena, fallow_arena_alloc(arena, 4 << 20));
    alloc(48);
    park();
    fallow_arena_destroy(before);
    heap = fl_thread_heap_in(arena);
    for (size_t i = 0; i < FL_SPANS_SLOTS; i++)
        if (heap->kept.spans.slots[i])
            span = &heap->kept.spans.slots[i];
    for (int tries = 0; !find_pages(); tries++) {
        CHECK(tries < 64);
        alloc(1200 << 10);
        fallow_arena_free(arena, alloc(2200 << 10)); /* too long to be kept */
    }
    find_free_region();
    CHECK(span && heap->current[partial->size_class] == current && partial->partial && !full->partial);
    CHECK_EQUAL(fl_word_state(notified->word), FL_NOTIFIED);
    CHECK_EQUAL(fl_word_state(listed->word), FL_LISTED);
    CHECK_EQUAL(fl_word_state(floating->word), FL_FLOATING);
}

static void need_purged(void) {
    if (!purged->decommitted)
        skip_case(); /* no fence in all threads here */
}

#endif
