/* SPDX-License-Identifier: MIT */
/*
 * What is listed while it comes and goes: arenas (fallow_arena_each), of which nobody sees one that is half
 * made, in the child of a fork neither; pools (fallow_pool_each), with their figures.
 *
 * Usage: list_test [ROUNDS]
 */
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../lib/check.h"
#include "../lib/reading.h"
#include "fallow/fallow.h"

#ifdef __has_feature
#if __has_feature(thread_sanitizer) && !defined __SANITIZE_THREAD__
#define __SANITIZE_THREAD__
#endif
#endif

#define MIB ((size_t)1 << 20)

static int rounds = 5000;
static _Atomic bool over;
static _Atomic int made; /* by threads that make and end */

/* --- arenas --------------------------------------------------------------------------------------------- */

static fallow_arena *family;

/* Whatever it is asked with, by its name. */
static fallow_arena_options options_of(unsigned kind) {
    static const char *const names[] = {"kind 0", "kind 1", "kind 2", "kind 3"};
    return (fallow_arena_options){.name = names[kind],
                                  .parent = family,
                                  .soft_limit_bytes = (kind + 1) * MIB,
                                  .limit_bytes = (kind + 2) * MIB,
                                  .idle_max_bytes = (kind + 3) * MIB,
                                  .flags = kind % 2 ? FALLOW_ARENA_ONE_THREAD : 0};
}

static void *make_and_end(void *unused) {
    (void)unused;
    for (unsigned i = 0; !atomic_load(&over); i++) {
        fallow_arena_options options = options_of(i % 4);
        fallow_arena *arena = fallow_arena_create_sized(&options, sizeof options);
        CHECK(arena);
        if (i % 8 == 0)
            CHECK(fallow_arena_alloc(arena, 100));
        fallow_arena_destroy(arena);
        atomic_fetch_add(&made, 1);
    }
    return NULL;
}

static bool is_whole(void *shown, fallow_arena *arena) {
    const char *name = fallow_arena_name(arena);
    if (strncmp(name, "kind ", 5) != 0)
        return true;
    fallow_arena_options options = options_of((unsigned)(name[5] - '0'));
    fallow_arena_figures figures = arena_figures(arena);
    CHECK_EQUAL(figures.soft_limit_bytes, options.soft_limit_bytes);
    CHECK_EQUAL(figures.limit_bytes, options.limit_bytes);
    CHECK_EQUAL(figures.idle_max_bytes, options.idle_max_bytes);
    CHECK(fallow_arena_parent(arena) == family);
    /* The heap of one for one thread is there before any other thread may come by. */
    CHECK(!options.flags || figures.heaps >= 1);
    ++*(size_t *)shown;
    return true;
}

static void ends_well(pid_t child) {
    int status;
    CHECK(child > 0 && waitpid(child, &status, 0) == child);
    CHECK_EQUAL(status, 0);
}

static void in_child(void) {
    size_t shown = 0;
    CHECK(fallow_arena_each(NULL, is_whole, &shown));
    CHECK(fallow_arena_each(family, is_whole, &shown));
    fallow_arena_destroy(family); /* with what was whole below it */
    family = fallow_arena_create("family", 0);
    fallow_arena_options options = options_of(1);
    CHECK(fallow_arena_create_sized(&options, sizeof options));
    shown = 0;
    CHECK(fallow_arena_each(family, is_whole, &shown));
    CHECK_EQUAL(shown, 1);
}

static void arenas_are_listed_whole_or_not_at_all(void) {
    pthread_t threads[2];
    size_t shown = 0;
    family = fallow_arena_create("family", 0);
    atomic_store(&over, false);
    for (int i = 0; i < 2; i++)
        CHECK_EQUAL(pthread_create(&threads[i], NULL, make_and_end, NULL), 0);
    atomic_store(&made, 0);
    for (int i = 0; i < rounds || atomic_load(&made) < rounds; i++)
        CHECK(fallow_arena_each(i % 2 ? NULL : family, is_whole, &shown));
    for (int i = 0; i < rounds / 100; i++) {
        pid_t child = fork();
        if (child == 0) {
            in_child();
            _exit(0);
        }
        ends_well(child);
    }
    atomic_store(&over, true);
    for (int i = 0; i < 2; i++)
        CHECK_EQUAL(pthread_join(threads[i], NULL), 0);
    printf("# %zu shown\n", shown);
    CHECK(shown > 0);
    fallow_arena_destroy(family);
}

