/* SPDX-License-Identifier: MIT */
/*
 * Shedders as a program meets them: at the soft limit of a program that never ticks, where they free too
 * little or nothing, and where another thread is in want while one is at work.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "../lib/check.h"
#include "../lib/reading.h"
#include "fallow/fallow.h"

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)
#define SOFT_BYTES (4 * MIB)
#define HARD_BYTES (8 * MIB)
#define BLOCKS_MAX ((size_t)1 << 17)

typedef struct cache {
    fallow_arena *arena;
    void *blocks[BLOCKS_MAX];
    size_t count;
    size_t at_most; /* blocks that a shedder frees at a time */
    _Atomic size_t asked;
    bool answer;
} cache;

static cache it;

static void start(size_t hard_bytes, size_t at_most) {
    it.arena = fallow_arena_create("cache", 0);
    it.count = 0;
    it.at_most = at_most;
    it.asked = 0;
    it.answer = true;
    fallow_arena_set_limits(it.arena, SOFT_BYTES, hard_bytes);
}

static bool shed(void *unused, size_t wanted) {
    (void)unused;
    CHECK(wanted > 0);
    it.asked++;
    for (size_t n = 0; it.count > 0 && n < it.at_most; n++)
        fallow_arena_free(it.arena, it.blocks[--it.count]);
    return it.answer;
}

typedef enum kind { PLAIN, ZEROED, ALIGNED, MOVED, KINDS } kind;

static void *get(kind how, size_t bytes) {
    if (how == ZEROED)
        return fallow_arena_alloc_zeroed(it.arena, bytes);
    if (how == ALIGNED)
        return fallow_arena_alloc_aligned(it.arena, 8192, bytes);
    return fallow_arena_alloc(it.arena, how == MOVED ? bytes / 8 : bytes);
}

/* One block more, which the shedder does not know of until it is there. */
static bool put(kind how, size_t bytes) {
    char *block = get(how, bytes);
    if (block && how == MOVED)
        block = fallow_arena_realloc(it.arena, block, bytes);
    if (!block)
        return false;
    memset(block, 1, bytes);
    it.blocks[it.count++] = block;
    return true;
}

/* Everything can be freed at any time: so little more is ever Ready than the soft limit and one request,
 * whatever is asked for, and nothing is refused. */
static void soft_limit_holds_without_ticks(void) {
    static const size_t sizes[] = {100, 1000, 30000, 300000, 1500000};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (kind how = PLAIN; how < KINDS; how++)
            for (size_t hard_bytes = 0; hard_bytes <= HARD_BYTES; hard_bytes += HARD_BYTES) {
                size_t most = 0;
                start(hard_bytes, SIZE_MAX);
                fallow_arena_on_soft_limit(it.arena, shed, NULL);
                for (size_t all = 0; all < 12 * MIB && it.count < BLOCKS_MAX; all += sizes[i]) {
                    CHECK(put(how, sizes[i]));
                    size_t ready = fallow_arena_ready_bytes(it.arena);
                    most = ready > most ? ready : most;
                }
                CHECK(most <= SOFT_BYTES + 2 * sizes[i] + 512 * KIB);
                CHECK(it.asked > 0 || most <= SOFT_BYTES);
                CHECK_EQUAL(arena_figures(it.arena).refusals, 0);
                fallow_arena_destroy(it.arena);
            }
}

/* A shedder that frees little leaves the limit exceeded. It is asked again when the excess has doubled: not
 * at every request, and not never. */
static void soft_limit_asks_again_while_it_is_exceeded(void) {
    for (size_t at_most = 0; at_most <= 1; at_most++) {
        start(0, at_most);
        fallow_arena_on_soft_limit(it.arena, shed, NULL);
        while (fallow_arena_ready_bytes(it.arena) < 16 * SOFT_BYTES)
            CHECK(put(PLAIN, 1000));
        CHECK(it.asked >= 6 && it.asked <= 16);
        fallow_arena_destroy(it.arena);
    }
}

