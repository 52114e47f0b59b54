/* SPDX-License-Identifier: MIT */
/*
 * reclaim.c: the scavenger's part of the heap floor: takes parked slabs with free blocks away from owners
 * that sleep, so that what others freed of them can be used or given back.
 *
 * The steps of one batch, in the order that makes them right:
 *   1. with the heap's lock: out of the owner's list, PARKED to CLAIMED
 *   2. the owner's tag out of the table: frees that start later are atomic pushes
 *   3. a fence in every thread: a free that read the tag before has its `freeing` seen from here on
 *   4. `freeing` is no block of the slab: no such free is under way; the owner's line is ours. Else the slab waits a tick
 *   5. publish and settle
 */
#include "../arena/scavenger.h"
#include "../system/fatal.h"
#include "../system/system.h"
#include "heap.h"
#include "idle.h"
#include "owner.h"
#include "purge.h"

#define BATCH_SLABS 64
#define QUIET_TICKS 3

typedef struct batch {
    fl_slab *slabs[BATCH_SLABS];
    unsigned count;
} batch;

/* Empty wherever the functions below call others: a purge uses the same room. */
static batch *batch_of(const fallow_arena *arena) {
    FL_ASSERT_AT(2, fl_upkeep_is_mine(&arena->pages.upkeep));
    return (batch *)arena->pages.upkeep.workspace->blocks;
}

/* Acquire, with the owner's release: its pushes before this one. */
static bool is_freeing_in(fl_heap *heap, const fl_slab *slab) {
    const char *block = atomic_load_explicit(&heap->freeing, memory_order_acquire);
    return (size_t)(block - slab->start) < slab->pages << FL_PAGE_SHIFT;
}

/* Step 1. */
static bool claim_parked(fl_heap *heap, fl_slab *slab) {
    fl_word word = atomic_load_explicit(&slab->word, memory_order_relaxed);
    while (fl_word_state(word) == FL_PARKED) {
        if (atomic_compare_exchange_weak_explicit(&slab->word, &word, fl_word_with_state(word, FL_CLAIMED),
                                                  memory_order_acquire, memory_order_relaxed)) {
            fl_parked_unlink(heap, slab);
            return true;
        }
    }
    return false;
}

/* Of a heap that is at work: only what has lain there unused for long, at the end of its list. */
static void take_class(fl_heap *heap, unsigned size_class, bool old_only, batch *batch) {
    uint32_t now_s = old_only ? fl_scavenger_ticked_s() : 0;
    for (fl_slab *slab = heap->partial[size_class].last, *previous; slab && batch->count < BATCH_SLABS;
         slab = previous) {
        previous = slab->previous;
        if (old_only && now_s - slab->since_s < FL_OLD_SECONDS)
            break;
        if (!is_freeing_in(heap, slab) && claim_parked(heap, slab)) {
            fl_slab_tag(slab, 0);
            batch->slabs[batch->count++] = slab;
        }
    }
}

static void take_from(fl_heap *heap, bool old_only, batch *batch) {
    fl_lock_take(&heap->lock);
    fl_owner_hear(heap, false);
    for (unsigned size_class = 0; size_class < FL_CLASS_COUNT; size_class++)
        take_class(heap, size_class, old_only, batch);
    fl_lock_drop(&heap->lock);
}

static bool is_quiet(fl_heap *heap) {
    fl_lock_take(&heap->lock);
    heap->quiet_ticks = heap->visits == heap->visits_seen ? heap->quiet_ticks + 1 : 0;
    heap->visits_seen = heap->visits;
    bool quiet = heap->quiet_ticks >= QUIET_TICKS;
    fl_lock_drop(&heap->lock);
    return quiet;
}

/* Steps 3 to 5. */
static void settle(fallow_arena *arena, batch *batch) {
    if (batch->count == 0)
        return;
    bool fenced = fl_system_fence_everywhere();
    for (unsigned i = 0; i < batch->count; i++) {
        fl_slab *slab = batch->slabs[i];
        fl_word word = atomic_load_explicit(&slab->word, memory_order_relaxed);
        fl_heap *heap = fl_heap_by_tag(fl_word_owner(word));
        if (fenced && !is_freeing_in(heap, slab))
            fl_owner_settle_claimed(slab);
        else {
            slab->next = arena->unsettled;
            arena->unsettled = slab;
        }
    }
    batch->count = 0;
}

/* Those whose owner was in the middle of a free, at the tick before. */
static void settle_leftovers(fallow_arena *arena) {
    batch *batch = batch_of(arena);
    for (fl_slab *slab = arena->unsettled, *next; slab && batch->count < BATCH_SLABS; slab = next) {
        next = slab->next;
        arena->unsettled = next;
        batch->slabs[batch->count++] = slab;
    }
    settle(arena, batch);
}

bool fl_heap_reclaim(fl_arena *pages, fl_cause cause, uint64_t deadline_ns) {
    fallow_arena *arena = (fallow_arena *)pages; /* its first member */
    batch *batch = batch_of(arena);
    bool left = false;
    bool fences = fl_system_has_fence(); /* without it, slabs of a thread that sleeps stay with it */
    batch->count = 0;
    settle_leftovers(arena);
    left |= fl_idle_tend(arena, cause);
    fl_lock_take(&arena->heaps_lock);
    for (fl_heap *heap = arena->heaps; heap; heap = heap->next) {
        bool at_work = !is_quiet(heap) && cause == FL_CAUSE_GOAL;
        if (!at_work)
            fl_spans_flush(&heap->kept.spans, &arena->pages);
        do {
            settle(arena, batch);
            if (fences)
                take_from(heap, at_work, batch);
        } while (batch->count == BATCH_SLABS);
    }
    settle(arena, batch);
    for (fl_heap *heap = arena->heaps; heap; heap = heap->next)
        left |= atomic_load_explicit(&heap->told, memory_order_relaxed) != NULL;
    fl_lock_drop(&arena->heaps_lock);
    left |= arena->unsettled != NULL;
    /* At a limit nothing is gained: what is granted counts as a whole. */
    return (cause != FL_CAUSE_LIMIT && fl_purge_listed(arena, cause, deadline_ns)) || left;
}
