/* SPDX-License-Identifier: MIT */
/*
 * alloc.h: a block from a heap: the fast path, and where the next slab comes from.
 */
#ifndef FL_ALLOC_H
#define FL_ALLOC_H

#include <errno.h>

#include "heap.h"

/* What is returned where there is none. */
static inline void *fl_no_memory(void) {
    errno = ENOMEM;
    return NULL;
}

/* The rest of fl_heap_alloc, which may have entered the heap. It may be given the empty heap. errno is set here, so that the fast path
 * has nothing to do after it: it ends in a jump. */
void *fl_heap_alloc_slow(size_t bytes, fl_heap *heap);

/* A block of at least so many bytes (of FL_CLASS_BYTES_MAX at most) that is known to be zero; NULL: none is at hand. */
void *fl_heap_pop_fresh(fl_heap *heap, size_t bytes);

/* A block of at least `bytes`, of FL_DIRECT_BYTES_MAX at most, if the fast path has one. NULL: it has none, and errno is as it was. */
static inline void *fl_heap_alloc_at_hand(fl_heap *heap, size_t bytes) {
    fl_heap_enter(heap, heap);
    fl_slab *slab;
    FL_LOAD(slab, heap->direct[(bytes + 15) / 16]);
    void *block = fl_slab_pop(slab);
    fl_heap_leave(heap);
    return block;
}

/*
 * A block of at least `bytes`, aligned to 16; NULL with errno ENOMEM and nothing lost when there is no memory.
 */
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
