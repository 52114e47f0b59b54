/* SPDX-License-Identifier: MIT */
#include "purge.h"

#include <limits.h>

#include "../arena/charge.h"
#include "../arena/chunks.h"
#include "../arena/huge.h"
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

#define LOOKS_MAX 256 /* how often in one tick to look whether more of a class's purged slabs can go */

/*
 * Slabs that lie in the same huge page of 2 MiB, a stretch, are purged together: all are read before any part
 * of it goes. It is split then, and the first touch of each of its pages after that costs a miss in the
 * processor's table, and in a virtual machine more than its give-back. Without huge pages this is as good a
 * batch as any. What reaches into the next stretch goes there when the slab is claimed again, with that.
 */
#define STRETCH_PAGES (FL_REGION_PAGES / 2)
#ifndef FL_PURGE_SLABS
#define FL_PURGE_SLABS STRETCH_PAGES
#endif
#define BATCH_SLABS FL_PURGE_SLABS
#define BATCH_RANGES (2 * BATCH_SLABS) /* as many as a stretch can have with OS pages of 4 KiB */

_Static_assert(BATCH_SLABS <= UINT8_MAX + 1, "slab_of holds an index");

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
    osmem_range ranges[BATCH_RANGES];
    uint8_t slab_of[BATCH_RANGES];
    size_t range_count;
    size_t given;         /* so often ranges have been given */
    size_t page, end;     /* of the window: where to purge */
    fl_blocks blocks;     /* of the slab being looked at */
    uint32_t live_in[64]; /* how many of them each unit has */
} purge_batch;

_Static_assert(sizeof(purge_batch) <= sizeof((fl_workspace *)NULL)->blocks, "it has a place");

static uint64_t units_in(const fl_slab *slab, const osmem_range *range) {
    size_t first = (size_t)((char *)range->start - slab->start) >> fl_unit_shift(slab);
    return fl_unit_bits(first, first + (range->bytes >> fl_unit_shift(slab)) - 1);
}

/* Notes which of some ranges, from `at` on, went. Returns how many bytes did. */
static size_t note_went(purge_batch *batch, size_t at, size_t count, uint64_t went) {
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++) {
        const osmem_range *range = &batch->ranges[at + i];
        size_t index = batch->slab_of[at + i];
        fl_slab *slab = batch->slabs[index];
        if (went >> i & 1) {
            fl_slab_set_filled(slab, false);
            slab->decommitted |= units_in(slab, range);
            bytes += range->bytes;
        } else
            batch->refused[index] |= units_in(slab, range);
    }
    return bytes;
}

static void give_some(fl_pagearena *arena, purge_batch *batch, size_t at, size_t count, fl_cause cause) {
    uint64_t started_ns = fl_system_now_ns(), kept;
    uint64_t went = fl_ranges_unused(arena, batch->ranges + at, count, &kept);
    size_t bytes = note_went(batch, at, count, went);
    fl_lock_take(&arena->lock);
    fl_pagearena_count(&arena->decommitted_bytes, bytes, true);
    fl_pagearena_count_ready(arena, bytes, false);
    fl_lock_drop(&arena->lock);
    fl_pagearena_given(arena, cause, batch->ranges + at, went, started_ns);
}

/* Gives the batch's ranges to the system. A block may lie in several ranges of a slab, so which blocks are
 * free is known only when all of them are through. */
static void give_ranges(fl_pagearena *arena, purge_batch *batch, fl_cause cause) {
    for (size_t at = 0; at < batch->range_count; at += FL_BATCH_RANGES) {
        size_t rest = batch->range_count - at;
        give_some(arena, batch, at, rest < FL_BATCH_RANGES ? rest : FL_BATCH_RANGES, cause);
    }
    batch->range_count = 0;
    batch->given++;
}

