/* SPDX-License-Identifier: MIT */
/*
 * scavenge.c: one batch of idle pages of one arena, from Ready to Prepared.
 *
 * While the system call runs, the pages are marked in use, so that nobody is granted them; the arena's lock
 * is not held. (The Go runtime's scavenger protects itself in the same way.)
 */
#include "scavenge.h"
#include "../system/fatal.h"
#include "../system/probes.h"
#include "../system/system.h"
#include "charge.h"
#include "chunks.h"
#include "events.h"
#include "huge.h"
#include "regions.h"

#define BATCH_PAGES ((size_t)512)
#define LOOKS_MAX 1024 /* regions, in one batch */

typedef struct page_batch {
    osmem_range ranges[FL_BATCH_RANGES];
    size_t count;
    size_t pages;
    size_t wanted_pages;
    bool spare_dense;
    bool spare_huge; /* leave whole huge pages with little idle in them */
} page_batch;

typedef struct room {
    page_batch batch;
    osmem_range small[FL_BATCH_RANGES]; /* mapped ranges of regions to be kept without huge pages */
} room;

static room *room_of(const fl_pagearena *arena) {
    FL_ASSERT_AT(2, fl_upkeep_is_mine(&arena->upkeep));
    return (room *)arena->upkeep.workspace->pages;
}

_Static_assert(sizeof(room) <= sizeof((fl_workspace *)NULL)->pages, "it has a place");

static void batch_add(page_batch *batch, const fl_region *region, size_t first, size_t pages) {
    char *start = fl_region_start(region) + (first << FL_PAGE_SHIFT);
    size_t bytes = pages << FL_PAGE_SHIFT;
    batch->pages += pages;
    osmem_range *last = batch->count ? &batch->ranges[batch->count - 1] : NULL;
    if (last && start + bytes == (char *)last->start && fl_bytes_in_region(start, bytes + 1) > bytes) {
        last->start = start;
        last->bytes += bytes;
        return;
    }
    batch->ranges[batch->count++] = (osmem_range){start, bytes};
}

static bool batch_is_full(const page_batch *batch) {
    return batch->count == FL_BATCH_RANGES || batch->pages >= BATCH_PAGES ||
           batch->pages >= batch->wanted_pages;
}

/* Takes idle runs of one word of a region, highest first, in whole grains. */
static void gather_word(fl_region *region, size_t word, page_batch *batch) {
    size_t grain = fl_the_window.grain_pages;
    for (uint64_t idle = fl_region_idle_word(region, word); idle && !batch_is_full(batch);) {
        size_t end = 64 - (size_t)__builtin_clzll(idle);
        uint64_t gaps = ~idle & (end == 64 ? UINT64_MAX : (UINT64_C(1) << end) - 1);
        size_t first = gaps ? 64 - (size_t)__builtin_clzll(gaps) : 0;
        size_t still = BATCH_PAGES < batch->wanted_pages ? BATCH_PAGES : batch->wanted_pages;
        still = (still - batch->pages + grain - 1) / grain * grain;
        if (end - first > still)
            first = end - still;
        size_t at = word * 64 + first;
        fl_pagebits_set(region->in_use, at, end - first);
        batch_add(batch, region, at, end - first);
        idle = first ? idle & ((UINT64_C(1) << first) - 1) : 0;
    }
}

/* Gathers from the highest region below *below downwards; *below becomes where to go on, SIZE_MAX after the
 * last. */
static void gather(fl_pagearena *arena, bool vacant, size_t *below, page_batch *batch) {
    for (unsigned looks = 0; looks < LOOKS_MAX && !batch_is_full(batch); looks++) {
        fl_region *region = fl_pagetree_last_idle(&arena->tree, *below, vacant);
        if (!region) {
            *below = SIZE_MAX;
            return;
        }
        *below = fl_region_index(region);
        if (batch->spare_dense && fl_region_is_dense(region))
            continue;
        for (size_t word = FL_REGION_WORDS; word-- > 0;)
            if (batch->spare_huge && fl_huge_is_to_stay(arena, region, word * 64, 0))
                arena->left_some |= fl_region_idle_word(region, word) != 0;
            else
                gather_word(region, word, batch);
        fl_pagetree_update(region);
        *below += region->idle && batch_is_full(batch); /* before all of it was in */
    }
}

/* Gathers from vacant regions first; then on from where the last batch ended, since there may be many that
 * are left alone. Returns whether some have not been looked at since the start. */
static bool gather_all(fl_pagearena *arena, size_t wanted_pages, page_batch *batch) {
    size_t top = SIZE_MAX, from = arena->scavenge_below;
    fl_lock_take(&arena->lock);
    size_t idle = fl_pagearena_idle_pages(arena);
    batch->wanted_pages = wanted_pages < idle ? wanted_pages : idle;
    gather(arena, true, &top, batch);
    if (idle > 0)
        gather(arena, false, &arena->scavenge_below, batch);
    else
        arena->scavenge_below = from = SIZE_MAX;
    arena->leaving_pages += batch->pages;
    fl_pagearena_show_idle(arena);
    fl_lock_drop(&arena->lock);
    return arena->scavenge_below != SIZE_MAX || from != SIZE_MAX;
}

