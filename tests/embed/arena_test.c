/* SPDX-License-Identifier: MIT */
/* Arenas as an embedder sees them: a limit, figures, an end; and the kernel asked for the truth. */
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "../lib/check.h"
#include "../lib/reading.h"
#include "../lib/resident.h"
#include "fallow/fallow.h"

static void arena_refuses_at_its_limit_and_loses_nothing(void) {
    enum { LIMIT = 8 << 20, BLOCKS = 100000 };
    static void *blocks[BLOCKS];
    fallow_arena *arena = fallow_arena_create("tenant", LIMIT);
    CHECK(arena);
    size_t first = 0;
    for (int round = 0; round < 3; round++) {
        size_t count = 0;
        errno = 0;
        while (count < BLOCKS && (blocks[count] = fallow_arena_alloc(arena, 200)) != NULL) {
            memset(blocks[count], 1, 200);
            count++;
        }
        CHECK_EQUAL(errno, ENOMEM);
        CHECK(count * 200 > LIMIT * 8 / 10 && count * 200 <= LIMIT);
        if (round == 0)
            first = count;
        CHECK_EQUAL(count, first); /* failing has cost nothing */
        CHECK(arena_figures(arena).ready_bytes <= LIMIT);
        CHECK(!fallow_arena_alloc(arena, 1 << 20));
        CHECK(!fallow_arena_alloc_zeroed(arena, (size_t)1 << 50));
        while (count > 0)
            fallow_arena_free(arena, blocks[--count]);
    }
    fallow_arena_destroy(arena);
}

static void arena_destroy_gives_everything_back(void) {
    size_t base = resident_bytes();
    for (int round = 0; round < 20; round++) {
        fallow_arena *arena = fallow_arena_create("short", 0);
        for (int i = 0; i < 20000; i++)
            memset(fallow_arena_alloc(arena, 1000), 1, 1000);
        char *large = fallow_arena_alloc(arena, (size_t)200 << 20);
        CHECK(large);
        large[0] = large[((size_t)200 << 20) - 1] = 1;
        CHECK(resident_bytes() > base + (16 << 20));
        fallow_arena_destroy(arena);
        CHECK(!RESIDENT_IS_OURS || resident_bytes() < base + (4 << 20));
    }
}

static void *use_arena(void *arena) {
    for (int i = 0; i < 1000; i++)
        fallow_arena_free(arena, fallow_arena_alloc(arena, 100));
    CHECK(fallow_arena_alloc(arena, 5000)); /* left behind */
    return NULL;
}

static void arena_many_of_them_by_many_threads(void) {
    size_t warm = 0;
    for (int round = 0; round < 300; round++) {
        fallow_arena *arena = fallow_arena_create("many", 0);
        pthread_t threads[3];
        for (int i = 0; i < 3; i++)
            CHECK_EQUAL(pthread_create(&threads[i], NULL, use_arena, arena), 0);
        use_arena(arena);
        for (int i = 0; i < 3; i++)
            CHECK_EQUAL(pthread_join(threads[i], NULL), 0);
        fallow_arena_destroy(arena);
        if (round == 50)
            warm = resident_bytes();
    }
    CHECK(!RESIDENT_IS_OURS || resident_bytes() < warm + (1 << 20));
}

static void arena_zeroed_aligned_and_found(void) {
    fallow_arena *one = fallow_arena_create("one", 0), *two = fallow_arena_create("two", 0);
    for (size_t bytes = 1; bytes < 3000000; bytes = bytes * 3 / 2 + 1) {
        for (int again = 0; again < 2; again++) {
            char *block = fallow_arena_alloc_zeroed(one, bytes);
            CHECK(block);
            for (size_t i = 0; i < bytes; i++)
                CHECK_EQUAL(block[i], 0);
            memset(block, 9, bytes);
            CHECK(fallow_arena_of(block) == one);
            CHECK(fallow_arena_of(block + bytes / 2) == one || bytes > 1 << 20);
            fallow_arena_free(one, block);
        }
    }
    for (size_t alignment = 1; alignment <= (size_t)256 << 20; alignment *= 2)
        for (size_t bytes = 0; bytes <= 300000; bytes = bytes * 5 + 1) {
            char *block = fallow_arena_alloc_aligned(two, alignment, bytes);
            CHECK(block);
            CHECK_EQUAL((uintptr_t)block % alignment, 0);
            memset(block, 1, bytes);
            CHECK(fallow_arena_of(block) == two);
            fallow_arena_free(two, block);
        }
    errno = 0;
    CHECK(!fallow_arena_alloc_aligned(one, 24, 10));
    CHECK_EQUAL(errno, EINVAL);
    int on_the_stack;
    CHECK(!fallow_arena_of(&on_the_stack));
    CHECK(!fallow_arena_of(NULL));
    fallow_arena_destroy(one);
    fallow_arena_destroy(two);
}

