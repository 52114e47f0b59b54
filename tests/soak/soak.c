/* SPDX-License-Identifier: MIT */
/*
 * All of it at once, for as long as is asked: threads that come and go, blocks of every function of malloc's
 * family handed between them, arenas with limits and pools that live for a moment, forks, and for a part of
 * the time system calls for memory that are refused. Contents are looked at when a block goes. When all has
 * ended, what is resident is what it was after the first round, as the kernel says.
 *
 * Usage: soak [SECONDS [SEED]]
 */
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../lib/check.h"
#include "../lib/resident.h"
#include "fallow/fallow.h"

#define THREADS 4
#define SLOTS 256
#define STEPS 5000 /* of a thread */
#define MIB ((size_t)1 << 20)
#define GROWTH_MAX (4 * MIB) /* from the first round to the last */

typedef struct block {
    size_t bytes;
    unsigned char fill;
} block;

static _Atomic(block *) slots[SLOTS];
static _Atomic bool short_of_memory; /* while it is, a request may fail */
static _Atomic size_t operations, refusals, forks;

static size_t some_size(uint64_t *random) {
    uint64_t r = check_random(random);
    size_t bytes = (size_t)1 << (r % (r >> 8 & 63 ? 12 : 21));
    return sizeof(block) + bytes + (size_t)(r >> 20) % bytes;
}

static block *filled(block *it, size_t bytes, uint64_t r) {
    if (!it) {
        CHECK_EQUAL(errno, ENOMEM);
        CHECK(short_of_memory);
        refusals++;
        return NULL;
    }
    it->bytes = bytes;
    it->fill = (unsigned char)r;
    memset(it + 1, it->fill, bytes - sizeof *it);
    return it;
}

static void verify(const block *it, size_t bytes) {
    const unsigned char *byte = (const unsigned char *)(it + 1);
    bytes -= sizeof *it;
    for (size_t i = 0; i < bytes; i += 1 + bytes / 97)
        CHECK_EQUAL(byte[i], it->fill);
    if (bytes)
        CHECK_EQUAL(byte[bytes - 1], it->fill);
}

static block *made(uint64_t *random) {
    size_t bytes = some_size(random);
    uint64_t r = check_random(random);
    size_t alignment = (size_t)16 << (r >> 8) % 12;
    void *aligned = NULL;
    block *it;
    errno = 0;
    switch (r % 8) {
    case 0:
        it = calloc(1, bytes);
        for (size_t i = 0; it && i < bytes; i += 1 + bytes / 97)
            CHECK_EQUAL(((char *)it)[i], 0);
        break;
    case 1:
        it = aligned_alloc(alignment, bytes);
        CHECK_EQUAL((uintptr_t)it % alignment, 0);
        break;
    case 2:
        errno = posix_memalign(&aligned, alignment, bytes);
        it = errno ? NULL : aligned;
        break;
    default:
        it = malloc(bytes);
    }
    return filled(it, bytes, r);
}

static void gone(block *it) {
    if (it)
        verify(it, it->bytes);
    free(it);
}

static block *resized(block *it, uint64_t *random) {
    size_t bytes = some_size(random), before = it->bytes;
    errno = 0;
    block *moved = realloc(it, bytes);
    verify(moved ? moved : it, moved && bytes < before ? bytes : before);
    if (moved)
        return filled(moved, bytes, check_random(random));
    (void)filled(NULL, bytes, 0); /* it may have failed; the block is as it was */
    return it;
}

/* An arena's life, with blocks and a pool; of those that have a limit, requests fail. */
static void arena_life(uint64_t *random) {
    uint64_t r = check_random(random);
    fallow_arena *arena = fallow_arena_create("soak", r % 2 ? (r >> 8) % 64 * 65536 + 65536 : 0);
    if (!arena) {
        CHECK(errno == ENOMEM && short_of_memory);
        return;
    }
    char *blocks[64] = {0};
    for (int i = 0; i < 400; i++) {
        size_t which = check_random(random) % 64, bytes = some_size(random);
        fallow_arena_free(arena, blocks[which]);
        errno = 0;
        blocks[which] = fallow_arena_alloc(arena, bytes);
        CHECK(blocks[which] || (errno == ENOMEM && (r % 2 || short_of_memory)));
        if (blocks[which])
            memset(blocks[which], i, bytes);
    }
    fallow_pool *pool = fallow_pool_create(arena);
    for (int i = 0; pool && i < 200; i++) {
        size_t bytes = some_size(random);
        char *object = fallow_pool_alloc(pool, bytes);
        if (object)
            memset(object, i, bytes);
        if (i % 50 == 49)
            fallow_pool_reset(pool);
    }
    fallow_pool_destroy(pool);
    if (r % 3 == 0)
        fallow_arena_reset(arena, 0);
    fallow_arena_destroy(arena);
}

