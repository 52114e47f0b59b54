/* SPDX-License-Identifier: MIT */
/*
 * registry.h: finds heaps by their tags. A heap keeps its tag for ever. It is recycled, for whatever thread
 * comes, once the last slab with its tag is settled.
 */
#ifndef FL_REGISTRY_H
#define FL_REGISTRY_H

#include "heap.h"

/* Returns a new or recycled heap, which is in no list and of which only the tag is valid; NULL if out of
 * memory. */
fl_heap *fl_heap_new(void);

/* Returns the heap that an entry of the page map, or a slab's word, names. */
fl_heap *fl_heap_by_tag(uint32_t tag);

/* Counts one slab less with the heap's tag, or the end of the heap's life; the last one recycles it. */
void fl_heap_disown(fl_heap *heap);

/* Recycles a heap whatever it owns, since that ends with its arena. */
void fl_heap_recycle(fl_heap *heap);

#if FL_CHECKS >= 2
/* Returns how many heaps are not recycled, to be compared before and after. */
size_t fl_audit_heaps_out(void);
#endif

#endif
