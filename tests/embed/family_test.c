/* SPDX-License-Identifier: MIT */
/*
 * Arenas with all options: parents and children, reset, resizing, walking, one thread, policies; many arenas
 * by many threads, and more than a thread keeps heaps in.
 *
 * Usage: family_test [MANY]
 */
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "../../src/arena/window.h"
#include "../lib/check.h"
#include "../lib/reading.h"
#include "../lib/resident.h"
#include "fallow/fallow.h"

#define MIB ((size_t)1 << 20)

static fallow_arena *below(fallow_arena *parent, size_t limit_bytes) {
    fallow_arena_options options = {.name = "child", .parent = parent, .limit_bytes = limit_bytes};
    fallow_arena *arena = fallow_arena_create_sized(&options, sizeof options);
    CHECK(arena);
    CHECK(fallow_arena_parent(arena) == parent);
    CHECK(!strcmp(fallow_arena_name(arena), "child"));
    return arena;
}

static size_t fill_up(fallow_arena *arena) {
    size_t bytes = 0;
    for (void *block; (block = fallow_arena_alloc(arena, 50000)) != NULL; bytes += 50000)
        memset(block, 1, 50000);
    CHECK_EQUAL(errno, ENOMEM);
    return bytes;
}

/* Three floors: the smallest limit on the way up is the one that holds, and what a child has, its parent
 * has. */
static void family_limits_nest_and_figures_add_up(void) {
    fallow_arena *root = fallow_arena_create("root", 16 * MIB);
    fallow_arena *middle = below(root, 8 * MIB), *left = below(middle, 6 * MIB), *right = below(middle, 0);
    CHECK(fill_up(left) > 4 * MIB); /* a slab holds four of its blocks, and a little is left */
    CHECK(arena_figures(left).ready_bytes <= 6 * MIB);
    size_t rest = fill_up(right); /* the middle's limit: what the left has is not there */
    CHECK(rest > MIB && rest < 2 * MIB);
    CHECK_EQUAL(arena_figures(middle).ready_bytes,
                arena_figures(left).ready_bytes + arena_figures(right).ready_bytes);
    CHECK(arena_figures(root).ready_bytes <= 8 * MIB);
    CHECK(fallow_arena_alloc(root, 4 * MIB)); /* the root is not at its limit */
    fallow_arena_destroy(left);
    CHECK(fill_up(right) > 4 * MIB);
    fallow_arena_destroy(middle); /* with the right one */
    CHECK(arena_figures(root).ready_bytes < 5 * MIB);
    CHECK(fill_up(root) > 8 * MIB);
    fallow_arena_destroy(root);
}

static void *spare[100];
static size_t asked;

static bool shed_spare(void *arena, size_t wanted_bytes) {
    asked += wanted_bytes > 0;
    bool any = false;
    for (int i = 0; i < 100 && spare[i]; i++) {
        fallow_arena_free(arena, spare[i]);
        spare[i] = NULL;
        any = true;
    }
    return any;
}

/* At a parent's limit, the parent's shedder is asked. */
static void family_parent_sheds_for_its_child(void) {
    fallow_arena *root = fallow_arena_create("root", 8 * MIB), *cache = below(root, 0),
                 *tenant = below(root, 0);
    for (int i = 0; i < 100; i++)
        CHECK((spare[i] = fallow_arena_alloc(cache, 60000)) != NULL);
    fallow_arena_on_limit(root, shed_spare, cache);
    for (int i = 0; i < 60; i++)
        CHECK(fallow_arena_alloc(tenant, 60000));
    CHECK(asked > 0);
    CHECK(!spare[0]);
    fallow_arena_destroy(root);
}

