/* SPDX-License-Identifier: MIT */
/*
 * heap.c: the owner's slow paths: where the next slab comes from, and where drained ones go.
 */
#include "heap.h"

#include <errno.h>

#include "../arena/driver.h"
#include "../arena/grant.h"
#include "../arena/scarce.h"
#include "../arena/shed.h"
#include "../system/fatal.h"
#include "large.h"
#include "misused.h"
#include "owner.h"
#include "thread.h"

/* A heap keeps this much in current slabs that have become empty; what is more goes. */
#define EMPTY_CURRENT_BYTES_MAX ((size_t)192 << 10)

fl_heap fl_empty_heap = {.tag = FL_TAG_NEVER,
                         .entry_tag = FL_ENTRY_TAG_BITS,
                         .tag_bits = FL_ENTRY_TAG_BITS,
                         .direct = {[0 ... FL_DIRECT_BYTES_MAX / 16] = &fl_empty_slab},
                         .current = {[0 ... FL_CLASS_COUNT - 1] = &fl_empty_slab}};

void fl_heap_set_current(fl_heap *heap, unsigned size_class, fl_slab *slab) {
    atomic_store_explicit(&heap->current[size_class], slab, memory_order_relaxed);
    size_t last = fl_classes[size_class].block_bytes / 16;
    size_t first = size_class ? fl_classes[size_class - 1].block_bytes / 16 + 1 : 0;
    if (last <= FL_DIRECT_BYTES_MAX / 16)
        for (size_t i = first; i <= last; i++)
            atomic_store_explicit(&heap->direct[i], slab, memory_order_relaxed);
}

/* A heap keeps drained slabs until they are empty, up to this much; what is more is let go at the watermark, for other
 * threads to adopt. Letting go of all cost a third of the time of batches of 1 KiB blocks. Where no other thread has a
 * heap, there is nobody to adopt anything, and all are kept: the last eighth of random frees over 32 MiB need no atomic
 * then. */
#define PARTIAL_BYTES_KEPT ((size_t)4 << 20)

static bool keeps_drained(const fl_heap *heap) {
    return heap->partial_bytes <= PARTIAL_BYTES_KEPT ||
           atomic_load_explicit(&heap->arena->pages.heap_count, memory_order_relaxed) == 1;
}

/* A current slab that has become empty: `left` hits 0 with nothing used. Kept slabs are told apart by
 * being due at -1, that is never; carving makes them due again. */
#define DUE_WHEN_EMPTY 0
#define DUE_NEVER (-1)

/* Puts an exhausted current slab among the parked ones. False: others freed blocks of it meanwhile, which
 * are in its free list now. Holds heap->lock. */
static bool park(fl_heap *heap, fl_slab *slab) {
    const fl_class *sizes = &fl_classes[slab->size_class];
    for (;;) {
        fl_word word = fl_word_make(FL_CURRENT, heap->tag, 0, 0);
        /* Release: whoever claims the slab from here sees it as it is now. */
        if (atomic_compare_exchange_strong_explicit(&slab->word, &word,
                                                    fl_word_make(FL_PARKED, heap->tag, 0, 0),
                                                    memory_order_release, memory_order_relaxed))
            break;
        if (fl_slab_collect(slab))
            return false;
    }
    /* Exhausted, so in use to the last block: due again when a fair number is free. */
    fl_slab_set_due(slab, (int32_t)(fl_slab_used(slab) - sizes->fair_blocks));
    slab->partial = 0;
    fl_parked_link(heap, slab);
    return true;
}

/* A parked slab to allocate from, CURRENT from here on; at_hand: with blocks that are free, and not only such as could be
 * carved. Holds heap->lock. */
static fl_slab *unpark(fl_heap *heap, unsigned size_class, bool at_hand) {
    for (fl_slab *slab = heap->partial[size_class].first; slab; slab = slab->next) {
        fl_word word = atomic_load_explicit(&slab->word, memory_order_relaxed);
        bool taken = false;
        if (at_hand && !fl_slab_has_free(slab) && fl_word_head(word) == 0)
            continue;
        /* A told slab is in the stack of told ones, or about to be: it stays parked until it is heard. */
        while (!taken && fl_word_state(word) == FL_PARKED)
            taken = atomic_compare_exchange_weak_explicit(&slab->word, &word,
                                                          fl_word_make(FL_CURRENT, heap->tag, 0, 0),
                                                          memory_order_acquire, memory_order_relaxed);
        if (!taken)
            continue;
        fl_parked_unlink(heap, slab);
        slab->left -= (int32_t)fl_word_pushed(word);
        fl_slab_splice(slab, fl_word_head(word));
        fl_slab_set_due(slab, DUE_WHEN_EMPTY);
        return slab;
    }
    return NULL;
}

