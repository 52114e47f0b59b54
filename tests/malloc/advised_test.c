/* SPDX-License-Identifier: MIT */
/*
 * What a program makes of pages in its own blocks (guards, locks, not for children) stays there: blocks that
 * it gets later are as any others.
 */
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../lib/check.h"

#define BLOCKS 400
#define ADVISED 130 /* so many end in pages that the program has its own ideas about */
#define BYTES ((size_t)65536)
#define LARGE 16

static char *blocks[BLOCKS];

static size_t locked_kib(void) {
    char line[256];
    size_t kib = 0;
    FILE *status = fopen("/proc/self/status", "r");
    CHECK(status);
    while (fgets(line, sizeof line, status))
        if (strncmp(line, "VmLck:", 6) == 0)
            CHECK_EQUAL(sscanf(line, "VmLck: %zu", &kib), 1);
    fclose(status);
    return kib;
}

static int make_guard(void *page, size_t bytes) {
    return mprotect(page, bytes, PROT_NONE);
}

static int lock(void *page, size_t bytes) {
    return mlock(page, bytes);
}

static int keep_from_children(void *page, size_t bytes) {
    return madvise(page, bytes, MADV_DONTFORK);
}

static int wipe_in_children(void *page, size_t bytes) {
    return madvise(page, bytes, MADV_WIPEONFORK);
}

/* In a child of its own, and what that child's child sees. */
static void use(int (*make)(void *, size_t)) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        for (int i = 0; i < BLOCKS; i++) {
            CHECK((blocks[i] = aligned_alloc(BYTES, BYTES)) != NULL);
            memset(blocks[i], i, BYTES);
            if (i < ADVISED)
                CHECK_EQUAL(make(blocks[i] + BYTES - page, page), 0);
        }
        CHECK(locked_kib() <= ADVISED * page / 1024);
        pid_t grandchild = fork();
        for (int i = 0; i < BLOCKS; i++)
            for (size_t k = 0; k < BYTES - page; k += 512)
                CHECK_EQUAL((unsigned char)blocks[i][k], i % 256);
        for (int i = ADVISED; i < BLOCKS; i++)
            CHECK_EQUAL((unsigned char)blocks[i][BYTES - 1], i % 256);
        if (grandchild == 0)
            _exit(0);
        int status;
        CHECK_EQUAL(waitpid(grandchild, &status, 0), grandchild);
        _exit(status ? 1 : 0);
    }
    int status;
    CHECK_EQUAL(waitpid(child, &status, 0), child);
    CHECK_EQUAL(status, 0);
}

static void advised_guards_stay_where_they_are(void) {
    use(make_guard);
}

static void advised_locks_stay_where_they_are(void) {
    use(lock);
}

static void advised_pages_not_for_children_are_no_others(void) {
    use(keep_from_children);
    use(wipe_in_children);
}

/* What is freed with a few pages locked in it goes back but for these. */
static void advised_locked_pages_keep_no_others(void) {
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        size_t page = (size_t)sysconf(_SC_PAGESIZE);
        char *large[LARGE];
        for (int i = 0; i < LARGE; i++) {
            CHECK((large[i] = malloc((size_t)4 << 20)) && memset(large[i], 1, (size_t)4 << 20));
            CHECK_EQUAL(mlock(large[i] + ((size_t)2 << 20), page), 0);
        }
        for (int i = 0; i < LARGE; i++)
            free(large[i]);
        malloc_trim(0);
        size_t resident = 0, kib;
        char line[256];
        FILE *status = fopen("/proc/self/status", "r");
        while (fgets(line, sizeof line, status))
            if (sscanf(line, "VmRSS: %zu", &kib) == 1)
                resident = kib;
        fclose(status);
        printf("# %zu KiB resident, of 64 MiB freed\n", resident);
        fflush(stdout);
        CHECK(resident < 12 << 10);
        _exit(0);
    }
    int status;
    CHECK_EQUAL(waitpid(child, &status, 0), child);
    CHECK_EQUAL(status, 0);
}

/* Of a block that moves while it is not for children, or to be wiped in them: the program undoes that where
 * its block is then, and what comes to lie where it was is as any other. */
static void use_where_one_has_moved(int advice, int undo) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE), bytes = (size_t)4 << 20;
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        char *block = aligned_alloc(page, bytes), *behind = malloc(bytes), *others[LARGE];
        CHECK(block && behind);
        memset(block, 1, bytes);
        CHECK_EQUAL(madvise(block, bytes, advice), 0);
        CHECK((block = realloc(block, 4 * bytes)) != NULL);
        char *start = block + (-(uintptr_t)block & (page - 1));
        CHECK_EQUAL(madvise(start, bytes / page * page, undo), 0);
        for (int i = 0; i < LARGE; i++) {
            CHECK((others[i] = malloc(bytes)) != NULL);
            memset(others[i], 3, bytes);
        }
        pid_t its = fork();
        if (its == 0) {
            for (int i = 0; i < LARGE; i++)
                for (size_t k = 0; k < bytes; k += page)
                    CHECK_EQUAL(others[i][k], 3);
            _exit(0);
        }
        int status;
        CHECK_EQUAL(waitpid(its, &status, 0), its);
        CHECK_EQUAL(status, 0);
        _exit(0);
    }
    int status;
    CHECK_EQUAL(waitpid(child, &status, 0), child);
    CHECK_EQUAL(status, 0);
}

static void advised_block_that_moves_leaves_nothing_behind(void) {
    const char *library = getenv("LD_PRELOAD");
    if (library && strstr(library, "hardened")) {
        printf("skipped: the hardened library copies blocks\n");
        return;
    }
    use_where_one_has_moved(MADV_DONTFORK, MADV_DOFORK);
    use_where_one_has_moved(MADV_WIPEONFORK, MADV_KEEPONFORK);
}

/* Of a block in two mappings, since it has moved and grown, most is read-only: what moves of it before one
 * does not goes back, and whatever its new place is, it can be written. */
static void advised_block_that_moves_in_part_is_whole(void) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE), mib = (size_t)1 << 20;
    char *block = aligned_alloc(page, 4 * mib), *first = malloc(4 * mib), *second;
    CHECK(block && first);
    memset(block, 1, 4 * mib);
    CHECK((block = realloc(block, 6 * mib)) && (second = malloc(4 * mib)));
    memset(block + 4 * mib, 2, 2 * mib);
    char *start = block + (-(uintptr_t)block & (page - 1));
    CHECK_EQUAL(mprotect(start, 5 * mib, PROT_READ), 0);
    CHECK((block = realloc(block, 12 * mib)) != NULL);
    for (size_t i = 0; i < 6 * mib; i += 512)
        CHECK_EQUAL(block[i], i < 4 * mib ? 1 : 2);
    start = block + (-(uintptr_t)block & (page - 1));
    CHECK_EQUAL(mprotect(start, 5 * mib, PROT_READ | PROT_WRITE), 0);
    memset(block, 3, 12 * mib);
    free(block);
    free(first);
    free(second);
}

int main(void) {
    RUN(advised_guards_stay_where_they_are);
    RUN(advised_locks_stay_where_they_are);
    RUN(advised_pages_not_for_children_are_no_others);
    RUN(advised_locked_pages_keep_no_others);
    RUN(advised_block_that_moves_leaves_nothing_behind);
    RUN(advised_block_that_moves_in_part_is_whole);
    return 0;
}
