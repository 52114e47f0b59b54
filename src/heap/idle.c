/* SPDX-License-Identifier: MIT */
#include "idle.h"

#include "../system/fatal.h"
#include "batches.h"
#include "heap_life.h"

/* A heap with more does not wait. Slabs: a thread that uses each class up to a KiB has some 40. */
#define IDLE_SLABS_MAX 64
#define IDLE_PARTIAL_BYTES_MAX ((size_t)256 << 10)
#define IDLE_TICKS_MAX 3 /* in the low bits of the word, which heaps leave free: they lie on cache lines */

static unsigned ticks_in(uintptr_t word) {
    return (unsigned)(word & 63);
}

static void count_idle(fallow_arena *arena, bool more) {
    fl_pagearena_count(&arena->pages.reclaimable_bytes, FL_IDLE_HEAP_BYTES, more);
}

static _Atomic uintptr_t *empty_slot(fallow_arena *arena) {
    for (size_t i = 0; i < FL_IDLE_HEAPS_MAX; i++)
        if (atomic_load_explicit(&arena->idle[i], memory_order_relaxed) == 0)
            return &arena->idle[i];
    return NULL;
}

/* The heap's lock guards partial_bytes, which only others make less. */
static bool may_wait(fl_heap *heap) {
    fl_lock_take(&heap->lock);
    bool little_free = heap->partial_bytes <= IDLE_PARTIAL_BYTES_MAX;
    fl_lock_drop(&heap->lock);
    return little_free && atomic_load_explicit(&heap->owned, memory_order_relaxed) <= IDLE_SLABS_MAX;
}

void fl_idle_put(fl_heap *heap) {
    fallow_arena *arena = heap->arena;
    FL_ASSERT(fl_heap_thread(heap) && heap != arena->only_heap);
    fl_batches_empty(heap);
    heap->pinned = 0; /* a thread may have ended in a call-back */
    _Atomic uintptr_t *slot = may_wait(heap) ? empty_slot(arena) : NULL;
    if (!slot) {
        fl_heap_release(heap);
        return;
    }
    fl_heap_leave(heap);
    fl_heap_set_thread(heap, NULL);
    count_idle(arena, true);
    /* Others only empty slots, so this one is still empty. Release: whoever takes the heap out finds all that
     * its thread did. */
    atomic_store_explicit(slot, (uintptr_t)heap, memory_order_release);
    fl_upkeep_note(&arena->pages.upkeep);
}

/* Acquire, with the release above. Returns NULL if somebody came first. */
static fl_heap *take_out(fallow_arena *arena, size_t slot) {
    fl_heap *heap = fl_idle_heap(atomic_exchange_explicit(&arena->idle[slot], 0, memory_order_acquire));
    if (heap)
        count_idle(arena, false);
    return heap;
}

fl_heap *fl_idle_take(fallow_arena *arena, struct fl_thread *thread) {
    for (size_t i = 0; i < FL_IDLE_HEAPS_MAX; i++) {
        if (atomic_load_explicit(&arena->idle[i], memory_order_relaxed) == 0)
            continue;
        fl_heap *heap = take_out(arena, i);
        if (!heap)
            continue;
        FL_ASSERT(heap->arena == arena && !fl_heap_thread(heap) && heap->pinned == 0);
        fl_heap_set_thread(heap, thread);
        return heap;
    }
    return NULL;
}

bool fl_idle_release_notified(fallow_arena *arena) {
    bool released = false;
    for (size_t i = 0; i < FL_IDLE_HEAPS_MAX; i++) {
        uintptr_t word = atomic_load_explicit(&arena->idle[i], memory_order_relaxed);
        /* A hint: by now the heap may be another thread's. Heaps stay heaps for ever. */
        if (word == 0 || !atomic_load_explicit(&fl_idle_heap(word)->notified, memory_order_relaxed))
            continue;
        fl_lock_take(fl_lock_of(FL_LOCK_THREADS)); /* not in the middle of a fork */
        fl_heap *heap = take_out(arena, i);
        if (heap)
            fl_heap_release(heap);
        released |= heap != NULL;
        fl_lock_drop(fl_lock_of(FL_LOCK_THREADS));
    }
    return released;
}

/* Nobody has come for it for long enough, or it cannot be waited for. */
static bool is_over(uintptr_t word, fl_cause cause) {
    return (cause != FL_CAUSE_GOAL && cause != FL_CAUSE_QUIET) || ticks_in(word) == IDLE_TICKS_MAX;
}

bool fl_idle_tend(fallow_arena *arena, fl_cause cause) {
    bool left = false;
    FL_ASSERT_AT(2, fl_upkeep_is_mine(&arena->pages.upkeep));
    for (size_t i = 0; i < FL_IDLE_HEAPS_MAX; i++) {
        uintptr_t word = atomic_load_explicit(&arena->idle[i], memory_order_relaxed);
        bool over = is_over(word, cause);
        /* Acquire, with the release above. A thread that has taken the heap meanwhile uses it, and notes the
         * arena when the heap is idle again. */
        if (word == 0 || !atomic_compare_exchange_strong_explicit(&arena->idle[i], &word, over ? 0 : word + 1,
                                                                  memory_order_acq_rel, memory_order_relaxed))
            continue;
        left |= !over;
        if (over) {
            FL_ASSERT(fl_idle_heap(word)->arena == arena && !fl_heap_thread(fl_idle_heap(word)));
            count_idle(arena, false);
            fl_heap_release(fl_idle_heap(word));
        }
    }
    return left;
}

void fl_idle_forget(fallow_arena *arena) {
    for (size_t i = 0; i < FL_IDLE_HEAPS_MAX; i++)
        atomic_store_explicit(&arena->idle[i], 0, memory_order_relaxed);
}
