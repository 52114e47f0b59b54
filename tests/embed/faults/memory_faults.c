/* SPDX-License-Identifier: MIT */
/*
 * memory_faults.c: one mistake with memory of fallow's for each name, or none, for a checker to say what it
 * is. Usage: faults NAME; faults --list has all of them, each with the kind of its mistake (checkers.sh), or
 * "clean".
 */
#include "memory_faults.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define REQUIRE(what) \
    ((what) ? (void)0 : (fprintf(stderr, "%s:%d: not %s\n", __FILE__, __LINE__, #what), exit(3)))

static fallow_arena *arena;
static fallow_pool *pool;
static _Alignas(64) char memory[64 << 10];

static void touch(volatile char *at) {
    *at = (char)(*at + 1);
}

static char *filled(size_t bytes) {
    char *block = fallow_arena_alloc(arena, bytes);
    REQUIRE(block);
    return memset(block, 1, bytes);
}

/* Arenas. */
static void after_free(void) {
    char *block = filled(100);
    fallow_arena_free(arena, block);
    touch(block + 50);
}
static void after_fallow_free(void) {
    char *block = filled(100);
    fallow_free(block);
    touch(block);
}
static void after_free_large(void) {
    char *block = filled(200000);
    fallow_arena_free(arena, block);
    touch(block + 150000);
}
static void after_free_and_some(void) { /* which may have had the same memory, were it not for the wait */
    char *block = filled(100);
    fallow_arena_free(arena, block);
    for (int i = 0; i < 100; i++)
        filled(100);
    touch(block);
}
static void overflow_by_one(void) {
    char *block = filled(101);
    touch(block + 101);
}
static void overflow_of_class(void) { /* as long as a block of the heap's can be: behind it is the next one */
    char *block = filled(64);
    touch(block + 64);
}
static void overflow_large(void) {
    char *block = filled(300000);
    touch(block + 300000);
}
static void overflow_array(void) {
    char *block = fallow_arena_alloc_zeroed_array(arena, 3, 11);
    touch(block + 33);
}
static void overflow_aligned(void) {
    char *block = fallow_arena_alloc_aligned(arena, 256, 300);
    REQUIRE((size_t)block % 256 == 0);
    touch(block + 300);
}
static void overflow_usable(void) {
    size_t got = 0;
    char *block = fallow_arena_alloc_at_least(arena, 70, &got);
    REQUIRE(got >= 70 && got == fallow_arena_usable_bytes(block));
    memset(block, 1, got);
    touch(block + got);
}
static void underflow(void) {
    char *lower = filled(40), *upper = filled(40);
    touch((lower < upper ? upper : lower) - 1);
}
static void double_free(void) {
    char *block = filled(100);
    fallow_arena_free(arena, block);
    fallow_arena_free(arena, block);
}
static void double_fallow_free(void) {
    char *block = filled(200000);
    fallow_free(block);
    fallow_free(block);
}
static void after_realloc(void) {
    char *block = filled(100);
    REQUIRE(fallow_arena_realloc(arena, block, 101));
    touch(block);
}
static void after_shrink_in_place(void) {
    char *block = filled(100);
    REQUIRE(fallow_arena_resize(arena, block, 90));
    touch(block + 89);
    touch(block + 90);
}
static void overflow_of_realloc(void) {
    char *block = fallow_arena_realloc_aligned(arena, filled(100), 64, 200);
    touch(block + 199);
    touch(block + 200);
}
static void after_reset(void) {
    char *block = filled(100);
    fallow_arena_reset(arena, 1 << 20);
    touch(block);
}
static void after_destroy(void) {
    char *block = filled(100);
    fallow_arena_destroy(arena);
    touch(block);
}
static void after_parents_end(void) {
    fallow_arena_options options = {.parent = arena, .flags = FALLOW_ARENA_ONE_THREAD};
    fallow_arena *child = fallow_arena_create_with(&options);
    char *block = memset(fallow_arena_alloc(child, 100), 1, 100);
    fallow_arena_destroy(arena);
    touch(block);
}
static void one_thread_after_free(void) {
    fallow_arena_options options = {.flags = FALLOW_ARENA_ONE_THREAD};
    fallow_arena *alone = fallow_arena_create_with(&options);
    char *block = memset(fallow_arena_alloc(alone, 100), 1, 100);
    fallow_free(block);
    touch(block);
}
static void freed_elsewhere(void) {
    char *block = filled(100);
    elsewhere_free(arena, block);
    touch(block);
}
static void of_elsewhere(void) {
    char *block = elsewhere_alloc(arena, 100);
    touch(block + 100);
}

/* Pools. */
static void pool_overflow(void) {
    char *object = fallow_pool_alloc(pool, 32);
    touch(object + 32);
}
static void pool_after_reset(void) {
    char *object = fallow_pool_strdup(pool, "reset");
    fallow_pool_reset(pool);
    touch(object);
}
static void pool_after_rewind(void) {
    fallow_pool_mark mark = fallow_pool_mark_here(pool);
    char *object = fallow_pool_printf(pool, "%d", 1);
    fallow_pool_rewind(pool, mark);
    touch(object);
}
static void pool_after_childs_end(void) {
    fallow_pool_mark mark = fallow_pool_mark_here(pool);
    fallow_pool *child = fallow_pool_create_child(pool);
    char *object = fallow_pool_alloc(child, 100);
    fallow_pool_rewind(pool, mark);
    touch(object);
}
static void *kept;
static void keep_none(void *context) {
    touch(context); /* all memory is still there */
    kept = context;
}
static void pool_after_clean_up(void) {
    char *object = fallow_pool_alloc(pool, 20);
    memset(object, 1, 20);
    REQUIRE(fallow_pool_on_clean_up(pool, keep_none, object));
    fallow_pool_reset(pool);
    touch(kept);
}
static void pool_after_destroy(void) {
    char *object = fallow_pool_alloc(pool, 100);
    fallow_pool_destroy(pool);
    touch(object);
}

/* Fixed memory. */
static bool free_it(void *context, void *block, size_t bytes) {
    (void)context, (void)bytes;
    fallow_arena_free(arena, block);
    return true;
}
static void visitor_frees(void) {
    filled(100);
    fallow_arena_walk(arena, free_it, NULL);
}

static fallow_fixed *fixed(void) {
    return fallow_fixed_create(memory, sizeof memory, 0);
}
static void fixed_after_free(void) {
    fallow_fixed *in = fixed();
    char *block = fallow_fixed_alloc(in, 100);
    fallow_fixed_free(in, block);
    touch(block + 50);
}
static void fixed_overflow(void) {
    char *block = fallow_fixed_alloc(fixed(), 100);
    touch(block + 100);
}
static void fixed_overflow_of_tag(void) {
    char *block = fallow_fixed_alloc(fixed(), 104);
    REQUIRE(fallow_fixed_usable_bytes(block) == 104);
    touch(block + 104);
}
static void fixed_underflow(void) {
    char *block = fallow_fixed_alloc(fixed(), 100);
    touch(block - 1);
}
static void fixed_double_free(void) {
    fallow_fixed *in = fixed();
    char *block = fallow_fixed_alloc(in, 100);
    fallow_fixed_free(in, block);
    fallow_fixed_free(in, block);
}
static void fixed_after_realloc(void) {
    fallow_fixed *in = fixed();
    char *block = fallow_fixed_alloc(in, 100);
    REQUIRE(fallow_fixed_alloc(in, 100) && fallow_fixed_realloc(in, block, 1000) != block);
    touch(block);
}
static void fixed_shrunk(void) {
    fallow_fixed *in = fixed();
    char *block = fallow_fixed_alloc(in, 100);
    REQUIRE(fallow_fixed_realloc(in, block, 90) == block);
    touch(block + 90);
}
static void fixed_after_reset(void) {
    fallow_fixed *in = fixed();
    char *block = fallow_fixed_alloc(in, 100);
    REQUIRE(fallow_fixed_reset(in));
    touch(block);
}

/* C++ */
static void cpp_after_free(void) {
    containers_after_free(arena);
}
static void cpp_overflow(void) {
    containers_beyond_reserved(arena);
}

/* Leaks. */
static void leak_of_arenas_block(void) { /* the only way to it: what the arena has freed is none */
    void **block = (void **)filled(100);
    *block = malloc(1234);
    fallow_arena_free(arena, block);
}
static void leak_in_arena(void) {
    for (int i = 0; i < 4; i++) /* the first lies where a slab begins, and the library knows where that is */
        filled(1234);
}
static void reachable(void) {
    static void **block, **object;
    block = (void **)filled(sizeof *block);
    *block = malloc(1234);
    object = fallow_pool_alloc(pool, sizeof *object);
    *object = malloc(1234);
}

/* Nothing wrong: no word. */
static bool see(void *context, void *block, size_t bytes) {
    (void)context;
    memset(block, 1, bytes);
    return true;
}
static void clean_arenas(void) {
    static char *blocks[500];
    static size_t sizes[500];
    for (unsigned i = 0, seed = 1; i < 20000; i++) {
        seed = seed * 1103515245u + 12345u;
        unsigned at = seed >> 8 & 0x1ff;
        if (at >= 500)
            continue;
        size_t bytes = (seed >> 17 & 63) == 0 ? seed >> 12 & 0x7ffff : seed >> 17 & 0x7ff;
        if (blocks[at] && (i & 3) == 0) {
            fallow_arena_free(arena, blocks[at]);
            blocks[at] = NULL;
            continue;
        }
        if (blocks[at] && fallow_arena_resize(arena, blocks[at], sizes[at] / 2 + 1))
            sizes[at] = sizes[at] / 2 + 1;
        char first = blocks[at] && sizes[at] ? *blocks[at] : 0;
        char *got = fallow_arena_realloc(arena, blocks[at], bytes);
        REQUIRE(got && (!bytes || !blocks[at] || !sizes[at] || *got == first));
        memset(got, (int)i, bytes);
        REQUIRE(fallow_arena_usable_bytes(got) >= bytes);
        blocks[at] = got;
        sizes[at] = bytes;
    }
    REQUIRE(fallow_arena_walk(arena, see, NULL));
    char *zeroed = fallow_arena_alloc_zeroed(arena, 5000);
    for (int i = 0; i < 5000; i++)
        REQUIRE(zeroed[i] == 0);
    fallow_arena_reset(arena, 1 << 20);
    memset(blocks, 0, sizeof blocks);
    zeroed = fallow_arena_alloc_zeroed(arena, 200000);
    for (int i = 0; i < 200000; i++)
        REQUIRE(zeroed[i] == 0);
    filled(100);
    fallow_arena_give_back(arena);
    filled(1000);
    fallow_arena_destroy(arena);
    fallow_arena *next = fallow_arena_create("next", 0);
    for (int i = 0; i < 3000; i++)
        memset(fallow_arena_alloc(next, (size_t)i * 3), 1, (size_t)i * 3);
    fallow_arena_destroy(next);
    pool = fallow_pool_create(NULL);
    for (int i = 0; i < 300; i++)
        memset(fallow_pool_alloc(pool, (size_t)i * 10), 1, (size_t)i * 10);
    fallow_pool_destroy(pool);
}
static void clean_limit(void) { /* what waits is no reason to refuse */
    fallow_arena *small = fallow_arena_create("small", 1 << 20);
    for (int i = 0; i < 100; i++) {
        char *block = fallow_arena_alloc(small, 600000);
        REQUIRE(block);
        fallow_arena_free(small, memset(block, 1, 600000));
        for (int j = 0; j < 10; j++) {
            block = fallow_arena_alloc(small, 100000);
            REQUIRE(block);
            fallow_arena_free(small, block);
        }
    }
    char *block = fallow_arena_alloc(small, 700000);
    REQUIRE(block && fallow_arena_realloc(small, block, 600000));
}
static void clean_elsewhere(void) {
    for (int i = 0; i < 3000; i++) {
        size_t bytes = (size_t)(i * 37 % 3000);
        char *block = elsewhere_alloc(arena, bytes), *other = filled(bytes);
        memset(block, 1, bytes);
        elsewhere_fill(other, bytes);
        fallow_arena_free(arena, block);
        elsewhere_free(arena, other);
    }
}
static void clean_containers(void) {
    containers_use(arena, pool);
}
static void clean_fork(void) {
    char *before = filled(100);
    for (int i = 0; i < 300; i++)
        fallow_free(filled(50));
    pid_t child = fork();
    if (child == 0) {
        fallow_arena_free(arena, before);
        for (int i = 0; i < 1000; i++)
            fallow_free(filled(50));
        fallow_arena_reset(arena, 0);
        filled(1000);
        _exit(0);
    }
    int status = 1;
    REQUIRE(waitpid(child, &status, 0) == child && status == 0);
    touch(before);
}
static void clean_fixed(void) {
    static char *blocks[100];
    fallow_fixed *in = fixed();
    for (unsigned i = 0, seed = 1; i < 20000; i++) {
        seed = seed * 1103515245u + 12345u;
        unsigned at = (seed >> 8) % 100;
        size_t bytes = seed >> 17 & 0x3ff;
        if (i & 1) {
            fallow_fixed_free(in, blocks[at]);
            blocks[at] = NULL;
        } else {
            char *got = fallow_fixed_realloc(in, blocks[at], bytes);
            if (!got)
                continue;
            REQUIRE(fallow_fixed_usable_bytes(got) >= bytes);
            blocks[at] = memset(got, 1, fallow_fixed_usable_bytes(got));
        }
    }
    REQUIRE(fallow_fixed_walk(in, see, NULL) && fallow_fixed_open(memory, sizeof memory) == in &&
            fallow_fixed_repair(memory, sizeof memory, 0) == in);
    memset(fallow_fixed_alloc_aligned(in, 256, 100), 1, 100);
}
static void clean_shared(void) { /* whose poison would be one process's alone */
    char *shared = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    fallow_fixed *in = fallow_fixed_create(shared, 65536, FALLOW_FIXED_SHARED);
    char **block = fallow_fixed_alloc(in, 100);
    pid_t child = fork();
    if (child == 0) {
        *block = fallow_fixed_alloc(in, 1000);
        _exit(0);
    }
    int status = 1;
    REQUIRE(waitpid(child, &status, 0) == child && status == 0);
    memset(*block, 1, 1000);
    fallow_fixed_free(in, *block);
}

static const struct fault {
    const char *name, *kind;
    void (*run)(void);
} faults[] = {
#define FAULT(name) {#name, "fault", name},
#define KIND(name, kind) {#name, kind, name},
    FAULT(after_free) FAULT(after_fallow_free) FAULT(after_free_large) FAULT(after_free_and_some)
        FAULT(overflow_by_one) FAULT(overflow_of_class) FAULT(overflow_large) FAULT(overflow_array) FAULT(
            overflow_aligned) FAULT(overflow_usable) FAULT(underflow) KIND(double_free, "invalid free")
            KIND(double_fallow_free, "invalid free") KIND(visitor_frees, "walk") FAULT(after_realloc) FAULT(
                after_shrink_in_place) FAULT(overflow_of_realloc) KIND(after_reset, "reset")
                KIND(after_destroy, "end") KIND(after_parents_end, "end") FAULT(one_thread_after_free) FAULT(
                    freed_elsewhere) FAULT(of_elsewhere) FAULT(pool_overflow) FAULT(pool_after_reset)
                    FAULT(pool_after_rewind) KIND(pool_after_childs_end, "chunk") FAULT(pool_after_clean_up)
                        KIND(pool_after_destroy, "chunk") KIND(fixed_after_free, "fixed")
                            KIND(fixed_overflow, "fixed") KIND(fixed_overflow_of_tag, "fixed") KIND(
                                fixed_underflow, "fixed") KIND(fixed_double_free, "fixed free")
                                KIND(fixed_after_realloc, "fixed") KIND(fixed_shrunk, "fixed") KIND(
                                    fixed_after_reset, "fixed") FAULT(cpp_after_free) FAULT(cpp_overflow)
                                    KIND(leak_of_arenas_block, "leak") KIND(leak_in_arena, "leak of a block")
                                        KIND(reachable, "clean") KIND(clean_arenas, "clean")
                                            KIND(clean_limit, "clean") KIND(clean_elsewhere, "clean")
                                                KIND(clean_containers, "clean") KIND(clean_fork, "clean")
                                                    KIND(clean_fixed, "clean") KIND(clean_shared, "clean")};

int main(int count, char **arguments) {
    arena = fallow_arena_create("faults", 0);
    pool = fallow_pool_create(arena);
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        if (count > 1 && strcmp(arguments[1], "--list") == 0)
            printf("%s %s\n", faults[i].name, faults[i].kind);
        else if (count > 1 && strcmp(arguments[1], faults[i].name) == 0)
            faults[i].run();
    }
    return 0;
}
