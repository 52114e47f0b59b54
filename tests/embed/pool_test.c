/* SPDX-License-Identifier: MIT */
/* Pools: objects do not overlap, reset takes all and keeps little, the arena's limit holds. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../lib/check.h"
#include "../lib/reading.h"
#include "fallow/fallow.h"

static void pool_objects_are_whole_and_apart(void) {
    enum { OBJECTS = 5000 };
    static unsigned char *objects[OBJECTS];
    static size_t sizes[OBJECTS];
    uint64_t random = 3;
    fallow_pool *pool = fallow_pool_create(NULL);
    CHECK(pool);
    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < OBJECTS; i++) {
            sizes[i] = check_random(&random) % (i % 100 ? 300 : 100000);
            objects[i] = fallow_pool_alloc(pool, sizes[i]);
            CHECK(objects[i]);
            CHECK_EQUAL((uintptr_t)objects[i] % 16, 0);
            memset(objects[i], i & 0xff, sizes[i]);
        }
        for (int i = 0; i < OBJECTS; i++)
            for (size_t k = 0; k < sizes[i]; k++)
                CHECK_EQUAL(objects[i][k], i & 0xff);
        fallow_pool_reset(pool);
        CHECK_EQUAL(fallow_pool_used_bytes(pool), 0);
    }
    fallow_pool_destroy(pool);
    fallow_pool_destroy(NULL);
}

/* After a reset: the first chunk and the newest. */
#define KEPT_BYTES (((size_t)16 << 10) + ((size_t)256 << 10) + osmem_os_page_bytes())

/* What a thread keeps of spans goes back on request. */
static void expect_nothing_granted(fallow_arena *arena) {
    fallow_give_back();
    CHECK_EQUAL(arena_figures(arena).granted_bytes, 0);
}

static void pool_counts_in_its_arena(void) {
    fallow_arena *arena = fallow_arena_create("pools", (size_t)1 << 20);
    fallow_pool *pool = fallow_pool_create(arena);
    size_t count = 0;
    errno = 0;
    while (fallow_pool_alloc(pool, 1000))
        count++;
    CHECK_EQUAL(errno, ENOMEM);
    CHECK(count > 900 && count < 1049);
    CHECK(!fallow_pool_alloc(pool, SIZE_MAX));
    CHECK(!fallow_pool_alloc(pool, SIZE_MAX / 2));
    fallow_pool_reset(pool);
    fallow_give_back();
    CHECK(arena_figures(arena).granted_bytes <= KEPT_BYTES);
    for (size_t i = 0; i < count; i++)
        CHECK(fallow_pool_alloc(pool, 1000));
    fallow_pool_destroy(pool);
    expect_nothing_granted(arena);
    fallow_arena_destroy(arena);
}

static void pool_reset_with_big_objects_only(void) {
    fallow_arena *arena = fallow_arena_create("big", 0);
    fallow_pool *pool = fallow_pool_create(arena);
    for (int round = 0; round < 50; round++) {
        for (int i = 0; i < 10; i++)
            memset(fallow_pool_alloc(pool, 50000), round, 50000);
        fallow_pool_reset(pool);
        CHECK(fallow_pool_held_bytes(pool) <= KEPT_BYTES);
    }
    fallow_pool_destroy(pool);
    expect_nothing_granted(arena);
    fallow_arena_destroy(arena);
}

static void pool_strings_and_alignment(void) {
    fallow_pool *pool = fallow_pool_create(NULL);
    for (size_t alignment = 1; alignment <= 65536; alignment *= 2)
        for (size_t bytes = 0; bytes < 5000; bytes = bytes * 3 + 1) {
            char *object = fallow_pool_alloc_aligned(pool, alignment, bytes);
            CHECK_EQUAL((uintptr_t)object % alignment, 0);
            memset(object, 7, bytes);
            char *zeroed = fallow_pool_alloc_zeroed(pool, bytes);
            for (size_t i = 0; i < bytes; i++)
                CHECK(object[i] == 7 && zeroed[i] == 0);
        }
    CHECK(!fallow_pool_alloc_aligned(pool, 3, 10) && errno == EINVAL);
    CHECK(!fallow_pool_alloc_aligned(pool, (size_t)1 << 62, (size_t)1 << 62) && errno == ENOMEM);
    CHECK(!strcmp(fallow_pool_strdup(pool, "fallow"), "fallow"));
    CHECK(!strcmp(fallow_pool_strdup(pool, ""), ""));
    CHECK(!strcmp(fallow_pool_strndup(pool, "fallow land", 6), "fallow"));
    CHECK(!strcmp(fallow_pool_strndup(pool, "fallow", 100), "fallow"));
    CHECK(!memcmp(fallow_pool_copy(pool, "a\0b", 3), "a\0b", 3));
    CHECK(!strcmp(fallow_pool_printf(pool, "%s-%d-%0300d", "x", 42, 7) + 300, "00007"));
    fallow_pool_destroy(pool);
}