/* The program ticks no more, or not often enough: as long as the soft limit is exceeded and its shedder has
 * something, nothing is refused. */
static void soft_shedder_is_asked_as_long_as_it_helps(void) {
    start(HARD_BYTES, 300);
    fallow_arena_on_soft_limit(it.arena, shed, NULL);
    fallow_tick();
    for (size_t i = 0; i < 20000; i++)
        CHECK(put(PLAIN, 4000));
    CHECK(it.asked > 10);
    CHECK_EQUAL(arena_figures(it.arena).refusals, 0);
    fallow_arena_destroy(it.arena);
}

/* In vain: it is not asked again by every request, but by the first one after something was freed. */
static void soft_shedder_without_anything_is_left_in_peace(void) {
    start(HARD_BYTES, 0);
    fallow_arena_on_soft_limit(it.arena, shed, NULL);
    fallow_tick();
    while (put(PLAIN, 4000))
        ;
    CHECK(!put(PLAIN, 4000));
    size_t asked = it.asked;
    CHECK(asked > 0 && asked <= 3);
    for (int i = 0; i < 1000; i++)
        CHECK(!put(PLAIN, 4000));
    CHECK_EQUAL(it.asked, asked);
    it.at_most = SIZE_MAX;
    for (int i = 0; i < 64; i++) /* with them an OS page, whatever its size */
        fallow_arena_free(it.arena, it.blocks[--it.count]);
    CHECK(put(PLAIN, 300000));
    CHECK_EQUAL(it.asked, asked + 1);
    fallow_arena_destroy(it.arena);
}

static _Atomic bool is_inside, comes;

/* Lets the other thread come as far as it can. */
static bool shed_while_another_comes(void *context, size_t wanted) {
    is_inside = true;
    while (!comes)
        usleep(100);
    usleep(50000);
    size_t had = it.count;
    shed(context, wanted);
    usleep(5000);
    return had > 0;
}

static void *ask_beside(void *unused) {
    (void)unused;
    while (!is_inside)
        usleep(100);
    comes = true;
    void *block = fallow_arena_alloc(it.arena, MIB);
    CHECK(block);
    return block;
}

/* While a shedder is at work, another thread comes to the limit: it waits, and has its share. Nobody is asked
 * twice. */
static void who_comes_while_a_shedder_works_is_served(void) {
    for (int soft = 0; soft <= 1; soft++)
        for (int round = 0; round < 3; round++) {
            pthread_t thread;
            is_inside = comes = false;
            start(HARD_BYTES, SIZE_MAX);
            fallow_tick();
            while (fallow_arena_ready_bytes(it.arena) < HARD_BYTES - 256 * KIB)
                CHECK(put(PLAIN, 30000));
            (soft ? fallow_arena_on_soft_limit : fallow_arena_on_limit)(it.arena, shed_while_another_comes,
                                                                        NULL);
            CHECK_EQUAL(pthread_create(&thread, NULL, ask_beside, NULL), 0);
            CHECK(fallow_arena_alloc(it.arena, MIB));
            CHECK_EQUAL(pthread_join(thread, NULL), 0);
            CHECK_EQUAL(it.asked, 1);
            CHECK_EQUAL(arena_figures(it.arena).refusals, 0);
            fallow_arena_destroy(it.arena);
        }
}

static fallow_arena *other;
static _Atomic bool other_is_inside, has_ticked;

static bool tick_inside(void *unused, size_t wanted) {
    (void)unused, (void)wanted;
    other_is_inside = true;
    while (!is_inside)
        usleep(100);
    fallow_tick();
    has_ticked = true;
    return false;
}

static void *come_to_the_other_limit(void *unused) {
    (void)unused;
    CHECK(!fallow_arena_alloc(other, MIB));
    return NULL;
}

