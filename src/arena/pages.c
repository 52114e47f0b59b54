/* SPDX-License-Identifier: MIT */
/*
 * pages.c: which pages of an arena are granted: address-ordered first fit over the bitmaps of its regions.
 * It must never touch the memory that it manages.
 */
#include <string.h>

#include "../osmem/fatal.h"
#include "pagebits.h"
#include "pages.h"

void fl_arena_init(fl_arena *arena, const char *name, osmem_stat *parent, size_t limit_bytes) {
    memset(arena, 0, sizeof *arena);
    fl_lock_init(&arena->lock);
    osmem_stat_init(&arena->stat, name, NULL, parent);
    arena->limit_pages = limit_bytes ? limit_bytes >> FL_PAGE_SHIFT : SIZE_MAX;
}

/* Regions in the arena's list lie by address. */
static void list_insert(fl_arena *arena, fl_region *region) {
    fl_region *before = arena->last;
    while (before && before > region)
        before = before->previous;
    region->previous = before;
    region->next = before ? before->next : arena->first;
    *(before ? &before->next : &arena->first) = region;
    *(region->next ? &region->next->previous : &arena->last) = region;
    if (!arena->roomy || region < arena->roomy)
        arena->roomy = region;
}

/* Makes [start, start + bytes) Prepared; it is None, or Reserved where reserved says so. */
static osmem_result prepare(fl_arena *arena, char *start, size_t bytes, bool reserved) {
    osmem_bytes as_reserved = {.reserved = bytes};
    osmem_result result = OSMEM_OK;
    if (reserved)
        osmem_transfer(as_reserved, &fl_stat_meta, &arena->stat);
    else
        result = fl_reserve_exactly(start, bytes, &arena->stat);
    if (result != OSMEM_OK)
        return result;
    result = osmem_map(start, bytes, &arena->stat);
    if (result == OSMEM_OK)
        return result;
    if (reserved)
        osmem_transfer(as_reserved, &arena->stat, &fl_stat_meta);
    else {
        osmem_result ignored = osmem_free(start, bytes, as_reserved, &arena->stat);
        (void)ignored;
    }
    return OSMEM_NOMEM;
}

/* Maps a region up to a page, by whole chunks. OSMEM_UNSUPPORTED: somebody else sits there, and the region
 * ends before it from now on. OSMEM_NOMEM: not now; nothing has changed. */
static osmem_result region_map(fl_arena *arena, fl_region *region, size_t pages) {
    if (pages <= region->mapped_pages)
        return OSMEM_OK;
    pages = (pages + FL_CHUNK_PAGES - 1) & ~(FL_CHUNK_PAGES - 1);
    size_t more = pages - region->mapped_pages;
    char *start = fl_region_start(region) + ((size_t)region->mapped_pages << FL_PAGE_SHIFT);
    osmem_result result = prepare(arena, start, more << FL_PAGE_SHIFT, region->reserved);
    if (result == OSMEM_UNSUPPORTED)
        region->end_pages = region->mapped_pages;
    if (result == OSMEM_OK) {
        fl_pagebits_set(region->prepared, region->mapped_pages, more);
        region->mapped_pages = (uint32_t)pages;
    }
    return result;
}

static size_t prepared_in(const fl_region *region, size_t first, size_t pages) {
    return fl_pagebits_count(region->prepared, first, pages);
}

/* Would this many more Ready pages break the limit? Idle pages elsewhere are given up for them first. */
static bool limit_allows(fl_arena *arena, size_t more_pages) {
    while (arena->ready_pages + more_pages > arena->limit_pages) {
        size_t excess = arena->ready_pages + more_pages - arena->limit_pages;
        if (excess > fl_arena_idle_pages(arena))
            return false;
        fl_lock_drop(&arena->lock);
        size_t went = fl_pages_scavenge(arena, excess);
        fl_lock_take(&arena->lock);
        if (went == 0)
            return false;
    }
    return true;
}

