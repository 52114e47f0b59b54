/* SPDX-License-Identifier: MIT */
#include "alloc.h"

#include <errno.h>

#include "../arena/charge.h"
#include "../arena/grant.h"
#include "../arena/scarce.h"
#include "../arena/shed.h"
#include "../slab/abandoned.h"
#include "../slab/carve.h"
#include "../slab/large.h"
#include "../slab/misused.h"
#include "../slab/pushes.h"
#include "../slab/traps.h"
#include "../slab/units.h"
#include "idle.h"
#include "owner.h"
#include "parked.h"
#include "sampled.h"
#include "startup.h"
#include "thread.h"
#include "watch.h"

/* Puts an exhausted current slab among the parked ones. Returns false if others freed blocks of it meanwhile;
 * these are now in its free list. Caller holds heap->lock. */
static bool park(fl_heap *heap, fl_slab *slab) {
    const fl_class *sizes = &fl_classes[slab->size_class];
    for (;;) {
        fl_word word = fl_word_make(FL_CURRENT, heap->tag, 0, 0);
        /* Release: whoever claims the slab from here on sees it as it is now. */
        if (atomic_compare_exchange_strong_explicit(&slab->word, &word,
                                                    fl_word_make(FL_PARKED, heap->tag, 0, 0),
                                                    memory_order_release, memory_order_relaxed))
            break;
        if (fl_slab_collect(slab))
            return false;
    }
    /* Exhausted, so in use to the last block: its threshold is the reuse minimum of free blocks. */
    fl_slab_set_filled(slab, !slab->decommitted);
    fl_slab_set_threshold(slab, (int32_t)(fl_slab_used(slab) - sizes->reuse_min_blocks));
    slab->partial = 0;
    fl_parked_link(heap, slab);
    return true;
}

/* Makes a parked slab CURRENT, to allocate from; at_hand: one with free blocks, not only with blocks that
 * could be carved. Caller holds heap->lock. */
static fl_slab *unpark(fl_heap *heap, unsigned size_class, bool at_hand) {
    for (fl_slab *slab = heap->partial[size_class].first; slab; slab = slab->next) {
        fl_word word = atomic_load_explicit(&slab->word, memory_order_relaxed);
        bool taken = false;
        if (at_hand && !fl_slab_has_free(slab) && fl_word_head(word) == 0)
            continue;
        /* A notified slab is in the stack of those, or about to be: it stays parked until it is taken out
         * there. */
        while (!taken && fl_word_state(word) == FL_PARKED)
            taken = atomic_compare_exchange_weak_explicit(&slab->word, &word,
                                                          fl_word_make(FL_CURRENT, heap->tag, 0, 0),
                                                          memory_order_acquire, memory_order_relaxed);
        if (!taken)
            continue;
        fl_parked_unlink(heap, slab);
        slab->partial = 0;
        fl_unwatch(slab);
        slab->countdown -= (int32_t)fl_word_pushed(word);
        fl_slab_splice(slab, fl_word_head(word));
        fl_slab_set_threshold(slab, FL_THRESHOLD_EMPTY);
        return slab;
    }
    return NULL;
}

/* Returns false, like park, if others freed blocks of the slab meanwhile. At a limit nobody keeps an
 * exhausted slab: so what is freed in it is seen by those who look for something to give back. */
static bool put_aside(fl_heap *heap, fl_slab *slab) {
    if (!fl_heap_is_scarce(heap)) {
        bool parked = park(heap, slab);
        if (fl_heap_is_scarce(heap)) /* by now */
            fl_scarce_in_heaps(&heap->arena->pages);
        return parked;
    }
    if (fl_slab_collect(slab)) {
        fl_unwatch(slab);
        return false;
    }
    fl_owner_let_go(heap, slab, FL_CURRENT);
    return true;
}

/* Replaces the exhausted current slab of a class by another one of the heap's. Returns false if it has
 * none. */
static __attribute__((noinline)) bool from_parked(fl_heap *heap, unsigned size_class) {
    fl_lock_take(&heap->lock);
    heap->visits++;
    fl_owner_take_notified(heap);
    fl_slab *slab = fl_heap_current(heap, size_class);
    if (slab == &fl_empty_slab || put_aside(heap, slab)) {
        slab = unpark(heap, size_class, false);
        fl_heap_set_current(heap, size_class, slab ? slab : &fl_empty_slab);
    }
    fl_lock_drop(&heap->lock);
    return slab != NULL;
}

