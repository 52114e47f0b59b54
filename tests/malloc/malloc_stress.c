/* SPDX-License-Identifier: MIT */
/* malloc under threads that hand blocks over, end, and leave blocks behind: contents stay whole. */
#include <stdlib.h>

#include "../lib/stress.h"

static void *alloc(void *context, size_t bytes) {
    (void)context;
    return malloc(bytes);
}

static void release(void *context, void *block) {
    (void)context;
    free(block);
}

int main(int argc, char **argv) {
    uint64_t seed = check_seed(argc, argv);
    stress_plan mixed = {.allocator = {alloc, release, NULL},
                         .seed = seed,
                         .threads = 8,
                         .generations = 20,
                         .steps = 20000,
                         .large_bytes_max = 1 << 20,
                         .live = 256};
    stress_run(&mixed);
    stress_plan narrow = mixed;
    narrow.large_bytes_max = 0;
    narrow.live = 4000;
    narrow.narrow_bytes = 1200;
    narrow.steps = 40000;
    narrow.generations = 5;
    stress_run(&narrow);
    puts("ok malloc_stress_contents");
    return 0;
}
