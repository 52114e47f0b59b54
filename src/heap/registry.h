/* SPDX-License-Identifier: MIT */
/*
 * registry.h: heaps by their tags. A heap keeps its tag for ever, also when it is recycled for another thread, which is when the
 * last slab with it is settled.
 */
#ifndef FL_REGISTRY_H
#define FL_REGISTRY_H

#include "heap.h"

/* A new one, or one that is used again: in nobody's list, with nothing of what it had valid but its tag. NULL: out of memory. */
fl_heap *fl_heap_new(void);

/* The heap that an entry of the page map, or a slab's word, names. */
fl_heap *fl_heap_by_tag(uint32_t tag);

/* One slab less with the heap's tag, or its life has ended; the last one recycles it. */
void fl_heap_disown(fl_heap *heap);

/* Whatever it owns: with its arena all of that ends. */
void fl_heap_recycle(fl_heap *heap);

#if FL_CHECKS >= 2
/* Not recycled. For comparing before and after. */
size_t fl_audit_heaps_out(void);
#endif

#endif