/* --- pools ---------------------------------------------------------------------------------------------- */

#define SEEN_MAX 64

typedef struct seen {
    size_t count;
    fallow_pool *pools[SEEN_MAX];
    fallow_pool_figures figures[SEEN_MAX];
} seen;

static bool note(void *context, fallow_pool *pool, const fallow_pool_figures *figures) {
    seen *all = context;
    CHECK(all->count < SEEN_MAX);
    all->pools[all->count] = pool;
    all->figures[all->count++] = *figures;
    return true;
}

static seen list(fallow_arena *arena) {
    seen all = {0};
    CHECK(fallow_pool_each(arena, note, &all));
    return all;
}

static void check_is(const seen *all, size_t at, fallow_pool *pool, const fallow_pool *parent,
                     size_t limit_bytes) {
    CHECK(all->pools[at] == pool && all->figures[at].parent == parent);
    CHECK_EQUAL(all->figures[at].used_bytes, fallow_pool_used_bytes(pool));
    CHECK_EQUAL(all->figures[at].held_bytes, fallow_pool_held_bytes(pool));
    CHECK_EQUAL(all->figures[at].limit_bytes, limit_bytes);
}

static void pools_are_listed_with_their_figures(void) {
    fallow_arena *arena = fallow_arena_create("of pools", 0), *other = fallow_arena_create("other", 0);
    CHECK_EQUAL(list(arena).count, 0);
    fallow_pool *first = fallow_pool_create(arena), *elsewhere = fallow_pool_create(other);
    fallow_pool *child = fallow_pool_create_child(first), *grandchild = fallow_pool_create_child(child);
    fallow_pool *second = fallow_pool_create(arena);
    CHECK(first && elsewhere && child && grandchild && second);
    fallow_pool_set_limit(child, 4 * MIB);
    CHECK(fallow_pool_alloc(first, 300) && fallow_pool_alloc(first, 100000) &&
          fallow_pool_alloc(child, 5000));
    for (int i = 0; i < 1000; i++)
        CHECK(fallow_pool_alloc(grandchild, 100));
    seen all = list(arena);
    CHECK_EQUAL(all.count, 4);
    check_is(&all, 0, second, NULL, 0);
    check_is(&all, 1, grandchild, child, 0);
    check_is(&all, 2, child, first, 4 * MIB);
    check_is(&all, 3, first, NULL, 0);
    CHECK(all.figures[3].held_bytes > all.figures[2].held_bytes); /* with those below it */
    CHECK_EQUAL(all.figures[0].used_bytes, 0);
    fallow_pool_mark mark = fallow_pool_mark_here(second);
    CHECK(fallow_pool_create_child(second) && fallow_pool_alloc(second, 50000));
    CHECK_EQUAL(list(arena).count, 5);
    fallow_pool_rewind(second, mark);
    fallow_pool_reset(child);
    all = list(arena);
    CHECK_EQUAL(all.count, 3);
    check_is(&all, 0, second, NULL, 0);
    check_is(&all, 1, child, first, 4 * MIB);
    fallow_pool_destroy(first);
    CHECK_EQUAL(list(arena).count, 1);
    CHECK_EQUAL(list(other).count, 1);
    fallow_arena_reset(arena, 0); /* ends them without a word */
    CHECK_EQUAL(list(arena).count, 0);
    CHECK(fallow_pool_create(arena));
    CHECK_EQUAL(list(arena).count, 1);
    fallow_arena_destroy(arena);
    fallow_arena_destroy(other);
    /* The process's own. */
    fallow_pool *of_process = fallow_pool_create(NULL);
    all = list(NULL);
    CHECK_EQUAL(all.count, 1);
    check_is(&all, 0, of_process, NULL, 0);
    fallow_pool_destroy(of_process);
    CHECK_EQUAL(list(NULL).count, 0);
}

