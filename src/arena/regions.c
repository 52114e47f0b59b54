/* SPDX-License-Identifier: MIT */
#include "regions.h"

bool fl_next_piece(size_t *page, size_t *pages, fl_piece *piece) {
    if (*pages == 0)
        return false;
    piece->region = fl_the_window.regions + *page / FL_REGION_PAGES;
    piece->first = *page % FL_REGION_PAGES;
    piece->pages = FL_REGION_PAGES - piece->first < *pages ? FL_REGION_PAGES - piece->first : *pages;
    *page += piece->pages;
    *pages -= piece->pages;
    return true;
}

static char *chunk_start(const fl_region *region, size_t chunk) {
    return fl_region_start(region) + chunk * FL_CHUNK_BYTES;
}

/* Chunks [first, end) as bits. */
static uint16_t chunk_bits(size_t first, size_t end) {
    return (uint16_t)((1u << end) - (1u << first));
}

/* The first run of chunks in a mask at or after `from`; false: there is none. */
static bool next_run(uint16_t mask, size_t from, size_t *first, size_t *end) {
    uint32_t rest = (uint32_t)mask & ~((1u << from) - 1);
    if (!rest)
        return false;
    *first = (size_t)__builtin_ctz(rest);
    *end = *first + (size_t)__builtin_ctz(~(rest >> *first));
    return true;
}

static void list_add(fl_arena *arena, fl_region *region) {
    region->previous = NULL;
    region->next = arena->regions;
    if (region->next)
        region->next->previous = region;
    arena->regions = region;
}

static void list_remove(fl_arena *arena, fl_region *region) {
    *(region->previous ? &region->previous->next : &arena->regions) = region->next;
    if (region->next)
        region->next->previous = region->previous;
}

/* Would the system give that much at once? Asked before bookkeeping is made for many regions in vain. */
static bool system_has_room(size_t bytes, osmem_stat *stat) {
    void *start = osmem_reserve(NULL, bytes, 0, stat);
    if (!start)
        return false;
    bool has_room = osmem_map(start, bytes, stat) == OSMEM_OK;
    osmem_bytes by_state = has_room ? (osmem_bytes){.prepared = bytes} : (osmem_bytes){.reserved = bytes};
    osmem_result ignored = osmem_free(start, bytes, by_state, stat);
    (void)ignored;
    return has_room;
}

bool fl_regions_add(fl_arena *arena, size_t pages) {
    size_t count = (pages + FL_REGION_PAGES - 1) / FL_REGION_PAGES;
    if (count > 1 && !system_has_room(pages << FL_PAGE_SHIFT, &arena->stat))
        return false;
    fl_region *first = fl_window_take(count, arena);
    for (size_t i = 0; first && i < count; i++) {
        if (!fl_pagetree_insert(&arena->tree, &first[i])) {
            for (; i < count; i++)
                fl_window_give(&first[i]);
            return false;
        }
        list_add(arena, &first[i]);
    }
    return first != NULL;
}

/* Chunks [first, end) of a region, None or Reserved, become Prepared. */
static osmem_result prepare(fl_arena *arena, fl_region *region, size_t first, size_t end) {
    char *start = chunk_start(region, first);
    size_t bytes = (end - first) * FL_CHUNK_BYTES;
    osmem_bytes as_reserved = {.reserved = bytes};
    osmem_result result = OSMEM_OK;
    if (region->reserved)
        osmem_transfer(as_reserved, &fl_stat_meta, &arena->stat);
    else {
        arena->system_calls++;
        result = fl_reserve_exactly(start, bytes, &arena->stat);
    }
    if (result != OSMEM_OK)
        return result;
    arena->system_calls++;
    result = osmem_map(start, bytes, &arena->stat);
    if (result == OSMEM_OK)
        return result;
    if (region->reserved)
        osmem_transfer(as_reserved, &arena->stat, &fl_stat_meta);
    else {
        osmem_result ignored = osmem_free(start, bytes, as_reserved, &arena->stat);
        (void)ignored;
    }
    return OSMEM_NOMEM;
}

/*
 * Huge pages. Nothing asks for them: growth with MADV_HUGEPAGE measured slower and wastes. Where the system gives them
 * by itself (THP "always"), a small arena wants none, or its first touch would cost 2 MiB; and a chunk of which
 * something has gone back wants none, or khugepaged would make it resident again.
 */
