/* SPDX-License-Identifier: MIT */
#include "huge.h"

#include "../system/fatal.h"
#include "../system/system.h"
#include "pagetree.h"

/* In an arena up to this size, a huge page, commonly of 2 MiB, is too large a part. */
#ifndef FL_SMALL_ARENA_BYTES
#define FL_SMALL_ARENA_BYTES ((size_t)32 << 20)
#endif

/* Once so much is filled, the arena asks for huge pages. */
#ifndef FL_FILLED_ENOUGH_BYTES
#define FL_FILLED_ENOUGH_BYTES ((size_t)16 << 20)
#endif

#define STAYS_PART 4

static bool asks = true;

void fl_huge_pages_ask(bool ask) {
    asks = ask;
}

bool fl_huge_pages_come(const fl_pagearena *arena) {
    return arena->stat.traits.huge_page_bytes && fl_system_huge_pages_always();
}

/* Returns whether the region had huge pages at any time, however it is advised now. */
static bool may_have_had(const fl_pagearena *arena, const fl_region *region) {
    return region->huge || fl_huge_pages_come(arena);
}

/* Returns a huge page's size in pages; 0 if the system has none. */
static size_t huge_page_pages(const fl_pagearena *arena) {
    return arena->stat.traits.huge_page_bytes >> FL_PAGE_SHIFT;
}

/* Returns whether the rest of a huge page may be idle. */
static bool keeps_rest(const fl_pagearena *arena) {
    return atomic_load_explicit(&arena->limits.idle_pages, memory_order_relaxed) >=
           2 * huge_page_pages(arena);
}

/* Judges by what is known to be resident. Far more may be Ready: slabs of many threads, each of a block or
 * two, and large blocks of which little is touched. */
static bool is_large(const fl_pagearena *arena) {
    return atomic_load_explicit(&arena->filled_bytes, memory_order_relaxed) >= FL_FILLED_ENOUGH_BYTES;
}

static bool asks_for_them(const fl_pagearena *arena, fl_how how) {
    size_t huge = arena->stat.traits.huge_page_bytes;
    return asks && (how & FL_FILLED) && huge && huge <= FL_REGION_BYTES && is_large(arena) &&
           keeps_rest(arena) && (fl_system_huge_pages_asked() || fl_system_huge_pages_always());
}

bool fl_huge_is_wanted(const fl_pagearena *arena, fl_how how) {
    return asks_for_them(arena, how) &&
           atomic_load_explicit(&fl_advised, memory_order_relaxed) < FL_ADVISED_MAX;
}

bool fl_huge_is_unwanted(const fl_pagearena *arena, const fl_region *region, size_t chunks) {
    return region->small ||
           (!region->mapped && arena->chunks_mapped + chunks <= FL_SMALL_ARENA_BYTES / FL_CHUNK_BYTES &&
            fl_huge_pages_come(arena));
}

_Atomic size_t fl_advised;

void fl_huge_note(fl_region *region, bool asked, bool small) {
    FL_ASSERT(!region->mapped && !region->advised);
    region->small = small;
    region->huge = asked;
    region->advised = asked;
    fl_pagearena_count(&fl_advised, region->advised, true);
}

static bool may_be_advised(fl_region *region) {
    if (region->advised)
        return true;
    if (atomic_fetch_add_explicit(&fl_advised, 1, memory_order_relaxed) < FL_ADVISED_MAX)
        return region->advised = true;
    fl_pagearena_count(&fl_advised, 1, false);
    return false;
}

void fl_huge_forget(fl_region *region) {
    fl_pagearena_count(&fl_advised, region->advised, false);
    region->small = region->huge = region->advised = region->purged = region->unsaid = false;
    region->split = 0;
}

size_t fl_huge_make_small(const fl_pagearena *arena, const osmem_range *pages, osmem_range *mapped,
                          size_t max) {
    bool come = fl_huge_pages_come(arena);
    size_t found = 0, page = fl_page_of(pages->start), left = pages->bytes >> FL_PAGE_SHIFT;
    for (fl_piece piece; fl_next_piece(&page, &left, &piece);) {
        fl_region *region = piece.region;
        if (region->small || !(come || region->huge) || found == max || !may_be_advised(region))
            continue;
        region->small = true;
        for (size_t first, end = 0; fl_next_chunks(region->mapped, end, &first, &end);)
            for (size_t from = first * FL_CHUNK_PAGES, to;
                 found < max && fl_next_ours(region, &from, &to, end * FL_CHUNK_PAGES); from = to)
                mapped[found++] = (osmem_range){fl_region_page(region, from), (to - from) << FL_PAGE_SHIFT};
    }
    return found;
}

static _Atomic bool forked; /* guards nothing */

void fl_huge_note_fork(void) {
    atomic_store_explicit(&forked, true, memory_order_relaxed);
}

/* Returns whether the huge page at this address, which is in the range, is whole. */
static bool is_whole_before(const fl_pagearena *arena, uintptr_t address) {
    fl_region *region = fl_region_of((void *)address);
    uint64_t bit = UINT64_C(1) << (address % FL_REGION_BYTES / arena->stat.traits.huge_page_bytes);
    bool done = (region->split & bit) && !atomic_load_explicit(&forked, memory_order_relaxed);
    if (!may_have_had(arena, region) || done)
        return false;
    region->split |= bit;
    return true;
}

