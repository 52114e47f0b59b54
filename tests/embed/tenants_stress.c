/* SPDX-License-Identifier: MIT */
/*
 * 32 threads that create, allocate in, free across, reset and destroy arenas, with parents and children and
 * pools in them, for so many seconds, after half as many to begin with; contents checked; at the end, memory
 * is where it was then.
 *
 * Usage: tenants_stress [SECONDS [SEED]]
 */
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include "../lib/check.h"
#include "../lib/resident.h"
#include "fallow/fallow.h"

#define THREADS 32
#define TENANTS 48
#define SLOTS 200

/* A tenant's blocks, which any thread may free; its lock is what makes destroying it exclusive. */
typedef struct tenant {
    pthread_rwlock_t lock;
    fallow_arena *arena;
    _Atomic bool one_thread; /* may be read before the lock is held, and again with it */
    _Atomic(unsigned char *) slots[SLOTS];
} tenant;

static tenant tenants[TENANTS];
static fallow_arena *parents[4];
static time_t end_time;
static uint64_t seed;
static _Atomic unsigned long steps, ends;

/* A block: its length, then a pattern that depends on it. */
static unsigned char *fill(unsigned char *block, size_t bytes) {
    memcpy(block, &bytes, sizeof bytes);
    memset(block + sizeof bytes, (int)(bytes * 31 & 0xff), bytes - sizeof bytes);
    return block;
}

static void verify(const unsigned char *block) {
    size_t bytes;
    memcpy(&bytes, block, sizeof bytes);
    for (size_t i = sizeof bytes; i<bytes; i += bytes> 600 ? 89 : 7)
        CHECK_EQUAL(block[i], bytes * 31 & 0xff);
}

static void create(tenant *it, uint64_t *random) {
    fallow_arena_options options = {.name = "tenant", .limit_bytes = (check_random(random) % 16 + 1) << 20};
    if (check_random(random) % 2)
        options.parent = parents[check_random(random) % 4];
    it->one_thread = check_random(random) % 8 == 0;
    options.flags = it->one_thread ? FALLOW_ARENA_ONE_THREAD : 0;
    options.give_back = (fallow_give_back_policy)(check_random(random) % 3);
    CHECK((it->arena = fallow_arena_create_sized(&options, sizeof options)) != NULL);
}

/* With the lock for itself: the tenant ends or starts anew; what is in its slots goes with it. */
static void end(tenant *it, uint64_t *random) {
    for (int i = 0; i < SLOTS; i++) {
        unsigned char *block = atomic_exchange(&it->slots[i], NULL);
        if (block)
            verify(block);
    }
    if (check_random(random) % 2)
        fallow_arena_reset(it->arena, check_random(random) % (4 << 20));
    else {
        fallow_arena_destroy(it->arena);
        create(it, random);
    }
    ends++;
}

static void use_pool(fallow_arena *arena, uint64_t *random) {
    fallow_pool *pool = fallow_pool_create(arena);
    for (int i = 0; pool && i < 30; i++) {
        size_t bytes = 16 + check_random(random) % (i % 10 ? 500 : 60000);
        unsigned char *object = fallow_pool_alloc(pool, bytes);
        if (object)
            verify(fill(object, bytes));
    }
    fallow_pool_destroy(pool);
}

static void use(tenant *it, uint64_t *random) {
    for (int i = 0; i < 100; i++) {
        _Atomic(unsigned char *) *slot = &it->slots[check_random(random) % SLOTS];
        size_t bytes = 16 + check_random(random) % (i ? 2000 : 300000);
        unsigned char *block = NULL;
        if (check_random(random) % 2)
            block = check_random(random) % 4 ? fallow_arena_alloc(it->arena, bytes)
                                             : fallow_arena_alloc_zeroed(it->arena, bytes);
        if (block)
            fill(block, bytes);
        block = atomic_exchange(slot, block); /* most likely another thread's */
        if (!block)
            continue;
        verify(block);
        if (check_random(random) % 4 == 0) {
            unsigned char *longer = fallow_arena_realloc(it->arena, block, bytes);
            if (longer)
                block = fill(longer, bytes);
        }
        verify(block);
        fallow_arena_free(it->arena, block);
    }
    if (check_random(random) % 8 == 0)
        use_pool(it->arena, random);
}

/* A heap of each thread in each tenant at once: a machine that is slow would not come as far in a few
 * seconds. */
static void visit_all(void) {
    for (int i = 0; i < TENANTS; i++) {
        pthread_rwlock_rdlock(&tenants[i].lock);
        if (!tenants[i].one_thread)
            fallow_arena_free(tenants[i].arena, fallow_arena_alloc(tenants[i].arena, 100));
        pthread_rwlock_unlock(&tenants[i].lock);
    }
}

static void *body(void *number) {
    uint64_t random = seed + (uintptr_t)number;
    visit_all();
    while (time(NULL) < end_time) {
        tenant *it = &tenants[check_random(&random) % TENANTS];
        if (it->one_thread || check_random(&random) % 20 == 0) {
            pthread_rwlock_wrlock(&it->lock);
            if (check_random(&random) % 2)
                end(it, &random);
            else
                use(it, &random);
        } else {
            pthread_rwlock_rdlock(&it->lock);
            if (!it->one_thread)
                use(it, &random);
        }
        pthread_rwlock_unlock(&it->lock);
        if (check_random(&random) % 50 == 0)
            fallow_tick();
        steps++;
    }
    return NULL;
}

int main(int argc, char **argv) {
    pthread_t threads[THREADS];
    long seconds = argc > 1 ? strtol(argv[1], NULL, 10) : 5;
    seed = check_seed(argc - 1, argv + 1);
    size_t base = 0;
    /* The first two for what is there once and for all, of which a loaded machine may not bring about all at
     * once. */
    for (int round = 0; round < 3; round++) {
        end_time = time(NULL) + (round == 2 ? seconds : (seconds + 1) / 2);
        for (int i = 0; i < 4; i++)
            CHECK((parents[i] = fallow_arena_create("parent", (size_t)(16 + i * 8) << 20)) != NULL);
        for (int i = 0; i < TENANTS; i++) {
            uint64_t random = seed + 1000 + (uint64_t)i;
            CHECK_EQUAL(pthread_rwlock_init(&tenants[i].lock, NULL), 0);
            create(&tenants[i], &random);
            memset(tenants[i].slots, 0, sizeof tenants[i].slots);
        }
        for (uintptr_t i = 0; i < THREADS; i++)
            CHECK_EQUAL(pthread_create(&threads[i], NULL, body, (void *)i), 0);
        for (int i = 0; i < THREADS; i++)
            CHECK_EQUAL(pthread_join(threads[i], NULL), 0);
        for (int i = 0; i < TENANTS; i++)
            if (!fallow_arena_parent(tenants[i].arena))
                fallow_arena_destroy(tenants[i].arena);
        for (int i = 0; i < 4; i++)
            fallow_arena_destroy(parents[i]); /* with their children */
        fallow_give_back();
        if (round < 2 && resident_bytes() > base)
            base = resident_bytes();
    }
    size_t now = resident_bytes();
    printf("# %lu steps, %lu ends of tenants; resident %zu KiB at the start, %zu KiB at the end\n", steps,
           ends, base >> 10, now >> 10);
    if (RESIDENT_IS_OURS)
        CHECK(now <= base + ((size_t)2 << 20));
    puts("ok tenants_stress");
    return 0;
}
