/* SPDX-License-Identifier: MIT */
/*
 * glibc keeps the stacks of threads that have ended, 40 MiB of them; pthread_join of one more lets go of
 * others, and frees their storage, with the lock held that pthread_create takes. So much is freed here at
 * that place that it is worth a thread of fallow's own: none may be started there. (Where one is, the test
 * hangs, with all signals blocked, until it is killed.)
 *
 * Usage: storage_test LIBRARY   thread_storage.c's
 */
#include <dlfcn.h>
#include <pthread.h>

#include "../lib/check.h"
#include "../lib/resident.h"
#include "../lib/tasks.h"

#define THREADS 64
#define STACK_BYTES ((size_t)8 << 20)
#define WAITS_MAX 2000 /* of 5 ms, for threads to end */

static void (*touch_storage)(void);
static pthread_barrier_t all_here;

static void *use(void *unused) {
    touch_storage();
    pthread_barrier_wait(&all_here);
    return unused;
}

static void start_all(pthread_t *threads, int detach) {
    pthread_attr_t attributes;
    CHECK_EQUAL(pthread_barrier_init(&all_here, NULL, THREADS), 0);
    CHECK_EQUAL(pthread_attr_init(&attributes), 0);
    CHECK_EQUAL(pthread_attr_setstacksize(&attributes, STACK_BYTES), 0);
    CHECK_EQUAL(pthread_attr_setdetachstate(&attributes, detach), 0);
    for (int i = 0; i < THREADS; i++)
        CHECK_EQUAL(pthread_create(&threads[i], &attributes, use, NULL), 0);
}

static void storage_of_joined_threads(void) {
    pthread_t threads[THREADS];
    start_all(threads, PTHREAD_CREATE_JOINABLE);
    for (int i = 0; i < THREADS; i++)
        CHECK_EQUAL(pthread_join(threads[i], NULL), 0);
}

/* They free it themselves, when nothing of fallow's knows them any more. */
static void storage_of_detached_threads(void) {
    pthread_t threads[THREADS];
    start_all(threads, PTHREAD_CREATE_DETACHED);
    int waits = 0;
    /* Until the one that runs this is alone, but perhaps for fallow's own. */
    for (; thread_count() > 2 && waits < WAITS_MAX; waits++)
        rest_ms(5);
    CHECK(waits < WAITS_MAX);
}

int main(int argc, char **argv) {
    CHECK(argc > 1);
    void *library = dlopen(argv[1], RTLD_NOW);
    CHECK(library);
    *(void **)&touch_storage = dlsym(library, "touch_storage");
    CHECK(touch_storage);
    RUN(storage_of_detached_threads);
    RUN(storage_of_joined_threads);
    return 0;
}
