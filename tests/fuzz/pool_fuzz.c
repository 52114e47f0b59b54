/* SPDX-License-Identifier: MIT */
/*
 * A fuzz target over the lives of pools, against a model: a tree of pools with objects, children, clean-ups,
 * limits and marks. What a rewind, a reset or an end takes with it, and in which order clean-ups are called;
 * that all else stays as it was; what is used and held; and that only a limit refuses.
 */
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "../lib/fuzz_main.h"
#include "fallow/fallow.h"

#define POOLS 24
#define THINGS 64 /* of a pool */
#define MARKS 4
#define CALLS 4096
#define CHUNK_BYTES ((size_t)16384)
#define DESCRIPTION_BYTES 64 /* at most */

typedef enum kind { OBJECT, CHILD, CLEAN_UP } kind;

typedef struct thing {
    kind kind;
    unsigned char *start; /* of an object */
    size_t bytes;
    unsigned which; /* child: the pool; else a number that is its own */
} thing;

typedef struct model {
    fallow_pool *pool; /* NULL: there is none here */
    int parent;        /* -1: none */
    size_t limit;      /* 0: none */
    thing things[THINGS];
    size_t count;
    struct {
        fallow_pool_mark mark;
        size_t count, used;
    } marks[MARKS];
    size_t mark_count;
} model;

static model pools[POOLS];
static unsigned numbers;
static unsigned called[CALLS], wanted[CALLS];
static size_t called_count, wanted_count;

static void clean_up(void *context) {
    CHECK(called_count < CALLS);
    called[called_count++] = (unsigned)(uintptr_t)context;
}

/* Near a limit a chunk is no longer than it must be: whole pages for the object and what describes the
 * chunk. */
static bool may_refuse(const model *it, size_t bytes) {
    size_t chunk = (bytes + CHUNK_BYTES + DESCRIPTION_BYTES) / CHUNK_BYTES * CHUNK_BYTES;
    return (it->limit && fallow_pool_held_bytes(it->pool) + chunk > it->limit) ||
           (it->parent >= 0 && may_refuse(&pools[it->parent], bytes));
}

static void expect_refused(const model *it, size_t bytes, size_t used) {
    CHECK_EQUAL(errno, ENOMEM);
    CHECK(may_refuse(it, bytes));
    CHECK_EQUAL(fallow_pool_used_bytes(it->pool), used);
}

static void forget_from(model *it, size_t count);

static void forget_pool(unsigned which) {
    forget_from(&pools[which], 0);
    pools[which].pool = NULL;
}

/* What came after: children first, then clean-ups, the newest first of each. */
static void forget_from(model *it, size_t count) {
    for (size_t i = it->count; i-- > count;)
        if (it->things[i].kind == CHILD && it->things[i].which < POOLS)
            forget_pool(it->things[i].which);
    for (size_t i = it->count; i-- > count;)
        if (it->things[i].kind == CLEAN_UP)
            wanted[wanted_count++] = it->things[i].which;
    it->count = count;
}

static void add_object(model *it, fuzz_rest *from, unsigned what) {
    size_t bytes = fuzz_size(from, 12), used = fallow_pool_used_bytes(it->pool);
    size_t alignment = what & 1 ? (size_t)1 << fuzz_byte(from) % 15 : 1;
    unsigned char *start;
    if (what & 1)
        start = fallow_pool_alloc_aligned(it->pool, alignment, bytes);
    else
        start = what & 2 ? fallow_pool_alloc_zeroed(it->pool, bytes) : fallow_pool_alloc(it->pool, bytes);
    if (!start) {
        expect_refused(it, bytes + alignment, used);
        return;
    }
    CHECK_EQUAL((uintptr_t)start % (alignment > 16 ? alignment : 16), 0);
    for (size_t i = 0; i < bytes && (what & 3) == 2; i++)
        CHECK_EQUAL(start[i], 0);
    CHECK(fallow_pool_used_bytes(it->pool) >= used + (bytes ? bytes : 1));
    unsigned number = ++numbers;
    memset(start, (int)number, bytes);
    it->things[it->count++] = (thing){OBJECT, start, bytes, number};
}

static void add_child(model *it, unsigned parent) {
    unsigned which = 0;
    while (which < POOLS && pools[which].pool)
        which++;
    if (which == POOLS)
        return;
    fallow_pool *made = fallow_pool_create_child(it->pool);
    if (!made) {
        expect_refused(it, 1000, fallow_pool_used_bytes(it->pool));
        return;
    }
    pools[which] = (model){.pool = made, .parent = (int)parent};
    it->things[it->count++] = (thing){CHILD, NULL, 0, which};
}

