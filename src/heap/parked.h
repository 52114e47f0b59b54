/* SPDX-License-Identifier: MIT */
/*
 * parked.h: a heap's lists of parked slabs. Caller holds heap->lock.
 */
#ifndef FL_PARKED_H
#define FL_PARKED_H

#include "heap.h"

/* Links a slab into the list of its class if it has the reuse minimum free, else into that of the full
 * ones. */
void fl_parked_link(fl_heap *heap, fl_slab *slab);
void fl_parked_unlink(fl_heap *heap, fl_slab *slab);
void fl_parked_make_partial(fl_heap *heap, fl_slab *slab);

#endif
