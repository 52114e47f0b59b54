/* SPDX-License-Identifier: MIT */
#include "heap_life.h"

#include "../system/fatal.h"
#include "batches.h"
#include "owner.h"
#include "parked.h"
#include "registry.h"
#include "sampled.h"

/* Caller holds the arena's heaps_lock. */
static void count_heap(fallow_arena *arena, int change) {
    uint32_t count = atomic_load_explicit(&arena->pages.heap_count, memory_order_relaxed);
    atomic_store_explicit(&arena->pages.heap_count, count + (uint32_t)change, memory_order_relaxed);
}

/* Caller holds the arena's heaps_lock: here and below. */
static void link_heap(fl_heap **list, fl_heap *heap) {
    heap->previous = NULL;
    heap->next = *list;
    if (heap->next)
        heap->next->previous = heap;
    *list = heap;
}

static void unlink_heap(fl_heap **list, fl_heap *heap) {
    *(heap->previous ? &heap->previous->next : list) = heap->next;
    if (heap->next)
        heap->next->previous = heap->previous;
}

fl_heap *fl_heap_acquire(fallow_arena *arena, struct fl_thread *thread) {
    fl_heap *heap = fl_heap_new();
    if (!heap)
        return NULL;
    atomic_store_explicit(&heap->table_bytes_end, FL_CLASS_TABLE_BYTES_MAX + 1, memory_order_relaxed);
    for (unsigned size_class = 0; size_class < FL_CLASS_COUNT; size_class++) {
        atomic_store_explicit(&heap->current[size_class], &fl_empty_slab, memory_order_relaxed);
        heap->partial[size_class] = (fl_parked){NULL, NULL};
    }
    for (size_t i = 0; i <= FL_DIRECT_BYTES_MAX / 16; i++)
        atomic_store_explicit(&heap->direct[i], &fl_empty_slab, memory_order_relaxed);
    heap->full = (fl_parked){NULL, NULL};
    heap->slabs_lost = false;
    atomic_store_explicit(&heap->released, false, memory_order_relaxed);
    heap->counted.free = &heap->counted; /* before others may lead the owner there: they order nothing */
    heap->arena = arena;
    fl_heap_set_thread(heap, thread);
    fl_lock_init(&heap->lock, FL_LOCK_HEAP);
    heap->visits = heap->visits_seen = 0;
    memset(&heap->kept, 0, sizeof heap->kept);
    heap->partial_bytes = 0;
    heap->quiet_ticks = 0;
    heap->refusals_seen = 0;
    heap->taken_last = NULL;
    heap->calm = 0;
    heap->pinned = 0;
    fl_heap_set_sample_gap(heap, 0);
    heap->trap_gap = 0;
    atomic_store_explicit(&heap->hazard, NULL, memory_order_relaxed);
    atomic_store_explicit(&heap->owned, 1, memory_order_relaxed);
    atomic_store_explicit(&heap->notified, NULL, memory_order_relaxed);
    fl_batches_init(heap);

    fl_lock_take(&arena->heaps_lock);
    link_heap(&arena->heaps, heap);
    count_heap(arena, 1);
    /* A thread that switches this on or off takes this lock after it has said so. */
    if (fl_sampling_counts(arena))
        fl_heap_set_counted(heap, true);
    fl_lock_drop(&arena->heaps_lock);
    return heap;
}

/* From here on nobody can notify this heap of a slab: a pusher that wants to settles the slab. */
static void close_notified(fl_heap *heap) {
    fl_slab *slab = atomic_exchange_explicit(&heap->notified, FL_NOTIFIED_CLOSED, memory_order_acq_rel);
    for (fl_slab *next; slab; slab = next) {
        next = slab->notified_next;
        fl_slab_unnotify(slab);
    }
}

static void let_parked_go(fl_heap *heap, const fl_parked *list) {
    for (fl_slab *slab = list->first, *next; slab; slab = next) {
        next = slab->next;
        /* A slab that is NOTIFIED still has a pusher on its way here, who will find the door closed. */
        if (!fl_owner_let_go(heap, slab, FL_PARKED))
            fl_parked_unlink(heap, slab);
    }
}

static void let_all_go(fl_heap *heap) {
    for (unsigned size_class = 0; size_class < FL_CLASS_COUNT; size_class++) {
        fl_slab *current = fl_heap_current(heap, size_class);
        if (current != &fl_empty_slab) {
            fl_heap_set_current(heap, size_class, &fl_empty_slab);
            fl_owner_let_go(heap, current, FL_CURRENT);
        }
        let_parked_go(heap, &heap->partial[size_class]);
    }
    let_parked_go(heap, &heap->full);
}

void fl_heap_release(fl_heap *heap) {
    fallow_arena *arena = heap->arena;
    FL_ASSERT(atomic_load_explicit(&heap->batches_used, memory_order_relaxed) == 0);
    fl_lock_take(&arena->heaps_lock);
    unlink_heap(&arena->heaps, heap);
    link_heap(&arena->leaving_heaps, heap);
    count_heap(arena, -1);
    fl_lock_drop(&arena->heaps_lock);

    fl_heap_leave(heap);
    fl_lock_take(&heap->lock);
    close_notified(heap);
    let_all_go(heap);
    atomic_store_explicit(&heap->released, true, memory_order_release);
    fl_lock_drop(&heap->lock);
    fl_spans_flush(&heap->kept.spans, &arena->pages);
    fl_descriptors_give_kept(&heap->kept);
    fl_lock_take(&arena->heaps_lock);
    unlink_heap(&arena->leaving_heaps, heap);
    fl_lock_drop(&arena->heaps_lock);
    fl_heap_disown(heap);
}

static void lose_slabs(fl_heap *heap) {
    for (unsigned size_class = 0; size_class < FL_CLASS_COUNT; size_class++)
        heap->partial[size_class] = (fl_parked){NULL, NULL};
    heap->full = (fl_parked){NULL, NULL};
    heap->slabs_lost = true;
    fl_pagearena_count(&heap->arena->pages.reclaimable_bytes, heap->partial_bytes, false);
    heap->partial_bytes = 0;
}

static void fork_child_of(fl_heap *heap, const struct fl_thread *self) {
    if (self && fl_heap_thread(heap) == self) { /* may have been interrupted with it, and goes on */
        fl_lock_renew(&heap->lock);
        return;
    }
    /* Its thread is not in this process, or it has none. If that was in the middle of something, the slabs
     * and lists are in an unknown state and are given up: what the heap owned stays where it is, and its
     * blocks can still be freed. */
    if (atomic_load_explicit(&heap->hazard, memory_order_relaxed) || !fl_lock_is_free(&heap->lock)) {
        lose_slabs(heap);
        fl_batches_init(heap);
        fl_lock_renew(&heap->lock);
        fl_heap_leave(heap);
    }
}

void fl_heap_fork_child(fallow_arena *arena, const struct fl_thread *self) {
    for (fl_heap *heap = arena->heaps; heap; heap = heap->next)
        fork_child_of(heap, self);
    for (fl_heap *heap = arena->leaving_heaps; heap; heap = heap->next)
        fork_child_of(heap, self);
}
