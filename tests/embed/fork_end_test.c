/* SPDX-License-Identifier: MIT */
/* Forks while threads are at work in arenas: the child, in which nobody is, resets them and ends them. Usage:
 * fork_end_test [FORKS] */
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../lib/check.h"
#include "fallow/fallow.h"

#define WORKERS 8
#define BLOCKS 2000
#define KEPT_BYTES ((size_t)5 << 20)
#define LIMIT_BYTES \
    ((size_t)9 << 20) /* more than half of it is in use, so that pages are counted one by one */

static fallow_arena *arenas[WORKERS];
static _Atomic int stop;
static int forks = 300;

/* Slabs that have given parts back end one after the other: what each had that is not there waits for the
 * arena's lock, in no book. */
static void *work(void *argument) {
    fallow_arena *arena = *(fallow_arena **)argument;
    void *blocks[BLOCKS];
    CHECK(fallow_arena_alloc(arena, KEPT_BYTES) != NULL);
    while (!stop) {
        for (size_t i = 0; i < BLOCKS; i++)
            CHECK((blocks[i] = fallow_arena_alloc(arena, 1000)) != NULL);
        for (size_t i = 0; i < BLOCKS; i++)
            if (i % 32)
                fallow_arena_free(arena, blocks[i]);
        fallow_arena_give_back(arena);
        for (size_t i = 0; i < BLOCKS; i += 32)
            fallow_arena_free(arena, blocks[i]);
    }
    return NULL;
}

_Noreturn static void end_all(bool reset_first) {
    alarm(60); /* a deadlock ends as a failure */
    for (int i = 0; i < WORKERS; i++) {
        if (reset_first) {
            fallow_arena_reset(arenas[i], 0);
            CHECK(fallow_arena_alloc(arenas[i], KEPT_BYTES) != NULL);
        }
        fallow_arena_destroy(arenas[i]);
    }
    _exit(0);
}

static void children_end_arenas_that_others_were_in(void) {
    pthread_t workers[WORKERS];
    for (int i = 0; i < WORKERS; i++) {
        CHECK((arenas[i] = fallow_arena_create("tenant", LIMIT_BYTES)) != NULL);
        CHECK_EQUAL(pthread_create(&workers[i], NULL, work, &arenas[i]), 0);
    }
    for (int round = 0; round < forks; round++) {
        int status;
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0)
            end_all(round % 2);
        CHECK_EQUAL(waitpid(child, &status, 0), child);
        CHECK_EQUAL(status, 0);
        usleep(500);
    }
    stop = 1;
    for (int i = 0; i < WORKERS; i++)
        CHECK_EQUAL(pthread_join(workers[i], NULL), 0);
}

int main(int argc, char **argv) {
    forks = argc > 1 ? atoi(argv[1]) : forks;
    RUN(children_end_arenas_that_others_were_in);
    return 0;
}
