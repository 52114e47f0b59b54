/* SPDX-License-Identifier: MIT */
/*
 * scavenge.c: one batch of idle pages of one arena, from Ready to Prepared.
 *
 * While the system call runs, the pages are marked in use, so that nobody is granted them; the arena's lock
 * is not held. (The Go runtime's scavenger protects itself in the same way.)
 */
#include "pagebits.h"
#include "pages.h"

#define BATCH_RANGES 64
#define BATCH_PAGES ((size_t)512)

typedef struct batch {
    osmem_range ranges[BATCH_RANGES];
    size_t count;
    size_t pages;
} batch;

/* The idle pages among 64: mapped, neither in use nor prepared. */
static uint64_t idle_word(const fl_region *region, size_t word) {
    size_t first = word * 64;
    if (first >= region->mapped_pages)
        return 0;
    uint64_t mapped =
        region->mapped_pages - first >= 64 ? UINT64_MAX : (UINT64_C(1) << (region->mapped_pages - first)) - 1;
    return ~region->in_use[word] & ~region->prepared[word] & mapped;
}

static void batch_add(batch *batch, const fl_region *region, size_t first, size_t pages) {
    char *start = fl_region_start(region) + (first << FL_PAGE_SHIFT);
    size_t bytes = pages << FL_PAGE_SHIFT;
    batch->pages += pages;
    osmem_range *last = batch->count ? &batch->ranges[batch->count - 1] : NULL;
    if (last && start + bytes == (char *)last->start) {
        last->start = start;
        last->bytes += bytes;
        return;
    }
    batch->ranges[batch->count++] = (osmem_range){start, bytes};
}

static bool batch_is_full(const batch *batch, size_t wanted_pages) {
    return batch->count == BATCH_RANGES || batch->pages >= BATCH_PAGES || batch->pages >= wanted_pages;
}

/* Takes idle runs of a region from its end downwards. */
static void gather(fl_region *region, batch *batch, size_t wanted_pages) {
    size_t grain = fl_the_window.grain_pages;
    for (size_t word = FL_REGION_WORDS; word-- > 0;) {
        for (uint64_t idle = idle_word(region, word); idle;) {
            if (batch_is_full(batch, wanted_pages))
                return;
            /* The highest run of this word, whole grains of it, not more than is still wanted. */
            size_t end = 64 - (size_t)__builtin_clzll(idle);
            uint64_t gaps = ~idle & (end == 64 ? UINT64_MAX : (UINT64_C(1) << end) - 1);
            size_t first = gaps ? 64 - (size_t)__builtin_clzll(gaps) : 0;
            size_t still = BATCH_PAGES < wanted_pages ? BATCH_PAGES : wanted_pages;
            still = (still - batch->pages + grain - 1) / grain * grain;
            if (end - first > still)
                first = end - still;
            size_t at = word * 64 + first;
            fl_pagebits_set(region->in_use, at, end - first);
            batch_add(batch, region, at, end - first);
            idle = first ? idle & ((UINT64_C(1) << first) - 1) : 0;
        }
    }
}

static void put_back(fl_arena *arena, const osmem_range *range, bool prepared) {
    fl_region *region = fl_region_of(range->start);
    char *start = range->start;
    for (size_t pages = range->bytes >> FL_PAGE_SHIFT; pages;) {
        size_t first = fl_page_of(start) - fl_region_index(region) * FL_REGION_PAGES;
        size_t part = FL_REGION_PAGES - first < pages ? FL_REGION_PAGES - first : pages;
        fl_pagebits_clear(region->in_use, first, part);
        region->longest_run = FL_REGION_PAGES;
        if (prepared) {
            fl_pagebits_set(region->prepared, first, part);
            arena->ready_pages -= part;
        }
        if (region < arena->roomy || !arena->roomy)
            arena->roomy = region;
        start += part << FL_PAGE_SHIFT;
        pages -= part;
        region++;
    }
}

size_t fl_pages_scavenge(fl_arena *arena, size_t wanted_pages) {
    batch batch;
    batch.count = batch.pages = 0;
    fl_lock_take(&arena->lock);
    size_t idle = fl_arena_idle_pages(arena);
    if (wanted_pages > idle)
        wanted_pages = idle;
    for (fl_region *region = arena->last; region && batch.pages < wanted_pages; region = region->previous) {
        if (batch_is_full(&batch, wanted_pages))
            break;
        gather(region, &batch, wanted_pages);
    }
    arena->leaving_pages += batch.pages;
    fl_lock_drop(&arena->lock);
    if (batch.count == 0)
        return 0;

    size_t done = 0;
    osmem_result result = osmem_unused_ranges(batch.ranges, batch.count, &done, &arena->stat);
    (void)result; /* `done` says it all: what was refused stays idle */

    size_t went = 0;
    fl_lock_take(&arena->lock);
    arena->leaving_pages -= batch.pages;
    for (size_t i = 0; i < batch.count; i++) {
        put_back(arena, &batch.ranges[i], i < done);
        if (i < done)
            went += batch.ranges[i].bytes >> FL_PAGE_SHIFT;
    }
    fl_lock_drop(&arena->lock);
    return went;
}
