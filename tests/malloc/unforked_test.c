/* SPDX-License-Identifier: MIT */
/*
 * Children of which fork's handlers hear nothing (_Fork, clone, vfork), made while fallow's own thread is at
 * work or about to come: they give back as any process does, and end; and a parent whose memory a child of
 * vfork has freed goes on.
 */
#include <dirent.h>
#include <malloc.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../lib/check.h"
#include "../lib/resident.h"

#define MIB ((size_t)1 << 20)
#define BLOCKS 50000
#define BLOCK_BYTES 4000

extern pid_t _Fork(void) __attribute__((weak)); /* since glibc 2.34 */

static char *blocks[BLOCKS];

static void allocate_all(void) {
    for (int i = 0; i < BLOCKS; i++) {
        CHECK((blocks[i] = malloc(BLOCK_BYTES)) != NULL);
        memset(blocks[i], 1, BLOCK_BYTES);
    }
}

static void free_all(void) {
    for (int i = 0; i < BLOCKS; i++)
        free(blocks[i]);
}

static bool has_two_threads(void) {
    int entries = 0;
    DIR *tasks = opendir("/proc/self/task");
    CHECK(tasks);
    while (readdir(tasks))
        entries++;
    closedir(tasks);
    return entries == 4; /* with . and .. */
}

static pid_t clone_by_hand(void) {
    return (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
}

static void expect_good_end(pid_t child) {
    int status;
    CHECK_EQUAL(waitpid(child, &status, 0), child);
    CHECK_EQUAL(status, 0);
}

static void gives_back(void) {
    size_t before = resident_bytes(), most;
    allocate_all();
    most = resident_bytes();
    free_all();
    for (int tries = 0; tries < 200 && resident_bytes() > most / 4; tries++) {
        rest_ms(50);
        free(malloc(100000)); /* a child without a thread of fallow's works at such moments */
    }
    printf("# %zu MiB before, %zu at most, %zu in the end\n", before / MIB, most / MIB,
           resident_bytes() / MIB);
    if (RESIDENT_IS_OURS)
        CHECK(resident_bytes() <= most / 4);
}

static void child_made_by(pid_t (*make)(void)) {
    allocate_all();
    free_all();
    for (int tries = 0; tries < 1000 && !has_two_threads(); tries++)
        rest_ms(1);
    pid_t child = make();
    CHECK(child >= 0);
    if (child == 0) {
        alarm(30);
        gives_back();
        fflush(stdout);
        pthread_exit(NULL); /* waits for fallow's thread, if there is one */
    }
    expect_good_end(child);
}

static void child_of_clone_gives_back_and_ends(void) {
    child_made_by(clone_by_hand);
}

static void child_of_underscore_fork_gives_back_and_ends(void) {
    if (_Fork)
        child_made_by(_Fork);
}

/* What the child frees is worth a thread of fallow's, which would not outlive it. */
static void child_of_vfork_frees_and_the_parent_goes_on(void) {
    for (int tries = 0; tries < 3000 && has_two_threads(); tries++)
        rest_ms(1);
    for (int i = 0; i < 3; i++) {
        allocate_all();
        pid_t child = vfork();
        CHECK(child >= 0);
        if (child == 0) {
            free_all();
            usleep(60000u * (unsigned)i); /* where a thread would be in the middle of something */
            _exit(0);
        }
        expect_good_end(child);
        malloc_trim(0);
        gives_back();
    }
}

/* The same within a child of _Fork, which has no handlers of fork either. */
static void child_of_vfork_in_a_child_frees_and_that_goes_on(void) {
    pid_t child = _Fork ? _Fork() : fork();
    CHECK(child >= 0);
    if (child == 0) {
        alarm(60);
        free(malloc(300000));
        child_of_vfork_frees_and_the_parent_goes_on();
        fflush(stdout);
        pthread_exit(NULL);
    }
    expect_good_end(child);
}

int main(void) {
    alarm(200);
    RUN(child_of_vfork_frees_and_the_parent_goes_on);
    RUN(child_of_vfork_in_a_child_frees_and_that_goes_on);
    RUN(child_of_clone_gives_back_and_ends);
    RUN(child_of_underscore_fork_gives_back_and_ends);
    return 0;
}
