/* SPDX-License-Identifier: MIT */
/* Summaries of free pages: tables of small cases, and trees against a model that looks at every page. */
#include <string.h>

#include "../../src/arena/pagetree.h"
#include "../lib/check.h"

static uint64_t seed;

/* Free pages of a region as runs, and what its summary must say. */
typedef struct summary_case {
    const char *name;
    struct {
        size_t first, pages;
    } free[4];
    fl_runs wanted;
} summary_case;

static const summary_case summaries[] = {
    {"none free", {{0, 0}}, {0, 0, 0}},
    {"only start", {{0, 10}}, {10, 10, 0}},
    {"only end", {{255, 1}}, {0, 1, 1}},
    {"start and end", {{0, 1}, {255, 1}}, {1, 1, 1}},
    {"start, longest, end", {{0, 1}, {10, 80}, {250, 6}}, {1, 80, 6}},
    {"only longest", {{1, 64}}, {0, 64, 0}},
    {"many longest", {{1, 64}, {70, 64}, {140, 64}}, {0, 64, 0}},
    {"one", {{66, 1}}, {0, 1, 0}},
    {"over a word's edge", {{60, 9}, {120, 8}}, {0, 9, 0}},
    {"to a word's edge", {{0, 64}}, {64, 64, 0}},
    {"all free", {{0, 256}}, {256, 256, 256}},
};

static void pagetree_summaries_of_a_region(void) {
    for (size_t i = 0; i < sizeof summaries / sizeof summaries[0]; i++) {
        uint64_t bits[FL_REGION_WORDS];
        memset(bits, 0xff, sizeof bits);
        for (size_t k = 0; k < 4; k++)
            fl_pagebits_clear(bits, summaries[i].free[k].first, summaries[i].free[k].pages);
        fl_runs got = fl_pagebits_runs(bits, FL_REGION_PAGES);
        if (memcmp(&got, &summaries[i].wanted, sizeof got)) {
            fprintf(stderr, "%s: %u %u %u\n", summaries[i].name, got.first, got.longest, got.last);
            exit(1);
        }
    }
}

static fl_runs slow_runs(const bool *used, size_t count) {
    fl_runs runs = {0, 0, 0};
    while (runs.first < count && !used[runs.first])
        runs.first++;
    while (runs.last < count && !used[count - 1 - runs.last])
        runs.last++;
    for (size_t i = 0, run = 0; i < count; i++) {
        run = used[i] ? 0 : run + 1;
        runs.longest = run > runs.longest ? (uint32_t)run : runs.longest;
    }
    return runs;
}

static void pagetree_summaries_random(void) {
    uint64_t random = seed;
    for (int round = 0; round < 2000; round++) {
        bool used[4 * FL_REGION_PAGES];
        uint64_t bits[4 * FL_REGION_WORDS] = {0};
        uint64_t density = 1 + check_random(&random) % 200;
        for (size_t i = 0; i < sizeof used; i++) {
            used[i] = check_random(&random) % density == 0;
            if (used[i])
                fl_pagebits_set(bits, i, 1);
        }
        fl_runs parts[4], wanted = slow_runs(used, sizeof used);
        for (size_t i = 0; i < 4; i++) {
            parts[i] = fl_pagebits_runs(bits + i * FL_REGION_WORDS, FL_REGION_PAGES);
            fl_runs part = slow_runs(used + i * FL_REGION_PAGES, FL_REGION_PAGES);
            CHECK(memcmp(&parts[i], &part, sizeof part) == 0);
        }
        fl_runs joined = fl_runs_join(parts, 4, FL_REGION_PAGES);
        CHECK(memcmp(&joined, &wanted, sizeof wanted) == 0);
    }
}

/* A tree over some of 40 regions of the window: none of it mapped, only bits. */
#define REGIONS 40
#define PAGES (REGIONS * FL_REGION_PAGES)
static bool used[PAGES];
static bool idle[PAGES];
static fl_region *base;
static size_t base_page;
static bool there[REGIONS];

static size_t slow_find(size_t pages) {
    for (size_t i = 0, run = 0; i < PAGES; i++) {
        run = used[i] ? 0 : run + 1;
        if (run == pages)
            return base_page + i + 1 - pages;
    }
    return FL_PAGEBITS_NONE;
}

static fl_region *slow_last_idle(size_t below, bool vacant) {
    for (size_t r = REGIONS; r-- > 0;) {
        bool any_idle = false, any_used = false;
        for (size_t i = r * FL_REGION_PAGES; i < (r + 1) * FL_REGION_PAGES; i++) {
            any_idle |= idle[i];
            any_used |= used[i];
        }
        if (fl_region_index(base) + r < below && any_idle && !(vacant && any_used))
            return base + r;
    }
    return NULL;
}

static fl_region *slow_next(size_t from) {
    for (size_t r = 0; r < REGIONS; r++)
        if (fl_region_index(base) + r >= from && there[r])
            return base + r;
    return NULL;
}

