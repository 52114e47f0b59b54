/* SPDX-License-Identifier: MIT */
/*
 * Pages inside slabs: what no live block touches goes back to the system, what lives is not touched, and
 * purged slabs are used again. What is resident is the kernel's word (mincore).
 */
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../../src/arena/scavenger.h"
#include "../../src/slab/arenas.h"
#include "../../src/system/system.h"
#include "../lib/check.h"
#include "../lib/reading.h"
#include "fallow/fallow.h"

static uint64_t seed;
static fallow_arena *arena;

#define BLOCKS_MAX 40000

static struct {
    unsigned char *start;
    size_t bytes;
    unsigned char mark;
} blocks[BLOCKS_MAX];
static size_t count, block_bytes;

static void fill(size_t i, size_t bytes) {
    blocks[i].start = fallow_arena_alloc(arena, bytes);
    CHECK(blocks[i].start);
    blocks[i].bytes = bytes;
    blocks[i].mark = (unsigned char)(i * 7 + 1);
    memset(blocks[i].start, blocks[i].mark, bytes);
}

static void verify(size_t i) {
    for (size_t k = 0; k < blocks[i].bytes; k++)
        CHECK_EQUAL(blocks[i].start[k], blocks[i].mark);
}

static void drop(size_t i) {
    verify(i);
    fallow_arena_free(arena, blocks[i].start);
    blocks[i].start = NULL;
}

/* The thread ends, so that its slabs are nobody's. */
static void *fill_all(void *unused) {
    (void)unused;
    for (size_t i = 0; i < count; i++)
        fill(i, block_bytes);
    return NULL;
}

static void give_back(void) {
    fl_scavenger_give_back(&fl_arena_find(arena)->pages, SIZE_MAX, FL_CAUSE_REQUEST, true);
}

static void in_a_thread(void *(*body)(void *)) {
    pthread_t thread;
    CHECK_EQUAL(pthread_create(&thread, NULL, body, NULL), 0);
    CHECK_EQUAL(pthread_join(thread, NULL), 0);
}

/* Of `count_of` pages, which have something resident in them. */
static void ask_kernel(char *start, size_t count_of, size_t page, unsigned char *in_core) {
    size_t real = (size_t)sysconf(_SC_PAGESIZE), parts = page / real;
    unsigned char *of_parts = malloc(count_of * parts);
    CHECK_EQUAL(mincore(start, count_of * page, of_parts), 0);
    for (size_t p = 0; p < count_of; p++) {
        in_core[p] = 0;
        for (size_t k = 0; k < parts; k++)
            in_core[p] |= of_parts[p * parts + k] & 1;
    }
    free(of_parts);
}

/* Pages of the arena that are resident, and those of them that no live block touches. */
static void look(size_t *resident, size_t *in_vain) {
    size_t page = osmem_os_page_bytes(),
           pages = FL_REGION_BYTES / page; /* as fallow knows them: no smaller than the kernel's */
    unsigned char *in_core = malloc(pages);
    bool *touched = malloc(pages * sizeof *touched);
    *resident = *in_vain = 0;
    for (fl_region *region = fl_arena_find(arena)->pages.regions; region; region = region->next) {
        char *start = fl_region_start(region);
        memset(touched, 0, pages * sizeof *touched);
        for (size_t i = 0; i < count; i++) {
            size_t at = (size_t)((char *)blocks[i].start - start);
            if (blocks[i].start && at < FL_REGION_BYTES)
                for (size_t p = at / page; p <= (at + blocks[i].bytes - 1) / page; p++)
                    touched[p] = true;
        }
        for (size_t chunk = 0; chunk < FL_REGION_CHUNKS; chunk++) {
            size_t first = chunk * FL_CHUNK_BYTES / page, some = FL_CHUNK_BYTES / page;
            if (!(region->mapped >> chunk & 1))
                continue;
            ask_kernel(start + chunk * FL_CHUNK_BYTES, some, page, in_core);
            for (size_t p = 0; p < some; p++) {
                *resident += in_core[p] & 1;
                *in_vain += (in_core[p] & 1) && !touched[first + p];
            }
        }
    }
    free(in_core);
    free(touched);
}

