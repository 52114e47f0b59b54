/* SPDX-License-Identifier: MIT */
#include "purge.h"

#include "../arena/scavenger.h"
#include "../osmem/fatal.h"
#include "../osmem/system.h"
#include "arena_heaps.h"

#define BLOCKS_WORDS 64 /* a bit for each block of the fullest slab: 64 KiB of 16 bytes */
#define BATCH_SLABS 32
#define LOOKS_MAX 256 /* at purged slabs of a class in one tick, whether more of them can go */

static unsigned unit_shift(const fl_slab *slab) {
    return fl_classes[slab->size_class].unit_shift;
}

/* Bits [first, last] of a mask of units. */
static uint64_t unit_bits(size_t first, size_t last) {
    return (UINT64_MAX >> (63 - last)) & (UINT64_MAX << first);
}

/* The units that a block touches. */
static uint64_t units_of(const fl_slab *slab, uint32_t block) {
    size_t start = (size_t)block * slab->block_bytes;
    return unit_bits(start >> unit_shift(slab), (start + slab->block_bytes - 1) >> unit_shift(slab));
}

/* The blocks that touch a unit: [*first, *end), bounded by `limit`. */
static void blocks_of(const fl_slab *slab, size_t unit, uint32_t limit, uint32_t *first, uint32_t *end) {
    *first = (uint32_t)((unit << unit_shift(slab)) / slab->block_bytes);
    *end = (uint32_t)((((unit + 1) << unit_shift(slab)) - 1) / slab->block_bytes) + 1;
    *first = *first < limit ? *first : limit;
    *end = *end < limit ? *end : limit;
}

static size_t first_unit(uint64_t units) {
    return (size_t)__builtin_ctzll(units);
}

static size_t last_unit(uint64_t units) {
    return 63 - (size_t)__builtin_clzll(units);
}

/* Takes the lowest run off a mask of units, as a range of memory. */
static osmem_range take_range(const fl_slab *slab, uint64_t *units) {
    size_t first = first_unit(*units), end = first;
    while (end < 64 && *units >> end & 1)
        end++;
    *units &= ~unit_bits(first, end - 1);
    return (osmem_range){slab->start + (first << unit_shift(slab)), (end - first) << unit_shift(slab)};
}

/* Units from away to Ready; what is done when the memory for one is refused stays done. */
static bool ready_units(fl_slab *slab, uint64_t units) {
    osmem_stat *stat = &slab->arena->pages.stat;
    for (uint64_t rest = units & slab->away; rest;) {
        uint64_t before = rest;
        osmem_range range = take_range(slab, &rest);
        if (osmem_used(range.start, range.bytes, range.bytes, stat) != OSMEM_OK)
            return false;
        slab->away &= ~(before & ~rest);
        atomic_fetch_sub_explicit(&slab->arena->pages.away_bytes, range.bytes, memory_order_relaxed);
    }
    return true;
}

bool fl_slab_make_ready(fl_slab *slab, uint32_t first, uint32_t end) {
    return ready_units(slab,
                       unit_bits(first_unit(units_of(slab, first)), last_unit(units_of(slab, end - 1))));
}

void fl_slab_restore(fl_slab *slab) {
    if (slab->away && !ready_units(slab, slab->away))
        fl_fatal("return of", slab->start, "the back end refused pages that it had given");
}

static void push_free(fl_slab *slab, size_t index) {
    char *block = slab->start + index * slab->block_bytes;
    fl_link_set(block, slab->free);
    slab->free = block;
}

/* Units have come back: blocks that touch them, and nothing that is away, go into the free list, the lowest first. */
static void free_blocks_of(fl_slab *slab, uint64_t units) {
    uint32_t first, end, ignored;
    blocks_of(slab, first_unit(units), slab->carved, &first, &ignored);
    blocks_of(slab, last_unit(units), slab->carved, &ignored, &end);
    while (end-- > first) {
        uint64_t touched = units_of(slab, end);
        if (!(touched & units) || (touched & slab->away))
            continue;
        push_free(slab, end);
    }
}