static char order[16];
static void note_down(void *letter) {
    strcat(order, letter);
}

static void pool_clean_ups_run_last_first_and_once(void) {
    fallow_pool *pool = fallow_pool_create(NULL), *child;
    CHECK(fallow_pool_on_clean_up(pool, note_down, "a"));
    CHECK(fallow_pool_on_clean_up(pool, note_down, "b"));
    fallow_pool_mark mark = fallow_pool_mark_here(pool);
    CHECK((child = fallow_pool_create_child(pool)) != NULL);
    CHECK(fallow_pool_on_clean_up(pool, note_down, "c"));
    CHECK(fallow_pool_on_clean_up(child, note_down, "d"));
    fallow_pool_rewind(pool, mark); /* children first */
    CHECK(!strcmp(order, "dc"));
    CHECK((child = fallow_pool_create_child(pool)) != NULL);
    CHECK(fallow_pool_on_clean_up(child, note_down, "e"));
    CHECK(fallow_pool_create_child(child));
    fallow_pool_reset(pool);
    CHECK(!strcmp(order, "dceba"));
    fallow_pool_reset(pool);
    fallow_pool_destroy(pool);
    CHECK(!strcmp(order, "dceba"));
}

/* Of several that are alike the newest goes; one that moves comes in its new place, and is gone from the old
 * one. */
static void pool_clean_ups_are_cancelled_and_moved(void) {
    fallow_pool *pool = fallow_pool_create(NULL), *other = fallow_pool_create(NULL);
    static char a[] = "a", b[] = "b", c[] = "c";
    order[0] = '\0';
    CHECK(fallow_pool_on_clean_up(pool, note_down, a));
    CHECK(fallow_pool_on_clean_up(pool, note_down, b));
    CHECK(fallow_pool_on_clean_up(pool, note_down, a));
    CHECK(fallow_pool_on_clean_up(pool, note_down, c));
    CHECK(fallow_pool_cancel_clean_up(pool, note_down, a));
    CHECK(!fallow_pool_cancel_clean_up(pool, note_down, order));
    fallow_pool_mark mark = fallow_pool_mark_here(other);
    errno = 0;
    CHECK(!fallow_pool_move_clean_up(other, pool, note_down, a) && errno == ENOENT);
    CHECK(fallow_pool_move_clean_up(pool, other, note_down, b));
    CHECK(!fallow_pool_cancel_clean_up(pool, note_down, b));
    CHECK(fallow_pool_move_clean_up(pool, pool, note_down, a)); /* it is the newest now */
    fallow_pool_reset(pool);
    CHECK(!strcmp(order, "ac"));
    fallow_pool_rewind(other, mark);
    CHECK(!strcmp(order, "acb"));
    fallow_pool_destroy(pool);
    /* No room where it is to go: it stays where it is. */
    pool = fallow_pool_create(NULL);
    CHECK(fallow_pool_on_clean_up(pool, note_down, a));
    fallow_pool_set_limit(other, fallow_pool_held_bytes(other));
    while (fallow_pool_alloc(other, 1))
        ;
    CHECK(!fallow_pool_move_clean_up(pool, other, note_down, a) && errno == ENOMEM);
    fallow_pool_destroy(other);
    fallow_pool_destroy(pool);
    CHECK(!strcmp(order, "acba"));
}

/* What was there before the mark is whole after any number of rewinds, and nothing is held that came
 * later. */
static void pool_mark_and_rewind(void) {
    uint64_t random = 5;
    fallow_arena *arena = fallow_arena_create("rewound", 0);
    fallow_pool *pool = fallow_pool_create(arena);
    char *early[100];
    for (int i = 0; i < 100; i++)
        early[i] = memset(fallow_pool_alloc(pool, 500), i, 500);
    fallow_pool_mark mark = fallow_pool_mark_here(pool);
    size_t used = fallow_pool_used_bytes(pool), held = fallow_pool_held_bytes(pool);
    for (int round = 0; round < 100; round++) {
        for (int i = 0; i < 200; i++) {
            size_t bytes = check_random(&random) % (i % 20 ? 2000 : 400000);
            memset(fallow_pool_alloc(pool, bytes), 0xee, bytes);
        }
        fallow_pool_rewind(pool, mark);
        CHECK_EQUAL(fallow_pool_used_bytes(pool), used);
        CHECK_EQUAL(fallow_pool_held_bytes(pool), held);
    }
    for (int i = 0; i < 100; i++)
        for (int k = 0; k < 500; k++)
            CHECK_EQUAL(early[i][k], i);
    fallow_pool_destroy(pool);
    expect_nothing_granted(arena);
    fallow_arena_destroy(arena);
}

