/* SPDX-License-Identifier: MIT */
/* Every size, every class, every block of every slab. */
#include "../../src/slab/sizeclass.h"

#include "../../src/arena/window.h"
#include "../lib/check.h"

static void sizeclass_smallest_that_fits(void) {
    for (size_t bytes = 0; bytes <= FL_CLASS_BYTES_MAX; bytes++) {
        unsigned size_class = fl_sizeclass_of(bytes);
        CHECK(size_class < FL_CLASS_COUNT);
        CHECK(fl_classes[size_class].block_bytes >= bytes);
        if (size_class > 0)
            CHECK(fl_classes[size_class - 1].block_bytes < bytes);
    }
    CHECK_EQUAL(fl_classes[FL_CLASS_COUNT - 1].block_bytes, FL_CLASS_BYTES_MAX);
}

static void sizeclass_waste_is_bounded(void) {
    for (unsigned size_class = 1; size_class < FL_CLASS_COUNT; size_class++) {
        size_t below = fl_classes[size_class - 1].block_bytes, bytes = fl_classes[size_class].block_bytes;
        CHECK_EQUAL(bytes % 16, 0);
        if (below >= FL_CLASS_TABLE_BYTES_MAX) {
            CHECK_EQUAL(bytes % 4096, 0);
            CHECK((bytes - below) * 4 <= below);
        } else if (below >= 128)
            CHECK((bytes - below) * 8 <= below);
        else
            CHECK_EQUAL(bytes - below, 16);
    }
}

static void sizeclass_slab_parts(void) {
    for (unsigned size_class = 0; size_class < FL_CLASS_COUNT; size_class++) {
        const fl_class *it = &fl_classes[size_class];
        size_t slab_bytes = (size_t)it->slab_pages << FL_PAGE_SHIFT;
        CHECK(it->capacity >= 2);
        CHECK((size_t)it->capacity * it->block_bytes <= slab_bytes);
        CHECK(slab_bytes - (size_t)it->capacity * it->block_bytes < it->block_bytes ||
              it->capacity == FL_CAPACITY_MAX);
        CHECK(it->reuse_min_blocks >= 1 && it->reuse_min_blocks <= it->capacity / 2);
        CHECK(it->watermark >= 1 && it->watermark + it->reuse_min_blocks <= it->capacity);
        CHECK(it->carve_blocks >= 1 && it->carve_blocks <= it->capacity);
        CHECK(slab_bytes / 16 < ((size_t)1 << 17)); /* offsets fit the slab's word */
    }
}

static void sizeclass_index_of_every_offset(void) {
    for (unsigned size_class = 0; size_class < FL_CLASS_COUNT; size_class++) {
        const fl_class *it = &fl_classes[size_class];
        size_t slab_bytes = (size_t)it->slab_pages << FL_PAGE_SHIFT;
        for (size_t offset = 0; offset < slab_bytes; offset++)
            if ((offset * it->inverse) >> FL_CLASS_INVERSE_SHIFT != offset / it->block_bytes) {
                CHECK_EQUAL(it->block_bytes, 0);
                CHECK_EQUAL(offset, 0);
            }
    }
}

int main(void) {
    fl_sizeclass_init();
    RUN(sizeclass_smallest_that_fits);
    RUN(sizeclass_waste_is_bounded);
    RUN(sizeclass_slab_parts);
    RUN(sizeclass_index_of_every_offset);
    return 0;
}