/* One size: nine tenths freed, given back, allocated again, freed in part and given back, and so on. */
static void purge_size(size_t bytes) {
    uint64_t random = seed + bytes;
    block_bytes = bytes;
    count = ((size_t)8 << 20) / bytes < BLOCKS_MAX ? ((size_t)8 << 20) / bytes : BLOCKS_MAX;
    arena = fallow_arena_create("purge", 0);
    CHECK(arena);
    in_a_thread(fill_all);
    for (int round = 0; round < 4; round++) {
        for (size_t i = 0; i < count; i++)
            if (blocks[i].start && check_random(&random) % 10)
                drop(i);
        give_back();
        size_t resident, in_vain;
        look(&resident, &in_vain);
        /* To the page in slabs of up to 256 KiB; else a slab counts in units of 16 KiB. */
        if (bytes <= 32768 && round == 0)
            CHECK(in_vain <= resident / 50 + 1);
        else
            CHECK(in_vain <= resident / 3 + 200);
        if (round == 0) {
            /* More of what was purged becomes free, and can go too. */
            for (size_t i = 0; i < count; i++)
                if (blocks[i].start && check_random(&random) % 2)
                    drop(i);
            give_back();
            look(&resident, &in_vain);
            CHECK(bytes > 32768 || in_vain <= resident / 20 + 1);
        }
        for (size_t i = 0; i < count; i++) {
            if (blocks[i].start)
                verify(i);
            else if (check_random(&random) % 2)
                fill(i, bytes);
        }
        /* A block of its own for each: what was filled last has not reached into another. */
        for (size_t i = 0; i < count; i++)
            if (blocks[i].start)
                verify(i);
    }
    for (size_t i = 0; i < count; i++)
        if (blocks[i].start)
            drop(i);
    give_back();
    fallow_arena_destroy(arena);
}

static void purge_every_size(void) {
    static const size_t sizes[] = {16,   48,   64,   208,   512,   1024,  1536,  3072,
                                   4096, 5120, 9216, 20480, 32768, 49152, 131072};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        purge_size(sizes[i]);
}

/* Ready falls with what goes: the ledger knows of pages inside slabs. */
static void purge_is_in_the_ledger(void) {
    block_bytes = 1024;
    count = 8000;
    arena = fallow_arena_create("ledger", 0);
    in_a_thread(fill_all);
    for (size_t i = 0; i < count; i++)
        if (i % 64)
            drop(i); /* one left in each slab */
    size_t before = arena_figures(arena).ready_bytes;
    give_back();
    size_t resident, in_vain, after = arena_figures(arena).ready_bytes;
    look(&resident, &in_vain);
    size_t page = osmem_os_page_bytes(); /* a slab keeps one of them at least */
    CHECK(after < before * page / 32768);
    CHECK(resident * page <= after);
    CHECK_EQUAL(in_vain, 0);
    for (size_t i = 0; i < count; i += 64)
        drop(i);
    give_back();
    CHECK_EQUAL(arena_figures(arena).ready_bytes, 0);
    fallow_arena_destroy(arena);
}

/* The end of an arena with purged slabs: the ledger is as it was before. */
static void purge_then_destroy(void) {
    fallow_process_figures before = process_figures();
    block_bytes = 1024;
    count = 8000;
    arena = fallow_arena_create("short-lived", 0);
    in_a_thread(fill_all);
    for (size_t i = 0; i < count; i++)
        if (i % 64)
            drop(i);
    give_back();
    fallow_arena_destroy(arena);
    fallow_process_figures after = process_figures();
    CHECK_EQUAL(after.ready_bytes - after.meta_bytes, before.ready_bytes - before.meta_bytes);
    CHECK_EQUAL(after.prepared_bytes, before.prepared_bytes);
}

/* A system that takes back every other range only: no block is lost by it. */
static const osmem_backend *inner;
static unsigned refusals;

static osmem_result take_some(void *context, const osmem_range *ranges, size_t count_of, size_t *done) {
    size_t some = count_of / 2;
    (void)context;
    *done = 0;
    if (some)
        CHECK_EQUAL(inner->unused(inner->context, ranges, some, done), OSMEM_OK);
    refusals++;
    return OSMEM_NOMEM;
}

static void purge_refused_loses_no_block(void) {
    block_bytes = 1024;
    count = 2048;
    arena = fallow_arena_create("refusing", 0);
    osmem_backend refusing = *osmem_backend_system();
    inner = osmem_backend_system();
    refusing.unused = take_some;
    in_a_thread(fill_all);
    size_t granted = arena_figures(arena).granted_bytes;
    fl_arena_find(arena)->pages.stat.backend = &refusing;
    for (size_t i = 0; i < count; i++)
        if (i % (5 * osmem_os_page_bytes() / 4096))
            drop(i);
    give_back();
    CHECK(refusals > 0);
    for (size_t i = 0; i < count; i++)
        if (!blocks[i].start)
            fill(i, block_bytes);
    CHECK_EQUAL(arena_figures(arena).granted_bytes, granted); /* all of it fits where it was */
    for (size_t i = 0; i < count; i++)
        drop(i);
    fl_arena_find(arena)->pages.stat.backend = inner;
    fallow_arena_destroy(arena);
}