static void family_reset_keeps_what_it_may(void) {
    fallow_arena *arena = fallow_arena_create("reset", 0);
    for (unsigned flags = 0; flags <= FALLOW_ARENA_ONE_THREAD; flags++) {
        fallow_arena_options options = {.name = "reset", .flags = flags};
        fallow_arena_destroy(arena);
        arena = fallow_arena_create_sized(&options, sizeof options);
        for (int round = 0; round < 5; round++) {
            for (size_t i = 0; i < 3000; i++) {
                unsigned char *block = fallow_arena_alloc_zeroed(arena, i * 7 % 9000);
                CHECK(block);
                for (size_t k = 0; k < i * 7 % 9000; k++)
                    CHECK_EQUAL(block[k], 0);
                memset(block, 0xff, i * 7 % 9000);
            }
            CHECK(fallow_arena_alloc(arena, 3 * MIB));
            size_t before = arena_figures(arena).ready_bytes;
            CHECK(before > 12 * MIB);
            size_t keep = (size_t)round * MIB;
            fallow_arena_reset(arena, keep);
            fallow_arena_figures figures = arena_figures(arena);
            CHECK_EQUAL(figures.granted_bytes, 0);
            CHECK(figures.ready_bytes <= keep);
            CHECK(round == 0 || figures.ready_bytes >= keep / 2);
        }
    }
    fallow_arena_destroy(arena);
}

static void family_resize_and_realloc(void) {
    uint64_t random = 3;
    fallow_arena *arena = fallow_arena_create("resize", 0), *other = fallow_arena_create("other", 0);
    unsigned char *block = NULL;
    size_t bytes = 0;
    for (int i = 0; i < 3000; i++) {
        size_t wanted = 1 + check_random(&random) % (i % 50 ? 5000 : 3 * MIB);
        unsigned char *moved = fallow_arena_realloc(arena, block, wanted);
        CHECK(moved);
        for (size_t k = 0; k < (bytes < wanted ? bytes : wanted); k += 61)
            CHECK_EQUAL(moved[k], i & 0xff);
        CHECK(fallow_arena_usable_bytes(moved) >= wanted);
        CHECK(fallow_arena_of(moved) == arena);
        block = moved;
        bytes = wanted;
        memset(block, (i + 1) & 0xff, bytes);
    }
    size_t usable = fallow_arena_usable_bytes(block), got = 0;
    CHECK(fallow_arena_resize(arena, block, usable));
    CHECK_EQUAL(fallow_arena_usable_bytes(block), usable);
    fallow_arena_free(arena, block);
    CHECK((block = fallow_arena_alloc_at_least(other, 1000, &got)) != NULL);
    CHECK(got >= 1000 && got == fallow_arena_usable_bytes(block));
    memset(block, 1, got);
    CHECK(!fallow_arena_resize(other, block, 100000));
    fallow_arena_destroy(arena);
    fallow_arena_destroy(other);
}

/* Large blocks that grow take their pages along; what they leave is the arena's again. */
static void family_moved_blocks_leave_nothing(void) {
    fallow_arena *arena = fallow_arena_create("moves", 0);
    for (int round = 0; round < 3; round++) {
        char *block = NULL, *in_the_way;
        for (size_t bytes = MIB / 2; bytes <= 64 * MIB; bytes *= 2) {
            CHECK((block = fallow_arena_realloc(arena, block, bytes)) != NULL);
            CHECK(bytes == MIB / 2 || block[bytes / 2 - 1] == 5);
            memset(block, 5, bytes);
            CHECK((in_the_way = fallow_arena_alloc(arena, MIB)) != NULL);
            fallow_arena_free(arena, in_the_way);
        }
        fallow_arena_free(arena, block);
    }
    fallow_give_back();
    CHECK_EQUAL(arena_figures(arena).granted_bytes, 0);
    CHECK_EQUAL(arena_figures(arena).ready_bytes, 0);
    fallow_arena_destroy(arena);
}

#define WALKED 4000
static void *walked[WALKED];
static size_t found;

static int by_address(const void *a, const void *b) {
    uintptr_t x = (uintptr_t) * (void *const *)a, y = (uintptr_t) * (void *const *)b;
    return x < y ? -1 : x > y;
}

static bool find_block(void *bytes, void *block, size_t usable) {
    *(size_t *)bytes += usable;
    CHECK(bsearch(&block, walked, WALKED, sizeof *walked, by_address));
    found++;
    return true;
}