typedef enum range_fate { WENT, KEPT, REFUSED } range_fate;

/* Makes what went Prepared; leaves what the system keeps free, not to be asked for again soon, and what it
 * refused idle. Returns the pages that went. */
static size_t put_back(fl_pagearena *arena, const osmem_range *range, range_fate fate) {
    size_t page = fl_page_of(range->start), pages = range->bytes >> FL_PAGE_SHIFT;
    for (fl_piece piece; fl_next_piece(&page, &pages, &piece);) {
        fl_pagebits_clear(piece.region->in_use, piece.first, piece.pages);
        if (fate != REFUSED)
            fl_pagebits_set(fate == WENT ? piece.region->prepared : piece.region->kept, piece.first,
                            piece.pages);
        if (fate == WENT)
            fl_pagebits_clear(piece.region->untouched, piece.first, piece.pages);
        fl_pagetree_update(piece.region);
    }
    size_t all = range->bytes >> FL_PAGE_SHIFT;
    arena->ready_pages -= fate == WENT ? all : 0;
    arena->kept_pages += fate == KEPT ? all : 0;
    return fate == WENT ? all : 0;
}

/* Has the system take back at once what goes of huge pages. */
static void split_ends(fl_pagearena *arena, const osmem_range *range) {
    fl_lock_take(&arena->lock);
    bool splits = fl_huge_splits(arena, range);
    fl_counter_add(&arena->system_calls, splits);
    fl_lock_drop(&arena->lock);
    osmem_result ignored = splits ? osmem_split(range->start, range->bytes, &arena->stat) : OSMEM_OK;
    (void)ignored;
}

uint64_t fl_ranges_unused(fl_pagearena *arena, const osmem_range *ranges, size_t count, uint64_t *kept) {
    uint64_t went = 0;
    for (size_t i = 0; i < count; i++)
        split_ends(arena, &ranges[i]);
    *kept = 0;
    for (size_t at = 0, done; at < count; at++) {
        osmem_result result = osmem_unused_ranges(ranges + at, count - at, &done, &arena->stat);
        for (; done > 0; done--, at++)
            went |= UINT64_C(1) << at;
        if (result == OSMEM_NOMEM || result == OSMEM_INVALID)
            break;
        if (result != OSMEM_OK)
            *kept |= UINT64_C(1) << at;
    }
    return went;
}

/* Releases regions that have become empty, one after the other; without the arena's lock. */
static void release_empty(fl_pagearena *arena, const page_batch *batch) {
    for (size_t i = 0; i < batch->count; i++) {
        size_t page = fl_page_of(batch->ranges[i].start), pages = batch->ranges[i].bytes >> FL_PAGE_SHIFT;
        for (fl_piece piece; fl_next_piece(&page, &pages, &piece);) {
            fl_lock_take(&arena->ground_lock);
            fl_lock_take(&arena->lock);
            /* It may have left already, for another range in it, and be another arena's by now. */
            bool leaves =
                fl_region_is_of(piece.region, arena) && fl_region_leave_if_empty(arena, piece.region);
            fl_lock_drop(&arena->lock);
            if (leaves)
                fl_region_release(arena, piece.region);
            fl_lock_drop(&arena->ground_lock);
        }
    }
}

/* If there are huge pages, what has gone in part must not come back as one. Without the arena's lock. */
static void stay_small(fl_pagearena *arena, size_t count) {
    for (size_t i = 0; i < count; i++) {
        const osmem_range *range = &room_of(arena)->small[i];
        osmem_result ignored = osmem_no_huge_page(range->start, range->bytes, &arena->stat);
        (void)ignored;
    }
}

static void note_given(const fl_pagearena *arena, fl_cause cause, uint64_t bytes, uint64_t started_ns) {
    if (bytes == 0)
        return;
    FL_PROBE3(give_back, arena, cause, bytes);
    fl_event_note(FL_EVENT_GIVE, cause, bytes, arena, started_ns);
}

/* Caller holds the arena's lock. Returns how many ranges there are in room->small. */
static size_t count_given(fl_pagearena *arena, fl_cause cause, const osmem_range *ranges, uint64_t went,
                          uint64_t started_ns) {
    size_t count = 0;
    uint64_t bytes = 0;
    fl_counter_add(&arena->system_calls, 1);
    fl_counter_add(&arena->given_ns[cause], fl_system_now_ns() - started_ns);
    for (uint64_t rest = went; rest; rest &= rest - 1) {
        const osmem_range *range = &ranges[__builtin_ctzll(rest)];
        bytes += range->bytes;
        count += fl_huge_make_small(arena, range, room_of(arena)->small + count, FL_BATCH_RANGES - count);
    }
    fl_counter_add(&arena->given_bytes[cause], bytes);
    fl_counter_add(&arena->system_calls, count);
    note_given(arena, cause, bytes, started_ns);
    return count;
}

