/* SPDX-License-Identifier: MIT */
/*
 * malloc before main, after exit began, in the destructors of threads after ours ran; threads that come and
 * go leave nothing behind; a small program stays single-threaded.
 */
#include <pthread.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../lib/check.h"
#include "../lib/resident.h"
#include "../lib/tasks.h"

static char *early;

__attribute__((constructor(101))) static void before_main(void) {
    early = malloc(1000);
    CHECK(early);
    memset(early, 3, 1000);
}

__attribute__((destructor(101))) static void after_main(void) {
    for (int i = 0; i < 1000; i++) {
        char *block = malloc((size_t)i + 1);
        CHECK(block);
        free(block);
    }
    for (int i = 0; i < 1000; i++)
        CHECK_EQUAL(early[i], 3);
    free(early);
}

static void life_small_program_stays_single_threaded(void) {
    for (int round = 0; round < 3; round++) {
        static char *blocks[400];
        for (int i = 0; i < 400; i++)
            blocks[i] = memset(malloc(100000), 1, 100000);
        for (int i = 0; i < 400; i++)
            free(blocks[i]);
    }
    CHECK_EQUAL(thread_count(), 1);
}

static pthread_key_t keys[8];
static _Atomic int destructor_runs;

static void late_destructor(void *value) {
    free(value);
    for (int i = 1; i < 2000; i += 100)
        free(realloc(malloc((size_t)i), (size_t)i * 3));
    /* Once more, to come after whatever else runs at a thread's end. */
    if (++destructor_runs % 4)
        pthread_setspecific(keys[destructor_runs % 8], malloc(100));
}

static void *thread_with_destructors(void *unused) {
    (void)unused;
    for (int i = 0; i < 8; i++)
        pthread_setspecific(keys[i], malloc(100));
    return NULL;
}

static void life_malloc_in_thread_destructors(void) {
    for (int i = 0; i < 8; i++)
        CHECK_EQUAL(pthread_key_create(&keys[i], late_destructor), 0);
    for (int i = 0; i < 100; i++) {
        pthread_t thread;
        CHECK_EQUAL(pthread_create(&thread, NULL, thread_with_destructors, NULL), 0);
        CHECK_EQUAL(pthread_join(thread, NULL), 0);
    }
    CHECK(destructor_runs >= 800);
}

static void *short_lived(void *unused) {
    (void)unused;
    void **list = NULL;
    for (int i = 0; i < 50; i++) {
        void **block = malloc(200);
        *block = list;
        list = block;
    }
    void *left_behind = list;
    list = *list;
    while (list) {
        void **next = *list;
        free(list);
        list = next;
    }
    return left_behind;
}

static void life_threads_in_sequence_leave_nothing(void) {
    size_t warm = 0;
    for (int i = 0; i < 10000; i++) {
        pthread_t thread;
        void *left_behind;
        CHECK_EQUAL(pthread_create(&thread, NULL, short_lived, NULL), 0);
        CHECK_EQUAL(pthread_join(thread, &left_behind), 0);
        free(left_behind);
        if (i == 500)
            warm = resident_bytes();
    }
    CHECK(resident_bytes() <= warm + (512 << 10));
}

/* In a child: address space for little more than what is there. */
static void life_little_address_space(void) {
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        struct rlimit limit = {(size_t)256 << 20, (size_t)256 << 20};
        CHECK_EQUAL(setrlimit(RLIMIT_AS, &limit), 0);
        execl("/proc/self/exe", "life_test", "little", NULL);
        _exit(1);
    }
    int status;
    CHECK_EQUAL(waitpid(child, &status, 0), child);
    CHECK_EQUAL(status, 0);
}

static int little(void) {
    enum { BLOCKS = 1500 };
    static char *blocks[BLOCKS];
    size_t got = 0;
    pthread_t thread;
    CHECK_EQUAL(pthread_create(&thread, NULL, short_lived, NULL), 0);
    CHECK_EQUAL(pthread_join(thread, NULL), 0);
    for (int round = 0; round < 3; round++) {
        size_t now = 0;
        for (; now < BLOCKS && (blocks[now] = malloc(200000)) != NULL; now++)
            memset(blocks[now], 1, 200000);
        CHECK(now * 200000 > (size_t)120 << 20); /* of 256 MiB, less the program's own */
        CHECK(now < BLOCKS);
        if (round == 0)
            got = now;
        CHECK(now == got || now + 1 == got); /* fallow's thread may have come meanwhile, with its stack */
        while (now > 0)
            free(blocks[--now]);
    }
    /* The address space comes back as well: a thread's stack of 64 MiB fits where the blocks were. */
    pthread_attr_t large;
    CHECK_EQUAL(pthread_attr_init(&large), 0);
    CHECK_EQUAL(pthread_attr_setstacksize(&large, (size_t)64 << 20), 0);
    for (int tenths = 0; tenths < 30; tenths++) {
        rest_ms(100);
        if (pthread_create(&thread, &large, short_lived, NULL) == 0) {
            CHECK_EQUAL(pthread_join(thread, NULL), 0);
            return 0;
        }
    }
    return 2;
}

/* A limit set after the start: what was reserved must not eat it up. */
static void life_address_space_limited_late(void) {
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        struct rlimit limit = {(size_t)512 << 20, (size_t)512 << 20};
        CHECK_EQUAL(setrlimit(RLIMIT_AS, &limit), 0);
        for (int i = 0; i < 4; i++) {
            pthread_t thread;
            CHECK_EQUAL(pthread_create(&thread, NULL, short_lived, NULL), 0);
            CHECK_EQUAL(pthread_join(thread, NULL), 0);
        }
        char *block = malloc((size_t)64 << 20);
        CHECK(block);
        memset(block, 1, (size_t)64 << 20);
        _exit(0);
    }
    int status;
    CHECK_EQUAL(waitpid(child, &status, 0), child);
    CHECK_EQUAL(status, 0);
}

int main(int argc, char **argv) {
    if (argc > 1 && !strcmp(argv[1], "little"))
        return little();
    CHECK(early && early[999] == 3);
    RUN(life_small_program_stays_single_threaded);
    RUN(life_malloc_in_thread_destructors);
    RUN(life_threads_in_sequence_leave_nothing);
    RUN(life_little_address_space);
    RUN(life_address_space_limited_late);
    return 0;
}
