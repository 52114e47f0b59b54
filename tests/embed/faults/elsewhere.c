/* SPDX-License-Identifier: MIT */
#include "memory_faults.h"

#include <string.h>

char *elsewhere_alloc(fallow_arena *arena, size_t bytes) {
    return fallow_arena_alloc(arena, bytes);
}

void elsewhere_fill(char *block, size_t bytes) {
    memset(block, 1, bytes);
}

void elsewhere_free(fallow_arena *arena, void *block) {
    fallow_arena_free(arena, block);
}