#define SMALL_ARENA_CHUNKS 8 /* 32 MiB */

static void want_small(fl_arena *arena, fl_region *region, size_t first, size_t end) {
    if (arena->chunks_mapped + (end - first) > SMALL_ARENA_CHUNKS)
        return;
    /* A hint of a microsecond, on a mapping that nobody else knows yet; whether it is heeded is all the same. */
    osmem_result ignored =
        osmem_no_huge_page(chunk_start(region, first), (end - first) * FL_CHUNK_BYTES, &arena->stat);
    (void)ignored;
    region->small |= chunk_bits(first, end);
}

size_t fl_regions_make_small(const osmem_range *pages, size_t count, osmem_range *chunks, size_t max) {
    size_t found = 0;
    for (size_t i = 0; i < count; i++) {
        const char *end = (char *)pages[i].start + pages[i].bytes;
        for (const char *at = pages[i].start; at < end && found < max;) {
            fl_region *region = fl_region_of(at);
            size_t chunk = (size_t)(at - fl_region_start(region)) / FL_CHUNK_BYTES;
            if (!(region->small >> chunk & 1))
                chunks[found++] = (osmem_range){chunk_start(region, chunk), FL_CHUNK_BYTES};
            region->small |= chunk_bits(chunk, chunk + 1);
            at = chunk_start(region, chunk) + FL_CHUNK_BYTES;
        }
    }
    return found;
}

static osmem_result map_chunks(fl_arena *arena, fl_region *region, size_t first, size_t end) {
    size_t page = first * FL_CHUNK_PAGES, pages = (end - first) * FL_CHUNK_PAGES;
    osmem_result result = prepare(arena, region, first, end);
    if (result == OSMEM_OK) {
        region->mapped |= chunk_bits(first, end);
        fl_pagebits_set(region->prepared, page, pages);
        want_small(arena, region, first, end);
        arena->chunks_mapped += end - first;
    } else if (result == OSMEM_UNSUPPORTED && end - first > 1) {
        /* Which one is it? */
        for (size_t chunk = first; chunk < end; chunk++)
            if (map_chunks(arena, region, chunk, chunk + 1) == OSMEM_NOMEM)
                return OSMEM_NOMEM;
    } else if (result == OSMEM_UNSUPPORTED) {
        region->lost |= chunk_bits(first, end);
        fl_pagebits_set(region->in_use, page, pages);
    }
    if (result != OSMEM_NOMEM)
        fl_pagetree_update(region, page, pages);
    return result;
}

osmem_result fl_regions_map(fl_arena *arena, size_t page, size_t pages) {
    for (fl_piece piece; fl_next_piece(&page, &pages, &piece);) {
        size_t from = piece.first / FL_CHUNK_PAGES;
        size_t to = (piece.first + piece.pages + FL_CHUNK_PAGES - 1) / FL_CHUNK_PAGES;
        uint16_t missing = chunk_bits(from, to) & (uint16_t)~piece.region->mapped;
        for (size_t first, end = 0; next_run(missing, end, &first, &end);) {
            osmem_result result = map_chunks(arena, piece.region, first, end);
            if (result != OSMEM_OK)
                return result;
        }
    }
    return OSMEM_OK;
}

/* The bytes of chunks [first, end), all of them mapped, in each state. */
static osmem_bytes mapped_by_state(const fl_region *region, size_t first, size_t end) {
    size_t pages = (end - first) * FL_CHUNK_PAGES;
    size_t prepared = fl_pagebits_count(region->prepared, first * FL_CHUNK_PAGES, pages);
    return (osmem_bytes){.prepared = prepared << FL_PAGE_SHIFT, .ready = (pages - prepared) << FL_PAGE_SHIFT};
}

/* All pages of mapped chunks [first, end) Prepared. False: the system refused some of it. */
static bool forget_contents(osmem_stat *stat, fl_region *region, size_t first, size_t end) {
    size_t limit = end * FL_CHUNK_PAGES;
    for (size_t from = first * FL_CHUNK_PAGES, to; from < limit; from = to) {
        from = fl_pagebits_next_clear(region->prepared, from, limit);
        to = fl_pagebits_next_set(region->prepared, from, limit);
        if (from == to)
            break;
        char *start = fl_region_start(region) + (from << FL_PAGE_SHIFT);
        if (osmem_unused(start, (to - from) << FL_PAGE_SHIFT, stat) != OSMEM_OK)
            return false;
        fl_pagebits_set(region->prepared, from, to - from);
    }
    return true;
}