/* A cache that sheds its oldest entry when the arena is at its limit. */
static struct {
    fallow_arena *arena;
    char *entries[100];
    int oldest, count, asked;
} cache;

static bool evict(void *context, size_t wanted_bytes) {
    (void)wanted_bytes;
    CHECK(context == &cache);
    cache.asked++;
    if (cache.oldest == cache.count)
        return false;
    fallow_arena_free(cache.arena, cache.entries[cache.oldest]);
    cache.entries[cache.oldest++] = NULL;
    return true;
}

static void arena_shedder_frees_at_the_limit(void) {
    memset(&cache, 0, sizeof cache);
    cache.arena = fallow_arena_create("cache", 8 << 20);
    fallow_arena_on_limit(cache.arena, evict, &cache);
    size_t base = resident_bytes();
    for (; cache.count < 100; cache.count++) {
        char *entry = fallow_arena_alloc(cache.arena, 500000);
        CHECK(entry);
        memset(entry, 1, 500000);
        cache.entries[cache.count] = entry;
        CHECK(!RESIDENT_IS_OURS || resident_bytes() <= base + (9 << 20));
    }
    CHECK(cache.asked >= 80);
    CHECK(cache.oldest >= 80 && cache.oldest < 90);
    CHECK(!fallow_arena_alloc(cache.arena, 9 << 20)); /* can never be */
    CHECK_EQUAL(errno, ENOMEM);
    fallow_arena_destroy(cache.arena);
}

/* The call-back allocates and frees in the same arena, of the very size that was asked for. */
static void *kept_by_shedder[400];
static int kept_count;

static bool evict_and_allocate(void *context, size_t wanted_bytes) {
    for (int i = 0; i < 3 && kept_count < 400; i++)
        if ((kept_by_shedder[kept_count] = fallow_arena_alloc(cache.arena, 3000)) != NULL)
            kept_count++;
    return evict(context, wanted_bytes);
}

static void arena_shedder_allocates_while_it_frees(void) {
    static void *blocks[3000];
    int count = 0;
    memset(&cache, 0, sizeof cache);
    cache.arena = fallow_arena_create("cache", 8 << 20);
    for (; cache.count < 30; cache.count++)
        cache.entries[cache.count] = fallow_arena_alloc(cache.arena, 200000);
    fallow_arena_on_limit(cache.arena, evict_and_allocate, &cache);
    while (count < 3000 && (blocks[count] = fallow_arena_alloc(cache.arena, 3000)) != NULL)
        count++;
    CHECK(cache.asked >= 30 && count > 2000);
    while (count > 0)
        fallow_arena_free(cache.arena, blocks[--count]);
    while (kept_count > 0)
        fallow_arena_free(cache.arena, kept_by_shedder[--kept_count]);
    fallow_give_back();
    CHECK(arena_figures(cache.arena).granted_bytes <= 256 << 10); /* no slab was forgotten */
    fallow_arena_destroy(cache.arena);
}

static void arena_idle_max_and_give_back(void) {
    enum { BLOCKS = 100 };
    char *blocks[BLOCKS];
    fallow_arena *arena = fallow_arena_create("idle", 0);
    fallow_arena_set_idle_max(arena, 4 << 20);
    for (int i = 0; i < BLOCKS; i++)
        blocks[i] = memset(fallow_arena_alloc(arena, 1 << 20), 1, 1 << 20);
    size_t full = resident_bytes();
    for (int i = 0; i < BLOCKS; i++) {
        fallow_arena_free(arena, blocks[i]);
        fallow_tick(); /* not quiet: only the cap can be the reason */
    }
    for (int i = 0; i < 20 && arena_figures(arena).idle_bytes > 4 << 20; i++)
        fallow_tick(); /* a tick is short */
    CHECK(!RESIDENT_IS_OURS || resident_bytes() + (90 << 20) <= full);
    fallow_arena_figures figures = arena_figures(arena);
    CHECK(figures.idle_bytes <= 4 << 20);
    CHECK_EQUAL(figures.idle_max_bytes, 4 << 20);
    CHECK(figures.given[FALLOW_CAUSE_LIMIT].bytes >= 90 << 20);
    CHECK(figures.given[FALLOW_CAUSE_LIMIT].ns > 0);
    CHECK(figures.grown_bytes >= 100 << 20);
    CHECK(figures.largest_free_bytes >= 64 << 20);
    CHECK(figures.system_calls > 0);
    fallow_give_back();
    CHECK_EQUAL(arena_figures(arena).ready_bytes, 0);
    CHECK(!RESIDENT_IS_OURS || resident_bytes() + (98 << 20) <= full);
    fallow_arena_destroy(arena);
}

