/* SPDX-License-Identifier: MIT */
#include "purge.h"

#include <limits.h>

#include "../arena/charge.h"
#include "../arena/chunks.h"
#include "../arena/scarce.h"
#include "../arena/scavenge.h"
#include "../arena/scavenger.h"
#include "../system/fatal.h"
#include "../system/system.h"
#include "abandoned.h"
#include "liveblocks.h"
#include "pushes.h"
#include "tally.h"
#include "units.h"

#define BATCH_SLABS 32
#define LOOKS_MAX 256 /* how often in one tick to look whether more of a class's purged slabs can go */

/* Counts the set bits of [first, end). */
static uint32_t count_bits(const uint64_t *bits, uint32_t first, uint32_t end) {
    uint32_t count = 0;
    while (first < end) {
        uint32_t part = 64 - first % 64 < end - first ? 64 - first % 64 : end - first;
        count += (uint32_t)__builtin_popcountll(bits[first / 64] >> (first % 64) << (64 - part));
        first += part;
    }
    return count;
}

/* Finds the units that hold no part of a live block and are not decommitted yet; counts how many live blocks
 * touch each unit, and, as *least, each of those that are not idle, at least. (Apart, for the stack.) */
static __attribute__((noinline)) uint64_t find_idle_units(const fl_slab *slab, const fl_blocks *blocks,
                                                          uint32_t *live_in, uint32_t *least) {
    size_t count = (slab->pages << FL_PAGE_SHIFT) >> fl_unit_shift(slab);
    FL_ASSERT(count <= 64);
    uint64_t idle = 0;
    *least = slab->capacity;
    for (size_t unit = 0; unit < count; unit++) {
        uint32_t first, end;
        fl_unit_blocks(slab, unit, slab->carved, &first, &end);
        live_in[unit] = count_bits(blocks->live, first, end);
        if (live_in[unit] == 0)
            idle |= UINT64_C(1) << unit;
        else if (live_in[unit] < *least)
            *least = live_in[unit];
    }
    return idle & ~slab->decommitted;
}

typedef struct purge_batch {
    fl_slab *slabs[BATCH_SLABS];
    size_t slab_count;
    uint64_t refused[BATCH_SLABS]; /* units of each that the system did not take */
    osmem_range ranges[FL_BATCH_RANGES];
    size_t slab_of[FL_BATCH_RANGES];
    size_t range_count;
    fl_blocks blocks;     /* of the slab being looked at */
    uint32_t live_in[64]; /* how many of them each unit has */
} purge_batch;

_Static_assert(sizeof(purge_batch) <= sizeof((fl_workspace *)NULL)->blocks, "it has a place");

/* Gives the batch's ranges to the system. A block may lie in several ranges of a slab, so which blocks are
 * free is known only when all of them are through. */
static void give_ranges(struct fallow_arena *arena, purge_batch *batch, fl_cause cause) {
    if (batch->range_count == 0)
        return;
    size_t bytes = 0;
    uint64_t started_ns = fl_system_now_ns(), kept;
    uint64_t went = fl_ranges_unused(&arena->pages, batch->ranges, batch->range_count, &kept);
    for (size_t i = 0; i < batch->range_count; i++) {
        fl_slab *slab = batch->slabs[batch->slab_of[i]];
        size_t first = (size_t)((char *)batch->ranges[i].start - slab->start) >> fl_unit_shift(slab);
        uint64_t units = fl_unit_bits(first, first + (batch->ranges[i].bytes >> fl_unit_shift(slab)) - 1);
        if (went >> i & 1) {
            fl_slab_set_filled(slab, false);
            slab->decommitted |= units;
            bytes += batch->ranges[i].bytes;
        } else
            batch->refused[batch->slab_of[i]] |= units;
    }
    fl_lock_take(&arena->pages.lock);
    fl_pagearena_count(&arena->pages.decommitted_bytes, bytes, true);
    fl_pagearena_count_ready(&arena->pages, bytes, false);
    fl_lock_drop(&arena->pages.lock);
    fl_pagearena_given(&arena->pages, cause, batch->ranges, went, started_ns);
    batch->range_count = 0;
}

