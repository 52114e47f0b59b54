/* SPDX-License-Identifier: MIT */
/*
 * Huge pages, as the kernel counts them: a small program has none, a large one has them where it grows, and
 * what is freed goes back whatever it lay in.
 *
 * Usage: huge_test [none]   none: with huge_pages:0
 */
#include <malloc.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>

#include "../lib/check.h"
#include "../lib/resident.h"

#define MIB ((size_t)1 << 20)
#define BLOCK_BYTES ((size_t)1000)

static void *blocks[256 * 1024];

/* Of a line of smaps_rollup; SIZE_MAX: there is none. */
static size_t kernels(const char *name) {
    static char text[8192];
    int file = open("/proc/self/smaps_rollup", O_RDONLY);
    ssize_t length = file < 0 ? 0 : read(file, text, sizeof text - 1);
    if (file >= 0)
        close(file);
    text[length > 0 ? length : 0] = '\0';
    const char *line = strstr(text, name);
    return line ? strtoull(line + strlen(name), NULL, 10) * 1024 : SIZE_MAX;
}

static bool gives_huge_pages(bool to_all) {
    char text[64] = "";
    int file = open("/sys/kernel/mm/transparent_hugepage/enabled", O_RDONLY);
    if (file < 0 || read(file, text, sizeof text - 1) < 0)
        return false;
    close(file);
    return strstr(text, "[always]") || (!to_all && strstr(text, "[madvise]"));
}

static size_t count;

static void grow(size_t bytes) {
    for (size_t end = bytes / BLOCK_BYTES; count < end; count++) {
        CHECK((blocks[count] = malloc(BLOCK_BYTES)) != NULL);
        memset(blocks[count], 1, BLOCK_BYTES);
    }
}

static bool none;

static void a_small_program_has_none(void) {
    grow(12 * MIB);
    if (!gives_huge_pages(true))
        CHECK_EQUAL(kernels("AnonHugePages:"), 0);
}

#define THREADS 16
static pthread_barrier_t all;

static void *use_each_size_once(void *unused) {
    (void)unused;
    void *mine[64];
    size_t used = 0;
    for (size_t bytes = 16; bytes <= 32 << 10; bytes += bytes / 4 > 16 ? bytes / 4 : 16)
        CHECK(used < 64 && (mine[used++] = malloc(bytes)) != NULL);
    pthread_barrier_wait(&all);
    while (used > 0)
        free(mine[--used]);
    return NULL;
}

/* Far more is granted then, in slabs of a block or two, than is used. */
static void many_threads_that_use_little_have_none(void) {
    pthread_t threads[THREADS];
    CHECK(pthread_barrier_init(&all, NULL, THREADS) == 0);
    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_create(&threads[i], NULL, use_each_size_once, NULL) == 0);
    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
    if (!gives_huge_pages(true))
        CHECK_EQUAL(kernels("AnonHugePages:"), 0);
}

static void a_large_one_has_them_and_is_no_larger(void) {
    grow(160 * MIB);
    size_t huge = kernels("AnonHugePages:");
    if (none && !gives_huge_pages(true))
        CHECK_EQUAL(huge, 0);
    if (!none && gives_huge_pages(false) && huge < 64 * MIB) {
        printf("skipped: the system has no more than %zu MiB of huge pages\n", huge / MIB);
        exit(77);
    }
    CHECK(resident_bytes() < 160 * MIB * 106 / 100 + 6 * MIB); /* classes of 1,024 bytes, and the program */
}

/* Behind small blocks, in whose huge page it begins. */
static void a_sparse_table_stays_sparse(void) {
    size_t before = resident_bytes();
    for (int i = 0; i < 4; i++) {
        char *table = calloc(24, MIB);
        CHECK(table && table[5 * MIB] == 0 && table[24 * MIB - 1] == 0);
        table[12 * MIB] = 1;
        grow((count + 1000) * BLOCK_BYTES); /* a MiB between them */
    }
    if (!gives_huge_pages(true))
        CHECK(resident_bytes() - before < 4 * 5 * MIB / 2 + 4 * MIB);
}

static void work_ms(long ms) {
    struct timespec start, now;
    clock_gettime(CLOCK_MONOTONIC, &start);
    do {
        for (int i = 0; i < 1000; i++)
            free(malloc(64));
        clock_gettime(CLOCK_MONOTONIC, &now);
    } while ((now.tv_sec - start.tv_sec) * 1000 + (now.tv_nsec - start.tv_nsec) / 1000000 < ms);
}

/* A seventh of each could go. Once the program does nothing any more, it does. */
static void a_program_at_work_keeps_them(void) {
    size_t huge = kernels("AnonHugePages:"), before = resident_bytes(), freed = 0;
    for (size_t i = 0; i < count; i++)
        if (i % 168 < 24) {
            free(blocks[i]);
            blocks[i] = NULL;
            freed += 1024;
        }
    work_ms(1500);
    if (!none)
        CHECK(kernels("AnonHugePages:") >= huge / 8 * 7);
    size_t wanted = before - freed / 3 * 2; /* runs of 24 KiB, of which up to two OS pages are not whole */
    for (int tenths = 0; tenths < 150 && resident_bytes() > wanted; tenths++)
        rest_ms(100);
    printf("resident %zu KiB, wanted %zu KiB\n", resident_bytes() >> 10, wanted >> 10);
    CHECK(resident_bytes() <= wanted);
}

static void what_is_freed_goes_back(void) {
    size_t kept = 0;
    for (size_t i = 0; i < count; i++)
        if (i % 20000 < 1000) /* a twentieth, in runs of a MiB */
            kept += blocks[i] != NULL;
        else
            free(blocks[i]);
    malloc_trim(0);
    size_t floor = kept * 1024;
    CHECK(resident_bytes() < floor * 11 / 10 + 8 * MIB);
    CHECK(kernels("AnonHugePages:") <= floor + 8 * MIB);
    for (size_t i = 0; i < count; i++)
        if (i % 20000 < 1000 && blocks[i])
            CHECK(*(char *)blocks[i] == 1);
}

int main(int argc, char **argv) {
    none = argc > 1 && strcmp(argv[1], "none") == 0;
    if (!RESIDENT_IS_OURS || kernels("AnonHugePages:") == SIZE_MAX) {
        printf("skipped: the kernel does not say\n");
        return 77;
    }
    RUN(many_threads_that_use_little_have_none);
    RUN(a_small_program_has_none);
    RUN(a_large_one_has_them_and_is_no_larger);
    RUN(a_sparse_table_stays_sparse);
    RUN(a_program_at_work_keeps_them);
    RUN(what_is_freed_goes_back);
    return 0;
}
