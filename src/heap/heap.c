/* SPDX-License-Identifier: MIT */
#include "heap.h"

fl_heap fl_empty_heap = {.tag = FL_TAG_NEVER,
                         .entry_tag = FL_ENTRY_TAG_BITS,
                         .tag_bits = FL_ENTRY_TAG_BITS,
                         .direct = {[0 ... FL_DIRECT_BYTES_MAX / 16] = &fl_empty_slab},
                         .current = {[0 ... FL_CLASS_COUNT - 1] = &fl_empty_slab}};

void fl_heap_set_counted(fl_heap *heap, bool counted) {
    fl_heap_set_sample_gap(heap, 0);
    atomic_store_explicit(&heap->table_bytes_end, counted ? 0 : FL_CLASS_TABLE_BYTES_MAX + 1,
                          memory_order_relaxed);
    for (size_t i = 0; counted && i <= FL_DIRECT_BYTES_MAX / 16; i++)
        atomic_store_explicit(&heap->direct[i], &heap->counted, memory_order_relaxed);
    for (unsigned size_class = 0; !counted && size_class < FL_CLASS_COUNT; size_class++)
        fl_heap_set_current(heap, size_class, fl_heap_current(heap, size_class));
}

void fl_heap_set_current(fl_heap *heap, unsigned size_class, fl_slab *slab) {
    atomic_store_explicit(&heap->current[size_class], slab, memory_order_relaxed);
    size_t last = fl_classes[size_class].block_bytes / 16;
    size_t first = size_class ? fl_classes[size_class - 1].block_bytes / 16 + 1 : 0;
    if (last <= FL_DIRECT_BYTES_MAX / 16 && !fl_heap_is_counted(heap))
        for (size_t i = first; i <= last; i++)
            atomic_store_explicit(&heap->direct[i], slab, memory_order_relaxed);
}
