/* SPDX-License-Identifier: MIT */
/*
 * pagetree.h: where the free pages of an arena are, and the idle ones: a radix tree over its regions.
 *
 *     branch    16 × runs of a GiB …           each entry sums up what lies below it: free at the start,
 *     branch    16 × runs of 64 MiB            longest free run, free at the end; and whether anything in
 *     branch    16 × runs of a region          it is idle
 *     bitmaps   256 pages to a region
 *
 * Finding the lowest run of any length, or the highest idle region, looks at 16 entries a level, and levels
 * grow with the logarithm of the address range: five at a TiB. Runs may cross chunks and regions. Regions
 * that are not the arena's count as full. (The Go runtime's page allocator keeps the same three numbers.)
 *
 * A region is vacant if it has idle pages and none in use: the scavenger's first choice.
 *
 * Threads: the caller holds the arena's lock. The list of branches has a lock of its own.
 */
#ifndef FL_PAGETREE_H
#define FL_PAGETREE_H

#include "window.h"

#define FL_FANOUT 16

typedef struct fl_branch {
    fl_runs runs[FL_FANOUT];
    void *child[FL_FANOUT]; /* fl_region at level 0, fl_branch above; NULL: not the arena's */
    struct fl_branch *parent;
    uint16_t idle;   /* a bit for each child with idle pages in it */
    uint16_t vacant; /* a bit for each with a vacant region */
    uint8_t place;   /* in the parent */
    uint8_t level;
} fl_branch;

typedef struct fl_pagetree {
    fl_branch *root; /* NULL: no region yet */
    size_t base;     /* the first page that the root covers */
} fl_pagetree;

/* Adds a region to the tree, with its bitmaps as they are. Returns false if there is no memory for a
 * branch. */
bool fl_pagetree_insert(fl_pagetree *tree, fl_region *region);
void fl_pagetree_remove(fl_region *region);

/* Removes all regions; the branches are used again. */
void fl_pagetree_clear(fl_pagetree *tree);

/* Follows a change of a region's bits. */
void fl_pagetree_update(fl_region *region);

/* Return which of the 64 pages of a word lie in mapped chunks; which of these are idle. */
static inline uint64_t fl_region_mapped_word(const fl_region *region, size_t word) {
    uint64_t chunks = region->mapped >> (word * 64 / FL_CHUNK_PAGES) & 0xff;
    /* Bit i of the eight moves to byte i; then each byte that has one becomes 1, and a multiplication by 8
     * ones spreads it. */
    uint64_t bytes = chunks * UINT64_C(0x0101010101010101) & UINT64_C(0x8040201008040201);
    return ((bytes + UINT64_C(0x7f7f7f7f7f7f7f7f)) >> 7 & UINT64_C(0x0101010101010101)) * 0xff;
}
_Static_assert(FL_CHUNK_PAGES == 8, "a chunk's pages are a byte of a word");
uint64_t fl_region_idle_word(const fl_region *region, size_t word);

/* Returns the lowest free run of so many pages, as a page of the window, or FL_PAGEBITS_NONE. */
size_t fl_pagetree_find(const fl_pagetree *tree, size_t pages);

/* Returns the highest region below an index that has idle pages, or is vacant; NULL if there is none. */
fl_region *fl_pagetree_last_idle(const fl_pagetree *tree, size_t below, bool vacant);

/* Returns the lowest region from an index on; NULL if there is none. */
fl_region *fl_pagetree_next(const fl_pagetree *tree, size_t from);

size_t fl_pagetree_longest(const fl_pagetree *tree);

#endif
