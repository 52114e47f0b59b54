/* SPDX-License-Identifier: MIT */
/* fork while other threads allocate: the child allocates, frees what it inherited, makes threads, and
 * ends. */
#include <pthread.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../lib/check.h"
#include "../lib/resident.h"

#define WORKERS 4
#define BLOCKS 2000

static _Atomic int stop, filled;
static void *inherited[BLOCKS];

static void *work(void *argument) {
    uint64_t random = (uintptr_t)argument;
    void *own[64] = {0};
    while (!stop) {
        size_t i = check_random(&random) % 64;
        free(own[i]);
        own[i] = malloc(1 + check_random(&random) % (i ? 2000 : 300000));
        CHECK(own[i]);
    }
    for (int i = 0; i < 64; i++)
        free(own[i]);
    return NULL;
}

static void *child_thread(void *unused) {
    (void)unused;
    for (int i = 0; i < 1000; i++) {
        char *block = calloc(1, (size_t)i * 10 + 1);
        CHECK(block);
        CHECK_EQUAL(block[i], 0);
        free(block);
    }
    return NULL;
}

/* The scavenger's thread was not forked: it comes back when there is something for it to do. */
static void child_gives_idle_memory_back(void) {
    enum { LARGE = 100 };
    char *blocks[LARGE];
    for (int i = 0; i < LARGE; i++)
        blocks[i] = memset(malloc(1 << 20), 1, 1 << 20);
    size_t peak = resident_bytes();
    for (int i = 0; i < LARGE; i++)
        free(blocks[i]);
    for (int tenths = 0; tenths < 50 && resident_bytes() + (80 << 20) > peak; tenths++)
        rest_ms(100);
    CHECK(resident_bytes() + (80 << 20) <= peak);
}

/* What a child does; generations: how many children it has below it, one in the other. */
static void in_child(int generations) {
    alarm(60); /* a deadlock ends as a failure */
    pthread_t thread;
    for (int i = 0; i < BLOCKS; i++) {
        CHECK_EQUAL(*(unsigned char *)inherited[i], i & 0xff);
        free(inherited[i]);
    }
    for (int i = 0; i < BLOCKS; i++) {
        inherited[i] = malloc(100 + (size_t)i);
        CHECK(inherited[i]);
        memset(inherited[i], i & 0xff, 100);
    }
    CHECK_EQUAL(pthread_create(&thread, NULL, child_thread, NULL), 0);
    CHECK_EQUAL(pthread_join(thread, NULL), 0);
    if (generations > 0) {
        child_gives_idle_memory_back();
        pid_t grandchild = fork();
        if (grandchild == 0) {
            in_child(generations - 1);
            _exit(0);
        }
        int status;
        CHECK_EQUAL(waitpid(grandchild, &status, 0), grandchild);
        CHECK_EQUAL(status, 0);
    }
}

static void *allocate_inherited(void *unused) {
    (void)unused;
    for (int i = 0; i < BLOCKS; i++) {
        inherited[i] = malloc(50 + (size_t)i);
        memset(inherited[i], i & 0xff, 50);
    }
    filled = 1;
    while (!stop)
        usleep(1000);
    return NULL;
}

static void fork_in_a_storm(void) {
    pthread_t workers[WORKERS], owner;
    CHECK_EQUAL(pthread_create(&owner, NULL, allocate_inherited, NULL), 0);
    while (!filled)
        usleep(1000);
    for (uintptr_t i = 0; i < WORKERS; i++)
        CHECK_EQUAL(pthread_create(&workers[i], NULL, work, (void *)(i + 1)), 0);
    for (int round = 0; round < 40; round++) {
        fflush(stdout);
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) {
            in_child(round % 10 == 0);
            _exit(0);
        }
        int status;
        CHECK_EQUAL(waitpid(child, &status, 0), child);
        CHECK_EQUAL(status, 0);
    }
    stop = 1;
    for (int i = 0; i < WORKERS; i++)
        CHECK_EQUAL(pthread_join(workers[i], NULL), 0);
    CHECK_EQUAL(pthread_join(owner, NULL), 0);
}

/* Slabs are in the scavenger's hands when the process forks: the child frees and allocates among them all the
 * same. */
#define SPREAD 20000
static char *spread[SPREAD];
static pthread_barrier_t spread_out;

static void *spread_and_sleep(void *unused) {
    (void)unused;
    for (int i = 0; i < SPREAD; i++) {
        spread[i] = memset(malloc(1000), i & 0xff, 1000);
        CHECK(spread[i]);
    }
    for (int i = 0; i < SPREAD; i++)
        if (i % 16)
            free(spread[i]);
    pthread_barrier_wait(&spread_out);
    pthread_barrier_wait(&spread_out);
    return NULL;
}

static void free_spread(void) {
    for (int i = 0; i < SPREAD; i += 16) {
        CHECK_EQUAL((unsigned char)spread[i][999], i & 0xff);
        free(spread[i]);
    }
}

static void fork_while_slabs_are_claimed(void) {
    pthread_t owner;
    CHECK_EQUAL(pthread_barrier_init(&spread_out, NULL, 2), 0);
    for (int round = 0; round < 3; round++) {
        CHECK_EQUAL(pthread_create(&owner, NULL, spread_and_sleep, NULL), 0);
        pthread_barrier_wait(&spread_out);
        /* For half a second and more: the scavenger believes in quiet after 300 ms, and then takes the
         * owner's slabs. */
        for (int tries = 0; tries < 50; tries++) {
            fflush(stdout);
            pid_t child = fork();
            CHECK(child >= 0);
            if (child == 0) {
                alarm(60);
                free_spread();
                for (int i = 0; i < 1000; i++)
                    CHECK(malloc(1000));
                _exit(0);
            }
            int status;
            CHECK_EQUAL(waitpid(child, &status, 0), child);
            CHECK_EQUAL(status, 0);
            usleep(3000);
        }
        free_spread();
        pthread_barrier_wait(&spread_out);
        CHECK_EQUAL(pthread_join(owner, NULL), 0);
    }
}

int main(void) {
    alarm(250);
    RUN(fork_in_a_storm);
    RUN(fork_while_slabs_are_claimed);
    return 0;
}
