/* SPDX-License-Identifier: MIT */
/*
 * Arenas that go to another parent: what they have counts there, at one moment, or nothing changes; beside
 * threads that use them, and in the child of a fork.
 *
 * Usage: set_parent_test [ROUNDS]
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

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)

static int rounds = 4000;

static fallow_arena *below(fallow_arena *parent, size_t limit_bytes) {
    fallow_arena *arena =
        fallow_arena_create_with(&(fallow_arena_options){.parent = parent, .limit_bytes = limit_bytes});
    CHECK(arena);
    return arena;
}

static void *filled(fallow_arena *arena, size_t bytes) {
    void *block = fallow_arena_alloc(arena, bytes);
    CHECK(block);
    return memset(block, 1, bytes);
}

/* By the ledger and by what limits go by: they are one figure. */
static size_t ready(const fallow_arena *arena) {
    size_t bytes = arena_figures(arena).ready_bytes;
    CHECK_EQUAL(fallow_arena_ready_bytes(arena), bytes);
    return bytes;
}

typedef struct children {
    size_t count;
    fallow_arena *last;
} children;

static bool count_child(void *context, fallow_arena *arena) {
    ((children *)context)->count++;
    ((children *)context)->last = arena;
    return true;
}

static size_t children_of(const fallow_arena *arena, fallow_arena **last) {
    children all = {0};
    CHECK(fallow_arena_each(arena, count_child, &all));
    if (last)
        *last = all.last;
    return all.count;
}

static void what_it_has_counts_there(void) {
    fallow_arena *old = fallow_arena_create("old", 64 * MIB), *new = fallow_arena_create("new", 64 * MIB),
                 *last;
    fallow_arena *arena = below(old, 0), *child = below(arena, 0), *stays = below(old, 0);
    size_t process = process_figures().ready_bytes;
    filled(old, MIB), filled(arena, 2 * MIB), filled(child, 4 * MIB), filled(stays, 8 * MIB),
        filled(new, 16 * MIB);
    size_t had = ready(arena), left = ready(old) - had, there = ready(new);
    CHECK(had >= 6 * MIB && left >= 9 * MIB && there >= 16 * MIB);
    CHECK(fallow_arena_set_parent(arena, new));
    CHECK(fallow_arena_parent(arena) == new &&fallow_arena_parent(child) == arena);
    CHECK(children_of(new, &last) == 1 && last == arena && children_of(old, &last) == 1 && last == stays);
    CHECK(ready(arena) == had && ready(old) == left && ready(new) == there + had);
    CHECK(arena_figures(new).ready_peak_bytes >= there + had);
    /* What comes from then on, too. */
    void *block = filled(child, 8 * MIB);
    had = ready(arena);
    CHECK(ready(old) == left && ready(new) == there + had);
    fallow_arena_free(child, block);
    fallow_arena_give_back(new); /* goes by those below */
    had = ready(arena);
    CHECK(ready(old) == left && ready(new) == there + had);
    /* Below nobody, and below a grandchild of where it was. */
    CHECK(fallow_arena_set_parent(arena, NULL));
    CHECK(!fallow_arena_parent(arena) && ready(new) == there && children_of(new, NULL) == 0);
    CHECK(fallow_arena_set_parent(arena, NULL));
    fallow_arena *deep = below(stays, 0);
    CHECK(fallow_arena_set_parent(arena, deep));
    CHECK(ready(deep) == had && ready(old) == left + had && ready(arena) == had);
    CHECK(fallow_arena_set_parent(arena, deep));
    CHECK(ready(deep) == had);
    /* From there to where a part of the chain is the same. */
    CHECK(fallow_arena_set_parent(arena, old));
    CHECK(ready(deep) == 0 && ready(old) == left + had);
    /* Its old parent ends without it, the new one with it. */
    CHECK(fallow_arena_set_parent(arena, new));
    fallow_arena_destroy(old);
    filled(child, MIB);
    fallow_arena_destroy(new);
    CHECK(children_of(NULL, NULL) == 1); /* malloc's */
    CHECK(process_figures().ready_bytes <= process + MIB);
}

