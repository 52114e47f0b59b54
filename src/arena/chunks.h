/* SPDX-License-Identifier: MIT */
/*
 * chunks.h: the chunks and pages of a region as bits and as addresses. It has no state; the caller holds the
 * lock that guards the region.
 */
#ifndef FL_CHUNKS_H
#define FL_CHUNKS_H

#include "window.h"

/* The part of a run of pages that lies in one region. */
typedef struct fl_piece {
    fl_region *region;
    size_t first;
    size_t pages;
} fl_piece;

/* Takes the next piece off a run of pages of the window. Returns false if nothing is left of the run. */
static inline bool fl_next_piece(size_t *page, size_t *pages, fl_piece *piece) {
    if (*pages == 0)
        return false;
    piece->region = fl_the_window.regions + *page / FL_REGION_PAGES;
    piece->first = *page % FL_REGION_PAGES;
    piece->pages = FL_REGION_PAGES - piece->first < *pages ? FL_REGION_PAGES - piece->first : *pages;
    *page += piece->pages;
    *pages -= piece->pages;
    return true;
}

static inline char *fl_chunk_start(const fl_region *region, size_t chunk) {
    return fl_region_start(region) + chunk * FL_CHUNK_BYTES;
}

static inline char *fl_region_page(const fl_region *region, size_t page) {
    return fl_region_start(region) + (page << FL_PAGE_SHIFT);
}

static inline fl_chunks fl_chunk_bits(size_t first, size_t end) {
    return (fl_chunks)((UINT64_C(1) << end) - (UINT64_C(1) << first));
}

static inline bool fl_has_chunk(fl_chunks mask, size_t chunk) {
    return mask >> chunk & 1;
}

/* Finds the first run of chunks in a mask at or after `from`. Returns false if there is none. */
static inline bool fl_next_chunks(fl_chunks mask, size_t from, size_t *first, size_t *end) {
    uint64_t rest = (uint64_t)mask & ~((UINT64_C(1) << from) - 1);
    if (!rest)
        return false;
    *first = (size_t)__builtin_ctzll(rest);
    *end = *first + (size_t)__builtin_ctzll(~(rest >> *first));
    return true;
}

/* Finds the next run of pages at or after *first and below limit that are not gone. Returns false if there is
 * none. */
static inline bool fl_next_ours(const fl_region *region, size_t *first, size_t *end, size_t limit) {
    *first = fl_pagebits_next_clear(region->gone, *first, limit);
    *end = fl_pagebits_next_set(region->gone, *first, limit);
    return *first < limit;
}

#define FL_DENSE_PAGES (FL_REGION_PAGES - FL_REGION_PAGES / 32)

static inline bool fl_region_is_dense(const fl_region *region) {
    return fl_pagebits_count(region->in_use, 0, FL_REGION_PAGES) >= FL_DENSE_PAGES;
}

#endif
