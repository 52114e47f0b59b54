/* SPDX-License-Identifier: MIT */
/* A thread whose cancellation is pending uses arenas and pools in all ways: nothing of it is a point where
 * threads are cancelled. */
#include <pthread.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../lib/check.h"
#include "../lib/reading.h"
#include "fallow/fallow.h"

static void was_cancelled(void *what) {
    fprintf(stderr, "cancelled inside of %s\n", *(const char **)what);
    _exit(1);
}

static bool shed(void *context, size_t bytes) {
    (void)context, (void)bytes;
    return false;
}

static bool visit(void *context, void *block, size_t bytes) {
    (void)block, (void)bytes;
    ++*(size_t *)context;
    return true;
}

static void fill(fallow_arena *arena, size_t each, size_t count) {
    void **blocks = fallow_arena_alloc(arena, count * sizeof *blocks);
    for (size_t i = 0; blocks && i < count; i++)
        if ((blocks[i] = fallow_arena_alloc(arena, each)) != NULL)
            memset(blocks[i], 1, each);
    for (size_t i = 0; blocks && i < count; i++)
        if (i % 3)
            fallow_arena_free(arena, blocks[i]);
}

static void *body(void *unused) {
    static const char *volatile what;
    pid_t child = -1;
    (void)unused;
    pthread_cleanup_push(was_cancelled, (void *)(uintptr_t)&what);
    pthread_cancel(pthread_self());
    what = "arenas";
    fallow_arena *arena = fallow_arena_create("tenant", (size_t)32 << 20), *below;
    CHECK(arena != NULL);
    below = fallow_arena_create_sized(&(fallow_arena_options){.name = "below", .parent = arena},
                                      sizeof(fallow_arena_options));
    CHECK(below != NULL);
    fallow_arena_on_limit(arena, shed, NULL);
    fill(arena, 3000, 20000);
    fill(below, 100, 20000);
    fill(arena, (size_t)1 << 20, 60);
    what = "a walk";
    size_t blocks = 0;
    fallow_arena_walk(arena, visit, &blocks);
    CHECK(blocks > 0);
    what = "pools";
    fallow_pool *pool = fallow_pool_create(below);
    CHECK(pool != NULL);
    for (int i = 0; i < 1000 && fallow_pool_alloc(pool, 500); i++) /* the arena above is at its limit */
        ;
    fallow_pool_reset(pool);
    fallow_pool_destroy(pool);
    what = "giving back";
    fallow_set_limits((size_t)1 << 30, 0);
    fallow_set_limits(0, 0); /* the container is asked again */
    for (int i = 0; i < 10; i++)
        fallow_tick();
    fallow_give_back();
    (void)process_figures();
    (void)arena_figures(arena);
    what = "a fork";
    child = fork();
    if (child == 0) {
        fill(arena, 200, 100);
        _exit(0);
    }
    CHECK(child > 0);
    what = "the end";
    fallow_arena_reset(below, 0);
    fallow_arena_destroy(arena);
    pthread_cleanup_pop(0);
    return (void *)(intptr_t)child;
}

static void cancel_is_left_pending(void) {
    pthread_t thread;
    void *child;
    int status;
    CHECK_EQUAL(pthread_create(&thread, NULL, body, NULL), 0);
    CHECK_EQUAL(pthread_join(thread, &child), 0);
    CHECK(child != PTHREAD_CANCELED);
    CHECK_EQUAL(waitpid((pid_t)(intptr_t)child, &status, 0), (pid_t)(intptr_t)child);
    CHECK_EQUAL(status, 0);
}

int main(void) {
    RUN(cancel_is_left_pending);
    return 0;
}