/* A system with a commit step that says no: a slab that was purged and has become empty is not lost by it,
 * nor its arena's end. */
static bool refuses_commit;

static osmem_result commit(void *context, void *start, size_t bytes) {
    return refuses_commit ? OSMEM_NOMEM : inner->used(context, start, bytes);
}

static void purge_then_no_commit(void) {
    block_bytes = 1024;
    count = 2048;
    fallow_process_figures before = process_figures();
    for (int round = 0; round < 2; round++) {
        arena = fallow_arena_create("no commit", 0);
        osmem_backend refusing = *osmem_backend_system();
        inner = osmem_backend_system();
        refusing.used = commit;
        in_a_thread(fill_all);
        size_t granted = arena_figures(arena).granted_bytes;
        fl_arena_find(arena)->pages.stat.backend = &refusing;
        for (size_t i = 0; i < count; i++)
            if (i % (7 * osmem_os_page_bytes() / 4096))
                drop(i);
        give_back();
        refuses_commit = true;
        for (size_t i = 0; i < count; i++)
            if (blocks[i].start)
                drop(i);
        give_back();
        refuses_commit = false;
        for (size_t i = 0; i < count; i++)
            fill(i, block_bytes);
        CHECK(arena_figures(arena).granted_bytes <= granted); /* the same slabs serve again */
        for (size_t i = 0; i < count; i++)
            if (round || i % 50)
                drop(i);
        give_back();
        refuses_commit = true;
        fallow_arena_destroy(arena);
        memset(blocks, 0, sizeof blocks);
        refuses_commit = false;
    }
    fallow_process_figures after = process_figures();
    CHECK_EQUAL(after.ready_bytes - after.meta_bytes, before.ready_bytes - before.meta_bytes);
}

/* A slab in a span that is longer than slabs of its class need: what a large block left behind. */
static void *fill_in_long_spans(void *unused) {
    enum { LONG = 4 };
    void *large[LONG];
    (void)unused;
    for (int i = 0; i < LONG; i++)
        CHECK((large[i] = fallow_arena_alloc(arena, (size_t)272 << 10)) != NULL);
    for (int i = 0; i < LONG; i++)
        fallow_arena_free(arena, large[i]);
    for (size_t i = 0; i < count; i++)
        fill(i, block_bytes);
    return NULL;
}

static void purge_of_slabs_in_long_spans(void) {
    block_bytes = 20480;
    count = 60;
    arena = fallow_arena_create("long", 0);
    in_a_thread(fill_in_long_spans);
    for (size_t i = 0; i < count; i++)
        if (i % 4)
            drop(i);
    give_back();
    for (size_t i = 0; i < count; i++)
        if (blocks[i].start)
            verify(i);
    for (size_t i = 0; i < count; i++)
        if (blocks[i].start)
            drop(i);
    fallow_arena_destroy(arena);
}

/* Until nothing is left to do for them, with the time that makes an arena quiet before. */
static void tick_to_the_end(void) {
    for (int ticks = 0; fallow_tick() || ticks < 25; ticks++) {
        CHECK(ticks < 5000);
        usleep(20000);
    }
}

static size_t ready_bytes(void) {
    return fallow_arena_read(arena).ready_bytes;
}

static void work_and_tick(int ticks) {
    while (ticks-- > 0) {
        uint64_t end_ns = fl_system_now_ns() + UINT64_C(20000000);
        while (fl_system_now_ns() < end_ns)
            ;
        fallow_tick();
    }
}

/* An eighth is idle: too little to split huge pages for while the program is at work. Ticks have something
 * left until it rests, and then that goes. */
static void purge_of_huge_pages_waits_for_a_rest(void) {
    arena = fallow_arena_create("huge", 0);
    count = BLOCKS_MAX;
    block_bytes = 4096;
    in_a_thread(fill_all);
    size_t wanted = ready_bytes() - count * block_bytes / 16;
    for (size_t i = 0; i < count; i++)
        if ((uintptr_t)blocks[i].start % (2 << 20) < 256 << 10)
            drop(i);
    work_and_tick(80);
    for (int ticks = 0; ready_bytes() > wanted; ticks++) {
        CHECK(ticks < 1000);
        CHECK(fallow_tick());
        usleep(20000);
    }
    fallow_arena_destroy(arena);
}

