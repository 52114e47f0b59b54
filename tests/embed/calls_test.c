/* SPDX-License-Identifier: MIT */
/* Calls beside plain allocation and free: arrays, alignment that is kept, blocks of unknown arenas, one arena
 * given back. */
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <string.h>

#include "../lib/check.h"
#include "../lib/reading.h"
#include "../lib/resident.h"
#include "../lib/stops.h"
#include "fallow/fallow.h"

static fallow_arena *arena, *other;

static void arrays_do_not_overflow(void) {
    char *block = fallow_arena_alloc_array(arena, 100, 30);
    CHECK(block && fallow_arena_usable_bytes(block) >= 3000);
    memset(block, 7, 3000);
    static const size_t counts[][2] = {
        {SIZE_MAX, 2}, {2, SIZE_MAX}, {(size_t)1 << 63, 2}, {((size_t)1 << 32) + 1, (size_t)1 << 32}};
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        errno = 0;
        CHECK(!fallow_arena_alloc_array(arena, counts[i][0], counts[i][1]) && errno == ENOMEM);
        errno = 0;
        CHECK(!fallow_arena_alloc_zeroed_array(arena, counts[i][0], counts[i][1]) && errno == ENOMEM);
        errno = 0;
        CHECK(!fallow_arena_realloc_array(arena, block, counts[i][0], counts[i][1]) && errno == ENOMEM);
    }
    CHECK(block[0] == 7 && block[2999] == 7); /* it is still there */
    char *zeroed = fallow_arena_alloc_zeroed_array(arena, 3000, 3);
    CHECK(zeroed);
    for (int i = 0; i < 9000; i++)
        CHECK(zeroed[i] == 0);
    block = fallow_arena_realloc_array(arena, block, 50, 1000);
    CHECK(block && block[0] == 7 && block[2999] == 7 && fallow_arena_usable_bytes(block) >= 50000);
    char *none = fallow_arena_realloc_array(arena, NULL, 0, 1000);
    CHECK(none);
    fallow_arena_free(arena, none);
    fallow_arena_free(arena, block);
    fallow_arena_free(arena, zeroed);
}

/* Of every size and alignment, up and down: aligned, and the contents are there. */
static void alignment_is_kept(void) {
    static const size_t sizes[] = {1, 100, 5000, 40000, 200000, 3 << 20, 50000, 70, 0};
    for (size_t alignment = 1; alignment <= (size_t)1 << 20; alignment *= 2) {
        size_t before = 0;
        char *block = NULL;
        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
            block = fallow_arena_realloc_aligned(arena, block, alignment, sizes[i]);
            CHECK(block && (uintptr_t)block % alignment == 0);
            size_t kept = before < sizes[i] ? before : sizes[i];
            for (size_t at = 0; at < kept; at++)
                CHECK(block[at] == (char)(at * 31));
            for (size_t at = 0; at < sizes[i]; at++)
                block[at] = (char)(at * 31);
            before = sizes[i];
        }
        fallow_arena_free(arena, block);
    }
    errno = 0;
    char *block = fallow_arena_alloc(arena, 100);
    CHECK(!fallow_arena_realloc_aligned(arena, block, 48, 100) && errno == EINVAL);
    /* One that was not aligned is moved, also by who asks for no more. */
    char *aligned = fallow_arena_realloc_aligned(arena, block, 4096, 100);
    CHECK(aligned && (uintptr_t)aligned % 4096 == 0);
    fallow_arena_free(arena, aligned);
}

static void aligned_block_at_a_limit_becomes_smaller(void) {
    fallow_arena *full = fallow_arena_create("full", (size_t)1 << 20);
    char *block = fallow_arena_alloc_aligned(full, 4096, 600000);
    CHECK(full && block);
    memset(block, 1, 600000);
    while (fallow_arena_alloc(full, 4096))
        ;
    block = fallow_arena_realloc_aligned(full, block, 4096, 90000);
    CHECK(block && block[0] == 1 && block[89999] == 1);
    errno = 0;
    CHECK(!fallow_arena_realloc_aligned(full, block, 4096, (size_t)2 << 20) && errno == ENOMEM);
    CHECK(block[0] == 1);
    fallow_arena_destroy(full);
}