static bool stop_at_once(void *context, void *block, size_t usable) {
    (void)context, (void)block, (void)usable;
    return false;
}

static void *free_every_fifth(void *arena) {
    for (size_t i = 0; i < WALKED; i += 5) {
        fallow_arena_free(arena, walked[i]);
        walked[i] = NULL;
    }
    return NULL;
}

/* Every live block once, and nothing else: also where others freed, and where pages inside slabs were given
 * back. */
static void family_walk_finds_exactly_the_live_blocks(void) {
    fallow_arena *arena = fallow_arena_create("walk", 0);
    pthread_t thread;
    size_t live = 0, usable = 0, bytes = 0;
    for (size_t i = 0; i < WALKED; i++)
        walked[i] = fallow_arena_alloc(arena, i % 400 ? i * 3 % 6000 : 300000);
    CHECK_EQUAL(pthread_create(&thread, NULL, free_every_fifth, arena), 0);
    CHECK_EQUAL(pthread_join(thread, NULL), 0);
    for (size_t i = 0; i < WALKED; i++)
        if (i % 7 == 0) {
            fallow_arena_free(arena, walked[i]);
            walked[i] = NULL;
        }
    for (int round = 0; round < 2; round++) {
        found = live = usable = bytes = 0;
        qsort(walked, WALKED, sizeof *walked, by_address);
        for (size_t i = 0; i < WALKED; i++)
            if (walked[i]) {
                live++;
                usable += fallow_arena_usable_bytes(walked[i]);
            }
        CHECK(fallow_arena_walk(arena, find_block, &bytes));
        CHECK_EQUAL(found, live);
        CHECK_EQUAL(bytes, usable);
        fallow_give_back();
    }
    CHECK(!fallow_arena_walk(arena, stop_at_once, NULL));
    fallow_arena_destroy(arena);
}

static void family_policies(void) {
    fallow_arena_options options = {.name = "keeps", .give_back = FALLOW_GIVE_BACK_NEVER};
    fallow_arena *keeps = fallow_arena_create_sized(&options, sizeof options);
    options.give_back = FALLOW_GIVE_BACK_AT_ONCE;
    fallow_arena *gives = fallow_arena_create_sized(&options, sizeof options);
    fallow_arena_free(keeps, memset(fallow_arena_alloc(keeps, 20 * MIB), 1, 20 * MIB));
    fallow_arena_free(gives, memset(fallow_arena_alloc(gives, 20 * MIB), 1, 20 * MIB));
    fallow_tick();
    for (int i = 0; i < 100 && arena_figures(gives).ready_bytes > MIB; i++)
        fallow_tick();
    CHECK(arena_figures(gives).ready_bytes <= MIB);
    for (int i = 0; i < 10; i++) {
        rest_ms(60);
        fallow_tick();
    }
    CHECK(arena_figures(keeps).ready_bytes >= 20 * MIB);
    fallow_give_back();
    CHECK(arena_figures(keeps).ready_bytes < MIB);
    fallow_arena_destroy(keeps);
    fallow_arena_destroy(gives);
    errno = 0;
    options.flags = 0x80;
    CHECK(!fallow_arena_create_sized(&options, sizeof options) && errno == EINVAL);
}

static void *move_along(void *arena) {
    for (int i = 0; i < 2000; i++) {
        char *block = fallow_arena_alloc(arena, (size_t)i);
        CHECK(block);
        memset(block, 1, (size_t)i);
        if (i % 2)
            fallow_arena_free(arena, block);
    }
    return NULL;
}

/* One thread at a time, but not always the same one. */
static void family_one_thread_after_the_other(void) {
    fallow_arena_options options = {.name = "one", .flags = FALLOW_ARENA_ONE_THREAD};
    fallow_arena *arena = fallow_arena_create_sized(&options, sizeof options);
    for (int i = 0; i < 20; i++) {
        pthread_t thread;
        CHECK_EQUAL(pthread_create(&thread, NULL, move_along, arena), 0);
        CHECK_EQUAL(pthread_join(thread, NULL), 0);
        move_along(arena);
    }
    fallow_arena_reset(arena, 0);
    move_along(arena);
    fallow_arena_destroy(arena);
}