/* A child allocates, and frees what is its parent's. */
static void fork_once(uint64_t *random) {
    pid_t child = fork();
    if (child == 0) {
        alarm(120);
        short_of_memory = false; /* its limits go with the next lines */
        fallow_set_limits(0, 0);
        setrlimit(RLIMIT_AS, &(struct rlimit){RLIM_INFINITY, RLIM_INFINITY});
        for (int i = 0; i < 200; i++) {
            gone(made(random));
            gone(atomic_exchange(&slots[i % SLOTS], NULL));
        }
        _exit(7);
    }
    int status = 0;
    if (child < 0)
        return; /* the system may refuse it */
    CHECK_EQUAL(waitpid(child, &status, 0), child);
    CHECK(WIFEXITED(status));
    CHECK_EQUAL(WEXITSTATUS(status), 7);
    forks++;
}

static void *live(void *seed) {
    uint64_t random = (uintptr_t)seed;
    for (int i = 0; i < STEPS; i++) {
        uint64_t r = check_random(&random);
        _Atomic(block *) *slot = &slots[(r >> 16) % SLOTS];
        block *it = atomic_exchange(slot, NULL);
        if (it && r % 8 == 0)
            it = resized(it, &random);
        else {
            gone(it);
            it = r % 3 ? made(&random) : NULL;
        }
        gone(atomic_exchange(slot, it));
        if (r % 1024 == 1)
            arena_life(&random);
        else if (r % 2048 == 2)
            fork_once(&random);
        else if (r % 4096 == 3)
            malloc_trim(0);
    }
    operations += STEPS;
    return NULL;
}

/* Every third round the process's hard limit is in the way, every other third the system's refusals: no
 * address space more. */
static void limit(unsigned round) {
    struct rlimit none = {RLIM_INFINITY, RLIM_INFINITY};
    short_of_memory = round % 3 != 0;
    fallow_set_limits(0, round % 3 == 1 ? 24 * MIB : 0);
    CHECK_EQUAL(getrlimit(RLIMIT_AS, &none), 0);
    none.rlim_cur = round % 3 == 2 ? 4096 : RLIM_INFINITY; /* less than there is: every mapping fails */
    CHECK_EQUAL(setrlimit(RLIMIT_AS, &none), 0);
}

/* Threads are made before the limit, which refuses stacks too. */
static pthread_barrier_t barrier;

static void *live_when_limited(void *seed) {
    pthread_barrier_wait(&barrier);
    return live(seed);
}

static void one_round(unsigned round, uint64_t *random) {
    pthread_t threads[THREADS];
    CHECK_EQUAL(pthread_barrier_init(&barrier, NULL, THREADS + 1), 0);
    for (int i = 0; i < THREADS; i++)
        CHECK_EQUAL(
            pthread_create(&threads[i], NULL, live_when_limited, (void *)(uintptr_t)check_random(random)), 0);
    limit(round);
    pthread_barrier_wait(&barrier);
    for (int i = 0; i < THREADS; i++)
        CHECK_EQUAL(pthread_join(threads[i], NULL), 0);
    limit(0);
    CHECK_EQUAL(pthread_barrier_destroy(&barrier), 0);
    for (int i = 0; i < SLOTS; i++)
        gone(atomic_exchange(&slots[i], NULL));
}

static size_t resident_at_rest(void) {
    malloc_trim(0);
    rest_ms(20);
    malloc_trim(0);
    return resident_bytes();
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

int main(int argc, char **argv) {
    double end = now() + (argc > 1 ? atof(argv[1]) : 10);
    uint64_t random = check_seed(argc - 1, argv + 1);
    unsigned rounds = 0;
    size_t first = 0, last = 0, most = 0;
    do {
        for (int i = 0; i < 3; i++) /* each of the three kinds, however short the time */
            one_round(rounds++, &random);
        last = resident_at_rest();
        first = first ? first : last;
        most = last > most ? last : most;
    } while (now() < end);
    printf("# %u rounds, %zu operations, %zu refused, %zu forks; resident %zu KiB after the first, %zu at "
           "the end, %zu at most\n",
           rounds, operations, refusals, forks, first >> 10, last >> 10, most >> 10);
    CHECK(refusals > 0 && forks > 0);
    CHECK(last < first + GROWTH_MAX);
    puts("ok soak_ends_where_it_began");
    return 0;
}
