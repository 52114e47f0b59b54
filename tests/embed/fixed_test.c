/* SPDX-License-Identifier: MIT */
/* Allocators inside given memory: nothing outside it is touched, the promise on size holds, processes
 * share one. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../lib/check.h"
#include "../lib/reading.h"
#include "fallow/fixed.h"

#define BYTES ((size_t)1 << 20)
#define GUARD ((size_t)4096)

static unsigned char *memory; /* with a guard on both sides */

static void set_up(void) {
    memory = malloc(BYTES + 2 * GUARD);
    CHECK(memory);
    memset(memory, 0xa5, BYTES + 2 * GUARD);
}

static void expect_guards_whole(void) {
    for (size_t i = 0; i < GUARD; i++)
        CHECK(memory[i] == 0xa5 && memory[GUARD + BYTES + i] == 0xa5);
}

typedef struct block {
    unsigned char *start;
    size_t bytes;
    unsigned char pattern;
} block;

#define BLOCKS 3000
static block blocks[BLOCKS];
static size_t seen;

static bool count_block(void *used_bytes, void *start, size_t bytes) {
    CHECK((uintptr_t)start % 16 == 0);
    *(size_t *)used_bytes += bytes + 8;
    seen++;
    return true;
}

static void verify(const block *it) {
    for (size_t i = 0; i<it->bytes; i += it->bytes> 2000 ? 97 : 1)
        CHECK_EQUAL(it->start[i], it->pattern);
}

static void fill(block *it, uint64_t *random) {
    it->pattern = (unsigned char)check_random(random);
    memset(it->start, it->pattern, it->bytes);
}

/* One random step; a model of what lives is kept beside it. */
static void step(fallow_fixed *fixed, uint64_t *random) {
    block *it = &blocks[check_random(random) % BLOCKS];
    size_t bytes = check_random(random) % (check_random(random) % 16 ? 400 : 20000);
    if (it->start && check_random(random) % 4 == 0) {
        verify(it);
        unsigned char *moved = fallow_fixed_realloc(fixed, it->start, bytes);
        if (!moved)
            return;
        it->start = moved;
        it->bytes = it->bytes < bytes ? it->bytes : bytes;
        verify(it);
        it->bytes = bytes;
        fill(it, random);
    } else if (it->start) {
        verify(it);
        fallow_fixed_free(fixed, it->start);
        it->start = NULL;
    } else {
        size_t alignment = (size_t)16 << check_random(random) % 9;
        it->start = check_random(random) % 5 ? fallow_fixed_alloc(fixed, bytes)
                                             : fallow_fixed_alloc_aligned(fixed, alignment, bytes);
        it->bytes = bytes;
        if (!it->start)
            return;
        CHECK(it->start >= memory + GUARD && it->start + bytes <= memory + GUARD + BYTES);
        CHECK(fallow_fixed_usable_bytes(it->start) >= bytes);
        fill(it, random);
    }
}

static void expect_figures(fallow_fixed *fixed) {
    size_t live = 0, used = 0;
    for (int i = 0; i < BLOCKS; i++)
        live += blocks[i].start != NULL;
    seen = 0;
    CHECK(fallow_fixed_walk(fixed, count_block, &used));
    fallow_fixed_figures figures = fixed_figures(fixed);
    CHECK_EQUAL(seen, live);
    CHECK_EQUAL(figures.blocks, live);
    CHECK_EQUAL(figures.used_bytes, used);
    CHECK(figures.used_bytes <= figures.total_bytes);
}

static void fixed_random_steps_against_a_model(void) {
    uint64_t random = 9;
    fallow_fixed *fixed = fallow_fixed_create(memory + GUARD + 3, BYTES - 3, 0); /* aligned or not */
    CHECK(fixed);
    size_t whole = fixed_figures(fixed).largest_bytes;
    for (int i = 0; i < 300000; i++) {
        step(fixed, &random);
        if (i % 10000 == 0)
            expect_figures(fixed);
    }
    for (int i = 0; i < BLOCKS; i++) {
        fallow_fixed_free(fixed, blocks[i].start);
        blocks[i].start = NULL;
    }
    expect_figures(fixed);
    CHECK_EQUAL(fixed_figures(fixed).largest_bytes, whole); /* all neighbours have become one again */
    expect_guards_whole();
}

static void fixed_promise_on_size(void) {
    for (size_t bytes = FALLOW_FIXED_OVERHEAD_BYTES + 64; bytes <= BYTES; bytes += bytes / 7 + 1)
        for (size_t shift = 0; shift < 64; shift += 21) {
            fallow_fixed *fixed = fallow_fixed_create(memory + GUARD + shift, bytes - shift, 0);
            if (bytes - shift < FALLOW_FIXED_OVERHEAD_BYTES + 128)
                continue;
            CHECK(fixed);
            unsigned char *all = fallow_fixed_alloc(fixed, bytes - shift - FALLOW_FIXED_OVERHEAD_BYTES);
            CHECK(all);
            memset(all, 1, fallow_fixed_usable_bytes(all));
            fallow_fixed_free(fixed, all);
            /* A block of b bytes takes b + 8, in steps of 16, 32 at least. */
            size_t room = bytes - shift - FALLOW_FIXED_OVERHEAD_BYTES, count = 0;
            while (fallow_fixed_alloc(fixed, 40))
                count++;
            CHECK(count >= room / 48);
            fallow_fixed_reset(fixed);
            CHECK_EQUAL(fixed_figures(fixed).blocks, 0);
        }
    expect_guards_whole();
}

