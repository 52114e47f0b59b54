/* SPDX-License-Identifier: MIT */
/* An arena under threads that hand blocks over, end, and leave blocks behind; then destroyed, and again. */
#include "../lib/stress.h"
#include "fallow/fallow.h"

static void *alloc(void *context, size_t bytes) {
    return fallow_arena_alloc((fallow_arena *)context, bytes);
}

static void release(void *context, void *block) {
    fallow_arena_free((fallow_arena *)context, block);
}

int main(int argc, char **argv) {
    uint64_t seed = check_seed(argc, argv);
    for (unsigned round = 0; round < 3; round++) {
        fallow_arena *arena = fallow_arena_create("stress", 0);
        CHECK(arena);
        stress_plan plan = {.allocator = {alloc, release, arena},
                            .seed = seed + round,
                            .threads = 6,
                            .generations = 5,
                            .steps = 8000,
                            .large_bytes_max = 1 << 19};
        stress_run(&plan);
        while (fallow_tick())
            ;
        stress_run(&plan);
        fallow_arena_destroy(arena);
    }
    puts("ok arena_stress_contents");
    return 0;
}