bool fl_slab_carve_away(fl_slab *slab) {
    size_t unit = first_unit(slab->away);
    uint32_t first, end;
    blocks_of(slab, unit, slab->carved, &first, &end);
    if (first == end)
        return false; /* it lies behind what is carved */
    uint64_t before = slab->away;
    if (!ready_units(slab, units_of(slab, first) | UINT64_C(1) << unit))
        return false;
    free_blocks_of(slab, before & ~slab->away);
    return true;
}

/* Takes the list of what others freed of a claimed slab. Returns its word as it was. */
static fl_word take_pushed(fl_slab *slab) {
    fl_word word = atomic_load_explicit(&slab->word, memory_order_relaxed), taken;
    do
        taken = word & ~(FL_WORD_HEAD_MASK << FL_WORD_HEAD_SHIFT);
    while (!atomic_compare_exchange_weak_explicit(&slab->word, &word, taken, memory_order_acquire,
                                                  memory_order_relaxed));
    return word;
}

/* The blocks of a slab by bits. */
typedef struct blocks {
    uint64_t free[BLOCKS_WORDS];
    uint64_t live[BLOCKS_WORDS];
} blocks;

/* The free list follows no order: it is walked faster with all of the slab in the cache, and reading ahead in order is
 * what brings it there (a prefetch instruction measured no better than nothing). What is away is not touched; what is
 * read of live blocks, while their owners may write, is thrown away. */
__attribute__((no_sanitize("thread", "address"))) static void read_through(const fl_slab *slab) {
    const volatile char *block = slab->start;
    size_t step = slab->block_bytes > 64 ? slab->block_bytes : 64;
    size_t bytes = (size_t)slab->carved * slab->block_bytes;
    for (size_t at = 0; at < bytes; at += step)
        if (!(slab->away >> (at >> unit_shift(slab)) & 1))
            (void)block[at];
}

/* Marks the blocks of a list. */
static void mark_free(const fl_slab *slab, const char *block, blocks *blocks) {
    uint64_t inverse = fl_classes[slab->size_class].inverse;
    for (; block != FL_LIST_END; block = fl_link_get(block)) {
        size_t index = ((size_t)(block - slab->start) * inverse) >> FL_CLASS_INVERSE_SHIFT;
        if (index >= slab->carved)
            fl_fatal("purge of", block, "not a block of its slab (found in the list of free blocks)");
        uint64_t bit = UINT64_C(1) << (index % 64);
        if (blocks->free[index / 64] & bit)
            fl_fatal("free of", block, "freed twice (it is in the list of free blocks twice)");
        blocks->free[index / 64] |= bit;
    }
}

static void clear_blocks_of(const fl_slab *slab, uint64_t units, uint64_t *bits) {
    for (; units; units &= units - 1) {
        uint32_t first, end;
        blocks_of(slab, first_unit(units), slab->carved, &first, &end);
        fl_pagebits_clear(bits, first, end - first);
    }
}

/* Live is what is carved, and neither free nor away. */
static void find_live(const fl_slab *slab, blocks *blocks) {
    memset(blocks->live, 0, sizeof blocks->live);
    fl_pagebits_set(blocks->live, 0, slab->carved);
    for (size_t i = 0; i < BLOCKS_WORDS; i++)
        blocks->live[i] &= ~blocks->free[i];
    clear_blocks_of(slab, slab->away, blocks->live);
}

/* Units with no part of a live block in them that are not away yet. */
static uint64_t find_idle_units(const fl_slab *slab, const blocks *blocks) {
    size_t count = (slab->pages << FL_PAGE_SHIFT) >> unit_shift(slab);
    uint64_t idle = 0;
    for (size_t unit = 0; unit < count; unit++) {
        uint32_t first, end;
        blocks_of(slab, unit, slab->carved, &first, &end);
        if (fl_pagebits_next_set(blocks->live, first, end) == end)
            idle |= UINT64_C(1) << unit;
    }
    return idle & ~slab->away;
}

