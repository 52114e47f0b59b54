/* SPDX-License-Identifier: MIT */
/*
 * A fuzz target over arenas: a sequence of calls, by two threads in turn, against a model that knows each
 * block's place, size and contents and each arena's limit and parent. No two blocks overlap; contents and
 * alignments are as promised; statistics and walks are the model's to the byte; and a request fails only
 * where the OS pages with live blocks, and those that it needs, are more than a limit: that of the arena
 * which fallow_arena_last_refusal names.
 */
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdbool.h>
#include <string.h>

#include "../lib/fuzz_main.h"
#include "../lib/reading.h"
#include "fallow/fallow.h"

#define ARENAS 8
#define BLOCKS 200
#define WHOLE_BYTES 4096 /* longer blocks are looked at here and there */

typedef struct block {
    unsigned char *start;
    size_t bytes; /* usable */
    unsigned arena;
    unsigned char fill;
} block;

static struct {
    fallow_arena *arena; /* NULL: there is none here */
    int parent;          /* -1: none */
    size_t limit;        /* 0: none */
    bool exceeded;       /* when it was set, more was live */
} arenas[ARENAS];
static block blocks[BLOCKS];
static size_t block_count;
static unsigned fills;
static size_t page_bytes;

static bool is_below(unsigned which, unsigned above) {
    for (int i = (int)which; i >= 0; i = arenas[i].parent)
        if (i == (int)above)
            return true;
    return false;
}

/* Every byte of a small block, of others at the ends and between. */
static size_t stride(size_t bytes) {
    return bytes <= WHOLE_BYTES ? 1 : bytes / 61;
}

static void fill(block *it) {
    it->fill = (unsigned char)(fills++ % 255 + 1);
    memset(it->start, it->fill, it->bytes);
}

static void look_at(const block *it, size_t bytes) {
    for (size_t i = 0; i < bytes; i += stride(bytes))
        CHECK_EQUAL(it->start[i], it->fill);
    if (bytes)
        CHECK_EQUAL(it->start[bytes - 1], it->fill);
}

static void came(unsigned arena, unsigned char *start, size_t wanted) {
    size_t bytes = fallow_arena_usable_bytes(start);
    CHECK(bytes >= wanted);
    CHECK_EQUAL((uintptr_t)start % 16, 0);
    CHECK(fallow_arena_of(start) == arenas[arena].arena);
    for (size_t i = 0; i < block_count; i++)
        CHECK(start + bytes <= blocks[i].start || blocks[i].start + blocks[i].bytes <= start);
    blocks[block_count] = (block){start, bytes, arena, 0};
    fill(&blocks[block_count++]);
}

/* Pages. */

static int by_first(const void *one, const void *other) {
    uintptr_t a = *(const uintptr_t *)one, b = *(const uintptr_t *)other;
    return a < b ? -1 : a > b;
}

/* Of OS pages that hold a live block of the arena or of one below it. */
static size_t live_bytes(unsigned arena) {
    static uintptr_t runs[BLOCKS][2];
    size_t count = 0, pages = 0;
    uintptr_t end = 0;
    for (size_t i = 0; i < block_count; i++)
        if (is_below(blocks[i].arena, arena)) {
            runs[count][0] = (uintptr_t)blocks[i].start / page_bytes;
            runs[count++][1] = ((uintptr_t)blocks[i].start + blocks[i].bytes - 1) / page_bytes + 1;
        }
    qsort(runs, count, sizeof runs[0], by_first);
    for (size_t i = 0; i < count; i++) {
        uintptr_t first = runs[i][0] > end ? runs[i][0] : end;
        if (runs[i][1] > first)
            pages += runs[i][1] - first, end = runs[i][1];
    }
    return pages * page_bytes;
}

static size_t up(size_t bytes, size_t multiple) {
    return (bytes + multiple - 1) / multiple * multiple;
}

