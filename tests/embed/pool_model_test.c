/* SPDX-License-Identifier: MIT */
/*
 * Pools by a model: children, clean-ups, marks and rewinds in any order, also made and destroyed by
 * clean-ups. What came before a mark stays, with its contents; what came after it ends once, the last first.
 * And what is not a live pool stops the process.
 */
#include <string.h>

#include "../lib/check.h"
#include "../lib/stops.h"
#include "fallow/fallow.h"

#define THINGS 4000
#define MARKS 20
#define STEPS 3000

typedef enum kind { OBJECT, CHILD, CLEAN_UP } kind;

/* All that was made in the pool, in its order. */
typedef struct thing {
    kind kind;
    bool live;
    fallow_pool *child;
    unsigned char *object;
    size_t bytes;
} thing;

static thing things[THINGS];
static size_t count;
static fallow_pool *pool;
static uint64_t seed;
static size_t ended; /* clean-ups that were called since the last look */
static size_t last_ended;
static bool in_order;

static void clean_up(void *context);

static void add(kind kind, size_t bytes) {
    if (count == THINGS)
        return;
    thing *it = &things[count];
    *it = (thing){.kind = kind, .live = true, .bytes = bytes};
    if (kind == OBJECT) {
        CHECK((it->object = fallow_pool_alloc(pool, bytes)) != NULL);
        memset(it->object, (int)count, bytes);
    } else if (kind == CHILD) {
        CHECK((it->child = fallow_pool_create_child(pool)) != NULL);
        CHECK(fallow_pool_on_clean_up(it->child, clean_up, it));
        CHECK(fallow_pool_alloc(it->child, bytes) != NULL);
    } else
        CHECK(fallow_pool_on_clean_up(pool, clean_up, it));
    count++;
}

/* Of a child or of the pool. Some make more, which has to go with the rest. */
static void clean_up(void *context) {
    thing *it = context;
    CHECK(it->live);
    it->live = false;
    size_t index = (size_t)(it - things);
    in_order &= it->kind == CHILD || index < last_ended;
    last_ended = it->kind == CHILD ? last_ended : index;
    ended++;
    if (it->kind == CLEAN_UP && it->bytes % 8 == 0) {
        add(CLEAN_UP, 1);
        last_ended = count;
        add(CHILD, 100);
        add(OBJECT, 100);
    }
}

/* Everything from an index on is gone, everything before is as it was. */
static void expect_rewound_to(size_t index) {
    for (size_t i = index; i < count; i++)
        CHECK(things[i].kind == OBJECT || !things[i].live);
    count = index;
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; things[i].kind == OBJECT && k < things[i].bytes; k++)
            CHECK_EQUAL(things[i].object[k], (unsigned char)i);
}

static void destroy_some_child(uint64_t random) {
    for (size_t i = 0; i < count; i++) {
        thing *it = &things[(i + random) % count];
        if (it->kind == CHILD && it->live) {
            fallow_pool_destroy(it->child);
            CHECK(!it->live);
            return;
        }
    }
}

static void pool_rewinds_like_the_model(void) {
    static struct {
        fallow_pool_mark mark;
        size_t count;
    } marks[MARKS];
    size_t marked = 0;
    uint64_t random = seed;
    pool = fallow_pool_create(NULL);
    for (int i = 0; i < STEPS; i++) {
        uint64_t what = check_random(&random) % 100, number = check_random(&random);
        if (what < 50)
            add(OBJECT, number % (number % 50 ? 300 : 40000));
        else if (what < 65)
            add(CHILD, number % 3000);
        else if (what < 75)
            add(CLEAN_UP, number % 1000);
        else if (what < 85)
            destroy_some_child(number);
        else if (what < 93 && marked < MARKS) {
            marks[marked].mark = fallow_pool_mark_here(pool);
            marks[marked++].count = count;
        } else if (marked > 0 && what < 99) {
            marked = number % marked + 1; /* those behind are void, this one is not */
            in_order = true, last_ended = THINGS;
            fallow_pool_rewind(pool, marks[marked - 1].mark);
            CHECK(in_order);
            expect_rewound_to(marks[marked - 1].count);
        } else if (what == 99 && number % 5 == 0) {
            fallow_pool_reset(pool);
            expect_rewound_to(0);
            marked = 0;
        }
    }
    CHECK(ended > 100);
    fallow_pool_destroy(pool);
    for (size_t i = 0; i < count; i++)
        CHECK(things[i].kind == OBJECT || !things[i].live);
}