#define MANY_MAX 1000
static size_t many_count = MANY_MAX;
static fallow_arena *many[MANY_MAX];
static void *of_many[MANY_MAX];

static void *use_many(void *offset) {
    for (size_t i = 0; i < many_count; i++) {
        fallow_arena *arena = many[(i + (uintptr_t)offset) % many_count];
        for (int k = 0; k < 3; k++) {
            char *block = fallow_arena_alloc(arena, 100);
            CHECK(block);
            fallow_arena_free(arena, memset(block, 1, 100));
        }
    }
    return NULL;
}

/* Many arenas, each used by many threads in turn: what it costs does not grow with their product. */
static void family_many_arenas_by_many_threads(void) {
    pthread_t threads[16];
    size_t base = resident_bytes(), regions = fl_window_pages_max() / FL_REGION_PAGES;
    if (many_count > regions / 2)
        many_count = regions / 2; /* an arena has a region, and the window so many */
    for (size_t i = 0; i < many_count; i++) {
        CHECK((many[i] = fallow_arena_create("many", 0)) != NULL);
        CHECK((of_many[i] = fallow_arena_alloc(many[i], 100)) != NULL);
        memset(of_many[i], 1, 100);
    }
    for (int round = 0; round < 2; round++) {
        for (uintptr_t t = 0; t < 16; t++)
            CHECK_EQUAL(pthread_create(&threads[t], NULL, use_many, (void *)(t * 61)), 0);
        for (int t = 0; t < 16; t++)
            CHECK_EQUAL(pthread_join(threads[t], NULL), 0);
    }
    size_t each = (resident_bytes() - base) / many_count;
    printf("# %zu bytes resident for each of %zu arenas\n", each, many_count);
    /* What the threads cost weighs more on fewer; a checking build knows each page of a reserved region. */
    if (RESIDENT_IS_OURS && many_count == MANY_MAX)
        CHECK(each <= 64000 + (FL_CHECKS >= 2 ? 65536 : 0));
    for (size_t i = 0; i < many_count; i++)
        fallow_arena_destroy(many[i]);
}

#define VISITED 200

static void tick_to_the_end(void) {
    for (int i = 0; i < 100000 && fallow_tick(); i++)
        ;
}

static size_t granted_to(fallow_arena *const *arenas) {
    size_t bytes = 0;
    for (size_t i = 0; i < VISITED; i++)
        bytes += arena_figures(arenas[i]).granted_bytes;
    return bytes;
}

/* Of a class of small blocks. */
static size_t slab_bytes(void) {
    size_t grain_bytes = fl_the_window.grain_pages << FL_PAGE_SHIFT;
    return grain_bytes > 65536 ? grain_bytes : 65536;
}

/* A thread that visits more arenas than it keeps heaps in leaves heaps behind. When ticks have come by, they
 * hold nothing: not what the thread itself freed, nor what is freed when it has left, by it or by another; on
 * request, at once. */
static void family_visited_arenas_keep_nothing(void) {
    fallow_arena *arenas[VISITED];
    void *blocks[VISITED];
    for (int way = 0; way < 3; way++) {
        for (size_t i = 0; i < VISITED; i++) {
            CHECK((arenas[i] = fallow_arena_create("visited", 0)) != NULL);
            CHECK((blocks[i] = fallow_arena_alloc(arenas[i], 1000)) != NULL);
            if (way == 0)
                fallow_arena_free(arenas[i], blocks[i]);
        }
        CHECK(granted_to(arenas) > 0);
        for (size_t i = 0; i < VISITED && way > 0; i++)
            fallow_arena_free(arenas[i], blocks[i]);
        if (way == 1)
            fallow_give_back();
        else
            tick_to_the_end();
        /* The thread's own heaps keep a slab each: those of the arenas that it visited last. */
        CHECK(granted_to(arenas) <= 64 * slab_bytes());
        for (size_t i = 0; i < VISITED; i++)
            fallow_arena_destroy(arenas[i]);
    }
}