static void fixed_errors(void) {
    errno = 0;
    CHECK(!fallow_fixed_create(memory, 100, 0) && errno == EINVAL);
    CHECK(!fallow_fixed_create(NULL, BYTES, 0));
    CHECK(!fallow_fixed_create(memory, BYTES, 64));
    fallow_fixed *fixed = fallow_fixed_create(memory + GUARD, BYTES, 0);
    errno = 0;
    CHECK(!fallow_fixed_alloc(fixed, BYTES) && errno == ENOMEM);
    CHECK(!fallow_fixed_alloc(fixed, SIZE_MAX));
    CHECK(!fallow_fixed_alloc_aligned(fixed, (size_t)1 << 40, 10));
    for (int shift = 20; shift < 64; shift++)
        for (size_t less = 0; less < 64; less++) {
            CHECK(!fallow_fixed_alloc_aligned(fixed, (size_t)1 << shift, PTRDIFF_MAX - less));
            CHECK(!fallow_fixed_alloc_aligned(fixed, (size_t)1 << shift, SIZE_MAX - less));
            CHECK(!fallow_fixed_alloc_aligned(fixed, (size_t)1 << shift, PTRDIFF_MAX / 2 - less));
        }
    CHECK(!fallow_fixed_alloc_aligned(fixed, 24, 10) && errno == EINVAL);
    void *block = fallow_fixed_alloc(fixed, 100);
    CHECK(!fallow_fixed_realloc(fixed, block, BYTES)); /* it is as it was */
    fallow_fixed_free(fixed, block);
    fallow_fixed_free(fixed, NULL);
    memset(memory + GUARD, 0, 4096);
    CHECK(!fallow_fixed_open(memory + GUARD, BYTES));
}

static bool alloc_inside(void *fixed, void *start, size_t bytes) {
    (void)start;
    return fallow_fixed_alloc(fixed, bytes) != NULL;
}

static void fixed_misuse_stops_the_process(void) {
    for (int misuse = 0; misuse < 6; misuse++) {
        fflush(stdout);
        pid_t child = fork();
        if (child == 0) {
            fclose(stderr);
            fallow_fixed *fixed =
                fallow_fixed_create(memory + GUARD, BYTES, misuse < 4 ? 0 : FALLOW_FIXED_SHARED);
            char *a = fallow_fixed_alloc(fixed, 100), *b = fallow_fixed_alloc(fixed, 100);
            fallow_fixed_free(fixed, misuse == 3 ? NULL : a);
            if (misuse == 0)
                fallow_fixed_free(fixed, a);
            if (misuse == 4)
                fallow_fixed_free(fixed, a); /* shared memory, and it is sound */
            if (misuse == 5)
                fallow_fixed_walk(fixed, alloc_inside, fixed);
            if (misuse == 1)
                fallow_fixed_free(fixed, b + 16);
            if (misuse == 2)
                fallow_fixed_free(fixed, memory);
            if (misuse == 3) {
                memset(a, 0xff, 130); /* over the next one's tag */
                fallow_fixed_free(fixed, a);
            }
            _exit(0);
        }
        int status;
        CHECK_EQUAL(waitpid(child, &status, 0), child);
        CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    }
}

/* Two processes, each with the memory at an address of its own. */
static void fixed_shared_by_processes(void) {
    int file = memfd_create("fixed", 0);
    CHECK(file >= 0 && ftruncate(file, BYTES) == 0);
    char *here = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    fallow_fixed *fixed = fallow_fixed_create(here, BYTES, FALLOW_FIXED_SHARED);
    CHECK(fixed);
    char *message = fallow_fixed_alloc(fixed, 100);
    fflush(stdout);
    pid_t children[4];
    for (int c = 0; c < 4; c++) {
        children[c] = fork();
        if (children[c] == 0) {
            char *there = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
            CHECK(there != here);
            fallow_fixed *mine = fallow_fixed_open(there, BYTES);
            CHECK(mine);
            uint64_t random = (uint64_t)c;
            memset(blocks, 0, sizeof blocks);
            for (int i = 0; i < 20000; i++) {
                block *it = &blocks[check_random(&random) % 200];
                if (it->start) {
                    verify(it);
                    fallow_fixed_free(mine, it->start);
                    it->start = NULL;
                } else if ((it->start = fallow_fixed_alloc(mine, it->bytes = check_random(&random) % 900)))
                    fill(it, &random);
            }
            for (int i = 0; i < 200; i++)
                fallow_fixed_free(mine, blocks[i].start);
            if (c == 0)
                strcpy(there + (message - here), "from the other side");
            _exit(0);
        }
    }
    for (int c = 0; c < 4; c++) {
        int status;
        CHECK_EQUAL(waitpid(children[c], &status, 0), children[c]);
        CHECK_EQUAL(status, 0);
    }
    CHECK(!strcmp(message, "from the other side"));
    CHECK_EQUAL(fixed_figures(fixed).blocks, 1);
    munmap(here, BYTES);
    close(file);
}

int main(void) {
    set_up();
    RUN(fixed_random_steps_against_a_model);
    RUN(fixed_promise_on_size);
    RUN(fixed_errors);
    RUN(fixed_misuse_stops_the_process);
    RUN(fixed_shared_by_processes);
    free(memory);
    return 0;
}
