/* SPDX-License-Identifier: MIT */
/*
 * block.h: what the fronts need beside plain allocation and free: aligned and zeroed blocks, resizing,
 * measuring. The same for malloc and for arenas.
 */
#ifndef FL_BLOCK_H
#define FL_BLOCK_H

#include "../slab/misused.h"
#include "heap.h"

/* Returns an aligned block; `alignment` is a power of two. Returns NULL with errno ENOMEM if out of
 * memory. */
void *fl_block_alloc_aligned(fl_heap *heap, size_t alignment, size_t bytes);

/* Returns a block that is all zero; what is known to be zero is not cleared again. */
void *fl_block_alloc_zeroed(fl_heap *heap, size_t bytes);

/* Returns the slab or run that a block lies in. Stops the process if the pointer is not the start of a live
 * block of ours; `doing` says what was asked ("realloc of"). */
fl_slab *fl_block_slab(const void *block, const char *doing);

size_t fl_block_usable_bytes(const fl_slab *slab);

/* Makes a block fit `bytes` in place, unless half of it would be wasted. Returns whether it did. */
bool fl_block_resize(fl_slab *slab, size_t bytes);

/* Returns whether `bytes` fit so in a block of one of the heap's own slabs. For the fast path: of others'
 * blocks, large ones and what is no live block it says false. A live block keeps its slab, so the heap need
 * not be entered. */
static inline bool fl_block_fits(const fl_heap *heap, const void *block, size_t bytes) {
    size_t page = ((uintptr_t)block - heap->window_base) >> FL_PAGE_SHIFT;
    if (page >= heap->window_pages)
        return false;
    fl_entry mine = heap->entry_tag ^ atomic_load_explicit(&heap->table[page], memory_order_relaxed);
    if (mine & heap->tag_bits)
        return false;
    const fl_slab *slab = (const fl_slab *)(uintptr_t)mine;
    return bytes <= slab->block_bytes && bytes >= slab->block_bytes / 2 && fl_is_start(slab, block) &&
           !fl_is_marked(block);
}

/* Replaces a block by one of at least `bytes`, with the same contents as far as they fit. `heap` is the
 * calling thread's in the block's arena. Returns NULL, with the block as it was, if out of memory. */
void *fl_block_move(fl_heap *heap, fl_slab *slab, void *block, size_t bytes);

/* Shrinks a block when there is no memory for another: it stays where it is and gives up what it can. Returns
 * it. */
void *fl_block_keep(fl_slab *slab, void *block, size_t bytes);

#endif
