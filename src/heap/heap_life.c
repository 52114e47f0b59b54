/* SPDX-License-Identifier: MIT */
/*
 * heap_life.c: heaps come and go: made for a thread, released when it ends, recycled when the last slab with
 * their tag is settled; and what the child of a fork makes of those whose threads it does not have.
 */
#include "../system/fatal.h"
#include "heap.h"
#include "heap_audit.h"
#include "idle.h"
#include "owner.h"
#include "thread.h"

#define HEAPS_IN_A_BLOCK 512
#define BLOCKS_MAX ((1 << 24) / HEAPS_IN_A_BLOCK)

/* A heap keeps its tag for ever, also when it is recycled for another thread. */
static fl_heap *recycled; /* through next; this and the tags are guarded by the lock of recycled heaps */
static uint32_t last_tag; /* 0 is nobody's */
static _Atomic(fl_heap **) blocks[BLOCKS_MAX];

fl_heap *fl_heap_by_tag(uint32_t tag) {
    return atomic_load_explicit(&blocks[tag / HEAPS_IN_A_BLOCK],
                                memory_order_acquire)[tag % HEAPS_IN_A_BLOCK];
}

static fl_heap *new_heap(void) {
    uint32_t tag = last_tag + 1;
    if (tag >= FL_TAG_NEVER)
        return NULL;
    _Atomic(fl_heap **) *block = &blocks[tag / HEAPS_IN_A_BLOCK];
    fl_heap **heaps = atomic_load_explicit(block, memory_order_relaxed);
    if (!heaps) {
        heaps = fl_meta_alloc(HEAPS_IN_A_BLOCK * sizeof *heaps);
        if (!heaps)
            return NULL;
        /* Release: the zeroes, with the acquire in fl_heap_by_tag. */
        atomic_store_explicit(block, heaps, memory_order_release);
    }
    fl_heap *heap = fl_meta_alloc(sizeof *heap);
    if (!heap)
        return NULL;
    heap->tag = last_tag = tag;
    heap->entry_tag = fl_entry_tag(tag);
    heap->tag_bits = FL_ENTRY_TAG_BITS;
    heap->window_base = fl_the_window.base;
    heap->table = fl_the_window.table;
    /* Read only by who found the tag in a slab's word, hence after this. */
    heaps[tag % HEAPS_IN_A_BLOCK] = heap;
    return heap;
}

/* Holds the arena's heaps_lock. */
static void count_heap(fallow_arena *arena, int change) {
    uint32_t count = atomic_load_explicit(&arena->pages.heap_count, memory_order_relaxed);
    atomic_store_explicit(&arena->pages.heap_count, count + (uint32_t)change, memory_order_relaxed);
}

fl_heap *fl_heap_acquire(fallow_arena *arena, struct fl_thread *thread) {
    fl_lock_take(fl_lock_of(FL_LOCK_RECYCLED));
    fl_heap *heap = recycled;
    if (heap)
        recycled = heap->next;
    else
        heap = new_heap();
    fl_lock_drop(fl_lock_of(FL_LOCK_RECYCLED));
    if (!heap)
        return NULL;
    for (unsigned size_class = 0; size_class < FL_CLASS_COUNT; size_class++) {
        fl_heap_set_current(heap, size_class, &fl_empty_slab);
        heap->partial[size_class] = (fl_parked){NULL, NULL};
    }
    heap->full = (fl_parked){NULL, NULL};
    heap->slabs_lost = heap->released = false;
    heap->arena = arena;
    fl_heap_set_thread(heap, thread);
    fl_lock_init(&heap->lock, FL_LOCK_HEAP);
    heap->visits = heap->visits_seen = 0;
    memset(&heap->kept, 0, sizeof heap->kept);
    heap->partial_bytes = 0;
    heap->quiet_ticks = 0;
    heap->pinned = 0;
    atomic_store_explicit(&heap->hazard, NULL, memory_order_relaxed);
    atomic_store_explicit(&heap->owned, 1, memory_order_relaxed);
    atomic_store_explicit(&heap->told, NULL, memory_order_relaxed);

    fl_lock_take(&arena->heaps_lock);
    heap->previous = NULL;
    heap->next = arena->heaps;
    if (heap->next)
        heap->next->previous = heap;
    arena->heaps = heap;
    count_heap(arena, 1);
    fl_lock_drop(&arena->heaps_lock);
    return heap;
}

