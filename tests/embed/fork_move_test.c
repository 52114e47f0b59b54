/* SPDX-License-Identifier: MIT */
/*
 * Forks while another thread's large block is moved by pages: the child finds the arena whole, resets it and
 * uses it.
 *
 * Usage: fork_move_test [PROCESSES]
 */
#include <pthread.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../lib/check.h"
#include "../lib/resident.h"
#include "fallow/fallow.h"

#define FORKS 20

static fallow_arena *arena;
static int processes = 25;

static void *move_all_the_time(void *unused) {
    (void)unused;
    for (;;) {
        char *block = fallow_arena_alloc(arena, (size_t)2 << 20);
        char *wall = fallow_arena_alloc(arena, (size_t)3 << 20); /* so that it cannot grow where it is */
        CHECK(block && wall);
        block[0] = 1;
        char *moved = fallow_arena_realloc(arena, block, (size_t)8 << 20);
        CHECK(moved && moved[0] == 1);
        fallow_arena_free(arena, moved);
        fallow_arena_free(arena, wall);
        fallow_give_back(); /* pages are moved only to where there is no memory yet */
    }
}

static void use_in_child(void) {
    fallow_arena_reset(arena, 0);
    for (int i = 0; i < 16; i++) {
        char *block = fallow_arena_alloc(arena, (size_t)1 << 20);
        if (!block)
            _exit(1);
        for (size_t k = 0; k < (size_t)1 << 20; k += 16384)
            block[k] = (char)i;
    }
    fallow_arena_destroy(arena);
    _exit(0);
}

/* In a process of its own: whose moves begin with no mapping cut. */
static void fork_a_few_times(void) {
    pthread_t thread;
    arena = fallow_arena_create("moving", 0);
    CHECK(arena);
    CHECK_EQUAL(pthread_create(&thread, NULL, move_all_the_time, NULL), 0);
    for (int i = 0; i < FORKS; i++) {
        usleep((unsigned)i * 37 % 200);
        pid_t child = fork();
        if (child == 0)
            use_in_child();
        int status;
        CHECK_EQUAL(waitpid(child, &status, 0), child);
        CHECK_EQUAL(status, 0);
    }
    _exit(0);
}

static void fork_while_pages_move(void) {
    for (int i = 0; i < processes; i++) {
        pid_t child = fork();
        if (child == 0)
            fork_a_few_times();
        int status;
        CHECK_EQUAL(waitpid(child, &status, 0), child);
        CHECK_EQUAL(status, 0);
    }
}

int main(int argc, char **argv) {
    if (argc > 1)
        processes = atoi(argv[1]);
    CHECK(processes > 0);
    if (!RESIDENT_IS_OURS) {
        printf("skipped: sanitizers have threads and locks of their own in a fork\n");
        return 77;
    }
    RUN(fork_while_pages_move);
    return 0;
}