/* Limits there hold, all of them on the way up; those where it was no longer do. */
static void limits_there_hold(void) {
    fallow_arena *top = fallow_arena_create("top", 12 * MIB), *middle = below(top, 0),
                 *small = fallow_arena_create("small", 4 * MIB);
    fallow_arena *arena = below(small, 0);
    const fallow_arena *whose;
    filled(arena, 2 * MIB), filled(middle, 4 * MIB);
    CHECK_NO_MEMORY(fallow_arena_alloc(arena, 4 * MIB));
    CHECK(fallow_arena_last_refusal(arena, &whose) == FALLOW_REFUSED_BY_PARENT && whose == small);
    CHECK(fallow_arena_set_parent(arena, middle));
    /* By one that is above it no more, and may end. */
    CHECK(fallow_arena_last_refusal(arena, &whose) == FALLOW_REFUSED_BY_PARENT && !whose);
    fallow_arena_destroy(small);
    CHECK(fallow_arena_last_refusal(arena, &whose) == FALLOW_REFUSED_BY_PARENT && !whose);
    filled(arena, 5 * MIB);
    CHECK_NO_MEMORY(fallow_arena_alloc(arena, 2 * MIB));
    CHECK(fallow_arena_last_refusal(arena, &whose) == FALLOW_REFUSED_BY_PARENT && whose == top);
    CHECK_NO_MEMORY(fallow_arena_alloc(middle, 2 * MIB));
    CHECK(fallow_arena_set_parent(arena, NULL));
    filled(arena, 20 * MIB), filled(middle, 4 * MIB);
    fallow_arena_destroy(top);
    fallow_arena_destroy(arena);
}

static void what_does_not_fit_stays(void) {
    fallow_arena *top = fallow_arena_create("top", 8 * MIB), *middle = below(top, 0),
                 *old = fallow_arena_create("old", 0);
    fallow_arena *arena = below(old, 0), *child = below(arena, 0);
    const fallow_arena *whose;
    filled(middle, 3 * MIB), filled(child, 6 * MIB), filled(arena, MIB);
    size_t had = ready(arena), there = ready(top);
    uint64_t refusals = arena_figures(middle).refusals;
    for (int i = 0; i < 3; i++) {
        errno = 0;
        CHECK(!fallow_arena_set_parent(arena, middle));
        CHECK_EQUAL(errno, ENOMEM);
        CHECK(fallow_arena_last_refusal(middle, &whose) == FALLOW_REFUSED_BY_PARENT && whose == top);
        CHECK_EQUAL(arena_figures(middle).refusals, refusals + (uint64_t)i + 1);
        CHECK(fallow_arena_parent(arena) == old && children_of(old, NULL) == 1 &&
              children_of(middle, NULL) == 0);
        CHECK(ready(arena) == had && ready(old) == had && ready(top) == there && ready(middle) == there);
    }
    CHECK_NO_MEMORY(fallow_arena_set_parent(arena, top));
    CHECK(fallow_arena_last_refusal(top, &whose) == FALLOW_REFUSED_BY_ARENA && whose == top);
    fallow_arena_set_limits(top, 0, there + had); /* to the byte */
    CHECK(fallow_arena_set_parent(arena, middle));
    CHECK_EQUAL(ready(top), there + had);
    /* Between two below the same one, whose limit it does not concern. */
    fallow_arena *other = below(top, 0);
    CHECK(fallow_arena_set_parent(arena, other));
    CHECK_EQUAL(ready(top), there + had);
    /* Above a limit that was lowered nothing comes but what has nothing. */
    fallow_arena *empty = below(NULL, 0);
    fallow_arena_set_limits(top, 0, MIB);
    CHECK(fallow_arena_set_parent(empty, other));
    CHECK_NO_MEMORY(fallow_arena_alloc(empty, 1));
    fallow_arena_destroy(top);
    fallow_arena_destroy(old);
}

static void *spare;
static unsigned asked;

static bool shed(void *arena, size_t bytes) {
    asked++;
    CHECK(bytes > 0);
    bool has = spare != NULL;
    fallow_arena_free(arena, spare);
    spare = NULL;
    return has;
}

/* Idle memory of both goes first, and the shedder is asked. */
static void room_is_made(void) {
    fallow_arena *parent = fallow_arena_create("parent", 8 * MIB), *arena = below(NULL, 0);
    fallow_arena_options keeps = {.parent = arena, .give_back = FALLOW_GIVE_BACK_NEVER};
    fallow_arena *child = fallow_arena_create_with(&keeps);
    filled(child, 2 * MIB);
    fallow_arena_free(child, filled(child, 10 * MIB));
    CHECK(ready(arena) >= 12 * MIB);
    CHECK(fallow_arena_set_parent(arena, parent));
    CHECK(ready(parent) <= 8 * MIB && ready(arena) >= 2 * MIB);
    CHECK(fallow_arena_set_parent(arena, NULL));
    fallow_arena_free(parent, filled(parent, 7 * MIB));
    CHECK(fallow_arena_set_parent(arena, parent));
    CHECK(fallow_arena_set_parent(arena, NULL));
    CHECK_EQUAL(asked, 0);
    spare = filled(parent, 7 * MIB);
    fallow_arena_on_limit(parent, shed, parent);
    CHECK(fallow_arena_set_parent(arena, parent));
    CHECK(asked == 1 && !spare);
    CHECK(fallow_arena_set_parent(arena, NULL));
    filled(parent, 7 * MIB);
    CHECK_NO_MEMORY(fallow_arena_set_parent(arena, parent));
    CHECK_EQUAL(asked, 2);
    fallow_arena_destroy(parent);
    fallow_arena_destroy(arena);
}

