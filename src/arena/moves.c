/* SPDX-License-Identifier: MIT */
#include "moves.h"

#include <string.h>

#include "../system/fatal.h"
#include "chunks.h"

_Atomic size_t fl_cuts;

static bool has_moved(const fl_region *region, size_t page) {
    return region->moved[page / 64] >> (page % 64) & 1;
}

static void count(const fl_region *region, bool more) {
    fl_pagearena_count(&fl_cuts, fl_pagebits_count(region->cuts, 0, FL_REGION_PAGES), more);
}

/* Makes this one mapping made by a move, or none, whatever was cut inside. */
static void set_moved(fl_region *region, size_t first, size_t end, bool moved) {
    count(region, false);
    (moved ? fl_pagebits_set : fl_pagebits_clear)(region->moved, first, end - first);
    fl_pagebits_clear(region->cuts, first, end - first);
    if (first > 0 && (moved || has_moved(region, first - 1)))
        fl_pagebits_set(region->cuts, first, 1);
    if (end < FL_REGION_PAGES)
        (moved || has_moved(region, end) ? fl_pagebits_set : fl_pagebits_clear)(region->cuts, end, 1);
    count(region, true);
}

void fl_moves_forget(fl_region *region, size_t first, size_t end) {
    if (fl_pagebits_next_set(region->moved, 0, FL_REGION_PAGES) < FL_REGION_PAGES)
        set_moved(region, first, end, false);
}

/* Caller holds the arena's lock. */
static void note(const char *to, size_t pages) {
    size_t page = fl_page_of(to), start = page;
    for (fl_piece piece; fl_next_piece(&page, &pages, &piece);) {
        set_moved(piece.region, piece.first, piece.first + piece.pages, true);
        if (page - piece.pages == start && piece.first == 0) { /* begins where the region does */
            fl_pagebits_set(piece.region->cuts, 0, 1);
            fl_pagearena_count(&fl_cuts, 1, true);
        }
    }
}

/*
 * Prepared before and after; None in between. If somebody is quicker, or the system has no memory for it, the
 * pages are gone; as free and Prepared they count nowhere, so no figure changes. Caller holds both of the
 * arena's locks.
 */
static void map_afresh(fl_pagearena *arena, fl_region *region, size_t first, size_t end) {
    char *start = fl_region_page(region, first);
    size_t bytes = (end - first) << FL_PAGE_SHIFT;
    if (osmem_free(start, bytes, (osmem_bytes){.prepared = bytes}, &arena->stat) != OSMEM_OK)
        return;
    fl_counter_add(&arena->system_calls, 2);
    fl_moves_forget(region, first, end);
    if (osmem_prepare(start, bytes, &arena->stat) == OSMEM_OK) {
        osmem_result ignored = region->small ? osmem_no_huge_page(start, bytes, &arena->stat) : OSMEM_OK;
        (void)ignored;
        return;
    }
    fl_pagebits_clear(region->prepared, first, end - first);
    fl_pagebits_set(region->gone, first, end - first);
    fl_pagebits_set(region->in_use, first, end - first);
    fl_pagetree_update(region);
}

/* Finds the next run of free and Prepared pages at or after *first. */
static bool next_free(const fl_region *region, size_t *first, size_t *end) {
    uint64_t taken[FL_REGION_WORDS];
    for (size_t word = 0; word < FL_REGION_WORDS; word++)
        taken[word] = region->in_use[word] | ~region->prepared[word];
    *first = fl_pagebits_next_clear(taken, *first, FL_REGION_PAGES);
    *end = fl_pagebits_next_set(taken, *first, FL_REGION_PAGES);
    return *first < FL_REGION_PAGES;
}

/* Returns whether mapping the run afresh leaves fewer cuts. */
static bool is_worth_it(const fl_region *region, size_t first, size_t end) {
    size_t closed = end < FL_REGION_PAGES ? end + 1 : end;
    size_t left = (size_t)(first > 0 && has_moved(region, first - 1)) +
                  (size_t)(end < FL_REGION_PAGES && has_moved(region, end));
    return fl_pagebits_count(region->cuts, first, closed - first) > left;
}

#define ROOM_CUTS (FL_CUTS_MAX / 8) /* how many to make room for at once, so that this is rare */

static size_t room(void) {
    size_t cuts = atomic_load_explicit(&fl_cuts, memory_order_relaxed);
    return cuts < FL_CUTS_MAX ? FL_CUTS_MAX - cuts : 0;
}

static void make_room(fl_pagearena *arena) {
    if (fl_window_is_reserved()) /* nothing of it may become None */
        return;
    fl_lock_take(&arena->ground_lock);
    fl_lock_take(&arena->lock);
    for (fl_region *region = arena->regions; region && room() < ROOM_CUTS; region = region->next)
        if (fl_pagebits_next_set(region->cuts, 0, FL_REGION_PAGES) < FL_REGION_PAGES)
            for (size_t first = 0, end; next_free(region, &first, &end); first = end)
                if (is_worth_it(region, first, end))
                    map_afresh(arena, region, first, end);
    fl_lock_drop(&arena->lock);
    fl_lock_drop(&arena->ground_lock);
}

