/* SPDX-License-Identifier: MIT */
/* libfallow loaded late and closed early: a thread that used it may end after that. */
#include <dlfcn.h>
#include <pthread.h>
#include <semaphore.h>

#include "../lib/check.h"
#include "fallow/fallow.h"

static sem_t used, closed;
static fallow_arena *(*create)(const char *, size_t);
static void *(*allocate)(fallow_arena *, size_t);
static void (*destroy)(fallow_arena *);

static void *use_and_wait(void *arena) {
    CHECK(allocate(arena, 100));
    sem_post(&used);
    sem_wait(&closed);
    return NULL;
}

static const char *library;

static void dlopen_thread_ends_after_dlclose(void) {
    for (int round = 0; round < 3; round++) {
        pthread_t thread;
        void *handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);
        if (!handle)
            fprintf(stderr, "%s\n", dlerror());
        CHECK(handle);
        *(void **)&create = dlsym(handle, "fallow_arena_create");
        *(void **)&allocate = dlsym(handle, "fallow_arena_alloc");
        *(void **)&destroy = dlsym(handle, "fallow_arena_destroy");
        CHECK(create && allocate && destroy);
        fallow_arena *arena = create("late", 0), *left = create("left behind", 0);
        CHECK(arena && left);
        CHECK_EQUAL(pthread_create(&thread, NULL, use_and_wait, left), 0);
        CHECK(allocate(arena, 1000));
        sem_wait(&used);
        destroy(arena);
        CHECK_EQUAL(dlclose(handle), 0);
        sem_post(&closed);
        CHECK_EQUAL(pthread_join(thread, NULL), 0);
    }
}

int main(int argc, char **argv) {
    CHECK(argc == 2);
    library = argv[1];
    sem_init(&used, 0, 0);
    sem_init(&closed, 0, 0);
    RUN(dlopen_thread_ends_after_dlclose);
    return 0;
}
