/* SPDX-License-Identifier: MIT */
#include "free.h"

#include "../arena/driver.h"
#include "../slab/large.h"
#include "../slab/misused.h"
#include "../slab/traps.h"
#include "../system/fatal.h"
#include "batches.h"
#include "owner.h"
#include "parked.h"
#include "sampled.h"
#include "thread.h"
#include "watch.h"

/* A heap keeps this much in current slabs that have become empty; the rest goes. */
#define EMPTY_CURRENT_BYTES_MAX ((size_t)192 << 10)

/* A heap keeps drained slabs until they are empty, up to this much; the rest is let go at the watermark, for
 * other threads to adopt. Letting all go cost a third of the time of batches of 1 KiB blocks. If no other
 * thread has a heap, nobody could adopt anything, and all are kept: the last eighth of random frees over 32
 * MiB then needs no atomic. */
#define PARTIAL_BYTES_KEPT ((size_t)4 << 20)

static bool keeps_drained(const fl_heap *heap) {
    return heap->partial_bytes <= PARTIAL_BYTES_KEPT ||
           atomic_load_explicit(&heap->arena->pages.heap_count, memory_order_relaxed) == 1;
}

static size_t carved_bytes(const fl_slab *slab) {
    return (size_t)slab->carved * slab->block_bytes;
}

/* Returns the current slab of a class if it has become empty and is kept warm. */
static fl_slab *kept_empty(const fl_heap *heap, unsigned size_class) {
    fl_slab *slab = fl_heap_current(heap, size_class);
    return slab->threshold == FL_THRESHOLD_NEVER && fl_slab_used(slab) == 0 ? slab : NULL;
}

static void let_current_go(fl_heap *heap, fl_slab *slab) {
    fl_lock_take(&heap->lock);
    if (fl_heap_current(heap, slab->size_class) == slab) { /* if not, somebody has just taken it */
        fl_heap_set_current(heap, slab->size_class, &fl_empty_slab);
        fl_owner_let_go(heap, slab, FL_CURRENT);
    }
    fl_lock_drop(&heap->lock);
}

/* Keeps the current slab of a class warm that has become empty; others that were kept go if that is too much.
 * (Letting this one go instead makes every pair of malloc and free in its class ten times as dear.) */
static void current_emptied(fl_heap *heap, fl_slab *slab) {
    fl_heap_enter(heap, heap); /* looks at all current ones */
    fl_check_newest(slab);
    size_t kept = carved_bytes(slab);
    if (kept > EMPTY_CURRENT_BYTES_MAX) {
        let_current_go(heap, slab);
        return;
    }
    for (unsigned size_class = 0; size_class < FL_CLASS_COUNT; size_class++) {
        fl_slab *other = kept_empty(heap, size_class);
        if (!other)
            continue;
        kept += carved_bytes(other);
        if (kept > EMPTY_CURRENT_BYTES_MAX) {
            kept -= carved_bytes(other);
            let_current_go(heap, other);
        }
    }
    fl_slab_set_threshold(slab, FL_THRESHOLD_NEVER);
}

/* Deals with a parked slab that has reached its threshold. */
static void parked_drained(fl_heap *heap, fl_slab *slab) {
    const fl_class *sizes = &fl_classes[slab->size_class];
    fl_lock_take(&heap->lock);
    heap->visits++;
    fl_owner_take_notified(heap);
    fl_word word = atomic_load_explicit(&slab->word, memory_order_relaxed);
    bool parked = fl_word_state(word) == FL_PARKED || fl_word_state(word) == FL_NOTIFIED;
    if (!parked || fl_word_owner(word) != heap->tag) {
        /* The scavenger has just taken it, or taking notified ones let it go: the descriptor may be another
         * slab's. */
    } else if (fl_slab_used(slab) > sizes->watermark) {
        if (!slab->partial)
            fl_parked_make_partial(heap, slab);
        fl_slab_set_threshold(slab, (int32_t)sizes->watermark);
    } else if (fl_slab_used(slab) > 0 && keeps_drained(heap)) {
        /* Its last frees stay plain pushes, and its span goes to this heap's next slab. */
        fl_slab_set_threshold(slab, 0);
    } else {
        /* If this fails, the slab is notified, and on its way: whoever takes it out finds it drained. */
        fl_owner_let_go(heap, slab, FL_PARKED);
    }
    fl_lock_drop(&heap->lock);
}

