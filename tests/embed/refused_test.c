/* SPDX-License-Identifier: MIT */
/*
 * Every path of arenas and pools with the n-th request of memory refused, for n = 1, 2, … until none is:
 * nothing is lost, the figures are exact, and a neighbour is untouched. (SQLite's out-of-memory sweep, on the
 * arena's back end.)
 */
#include <errno.h>
#include <string.h>

#include "../lib/check.h"
#include "../lib/reading.h"
#include "fallow/fallow.h"

static osmem_backend refusing;
static const osmem_backend *inner;
static long calls_left; /* of memory: map, used, reserve; then one is refused */
static bool refused;

static bool refuse(void) {
    if (calls_left-- != 0)
        return false;
    refused = true;
    return true;
}

static osmem_result refusing_reserve(void *context, const osmem_request *request, osmem_reservation *out) {
    return refuse() ? OSMEM_NOMEM : inner->reserve(context, request, out);
}

static osmem_result refusing_map(void *context, void *start, size_t bytes) {
    return refuse() ? OSMEM_NOMEM : inner->map(context, start, bytes);
}

static osmem_result refusing_used(void *context, void *start, size_t bytes) {
    return refuse() ? OSMEM_NOMEM : inner->used(context, start, bytes);
}

#define KEPT 64
static struct {
    unsigned char *start;
    size_t bytes;
} kept[KEPT];
static size_t kept_count;

static bool keep(void *block, size_t bytes) {
    if (!block) {
        CHECK_EQUAL(errno, ENOMEM);
        return false;
    }
    memset(block, (int)kept_count, bytes);
    kept[kept_count].start = block;
    kept[kept_count++].bytes = bytes;
    return true;
}

static void verify_kept(void) {
    for (size_t i = 0; i < kept_count; i++)
        for (size_t k = 0; k < kept[i].bytes; k += 53)
            CHECK_EQUAL(kept[i].start[k], i);
}

/* Every kind of request. False: one was refused. */
static bool use(fallow_arena *arena, fallow_pool **pool) {
    size_t got;
    for (size_t bytes = 1; bytes < 600000; bytes = bytes * 3 + 5)
        if (!keep(fallow_arena_alloc(arena, bytes), bytes) ||
            !keep(fallow_arena_alloc_zeroed(arena, bytes), bytes))
            return false;
    if (!keep(fallow_arena_alloc_aligned(arena, 65536, 5 << 20), 5 << 20) ||
        !keep(fallow_arena_alloc_at_least(arena, 7000, &got), 7000))
        return false;
    unsigned char *grown = NULL;
    for (size_t bytes = 10; bytes < 8 << 20; bytes *= 5) {
        unsigned char *moved = fallow_arena_realloc(arena, grown, bytes);
        if (!moved) {
            CHECK_EQUAL(errno, ENOMEM);
            fallow_arena_free(arena, grown); /* it is as it was */
            return false;
        }
        grown = memset(moved, 1, bytes);
    }
    fallow_arena_free(arena, grown);
    if (!(*pool = fallow_pool_create(arena)))
        return false;
    for (size_t bytes = 1; bytes < 400000; bytes = bytes * 2 + 1) {
        void *object = fallow_pool_alloc(*pool, bytes);
        if (!object)
            return false;
        memset(object, 1, bytes);
    }
    return fallow_pool_strdup(*pool, "refused?") != NULL;
}

static void refused_nth_request_loses_nothing(void) {
    fallow_arena_options options = {.name = "refused", .backend = &refusing};
    fallow_arena *neighbour = fallow_arena_create("neighbour", 0);
    char *theirs = memset(fallow_arena_alloc(neighbour, 10000), 9, 10000);
    long n = 0;
    do {
        fallow_pool *pool = NULL;
        fallow_arena *arena = fallow_arena_create_sized(&options, sizeof options);
        CHECK(arena);
        refused = false;
        kept_count = 0;
        calls_left = n++;
        bool all = use(arena, &pool);
        calls_left = -1;
        verify_kept();
        CHECK(all || refused);
        CHECK(fallow_arena_alloc(neighbour, 100) && theirs[9999] == 9);
        kept_count = 0;
        CHECK(use(arena, &pool)); /* what was refused can be had now */
        verify_kept();
        fallow_arena_figures figures = arena_figures(arena);
        CHECK_EQUAL(figures.ready_bytes,
                    figures.granted_bytes - figures.decommitted_bytes + figures.idle_bytes);
        fallow_arena_destroy(arena);
    } while (refused);
    printf("# %ld requests were refused in turn\n", n - 1);
    CHECK(n > 20);
    CHECK_EQUAL(theirs[0], 9);
    fallow_arena_destroy(neighbour);
}

/* The same with a limit a little higher each time. */
static void refused_at_every_limit(void) {
    bool all;
    size_t limit = 0;
    do {
        fallow_pool *pool = NULL;
        limit += limit / 12 + ((size_t)48 << 10);
        fallow_arena *arena = fallow_arena_create("limited", limit);
        CHECK(arena);
        kept_count = 0;
        all = use(arena, &pool);
        verify_kept();
        fallow_arena_figures figures = arena_figures(arena);
        CHECK(figures.ready_bytes <= figures.limit_bytes);
        CHECK_EQUAL(figures.ready_bytes,
                    figures.granted_bytes - figures.decommitted_bytes + figures.idle_bytes);
        fallow_pool_destroy(pool);
        for (size_t i = 0; i < kept_count; i++)
            fallow_arena_free(arena, kept[i].start);
        fallow_arena_reset(arena, 0);
        CHECK_EQUAL(arena_figures(arena).granted_bytes, 0);
        CHECK_EQUAL(arena_figures(arena).ready_bytes, 0);
        fallow_arena_destroy(arena);
    } while (!all);
    printf("# all of it fits into %zu KiB\n", limit >> 10);
}

int main(void) {
    inner = osmem_backend_system();
    refusing = *inner;
    refusing.name = "refusing";
    refusing.reserve = refusing_reserve;
    refusing.map = refusing_map;
    refusing.used = refusing_used;
    calls_left = -1;
    RUN(refused_nth_request_loses_nothing);
    RUN(refused_at_every_limit);
    return 0;
}