/* Replaces the current slab of a class, which has no block without memory that it cannot have, by one that
 * has a block; what is left of the former is for later. Returns false, and changes nothing, if there is
 * none. */
static __attribute__((noinline)) bool from_parked_with_free(fl_heap *heap, unsigned size_class) {
    fl_lock_take(&heap->lock);
    heap->visits++;
    fl_owner_take_notified(heap);
    fl_slab *refused = fl_heap_current(heap, size_class);
    fl_slab *slab = unpark(heap, size_class, true);
    if (slab) {
        fl_heap_set_current(heap, size_class, slab);
        if (refused != &fl_empty_slab)
            fl_owner_let_go(heap, refused, FL_CURRENT);
    }
    fl_lock_drop(&heap->lock);
    return slab != NULL;
}

#define CALM_LOOKS 256

/* Returns whether requests are refused now and then. If so, whoever takes a whole slab will soon have to give
 * it back. */
static bool is_tight(fl_heap *heap) {
    uint64_t refusals = atomic_load_explicit(&heap->arena->pages.refusals, memory_order_relaxed);
    heap->calm = refusals == heap->refusals_seen ? heap->calm + 1 : 0;
    heap->refusals_seen = refusals;
    return heap->calm < CALM_LOOKS;
}

/* Makes a slab current that no list knows yet, unless there is one already: at a limit the shedder was asked,
 * and what it did there has left one behind. */
static void set_new(fl_heap *heap, fl_slab *slab) {
    atomic_fetch_add_explicit(&heap->owned, 1, memory_order_relaxed);
    fl_lock_take(&heap->lock);
    if (fl_heap_current(heap, slab->size_class) == &fl_empty_slab)
        fl_heap_set_current(heap, slab->size_class, slab);
    else
        fl_owner_let_go(heap, slab, FL_CURRENT);
    fl_lock_drop(&heap->lock);
}

/* At a limit: returns whether there is memory for a block that does not come from a slab at hand. */
static bool has_room(const fl_heap *heap, unsigned size_class, fl_shortage *shortage) {
    fl_pagearena *arena = &heap->arena->pages;
    size_t page_bytes = fl_the_window.os_page_bytes;
    size_t bytes = (fl_classes[size_class].block_bytes + page_bytes - 1) & ~(page_bytes - 1);
    if (atomic_load_explicit(&arena->idle_shown, memory_order_relaxed) ||
        fl_pagearena_has_room(arena, bytes, shortage))
        *shortage = (fl_shortage){FL_REFUSED_NEVER, 0, NULL};
    return shortage->why == FL_REFUSED_NEVER;
}

/* At a limit: takes a free block of an abandoned slab, before asking for memory that has to come from
 * somewhere. If *again, there is another current slab instead. */
static __attribute__((noinline)) void *from_abandoned(fl_heap *heap, unsigned size_class, bool *again) {
    fl_slab *slab;
    fl_shortage ignored;
    bool tight = is_tight(heap);
    void *block = fl_slab_take_listed(heap->arena, size_class, tight, heap->tag, &heap->taken_last, &slab);
    *again = slab != NULL;
    if (!block && !slab && tight && has_room(heap, size_class, &ignored))
        block = fl_slab_carve_listed(heap->arena, size_class);
    if (!slab)
        return block;
    atomic_fetch_add_explicit(&heap->owned, 1, memory_order_relaxed);
    fl_lock_take(&heap->lock);
    heap->visits++;
    fl_slab *exhausted = fl_heap_current(heap, size_class);
    fl_heap_set_current(heap, size_class, slab);
    if (exhausted != &fl_empty_slab)
        fl_owner_let_go(heap, exhausted, FL_CURRENT);
    fl_lock_drop(&heap->lock);
    return NULL;
}

/* Gets the next slab to allocate from. Returns false if out of memory, or *shortage says which limit is in
 * the way. */