static void *free_all(void *blocks) {
    for (void **block = blocks; *block; block++)
        fallow_free(*block);
    return NULL;
}

static void blocks_of_any_arena_are_freed(void) {
    fallow_free(NULL);
    for (int round = 0; round < 100; round++) {
        void *blocks[301] = {0};
        for (int i = 0; i < 300; i++)
            CHECK((blocks[i] = fallow_arena_alloc(i % 2 ? arena : other, (size_t)i * (i % 17 ? 20 : 2000))) !=
                  NULL);
        pthread_t thread;
        if (round % 2)
            free_all(blocks);
        else {
            CHECK_EQUAL(pthread_create(&thread, NULL, free_all, blocks), 0);
            CHECK_EQUAL(pthread_join(thread, NULL), 0);
        }
    }
    fallow_give_back();
    CHECK(arena_figures(arena).granted_bytes - arena_figures(arena).decommitted_bytes <= (size_t)2 << 20);
}

static void *mine, *theirs;

static void free_into_another(void) {
    fallow_arena_free(arena, theirs);
}

static void *free_into_another_by_a_stranger(void *unused) {
    fallow_arena_free(arena, theirs);
    return unused;
}

static void free_by_a_stranger(void) {
    pthread_t thread;
    pthread_create(&thread, NULL, free_into_another_by_a_stranger, NULL);
    pthread_join(thread, NULL);
}

static void free_inside(void) {
    fallow_free((char *)mine + 16);
}

static void free_of_none(void) {
    fallow_free(&mine);
}

static void blocks_of_another_arena_are_found(void) {
    static const size_t sizes[] = {48, 3000, 100000, 1000000};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        CHECK((mine = fallow_arena_alloc(arena, sizes[i])) != NULL);
        CHECK((theirs = fallow_arena_alloc(other, sizes[i])) != NULL);
        expect_stop(free_into_another, "a block of another arena");
        expect_stop(free_by_a_stranger, "a block of another arena");
        expect_stop(free_inside, "not the start of a block");
    }
    expect_stop(free_of_none, "not a block of this heap");
}

static void one_arena_gives_back_and_no_other(void) {
    enum { BLOCKS = 3000 };
    fallow_arena *parent = fallow_arena_create("parent", 0);
    fallow_arena *child =
        fallow_arena_create_with(&(fallow_arena_options){.name = "child", .parent = parent});
    fallow_arena *arenas[] = {parent, child, other};
    static char *blocks[3][BLOCKS];
    CHECK(parent && child);
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < 3; i++)
            for (int block = 0; block < BLOCKS; block++)
                if (round == 0)
                    memset(blocks[i][block] = fallow_arena_alloc(arenas[i], 4000), 1, 4000);
                else
                    fallow_arena_free(arenas[i], blocks[i][block]);
    size_t ready = arena_figures(other).ready_bytes, base = resident_bytes();
    size_t went = fallow_arena_give_back(parent);
    CHECK(went >= 2 * (size_t)BLOCKS * 4000 * 9 / 10);
    CHECK_EQUAL(arena_figures(other).ready_bytes, ready);
    CHECK(arena_figures(parent).ready_bytes <= (size_t)256 << 10); /* the child's are among them */
    CHECK(!RESIDENT_IS_OURS || resident_bytes() + went <= base + ((size_t)1 << 20));
    fallow_arena_destroy(parent);
}

/* --- detach --------------------------------------------------------------------------------------------- */

