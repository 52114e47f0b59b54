/* SPDX-License-Identifier: MIT */
/*
 * A filter of system calls that comes late, when memory is already as it could not be made any more: a call
 * that is refused from then on costs memory, and nothing else. Each filter in a process of its own. For the
 * hardened library above all, which undoes what it has done to its pages.
 */
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../lib/check.h"
#include "../lib/refuse.h"

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#define MADV_GUARD_REMOVE 103
#endif

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)
#define LARGE 40
#define GREAT 50 /* of these nothing is touched */
#define SMALL 1000
#define STEP 251 /* from one byte that is looked at to the next */

typedef struct block {
    unsigned char *start;
    size_t bytes;
    unsigned char value;
} block;

static block large[LARGE], small[SMALL];
static uint64_t random_state = 1;
static pthread_barrier_t barrier;

static void fill(block *it, unsigned char *start, size_t bytes) {
    CHECK(start);
    *it = (block){start, bytes, (unsigned char)(check_random(&random_state) | 1)};
    memset(start, it->value, bytes);
}

static bool is_filled(const block *it, size_t bytes) {
    for (size_t i = 0; i < bytes; i += STEP)
        if (it->start[i] != it->value)
            return false;
    return it->start[bytes - 1] == it->value;
}

static void drop(block *it) {
    CHECK(is_filled(it, it->bytes));
    free(it->start);
    it->start = NULL;
}

static void allocate(block *it, size_t bytes) {
    size_t how = check_random(&random_state) % 4;
    unsigned char *start = how == 0   ? calloc(1, bytes)
                           : how == 1 ? aligned_alloc((size_t)64 << check_random(&random_state) % 11, bytes)
                                      : malloc(bytes);
    for (size_t i = 0; how == 0 && i < bytes; i += STEP)
        CHECK_EQUAL(start[i], 0);
    fill(it, start, bytes);
}

static void resize(block *it, size_t bytes) {
    unsigned char *moved = realloc(it->start, bytes);
    CHECK(moved);
    it->start = moved;
    CHECK(is_filled(it, bytes < it->bytes ? bytes : it->bytes));
    fill(it, moved, bytes);
}

static size_t large_bytes(void) {
    size_t bytes = check_random(&random_state) % (check_random(&random_state) % 16 ? 300 * KIB : 2 * MIB);
    return 130 * KIB + bytes;
}

static void allocate_all(void) {
    for (size_t i = 0; i < LARGE; i++)
        allocate(&large[i], large_bytes());
    for (size_t i = 0; i < SMALL; i++)
        allocate(&small[i], 1 + check_random(&random_state) % 4000);
}

/* One in three goes, one is resized. */
static void change_all(void) {
    for (size_t i = 0; i < LARGE + SMALL; i++) {
        block *it = i < LARGE ? &large[i] : &small[i - LARGE];
        size_t bytes = i < LARGE ? large_bytes() : 1 + check_random(&random_state) % 4000,
               what = check_random(&random_state) % 3;
        if (what == 0) {
            drop(it);
            allocate(it, bytes);
        } else if (what == 1)
            resize(it, bytes);
    }
}

static void drop_all(void) {
    for (size_t i = 0; i < LARGE; i++)
        drop(&large[i]);
    for (size_t i = 0; i < SMALL; i++)
        drop(&small[i]);
}

/* Has something of everything at the filter, and ends afterwards. */
static void *be_there(void *unused) {
    block own[24];
    static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;
    (void)unused;
    pthread_mutex_lock(&one_at_a_time);
    for (size_t i = 0; i < 24; i++)
        allocate(&own[i], i % 2 ? 200 * KIB : 400);
    for (size_t i = 0; i < 16; i++)
        drop(&own[i]);
    pthread_mutex_unlock(&one_at_a_time);
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier);
    pthread_mutex_lock(&one_at_a_time);
    for (size_t i = 16; i < 24; i++)
        drop(&own[i]);
    pthread_mutex_unlock(&one_at_a_time);
    return NULL;
}

/* KiB of address space. */
static size_t mapped_kib(void) {
    char line[256];
    size_t kib = 0;
    FILE *status = fopen("/proc/self/status", "r");
    while (status && fgets(line, sizeof line, status))
        sscanf(line, "VmData: %zu", &kib);
    CHECK(status && kib);
    fclose(status);
    return kib;
}

