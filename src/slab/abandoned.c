/* SPDX-License-Identifier: MIT */
#include "abandoned.h"

#include "../arena/pages.h"
#include "../arena/scavenger.h"
#include "../system/fatal.h"
#include "pushes.h"
#include "units.h"

#define ADOPT_LOOKS 8
#define PURGE_PART 128 /* so much of a purged slab freed since makes another purge worth it */

static fl_slab_list *list_of(const fl_slab *slab) {
    fallow_arena *arena = slab->arena;
    return slab->purged_live == FL_NOT_PURGED ? &arena->listed[slab->size_class]
                                              : &arena->purged[slab->size_class];
}

static void count_listed(const fl_slab *slab, bool more) {
    fallow_arena *arena = slab->arena;
    uint32_t count = atomic_load_explicit(&arena->listed_count, memory_order_relaxed);
    atomic_store_explicit(&arena->listed_count, more ? count + 1 : count - 1, memory_order_relaxed);
    fl_arena_count(slab->purged_live == FL_NOT_PURGED ? &arena->pages.reclaimable_bytes
                                                      : &arena->pages.purged_bytes,
                   slab->pages << FL_PAGE_SHIFT, more);
}

/* Fresh slabs come first in their list, purged ones last in theirs. */
static void link_slab(fl_slab *slab) {
    fl_slab_list *list = list_of(slab);
    bool first = slab->purged_live == FL_NOT_PURGED;
    slab->previous = first ? NULL : list->last;
    slab->next = first ? list->first : NULL;
    *(slab->previous ? &slab->previous->next : &list->first) = slab;
    *(slab->next ? &slab->next->previous : &list->last) = slab;
    count_listed(slab, true);
}

static void unlink_slab(fl_slab *slab) {
    fl_slab_list *list = list_of(slab);
    *(slab->previous ? &slab->previous->next : &list->first) = slab->next;
    *(slab->next ? &slab->next->previous : &list->last) = slab->previous;
    count_listed(slab, false);
}

/* Nothing live, so nobody can push any more. The order is part of the protocol: out of the table first,
 * then the pages may be somebody else's, and the descriptor last. False: the system refused to make it whole; it can be
 * listed, for the next owner or another try. */
static bool die(fl_slab *slab, fl_kept *kept) {
    fl_arena *arena = &slab->arena->pages;
    uint64_t prepared = 0;
    if (slab->away && !fl_slab_level(slab, &prepared))
        return false;
    fl_slab_untable(slab);
    atomic_store_explicit(&slab->word, fl_word_make(FL_DEAD, 0, 0, 0), memory_order_relaxed);
    if (prepared)
        fl_pages_return_partly(arena, slab->start, slab->pages, prepared);
    else if (kept)
        fl_spans_put(&kept->spans, arena, slab->start, slab->pages);
    else
        fl_pages_return(arena, slab->start, slab->pages);
    fl_descriptor_give(kept, slab);
    return true;
}

/* From CLAIMED to another state, if no push came in between. Release: all that the claimer did to the slab
 * comes before what the next claimer does. */
static bool unclaim(fl_slab *slab, fl_word word, fl_slab_state state) {
    return atomic_compare_exchange_strong_explicit(&slab->word, &word, fl_word_with_state(word, state),
                                                   memory_order_release, memory_order_relaxed);
}

