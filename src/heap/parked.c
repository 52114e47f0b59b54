/* SPDX-License-Identifier: MIT */
#include "parked.h"

#include "../arena/scavenger.h"

static fl_parked *list_of(fl_heap *heap, const fl_slab *slab) {
    return slab->partial ? &heap->partial[slab->size_class] : &heap->full;
}

void fl_parked_link(fl_heap *heap, fl_slab *slab) {
    fl_parked *list = list_of(heap, slab);
    if (heap->slabs_lost)
        return;
    slab->linked = 1;
    if (slab->partial) {
        fl_slab_count_reclaimable(slab, true);
        heap->partial_bytes += slab->pages << FL_PAGE_SHIFT;
        slab->since_ms = fl_scavenger_ticked_ms();
    }
    slab->previous = NULL;
    slab->next = list->first;
    *(list->first ? &list->first->previous : &list->last) = slab;
    list->first = slab;
}

void fl_parked_unlink(fl_heap *heap, fl_slab *slab) {
    fl_parked *list = list_of(heap, slab);
    if (heap->slabs_lost)
        return;
    *(slab->previous ? &slab->previous->next : &list->first) = slab->next;
    *(slab->next ? &slab->next->previous : &list->last) = slab->previous;
    slab->linked = 0;
    if (slab->partial) {
        fl_slab_count_reclaimable(slab, false);
        heap->partial_bytes -= slab->pages << FL_PAGE_SHIFT;
    }
}

void fl_parked_make_partial(fl_heap *heap, fl_slab *slab) {
    fl_parked_unlink(heap, slab);
    slab->partial = 1;
    fl_parked_link(heap, slab);
}
