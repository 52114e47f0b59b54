/* SPDX-License-Identifier: MIT */
/*
 * What a thread has freed of other threads' blocks, and has gathered to hand it over together, is free to
 * everybody who asks: to a walk, to who gives back, at a limit, when the thread or the arena has ended, in
 * the child of a fork.
 *
 * A second thread frees what it is told to, and sleeps in between, with what it has gathered.
 */
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "../lib/check.h"
#include "../lib/refuse.h"
#include "../lib/resident.h"
#include "../lib/stops.h"
#include "fallow/fallow.h"

#define FEW 3
#define BLOCK_BYTES ((size_t)112)

static fallow_arena *arena;
static void *to_free[10000];
static size_t to_free_count;
static sem_t asked, done;
static pthread_t freer;

static void *free_what_is_asked(void *unused) {
    (void)unused;
    for (;;) {
        CHECK_EQUAL(sem_wait(&asked), 0);
        if (to_free_count == 0)
            return NULL;
        fallow_arena_free(arena, fallow_arena_alloc(arena, BLOCK_BYTES)); /* so it has a heap there */
        for (size_t i = 0; i < to_free_count; i++)
            fallow_arena_free(arena, to_free[i]);
        sem_post(&done);
    }
}

static void start(size_t limit) {
    arena = fallow_arena_create("batches", limit);
    CHECK(arena && sem_init(&asked, 0, 0) == 0 && sem_init(&done, 0, 0) == 0);
    CHECK_EQUAL(pthread_create(&freer, NULL, free_what_is_asked, NULL), 0);
}

static void free_elsewhere(void **blocks, size_t count) {
    memcpy(to_free, blocks, count * sizeof *blocks);
    to_free_count = count;
    sem_post(&asked);
    CHECK_EQUAL(sem_wait(&done), 0);
}

static void end_freer(void) {
    to_free_count = 0;
    sem_post(&asked);
    CHECK_EQUAL(pthread_join(freer, NULL), 0);
}

static void alloc_many(void **blocks, size_t count, size_t bytes) {
    for (size_t i = 0; i < count; i++)
        CHECK((blocks[i] = fallow_arena_alloc(arena, bytes)) != NULL);
}

static bool is_one_of(void *block, void **blocks, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (blocks[i] == block)
            return true;
    return false;
}

typedef struct seen {
    size_t blocks;
    size_t freed;
} seen;

static bool look(void *context, void *block, size_t bytes) {
    seen *so_far = context;
    (void)bytes;
    so_far->blocks++;
    so_far->freed += is_one_of(block, to_free, FEW);
    return true;
}

static void gathered_is_not_shown_by_a_walk(void) {
    void *blocks[1000];
    start(0);
    alloc_many(blocks, 1000, BLOCK_BYTES);
    free_elsewhere(blocks + 500, FEW);
    seen all = {0};
    CHECK(fallow_arena_walk(arena, look, &all));
    CHECK_EQUAL(all.blocks, 1000 - FEW);
    CHECK_EQUAL(all.freed, 0);
    end_freer();
    fallow_arena_destroy(arena);
}

static void gathered_is_not_live(void) {
    void *blocks[1000];
    fallow_stats stats;
    start(0);
    alloc_many(blocks, 1000, BLOCK_BYTES);
    free_elsewhere(blocks + 500, FEW);
    CHECK(fallow_arena_stats(arena, &stats, sizeof stats));
    CHECK_EQUAL(stats.live_blocks, 1000 - FEW);
    end_freer();
    fallow_arena_destroy(arena);
}

/* A page that holds nothing but what was gathered, and what its owner has freed. */
static void gathered_goes_back(void) {
    if (!RESIDENT_IS_OURS)
        return;
    size_t page_bytes = (size_t)sysconf(_SC_PAGESIZE), bytes = 512;
    void *blocks[400], *others[FEW];
    unsigned char there = 0;
    start(0);
    alloc_many(blocks, 400, bytes);
    size_t first = 100;
    while ((uintptr_t)blocks[first] % page_bytes)
        first++;
    char *page = blocks[first];
    memset(page, 1, page_bytes);
    size_t elsewhere = 0;
    for (size_t i = 0; i < 400; i++)
        if ((size_t)((char *)blocks[i] - page) < page_bytes) {
            if (elsewhere < FEW)
                others[elsewhere++] = blocks[i];
            else
                fallow_arena_free(arena, blocks[i]);
        }
    free_elsewhere(others, FEW);
    fallow_arena_give_back(arena);
    CHECK_EQUAL(mincore(page, page_bytes, &there), 0);
    CHECK_EQUAL(there & 1, 0);
    end_freer();
    fallow_arena_destroy(arena);
}