static void current_drained(fl_heap *heap, fl_slab *slab) {
    fl_watch_is_over(heap, slab);
    if (fl_slab_used(slab) == 0)
        current_emptied(heap, slab);
}

void fl_heap_drained(fl_slab *slab, fl_heap *heap) {
    fallow_arena *arena = heap->arena;
    if (fl_heap_current(heap, slab->size_class) == slab)
        current_drained(heap, slab);
    else
        parked_drained(heap, slab);
    fl_heap_leave(heap);
    fl_driver_note(&arena->pages);
}

static void hand_over(fl_slab *slab, void *first, void *last, uint32_t count) {
    /* Read while the slab is within reach. */
    fl_pagearena *arena = &slab->arena->pages;
    size_t bytes = slab->pages << FL_PAGE_SHIFT;
    fl_handed handed = fl_hand_over(slab, first, last, count);
    if (__builtin_expect(handed == FL_HANDED_QUIETLY, 1))
        return;
    if (handed == FL_HANDED_HALF)
        fl_driver_note_freed(arena, bytes);
    else
        fl_driver_note(arena);
}

bool fl_heap_take_in_hand(fl_heap *heap, const fl_slab *slab, const void *block) {
    fl_heap_leave(heap);
    fl_batches_flush(heap->arena, false);
    fl_heap_enter(heap, block);
    return fl_entry_of(block) == fl_entry_make(slab, heap->tag);
}

void fl_heap_free_doubtful(void *block, fl_heap *heap) {
    fl_slab *slab = fl_entry_slab(fl_entry_of(block));
    fl_check_start(slab, block, "free of");
    if (fl_looks_free(slab, block)) {
        if (!fl_heap_take_in_hand(heap, slab, block)) {
            fl_heap_free_other(block, heap);
            return;
        }
        fl_check_unlisted(slab, block, "free of");
    }
    fl_heap_put(heap, slab, block);
}

/* For an address in no page of the window. */
static void free_unknown(void *block) {
    if (!fl_trap_near(block))
        fl_fatal("free of", block, "not a block of this heap (its page has no owner)");
    fl_trap_free(block);
}

void fl_heap_free_other(void *block, fl_heap *heap) {
    if (!block)
        return;
    fl_heap_leave(heap);
    fl_entry entry = fl_entry_of(block);
    if (entry == 0) {
        free_unknown(block);
        return;
    }
    if (fl_page_of(block) >= heap->window_pages && heap != &fl_empty_heap) {
        heap->window_pages = atomic_load_explicit(&fl_the_window.pages, memory_order_acquire);
        if (fl_sampling_is_asked())
            fl_sampling_follow();
        fl_heap_free(heap, block);
        return;
    }
    fl_slab *slab = fl_entry_slab(entry);
    if (slab->kind == FL_KIND_LARGE) {
        fl_large_free(heap->arena == slab->arena ? &heap->kept : NULL, slab, block);
        return;
    }
    fl_check_start(slab, block, "free of");
    /* A thread that only frees gets a heap too: the empty heap's hazard pointer lies on a line that all such
     * threads would write. */
    if (heap == &fl_empty_heap && slab->arena == fl_process_arena)
        fl_thread_attach();
    if (__builtin_expect(fl_is_marked(block), 0) && fl_looks_free(slab, block))
        fl_batches_flush(slab->arena, false); /* if it was freed before, it is now the newest of its slab */
    if (!fl_batches_are_for(heap, slab, block)) {
        hand_over(slab, block, block, 1);
        return;
    }
    fl_batch batch = fl_batches_add(heap, slab, block);
    if (batch.slab)
        hand_over(batch.slab, batch.first, batch.last, batch.count);
}

void fl_heap_free_other_here(void *block, fl_heap *heap) {
    fl_entry entry = fl_entry_of(block);
    const fl_trap *trap = entry ? NULL : fl_trap_near(block);
    if ((entry && fl_entry_slab(entry)->arena != heap->arena) || (trap && trap->as_slab.arena != heap->arena))
        fl_fatal("free of", block, "a block of another arena");
    fl_heap_free_other(block, heap);
}
