/* SPDX-License-Identifier: MIT */
/*
 * sizeclass.h: the size classes of blocks, and the geometry of their slabs.
 *
 *     to 128 B      every 16 bytes
 *     to 16 KiB     FL_CLASSES_PER_DOUBLING
 *     to 128 KiB    FL_CLASSES_PER_DOUBLING_LARGE; multiples of 4 KiB if these are four
 *     above         no class: a run of pages of its own
 *
 * With fewer than eight to a doubling, a 4 KiB buffer with a small header would land in 5 KiB. Every class is
 * a multiple of 16 and slabs start at a page, so a block is aligned to any power of two that divides its
 * class's size.
 */
#ifndef FL_SIZECLASS_H
#define FL_SIZECLASS_H

#include <stddef.h>
#include <stdint.h>

/* Powers of two. Sizes, their count, and what tests expect follow from these two; sizeclass.c does not build
 * with such as cannot be. */
#define FL_CLASSES_PER_DOUBLING 8
#define FL_CLASSES_PER_DOUBLING_LARGE 4

#define FL_CLASS_EVEN_BYTES_MAX ((size_t)128)       /* up to here, classes are 16 bytes apart */
#define FL_CLASS_TABLE_BYTES_MAX ((size_t)16 << 10) /* up to here, one table look-up finds the class */
#define FL_CLASS_BYTES_MAX ((size_t)128 << 10)
#define FL_CLASS_COUNT (8 + 7 * FL_CLASSES_PER_DOUBLING + 3 * FL_CLASSES_PER_DOUBLING_LARGE)
#define FL_CAPACITY_MAX 4096 /* blocks in a slab */

typedef struct fl_class {
    uint32_t block_bytes;
    uint32_t slab_pages;
    uint32_t capacity;         /* blocks in a slab */
    uint32_t reuse_min_blocks; /* with so many free blocks, a slab is worth allocating from again */
    uint32_t watermark;        /* an owner abandons a parked slab at so many used blocks */
    uint32_t carve_blocks;     /* carved at a time */
    uint32_t unit_shift;       /* of a unit, in which memory inside the slab is given back */
    uint32_t unit_blocks;      /* blocks that, at least, touch a unit */
    uint32_t inside_bits;      /* an address with one of these bits may not be a block's start */
    uint64_t inverse; /* index of the block at an offset: (offset * inverse) >> FL_CLASS_INVERSE_SHIFT */
} fl_class;

/* Exact: offsets are below 2^20 and blocks at most 2^17, so the rounding error stays below 2^37. */
#define FL_CLASS_INVERSE_SHIFT 40

extern fl_class fl_classes[FL_CLASS_COUNT];
extern uint8_t fl_class_table[FL_CLASS_TABLE_BYTES_MAX / 16 + 1]; /* by (size + 15) / 16 */

void fl_sizeclass_init(void);

/* Returns the smallest class for a size of at most FL_CLASS_BYTES_MAX. */
unsigned fl_sizeclass_of(size_t bytes);

#endif