static void *use_in_turn(void *blocks) {
    for (int round = 0; round < 200; round++) {
        char *block = fallow_arena_alloc(arena, 100);
        CHECK(block);
        memset(block, round, 100);
        ((char **)blocks)[round] = block;
        CHECK(fallow_arena_detach(arena));
        CHECK(fallow_arena_detach(arena)); /* it has none now */
    }
    return NULL;
}

/* Two threads that live, and leave the arena after each use: one heap serves both, and what they have lives
 * on. */
static void threads_leave_arenas(void) {
    static char *blocks[2][200];
    CHECK(fallow_arena_detach(arena));
    size_t before = arena_figures(arena).heaps;
    use_in_turn(blocks[0]);
    pthread_t thread;
    CHECK_EQUAL(pthread_create(&thread, NULL, use_in_turn, blocks[1]), 0);
    CHECK_EQUAL(pthread_join(thread, NULL), 0);
    CHECK(arena_figures(arena).heaps <= (before ? before : 1));
    for (int i = 0; i < 400; i++) {
        char *block = blocks[i / 200][i % 200];
        CHECK(block[0] == (char)(i % 200) && block[99] == (char)(i % 200));
        fallow_arena_free(arena, block);
    }
    CHECK(fallow_arena_alloc(arena, 100) && arena_figures(arena).heaps >= 1);
    CHECK(fallow_arena_detach(arena));
    fallow_arena_give_back(arena); /* what waits goes where memory is wanted */
    CHECK_EQUAL(arena_figures(arena).heaps, 0);
}

/* --- which arenas there are ----------------------------------------------------------------------------- */

typedef struct census {
    fallow_arena *wanted[3];
    unsigned seen[3], all;
    bool makes_one;
} census;

static bool take(void *context, fallow_arena *it) {
    census *to = context;
    for (int i = 0; i < 3; i++)
        to->seen[i] += it == to->wanted[i];
    to->all++;
    CHECK(fallow_arena_name(it) != NULL && arena_figures(it).ready_bytes < (size_t)1 << 40);
    (void)fallow_arena_used_bytes(it);
    if (to->makes_one && to->all < 50)
        fallow_arena_destroy(fallow_arena_create("in between", 0));
    return true;
}

static _Atomic bool stop;

static void *come_and_go(void *unused) {
    while (!stop) {
        fallow_arena *top = fallow_arena_create("top", 0);
        fallow_arena *low = fallow_arena_create_with(&(fallow_arena_options){.parent = top});
        CHECK(low && fallow_arena_alloc(low, 1000));
        fallow_arena_destroy(top);
    }
    return unused;
}

static bool first_only(void *context, fallow_arena *it) {
    (void)it;
    return ++*(int *)context < 1;
}

static void arenas_are_listed(void) {
    pthread_t threads[2];
    fallow_arena *parent = fallow_arena_create("parent", 0);
    fallow_arena *one = fallow_arena_create_with(&(fallow_arena_options){.parent = parent});
    fallow_arena *two = fallow_arena_create_with(&(fallow_arena_options){.parent = parent});
    fallow_arena *grandchild = fallow_arena_create_with(&(fallow_arena_options){.parent = one});
    census children = {.wanted = {one, two, grandchild}};
    CHECK(grandchild && fallow_arena_each(parent, take, &children));
    CHECK(children.all == 2 && children.seen[0] == 1 && children.seen[1] == 1);
    for (int i = 0; i < 2; i++)
        CHECK_EQUAL(pthread_create(&threads[i], NULL, come_and_go, NULL), 0);
    for (int i = 0; i < 200; i++) {
        census all = {.wanted = {parent, two, grandchild}, .makes_one = true};
        CHECK(fallow_arena_each(NULL, take, &all));
        CHECK(all.seen[0] == 1 && all.seen[1] == 1 && all.seen[2] == 1);
        children = (census){.wanted = {one, two, grandchild}};
        CHECK(fallow_arena_each(parent, take, &children) && children.all == 2);
    }
    stop = true;
    for (int i = 0; i < 2; i++)
        CHECK_EQUAL(pthread_join(threads[i], NULL), 0);
    int shown = 0;
    CHECK(!fallow_arena_each(NULL, first_only, &shown) && shown == 1);
    fallow_arena_destroy(parent);
}

