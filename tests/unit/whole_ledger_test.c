/* SPDX-License-Identifier: MIT */
/*
 * The whole library under a random load: at every quiet point the process's ledger says what the kernel says
 * of all of the library's ranges, blocks and bookkeeping together.
 */
#include <string.h>

#include "../../src/arena/window.h"
#include "../lib/check.h"
#include "../lib/resident.h"
#include "fallow/fallow.h"

/* Sums over the mappings between the first table and the window's end, from /proc/self/smaps. */
typedef struct kernel_says {
    size_t inaccessible, accessible, resident;
} kernel_says;

static kernel_says ask_kernel(void) {
    kernel_says sums = {0};
    uintptr_t first = (uintptr_t)fl_the_window.table;
    uintptr_t end = fl_the_window.base + (fl_window_pages_max() << FL_PAGE_SHIFT);
    char line[512], permissions[5];
    bool ours = false;
    FILE *maps = fopen("/proc/self/smaps", "r");
    CHECK(maps);
    while (fgets(line, sizeof line, maps)) {
        unsigned long from, to;
        size_t kib;
        if (sscanf(line, "%lx-%lx %4s", &from, &to, permissions) == 3) {
            ours = from >= first && to <= end;
            if (ours)
                *(permissions[0] == 'r' ? &sums.accessible : &sums.inaccessible) += to - from;
        } else if (ours && sscanf(line, "Rss: %zu kB", &kib) == 1)
            sums.resident += kib << 10;
    }
    fclose(maps);
    return sums;
}

static void compare(void) {
    kernel_says kernel = ask_kernel();
    osmem_bytes ledger = osmem_stat_read(&fl_stat_process, NULL);
    CHECK_EQUAL(ledger.reserved, kernel.inaccessible);
    CHECK_EQUAL(ledger.prepared + ledger.ready, kernel.accessible);
    CHECK(kernel.resident <= ledger.ready);
}

static uint64_t seed;

static void whole_ledger_agrees_with_kernel(void) {
    enum { ARENAS = 4, BLOCKS = 300 };
    fallow_arena *arenas[ARENAS] = {NULL};
    fallow_pool *pools[ARENAS] = {NULL};
    void *blocks[ARENAS][BLOCKS] = {{NULL}};
    uint64_t random = seed;
    for (int step = 0; step < 30000; step++) {
        size_t a = check_random(&random) % ARENAS, b = check_random(&random) % BLOCKS;
        if (!arenas[a]) {
            arenas[a] = fallow_arena_create("quiet", 0);
            CHECK(arenas[a]);
            pools[a] = fallow_pool_create(arenas[a]);
            CHECK(pools[a]);
        } else if (step % 997 == 0) {
            fallow_arena_destroy(arenas[a]);
            arenas[a] = NULL;
            memset(blocks[a], 0, sizeof blocks[a]);
        } else if (step % 31 == 0) {
            CHECK(fallow_pool_alloc(pools[a], check_random(&random) % 9000));
            if (step % 310 == 0)
                fallow_pool_reset(pools[a]);
        } else {
            size_t bytes = (size_t)1 << check_random(&random) % (step % 50 ? 14 : 24);
            fallow_arena_free(arenas[a], blocks[a][b]);
            blocks[a][b] = fallow_arena_alloc(arenas[a], bytes);
            CHECK(blocks[a][b]);
            memset(blocks[a][b], 1, bytes);
        }
        if (step % 100 == 0)
            fallow_tick();
        if (step % 250 == 0)
            compare();
    }
    for (int a = 0; a < ARENAS; a++)
        fallow_arena_destroy(arenas[a]);
    compare();
}

int main(int argc, char **argv) {
    seed = check_seed(argc, argv);
    if (!RESIDENT_IS_OURS) {
        puts("skipped whole_ledger: under a sanitizer the window lies among other mappings");
        return 77;
    }
    RUN(whole_ledger_agrees_with_kernel);
    return 0;
}