static bool at_once(void *count, fallow_pool *pool, const fallow_pool_figures *figures) {
    (void)pool, (void)figures;
    return ++*(int *)count < 2;
}

static fallow_arena *changed;

/* Ends the one that is shown, or the ones around it; makes others; looks at all from inside. */
static bool change(void *context, fallow_pool *pool, const fallow_pool_figures *figures) {
    seen *all = context;
    (void)figures;
    for (size_t i = 0; i < all->count; i++)
        CHECK(all->pools[i] != pool); /* once */
    CHECK(all->count < SEEN_MAX);
    all->pools[all->count++] = pool;
    CHECK(fallow_pool_create(changed));
    if (all->count % 3 == 0)
        fallow_pool_destroy(pool);
    if (all->count % 3 == 1)
        CHECK(list(changed).count > 0);
    return true;
}

static void pools_come_and_go_while_they_are_listed(void) {
    int count = 0;
    seen all = {0};
    changed = fallow_arena_create("changed", 0);
    for (int i = 0; i < 20; i++)
        CHECK(fallow_pool_create(changed));
    CHECK(!fallow_pool_each(changed, at_once, &count));
    CHECK_EQUAL(count, 2);
    CHECK(fallow_pool_each(changed, change, &all));
    CHECK_EQUAL(all.count, 20);
    CHECK_EQUAL(list(changed).count, 20 + 20 - 6);
    fallow_arena_destroy(changed);
}

/* Each has a pool that stays, and makes, uses and ends others all the time. */
static void *use_pools(void *arena) {
    uint64_t random = (uintptr_t)&random;
    while (!atomic_load(&over)) {
        fallow_pool *pool = fallow_pool_create(arena);
        CHECK(pool);
        fallow_pool *child = check_random(&random) % 2 ? fallow_pool_create_child(pool) : NULL;
        for (uint64_t i = check_random(&random) % 50; i > 0; i--)
            CHECK(fallow_pool_alloc(child ? child : pool, check_random(&random) % 9000));
        if (check_random(&random) % 2)
            fallow_pool_reset(pool);
        fallow_pool_destroy(pool);
        atomic_fetch_add(&made, 1);
    }
    return NULL;
}

/* What an object of 1000 bytes takes: under AddressSanitizer with a gap behind it. */
#if defined __SANITIZE_ADDRESS__
#define USED_BYTES 1024
#elif defined __has_feature
#if __has_feature(address_sanitizer)
#define USED_BYTES 1024
#endif
#endif
#ifndef USED_BYTES
#define USED_BYTES 1008
#endif

typedef struct glance {
    const fallow_pool *stays[2];
    unsigned times[2];
    size_t shown;
} glance;

static bool look(void *context, fallow_pool *pool, const fallow_pool_figures *figures) {
    glance *it = context;
    CHECK(figures->held_bytes >= 16384 && figures->held_bytes < 64 * MIB);
    CHECK(figures->used_bytes <= 64 * MIB);
    CHECK(figures->parent != pool);
    for (int i = 0; i < 2; i++)
        if (pool == it->stays[i]) {
            it->times[i]++;
            CHECK_EQUAL(figures->used_bytes, USED_BYTES);
            CHECK_EQUAL(figures->held_bytes, fallow_pool_held_bytes(pool));
        }
    it->shown++;
    return true;
}

