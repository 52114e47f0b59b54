/* SPDX-License-Identifier: MIT */
/* What glibc offers beside malloc: each function serves from fallow's heap and means what it does there. */
#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../lib/check.h"
#include "../lib/resident.h"

/* Names that this C library does not have, or has for old programs only: found as such a program finds
 * them. */
typedef void free_type(void *block);
typedef void free_sized_type(void *block, size_t bytes);
typedef void free_aligned_sized_type(void *block, size_t alignment, size_t bytes);
typedef void *malloc_type(size_t bytes);
typedef void *realloc_type(void *block, size_t bytes);
typedef void *calloc_type(size_t count, size_t bytes);

static void *find(const char *name) {
    void *function = dlsym(RTLD_DEFAULT, name);
    CHECK(function);
    return function;
}

#define MIB ((size_t)1 << 20)

static void extensions_trim_gives_back(void) {
    static char *blocks[200];
    for (int i = 0; i < 200; i++)
        blocks[i] = memset(malloc(200000), 1, 200000);
    size_t peak = resident_bytes();
    for (int i = 0; i < 200; i++)
        free(blocks[i]);
    errno = 77;
    CHECK_EQUAL(malloc_trim(0), 1);
    CHECK_EQUAL(errno, 77);
    CHECK(resident_bytes() + 30 * MIB < peak);
    malloc_trim(0);
    CHECK_EQUAL(malloc_trim(0), 0); /* nothing is left */
}

static void extensions_mallinfo_follows_the_heap(void) {
    struct mallinfo2 before = mallinfo2();
    char *block = memset(malloc(10 * MIB), 1, 10 * MIB);
    struct mallinfo2 with = mallinfo2();
    CHECK(with.uordblks >= before.uordblks + 10 * MIB);
    CHECK(with.arena >= with.uordblks);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
    CHECK_EQUAL(mallinfo().uordblks, with.uordblks);
#pragma GCC diagnostic pop
    free(block);
    CHECK(mallinfo2().uordblks <= before.uordblks + MIB);
}

/* By what may be used of each block, to the byte, of every size; with others' frees, and slabs from which
 * pages have gone. */
static void *free_every_other(void *blocks) {
    for (int i = 0; i < 20000; i += 2) {
        free(((char **)blocks)[i]);
        ((char **)blocks)[i] = NULL;
    }
    return NULL;
}

static void extensions_mallinfo_counts_what_is_live(void) {
    static char *blocks[20000];
    pthread_t other;
    size_t before = mallinfo2().uordblks, large = mallinfo2().hblks, bytes = 0;
    for (size_t i = 0; i < 20000; i++) {
        blocks[i] = malloc(i % 1000 ? i % 3000 : 300 * i);
        bytes += malloc_usable_size(blocks[i]);
    }
    size_t with = mallinfo2().uordblks - before;
    CHECK(with > bytes - bytes / 100 && with < bytes + bytes / 100);
    CHECK(mallinfo2().hblks > large);
    CHECK_EQUAL(pthread_create(&other, NULL, free_every_other, blocks), 0);
    CHECK_EQUAL(pthread_join(other, NULL), 0);
    bytes = 0;
    for (size_t i = 0; i < 20000; i++)
        bytes += blocks[i] ? malloc_usable_size(blocks[i]) : 0;
    malloc_trim(0);
    with = mallinfo2().uordblks - before;
    CHECK(with > bytes - bytes / 100 && with < bytes + bytes / 100);
    CHECK(mallinfo2().fordblks > 0 && mallinfo2().ordblks > 0);
    for (size_t i = 0; i < 20000; i++)
        free(blocks[i]);
    CHECK(mallinfo2().uordblks < before + MIB / 16);
}

static void extensions_info_is_xml(void) {
    char *text = NULL;
    size_t length;
    FILE *stream = open_memstream(&text, &length);
    CHECK_EQUAL(malloc_info(0, stream), 0);
    CHECK_EQUAL(malloc_info(1, stream), EINVAL);
    fclose(stream);
    CHECK(!strncmp(text, "<malloc version=\"", 17));
    CHECK(strstr(text, "</malloc>\n"));
    CHECK(strstr(text, "<system type=\"current\" size=\""));
    free(text);
}

static void extensions_mallopt(void) {
    CHECK_EQUAL(mallopt(M_ARENA_MAX, 2), 1);
    CHECK_EQUAL(mallopt(M_MMAP_THRESHOLD, 1 << 20), 1);
    CHECK_EQUAL(mallopt(M_MXFAST, 64), 1);
    CHECK_EQUAL(mallopt(M_MXFAST, 100000), 0);
    CHECK_EQUAL(mallopt(12345, 1), 0);
    CHECK_EQUAL(mallopt(M_TRIM_THRESHOLD, 1 << 20), 1);
    CHECK_EQUAL(mallopt(M_TRIM_THRESHOLD, 128 << 20), 1);
}

static void extensions_sized_frees(void) {
    free_sized_type *free_sized = (free_sized_type *)find("free_sized");
    free_aligned_sized_type *free_aligned_sized = (free_aligned_sized_type *)find("free_aligned_sized");
    free_type *cfree = (free_type *)find("cfree");
    for (size_t bytes = 0; bytes < 2 * MIB; bytes = bytes * 2 + 1) {
        free_sized(malloc(bytes), bytes);
        free_sized(calloc(1, bytes), bytes);
        free_aligned_sized(aligned_alloc(64, bytes), 64, bytes);
        cfree(malloc(bytes));
    }
    free_sized(NULL, 0);
    free_sized(NULL, 100);
    free_aligned_sized(NULL, 0, 0);
    /* A wrong size is tolerated, but for a checking build, which stops. */
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        fclose(stderr);
        free_sized(malloc(100), 5000);
        _exit(0);
    }
    int status;
    CHECK_EQUAL(waitpid(child, &status, 0), child);
    CHECK_EQUAL(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT, FL_CHECKS > 0);
}

static void extensions_names_of_glibc(void) {
    free_type *give = (free_type *)find("__libc_free");
    char *block = ((malloc_type *)find("__libc_malloc"))(100);
    block = ((realloc_type *)find("__libc_realloc"))(memset(block, 7, 100), 5000);
    CHECK(block[99] == 7 && malloc_usable_size(block) >= 5000);
    free(block);
    block = ((calloc_type *)find("__libc_calloc"))(10, 10);
    CHECK_EQUAL(block[99], 0);
    give(block);
    block = ((calloc_type *)find("__libc_memalign"))(256, 10);
    CHECK_EQUAL((uintptr_t)block % 256, 0);
    give(block);
}

/* A request of which a byte is touched costs that page and no more, however much it is. */
static void extensions_huge_request_costs_what_is_touched(void) {
    size_t base = resident_bytes();
    for (unsigned bits = 30; bits <= 41; bits++) {
        char *block = malloc((size_t)1 << bits);
        if (!block)
            continue; /* the system does not promise so much */
        block[(size_t)1 << (bits - 1)] = 1;
        CHECK(resident_bytes() < base + 8 * MIB);
        free(block);
    }
}

int main(void) {
    RUN(extensions_trim_gives_back);
    RUN(extensions_mallinfo_follows_the_heap);
    RUN(extensions_mallinfo_counts_what_is_live);
    RUN(extensions_info_is_xml);
    RUN(extensions_mallopt);
    RUN(extensions_sized_frees);
    RUN(extensions_names_of_glibc);
    if (FL_CHECKS < 2) /* the checker keeps a byte for each page */
        RUN(extensions_huge_request_costs_what_is_touched);
    return 0;
}