/* False: others freed blocks of it meanwhile, as park. At a limit nobody keeps what is exhausted: what is freed of it is then seen by
 * who looks for something to give back. */
static bool put_aside(fl_heap *heap, fl_slab *slab) {
    if (!atomic_load_explicit(&heap->arena->pages.scarce, memory_order_relaxed))
        return park(heap, slab);
    if (fl_slab_collect(slab))
        return false;
    fl_owner_let_go(heap, slab, FL_CURRENT);
    return true;
}

/* The current slab of a class is exhausted: another one that the heap has already. False: it has none. */
static __attribute__((noinline)) bool from_parked(fl_heap *heap, unsigned size_class) {
    fl_lock_take(&heap->lock);
    heap->visits++;
    fl_owner_hear(heap);
    fl_slab *slab = fl_heap_current(heap, size_class);
    if (slab == &fl_empty_slab || put_aside(heap, slab)) {
        slab = unpark(heap, size_class, false);
        fl_heap_set_current(heap, size_class, slab ? slab : &fl_empty_slab);
    }
    fl_lock_drop(&heap->lock);
    return slab != NULL;
}

/* The current slab of a class has no block without memory that it cannot have: another one that has. What is left of this one is
 * for later. False: there is none, and nothing has changed. */
static __attribute__((noinline)) bool from_parked_with_free(fl_heap *heap, unsigned size_class) {
    fl_lock_take(&heap->lock);
    heap->visits++;
    fl_owner_hear(heap);
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

/* A slab that no list knows yet becomes current; unless there is one already: at a limit the owner was asked to shed, and what it
 * did there has left it behind. */
static void set_new(fl_heap *heap, fl_slab *slab) {
    atomic_fetch_add_explicit(&heap->owned, 1, memory_order_relaxed);
    fl_lock_take(&heap->lock);
    if (fl_heap_current(heap, slab->size_class) == &fl_empty_slab)
        fl_heap_set_current(heap, slab->size_class, slab);
    else
        fl_owner_let_go(heap, slab, FL_CURRENT);
    fl_lock_drop(&heap->lock);
    fl_scarce_changed(&heap->arena->pages); /* what its owner frees in it, nobody sees */
}

/* The next slab to allocate from. False: out of memory. */
static __attribute__((noinline)) bool next_slab(fl_heap *heap, unsigned size_class) {
    if (from_parked(heap, size_class))
        return true;
    fl_slab *slab = fl_slab_adopt(heap->arena, size_class, heap->tag);
    if (!slab)
        slab = fl_slab_new(heap->arena, size_class, heap->tag, &heap->kept);
    if (slab)
        set_new(heap, slab);
    return slab || fl_heap_current(heap, size_class) != &fl_empty_slab;
}

/* From a slab that may be kept warm though it was empty: from here on it is due again. */
static void *pop_fresh(fl_slab *slab, bool heed_soft, fl_shortage *shortage) {
    void *block = fl_slab_pop_fresh(slab, heed_soft, shortage);
    if (block)
        fl_slab_set_due(slab, DUE_WHEN_EMPTY);
    return block;
}

/* From a list that is not empty: if there is nothing to pop all the same, its first block has been written to. */
static void *pop_checked(fl_slab *slab) {
    void *block = fl_slab_pop(slab);
    if (block)
        return block;
    fl_check_free(slab, slab->free, "allocation of");
    return fl_slab_pop(slab);
}

/* A block of a slab that is free, that others freed, or that was never handed out. NULL: there is none, or no memory for it, and
 * *shortage says why. */
static void *take_block(fl_slab *slab, bool heed_soft, fl_shortage *shortage) {
    *shortage = (fl_shortage){FL_REFUSED_NEVER, 0, NULL};
    if (fl_slab_has_free(slab))
        return pop_checked(slab);
    if (slab == &fl_empty_slab)
        return NULL;
    if (fl_slab_collect(slab))
        return pop_checked(slab);
    void *block = pop_fresh(slab, heed_soft, shortage);
    if (block || shortage->why != FL_REFUSED_NEVER || !fl_slab_carve(slab, heed_soft, shortage))
        return block;
    fl_slab_set_due(slab, DUE_WHEN_EMPTY);
    return pop_checked(slab);
}

/* The same of the current slab of a class. (Apart, so that its part of the stack is free for what comes then.) */
static __attribute__((noinline)) void *take_current(fl_heap *heap, unsigned size_class, bool heed_soft,
                                                    fl_shortage *shortage) {
    fl_heap_enter(heap, heap);
    void *block = take_block(fl_heap_current(heap, size_class), heed_soft, shortage);
    fl_heap_leave(heap);
    return block;
}

/* The free list of the current slab is at its end, if it has not been taken. NULL: out of memory. */
static __attribute__((noinline)) void *refill(fl_heap *heap, unsigned size_class) {
    for (fl_ladder ladder = {0};;) {
        fl_shortage shortage;
        void *block = take_current(heap, size_class, ladder.tries == 0, &shortage);
        if (block)
            return block;
        bool again =
            shortage.why == FL_REFUSED_NEVER ? next_slab(heap, size_class)
            : from_parked_with_free(heap, size_class)
                ? true
                : fl_make_room(&heap->arena->pages, &shortage, &ladder, fl_classes[size_class].block_bytes);
        if (!again)
            return NULL;
    }
}

void *fl_heap_pop_fresh(fl_heap *heap, size_t bytes) {
    fl_shortage ignored;
    fl_heap_enter(heap, heap);
    void *block = pop_fresh(fl_heap_current(heap, fl_sizeclass_of(bytes)), true, &ignored);
    fl_heap_leave(heap);
    return block;
}

static __attribute__((noinline)) void *alloc_any(size_t bytes, fl_heap *heap) {
    void *block;
    fl_heap_leave(heap);
    if (heap == &fl_empty_heap)
        block = fl_thread_alloc_first(bytes);
    else {
        heap->pinned++; /* who sheds at a limit may come to use other arenas */
        block = bytes > FL_CLASS_BYTES_MAX ? fl_large_alloc(heap, bytes, 1)
                                           : refill(heap, fl_sizeclass_of(bytes));
        heap->pinned--;
        fl_shed_ask_soft(&heap->arena->pages);
    }
    if (!block)
        errno = ENOMEM;
    return block;
}

void *fl_heap_alloc_slow(size_t bytes, fl_heap *heap) {
    if (bytes <= FL_CLASS_TABLE_BYTES_MAX) {
        fl_heap_enter(heap, heap);
        void *block = fl_slab_pop(fl_heap_current(heap, fl_class_table[(bytes + 15) / 16]));
        if (__builtin_expect(block != NULL, 1)) {
            fl_heap_leave(heap);
            return block;
        }
    }
    return alloc_any(bytes, heap);
}

static size_t carved_bytes(const fl_slab *slab) {
    return (size_t)slab->carved * slab->block_bytes;
}

/* The current slab of a class, if it has become empty and is kept warm. */
static fl_slab *kept_empty(const fl_heap *heap, unsigned size_class) {
    fl_slab *slab = fl_heap_current(heap, size_class);
    return slab->base_used == DUE_NEVER && fl_slab_used(slab) == 0 ? slab : NULL;
}

static void let_current_go(fl_heap *heap, fl_slab *slab) {
    fl_lock_take(&heap->lock);
    if (fl_heap_current(heap, slab->size_class) == slab) { /* else somebody has just taken it */
        fl_heap_set_current(heap, slab->size_class, &fl_empty_slab);
        fl_owner_let_go(heap, slab, FL_CURRENT);
    }
    fl_lock_drop(&heap->lock);
}

/* The current slab of a class has become empty: it is kept warm, and others that were kept go if that is too much. (To
 * let go of this one instead makes every pair of malloc and free in its class ten times as dear.) */
static void current_emptied(fl_heap *heap, fl_slab *slab) {
    fl_heap_enter(heap, heap); /* all current ones are looked at */
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
    fl_slab_set_due(slab, DUE_NEVER);
}

/* A parked slab has come to where it was due. */
static void parked_drained(fl_heap *heap, fl_slab *slab) {
    const fl_class *sizes = &fl_classes[slab->size_class];
    fl_lock_take(&heap->lock);
    heap->visits++;
    fl_owner_hear(heap);
    fl_word word = atomic_load_explicit(&slab->word, memory_order_relaxed);
    bool parked = fl_word_state(word) == FL_PARKED || fl_word_state(word) == FL_TOLD;
    if (!parked || fl_word_owner(word) != heap->tag) {
        /* The scavenger has just taken it, or hearing let it go: the descriptor may be another slab's. */
    } else if (fl_slab_used(slab) > sizes->watermark) {
        if (!slab->partial)
            fl_parked_make_partial(heap, slab);
        fl_slab_set_due(slab, (int32_t)sizes->watermark);
    } else if (fl_slab_used(slab) > 0 && keeps_drained(heap)) {
        /* Its last frees stay plain pushes, and its span goes to this heap's next slab. */
        fl_slab_set_due(slab, 0);
    } else {
        /* If this fails it is told, and on its way: hearing it will find it drained. */
        fl_owner_let_go(heap, slab, FL_PARKED);
    }
    fl_lock_drop(&heap->lock);
}

void fl_heap_drained(fl_slab *slab, fl_heap *heap) {
    fallow_arena *arena = heap->arena;
    if (fl_heap_current(heap, slab->size_class) == slab)
        current_emptied(heap, slab);
    else
        parked_drained(heap, slab);
    fl_heap_leave(heap);
    fl_driver_note(&arena->pages);
}