static void pool_limit_holds_with_children(void) {
    fallow_pool *pool = fallow_pool_create(NULL), *child;
    fallow_pool_set_limit(pool, 256 << 10);
    CHECK((child = fallow_pool_create_child(pool)) != NULL);
    size_t count = 0;
    for (errno = 0; fallow_pool_alloc(child, 1000); count++)
        CHECK(fallow_pool_held_bytes(pool) <= 256 << 10);
    CHECK_EQUAL(errno, ENOMEM);
    /* The limit is four pages of 64 KiB, and two of 128. */
    size_t page = osmem_os_page_bytes();
    CHECK(count > (page <= 16384 ? 200 : page <= 65536 ? 120 : 60));
    CHECK(page > 65536 || !fallow_pool_alloc(pool, 100000));
    fallow_pool_destroy(child);
    CHECK(fallow_pool_alloc(pool, 100000));
    fallow_pool_destroy(pool);
}

/* A span that the heap kept may be a little longer than the chunk that is needed. */
static void pool_limit_holds_where_a_span_is_used_again(void) {
    fallow_arena *arena = fallow_arena_create("pool", 0);
    size_t page = osmem_os_page_bytes() > 16384 ? osmem_os_page_bytes() : 16384;
    fallow_arena_free(arena, fallow_arena_alloc(arena, 18 * page));
    fallow_pool *pool = fallow_pool_create(arena);
    CHECK(pool);
    size_t limit = fallow_pool_held_bytes(pool) + 16 * page;
    fallow_pool_set_limit(pool, limit);
    CHECK(fallow_pool_alloc(pool, 16 * page - 100));
    CHECK(fallow_pool_held_bytes(pool) <= limit);
    fallow_pool_destroy(pool);
    expect_nothing_granted(arena);
    fallow_arena_destroy(arena);
}

/* There where the program runs under AddressSanitizer. */
extern int __asan_address_is_poisoned(const volatile void *address) __attribute__((weak));

static void pool_objects_are_poisoned_when_they_end(void) {
    if (!__asan_address_is_poisoned)
        return;
    fallow_pool *pool = fallow_pool_create(NULL);
    char *early = fallow_pool_alloc(pool, 48);
    fallow_pool_mark mark = fallow_pool_mark_here(pool);
    char *objects[50];
    for (size_t i = 0; i < 50; i++) {
        objects[i] = fallow_pool_alloc(pool, i * 1000 + 16);
        CHECK(!__asan_address_is_poisoned(objects[i] + i * 1000 + 15));
        CHECK(__asan_address_is_poisoned(objects[i] + i * 1000 + 16));
    }
    fallow_pool_rewind(pool, mark);
    CHECK(!__asan_address_is_poisoned(early) && __asan_address_is_poisoned(objects[0]));
    fallow_pool_reset(pool);
    CHECK(__asan_address_is_poisoned(early));
    CHECK(!__asan_address_is_poisoned(fallow_pool_alloc(pool, 48)));
    fallow_pool_destroy(pool);
}

static void *use_of_another(void *pool) {
    return fallow_pool_alloc(pool, 10);
}

static void *take_over_and_use(void *pool) {
    fallow_pool_take_over(pool);
    return use_of_another(pool);
}

/* A checking build stops the process; a handed-over pool may be used. */
static void pool_has_one_owner(void) {
    pthread_t thread;
    void *object;
    fallow_pool *pool = fallow_pool_create(NULL);
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        fclose(stderr);
        CHECK_EQUAL(pthread_create(&thread, NULL, use_of_another, pool), 0);
        pthread_join(thread, NULL);
        _exit(0);
    }
    int status;
    CHECK_EQUAL(waitpid(child, &status, 0), child);
    CHECK_EQUAL(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT, FL_CHECKS > 0);
    CHECK_EQUAL(pthread_create(&thread, NULL, take_over_and_use, pool), 0);
    CHECK_EQUAL(pthread_join(thread, &object), 0);
    CHECK(object);
    fallow_pool_take_over(pool);
    fallow_pool_destroy(pool);
}

int main(void) {
    RUN(pool_objects_are_whole_and_apart);
    RUN(pool_counts_in_its_arena);
    RUN(pool_reset_with_big_objects_only);
    RUN(pool_strings_and_alignment);
    RUN(pool_clean_ups_run_last_first_and_once);
    RUN(pool_clean_ups_are_cancelled_and_moved);
    RUN(pool_mark_and_rewind);
    RUN(pool_limit_holds_with_children);
    RUN(pool_limit_holds_where_a_span_is_used_again);
    RUN(pool_objects_are_poisoned_when_they_end);
    RUN(pool_has_one_owner);
    return 0;
}