bool fl_huge_splits(const fl_pagearena *arena, const osmem_range *range) {
    size_t huge = arena->stat.traits.huge_page_bytes;
    uintptr_t start = (uintptr_t)range->start, end = start + range->bytes;
    if (huge < FL_REGION_BYTES / 64 || huge > FL_REGION_BYTES)
        return false;
    bool splits = start % huge && is_whole_before(arena, start);
    return (end % huge && end / huge * huge >= start && is_whole_before(arena, end - 1)) || splits;
}

bool fl_huge_is_to_stay(const fl_pagearena *arena, const fl_region *region, size_t page, size_t more_pages) {
    size_t huge = huge_page_pages(arena), first = huge ? page / huge * huge : 0, idle = more_pages;
    if (huge < 64 || huge > FL_REGION_PAGES || !may_have_had(arena, region) ||
        region->split >> first / huge & 1)
        return false;
    for (size_t word = first / 64; word < (first + huge) / 64; word++)
        idle += (size_t)__builtin_popcountll(fl_region_idle_word(region, word));
    return idle < huge / STAYS_PART;
}

void fl_huge_note_purged(const fl_pagearena *arena, fl_region *region) {
    region->purged |= may_have_had(arena, region);
}

static bool is_whole(const fl_region *region) {
    return region->mapped == FL_CHUNKS_ALL &&
           fl_pagebits_next_set(region->gone, 0, FL_REGION_PAGES) == FL_REGION_PAGES;
}

/* As it was when it grew, or when it last had huge pages. */
static bool is_new_again(const fl_region *region) {
    return region->small && region->huge && is_whole(region) &&
           fl_pagebits_count(region->prepared, 0, FL_REGION_PAGES) == FL_REGION_PAGES;
}

/* Returns whether the piece holds a huge page that was never touched. */
static bool has_new_huge_page(const fl_pagearena *arena, const fl_piece *piece) {
    size_t huge = huge_page_pages(arena), end = piece->first + piece->pages;
    if (!piece->region->huge || piece->region->small || huge == 0)
        return false;
    for (size_t first = (piece->first + huge - 1) / huge * huge; first + huge <= end; first += huge)
        if (fl_pagebits_count(piece->region->prepared, first, huge) == huge)
            return true;
    return false;
}

bool fl_huge_changes_mind(const fl_pagearena *arena, const fl_piece *piece, fl_how how) {
    bool wants = asks_for_them(arena, how) && is_new_again(piece->region);
    if (!wants && ((how & FL_FILLED) || !has_new_huge_page(arena, piece)))
        return false;
    piece->region->small = !wants;
    piece->region->purged |= !wants; /* it will look dense, and is not */
    piece->region->split = wants ? 0 : piece->region->split;
    return piece->region->unsaid = true;
}

void fl_huge_stay_small(size_t page, size_t pages) {
    for (fl_piece piece; fl_next_piece(&page, &pages, &piece);) {
        piece.region->small |= piece.region->unsaid;
        piece.region->unsaid = false;
    }
}

bool fl_huge_is_dense_again(const fl_region *region) {
    return region->small && region->advised && !region->purged && is_whole(region) &&
           fl_region_is_dense(region);
}

/* The last thing said is what the region says, however often others change that meanwhile. */
static void say_again(fl_pagearena *arena, const fl_region *region, bool said) {
    for (bool small = said;; said = small) {
        osmem_result ignored = (said ? osmem_no_huge_page : osmem_huge_page)(fl_region_start(region),
                                                                             FL_REGION_BYTES, &arena->stat);
        (void)ignored;
        fl_lock_take(&arena->lock);
        fl_counter_add(&arena->system_calls, 1);
        small = region->small;
        fl_lock_drop(&arena->lock);
        if (small == said)
            return;
    }
}

void fl_huge_leave_small(fl_pagearena *arena, size_t page, size_t pages) {
    for (fl_piece piece; fl_next_piece(&page, &pages, &piece);) {
        fl_region *region = piece.region;
        fl_lock_take(&arena->lock);
        /* (If the system has a page against our will, nothing more is said of the region.) */
        bool dense = fl_huge_is_dense_again(region), says = (dense || region->unsaid) && is_whole(region);
        region->small &= !dense;
        region->split = dense ? 0 : region->split; /* the system collapses what was split */
        region->unsaid = false;
        bool small = region->small;
        fl_lock_drop(&arena->lock);
        if (says)
            say_again(arena, region, small);
    }
}

bool fl_huge_is_expected(const fl_pagearena *arena, const fl_region *region) {
    return !region->small && may_have_had(arena, region);
}

bool fl_huge_widen(const fl_pagearena *arena, const fl_region *region, size_t *first, size_t *end) {
    size_t huge = huge_page_pages(arena);
    if (!region->huge || region->small || huge < 2)
        return false;
    *first = *first / huge * huge;
    *end = (*end + huge - 1) / huge * huge;
    return true;
}