/* The free list again, lowest first. */
static void relink(fl_slab *slab, const uint64_t *free) {
    slab->free = FL_LIST_END;
    for (size_t word = BLOCKS_WORDS; word-- > 0;)
        for (uint64_t rest = free[word]; rest;) {
            size_t bit = last_unit(rest);
            rest &= ~(UINT64_C(1) << bit);
            push_free(slab, word * 64 + bit);
        }
}

typedef struct purge_batch {
    fl_slab *slabs[BATCH_SLABS];
    size_t slab_count;
    osmem_range ranges[FL_BATCH_RANGES];
    fl_slab *slab_of[FL_BATCH_RANGES];
    size_t range_count;
} purge_batch;

/* The batch's ranges to the system; those that it refuses are Ready still, and their blocks free. */
static void give_ranges(struct fallow_arena *arena, purge_batch *batch, fl_cause cause) {
    size_t done = 0, bytes = 0;
    uint64_t started_ns = fl_system_now_ns();
    if (batch->range_count == 0)
        return;
    osmem_result result = osmem_unused_ranges(batch->ranges, batch->range_count, &done, &arena->pages.stat);
    (void)result; /* `done` says it all */
    for (size_t i = 0; i < batch->range_count; i++) {
        fl_slab *slab = batch->slab_of[i];
        size_t first = (size_t)((char *)batch->ranges[i].start - slab->start) >> unit_shift(slab);
        uint64_t units = unit_bits(first, first + (batch->ranges[i].bytes >> unit_shift(slab)) - 1);
        if (i < done) {
            slab->away |= units;
            bytes += batch->ranges[i].bytes;
        } else
            free_blocks_of(slab, units);
    }
    atomic_fetch_add_explicit(&arena->pages.away_bytes, bytes, memory_order_relaxed);
    fl_arena_given(&arena->pages, cause, batch->ranges, done, started_ns);
    batch->range_count = 0;
}

/* One claimed slab: what of it can go, into the batch or, where that is full, to the system first. */
static void purge(fl_slab *slab, purge_batch *batch, fl_cause cause) {
    blocks blocks;
    fl_word word = take_pushed(slab);
    slab->purged_live = fl_word_live(word);
    memset(blocks.free, 0, sizeof blocks.free);
    read_through(slab);
    mark_free(slab, slab->free, &blocks);
    if (fl_word_head(word))
        mark_free(slab, slab->start + (size_t)(fl_word_head(word) - 1) * 16, &blocks);
    find_live(slab, &blocks);
    uint64_t idle = find_idle_units(slab, &blocks);
    clear_blocks_of(slab, idle, blocks.free);
    relink(slab, blocks.free);
    for (uint64_t rest = idle; rest;) {
        if (batch->range_count == FL_BATCH_RANGES)
            give_ranges(slab->arena, batch, cause);
        batch->slab_of[batch->range_count] = slab;
        batch->ranges[batch->range_count++] = take_range(slab, &rest);
    }
}

/* Returns true where the deadline came before the end. */
static bool purge_class(struct fallow_arena *arena, unsigned size_class, fl_cause cause,
                        uint64_t deadline_ns) {
    purge_batch batch = {.range_count = 0};
    unsigned looks = LOOKS_MAX;
    while ((batch.slab_count =
                fl_slabs_claim_listed(arena, size_class, cause, &looks, batch.slabs, BATCH_SLABS)) > 0) {
        for (size_t i = 0; i < batch.slab_count; i++)
            purge(batch.slabs[i], &batch, cause);
        give_ranges(arena, &batch, cause);
        for (size_t i = 0; i < batch.slab_count; i++)
            fl_slab_settle(batch.slabs[i], NULL);
        if (fl_scavenger_time_is_up(deadline_ns))
            return true;
    }
    return false;
}

bool fl_purge_listed(struct fallow_arena *arena, fl_cause cause, uint64_t deadline_ns) {
    bool left = false;
    for (unsigned size_class = 0; size_class < FL_CLASS_COUNT && !left; size_class++)
        if (atomic_load_explicit(&arena->listed_count, memory_order_relaxed))
            left = purge_class(arena, size_class, cause, deadline_ns);
    return left;
}