void fl_slab_settle(fl_slab *slab, fl_kept *kept) {
    const fl_class *sizes = &fl_classes[slab->size_class];
    bool scarce = atomic_load_explicit(&slab->arena->pages.scarce, memory_order_relaxed);
    uint32_t fair_blocks = scarce ? 1 : sizes->fair_blocks; /* at a limit each block counts */
    for (;;) {
        fl_word word = atomic_load_explicit(&slab->word, memory_order_acquire);
        uint32_t live = fl_word_live(word);
        FL_ASSERT(fl_word_state(word) == FL_CLAIMED && live <= sizes->capacity);
        if (live == 0 && die(slab, kept))
            return;
        if (live + fair_blocks > sizes->capacity) {
            if (unclaim(slab, word, FL_FLOATING))
                return;
            continue;
        }
        /* Under the lock, so that the push that frees its last block finds it in the list. */
        fallow_arena *arena = slab->arena;
        fl_lock_take(&arena->lists_lock);
        slab->since_s = fl_scavenger_ticked_s();
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
    fl_slab_settle(slab, NULL);
}

/* Claims the fullest of the first few in the list, which packs the heap. */
static fl_slab *claim_fullest(const fl_slab_list *list) {
    for (;;) {
        fl_slab *best = NULL;
        fl_word best_word = 0;
        unsigned looks = ADOPT_LOOKS;
        for (fl_slab *slab = list->first; slab && looks > 0; slab = slab->next, looks--) {
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

static bool claim_listed(fl_slab *slab, fl_word word) {
    return fl_word_state(word) == FL_LISTED &&
           atomic_compare_exchange_strong_explicit(&slab->word, &word, fl_word_with_state(word, FL_CLAIMED),
                                                   memory_order_acquire, memory_order_relaxed);
}

/* Enough was freed since the last time; or all of it, and the system did not let it die then. */
static bool is_worth_another_purge(const fl_slab *slab, fl_word word, const fl_purge_turn *turn) {
    uint32_t live = fl_word_live(word);
    return slab->purged_live - live > slab->capacity / PURGE_PART ||
           (live == 0 && slab->purge_round != turn->round);
}

/* Of purged slabs, by turns: who is looked at in vain goes to the end. */
static size_t claim_purged(fl_slab_list *list, fl_purge_turn *turn, fl_slab **slabs, size_t max) {
    size_t count = 0;
    const fl_slab *stop = NULL;
    while (count < max && turn->looks > 0 && list->first && list->first != stop) {
        fl_slab *slab = list->first;
        fl_word word = atomic_load_explicit(&slab->word, memory_order_relaxed);
        turn->looks--;
        unlink_slab(slab);
        if (is_worth_another_purge(slab, word, turn) && claim_listed(slab, word))
            slabs[count++] = slab;
        else {
            link_slab(slab);
            stop = stop ? stop : slab;
        }
    }
    return count;
}

size_t fl_slabs_claim_listed(fallow_arena *arena, unsigned size_class, fl_cause cause, fl_purge_turn *turn,
                             fl_slab **slabs, size_t max) {
    size_t count = 0;
    uint32_t now = fl_scavenger_ticked_s();
    fl_lock_take(&arena->lists_lock);
    for (fl_slab *slab = arena->listed[size_class].last, *previous; slab && count < max; slab = previous) {
        previous = slab->previous;
        if (cause == FL_CAUSE_GOAL && now - slab->since_s < FL_OLD_SECONDS)
            break;
        if (claim_listed(slab, atomic_load_explicit(&slab->word, memory_order_relaxed))) {
            unlink_slab(slab);
            slabs[count++] = slab;
        }
    }
    count += claim_purged(&arena->purged[size_class], turn, slabs + count, max - count);
    fl_lock_drop(&arena->lists_lock);
    for (size_t i = 0; i < count; i++)
        slabs[i]->purge_round = turn->round;
    return count;
}

/* What the table leads to may be another slab by the time that this is read: a hint. */
__attribute__((no_sanitize("thread"))) static bool is_worth_claiming(const fl_slab *slab, fl_word word,
                                                                     bool every) {
    uint32_t live = fl_word_live(word);
    fl_slab_state state = fl_word_state(word);
    if (every && state == FL_FLOATING && live < slab->capacity)
        return true; /* it gets into a list by that */
    return (state == FL_FLOATING || (every && state == FL_LISTED)) && slab->purged_live != live &&
           fl_slab_may_have_idle_unit(slab, live);
}

/* Claimed from the state in the word; out of its list, if it was in one. False: it is no longer in that state. */
static bool claim_found(fl_slab *slab, fl_word word) {
    bool listed = fl_word_state(word) == FL_LISTED;
    /* Acquire: reads what its last claimer left. */
    if (!atomic_compare_exchange_strong_explicit(&slab->word, &word, fl_word_with_state(word, FL_CLAIMED),
                                                 memory_order_acquire, memory_order_relaxed))
        return false;
    if (listed) {
        fl_lock_take(&slab->arena->lists_lock);
        unlink_slab(slab);
        fl_lock_drop(&slab->arena->lists_lock);
    }
    return true;
}

size_t fl_slabs_claim_in(bool every, size_t *page, size_t end, fl_slab **slabs, size_t max) {
    size_t count = 0;
    fl_entry before = 0;
    for (; *page < end && count < max; ++*page) {
        fl_entry entry = atomic_load_explicit(&fl_the_window.table[*page], memory_order_relaxed);
        if (entry == 0 || entry == before || (entry & FL_ENTRY_TAG_BITS))
            continue;
        before = entry;
        fl_slab *slab = fl_entry_slab(entry);
        fl_word word = atomic_load_explicit(&slab->word, memory_order_seq_cst); /* see scarce.h */
        if (is_worth_claiming(slab, word, every) && claim_found(slab, word))
            slabs[count++] = slab;
    }
    return count;
}

fl_slab *fl_slab_adopt(fallow_arena *arena, unsigned size_class, uint32_t tag) {
    /* Without the lock: what is listed this very moment is found the next time. */
    if (atomic_load_explicit(&arena->listed_count, memory_order_relaxed) == 0)
        return NULL;
    fl_lock_take(&arena->lists_lock);
    fl_slab *slab = claim_fullest(&arena->listed[size_class]);
    if (!slab)
        slab = claim_fullest(&arena->purged[size_class]);
    if (slab)
        unlink_slab(slab);
    fl_lock_drop(&arena->lists_lock);
    if (!slab)
        return NULL;
    slab->next = slab->previous = NULL;
    slab->partial = slab->linked = slab->seen = 0;
    slab->purged_live = FL_NOT_PURGED;
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
