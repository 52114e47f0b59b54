/* SPDX-License-Identifier: MIT */
/*
 * pages.c: grants pages where growth.h finds them, and takes them back. It must never touch the memory that
 * it manages.
 */
#include "pages.h"

#include <string.h>

#include "../system/fatal.h"
#include "charge.h"
#include "chunks.h"
#include "events.h"
#include "growth.h"
#include "huge.h"
#include "regions.h"
#include "scarce.h"

void fl_pagearena_init(fl_pagearena *arena, const char *name, const osmem_backend *backend,
                       osmem_stat *parent) {
    memset(arena, 0, sizeof *arena);
    fl_lock_init(&arena->ground_lock, FL_LOCK_GROUND);
    fl_lock_init(&arena->lock, FL_LOCK_PAGES);
    osmem_stat_init(&arena->stat, name, backend, parent);
    atomic_store_explicit(&arena->limits.soft_bytes, SIZE_MAX, memory_order_relaxed);
    atomic_store_explicit(&arena->limits.soft_next_bytes, SIZE_MAX, memory_order_relaxed);
    atomic_store_explicit(&arena->limits.hard_bytes, SIZE_MAX, memory_order_relaxed);
    atomic_store_explicit(&arena->limits.idle_pages, SIZE_MAX, memory_order_relaxed);
    fl_lock_init_checking(&arena->shed_lock, FL_LOCK_SHED);
    arena->scavenge_below = SIZE_MAX;
    fl_upkeep_init(&arena->upkeep);
}

void fl_pagearena_init_below(fl_pagearena *arena, const char *name, const osmem_backend *backend,
                             fl_pagearena *parent) {
    fl_pagearena_init(arena, name, backend, &parent->stat);
    atomic_store_explicit(&arena->parent, parent, memory_order_relaxed);
}

void fl_pagearena_end(fl_pagearena *arena) {
    FL_ASSERT(!arena->upkeep.joined && !arena->upkeep.workspace); /* nobody is at work in it */
    for (fl_region *region = arena->regions; region;) {
        fl_lock_take(&arena->ground_lock);
        region = fl_region_leave_at_end(arena);
        if (region)
            fl_region_release(arena, region);
        fl_lock_drop(&arena->ground_lock);
    }
    fl_pagetree_clear(&arena->tree);
    FL_ASSERT(atomic_load_explicit(&arena->decommitted_bytes, memory_order_relaxed) == 0);
    fl_lock_take(&arena->lock);
    fl_pagearena_count_ready(arena, arena->ready_pages << FL_PAGE_SHIFT, false);
    arena->ready_pages = arena->used_pages = arena->kept_pages = 0;
    fl_lock_drop(&arena->lock);
}

static char *page_address(size_t page) {
    return (char *)fl_the_window.base + (page << FL_PAGE_SHIFT);
}

static size_t count_prepared(size_t page, size_t pages) {
    size_t prepared = 0;
    for (fl_piece piece; fl_next_piece(&page, &pages, &piece);)
        prepared += fl_pagebits_count(piece.region->prepared, piece.first, piece.pages);
    return prepared;
}

/* Returns whether a run, with so many pages Prepared, is as the system gave it, written to by nobody. Never
 * true with a lazy back end. */
static bool is_new(const fl_pagearena *arena, size_t page, size_t pages, size_t prepared) {
    size_t untouched = 0, left = pages;
    for (fl_piece piece; fl_next_piece(&page, &left, &piece);)
        untouched += fl_pagebits_count(piece.region->untouched, piece.first, piece.pages);
    return prepared + untouched == pages && arena->stat.traits.zero_after_unused;
}

