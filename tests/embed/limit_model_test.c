/* SPDX-License-Identifier: MIT */
/*
 * What a limit means, against a model: an arena refuses a request only if the OS pages that hold a live
 * block, and those that the request needs, are more than its limit. The model knows the addresses and sizes
 * of live blocks and nothing of fallow. Many threads own what is allocated, and all but one sleep.
 *
 * Usage: limit_model_test [STEPS [SEED]]    steps for each number of threads and limit
 */
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "../lib/check.h"
#include "../lib/reading.h"
#include "fallow/fallow.h"
#include "fallow/osmem.h"

#define BLOCKS_MAX 60000
#define THREADS_MAX 64
#define PLACES ((size_t)1 << 17)
#define NARROW_LIMIT_MAX ((size_t)1 << 20)  /* what is larger is not filled in so few steps */
#define SMALL_BYTES_MAX ((size_t)128 << 10) /* above, a block has a run of pages of its own */
#define RUN_BYTES ((size_t)16 << 10)        /* which is a multiple of this, or of an OS page */

typedef struct block {
    char *start;
    size_t bytes; /* usable */
    unsigned char fill;
} block;

static fallow_arena *arena;
static size_t page_bytes, limit_bytes;
static block blocks[BLOCKS_MAX];
static size_t block_count;
static uint64_t rnd;
static size_t refusals;

/* Pages with live blocks, and how many each has: a table with open addressing, of which nothing is ever taken
 * out. */
static struct {
    uintptr_t page;
    unsigned live;
} places[PLACES];
static size_t live_pages, places_used;

static unsigned *live_in(uintptr_t page) {
    size_t at = (size_t)(page * UINT64_C(0x9e3779b97f4a7c15) >> 47) & (PLACES - 1);
    while (places[at].page && places[at].page != page)
        at = (at + 1) & (PLACES - 1);
    if (!places[at].page) {
        CHECK(++places_used < PLACES / 2);
        places[at].page = page;
    }
    return &places[at].live;
}

static void count(const block *it, int change) {
    uintptr_t first = (uintptr_t)it->start / page_bytes,
              last = ((uintptr_t)it->start + it->bytes - 1) / page_bytes;
    for (uintptr_t page = first; page <= last; page++) {
        unsigned *live = live_in(page);
        live_pages -= *live > 0;
        *live += (unsigned)change;
        live_pages += *live > 0;
    }
}

static size_t up(size_t bytes, size_t multiple) {
    return (bytes + multiple - 1) / multiple * multiple;
}

/* In OS pages, whatever lies before it in its first one. Sizes are rounded up by a quarter at most. */
static size_t needed_bytes(size_t bytes) {
    if (bytes > SMALL_BYTES_MAX)
        return up(bytes, page_bytes > RUN_BYTES ? page_bytes : RUN_BYTES);
    size_t rounded = bytes <= 128     ? up(bytes ? bytes : 1, 16)
                     : bytes <= 16384 ? bytes + bytes / 8
                                      : bytes + bytes / 4;
    rounded = rounded > SMALL_BYTES_MAX ? SMALL_BYTES_MAX : rounded;
    return up(rounded, page_bytes) + (rounded > 16 ? page_bytes : 0);
}

static size_t below(size_t limit) {
    return (size_t)(check_random(&rnd) % limit);
}

static bool narrow;

/* Of uniform logarithm, from a byte to half of the limit; or, narrow, what a cache of small values holds:
 * then what is free of a size is soon wanted by another value of it. */
static size_t some_size(void) {
    if (narrow)
        return 100 + below(1900);
    size_t bytes = (size_t)1 << below(21);
    bytes += below(bytes);
    return bytes > limit_bytes / 2 ? 1 + below(limit_bytes / 2) : bytes;
}

static bool allocate(size_t bytes) {
    errno = 0;
    char *start = fallow_arena_alloc(arena, bytes);
    if (!start) {
        CHECK_EQUAL(errno, ENOMEM);
        size_t live = live_pages * page_bytes, needed = needed_bytes(bytes);
        if (live + needed <= limit_bytes) {
            fprintf(
                stderr,
                "%zu bytes refused, which need %zu: %zu in pages with live blocks, limit %zu, %zu Ready\n",
                bytes, needed, live, limit_bytes, arena_figures(arena).ready_bytes);
            exit(1);
        }
        refusals++;
        return false;
    }
    block *it = &blocks[block_count++];
    *it = (block){start, fallow_arena_usable_bytes(start), (unsigned char)check_random(&rnd)};
    CHECK(it->bytes >= bytes);
    count(it, 1);
    memset(start, it->fill, it->bytes);
    return true;
}