/* Sizes are rounded up by a quarter at most; and what lies before a block in its first page is not known. */
static size_t needed_bytes(size_t alignment, size_t bytes) {
    size_t run = page_bytes > 16384 ? page_bytes : 16384;
    size_t rounded = up(up(bytes ? bytes : 1, alignment), 16);
    if (rounded > 128 << 10 || alignment > 4096)
        return up(rounded, run) + (alignment > 16384 ? alignment : 0);
    rounded += rounded / 4;
    return up(rounded > 128 << 10 ? 128 << 10 : rounded, page_bytes) + page_bytes;
}

/* May a request fail? Whose limit it was has to be one that is in its way. */
static void expect_refused(unsigned arena, size_t alignment, size_t bytes) {
    const fallow_arena *whose = NULL;
    fallow_refused_by by = fallow_arena_last_refusal(arenas[arena].arena, &whose);
    size_t needed = needed_bytes(alignment, bytes);
    CHECK_EQUAL(errno, ENOMEM);
    if (bytes > (size_t)1 << 40)
        return;
    for (int i = (int)arena; i >= 0; i = arenas[i].parent)
        if (arenas[i].limit && live_bytes((unsigned)i) + needed > arenas[i].limit &&
            (whose == arenas[i].arena || by == FALLOW_REFUSED_BY_SIZE))
            return;
    fprintf(stderr, "%zu bytes aligned to %zu refused by %d, which need %zu:", bytes, alignment, (int)by,
            needed);
    for (int i = (int)arena; i >= 0; i = arenas[i].parent)
        fprintf(stderr, " live %zu limit %zu ready %zu%s", live_bytes((unsigned)i), arenas[i].limit,
                arena_figures(arenas[i].arena).ready_bytes, whose == arenas[i].arena ? " (its)" : "");
    fputs("\n", stderr);
    CHECK(!"refused though it fits");
}

/* Calls. */

static void create(fuzz_rest *from) {
    unsigned which = 0;
    while (which < ARENAS && arenas[which].arena)
        which++;
    if (which == ARENAS)
        return;
    unsigned how = fuzz_byte(from), parent = fuzz_byte(from) % (2 * ARENAS);
    size_t limit = how & 1 ? (size_t)(how >> 4) * 65536 + 16384 : 0;
    fallow_arena_options options = {.name = "fuzz",
                                    .limit_bytes = limit,
                                    .soft_limit_bytes = how & 2 ? 1 << 18 : 0,
                                    .idle_max_bytes = how & 4 ? 1 << 16 : 0,
                                    .give_back = (fallow_give_back_policy)((how >> 3) % 3),
                                    .flags = how & 128 ? FALLOW_ARENA_ONE_THREAD : 0};
    bool has_parent = parent < ARENAS && arenas[parent].arena;
    options.parent = has_parent ? arenas[parent].arena : NULL;
    arenas[which].arena = fallow_arena_create_with(&options);
    CHECK(arenas[which].arena);
    arenas[which].parent = has_parent ? (int)parent : -1;
    arenas[which].limit = limit;
    arenas[which].exceeded = false;
}

static void forget_blocks(unsigned arena, bool all_below) {
    for (size_t i = block_count; i-- > 0;)
        if (blocks[i].arena == arena || (all_below && is_below(blocks[i].arena, arena)))
            blocks[i] = blocks[--block_count];
}

static void destroy(unsigned arena) {
    bool goes[ARENAS];
    forget_blocks(arena, true);
    fallow_arena_destroy(arenas[arena].arena);
    for (unsigned i = 0; i < ARENAS; i++)
        goes[i] = is_below(i, arena);
    for (unsigned i = 0; i < ARENAS; i++)
        if (goes[i])
            arenas[i].arena = NULL, arenas[i].parent = -1;
}

static void set_limit(unsigned arena, size_t bytes) {
    fallow_arena_set_limits(arenas[arena].arena, 0, bytes);
    arenas[arena].limit = bytes ? up(bytes + 1, page_bytes) - page_bytes : 0;
    if (bytes && !arenas[arena].limit)
        arenas[arena].limit = page_bytes;
}

