/* SPDX-License-Identifier: MIT */
/*
 * free.h: frees a block: the fast path of its owner; the frees that this passes on (NULL, another thread's
 * block, one of an abandoned slab, a large one, no block at all); and what becomes of drained slabs.
 */
#ifndef FL_FREE_H
#define FL_FREE_H

#include "heap.h"

/* The rest of fl_heap_free, which may have entered the heap, or come with the empty heap. */
void fl_heap_free_other(void *block, fl_heap *heap);
void fl_heap_free_other_here(void *block, fl_heap *heap);
void fl_heap_drained(fl_slab *slab, fl_heap *heap);

/* The same for what lies in one of the heap's own slabs and looks like no block, or like a free one. */
void fl_heap_free_doubtful(void *block, fl_heap *heap);

/* Prepares to prove from the slab's lists that a block which looks free is: what others have freed of the
 * slab, or this thread before it owned the slab, may still wait to be handed over, and must reach the lists
 * first. Returns true if the slab is the heap's, with the block entered; false if upkeep has taken it. The
 * heap is entered in either case. */
bool fl_heap_take_in_hand(fl_heap *heap, const fl_slab *slab, const void *block);

/* Ends a free: puts a block into one of the heap's slabs. */
static inline void fl_heap_put(fl_heap *heap, fl_slab *slab, void *block) {
    fl_link_set(block, slab->free);
    slab->free = block;
    if (__builtin_expect(--slab->countdown == 0, 0)) {
        fl_heap_drained(slab, heap);
        return;
    }
    fl_heap_leave(heap);
}

/* Frees a block, or calls another function if its slab is not the heap's. */
static inline __attribute__((always_inline)) void fl_heap_free_or(fl_heap *heap, void *block,
                                                                  void (*other)(void *block, fl_heap *heap)) {
    size_t page = ((uintptr_t)block - heap->window_base) >> FL_PAGE_SHIFT;
    if (__builtin_expect(page >= heap->window_pages, 0)) {
        other(block, heap);
        return;
    }
    fl_heap_enter(heap, block);
    fl_entry mine = heap->entry_tag ^ atomic_load_explicit(&heap->table[page], memory_order_relaxed);
    bool not_mine;
    FL_TEST(not_mine, mine, heap->tag_bits);
    if (__builtin_expect(not_mine, 0)) {
        other(block, heap);
        return;
    }
    fl_slab *slab = (fl_slab *)(uintptr_t)mine;
    bool inside;
    FL_TEST(inside, (uint32_t)(uintptr_t)block, slab->inside_bits);
    if (__builtin_expect(inside, 0) || __builtin_expect(fl_is_marked(block), 0)) {
        fl_heap_free_doubtful(block, heap);
        return;
    }
    fl_heap_put(heap, slab, block);
}

/* Frees any block of any arena in the window, or NULL. */
static inline void fl_heap_free(fl_heap *heap, void *block) {
    fl_heap_free_or(heap, block, fl_heap_free_other);
}

/* The same for a block of the heap's arena; another arena's stops the process. */
static inline void fl_heap_free_here(fl_heap *heap, void *block) {
    fl_heap_free_or(heap, block, fl_heap_free_other_here);
}

#endif
