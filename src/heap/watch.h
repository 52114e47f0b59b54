/* SPDX-License-Identifier: MIT */
/*
 * watch.h: current slabs in an arena at a limit. As long as fewer blocks of one are free than touch any of its units, none of these is
 * idle, and whoever is at the limit leaves the slab to its owner. So its threshold is at that free, which says so (scarce.h). Where more is
 * free from the start, nobody would see what its owner frees in it: whoever is at the limit takes it.
 *
 * A slab is watched while it is current, and the countdown stands where fl_watch has set it: who puts blocks into its list by another
 * way than the owner's free, makes units Ready, or sets the countdown, unwatches it first.
 *
 * Threads: the owner's, with its hazard pointer set or the heap's lock.
 */
#ifndef FL_WATCH_H
#define FL_WATCH_H

#include "../arena/scarce.h"
#include "heap.h"

static inline bool fl_heap_is_scarce(const fl_heap *heap) {
    return fl_pagearena_is_scarce(&heap->arena->pages);
}

/* The rest of fl_watch. */
void fl_watch_now(const fl_heap *heap, fl_slab *slab);

/* After a block of a current slab was taken, or could not be. */
static inline void fl_watch(const fl_heap *heap, fl_slab *slab) {
    if (fl_heap_is_scarce(heap) && slab != &fl_empty_slab &&
        !atomic_load_explicit(&slab->watched, memory_order_relaxed))
        fl_watch_now(heap, slab);
}

/* Sequentially consistent: see scarce.h. */
static inline void fl_unwatch(fl_slab *slab) {
    if (atomic_load_explicit(&slab->watched, memory_order_relaxed))
        atomic_store_explicit(&slab->watched, false, memory_order_seq_cst);
}

/* The countdown of a current slab has come to its end, and its threshold was not that it is empty. */
void fl_watch_is_over(const fl_heap *heap, fl_slab *slab);

#endif
