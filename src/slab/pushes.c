/* SPDX-License-Identifier: MIT */
#include "pushes.h"

#include "../arena/scarce.h"
#include "arenas.h"
#include "misused.h"

void fl_slab_splice(fl_slab *slab, uint32_t head) {
    if (head == 0)
        return;
    void *first = slab->start + (size_t)(head - 1) * 16;
    if (fl_slab_has_free(slab)) {
        void *last = first;
        uint32_t count = 0;
        for (void *next; (next = fl_link_get(last)) != fl_list_end(slab); last = next) {
            fl_check_free(slab, next, "look at");
            if (++count > slab->capacity)
                fl_misuse(slab, "free of", first,
                          "freed twice (the list of what other threads freed has no end)");
        }
        fl_link_set(last, slab->free);
    }
    slab->free = first;
}

bool fl_slab_collect(fl_slab *slab) {
    fl_word word = atomic_load_explicit(&slab->word, memory_order_relaxed);
    do {
        if (fl_word_head(word) == 0)
            return false;
        /* Acquire, with the release of every push: what the freeing threads did to the blocks, and the links
         * that they wrote, come before what is done to them from here on. */
    } while (!atomic_compare_exchange_weak_explicit(
        &slab->word, &word, fl_word_make(fl_word_state(word), fl_word_owner(word), 0, 0),
        memory_order_acquire, memory_order_relaxed));
    slab->countdown -= (int32_t)fl_word_pushed(word);
    fl_slab_splice(slab, fl_word_head(word));
    return true;
}

fl_word fl_slab_take_pushed(fl_slab *slab) {
    fl_word word = atomic_load_explicit(&slab->word, memory_order_relaxed), taken;
    do
        taken = word & ~(FL_WORD_HEAD_MASK << FL_WORD_HEAD_SHIFT);
    while (!atomic_compare_exchange_weak_explicit(&slab->word, &word, taken, memory_order_acquire,
                                                  memory_order_relaxed));
    return word;
}

fl_pushed fl_slab_push(fl_slab *slab, void *first, void *last, uint32_t count) {
    const fl_class *sizes = &fl_classes[slab->size_class];
    uint32_t head = (uint32_t)((size_t)((char *)first - slab->start) / 16 + 1);
    /* At a limit each block counts: the first one lists a slab of which nothing was free. */
    uint32_t listed_blocks = fl_pagearena_is_scarce(&slab->arena->pages) ? 1 : sizes->reuse_min_blocks;
    fl_word word = atomic_load_explicit(&slab->word, memory_order_relaxed);
    fl_word pushed;
    do {
        uint32_t before = fl_word_head(word);
        if (before == head)
            fl_misuse(slab, "free of", first, "freed twice (it is the newest block in the list of frees)");
        fl_link_set(last, before ? slab->start + (size_t)(before - 1) * 16 : fl_list_end(slab));
        pushed = fl_word_push(word, head, count, sizes->reuse_min_blocks, listed_blocks, slab->capacity,
                              atomic_load_explicit(&slab->bare, memory_order_relaxed));
        /* Release: the links, and all that this thread did to the blocks, come before the owner takes the
         * list. Acquire: a push that claims goes on to read what the last owner left. */
        /* (Sequentially consistent: see scarce.h.) */
    } while (!atomic_compare_exchange_weak_explicit(&slab->word, &word, pushed, memory_order_seq_cst,
                                                    memory_order_relaxed));
    return (fl_pushed){word, pushed};
}

/* Returns whether half of what lived in a slab has gone since this was last so. */
static bool is_halved(uint32_t live_before, uint32_t live) {
    return live == 0 || __builtin_clz(live_before * 2 - 1) != __builtin_clz(live * 2 - 1);
}

fl_push_duty fl_push_duty_of(fl_pushed pushed) {
    if (fl_push_has_no_duty(pushed))
        return FL_PUSH_DONE;
    if (fl_word_state(pushed.before) == fl_word_state(pushed.after)) /* the scavenger may want to know */
        return is_halved(fl_word_live(pushed.before), fl_word_live(pushed.after)) ? FL_PUSH_NOTE
                                                                                  : FL_PUSH_DONE;
    switch (fl_word_state(pushed.before)) {
    case FL_PARKED:
        return FL_PUSH_NOTIFY;
    case FL_LISTED:
        return FL_PUSH_UNLIST;
    default:
        return FL_PUSH_SETTLE;
    }
}