/* Mapped pages of one region become Ready and in use. False leaves them as they were. */
static bool take_pages(fl_arena *arena, fl_region *region, size_t first, size_t pages, size_t prepared) {
    char *start = fl_region_start(region) + (first << FL_PAGE_SHIFT);
    if (osmem_used(start, pages << FL_PAGE_SHIFT, prepared << FL_PAGE_SHIFT, &arena->stat) != OSMEM_OK)
        return false;
    fl_pagebits_set(region->in_use, first, pages);
    fl_pagebits_clear(region->prepared, first, pages);
    arena->ready_pages += prepared;
    arena->used_pages += pages;
    return true;
}

/* A free run in the regions that the arena has, not yet mapped perhaps. */
static fl_region *search(fl_arena *arena, size_t pages, size_t alignment, size_t *first) {
    while (arena->roomy && arena->roomy->longest_run == 0)
        arena->roomy = arena->roomy->next;
    for (fl_region *region = arena->roomy; region; region = region->next) {
        if (region->longest_run < pages)
            continue;
        *first = fl_pagebits_find(region->in_use, region->end_pages, pages, alignment);
        if (*first != FL_PAGEBITS_NONE)
            return region;
        if (alignment <= fl_the_window.grain_pages)
            region->longest_run = (uint32_t)(pages - 1);
    }
    return NULL;
}

/* Finds a run inside one region and maps it. */
static fl_region *find_run(fl_arena *arena, size_t pages, size_t alignment, size_t *first) {
    for (;;) {
        fl_region *region = search(arena, pages, alignment, first);
        if (!region) {
            region = fl_window_take(1, arena);
            if (!region)
                return NULL;
            list_insert(arena, region);
            *first = 0;
        }
        osmem_result result = region_map(arena, region, *first + pages);
        if (result == OSMEM_OK)
            return region;
        if (result == OSMEM_NOMEM)
            return NULL;
    }
}

static char *grant_in_region(fl_arena *arena, size_t pages, size_t alignment, bool *zeroed) {
    size_t first;
    fl_region *region = find_run(arena, pages, alignment, &first);
    if (!region)
        return NULL;
    size_t prepared = prepared_in(region, first, pages);
    if (arena->ready_pages + prepared > arena->limit_pages) {
        if (!limit_allows(arena, prepared))
            return NULL;
        return grant_in_region(arena, pages, alignment, zeroed); /* the lock was dropped: look again */
    }
    if (!take_pages(arena, region, first, pages, prepared))
        return NULL;
    *zeroed = prepared == pages && arena->stat.traits.zero_after_unused;
    return fl_region_start(region) + (first << FL_PAGE_SHIFT);
}

static bool region_is_empty(const fl_region *region) {
    return region->end_pages == FL_REGION_PAGES &&
           fl_pagebits_next_set(region->in_use, 0, FL_REGION_PAGES) == FL_REGION_PAGES;
}

/* How many regions an address lies behind one that is aligned to so many. */
static size_t regions_past_alignment(const fl_region *region, size_t alignment_regions) {
    return ((uintptr_t)fl_region_start(region) >> FL_REGION_SHIFT) & (alignment_regions - 1);
}

/* Empty regions of this arena that lie side by side. */
static fl_region *find_empty_regions(fl_arena *arena, size_t count, size_t alignment_regions) {
    fl_region *start = NULL;
    size_t run = 0;
    for (fl_region *region = arena->first; region; region = region->next) {
        if (!region_is_empty(region)) {
            run = 0;
            continue;
        }
        if (run && region != start + run)
            run = 0;
        if (run == 0) {
            if (regions_past_alignment(region, alignment_regions))
                continue;
            start = region;
        }
        if (++run == count)
            return start;
    }
    return NULL;
}