static void add_clean_up(model *it) {
    size_t used = fallow_pool_used_bytes(it->pool);
    unsigned number = ++numbers;
    if (fallow_pool_on_clean_up(it->pool, clean_up, (void *)(uintptr_t)number))
        it->things[it->count++] = (thing){CLEAN_UP, NULL, 0, number};
    else
        expect_refused(it, 64, used);
}

static void add_mark(model *it) {
    if (it->mark_count == MARKS)
        return;
    it->marks[it->mark_count].mark = fallow_pool_mark_here(it->pool);
    it->marks[it->mark_count].count = it->count;
    it->marks[it->mark_count++].used = fallow_pool_used_bytes(it->pool);
}

static void rewind_one(model *it, unsigned which) {
    if (!it->mark_count)
        return;
    which %= (unsigned)it->mark_count;
    fallow_pool_rewind(it->pool, it->marks[which].mark);
    forget_from(it, it->marks[which].count);
    it->mark_count = which + 1; /* the later ones are void */
    CHECK_EQUAL(fallow_pool_used_bytes(it->pool), it->marks[which].used);
}

static void reset_one(model *it) {
    fallow_pool_reset(it->pool);
    forget_from(it, 0);
    it->mark_count = 0;
    CHECK_EQUAL(fallow_pool_used_bytes(it->pool), 0);
}

static void destroy_one(unsigned which) {
    model *it = &pools[which];
    if (it->parent < 0)
        return;
    model *above = &pools[it->parent];
    fallow_pool_destroy(it->pool);
    forget_pool(which);
    for (size_t i = 0; i < above->count; i++)
        if (above->things[i].kind == CHILD && above->things[i].which == which)
            above->things[i].which = POOLS; /* its place in the order stays, for marks */
}

static void limit_one(model *it, size_t bytes) {
    fallow_pool_set_limit(it->pool, bytes);
    it->limit = bytes;
}

static void compare(void) {
    CHECK_EQUAL(called_count, wanted_count);
    for (size_t i = 0; i < called_count; i++)
        CHECK_EQUAL(called[i], wanted[i]);
    called_count = wanted_count = 0;
    for (unsigned i = 0; i < POOLS; i++) {
        if (!pools[i].pool)
            continue;
        size_t below = 0, used = fallow_pool_used_bytes(pools[i].pool);
        for (unsigned k = 0; k < POOLS; k++)
            below += pools[k].pool && pools[k].parent == (int)i ? fallow_pool_held_bytes(pools[k].pool) : 0;
        CHECK(fallow_pool_held_bytes(pools[i].pool) >= below + used);
    }
}

static void look_at_objects(const model *it) {
    for (size_t i = 0; i < it->count; i++)
        for (size_t k = 0; it->things[i].kind == OBJECT && k < it->things[i].bytes; k++)
            CHECK_EQUAL(it->things[i].start[k], (unsigned char)it->things[i].which);
}

static void step(fuzz_rest *from) {
    unsigned what = fuzz_byte(from), which = fuzz_byte(from) % POOLS;
    while (!pools[which].pool)
        which = (which + 1) % POOLS;
    model *it = &pools[which];
    bool is_room = it->count < THINGS;
    switch (what % 16) {
    case 0:
        look_at_objects(it);
        reset_one(it);
        break;
    case 1:
        destroy_one(which);
        break;
    case 2:
        limit_one(it, fuzz_size(from, 13));
        break;
    case 3:
    case 4:
        add_mark(it);
        break;
    case 5:
    case 6:
        look_at_objects(it);
        rewind_one(it, what >> 4);
        look_at_objects(it);
        break;
    case 7:
    case 8:
        if (is_room)
            add_child(it, which);
        break;
    case 9:
    case 10:
        if (is_room)
            add_clean_up(it);
        break;
    default:
        if (is_room)
            add_object(it, from, what >> 4);
    }
    compare();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count) {
    fuzz_rest from = {bytes, count};
    memset(pools, 0, sizeof pools);
    numbers = 0;
    fallow_arena *arena = fallow_arena_create("fuzz", 0);
    CHECK(arena);
    pools[0] = (model){.pool = fallow_pool_create(arena), .parent = -1};
    CHECK(pools[0].pool);
    while (from.left)
        step(&from);
    for (unsigned i = 0; i < POOLS; i++)
        if (pools[i].pool)
            look_at_objects(&pools[i]);
    fallow_pool_destroy(pools[0].pool);
    forget_pool(0);
    compare();
    fallow_arena_destroy(arena);
    return 0;
}

#ifndef FUZZER
int main(int argc, char **argv) {
    fuzz_main(argc, argv, 1000, 600);
    puts("ok pool_fuzz_random_inputs");
    return 0;
}
#endif