static void pools_are_listed_beside_threads_that_use_them(void) {
    pthread_t threads[2];
    glance it = {0};
    fallow_arena *arena = fallow_arena_create("busy", 0);
    fallow_pool *first = fallow_pool_create(arena), *last;
    atomic_store(&over, false);
    for (int i = 0; i < 2; i++)
        CHECK_EQUAL(pthread_create(&threads[i], NULL, use_pools, arena), 0);
    last = fallow_pool_create(arena);
    CHECK(first && last && fallow_pool_alloc(first, 1000) && fallow_pool_alloc(last, 1000));
    it.stays[0] = first, it.stays[1] = last;
    atomic_store(&made, 0);
    unsigned times = 0;
    for (; times < (unsigned)rounds || atomic_load(&made) < rounds; times++)
        CHECK(fallow_pool_each(arena, look, &it));
    CHECK_EQUAL(it.times[0], times);
    CHECK_EQUAL(it.times[1], times);
    printf("# %zu shown\n", it.shown);
    for (int i = 0; i < rounds / 400; i++) { /* the child lists, though another thread was at that */
        pid_t child = fork();
        if (child == 0) {
            it.times[0] = it.times[1] = 0;
            CHECK(fallow_pool_each(arena, look, &it));
            CHECK(it.times[0] == 1 && it.times[1] == 1);
            fallow_pool_destroy(first);
            fallow_pool_destroy(fallow_pool_create(arena));
            fallow_arena_destroy(arena);
            _exit(0);
        }
        ends_well(child);
    }
    atomic_store(&over, true);
    for (int i = 0; i < 2; i++)
        CHECK_EQUAL(pthread_join(threads[i], NULL), 0);
    CHECK_EQUAL(list(arena).count, 2);
    fallow_arena_destroy(arena);
}

static void *list_on(void *arena) {
    while (!atomic_load(&over)) {
        glance it = {0};
        CHECK(fallow_pool_each(arena, look, &it));
    }
    return NULL;
}

static void *use_stack(void *unused) {
    volatile char all[64 << 10];
    for (size_t i = 0; i < sizeof all; i++)
        all[i] = 1;
    return unused;
}

/* The thread that was listing is not in the child, nor is its place in the list. */
static void pools_are_listed_in_the_child_of_a_fork(void) {
    pthread_t thread;
    fallow_arena *arena = fallow_arena_create("forked", 0);
    fallow_pool *pools[10];
    for (int i = 0; i < 10; i++)
        CHECK((pools[i] = fallow_pool_create(arena)) != NULL);
    atomic_store(&over, false);
    CHECK_EQUAL(pthread_create(&thread, NULL, list_on, arena), 0);
    for (int i = 0; i < rounds / 100; i++) {
        pid_t child = fork();
        if (child == 0) {
            pthread_t other;
            CHECK_EQUAL(list(arena).count, 10);
            /* Its stack becomes another thread's. */
            atomic_store(&over, true);
#ifndef __SANITIZE_THREAD__ /* which has no new threads in such a child */
            CHECK_EQUAL(pthread_create(&other, NULL, use_stack, NULL), 0);
            CHECK_EQUAL(pthread_join(other, NULL), 0);
#else
            (void)other, (void)use_stack;
#endif
            for (int k = 0; k < 10; k++)
                fallow_pool_destroy(pools[(k + i) % 10]);
            CHECK_EQUAL(list(arena).count, 0);
            CHECK(fallow_pool_create(arena));
            CHECK_EQUAL(list(arena).count, 1);
            _exit(0);
        }
        ends_well(child);
    }
    atomic_store(&over, true);
    CHECK_EQUAL(pthread_join(thread, NULL), 0);
    fallow_arena_destroy(arena);
}

int main(int argc, char **argv) {
    if (argc > 1)
        rounds = atoi(argv[1]);
    CHECK(rounds > 0);
    RUN(arenas_are_listed_whole_or_not_at_all);
    RUN(pools_are_listed_with_their_figures);
    RUN(pools_come_and_go_while_they_are_listed);
    RUN(pools_are_listed_beside_threads_that_use_them);
    RUN(pools_are_listed_in_the_child_of_a_fork);
    return 0;
}