static void allocate(unsigned arena, unsigned how, fuzz_rest *from) {
    size_t bytes = fuzz_size(from, 12), alignment = 16, got = 0;
    fallow_arena *in = arenas[arena].arena;
    unsigned char *start;
    errno = 0;
    switch (how % 8) {
    case 0:
        start = fallow_arena_alloc_zeroed(in, bytes);
        break;
    case 1:
    case 2:
        alignment = (size_t)1 << fuzz_byte(from) % 18;
        start = fallow_arena_alloc_aligned(in, alignment, bytes);
        break;
    case 3:
        start = fallow_arena_alloc_zeroed_array(in, bytes, how >> 3);
        bytes *= how >> 3;
        break;
    case 4:
        start = fallow_arena_alloc_at_least(in, bytes, &got);
        CHECK(!start || got == fallow_arena_usable_bytes(start));
        break;
    case 5:
        if (how >> 3 == 31) {
            bytes = SIZE_MAX - bytes;
            CHECK(!fallow_arena_alloc(in, bytes) && errno == ENOMEM);
            return;
        }
        /* fall through */
    default:
        start = fallow_arena_alloc(in, bytes);
    }
    if (!start) {
        expect_refused(arena, alignment, bytes);
        return;
    }
    CHECK_EQUAL((uintptr_t)start % alignment, 0);
    for (size_t i = 0; i < bytes && (how % 8 == 0 || how % 8 == 3); i += stride(bytes))
        CHECK_EQUAL(start[i], 0);
    came(arena, start, bytes);
}

static void resize(block *it, unsigned how, fuzz_rest *from) {
    size_t bytes = fuzz_size(from, 12) + 1, alignment = 16, before = it->bytes;
    fallow_arena *in = arenas[it->arena].arena;
    unsigned char *start;
    errno = 0;
    if (how % 4 == 0) {
        bool done = fallow_arena_resize(in, it->start, bytes);
        CHECK(fallow_arena_usable_bytes(it->start) >= (done ? bytes : before));
        start = it->start;
    } else if (how % 4 == 1) {
        alignment = (size_t)1 << fuzz_byte(from) % 16;
        start = fallow_arena_realloc_aligned(in, it->start, alignment, bytes);
    } else
        start = fallow_arena_realloc(in, it->start, bytes);
    look_at(&(block){start ? start : it->start, 0, 0, it->fill}, start && bytes < before ? bytes : before);
    if (!start) {
        expect_refused(it->arena, alignment, bytes);
        return;
    }
    CHECK_EQUAL((uintptr_t)start % alignment, 0);
    unsigned arena = it->arena;
    *it = blocks[--block_count];
    came(arena, start, how % 4 == 0 ? 0 : bytes);
}

static void release(block *it, bool anywhere) {
    look_at(it, it->bytes);
    memset(it->start, 0xee, it->bytes);
    if (anywhere)
        fallow_free(it->start);
    else
        fallow_arena_free(arenas[it->arena].arena, it->start);
    *it = blocks[--block_count];
}

/* Figures. */

static size_t seen_blocks;

static bool see(void *context, void *start, size_t bytes) {
    size_t i = 0;
    while (i < block_count && blocks[i].start != start)
        i++;
    CHECK(i < block_count && blocks[i].bytes == bytes);
    CHECK(arenas[blocks[i].arena].arena == context);
    seen_blocks++;
    return true;
}

