/* SPDX-License-Identifier: MIT */
/*
 * watch.h: watches current slabs in an arena at a limit. As long as fewer blocks of a slab are free than
 * touch any one of its units, no unit is idle, and threads at the limit leave the slab to its owner. Its
 * threshold is set to the free that ends this, which says so (scarce.h). If more is free from the start,
 * nobody would notice what the owner frees in it, so a thread at the limit takes it.
 *
 * A slab is watched while it is current and its countdown stands where fl_watch has set it. Whoever puts
 * blocks into its list by another way than the owner's free, makes units Ready, or sets the countdown,
 * unwatches it first.
 *
 * Threads: called by the owner, with its hazard pointer set or the heap's lock held.
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

/* Called after a block of a current slab was taken, or could not be. */
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

/* Called when the countdown of a current slab has ended at a threshold other than an empty slab. */
void fl_watch_is_over(const fl_heap *heap, fl_slab *slab);

#endif
