/* SPDX-License-Identifier: MIT */
/*
 * liveblocks.h: finds which blocks of a slab are free, which are live, and which OS pages (units) each of
 * them touches. Caller has the slab to itself: by a claim, or because nobody else uses its arena.
 */
#ifndef FL_LIVEBLOCKS_H
#define FL_LIVEBLOCKS_H

#include "slab.h"

#define FL_BLOCKS_WORDS (FL_CAPACITY_MAX / 64)

typedef struct fl_blocks {
    uint64_t free[FL_BLOCKS_WORDS];
    uint64_t live[FL_BLOCKS_WORDS];
} fl_blocks;

/* Follows the free list and, from `head` of the slab's word, the list of what others freed. Stops the process
 * at a damaged list. */
void fl_blocks_find(const fl_slab *slab, uint32_t head, fl_blocks *blocks);

/* Removes from a set the blocks that touch any of these units. */
void fl_blocks_clear(const fl_slab *slab, uint64_t units, uint64_t *bits);

static inline unsigned fl_unit_shift(const fl_slab *slab) {
    return fl_classes[slab->size_class].unit_shift;
}

static inline uint64_t fl_unit_bits(size_t first, size_t last) {
    return (UINT64_MAX >> (63 - last)) & (UINT64_MAX << first);
}

static inline size_t fl_unit_first(uint64_t units) {
    return (size_t)__builtin_ctzll(units);
}

static inline size_t fl_unit_last(uint64_t units) {
    return 63 - (size_t)__builtin_clzll(units);
}

/* Return the units of a page of the slab, and of all pages with a bit. (A page smaller than a unit has that
 * unit.) */
static inline uint64_t fl_units_of_page(const fl_slab *slab, size_t page) {
    unsigned shift = fl_unit_shift(slab);
    size_t first = (page << FL_PAGE_SHIFT) >> shift, last = (((page + 1) << FL_PAGE_SHIFT) - 1) >> shift;
    return fl_unit_bits(first, last);
}

static inline uint64_t fl_units_of_pages(const fl_slab *slab, uint64_t pages) {
    uint64_t units = 0;
    for (; pages; pages &= pages - 1)
        units |= fl_units_of_page(slab, (size_t)__builtin_ctzll(pages));
    return units;
}

uint64_t fl_units_of(const fl_slab *slab, uint32_t block);

/* Returns how many blocks are carved and touch nothing that is decommitted. */
uint32_t fl_slab_whole_blocks(const fl_slab *slab);

/* Returns how many of these, at least, touch any one Ready unit: with fewer free, no unit is idle. */
uint32_t fl_slab_least_touching(const fl_slab *slab);

/* Finds the blocks that touch a unit: [*first, *end), bounded by `limit`. */
void fl_unit_blocks(const fl_slab *slab, size_t unit, uint32_t limit, uint32_t *first, uint32_t *end);

#endif