static __attribute__((noinline)) bool next_slab(fl_heap *heap, unsigned size_class, fl_shortage *shortage) {
    if (fl_heap_is_scarce(heap) && !has_room(heap, size_class, shortage))
        return false;
    if (from_parked(heap, size_class))
        return true;
    fl_slab *slab = fl_slab_adopt(heap->arena, size_class, heap->tag);
    if (!slab && fl_idle_release_notified(heap->arena))
        slab = fl_slab_adopt(heap->arena, size_class, heap->tag);
    if (!slab)
        slab = fl_slab_new(heap->arena, size_class, heap->tag, &heap->kept);
    if (slab)
        set_new(heap, slab);
    return slab || fl_heap_current(heap, size_class) != &fl_empty_slab;
}

/* Carves from a slab that may be kept warm though it was empty: it has a threshold again from here on. */
static void *pop_fresh(fl_slab *slab, bool heed_soft, fl_shortage *shortage) {
    fl_unwatch(slab);
    void *block = fl_slab_pop_fresh(slab, heed_soft, shortage);
    if (block)
        fl_slab_set_threshold(slab, FL_THRESHOLD_EMPTY);
    return block;
}

/* Returns whether, at a limit, the slab needs memory for a unit and there is none. */
static bool is_in_want(const fl_slab *slab, fl_shortage *shortage) {
    fl_pagearena *arena = &slab->arena->pages;
    fl_shortage why;
    bool wants = fl_pagearena_is_scarce(arena) && fl_slab_needs_memory(slab) &&
                 !fl_pagearena_has_room(arena, (size_t)1 << fl_classes[slab->size_class].unit_shift, &why);
    if (wants)
        *shortage = why;
    return wants;
}

/* Takes a block of a slab that is free, that others freed, or that was never handed out. Returns NULL if
 * there is none, or no memory for it; *shortage says why. */
static void *take_block(fl_slab *slab, bool heed_soft, fl_shortage *shortage) {
    *shortage = (fl_shortage){FL_REFUSED_NEVER, 0, NULL};
    if (fl_slab_has_free(slab))
        return fl_slab_pop_checked(slab);
    if (slab == &fl_empty_slab)
        return NULL;
    if (fl_slab_collect(slab)) {
        fl_unwatch(slab);
        return fl_slab_pop_checked(slab);
    }
    if ((!slab->decommitted && slab->carved == slab->capacity) || is_in_want(slab, shortage))
        return NULL;
    void *block = pop_fresh(slab, heed_soft, shortage);
    if (block || shortage->why != FL_REFUSED_NEVER || !fl_slab_carve(slab, heed_soft, shortage))
        return block;
    fl_slab_set_threshold(slab, FL_THRESHOLD_EMPTY);
    return fl_slab_pop_checked(slab);
}

/* The same for the current slab of a class. (Apart, so that its part of the stack is free for what
 * follows.) */
static __attribute__((noinline)) void *take_current(fl_heap *heap, unsigned size_class, bool heed_soft,
                                                    fl_shortage *shortage) {
    fl_heap_enter(heap, heap);
    fl_slab *slab = fl_heap_current(heap, size_class);
    void *block = take_block(slab, heed_soft, shortage);
    fl_watch(heap, slab);
    fl_heap_leave(heap);
    return block;
}

/* Gets a block when the current slab's free list has ended, or the slab has been taken. Returns NULL if out
 * of memory. */
static __attribute__((noinline)) void *refill(fl_heap *heap, unsigned size_class) {
    for (fl_ladder ladder = {0};;) {
        fl_shortage shortage;
        void *block = take_current(heap, size_class, ladder.tries == 0, &shortage);
        bool again = false;
        if (!block && fl_heap_is_scarce(heap))
            block = from_abandoned(heap, size_class, &again);
        if (block)
            return block;
        again = again || (shortage.why == FL_REFUSED_NEVER
                              ? next_slab(heap, size_class, &shortage)
                              : !fl_heap_is_scarce(heap) && from_parked_with_free(heap, size_class));
        if (!again &&
            (shortage.why == FL_REFUSED_NEVER ||
             !fl_make_room(&heap->arena->pages, &shortage, &ladder, fl_classes[size_class].block_bytes)))
            return NULL;
    }
}

