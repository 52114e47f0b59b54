/* SPDX-License-Identifier: MIT */
#include "regions.h"

#include "../osmem/checker.h"
#include "../system/fatal.h"
#include "charge.h"
#include "chunks.h"
#include "huge.h"
#include "moves.h"

static void list_add(fl_pagearena *arena, fl_region *region) {
    region->previous = NULL;
    region->next = arena->regions;
    if (region->next)
        region->next->previous = region;
    arena->regions = region;
}

void fl_region_set_changed(fl_pagearena *arena, fl_region *region, uint64_t groups) {
    fl_region *first = arena->changed;
    bool is_listed = atomic_load_explicit(&region->changed, memory_order_relaxed) != 0;
    if (groups && !is_listed) {
        region->next_changed = first;
        region->previous_changed = NULL;
        if (first)
            first->previous_changed = region;
        arena->changed = region;
    } else if (!groups && is_listed) {
        *(region->previous_changed ? &region->previous_changed->next_changed : &arena->changed) =
            region->next_changed;
        if (region->next_changed)
            region->next_changed->previous_changed = region->previous_changed;
    }
    /* Before the next look, or after a change: see scarce.h. */
    atomic_store_explicit(&region->changed, groups, memory_order_seq_cst);
}

static void list_remove(fl_pagearena *arena, fl_region *region) {
    fl_region_set_changed(arena, region, 0);
    *(region->previous ? &region->previous->next : &arena->regions) = region->next;
    if (region->next)
        region->next->previous = region->previous;
}

/* Returns the bytes of pages [first, end) of mapped chunks by state; none of them is gone. */
static osmem_bytes by_state(const fl_region *region, size_t first, size_t end) {
    size_t prepared = fl_pagebits_count(region->prepared, first, end - first);
    return (osmem_bytes){.prepared = prepared << FL_PAGE_SHIFT,
                         .ready = (end - first - prepared) << FL_PAGE_SHIFT};
}

/* Counts what is mapped or reserved of a region in another stat from now on. */
static void transfer(const fl_region *region, osmem_stat *from, osmem_stat *to) {
    for (size_t first, end = 0; fl_next_chunks(region->reserved, end, &first, &end);) {
        size_t bytes = (end - first) * FL_CHUNK_BYTES;
        osmem_transfer(fl_chunk_start(region, first), bytes, (osmem_bytes){.reserved = bytes}, from, to);
    }
    for (size_t first, end = 0; fl_next_chunks(region->mapped, end, &first, &end);)
        for (size_t page = first * FL_CHUNK_PAGES, to_page;
             fl_next_ours(region, &page, &to_page, end * FL_CHUNK_PAGES); page = to_page) {
            osmem_bytes its = by_state(region, page, to_page);
            osmem_transfer(fl_region_page(region, page), (to_page - page) << FL_PAGE_SHIFT, its, from, to);
        }
}

/* Returns whether the system would give that much at once: asked before bookkeeping is made for many regions
 * in vain. */
static bool system_has_room(size_t bytes, osmem_stat *stat) {
    if (stat->traits.never_frees)
        return true;
    void *start = osmem_reserve(NULL, bytes, 0, stat);
    if (!start)
        return false;
    bool has_room = osmem_map(start, bytes, stat) == OSMEM_OK;
    osmem_bytes parts = has_room ? (osmem_bytes){.prepared = bytes} : (osmem_bytes){.reserved = bytes};
    if (osmem_free(start, bytes, parts, stat) == OSMEM_OK)
        return has_room;
    osmem_transfer(start, bytes, parts, stat, &fl_stat_meta); /* lost, but the ledger knows */
    return false;
}

static size_t ready_pages(const fl_region *region) {
    size_t ready = 0;
    for (size_t word = 0; word < FL_REGION_WORDS; word++)
        ready += (size_t)__builtin_popcountll(fl_region_mapped_word(region, word) &
                                              ~(region->prepared[word] | region->gone[word]));
    return ready;
}

/* Makes a region that was taken the arena's, with what is left in it of an earlier owner, if limits leave
 * room for that. */
static bool adopt(fl_pagearena *arena, fl_region *region) {
    size_t ready = ready_pages(region);
    fl_shortage ignored;
    if (!fl_pagearena_charge(arena, ready << FL_PAGE_SHIFT, false, &ignored))
        return false;
    if (!fl_pagetree_insert(&arena->tree, region)) {
        fl_pagearena_count_ready(arena, ready << FL_PAGE_SHIFT, false);
        return false;
    }
    atomic_store_explicit(&region->arena, arena, memory_order_relaxed);
    list_add(arena, region);
    transfer(region, &fl_stat_meta, &arena->stat);
    arena->ready_pages += ready;
    fl_pagearena_show_idle(arena);
    arena->chunks_mapped += (size_t)__builtin_popcount(region->mapped);
    return true;
}

