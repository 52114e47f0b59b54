/* SPDX-License-Identifier: MIT */
/* Programs that lock their memory: nothing storms, nothing is lost, and a small limit is used up before
 * malloc says no. */
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../lib/check.h"

static size_t status_kib(const char *name) {
    char line[256];
    size_t kib = 0, length = strlen(name);
    FILE *status = fopen("/proc/self/status", "r");
    CHECK(status);
    while (fgets(line, sizeof line, status))
        if (strncmp(line, name, length) == 0)
            CHECK_EQUAL(sscanf(line + length, ": %zu", &kib), 1);
    fclose(status);
    return kib;
}

static size_t count_mappings(void) {
    FILE *maps = fopen("/proc/self/maps", "r");
    size_t lines = 0;
    CHECK(maps);
    for (int c; (c = getc(maps)) != EOF;)
        lines += c == '\n';
    fclose(maps);
    return lines;
}

static void in_a_child(void (*body)(void)) {
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        body();
        fflush(stdout);
        _exit(0);
    }
    int status;
    CHECK_EQUAL(waitpid(child, &status, 0), child);
    CHECK_EQUAL(status, 0);
}

static void *nothing(void *argument) {
    return argument;
}

/* Every second block of many freed, given back in vain, again and again. */
static void lock_what_is_there(void) {
    enum { BLOCKS = 600 };
    static char *blocks[BLOCKS];
    for (int i = 0; i < BLOCKS; i++)
        CHECK((blocks[i] = malloc(65536)) && memset(blocks[i], i, 65536));
    size_t before = count_mappings();
    if (mlockall(MCL_CURRENT)) {
        printf("skipped: %s\n", strerror(errno));
        return;
    }
    for (int i = 0; i < BLOCKS; i += 2)
        free(blocks[i]);
    for (int i = 0; i < 20; i++)
        malloc_trim(0);
    CHECK(count_mappings() < before + 32);
    for (int i = 1; i < BLOCKS; i += 2)
        for (int k = 0; k < 65536; k += 1024)
            CHECK_EQUAL((unsigned char)blocks[i][k], i % 256);
    pthread_t thread;
    CHECK_EQUAL(pthread_create(&thread, NULL, nothing, NULL), 0);
    CHECK_EQUAL(pthread_join(thread, NULL), 0);
    /* What was kept is used again, and goes once it is not locked any more. */
    size_t resident = status_kib("VmRSS");
    for (int i = 0; i < BLOCKS; i += 2)
        CHECK((blocks[i] = malloc(65536)) && memset(blocks[i], i, 65536));
    CHECK(status_kib("VmRSS") < resident + 4096);
    for (int i = 0; i < BLOCKS; i += 2)
        free(blocks[i]);
    CHECK_EQUAL(munlockall(), 0);
    resident = status_kib("VmRSS");
    malloc_trim(0);
    CHECK(status_kib("VmRSS") + 16000 < resident);
}

/* All that comes is locked at once, and counts against a small limit. */
static void lock_what_comes(void) {
    free(malloc(100));
    size_t limit_kib = status_kib("VmSize") + 3072, got = 0;
    struct rlimit limit;
    CHECK_EQUAL(getrlimit(RLIMIT_MEMLOCK, &limit), 0);
    if (limit.rlim_max < limit_kib << 10)
        limit_kib = limit.rlim_max >> 10;
    limit.rlim_cur = limit.rlim_max = limit_kib << 10;
    CHECK_EQUAL(setrlimit(RLIMIT_MEMLOCK, &limit), 0);
    if (getuid() == 0)
        CHECK_EQUAL(setuid(65534), 0); /* whom the limit is for */
    if (mlockall(MCL_CURRENT | MCL_FUTURE)) {
        printf("skipped: %s\n", strerror(errno));
        return;
    }
    for (char *block; got < (size_t)64 << 20 && (block = malloc(20000)); got += 20000)
        memset(block, 1, 20000);
    CHECK(got < (size_t)64 << 20);
    CHECK_EQUAL(errno, ENOMEM);
    printf("# %zu KiB to be had, of them %zu in the limit\n", got >> 10, limit_kib - status_kib("VmLck"));
    CHECK(limit_kib - status_kib("VmLck") < 512); /* no more than a step is left of it */
    CHECK(malloc(10));
}

static void locked_memory_stays_and_does_no_harm(void) {
    in_a_child(lock_what_is_there);
}

static void locked_limit_is_used_up(void) {
    in_a_child(lock_what_comes);
}

int main(void) {
    RUN(locked_memory_stays_and_does_no_harm);
    RUN(locked_limit_is_used_up);
    return 0;
}
