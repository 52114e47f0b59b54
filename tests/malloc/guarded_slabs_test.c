/* SPDX-License-Identifier: MIT */
/* The hardened library's guard pages between slabs, from outside: which OS pages among a program's blocks
 * cannot be read. */
#include <malloc.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../lib/check.h"

#define OS_PAGE ((size_t)4096)
#define PAGES_MAX 8192
#define BYTES ((size_t)1000)
#define COUNT 12000
#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif

static char *blocks[COUNT];
static const char *lowest;
static bool was_guard[PAGES_MAX];
static int ends[2];

static bool is_readable(const char *page) {
    char byte;
    if (write(ends[1], page, 1) == 1) {
        CHECK_EQUAL(read(ends[0], &byte, 1), 1);
        return true;
    }
    CHECK_EQUAL(errno, EFAULT);
    return false;
}

/* Mapped, and not to be read. */
static bool is_guard(const char *page) {
    unsigned char ignored;
    return !is_readable(page) && mincore((void *)(uintptr_t)page, OS_PAGE, &ignored) == 0;
}

static size_t page_of(const char *address) {
    return (size_t)(address - lowest) / OS_PAGE;
}

static void fill(size_t i) {
    blocks[i] = malloc(BYTES);
    CHECK(blocks[i]);
    memset(blocks[i], (int)(i & 0xff), BYTES);
}

static void fill_all(void) {
    for (size_t i = 0; i < COUNT; i++)
        fill(i);
}

static size_t pages(void) {
    const char *highest = lowest = blocks[0];
    for (size_t i = 0; i < COUNT; i++) {
        if (blocks[i] && (!lowest || blocks[i] < lowest))
            lowest = blocks[i];
        if (blocks[i] && blocks[i] > highest)
            highest = blocks[i];
    }
    lowest = (const char *)((uintptr_t)lowest & ~(OS_PAGE - 1));
    CHECK(page_of(highest) < PAGES_MAX);
    return page_of(highest) + 1;
}

static size_t count_guards(size_t among) {
    size_t count = 0;
    for (size_t page = 0; page < among; page++)
        count += was_guard[page] = is_guard(lowest + page * OS_PAGE);
    return count;
}

/* About one slab in 16, of 12 MB in slabs of 64 KiB: some, and not many. No block touches one. */
static size_t between_blocks(void) {
    fill_all();
    size_t among = pages(), guards = count_guards(among);
    printf("guards: %zu\n", guards);
    CHECK(guards > 0 && guards * 16 < among / 2);
    for (size_t i = 0; i < COUNT; i++)
        CHECK(!was_guard[page_of(blocks[i])] && !was_guard[page_of(blocks[i] + BYTES - 1)]);
    return among;
}

static void in_a_child(size_t among) {
    pid_t child = fork();
    if (child == 0) {
        for (size_t page = 0; page < among; page++)
            CHECK_EQUAL(is_guard(lowest + page * OS_PAGE), was_guard[page]);
        for (size_t i = 0; i < COUNT; i++)
            free(blocks[i]);
        fill_all();
        _exit(0);
    }
    int status;
    CHECK_EQUAL(waitpid(child, &status, 0), child);
    CHECK_EQUAL(status, 0);
}

/* Of each slab's blocks one in 32 lives on: all pages that can go are purged, and guards stay. */
static void after_a_purge(size_t among) {
    for (size_t i = 0; i < COUNT; i++)
        if (i % 32) {
            free(blocks[i]);
            blocks[i] = NULL;
        }
    malloc_trim(0);
    for (size_t page = 0; page < among; page++)
        if (was_guard[page])
            CHECK(is_guard(lowest + page * OS_PAGE));
    for (size_t i = 0; i < COUNT; i++)
        if (!blocks[i])
            fill(i);
    for (size_t page = 0; page < among; page++)
        if (was_guard[page])
            CHECK(is_guard(lowest + page * OS_PAGE));
}

/* The pages of slabs that have ended are anybody's: large blocks that come to lie there can be written to. */
static void after_their_end(size_t among) {
    for (size_t i = 0; i < COUNT; i++) {
        CHECK_EQUAL((unsigned char)blocks[i][BYTES - 1], i & 0xff);
        free(blocks[i]);
    }
    malloc_trim(0);
    size_t left = 0;
    for (size_t page = 0; page < among; page++)
        left += was_guard[page] && is_guard(lowest + page * OS_PAGE);
    CHECK(left <= 1); /* of a slab that is kept to allocate from */
    for (size_t i = 0; i < 30; i++) {
        char *block = malloc((size_t)1 << 20);
        CHECK(block);
        memset(block, 'x', (size_t)1 << 20);
    }
}

int main(void) {
    void *own = mmap(NULL, OS_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (sysconf(_SC_PAGESIZE) != (long)OS_PAGE || madvise(own, OS_PAGE, MADV_GUARD_INSTALL)) {
        puts("skipped guarded_slabs: this system has no guards");
        return 77;
    }
    CHECK_EQUAL(pipe(ends), 0);
    size_t among = between_blocks();
    puts("ok guarded_slabs_between_blocks");
    in_a_child(among);
    puts("ok guarded_slabs_in_a_child");
    after_a_purge(among);
    puts("ok guarded_slabs_after_a_purge");
    after_their_end(among);
    puts("ok guarded_slabs_after_their_end");
    return 0;
}
