/* SPDX-License-Identifier: MIT */
/* The spans that a heap keeps: what is taken is what was put, they are never more than 2 MiB and a long one,
 * and nothing is lost. */
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "../../src/arena/grant.h"
#include "../../src/arena/pages.h"
#include "../../src/arena/spans.h"
#include "../lib/check.h"

static fl_pagearena arena;
static fl_spans spans;

static char *grant(size_t pages) {
    bool zeroed;
    char *v = fl_grant(&arena, pages, 1, FL_FILLED_PERHAPS, &zeroed);
    CHECK(v);
    return v;
}

static char *take(size_t wanted, size_t expected) {
    size_t pages = wanted;
    char *v = fl_spans_take_longer(&spans, &arena, &pages);
    CHECK_EQUAL(v ? pages : 0, expected);
    return v;
}

static void spans_take_what_fits(void) {
    char *four = grant(4), *twenty = grant(20);
    fl_spans_put(&spans, &arena, four, 4);
    fl_spans_put(&spans, &arena, twenty, 20);
    take(5, 0);
    take(3, 0); /* an eighth of three is none */
    take(17, 0);
    CHECK(take(18, 20) == twenty);
    CHECK(take(4, 4) == four);
    take(4, 0);
    fl_pages_return(&arena, four, 4);
    fl_pages_return(&arena, twenty, 20);
}

static void spans_are_bounded(void) {
    for (int i = 0; i < 50; i++) {
        fl_spans_put(&spans, &arena, grant(1 + (size_t)i * 7 % 64), 1 + (size_t)i * 7 % 64);
        CHECK(arena.used_pages <= FL_SPANS_PAGES_MAX);
    }
    for (int i = 0; i < 20; i++)
        fl_spans_put(&spans, &arena, grant(64), 64);
    CHECK_EQUAL(arena.used_pages, 2 * 64);
    fl_spans_put(&spans, &arena, grant(1000), 1000); /* too large to keep */
    CHECK_EQUAL(arena.used_pages, 2 * 64);
    for (int i = 0; i < 2 * FL_SPANS_LARGE; i++)
        fl_spans_put(&spans, &arena, grant(4), 4);
    CHECK_EQUAL(arena.used_pages, FL_SPANS_LARGE * 4);
    fl_spans_flush(&spans, &arena);
    CHECK_EQUAL(arena.used_pages, 0);
}

static void spans_long_one_gives_way(void) {
    char *long_one = grant(128), *four = grant(4);
    fl_spans_put(&spans, &arena, long_one, 128);
    fl_spans_put(&spans, &arena, four, 4);
    CHECK(take(4, 4) == four);
    CHECK(take(120, 128) == long_one);
    fl_spans_put(&spans, &arena, long_one, 128);
    fl_spans_put(&spans, &arena, four, 4);
    take(8, 0);
    CHECK_EQUAL(arena.used_pages, 4);
    fl_spans_put(&spans, &arena, grant(100), 100);
    fl_spans_put(&spans, &arena, grant(128), 128); /* one at a time */
    CHECK_EQUAL(arena.used_pages, 4 + 128);
    take(100, 0);
    CHECK_EQUAL(arena.used_pages, 4);
    fl_spans_flush(&spans, &arena);
    CHECK_EQUAL(arena.used_pages, 0);
}

/* One thread puts and takes, another empties: each span is in one hand. */
static _Atomic bool stop;

static void *flush_all_the_time(void *unused) {
    (void)unused;
    while (!atomic_load(&stop))
        fl_spans_flush(&spans, &arena);
    return NULL;
}

static void spans_emptied_by_another(void) {
    pthread_t thread;
    CHECK_EQUAL(pthread_create(&thread, NULL, flush_all_the_time, NULL), 0);
    for (int i = 0; i < 100000; i++) {
        size_t pages = 1 + (size_t)i % 9;
        char *v = fl_spans_take_longer(&spans, &arena, &pages);
        if (!v)
            v = grant(pages);
        CHECK_EQUAL(*(volatile int *)v, 0);
        *(volatile int *)v = i;
        CHECK_EQUAL(*(volatile int *)v, i);
        *(volatile int *)v = 0;
        fl_spans_put(&spans, &arena, v, pages);
    }
    atomic_store(&stop, true);
    CHECK_EQUAL(pthread_join(thread, NULL), 0);
    fl_spans_flush(&spans, &arena);
    CHECK_EQUAL(arena.used_pages, 0);
}

/* A large span makes many small ones give way, and another thread takes those very ones away meanwhile. */
static _Atomic int turn;

static void *flush_when_told(void *unused) {
    (void)unused;
    for (int seen = 0; !atomic_load(&stop);)
        if (atomic_load(&turn) != seen) {
            seen = atomic_load(&turn);
            fl_spans_flush(&spans, &arena);
        }
    return NULL;
}

static void spans_give_way_while_emptied_by_another(void) {
    pthread_t thread;
    atomic_store(&stop, false);
    CHECK_EQUAL(pthread_create(&thread, NULL, flush_when_told, NULL), 0);
    alarm(60); /* a put that never ends */
    for (int i = 1; i <= 5000; i++) {
        for (int slot = 0; slot < FL_SPANS_LARGE; slot++)
            fl_spans_put(&spans, &arena, grant(4), 4);
        atomic_store(&turn, i);
        fl_spans_put(&spans, &arena, grant(64), 64);
    }
    alarm(0);
    atomic_store(&stop, true);
    CHECK_EQUAL(pthread_join(thread, NULL), 0);
    fl_spans_flush(&spans, &arena);
    CHECK_EQUAL(arena.used_pages, 0);
}

int main(void) {
    CHECK(fl_window_init());
    if (fl_the_window.grain_pages > 1) {
        printf("skipped: lengths here are in pages of 16 KiB\n");
        return 77;
    }
    fl_pagearena_init(&arena, "spans", NULL, &fl_stat_process);
    RUN(spans_take_what_fits);
    RUN(spans_are_bounded);
    RUN(spans_long_one_gives_way);
    RUN(spans_emptied_by_another);
    RUN(spans_give_way_while_emptied_by_another);
    fl_pagearena_end(&arena);
    return 0;
}
