/* SPDX-License-Identifier: MIT */
/*
 * The steps of one batch, in the order that makes them right:
 *   1. under the heap's lock: out of `current` or the list of parked ones, CURRENT or PARKED to CLAIMED
 *   2. the owner's tag out of the table: frees that start later are atomic pushes
 *   3. a fence in every thread: from here on we see the hazard pointer of any operation that read `current`
 *      or the tag before
 *   4. if the hazard pointer does not lead into the slab, no such operation is under way, and the owner's
 *      line is ours; else the slab waits for the next time: at a limit, in a moment
 *   5. publish and settle
 */
#include "reclaim.h"

#include "../arena/scarce.h"
#include "../arena/scavenger.h"
#include "../slab/purge.h"
#include "../system/fatal.h"
#include "../system/system.h"
#include "batches.h"
#include "idle.h"
#include "owner.h"
#include "parked.h"
#include "registry.h"
#include "self.h"

#define BATCH_SLABS 64
#define QUIET_TICKS 3

typedef struct slab_batch {
    fl_slab *slabs[BATCH_SLABS];
    unsigned count;
    bool refused; /* the system has no fence, or not this time: slabs of other threads cannot be settled */
} slab_batch;

/* Empty whenever the functions below call others: a purge uses the same room. */
static slab_batch *batch_of(const fallow_arena *arena) {
    FL_ASSERT_AT(2, fl_upkeep_is_mine(&arena->pages.upkeep));
    return (slab_batch *)arena->pages.upkeep.workspace->blocks;
}

/* Acquire, with the owner's release: sees all that it did before. */
static bool is_inside(fl_heap *heap, const fl_slab *slab) {
    const char *hazard = atomic_load_explicit(&heap->hazard, memory_order_acquire);
    return hazard == (const char *)heap || (size_t)(hazard - slab->start) < slab->pages << FL_PAGE_SHIFT;
}

/* Steps 1 and 2. Caller holds heap->lock. */
static bool claim(fl_slab *slab, fl_slab_state from, slab_batch *batch) {
    fl_word word = atomic_load_explicit(&slab->word, memory_order_relaxed);
    while (fl_word_state(word) == from)
        if (atomic_compare_exchange_weak_explicit(&slab->word, &word, fl_word_with_state(word, FL_CLAIMED),
                                                  memory_order_acquire, memory_order_relaxed)) {
            fl_slab_tag(slab, 0);
            batch->slabs[batch->count++] = slab;
            return true;
        }
    return false;
}

/* What may be taken of an owner. */
typedef enum heap_reach {
    OLD,    /* it is at work, and so is the arena: only what has long lain unused in its lists */
    PARKED, /* it sleeps, as far as is known, or the arena is quiet: also current slabs that are not in use */
    IDLE,   /* whatever may hold a page with no live block */
    ALL     /* whatever it has: from then on frees in it are seen (scarce.h) */
} heap_reach;

static heap_reach reach_of(bool quiet, fl_cause cause) {
    bool asked = cause == FL_CAUSE_REQUEST || cause == FL_CAUSE_PRESSURE;
    return cause == FL_CAUSE_LIMIT ? ALL : asked ? IDLE : quiet || cause != FL_CAUSE_GOAL ? PARKED : OLD;
}

/* A hint: the owner's frees may be using a parked slab. */
__attribute__((no_sanitize("thread"))) static bool may_hold_idle_unit(const fl_slab *slab) {
    fl_word word = atomic_load_explicit(&slab->word, memory_order_relaxed);
    return fl_slab_may_have_idle_unit(slab, fl_slab_used(slab) - fl_word_pushed(word));
}

static bool sleeps(const fl_heap *heap) {
    return heap->quiet_ticks >= QUIET_TICKS;
}