static void check_tree(const fl_pagetree *tree, uint64_t *random) {
    for (int i = 0; i < 4; i++) {
        size_t pages = 1 + check_random(random) % (i < 2 ? 40 : i < 3 ? 1000 : 3 * FL_REGION_PAGES);
        CHECK_EQUAL(fl_pagetree_find(tree, pages), slow_find(pages));
    }
    size_t at = fl_region_index(base) + check_random(random) % (REGIONS + 2);
    CHECK(fl_pagetree_last_idle(tree, at, false) == slow_last_idle(at, false));
    CHECK(fl_pagetree_last_idle(tree, SIZE_MAX, true) == slow_last_idle(SIZE_MAX, true));
    CHECK(fl_pagetree_next(tree, at) == slow_next(at));
    CHECK_EQUAL(fl_pagetree_longest(tree), slow_runs(used, PAGES).longest);
}

/* Sets pages used, idle or prepared, in the bits and in the model. */
static void mark(size_t first, size_t pages, unsigned kind) {
    for (size_t i = first; i < first + pages; i++) {
        fl_region *region = base + i / FL_REGION_PAGES;
        size_t bit = i % FL_REGION_PAGES;
        used[i] = kind == 0;
        idle[i] = kind == 1;
        (kind == 0 ? fl_pagebits_set : fl_pagebits_clear)(region->in_use, bit, 1);
        (kind == 2 ? fl_pagebits_set : fl_pagebits_clear)(region->prepared, bit, 1);
    }
    for (size_t r = first / FL_REGION_PAGES; r * FL_REGION_PAGES < first + pages; r++)
        fl_pagetree_update(base + r);
}

static void pagetree_random_against_model(void) {
    uint64_t random = seed;
    if (fl_window_pages_max() < ((size_t)1 << 35) >> FL_PAGE_SHIFT) {
        printf("skipped: the window is too small for a deep tree\n");
        exit(77);
    }
    base = fl_window_take(REGIONS, osmem_backend_system());
    CHECK(base);
    base_page = fl_region_index(base) * FL_REGION_PAGES;
    fl_pagetree tree = {NULL, 0};
    memset(used, 1, sizeof used); /* what is not the tree's counts as full */
    memset(idle, 0, sizeof idle);
    for (int step = 0; step < 600; step++) {
        size_t r = check_random(&random) % REGIONS, first = r * FL_REGION_PAGES;
        if (!there[r]) {
            base[r].mapped = FL_CHUNKS_ALL;
            CHECK(fl_pagetree_insert(&tree, &base[r]));
            there[r] = true;
            mark(first, FL_REGION_PAGES, 2);
        } else if (check_random(&random) % 40 == 0) {
            mark(first, FL_REGION_PAGES, 0);
            fl_pagetree_remove(&base[r]);
            there[r] = false;
        } else {
            size_t from = check_random(&random) % FL_REGION_PAGES;
            size_t pages = 1 + check_random(&random) % (step % 3 ? 300 : FL_REGION_PAGES);
            pages = pages < FL_REGION_PAGES - from ? pages : FL_REGION_PAGES - from;
            mark(first + from, pages, (unsigned)(check_random(&random) % 3));
        }
        check_tree(&tree, &random);
    }
    fl_pagetree_clear(&tree);
    for (size_t r = 0; r < REGIONS; r++)
        fl_window_give(&base[r], osmem_backend_system());
}

/* Regions TiBs apart: the root rises, and what lies between counts as full. */
static void pagetree_wildly_apart(void) {
    static const size_t at[] = {0, 1, 15, 16, 17, 255, 256, 4095, 4096, 16384};
    enum { COUNT = sizeof at / sizeof at[0] };
    fl_pagetree tree = {NULL, 0};
    fl_region *all = fl_window_take(at[COUNT - 1] + 1, osmem_backend_system());
    CHECK(all);
    for (size_t i = COUNT; i-- > 0;) {
        CHECK(fl_pagetree_insert(&tree, &all[at[i]]));
        size_t lowest = fl_region_index(&all[at[i]]) * FL_REGION_PAGES;
        CHECK_EQUAL(fl_pagetree_find(&tree, 1), lowest);
        CHECK_EQUAL(fl_pagetree_find(&tree, FL_REGION_PAGES), lowest);
    }
    CHECK_EQUAL(fl_pagetree_longest(&tree), 3 * FL_REGION_PAGES); /* 15, 16, 17 */
    CHECK_EQUAL(fl_pagetree_find(&tree, 2 * FL_REGION_PAGES), fl_region_index(all) * FL_REGION_PAGES);
    CHECK_EQUAL(fl_pagetree_find(&tree, 3 * FL_REGION_PAGES), fl_region_index(all + 15) * FL_REGION_PAGES);
    CHECK_EQUAL(fl_pagetree_find(&tree, 3 * FL_REGION_PAGES + 1), FL_PAGEBITS_NONE);
    fl_pagetree_clear(&tree);
    CHECK_EQUAL(fl_pagetree_find(&tree, 1), FL_PAGEBITS_NONE);
    for (size_t i = 0; i <= at[COUNT - 1]; i++)
        fl_window_give(&all[i], osmem_backend_system());
}

int main(int argc, char **argv) {
    seed = check_seed(argc, argv);
    CHECK(fl_window_init());
    RUN(pagetree_summaries_of_a_region);
    RUN(pagetree_summaries_random);
    RUN(pagetree_random_against_model);
    if (fl_window_pages_max() > 20000 * FL_REGION_PAGES) /* not where the window is small */
        RUN(pagetree_wildly_apart);
    return 0;
}