/* Makes one piece of a run Ready. Returns false, and leaves it as it was, if the system refuses. */
static bool use_piece(fl_pagearena *arena, const fl_piece *piece) {
    char *start = fl_region_start(piece->region) + (piece->first << FL_PAGE_SHIFT);
    size_t prepared = fl_pagebits_count(piece->region->prepared, piece->first, piece->pages);
    if (osmem_used(start, piece->pages << FL_PAGE_SHIFT, prepared << FL_PAGE_SHIFT, &arena->stat) != OSMEM_OK)
        return false;
    fl_pagebits_clear(piece->region->prepared, piece->first, piece->pages);
    fl_pagearena_unkeep(arena, piece->region, piece->first, piece->pages);
    arena->ready_pages += prepared;
    fl_counter_add(&arena->grown_bytes, prepared << FL_PAGE_SHIFT);
    return true;
}

/* Makes all of a run Ready. Returns false if not all of it is; what became Ready stays so, and is idle. *more
 * is how many pages did. */
static bool use_run(fl_pagearena *arena, size_t page, size_t pages, size_t *more) {
    size_t before = arena->ready_pages;
    bool used = true;
    for (fl_piece piece; used && fl_next_piece(&page, &pages, &piece);) {
        used = use_piece(arena, &piece);
        fl_pagetree_update(piece.region);
    }
    *more = arena->ready_pages - before;
    return used;
}

static void mark_used(fl_pagearena *arena, size_t page, size_t pages) {
    arena->used_pages += pages;
    fl_pace_use(&arena->pace, arena->used_pages);
    fl_pagearena_show_idle(arena);
    for (fl_piece piece; fl_next_piece(&page, &pages, &piece);) {
        fl_pagebits_set(piece.region->in_use, piece.first, piece.pages);
        fl_pagebits_clear(piece.region->untouched, piece.first, piece.pages);
        fl_pagetree_update(piece.region);
        arena->dense_again |= fl_huge_is_dense_again(piece.region);
    }
}

/* Makes free pages of a region, Prepared from `first` on, idle, if limits allow: they become resident with
 * others. */
static void use_idle(fl_pagearena *arena, fl_region *region, size_t first, size_t end) {
    fl_shortage ignored;
    for (size_t to; first < end; first = to) {
        first = fl_pagebits_next_set(region->prepared, first, end);
        to = fl_pagebits_next_clear(region->prepared, first, end);
        fl_piece piece = {region, first, to - first};
        size_t bytes = piece.pages << FL_PAGE_SHIFT;
        if (first == end || !fl_pagearena_charge(arena, bytes, true, &ignored))
            continue;
        if (use_piece(arena, &piece))
            fl_pagebits_set(region->untouched, first, piece.pages);
        else
            fl_pagearena_count_ready(arena, bytes, false);
    }
}

/* Prepares for the touch of a run: the rest of the huge pages that it begins and ends in becomes resident
 * too. */
static void use_rest_of_huge_pages(fl_pagearena *arena, size_t page, size_t pages) {
    size_t before = arena->ready_pages;
    for (fl_piece piece; fl_next_piece(&page, &pages, &piece);) {
        size_t first = piece.first, end = piece.first + piece.pages;
        if (!fl_huge_widen(arena, piece.region, &first, &end))
            continue;
        use_idle(arena, piece.region, first, piece.first);
        use_idle(arena, piece.region, piece.first + piece.pages, end);
        fl_pagetree_update(piece.region);
    }
    if (arena->ready_pages > before) {
        arena->more_idle = true;
        fl_pagearena_show_idle(arena);
    }
}

static void advise_before(fl_pagearena *arena, size_t page, size_t pages, fl_how how) {
    for (fl_piece piece; fl_next_piece(&page, &pages, &piece);)
        arena->dense_again |= fl_huge_changes_mind(arena, &piece, how);
}

