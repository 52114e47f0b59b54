/* SPDX-License-Identifier: MIT */
/*
 * nobodys.c: slabs that no heap owns: listed in their arena, adopted by who needs one, dead when empty.
 */
#include "../osmem/fatal.h"
#include "arena_heaps.h"

#define ADOPT_LOOKS 8

static void link_slab(fl_slab *slab) {
    fl_slab **head = &slab->arena->listed[slab->class];
    slab->previous = NULL;
    slab->next = *head;
    if (*head)
        (*head)->previous = slab;
    *head = slab;
}

static void unlink_slab(fl_slab *slab) {
    if (slab->previous)
        slab->previous->next = slab->next;
    else
        slab->arena->listed[slab->class] = slab->next;
    if (slab->next)
        slab->next->previous = slab->previous;
}

/* Nothing live, so nobody can push any more. The order is part of the protocol: out of the table first,
 * then the pages may be somebody else's, and the descriptor last. */
static void die(fl_slab *slab) {
    fl_arena *arena = &slab->arena->pages;
    fl_slab_untable(slab);
    atomic_store_explicit(&slab->word, fl_word_make(FL_DEAD, 0, 0, 0), memory_order_relaxed);
    fl_pages_return(arena, slab->start, slab->pages);
    fl_descriptor_give(slab);
}

/* From CLAIMED to another state, if no push came in between. Release: all that the claimer did to the slab
 * comes before what the next claimer does. */
static bool unclaim(fl_slab *slab, fl_word word, fl_slab_state state) {
    return atomic_compare_exchange_strong_explicit(&slab->word, &word, fl_word_with_state(word, state),
                                                   memory_order_release, memory_order_relaxed);
}

void fl_slab_settle(fl_slab *slab) {
    const fl_class *sizes = &fl_classes[slab->class];
    for (;;) {
        fl_word word = atomic_load_explicit(&slab->word, memory_order_acquire);
        uint32_t live = fl_word_live(word);
        FL_ASSERT(fl_word_state(word) == FL_CLAIMED && live <= sizes->capacity);
        if (live == 0) {
            die(slab);
            return;
        }
        if (live + sizes->fair_blocks > sizes->capacity) {
            if (unclaim(slab, word, FL_FLOATING))
                return;
            continue;
        }
        /* Under the lock, so that the push that frees its last block finds it in the list. */
        fallow_arena *arena = slab->arena;
        fl_lock_take(&arena->lists_lock);
        bool listed = unclaim(slab, word, FL_LISTED);
        if (listed)
            link_slab(slab);
        fl_lock_drop(&arena->lists_lock);
        if (listed)
            return;
    }
}

void fl_slab_unlist_and_settle(fl_slab *slab) {
    fallow_arena *arena = slab->arena;
    fl_lock_take(&arena->lists_lock);
    unlink_slab(slab);
    fl_lock_drop(&arena->lists_lock);
    fl_slab_settle(slab);
}

/* Claims the fullest of the first few in the list, which packs the heap. */
static fl_slab *claim_fullest(fallow_arena *arena, unsigned class) {
    for (;;) {
        fl_slab *best = NULL;
        fl_word best_word = 0;
        unsigned looks = ADOPT_LOOKS;
        for (fl_slab *slab = arena->listed[class]; slab && looks > 0; slab = slab->next, looks--) {
            fl_word word = atomic_load_explicit(&slab->word, memory_order_relaxed);
            if (fl_word_state(word) != FL_LISTED)
                continue; /* somebody has just freed its last block */
            if (!best || fl_word_live(word) > fl_word_live(best_word)) {
                best = slab;
                best_word = word;
            }
        }
        if (!best)
            return NULL;
        /* Acquire: reads what its last claimer left. A push may come in between: look again. */
        if (atomic_compare_exchange_strong_explicit(&best->word, &best_word,
                                                    fl_word_with_state(best_word, FL_CLAIMED),
                                                    memory_order_acquire, memory_order_relaxed))
            return best;
    }
}

fl_slab *fl_slab_adopt(fallow_arena *arena, unsigned class, uint32_t tag) {
    fl_lock_take(&arena->lists_lock);
    fl_slab *slab = claim_fullest(arena, class);
    if (slab)
        unlink_slab(slab);
    fl_lock_drop(&arena->lists_lock);
    if (!slab)
        return NULL;
    slab->next = slab->previous = NULL;
    slab->partial = slab->linked = 0;
    fl_slab_tag(slab, tag);
    fl_word word = atomic_load_explicit(&slab->word, memory_order_relaxed);
    /* Acquire: with the pushes whose blocks are taken along. */
    while (!atomic_compare_exchange_weak_explicit(&slab->word, &word, fl_word_make(FL_CURRENT, tag, 0, 0),
                                                  memory_order_acq_rel, memory_order_relaxed))
        ;
    slab->left = (int32_t)fl_word_live(word);
    slab->base_used = 0;
    fl_slab_splice(slab, fl_word_head(word));
    return slab;
}