static void arena_limits_of_the_process(void) {
    fallow_process_figures before = process_figures();
    fallow_arena *one = fallow_arena_create("one", 0), *two = fallow_arena_create("two", 0);
    fallow_set_limits(0, before.ready_bytes - before.meta_bytes + (16 << 20));
    char *a = fallow_arena_alloc(one, 10 << 20);
    CHECK(a && !fallow_arena_alloc(two, 8 << 20));
    CHECK_EQUAL(errno, ENOMEM);
    CHECK(process_figures().limit_bytes >= 16 << 20);
    fallow_arena_free(one, a);
    CHECK(fallow_arena_alloc(two, 12 << 20)); /* what was idle in the other has gone */
    fallow_set_limits(0, 0);
    CHECK_EQUAL(process_figures().limit_bytes, 0);
    fallow_arena_destroy(one);
    fallow_arena_destroy(two);
}

static void arena_tick_gives_idle_memory_back(void) {
    enum { BLOCKS = 300 };
    char *blocks[BLOCKS];
    fallow_arena *arena = fallow_arena_create("idle", 0);
    size_t base = resident_bytes();
    for (int i = 0; i < BLOCKS; i++)
        blocks[i] = memset(fallow_arena_alloc(arena, 300000), 1, 300000);
    CHECK(resident_bytes() > base + ((size_t)80 << 20));
    for (int i = 0; i < BLOCKS; i++)
        fallow_arena_free(arena, blocks[i]);
    for (int i = 0; i < 500 && arena_figures(arena).ready_bytes > 0; i++) {
        fallow_tick();
        rest_ms(10);
    }
    CHECK(!RESIDENT_IS_OURS || resident_bytes() <= base + (2 << 20));
    CHECK_EQUAL(arena_figures(arena).ready_bytes, 0);
    fallow_arena_destroy(arena);
}

/* Allocated here, freed there, a thousand times over: within a limit that holds it hardly twice. */
enum { HANDED = 500 };
static void *handed[HANDED];
static pthread_barrier_t full, empty;

static void *free_what_is_handed(void *arena) {
    for (int round = 0; round < 1000; round++) {
        pthread_barrier_wait(&full);
        for (int i = 0; i < HANDED; i++)
            fallow_arena_free(arena, handed[i]);
        pthread_barrier_wait(&empty);
    }
    return NULL;
}

static void arena_blocks_freed_by_others_are_used_again(void) {
    pthread_t other;
    fallow_arena *arena = fallow_arena_create("handed", 1200000);
    pthread_barrier_init(&full, NULL, 2);
    pthread_barrier_init(&empty, NULL, 2);
    CHECK_EQUAL(pthread_create(&other, NULL, free_what_is_handed, arena), 0);
    for (int round = 0; round < 1000; round++) {
        for (int i = 0; i < HANDED; i++) {
            handed[i] = fallow_arena_alloc(arena, 1000);
            CHECK(handed[i]);
            memset(handed[i], round, 1000);
        }
        pthread_barrier_wait(&full);
        pthread_barrier_wait(&empty);
    }
    CHECK_EQUAL(pthread_join(other, NULL), 0);
    fallow_arena_destroy(arena);
}

/* An alignment costs addresses, not memory. */
static void arena_large_alignment_is_no_size(void) {
    fallow_arena *arena = fallow_arena_create("aligned", (size_t)1 << 20);
    char *blocks[8];
    for (int i = 0; i < 8; i++) {
        size_t alignment = (size_t)1 << (16 + i * 2 % 12);
        CHECK((blocks[i] = fallow_arena_alloc_aligned(arena, alignment, 100)) != NULL);
        CHECK_EQUAL((uintptr_t)blocks[i] % alignment, 0);
        memset(blocks[i], i, 100);
    }
    CHECK(arena_figures(arena).ready_bytes <= 8 * (osmem_os_page_bytes() + 16384));
    for (int i = 0; i < 8; i++) {
        CHECK_EQUAL(blocks[i][99], i);
        fallow_arena_free(arena, blocks[i]);
    }
    fallow_arena_destroy(arena);
}

int main(void) {
    RUN(arena_large_alignment_is_no_size);
    RUN(arena_refuses_at_its_limit_and_loses_nothing);
    RUN(arena_destroy_gives_everything_back);
    RUN(arena_many_of_them_by_many_threads);
    RUN(arena_zeroed_aligned_and_found);
    RUN(arena_blocks_freed_by_others_are_used_again);
    RUN(arena_shedder_frees_at_the_limit);
    RUN(arena_shedder_allocates_while_it_frees);
    RUN(arena_idle_max_and_give_back);
    RUN(arena_limits_of_the_process);
    RUN(arena_tick_gives_idle_memory_back);
    return 0;
}