/* Makes a mapped, free run Ready and in use. */
static bool take(fl_pagearena *arena, size_t page, size_t pages, fl_how how, bool *zeroed,
                 fl_shortage *shortage) {
    size_t prepared = count_prepared(page, pages), more;
    if (!fl_pagearena_charge(arena, prepared << FL_PAGE_SHIFT, how & FL_HEEDS_SOFT, shortage))
        return false;
    *zeroed = is_new(arena, page, pages, prepared);
    advise_before(arena, page, pages, how);
    bool used = use_run(arena, page, pages, &more);
    if (!used) {
        fl_huge_stay_small(page, pages);
        fl_pagearena_count_ready(arena, (prepared - more) << FL_PAGE_SHIFT, false);
        *shortage = (fl_shortage){FL_REFUSED_SYSTEM, pages << FL_PAGE_SHIFT, NULL};
        fl_pagearena_show_idle(arena);
        return false;
    }
    mark_used(arena, page, pages);
    use_rest_of_huge_pages(arena, page, pages);
    return true;
}

/* The same, but what is Prepared stays so, and is decommitted from now on. Returns its bits. */
static uint64_t take_lazily(fl_pagearena *arena, size_t page, size_t pages, bool *zeroed) {
    uint64_t prepared = 0;
    size_t first = page, left = pages;
    for (fl_piece piece; fl_next_piece(&first, &left, &piece);) {
        size_t at = fl_region_index(piece.region) * FL_REGION_PAGES + piece.first - page;
        for (size_t i = 0; i < piece.pages; i++)
            if (fl_pagebits_next_set(piece.region->prepared, piece.first + i, piece.first + i + 1) ==
                piece.first + i)
                prepared |= UINT64_C(1) << (at + i);
        fl_pagebits_clear(piece.region->prepared, piece.first, piece.pages);
        fl_pagearena_unkeep(arena, piece.region, piece.first, piece.pages);
    }
    size_t count = (size_t)__builtin_popcountll(prepared);
    arena->ready_pages += count;
    fl_pagearena_count(&arena->decommitted_bytes, count << FL_PAGE_SHIFT, true);
    *zeroed = is_new(arena, page, pages, count);
    mark_used(arena, page, pages);
    return prepared;
}

/* Ends a grant, or a try. */
static void drop_lock(fl_pagearena *arena, size_t page, size_t pages) {
    bool dense_again = arena->dense_again, more_idle = arena->more_idle;
    arena->dense_again = arena->more_idle = false;
    fl_lock_drop(&arena->lock);
    if (more_idle)
        fl_upkeep_note(&arena->upkeep);
    if (dense_again)
        fl_huge_leave_small(arena, page, pages);
}

/* Finds the lowest run for a grant; FL_PAGEBITS_NONE if there is none, and *shortage says why. */
static size_t find_run(fl_pagearena *arena, size_t pages, size_t alignment_pages, fl_how how,
                       fl_shortage *shortage) {
    arena->activity++;
    size_t page = fl_growth_find(arena, pages, alignment_pages, how);
    if (page == FL_PAGEBITS_NONE) /* look for an aligned run in a longer one */
        *shortage = (fl_shortage){
            FL_REFUSED_SYSTEM, (pages + alignment_pages - fl_the_window.grain_pages) << FL_PAGE_SHIFT, NULL};
    return page;
}

char *fl_pages_try(fl_pagearena *arena, size_t pages, size_t alignment_pages, fl_how how, bool *zeroed,
                   fl_shortage *shortage) {
    char *start = NULL;
    *shortage = (fl_shortage){FL_REFUSED_NEVER, 0, NULL};
    if (alignment_pages < fl_the_window.grain_pages)
        alignment_pages = fl_the_window.grain_pages;
    /* Refuse before a byte of address space is taken for it. */
    if (pages > fl_window_pages_max() || alignment_pages > fl_window_pages_max() ||
        pages << FL_PAGE_SHIFT > atomic_load_explicit(&arena->limits.hard_bytes, memory_order_relaxed))
        return NULL;
    fl_lock_take(&arena->lock);
    size_t page = find_run(arena, pages, alignment_pages, how, shortage), before = arena->ready_pages;
    if (page != FL_PAGEBITS_NONE && take(arena, page, pages, how, zeroed, shortage))
        start = page_address(page);
    size_t more = arena->ready_pages - before;
    drop_lock(arena, start ? page : 0, start ? pages : 0);
    if (start)
        fl_event_note_grant(arena, start, pages, more);
    return start;
}

