/* SPDX-License-Identifier: MIT */
/* A fork with many arenas: what the child and the parent then copy, as the kernel counts it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../lib/check.h"
#include "../lib/resident.h"
#include "fallow/fallow.h"

#define ARENAS 1000

static fallow_arena *arenas[ARENAS];

/* Pages that the process has to itself: with a child that lives, those that were copied. */
static size_t own_kib(void) {
    char line[256];
    size_t kib = 0, part;
    FILE *file = fopen("/proc/self/smaps_rollup", "r");
    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, "Private_Dirty: %zu kB", &part) == 1)
            kib += part;
    if (file)
        fclose(file);
    return kib;
}

/* Each tells what it has to itself after the fork, while the other lives. */
static void fork_and_look(size_t *child_kib, size_t *parent_kib) {
    int to_parent[2], to_child[2], status;
    char word;
    CHECK(pipe(to_parent) == 0 && pipe(to_child) == 0);
    pid_t child = fork();
    if (child == 0) {
        size_t kib = own_kib();
        _exit(write(to_parent[1], &kib, sizeof kib) != sizeof kib || read(to_child[0], &word, 1) != 1);
    }
    CHECK(child > 0);
    CHECK_EQUAL(read(to_parent[0], child_kib, sizeof *child_kib), sizeof *child_kib);
    *parent_kib = own_kib();
    CHECK_EQUAL(write(to_child[1], "x", 1), 1);
    CHECK_EQUAL(waitpid(child, &status, 0), child);
    CHECK_EQUAL(status, 0);
    close(to_parent[0]), close(to_parent[1]), close(to_child[0]), close(to_child[1]);
}

static void use(fallow_arena **arena) {
    CHECK((*arena = fallow_arena_create("tenant", 0)) != NULL);
    CHECK(fallow_arena_alloc(*arena, 100) != NULL);
}

static void children_have_few_pages_to_themselves(void) {
    size_t child_of_one, child_of_many, parent_of_one, parent_of_many;
    use(&arenas[0]);
    fork_and_look(&child_of_one, &parent_of_one);
    for (size_t i = 1; i < ARENAS; i++)
        use(&arenas[i]);
    fork_and_look(&child_of_many, &parent_of_many);
    printf("    # to itself: a child %zu KiB with one arena, %zu with %d; its parent %zu, %zu\n",
           child_of_one, child_of_many, ARENAS, parent_of_one, parent_of_many);
    CHECK(child_of_many <= child_of_one + 256);
    CHECK(parent_of_many <= parent_of_one + 256);
    for (size_t i = 0; i < ARENAS; i++)
        fallow_arena_destroy(arenas[i]);
}

int main(void) {
    if (!RESIDENT_IS_OURS || FL_CHECKS >= 2 || access("/proc/self/smaps_rollup", R_OK) != 0) {
        printf("skipped children_have_few_pages_to_themselves: others write there, or it cannot be seen\n");
        return 77;
    }
    RUN(children_have_few_pages_to_themselves);
    return 0;
}