/* The other way round; none of its pages is in use. */
static void disown(fl_pagearena *arena, fl_region *region) {
    size_t ready = ready_pages(region);
    fl_pagearena_unkeep(arena, region, 0, FL_REGION_PAGES); /* what is locked goes with its mapping */
    fl_pagetree_remove(region);
    list_remove(arena, region);
    arena->chunks_mapped -= (size_t)__builtin_popcount(region->mapped);
    arena->ready_pages -= ready;
    fl_pagearena_count_ready(arena, ready << FL_PAGE_SHIFT, false);
    fl_pagearena_show_idle(arena);
    atomic_store_explicit(&region->arena, NULL, memory_order_relaxed);
}

/* All of them, or none. */
static bool adopt_all(fl_pagearena *arena, fl_region *first, size_t count) {
    size_t adopted = 0, disowned;
    fl_lock_take(&arena->lock);
    while (adopted < count && adopt(arena, &first[adopted]))
        adopted++;
    for (disowned = 0; adopted < count && disowned < adopted; disowned++) {
        disown(arena, &first[disowned]);
        transfer(&first[disowned], &arena->stat, &fl_stat_meta);
    }
    fl_lock_drop(&arena->lock);
    for (size_t i = 0; adopted < count && i < count; i++)
        fl_window_give(&first[i], arena->stat.backend);
    return adopted == count;
}

/* keeper: regions that it has kept are welcome. */
static bool add(fl_pagearena *arena, size_t count, const osmem_backend *keeper) {
    fl_region *first = fl_window_take(count, keeper);
    return first && adopt_all(arena, first, count);
}

#define ASKED_ABOUT_REGIONS 16 /* more than this at once */
#define TOGETHER_REGIONS 16    /* so that what grows in place finds room behind it */

bool fl_regions_add(fl_pagearena *arena, size_t pages) {
    size_t count = (pages + FL_REGION_PAGES - 1) / FL_REGION_PAGES;
    size_t together = arena->chunks_mapped / FL_REGION_CHUNKS;
    if (count > ASKED_ABOUT_REGIONS && !system_has_room(pages << FL_PAGE_SHIFT, &arena->stat))
        return false;
    together = together < TOGETHER_REGIONS ? together : TOGETHER_REGIONS;
    const osmem_backend *keeper = arena->stat.backend;
    return (together > count && add(arena, together, keeper)) || add(arena, count, keeper) ||
           add(arena, count, NULL);
}

void fl_pagearena_unkeep(fl_pagearena *arena, fl_region *region, size_t first, size_t pages) {
    size_t kept = arena->kept_pages ? fl_pagebits_count(region->kept, first, pages) : 0;
    if (kept == 0)
        return;
    fl_pagebits_clear(region->kept, first, pages);
    arena->kept_pages -= kept;
}

void fl_regions_lose(fl_pagearena *arena, const char *start, size_t pages) {
    size_t page = fl_page_of(start);
    arena->used_pages -= pages;
    arena->ready_pages -= pages;
    fl_pagearena_count_ready(arena, pages << FL_PAGE_SHIFT, false);
    fl_pagearena_show_idle(arena);
    for (fl_piece piece; fl_next_piece(&page, &pages, &piece);)
        fl_pagebits_set(piece.region->gone, piece.first, piece.pages); /* in use they are already */
}

/* Returns how much of a granted range is Prepared, if so much is somewhere. Without a checker, only the sum
 * matters. */
static size_t prepared_bytes_in(const fl_pagearena *arena, const char *start, size_t bytes,
                                size_t somewhere) {
#if FL_CHECKS >= 2
    somewhere = 0;
    for (size_t at = 0, alike; at < bytes; at += alike) {
        alike = bytes - at;
        if (fl_checker_state_of(&arena->stat, start + at, &alike) == FL_PREPARED)
            somewhere += alike;
    }
#else
    (void)arena, (void)start;
#endif
    return somewhere < bytes ? somewhere : bytes;
}