#define SMALL_BLOCKS ((size_t)1 << 19)
static void **small_blocks;

static void *fill_small(void *unused) {
    (void)unused;
    for (size_t i = 0; i < SMALL_BLOCKS; i++) {
        CHECK((small_blocks[i] = fallow_arena_alloc(arena, 256)) != NULL);
        memset(small_blocks[i], 1, 256);
    }
    return NULL;
}

static void drop_small(size_t part, size_t parts) {
    for (size_t i = 0; i < SMALL_BLOCKS; i++)
        if (i / 64 % parts == part)
            fallow_arena_free(arena, small_blocks[i]);
}

/* One tick looks at no more than a few purged slabs; it says so as long as it has not looked at all since the
 * last free. */
static void purge_ticks_look_at_all(void) {
    CHECK((arena = fallow_arena_create("ticks", 0)) != NULL);
    CHECK((small_blocks = malloc(SMALL_BLOCKS * sizeof *small_blocks)) != NULL);
    in_a_thread(fill_small);
    drop_small(1, 2);
    tick_to_the_end();
    drop_small(0, 4);
    tick_to_the_end();
    CHECK(fl_scavenger_give_back(&fl_arena_find(arena)->pages, SIZE_MAX, FL_CAUSE_REQUEST, true) < (size_t)1
                                                                                                       << 20);
    free(small_blocks);
    fallow_arena_destroy(arena);
}

/* Threads allocate and free, also each other's, while everything is purged all the time. */
static _Atomic bool stop;
#define SHARED 4096
static _Atomic(unsigned char *) shared[SHARED];

static void *purge_all_the_time(void *unused) {
    (void)unused;
    while (!atomic_load(&stop))
        give_back();
    return NULL;
}

static void *swap_blocks(void *argument) {
    uint64_t random = (uint64_t)(uintptr_t)argument;
    for (int i = 0; i < 60000; i++) {
        size_t bytes = 16 + check_random(&random) % (i % 50 ? 2000 : 60000);
        unsigned char *block = fallow_arena_alloc(arena, bytes), *old;
        CHECK(block);
        unsigned char mark = (unsigned char)(bytes * 31);
        memset(block, mark, bytes);
        memcpy(block, &bytes, sizeof bytes);
        old = atomic_exchange(&shared[check_random(&random) % SHARED], block);
        if (!old)
            continue;
        memcpy(&bytes, old, sizeof bytes);
        for (size_t k = sizeof bytes; k < bytes; k++)
            CHECK_EQUAL(old[k], (unsigned char)(bytes * 31));
        fallow_arena_free(arena, old);
    }
    return NULL;
}

static void purge_while_threads_are_at_work(void) {
    pthread_t purger, threads[3];
    arena = fallow_arena_create("stress", 0);
    atomic_store(&stop, false);
    CHECK_EQUAL(pthread_create(&purger, NULL, purge_all_the_time, NULL), 0);
    for (int round = 0; round < 3; round++) {
        for (uintptr_t i = 0; i < 3; i++)
            CHECK_EQUAL(
                pthread_create(&threads[i], NULL, swap_blocks, (void *)(seed + 10 * (uintptr_t)round + i)),
                0);
        for (int i = 0; i < 3; i++)
            CHECK_EQUAL(pthread_join(threads[i], NULL), 0);
    }
    atomic_store(&stop, true);
    CHECK_EQUAL(pthread_join(purger, NULL), 0);
    for (int i = 0; i < SHARED; i++)
        fallow_arena_free(arena, atomic_exchange(&shared[i], NULL));
    give_back();
    fallow_arena_destroy(arena);
}

int main(int argc, char **argv) {
    seed = check_seed(argc, argv);
    RUN(purge_every_size);
    RUN(purge_is_in_the_ledger);
    RUN(purge_then_destroy);
    RUN(purge_refused_loses_no_block);
    RUN(purge_then_no_commit);
    RUN(purge_of_slabs_in_long_spans);
    RUN(purge_of_huge_pages_waits_for_a_rest);
    RUN(purge_ticks_look_at_all);
    RUN(purge_while_threads_are_at_work);
    return 0;
}
