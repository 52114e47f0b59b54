/* SPDX-License-Identifier: MIT */
/* Pools: objects do not overlap, reset takes all and keeps little, the arena's limit holds. */
#include <errno.h>
#include <string.h>

#include "../lib/check.h"
#include "fallow/fallow.h"

static void pool_objects_are_whole_and_apart(void) {
    enum { OBJECTS = 5000 };
    static unsigned char *objects[OBJECTS];
    static size_t sizes[OBJECTS];
    uint64_t random = 3;
    fallow_pool *pool = fallow_pool_create(NULL);
    CHECK(pool);
    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < OBJECTS; i++) {
            sizes[i] = check_random(&random) % (i % 100 ? 300 : 100000);
            objects[i] = fallow_pool_alloc(pool, sizes[i]);
            CHECK(objects[i]);
            CHECK_EQUAL((uintptr_t)objects[i] % 16, 0);
            memset(objects[i], i & 0xff, sizes[i]);
        }
        for (int i = 0; i < OBJECTS; i++)
            for (size_t k = 0; k < sizes[i]; k++)
                CHECK_EQUAL(objects[i][k], i & 0xff);
        fallow_pool_reset(pool);
        CHECK_EQUAL(fallow_pool_used_bytes(pool), 0);
    }
    fallow_pool_destroy(pool);
    fallow_pool_destroy(NULL);
}

static void pool_counts_in_its_arena(void) {
    fallow_arena *arena = fallow_arena_create("pools", (size_t)1 << 20);
    fallow_pool *pool = fallow_pool_create(arena);
    size_t count = 0;
    errno = 0;
    while (fallow_pool_alloc(pool, 1000))
        count++;
    CHECK_EQUAL(errno, ENOMEM);
    CHECK(count > 900 && count < 1049);
    CHECK(!fallow_pool_alloc(pool, SIZE_MAX));
    CHECK(!fallow_pool_alloc(pool, SIZE_MAX / 2));
    fallow_pool_reset(pool);
    CHECK(fallow_arena_read(arena).granted_bytes <= 2 * 16384);
    for (size_t i = 0; i < count; i++)
        CHECK(fallow_pool_alloc(pool, 1000));
    fallow_pool_destroy(pool);
    CHECK_EQUAL(fallow_arena_read(arena).granted_bytes, 0);
    fallow_arena_destroy(arena);
}

static void pool_reset_with_big_objects_only(void) {
    fallow_arena *arena = fallow_arena_create("big", 0);
    fallow_pool *pool = fallow_pool_create(arena);
    for (int round = 0; round < 50; round++) {
        for (int i = 0; i < 10; i++)
            memset(fallow_pool_alloc(pool, 50000), round, 50000);
        fallow_pool_reset(pool);
        CHECK(fallow_arena_read(arena).granted_bytes <= 2 * 16384);
    }
    fallow_pool_destroy(pool);
    CHECK_EQUAL(fallow_arena_read(arena).granted_bytes, 0);
    fallow_arena_destroy(arena);
}

int main(void) {
    RUN(pool_objects_are_whole_and_apart);
    RUN(pool_counts_in_its_arena);
    RUN(pool_reset_with_big_objects_only);
    return 0;
}
