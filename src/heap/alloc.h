/* SPDX-License-Identifier: MIT */
/*
 * alloc.h: allocates a block from a heap: the fast path, and finding the next slab.
 */
#ifndef FL_ALLOC_H
#define FL_ALLOC_H

#include <errno.h>

#include "heap.h"

/* Returns what a failed allocation returns. */
static inline void *fl_no_memory(void) {
    errno = ENOMEM;
    return NULL;
}

/* The rest of fl_heap_alloc, which may have entered the heap, or come with the empty heap. It sets errno
 * itself, so that the fast path can end in a jump. */
void *fl_heap_alloc_slow(size_t bytes, fl_heap *heap);

/* Returns a block of at least so many bytes, at most FL_CLASS_BYTES_MAX, that is known to be zero; NULL if
 * none is at hand. */
void *fl_heap_pop_fresh(fl_heap *heap, size_t bytes);

/* Returns a block of at least `bytes`, which are at most FL_DIRECT_BYTES_MAX, if the fast path has one; else
 * NULL, with errno as it was. */
static inline void *fl_heap_alloc_at_hand(fl_heap *heap, size_t bytes) {
    fl_heap_enter(heap, heap);
    fl_slab *slab;
    FL_LOAD(slab, heap->direct[(bytes + 15) / 16]);
    void *block = fl_slab_pop(slab);
    fl_heap_leave(heap);
    return block;
}

/* Returns a block of at least `bytes`, aligned to 16; NULL with errno ENOMEM, and nothing lost, if there is
 * no memory. */
static inline void *fl_heap_alloc(fl_heap *heap, size_t bytes) {
    if (__builtin_expect(bytes > FL_DIRECT_BYTES_MAX, 0))
        return fl_heap_alloc_slow(bytes, heap);
    fl_heap_enter(heap, heap);
    fl_slab *slab;
    FL_LOAD(slab, heap->direct[(bytes + 15) / 16]);
    void *block = fl_slab_pop(slab);
    if (__builtin_expect(block == NULL, 0))
        return fl_heap_alloc_slow(bytes, heap);
    fl_heap_leave(heap);
    return block;
}

#endif