/* The first time, crosses the limit again before it returns, beside a tick. */
static bool cross_again(void *unused, size_t wanted) {
    if (it.asked > 0)
        return shed(unused, wanted);
    shed(unused, wanted);
    fallow_arena_give_back(it.arena);
    while (fallow_arena_ready_bytes(it.arena) <= SOFT_BYTES + MIB)
        CHECK(put(PLAIN, 30000));
    while (!other_is_inside)
        usleep(100);
    is_inside = true;
    while (!has_ticked)
        usleep(100);
    return true;
}

/* A tick that may not wait for a shedder, as it comes from inside another one, loses no crossing. */
static void crossing_is_not_lost_inside_another_shedder(void) {
    pthread_t thread;
    is_inside = other_is_inside = has_ticked = false;
    start(0, SIZE_MAX);
    other = fallow_arena_create("other", MIB);
    fallow_arena_on_limit(other, tick_inside, NULL);
    CHECK(fallow_arena_alloc(other, MIB / 4));
    while (fallow_arena_ready_bytes(it.arena) <= SOFT_BYTES)
        CHECK(put(PLAIN, 30000));
    fallow_arena_on_soft_limit(it.arena, cross_again, NULL); /* and no sooner: asked in a tick */
    CHECK_EQUAL(pthread_create(&thread, NULL, come_to_the_other_limit, NULL), 0);
    fallow_tick();
    CHECK_EQUAL(it.asked, 1);
    CHECK_EQUAL(pthread_join(thread, NULL), 0);
    fallow_tick();
    CHECK_EQUAL(it.asked, 2);
    CHECK(fallow_arena_ready_bytes(it.arena) <= SOFT_BYTES);
    fallow_arena_destroy(other);
    fallow_arena_destroy(it.arena);
}

typedef struct side {
    fallow_arena *own;
    const struct side *beside;
    _Atomic bool inside;
    _Atomic unsigned asked;
    bool soft;
} side;

/* Each in its own shedder, both come to the other's limit. */
static bool come_to_each_other(void *context, size_t wanted) {
    side *me = context;
    (void)wanted;
    me->inside = true;
    me->asked++;
    while (!me->beside->inside)
        usleep(100);
    CHECK(!fallow_arena_alloc(me->beside->own, 2 * MIB));
    return false;
}

static void *come_to_own_limit(void *context) {
    side *me = context;
    CHECK(!fallow_arena_alloc(me->own, 2 * MIB));
    return NULL;
}

static void shedders_never_wait_for_each_other(void) {
    for (int soft = 0; soft < 4; soft++) {
        side sides[2];
        pthread_t threads[2];
        for (int i = 0; i < 2; i++) {
            sides[i] = (side){
                .own = fallow_arena_create("side", 2 * MIB), .beside = &sides[!i], .soft = soft >> i & 1};
            fallow_arena_set_limits(sides[i].own, MIB / 2, 2 * MIB);
            CHECK(memset(fallow_arena_alloc(sides[i].own, MIB), 1, MIB));
        }
        for (int i = 0; i < 2; i++)
            (sides[i].soft ? fallow_arena_on_soft_limit
                           : fallow_arena_on_limit)(sides[i].own, come_to_each_other, &sides[i]);
        for (int i = 0; i < 2; i++)
            CHECK_EQUAL(pthread_create(&threads[i], NULL, come_to_own_limit, &sides[i]), 0);
        for (int i = 0; i < 2; i++)
            CHECK_EQUAL(pthread_join(threads[i], NULL), 0);
        for (int i = 0; i < 2; i++) {
            CHECK(sides[i].asked > 0);
            fallow_arena_destroy(sides[i].own);
        }
    }
}

int main(void) {
    RUN(soft_limit_holds_without_ticks);
    RUN(soft_limit_asks_again_while_it_is_exceeded);
    RUN(soft_shedder_is_asked_as_long_as_it_helps);
    RUN(soft_shedder_without_anything_is_left_in_peace);
    RUN(who_comes_while_a_shedder_works_is_served);
    RUN(crossing_is_not_lost_inside_another_shedder);
    RUN(shedders_never_wait_for_each_other);
    return 0;
}