/* Gathers into the batch what of one claimed slab can go; if the batch is full, gives it to the system
 * first. */
static void purge(size_t index, purge_batch *batch, fl_cause cause) {
    fl_slab *slab = batch->slabs[index];
    fl_blocks *blocks = &batch->blocks;
    fl_word word = fl_slab_take_pushed(slab);
    uint32_t live = fl_word_live(word), least;
    slab->purged_live = live;
    fl_blocks_find(slab, fl_word_head(word), blocks);
    uint64_t idle = find_idle_units(slab, blocks, batch->live_in, &least);
    if (live > 0)
        atomic_store_explicit(&slab->idle_below, live - least, memory_order_relaxed);
    if (fl_pagearena_is_scarce(&slab->arena->pages)) {
        fl_tally_set(slab, batch->live_in);
        slab->tallied = true;
    }
    fl_blocks_clear(slab, idle, blocks->free);
    fl_slab_relink(slab, blocks->free);
    batch->refused[index] = 0;
    for (uint64_t rest = idle; rest;) {
        if (batch->range_count == FL_BATCH_RANGES)
            give_ranges(slab->arena, batch, cause);
        batch->slab_of[batch->range_count] = index;
        batch->ranges[batch->range_count++] = fl_units_take_range(slab, &rest);
    }
}

static purge_batch *batch_of(struct fallow_arena *arena) {
    FL_ASSERT_AT(2, fl_upkeep_is_mine(&arena->pages.upkeep));
    return (purge_batch *)arena->pages.upkeep.workspace->blocks;
}

static void begin_batch(purge_batch *batch) {
    batch->slab_count = batch->range_count = 0;
}

static void end_batch(struct fallow_arena *arena, purge_batch *batch, fl_cause cause) {
    give_ranges(arena, batch, cause);
    for (size_t i = 0; i < batch->slab_count; i++) {
        if (batch->refused[i]) /* still Ready, and its blocks free */
            fl_units_free_blocks(batch->slabs[i], batch->refused[i]);
        fl_slab_settle(batch->slabs[i], NULL);
    }
}

/* Returns true if the deadline came before the end. *looked_at_all becomes false if the looks were used
 * up. */
static bool purge_class(struct fallow_arena *arena, unsigned size_class, fl_cause cause, uint64_t deadline_ns,
                        bool *looked_at_all) {
    purge_batch *batch = batch_of(arena);
    fl_purge_turn turn = {cause == FL_CAUSE_REQUEST ? UINT_MAX : LOOKS_MAX, arena->purge_round};
    for (begin_batch(batch); (batch->slab_count = fl_slabs_claim_listed(arena, size_class, cause, &turn,
                                                                        batch->slabs, BATCH_SLABS)) > 0;) {
        for (size_t i = 0; i < batch->slab_count; i++)
            purge(i, batch, cause);
        end_batch(arena, batch, cause);
        if (fl_scavenger_time_is_up(deadline_ns))
            return true;
    }
    *looked_at_all &= turn.looks > 0;
    return false;
}

static size_t bytes_of_ranges(const purge_batch *batch) {
    size_t bytes = 0;
    for (size_t i = 0; i < batch->range_count; i++)
        bytes += batch->ranges[i].bytes;
    return bytes;
}

/* Purges in pages [*page, end) of the window, until all that has ever been given for the cause is `enough`;
 * *page becomes where to go on. */
static void purge_pages(struct fallow_arena *arena, size_t *page, size_t end, fl_cause cause,
                        uint64_t enough) {
    purge_batch *batch = batch_of(arena);
    _Atomic uint64_t *given = &arena->pages.given_bytes[cause];
    begin_batch(batch);
    while (*page < end && *given + bytes_of_ranges(batch) < enough) {
        fl_slab *slab;
        if (batch->slab_count == BATCH_SLABS) {
            end_batch(arena, batch, cause);
            begin_batch(batch);
        }
        if (fl_slabs_claim_in(cause == FL_CAUSE_LIMIT ? &arena->pages : NULL, page, end, &slab, 1) == 0)
            break;
        if (slab->arena != arena) {
            fl_slab_settle(slab, NULL);
            continue;
        }
        batch->slabs[batch->slab_count++] = slab;
        purge(batch->slab_count - 1, batch, cause);
    }
    end_batch(arena, batch, cause);
}