static void recycle(fl_heap *heap) {
    fl_lock_take(fl_lock_of(FL_LOCK_RECYCLED));
    heap->arena = NULL;
    fl_heap_set_thread(heap, NULL);
    heap->next = recycled;
    recycled = heap;
    fl_lock_drop(fl_lock_of(FL_LOCK_RECYCLED));
}

#if FL_CHECKS >= 2
size_t fl_audit_heaps_out(void) {
    size_t out = last_tag;
    for (const fl_heap *heap = recycled; heap; heap = heap->next)
        out--;
    return out;
}
#endif

void fl_heap_disown(fl_heap *heap) {
    /* Release, and acquire for the last one: all that was done to the heap comes before it is recycled. */
    if (atomic_fetch_sub_explicit(&heap->owned, 1, memory_order_acq_rel) == 1)
        recycle(heap);
}

/* Nobody can tell this heap of a slab from here on: who wants to settles the slab. */
static void close_told(fl_heap *heap) {
    fl_slab *slab = atomic_exchange_explicit(&heap->told, FL_TOLD_CLOSED, memory_order_acq_rel);
    for (fl_slab *next; slab; slab = next) {
        next = slab->told_next;
        fl_slab_untell(slab);
    }
}

static void let_parked_go(fl_heap *heap, const fl_parked *list) {
    for (fl_slab *slab = list->first, *next; slab; slab = next) {
        next = slab->next;
        /* A slab that is told still has a pusher on its way here, who will find the door closed. */
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
    fl_lock_take(&arena->heaps_lock);
    *(heap->previous ? &heap->previous->next : &arena->heaps) = heap->next;
    if (heap->next)
        heap->next->previous = heap->previous;
    count_heap(arena, -1);
    fl_lock_drop(&arena->heaps_lock);

    fl_heap_leave(heap);
    fl_lock_take(&heap->lock);
    close_told(heap);
    let_all_go(heap);
    heap->released = true;
    fl_lock_drop(&heap->lock);
    fl_spans_flush(&heap->kept.spans, &arena->pages);
    fl_descriptors_give_kept(&heap->kept);
    fl_heap_disown(heap);
}

void fl_heap_abandon_all(fallow_arena *arena) {
    /* All of it, so that a thread that parts with a heap has done so before, or does not find it any more. */
    fl_threads_lock();
    fl_lock_take(&arena->heaps_lock);
    fl_heap *heap = arena->heaps;
    arena->heaps = NULL;
    fl_lock_drop(&arena->heaps_lock);
    fl_idle_forget(arena);
    for (fl_heap *next; heap; heap = next) {
        next = heap->next;
        fl_thread_forget(heap);
        fl_descriptors_give_kept(&heap->kept);
        recycle(heap);
    }
    fl_threads_unlock();
}

static void lose_slabs(fl_heap *heap) {
    for (unsigned size_class = 0; size_class < FL_CLASS_COUNT; size_class++)
        heap->partial[size_class] = (fl_parked){NULL, NULL};
    heap->full = (fl_parked){NULL, NULL};
    heap->slabs_lost = true;
    fl_arena_count(&heap->arena->pages.reclaimable_bytes, heap->partial_bytes, false);
    heap->partial_bytes = 0;
}

void fl_heap_fork_child(fallow_arena *arena, const struct fl_thread *self) {
    for (fl_heap *heap = arena->heaps; heap; heap = heap->next) {
        if (self && fl_heap_thread(heap) == self) { /* who may have been interrupted with it, and goes on */
            fl_lock_renew(&heap->lock);
            continue;
        }
        /* Its thread is not in this process, or it has none. If it was in the middle of something, its slabs and lists are in
         * an unknown state and are given up: what it owned stays where it is, and its blocks can still be freed. */
        if (atomic_load_explicit(&heap->hazard, memory_order_relaxed) || !fl_lock_is_free(&heap->lock)) {
            lose_slabs(heap);
            fl_lock_renew(&heap->lock);
            fl_heap_leave(heap);
        }
    }
}