static size_t told;

static bool is_told(void *unused, size_t bytes) {
    (void)unused;
    told = bytes;
    return false;
}

/* A soft limit refuses nothing; its shedder hears of it. */
static void soft_limits_are_crossed(void) {
    fallow_arena *parent = fallow_arena_create("parent", 0), *arena = below(NULL, 0);
    fallow_arena_set_limits(parent, 2 * MIB, 0);
    fallow_arena_on_soft_limit(parent, is_told, NULL);
    filled(arena, 3 * MIB);
    fallow_tick();
    CHECK_EQUAL(told, 0);
    CHECK(fallow_arena_set_parent(arena, parent));
    fallow_tick();
    CHECK(told >= MIB && told < 2 * MIB);
    fallow_arena_destroy(parent);
}

static bool find_own(void *own, fallow_arena *arena) {
    *(fallow_arena **)own = arena;
    return strcmp(fallow_arena_name(arena), "malloc") != 0;
}

static void nobody_is_below_himself(void) {
    fallow_arena *arena = below(NULL, 0), *child = below(arena, 0), *grandchild = below(child, 0);
    fallow_arena *under[] = {arena, child, grandchild};
    for (size_t i = 0; i < 3; i++) {
        errno = 0;
        CHECK(!fallow_arena_set_parent(arena, under[i]));
        CHECK_EQUAL(errno, EINVAL);
    }
    CHECK(!fallow_arena_parent(arena) && fallow_arena_parent(grandchild) == child);
    CHECK(fallow_arena_set_parent(grandchild, NULL) && fallow_arena_set_parent(arena, grandchild));
    errno = 0;
    CHECK(!fallow_arena_set_parent(grandchild, child) && errno == EINVAL);
    /* malloc's own is below nobody. */
    fallow_arena *own = NULL;
    CHECK(!fallow_arena_each(NULL, find_own, &own) && own);
    errno = 0;
    CHECK(!fallow_arena_set_parent(own, arena) && errno == EINVAL);
    fallow_arena_destroy(grandchild);
}

/* --- beside threads ------------------------------------------------------------------------------------- */

#define LIMIT (4 * MIB)
#define USERS 3

static _Atomic bool over;
static fallow_arena *tops[2], *moving, *used[USERS];

/* Allocates and frees in one arena; now and then makes and ends another one below it. */
static void *use(void *number) {
    fallow_arena *arena = used[(uintptr_t)number];
    uint64_t random = (uintptr_t)number + 1;
    void *blocks[64] = {NULL};
    while (!atomic_load(&over)) {
        size_t i = check_random(&random) % 64;
        fallow_arena_free(arena, blocks[i]);
        uint64_t kind = check_random(&random) % 64;
        size_t bytes = kind ? check_random(&random) % 20000 : check_random(&random) % (256 * KIB);
        blocks[i] = fallow_arena_alloc(arena, bytes); /* or NULL */
        if (blocks[i])
            memset(blocks[i], 1, bytes < 4096 ? bytes : 4096);
        if (kind == 1) {
            fallow_arena *other = below(arena, 0);
            CHECK(fallow_arena_alloc(other, 100) || errno == ENOMEM);
            fallow_arena_destroy(other);
        }
        if (kind == 2)
            fallow_arena_give_back(arena);
    }
    for (size_t i = 0; i < 64; i++)
        fallow_arena_free(arena, blocks[i]);
    return NULL;
}

/* Never above the limit, whoever comes and goes. */
static void *watch(void *unused) {
    (void)unused;
    while (!atomic_load(&over)) {
        for (int i = 0; i < 2; i++) {
            CHECK(arena_figures(tops[i]).ready_bytes <= LIMIT);
            CHECK(arena_figures(tops[i]).ready_peak_bytes <= LIMIT);
        }
        fallow_tick();
    }
    return NULL;
}

static void move_about(uint64_t *random) {
    fallow_arena *const to[] = {tops[0], tops[1], used[2], NULL};
    fallow_arena *const from[] = {moving, used[0], used[1]};
    uint64_t which = check_random(random);
    if (!fallow_arena_set_parent(from[which % 3], from[which % 3] == moving ? to[which / 3 % 4]
                                                  : which % 2               ? moving
                                                                            : used[2]))
        CHECK(errno == ENOMEM || errno == EINVAL);
}