/* Returns the units of a slab that lie where the batch purges. */
static uint64_t units_there(const fl_slab *slab, const purge_batch *batch) {
    size_t start = fl_page_of(slab->start), first = fl_larger(start, batch->page);
    size_t end = start + slab->pages < batch->end ? start + slab->pages : batch->end;
    if (first >= end)
        return 0;
    return fl_unit_bits(((first - start) << FL_PAGE_SHIFT) >> fl_unit_shift(slab),
                        (((end - start) << FL_PAGE_SHIFT) - 1) >> fl_unit_shift(slab));
}

/* Gathers into the batch what of one claimed slab can go; if the batch is full, gives it to the system
 * first. */
static void purge(size_t index, purge_batch *batch, fl_cause cause) {
    fl_slab *slab = batch->slabs[index];
    fl_blocks *blocks = &batch->blocks;
    fl_word word = fl_slab_take_pushed(slab);
    uint32_t live = fl_word_live(word), least;
    fl_blocks_find(slab, fl_word_head(word), blocks);
    uint64_t all_idle = find_idle_units(slab, blocks, batch->live_in, &least);
    uint64_t idle = all_idle & units_there(slab, batch);
    bool whole = idle == all_idle;
    slab->purged_live = whole ? live : FL_PURGED_IN_PART;
    if (live > 0)
        atomic_store_explicit(&slab->idle_below, whole ? live - least : FL_NOT_LOOKED_AT,
                              memory_order_relaxed);
    if (fl_pagearena_is_scarce(&slab->arena->pages)) {
        fl_tally_set(slab, batch->live_in);
        slab->tallied = true;
    }
    fl_blocks_clear(slab, idle, blocks->free);
    fl_slab_relink(slab, blocks->free);
    batch->refused[index] = 0;
    for (uint64_t rest = idle; rest;) {
        if (batch->range_count == BATCH_RANGES)
            give_ranges(&slab->arena->pages, batch, cause);
        batch->slab_of[batch->range_count] = (uint8_t)index;
        batch->ranges[batch->range_count++] = fl_units_take_range(slab, &rest);
    }
}

static purge_batch *batch_of(struct fallow_arena *arena) {
    FL_ASSERT_AT(2, fl_upkeep_is_mine(&arena->pages.upkeep));
    return (purge_batch *)arena->pages.upkeep.workspace->blocks;
}

static size_t bytes_of_ranges(const purge_batch *batch, size_t from) {
    size_t bytes = 0;
    for (size_t i = from; i < batch->range_count; i++)
        bytes += batch->ranges[i].bytes;
    return bytes;
}

static void begin_batch(purge_batch *batch) {
    batch->slab_count = batch->range_count = 0;
}

static void set_stretch(purge_batch *batch, size_t page, size_t end) {
    batch->page = page;
    batch->end = end;
}

static void end_batch(struct fallow_arena *arena, purge_batch *batch, fl_cause cause) {
    give_ranges(&arena->pages, batch, cause);
    for (size_t i = 0; i < batch->slab_count; i++) {
        if (batch->refused[i]) /* still Ready, and its blocks free */
            fl_units_free_blocks(batch->slabs[i], batch->refused[i]);
        fl_slab_settle(batch->slabs[i], NULL);
    }
}

/* Purges a slab that was just claimed. If the batch is full of slabs, it goes first. */
static void purge_claimed(struct fallow_arena *arena, purge_batch *batch, fl_slab *slab, fl_cause cause) {
    if (slab->arena != arena) {
        fl_slab_settle(slab, NULL);
        return;
    }
    if (batch->slab_count == BATCH_SLABS) {
        end_batch(arena, batch, cause);
        begin_batch(batch);
    }
    batch->slabs[batch->slab_count++] = slab;
    purge(batch->slab_count - 1, batch, cause);
}

/* Purges what is worth it in the batch's stretch, unless the time is up. Returns whether all of it was
 * read. */
