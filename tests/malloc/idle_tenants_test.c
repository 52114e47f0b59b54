/* SPDX-License-Identifier: MIT */
/* Arenas in a program that malloc serves: what they leave idle goes back by itself, though none has much of
 * it. */
#include "../lib/check.h"
#include "../lib/resident.h"
#include "fallow/fallow.h"

#define MIB ((size_t)1 << 20)
#define ARENAS 100

static size_t base;

static void wait_until_gone(void) {
    for (int i = 0; i < 300 && resident_bytes() > base + 16 * MIB; i++)
        usleep(100000);
    CHECK(resident_bytes() <= base + 16 * MIB);
}

static void *touched(fallow_arena *arena, size_t bytes) {
    char *block = fallow_arena_alloc(arena, bytes);
    CHECK(block);
    memset(block, 1, bytes);
    return block;
}

static fallow_arena *arenas[ARENAS];
static void *blocks[ARENAS];

static void idle_tenants_with_a_large_block_each(void) {
    for (size_t i = 0; i < ARENAS; i++)
        blocks[i] = touched(arenas[i], 3 * MIB);
    for (size_t i = 0; i < ARENAS; i++)
        fallow_arena_free(arenas[i], blocks[i]);
    wait_until_gone();
}

static void idle_tenants_with_small_blocks(void) {
    static void *small[ARENAS][1000];
    for (size_t i = 0; i < ARENAS; i++)
        for (size_t k = 0; k < 1000; k++)
            small[i][k] = touched(arenas[i], 2000);
    for (size_t i = 0; i < ARENAS; i++)
        for (size_t k = 0; k < 1000; k++)
            fallow_arena_free(arenas[i], small[i][k]);
    wait_until_gone();
}

static void idle_after_a_reset_that_keeps(void) {
    fallow_arena *arena = fallow_arena_create("reset", 0);
    touched(arena, 200 * MIB);
    fallow_arena_reset(arena, SIZE_MAX);
    wait_until_gone();
    fallow_arena_destroy(arena);
}

/* Kept as long as it may be; then it may not. */
static void idle_under_a_limit_that_comes_late(void) {
    fallow_arena *arena = fallow_arena_create_sized(
        &(fallow_arena_options){.name = "keeps", .give_back = FALLOW_GIVE_BACK_NEVER},
        sizeof(fallow_arena_options));
    fallow_arena_free(arena, touched(arena, 200 * MIB));
    usleep(1500000);
    CHECK(resident_bytes() > base + 150 * MIB);
    fallow_arena_set_idle_max(arena, MIB);
    wait_until_gone();
    fallow_arena_destroy(arena);
}

int main(void) {
    for (size_t i = 0; i < ARENAS; i++) {
        CHECK((arenas[i] = fallow_arena_create("tenant", 0)) != NULL);
        touched(arenas[i], 100);
    }
    base = resident_bytes();
    RUN(idle_tenants_with_a_large_block_each);
    RUN(idle_tenants_with_small_blocks);
    RUN(idle_after_a_reset_that_keeps);
    RUN(idle_under_a_limit_that_comes_late);
    return 0;
}