#define CUTS_OF_A_MOVE 2
#define WAIT_MOVES 64 /* after an attempt in vain, which has looked at every region */

static bool has_room(fl_pagearena *arena) {
    static unsigned wait; /* guarded by the move lock */
    if (room() >= CUTS_OF_A_MOVE)
        return true;
    if (wait > 0) {
        wait--;
        return false;
    }
    make_room(arena);
    if (room() >= CUTS_OF_A_MOVE)
        return true;
    wait = WAIT_MOVES;
    return false;
}

static bool has_asked(const char *start, size_t pages) {
    bool asked = false;
    size_t page = fl_page_of(start);
    for (fl_piece piece; fl_next_piece(&page, &pages, &piece);)
        asked |= piece.region->huge;
    return asked;
}

static bool begins_between_regions(const fl_region *region) {
    return has_moved(region, 0) != has_moved(region - 1, FL_REGION_PAGES - 1);
}

/* Returns how many of a run's pages, from the first on, lie in one mapping: the kernel moves no more at
 * once. */
static size_t pages_in_mapping(fl_pagearena *arena, size_t page, size_t pages) {
    size_t start = page, end = page + pages, cut = end;
    fl_lock_take(&arena->lock);
    for (fl_piece piece; cut == end && fl_next_piece(&page, &pages, &piece);) {
        size_t base = page - piece.first - piece.pages, last = piece.first + piece.pages;
        bool is_first = base + piece.first == start;
        if (!is_first && begins_between_regions(piece.region))
            cut = base;
        size_t at = fl_pagebits_next_set(piece.region->cuts, piece.first + is_first, last);
        if (cut == end && at < last)
            cut = base + at;
    }
    fl_lock_drop(&arena->lock);
    return cut - start;
}

static void note_moved(fl_pagearena *arena, const char *from, char *to, size_t pages) {
    fl_lock_take(&arena->lock);
    note(to, pages);
    bool huge = has_asked(from, pages);
    fl_lock_drop(&arena->lock);
    /* The advice moved along, and nobody would take it back. */
    osmem_result ignored = huge ? osmem_no_huge_page(to, pages << FL_PAGE_SHIFT, &arena->stat) : OSMEM_OK;
    (void)ignored;
}

/* Of 2, 4, 8, 16 and any number, this is the best where vectors of 32 to 256 MiB grow by a fifth to twice. */
#define FEW_MAPPINGS 8

bool fl_pages_are_in_few_mappings(fl_pagearena *arena, const char *start, size_t pages) {
    size_t page = fl_page_of(start), end = page + pages;
    for (unsigned mappings = 0; mappings < FEW_MAPPINGS && page < end; mappings++)
        page += pages_in_mapping(arena, page, end - page);
    return page == end;
}

/* Moves pages of a run that moves only in part back, mapping by mapping: what the program has made of them
 * goes along, and what was never touched takes no memory. */
static void move_back(fl_pagearena *arena, char *from, char *to, size_t pages) {
    for (size_t done = 0, more; done < pages; done += more) {
        size_t bytes = done << FL_PAGE_SHIFT;
        more = pages_in_mapping(arena, fl_page_of(to) + done, pages - done);
        osmem_result moved = osmem_move(to + bytes, from + bytes, more << FL_PAGE_SHIFT, &arena->stat);
        if (moved == OSMEM_LOST)
            fl_fatal("realloc of", from, "part of the block is lost (the system refuses its place)");
        if (moved == OSMEM_OK)
            note_moved(arena, to + bytes, from + bytes, more);
        else
            memcpy(from + bytes, to + bytes, more << FL_PAGE_SHIFT);
    }
}

osmem_result fl_pages_move(fl_pagearena *arena, char *from, char *to, size_t pages, osmem_range *lost) {
    FL_ASSERT_AT(2, fl_lock_is_mine(fl_lock_of(FL_LOCK_MOVE)));
    osmem_result moved = OSMEM_OK;
    for (size_t done = 0, more, bytes; moved == OSMEM_OK && done < pages; done += more) {
        bytes = done << FL_PAGE_SHIFT;
        more = pages_in_mapping(arena, fl_page_of(from) + done, pages - done);
        moved = has_room(arena) ? osmem_move(from + bytes, to + bytes, more << FL_PAGE_SHIFT, &arena->stat)
                                : OSMEM_UNSUPPORTED;
        if (moved == OSMEM_OK)
            note_moved(arena, from + bytes, to + bytes, more);
        else { /* as one where there is a mapping of the program's own */
            move_back(arena, from, to, done);
            *lost = (osmem_range){to + bytes, more << FL_PAGE_SHIFT};
        }
    }
    return moved;
}