/* Gathered while the arena was far from its limit; then it comes there. */
static void gathered_is_found_at_a_limit(void) {
    void *blocks[1000], *freed[FEW];
    start((size_t)4 << 20);
    alloc_many(blocks, 1000, BLOCK_BYTES);
    memcpy(freed, blocks + 500, sizeof freed);
    free_elsewhere(freed, FEW);
    size_t found = 0;
    for (void *block; (block = fallow_arena_alloc(arena, BLOCK_BYTES)) != NULL;)
        found += is_one_of(block, freed, FEW);
    CHECK_EQUAL(found, FEW);
    free_elsewhere(blocks, FEW); /* and from then on nothing is gathered */
    for (found = 0; fallow_arena_alloc(arena, BLOCK_BYTES) != NULL;)
        found++;
    CHECK(found >= FEW);
    end_freer();
    fallow_arena_destroy(arena);
}

static void gathered_is_free_when_its_thread_has_ended(void) {
    void *blocks[1000], *freed[FEW];
    start(0);
    alloc_many(blocks, 1000, BLOCK_BYTES);
    memcpy(freed, blocks + 1000 - FEW, sizeof freed); /* of the slab that is allocated from */
    free_elsewhere(freed, FEW);
    end_freer();
    size_t found = 0;
    for (size_t i = 0; i < 100000 && found < FEW; i++)
        found += is_one_of(fallow_arena_alloc(arena, BLOCK_BYTES), freed, FEW);
    CHECK_EQUAL(found, FEW);
    fallow_arena_destroy(arena);
}

/* Ends, or is reset, beside a thread that sleeps with blocks of it; what comes to its place is whole. */
static void gathered_ends_with_its_arena(bool reset) {
    void *blocks[1000];
    start(0);
    for (int round = 0; round < 40; round++) {
        alloc_many(blocks, 1000, BLOCK_BYTES);
        for (size_t i = 0; i < 1000; i++)
            memset(blocks[i], (int)i, BLOCK_BYTES);
        free_elsewhere(blocks + 100 + round, FEW);
        seen all = {0};
        CHECK(fallow_arena_walk(arena, look, &all));
        CHECK_EQUAL(all.blocks, 1000 - FEW);
        free_elsewhere(blocks + 200 + round, FEW); /* these are not handed over */
        for (size_t i = 0; i < 1000; i++)
            if (!is_one_of(blocks[i], blocks + 100 + round, FEW) &&
                !is_one_of(blocks[i], blocks + 200 + round, FEW))
                CHECK_EQUAL(*((unsigned char *)blocks[i] + BLOCK_BYTES - 1), i % 256);
        if (reset)
            fallow_arena_reset(arena, SIZE_MAX);
        else {
            fallow_arena_destroy(arena);
            CHECK((arena = fallow_arena_create("next", 0)) != NULL);
        }
    }
    end_freer();
    fallow_arena_destroy(arena);
}

static void gathered_ends_with_a_destroyed_arena(void) {
    gathered_ends_with_its_arena(false);
}

static void gathered_ends_with_a_reset(void) {
    gathered_ends_with_its_arena(true);
}

static void gathered_is_free_in_a_child(void) {
    void *blocks[1000];
    start(0);
    alloc_many(blocks, 1000, BLOCK_BYTES);
    free_elsewhere(blocks + 500, FEW);
    pid_t child = fork();
    if (child == 0) {
        seen all = {0};
        CHECK(fallow_arena_walk(arena, look, &all));
        CHECK_EQUAL(all.blocks, 1000 - FEW);
        fallow_arena_give_back(arena);
        fallow_arena_destroy(arena);
        _exit(0);
    }
    int status;
    CHECK_EQUAL(waitpid(child, &status, 0), child);
    CHECK_EQUAL(status, 0);
    end_freer();
    fallow_arena_destroy(arena);
}

