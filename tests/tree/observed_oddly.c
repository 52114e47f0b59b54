/* SPDX-License-Identifier: MIT */
/*
 * observed_oddly.c: a process that is odd in the way that its first argument names, for others to look into.
 * Says that it is ready, and waits until it is killed.
 */
#include <dlfcn.h>
#include <fallow/fallow.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static void ready(void) {
    puts("ready");
    fflush(stdout);
}

static void *wait_here(void *unused) {
    ready();
    for (;;)
        pause();
    return unused;
}

/* The first thread ends, another goes on. */
static void without_its_first_thread(void) {
    pthread_t other;
    pthread_create(&other, NULL, wait_here, NULL);
    pthread_exit(NULL);
}

/* A private mapping of a file, of which nothing is touched. */
static void with_a_file_mapped(const char *path) {
    int file = open(path, O_RDWR);
    off_t bytes = lseek(file, 0, SEEK_END);
    if (mmap(NULL, (size_t)bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0) == MAP_FAILED)
        abort();
}

/* libfallow as a library of somebody's own, beside the malloc that serves the process. */
static void with_another_fallow(const char *path) {
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND);
    fallow_arena *(*create)(const char *, size_t) = NULL;
    void *(*alloc)(fallow_arena *, size_t) = NULL;
    if (library) {
        *(void **)&create = dlsym(library, "fallow_arena_create");
        *(void **)&alloc = dlsym(library, "fallow_arena_alloc");
    }
    if (!create || !alloc || !alloc(create("others", 0), 100))
        abort();
}

/* Some end again, so that numbers and order differ. */
static void with_many_arenas(size_t count) {
    fallow_arena *first = fallow_arena_create("first", 0);
    for (size_t i = 0; i < count; i++) {
        char name[32];
        snprintf(name, sizeof name, "caf\303\251 %zu", i);
        memset(fallow_arena_alloc(fallow_arena_create(name, 0), 100), 1, 100);
    }
    fallow_arena_destroy(first);
}

static void become_another(int unused) {
    (void)unused;
    execlp("sleep", "sleep", "1000", (char *)NULL);
}

int main(int count, char **arguments) {
    const char *how = count > 1 ? arguments[1] : "", *with = count > 2 ? arguments[2] : "";
    free(malloc(100));
    signal(SIGUSR1, become_another);
    if (!strcmp(how, "leaderless"))
        without_its_first_thread();
    else if (!strcmp(how, "mapped"))
        with_a_file_mapped(with);
    else if (!strcmp(how, "two"))
        with_another_fallow(with);
    else if (!strcmp(how, "many"))
        with_many_arenas(strtoul(with, NULL, 10));
    wait_here(NULL);
}