/* Takes from the end of a list of parked slabs, which has those that have lain there longest. */
static void take_parked(fl_heap *heap, const fl_parked *list, heap_reach reach, slab_batch *batch) {
    uint32_t now_ms = fl_scavenger_ticked_ms(), unused_ms = sleeps(heap) ? 0 : heap->arena->pages.unused_ms;
    for (fl_slab *slab = list->last, *previous; slab && batch->count < BATCH_SLABS; slab = previous) {
        previous = slab->previous;
        if (now_ms - slab->since_ms < unused_ms) {
            heap->arena->pages.left_some = true;
            break;
        }
        if (reach != ALL && !may_hold_idle_unit(slab))
            continue;
        /* An owner that is inside now cannot come back once it leaves, but unless memory was asked for, that
         * is left to a later tick. */
        if (reach < IDLE && is_inside(heap, slab))
            heap->arena->pages.left_some = true;
        else if (claim(slab, FL_PARKED, batch))
            fl_parked_unlink(heap, slab);
    }
}

/* Returns whether the owner has used a current slab since the last look. A hint: the owner may be using it
 * now. */
__attribute__((no_sanitize("thread"))) static bool is_in_use(fl_slab *slab) {
    uint32_t now = ((uint32_t)((uintptr_t)slab->free >> 4) * 31 + (uint32_t)slab->countdown) * 2654435761u;
    uint8_t seen = slab->seen;
    slab->seen = (uint8_t)(now >> 24) | 1;
    return slab->seen != seen;
}

/* No fence is needed to know what the calling thread does. */
static bool is_mine(const fl_heap *heap) {
    const struct fl_thread *thread = fl_heap_thread(heap);
    return thread && thread == fl_thread_record();
}

/* A slab that stays with its owner though somebody is at a limit: nothing of it can go, and the owner says
 * when something can. What others free in it, they have said. */
static bool is_of_use(const fl_slab *slab) {
    return atomic_load_explicit(&slab->watched, memory_order_seq_cst) &&
           fl_word_head(atomic_load_explicit(&slab->word, memory_order_seq_cst)) == 0;
}

static void take_current(fl_heap *heap, heap_reach reach, slab_batch *batch) {
    for (unsigned size_class = 0; size_class < FL_CLASS_COUNT && batch->count < BATCH_SLABS; size_class++) {
        fl_slab *slab = fl_heap_current(heap, size_class);
        if (slab == &fl_empty_slab || (reach < IDLE && (is_inside(heap, slab) || is_in_use(slab))))
            continue;
        if (reach == ALL && is_of_use(slab))
            continue;
        /* First out of the owner's reach, then claimed: the slab is CURRENT as long as it stands there. */
        fl_heap_set_current(heap, size_class, &fl_empty_slab);
        bool claimed = claim(slab, FL_CURRENT, batch);
        FL_ASSERT(claimed);
        (void)claimed;
    }
}

static __attribute__((noinline)) void take_from(fl_heap *heap, heap_reach reach, slab_batch *batch) {
    fl_lock_take(&heap->lock);
    fl_owner_take_notified_for(heap);
    for (unsigned size_class = 0; heap->partial_bytes && size_class < FL_CLASS_COUNT; size_class++)
        take_parked(heap, &heap->partial[size_class], reach, batch);
    if (reach >= IDLE)
        take_parked(heap, &heap->full, reach, batch);
    if (reach != OLD)
        take_current(heap, reach, batch);
    fl_lock_drop(&heap->lock);
}

static void look_at_visits(fl_heap *heap) {
    fl_lock_take(&heap->lock);
    heap->quiet_ticks = heap->visits == heap->visits_seen ? heap->quiet_ticks + 1 : 0;
    heap->visits_seen = heap->visits;
    fl_lock_drop(&heap->lock);
}

/* No fence is needed for a thread that is done with the heap either: nobody uses the heap again before the
 * slab is settled. Acquire, with the release: sees all that the thread did. */
static bool is_released(const fl_heap *heap) {
    return atomic_load_explicit(&heap->released, memory_order_acquire);
}

/* Does step 3, if it is needed and has not been done. */
static __attribute__((noinline)) bool can_tell(fl_heap *heap, bool *fenced) {
    if (is_mine(heap) || is_released(heap))
        return true;
    *fenced = *fenced || fl_system_fence_everywhere();
    return *fenced;
}