void fl_pagearena_given(fl_pagearena *arena, fl_cause cause, const osmem_range *ranges, uint64_t went,
                        uint64_t started_ns) {
    fl_lock_take(&arena->lock);
    for (uint64_t rest = went; rest; rest &= rest - 1)
        fl_huge_note_purged(arena, fl_region_of(ranges[__builtin_ctzll(rest)].start));
    size_t count = count_given(arena, cause, ranges, went, started_ns);
    fl_lock_drop(&arena->lock);
    stay_small(arena, count);
}

#define SIFTS_MAX 64 /* calls in one batch, to find out what the system keeps */

/* Settles the fate of a grain or more of a range in upkeep's hands. */
static size_t settle(fl_pagearena *arena, const osmem_range *range, range_fate fate) {
    arena->leaving_pages -= range->bytes >> FL_PAGE_SHIFT;
    size_t went = put_back(arena, range, fate);
    fl_pagearena_count_ready(arena, went << FL_PAGE_SHIFT, false);
    fl_pagearena_show_idle(arena);
    return went;
}

/*
 * Finds out which grains of a range the system keeps. It is asked about pieces, each half of the one before
 * until it goes or is a grain, then twice as long again. What is left when the calls are used up counts as
 * kept. Returns the pages that went.
 */
static size_t sift(fl_pagearena *arena, fl_cause cause, const osmem_range *range, unsigned *calls) {
    size_t grain = fl_the_window.grain_pages << FL_PAGE_SHIFT, step = range->bytes, went = 0;
    uint64_t started_ns = fl_system_now_ns();
    for (size_t at = 0; at < range->bytes;) {
        osmem_range piece = {(char *)range->start + at, step < range->bytes - at ? step : range->bytes - at};
        bool asks = *calls < SIFTS_MAX && piece.bytes < range->bytes;
        if (!asks && *calls < SIFTS_MAX && piece.bytes > grain) {
            step = piece.bytes / 2 / grain * grain; /* all of it was asked for already */
            continue;
        }
        *calls += asks;
        osmem_result result = asks ? osmem_unused(piece.start, piece.bytes, &arena->stat) : OSMEM_KEPT;
        if (result != OSMEM_OK && asks && piece.bytes > grain) {
            step = piece.bytes / 2 / grain * grain;
            continue;
        }
        fl_lock_take(&arena->lock);
        fl_counter_add(&arena->system_calls, asks);
        fl_counter_add(&arena->given_bytes[cause], result == OSMEM_OK ? piece.bytes : 0);
        went += settle(arena, &piece, result == OSMEM_OK ? WENT : KEPT);
        fl_lock_drop(&arena->lock);
        at += piece.bytes;
        step = result == OSMEM_OK ? 2 * piece.bytes : grain;
    }
    note_given(arena, cause, went << FL_PAGE_SHIFT, started_ns);
    return went;
}

size_t fl_pages_scavenge(fl_pagearena *arena, size_t wanted_pages, fl_cause cause, bool *again) {
    page_batch *batch = &room_of(arena)->batch;
    if (cause == FL_CAUSE_LIMIT && atomic_load_explicit(&arena->idle_shown, memory_order_relaxed) == 0) {
        *again = false;
        return 0;
    }
    uint64_t started_ns = fl_system_now_ns();
    batch->count = batch->pages = 0;
    batch->spare_dense = cause == FL_CAUSE_GOAL;
    batch->spare_huge = fl_pagearena_spares_huge(arena, cause);
    *again = gather_all(arena, wanted_pages, batch);
    if (batch->count == 0)
        return 0;

    uint64_t kept, done = fl_ranges_unused(arena, batch->ranges, batch->count, &kept);
    size_t went = 0;

    fl_lock_take(&arena->lock);
    size_t small_count = count_given(arena, cause, batch->ranges, done, started_ns);
    fl_lock_drop(&arena->lock);
    stay_small(arena, small_count); /* while nobody can be granted the pages */

    fl_lock_take(&arena->lock);
    for (size_t i = 0; i < batch->count; i++)
        if (!(kept >> i & 1))
            went += settle(arena, &batch->ranges[i], done >> i & 1 ? WENT : REFUSED);
    if (kept)
        arena->kept_since_ns = started_ns;
    fl_lock_drop(&arena->lock);
    unsigned calls = 0;
    for (size_t i = 0; i < batch->count; i++)
        if (kept >> i & 1)
            went += sift(arena, cause, &batch->ranges[i], &calls);
    *again = went > 0 || kept; /* what is kept is no longer idle, so this ends */
    if (cause != FL_CAUSE_GOAL && cause != FL_CAUSE_LIMIT)
        release_empty(arena, batch);
    return went;
}
