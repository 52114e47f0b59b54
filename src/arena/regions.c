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

static char *page_start(const fl_region *region, size_t page) {
    return fl_region_start(region) + (page << FL_PAGE_SHIFT);
}

/* Chunks [first, end) as bits. */
static uint16_t chunk_bits(size_t first, size_t end) {
    return (uint16_t)((1u << end) - (1u << first));
}

static bool has_chunk(uint16_t mask, size_t chunk) {
    return mask >> chunk & 1;
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

/* The next run of pages at or after *first and below limit that are not gone. */
static bool next_ours(const fl_region *region, size_t *first, size_t *end, size_t limit) {
    *first = fl_pagebits_next_clear(region->gone, *first, limit);
    *end = fl_pagebits_next_set(region->gone, *first, limit);
    return *first < limit;
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

/* The bytes of pages [first, end) of mapped chunks in each state; none of them is gone. */
static osmem_bytes by_state(const fl_region *region, size_t first, size_t end) {
    size_t prepared = fl_pagebits_count(region->prepared, first, end - first);
    return (osmem_bytes){.prepared = prepared << FL_PAGE_SHIFT,
                         .ready = (end - first - prepared) << FL_PAGE_SHIFT};
}

/* What is mapped or reserved of a region counts in another stat from now on. */
static void transfer(const fl_region *region, osmem_stat *from, osmem_stat *to) {
    for (size_t first, end = 0; next_run(region->reserved, end, &first, &end);) {
        size_t bytes = (end - first) * FL_CHUNK_BYTES;
        osmem_transfer(chunk_start(region, first), bytes, (osmem_bytes){.reserved = bytes}, from, to);
    }
    for (size_t first, end = 0; next_run(region->mapped, end, &first, &end);)
        for (size_t page = first * FL_CHUNK_PAGES, to_page;
             next_ours(region, &page, &to_page, end * FL_CHUNK_PAGES); page = to_page) {
            osmem_bytes its = by_state(region, page, to_page);
            osmem_transfer(page_start(region, page), (to_page - page) << FL_PAGE_SHIFT, its, from, to);
        }
}

/* Would the system give that much at once? Asked before bookkeeping is made for many regions in vain. */
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
    osmem_transfer(start, bytes, parts, stat, &fl_stat_meta); /* lost but for the ledger */
    return false;
}

static size_t ready_pages(const fl_region *region) {
    size_t ready = 0;
    for (size_t first, end = 0; next_run(region->mapped, end, &first, &end);) {
        size_t page = first * FL_CHUNK_PAGES, pages = (end - first) * FL_CHUNK_PAGES;
        ready += pages - fl_pagebits_count(region->prepared, page, pages) -
                 fl_pagebits_count(region->gone, page, pages);
    }
    return ready;
}

/* A region that was taken is the arena's, with what is left in it of an earlier owner, if the limits have room for that. */
static bool adopt(fl_arena *arena, fl_region *region) {
    size_t ready = ready_pages(region);
    fl_shortage ignored;
    if (!fl_arena_charge(arena, ready, &ignored))
        return false;
    if (!fl_pagetree_insert(&arena->tree, region)) {
        fl_arena_count_ready(arena, ready, false);
        return false;
    }
    list_add(arena, region);
    transfer(region, &fl_stat_meta, &arena->stat);
    arena->ready_pages += ready;
    fl_arena_show_idle(arena);
    arena->chunks_mapped += (size_t)__builtin_popcount(region->mapped);
    return true;
}

/* keeper: regions are welcome that were kept by it. */
static bool add(fl_arena *arena, size_t count, const osmem_backend *keeper) {
    fl_region *first = fl_window_take(count, arena, keeper);
    for (size_t i = 0; first && i < count; i++)
        if (!adopt(arena, &first[i])) {
            for (; i < count; i++)
                fl_window_give(&first[i], arena->stat.backend);
            return false;
        }
    return first != NULL;
}

bool fl_regions_add(fl_arena *arena, size_t pages) {
    size_t count = (pages + FL_REGION_PAGES - 1) / FL_REGION_PAGES;
    if (count > 1 && !system_has_room(pages << FL_PAGE_SHIFT, &arena->stat))
        return false;
    return add(arena, count, arena->stat.backend) || add(arena, count, NULL);
}

/*
 * Huge pages. Nothing asks for them: growth with MADV_HUGEPAGE measured slower and wastes. Where the system gives them
 * by itself (THP "always"), a small arena wants none, or its first touch would cost 2 MiB; and a chunk of which
 * something has gone back wants none, or khugepaged would make it resident again.
 */
#define SMALL_ARENA_CHUNKS 8 /* 32 MiB */

static bool wants_small(const fl_arena *arena, size_t chunks) {
    return arena->chunks_mapped + chunks <= SMALL_ARENA_CHUNKS;
}

/* A hint of a microsecond, on a mapping that nobody else knows yet; whether it is heeded is all the same. */
static void make_small(fl_arena *arena, fl_region *region, size_t first, size_t end) {
    osmem_result ignored =
        osmem_no_huge_page(chunk_start(region, first), (end - first) * FL_CHUNK_BYTES, &arena->stat);
    (void)ignored;
    region->small |= chunk_bits(first, end);
}

/* Is all of a chunk ours? */
static bool is_whole(const fl_region *region, size_t chunk) {
    size_t first = chunk * FL_CHUNK_PAGES, end;
    return next_ours(region, &first, &end, first + FL_CHUNK_PAGES) && end - first == FL_CHUNK_PAGES;
}

size_t fl_regions_make_small(const osmem_range *pages, size_t count, osmem_range *chunks, size_t max) {
    size_t found = 0;
    for (size_t i = 0; i < count; i++) {
        const char *end = (char *)pages[i].start + pages[i].bytes;
        for (const char *at = pages[i].start; at < end && found < max;) {
            fl_region *region = fl_region_of(at);
            size_t chunk = (size_t)(at - fl_region_start(region)) / FL_CHUNK_BYTES;
            if (!has_chunk(region->small, chunk) && is_whole(region, chunk))
                chunks[found++] = (osmem_range){chunk_start(region, chunk), FL_CHUNK_BYTES};
            region->small |= chunk_bits(chunk, chunk + 1);
            at = chunk_start(region, chunk) + FL_CHUNK_BYTES;
        }
    }
    return found;
}

/* Where reservations are apart, a region is one. OSMEM_TAKEN: somebody else is in it; all of it is lost. */
static osmem_result reserve_region(fl_arena *arena, fl_region *region) {
    arena->system_calls++;
    osmem_result result = osmem_reserve_at(fl_region_start(region), FL_REGION_BYTES, &arena->stat);
    if (result == OSMEM_OK)
        region->reserved = FL_CHUNKS_ALL;
    return result;
}

/*
 * Chunks [first, end), all of them None or all of them Reserved, become Prepared, in one system call. OSMEM_TAKEN: somebody
 * else is in one. A mapping of their own each time, which the kernel merges with the one before where that is as it was:
 * mremap of the one before would hand down what the program has made of its blocks at the end of it (locked, read-only,
 * not for children).
 */
static osmem_result prepare(fl_arena *arena, fl_region *region, size_t first, size_t end) {
    char *start = chunk_start(region, first);
    size_t bytes = (end - first) * FL_CHUNK_BYTES;
    osmem_result result = OSMEM_OK;
    if (arena->stat.traits.reservations_apart && !region->reserved && !region->mapped)
        result = reserve_region(arena, region);
    bool reserved = has_chunk(region->reserved, first);
    if (result == OSMEM_OK) {
        arena->system_calls++;
        result = reserved ? osmem_map(start, bytes, &arena->stat) : osmem_prepare(start, bytes, &arena->stat);
    }
    if (result == OSMEM_OK && wants_small(arena, end - first))
        make_small(arena, region, first, end);
    /* Whatever else the system says (a sandbox), it would say it of the next chunk too. */
    return result == OSMEM_OK || (result == OSMEM_TAKEN && !reserved) ? result : OSMEM_NOMEM;
}

static osmem_result map_chunks(fl_arena *arena, fl_region *region, size_t first, size_t end) {
    size_t page = first * FL_CHUNK_PAGES, pages = (end - first) * FL_CHUNK_PAGES;
    osmem_result result = prepare(arena, region, first, end);
    if (result == OSMEM_OK) {
        region->mapped |= chunk_bits(first, end);
        region->reserved &= (uint16_t)~chunk_bits(first, end);
        fl_pagebits_set(region->prepared, page, pages);
        arena->chunks_mapped += end - first;
    } else if (result == OSMEM_TAKEN && end - first > 1) {
        /* Which one is it? */
        for (size_t chunk = first; chunk < end; chunk++)
            if (map_chunks(arena, region, chunk, chunk + 1) == OSMEM_NOMEM)
                return OSMEM_NOMEM;
    } else if (result == OSMEM_TAKEN) {
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
        uint16_t alike[] = {missing & piece.region->reserved, missing & (uint16_t)~piece.region->reserved};
        for (size_t i = 0; i < 2; i++)
            for (size_t first, end = 0; next_run(alike[i], end, &first, &end);) {
                osmem_result result = map_chunks(arena, piece.region, first, end);
                if (result != OSMEM_OK)
                    return result;
            }
    }
    return OSMEM_OK;
}

#define PART_PAGES ((size_t)16) /* 256 KiB: in such steps a chunk is mapped in part */

bool fl_regions_map_part(fl_arena *arena, size_t page, size_t pages) {
    fl_region *region = fl_the_window.regions + page / FL_REGION_PAGES;
    size_t in_region = page % FL_REGION_PAGES, end = in_region + pages;
    if (end > FL_REGION_PAGES || arena->stat.traits.reservations_apart)
        return false;
    size_t chunk = (end - 1) / FL_CHUNK_PAGES, start = chunk * FL_CHUNK_PAGES;
    uint16_t before = chunk_bits(in_region / FL_CHUNK_PAGES, chunk);
    if ((region->mapped & before) != before ||
        has_chunk(region->mapped | region->reserved | region->lost, chunk))
        return false;
    size_t first = (in_region > start ? in_region : start) & ~(PART_PAGES - 1);
    end = (end + PART_PAGES - 1) & ~(PART_PAGES - 1);
    arena->system_calls++;
    if (osmem_prepare(page_start(region, first), (end - first) << FL_PAGE_SHIFT, &arena->stat) != OSMEM_OK)
        return false;
    region->mapped |= chunk_bits(chunk, chunk + 1);
    arena->chunks_mapped++;
    fl_pagebits_set(region->prepared, first, end - first);
    fl_pagebits_set(region->gone, start, FL_CHUNK_PAGES);
    fl_pagebits_clear(region->gone, first, end - first);
    fl_pagebits_set(region->in_use, start, FL_CHUNK_PAGES);
    fl_pagebits_clear(region->in_use, first, end - first);
    fl_pagetree_update(region, start, FL_CHUNK_PAGES);
    return true;
}

void fl_arena_unkeep(fl_arena *arena, fl_region *region, size_t first, size_t pages, bool leaving) {
    size_t kept = arena->kept_pages ? fl_pagebits_count(region->kept, first, pages) : 0;
    if (kept == 0)
        return;
    fl_pagebits_clear(region->kept, first, pages);
    arena->kept_pages -= kept;
    if (leaving) {
        arena->ready_pages -= kept;
        fl_arena_count_ready(arena, kept, false);
    }
}

void fl_regions_lose(fl_arena *arena, const char *start, size_t pages) {
    size_t page = fl_page_of(start);
    arena->used_pages -= pages;
    arena->ready_pages -= pages;
    fl_arena_count_ready(arena, pages, false);
    fl_arena_show_idle(arena);
    for (fl_piece piece; fl_next_piece(&page, &pages, &piece);)
        fl_pagebits_set(piece.region->gone, piece.first, piece.pages); /* in use they are already */
}

/* All pages of mapped chunks [first, end) Prepared, as far as the system takes them. */
static void forget_contents(osmem_stat *stat, fl_region *region, size_t first, size_t end) {
    size_t limit = end * FL_CHUNK_PAGES;
    for (size_t from = first * FL_CHUNK_PAGES, ours; next_ours(region, &from, &ours, limit); from = ours)
        for (size_t at = from, to; (at = fl_pagebits_next_clear(region->prepared, at, ours)) < ours;
             at = to) {
            to = fl_pagebits_next_set(region->prepared, at, ours);
            if (osmem_unused(page_start(region, at), (to - at) << FL_PAGE_SHIFT, stat) == OSMEM_OK)
                fl_pagebits_set(region->prepared, at, to - at);
        }
}

static void chunks_left(fl_region *region, size_t first, size_t end) {
    region->mapped &= (uint16_t)~chunk_bits(first, end);
    region->small &= (uint16_t)~chunk_bits(first, end);
    fl_pagebits_clear(region->prepared, first * FL_CHUNK_PAGES, (end - first) * FL_CHUNK_PAGES);
    fl_pagebits_clear(region->gone, first * FL_CHUNK_PAGES, (end - first) * FL_CHUNK_PAGES);
}

/* Mapped chunks [first, end) to None. False: the system did not take all of it; what it took is gone. */
static bool free_chunks(osmem_stat *stat, fl_region *region, size_t first, size_t end) {
    size_t limit = end * FL_CHUNK_PAGES;
    for (size_t from = first * FL_CHUNK_PAGES, to; next_ours(region, &from, &to, limit); from = to) {
        if (osmem_free(page_start(region, from), (to - from) << FL_PAGE_SHIFT, by_state(region, from, to),
                       stat) != OSMEM_OK)
            return false;
        fl_pagebits_clear(region->prepared, from, to - from);
        fl_pagebits_set(region->gone, from, to - from);
    }
    chunks_left(region, first, end);
    return true;
}

/* Mapped chunks [first, end) to Reserved. False: the system has not taken all of it. */
static bool unmap_chunks(osmem_stat *stat, fl_region *region, size_t first, size_t end) {
    size_t page = first * FL_CHUNK_PAGES, pages = (end - first) * FL_CHUNK_PAGES;
    forget_contents(stat, region, first, end);
    if (fl_pagebits_count(region->prepared, page, pages) != pages)
        return false;
    osmem_result result = osmem_unmap(chunk_start(region, first), pages << FL_PAGE_SHIFT, stat);
    if (result != OSMEM_OK && result != OSMEM_LOST)
        return false;
    chunks_left(region, first, end);
    if (result == OSMEM_OK)
        region->reserved |= chunk_bits(first, end);
    return true;
}

/* May chunks of an arena become None one by one, or must they stay Reserved? */
static bool may_be_freed(const osmem_stat *stat) {
    return !stat->traits.never_frees && !stat->traits.reservations_apart && !fl_window_is_reserved();
}

static bool chunk_is_spare(const fl_region *region, size_t chunk) {
    return fl_pagebits_count(region->prepared, chunk * FL_CHUNK_PAGES, FL_CHUNK_PAGES) == FL_CHUNK_PAGES;
}

size_t fl_regions_unmap_spare(fl_arena *arena) {
    size_t unmapped = 0;
    bool (*leave)(osmem_stat *, fl_region *, size_t, size_t) =
        may_be_freed(&arena->stat) ? free_chunks : unmap_chunks;
    for (fl_region *region = arena->regions; region; region = region->next)
        for (size_t chunk = 0; chunk < FL_REGION_CHUNKS; chunk++)
            unmapped += has_chunk(region->mapped, chunk) && chunk_is_spare(region, chunk) &&
                        leave(&arena->stat, region, chunk, chunk + 1);
    arena->chunks_mapped -= unmapped;
    return unmapped;
}

bool fl_region_leave_if_empty(fl_arena *arena, fl_region *region) {
    fl_runs all = fl_runs_join(region->runs, FL_REGION_CHUNKS, FL_CHUNK_PAGES);
    if (all.longest != FL_REGION_PAGES || region->idle)
        return false;
    fl_arena_unkeep(arena, region, 0, FL_REGION_PAGES, true); /* what is locked goes with its mapping */
    fl_pagetree_remove(region);
    list_remove(arena, region);
    arena->chunks_mapped -= (size_t)__builtin_popcount(region->mapped);
    atomic_store_explicit(&region->arena, NULL, memory_order_relaxed); /* nobody grows into it from here on */
    return true;
}

/* A region that is one reservation goes as one, or not at all. */
static void free_region(osmem_stat *stat, fl_region *region) {
    osmem_bytes all = {0};
    if ((region->mapped | region->reserved) != FL_CHUNKS_ALL ||
        fl_pagebits_next_set(region->gone, 0, FL_REGION_PAGES) != FL_REGION_PAGES)
        return;
    for (size_t chunk = 0; chunk < FL_REGION_CHUNKS; chunk++) {
        osmem_bytes its = by_state(region, chunk * FL_CHUNK_PAGES, (chunk + 1) * FL_CHUNK_PAGES);
        bool mapped = has_chunk(region->mapped, chunk);
        all.reserved += mapped ? 0 : FL_CHUNK_BYTES;
        all.prepared += mapped ? its.prepared : 0;
        all.ready += mapped ? its.ready : 0;
    }
    if (osmem_free(fl_region_start(region), FL_REGION_BYTES, all, stat) != OSMEM_OK)
        return;
    chunks_left(region, 0, FL_REGION_CHUNKS);
    region->reserved = 0;
}

/* As much of a region to None as the system allows; of the rest, no more is resident than it insists on. */
static void give_back(osmem_stat *stat, fl_region *region) {
    bool to_none = may_be_freed(stat);
    if (stat->traits.reservations_apart && !stat->traits.never_frees)
        free_region(stat, region);
    for (size_t first, end = 0; next_run(region->mapped, end, &first, &end);)
        if (!(to_none ? free_chunks : unmap_chunks)(stat, region, first, end))
            forget_contents(stat, region, first, end);
    for (size_t first, end = 0; to_none && next_run(region->reserved, end, &first, &end);) {
        size_t bytes = (end - first) * FL_CHUNK_BYTES;
        if (osmem_free(chunk_start(region, first), bytes, (osmem_bytes){.reserved = bytes}, stat) == OSMEM_OK)
            region->reserved &= (uint16_t)~chunk_bits(first, end);
    }
}

/* What is left is bookkeeping's until the next arena takes the region. */
static void release(fl_arena *arena, fl_region *region) {
    give_back(&arena->stat, region);
    transfer(region, &arena->stat, &fl_stat_meta);
    fl_window_give(region, arena->stat.backend);
}

void fl_region_release(fl_arena *arena, fl_region *region) {
    /* What the system did not take back earlier, for it had no mappings left for the split, it may take now. */
    fl_region *again = arena->stat.traits.never_frees ? NULL : fl_window_take_kept(arena->stat.backend);
    if (again) {
        transfer(again, &fl_stat_meta, &arena->stat);
        release(arena, again);
    }
    release(arena, region);
}