static size_t ready_granted(fl_pagearena *arena, const fl_region *region, size_t left) {
    size_t grain = fl_the_window.grain_pages, bytes = grain << FL_PAGE_SHIFT;
    for (size_t page = 0; page < FL_REGION_PAGES; page += grain) {
        uint64_t granted = region->in_use[page / 64] & fl_region_mapped_word(region, page / 64) &
                           ~(region->gone[page / 64] | region->prepared[page / 64]);
        if (!(granted >> page % 64 & 1))
            continue;
        char *start = fl_region_page(region, page);
        size_t prepared = prepared_bytes_in(arena, start, bytes, left);
        if (osmem_used(start, bytes, prepared, &arena->stat) != OSMEM_OK)
            fl_fatal("end of", start, "the system does not give pages that a thread had in hand before fork");
        left -= prepared;
    }
    return left;
}

void fl_regions_ready_granted(fl_pagearena *arena) {
    fl_lock_take(&arena->lock);
    size_t left = atomic_load_explicit(&arena->decommitted_bytes, memory_order_relaxed);
    fl_pagearena_count_ready(arena, left, true);
    for (const fl_region *region = arena->regions; region; region = region->next)
        left = ready_granted(arena, region, left);
    FL_ASSERT(left == 0);
    atomic_store_explicit(&arena->decommitted_bytes, 0, memory_order_relaxed);
    fl_lock_drop(&arena->lock);
}

/* Makes all pages of mapped chunks [first, end) Prepared, as far as the system takes them. */
static void forget_contents(osmem_stat *stat, fl_region *region, size_t first, size_t end) {
    size_t limit = end * FL_CHUNK_PAGES;
    for (size_t from = first * FL_CHUNK_PAGES, ours; fl_next_ours(region, &from, &ours, limit); from = ours)
        for (size_t at = from, to; (at = fl_pagebits_next_clear(region->prepared, at, ours)) < ours;
             at = to) {
            to = fl_pagebits_next_set(region->prepared, at, ours);
            if (osmem_unused(fl_region_page(region, at), (to - at) << FL_PAGE_SHIFT, stat) == OSMEM_OK)
                fl_pagebits_set(region->prepared, at, to - at);
            fl_pagebits_clear(region->untouched, at, to - at);
        }
}

static void chunks_left(fl_region *region, size_t first, size_t end) {
    region->mapped &= ~fl_chunk_bits(first, end);
    fl_moves_forget(region, first * FL_CHUNK_PAGES, end * FL_CHUNK_PAGES);
    if (!region->mapped)
        fl_huge_forget(region);
    fl_pagebits_clear(region->prepared, first * FL_CHUNK_PAGES, (end - first) * FL_CHUNK_PAGES);
    fl_pagebits_clear(region->gone, first * FL_CHUNK_PAGES, (end - first) * FL_CHUNK_PAGES);
    fl_pagebits_clear(region->untouched, first * FL_CHUNK_PAGES, (end - first) * FL_CHUNK_PAGES);
}

/* Makes mapped chunks [first, end) None. Returns false if the system did not take all of it; what it took is
 * gone. */
static bool free_chunks(osmem_stat *stat, fl_region *region, size_t first, size_t end) {
    size_t limit = end * FL_CHUNK_PAGES;
    for (size_t from = first * FL_CHUNK_PAGES, to; fl_next_ours(region, &from, &to, limit); from = to) {
        if (osmem_free(fl_region_page(region, from), (to - from) << FL_PAGE_SHIFT, by_state(region, from, to),
                       stat) != OSMEM_OK)
            return false;
        fl_pagebits_clear(region->prepared, from, to - from);
        fl_pagebits_set(region->gone, from, to - from);
    }
    chunks_left(region, first, end);
    return true;
}

/* Makes mapped chunks [first, end) Reserved. Returns false if the system did not take all of it. */
static bool unmap_chunks(osmem_stat *stat, fl_region *region, size_t first, size_t end) {
    size_t page = first * FL_CHUNK_PAGES, pages = (end - first) * FL_CHUNK_PAGES;
    forget_contents(stat, region, first, end);
    if (fl_pagebits_count(region->prepared, page, pages) != pages)
        return false;
    osmem_result result = osmem_unmap(fl_chunk_start(region, first), pages << FL_PAGE_SHIFT, stat);
    if (result != OSMEM_OK && result != OSMEM_LOST)
        return false;
    chunks_left(region, first, end);
    if (result == OSMEM_OK)
        region->reserved |= fl_chunk_bits(first, end);
    return true;
}

/* Returns whether chunks of an arena may become None one by one, or must stay Reserved. */
static bool may_be_freed(const osmem_stat *stat) {
    return !stat->traits.never_frees && !stat->traits.reservations_apart && !fl_window_is_reserved();
}