static void allocate_great(size_t bytes, void **great) {
    for (size_t i = 0; i < GREAT; i++)
        CHECK(great[i] = malloc(bytes));
}

static void drop_great(void **great) {
    for (size_t i = 0; i < GREAT; i++)
        free(great[i]);
}

/* What a block gives up when it becomes shorter is anybody's. */
static void shorten(block *its, size_t count) {
    for (size_t i = 0; i < count; i++)
        resize(&its[i], 150 * KIB);
    for (size_t i = 0; i < LARGE; i++)
        drop(&large[i]);
    for (size_t i = 0; i < LARGE; i++)
        allocate(&large[i], large_bytes());
    for (size_t i = 0; i < count; i++)
        drop(&its[i]);
}

typedef struct filter {
    const char *name;
    long call;
    int advice[2], error;
} filter;

static const filter filters[] = {
    {"guards", SYS_madvise, {MADV_GUARD_INSTALL, MADV_GUARD_REMOVE}, EPERM},
    {"guards_as_if_unknown", SYS_madvise, {MADV_GUARD_INSTALL, MADV_GUARD_REMOVE}, EINVAL},
    {"new_guards", SYS_madvise, {MADV_GUARD_INSTALL, MADV_GUARD_INSTALL}, EPERM},
    {"guards_off", SYS_madvise, {MADV_GUARD_REMOVE, MADV_GUARD_REMOVE}, ENOSYS},
    {"guards_off_and_give_back", SYS_madvise, {MADV_GUARD_REMOVE, MADV_DONTNEED}, EPERM},
    {"give_back", SYS_madvise, {MADV_DONTNEED, MADV_DONTNEED}, EPERM},
    {"madvise", SYS_madvise, {-1, -1}, EPERM},
    {"mprotect", SYS_mprotect, {-1, -1}, EPERM},
    {"mremap", SYS_mremap, {-1, -1}, ENOSYS},
    {"munmap", SYS_munmap, {-1, -1}, EPERM},
};

static void check_mapped(const filter *it, size_t kib_max) {
    size_t kib = mapped_kib();
    if (kib > kib_max)
        printf("%s: %zu KiB mapped, wanted %zu at most\n", it->name, kib, kib_max);
    CHECK(kib <= kib_max);
}

/* What is lost is of what was there, and little of that: nothing more goes afterwards. */
static void run(const filter *it) {
    pthread_t threads[2];
    void *great[GREAT];
    block shortened[12];
    for (size_t i = 0; i < 12; i++)
        allocate(&shortened[i], MIB);
    allocate_great(4 * MIB, great);
    allocate_all();
    change_all();
    CHECK_EQUAL(pthread_barrier_init(&barrier, NULL, 3), 0);
    for (size_t i = 0; i < 2; i++)
        CHECK_EQUAL(pthread_create(&threads[i], NULL, be_there, NULL), 0);
    pthread_barrier_wait(&barrier);
    size_t before = mapped_kib();
    if (!refuse_everywhere(it->call, it->advice[0], it->error) ||
        !refuse_everywhere(it->call, it->advice[1], it->error))
        _exit(77);
    pthread_barrier_wait(&barrier);
    for (size_t i = 0; i < 2; i++)
        CHECK_EQUAL(pthread_join(threads[i], NULL), 0);
    shorten(shortened, 12);
    drop_great(great);
    allocate_great(4 * MIB - 64 * KIB, great);
    check_mapped(it, before + 80 * KIB);
    drop_great(great);
    change_all();
    drop_all();
    for (size_t round = 0; round < 8; round++) {
        allocate_all();
        change_all();
        drop_all();
        malloc_trim(0);
        if (round == 2)
            before = mapped_kib();
    }
    check_mapped(it, before + 40 * KIB);
}

static void run_apart(const filter *it) {
    int status;
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        run(it);
        _exit(0);
    }
    CHECK_EQUAL(waitpid(child, &status, 0), child);
    if (status == 77 << 8) {
        printf("skipped: no filters here\n");
        exit(77);
    }
    if (status)
        printf("under a filter of %s\n", it->name);
    CHECK_EQUAL(status, 0);
    printf("ok late_filter_of_%s\n", it->name);
}

int main(int argc, char **argv) {
    for (size_t i = 0; i < sizeof filters / sizeof *filters; i++)
        if (argc < 2 || strcmp(argv[1], filters[i].name) == 0)
            run_apart(&filters[i]);
    return 0;
}
