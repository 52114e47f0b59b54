/* SPDX-License-Identifier: MIT */
/*
 * A thread whose cancellation is pending does everything that the family offers: none of it is a point where
 * threads are cancelled, whatever fallow does meanwhile (reads what the container says, gives memory back,
 * starts its thread, forks with the program, writes figures at exit). errno is kept on the way.
 *
 * The program runs itself once for each set of options.
 */
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../lib/check.h"

#define ERRNO 77 /* any that nobody sets */

static volatile int step; /* how far the thread came */

static void was_cancelled(void *unused) {
    (void)unused;
    fprintf(stderr, "cancelled inside of step %d\n", step);
    _exit(1);
}

/* To sleep would be such a point. */
static void wait_ms(long ms) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    int64_t end = now.tv_sec * INT64_C(1000) + now.tv_nsec / 1000000 + ms;
    do
        clock_gettime(CLOCK_MONOTONIC, &now);
    while (now.tv_sec * INT64_C(1000) + now.tv_nsec / 1000000 < end);
}

static void use_large(void) {
    enum { BLOCKS = 100 };
    static char *blocks[BLOCKS];
    for (int i = 0; i < BLOCKS; i++)
        if ((blocks[i] = malloc(1 << 20)) != NULL)
            memset(blocks[i], 1, 1 << 20);
    for (int i = 0; i < BLOCKS; i++)
        free(blocks[i]);
}

static void use_small(void) {
    enum { BLOCKS = 20000 };
    static char *blocks[BLOCKS];
    for (int i = 0; i < BLOCKS; i++)
        if ((blocks[i] = malloc(2000)) != NULL)
            memset(blocks[i], 1, 2000);
    for (int i = 0; i < BLOCKS; i++)
        if (i % 50) {
            free(blocks[i]);
            blocks[i] = NULL;
        }
    for (int tick = 0; tick < 15; tick++) { /* idle memory goes back, by fallow's thread or by this one */
        wait_ms(110);
        free(malloc(300000));
        free(malloc(600000));
    }
    for (int i = 0; i < BLOCKS; i++)
        free(blocks[i]);
}

static void use_all_calls(void) {
    void *out;
    char *block = calloc(1000, 1000);
    for (size_t bytes = 1000; bytes < 20 << 20; bytes *= 3) {
        char *moved = realloc(block, bytes);
        block = moved ? moved : block;
    }
    free(block);
    free(reallocarray(NULL, 100, 100));
    free(memalign(65536, 1000));
    free(aligned_alloc(4096, 100000));
    free(valloc(100));
    free(pvalloc(100));
    if (posix_memalign(&out, 128, 5000) == 0) {
        CHECK(malloc_usable_size(out) >= 5000);
        free(out);
    }
    malloc_trim(0);
    mallopt(M_TRIM_THRESHOLD, 1 << 20);
    (void)mallinfo2();
    CHECK(malloc(SIZE_MAX / 4) == NULL);
}

static void *body(void *argument) {
    const char *options = argument;
    pthread_cleanup_push(was_cancelled, NULL);
    pthread_cancel(pthread_self()); /* pending until the thread comes to such a point */
    for (step = 1; step <= 3; step++) {
        bool limited = strstr(options, "limit") != NULL; /* then some of it is refused */
        errno = ERRNO;
        if (step == 1)
            use_large();
        else if (step == 2)
            use_small();
        else
            use_all_calls();
        CHECK(errno == ERRNO || ((limited || step == 3) && errno == ENOMEM));
    }
    pid_t child = fork();
    if (child == 0) {
        use_large();
        _exit(0);
    }
    CHECK(child > 0);
    step = 5;
    exit(7); /* with figures written, in this thread */
    pthread_cleanup_pop(0);
    return NULL;
}

static void run(const char *options) {
    pthread_t thread;
    CHECK_EQUAL(pthread_create(&thread, NULL, body, (void *)(uintptr_t)options), 0);
    pthread_join(thread, NULL);
    _exit(1);
}

int main(int argc, char **argv) {
    static const char *const options[] = {
        "background_thread:1", "background_thread:0", "background_thread:0,soft_limit:30m",
        "background_thread:1,hard_limit:60m", "background_thread:0,idle_max:2m"};
    if (argc > 1)
        run(argv[1]);
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        char file[] = "/tmp/fallow-cancel-XXXXXX", text[200];
        int descriptor = mkstemp(file), status;
        struct stat figures;
        CHECK(descriptor >= 0);
        snprintf(text, sizeof text, "%s,stats_file:%s", options[i], file);
        fflush(stdout);
        pid_t child = fork();
        if (child == 0) {
            setenv("FALLOW_OPTIONS", text, 1);
            execl(argv[0], argv[0], options[i], (char *)NULL);
            _exit(2);
        }
        CHECK_EQUAL(waitpid(child, &status, 0), child);
        CHECK(WIFEXITED(status));
        CHECK_EQUAL(WEXITSTATUS(status), 7);
        CHECK_EQUAL(fstat(descriptor, &figures), 0);
        CHECK(figures.st_size > 0);
        unlink(file);
        close(descriptor);
        printf("ok cancel_is_left_pending with %s\n", options[i]);
    }
    return 0;
}
