/* SPDX-License-Identifier: MIT */
#include "units.h"

#include "../arena/charge.h"
#include "../arena/chunks.h"
#include "../arena/huge.h"
#include "../arena/limits.h"
#include "../osmem/backend.h"
#include "arenas.h"
#include "liveblocks.h"

osmem_range fl_units_take_range(const fl_slab *slab, uint64_t *units) {
    size_t first = fl_unit_first(*units), end = first;
    while (end < 64 && *units >> end & 1)
        end++;
    char *start = slab->start + (first << fl_unit_shift(slab));
    size_t bytes = fl_bytes_in_region(start, (end - first) << fl_unit_shift(slab));
    *units &= ~fl_unit_bits(first, first + (bytes >> fl_unit_shift(slab)) - 1);
    return (osmem_range){start, bytes};
}

/* These change what the slab, the arena's books and osmem say of units in one step, under the arena's lock:
 * for fork, whose child finds all of it or nothing. */

/* Makes the lowest range of some decommitted units Ready, if limits and the system allow it. Takes it off
 * *units. */
static bool use_range(fl_slab *slab, uint64_t *units, bool heed_soft, fl_shortage *shortage) {
    fl_pagearena *arena = &slab->arena->pages;
    uint64_t before = *units;
    osmem_range range = fl_units_take_range(slab, units);
    fl_lock_take(&arena->lock);
    bool used = fl_pagearena_charge(arena, range.bytes, heed_soft, shortage);
    if (used && osmem_used(range.start, range.bytes, range.bytes, &arena->stat) != OSMEM_OK) {
        fl_pagearena_count_ready(arena, range.bytes, false);
        *shortage = (fl_shortage){FL_REFUSED_SYSTEM, range.bytes, NULL};
        used = false;
    }
    if (used) {
        slab->decommitted &= ~(before & ~*units);
        fl_pagearena_count(&arena->decommitted_bytes, range.bytes, false);
        fl_counter_add(&arena->grown_bytes, range.bytes);
    }
    fl_lock_drop(&arena->lock);
    return used;
}

/* The other way round. */
static bool unuse_range(fl_slab *slab, uint64_t *units) {
    fl_pagearena *arena = &slab->arena->pages;
    uint64_t before = *units;
    osmem_range range = fl_units_take_range(slab, units);
    fl_lock_take(&arena->lock);
    bool unused = osmem_unused(range.start, range.bytes, &arena->stat) == OSMEM_OK;
    if (unused) {
        slab->decommitted |= before & ~*units;
        fl_pagearena_count(&arena->decommitted_bytes, range.bytes, true);
        fl_pagearena_count_ready(arena, range.bytes, false);
    }
    fl_lock_drop(&arena->lock);
    return unused;
}

/* Makes decommitted units Ready. If memory for one is refused, what was done stays done. */
static bool ready_units(fl_slab *slab, uint64_t units, bool heed_soft, fl_shortage *shortage) {
    for (uint64_t rest = units & slab->decommitted; rest;)
        if (!use_range(slab, &rest, heed_soft, shortage))
            return false;
    return true;
}

static bool unuse_units(fl_slab *slab, uint64_t units) {
    for (uint64_t rest = units & ~slab->decommitted; rest;)
        if (!unuse_range(slab, &rest))
            return false;
    return true;
}

static void push_free(fl_slab *slab, size_t index) {
    char *block = slab->start + index * slab->block_bytes;
    fl_link_set(block, slab->free);
    slab->free = block;
}

void fl_units_free_blocks(fl_slab *slab, uint64_t units) {
    uint32_t first, end, ignored;
    fl_unit_blocks(slab, fl_unit_first(units), slab->carved, &first, &ignored);
    fl_unit_blocks(slab, fl_unit_last(units), slab->carved, &ignored, &end);
    while (end-- > first) {
        uint64_t touched = fl_units_of(slab, end);
        if (!(touched & units) || (touched & slab->decommitted))
            continue;
        push_free(slab, end);
    }
}

/* Also after a request that was refused in part: what became Ready stays so, and its blocks are free. */
static void link_what_came_back(fl_slab *slab, uint64_t decommitted_before) {
    if (decommitted_before != slab->decommitted)
        fl_units_free_blocks(slab, decommitted_before & ~slab->decommitted);
}

static uint64_t units_of_blocks(const fl_slab *slab, uint32_t first, uint32_t end) {
    return fl_unit_bits(fl_unit_first(fl_units_of(slab, first)), fl_unit_last(fl_units_of(slab, end - 1)));
}

bool fl_slab_has_holes(const fl_slab *slab) {
    return slab->carved > 0 && (slab->decommitted & units_of_blocks(slab, 0, slab->carved));
}

bool fl_slab_needs_memory(const fl_slab *slab) {
    return slab->decommitted && (fl_slab_has_holes(slab) || slab->carved == slab->capacity ||
                                 (slab->decommitted & fl_units_of(slab, slab->carved)));
}

/* Returns the units right behind a mask that may become Ready with it: three times as many as are Ready by
 * then, so that a slab takes a few steps however large it is; if there are limits, a small part of these. */