static size_t left_count;

static void *leave_blocks(void *blocks) {
    alloc_many(blocks, left_count, BLOCK_BYTES);
    for (size_t i = 0; i < left_count; i++)
        memset(((void **)blocks)[i], 1, BLOCK_BYTES);
    return NULL;
}

/* Of a thread that ends. */
static void have_left(void **blocks, size_t count) {
    pthread_t owner;
    left_count = count;
    CHECK_EQUAL(pthread_create(&owner, NULL, leave_blocks, blocks), 0);
    CHECK_EQUAL(pthread_join(owner, NULL), 0);
}

/* Whole slabs, to the last block, by a thread that sleeps then. */
static void gathered_keeps_no_slab_from_dying(void) {
    static void *blocks[10000];
    start(0);
    alloc_many(blocks, 1, BLOCK_BYTES);
    free_elsewhere(blocks, 1); /* it has a heap of its own now, and not that of the thread that ends */
    have_left(blocks, 10000);
    free_elsewhere(blocks, 10000);
    size_t before = resident_bytes();
    for (size_t i = 0; i < 10000 * BLOCK_BYTES / 4096; i++) {
        char *other = fallow_arena_alloc(arena, 4000);
        CHECK(other);
        memset(other, 1, 4000);
    }
    if (RESIDENT_IS_OURS)
        CHECK(resident_bytes() - before < (size_t)300 << 10);
    end_freer();
    fallow_arena_destroy(arena);
}

/* A filter of system calls that comes when something is gathered: what the thread itself has, it finds. */
static void confine_and_free(void) {
    static void *blocks[1000];
    fallow_stats stats;
    CHECK((arena = fallow_arena_create("confined", 0)) != NULL);
    have_left(blocks, 1000);
    fallow_arena_free(arena, fallow_arena_alloc(arena, BLOCK_BYTES * 2));
    fallow_arena_free(arena, blocks[500]);
    if (!refuse_calls(SYS_membarrier, SYS_membarrier, EPERM))
        return;
    for (size_t freed = 1; freed < 500; freed++) {
        CHECK(fallow_arena_stats(arena, &stats, sizeof stats));
        CHECK_EQUAL(stats.live_blocks, 1000 - freed);
        fallow_arena_free(arena, blocks[500 + freed]);
    }
}

static void gathered_is_found_where_a_filter_came(void) {
    int signal_number;
    CHECK_EQUAL(strlen(last_words(confine_and_free, &signal_number)), 0);
    CHECK_EQUAL(signal_number, 0);
}

/* Others of many slabs between, so that the first has been handed over by then. */
static void free_again_later(void) {
    static void *blocks[40000];
    start(0);
    alloc_many(blocks, 40000, BLOCK_BYTES);
    size_t count = 0;
    for (size_t i = 0; i < 40000; i += 900)
        to_free[count++] = blocks[i];
    to_free[count++] = blocks[0];
    to_free_count = count;
    sem_post(&asked);
    sem_wait(&done);
}

static void freed_twice_is_found_behind_others(void) {
    expect_stop(free_again_later, "freed twice");
}

static void free_twice(void) {
    void *both[2];
    start(0);
    alloc_many(both, 1, BLOCK_BYTES);
    both[1] = both[0];
    free_elsewhere(both, 2);
}

static void freed_twice_is_found_while_it_is_gathered(void) {
    expect_stop(free_twice, "freed twice");
}

int main(void) {
    RUN(gathered_is_not_shown_by_a_walk);
    RUN(gathered_is_not_live);
    RUN(gathered_goes_back);
    RUN(gathered_is_found_at_a_limit);
    RUN(gathered_is_free_when_its_thread_has_ended);
    RUN(gathered_ends_with_a_destroyed_arena);
    RUN(gathered_ends_with_a_reset);
    RUN(gathered_is_free_in_a_child);
    RUN(gathered_keeps_no_slab_from_dying);
    RUN(gathered_is_found_where_a_filter_came);
    RUN(freed_twice_is_found_while_it_is_gathered);
    RUN(freed_twice_is_found_behind_others);
    return 0;
}
