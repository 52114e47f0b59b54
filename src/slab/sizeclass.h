/* SPDX-License-Identifier: MIT */
/*
 * sizeclass.h: the sizes of blocks in slabs, and the slabs that they lie in.
 *
 *     to 128 B      every 16 bytes          8 classes
 *     to 16 KiB     eight to a doubling    56 classes
 *     to 128 KiB    four to a doubling     12 classes, multiples of 4 KiB
 *     above         no class: a run of pages of its own
 *
 * Eight to a doubling: a 4 KiB buffer with a small header would else land in 5 KiB. Every class is a
 * multiple of 16, and slabs start at a page, so that a block is aligned to what its size is a multiple of.
 */
#ifndef FL_SIZECLASS_H
#define FL_SIZECLASS_H

#include <stddef.h>
#include <stdint.h>

#define FL_CLASS_COUNT 76
#define FL_CLASS_TABLE_BYTES_MAX ((size_t)16 << 10) /* up to here one table look-up finds the class */
#define FL_CLASS_BYTES_MAX ((size_t)128 << 10)
#define FL_CAPACITY_MAX 4096 /* blocks in a slab */

typedef struct fl_class {
    uint32_t block_bytes;
    uint32_t slab_pages;
    uint32_t capacity; /* blocks in a slab */
    uint32_t
        reuse_min_blocks; /* the reuse minimum: so many free blocks make a slab worth allocating from again */
    uint32_t watermark;   /* an owner lets a parked slab go at so many used blocks */
    uint32_t carve_blocks; /* how many are carved together */
    uint32_t unit_shift;   /* bytes of a unit, in which pages inside the slab are given back */
    uint32_t unit_blocks;  /* so many blocks touch a unit that lies among them, at least */
    uint32_t inside_bits;  /* who frees an address that has one of these may be wrong */
    uint64_t inverse;      /* index of the block at an offset: (offset * inverse) >> FL_CLASS_INVERSE_SHIFT */
} fl_class;

/* Exact: offsets are below 2^20 and blocks at most 2^17, so the rounding error stays below 2^37. */
#define FL_CLASS_INVERSE_SHIFT 40

extern fl_class fl_classes[FL_CLASS_COUNT];
extern uint8_t fl_class_table[FL_CLASS_TABLE_BYTES_MAX / 16 + 1]; /* by (size + 15) / 16 */

void fl_sizeclass_init(void);

/* The smallest class that holds a size of at most FL_CLASS_BYTES_MAX. */
unsigned fl_sizeclass_of(size_t bytes);

#endif
