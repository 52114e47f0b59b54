/* SPDX-License-Identifier: MIT */
#include "registry.h"

#define HEAPS_IN_A_BLOCK 512
#define BLOCKS_MAX ((1 << 24) / HEAPS_IN_A_BLOCK)

static fl_heap *recycled; /* linked by next; the lock of recycled heaps guards this and the tags */
static uint32_t last_tag; /* 0 is no heap's */
static _Atomic(fl_heap **) blocks[BLOCKS_MAX];

fl_heap *fl_heap_by_tag(uint32_t tag) {
    return atomic_load_explicit(&blocks[tag / HEAPS_IN_A_BLOCK],
                                memory_order_acquire)[tag % HEAPS_IN_A_BLOCK];
}

static fl_heap *new_heap(void) {
    uint32_t tag = last_tag + 1;
    if (tag >= FL_TAG_NEVER)
        return NULL;
    _Atomic(fl_heap **) *block = &blocks[tag / HEAPS_IN_A_BLOCK];
    fl_heap **heaps = atomic_load_explicit(block, memory_order_relaxed);
    if (!heaps) {
        heaps = fl_meta_alloc(HEAPS_IN_A_BLOCK * sizeof *heaps);
        if (!heaps)
            return NULL;
        /* Release: the zeroes, for the acquire in fl_heap_by_tag. */
        atomic_store_explicit(block, heaps, memory_order_release);
    }
    fl_heap *heap = fl_meta_alloc(sizeof *heap);
    if (!heap)
        return NULL;
    heap->tag = last_tag = tag;
    heap->entry_tag = fl_entry_tag(tag);
    heap->tag_bits = FL_ENTRY_TAG_BITS;
    heap->window_base = fl_the_window.base;
    heap->table = fl_the_window.table;
    /* Only a thread that found the tag in a slab's word reads this, so it does after this. */
    heaps[tag % HEAPS_IN_A_BLOCK] = heap;
    return heap;
}

void fl_heap_recycle(fl_heap *heap) {
    fl_lock_take(fl_lock_of(FL_LOCK_RECYCLED));
    heap->arena = NULL;
    fl_heap_set_thread(heap, NULL);
    heap->next = recycled;
    recycled = heap;
    fl_lock_drop(fl_lock_of(FL_LOCK_RECYCLED));
}

#if FL_CHECKS >= 2
size_t fl_audit_heaps_out(void) {
    size_t out = last_tag;
    for (const fl_heap *heap = recycled; heap; heap = heap->next)
        out--;
    return out;
}
#endif

void fl_heap_disown(fl_heap *heap) {
    /* Release, and acquire for the last one: all that was done to the heap comes before it is recycled. */
    if (atomic_fetch_sub_explicit(&heap->owned, 1, memory_order_acq_rel) == 1)
        fl_heap_recycle(heap);
}

fl_heap *fl_heap_new(void) {
    fl_lock_take(fl_lock_of(FL_LOCK_RECYCLED));
    fl_heap *heap = recycled;
    if (heap)
        recycled = heap->next;
    else
        heap = new_heap();
    fl_lock_drop(fl_lock_of(FL_LOCK_RECYCLED));
    return heap;
}
