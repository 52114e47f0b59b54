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

/* Maps those chunks of a run that are not. OSMEM_UNSUPPORTED: somebody else sits in one, which counts as in use
 * from now on: look elsewhere. OSMEM_NOMEM: not now; some of it may be mapped. */
osmem_result fl_regions_map(fl_arena *arena, size_t page, size_t pages);

/*
 * Part of these pages is about to go, or has gone: their chunks are not to become whole again by a huge page. Returns
 * chunks as ranges for osmem_no_huge_page, to be called without the lock: at most max, those that were not asked for
 * before.
 */
size_t fl_regions_make_small(const osmem_range *pages, size_t count, osmem_range *chunks, size_t max);

/* Commit charge back: mapped chunks with every page free and Prepared become Reserved again, or None. Returns
 * how many did. */
size_t fl_regions_unmap_spare(fl_arena *arena);

/* A region with no page in use and none idle leaves the arena (true: now it is the caller's). */
bool fl_region_leave_if_empty(fl_arena *arena, fl_region *region);

/* All of a region that has left to None, and the region to the window; without the lock. What the system does not
 * take back now is tried again when the next one is released. */
void fl_region_release(fl_arena *arena, fl_region *region);

/* The arena ends: what it still keeps is counted as bookkeeping, and tried again when another one ends. */
void fl_regions_end(fl_arena *arena);

#endif