/* Returns the mapped chunks with every page free and Prepared. */
static fl_chunks spare_chunks(const fl_region *region) {
    fl_chunks spare = 0;
    for (size_t chunk = 0; chunk < FL_REGION_CHUNKS; chunk++)
        if (fl_pagebits_count(region->prepared, chunk * FL_CHUNK_PAGES, FL_CHUNK_PAGES) == FL_CHUNK_PAGES)
            spare |= fl_chunk_bits(chunk, chunk + 1);
    return spare;
}

size_t fl_regions_unmap_spare(fl_pagearena *arena) {
    size_t unmapped = 0;
    bool (*leave)(osmem_stat *, fl_region *, size_t, size_t) =
        may_be_freed(&arena->stat) ? free_chunks : unmap_chunks;
    for (fl_region *region = arena->regions; region; region = region->next) {
        fl_chunks spare = spare_chunks(region);
        for (size_t first, end = 0; fl_next_chunks(spare, end, &first, &end);)
            unmapped += leave(&arena->stat, region, first, end) ? end - first : 0;
    }
    arena->chunks_mapped -= unmapped;
    return unmapped;
}

bool fl_region_leave_if_empty(fl_pagearena *arena, fl_region *region) {
    if (region->idle || fl_pagebits_next_set(region->in_use, 0, FL_REGION_PAGES) < FL_REGION_PAGES)
        return false;
    disown(arena, region);
    return true;
}

fl_region *fl_region_leave_at_end(fl_pagearena *arena) {
    fl_region *region = arena->regions;
    if (!region)
        return NULL;
    list_remove(arena, region);
    atomic_store_explicit(&region->arena, NULL, memory_order_relaxed);
    return region;
}

/* A region that is one reservation goes as one, or not at all. */
static __attribute__((noinline)) void free_region(osmem_stat *stat, fl_region *region) {
    osmem_bytes all = {0};
    if ((region->mapped | region->reserved) != FL_CHUNKS_ALL ||
        fl_pagebits_next_set(region->gone, 0, FL_REGION_PAGES) != FL_REGION_PAGES)
        return;
    for (size_t chunk = 0; chunk < FL_REGION_CHUNKS; chunk++) {
        osmem_bytes its = by_state(region, chunk * FL_CHUNK_PAGES, (chunk + 1) * FL_CHUNK_PAGES);
        bool mapped = fl_has_chunk(region->mapped, chunk);
        all.reserved += mapped ? 0 : FL_CHUNK_BYTES;
        all.prepared += mapped ? its.prepared : 0;
        all.ready += mapped ? its.ready : 0;
    }
    if (osmem_free(fl_region_start(region), FL_REGION_BYTES, all, stat) != OSMEM_OK)
        return;
    chunks_left(region, 0, FL_REGION_CHUNKS);
    region->reserved = 0;
}

/* Reserved → None. */
static __attribute__((noinline)) void free_reserved(osmem_stat *stat, fl_region *region) {
    for (size_t first, end = 0; fl_next_chunks(region->reserved, end, &first, &end);) {
        size_t bytes = (end - first) * FL_CHUNK_BYTES;
        if (osmem_free(fl_chunk_start(region, first), bytes, (osmem_bytes){.reserved = bytes}, stat) ==
            OSMEM_OK)
            region->reserved &= ~fl_chunk_bits(first, end);
    }
}

/* Makes as much of a region None as the system allows; of the rest, no more stays resident than it insists
 * on. */
static void give_back(osmem_stat *stat, fl_region *region) {
    bool to_none = may_be_freed(stat);
    if (stat->traits.reservations_apart && !stat->traits.never_frees)
        free_region(stat, region);
    for (size_t first, end = 0; fl_next_chunks(region->mapped, end, &first, &end);)
        if (!(to_none ? free_chunks : unmap_chunks)(stat, region, first, end))
            forget_contents(stat, region, first, end);
    if (to_none)
        free_reserved(stat, region);
}

/* What is left counts as bookkeeping until the next arena takes the region. */
static void release(fl_pagearena *arena, fl_region *region) {
    give_back(&arena->stat, region);
    transfer(region, &arena->stat, &fl_stat_meta);
    fl_window_give(region, arena->stat.backend);
}

void fl_region_release(fl_pagearena *arena, fl_region *region) {
    /* The system may now take what it did not take earlier, when it had no mappings left for the split. */
    fl_region *again = arena->stat.traits.never_frees ? NULL : fl_window_take_kept(arena->stat.backend);
    if (again) {
        transfer(again, &fl_stat_meta, &arena->stat);
        release(arena, again);
    }
    release(arena, region);
}