static fallow_arena *visited[VISITED];

/* Allocates in each, and then frees what it had there the last time; seen so far, blocks have their arena's
 * number in them. */
static void *visit_all(void *number) {
    unsigned char *last[VISITED] = {NULL};
    for (int round = 0; round < 20; round++)
        for (size_t k = 0; k < VISITED; k++) {
            size_t i = (k * 7 + (uintptr_t)number * 50) % VISITED;
            unsigned char *block = fallow_arena_alloc(visited[i], 48);
            CHECK(block && fallow_arena_of(block) == visited[i]);
            memset(block, (int)i, 48);
            CHECK(!last[i] || (last[i][0] == i && last[i][47] == i));
            fallow_arena_free(visited[i], last[i]);
            last[i] = block;
        }
    for (size_t i = 0; i < VISITED; i++)
        fallow_arena_free(visited[i], last[i]);
    return NULL;
}

/* Heaps go from hand to hand, while ticks take idle ones apart and some arenas start anew. */
static void family_heaps_change_hands(void) {
    pthread_t threads[4];
    for (size_t i = 0; i < VISITED; i++)
        CHECK((visited[i] = fallow_arena_create("visited", 0)) != NULL);
    for (int round = 0; round < 10; round++) {
        for (uintptr_t t = 0; t < 4; t++)
            CHECK_EQUAL(pthread_create(&threads[t], NULL, visit_all, (void *)t), 0);
        for (int i = 0; i < 20; i++)
            fallow_tick();
        for (int t = 0; t < 4; t++)
            CHECK_EQUAL(pthread_join(threads[t], NULL), 0);
        visit_all((void *)1); /* and main leaves idle ones behind each time */
        fallow_arena_reset(visited[round], 0);
    }
    tick_to_the_end();
    CHECK(granted_to(visited) <= 64 * slab_bytes());
    for (size_t i = 0; i < VISITED; i++)
        fallow_arena_destroy(visited[i]);
}

/* So many at a time, each with something in it; then others in their places. */
static void family_fifty_thousand(void) {
    enum { COUNT = 50000 };
    static fallow_arena *arenas[COUNT];
    size_t regions = fl_window_pages_max() / FL_REGION_PAGES;
    size_t count = regions / 2 < COUNT ? regions / 2 : COUNT;
    if (!RESIDENT_IS_OURS || FL_CHECKS >= 2)
        count = count < 5000 ? count : 5000; /* slow there */
    if (getenv("RULES"))
        count = count < 1000 ? count : 1000; /* a system that has room for no more */
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < count; i++) {
            CHECK((arenas[i] = fallow_arena_create("one of many", 0)) != NULL);
            uint32_t *block = fallow_arena_alloc(arenas[i], 100);
            if (block)
                *block = (uint32_t)i;
            else { /* as many as the system has memory and mappings for */
                fallow_arena_destroy(arenas[i]);
                count = i;
                CHECK(count >= 100);
            }
        }
        for (size_t i = 0; i < count; i++) {
            uint32_t *block = fallow_arena_alloc(arenas[i], 100);
            CHECK(block && fallow_arena_of(block) == arenas[i]);
        }
        for (size_t i = 0; i < count; i++)
            fallow_arena_destroy(arenas[i]);
        count /= 5;
    }
}

int main(int argc, char **argv) {
    if (argc > 1)
        many_count = strtoul(argv[1], NULL, 10);
    CHECK(many_count > 0 && many_count <= MANY_MAX);
    RUN(family_limits_nest_and_figures_add_up);
    RUN(family_parent_sheds_for_its_child);
    RUN(family_reset_keeps_what_it_may);
    RUN(family_resize_and_realloc);
    RUN(family_moved_blocks_leave_nothing);
    RUN(family_walk_finds_exactly_the_live_blocks);
    RUN(family_policies);
    RUN(family_one_thread_after_the_other);
    RUN(family_many_arenas_by_many_threads);
    RUN(family_visited_arenas_keep_nothing);
    RUN(family_heaps_change_hands);
    RUN(family_fifty_thousand);
    return 0;
}
