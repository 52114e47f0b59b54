/* SPDX-License-Identifier: MIT */
#include "abandoned.h"

#include "../arena/pages.h"
#include "../arena/scarce.h"
#include "../arena/scavenger.h"
#include "../system/fatal.h"
#include "../system/probes.h"
#include "carve.h"
#include "liveblocks.h"
#include "misused.h"
#include "pushes.h"
#include "tally.h"
#include "units.h"

#define ADOPT_LOOKS 8
#define SPARED_MS 2000 /* before it is looked at again for its own sake, while the program is at work */
#define PURGE_PART 128 /* so much of a purged slab, freed since, makes another purge worth it */

static fl_slab_list *list_of(const fl_slab *slab) {
    fallow_arena *arena = slab->arena;
    return fl_is_purged(slab->purged_live) ? &arena->purged[slab->size_class]
                                           : &arena->listed[slab->size_class];
}

static void count_listed(const fl_slab *slab, bool more) {
    fallow_arena *arena = slab->arena;
    uint32_t count = atomic_load_explicit(&arena->listed_count, memory_order_relaxed);
    atomic_store_explicit(&arena->listed_count, more ? count + 1 : count - 1, memory_order_relaxed);
    fl_pagearena_count(fl_is_purged(slab->purged_live) ? &arena->pages.purged_bytes
                                                       : &arena->pages.reclaimable_bytes,
                       slab->pages << FL_PAGE_SHIFT, more);
}

static bool is_at_hand(const fallow_arena *arena, unsigned size_class) {
    return atomic_load_explicit(&arena->at_hand[size_class / 64], memory_order_relaxed) >> size_class % 64 &
           1;
}

/* Holds the lists' lock. */
static void set_at_hand(fallow_arena *arena, unsigned size_class, bool at_hand) {
    _Atomic uint64_t *word = &arena->at_hand[size_class / 64];
    uint64_t bit = UINT64_C(1) << size_class % 64, bits = atomic_load_explicit(word, memory_order_relaxed);
    atomic_store_explicit(word, at_hand ? bits | bit : bits & ~bit, memory_order_relaxed);
}

static void link_slab(fl_slab *slab, bool first) {
    fl_slab_list *list = list_of(slab);
    slab->previous = first ? NULL : list->last;
    slab->next = first ? list->first : NULL;
    *(slab->previous ? &slab->previous->next : &list->first) = slab;
    *(slab->next ? &slab->next->previous : &list->last) = slab;
    count_listed(slab, true);
    if (!atomic_load_explicit(&slab->bare, memory_order_relaxed))
        set_at_hand(slab->arena, slab->size_class, true);
}

static void unlink_slab(fl_slab *slab) {
    fl_slab_list *list = list_of(slab);
    *(slab->previous ? &slab->previous->next : &list->first) = slab->next;
    *(slab->next ? &slab->next->previous : &list->last) = slab->previous;
    count_listed(slab, false);
}

/* Ends a slab with nothing live, to which nobody can push any more. The order is part of the protocol: out of
 * the table first; then the pages, which may then be somebody else's; the descriptor last. Returns false if
 * the system refuses to make it whole; it can then be listed, for the next owner or another try. */