char *fl_pages_try_lazily(fl_pagearena *arena, size_t pages, uint64_t *prepared, bool *zeroed,
                          fl_shortage *shortage) {
    FL_ASSERT(pages <= 64);
    fl_lock_take(&arena->lock);
    size_t page = find_run(arena, pages, fl_the_window.grain_pages, FL_FILLED_PERHAPS, shortage);
    bool found = page != FL_PAGEBITS_NONE;
    if (found)
        *prepared = take_lazily(arena, page, pages, zeroed);
    drop_lock(arena, found ? page : 0, found ? pages : 0);
    if (found)
        fl_event_note_grant(arena, page_address(page), pages, (size_t)__builtin_popcountll(*prepared));
    return found ? page_address(page) : NULL;
}

bool fl_pages_extend(fl_pagearena *arena, char *start, size_t pages, size_t more_pages) {
    size_t page = fl_page_of(start) + pages, more = 0;
    bool extended = false, zeroed;
    fl_shortage shortage;
    if (more_pages > fl_window_pages_max())
        return false;
    fl_lock_take(&arena->lock);
    arena->activity++;
    if (fl_growth_into(arena, page, more_pages)) {
        more = arena->ready_pages;
        extended = take(arena, page, more_pages, FL_FILLED_PERHAPS, &zeroed, &shortage);
        more = arena->ready_pages - more;
    }
    drop_lock(arena, page, extended ? more_pages : 0);
    if (extended)
        fl_event_note_grant(arena, page_address(page), more_pages, more);
    return extended;
}

/* Makes granted pages free; `prepared` if they went to the system already: they then are Prepared, and no
 * longer count. Caller holds the lock. */
static void give_piece(fl_pagearena *arena, const fl_piece *piece, bool prepared) {
    FL_ASSERT_AT(2, fl_pagebits_count(piece->region->in_use, piece->first, piece->pages) == piece->pages);
    arena->used_pages -= piece->pages;
    fl_pace_use(&arena->pace, arena->used_pages);
    fl_pagebits_clear(piece->region->in_use, piece->first, piece->pages);
    if (prepared) {
        fl_pagebits_set(piece->region->prepared, piece->first, piece->pages);
        arena->ready_pages -= piece->pages;
    }
    fl_pagetree_update(piece->region);
    piece->region->purged &= !piece->region->vacant;
}

void fl_pages_return(fl_pagearena *arena, char *start, size_t pages) {
    size_t page = fl_page_of(start);
    fl_lock_take(&arena->lock);
    arena->activity++;
    for (fl_piece piece; fl_next_piece(&page, &pages, &piece);)
        give_piece(arena, &piece, false);
    fl_pagearena_show_idle(arena);
    fl_lock_drop(&arena->lock);
    fl_scarce_changed(arena);
    fl_upkeep_note(&arena->upkeep);
}

void fl_pages_return_empty(fl_pagearena *arena, char *start, size_t pages) {
    size_t page = fl_page_of(start);
    for (fl_piece piece; fl_next_piece(&page, &pages, &piece);) {
        char *at = fl_region_start(piece.region) + (piece.first << FL_PAGE_SHIFT);
        bool prepared = osmem_unused(at, piece.pages << FL_PAGE_SHIFT, &arena->stat) == OSMEM_OK;
        fl_lock_take(&arena->lock);
        arena->activity++;
        give_piece(arena, &piece, prepared);
        if (prepared)
            fl_pagearena_count_ready(arena, piece.pages << FL_PAGE_SHIFT, false);
        fl_pagearena_show_idle(arena);
        fl_lock_drop(&arena->lock);
    }
}