static bool purge_stretch(struct fallow_arena *arena, purge_batch *batch, const fl_purge_turn *turn,
                          uint64_t deadline_ns) {
    size_t page = batch->page;
    while (!fl_scavenger_time_is_up(deadline_ns)) {
        fl_slab *slab = fl_slab_claim_in(&arena->pages, turn, &page, batch->end);
        if (!slab)
            return true;
        purge_claimed(arena, batch, slab, turn->cause);
    }
    return false;
}

/* Returns whether the stretch is a huge page that stays as it is, if so much in slabs could go. */
static bool is_to_stay(const purge_batch *batch, fl_pagearena *arena, size_t bytes) {
    fl_lock_take(&arena->lock);
    bool stays = fl_huge_is_to_stay(arena, fl_the_window.regions + batch->page / FL_REGION_PAGES,
                                    batch->page % FL_REGION_PAGES, bytes >> FL_PAGE_SHIFT);
    fl_lock_drop(&arena->lock);
    return stays;
}

/* Leaves a claimed slab as it is for the time being. */
static void spare(fl_slab *slab) {
    slab->purged_live = FL_SPARED;
    atomic_store_explicit(&slab->idle_below, FL_NOT_LOOKED_AT, memory_order_relaxed);
    slab->since_ms = fl_scavenger_ticked_ms();
    slab->partial = 1;
    slab->arena->pages.left_some = true;
}

static void spare_ranges(purge_batch *batch, size_t from) {
    for (size_t i = from; i < batch->range_count; i++) {
        size_t index = batch->slab_of[i];
        batch->refused[index] |= units_in(batch->slabs[index], &batch->ranges[i]);
        spare(batch->slabs[index]);
    }
    batch->range_count = from;
}

/* Returns at most how much could go of a claimed slab, and of those in the stretch that the turn would
 * claim. */
static size_t free_bytes_around(const fl_slab *slab, const fl_purge_turn *turn, size_t first, size_t end) {
    fl_word word = atomic_load_explicit(&slab->word, memory_order_relaxed);
    return fl_slab_free_bytes(slab, fl_word_live(word)) +
           fl_slab_free_bytes_in(&slab->arena->pages, turn, first, end);
}

/* Purges a slab that was just claimed, and what lies in the same stretch; in both, if it lies in two and has
 * been purged in part. So another claim of it finds no more than was freed since. */
static void purge_around(struct fallow_arena *arena, purge_batch *batch, fl_slab *slab, fl_purge_turn *turn,
                         uint64_t deadline_ns) {
    size_t first = fl_page_of(slab->start) / STRETCH_PAGES * STRETCH_PAGES, end = first + STRETCH_PAGES;
    bool in_part = slab->purged_live == FL_PURGED_IN_PART, spares = turn->spares && !in_part;
    if (in_part)
        while (end < fl_page_of(slab->start) + slab->pages)
            end += STRETCH_PAGES;
    set_stretch(batch, first, end);
    if (spares && is_to_stay(batch, &arena->pages, free_bytes_around(slab, turn, first, end))) {
        spare(slab); /* without a look at its blocks */
        fl_slab_settle(slab, NULL);
        turn->looks -= turn->looks > 0;
        return;
    }
    size_t given = batch->given, from = batch->range_count;
    purge_claimed(arena, batch, slab, turn->cause);
    bool all = purge_stretch(arena, batch, turn, deadline_ns);
    /* (If some has been given meanwhile, it is split.) */
    if (spares && all && batch->given == given &&
        is_to_stay(batch, &arena->pages, bytes_of_ranges(batch, from)))
        spare_ranges(batch, from);
}

static bool is_half_full(const purge_batch *batch) {
    return batch->slab_count > BATCH_SLABS / 2 || batch->range_count > BATCH_RANGES / 2;
}

/* Purges a class's listed slabs, and what lies in the same stretch as any. Returns true if the deadline came
 * before the end. *looked_at_all becomes false if the looks were used up. */