static void release(size_t i) {
    block *it = &blocks[i];
    for (size_t at = 0; at < it->bytes; at += 1 + it->bytes / 7)
        CHECK_EQUAL((unsigned char)it->start[at], it->fill);
    CHECK_EQUAL((unsigned char)it->start[it->bytes - 1], it->fill);
    count(it, -1);
    fallow_arena_free(arena, it->start);
    *it = blocks[--block_count];
}

/* A few steps of one thread: the blocks are everybody's. */
static bool fills = true;

static void some_steps(size_t steps) {
    for (; steps > 0; steps--) {
        size_t kind = below(1000);
        if (kind == 0) { /* nothing lives: whatever an empty arena serves is served */
            while (block_count)
                release(block_count - 1);
            size_t run = page_bytes > RUN_BYTES ? page_bytes : RUN_BYTES;
            if (limit_bytes > SMALL_BYTES_MAX && below(2))
                CHECK(allocate(limit_bytes / run * run));
        } else if (kind < (fills ? 700 : 300) && block_count < BLOCKS_MAX) {
            if (!allocate(some_size()) && below(4) == 0)
                fills = false;
        } else if (block_count)
            release(below(block_count));
        else
            fills = true;
        CHECK(arena_figures(arena).ready_bytes <= limit_bytes);
    }
}

/* Threads take turns. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t turned[THREADS_MAX + 1];
static unsigned turn; /* 0: the first thread's; else one more than a thread's number */
static size_t steps_now;

static void hand_over(unsigned to, unsigned self) {
    turn = to;
    pthread_cond_signal(&turned[to]);
    while (turn != self)
        pthread_cond_wait(&turned[self], &lock);
}

static void *work(void *number) {
    unsigned self = 1 + (unsigned)(uintptr_t)number;
    pthread_mutex_lock(&lock);
    while (turn != self)
        pthread_cond_wait(&turned[self], &lock);
    while (steps_now) {
        some_steps(steps_now);
        hand_over(0, self);
    }
    turn = 0;
    pthread_cond_signal(&turned[0]);
    pthread_mutex_unlock(&lock);
    return NULL;
}

static void try_limit(unsigned threads, size_t limit, bool narrow_sizes, size_t steps) {
    pthread_t thread[THREADS_MAX];
    narrow = narrow_sizes;
    limit_bytes = limit;
    arena = fallow_arena_create("model", limit);
    CHECK(arena);
    refusals = 0;
    fills = true;
    pthread_mutex_lock(&lock);
    for (unsigned i = 0; i < threads; i++)
        CHECK_EQUAL(pthread_create(&thread[i], NULL, work, (void *)(uintptr_t)i), 0);
    for (size_t done = 0; done < steps; done += steps_now) {
        steps_now = 1 + below(64);
        hand_over(1 + (unsigned)below(threads), 0);
    }
    steps_now = 0;
    for (unsigned i = 0; i < threads; i++)
        hand_over(1 + i, 0);
    pthread_mutex_unlock(&lock);
    for (unsigned i = 0; i < threads; i++)
        CHECK_EQUAL(pthread_join(thread[i], NULL), 0);
    while (block_count)
        release(block_count - 1);
    CHECK_EQUAL(live_pages, 0);
    fallow_arena_destroy(arena);
    memset(places, 0, sizeof places);
    places_used = 0;
    printf("# %u threads, limit %zu KiB: %zu refusals, each right\n", threads, limit >> 10, refusals);
}

int main(int argc, char **argv) {
    static const unsigned threads[] = {1, 4, THREADS_MAX};
    size_t steps = argc > 1 ? strtoull(argv[1], NULL, 10) : 5000;
    rnd = check_seed(argc - 1, argv + 1);
    page_bytes = osmem_os_page_bytes();
    for (unsigned i = 0; i <= THREADS_MAX; i++)
        CHECK_EQUAL(pthread_cond_init(&turned[i], NULL), 0);
    for (unsigned i = 0; i < sizeof threads / sizeof threads[0]; i++)
        for (size_t limit = (size_t)64 << 10; limit <= (size_t)64 << 20; limit *= 4)
            if (limit >= 4 * page_bytes) {
                try_limit(threads[i], limit, false, steps);
                if (limit <= NARROW_LIMIT_MAX)
                    try_limit(threads[i], limit, true, 3 * steps);
            }
    printf("ok limit_refuses_only_what_does_not_fit\n");
    return 0;
}
