/* SPDX-License-Identifier: MIT */
/*
 * A fuzz target over what lies in the memory of a shared fixed allocator: the input is written over all of
 * it or over single words, but for its first line with the lock. Calls then fail or not, and never touch
 * what lies outside; after a repair they are right.
 */
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "../lib/fuzz_main.h"
#include "../lib/reading.h"

#define BYTES ((size_t)4096)
#define LENGTH_AT 56 /* before it lie what says that there is an allocator, and the lock */

static unsigned char *memory;
static fallow_fixed *fixed;

typedef struct choice {
    size_t which;
    unsigned char *block;
} choice;

static bool choose(void *context, void *block, size_t bytes) {
    choice *it = context;
    unsigned char *start = block;
    CHECK(start >= memory && bytes <= BYTES && start + bytes <= memory + BYTES);
    it->block = block;
    return it->which-- > 0;
}

static unsigned char *a_block(size_t which) {
    choice it = {which, NULL};
    fallow_fixed_walk(fixed, choose, &it);
    return it.block;
}

static void use(unsigned char *block) {
    if (!block)
        return;
    size_t bytes = fallow_fixed_usable_bytes(block);
    CHECK(block >= memory && bytes <= BYTES && block + bytes <= memory + BYTES);
    memset(block, 0x11, bytes);
}

static void call(fuzz_rest *from) {
    unsigned what = fuzz_byte(from);
    size_t bytes = (size_t)fuzz_byte(from) * (what & 8 ? 16 : 1);
    switch (what % 8) {
    case 0:
    case 1:
        use(fallow_fixed_alloc(fixed, bytes));
        break;
    case 2:
        use(fallow_fixed_alloc_aligned(fixed, (size_t)1 << (what >> 4), bytes));
        break;
    case 3:
    case 4:
        fallow_fixed_free(fixed, a_block(what >> 3));
        break;
    case 5:
        (void)!fallow_fixed_realloc(fixed, a_block(what >> 4), bytes);
        break;
    case 6:
        CHECK(any_fixed_figures(fixed).used_bytes <= BYTES || errno);
        break;
    default:
        (void)!fallow_fixed_open(memory, BYTES);
    }
}

static void damage(fuzz_rest *from, bool whole) {
    if (whole) {
        size_t count = from->left < BYTES - LENGTH_AT ? from->left : BYTES - LENGTH_AT;
        memcpy(memory + LENGTH_AT + 16, from->bytes, count > 16 ? count - 16 : 0);
        return;
    }
    for (unsigned words = fuzz_byte(from) % 8; words > 0; words--) {
        size_t place = LENGTH_AT + ((size_t)fuzz_byte(from) << 8 | fuzz_byte(from)) % (BYTES - LENGTH_AT - 8);
        unsigned value = fuzz_byte(from);
        memset(memory + (place & ~(size_t)7), value & 1 ? 0 : (int)value, 1 + (value >> 5));
    }
}

static void expect_all_right(void) {
    CHECK(fallow_fixed_repair(memory, BYTES, FALLOW_FIXED_SHARED) == fixed);
    CHECK(fallow_fixed_open(memory, BYTES) == fixed);
    fallow_fixed_figures figures = any_fixed_figures(fixed);
    CHECK(figures.used_bytes + figures.lost_bytes <= figures.total_bytes && figures.total_bytes < BYTES);
    for (unsigned char *block; (block = fallow_fixed_alloc(fixed, 40)) != NULL;)
        use(block);
    CHECK_EQUAL(errno, ENOMEM);
    for (unsigned char *block; (block = a_block(0)) != NULL;)
        CHECK(fallow_fixed_free(fixed, block));
    figures = any_fixed_figures(fixed);
    CHECK(figures.used_bytes == 0 && figures.blocks == 0);
    CHECK(figures.largest_bytes + 8 <= figures.total_bytes - figures.lost_bytes || !figures.largest_bytes);
    CHECK(fallow_fixed_reset(fixed) && fallow_fixed_open(memory, BYTES) == fixed);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count) {
    fuzz_rest from = {bytes, count};
    if (!memory)
        CHECK(memory = aligned_alloc(64, BYTES));
    memset(memory, 0, BYTES);
    CHECK(fixed = fallow_fixed_create(memory, BYTES, FALLOW_FIXED_SHARED));
    unsigned first = fuzz_byte(&from);
    for (unsigned calls = first >> 1; calls > 0 && from.left; calls--)
        call(&from);
    damage(&from, first & 1);
    while (from.left && !(first & 1))
        call(&from);
    for (uint8_t i = 0; i < 16; i++)
        call(&(fuzz_rest){(const uint8_t[]){i, 100}, 2});
    expect_all_right();
    return 0;
}

#ifndef FUZZER
int main(int argc, char **argv) {
    fuzz_main(argc, argv, 20000, 300);
    free(memory);
    puts("ok fixed_fuzz_random_inputs");
    return 0;
}
#endif