static bool die(fl_slab *slab, fl_kept *kept) {
    fl_pagearena *arena = &slab->arena->pages;
    uint64_t prepared = 0;
    if (FL_HARDENED && !fl_slab_unguard(slab))
        return false;
    if (slab->decommitted && !fl_slab_level(slab, &prepared))
        return false;
    FL_PROBE3(slab_dead, slab->start, slab->pages << FL_PAGE_SHIFT, slab->block_bytes);
    fl_slab_set_filled(slab, false);
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

/* Takes a slab from CLAIMED to another state. Returns false if a push came in between. Release: all that the
 * claimer did to the slab comes before what the next claimer does. */
static bool unclaim(fl_slab *slab, fl_word word, fl_slab_state state) {
    return atomic_compare_exchange_strong_explicit(&slab->word, &word, fl_word_with_state(word, state),
                                                   memory_order_release, memory_order_relaxed);
}

static bool is_scarce(const fl_slab *slab) {
    return fl_pagearena_is_scarce(&slab->arena->pages);
}

/* Puts a slab into a list: fresh ones first in theirs, purged ones last; at a limit those first that have a
 * block at hand. Returns false if a push came in between. (Apart, so that its part of the stack is free for a
 * slab's death.) */
static __attribute__((noinline)) bool list_claimed(fl_slab *slab, fl_word word) {
    fallow_arena *arena = slab->arena;
    bool scarce = is_scarce(slab), at_hand = fl_slab_has_free(slab) || fl_word_head(word);
    /* Under the lock, so that the push that frees its last block finds it in the list. */
    fl_lock_take(&arena->lists_lock);
    if (!slab->partial)
        slab->since_ms = fl_scavenger_ticked_ms();
    slab->partial = 1;
    atomic_store_explicit(&slab->bare, scarce && !at_hand, memory_order_relaxed);
    bool listed = unclaim(slab, word, FL_LISTED);
    if (listed)
        link_slab(slab, scarce ? at_hand : !fl_is_purged(slab->purged_live));
    fl_lock_drop(&arena->lists_lock);
    return listed;
}

void fl_slab_settle(fl_slab *slab, fl_kept *kept) {
    const fl_class *sizes = &fl_classes[slab->size_class];
    /* At a limit each block counts. */
    uint32_t most = slab->capacity - (is_scarce(slab) ? 1 : sizes->reuse_min_blocks);
    bool tallied = slab->tallied;
    slab->tallied = false;
    for (;;) {
        fl_word word = atomic_load_explicit(&slab->word, memory_order_acquire);
        uint32_t live = fl_word_live(word);
        FL_ASSERT(fl_word_state(word) == FL_CLAIMED && live <= slab->capacity);
        if (tallied && fl_word_head(word)) { /* pushed since the look, perhaps counted by nobody */
            fl_tally_forget(slab->start);
            tallied = false;
        }
        if (live == 0 && die(slab, kept))
            return;
        if (live > most)
            slab->partial = 0;
        if (live > most ? unclaim(slab, word, FL_FLOATING) : list_claimed(slab, word))
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

/* Claims the fullest of the first few in the list, which packs the heap; if `at_hand`, of those that are not
 * bare. */
static fl_slab *claim_fullest(const fl_slab_list *list, bool at_hand) {
    for (;;) {
        fl_slab *best = NULL;
        fl_word best_word = 0;
        unsigned looks = ADOPT_LOOKS;
        for (fl_slab *slab = list->first; slab && looks > 0; slab = slab->next, looks--) {
            fl_word word = atomic_load_explicit(&slab->word, memory_order_relaxed);
            if (fl_word_state(word) != FL_LISTED)
                continue; /* its last block has just been freed */
            if (at_hand && atomic_load_explicit(&slab->bare, memory_order_relaxed))
                continue;
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

/* For what looks at slabs that may be anybody's: what it reads is a hint, and may be of another slab by
 * then. */
#define HINT __attribute__((no_sanitize("thread")))

/* Enough was freed since the last time; or all of it was, and the system did not let it die then. */
HINT static bool is_worth_another_purge(const fl_slab *slab, fl_word word, const fl_purge_turn *turn) {
    uint32_t live = fl_word_live(word);
    return slab->purged_live - live > slab->capacity / PURGE_PART ||
           (live == 0 && slab->purge_round != turn->round);
}

/* Claims a purged slab, by turns: one that is looked at in vain goes to the end. */
static fl_slab *claim_purged(fl_slab_list *list, fl_purge_turn *turn) {
    for (const fl_slab *stop = NULL; turn->looks > 0 && list->first && list->first != stop;) {
        fl_slab *slab = list->first;
        fl_word word = atomic_load_explicit(&slab->word, memory_order_relaxed);
        turn->looks--;
        unlink_slab(slab);
        if (is_worth_another_purge(slab, word, turn) && claim_listed(slab, word))
            return slab;
        link_slab(slab, false);
        stop = stop ? stop : slab;
    }
    return NULL;
}

HINT static bool is_unused(const fl_slab *slab, const fl_purge_turn *turn) {
    return fl_scavenger_ticked_ms() - slab->since_ms >= turn->unused_ms;
}

static bool is_spared(const fl_slab *slab, const fl_purge_turn *turn) {
    return turn->spares && slab->purged_live == FL_SPARED &&
           fl_scavenger_ticked_ms() - slab->since_ms < SPARED_MS;
}

static fl_slab *claim_fresh(fallow_arena *arena, unsigned size_class, fl_purge_turn *turn) {
    fl_slab *slab = arena->listed[size_class].last;
    for (; slab && is_unused(slab, turn) && turn->looks > 0; slab = slab->previous)
        if (is_spared(slab, turn)) {
            arena->pages.left_some = true;
            turn->looks--;
        } else if (claim_listed(slab, atomic_load_explicit(&slab->word, memory_order_relaxed))) {
            unlink_slab(slab);
            return slab;
        }
    arena->pages.left_some |= slab != NULL;
    return NULL;
}

fl_slab *fl_slab_claim_listed(fallow_arena *arena, unsigned size_class, fl_purge_turn *turn) {
    fl_lock_take(&arena->lists_lock);
    fl_slab *slab = claim_fresh(arena, size_class, turn);
    slab = slab ? slab : claim_purged(&arena->purged[size_class], turn);
    fl_lock_drop(&arena->lists_lock);
    if (slab)
        slab->purge_round = turn->round;
    return slab;
}

HINT static bool may_have_more_idle(const fl_slab *slab, uint32_t live) {
    return slab->purged_live != live && fl_slab_may_have_idle_unit(slab, live);
}

HINT static bool is_worth_at_limit(const fl_slab *slab, fl_word word) {
    uint32_t live = fl_word_live(word);
    fl_slab_state state = fl_word_state(word);
    if (state == FL_FLOATING && live < slab->capacity)
        return true; /* this gets it into a list */
    if (live > atomic_load_explicit(&slab->idle_below, memory_order_relaxed))
        return false;
    return (state == FL_FLOATING || state == FL_LISTED) && may_have_more_idle(slab, live) &&
           fl_tally_allows_idle(slab);
}

HINT static bool is_worth_in_turn(const fl_slab *slab, fl_word word, const fl_purge_turn *turn) {
    if (fl_word_state(word) == FL_FLOATING)
        return turn->cause == FL_CAUSE_REQUEST && may_have_more_idle(slab, fl_word_live(word));
    if (fl_word_state(word) != FL_LISTED)
        return false;
    return fl_is_purged(slab->purged_live) ? is_worth_another_purge(slab, word, turn) : is_unused(slab, turn);
}

/* Claims a slab from the state in the word, and takes it out of its list if it was in one. Returns false if
 * it is no longer in that state. */
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

/* The page's slab may have died since, and its descriptor be another arena's by now, which may end at any
 * time. Asked after the word was read: a word that has changed since cannot be claimed. */
HINT static bool is_worth(const fl_slab *slab, fl_word word, const fl_pagearena *arena,
                          const fl_purge_turn *turn) {
    return &slab->arena->pages == arena &&
           (turn ? is_worth_in_turn(slab, word, turn) : is_worth_at_limit(slab, word));
}

/* Claims the slab of a page if it is worth that: in a turn, or (turn NULL) at a limit. */
static bool claim_if_worth(fl_pagearena *arena, fl_slab *slab, size_t page, const fl_purge_turn *turn) {
    for (;;) {
        fl_word word = atomic_load_explicit(&slab->word, memory_order_seq_cst); /* see scarce.h */
        if (!turn && fl_word_state(word) == FL_CLAIMED && !fl_word_owner(word))
            fl_scarce_skip(arena, page);
        if (!is_worth(slab, word, arena, turn))
            return false;
        if (claim_found(slab, word))
            return true;
        /* Somebody has pushed, who may have nothing to say, or has claimed it. */
    }
}

/* Of those below `end`; the page itself where the slab lies elsewhere by now. */
static size_t last_page_of(const fl_slab *slab, size_t page, size_t end) {
    size_t first = fl_page_of(slab->start), last = first + slab->pages - 1;
    return page < first || page > last ? page : last < end ? last : end - 1;
}

/* Returns the slab of the first page at or after *page that another than `before` has and no heap owns, and
 * sets *page to that; NULL: there is none below `end`. */
static fl_slab *next_unowned(size_t *page, size_t end, const fl_slab *before) {
    for (; *page < end; ++*page) {
        fl_entry entry = atomic_load_explicit(&fl_the_window.table[*page], memory_order_relaxed);
        if (entry != 0 && !(entry & FL_ENTRY_TAG_BITS) && fl_entry_slab(entry) != before)
            return fl_entry_slab(entry);
    }
    return NULL;
}

static fl_slab *claim_in(fl_pagearena *arena, const fl_purge_turn *turn, size_t *page, size_t end) {
    for (fl_slab *slab = NULL; (slab = next_unowned(page, end, slab)) != NULL;)
        if (claim_if_worth(arena, slab, *page, turn)) {
            *page = last_page_of(slab, *page, end) + 1;
            return slab;
        }
    return NULL;
}

fl_slab *fl_slab_claim_in(fl_pagearena *arena, const fl_purge_turn *turn, size_t *page, size_t end) {
    fl_slab *slab = claim_in(arena, turn, page, end);
    if (slab)
        slab->purge_round = turn->round;
    return slab;
}

HINT size_t fl_slab_free_bytes_in(const fl_pagearena *arena, const fl_purge_turn *turn, size_t page,
                                  size_t end) {
    size_t bytes = 0;
    for (const fl_slab *slab = NULL; (slab = next_unowned(&page, end, slab)) != NULL;) {
        fl_word word = atomic_load_explicit(&slab->word, memory_order_acquire);
        if (is_worth(slab, word, arena, turn))
            bytes += fl_slab_free_bytes(slab, fl_word_live(word));
    }
    return bytes;
}

fl_slab *fl_slab_claim_at_limit(fl_pagearena *arena, size_t *page, size_t end) {
    return claim_in(arena, NULL, page, end);
}

/* Claims a listed slab of a class; it stays in its list. Caller holds the lists' lock. */
static fl_slab *claim_one(fallow_arena *arena, unsigned size_class, bool at_hand) {
    fl_slab *slab = claim_fullest(&arena->listed[size_class], at_hand);
    return slab ? slab : claim_fullest(&arena->purged[size_class], at_hand);
}

/* Takes a slab, out of its list, from CLAIMED to CURRENT. */
static void own(fl_slab *slab, uint32_t tag) {
    slab->next = slab->previous = NULL;
    slab->partial = slab->linked = slab->seen = 0;
    atomic_store_explicit(&slab->watched, false, memory_order_relaxed);
    slab->purged_live = FL_NOT_PURGED;
    fl_slab_tag(slab, tag);
    fl_word word = atomic_load_explicit(&slab->word, memory_order_relaxed);
    /* Acquire: with the pushes whose blocks it takes along. */
    while (!atomic_compare_exchange_weak_explicit(&slab->word, &word, fl_word_make(FL_CURRENT, tag, 0, 0),
                                                  memory_order_acq_rel, memory_order_relaxed))
        ;
    slab->countdown = (int32_t)fl_word_live(word);
    slab->threshold = 0;
    fl_slab_splice(slab, fl_word_head(word));
}

/* Claims a listed slab of a class, out of its list. */
static fl_slab *take_out(fallow_arena *arena, unsigned size_class) {
    /* Without the lock: what is being listed at this moment is found next time. */
    if (atomic_load_explicit(&arena->listed_count, memory_order_relaxed) == 0)
        return NULL;
    fl_lock_take(&arena->lists_lock);
    fl_slab *slab = claim_one(arena, size_class, false);
    if (slab)
        unlink_slab(slab);
    fl_lock_drop(&arena->lists_lock);
    return slab;
}

fl_slab *fl_slab_adopt(fallow_arena *arena, unsigned size_class, uint32_t tag) {
    fl_slab *slab = take_out(arena, size_class);
    if (slab)
        own(slab, tag);
    return slab;
}

/* Notes that one more block lives: a unit may be idle as many pushes later than before. Where no tally says
 * more, not before so many blocks are free as touch any unit. */
static void put_off(fl_slab *slab, bool tallied) {
    uint32_t below = atomic_load_explicit(&slab->idle_below, memory_order_relaxed);
    below += below != FL_NOT_LOOKED_AT;
    if (!tallied) {
        uint32_t whole = fl_slab_whole_blocks(slab), least = fl_slab_least_touching(slab);
        uint32_t most = whole > least ? whole - least : 0;
        below = below < most ? below : most;
    }
    atomic_store_explicit(&slab->idle_below, below, memory_order_relaxed);
}

/* Takes one block of a claimed slab that has some at hand. The slab goes back to where it was; with nothing
 * more at hand, to the end of the list, or, if full, out of it. Caller holds the lists' lock. */
static void *take_one(fl_slab *slab) {
    fl_word word = fl_slab_take_pushed(slab);
    fl_slab_splice(slab, fl_word_head(word));
    void *block = fl_slab_pop_checked(slab);
    slab->purged_live += fl_is_purged(slab->purged_live);
    put_off(slab, fl_tally_take(slab, block));
    bool bare, full;
    word = atomic_load_explicit(&slab->word, memory_order_relaxed);
    do {
        bare = !fl_slab_has_free(slab) && fl_word_head(word) == 0;
        full = fl_word_live(word) + 1 == slab->capacity;
        atomic_store_explicit(&slab->bare, bare, memory_order_relaxed);
    } while (!atomic_compare_exchange_weak_explicit(
        &slab->word, &word, fl_word_with_state(word + FL_WORD_COUNT_ONE, full ? FL_FLOATING : FL_LISTED),
        memory_order_release, memory_order_relaxed));
    if (bare)
        unlink_slab(slab);
    if (bare && !full)
        link_slab(slab, false);
    return block;
}

/* Is a claimed slab one to own? With nothing at hand it is: its owner carves. Owning it and letting go of it
 * cost as much as some single blocks, and what is known of it (tally.h) is lost: see abandoned.h. */
static bool is_worth_owning(const fl_slab *slab, bool sparing, bool again) {
    fl_word word = atomic_load_explicit(&slab->word, memory_order_relaxed);
    if (!sparing || (!fl_slab_has_free(slab) && fl_word_head(word) == 0))
        return true;
    return again && fl_slab_whole_blocks(slab) - fl_word_live(word) <= fl_slab_least_touching(slab);
}

/* Those that have a block at hand lie first; one may be in somebody's hands for a moment. */
static bool may_be_at_hand(const fl_slab_list *list) {
    return list->first && !atomic_load_explicit(&list->first->bare, memory_order_relaxed);
}

void *fl_slab_take_listed(fallow_arena *arena, unsigned size_class, bool sparing, uint32_t tag,
                          fl_slab **last, fl_slab **adopted) {
    *adopted = NULL;
    if (!is_at_hand(arena, size_class)) /* without the lock, as above */
        return NULL;
    void *block = NULL;
    fl_lock_take(&arena->lists_lock);
    fl_slab *slab = claim_one(arena, size_class, true);
    if (slab && is_worth_owning(slab, sparing, slab == *last)) {
        unlink_slab(slab);
        *adopted = slab;
    } else if (slab) {
        block = take_one(slab);
        *last = slab;
    } else if (!may_be_at_hand(&arena->listed[size_class]) && !may_be_at_hand(&arena->purged[size_class]))
        set_at_hand(arena, size_class, false);
    fl_lock_drop(&arena->lists_lock);
    if (*adopted)
        own(*adopted, tag);
    return block;
}

static uint64_t units_of(const fl_slab *slab, const void *block) {
    return fl_units_of(slab, (uint32_t)((size_t)((const char *)block - slab->start) / slab->block_bytes));
}

void *fl_slab_carve_listed(fallow_arena *arena, unsigned size_class) {
    fl_shortage ignored;
    void *block = NULL;
    fl_slab *slab = take_out(arena, size_class);
    if (!slab)
        return NULL;
    uint64_t before = slab->decommitted;
    fl_slab_splice(slab, fl_word_head(fl_slab_take_pushed(slab)));
    if (fl_slab_has_free(slab) || fl_slab_carve(slab, true, &ignored)) {
        block = fl_slab_pop_checked(slab);
        atomic_fetch_add_explicit(&slab->word, FL_WORD_COUNT_ONE, memory_order_relaxed);
    }
    uint64_t ready = before & ~slab->decommitted;
    if (block)
        fl_tally_take(slab, block);
    bool idle = ready & ~(block ? units_of(slab, block) : 0); /* more of it is Ready than the block needs */
    slab->purged_live = FL_NOT_PURGED;
    atomic_store_explicit(&slab->idle_below, FL_NOT_LOOKED_AT, memory_order_relaxed);
    const char *start = slab->start;
    fl_slab_settle(slab, NULL);
    if (idle)
        fl_scarce_note(&arena->pages, start);
    return block;
}