/* Steps 3 to 5. */
static void settle(fallow_arena *arena, slab_batch *batch) {
    bool fenced = false;
    for (unsigned i = 0; i < batch->count; i++) {
        fl_slab *slab = batch->slabs[i];
        fl_word word = atomic_load_explicit(&slab->word, memory_order_relaxed);
        fl_heap *heap = fl_heap_by_tag(fl_word_owner(word));
        if (can_tell(heap, &fenced) && !is_inside(heap, slab))
            fl_owner_settle_claimed(slab);
        else {
            batch->refused |= !fenced;
            slab->next = arena->unsettled;
            arena->unsettled = slab;
        }
    }
    batch->count = 0;
}

/* Settles those whose owner was in the middle of a free at the tick before. */
static void settle_leftovers(fallow_arena *arena) {
    slab_batch *batch = batch_of(arena);
    for (fl_slab *slab = arena->unsettled, *next; slab && batch->count < BATCH_SLABS; slab = next) {
        next = slab->next;
        arena->unsettled = next;
        batch->slabs[batch->count++] = slab;
    }
    settle(arena, batch);
}

/* Takes from all heaps; without a fence, only from the calling thread's: more would be in vain, and the next
 * request would take another slab. */
static __attribute__((noinline)) void take_from_all(fallow_arena *arena, fl_cause cause) {
    slab_batch *batch = batch_of(arena);
    fl_lock_take(&arena->heaps_lock);
    for (fl_heap *heap = arena->heaps; heap; heap = heap->next) {
        if (heap->slabs_lost)
            continue;
        look_at_visits(heap);
        heap_reach reach = reach_of(sleeps(heap), cause);
        if (reach != OLD)
            fl_spans_flush(&heap->kept.spans, &arena->pages);
        do {
            settle(arena, batch);
            if (!batch->refused || is_mine(heap))
                take_from(heap, reach, batch);
        } while (batch->count == BATCH_SLABS);
    }
    settle(arena, batch);
    if (batch->refused)
        fl_scarce_in_heaps(&arena->pages); /* the next thread may take from its own */
    fl_lock_drop(&arena->heaps_lock);
}

static bool has_notified(fallow_arena *arena) {
    bool notified = false;
    fl_lock_take(&arena->heaps_lock);
    for (fl_heap *heap = arena->heaps; heap; heap = heap->next)
        notified |= atomic_load_explicit(&heap->notified, memory_order_relaxed) != NULL;
    fl_lock_drop(&arena->heaps_lock);
    return notified;
}

bool fl_heap_reclaim(fl_pagearena *pages, fl_cause cause, uint64_t deadline_ns) {
    fallow_arena *arena = (fallow_arena *)pages; /* its first member */
    batch_of(arena)->count = 0;
    batch_of(arena)->refused = !fl_system_has_fence();
    if (cause == FL_CAUSE_LIMIT)
        fl_scarce_begin(pages);
    else
        fl_scarce_end(pages);
    settle_leftovers(arena);
    bool left = fl_idle_tend(arena, cause);
    if (cause != FL_CAUSE_LIMIT || fl_scarce_was_in_heaps(pages)) {
        fl_batches_flush(arena, cause == FL_CAUSE_LIMIT);
        take_from_all(arena, cause);
    }
    if (arena->unsettled)
        fl_scarce_in_hands(pages);
    left |= has_notified(arena) || arena->unsettled != NULL;
    return fl_purge_listed(arena, cause, deadline_ns) || left;
}

void fl_heap_reclaim_fork_child(fallow_arena *arena, const struct fl_thread *self) {
    for (fl_slab **place = &arena->unsettled; *place;) {
        fl_heap *heap =
            fl_heap_by_tag(fl_word_owner(atomic_load_explicit(&(*place)->word, memory_order_relaxed)));
        bool goes_on = self && fl_heap_thread(heap) == self;
        if (goes_on || !is_inside(heap, *place))
            place = &(*place)->next;
        else
            *place = (*place)->next;
    }
}