static void compare_figures(unsigned arena) {
    size_t count = 0, bytes = 0, live = live_bytes(arena);
    fallow_stats stats;
    for (size_t i = 0; i < block_count; i++)
        if (blocks[i].arena == arena)
            count++, bytes += blocks[i].bytes;
    seen_blocks = 0;
    CHECK(fallow_arena_walk(arenas[arena].arena, see, arenas[arena].arena));
    CHECK_EQUAL(seen_blocks, count);
    CHECK(fallow_arena_stats(arenas[arena].arena, &stats, sizeof stats));
    CHECK(stats.live_blocks >= count &&
          stats.live_bytes >= bytes); /* what is gathered is still live to who looks */
    fallow_arena_figures figures = arena_figures(arenas[arena].arena);
    CHECK(figures.ready_bytes >= live);
    CHECK(!arenas[arena].limit || arenas[arena].exceeded || figures.ready_bytes <= arenas[arena].limit);
    CHECK(figures.ready_peak_bytes >= figures.ready_bytes);
    CHECK_EQUAL(figures.limit_bytes, arenas[arena].limit);
}

static void one_call(fuzz_rest *from) {
    unsigned what = fuzz_byte(from), which = fuzz_byte(from);
    unsigned arena = which % ARENAS;
    while (!arenas[arena].arena)
        arena = (arena + 1) % ARENAS;
    switch (what % 32) {
    case 0:
        create(from);
        break;
    case 1:
        if (arena)
            destroy(arena);
        break;
    case 2:
        fallow_arena_reset(arenas[arena].arena, fuzz_size(from, 12));
        forget_blocks(arena, false);
        break;
    case 3:
        set_limit(arena, what >> 5 ? live_bytes(arena) + fuzz_size(from, 11) : 0);
        break;
    case 4:
        fallow_arena_give_back(arenas[arena].arena);
        break;
    case 5:
        fallow_tick();
        break;
    case 6:
    case 7:
        compare_figures(arena);
        break;
    case 8:
        fallow_arena_set_idle_max(arenas[arena].arena, fuzz_size(from, 12));
        break;
    default:
        if (what % 32 < 17 && block_count)
            release(&blocks[which % block_count], what & 64);
        else if (what % 32 < 21 && block_count)
            resize(&blocks[which % block_count], what >> 5, from);
        else if (block_count < BLOCKS)
            allocate(arena, fuzz_byte(from), from);
    }
    for (unsigned i = 0; i < ARENAS; i++) /* until that fits in again, nothing is said of it */
        arenas[i].exceeded = arenas[i].arena && arenas[i].limit && (arenas[i].exceeded || what % 32 == 3) &&
                             arena_figures(arenas[i].arena).ready_bytes > arenas[i].limit;
}

/* The other thread: makes a call when it is told to, while this one waits. */
static sem_t go, done;
static fuzz_rest *others;

static void *other_thread(void *unused) {
    for (;; sem_post(&done)) {
        while (sem_wait(&go))
            ;
        one_call(others);
    }
    return unused;
}

static void by_the_other(fuzz_rest *from) {
    static pthread_t thread;
    if (!thread) {
        CHECK(!sem_init(&go, 0, 0) && !sem_init(&done, 0, 0));
        CHECK_EQUAL(pthread_create(&thread, NULL, other_thread, NULL), 0);
    }
    others = from;
    sem_post(&go);
    while (sem_wait(&done))
        ;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count) {
    fuzz_rest from = {bytes, count};
    page_bytes = osmem_os_page_bytes();
    memset(arenas, 0, sizeof arenas);
    for (unsigned i = 0; i < ARENAS; i++)
        arenas[i].parent = -1;
    fills = 0;
    CHECK(arenas[0].arena = fallow_arena_create("fuzz", 0));
    while (from.left)
        if (fuzz_byte(&from) % 4)
            one_call(&from);
        else
            by_the_other(&from);
    for (unsigned i = 0; i < ARENAS; i++)
        if (arenas[i].arena)
            compare_figures(i);
    while (block_count && count % 2)
        release(&blocks[block_count - 1], false);
    for (unsigned i = 0; i < ARENAS; i++)
        if (arenas[i].arena)
            destroy(i);
    CHECK_EQUAL(block_count, 0);
    return 0;
}

#ifndef FUZZER
int main(int argc, char **argv) {
    fuzz_main(argc, argv, 300, 900);
    puts("ok api_fuzz_random_inputs");
    return 0;
}
#endif
