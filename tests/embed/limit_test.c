/* SPDX-License-Identifier: MIT */
/* Limits as a program meets them: small ones, lowered ones, who refuses, who is asked and when, and what must
 * not fail. */
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "../lib/check.h"
#include "../lib/reading.h"
#include "fallow/fallow.h"
#include "fallow/osmem.h"

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)

static size_t page_bytes;

static size_t pages_for(size_t bytes) {
    return (bytes + page_bytes - 1) / page_bytes * page_bytes;
}

static size_t larger(size_t a, size_t b) {
    return a > b ? a : b;
}

/* So many blocks at most, until one is refused. Returns how many. */
static size_t fill(fallow_arena *arena, void **blocks, size_t count, size_t bytes) {
    size_t n = 0;
    while (n < count && (blocks[n] = fallow_arena_alloc(arena, bytes)) != NULL)
        memset(blocks[n++], 1, bytes);
    return n;
}

static void free_all(fallow_arena *arena, void **blocks, size_t count) {
    for (size_t i = 0; i < count; i++)
        fallow_arena_free(arena, blocks[i]);
}

/* A limit below a page is one page, says so, and serves what fits into a page. */
static void limit_of_a_byte_is_a_page(void) {
    fallow_arena *arena = fallow_arena_create("page", 1);
    void *blocks[2000];
    CHECK_EQUAL(arena_figures(arena).limit_bytes, page_bytes);
    size_t n = fill(arena, blocks, 2000, 64);
    CHECK(n >= (page_bytes / 64 < 2000 ? page_bytes / 64 : 2000));
    CHECK(arena_figures(arena).ready_bytes <= page_bytes);
    free_all(arena, blocks, n);
    void *other =
        fallow_arena_alloc(arena, page_bytes / 2); /* of another size: all that is free comes to its aid */
    CHECK(other);
    fallow_arena_destroy(arena);
}

/* The smallest useful limit is what the largest block takes. */
static void limit_of_one_block_serves_it(void) {
    static const size_t sizes[] = {1, 100, 1024, 5000, 33000, 131072, 131073, 1 << 20};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        size_t unit = sizes[i] > 128 * KIB ? larger(page_bytes, 16 * KIB) : page_bytes;
        void *probe = malloc(1);
        fallow_arena *arena = fallow_arena_create("block", 0);
        void *block = fallow_arena_alloc(arena, sizes[i]);
        size_t usable = fallow_arena_usable_bytes(block);
        fallow_arena_destroy(arena);
        arena = fallow_arena_create("block", (usable + unit - 1) / unit * unit);
        for (int n = 0; n < 100; n++) {
            CHECK((block = fallow_arena_alloc(arena, sizes[i])) != NULL);
            memset(block, 1, sizes[i]);
            fallow_arena_free(arena, block);
        }
        fallow_arena_destroy(arena);
        free(probe);
    }
}

/* Lowered below what is Ready: what no live block needs goes at once, and nothing is granted above it. */
static void limit_lowered_takes_what_is_idle(void) {
    static void *blocks[1000];
    fallow_arena *arena = fallow_arena_create("lowered", 0);
    CHECK_EQUAL(fill(arena, blocks, 1000, 16 * KIB), 1000);
    free_all(arena, blocks + 10, 990);
    fallow_arena_set_limits(arena, 0, MIB);
    CHECK(arena_figures(arena).ready_bytes <= larger(MIB, 11 * pages_for(16 * KIB)));
    CHECK(fill(arena, blocks + 10, 990, 16 * KIB) <= MIB / (16 * KIB));
    CHECK(arena_figures(arena).ready_bytes <= larger(MIB, 11 * pages_for(16 * KIB)));
    fallow_arena_destroy(arena);
}

/* The same of the process: in all arenas. */
static void limit_of_the_process_lowered_takes_what_is_idle(void) {
    static void *blocks[2][500];
    fallow_arena *arenas[2];
    for (int i = 0; i < 2; i++) {
        arenas[i] = fallow_arena_create("of two", 0);
        CHECK_EQUAL(fill(arenas[i], blocks[i], 500, 16 * KIB), 500);
        free_all(arenas[i], blocks[i] + 5, 495);
    }
    fallow_set_limits(0, MIB);
    CHECK(arena_figures(arenas[0]).ready_bytes + arena_figures(arenas[1]).ready_bytes <=
          larger(MIB, 12 * pages_for(16 * KIB)));
    fallow_set_limits(0, 0);
    fallow_arena_destroy(arenas[0]);
    fallow_arena_destroy(arenas[1]);
}

