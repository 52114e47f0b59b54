/* SPDX-License-Identifier: MIT */
#include "owner.h"

#include "../arena/scarce.h"
#include "../slab/abandoned.h"
#include "../slab/liveblocks.h"
#include "../slab/pushes.h"
#include "../slab/tally.h"
#include "../system/fatal.h"
#include "parked.h"
#include "registry.h"

/* Claims a slab from a state, and publishes it. Returns false if it is no longer in that state. Acquire: sees
 * the blocks that others pushed, and what an earlier owner left. */
static bool claim_from(fl_slab *slab, fl_slab_state from) {
    uint32_t used = fl_slab_used(slab);
    fl_word word = atomic_load_explicit(&slab->word, memory_order_relaxed);
    atomic_store_explicit(&slab->idle_below, FL_NOT_LOOKED_AT, memory_order_relaxed);
    fl_tally_forget(slab->start);
    while (fl_word_state(word) == from)
        if (atomic_compare_exchange_weak_explicit(&slab->word, &word, fl_word_published(word, used),
                                                  memory_order_acq_rel, memory_order_relaxed))
            return true;
    return false;
}

/* Returns whether a slab that has just been abandoned can hold an idle unit; if not, records from which push
 * on it can (slab.h). */
static __attribute__((noinline)) bool may_be_idle(fl_slab *slab) {
    if (!fl_pagearena_is_scarce(&slab->arena->pages))
        return true;
    uint32_t live = fl_word_live(atomic_load_explicit(&slab->word, memory_order_relaxed));
    uint32_t whole = fl_slab_whole_blocks(slab), least = fl_slab_least_touching(slab);
    if (whole - live >= least)
        return true;
    atomic_store_explicit(&slab->idle_below, whole > least ? whole - least : 0, memory_order_relaxed);
    return false;
}

void fl_owner_settle_claimed(fl_slab *slab) {
    fl_word word = atomic_load_explicit(&slab->word, memory_order_relaxed);
    fl_heap *heap = fl_heap_by_tag(fl_word_owner(word));
    fl_pagearena *arena = &slab->arena->pages;
    const char *start = slab->start;
    claim_from(slab, FL_CLAIMED); /* it is ours: this publishes */
    bool changed = may_be_idle(slab);
    fl_slab_settle(slab, NULL);
    if (changed)
        fl_scarce_note(arena, start);
    fl_heap_disown(heap);
}

bool fl_owner_let_go(fl_heap *heap, fl_slab *slab, fl_slab_state from) {
    fl_pagearena *arena = &slab->arena->pages;
    const char *start = slab->start;
    if (!claim_from(slab, from))
        return false;
    if (slab->linked)
        fl_parked_unlink(heap, slab);
    fl_slab_tag(slab, 0);
    bool changed = may_be_idle(slab);
    /* Only the heap's own thread puts spans in, and another thread settles a NOTIFIED slab. */
    fl_slab_settle(slab, from == FL_NOTIFIED ? NULL : &heap->kept);
    if (changed)
        fl_scarce_note(arena, start);
    fl_heap_disown(heap);
    return true;
}

static bool is_drained(const fl_slab *slab, fl_word word) {
    return fl_slab_used(slab) - fl_word_pushed(word) <= fl_classes[slab->size_class].watermark;
}

fl_word fl_slab_unnotify(fl_slab *slab) {
    fl_word word = atomic_load_explicit(&slab->word, memory_order_relaxed);
    FL_ASSERT(fl_word_state(word) == FL_NOTIFIED);
    fl_slab_count_reclaimable(slab, false);
    while (!atomic_compare_exchange_weak_explicit(&slab->word, &word, fl_word_with_state(word, FL_PARKED),
                                                  memory_order_acq_rel, memory_order_relaxed))
        ;
    return word;
}

/* Acquire: the links that the notifiers wrote. */
static fl_slab *take_notified(fl_heap *heap) {
    return atomic_load_explicit(&heap->notified, memory_order_relaxed)
               ? atomic_exchange_explicit(&heap->notified, NULL, memory_order_acquire)
               : NULL;
}

void fl_owner_take_notified(fl_heap *heap) {
    fl_slab *slab = take_notified(heap);
    for (fl_slab *next; slab; slab = next) {
        next = slab->notified_next;
        fl_word word = fl_slab_unnotify(slab);
        if (!(is_drained(slab, word) && fl_owner_let_go(heap, slab, FL_PARKED)))
            fl_parked_make_partial(heap, slab);
    }
}

void fl_owner_take_notified_for(fl_heap *heap) {
    fl_slab *slab = take_notified(heap);
    for (fl_slab *next; slab; slab = next) {
        next = slab->notified_next;
        fl_slab_unnotify(slab);
        fl_parked_make_partial(heap, slab);
    }
}

/* Settles a slab, now the pusher's, whose owner ended while the slab was on the way to its stack. */
static void settle_orphan(fl_heap *heap, fl_slab *slab) {
    /* Waits for the heap's release, which takes the slab out of its lists and holds this lock. (Not without
     * need: the heap is in no list of its arena's any more, so in the child of a fork nobody would find the
     * lock and make it free.) */
    if (!atomic_load_explicit(&heap->released, memory_order_acquire)) {
        fl_lock_take(&heap->lock);
        fl_lock_drop(&heap->lock);
    }
    fl_owner_let_go(heap, slab, FL_NOTIFIED);
}

void fl_owner_notify(fl_slab *slab, uint32_t tag) {
    fl_heap *heap = fl_heap_by_tag(tag);
    fl_slab_count_reclaimable(slab, true);
    fl_slab *top = atomic_load_explicit(&heap->notified, memory_order_acquire);
    do {
        if (top == FL_NOTIFIED_CLOSED) {
            fl_slab_count_reclaimable(slab, false);
            settle_orphan(heap, slab);
            return;
        }
        slab->notified_next = top;
        /* Release: the link. From here on the slab belongs to whoever takes it out. */
    } while (!atomic_compare_exchange_weak_explicit(&heap->notified, &top, slab, memory_order_release,
                                                    memory_order_acquire));
}