/* --- figures -------------------------------------------------------------------------------------------- */

static void refusals_say_whose(void) {
    fallow_arena *parent = fallow_arena_create("parent", (size_t)8 << 20);
    fallow_arena *child =
        fallow_arena_create_with(&(fallow_arena_options){.parent = parent, .limit_bytes = (size_t)2 << 20});
    CHECK(child);
    CHECK(fallow_arena_alloc(child, (size_t)3 << 19));
    CHECK(!fallow_arena_alloc(child, (size_t)1 << 20));
    CHECK(!fallow_arena_alloc(child, (size_t)1 << 20));
    CHECK_EQUAL(fallow_arena_last_refusal(child, NULL), FALLOW_REFUSED_BY_ARENA);
    CHECK(fallow_arena_alloc(parent, (size_t)101 << 16)); /* of 8 MiB, 192 KiB are left */
    CHECK(!fallow_arena_alloc(child, (size_t)400 << 10));
    CHECK_EQUAL(fallow_arena_last_refusal(child, NULL), FALLOW_REFUSED_BY_PARENT);
    CHECK(!fallow_arena_alloc(child, (size_t)4 << 20)); /* its limit alone is less */
    fallow_arena_figures now = arena_figures(child);
    CHECK_EQUAL(now.refused[FALLOW_REFUSED_BY_ARENA], 2);
    CHECK_EQUAL(now.refused[FALLOW_REFUSED_BY_PARENT], 1);
    CHECK_EQUAL(now.refused[FALLOW_REFUSED_BY_SIZE], 1);
    uint64_t sum = 0;
    for (int i = 0; i < FALLOW_REFUSED_BY_MAX; i++)
        sum += now.refused[i];
    CHECK_EQUAL(sum, now.refusals);
    fallow_arena_destroy(parent);
}

static void two_figures_are_the_same_as_of_all(void) {
    fallow_arena *parent = fallow_arena_create("parent", 0);
    fallow_arena *child = fallow_arena_create_with(&(fallow_arena_options){.parent = parent});
    CHECK(child);
    for (size_t bytes = 16; bytes < (size_t)4 << 20; bytes *= 2) {
        CHECK(fallow_arena_alloc(parent, bytes) && fallow_arena_alloc(child, bytes * 3));
        fallow_arena_figures of = arena_figures(parent);
        CHECK_EQUAL(fallow_arena_ready_bytes(parent), of.ready_bytes);
        CHECK_EQUAL(fallow_arena_used_bytes(parent), of.granted_bytes - of.decommitted_bytes);
        CHECK(fallow_arena_ready_bytes(parent) >=
              fallow_arena_ready_bytes(child) + fallow_arena_used_bytes(parent));
    }
    fallow_arena_destroy(parent);
}

int main(void) {
    CHECK((arena = fallow_arena_create("one", 0)) != NULL);
    CHECK((other = fallow_arena_create("other", 0)) != NULL);
    RUN(arrays_do_not_overflow);
    RUN(alignment_is_kept);
    RUN(aligned_block_at_a_limit_becomes_smaller);
    RUN(blocks_of_any_arena_are_freed);
    RUN(blocks_of_another_arena_are_found);
    RUN(one_arena_gives_back_and_no_other);
    fallow_arena_destroy(arena);
    CHECK((arena = fallow_arena_create("left", 0)) != NULL);
    RUN(threads_leave_arenas);
    RUN(arenas_are_listed);
    RUN(refusals_say_whose);
    RUN(two_figures_are_the_same_as_of_all);
    fallow_arena_destroy(arena);
    fallow_arena_destroy(other);
    return 0;
}
