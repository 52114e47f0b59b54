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
    stress_plan plan = {.allocator = {alloc, release, NULL},
                        .seed = check_seed(argc, argv),
                        .threads = 8,
                        .generations = 20,
                        .steps = 20000,
                        .large_bytes_max = 1 << 20};
    stress_run(&plan);
    puts("ok malloc_stress_contents");
    return 0;
}