static void check_sums(void) {
    size_t sums[2] = {0};
    for (int i = 0; i < 2; i++)
        fallow_arena_give_back(tops[i]);
    fallow_arena *all[] = {moving, used[0], used[1], used[2]};
    for (size_t i = 0; i < 4; i++) {
        size_t apart = ready(all[i]);
        for (size_t k = 0; k < 4; k++)
            if (fallow_arena_parent(all[k]) == all[i])
                apart -= ready(all[k]);
        for (fallow_arena *it = all[i]; it; it = fallow_arena_parent(it))
            for (int top = 0; top < 2; top++)
                if (it == tops[top])
                    sums[top] += apart;
    }
    for (int i = 0; i < 2; i++)
        CHECK_EQUAL(ready(tops[i]), sums[i]);
}

/* (What threads were in the middle of is not ended here.) */
static void in_child(uint64_t random) {
    for (int i = 0; i < 20; i++)
        move_about(&random);
    for (int i = 0; i < USERS; i++)
        CHECK(fallow_arena_alloc(used[i], 100) || errno == ENOMEM);
    CHECK(fallow_arena_set_parent(moving, NULL));
    for (int i = 0; i < USERS; i++)
        CHECK(fallow_arena_set_parent(used[i], NULL));
    CHECK_EQUAL(fallow_arena_ready_bytes(moving), 0);
    for (int i = 0; i < 2; i++) {
        CHECK_EQUAL(fallow_arena_ready_bytes(tops[i]), 0);
        CHECK_EQUAL(arena_figures(tops[i]).ready_bytes, 0);
        fallow_arena_destroy(tops[i]);
    }
    fallow_arena_destroy(moving);
    filled(used[0], MIB);
}

static void beside_threads_that_use_them(void) {
    pthread_t threads[USERS + 1];
    uint64_t random = 7;
    size_t moved = 0;
    for (int i = 0; i < 2; i++)
        tops[i] = fallow_arena_create("top", LIMIT);
    moving = below(tops[0], 0);
    used[0] = below(moving, 0), used[1] = below(moving, 2 * MIB), used[2] = below(tops[1], 0);
    for (uintptr_t i = 0; i < USERS; i++)
        CHECK_EQUAL(pthread_create(&threads[i], NULL, use, (void *)i), 0);
    CHECK_EQUAL(pthread_create(&threads[USERS], NULL, watch, NULL), 0);
    for (int i = 0; i < rounds; i++, moved++) {
        move_about(&random);
        if (i % 200 == 199) {
            int status;
            pid_t child = fork();
            if (child == 0) {
                in_child(random);
                _exit(0);
            }
            CHECK(child > 0 && waitpid(child, &status, 0) == child);
            CHECK_EQUAL(status, 0);
        }
    }
    atomic_store(&over, true);
    for (int i = 0; i < USERS + 1; i++)
        CHECK_EQUAL(pthread_join(threads[i], NULL), 0);
    check_sums();
    CHECK(fallow_arena_set_parent(moving, NULL) && fallow_arena_set_parent(used[2], NULL));
    CHECK(ready(tops[0]) == 0 && ready(tops[1]) == 0);
    for (int i = 0; i < 2; i++)
        fallow_arena_destroy(tops[i]);
    fallow_arena_destroy(used[2]);
    fallow_arena_destroy(moving);
}

/* More below it than a checking build has in mind of locks; ThreadSanitizer has room for no more
 * (docs/embedding.md). */
#ifdef __SANITIZE_THREAD__
#define HUNDREDS 50
#else
#define HUNDREDS 300
#endif

static void with_hundreds_below(void) {
    fallow_arena *arena = below(NULL, 0), *parent = fallow_arena_create("parent", 0), *all[HUNDREDS];
    for (size_t i = 0; i < HUNDREDS; i++) {
        all[i] = below(i % 10 ? all[i - 1] : arena, 0);
        filled(all[i], 100);
    }
    size_t had = ready(arena);
    CHECK(fallow_arena_set_parent(arena, parent));
    CHECK_EQUAL(ready(parent), had);
    CHECK(fallow_arena_set_parent(all[5], NULL));
    CHECK_EQUAL(ready(parent) + ready(all[5]), had);
    fallow_arena_destroy(parent);
    fallow_arena_destroy(all[5]);
}

int main(int argc, char **argv) {
    if (argc > 1)
        rounds = atoi(argv[1]);
    CHECK(rounds > 0);
    RUN(what_it_has_counts_there);
    RUN(limits_there_hold);
    RUN(what_does_not_fit_stays);
    RUN(room_is_made);
    RUN(soft_limits_are_crossed);
    RUN(nobody_is_below_himself);
    RUN(with_hundreds_below);
    RUN(beside_threads_that_use_them);
    return 0;
}