static void refusal_says_whose_limit_it_was(void) {
    static void *blocks[4096];
    const fallow_arena *whose = NULL;
    fallow_arena *parent = fallow_arena_create("parent", 4 * MIB);
    fallow_arena *child = fallow_arena_create_sized(
        &(fallow_arena_options){.name = "child", .parent = parent, .limit_bytes = 2 * MIB},
        sizeof(fallow_arena_options));
    CHECK_EQUAL(fallow_arena_last_refusal(child, &whose), FALLOW_REFUSED_BY_NOBODY);
    CHECK(!whose);
    size_t n = fill(child, blocks, 4096, 4000);
    CHECK(n < 4096);
    CHECK_EQUAL(fallow_arena_last_refusal(child, &whose), FALLOW_REFUSED_BY_ARENA);
    CHECK(whose == child);
    CHECK_EQUAL(arena_figures(child).refusals, 1);
    fallow_arena_set_limits(child, 0, 0);
    n += fill(child, blocks + n, 4096 - n, 4000);
    CHECK(n < 4096);
    CHECK_EQUAL(fallow_arena_last_refusal(child, &whose), FALLOW_REFUSED_BY_PARENT);
    CHECK(whose == parent);
    fallow_arena_set_limits(parent, 0, 0);
    fallow_set_limits(0, process_figures().ready_bytes);
    CHECK(!fallow_arena_alloc(child, 16 * MIB));
    CHECK_EQUAL(fallow_arena_last_refusal(child, &whose), FALLOW_REFUSED_BY_PROCESS);
    CHECK(!whose);
    fallow_set_limits(0, 0);
    CHECK(!fallow_arena_alloc(child, SIZE_MAX / 4));
    CHECK_EQUAL(arena_figures(parent).refusals, 0);
    fallow_arena_destroy(parent);
}

/* A block that becomes smaller needs no memory, and does not fail. */
static void realloc_to_less_never_fails(void) {
    fallow_arena *arena = fallow_arena_create("less", 8 * MIB);
    static void *blocks[4096];
    static const size_t sizes[] = {4 * MIB, 100 * KIB, 9000, 300};
    char *kept[4];
    for (int i = 0; i < 4; i++)
        kept[i] = memset(fallow_arena_alloc(arena, sizes[i]), 'a' + i, sizes[i]);
    size_t n = fill(arena, blocks, 4096, 1000);
    while (n < 4096 && (blocks[n] = fallow_arena_alloc(arena, 16)) != NULL)
        n++;
    for (int i = 0; i < 4; i++)
        for (size_t bytes = sizes[i]; bytes > 0; bytes /= 3) {
            errno = 0;
            CHECK((kept[i] = fallow_arena_realloc(arena, kept[i], bytes)) != NULL);
            CHECK_EQUAL(errno, 0);
            for (size_t at = 0; at < bytes; at += 61)
                CHECK_EQUAL(kept[i][at], 'a' + i);
        }
    CHECK(!fallow_arena_realloc(arena, kept[1], 64 * MIB));
    CHECK_EQUAL(kept[1][0], 'b');
    fallow_arena_destroy(arena);
}

typedef struct cache {
    fallow_arena *arena;
    void *blocks[4096];
    size_t count, asked;
    pthread_t asked_in;
} cache;

static bool shed_half(void *context, size_t wanted) {
    cache *it = context;
    CHECK(wanted > 0);
    it->asked++;
    it->asked_in = pthread_self();
    size_t keep = it->count / 2;
    free_all(it->arena, it->blocks + keep, it->count - keep);
    it->count = keep;
    return true;
}

/* Crossed upwards, the soft limit has its shedder asked once: in the program's own thread, though fallow has
 * one. */
static void soft_limit_asks_once_each_time(void) {
    static cache it;
    it = (cache){.arena = fallow_arena_create("soft", 0)};
    fallow_arena_set_limits(it.arena, 4 * MIB, 0);
    fallow_arena_on_soft_limit(it.arena, shed_half, &it);
    for (size_t round = 1; round <= 3; round++) {
        while (it.count < 500)
            it.blocks[it.count++] = memset(fallow_arena_alloc(it.arena, 4000), 1, 4000);
        CHECK_EQUAL(it.asked, round - 1);
        while (it.asked < round && it.count < 4096)
            it.blocks[it.count++] = memset(fallow_arena_alloc(it.arena, 4000), 1, 4000);
        CHECK_EQUAL(it.asked, round);
        CHECK(pthread_equal(it.asked_in, pthread_self()));
        fallow_give_back();
        CHECK(arena_figures(it.arena).ready_bytes < 4 * MIB);
        free_all(it.arena, it.blocks + 100, it.count > 100 ? it.count - 100 : 0);
        it.count = it.count < 100 ? it.count : 100;
        fallow_give_back();
    }
    CHECK_EQUAL(arena_figures(it.arena).sheds, 3);
    CHECK_EQUAL(arena_figures(it.arena).refusals, 0);
    fallow_arena_destroy(it.arena);
}

/* A program that ticks is asked in its ticks, and never inside an allocation. */
static void soft_limit_asks_in_ticks(void) {
    static cache it;
    it = (cache){.arena = fallow_arena_create("ticks", 0)};
    fallow_arena_set_limits(it.arena, 4 * MIB, 0);
    fallow_arena_on_soft_limit(it.arena, shed_half, &it);
    fallow_tick();
    while (it.count < 2000)
        it.blocks[it.count++] = memset(fallow_arena_alloc(it.arena, 4000), 1, 4000);
    CHECK_EQUAL(it.asked, 0);
    fallow_tick();
    CHECK_EQUAL(it.asked, 1);
    fallow_tick();
    CHECK_EQUAL(it.asked, 1);
    fallow_arena_destroy(it.arena);
}