/* Returns the end of the run of pages that are alike in `prepared`, from `at` on. */
static size_t alike(uint64_t prepared, size_t at, size_t pages, bool *is_prepared) {
    size_t end = at + 1;
    *is_prepared = (prepared >> at & 1);
    while (end < pages && (prepared >> end & 1) == *is_prepared)
        end++;
    return end;
}

void fl_pages_return_partly(fl_pagearena *arena, char *start, size_t pages, uint64_t prepared) {
    bool is_prepared;
    fl_lock_take(&arena->lock);
    arena->activity++;
    for (size_t at = 0, end; at < pages; at = end) {
        end = alike(prepared, at, pages, &is_prepared);
        size_t page = fl_page_of(start) + at, left = end - at;
        for (fl_piece piece; fl_next_piece(&page, &left, &piece);)
            give_piece(arena, &piece, is_prepared);
    }
    fl_pagearena_count(&arena->decommitted_bytes, (size_t)__builtin_popcountll(prepared) << FL_PAGE_SHIFT,
                       false);
    fl_pagearena_show_idle(arena);
    fl_lock_drop(&arena->lock);
    fl_scarce_changed(arena);
    fl_upkeep_note(&arena->upkeep);
}

void fl_pages_note_prepared(fl_pagearena *arena, const char *start, uint64_t prepared) {
    size_t count = (size_t)__builtin_popcountll(prepared);
    fl_lock_take(&arena->lock);
    for (uint64_t rest = prepared; rest; rest &= rest - 1) {
        size_t page = fl_page_of(start) + (size_t)__builtin_ctzll(rest), one = 1;
        fl_piece piece;
        fl_next_piece(&page, &one, &piece);
        fl_pagebits_set(piece.region->prepared, piece.first, 1);
    }
    arena->used_pages -= count; /* their bits stay in use until then, but they are not Ready */
    arena->ready_pages -= count;
    fl_pagearena_count(&arena->decommitted_bytes, count << FL_PAGE_SHIFT, false);
    fl_lock_drop(&arena->lock);
}

void fl_pages_lose(fl_pagearena *arena, const char *start, size_t pages) {
    fl_lock_take(&arena->lock);
    fl_regions_lose(arena, start, pages);
    fl_lock_drop(&arena->lock);
}

void fl_pages_forget_kept(fl_pagearena *arena) {
    fl_lock_take(&arena->lock);
    for (fl_region *region = arena->regions; region && arena->kept_pages; region = region->next) {
        fl_pagearena_unkeep(arena, region, 0, FL_REGION_PAGES);
        fl_pagetree_update(region);
    }
    fl_pagearena_show_idle(arena);
    fl_lock_drop(&arena->lock);
}

void fl_pages_return_all(fl_pagearena *arena) {
    fl_lock_take(&arena->lock);
    arena->used_pages = 0;
    atomic_store_explicit(&arena->decommitted_bytes, 0, memory_order_relaxed);
    atomic_store_explicit(&arena->filled_bytes, 0, memory_order_relaxed);
    atomic_store_explicit(&arena->reclaimable_bytes, 0, memory_order_relaxed);
    atomic_store_explicit(&arena->purged_bytes, 0, memory_order_relaxed);
    for (fl_region *region = arena->regions; region; region = region->next) {
        memcpy(region->in_use, region->gone, sizeof region->in_use);
        for (size_t chunk = 0; chunk < FL_REGION_CHUNKS; chunk++)
            if (region->lost >> chunk & 1)
                fl_pagebits_set(region->in_use, chunk * FL_CHUNK_PAGES, FL_CHUNK_PAGES);
        fl_pagetree_update(region);
    }
    fl_pagearena_show_idle(arena);
    fl_lock_drop(&arena->lock);
    fl_scarce_changed(arena);
}