/* New ones, by a take of more and a return of what alignment leaves over. */
static fl_region *take_regions(fl_arena *arena, size_t count, size_t alignment_regions) {
    size_t more = count + alignment_regions - 1;
    fl_region *start = fl_window_take(more, arena);
    if (!start)
        return NULL;
    size_t skip =
        (alignment_regions - regions_past_alignment(start, alignment_regions)) & (alignment_regions - 1);
    for (size_t i = 0; i < more; i++) {
        if (i < skip || i >= skip + count)
            fl_window_give(start + i);
        else
            list_insert(arena, start + i);
    }
    return start + skip;
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

/*
 * Runs longer than a region, or aligned to more: whole regions, the last one in part.
 */
static char *grant_regions(fl_arena *arena, size_t pages, size_t alignment, bool *zeroed) {
    size_t count = (pages + FL_REGION_PAGES - 1) / FL_REGION_PAGES;
    size_t alignment_regions = alignment > FL_REGION_PAGES ? alignment / FL_REGION_PAGES : 1;
    fl_region *start = find_empty_regions(arena, count, alignment_regions);
    if (!start && !system_has_room(pages << FL_PAGE_SHIFT, &arena->stat))
        return NULL;
    if (!start)
        start = take_regions(arena, count, alignment_regions);
    if (!start)
        return NULL;
    size_t prepared = 0;
    for (size_t i = 0; i < count; i++) {
        size_t part = i + 1 < count ? FL_REGION_PAGES : pages - i * FL_REGION_PAGES;
        osmem_result result = region_map(arena, start + i, part);
        if (result == OSMEM_UNSUPPORTED)
            return grant_regions(arena, pages, alignment, zeroed); /* that region ends early: others */
        if (result != OSMEM_OK)
            return NULL;
        prepared += prepared_in(start + i, 0, part);
    }
    if (arena->ready_pages + prepared > arena->limit_pages) {
        if (!limit_allows(arena, prepared))
            return NULL;
        return grant_regions(arena, pages, alignment, zeroed);
    }
    for (size_t i = 0; i < count; i++) {
        size_t part = i + 1 < count ? FL_REGION_PAGES : pages - i * FL_REGION_PAGES;
        if (!take_pages(arena, start + i, 0, part, prepared_in(start + i, 0, part)))
            fl_fatal("grant of pages", fl_region_start(start + i), "the back end refused what it had mapped");
    }
    *zeroed = prepared == pages && arena->stat.traits.zero_after_unused;
    return fl_region_start(start);
}

char *fl_pages_grant(fl_arena *arena, size_t pages, size_t alignment_pages, bool *zeroed) {
    if (alignment_pages < fl_the_window.grain_pages)
        alignment_pages = fl_the_window.grain_pages;
    char *start;
    fl_lock_take(&arena->lock);
    arena->grants++;
    /* Refused before a byte of address space is taken for it. */
    if (pages > arena->limit_pages || pages > fl_window_pages_max())
        start = NULL;
    else if (pages <= FL_REGION_PAGES && alignment_pages <= FL_REGION_PAGES)
        start = grant_in_region(arena, pages, alignment_pages, zeroed);
    else
        start = grant_regions(arena, pages, alignment_pages, zeroed);
    if (arena->used_pages > arena->used_peak_pages)
        arena->used_peak_pages = arena->used_pages;
    fl_lock_drop(&arena->lock);
    return start;
}

bool fl_pages_extend(fl_arena *arena, char *start, size_t pages, size_t more_pages) {
    char *end = start + (pages << FL_PAGE_SHIFT);
    fl_region *region = fl_region_of(end - 1);
    size_t first = fl_page_of(end) - fl_region_index(region) * FL_REGION_PAGES;
    bool extended = false;
    fl_lock_take(&arena->lock);
    arena->grants++;
    if (first + more_pages <= region->end_pages &&
        fl_pagebits_next_set(region->in_use, first, first + more_pages) == first + more_pages &&
        region_map(arena, region, first + more_pages) == OSMEM_OK) {
        size_t prepared = prepared_in(region, first, more_pages);
        extended = arena->ready_pages + prepared <= arena->limit_pages &&
                   take_pages(arena, region, first, more_pages, prepared);
    }
    if (arena->used_pages > arena->used_peak_pages)
        arena->used_peak_pages = arena->used_pages;
    fl_lock_drop(&arena->lock);
    return extended;
}

void fl_pages_return(fl_arena *arena, char *start, size_t pages) {
    fl_lock_take(&arena->lock);
    arena->grants++;
    arena->used_pages -= pages;
    while (pages) {
        fl_region *region = fl_region_of(start);
        size_t first = fl_page_of(start) - fl_region_index(region) * FL_REGION_PAGES;
        size_t part = FL_REGION_PAGES - first < pages ? FL_REGION_PAGES - first : pages;
        FL_ASSERT_AT(2, fl_pagebits_count(region->in_use, first, part) == part);
        fl_pagebits_clear(region->in_use, first, part);
        region->longest_run = FL_REGION_PAGES;
        if (region < arena->roomy || !arena->roomy)
            arena->roomy = region;
        start += part << FL_PAGE_SHIFT;
        pages -= part;
    }
    fl_lock_drop(&arena->lock);
}

/*
 * Regions that the system did not take back when their arena ended (it had no mappings left for the split).
 * Their memory has gone, their addresses are counted as bookkeeping, and whenever another arena ends it is
 * tried again.
 */
static fl_lock kept_lock = FL_LOCK_INIT;
static fl_region *kept; /* through next */

static osmem_bytes mapped_by_state(const fl_region *region) {
    size_t prepared = fl_pagebits_count(region->prepared, 0, region->mapped_pages);
    return (osmem_bytes){.prepared = prepared << FL_PAGE_SHIFT,
                         .ready = (region->mapped_pages - prepared) << FL_PAGE_SHIFT};
}

/* What is mapped of a region, and what is Reserved of the rest, to None. False: not all; it can be called again. */
static bool region_release(osmem_stat *stat, fl_region *region) {
    char *start = fl_region_start(region);
    size_t mapped = (size_t)region->mapped_pages << FL_PAGE_SHIFT, rest = FL_REGION_BYTES - mapped;
    if (mapped && osmem_free(start, mapped, mapped_by_state(region), stat) != OSMEM_OK)
        return false;
    region->mapped_pages = 0;
    /* Of a region that has never been mapped the reservation stays as it is, for the next owner. */
    if (mapped && rest && region->reserved) {
        osmem_bytes as_reserved = {.reserved = rest};
        if (osmem_free(start + mapped, rest, as_reserved, &fl_stat_meta) != OSMEM_OK)
            return true; /* half of it None: its addresses are lost, and nothing else */
    }
    region->reserved = region->reserved && !mapped;
    fl_window_give(region);
    return true;
}

/* The memory of a region goes, the addresses stay. */
static void region_keep(fl_arena *arena, fl_region *region) {
    for (size_t first = 0, end; first < region->mapped_pages; first = end) {
        first = fl_pagebits_next_clear(region->prepared, first, region->mapped_pages);
        end = fl_pagebits_next_set(region->prepared, first, region->mapped_pages);
        size_t bytes = (end - first) << FL_PAGE_SHIFT;
        char *start = fl_region_start(region) + (first << FL_PAGE_SHIFT);
        if (bytes && osmem_unused(start, bytes, &arena->stat) == OSMEM_OK)
            fl_pagebits_set(region->prepared, first, end - first);
    }
    osmem_transfer(mapped_by_state(region), &arena->stat, &fl_stat_meta);
    fl_lock_take(&kept_lock);
    region->next = kept;
    kept = region;
    fl_lock_drop(&kept_lock);
}

static void try_kept_again(void) {
    fl_lock_take(&kept_lock);
    for (fl_region **link = &kept, *region; (region = *link) != NULL;) {
        fl_region *next = region->next;
        if (region_release(&fl_stat_meta, region))
            *link = next;
        else
            link = &region->next;
    }
    fl_lock_drop(&kept_lock);
}

void fl_arena_end(fl_arena *arena) {
    try_kept_again();
    for (fl_region *region = arena->first, *next; region; region = next) {
        next = region->next;
        if (!region_release(&arena->stat, region))
            region_keep(arena, region);
    }
    arena->first = arena->last = arena->roomy = NULL;
    arena->ready_pages = arena->used_pages = 0;
}

void fl_pages_fork_prepare(void) {
    fl_lock_take(&kept_lock);
}

void fl_pages_fork_done(void) {
    fl_lock_drop(&kept_lock);
}