/* For a limit: purges slabs, listed or not, where something has changed, until enough has gone. */
static void purge_changed(struct fallow_arena *arena) {
    uint64_t groups, enough = arena->pages.given_bytes[FL_CAUSE_LIMIT] + arena->pages.wanted_bytes;
    for (fl_region *region; arena->pages.given_bytes[FL_CAUSE_LIMIT] < enough &&
                            (region = fl_scarce_next(&arena->pages, &groups)) != NULL;) {
        size_t base = fl_region_index(region) * FL_REGION_PAGES;
        while (groups && arena->pages.given_bytes[FL_CAUSE_LIMIT] < enough) {
            size_t first = fl_unit_first(groups), end = first + 1; /* a run of groups at a time */
            while (end < 64 && groups >> end & 1)
                end++;
            size_t page = base + first * FL_GROUP_PAGES;
            purge_pages(arena, &page, base + end * FL_GROUP_PAGES, FL_CAUSE_LIMIT, enough);
            size_t behind = (page - base) / FL_GROUP_PAGES; /* the first not looked at to its end */
            if (behind > first)
                groups &= ~fl_unit_bits(first, behind - 1);
        }
        if (groups)
            fl_scarce_put_back(&arena->pages, region, groups);
    }
    fl_scarce_look_ends(&arena->pages);
}

/* Purges slabs with too few free blocks for a list: for a request to give back all that can go. */
static void purge_floating(struct fallow_arena *arena) {
    for (size_t index = 0;; index++) {
        size_t first, end = 0;
        fl_lock_take(&arena->pages.lock);
        const fl_region *region = fl_pagetree_next(&arena->pages.tree, index);
        fl_chunks mapped = region ? region->mapped : 0;
        fl_lock_drop(&arena->pages.lock);
        if (!region)
            return;
        index = fl_region_index(region);
        while (end < FL_REGION_CHUNKS && fl_next_chunks(mapped, end, &first, &end))
            for (size_t page = index * FL_REGION_PAGES + first * FL_CHUNK_PAGES,
                        last = index * FL_REGION_PAGES + end * FL_CHUNK_PAGES;
                 page < last;)
                purge_pages(arena, &page, last, FL_CAUSE_REQUEST, UINT64_MAX);
    }
}

/* After so many ticks, all that is listed has been looked at, however it is spread over classes. What was
 * freed meanwhile may lie behind that look: then it starts again. */
static bool has_more_to_look_at(struct fallow_arena *arena, bool looked_at_all) {
    uint32_t listed = atomic_load_explicit(&arena->listed_count, memory_order_relaxed);
    bool *gained = &arena->pages.upkeep.gained;
    if (looked_at_all || (!*gained && arena->purge_ticks >= listed / LOOKS_MAX))
        arena->purge_ticks = 0;
    else
        arena->purge_ticks = *gained ? 1 : arena->purge_ticks + 1;
    *gained = false;
    return arena->purge_ticks > 0;
}

bool fl_purge_listed(struct fallow_arena *arena, fl_cause cause, uint64_t deadline_ns) {
    bool left = false, looked_at_all = true;
    arena->purge_round++;
    if (cause == FL_CAUSE_LIMIT) {
        purge_changed(arena);
        return false;
    }
    if (cause == FL_CAUSE_REQUEST)
        purge_floating(arena);
    for (unsigned size_class = 0; size_class < FL_CLASS_COUNT && !left; size_class++)
        if (atomic_load_explicit(&arena->listed_count, memory_order_relaxed))
            left = purge_class(arena, size_class, cause, deadline_ns, &looked_at_all);
    return left || has_more_to_look_at(arena, looked_at_all);
}