void *fl_heap_pop_fresh(fl_heap *heap, size_t bytes) {
    fl_shortage ignored;
    if (fl_heap_is_counted(heap))
        return NULL; /* it has to be counted */
    fl_heap_enter(heap, heap);
    fl_slab *slab = fl_heap_current(heap, fl_sizeclass_of(bytes));
    void *block = pop_fresh(slab, true, &ignored);
    fl_watch(heap, slab);
    fl_heap_leave(heap);
    return block;
}

/* Serves a thread's first allocation from the process's arena: the thread gets a heap. (Apart, for the
 * stack.) */
static __attribute__((noinline)) void *alloc_first(size_t bytes) {
    FL_KEEP_FRAME();
    fl_heap *heap = fl_process_init() ? fl_thread_heap_in(fl_arena_handle(fl_process_arena)) : NULL;
    void *block = heap ? fl_heap_alloc(heap, bytes) : NULL;
    if (heap)
        fl_thread_heap_done(heap);
    if (!block)
        errno = ENOMEM;
    return block;
}

static inline void *pop_current(size_t bytes, fl_heap *heap) {
    fl_heap_enter(heap, heap);
    void *block = fl_slab_pop(fl_heap_current(heap, fl_class_table[(bytes + 15) / 16]));
    if (__builtin_expect(block != NULL, 1))
        fl_heap_leave(heap);
    return block;
}

/* Allocates while blocks are sampled or trapped, or that is to begin or end. Returns NULL if the block is to
 * be had as usual. */
static __attribute__((noinline)) void *alloc_counted(size_t bytes, fl_heap *heap, const void *frame) {
    void *block = NULL;
    if (fl_sampling_is_asked())
        fl_sampling_follow();
    else if (fl_heap_is_counted(heap) && fl_sampled_is_due(heap, bytes))
        return fl_sampled_alloc(heap, bytes, frame);
    else if (fl_heap_is_counted(heap) && fl_trapping_is_due(heap))
        block = fl_trap_alloc(heap->arena, bytes, frame);
    if (!block && fl_heap_is_counted(heap) && bytes <= FL_CLASS_TABLE_BYTES_MAX &&
        !(block = pop_current(bytes, heap)))
        fl_heap_leave(heap);
    return block;
}

/* Every function between malloc's caller and this one ends in a jump or has a frame, and so has this. */
static __attribute__((noinline)) void *alloc_any(size_t bytes, fl_heap *heap) {
    void *block;
    fl_heap_leave(heap);
    if (heap == &fl_empty_heap)
        return alloc_first(bytes);
    if ((fl_sampling_is_of_concern() || fl_heap_is_counted(heap)) &&
        (block = alloc_counted(bytes, heap, __builtin_frame_address(0))) != NULL)
        return block;
    heap->pinned++; /* a shedder at a limit may use other arenas */
    block = bytes > FL_CLASS_BYTES_MAX ? fl_large_alloc(heap->arena, &heap->kept, bytes, 1)
                                       : refill(heap, fl_sizeclass_of(bytes));
    heap->pinned--;
    fl_shed_ask_soft(&heap->arena->pages);
    if (!block)
        errno = ENOMEM;
    return block;
}

void *fl_heap_alloc_slow(size_t bytes, fl_heap *heap) {
    if (bytes < atomic_load_explicit(&heap->table_bytes_end, memory_order_relaxed)) {
        void *block = pop_current(bytes, heap);
        if (__builtin_expect(block != NULL, 1))
            return block;
    } else if (bytes <= FL_CLASS_TABLE_BYTES_MAX && fl_heap_sample_gap(heap) > (int64_t)bytes &&
               heap->trap_gap > 1) {
        /* A counted heap, and an allocation that is not to be sampled. (The empty heap has no gap.) */
        fl_heap_set_sample_gap(heap, fl_heap_sample_gap(heap) - (int64_t)bytes);
        heap->trap_gap--;
        void *block = pop_current(bytes, heap);
        if (__builtin_expect(block != NULL, 1))
            return block;
        fl_heap_set_sample_gap(heap, fl_heap_sample_gap(heap) + (int64_t)bytes); /* counted below */
        heap->trap_gap++;
    }
    return alloc_any(bytes, heap);
}
