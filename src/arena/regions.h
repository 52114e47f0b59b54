/* SPDX-License-Identifier: MIT */
/*
 * regions.h: the ground of an arena: how it comes by regions, maps their chunks as they are needed, and gives
 * empty regions back. Private to the floor; the caller holds the arena's lock unless said otherwise.
 */
#ifndef FL_REGIONS_H
#define FL_REGIONS_H

#include "pages.h"

/* The part of a run of pages that lies in one region. */
typedef struct fl_piece {
    fl_region *region;
    size_t first;
    size_t pages;
} fl_piece;

/* Takes the next piece off a run of pages of the window. False: there is nothing left of it. */
bool fl_next_piece(size_t *page, size_t *pages, fl_piece *piece);

/* At least so many free pages side by side, with nothing mapped yet. False: no addresses, or no memory for
 * bookkeeping. */
bool fl_regions_add(fl_arena *arena, size_t pages);

/* Maps those chunks of a run that are not. OSMEM_TAKEN: somebody else sits in one, which counts as in use
 * from now on: look elsewhere. OSMEM_NOMEM: not now; some of it may be mapped. */
osmem_result fl_regions_map(fl_arena *arena, size_t page, size_t pages);

/*
 * Part of these pages is about to go, or has gone: their chunks are not to become whole again by a huge page. Returns
 * chunks as ranges for osmem_no_huge_page, to be called without the lock: at most max, those that were not asked for
 * before.
 */
size_t fl_regions_make_small(const osmem_range *pages, size_t count, osmem_range *chunks, size_t max);

/*
 * After OSMEM_NOMEM, of a run whose last chunk alone is not mapped: maps as little of that as the run needs (a small limit on locked memory, a
 * commit limit that is nearly reached). The rest of the chunk counts as in use until the region leaves. False: not that either.
 */
bool fl_regions_map_part(fl_arena *arena, size_t page, size_t pages);

/* Those of a region's pages that the system keeps count as idle again; or, where they leave, no longer as Ready. */
void fl_arena_unkeep(fl_arena *arena, fl_region *region, size_t first, size_t pages, bool leaving);

/* Pages that were granted are None: the system took them away. They count as in use for ever, and are no longer Ready. */
void fl_regions_lose(fl_arena *arena, const char *start, size_t pages);

/* Commit charge back: mapped chunks with every page free and Prepared become Reserved again, or None. Returns
 * how many did. */
size_t fl_regions_unmap_spare(fl_arena *arena);

/* A region with no page in use and none idle leaves the arena (true: now it is the caller's). */
bool fl_region_leave_if_empty(fl_arena *arena, fl_region *region);

/*
 * As much of a region that has left to None as the system allows, and the region to the window; without the lock. What the
 * system keeps is tried again when the next region is released, and is there for the next arena that takes the region.
 */
void fl_region_release(fl_arena *arena, fl_region *region);

#endif
