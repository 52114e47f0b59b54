/* SPDX-License-Identifier: MIT */
#include "sizeclass.h"

#include "../arena/window.h"

fl_class fl_classes[FL_CLASS_COUNT];
uint8_t fl_class_table[FL_CLASS_TABLE_BYTES_MAX / 16 + 1];

#define OS_PAGE_USUAL_BYTES 4096

static size_t slab_bytes_for(size_t block_bytes) {
    /* The larger slabs are, the less often a heap changes them, and the more of them lies idle: with a MiB
     * for the largest classes, blocks of 1 to 64 KiB replaced at random were 5 % faster and took a sixth more
     * memory. */
    return block_bytes <= 1024   ? (size_t)64 << 10
           : block_bytes <= 8192 ? (size_t)128 << 10
                                 : (size_t)256 << 10;
}

/* Each free is looked at closely for blocks above this whose size is no power of two. (From 1 KiB on, a row
 * of blocks to 8 KiB was 14 % slower.) */
#define CHECKED_BYTES FL_CLASS_TABLE_BYTES_MAX

static uint32_t at_least_one(uint32_t n) {
    return n ? n : 1;
}

static void describe(fl_class *size_class, size_t block_bytes) {
    size_t page_bytes = osmem_os_page_bytes();
    size_t slab_bytes = slab_bytes_for(block_bytes);
    if (slab_bytes < page_bytes)
        slab_bytes = page_bytes;
    uint32_t capacity = (uint32_t)(slab_bytes / block_bytes);
    if (capacity > FL_CAPACITY_MAX)
        capacity = FL_CAPACITY_MAX; /* half of a page of 128 KiB stays empty with the smallest blocks */
    uint32_t few = capacity / 4 < 4 ? at_least_one(capacity / 4) : 4;
    size_class->block_bytes = (uint32_t)block_bytes;
    size_class->slab_pages = (uint32_t)(slab_bytes >> FL_PAGE_SHIFT);
    size_class->capacity = capacity;
    size_class->reuse_min_blocks = capacity / 16 > few ? capacity / 16 : few;
    /* From an eighth for the smallest blocks, which drain together, to half for the largest. */
    size_class->watermark = block_bytes <= 256    ? capacity / 8
                            : block_bytes <= 4096 ? capacity / 4
                                                  : capacity / 2;
    /* At most 64 units to a slab, each of whole OS pages. */
    size_class->unit_shift = (uint32_t)__builtin_ctzll(page_bytes);
    while (slab_bytes >> size_class->unit_shift > 64)
        size_class->unit_shift++;
    size_class->unit_blocks =
        (uint32_t)((((size_t)1 << size_class->unit_shift) + block_bytes - 1) / block_bytes);
    size_class->carve_blocks = at_least_one((uint32_t)(OS_PAGE_USUAL_BYTES / block_bytes));
    /* Slabs start at a page. */
    size_t lowest = block_bytes & -block_bytes;
    size_class->inside_bits = (uint32_t)((lowest < FL_PAGE_BYTES ? lowest : FL_PAGE_BYTES) - 1);
    if (block_bytes > CHECKED_BYTES && lowest != block_bytes)
        size_class->inside_bits = UINT32_MAX;
    size_class->inverse = ((UINT64_C(1) << FL_CLASS_INVERSE_SHIFT) + block_bytes - 1) / block_bytes;
}

#define IS_POWER_OF_TWO(n) ((n) > 0 && ((n) & ((n)-1)) == 0)

_Static_assert(FL_CLASS_EVEN_BYTES_MAX == 8 * 16 &&
                   FL_CLASS_TABLE_BYTES_MAX == FL_CLASS_EVEN_BYTES_MAX << 7 &&
                   FL_CLASS_BYTES_MAX == FL_CLASS_TABLE_BYTES_MAX << 3,
               "FL_CLASS_COUNT has the doublings that there are");
_Static_assert(IS_POWER_OF_TWO(FL_CLASSES_PER_DOUBLING) && IS_POWER_OF_TWO(FL_CLASSES_PER_DOUBLING_LARGE) &&
                   FL_CLASS_EVEN_BYTES_MAX % (16 * FL_CLASSES_PER_DOUBLING) == 0 &&
                   FL_CLASS_TABLE_BYTES_MAX % (16 * FL_CLASSES_PER_DOUBLING_LARGE) == 0,
               "every class is a multiple of 16");

static size_t next_bytes(size_t bytes) {
    size_t doubling = FL_CLASS_EVEN_BYTES_MAX;
    while (doubling * 2 <= bytes)
        doubling *= 2;
    return bytes + (bytes < FL_CLASS_EVEN_BYTES_MAX    ? 16
                    : bytes < FL_CLASS_TABLE_BYTES_MAX ? doubling / FL_CLASSES_PER_DOUBLING
                                                       : doubling / FL_CLASSES_PER_DOUBLING_LARGE);
}

void fl_sizeclass_init(void) {
    size_t bytes = 0;
    for (unsigned count = 0; count < FL_CLASS_COUNT; count++) {
        bytes = next_bytes(bytes);
        describe(&fl_classes[count], bytes);
    }
    unsigned size_class = 0;
    for (size_t i = 0; i < sizeof fl_class_table; i++) {
        while (fl_classes[size_class].block_bytes < i * 16)
            size_class++;
        fl_class_table[i] = (uint8_t)size_class;
    }
}

unsigned fl_sizeclass_of(size_t bytes) {
    if (bytes <= FL_CLASS_TABLE_BYTES_MAX)
        return fl_class_table[(bytes + 15) / 16];
    unsigned size_class = fl_class_table[FL_CLASS_TABLE_BYTES_MAX / 16] + 1u;
    while (fl_classes[size_class].block_bytes < bytes)
        size_class++;
    return size_class;
}
