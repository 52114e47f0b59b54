/* SPDX-License-Identifier: MIT */
#include "slab.h"

fl_slab fl_empty_slab = {.free = &fl_empty_slab};

void fl_slab_tag(const fl_slab *slab, uint32_t tag) {
    fl_entries_write(slab->start, slab->pages, fl_entry_make(slab, tag));
}

void fl_slab_untable(const fl_slab *slab) {
    fl_entries_write(slab->start, slab->pages, 0);
}
