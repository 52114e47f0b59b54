/* SPDX-License-Identifier: MIT */
#include "purge.h"

#include <limits.h>

#include "../arena/scavenger.h"
#include "../system/fatal.h"
#include "../system/system.h"
#include "arena_heaps.h"
#include "liveblocks.h"

#define BATCH_SLABS 32
#define LOOKS_MAX 256 /* at purged slabs of a class in one tick, whether more of them can go */

/* Takes the lowest run off a mask of units that lies in one region, as a range of memory. */
static osmem_range take_range(const fl_slab *slab, uint64_t *units) {
    size_t first = fl_unit_first(*units), end = first;
    while (end < 64 && *units >> end & 1)
        end++;
    char *start = slab->start + (first << fl_unit_shift(slab));
    size_t bytes = fl_bytes_in_region(start, (end - first) << fl_unit_shift(slab));
    *units &= ~fl_unit_bits(first, first + (bytes >> fl_unit_shift(slab)) - 1);
    return (osmem_range){start, bytes};
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

static void push_free(fl_slab *slab, size_t index) {
    char *block = slab->start + index * slab->block_bytes;
    fl_link_set(block, slab->free);
    slab->free = block;
}

/* Units have come back: blocks that touch them, and nothing that is away, go into the free list, the lowest first. */
static void free_blocks_of(fl_slab *slab, uint64_t units) {
    uint32_t first, end, ignored;
    fl_unit_blocks(slab, fl_unit_first(units), slab->carved, &first, &ignored);
    fl_unit_blocks(slab, fl_unit_last(units), slab->carved, &ignored, &end);
    while (end-- > first) {
        uint64_t touched = fl_units_of(slab, end);
        if (!(touched & units) || (touched & slab->away))
            continue;
        push_free(slab, end);
    }
}

/* Also of a request that was refused in part: what became Ready stays so, and its blocks are free. */
static void link_what_came_back(fl_slab *slab, uint64_t away_before) {
    if (away_before != slab->away)
        free_blocks_of(slab, away_before & ~slab->away);
}

bool fl_slab_make_ready(fl_slab *slab, uint32_t first, uint32_t end) {
    uint64_t before = slab->away;
    bool ready = ready_units(slab, fl_unit_bits(fl_unit_first(fl_units_of(slab, first)),
                                                fl_unit_last(fl_units_of(slab, end - 1))));
    link_what_came_back(slab, before);
    return ready;
}

bool fl_slab_restore(fl_slab *slab) {
    uint64_t before = slab->away;
    if (!before || ready_units(slab, before))
        return true; /* all of it dies: no block is linked any more */
    link_what_came_back(slab, before);
    return false;
}

bool fl_slab_empty(fl_slab *slab) {
    fl_arena *pages = &slab->arena->pages;
    size_t units = (slab->pages << FL_PAGE_SHIFT) >> fl_unit_shift(slab), bytes = 0;
    for (size_t unit = 0, end; unit < units; unit = end) {
        bool away = unit < 64 && slab->away >> unit & 1;
        for (end = unit + 1; end < units && away == (end < 64 && slab->away >> end & 1);)
            end++;
        char *start = slab->start + (unit << fl_unit_shift(slab));
        size_t length = fl_bytes_in_region(start, (end - unit) << fl_unit_shift(slab));
        end = unit + (length >> fl_unit_shift(slab));
        if (away)
            bytes += length;
        else if (osmem_unused(start, length, &pages->stat) != OSMEM_OK)
            return false;
    }
    fl_arena_count(&pages->away_bytes, bytes, false);
    fl_pages_note_empty(pages, slab->start, slab->pages);
    return true;
}

bool fl_slab_carve_away(fl_slab *slab) {
    size_t unit = fl_unit_first(slab->away);
    uint32_t first, end;
    fl_unit_blocks(slab, unit, slab->carved, &first, &end);
    if (first == end)
        return false; /* it lies behind what is carved */
    uint64_t before = slab->away;
    bool ready = ready_units(slab, fl_units_of(slab, first) | UINT64_C(1) << unit);
    link_what_came_back(slab, before);
    return ready;
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

/* Units with no part of a live block in them that are not away yet. Of those that hold blocks: the span may be longer than a
 * slab of the class, and have more units than a mask has bits. */
static uint64_t find_idle_units(const fl_slab *slab, const fl_blocks *blocks) {
    size_t count = ((size_t)fl_classes[slab->size_class].slab_pages << FL_PAGE_SHIFT) >> fl_unit_shift(slab);
    FL_ASSERT(count <= 64);
    uint64_t idle = 0;
    for (size_t unit = 0; unit < count; unit++) {
        uint32_t first, end;
        fl_unit_blocks(slab, unit, slab->carved, &first, &end);
        if (fl_pagebits_next_set(blocks->live, first, end) == end)
            idle |= UINT64_C(1) << unit;
    }
    return idle & ~slab->away;
}

/* The free list again, lowest first. */
static void relink(fl_slab *slab, const uint64_t *free) {
    slab->free = FL_LIST_END;
    for (size_t word = FL_BLOCKS_WORDS; word-- > 0;)
        for (uint64_t rest = free[word]; rest;) {
            size_t bit = fl_unit_last(rest);
            rest &= ~(UINT64_C(1) << bit);
            push_free(slab, word * 64 + bit);
        }
}

/* What is under way in an arena. */
typedef struct purge_batch {
    fl_slab *slabs[BATCH_SLABS];
    size_t slab_count;
    uint64_t refused[BATCH_SLABS]; /* units of each that the system did not take */
    osmem_range ranges[FL_BATCH_RANGES];
    size_t slab_of[FL_BATCH_RANGES];
    size_t range_count;
    fl_blocks blocks; /* of the slab that is looked at */
} purge_batch;

_Static_assert(sizeof(purge_batch) <= sizeof((fl_workspace *)NULL)->blocks, "it has a place");

/* The batch's ranges to the system. A block may lie in several of a slab's, so that it is known only when all of them are
 * through which blocks are free. */
static void give_ranges(struct fallow_arena *arena, purge_batch *batch, fl_cause cause) {
    size_t bytes = 0;
    uint64_t started_ns = fl_system_now_ns(), kept;
    if (batch->range_count == 0)
        return;
    uint64_t went = fl_ranges_unused(batch->ranges, batch->range_count, &kept, &arena->pages.stat);
    for (size_t i = 0; i < batch->range_count; i++) {
        fl_slab *slab = batch->slabs[batch->slab_of[i]];
        size_t first = (size_t)((char *)batch->ranges[i].start - slab->start) >> fl_unit_shift(slab);
        uint64_t units = fl_unit_bits(first, first + (batch->ranges[i].bytes >> fl_unit_shift(slab)) - 1);
        if (went >> i & 1) {
            slab->away |= units;
            bytes += batch->ranges[i].bytes;
        } else
            batch->refused[batch->slab_of[i]] |= units;
    }
    atomic_fetch_add_explicit(&arena->pages.away_bytes, bytes, memory_order_relaxed);
    fl_arena_given(&arena->pages, cause, batch->ranges, went, started_ns);
    batch->range_count = 0;
}

/* One claimed slab: what of it can go, into the batch or, where that is full, to the system first. */
static void purge(size_t index, purge_batch *batch, fl_cause cause) {
    fl_slab *slab = batch->slabs[index];
    fl_blocks *blocks = &batch->blocks;
    fl_word word = take_pushed(slab);
    slab->purged_live = fl_word_live(word);
    fl_blocks_find(slab, fl_word_head(word), blocks);
    uint64_t idle = find_idle_units(slab, blocks);
    fl_blocks_clear(slab, idle, blocks->free);
    relink(slab, blocks->free);
    batch->refused[index] = 0;
    for (uint64_t rest = idle; rest;) {
        if (batch->range_count == FL_BATCH_RANGES)
            give_ranges(slab->arena, batch, cause);
        batch->slab_of[batch->range_count] = index;
        batch->ranges[batch->range_count++] = take_range(slab, &rest);
    }
}

/* Returns true where the deadline came before the end. *looked_at_all becomes false where looks were used up. */
static bool purge_class(struct fallow_arena *arena, unsigned size_class, fl_cause cause, uint64_t deadline_ns,
                        bool *looked_at_all) {
    purge_batch *batch = (purge_batch *)arena->pages.upkeep.workspace->blocks;
    fl_purge_turn turn = {cause == FL_CAUSE_REQUEST ? UINT_MAX : LOOKS_MAX, arena->purge_round};
    FL_ASSERT_AT(2, fl_upkeep_is_mine(&arena->pages.upkeep));
    batch->range_count = 0;
    while ((batch->slab_count =
                fl_slabs_claim_listed(arena, size_class, cause, &turn, batch->slabs, BATCH_SLABS)) > 0) {
        for (size_t i = 0; i < batch->slab_count; i++)
            purge(i, batch, cause);
        give_ranges(arena, batch, cause);
        for (size_t i = 0; i < batch->slab_count; i++) {
            if (batch->refused[i]) /* Ready still, and its blocks free */
                free_blocks_of(batch->slabs[i], batch->refused[i]);
            fl_slab_settle(batch->slabs[i], NULL);
        }
        if (fl_scavenger_time_is_up(deadline_ns))
            return true;
    }
    *looked_at_all &= turn.looks > 0;
    return false;
}

/* So many ticks, and all that is listed has been looked at, however it is spread over classes. What was freed meanwhile may lie
 * behind that look: then from the start. */
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
    for (unsigned size_class = 0; size_class < FL_CLASS_COUNT && !left; size_class++)
        if (atomic_load_explicit(&arena->listed_count, memory_order_relaxed))
            left = purge_class(arena, size_class, cause, deadline_ns, &looked_at_all);
    return left || has_more_to_look_at(arena, looked_at_all);
}
