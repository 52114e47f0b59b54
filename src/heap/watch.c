/* SPDX-License-Identifier: MIT */
#include "watch.h"

#include "../arena/scarce.h"
#include "../slab/liveblocks.h"

void fl_watch_now(const fl_heap *heap, fl_slab *slab) {
    uint32_t whole = fl_slab_whole_blocks(slab), least = fl_slab_least_touching(slab);
    bool can = whole - fl_slab_used(slab) < least;
    fl_slab_set_threshold(slab, can && whole > least ? (int32_t)(whole - least) : FL_THRESHOLD_EMPTY);
    atomic_store_explicit(&slab->watched, can, memory_order_seq_cst);
    if (!can)
        fl_scarce_in_heaps(&heap->arena->pages);
}

void fl_watch_is_over(const fl_heap *heap, fl_slab *slab) {
    if (!atomic_load_explicit(&slab->watched, memory_order_relaxed))
        return;
    fl_unwatch(slab);
    fl_slab_set_threshold(slab, FL_THRESHOLD_EMPTY);
    fl_scarce_in_heaps(&heap->arena->pages);
}