static bool purge_class(struct fallow_arena *arena, unsigned size_class, fl_cause cause, uint64_t deadline_ns,
                        bool *looked_at_all) {
    purge_batch *batch = batch_of(arena);
    unsigned looks = cause == FL_CAUSE_REQUEST ? UINT_MAX : LOOKS_MAX;
    fl_purge_turn turn = {cause, looks, arena->purge_round, arena->pages.unused_ms,
                          fl_pagearena_spares_huge(&arena->pages, cause)};
    bool late = false;
    begin_batch(batch);
    while (!late && turn.looks > 0) {
        fl_slab *slab = fl_slab_claim_listed(arena, size_class, &turn);
        if (!slab)
            break;
        purge_around(arena, batch, slab, &turn, deadline_ns);
        if (is_half_full(batch)) {
            end_batch(arena, batch, cause);
            begin_batch(batch);
        }
        late = fl_scavenger_time_is_up(deadline_ns);
    }
    end_batch(arena, batch, cause);
    *looked_at_all &= turn.looks > 0;
    return late;
}

/* At a limit: purges in pages [*page, end) of the window, until all that has ever been given for it is
 * `enough`; *page becomes where to go on. */
static void purge_at_limit(struct fallow_arena *arena, size_t *page, size_t end, uint64_t enough) {
    purge_batch *batch = batch_of(arena);
    _Atomic uint64_t *given = &arena->pages.given_bytes[FL_CAUSE_LIMIT];
    begin_batch(batch);
    set_stretch(batch, 0, SIZE_MAX); /* pages are wanted at once */
    while (*page < end && *given + bytes_of_ranges(batch, 0) < enough) {
        fl_slab *slab = fl_slab_claim_at_limit(&arena->pages, page, end);
        if (!slab)
            break;
        purge_claimed(arena, batch, slab, FL_CAUSE_LIMIT);
    }
    end_batch(arena, batch, FL_CAUSE_LIMIT);
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
            purge_at_limit(arena, &page, base + end * FL_GROUP_PAGES, enough);
            size_t behind = (page - base) / FL_GROUP_PAGES; /* the first not looked at to its end */
            if (behind > first)
                groups &= ~fl_unit_bits(first, behind - 1);
        }
        if (groups)
            fl_scarce_put_back(&arena->pages, region, groups);
    }
    fl_scarce_look_ends(&arena->pages);
}

/* Purges stretch by stretch, also slabs with too few free blocks for a list: for a request to give back all
 * that can go. Returns true if a fork that waits came before the end. */
static bool purge_everywhere(struct fallow_arena *arena) {
    purge_batch *batch = batch_of(arena);
    fl_purge_turn turn = {FL_CAUSE_REQUEST, UINT_MAX, arena->purge_round, 0, false};
    for (size_t index = 0;; index++) {
        fl_lock_take(&arena->pages.lock);
        const fl_region *region = fl_pagetree_next(&arena->pages.tree, index);
        fl_lock_drop(&arena->pages.lock);
        if (!region)
            return false;
        index = fl_region_index(region);
        for (size_t first = 0; first < FL_REGION_PAGES; first += STRETCH_PAGES) {
            size_t page = index * FL_REGION_PAGES + first;
            begin_batch(batch);
            set_stretch(batch, page, page + STRETCH_PAGES);
            bool all = purge_stretch(arena, batch, &turn, UINT64_MAX);
            end_batch(arena, batch, FL_CAUSE_REQUEST);
            if (!all)
                return true;
        }
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
        left = purge_everywhere(arena);
    for (unsigned size_class = 0; size_class < FL_CLASS_COUNT && !left; size_class++)
        if (atomic_load_explicit(&arena->listed_count, memory_order_relaxed))
            left = purge_class(arena, size_class, cause, deadline_ns, &looked_at_all);
    return left || has_more_to_look_at(arena, looked_at_all);
}