static void destroy_twice(void) {
    fallow_pool *twice = fallow_pool_create(NULL);
    fallow_pool_destroy(twice);
    fallow_pool_destroy(twice);
}
static void destroy_after_another_took_its_place(void) {
    fallow_pool *twice = fallow_pool_create(NULL);
    fallow_pool_destroy(twice);
    for (int i = 0; i < 8; i++)
        CHECK(fallow_pool_create(NULL) != NULL);
    fallow_pool_destroy(twice);
}
static void child_of_one_that_has_ended(void) {
    fallow_pool *parent = fallow_pool_create(NULL);
    fallow_pool_destroy(parent);
    CHECK(fallow_pool_create_child(parent) == NULL);
}
static void use_of_a_child_of_one_that_has_ended(void) {
    fallow_pool *parent = fallow_pool_create(NULL), *child = fallow_pool_create_child(parent);
    fallow_pool_destroy(parent);
    fallow_pool_reset(child);
}
static void limit_of_none(void) {
    fallow_pool_set_limit(NULL, 10);
}
static void mark_of_another(void) {
    fallow_pool *one = fallow_pool_create(NULL), *other = fallow_pool_create(NULL);
    fallow_pool_rewind(one, fallow_pool_mark_here(other));
}
static void mark_from_before_a_reset(void) {
    fallow_pool *one = fallow_pool_create(NULL);
    fallow_pool_mark mark = fallow_pool_mark_here(one);
    fallow_pool_reset(one);
    fallow_pool_rewind(one, mark);
}
static void mark_that_is_void(void) {
    fallow_pool *one = fallow_pool_create(NULL);
    fallow_pool_mark early = fallow_pool_mark_here(one);
    CHECK(fallow_pool_alloc(one, 100000) && fallow_pool_alloc(one, 3000));
    fallow_pool_mark late = fallow_pool_mark_here(one);
    fallow_pool_rewind(one, early);
    fallow_pool_rewind(one, late);
}
static void mark_that_is_void_though_the_pool_has_grown_past_it(void) {
    fallow_pool *one = fallow_pool_create(NULL);
    fallow_pool_mark early = fallow_pool_mark_here(one);
    CHECK(fallow_pool_create_child(one) && fallow_pool_alloc(one, 64));
    fallow_pool_mark late = fallow_pool_mark_here(one);
    fallow_pool_rewind(one, early);
    CHECK(fallow_pool_alloc(one, 512));
    fallow_pool_rewind(one, late);
}
static void reset_it(void *context) {
    fallow_pool_reset(context);
}
static void destroy_it(void *context) {
    fallow_pool_destroy(context);
}
static void reset_by_a_clean_up(void) {
    fallow_pool *one = fallow_pool_create(NULL);
    fallow_pool_mark mark = fallow_pool_mark_here(one);
    CHECK(fallow_pool_alloc(one, 100000) && fallow_pool_on_clean_up(one, reset_it, one));
    fallow_pool_rewind(one, mark);
}
static void destroy_by_its_own_clean_up(void) {
    fallow_pool *one = fallow_pool_create(NULL);
    CHECK(fallow_pool_on_clean_up(one, destroy_it, one));
    fallow_pool_destroy(one);
}
static void reset_of_the_parent_by_a_childs_clean_up(void) {
    fallow_pool *one = fallow_pool_create(NULL), *child = fallow_pool_create_child(one);
    CHECK(fallow_pool_on_clean_up(child, reset_it, one));
    fallow_pool_destroy(one);
}
static void not_a_pool(void) {
    static char mine[4096];
    fallow_pool_reset((fallow_pool *)(void *)mine);
}
static void a_block_is_not_a_pool(void) {
    fallow_pool_reset(fallow_arena_alloc(fallow_arena_create("blocks", 0), 5000));
}

static void pool_misuse_stops(void) {
    expect_stop(destroy_twice, "destroy of pool");
    expect_stop(destroy_after_another_took_its_place, "destroy of pool");
    expect_stop(child_of_one_that_has_ended, "child of pool");
    expect_stop(use_of_a_child_of_one_that_has_ended, "reset of pool");
    expect_stop(limit_of_none, "NULL");
    expect_stop(mark_of_another, "another pool");
    expect_stop(mark_from_before_a_reset, "before its reset");
    expect_stop(mark_that_is_void, "invalidated");
    expect_stop(mark_that_is_void_though_the_pool_has_grown_past_it, "invalidated");
    expect_stop(reset_by_a_clean_up, "clean-ups");
    expect_stop(destroy_by_its_own_clean_up, "clean-ups");
    expect_stop(reset_of_the_parent_by_a_childs_clean_up, "clean-ups");
    expect_stop(not_a_pool, "not a live pool");
    expect_stop(a_block_is_not_a_pool, "not a live pool");
}

int main(int argc, char **argv) {
    seed = check_seed(argc, argv);
    RUN(pool_rewinds_like_the_model);
    RUN(pool_misuse_stops);
    return 0;
}