static uint64_t ahead_of(const fl_slab *slab, uint64_t units) {
    const fallow_arena *arena = slab->arena;
    size_t last = fl_unit_last(units), blocks_end = fl_unit_last(fl_units_of(slab, slab->capacity - 1));
    size_t owners = atomic_load_explicit(&arena->pages.heap_count, memory_order_relaxed);
    size_t allowed = fl_limits_ahead_bytes(&arena->pages, owners) >> fl_unit_shift(slab);
    size_t count = 3 * (last + 1) < allowed ? 3 * (last + 1) : allowed;
    size_t end = last + count < blocks_end ? last + count : blocks_end;
    return end > last ? slab->decommitted & fl_unit_bits(last + 1, end) : 0;
}

bool fl_slab_make_ready(fl_slab *slab, uint32_t blocks, bool heed_soft, fl_shortage *shortage) {
    uint64_t units = slab->decommitted & units_of_blocks(slab, slab->carved, slab->carved + blocks),
             before = slab->decommitted;
    if (!units)
        return true;
    fl_shortage ignored;
    bool ready = ready_units(slab, units | ahead_of(slab, units), heed_soft, &ignored) ||
                 ready_units(slab, units, heed_soft, shortage);
    link_what_came_back(slab, before);
    return ready;
}

bool fl_slab_carve_decommitted(fl_slab *slab, bool heed_soft, fl_shortage *shortage) {
    size_t unit = fl_unit_first(slab->decommitted);
    uint32_t first, end;
    fl_unit_blocks(slab, unit, slab->carved, &first, &end);
    if (first == end)
        return false; /* it lies behind what is carved */
    uint64_t before = slab->decommitted;
    bool ready = ready_units(slab, fl_units_of(slab, first) | UINT64_C(1) << unit, heed_soft, shortage);
    link_what_came_back(slab, before);
    return ready;
}

/* Makes the free list with nothing live: of each carved block that touches nothing decommitted. */
static void free_all(fl_slab *slab) {
    slab->free = fl_list_end(slab);
    for (uint32_t block = slab->carved; block-- > 0;)
        if (!(fl_units_of(slab, block) & slab->decommitted))
            push_free(slab, block);
}

bool fl_slab_level(fl_slab *slab, uint64_t *prepared) {
    fl_shortage ignored;
    *prepared = 0;
    size_t decommitted_bytes = (size_t)__builtin_popcountll(slab->decommitted) << fl_unit_shift(slab);
    if (fl_limits_are_far(&slab->arena->pages, decommitted_bytes) &&
        ready_units(slab, slab->decommitted, false, &ignored))
        return true;                            /* the whole span is the heap's to use again */
    if (fl_unit_shift(slab) == FL_PAGE_SHIFT) { /* each page is one anyway */
        *prepared = slab->decommitted;
        return true;
    }
    for (size_t page = 0; page < slab->pages; page++) {
        uint64_t units = fl_units_of_page(slab, page), decommitted = units & slab->decommitted;
        if (decommitted && decommitted != units && !ready_units(slab, decommitted, false, &ignored) &&
            !unuse_units(slab, units)) {
            free_all(slab);
            return false;
        }
        if (slab->decommitted & units)
            *prepared |= UINT64_C(1) << page;
    }
    return true;
}

void fl_slab_relink(fl_slab *slab, const uint64_t *free) {
    slab->free = fl_list_end(slab);
    for (size_t word = FL_BLOCKS_WORDS; word-- > 0;)
        for (uint64_t rest = free[word]; rest;) {
            size_t bit = fl_unit_last(rest);
            rest &= ~(UINT64_C(1) << bit);
            push_free(slab, word * 64 + bit);
        }
}

#if FL_HARDENED

#define GUARD_BYTES ((size_t)4 << 10)
#define LOST_PART 8 /* a guard that costs a larger part of the slab's blocks is not worth it */

static char *guard_of(const fl_slab *slab) {
    return slab->start + (slab->pages << FL_PAGE_SHIFT) - GUARD_BYTES;
}

static bool may_be_huge(fl_pagearena *arena, const char *page) {
    fl_lock_take(&arena->lock);
    bool huge = fl_huge_is_expected(arena, fl_region_of(page));
    fl_lock_drop(&arena->lock);
    return huge;
}

/* Guarded first: that frees the page's memory too, and tells whether there are guards. A guard that can
 * neither be Prepared nor taken off again stays, and its unit counts as Ready: as one that nothing lies in,
 * which goes at the next purge, or with the slab. */
void fl_slab_guard(fl_slab *slab) {
    char *guard = guard_of(slab);
    uint32_t room = (uint32_t)((size_t)(guard - slab->start) / slab->block_bytes);
    slab->guarded = false;
    if (slab->arena != fl_process_arena || fl_hardening_random() % FL_GUARDED_ONCE_IN != 0 ||
        (size_t)1 << fl_unit_shift(slab) != GUARD_BYTES ||
        slab->capacity - room > slab->capacity / LOST_PART || may_be_huge(&slab->arena->pages, guard) ||
        !fl_backend_guard(guard, GUARD_BYTES))
        return;
    if (!unuse_units(slab, UINT64_C(1) << ((size_t)(guard - slab->start) / GUARD_BYTES)) &&
        fl_backend_unguard(guard, GUARD_BYTES))
        return;
    slab->guarded = true;
    slab->capacity = room < slab->capacity ? room : slab->capacity;
}

bool fl_slab_is_guard(const fl_slab *slab, const char *address) {
    return slab->guarded && address >= guard_of(slab);
}

bool fl_slab_unguard(fl_slab *slab) {
    if (slab->guarded && fl_backend_unguard(guard_of(slab), GUARD_BYTES))
        slab->guarded = false;
    return !slab->guarded;
}

#endif
