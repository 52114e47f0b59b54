/* SPDX-License-Identifier: MIT */
/*
 * heap.c: the owner's slow paths: where the next slab comes from, and where drained ones go.
 */
#include "heap.h"

#include <errno.h>

#include "../arena/driver.h"
#include "../system/fatal.h"
#include "large.h"
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
    heap->current[size_class] = slab;
    size_t last = fl_classes[size_class].block_bytes / 16;
    size_t first = size_class ? fl_classes[size_class - 1].block_bytes / 16 + 1 : 0;
    if (last <= FL_DIRECT_BYTES_MAX / 16)
        for (size_t i = first; i <= last; i++)
            heap->direct[i] = slab;
}

/* A heap keeps drained slabs until they are empty, up to this much; what is more is let go at the watermark, for other
 * threads to adopt. Letting go of all cost a third of the time of batches of 1 KiB blocks. Where no other thread has a
 * heap, there is nobody to adopt anything, and all are kept: the last eighth of random frees over 32 MiB need no atomic
 * then. */
#define PARTIAL_BYTES_KEPT ((size_t)4 << 20)

static bool keeps_drained(const fl_heap *heap) {
    return heap->partial_bytes <= PARTIAL_BYTES_KEPT ||
           atomic_load_explicit(&heap->arena->heap_count, memory_order_relaxed) == 1;
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

/* Makes a parked slab with free blocks the current one. Holds heap->lock. */
static fl_slab *unpark(fl_heap *heap, unsigned size_class) {
    for (fl_slab *slab = heap->partial[size_class].first; slab; slab = slab->next) {
        fl_word word = atomic_load_explicit(&slab->word, memory_order_relaxed);
        bool taken = false;
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

static fl_slab *from_parked(fl_heap *heap, unsigned size_class) {
    fl_slab *current = heap->current[size_class];
    fl_lock_take(&heap->lock);
    heap->visits++;
    fl_owner_hear(heap, true);
    fl_slab *slab = NULL;
    if (current != &fl_empty_slab && !park(heap, current))
        slab = current;
    else {
        fl_heap_set_current(heap, size_class, &fl_empty_slab);
        slab = unpark(heap, size_class);
    }
    fl_lock_drop(&heap->lock);
    return slab;
}

/* The next slab to allocate from, with something in its free list. NULL: out of memory. */
static fl_slab *next_slab(fl_heap *heap, unsigned size_class) {
    fl_slab *slab = from_parked(heap, size_class);
    if (slab)
        return slab;
    slab = fl_slab_adopt(heap->arena, size_class, heap->tag);
    if (!slab)
        slab = fl_slab_new(heap->arena, size_class, heap->tag, &heap->kept);
    if (slab)
        atomic_fetch_add_explicit(&heap->owned, 1, memory_order_relaxed);
    return slab;
}

/* From a slab that may be kept warm though it was empty: from here on it is due again. */
static void *pop_fresh(fl_slab *slab) {
    void *block = fl_slab_pop_fresh(slab);
    if (block)
        fl_slab_set_due(slab, DUE_WHEN_EMPTY);
    return block;
}

/* A block that is free, or was never handed out. NULL: there is none in the slab, or no memory for it. */
static void *take_block(fl_slab *slab) {
    if (fl_slab_has_free(slab)) {
        fl_slab_check_newest(slab);
        return fl_slab_pop(slab);
    }
    void *block = pop_fresh(slab);
    if (block || !fl_slab_carve(slab))
        return block;
    fl_slab_set_due(slab, DUE_WHEN_EMPTY);
    return fl_slab_pop(slab);
}

/* The free list of the current slab is at its end. NULL: out of memory. */
static void *refill(fl_heap *heap, unsigned size_class) {
    fl_slab *slab = heap->current[size_class];
    void *block;
    if (slab != &fl_empty_slab && fl_slab_collect(slab))
        return fl_slab_pop(slab);
    while (!(block = take_block(slab))) {
        slab = next_slab(heap, size_class);
        fl_slab *meanwhile = heap->current[size_class];
        if (meanwhile != &fl_empty_slab && meanwhile != slab) {
            /* At a limit the owner was asked to shed, and what it did there has left a current slab behind. */
            if (slab)
                fl_owner_let_go(heap, slab, FL_CURRENT);
            slab = meanwhile;
            continue;
        }
        if (!slab)
            return NULL;
        fl_heap_set_current(heap, size_class, slab);
    }
    return block;
}

static void *alloc_small(fl_heap *heap, size_t bytes) {
    unsigned size_class = fl_sizeclass_of(bytes);
    void *block = fl_slab_pop(heap->current[size_class]);
    if (block)
        return block;
    fl_heap_freeing_none(heap);
    return refill(heap, size_class);
}

void *fl_heap_pop_fresh(fl_heap *heap, size_t bytes) {
    return pop_fresh(heap->current[fl_sizeclass_of(bytes)]);
}

static __attribute__((noinline)) void *alloc_any(size_t bytes, fl_heap *heap) {
    void *block;
    if (heap == &fl_empty_heap)
        block = fl_thread_alloc_first(bytes);
    else {
        heap->pinned++; /* who sheds at a limit may come to use other arenas */
        block = bytes > FL_CLASS_BYTES_MAX ? fl_large_alloc(heap, bytes, 1) : alloc_small(heap, bytes);
        heap->pinned--;
    }
    if (!block)
        errno = ENOMEM;
    return block;
}

void *fl_heap_alloc_slow(size_t bytes, fl_heap *heap) {
    if (bytes <= FL_CLASS_TABLE_BYTES_MAX) {
        void *block = fl_slab_pop(heap->current[fl_class_table[(bytes + 15) / 16]]);
        if (__builtin_expect(block != NULL, 1))
            return block;
    }
    return alloc_any(bytes, heap);
}

static size_t carved_bytes(const fl_slab *slab) {
    return (size_t)slab->carved * slab->block_bytes;
}

/* The current slab of a class, if it has become empty and is kept warm. */
static fl_slab *kept_empty(const fl_heap *heap, unsigned size_class) {
    fl_slab *slab = heap->current[size_class];
    return slab->base_used == DUE_NEVER && fl_slab_used(slab) == 0 ? slab : NULL;
}

static void let_current_go(fl_heap *heap, fl_slab *slab) {
    fl_heap_set_current(heap, slab->size_class, &fl_empty_slab);
    fl_owner_let_go(heap, slab, FL_CURRENT);
}

/* The current slab of a class has become empty: it is kept warm, and others that were kept go if that is too much. (To
 * let go of this one instead makes every pair of malloc and free in its class ten times as dear.) */
static void current_emptied(fl_heap *heap, fl_slab *slab) {
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
    fl_owner_hear(heap, true);
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
    if (heap->current[slab->size_class] == slab)
        current_emptied(heap, slab);
    else
        parked_drained(heap, slab);
    fl_heap_freeing_none(heap);
    fl_driver_note(&arena->pages);
}