/* Mapped chunks [first, end) to None, or to Reserved in a window that is reserved whole. */
static bool unmap_chunks(osmem_stat *stat, fl_region *region, size_t first, size_t end) {
    char *start = chunk_start(region, first);
    size_t bytes = (end - first) * FL_CHUNK_BYTES;
    if (!region->reserved) {
        if (osmem_free(start, bytes, mapped_by_state(region, first, end), stat) != OSMEM_OK)
            return false;
    } else {
        if (!forget_contents(stat, region, first, end) || osmem_unmap(start, bytes, stat) != OSMEM_OK)
            return false;
        osmem_transfer((osmem_bytes){.reserved = bytes}, stat, &fl_stat_meta);
    }
    region->mapped &= (uint16_t)~chunk_bits(first, end);
    region->small &= (uint16_t)~chunk_bits(first, end);
    fl_pagebits_clear(region->prepared, first * FL_CHUNK_PAGES, (end - first) * FL_CHUNK_PAGES);
    return true;
}

static bool chunk_is_spare(const fl_region *region, size_t chunk) {
    return fl_pagebits_count(region->prepared, chunk * FL_CHUNK_PAGES, FL_CHUNK_PAGES) == FL_CHUNK_PAGES;
}

size_t fl_regions_unmap_spare(fl_arena *arena) {
    size_t unmapped = 0;
    for (fl_region *region = arena->regions; region; region = region->next)
        for (size_t first, end = 0; next_run(region->mapped, end, &first, &end);)
            for (size_t chunk = first; chunk < end; chunk++)
                unmapped +=
                    chunk_is_spare(region, chunk) && unmap_chunks(&arena->stat, region, chunk, chunk + 1);
    return unmapped;
}

bool fl_region_leave_if_empty(fl_arena *arena, fl_region *region) {
    fl_runs all = fl_runs_join(region->runs, FL_REGION_CHUNKS, FL_CHUNK_PAGES);
    if (all.longest != FL_REGION_PAGES || region->idle)
        return false;
    fl_pagetree_remove(region);
    list_remove(arena, region);
    atomic_store_explicit(&region->arena, NULL, memory_order_relaxed); /* nobody grows into it from here on */
    return true;
}

/*
 * Regions that the system did not take back at once: it had no mappings left for the split. Their memory has gone,
 * their addresses stay counted in their arena, and after its end as bookkeeping.
 */
#define kept_lock (*fl_lock_of(FL_LOCK_KEPT))
static fl_region *kept_of_ended; /* through next */

/* False: not all of it; it can be called again. */
static bool unmap_all(osmem_stat *stat, fl_region *region) {
    for (size_t first, end = 0; next_run(region->mapped, end, &first, &end);)
        if (!unmap_chunks(stat, region, first, end))
            return false;
    fl_window_give(region);
    return true;
}

static void try_again(fl_region **list, osmem_stat *stat) {
    for (fl_region **link = list, *region; (region = *link) != NULL;) {
        fl_region *next = region->next;
        if (unmap_all(stat, region))
            *link = next;
        else
            link = &region->next;
    }
}

void fl_region_release(fl_arena *arena, fl_region *region) {
    fl_lock_take(&kept_lock);
    try_again(&arena->kept, &arena->stat);
    fl_lock_drop(&kept_lock);
    if (unmap_all(&arena->stat, region))
        return;
    for (size_t first, end = 0; next_run(region->mapped, end, &first, &end);) {
        bool ignored = forget_contents(&arena->stat, region, first, end);
        (void)ignored;
    }
    fl_lock_take(&kept_lock);
    region->next = arena->kept;
    arena->kept = region;
    fl_lock_drop(&kept_lock);
}

void fl_regions_end(fl_arena *arena) {
    fl_lock_take(&kept_lock);
    try_again(&kept_of_ended, &fl_stat_meta);
    try_again(&arena->kept, &arena->stat);
    for (fl_region *region = arena->kept, *next; region; region = next) {
        next = region->next;
        for (size_t first, end = 0; next_run(region->mapped, end, &first, &end);)
            osmem_transfer(mapped_by_state(region, first, end), &arena->stat, &fl_stat_meta);
        region->next = kept_of_ended;
        kept_of_ended = region;
    }
    arena->kept = NULL;
    fl_lock_drop(&kept_lock);
}
