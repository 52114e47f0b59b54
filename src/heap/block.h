/* SPDX-License-Identifier: MIT */
/*
 * block.h: what the fronts need beside plain allocation and free: aligned, zeroed, resized, measured. The
 * same for malloc and for arenas.
 */
#ifndef FL_BLOCK_H
#define FL_BLOCK_H

#include "../slab/misused.h"
#include "heap.h"

/* alignment is a power of two. NULL with errno ENOMEM: out of memory. */
void *fl_block_alloc_aligned(fl_heap *heap, size_t alignment, size_t bytes);

/* All zero; what is known to be zero is not cleared again. */
void *fl_block_alloc_zeroed(fl_heap *heap, size_t bytes);

/* The slab or run that a block lies in. Stops the process if the pointer is not the start of a live block of
 * ours; `doing` says what was asked ("realloc of"). */
fl_slab *fl_block_slab(const void *block, const char *doing);

/* What may be used of a block, from its start. */
size_t fl_block_usable_bytes(const fl_slab *slab);

/* Makes a block fit `bytes` where it is, if that neither moves it nor wastes half. */
bool fl_block_resize(fl_slab *slab, size_t bytes);

/* Does a block of one of the heap's own slabs fit so? For the fast path: of others' blocks, large ones, and what is no live block it
 * says that it does not. A live block holds its slab, so that nothing need be entered for this. */
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

/* Another block in its place, of at least `bytes`, with the same contents as far as they fit. heap: the calling thread's, in
 * the block's arena. NULL: out of memory, and the block is as it was. */
void *fl_block_move(fl_heap *heap, fl_slab *slab, void *block, size_t bytes);

/* To become smaller needs no memory: the block stays where it is, with what of it can go. Returns it. */
void *fl_block_keep(fl_slab *slab, void *block, size_t bytes);

#endif
