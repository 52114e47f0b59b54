/* SPDX-License-Identifier: MIT */
/*
 * Walks: beside give-backs, inside each other, across a fork; and a fork beside the end of an arena.
 *
 * Usage: walk_test [ROUNDS]
 */
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../lib/check.h"
#include "../lib/reading.h"
#include "fallow/fallow.h"

#define BLOCKS 60000
#define MIB ((size_t)1 << 20)

static fallow_arena *arena;
static char *blocks[BLOCKS];
static _Atomic bool stop;
static int rounds = 200;

static bool count(void *context, void *block, size_t bytes) {
    (void)block, (void)bytes;
    ++*(size_t *)context;
    return true;
}

static size_t walked(void) {
    size_t seen = 0;
    CHECK(fallow_arena_walk(arena, count, &seen));
    return seen;
}

/* By a thread of its own, whose slabs are nobody's afterwards: these are purged. */
static void *fill(void *unused) {
    (void)unused;
    for (size_t i = 0; i < BLOCKS; i++) {
        blocks[i] = fallow_arena_alloc(arena, 1000);
        CHECK(blocks[i]);
        memset(blocks[i], 1, 1000);
    }
    return NULL;
}

static void fill_and_end(void) {
    pthread_t thread;
    arena = fallow_arena_create("walked", 0);
    CHECK(arena);
    CHECK_EQUAL(pthread_create(&thread, NULL, fill, NULL), 0);
    CHECK_EQUAL(pthread_join(thread, NULL), 0);
}

static void *give_back_all_the_time(void *unused) {
    (void)unused;
    while (!atomic_load(&stop))
        fallow_give_back();
    return NULL;
}

static void walk_beside_give_backs_shows_all(void) {
    pthread_t thread;
    uint64_t random = 1;
    size_t live = BLOCKS;
    fill_and_end();
    atomic_store(&stop, false);
    CHECK_EQUAL(pthread_create(&thread, NULL, give_back_all_the_time, NULL), 0);
    for (int round = 0; round < rounds; round++) {
        for (size_t i = 0; i < BLOCKS; i++)
            if (blocks[i] && check_random(&random) % 16 == 0) {
                fallow_arena_free(arena, blocks[i]);
                blocks[i] = NULL;
                live--;
            }
        CHECK_EQUAL(walked(), live);
    }
    atomic_store(&stop, true);
    CHECK_EQUAL(pthread_join(thread, NULL), 0);
    fallow_arena_destroy(arena);
}

/* The first block leads to all that a program may do from inside. */
static bool use_the_rest(void *context, void *block, size_t bytes) {
    if (++*(size_t *)context == 1) {
        CHECK_EQUAL(walked(), BLOCKS);
        fallow_arena *other = fallow_arena_create("other", 0);
        CHECK(other && fallow_arena_alloc(other, MIB));
        fallow_arena_destroy(other);
        fallow_give_back();
        fallow_tick();
    }
    CHECK_EQUAL(fallow_arena_usable_bytes(block), bytes);
    return true;
}

static void walk_lets_the_program_use_the_rest(void) {
    size_t seen = 0;
    fill_and_end();
    CHECK(fallow_arena_walk(arena, use_the_rest, &seen));
    CHECK_EQUAL(seen, BLOCKS);
    fallow_arena_destroy(arena);
}

static size_t given_back_of_freed(void) {
    for (size_t i = 0; i < BLOCKS; i++)
        fallow_arena_free(arena, blocks[i]);
    fallow_give_back();
    return arena_figures(arena).ready_bytes;
}

/* In the child nobody walks any more, whoever did in the parent. */
static bool fork_inside(void *context, void *block, size_t bytes) {
    int status;
    (void)context, (void)block, (void)bytes;
    pid_t child = fork();
    if (child == 0)
        _exit(given_back_of_freed() < MIB ? 0 : 1);
    CHECK(child > 0 && waitpid(child, &status, 0) == child);
    CHECK_EQUAL(status, 0);
    return false;
}

static void walk_ends_in_a_child(void) {
    fill_and_end();
    CHECK(!fallow_arena_walk(arena, fork_inside, NULL));
    CHECK(given_back_of_freed() < MIB);
    fallow_arena_destroy(arena);
}

static void *make_and_end_arenas(void *parent) {
    while (!atomic_load(&stop)) {
        fallow_arena *below = fallow_arena_create_sized(&(fallow_arena_options){.parent = parent},
                                                        sizeof(fallow_arena_options));
        CHECK(below);
        for (int i = 0; i < 4; i++) {
            char *block = fallow_arena_alloc(below, 60 * MIB); /* a region each */
            CHECK(block);
            for (size_t at = 0; at < 60 * MIB; at += MIB)
                block[at] = 1;
        }
        fallow_arena_destroy(below);
    }
    return NULL;
}

static void use_in_child(fallow_arena *parent) {
    char *mine[4];
    fallow_arena *other = fallow_arena_create("of the child", 0);
    for (int i = 0; i < 4; i++) {
        mine[i] = fallow_arena_alloc(other, 60 * MIB);
        for (size_t at = 0; mine[i] && at < 60 * MIB; at += MIB)
            mine[i][at] = 42;
    }
    fallow_arena_destroy(parent);
    for (int i = 0; i < 4; i++)
        for (size_t at = 0; at < 60 * MIB; at += MIB)
            if (!mine[i] || mine[i][at] != 42)
                _exit(1);
    _exit(0);
}

/* The arena that another thread was about to end is gone in the child, or half of it is: nobody meets it. */
static void fork_beside_the_end_of_an_arena(void) {
    pthread_t thread;
    fallow_arena *parent = fallow_arena_create("parent", 0);
    CHECK(parent);
    atomic_store(&stop, false);
    CHECK_EQUAL(pthread_create(&thread, NULL, make_and_end_arenas, parent), 0);
    for (int i = 0; i < rounds; i++) {
        int status;
        pid_t child = fork();
        if (child == 0)
            use_in_child(parent);
        CHECK(child > 0 && waitpid(child, &status, 0) == child);
        CHECK_EQUAL(status, 0);
        usleep((useconds_t)(i * 37 % 2000));
    }
    atomic_store(&stop, true);
    CHECK_EQUAL(pthread_join(thread, NULL), 0);
    fallow_arena_destroy(parent);
}

int main(int argc, char **argv) {
    if (argc > 1)
        rounds = atoi(argv[1]);
    CHECK(rounds > 0);
    RUN(walk_beside_give_backs_shows_all);
    RUN(walk_lets_the_program_use_the_rest);
    RUN(walk_ends_in_a_child);
    RUN(fork_beside_the_end_of_an_arena);
    return 0;
}
