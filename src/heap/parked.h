/* SPDX-License-Identifier: MIT */
/*
 * parked.h: a heap's lists of parked slabs. The caller holds heap->lock.
 */
#ifndef FL_PARKED_H
#define FL_PARKED_H

#include "heap.h"

/* In the list for its class, if the reuse minimum is free; else in that of the full ones. */
void fl_parked_link(fl_heap *heap, fl_slab *slab);
void fl_parked_unlink(fl_heap *heap, fl_slab *slab);
void fl_parked_make_partial(fl_heap *heap, fl_slab *slab);

#endif