static bool counts(void *asked, size_t bytes) {
    CHECK(bytes > 0);
    ++*(size_t *)asked;
    return false;
}

/* But before a request is refused it is asked all the same, if no tick came since the limit was crossed. */
static void soft_limit_asks_before_a_refusal(void) {
    static cache it;
    it = (cache){.arena = fallow_arena_create("refused", 8 * MIB)};
    fallow_arena_set_limits(it.arena, 4 * MIB, 8 * MIB);
    fallow_arena_on_soft_limit(it.arena, shed_half, &it);
    fallow_tick();
    for (size_t i = 0; i < 2400; i++) { /* shed_half may free what lies here */
        char *block = fallow_arena_alloc(it.arena, 4000);
        CHECK(block);
        it.blocks[it.count++] = memset(block, 1, 4000);
    }
    CHECK_EQUAL(it.asked, 1);
    CHECK(pthread_equal(it.asked_in, pthread_self()));
    fallow_arena_destroy(it.arena);
}

/* A limit that is lowered, and a shedder that comes, where more is in use already. */
static void soft_limit_that_comes_late_asks(void) {
    size_t asked = 0;
    fallow_arena *arena = fallow_arena_create("late", 0);
    fallow_arena_set_limits(arena, 4 * MIB, 0);
    CHECK(memset(fallow_arena_alloc(arena, 3 * MIB), 1, 3 * MIB));
    fallow_arena_on_soft_limit(arena, counts, &asked);
    fallow_tick();
    CHECK_EQUAL(asked, 0);
    fallow_arena_set_limits(arena, 2 * MIB, 0);
    fallow_tick();
    CHECK_EQUAL(asked, 1);
    fallow_arena_set_limits(arena, 2 * MIB, 0);
    fallow_tick();
    CHECK_EQUAL(asked, 1);
    fallow_arena_on_soft_limit(arena, NULL, NULL);
    fallow_arena_on_soft_limit(arena, counts, &asked);
    fallow_tick();
    CHECK_EQUAL(asked, 2);
    fallow_tick();
    CHECK_EQUAL(asked, 2);
    fallow_arena_destroy(arena);
}

/* Blocks of a page each, whose thread has ended and left slabs that are full: nobody has a heap in that arena
 * any more, and no count says that something has become idle in it. */
static void *fill_whole_slabs(void *context) {
    cache *it = context;
    for (it->count = 0; it->count < 160; it->count++)
        it->blocks[it->count] = memset(fallow_arena_alloc(it->arena, page_bytes), 1, page_bytes);
    return NULL;
}

static void few_are_freed_where_nobody_has_a_heap(bool asks) {
    static cache it;
    pthread_t thread;
    fallow_arena *top = fallow_arena_create("top", 256 * page_bytes), *beside;
    it = (cache){.arena = fallow_arena_create_with(&(fallow_arena_options){.name = "left", .parent = top})};
    beside = fallow_arena_create_with(&(fallow_arena_options){.name = "beside", .parent = top});
    CHECK_EQUAL(pthread_create(&thread, NULL, fill_whole_slabs, &it), 0);
    CHECK_EQUAL(pthread_join(thread, NULL), 0);
    fallow_give_back();
    while (fallow_arena_alloc(beside, page_bytes))
        ;
    CHECK(!fallow_arena_alloc(beside, page_bytes));
    fallow_free(it.blocks[30]);
    fallow_free(it.blocks[31]);
    if (asks)
        CHECK(fallow_give_back() >= 2 * page_bytes);
    CHECK(fallow_arena_alloc(beside, page_bytes));
    CHECK(fallow_arena_alloc(beside, page_bytes));
    fallow_arena_destroy(top);
}

static void freed_where_nobody_has_a_heap_is_found_at_a_limit(void) {
    few_are_freed_where_nobody_has_a_heap(false);
}

static void freed_where_nobody_has_a_heap_goes_back(void) {
    few_are_freed_where_nobody_has_a_heap(true);
}

int main(void) {
    page_bytes = osmem_os_page_bytes();
    RUN(limit_of_a_byte_is_a_page);
    RUN(limit_of_one_block_serves_it);
    RUN(limit_lowered_takes_what_is_idle);
    RUN(limit_of_the_process_lowered_takes_what_is_idle);
    RUN(refusal_says_whose_limit_it_was);
    RUN(realloc_to_less_never_fails);
    RUN(soft_limit_asks_once_each_time);
    RUN(soft_limit_asks_in_ticks);
    RUN(soft_limit_asks_before_a_refusal);
    RUN(soft_limit_that_comes_late_asks);
    RUN(freed_where_nobody_has_a_heap_is_found_at_a_limit);
    RUN(freed_where_nobody_has_a_heap_goes_back);
    return 0;
}
